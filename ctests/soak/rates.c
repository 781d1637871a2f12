/* Rate limits over a long time: no tick is lost and none comes twice, however late the loop is.
 *
 * What a limit has granted is what has passed and what is left of it. That must be the rate times
 * the ticks of the time that has really passed, which is measured, so that it does not matter how
 * busy the machine is. The burst is so large that it never cuts anything off.
 *
 * SOAK_SECONDS says for how long; one and a half if it is not set. */
#include "bufferevent/tools.h"

#include <time.h>

enum { TICK = 2000 /* microseconds */, RATE = 100, BURST = 1000000000, MEMBERS = 3 };

/* The clock of a base may lag this much. */
static const long long INACCURACY = 10000;

static struct ev_token_bucket_cfg *cfg;
static long long begun_before, begun_after, moved;

static long long
microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void
begin(void)
{
	struct timeval tick = {0, TICK};

	make_base();
	cfg = ev_token_bucket_cfg_new(RATE, BURST, RATE, BURST, &tick);
	CHECK(cfg);
}

static void
end(void)
{
	finish();
	ev_token_bucket_cfg_free(cfg);
}

/* `granted` was asked for between these times. */
static void
check_granted(long long granted, long long before, long long after)
{
	long long least = (before - begun_after - INACCURACY) / TICK - 2, most = (after - begun_before + INACCURACY) / TICK + 2;

	if (granted < least * RATE || granted > most * RATE)
		printf("granted %lld, not %lld to %lld\n", granted, least * RATE, most * RATE);
	CHECK(granted >= least * RATE && granted <= most * RATE);
}

static long long
soak_end(void)
{
	const char *seconds = getenv("SOAK_SECONDS");

	return microseconds() + (seconds ? atoi(seconds) * 1000000LL : 1500000);
}

/* The bytes that have passed through a limit, and what is left of it. */
struct account {
	long long (*passed)(void);
	long long (*left)(void);
};

/* Makes the loop late for several ticks. */
static void
take_long(evutil_socket_t fd, short what, void *arg)
{
	struct timespec time = {0, 7000000};

	(void)fd;
	(void)what;
	(void)arg;
	nanosleep(&time, NULL);
}

static struct event *
every_millisecond(event_callback_fn callback)
{
	struct timeval period = {0, 1000};
	struct event *timer = event_new(base, -1, EV_PERSIST, callback, NULL);

	CHECK(timer && event_add(timer, &period) == 0);
	return timer;
}

/* Runs the loop, always late or not, for the given time and then until little is left, and
 * balances the account. */
static void
run_account(struct account account, int late)
{
	long long stop = soak_end(), before, granted;
	struct event *sleeper = late ? every_millisecond(take_long) : NULL;
	int i;

	while (microseconds() < stop)
		run_for(50);
	if (sleeper)
		event_free(sleeper);
	for (i = 0; i < 1000 && account.left() > 4 * RATE; i++)
		run_for(10);
	CHECK(i < 1000);
	for (i = 0; i < 3; i++) {
		/* Timers that are due have run when the limit is looked at. */
		before = microseconds();
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		/* A limit starts with one tick's worth. */
		granted = account.left() + account.passed() - RATE;
		check_granted(granted, before, microseconds());
		run_for(20);
	}
}

static long long
passed(void)
{
	return moved;
}

/* --- Counted by hand. --------------------------------------------------------------------------- */

static struct bufferevent *limited;
static struct bufferevent_rate_limit_group *group;
static unsigned state = 1;

/* Everything there is, or a bit more. */
static ev_ssize_t
some_of(ev_ssize_t limit)
{
	state = state * 1664525u + 1013904223u;
	return limit > 0 ? limit + (state >> 8) % RATE : 0;
}

static long long
own_limit(void)
{
	return bufferevent_get_read_limit(limited);
}

static void
spend_own(evutil_socket_t fd, short what, void *arg)
{
	ev_ssize_t count = some_of(bufferevent_get_read_limit(limited));

	(void)fd;
	(void)what;
	(void)arg;
	CHECK_EQUAL(bufferevent_decrement_read_limit(limited, count), 0);
	moved += count;
}

static void
begin_limited(int fd)
{
	begin();
	limited = bufferevent_socket_new(base, fd, fd < 0 ? 0 : BEV_OPT_CLOSE_ON_FREE);
	bufferevent_enable(limited, EV_READ);
	begun_before = microseconds();
	CHECK_EQUAL(bufferevent_set_rate_limit(limited, cfg), 0);
	begun_after = microseconds();
}

static void
count_own_by_hand(int late)
{
	struct account account = {passed, own_limit};
	struct event *spender;

	begin_limited(-1);
	spender = every_millisecond(spend_own);
	run_account(account, late);
	event_free(spender);
	bufferevent_free(limited);
	end();
}

CASE(own_limit_by_hand, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	count_own_by_hand(0);
}

CASE(own_limit_by_hand_in_a_late_loop, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	count_own_by_hand(1);
}

static long long
group_limit(void)
{
	return bufferevent_rate_limit_group_get_read_limit(group);
}

static void
spend_of_group(evutil_socket_t fd, short what, void *arg)
{
	ev_ssize_t count = some_of(bufferevent_rate_limit_group_get_read_limit(group));

	(void)fd;
	(void)what;
	(void)arg;
	CHECK_EQUAL(bufferevent_rate_limit_group_decrement_read(group, count), 0);
	moved += count;
}

static void
begin_group(void)
{
	begin();
	begun_before = microseconds();
	group = bufferevent_rate_limit_group_new(base, cfg);
	begun_after = microseconds();
	CHECK(group);
}

static void
count_group_by_hand(int late)
{
	struct account account = {passed, group_limit};
	struct event *spender;

	begin_group();
	spender = every_millisecond(spend_of_group);
	run_account(account, late);
	event_free(spender);
	bufferevent_rate_limit_group_free(group);
	end();
}

CASE(group_limit_by_hand, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	count_group_by_hand(0);
}

CASE(group_limit_by_hand_in_a_late_loop, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	count_group_by_hand(1);
}

/* --- Bytes that pass. ----------------------------------------------------------------------------- */

static char data[50000];
static struct bufferevent *fed;

static void
count_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	moved += (long long)evbuffer_get_length(input);
	evbuffer_drain(input, evbuffer_get_length(input));
}

/* For those whose bytes are counted at their source. */
static void
drop_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	evbuffer_drain(input, evbuffer_get_length(input));
}

static long long fed_bytes;

static void
feed(struct bufferevent *bev, void *arg)
{
	(void)arg;
	CHECK_EQUAL(bufferevent_write(bev, data, sizeof data), 0);
	fed_bytes += sizeof data;
}

static long long
written(void)
{
	return fed_bytes - (long long)evbuffer_get_length(bufferevent_get_output(fed));
}

static long long
write_limit(void)
{
	return bufferevent_get_write_limit(fed);
}

static void
read_limited(int late)
{
	struct account account = {passed, own_limit};
	int ends[2];

	make_connection(0, ends);
	begin_limited(ends[0]);
	bufferevent_setcb(limited, count_read, NULL, NULL, NULL);
	fed = bufferevent_socket_new(base, ends[1], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(fed, NULL, feed, NULL, NULL);
	bufferevent_enable(fed, EV_WRITE);
	run_account(account, late);
	bufferevent_free(limited);
	bufferevent_free(fed);
	end();
}

CASE(reading, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	read_limited(0);
}

CASE(reading_in_a_late_loop, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	read_limited(1);
}

static void
write_limited(int late)
{
	struct account account = {written, write_limit};
	struct bufferevent *reader;
	int ends[2];

	make_connection(0, ends);
	begin_limited(ends[0]);
	fed = limited;
	bufferevent_disable(fed, EV_READ);
	reader = bufferevent_socket_new(base, ends[1], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(reader, drop_read, NULL, NULL, NULL);
	bufferevent_enable(reader, EV_READ);
	bufferevent_setcb(fed, NULL, feed, NULL, NULL);
	bufferevent_enable(fed, EV_WRITE);
	run_account(account, late);
	bufferevent_free(fed);
	bufferevent_free(reader);
	end();
}

CASE(writing, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	write_limited(0);
}

CASE(writing_in_a_late_loop, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	write_limited(1);
}

static void
read_by_group(int late)
{
	struct account account = {passed, group_limit};
	struct bufferevent *readers[MEMBERS], *writers[MEMBERS];
	int ends[2], i;

	begin_group();
	for (i = 0; i < MEMBERS; i++) {
		make_connection(0, ends);
		readers[i] = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
		writers[i] = bufferevent_socket_new(base, ends[1], BEV_OPT_CLOSE_ON_FREE);
		bufferevent_setcb(readers[i], count_read, NULL, NULL, NULL);
		bufferevent_setcb(writers[i], NULL, feed, NULL, NULL);
		CHECK_EQUAL(bufferevent_add_to_rate_limit_group(readers[i], group), 0);
		bufferevent_enable(readers[i], EV_READ);
		bufferevent_enable(writers[i], EV_WRITE);
	}
	run_account(account, late);
	for (i = 0; i < MEMBERS; i++) {
		bufferevent_remove_from_rate_limit_group(readers[i]);
		bufferevent_free(readers[i]);
		bufferevent_free(writers[i]);
	}
	bufferevent_rate_limit_group_free(group);
	end();
}

CASE(reading_in_a_group, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	read_by_group(0);
}

CASE(reading_in_a_group_in_a_late_loop, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	read_by_group(1);
}
