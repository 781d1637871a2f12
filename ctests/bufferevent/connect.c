/* Connecting bufferevents by address: success and failure, with timeouts. */
#include "connecting.h"

#include <event2/bufferevent_struct.h>
#include <poll.h>

static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
static const char *const family_names[] = {"IPv4", "IPv6", "unix"};

static int
wait_for_connection(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

CASE(connects, EVERY_BACKEND)
{
	union any_address address;
	socklen_t length;
	int i, listener, server;

	make_base();
	for (i = 0; i < 2; i++) {
		struct bufferevent *bev;

		printf("%s\n", family_names[i]);
		listener = listen_on(families[i], &address, &length);
		bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
		bufferevent_enable(bev, EV_READ);
		CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
		CHECK(bufferevent_getfd(bev) >= 0);
		CHECK(fcntl(bufferevent_getfd(bev), F_GETFL) & O_NONBLOCK);
		happened = 0;
		run_until(&happened, 1);
		settle();
		CHECK_EQUAL(happened, 1);
		server = wait_for_connection(listener);
		send_all(server, "welcome", 7);
		run_until(&happened, 2);
		bufferevent_write(bev, "thanks", 6);
		run_until(&happened, 3);
		close(server);
		run_until(&happened, 4);
		settle();
		bufferevent_free(bev);
		close(listener);
		settle();
	}
	finish();
}

/* Data that was queued before is sent once the connection is made. */
CASE(queued_data, EVERY_BACKEND)
{
	union any_address address;
	socklen_t length;
	char data[100];
	int listener, server, i;

	make_base();
	for (i = 0; i < 2; i++) {
		struct bufferevent *bev;

		listener = listen_on(families[i], &address, &length);
		bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
		bufferevent_write(bev, "early", 5);
		CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
		bufferevent_write(bev, " bird", 5);
		happened = 0;
		run_until(&happened, 2);
		settle();
		server = wait_for_connection(listener);
		usleep(1000);
		CHECK_EQUAL(received(server, data, sizeof data), 10);
		bufferevent_free(bev);
		close(server);
		close(listener);
		settle();
	}
	finish();
}

/* The peer speaks first: the connection is readable and writable when the loop looks. */
CASE(queued_data_and_a_greeting, EVERY_BACKEND)
{
	union any_address address;
	socklen_t length;
	char text[10];
	struct pollfd readable = {.events = POLLIN};
	int i, listener, server;

	make_base();
	for (i = 0; i < 2; i++) {
		struct bufferevent *bev;

		listener = listen_on(families[i], &address, &length);
		bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, NULL);
		bufferevent_write(bev, "early", 5);
		CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
		/* Enabled after writing, so that it is reported first. */
		bufferevent_enable(bev, EV_READ);
		server = wait_for_connection(listener);
		send_all(server, "greeting", 8);
		readable.fd = bufferevent_getfd(bev);
		CHECK(poll(&readable, 1, 10000) == 1);
		settle();
		readable.fd = server;
		CHECK(poll(&readable, 1, 10000) == 1);
		CHECK_EQUAL(received(server, text, sizeof text), 5);
		bufferevent_free(bev);
		settle();
		close(server);
		close(listener);
	}
	finish();
}

/* With reading enabled too, the read side may see the failure first; it is reported once. */
static void
refused(int family, short enabled)
{
	struct bufferevent *bev;
	int result;

	refuse_somewhere(family);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_enable(bev, enabled);
	bufferevent_write(bev, "x", 1);
	result = connect_there(bev);
	printf("connect: %d\n", result);
	CHECK_EQUAL(happened, 0);
	if (result == 0)
		run_until(&happened, 1);
	settle();
	printf("descriptor: %d, left %d\n", bufferevent_getfd(bev) >= 0,
	       (int)evbuffer_get_length(bufferevent_get_output(bev)));
	bufferevent_free(bev);
	finish();
}

CASE(refused_ipv4, EVERY_BACKEND)
{
	refused(AF_INET, EV_WRITE);
}

CASE(refused_ipv4_reading, EVERY_BACKEND)
{
	refused(AF_INET, EV_READ | EV_WRITE);
}

CASE(refused_ipv6, EVERY_BACKEND)
{
	refused(AF_INET6, EV_READ | EV_WRITE);
}

CASE(refused_unix, EVERY_BACKEND)
{
	refused(AF_UNIX, EV_READ | EV_WRITE);
}

CASE(refused_deferred, ONE_BACKEND)
{
	struct bufferevent *bev;

	refuse_somewhere(AF_INET);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS, &client);
	CHECK_EQUAL(connect_there(bev), 0);
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(happened, 1);
	bufferevent_free(bev);
	finish();
}

/* Failure inside the call: no callback follows. */
CASE(impossible, ONE_BACKEND)
{
	union any_address address = {.un = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all"}};
	struct bufferevent *bev;
	int fd;

	make_base();
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(bufferevent_socket_connect(bev, NULL, 0), -1);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, sizeof address.un), -1);
	CHECK_EQUAL(bufferevent_getfd(bev), -1);
	address.any.sa_family = 200;
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, sizeof address.in), -1);
	settle();
	CHECK_EQUAL(happened, 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bufferevent_setfd(bev, fd);
	address.any.sa_family = AF_UNIX;
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, sizeof address.un), -1);
	CHECK_EQUAL(bufferevent_getfd(bev), fd);
	CHECK(is_open(fd));
	bufferevent_free(bev);
	finish();
}

CASE(own_socket, EVERY_BACKEND)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct bufferevent *bev;

	listen_somewhere(AF_INET);
	bev = make_bufferevent(fd, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(connect_there(bev), 0);
	CHECK_EQUAL(bufferevent_getfd(bev), fd);
	run_until(&happened, 1);
	settle();
	bufferevent_free(bev);
	stop_listening();
}

/* The program has called connect() itself. */
CASE(already_connecting, EVERY_BACKEND)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct bufferevent *bev;

	listen_somewhere(AF_INET);
	connect(fd, &there.address.any, there.length);
	bev = make_bufferevent(fd, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(bufferevent_socket_connect(bev, NULL, 0), 0);
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(client.last, BEV_EVENT_CONNECTED);
	bufferevent_free(bev);
	stop_listening();
}

CASE(writing_disabled, EVERY_BACKEND)
{
	struct bufferevent *bev;

	listen_somewhere(AF_INET);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_disable(bev, EV_WRITE);
	bufferevent_write(bev, "kept", 4);
	CHECK_EQUAL(connect_there(bev), 0);
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(happened, 1);
	CHECK_EQUAL(event_pending(&bev->ev_write, EV_WRITE, NULL), 0);
	bufferevent_enable(bev, EV_WRITE);
	run_until(&happened, 2);
	bufferevent_free(bev);

	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(connect_there(bev), 0);
	bufferevent_disable(bev, EV_WRITE);
	run_until(&happened, 3);
	settle();
	bufferevent_free(bev);
	stop_listening();
}

/* A UNIX socket connects at once: that is reported once, from the loop, before anything else. */
static void
connect_unix(short enabled, const char *data)
{
	struct bufferevent *bev;

	listen_somewhere(AF_UNIX);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_disable(bev, EV_READ | EV_WRITE);
	bufferevent_enable(bev, enabled);
	bufferevent_write(bev, data, strlen(data));
	CHECK_EQUAL(connect_there(bev), 0);
	CHECK_EQUAL(happened, 0);
	settle();
	CHECK_EQUAL(client.events, 1);
	CHECK_EQUAL(client.last, BEV_EVENT_CONNECTED);
	bufferevent_free(bev);
	stop_listening();
}

static void
first_is_connected(struct bufferevent *bev, const char *callback)
{
	(void)bev;
	CHECK(happened > 1 || !strcmp(callback, "event"));
}

CASE(unix_with_data, EVERY_BACKEND)
{
	connect_unix(EV_READ | EV_WRITE, "hello");
}

DIFFERENCE(unix_without_data, EVERY_BACKEND,
	"connecting to a UNIX socket calls the write callback before BEV_EVENT_CONNECTED")
{
	client.then = first_is_connected;
	connect_unix(EV_READ | EV_WRITE, "");
}

DIFFERENCE(unix_writing_disabled, EVERY_BACKEND,
	"BEV_EVENT_CONNECTED never comes for a UNIX socket while writing is disabled")
{
	client.then = first_is_connected;
	connect_unix(EV_READ, "");
}

DIFFERENCE(unix_all_disabled, EVERY_BACKEND,
	"BEV_EVENT_CONNECTED never comes for a UNIX socket while writing is disabled")
{
	client.then = first_is_connected;
	connect_unix(0, "");
}

/* --- Timeouts. ---------------------------------------------------------------------------------- */

CASE(connect_timeout, ONE_BACKEND)
{
	struct timeval timeout = {0, 30000};
	union any_address address;
	socklen_t length;
	struct bufferevent *bev;

	make_base();
	full_listener(&address, &length);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_set_timeouts(bev, NULL, &timeout);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
	run_until(&happened, 1);
	CHECK_EQUAL(client.last, BEV_EVENT_TIMEOUT | BEV_EVENT_WRITING);
	bufferevent_free(bev);
	finish();
}

DIFFERENCE(connect_timeout_once, ONE_BACKEND,
	"when a connect times out, the timeout is reported again and again")
{
	struct timeval timeout = {0, 20000};
	union any_address address;
	socklen_t length;
	struct bufferevent *bev;

	make_base();
	full_listener(&address, &length);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_set_timeouts(bev, NULL, &timeout);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
	run_for(200);
	CHECK_EQUAL(client.events, 1);
	bufferevent_free(bev);
	finish();
}

/* --- Errors that the read side sees. -------------------------------------------------------------- */

/* A connection that is reset before the loop looks at it. */
DIFFERENCE(reset_while_connecting, EVERY_BACKEND,
	"BEV_EVENT_CONNECTED comes after an error that was reported already")
{
	struct bufferevent *bev;

	listen_somewhere(AF_INET);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(connect_there(bev), 0);
	/* Armed last, so handled first. */
	bufferevent_enable(bev, EV_READ);
	reset_connection(wait_for_connection(there.listener));
	usleep(5000);
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(client.events, 1);
	CHECK_EQUAL(client.last, BEV_EVENT_ERROR);
	bufferevent_free(bev);
	stop_listening();
}

DIFFERENCE(setfd_ends_connecting, EVERY_BACKEND,
	"bufferevent_setfd during a connect treats the new descriptor as still connecting")
{
	union any_address address;
	socklen_t length;
	struct bufferevent *bev;
	int listener = listen_on(AF_INET, &address, &length), ends[2];

	make_base();
	bev = make_bufferevent(-1, 0, &client);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
	close(bufferevent_getfd(bev));
	bufferevent_setfd(bev, -1);
	make_connection(0, ends);
	bufferevent_setfd(bev, ends[0]);
	settle();
	CHECK_EQUAL(client.events, 0);
	bufferevent_free(bev);
	close(listener);
	finish();
}

/* --- In the callbacks. ------------------------------------------------------------------------------ */

static union any_address next_address;
static socklen_t next_length;

static void
try_the_next(struct bufferevent *bev, const char *callback)
{
	if (strcmp(callback, "event") || client.last != BEV_EVENT_ERROR)
		return;
	close(bufferevent_getfd(bev));
	bufferevent_setfd(bev, -1);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &next_address.any, next_length), 0);
}

static void
enable_again(struct bufferevent *bev, const char *callback)
{
	(void)callback;
	if (client.events == 1)
		bufferevent_enable(bev, EV_READ);
}

/* The outcome of a connection is reported once; the descriptor is then at end of file. */
CASE(reading_enabled_again_after_a_refusal, EVERY_BACKEND)
{
	union any_address address;
	socklen_t length = refusing_address(AF_INET, &address);
	struct bufferevent *bev;

	make_base();
	client.then = enable_again;
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
	run_until(&client.events, 2);
	CHECK(!(client.last & BEV_EVENT_CONNECTED));
	bufferevent_free(bev);
	finish();
}

CASE(connect_again_after_failure, EVERY_BACKEND)
{
	union any_address address;
	socklen_t length = refusing_address(AF_INET, &address);
	int listener = listen_on(AF_INET, &next_address, &next_length);
	struct bufferevent *bev;

	make_base();
	client.then = try_the_next;
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_write(bev, "hello", 5);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
	run_until(&client.writes, 1);
	settle();
	bufferevent_free(bev);
	close(listener);
	finish();
}

CASE(free_when_connected, EVERY_BACKEND)
{
	struct bufferevent *bev;

	listen_somewhere(AF_INET);
	client.then = free_it;
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(connect_there(bev), 0);
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(happened, 1);
	stop_listening();
}

CASE(free_when_refused, EVERY_BACKEND)
{
	struct bufferevent *bev;

	refuse_somewhere(AF_INET);
	client.then = free_it;
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_enable(bev, EV_READ);
	CHECK_EQUAL(connect_there(bev), 0);
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(happened, 1);
	finish();
}

CASE(free_while_connecting, EVERY_BACKEND)
{
	struct bufferevent *bev;

	listen_somewhere(AF_INET);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(connect_there(bev), 0);
	bufferevent_free(bev);
	settle();
	CHECK_EQUAL(happened, 0);
	stop_listening();
}

/* The priority that was set is kept, by connecting too. */
DIFFERENCE(priority_survives_connecting, ONE_BACKEND, "bufferevent_setfd resets the priority")
{
	struct bufferevent *bev;

	listen_somewhere(AF_INET);
	event_base_priority_init(base, 5);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(bufferevent_priority_set(bev, 4), 0);
	CHECK_EQUAL(connect_there(bev), 0);
	CHECK_EQUAL(bufferevent_get_priority(bev), 4);
	run_until(&happened, 1);
	CHECK_EQUAL(bufferevent_get_priority(bev), 4);
	bufferevent_free(bev);
	stop_listening();
}

/* A refusal that was read before has nothing to do with the connection. */
DIFFERENCE(connects_after_refused_datagrams, ONE_BACKEND,
	"a connection refused error on a connected descriptor (UDP) is not reported")
{
	union any_address address;
	socklen_t length;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), listener;
	struct bufferevent *bev;

	make_base();
	length = refusing_address(AF_INET, &address);
	CHECK(connect(fd, &address.any, length) == 0);
	CHECK(send(fd, "x", 1, 0) == 1);
	bev = make_bufferevent(fd, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_enable(bev, EV_READ);
	settle();
	bufferevent_setfd(bev, -1);
	close(fd);
	listener = listen_on(AF_INET, &address, &length);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
	happened = 0;
	run_until(&happened, 1);
	CHECK_EQUAL(client.last, BEV_EVENT_CONNECTED);
	bufferevent_free(bev);
	close(listener);
	finish();
}
