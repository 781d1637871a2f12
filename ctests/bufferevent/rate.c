/* Rate limits of one bufferevent: set, and counted by hand. rate_groups.c tests those of groups,
 * soak/rates.c how exact they are. */
#include "rate_limits.h"

#include <limits.h>
#include <sys/syscall.h>
#include <time.h>

CASE(configurations, ONE_BACKEND)
{
	static const struct {
		size_t read_rate, read_burst, write_rate, write_burst;
	} refused[] = {{10, 5, 10, 10},	   {10, 10, 10, 5}, {0, 10, 10, 10},
		       {10, 10, 0, 10},	   {0, 0, 0, 0},    {SIZE_MAX, SIZE_MAX, 10, 10},
		       {10, SIZE_MAX, 10, 10}, {10, 10, SIZE_MAX, SIZE_MAX}};
	size_t i;

	for (i = 0; i < sizeof refused / sizeof refused[0]; i++)
		CHECK(!ev_token_bucket_cfg_new(refused[i].read_rate, refused[i].read_burst, refused[i].write_rate,
					       refused[i].write_burst, NULL));
	cfg = ev_token_bucket_cfg_new(EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, NULL);
	CHECK(cfg);
	ev_token_bucket_cfg_free(cfg);
	cfg = ev_token_bucket_cfg_new(1, 1, 1, 1, &tick);
	CHECK(cfg);
	ev_token_bucket_cfg_free(cfg);
}

DIFFERENCE(short_ticks_are_refused, ONE_BACKEND,
	"a rate limit with a tick below a millisecond divides by zero")
{
	struct timeval short_tick = {0, 999}, negative = {-1, 0}, zero = {0, 0};

	CHECK(!ev_token_bucket_cfg_new(1, 1, 1, 1, &short_tick));
	CHECK(!ev_token_bucket_cfg_new(1, 1, 1, 1, &negative));
	CHECK(!ev_token_bucket_cfg_new(1, 1, 1, 1, &zero));
}

DIFFERENCE(long_ticks_are_refused, ONE_BACKEND, "a rate limit with a very long tick overflows")
{
	struct timeval longest = {INT_MAX / 1000, 0}, longer = {INT_MAX / 1000 + 1, 0}, huge = {1L << 60, 0}, invalid = {1, 1000000};

	cfg = ev_token_bucket_cfg_new(1, 1, 1, 1, &longest);
	CHECK(cfg);
	ev_token_bucket_cfg_free(cfg);
	CHECK(!ev_token_bucket_cfg_new(1, 1, 1, 1, &longer));
	CHECK(!ev_token_bucket_cfg_new(1, 1, 1, 1, &huge));
	CHECK(!ev_token_bucket_cfg_new(1, 1, 1, 1, &invalid));
}

CASE(bucket, ONE_BACKEND)
{
	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(1000, 5000, 2000, 6000, &long_tick);
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, cfg), 0);
	CHECK(bufferevent_get_token_bucket_cfg(bev) == cfg);
	CHECK_EQUAL(bufferevent_get_read_limit(bev), 1000);
	CHECK_EQUAL(bufferevent_get_write_limit(bev), 2000);
	CHECK_EQUAL(bufferevent_get_max_to_read(bev), 1000);
	CHECK_EQUAL(bufferevent_get_max_to_write(bev), 2000);
	send_all(ends[1], data, 300);
	settle();
	CHECK_EQUAL(bufferevent_get_read_limit(bev), 700);
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, cfg), 0);
	CHECK_EQUAL(bufferevent_get_read_limit(bev), 700);
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, NULL), 0);
	CHECK(!bufferevent_get_token_bucket_cfg(bev));
	CHECK(bufferevent_get_read_limit(bev) == EV_SSIZE_MAX);
	CHECK_EQUAL(bufferevent_get_max_to_read(bev), 16384);
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, NULL), 0);
	end();
}

CASE(setting_a_limit_starts_what_is_enabled, EVERY_BACKEND)
{
	struct ev_token_bucket_cfg *other = ev_token_bucket_cfg_new(10, 10, 10, 10, &long_tick);

	begin(EV_READ | EV_WRITE);
	cfg = ev_token_bucket_cfg_new(1000, 5000, 2000, 6000, &long_tick);
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, cfg), 0);
	settle();
	printf("another\n");
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, other), 0);
	settle();
	printf("the same\n");
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, other), 0);
	settle();
	printf("used up\n");
	bufferevent_decrement_write_limit(bev, 20);
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, cfg), 0);
	settle();
	end();
	ev_token_bucket_cfg_free(other);
}

CASE(reading_stops, EVERY_BACKEND)
{
	begin(EV_READ);
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	cfg = ev_token_bucket_cfg_new(1000, 1000, 1000, 1000, &long_tick);
	bufferevent_set_rate_limit(bev, cfg);
	send_all(ends[1], data, 3000);
	settle();
	CHECK_EQUAL(in(), 1000);
	CHECK_EQUAL(bufferevent_get_read_limit(bev), 0);
	CHECK_EQUAL(bufferevent_get_max_to_read(bev), 0);
	/* Without the limit it continues. */
	bufferevent_set_rate_limit(bev, NULL);
	settle();
	CHECK_EQUAL(in(), 3000);
	end();
}

CASE(writing_stops, EVERY_BACKEND)
{
	begin(EV_WRITE);
	cfg = ev_token_bucket_cfg_new(1000, 1000, 1000, 1000, &long_tick);
	bufferevent_set_rate_limit(bev, cfg);
	bufferevent_write(bev, data, 3000);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 1000);
	CHECK_EQUAL(bufferevent_get_write_limit(bev), 0);
	bufferevent_write(bev, data, 500);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), 2500);
	bufferevent_set_rate_limit(bev, NULL);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 2500);
	end();
}

CASE(counted_by_hand, ONE_BACKEND)
{
	begin(EV_READ | EV_WRITE);
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	cfg = ev_token_bucket_cfg_new(1000, 5000, 1000, 5000, &long_tick);
	bufferevent_set_rate_limit(bev, cfg);
	CHECK_EQUAL(bufferevent_decrement_read_limit(bev, 400), 0);
	CHECK_EQUAL(bufferevent_get_read_limit(bev), 600);
	CHECK_EQUAL(bufferevent_decrement_write_limit(bev, 1500), 0);
	CHECK_EQUAL(bufferevent_get_write_limit(bev), -500);
	CHECK_EQUAL(bufferevent_get_max_to_write(bev), 0);
	bufferevent_write(bev, "kept", 4);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 0);
	CHECK_EQUAL(bufferevent_decrement_write_limit(bev, -1000), 0);
	CHECK_EQUAL(bufferevent_get_write_limit(bev), 500);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 4);
	CHECK_EQUAL(bufferevent_decrement_read_limit(bev, 600), 0);
	send_all(ends[1], data, 10);
	settle();
	CHECK_EQUAL(in(), 0);
	CHECK_EQUAL(bufferevent_decrement_read_limit(bev, -5), 0);
	settle();
	CHECK_EQUAL(in(), 5);
	end();
}

CASE(refill, EVERY_BACKEND)
{
	long long start = milliseconds();
	int i;

	begin(EV_READ);
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	cfg = ev_token_bucket_cfg_new(100, 100, 100, 100, &tick);
	bufferevent_set_rate_limit(bev, cfg);
	send_all(ends[1], data, 1000);
	for (i = 0; i < 200 && in() < 1000; i++)
		run_for(10);
	CHECK_EQUAL(in(), 1000);
	/* The first of ten ticks may be short. */
	CHECK(milliseconds() - start >= 390);
	end();
}

/* What is not used is kept, up to the burst. */
CASE(burst, ONE_BACKEND)
{
	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(100, 350, 100, 250, &tick);
	bufferevent_set_rate_limit(bev, cfg);
	run_for(400);
	CHECK_EQUAL(bufferevent_get_read_limit(bev), 350);
	CHECK_EQUAL(bufferevent_get_write_limit(bev), 250);
	end();
}

CASE(smaller_burst_clips, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *smaller;

	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(1000, 5000, 1000, 5000, &long_tick);
	smaller = ev_token_bucket_cfg_new(10, 500, 10, 5000, &long_tick);
	bufferevent_set_rate_limit(bev, cfg);
	bufferevent_set_rate_limit(bev, smaller);
	CHECK_EQUAL(bufferevent_get_read_limit(bev), 500);
	CHECK_EQUAL(bufferevent_get_write_limit(bev), 1000);
	bufferevent_set_rate_limit(bev, NULL);
	ev_token_bucket_cfg_free(smaller);
	end();
}

CASE(free_while_exhausted, ONE_BACKEND)
{
	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(10, 10, 10, 10, &tick);
	bufferevent_set_rate_limit(bev, cfg);
	send_all(ends[1], data, 100);
	settle();
	end();
}

/* Used up at different times of the same tick. */
DIFFERENCE(refilled_when_the_tick_begins, ONE_BACKEND | OWN_LOCKS,
	"rate limits are refilled later and later, so that less data passes than was configured")
{
	struct timeval first, second;

	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(10, 10, 10, 10, &long_tick);
	bufferevent_set_rate_limit(bev, cfg);
	bufferevent_decrement_read_limit(bev, 10);
	first = next_refill();
	bufferevent_decrement_read_limit(bev, -10);
	run_for(20);
	bufferevent_decrement_read_limit(bev, 10);
	second = next_refill();
	CHECK(evutil_timercmp(&first, &second, ==));
	bufferevent_set_rate_limit(bev, NULL);
	end();
}

static void
clock_now(struct timeval *now)
{
	struct timespec time;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
	now->tv_sec = time.tv_sec;
	now->tv_usec = time.tv_nsec / 1000;
}

/* The first tick has its whole length: the bucket, which is full for it, is not filled again earlier. */
CASE(the_first_tick_is_a_whole_one, ONE_BACKEND | OWN_LOCKS)
{
	struct timeval begun, refill, length;
	int i;

	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(10, 10, 10, 10, &tick);
	for (i = 0; i < 10; i++) {
		usleep(7000);
		event_base_update_cache_time(base);
		clock_now(&begun);
		bufferevent_set_rate_limit(bev, cfg);
		bufferevent_decrement_read_limit(bev, 10);
		refill = next_refill();
		evutil_timersub(&refill, &begun, &length);
		/* The time that the library reads may be some milliseconds old. */
		CHECK(length.tv_sec == 0 && length.tv_usec > tick.tv_usec - 10000);
		bufferevent_set_rate_limit(bev, NULL);
	}
	end();
}

CASE(the_first_tick_of_a_group_is_a_whole_one, ONE_BACKEND | OWN_LOCKS)
{
	struct bufferevent_rate_limit_group *group;
	struct timeval begun, refill, length;
	int i;

	make_base();
	cfg = ev_token_bucket_cfg_new(10, 10, 10, 10, &tick);
	for (i = 0; i < 10; i++) {
		usleep(7000);
		clock_now(&begun);
		group = bufferevent_rate_limit_group_new(base, cfg);
		refill = next_refill();
		evutil_timersub(&refill, &begun, &length);
		CHECK(length.tv_sec == 0 && length.tv_usec > tick.tv_usec - 10000);
		bufferevent_rate_limit_group_free(group);
	}
	ev_token_bucket_cfg_free(cfg);
	finish();
}

/* What passes in this many ticks is no more than that many times what one brings. */
CASE(bytes_of_twenty_ticks, ONE_BACKEND)
{
	struct timeval twenty = {0, 395000}, fast = {0, 20000};

	begin(0);
	cfg = ev_token_bucket_cfg_new(100, 100, 100, 100, &fast);
	send_all(ends[1], data, 10000);
	usleep(11000);
	bufferevent_setcb(bev, count_bytes, NULL, NULL, NULL);
	bufferevent_set_rate_limit(bev, cfg);
	bufferevent_enable(bev, EV_READ);
	event_base_loopexit(base, &twenty);
	event_base_dispatch(base);
	CHECK(bytes > 0 && bytes <= 20 * 100);
	end();
}

DIFFERENCE(single_transfers_count_too, ONE_BACKEND,
	"bufferevent_set_max_single_read has no effect on a bufferevent with a rate limit")
{
	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(1000, 1000, 1000, 1000, &long_tick);
	bufferevent_set_max_single_read(bev, 100);
	bufferevent_set_max_single_write(bev, 200);
	bufferevent_set_rate_limit(bev, cfg);
	CHECK_EQUAL(bufferevent_get_max_to_read(bev), 100);
	CHECK_EQUAL(bufferevent_get_max_to_write(bev), 200);
	end();
}

DIFFERENCE(excess_does_not_grow, ONE_BACKEND,
	"a rate limit that a program raised above its burst grows without bound")
{
	struct timeval fast = {0, 20000};

	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(1000, 2000, 1000, 2000, &fast);
	bufferevent_set_rate_limit(bev, cfg);
	bufferevent_decrement_read_limit(bev, -90000);
	run_for(200);
	CHECK(bufferevent_get_read_limit(bev) <= 91000 + 1000);
	end();
}

DIFFERENCE(other_tick_length, ONE_BACKEND,
	"a rate limit that is replaced by one with another tick length counts ticks of both")
{
	struct ev_token_bucket_cfg *slow;
	struct timeval fast = {100, 0};

	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(1, 5000, 1, 5000, &fast);
	slow = ev_token_bucket_cfg_new(1, 5000, 1, 5000, &long_tick);
	bufferevent_set_rate_limit(bev, slow);
	bufferevent_set_rate_limit(bev, cfg);
	CHECK(bufferevent_get_read_limit(bev) < 1000);
	bufferevent_set_rate_limit(bev, NULL);
	ev_token_bucket_cfg_free(slow);
	end();
}

/* The wall clock as this program and the library see it. */
static long clock_shift;

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec time;

	(void)zone;
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &time);
	now->tv_sec = time.tv_sec + clock_shift;
	now->tv_usec = time.tv_nsec / 1000;
	return 0;
}

int
clock_gettime(clockid_t which, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, which, now);

	if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)
		now->tv_sec += clock_shift;
	return result;
}

DIFFERENCE(clock_set_back, ONE_BACKEND,
	"after the clock was set back, rate limits let nothing through until it has caught up")
{
	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(100, 100, 100, 100, &tick);
	bufferevent_set_rate_limit(bev, cfg);
	bufferevent_decrement_read_limit(bev, 100);
	clock_shift = -1000;
	usleep(120000);
	CHECK_EQUAL(bufferevent_get_read_limit(bev), 100);
	end();
}

/* Setting the clock forward fills nothing. */
DIFFERENCE(clock_set_forward, ONE_BACKEND, "setting the clock forward fills rate limits")
{
	begin(EV_READ);
	cfg = ev_token_bucket_cfg_new(1, 1000000, 1, 1000000, &long_tick);
	bufferevent_set_rate_limit(bev, cfg);
	clock_shift = 100000000;
	CHECK(bufferevent_get_read_limit(bev) <= 2);
	end();
}

/* Members on pairs and filters are not limited. */
CASE(pairs_are_not_limited, ONE_BACKEND)
{
	struct bufferevent *pair[2];

	make_base();
	cfg = ev_token_bucket_cfg_new(10, 10, 10, 10, &long_tick);
	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	printf("set: %d\n", bufferevent_set_rate_limit(pair[1], cfg));
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_write(pair[0], data, 1000);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(pair[1])), 1000);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	finish();
	ev_token_bucket_cfg_free(cfg);
}
