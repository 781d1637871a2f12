/* Programs as they are written for libevent 2.1. */
#include <event2/event.h>
#include <event2/thread.h>
#include <event2/util.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

/* --- A worker with an event for everything, its argument the event itself --- */

static void
self_referencing(evutil_socket_t fd, short what, void *arg)
{
	struct event *ev = arg;

	(void)fd;
	printf("the event gets itself: %d, %d\n", what, event_get_callback_arg(ev) == ev);
	event_free(ev);
}

CASE(event_self_cbarg_frees_itself, EVERY_BACKEND)
{
	struct event_base *base = event_base_new();
	struct event *ev = event_new(base, -1, EV_PERSIST, self_referencing, event_self_cbarg());

	event_add(ev, &(struct timeval){0, 1000});
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
	libevent_global_shutdown();
}

struct worker {
	struct event_base *base;
	struct event *reader, *ticker, *stopper, *kick;
	int bytes, ticks;
};

static void
worker_read(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;
	char bytes[8];
	ssize_t length = read(fd, bytes, sizeof(bytes));

	CHECK(what & EV_READ);
	if (length > 0)
		worker->bytes += length;
	if (worker->bytes >= 20)
		evuser_trigger(worker->kick);
}

static void
worker_tick(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;

	CHECK(fd == -1 && (what & EV_TIMEOUT));
	worker->ticks++;
	if (worker->ticks == 3)
		raise(SIGUSR1);
}

static void
worker_stop(evutil_socket_t sig, short what, void *arg)
{
	struct worker *worker = arg;

	printf("stop: signal %d, %d, enough ticks %d\n", (int)sig, what, worker->ticks >= 3);
	event_base_loopexit(worker->base, NULL);
}

static void
worker_kicked(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)arg;
	printf("kicked: %d\n", what);
}

CASE(worker_with_every_kind_of_event, EVERY_BACKEND)
{
	struct event_config *config = event_config_new();
	struct timeval interval = {0, 2000};
	struct worker worker;
	int pair[2];

	memset(&worker, 0, sizeof(worker));
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	worker.base = event_base_new_with_config(config);
	event_config_free(config);
	CHECK(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	evutil_make_socket_nonblocking(pair[0]);
	CHECK(write(pair[1], "twenty bytes of text", 20) == 20);
	event_base_priority_init(worker.base, 2);
	worker.reader = event_new(worker.base, pair[0], EV_READ | EV_PERSIST, worker_read, &worker);
	worker.ticker = event_new(worker.base, -1, EV_PERSIST, worker_tick, &worker);
	worker.stopper = evsignal_new(worker.base, SIGUSR1, worker_stop, &worker);
	worker.kick = evuser_new(worker.base, worker_kicked, &worker);
	event_priority_set(worker.stopper, 0);
	event_add(worker.reader, NULL);
	event_add(worker.ticker, &interval);
	event_add(worker.stopper, NULL);
	CHECK_EQUAL(event_base_dispatch(worker.base), 0);
	CHECK_EQUAL(worker.bytes, 20);
	event_free(worker.reader);
	event_free(worker.ticker);
	event_free(worker.stopper);
	event_free(worker.kick);
	event_base_free(worker.base);
}

/* --- Connections with one shared timeout --- */

static int expired;

static void
connection_expired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)arg;
	CHECK_EQUAL(what, EV_TIMEOUT);
	expired++;
}

CASE(common_timeout_for_many_connections, EVERY_BACKEND)
{
	struct event_base *base = event_base_new();
	const struct timeval *common = event_base_init_common_timeout(base, &(struct timeval){0, 10000});
	struct event *connections[50];
	int pairs[50][2], i;

	for (i = 0; i < 50; i++) {
		CHECK(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) == 0);
		evutil_make_socket_nonblocking(pairs[i][0]);
		connections[i] = event_new(base, pairs[i][0], EV_READ, connection_expired, NULL);
		CHECK_EQUAL(event_add(connections[i], common), 0);
	}
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(expired, 50);
	for (i = 0; i < 50; i++)
		event_free(connections[i]);
	event_base_free(base);
}

/* --- Walking over the events, and closing a connection through a finalizer --- */

static int
count_event(const struct event_base *base, const struct event *ev, void *count)
{
	CHECK(event_get_base(ev) == base);
	if (event_get_callback(ev) == connection_expired)
		++*(int *)count;
	return 0;
}

static void
close_connection(struct event *ev, void *arg)
{
	evutil_closesocket(event_get_fd(ev));
	printf("closed: %s\n", (char *)arg);
}

CASE(connection_closed_by_its_finalizer, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct event_base *base;
	struct event *ev;
	int pair[2], count = 0;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	base = event_base_new();
	CHECK(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	evutil_make_socket_nonblocking(pair[0]);
	ev = event_new(base, pair[0], EV_READ | EV_PERSIST | EV_FINALIZE, connection_expired, (void *)"connection");
	event_add(ev, NULL);
	CHECK_EQUAL(event_base_foreach_event(base, count_event, &count), 0);
	CHECK_EQUAL(count, 1);
	CHECK_EQUAL(event_free_finalize(0, ev, close_connection), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK(send(pair[1], "x", 1, MSG_NOSIGNAL) == -1);
	event_base_free(base);
}

/* --- A benchmark's shape: a byte goes through a ring of pipes --- */

enum { PIPES = 100 };

static struct event *ring[PIPES];
static int ring_pairs[PIPES][2], hops;

static void
hop(evutil_socket_t fd, short what, void *arg)
{
	int i = (int)(long)arg;
	char byte;

	CHECK_EQUAL(what, EV_READ);
	CHECK(read(fd, &byte, 1) == 1);
	if (++hops == 1000) {
		event_base_loopbreak(event_get_base(ring[i]));
		return;
	}
	CHECK(write(ring_pairs[(i + 1) % PIPES][1], &byte, 1) == 1);
}

CASE(byte_through_a_ring_of_pipes, EVERY_BACKEND)
{
	struct event_base *base = event_base_new();
	long i;

	for (i = 0; i < PIPES; i++) {
		CHECK(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, ring_pairs[i]) == 0);
		evutil_make_socket_nonblocking(ring_pairs[i][0]);
		ring[i] = event_new(base, ring_pairs[i][0], EV_READ | EV_PERSIST, hop, (void *)i);
		event_add(ring[i], NULL);
	}
	CHECK(write(ring_pairs[0][1], "x", 1) == 1);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	CHECK_EQUAL(hops, 1000);
	for (i = 0; i < PIPES; i++)
		event_free(ring[i]);
	event_base_free(base);
}
