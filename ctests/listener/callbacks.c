/* Listeners: what their callbacks may do. */
#include "tools.h"

static int errors;

static int
clients_gone(void)
{
	int gone = 0, i;

	for (i = 0; i < 5; i++)
		gone += peer_is_gone(clients[i]);
	return gone;
}

static void
accept_and_free(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	int listening = evconnlistener_get_fd(self);

	(void)address;
	(void)length;
	(void)arg;
	accepted++;
	evconnlistener_free(self);
	printf("socket open in the callback that freed: %d\n", is_open(listening));
	close(fd);
}

CASE(free_in_callback, EVERY_BACKEND)
{
	int fd;

	make_listener(LEV_OPT_CLOSE_ON_FREE, accept_and_free);
	fd = evconnlistener_get_fd(listener);
	connect_clients();
	run_ready(base);
	CHECK_EQUAL(accepted, 1);
	CHECK(!is_open(fd));
	CHECK_EQUAL(clients_gone(), 5);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(free_in_callback_keeps_the_socket, ONE_BACKEND)
{
	int fd;

	make_listener(LEV_OPT_THREADSAFE, accept_and_free);
	fd = evconnlistener_get_fd(listener);
	connect_clients();
	run_ready(base);
	CHECK_EQUAL(accepted, 1);
	CHECK(is_open(fd));
	CHECK_EQUAL(clients_gone(), 1);
	close(fd);
	event_base_free(base);
}

CASE(free_closes_at_once, ONE_BACKEND)
{
	int fd;

	make_listener(LEV_OPT_CLOSE_ON_FREE, count_and_close);
	fd = evconnlistener_get_fd(listener);
	evconnlistener_free(listener);
	CHECK(!is_open(fd));
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_ACTIVE), 0);
	event_base_free(base);
}

static void
accept_and_disable(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	count_and_close(self, fd, address, length, arg);
	CHECK_EQUAL(evconnlistener_disable(self), 0);
}

CASE(disable_in_callback, EVERY_BACKEND)
{
	int i;

	make_listener(LEV_OPT_CLOSE_ON_FREE, accept_and_disable);
	connect_clients();
	for (i = 1; i <= 5; i++) {
		run_ready(base);
		CHECK_EQUAL(accepted, i);
		CHECK_EQUAL(evconnlistener_enable(listener), 0);
	}
	CHECK_EQUAL(clients_gone(), 5);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
accept_and_restart(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	accept_and_disable(self, fd, address, length, arg);
	CHECK_EQUAL(evconnlistener_enable(self), 0);
}

CASE(disable_and_enable_in_callback, EVERY_BACKEND)
{
	make_listener(LEV_OPT_CLOSE_ON_FREE, accept_and_restart);
	connect_clients();
	run_base_until(base, &accepted, 5);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
accept_named(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	printf("second callback, argument %s\n", (char *)arg);
	count_and_close(self, fd, address, length, arg);
}

static void
accept_and_replace(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	printf("first callback\n");
	count_and_close(self, fd, address, length, arg);
	evconnlistener_set_cb(self, accept_named, "new");
}

CASE(replace_in_callback, EVERY_BACKEND)
{
	make_listener(LEV_OPT_CLOSE_ON_FREE, accept_and_replace);
	connect_clients();
	run_base_until(base, &accepted, 5);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
accept_and_take_callback(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	count_and_close(self, fd, address, length, arg);
	evconnlistener_set_cb(self, NULL, NULL);
}

DIFFERENCE(take_callback_in_callback, EVERY_BACKEND,
	"a connection that arrives while the callback is NULL is closed")
{
	make_listener(LEV_OPT_CLOSE_ON_FREE, accept_and_take_callback);
	connect_clients();
	run_ready(base);
	CHECK_EQUAL(accepted, 1);
	CHECK_EQUAL(clients_gone(), 1);
	evconnlistener_set_cb(listener, count_and_close, NULL);
	run_base_until(base, &accepted, 5);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
accept_and_loop(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	static int depth;

	count_and_close(self, fd, address, length, arg);
	printf("accepted in depth %d\n", depth);
	depth++;
	CHECK(depth > 1 || event_base_loop(base, EVLOOP_NONBLOCK) >= -1);
	depth--;
}

/* A nested loop is refused with a warning. */
CASE(loop_in_callback, ONE_BACKEND)
{
	make_listener(LEV_OPT_CLOSE_ON_FREE, accept_and_loop);
	connect_clients();
	run_base_until(base, &accepted, 5);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
accept_and_break(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	count_and_close(self, fd, address, length, arg);
	event_base_loopbreak(base);
}

/* What has come is accepted before the loop ends. */
CASE(break_in_callback, EVERY_BACKEND)
{
	make_listener(LEV_OPT_CLOSE_ON_FREE, accept_and_break);
	connect_clients();
	CHECK_EQUAL(event_base_dispatch(base), 0);
	CHECK_EQUAL(accepted, 5);
	evconnlistener_free(listener);
	event_base_free(base);
}

/* --- Errors: a socket that does not listen. ------------------------------------------------- */

static void
make_broken_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	base = event_base_new();
	listener = evconnlistener_new(base, count_and_close, "argument", LEV_OPT_CLOSE_ON_FREE, 0, fd);
	CHECK(listener);
}

static void
free_on_error(struct evconnlistener *self, void *arg)
{
	printf("error: %s, %s\n", strerror(errno), (char *)arg);
	errors++;
	evconnlistener_free(self);
}

static void
disable_on_error(struct evconnlistener *self, void *arg)
{
	printf("error: %s, %s\n", strerror(errno), (char *)arg);
	errors++;
	CHECK_EQUAL(evconnlistener_disable(self), 0);
}

CASE(free_in_error_callback, EVERY_BACKEND)
{
	make_broken_listener();
	evconnlistener_set_error_cb(listener, free_on_error);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(errors, 1);
	event_base_free(base);
}

CASE(disable_in_error_callback, EVERY_BACKEND)
{
	make_broken_listener();
	evconnlistener_set_error_cb(listener, disable_on_error);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(errors, 1);
	evconnlistener_set_cb(listener, count_and_close, "other argument");
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(errors, 2);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
take_error_callback(struct evconnlistener *self, void *arg)
{
	(void)arg;
	errors++;
	evconnlistener_set_error_cb(self, disable_on_error);
}

CASE(replace_error_callback, EVERY_BACKEND)
{
	make_broken_listener();
	evconnlistener_set_error_cb(listener, take_error_callback);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(errors, 2);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
warn_once(int severity, const char *message)
{
	if (!errors++)
		printf("[%d] %s\n", severity, message);
	if (listener)
		evconnlistener_disable(listener);
}

CASE(warning_without_error_callback, ONE_BACKEND)
{
	make_broken_listener();
	event_set_log_callback(warn_once);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
count_error(struct evconnlistener *self, void *arg)
{
	(void)self;
	(void)arg;
	errors++;
}

/* Attempts in a time, which may have become long. */
DIFFERENCE(errors_are_paced, EVERY_BACKEND,
	"the loop spins as long as accept fails, for example when no descriptors are left")
{
	struct timeval duration = {0, 300000};
	long long begun;

	make_broken_listener();
	evconnlistener_set_error_cb(listener, count_error);
	begun = milliseconds();
	event_base_loopexit(base, &duration);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	CHECK(errors >= 1 && errors <= most_attempts(milliseconds() - begun));
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	evconnlistener_free(listener);
	event_base_free(base);
}
