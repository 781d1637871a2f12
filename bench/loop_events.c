/* Nanoseconds per operation of the loop: descriptors, one-shot events, activation, bases, threads. */
#define _GNU_SOURCE
#include "bench.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIPES = 100, RING = 5000, ACTIVE = 100, READY = 1000 };

static struct event_base *base;
static struct event *persistent, *one_shot, *activated[ACTIVE];
static int ends[2];
static long left;

static void
count_down(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (--left <= 0)
		event_base_loopbreak(base);
}

static void
add_again(evutil_socket_t fd, short what, void *arg)
{
	count_down(fd, what, arg);
	if (left > 0)
		event_add(one_shot, NULL);
}

static void
make_base(void)
{
	base = event_base_new();
	BENCH_CHECK(base);
	persistent = event_new(base, ends[0], EV_READ | EV_PERSIST, count_down, NULL);
	one_shot = event_new(base, ends[0], EV_READ, add_again, NULL);
	for (int i = 0; i < ACTIVE; i++)
		activated[i] = event_new(base, -1, 0, count_down, NULL);
}

/* A descriptor that stays readable: one wait and one callback each. */
static void
persistent_event(long count)
{
	left = count;
	event_add(persistent, NULL);
	event_base_dispatch(base);
	event_del(persistent);
}

static void
one_shot_added_again(long count)
{
	left = count;
	event_add(one_shot, NULL);
	event_base_dispatch(base);
}

/* Events that the program activates itself, a hundred per pass. */
static void
event_active_100(long count)
{
	while (count > 0) {
		for (int i = 0; i < ACTIVE; i++)
			event_active(activated[i], EV_TIMEOUT, 1);
		left = count -= ACTIVE;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
}

static void
add_and_delete(long count)
{
	while (count--) {
		event_add(persistent, NULL);
		event_del(persistent);
	}
}

/* What a program does with an event besides adding and deleting it. */
static void
new_and_free(long count)
{
	while (count--)
		event_free(event_new(base, ends[0], EV_READ, count_down, NULL));
}

static void
assign_again(long count)
{
	struct event event;

	while (count--)
		event_assign(&event, base, ends[0], EV_READ, count_down, NULL);
}

static void
ask_for_pending(long count)
{
	long pending = 0;

	for (long i = 0; i < count; i++)
		pending += event_pending(persistent, EV_READ, NULL);
	BENCH_CHECK(pending == 0);
}

/* --- Many descriptors that are ready in each pass. ------------------------------------------------- */

static struct event *ready[READY];

static void
make_ready(void)
{
	for (int i = 0; i < READY; i++) {
		int fd = eventfd(1, EFD_NONBLOCK);

		BENCH_CHECK(fd >= 0);
		ready[i] = event_new(base, fd, EV_READ | EV_PERSIST, count_down, NULL);
		event_add(ready[i], NULL);
	}
}

static void
all_ready(long count)
{
	left = count;
	event_base_dispatch(base);
}

/* --- A chain of pipes: each callback writes to the next one. ---------------------------------------- */

static int pipes[RING][2];
static struct event *readers[RING];

static void
pass_on(evutil_socket_t fd, short what, void *next)
{
	char byte;

	(void)what;
	/* An earlier run may have left it active. */
	if (read(fd, &byte, 1) != 1)
		return;
	if (--left > 0)
		BENCH_CHECK(write(*(int *)next, &byte, 1) == 1);
	else
		event_base_loopbreak(base);
}

static void
chain_of_pipes(long count)
{
	left = count;
	BENCH_CHECK(write(pipes[0][1], "x", 1) == 1);
	event_base_dispatch(base);
}

static void
connect_pipes(int count)
{
	struct rlimit limit;

	BENCH_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	BENCH_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (int i = 0; i < count; i++)
		BENCH_CHECK(pipe2(pipes[i], O_NONBLOCK) == 0);
	for (int i = 0; i < count; i++) {
		readers[i] = event_new(base, pipes[i][0], EV_READ | EV_PERSIST, pass_on, &pipes[(i + 1) % count][1]);
		event_add(readers[i], NULL);
	}
}

static void
make_pipes(void)
{
	connect_pipes(PIPES);
}

/* A hundred of many pipes, far apart, have a byte. */
static void
ring_of_pipes(long count)
{
	left = count;
	for (int i = 0; i < RING; i += RING / ACTIVE)
		BENCH_CHECK(write(pipes[i][1], "x", 1) == 1);
	event_base_dispatch(base);
}

static void
make_ring(void)
{
	connect_pipes(RING);
}

static void
empty_ring(void)
{
	char byte;

	for (int i = 0; i < RING; i++)
		while (read(pipes[i][0], &byte, 1) == 1)
			;
}

/* --- Bases. ---------------------------------------------------------------------------------------- */

static void
new_and_free_base(long count)
{
	while (count--)
		event_base_free(event_base_new());
}

/* --- Another thread makes an event active again and again; each time the loop wakes and answers. --- */

static struct event_base *woken;
static struct event *call;
static sem_t answered;

static void
answer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	sem_post(&answered);
}

static void *
run_woken_loop(void *arg)
{
	(void)arg;
	event_base_loop(woken, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void
make_woken_loop(void)
{
	pthread_t thread;

	BENCH_CHECK(evthread_use_pthreads() == 0 && sem_init(&answered, 0, 0) == 0);
	woken = event_base_new();
	call = event_new(woken, -1, 0, answer, NULL);
	BENCH_CHECK(woken && call && pthread_create(&thread, NULL, run_woken_loop, NULL) == 0);
}

static void
wake_up(long count)
{
	while (count--) {
		event_active(call, EV_READ, 1);
		sem_wait(&answered);
	}
}

/* What the locks of a threaded program cost. */
static void
use_locks(void)
{
	BENCH_CHECK(evthread_use_pthreads() == 0);
	event_base_free(base);
	make_base();
}

static const struct benchmark benchmarks[] = {
	{"persistent event", .work = persistent_event},
	{"persistent event, locked", .work = persistent_event, .prepare = use_locks},
	{"one-shot event, added again", .work = one_shot_added_again},
	{"event_add+event_del", .work = add_and_delete},
	{"event_add+event_del, locked", .work = add_and_delete, .prepare = use_locks},
	{"event_active, 100 a pass", .work = event_active_100},
	{"1000 ready descriptors a pass", .work = all_ready, .prepare = make_ready},
	{"chain of 100 pipes", .work = chain_of_pipes, .prepare = make_pipes},
	{"ring of 5000 pipes, 100 active", .work = ring_of_pipes, .prepare = make_ring, .restore = empty_ring},
	{"event_new+event_free", .work = new_and_free},
	{"event_assign", .work = assign_again},
	{"event_pending", .work = ask_for_pending},
	{"event_base_new+event_base_free", .work = new_and_free_base},
	{"woken by another thread", .work = wake_up, .prepare = make_woken_loop},
};

int
main(int argc, char **argv)
{
	BENCH_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	BENCH_CHECK(write(ends[1], "x", 1) == 1);
	make_base();
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
