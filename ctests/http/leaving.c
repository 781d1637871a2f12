/* Callbacks of servers and clients that break the loop, or end the process: nothing more is called then, and the loop
 * continues later where it stopped. */
#include "client_tools.h"

enum way { NO_WAY, BY_EXIT, BY_BREAK, ENDS_PROCESS };

static enum way way;
static const char *leaver;
static int calls, calls_before, times_left, most_behind;
static struct evhttp_connection *client;
static struct evhttp_request *held;

/* Every callback notes its name; one of them leaves. */
static void
called(const char *name)
{
	see("%s; ", name);
	calls++;
	if (!leaver || strcmp(name, leaver) != 0)
		return;
	times_left++;
	calls_before = calls;
	if (way == BY_EXIT)
		CHECK_EQUAL(event_base_loopexit(base, NULL), 0);
	else if (way == BY_BREAK)
		CHECK_EQUAL(event_base_loopbreak(base), 0);
	else if (way == ENDS_PROCESS)
		exit(42);
}

/* A pass of the loop. After a break, what the function that called the callback has yet to call is all that is. */
static void
pass(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	if (times_left && way == BY_BREAK) {
		CHECK(event_base_got_break(base));
		if (calls - calls_before > most_behind)
			most_behind = calls - calls_before;
	}
	times_left = 0;
}

#define PASS_UNTIL(condition)                           \
	do {                                            \
		long long end_ = milliseconds() + 30000; \
		while (!(condition)) {                  \
			CHECK(milliseconds() < end_);   \
			pass();                         \
		}                                       \
	} while (0)

/* --- Servers --- */

static void
note_close(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	called("closed");
}

static void
note_complete(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
	called("complete");
}

static void
end_stream(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	called("written");
	evhttp_send_reply_end(held);
}

static void
handle(struct evhttp_request *req, void *arg)
{
	struct evbuffer *piece = evbuffer_new();

	(void)arg;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), note_close, NULL);
	evhttp_request_set_on_complete_cb(req, note_complete, NULL);
	evbuffer_add_printf(piece, "piece");
	if (strcmp(evhttp_request_get_uri(req), "/stream") == 0) {
		held = req;
		evhttp_send_reply_start(req, 200, NULL);
		evhttp_send_reply_chunk_with_cb(req, piece, end_stream, NULL);
	} else {
		evhttp_send_reply(req, 200, NULL, piece);
	}
	evbuffer_free(piece);
	called("handled");
}

/* Like it, but without a callback of completion, so that replies may be written together. */
static void
handle_simply(struct evhttp_request *req, void *arg)
{
	(void)arg;
	evhttp_send_reply(req, 200, NULL, NULL);
	called("simply handled");
}

static void
serve(void)
{
	static const char requests[] = "GET /1 HTTP/1.1\r\n\r\nGET /simple HTTP/1.1\r\n\r\nGET /simple HTTP/1.1\r\n\r\n"
		"GET /simple HTTP/1.1\r\n\r\nGET /stream HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n";
	int fd;

	start_server();
	evhttp_set_gencb(http, handle, NULL);
	evhttp_set_cb(http, "/simple", handle_simply, NULL);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	CHECK_EQUAL(send(fd, requests, sizeof requests - 1, 0), (ssize_t)sizeof requests - 1);
	PASS_UNTIL((receive(fd), answer.ended));
	pass();
	see_answer();
	close(fd);
	stop_server();
}

/* --- Clients --- */

static void
note_done(struct evhttp_request *req, void *arg)
{
	note_reply(req, arg);
	called(req ? "done" : "failed");
}

static void
note_failure(enum evhttp_request_error error, void *arg)
{
	note_error(error, arg);
	called("error");
}

static void
note_piece(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
	called("piece");
}

static int
note_headers(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
	called("headers");
	return 0;
}

static void
ask_and_be_answered(void)
{
	static const char *const replies[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nal\r\n1\r\nl\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ncut"};
	int fd = -1;

	start_peer();
	client = new_client();
	evhttp_connection_set_closecb(client, note_close, NULL);
	requests_done = 0;
	for (int i = 0; i < 4; i++) {
		struct evhttp_request *req = evhttp_request_new(note_done, NULL);

		evhttp_request_set_error_cb(req, note_failure);
		evhttp_request_set_chunked_cb(req, note_piece);
		evhttp_request_set_header_cb(req, note_headers);
		CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, "/"), 0);
	}
	for (int i = 0; i < 4; i++) {
		int done = requests_done;

		if (fd < 0)
			PASS_UNTIL(accepted(&fd));
		memset(&answer, 0, sizeof answer);
		PASS_UNTIL((receive(fd), strstr(answer.text, "\r\n\r\n")));
		CHECK_EQUAL(send(fd, replies[i], strlen(replies[i]), MSG_NOSIGNAL), (ssize_t)strlen(replies[i]));
		if (i > 1) {
			close(fd);
			fd = -1;
		}
		PASS_UNTIL(requests_done > done);
	}
	pass();
	evhttp_connection_free(client);
	stop_peer();
}

/* Requests for which there is no connection. */
static void
ask_nobody(void)
{
	start_peer();
	close(peer_listener);
	client = new_client();
	for (int i = 0; i < 3; i++)
		CHECK_EQUAL(evhttp_make_request(client, evhttp_request_new(note_done, NULL), EVHTTP_REQ_GET, "/"), 0);
	requests_done = 0;
	PASS_UNTIL(requests_done == 3);
	evhttp_connection_free(client);
	event_base_free(base);
}

/* --- The ways --- */

static const char *const server_callbacks[] = {"handled", "simply handled", "complete", "written", "closed", NULL};
static const char *const client_callbacks[] = {"done", "failed", "error", "piece", "headers", "closed", NULL};
static const char *const callbacks_of_refused_clients[] = {"done", NULL};

/* Whatever the way, the same callbacks are called in the same order. */
static void
leave_and_resume(void (*traffic)(void), const char *const *callbacks)
{
	static char usual[sizeof seen];

	way = NO_WAY;
	seen[0] = 0;
	traffic();
	strcpy(usual, seen);
	printf("%s\n", usual);
	for (way = BY_EXIT; way <= BY_BREAK; way++) {
		for (int i = 0; callbacks[i]; i++) {
			leaver = callbacks[i];
			seen[0] = 0;
			calls_before = most_behind = 0;
			traffic();
			if (strcmp(seen, usual) != 0)
				printf("left by %s at %s: %s\n", way == BY_EXIT ? "exit" : "break", leaver, seen);
			CHECK_STRING(seen, usual);
			CHECK(calls_before > 0);
			if (way == BY_BREAK)
				printf("%s: %d more\n", leaver, most_behind);
		}
	}
}

CASE(callbacks_of_servers, EVERY_BACKEND)
{
	leave_and_resume(serve, server_callbacks);
}

CASE(callbacks_of_clients, EVERY_BACKEND)
{
	leave_and_resume(ask_and_be_answered, client_callbacks);
	leave_and_resume(ask_nobody, callbacks_of_refused_clients);
}

/* What a program does when it ends: everything is freed, also what the callback is about. */
static void
free_all(void)
{
	if (http)
		evhttp_free(http);
	if (client)
		evhttp_connection_free(client);
	event_base_free(base);
	libevent_global_shutdown();
	printf("freed\n");
	fflush(stdout);
}

static void
end_process_at(void (*traffic)(void), const char *const *callbacks)
{
	way = ENDS_PROCESS;
	for (int i = 0; callbacks[i]; i++) {
		int status;
		pid_t child;

		leaver = callbacks[i];
		printf("%s: ", leaver);
		fflush(stdout);
		child = fork();
		if (child == 0) {
			atexit(free_all);
			traffic();
			_exit(0);
		}
		CHECK(waitpid(child, &status, 0) == child);
		CHECK_EQUAL(status, 42 << 8);
	}
}

CASE(process_ends_in_callbacks_of_servers, ONE_BACKEND)
{
	static const char *const callbacks[] = {"handled", "simply handled", "complete", "written", NULL};

	end_process_at(serve, callbacks);
}

CASE(process_ends_in_callbacks_of_clients, ONE_BACKEND)
{
	end_process_at(ask_and_be_answered, client_callbacks);
	end_process_at(ask_nobody, callbacks_of_refused_clients);
}
