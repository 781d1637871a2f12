/* Callbacks of servers and clients that are left by an exception, or whose thread is cancelled: what
 * continues as if they had returned, and that nothing is lost or leaked. */
extern "C" {
#include "harness.h"
}

#include <csignal>
#include <cstring>
#include <dirent.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- What the library holds --- */

static long alive;

static void *counted_malloc(size_t size) { alive++; return malloc(size); }
static void *counted_realloc(void *block, size_t size) { alive += !block; return realloc(block, size); }
static void counted_free(void *block) { alive -= block != nullptr; free(block); }

/* Before the harness sets up locks. */
__attribute__((constructor)) static void count_blocks() { event_set_mem_functions(counted_malloc, counted_realloc, counted_free); }

static int open_descriptors()
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* --- Leaving callbacks --- */

/* The way out, the callback that takes it, and whether it was taken. */
static enum { THROWN, ENDED_THREAD, CANCELLED_THREAD } way;
static std::string leaver;
static int left;

static void leave_from(const char *callback)
{
	if (leaver != callback)
		return;
	leaver.clear();
	left++;
	if (way == THROWN)
		throw 1;
	if (way == CANCELLED_THREAD) {
		pthread_cancel(pthread_self());
		pthread_testcancel();
	}
	pthread_exit(nullptr);
}

static struct event_base *base;

static void *turn_in_thread(void *)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	return nullptr;
}

static void turn()
{
	if (way == THROWN) {
		try {
			CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
		} catch (int) {
		}
	} else {
		pthread_t thread;

		CHECK_EQUAL(pthread_create(&thread, nullptr, turn_in_thread, nullptr), 0);
		CHECK_EQUAL(pthread_join(thread, nullptr), 0);
	}
}

template <typename Condition> static void turn_until(Condition condition)
{
	long long end = milliseconds() + 30000;

	while (!condition()) {
		CHECK(milliseconds() < end);
		turn();
		usleep(100);
	}
}

/* --- Sockets --- */

static struct sockaddr_un address;
static socklen_t address_length;

static int listening_socket()
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un any = {AF_UNIX, ""};

	CHECK(bind(fd, reinterpret_cast<struct sockaddr *>(&any), sizeof any.sun_family) == 0 && listen(fd, 10) == 0);
	address_length = sizeof address;
	CHECK(getsockname(fd, reinterpret_cast<struct sockaddr *>(&address), &address_length) == 0);
	return fd;
}

static int connected_socket()
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CHECK(connect(fd, reinterpret_cast<struct sockaddr *>(&address), address_length) == 0);
	return fd;
}

static void send_text(int fd, const char *text)
{
	CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == static_cast<ssize_t>(strlen(text)));
}

/* Adds what has come; whether the peer has ended. */
static bool receive(int fd, std::string &text)
{
	char bytes[4096];
	ssize_t count;

	while ((count = recv(fd, bytes, sizeof bytes, 0)) > 0)
		text.append(bytes, static_cast<size_t>(count));
	return count == 0;
}

static bool has(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

/* --- The server --- */

static struct evhttp *http;
static struct evhttp_request *kept;

static void reply_to(struct evhttp_request *req)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add(body, "ok", 2);
	evhttp_send_reply(req, 200, nullptr, body);
	evbuffer_free(body);
}

static void completed(struct evhttp_request *, void *) { leave_from("on_complete"); }
static void closed(struct evhttp_connection *, void *) { leave_from("close"); }
static struct bufferevent *maker(struct event_base *, void *)
{
	leave_from("maker");
	return nullptr;
}

static void piece_written(struct evhttp_connection *, void *arg)
{
	struct evhttp_request *req = static_cast<struct evhttp_request *>(arg);

	evhttp_send_reply_end(req);
	leave_from("piece");
}

static void handle(struct evhttp_request *req, void *)
{
	evhttp_request_set_on_complete_cb(req, completed, nullptr);
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), closed, nullptr);
	if (leaver == "piece") {
		struct evbuffer *piece = evbuffer_new();

		evhttp_send_reply_start(req, 200, nullptr);
		evbuffer_add(piece, "piece", 5);
		evhttp_send_reply_chunk_with_cb(req, piece, piece_written, req);
		evbuffer_free(piece);
		return;
	}
	kept = req;
	leave_from("handler");
	reply_to(req);
	leave_from("replied");
}

static int before;

static void begin()
{
	signal(SIGPIPE, SIG_IGN);
	before = open_descriptors();
	base = event_base_new();
}

static void end()
{
	event_base_free(base);
	libevent_global_shutdown();
	CHECK_EQUAL(left, 1);
	CHECK_EQUAL(alive, 0);
	CHECK_EQUAL(open_descriptors(), before);
}

static void start_server()
{
	begin();
	http = evhttp_new(base);
	CHECK_EQUAL(evhttp_accept_socket(http, listening_socket()), 0);
	evhttp_set_gencb(http, handle, nullptr);
}

/* A request on a new connection is answered. */
static void check_server()
{
	int fd = connected_socket();
	std::string text;

	send_text(fd, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
	turn_until([&] { return receive(fd, text); });
	CHECK(has(text, "HTTP/1.1 200 OK\r\n"));
	close(fd);
}

static void end_server()
{
	evhttp_free(http);
	end();
}

/* A callback of the first of two requests on a connection is left, and the second is answered. */
static void leave_and_go_on(const char *callback, const char *last)
{
	start_server();
	int fd = connected_socket();
	std::string text;

	leaver = callback;
	send_text(fd, "GET /1 HTTP/1.1\r\n\r\n");
	turn_until([] { return left == 1; });
	turn_until([&] { receive(fd, text); return has(text, last); });
	text.clear();
	send_text(fd, "GET /2 HTTP/1.1\r\n\r\n");
	turn_until([&] { receive(fd, text); return has(text, "ok"); });
	/* Both at once. */
	text.clear();
	left = 0;
	leaver = callback;
	send_text(fd, "GET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\nConnection: close\r\n\r\n");
	turn_until([&] { return receive(fd, text); });
	CHECK(has(text, last) && text.substr(text.size() - 2) == "ok");
	close(fd);
	check_server();
	end_server();
}

static void leave_the_last(const char *callback, const char *request)
{
	start_server();
	int fd = connected_socket();
	std::string text;

	leaver = callback;
	send_text(fd, request);
	turn_until([] { return left == 1; });
	turn_until([&] { return receive(fd, text); });
	close(fd);
	check_server();
	end_server();
}

static void leave_the_handler()
{
	start_server();
	int fd = connected_socket();
	std::string text;

	leaver = "handler";
	send_text(fd, "GET / HTTP/1.1\r\n\r\n");
	turn_until([] { return left == 1; });
	check_server();
	close(fd);
	end_server();
}

static void reply_after_the_handler()
{
	start_server();
	int fd = connected_socket();
	std::string text;

	leaver = "handler";
	send_text(fd, "GET / HTTP/1.1\r\n\r\n");
	turn_until([] { return left == 1; });
	reply_to(kept);
	send_text(fd, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
	turn_until([&] { return receive(fd, text); });
	CHECK(has(text.substr(text.find("ok") + 2), "ok"));
	close(fd);
	end_server();
}

static void leave_the_maker()
{
	start_server();
	evhttp_set_bevcb(http, maker, nullptr);
	leaver = "maker";
	int fd = connected_socket();
	std::string text;

	turn_until([&] { return receive(fd, text); });
	close(fd);
	check_server();
	end_server();
}

static void each_socket(struct evhttp_bound_socket *, void *) { leave_from("socket"); }
static void look_at_sockets(evutil_socket_t, short, void *) { evhttp_foreach_bound_socket(http, each_socket, nullptr); }

static void leave_a_socket()
{
	struct timeval none = {0, 0};

	start_server();
	CHECK_EQUAL(evhttp_accept_socket(http, listening_socket()), 0);
	leaver = "socket";
	event_base_once(base, -1, EV_TIMEOUT, look_at_sockets, nullptr, &none);
	turn_until([] { return left == 1; });
	look_at_sockets(-1, 0, nullptr);
	check_server();
	end_server();
}

/* Freeing the server again frees what was left. */
CASE(close_while_the_server_is_freed, ONE_BACKEND)
{
	start_server();
	int fds[3], caught = 0;
	std::string text;

	for (int &fd : fds) {
		fd = connected_socket();
		send_text(fd, "GET / HTTP/1.1\r\n\r\n");
		text.clear();
		turn_until([&] { receive(fd, text); return has(text, "ok"); });
	}
	leaver = "close";
	try {
		evhttp_free(http);
	} catch (int) {
		caught = 1;
	}
	CHECK_EQUAL(caught, 1);
	evhttp_free(http);
	for (int fd : fds) {
		text.clear();
		CHECK(receive(fd, text));
		close(fd);
	}
	end();
}

/* --- The client --- */

static int port, answers, without_answer;
static std::string pieces;

static void answered(struct evhttp_request *req, void *)
{
	if (req && evhttp_request_get_response_code(req))
		answers++;
	else
		without_answer++;
	leave_from("answer");
}

static void failed(enum evhttp_request_error, void *) { leave_from("error"); }

static int head_came(struct evhttp_request *, void *)
{
	leave_from("head");
	return 0;
}

static void piece_came(struct evhttp_request *req, void *)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(req);
	size_t length = evbuffer_get_length(input);

	pieces.append(reinterpret_cast<char *>(evbuffer_pullup(input, -1)), length);
	leave_from("chunk");
}

static struct evhttp_connection *client;
static int peer_listener;

static void start_client()
{
	struct sockaddr_in local = {};
	socklen_t length = sizeof local;

	begin();
	local.sin_family = AF_INET;
	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer_listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(bind(peer_listener, reinterpret_cast<struct sockaddr *>(&local), length) == 0);
	CHECK(getsockname(peer_listener, reinterpret_cast<struct sockaddr *>(&local), &length) == 0);
	port = ntohs(local.sin_port);
	client = evhttp_connection_base_new(base, nullptr, "127.0.0.1", static_cast<ev_uint16_t>(port));
	evhttp_connection_set_closecb(client, closed, nullptr);
}

static void make_request(bool in_pieces)
{
	struct evhttp_request *req = evhttp_request_new(answered, nullptr);

	evhttp_request_set_error_cb(req, failed);
	evhttp_request_set_header_cb(req, head_came);
	if (in_pieces)
		evhttp_request_set_chunked_cb(req, piece_came);
	CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, "/"), 0);
}

static int accept_client()
{
	int fd;

	turn_until([&] { return (fd = accept4(peer_listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; });
	return fd;
}

static void await_request(int fd)
{
	std::string text;

	turn_until([&] { receive(fd, text); return has(text, "\r\n\r\n"); });
}

static void end_client()
{
	evhttp_connection_free(client);
	close(peer_listener);
	end();
}

static const char LAST_OF_ALL[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
static const char CHUNKS[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nal\r\n1\r\nl\r\n0\r\n\r\n";
static const char CUT[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nal";
static const char LAST[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* A callback of the first of two requests is left while this reply comes; then the second is answered, on the
 * same connection or another one. `told` is what the first one's own callback gets: the answer, none, or nothing. */
static void leave_and_ask_again(const char *callback, const char *reply, bool ends, bool again, const char *told)
{
	start_client();
	CHECK_EQUAL(listen(peer_listener, 10), 0);
	make_request(!strcmp(callback, "chunk"));
	make_request(false);
	int fd = accept_client();

	await_request(fd);
	leaver = callback;
	send_text(fd, reply);
	if (ends)
		close(fd);
	turn_until([] { return left == 1; });
	if (again) {
		int other = accept_client();

		if (!ends)
			close(fd);
		fd = other;
	}
	await_request(fd);
	turn_until([=] { return answers == !strcmp(told, "answer") && without_answer == !strcmp(told, "none"); });
	answers = 0;
	send_text(fd, LAST);
	turn_until([] { return answers == 1; });
	CHECK_STRING(pieces.c_str(), strcmp(callback, "chunk") ? "" : "all");
	close(fd);
	end_client();
}

static void leave_unconnected()
{
	start_client();
	for (int i = 0; i < 3; i++)
		make_request(false);
	leaver = "answer";
	turn_until([] { return without_answer == 3; });
	end_client();
}

/* --- Scenarios --- */

struct scenario {
	const char *name;
	void (*run)();
};

/* Each in a process of its own, with every way out. */
template <size_t count> static void run_all(const struct scenario (&scenarios)[count])
{
	for (const struct scenario &scenario : scenarios) {
		for (auto each : {THROWN, ENDED_THREAD, CANCELLED_THREAD}) {
			static const char *const names[] = {"thrown", "thread ended", "thread cancelled"};
			int status;
			pid_t child = fork();

			if (child == 0) {
				way = each;
				scenario.run();
				_exit(0);
			}
			CHECK(waitpid(child, &status, 0) == child);
			if (status != 0)
				printf("%s, %s\n", scenario.name, names[each]);
			CHECK_EQUAL(status, 0);
		}
	}
}

static const struct scenario of_servers[] = {
	{"handler that replied", [] { leave_and_go_on("replied", "ok"); }},
	{"completion", [] { leave_and_go_on("on_complete", "ok"); }},
	{"piece that was written", [] { leave_and_go_on("piece", "0\r\n\r\n"); }},
	{"completion of the last", [] { leave_the_last("on_complete", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"); }},
	{"server close", [] { leave_the_last("close", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"); }},
	{"handler that never replies", [] { leave_the_handler(); }},
	{"handler that replies later", [] { reply_after_the_handler(); }},
	{"maker of bufferevents", [] { leave_the_maker(); }},
	{"visitor of sockets", [] { leave_a_socket(); }},
};

DIFFERENCE(callbacks_of_servers, ONE_BACKEND,
    "after a callback of a server was left by an exception the loop cannot be entered again")
{
	run_all(of_servers);
}

static const struct scenario of_clients[] = {
	{"answer", [] { leave_and_ask_again("answer", LAST, false, false, "answer"); }},
	{"answer that ends", [] { leave_and_ask_again("answer", LAST_OF_ALL, false, true, "answer"); }},
	{"answer until close", [] { leave_and_ask_again("answer", "HTTP/1.1 200 OK\r\n\r\nall", true, true, "answer"); }},
	{"head of an answer", [] { leave_and_ask_again("head", LAST, false, true, "none"); }},
	{"head without body", [] { leave_and_ask_again("head", "HTTP/1.1 204 N\r\n\r\n", false, true, "none"); }},
	{"piece of an answer", [] { leave_and_ask_again("chunk", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall", false, false, "answer"); }},
	{"chunk of an answer", [] { leave_and_ask_again("chunk", CHUNKS, false, false, "answer"); }},
	{"piece until close", [] { leave_and_ask_again("chunk", "HTTP/1.1 200 OK\r\n\r\nall", true, true, "answer"); }},
	{"error of an answer", [] { leave_and_ask_again("error", CUT, true, true, "nothing"); }},
	{"error of a bad answer", [] { leave_and_ask_again("error", "HTTP/9 nonsense\r\n\r\n", false, true, "nothing"); }},
	{"client close", [] { leave_and_ask_again("close", LAST_OF_ALL, false, true, "answer"); }},
	{"client close at an error", [] { leave_and_ask_again("close", CUT, true, true, "nothing"); }},
	{"no connection", [] { leave_unconnected(); }},
};

DIFFERENCE(callbacks_of_clients, ONE_BACKEND,
    "after a callback of a client was left by an exception the loop cannot be entered again")
{
	run_all(of_clients);
}
