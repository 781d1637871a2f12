/* Several loops and several threads at once. */
#include "observe.h"

#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>

enum { LOOPS = 4, LAPS = 200 };

static struct event_base *bases[LOOPS];
static struct event *stations[LOOPS];
static int passes[LOOPS];

static void
pass_on(evutil_socket_t fd, short what, void *arg)
{
	int i = (int)(long)arg, next = (i + 1) % LOOPS;

	(void)fd;
	(void)what;
	passes[i]++;
	if (i == 0 && passes[0] > LAPS) {
		for (i = 0; i < LOOPS; i++)
			event_base_loopbreak(bases[i]);
		return;
	}
	event_active(stations[next], EV_READ, 1);
}

static void *
run_ring_loop(void *base)
{
	return (void *)(long)event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
}

CASE(a_token_goes_round_four_loops, EVERY_BACKEND)
{
	pthread_t threads[LOOPS];
	void *result;
	long i;

	CHECK(evthread_use_pthreads() == 0);
	for (i = 0; i < LOOPS; i++) {
		bases[i] = event_base_new();
		stations[i] = event_new(bases[i], -1, EV_PERSIST, pass_on, (void *)i);
	}
	event_active(stations[0], EV_READ, 1);
	for (i = 0; i < LOOPS; i++)
		CHECK(pthread_create(&threads[i], NULL, run_ring_loop, bases[i]) == 0);
	for (i = 0; i < LOOPS; i++) {
		pthread_join(threads[i], &result);
		printf("loop %ld: result %ld, passed on %d\n", i, (long)result, passes[i]);
	}
	for (i = 0; i < LOOPS; i++) {
		event_free(stations[i]);
		event_base_free(bases[i]);
	}
}

/* Each thread has a base of its own, never shared; no locks are needed. */
static void
count_byte(evutil_socket_t fd, short what, void *count)
{
	(void)what;
	take_byte(fd);
	++*(int *)count;
}

static void
send_byte(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	put_byte(fd);
}

static void *
run_own_base(void *arg)
{
	struct event_base *base = event_base_new();
	struct event *reader, *writer;
	int ends[2], count = 0;

	(void)arg;
	make_socketpair(ends);
	reader = event_new(base, ends[0], EV_READ | EV_PERSIST, count_byte, &count);
	writer = event_new(base, ends[1], EV_WRITE | EV_PERSIST, send_byte, NULL);
	event_add(reader, NULL);
	event_add(writer, NULL);
	while (count < 500)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(reader);
	event_free(writer);
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
	return (void *)(long)count;
}

static void
own_bases(void)
{
	pthread_t threads[LOOPS];
	void *count;
	int i;

	for (i = 0; i < LOOPS; i++)
		CHECK(pthread_create(&threads[i], NULL, run_own_base, NULL) == 0);
	for (i = 0; i < LOOPS; i++) {
		pthread_join(threads[i], &count);
		CHECK((long)count >= 500);
	}
}

CASE(own_base_in_each_thread, EVERY_BACKEND)
{
	CHECK(evthread_use_pthreads() == 0);
	own_bases();
}

/* Not in debug mode, which shares a table that would need a lock. */
CASE(own_base_in_each_thread_without_locks, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	own_bases();
}

/* One loop, and threads that do everything at once with the same events. */
enum { SHARED = 24, THREADS = 3 };

static struct event_base *base;
static struct event *shared[SHARED];
static int pipes[SHARED][2];
static int stop, deleted_for_good;
static long callbacks;

static void
count_callback(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	CHECK(!__atomic_load_n(&deleted_for_good, __ATOMIC_SEQ_CST));
	__atomic_add_fetch(&callbacks, 1, __ATOMIC_RELAXED);
}

static void *
disturb(void *seed_of_thread)
{
	unsigned seed = (unsigned)(long)seed_of_thread;
	struct timeval short_time;
	struct event *ev;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		ev = shared[rand_r(&seed) % SHARED];
		switch (rand_r(&seed) % 8) {
		case 0:
		case 1:
			event_add(ev, NULL);
			break;
		case 2:
			short_time.tv_sec = 0;
			short_time.tv_usec = rand_r(&seed) % 3000;
			event_add(ev, &short_time);
			break;
		case 3:
			event_del(ev);
			break;
		case 4:
			event_del_noblock(ev);
			break;
		case 5:
			event_active(ev, EV_TIMEOUT, 1);
			break;
		case 6:
			event_remove_timer(ev);
			break;
		default:
			event_pending(ev, EV_READ | EV_TIMEOUT, &short_time);
			event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
			event_base_loopcontinue(base);
			break;
		}
		if (rand_r(&seed) % 64 == 0)
			usleep(200);
	}
	return NULL;
}

static void
halt(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	event_base_loopbreak(base);
}

static void
stress(long ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	pthread_t threads[THREADS];
	long i;

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	for (i = 0; i < SHARED; i++) {
		make_pipe(pipes[i]);
		if (i % 3 == 0)
			put_byte(pipes[i][1]);
		shared[i] = i % 8 == 7 ? evtimer_new(base, count_callback, NULL)
				       : event_new(base, pipes[i][0], EV_READ | (i % 2 ? EV_PERSIST : 0), count_callback, NULL);
	}
	CHECK(event_base_once(base, -1, EV_TIMEOUT, halt, NULL, &tv) == 0);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, disturb, (void *)(i + 1)) == 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(callbacks > 0);
	for (i = 0; i < SHARED; i++)
		CHECK_EQUAL(event_del(shared[i]), 0);
	deleted_for_good = 1;
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	for (i = 0; i < SHARED; i++)
		event_free(shared[i]);
	event_base_free(base);
}

CASE(threads_disturb_one_loop, EVERY_BACKEND)
{
	stress(400);
}

CASE(threads_disturb_one_loop_for_long, ONE_BACKEND | SLOW)
{
	stress(3000);
}

/* After event_del returned, the memory that the callback works on may go. */
struct job {
	struct event *ev;
	int alive;
};

static int jobs_seen;

static void
use_job(evutil_socket_t fd, short what, void *arg)
{
	struct job *job = arg;
	(void)fd;
	(void)what;
	CHECK_EQUAL(job->alive, 1);
	sched_yield();
	CHECK_EQUAL(job->alive, 1);
	__atomic_store_n(&jobs_seen, 1, __ATOMIC_RELAXED);
}

static void *
run_shared_loop(void *arg)
{
	(void)arg;
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

CASE(callbacks_never_see_a_deleted_job, EVERY_BACKEND)
{
	struct timeval none = {0, 0};
	long long end = milliseconds() + 250;
	pthread_t thread;
	struct job *job;
	int i = 0;

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	CHECK(pthread_create(&thread, NULL, run_shared_loop, NULL) == 0);
	for (; milliseconds() < end || !__atomic_load_n(&jobs_seen, __ATOMIC_RELAXED); i++) {
		job = calloc(1, sizeof *job);
		job->alive = 1;
		job->ev = event_new(base, -1, EV_PERSIST, use_job, job);
		if (i % 2)
			event_add(job->ev, &none);
		else
			event_active(job->ev, EV_READ, 1);
		if (i % 3 == 0)
			sched_yield();
		if (i % 4 == 0)
			event_del(job->ev);
		event_free(job->ev);
		job->alive = 0;
		free(job);
	}
	event_base_loopexit(base, NULL);
	pthread_join(thread, NULL);
	event_base_free(base);
}

static void
stop_at_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	printf("signal %d\n", (int)sig);
	event_base_loopbreak(arg);
}

CASE(signal_reaches_the_loop_of_a_thread, EVERY_BACKEND)
{
	struct event *ev;
	pthread_t thread;

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	ev = evsignal_new(base, SIGUSR1, stop_at_signal, base);
	event_add(ev, NULL);
	CHECK(pthread_create(&thread, NULL, run_shared_loop, NULL) == 0);
	kill(getpid(), SIGUSR1);
	pthread_join(thread, NULL);
	event_free(ev);
	event_base_free(base);
}
