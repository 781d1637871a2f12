/* Nanoseconds per operation of timers: many, few, and of one duration. */
#include "bench.h"

#include <event2/event.h>
#include <unistd.h>

enum { MANY = 100000, FEW = 1000, CHANGES = 200000 };

static struct event_base *base;
static struct event *timers[MANY], *extra;
/* The timers in random order, so that none is next to the one before. */
static struct event *shuffled[MANY];

static void
count_expiry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(*(long *)arg)++;
}

static long expired;

/* Spread over an hour, in random order, and far enough away never to expire. */
static struct timeval
delay(long i)
{
	unsigned long spread = (unsigned long)i * 2654435761u % 3600000u;
	struct timeval time = {100 + (long)(spread / 1000), (long)(spread % 1000) * 1000};

	return time;
}

static void
make_timers(void)
{
	unsigned long random = 1;

	for (int i = 0; i < MANY; i++)
		timers[i] = shuffled[i] = event_new(base, -1, 0, count_expiry, &expired);
	for (int i = MANY - 1; i > 0; i--) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		int other = (int)((random >> 33) % (unsigned long)(i + 1));
		struct event *swapped = shuffled[i];
		shuffled[i] = shuffled[other];
		shuffled[other] = swapped;
	}
	extra = event_new(base, -1, 0, count_expiry, &expired);
}

/* Adding a timer that is pending changes it. */
static void
add_timers(struct event **which, int among, long count)
{
	for (long i = 0, at = 0; i < count; i++, at = at + 1 < among ? at + 1 : 0) {
		struct timeval time = delay(i);
		event_add(which[at], &time);
	}
}

static void
add_all(void)
{
	add_timers(timers, MANY, MANY);
}

static void
delete_all(void)
{
	for (int i = 0; i < MANY; i++)
		event_del(timers[i]);
}

static void
make_many(void)
{
	make_timers();
	add_all();
}

static void
make_few(void)
{
	make_timers();
	add_timers(timers, FEW, FEW);
}

static void
add_in_order(long count)
{
	add_timers(timers, MANY, count);
}

static void
add_shuffled(long count)
{
	add_timers(shuffled, MANY, count);
}

static void
change_few(long count)
{
	add_timers(timers, FEW, count);
}

static void
delete_in_order(long count)
{
	for (long i = 0; i < count; i++)
		event_del(timers[i]);
}

static void
delete_shuffled(long count)
{
	for (long i = 0; i < count; i++)
		event_del(shuffled[i]);
}

static void
add_and_delete(long count)
{
	while (count--) {
		struct timeval time = delay(count);
		event_add(extra, &time);
		event_del(extra);
	}
}

/* The same duration for all of them, as for the connections of a server. */
static void
change_to_one_duration(long count)
{
	struct timeval duration = {50, 0};

	for (long i = 0, at = 0; i < count; i++, at = at + 1 < MANY ? at + 1 : 0)
		event_add(timers[at], &duration);
}

static void
change_to_common_timeout(long count)
{
	struct timeval duration = {50, 0};
	const struct timeval *common = event_base_init_common_timeout(base, &duration);

	for (long i = 0, at = 0; i < count; i++, at = at + 1 < MANY ? at + 1 : 0)
		event_add(timers[at], common);
}

static void
make_due(void)
{
	for (int i = 0; i < MANY; i++) {
		struct timeval time = delay(i);
		time.tv_sec = 0;
		time.tv_usec /= 500;
		event_add(timers[i], &time);
	}
	usleep(20000);
}

static void
make_timers_due(void)
{
	make_timers();
	make_due();
}

static void
expire(long count)
{
	expired = 0;
	event_base_loop(base, EVLOOP_NONBLOCK);
	BENCH_CHECK(expired == count);
}

static const struct benchmark benchmarks[] = {
	{"added, from none to 100000", .work = add_in_order, .prepare = make_timers, .restore = delete_all, .count = MANY},
	{"the same in random order", .work = add_shuffled, .prepare = make_timers, .restore = delete_all, .count = MANY},
	{"changed, among 100000", .work = add_in_order, .prepare = make_many, .count = CHANGES},
	{"changed, random ones of 100000", .work = add_shuffled, .prepare = make_many, .count = CHANGES},
	{"changed to now + 50 s, of 100000", .work = change_to_one_duration, .prepare = make_many, .count = CHANGES},
	{"changed to a common timeout", .work = change_to_common_timeout, .prepare = make_timers, .count = CHANGES},
	{"deleted in order, from 100000", .work = delete_in_order, .prepare = make_many, .restore = add_all, .count = MANY},
	{"deleted in random order", .work = delete_shuffled, .prepare = make_many, .restore = add_all, .count = MANY},
	{"one added and deleted, 100000", .work = add_and_delete, .prepare = make_many},
	{"one added and deleted, 1000", .work = add_and_delete, .prepare = make_few},
	{"changed, among 1000", .work = change_few, .prepare = make_few},
	{"expired, 100000 in a pass", .work = expire, .prepare = make_timers_due, .restore = make_due, .count = MANY},
};

int
main(int argc, char **argv)
{
	base = event_base_new();
	BENCH_CHECK(base);
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
