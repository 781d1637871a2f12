/* Everything at once, at random, round after round: connections that come and go, timers, signals,
 * finalizers, activations, threads that interfere. After each round all memory and all descriptors have been
 * released. SOAK_SECONDS says for how long; two seconds if it is not set. */
#include "allocator.h"

#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>

enum { CONNECTIONS = 120, STEPS_OF_A_ROUND = 4000 };

struct connection {
	int ends[2];
	struct event *reader, *writer, *timer;
	long received;
};

static struct event_base *base;
static struct connection *connections[CONNECTIONS];
static const struct timeval *common;
static unsigned seed;
static int steps, threads_stop, finalized, begun_finalizers;
static struct event *shared_event, *signal_event;
static int steady[2];

static unsigned
choose(unsigned range)
{
	return (unsigned)rand_r(&seed) % range;
}

static void
close_connection(struct connection *connection)
{
	event_free(connection->reader);
	event_free(connection->writer);
	event_free(connection->timer);
	close(connection->ends[0]);
	close(connection->ends[1]);
	free(connection);
}

static void
close_by_chance(int i)
{
	if (!connections[i])
		return;
	close_connection(connections[i]);
	connections[i] = NULL;
}

static void
do_something(void);

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;
	char buffer[512];
	ssize_t length;

	if (what & EV_READ)
		while ((length = read(fd, buffer, sizeof buffer)) > 0)
			connection->received += length;
	do_something();
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)arg;
	if (what & EV_WRITE)
		(void)!write(fd, "some bytes", 10);
	do_something();
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	do_something();
}

static void
on_finalized(struct event *ev, void *arg)
{
	(void)ev;
	(void)arg;
	finalized++;
}

static void
open_connection(int i)
{
	struct connection *connection = calloc(1, sizeof *connection);

	make_socketpair(connection->ends);
	connection->reader =
		event_new(base, connection->ends[0], EV_READ | (choose(2) ? EV_PERSIST : 0) | (choose(4) ? 0 : EV_ET), on_readable, connection);
	connection->writer = event_new(base, connection->ends[1], EV_WRITE, on_writable, connection);
	connection->timer = event_new(base, -1, choose(2) ? EV_PERSIST : 0, on_timer, connection);
	event_priority_set(connection->reader, (int)choose(3));
	event_priority_set(connection->timer, (int)choose(3));
	connections[i] = connection;
}

static void
do_something(void)
{
	struct timeval tv = {0, choose(3000)};
	int i = (int)choose(CONNECTIONS);
	struct connection *connection = connections[i];
	struct event *ev;

	if (++steps >= STEPS_OF_A_ROUND) {
		event_base_loopbreak(base);
		return;
	}
	if (!connection) {
		open_connection(i);
		return;
	}
	switch (choose(16)) {
	case 0:
		close_by_chance(i);
		break;
	case 1:
		event_add(connection->reader, &tv);
		break;
	case 2:
		event_add(connection->reader, common);
		break;
	case 3:
		event_add(connection->reader, NULL);
		break;
	case 4:
	case 5:
		event_add(connection->writer, NULL);
		break;
	case 6:
		event_add(connection->timer, &tv);
		break;
	case 7:
		event_active(connection->timer, EV_TIMEOUT, 1);
		break;
	case 8:
		event_del(connection->reader);
		break;
	case 9:
		event_del(connection->timer);
		break;
	case 10:
		event_base_once(base, steady[1], EV_WRITE, on_timer, NULL, &tv);
		break;
	case 11:
		event_base_once(base, -1, EV_TIMEOUT, on_timer, NULL, choose(2) ? &tv : NULL);
		break;
	case 12:
		ev = evtimer_new(base, on_timer, NULL);
		event_add(ev, &tv);
		begun_finalizers++;
		event_free_finalize(0, ev, on_finalized);
		break;
	case 13:
		if (choose(8) == 0)
			raise(SIGUSR1);
		break;
	case 14:
		event_base_active_by_fd(base, connection->ends[0], EV_READ);
		break;
	default:
		event_remove_timer(connection->reader);
		event_base_loopcontinue(base);
		break;
	}
}

static void *
interfere(void *seed_of_thread)
{
	unsigned own_seed = (unsigned)(long)seed_of_thread;
	struct timeval tv = {0, 1000};

	while (!__atomic_load_n(&threads_stop, __ATOMIC_RELAXED)) {
		switch (rand_r(&own_seed) % 4) {
		case 0:
			event_add(shared_event, &tv);
			break;
		case 1:
			event_active(shared_event, EV_READ, 1);
			break;
		case 2:
			event_del(shared_event);
			break;
		default:
			event_base_loopcontinue(base);
			break;
		}
		usleep(50);
	}
	return NULL;
}

static void
one_round(void)
{
	struct timeval tick = {0, 500};
	struct event *ticker;
	pthread_t threads[2];
	long i;

	steps = threads_stop = finalized = begun_finalizers = 0;
	base = event_base_new();
	CHECK(base);
	event_base_priority_init(base, 3);
	common = event_base_init_common_timeout(base, &(struct timeval){0, 1500});
	shared_event = event_new(base, -1, EV_PERSIST, on_timer, NULL);
	signal_event = evsignal_new(base, SIGUSR1, on_timer, NULL);
	ticker = event_new(base, -1, EV_PERSIST, on_timer, NULL);
	event_add(signal_event, NULL);
	event_add(ticker, &tick);
	for (i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, interfere, (void *)(i + 1)) == 0);
	while (steps < STEPS_OF_A_ROUND)
		CHECK_EQUAL(event_base_dispatch(base), 0);
	__atomic_store_n(&threads_stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < CONNECTIONS; i++)
		close_by_chance((int)i);
	event_free(shared_event);
	event_free(signal_event);
	event_free(ticker);
	event_base_free(base);
	CHECK_EQUAL(finalized, begun_finalizers);
}

static void
ignore_message(int severity, const char *message)
{
	(void)message;
	CHECK(severity < EVENT_LOG_ERR);
}

CASE(memory_and_descriptors_come_back, EVERY_BACKEND | SLOW | OWN_DEBUG_MODE | OWN_LOCKS)
{
	const char *seconds = getenv("SOAK_SECONDS");
	long long end = milliseconds() + 1000 * (seconds ? atoi(seconds) : 2);
	int descriptors;
	long alive;

	make_pipe(steady);
	allocator_install();
	event_set_log_callback(ignore_message);
	CHECK(evthread_use_pthreads() == 0);
	alive = allocator.alive;
	descriptors = open_descriptors();
	for (seed = 1; milliseconds() < end; seed++) {
		one_round();
		CHECK_EQUAL(allocator.alive, alive);
		CHECK_EQUAL(open_descriptors(), descriptors);
	}
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}
