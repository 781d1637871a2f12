/* Servers: where they listen, how they answer, when connections end. */
#include "client_tools.h"

#include <arpa/inet.h>
#include <event2/event_compat.h>
#include <event2/listener.h>
#include <fcntl.h>

static void
say_name(struct evhttp_request *req, void *arg)
{
	const char *host = evhttp_request_get_host(req);

	see("%s for %s; ", (const char *)arg, host ? host : "none");
	evhttp_send_reply(req, 200, NULL, NULL);
}

static const char *
ask(const char *request)
{
	outcome(request, strlen(request), WHOLE);
	printf("%.60s: %s\n", strchr(request, ' ') + 1, seen);
	return seen;
}

static struct evhttp *
virtual_server(const char *name)
{
	struct evhttp *host = evhttp_new(NULL);

	evhttp_set_cb(host, "/", say_name, (void *)name);
	return host;
}

CASE(virtual_hosts, ONE_BACKEND)
{
	struct evhttp *a, *b, *below;

	start_server();
	evhttp_set_gencb(http, say_name, "root");
	a = virtual_server("a");
	b = virtual_server("b");
	below = virtual_server("below");
	CHECK_EQUAL(evhttp_add_virtual_host(http, "a.com", a), 0);
	CHECK_EQUAL(evhttp_add_virtual_host(http, "a.com", a), -1);
	CHECK_EQUAL(evhttp_add_virtual_host(b, "listens.com", http), -1);
	CHECK_EQUAL(evhttp_add_virtual_host(http, "*.b.com", b), 0);
	CHECK_EQUAL(evhttp_add_virtual_host(b, "x.*.com", below), 0);
	CHECK_EQUAL(evhttp_add_server_alias(below, "below.org"), 0);
	CHECK_EQUAL(evhttp_add_server_alias(http, "root.org"), 0);
	CHECK_EQUAL(evhttp_add_server_alias(a, "a.org"), 0);
	CHECK_EQUAL(evhttp_add_server_alias(a, "a2.org"), 0);
	CHECK_EQUAL(evhttp_remove_server_alias(a, "A2.org"), 0);
	CHECK_EQUAL(evhttp_remove_server_alias(a, "a2.org"), -1);
	ask("GET / HTTP/1.1\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: A.COM:8080\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: y.b.com\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: x.b.com\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: b.com\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: below.org\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: a.org\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: a2.org\r\n\r\n");
	ask("GET /other HTTP/1.1\r\nHost: a.com\r\n\r\n");
	ask("GET http://a.com/ HTTP/1.1\r\nHost: y.b.com\r\n\r\n");
	ask("GET http://root.org/ HTTP/1.1\r\n\r\n");
	ask("GET http://unknown.org/ HTTP/1.1\r\nHost: a.com\r\n\r\n");
	ask("GET http://unknown.org/ HTTP/1.1\r\nProxy-Connection: keep-alive\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
	ask("GET / HTTP/1.1\r\nHost: \r\n\r\n");
	CHECK_EQUAL(evhttp_remove_virtual_host(http, a), 0);
	CHECK_EQUAL(evhttp_remove_virtual_host(http, a), -1);
	ask("GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
	evhttp_free(a);
	stop_server();
}

DIFFERENCE(star_at_the_end, ONE_BACKEND, "a virtual host whose pattern ends with a star gets no requests")
{
	start_server();
	evhttp_set_gencb(http, say_name, "root");
	CHECK_EQUAL(evhttp_add_virtual_host(http, "www.*", virtual_server("www")), 0);
	CHECK_STRING(ask("GET / HTTP/1.1\r\nHost: www.x\r\n\r\n"), "www for www.x; -> 200 open");
	CHECK_STRING(ask("GET / HTTP/1.1\r\nHost: www.\r\n\r\n"), "www for www.; -> 200 open");
	CHECK_STRING(ask("GET / HTTP/1.1\r\nHost: ww\r\n\r\n"), "root for ww; -> 200 open");
	stop_server();
}

CASE(paths, ONE_BACKEND)
{
	start_server();
	evhttp_set_gencb(http, NULL, NULL);
	CHECK_EQUAL(evhttp_set_cb(http, "/a b", say_name, "blank"), 0);
	CHECK_EQUAL(evhttp_set_cb(http, "/a+b", say_name, "plus"), 0);
	CHECK_EQUAL(evhttp_set_cb(http, "", say_name, "empty"), 0);
	CHECK_EQUAL(evhttp_set_cb(http, "*", say_name, "star"), 0);
	CHECK_EQUAL(evhttp_set_cb(http, "/%41", say_name, "never"), 0);
	CHECK_EQUAL(evhttp_del_cb(http, "/none"), -1);
	ask("GET /a%20b HTTP/1.1\r\n\r\n");
	ask("GET /a b HTTP/1.1\r\n\r\n");
	ask("GET /a+b HTTP/1.1\r\n\r\n");
	ask("GET /a%2bb?x=y#z HTTP/1.1\r\n\r\n");
	ask("GET /a%2Bb HTTP/1.1\r\n\r\n");
	ask("GET /%41 HTTP/1.1\r\n\r\n");
	ask("GET /A+B HTTP/1.1\r\n\r\n");
	ask("GET http://h HTTP/1.1\r\n\r\n");
	evhttp_set_allowed_methods(http, EVHTTP_REQ_OPTIONS | EVHTTP_REQ_CONNECT);
	ask("OPTIONS * HTTP/1.1\r\n\r\n");
	ask("CONNECT host:80 HTTP/1.1\r\n\r\n");
	stop_server();
}

static char first_word(void *object)
{
	return ((void **)object)[6] != NULL;
}

/* Programs find out from the server object whether it has connections. */
CASE(list_of_connections, ONE_BACKEND)
{
	int fd;

	start_server();
	CHECK(!first_word(http));
	fd = connect_raw();
	settle(fd);
	CHECK(first_word(http));
	send_bytes(fd, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 37);
	settle(fd);
	CHECK(answer.ended);
	CHECK(!first_word(http));
	close(fd);
	stop_server();
}

/* Half a request, and nothing at all. */
CASE(silent_ends, ONE_BACKEND)
{
	static const char *const halves[] = {"", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"};
	struct timeval timeout = {0, 50000};
	size_t i;
	int fd;

	start_server();
	for (i = 0; i < 5; i++) {
		memset(&answer, 0, sizeof answer);
		fd = connect_raw();
		send_bytes(fd, halves[i], strlen(halves[i]));
		shutdown(fd, SHUT_WR);
		settle(fd);
		CHECK(answer.ended && answer.length == 0);
		close(fd);
	}
	evhttp_set_timeout_tv(http, &timeout);
	for (i = 0; i < 5; i++) {
		memset(&answer, 0, sizeof answer);
		fd = connect_raw();
		send_bytes(fd, halves[i], strlen(halves[i]));
		TURN_UNTIL((receive(fd), answer.ended));
		CHECK_EQUAL(answer.length, 0);
		close(fd);
	}
	CHECK_STRING(seen, "");
	stop_server();
}

/* Expectations. */
CASE(expectations, ONE_BACKEND)
{
	static const char post[] = "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
	int fd;

	start_server();
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, post, strlen(post));
	settle(fd);
	CHECK_STRING(answer.text, "HTTP/1.1 100 Continue\r\n\r\n");
	send_bytes(fd, "12345", 5);
	settle(fd);
	CHECK(strstr(answer.text, "200 OK") != NULL);
	close(fd);
	settle(-1);
	ask("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n12345");
	ask("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n12345");
	ask("POST / HTTP/1.1\r\nExpect: 101-continue\r\nContent-Length: 5\r\n\r\n12345");
	ask("GET / HTTP/1.1\r\nExpect: 101-continue\r\n\r\n");
	evhttp_set_max_body_size(http, 4);
	ask("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	ask("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345");
	CHECK_EQUAL(evhttp_set_flags(http, ~0), 1);
	CHECK_EQUAL(evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE), 0);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, "POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\n12345", 44);
	settle(fd);
	CHECK_EQUAL(answer.length, 0);
	send_bytes(fd, "1234567890123456789012345678901234567890123456", 46);
	settle(fd);
	CHECK(strncmp(answer.text, "HTTP/1.1 413 ", 13) == 0 && answer.ended);
	close(fd);
	stop_server();
}

DIFFERENCE(expectation_beyond_the_limit, ONE_BACKEND,
	   "with lingering close, a client that waits for a 100 reply before it sends a body that is too long is never answered")
{
	start_server();
	evhttp_set_max_body_size(http, 4);
	CHECK_EQUAL(evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE), 0);
	CHECK_STRING(ask("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"), "-> 413 end");
	stop_server();
}

static int sockets;

static void
count_socket(struct evhttp_bound_socket *bound, void *arg)
{
	CHECK(arg == &sockets);
	CHECK_EQUAL(evconnlistener_get_fd(evhttp_bound_socket_get_listener(bound)), evhttp_bound_socket_get_fd(bound));
	sockets++;
}

static int
option(int fd, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	CHECK(getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0);
	return value;
}

static void
note_peer(struct evhttp_request *req, void *arg)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	char *address;
	ev_uint16_t port;

	(void)arg;
	evhttp_connection_get_peer(evcon, &address, &port);
	CHECK_STRING(address, req->remote_host);
	CHECK_EQUAL(port, req->remote_port);
	CHECK(evhttp_connection_get_server(evcon) == http && evhttp_connection_get_base(evcon) == base);
	see("%s %d %d; ", address, port > 0, evhttp_connection_get_addr(evcon)->sa_family);
	evhttp_send_reply(req, 200, NULL, NULL);
}

static void
ask_port(const char *address, int port)
{
	struct evhttp_connection *evcon = evhttp_connection_base_new(base, NULL, address, (ev_uint16_t)port);
	struct evhttp_request *req = evhttp_request_new(note_reply, NULL);
	int done = requests_done;

	seen[0] = 0;
	CHECK_EQUAL(evhttp_make_request(evcon, req, EVHTTP_REQ_GET, "/"), 0);
	TURN_UNTIL(requests_done > done);
	printf("%s\n", seen);
	evhttp_connection_free(evcon);
}

CASE(ways_to_listen, ONE_BACKEND)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct evhttp_bound_socket *bound, *removed;
	struct evconnlistener *listener;
	int fd, port;

	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	http = evhttp_new(base);
	evhttp_set_gencb(http, note_peer, NULL);
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	port = port_of(bound);
	fd = evhttp_bound_socket_get_fd(bound);
	CHECK_EQUAL(option(fd, SO_REUSEADDR), 1);
	CHECK_EQUAL(option(fd, SO_KEEPALIVE), 1);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ask_port("127.0.0.1", port);
	CHECK(evhttp_bind_socket_with_handle(http, "127.0.0.1", (ev_uint16_t)port) == NULL);
	CHECK_EQUAL(errno, EADDRINUSE);
	CHECK_EQUAL(evhttp_bind_socket(http, "127.0.0.1", (ev_uint16_t)port), -1);
	bound = evhttp_bind_socket_with_handle(http, NULL, 0);
	CHECK_EQUAL(option(evhttp_bound_socket_get_fd(bound), SO_REUSEADDR), 0);
	ask_port("127.0.0.1", port_of(bound));
	bound = evhttp_bind_socket_with_handle(http, "localhost", 0);
	CHECK(bound != NULL);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 5) == 0);
	removed = evhttp_accept_socket_with_handle(http, fd);
	CHECK_EQUAL(fcntl(fd, F_GETFD), 0);
	ask_port("127.0.0.1", port_of(removed));

	listener = evconnlistener_new_bind(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, -1, (struct sockaddr *)&any, sizeof any);
	bound = evhttp_bind_listener(http, listener);
	CHECK(evhttp_bound_socket_get_listener(bound) == listener);
	ask_port("127.0.0.1", port_of(bound));
	evhttp_foreach_bound_socket(http, count_socket, &sockets);
	printf("%d sockets\n", sockets);
	evhttp_del_accept_socket(http, removed);
	CHECK_EQUAL(fcntl(fd, F_GETFD), -1);
	sockets = 0;
	evhttp_foreach_bound_socket(http, count_socket, &sockets);
	printf("%d sockets\n", sockets);
	stop_server();
}

/* A socket that cannot be accepted from stays its owner's. */
DIFFERENCE(refused_socket_stays_open, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS,
	"a socket is closed when a server cannot accept from it for lack of memory")
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct evhttp_bound_socket *bound = NULL;
	int fd, at;

	allocator_install();
	base = event_base_new();
	http = evhttp_new(base);
	fd = fcntl(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), F_DUPFD, 900);
	CHECK(bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 5) == 0);
	for (at = 1; !bound; at++) {
		allocator_fail_at(at);
		bound = evhttp_accept_socket_with_handle(http, fd);
		allocator_fail_at(0);
		CHECK_EQUAL(fcntl(fd, F_GETFD), 0);
	}
	CHECK(at > 3);
	evhttp_free(http);
	CHECK_EQUAL(fcntl(fd, F_GETFD), -1);
	event_base_free(base);
	CHECK_EQUAL(allocator.alive, 0);
}

/* Bufferevents of the program's for connections. */
static int made;

static struct bufferevent *
make_bufferevent(struct event_base *its_base, void *arg)
{
	CHECK(its_base == base);
	made++;
	return arg ? bufferevent_socket_new(its_base, -1, *(int *)arg) : NULL;
}

CASE(bufferevents_of_the_program, ONE_BACKEND)
{
	static int options[] = {0, BEV_OPT_CLOSE_ON_FREE, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS};
	size_t i;

	start_server();
	evhttp_set_bevcb(http, make_bufferevent, NULL);
	ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
	for (i = 0; i < 3; i++) {
		evhttp_set_bevcb(http, make_bufferevent, &options[i]);
		ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
		ask("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
	}
	CHECK_EQUAL(made, 7);
	stop_server();
}

/* One that was made on another base is moved to the server's. */
static struct bufferevent *
make_elsewhere(struct event_base *its_base, void *elsewhere)
{
	CHECK(its_base == base);
	made++;
	return bufferevent_socket_new(elsewhere, -1, BEV_OPT_CLOSE_ON_FREE);
}

CASE(bufferevents_of_another_base, ONE_BACKEND)
{
	struct event_base *elsewhere = event_base_new();

	start_server();
	evhttp_set_bevcb(http, make_elsewhere, elsewhere);
	ask("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
	CHECK_EQUAL(made, 1);
	stop_server();
	event_base_free(elsewhere);
}

/* Pipelined requests are answered in order, without the stack growing with them. */
CASE(many_pipelined, ONE_BACKEND)
{
	static char requests[19 * 3000 + 1];
	int fd, i;

	start_server();
	evhttp_set_gencb(http, say_name, "x");
	for (i = 0; i < 3000; i++)
		memcpy(requests + 18 * i, "GET / HTTP/1.1\r\n\r\n", 18);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, requests, 18 * 3000);
	TURN_UNTIL((receive(fd), seen[0] = 0, answer.length >= 3000 * 100));
	settle(fd);
	printf("%d\n", answer.ended);
	close(fd);
	stop_server();
}

/* A reply of a pipelined request that is sent later, from the loop. */
static void
reply_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	see("now; ");
	evhttp_send_reply(arg, 200, NULL, NULL);
}

static void
wait_with_reply(struct evhttp_request *req, void *arg)
{
	struct timeval soon = {0, 1000};

	(void)arg;
	see("%s; ", evhttp_request_get_uri(req));
	event_base_once(base, -1, EV_TIMEOUT, reply_later, req, &soon);
}

CASE(late_replies, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, wait_with_reply, NULL);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.0\r\n\r\n", 57);
	TURN_UNTIL((receive(fd), answer.ended));
	see_answer();
	printf("%s\n", seen);
	close(fd);
	stop_server();
}

/* Everything on the current base, with the names of 1.4. */
CASE(current_base, ONE_BACKEND)
{
	struct evhttp_connection *evcon;
	struct evhttp_request *req;
	int port;

	base = event_init();
	http = evhttp_new(NULL);
	evhttp_set_gencb(http, say_name, "x");
	port = port_of(evhttp_bind_socket_with_handle(http, "127.0.0.1", 0));
	evcon = evhttp_connection_base_bufferevent_new(base, NULL, bufferevent_socket_new(base, -1, 0), "127.0.0.1", (ev_uint16_t)port);
	CHECK(evhttp_connection_get_bufferevent(evcon) != NULL);
	req = evhttp_request_new(note_reply, NULL);
	CHECK_EQUAL(evhttp_make_request(evcon, req, EVHTTP_REQ_GET, "/"), 0);
	TURN_UNTIL(requests_done == 1);
	printf("%s\n", seen);
	evhttp_connection_free(evcon);
	stop_server();
}
