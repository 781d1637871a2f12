/* Nanoseconds per operation of the loop: descriptors, one-shot events, timers, activation. */
#define _GNU_SOURCE
#include "bench.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PENDING = 100000, PIPES = 100, ACTIVE = 100 };

static struct event_base *base;
static struct event *persistent, *one_shot, *activated[ACTIVE], *timers[PENDING];
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

/* What the program itself makes active, a hundred in a pass. */
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

/* --- Timers, with 100,000 others pending. ------------------------------------------------------ */

static struct timeval
delay(long i)
{
	/* Spread over an hour, in no order. */
	unsigned long spread = (unsigned long)i * 2654435761u % 3600000u;
	struct timeval time = {100 + (long)(spread / 1000), (long)(spread % 1000) * 1000};

	return time;
}

static void
add_timers(long count)
{
	for (long i = 0; i < count; i++) {
		struct timeval time = delay(i);
		event_add(timers[i % PENDING], &time);
	}
}

/* One operation is an addition and a deletion. */
static void
fill_and_clear_100000(long count)
{
	while (count > 0) {
		long now = count < PENDING ? count : PENDING;

		add_timers(now);
		for (long i = 0; i < now; i++)
			event_del(timers[i]);
		count -= now;
	}
}

static void
change_timer(long count)
{
	add_timers(count);
}

static struct event *extra;

static void
add_and_delete_timer(long count)
{
	while (count--) {
		struct timeval time = delay(count);
		event_add(extra, &time);
		event_del(extra);
	}
}

/* The same duration for all of them. */
static void
common_timeouts(long count)
{
	struct timeval duration = {50, 0};
	const struct timeval *common = event_base_init_common_timeout(base, &duration);

	while (count > 0)
		for (int i = 0; i < PENDING && count > 0; i++, count--)
			event_add(timers[i], common);
}

/* --- A chain of pipes: each callback writes to the next one. ---------------------------------------- */

static int pipes[PIPES][2];
static struct event *readers[PIPES];

static void
pass_on(evutil_socket_t fd, short what, void *next)
{
	char byte;

	(void)what;
	BENCH_CHECK(read(fd, &byte, 1) == 1);
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
make_pipes(void)
{
	for (int i = 0; i < PIPES; i++)
		BENCH_CHECK(pipe(pipes[i]) == 0);
	for (int i = 0; i < PIPES; i++) {
		readers[i] = event_new(base, pipes[i][0], EV_READ | EV_PERSIST, pass_on, &pipes[(i + 1) % PIPES][1]);
		event_add(readers[i], NULL);
	}
}

static void
make_timers(void)
{
	for (int i = 0; i < PENDING; i++)
		timers[i] = event_new(base, -1, 0, count_down, NULL);
	extra = event_new(base, -1, 0, count_down, NULL);
}

static void
make_pending_timers(void)
{
	make_timers();
	add_timers(PENDING);
}

static const struct benchmark benchmarks[] = {
	{"persistent event", .work = persistent_event},
	{"one-shot event, added again", .work = one_shot_added_again},
	{"event_add+event_del", .work = add_and_delete},
	{"event_active, 100 a pass", .work = event_active_100},
	{"chain of 100 pipes", .work = chain_of_pipes, .prepare = make_pipes},
	{"timers up to 100000 and down", .work = fill_and_clear_100000, .prepare = make_timers},
	{"timer changed, 100000 pending", .work = change_timer, .prepare = make_pending_timers},
	{"timer add+del, 100000 pending", .work = add_and_delete_timer, .prepare = make_pending_timers},
	{"common timeout changed, 100000", .work = common_timeouts, .prepare = make_timers},
};

int
main(int argc, char **argv)
{
	base = event_base_new();
	BENCH_CHECK(base && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	BENCH_CHECK(write(ends[1], "x", 1) == 1);
	persistent = event_new(base, ends[0], EV_READ | EV_PERSIST, count_down, NULL);
	one_shot = event_new(base, ends[0], EV_READ, add_again, NULL);
	for (int i = 0; i < ACTIVE; i++)
		activated[i] = event_new(base, -1, 0, count_down, NULL);
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
