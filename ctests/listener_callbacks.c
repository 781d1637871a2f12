/* Listeners: what their callbacks may do, and other threads meanwhile. */
#include "listener_tools.h"

#include <event2/thread.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

static struct event_base *base;
static struct evconnlistener *listener;
static int clients[5];
static int errors;

static void
make_listener(unsigned flags, evconnlistener_cb callback)
{
	union any_address address;
	int length = abstract_address("callbacks", &address);

	base = event_base_new();
	listener = evconnlistener_new_bind(base, callback, NULL, flags, -1, &address.any, length);
	CHECK(listener);
}

static void
connect_clients(void)
{
	int i;

	for (i = 0; i < 5; i++)
		clients[i] = connect_to(evconnlistener_get_fd(listener));
}

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
	run_until(base, &accepted, 5);
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
	run_until(base, &accepted, 5);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
accept_and_take_callback(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	count_and_close(self, fd, address, length, arg);
	evconnlistener_set_cb(self, NULL, NULL);
}

DIFFERENCE(take_callback_in_callback, EVERY_BACKEND, "A connection is closed when the callback was set to NULL")
{
	make_listener(LEV_OPT_CLOSE_ON_FREE, accept_and_take_callback);
	connect_clients();
	run_ready(base);
	CHECK_EQUAL(accepted, 1);
	CHECK_EQUAL(clients_gone(), 1);
	evconnlistener_set_cb(listener, count_and_close, NULL);
	run_until(base, &accepted, 5);
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
	run_until(base, &accepted, 5);
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

DIFFERENCE(errors_are_paced, EVERY_BACKEND, "The loop turns without rest as long as accept fails")
{
	struct timeval start, now, passed = {0, 0};
	int turns = 0;

	make_broken_listener();
	event_set_log_callback(NULL);
	evconnlistener_set_error_cb(listener, take_error_callback);
	evconnlistener_set_error_cb(listener, NULL);
	gettimeofday(&start, NULL);
	while (passed.tv_sec == 0 && passed.tv_usec < 300000) {
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
		turns++;
		gettimeofday(&now, NULL);
		evutil_timersub(&now, &start, &passed);
	}
	CHECK(turns <= 20);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	evconnlistener_free(listener);
	event_base_free(base);
}

/* --- Threads. --------------------------------------------------------------------------------- */

static sem_t in_callback;
static volatile int stopped;
static int late;

static void
accept_slowly(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	late += stopped;
	count_and_close(self, fd, address, length, arg);
	sem_post(&in_callback);
	usleep(20000);
}

static void *
disable_elsewhere(void *arg)
{
	(void)arg;
	sem_wait(&in_callback);
	CHECK_EQUAL(evconnlistener_disable(listener), 0);
	stopped = 1;
	return NULL;
}

static void *
free_elsewhere(void *arg)
{
	(void)arg;
	sem_wait(&in_callback);
	evconnlistener_free(listener);
	stopped = 1;
	return NULL;
}

static void
run_against(void *(*body)(void *))
{
	pthread_t thread;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	sem_init(&in_callback, 0, 0);
	make_listener(LEV_OPT_THREADSAFE | LEV_OPT_CLOSE_ON_FREE, accept_slowly);
	connect_clients();
	CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	pthread_join(thread, NULL);
	CHECK(accepted >= 1);
	CHECK_EQUAL(late, 0);
}

DIFFERENCE(disable_from_another_thread, ONE_BACKEND, "Disabling a listener during its callback in another thread hangs")
{
	run_against(disable_elsewhere);
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(free_from_another_thread, ONE_BACKEND)
{
	run_against(free_elsewhere);
	event_base_free(base);
}

static void *
run_base(void *arg)
{
	(void)arg;
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
	return NULL;
}

/* Enabling, freeing and new callbacks reach a loop that waits. */
CASE(calls_from_another_thread, EVERY_BACKEND)
{
	pthread_t thread;
	int client;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	sem_init(&in_callback, 0, 0);
	make_listener(LEV_OPT_THREADSAFE | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_DISABLED, accept_slowly);
	client = connect_to(evconnlistener_get_fd(listener));
	CHECK(pthread_create(&thread, NULL, run_base, NULL) == 0);
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	sem_wait(&in_callback);
	close(client);
	evconnlistener_set_cb(listener, accept_slowly, NULL);
	client = connect_to(evconnlistener_get_fd(listener));
	sem_wait(&in_callback);
	close(client);
	evconnlistener_free(listener);
	event_base_loopexit(base, NULL);
	pthread_join(thread, NULL);
	CHECK_EQUAL(accepted, 2);
	event_base_free(base);
}

static void
accept_and_see(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	count_and_close(self, fd, address, length, arg);
	if (__atomic_load_n(&stopped, __ATOMIC_SEQ_CST))
		late++;
}

/* Again and again: no callback begins after disabling has returned. */
DIFFERENCE(no_callback_after_disabling, ONE_BACKEND, "Disabling a listener during its callback in another thread hangs")
{
	pthread_t thread;
	int i, j, client[4];

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	make_listener(LEV_OPT_THREADSAFE | LEV_OPT_CLOSE_ON_FREE, accept_and_see);
	CHECK(pthread_create(&thread, NULL, run_base, NULL) == 0);
	for (i = 0; i < 500; i++) {
		for (j = 0; j < 4; j++)
			client[j] = connect_to(evconnlistener_get_fd(listener));
		CHECK_EQUAL(evconnlistener_disable(listener), 0);
		__atomic_store_n(&stopped, 1, __ATOMIC_SEQ_CST);
		sched_yield();
		for (j = 0; j < 4; j++)
			close(client[j]);
		__atomic_store_n(&stopped, 0, __ATOMIC_SEQ_CST);
		CHECK_EQUAL(evconnlistener_enable(listener), 0);
	}
	evconnlistener_free(listener);
	event_base_loopexit(base, NULL);
	pthread_join(thread, NULL);
	CHECK_EQUAL(late, 0);
	event_base_free(base);
}
