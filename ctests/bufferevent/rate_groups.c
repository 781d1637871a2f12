/* Rate limits of groups, and states in which nothing may be moved. */
#include "rate_limits.h"

#include <time.h>

enum { MEMBERS = 4 };
static struct bufferevent *members[MEMBERS];
static int peers[MEMBERS];
static struct bufferevent_rate_limit_group *group;

static void
begin_group(size_t rate, const struct timeval *length)
{
	int i;

	make_base();
	cfg = ev_token_bucket_cfg_new(rate, rate, rate, rate, length);
	group = bufferevent_rate_limit_group_new(base, cfg);
	CHECK(group);
	for (i = 0; i < MEMBERS; i++) {
		make_connection(0, ends);
		peers[i] = ends[1];
		members[i] = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
		CHECK_EQUAL(bufferevent_add_to_rate_limit_group(members[i], group), 0);
		CHECK_EQUAL(bufferevent_add_to_rate_limit_group(members[i], group), 0);
		bufferevent_enable(members[i], EV_READ);
	}
	settle();
}

static void
end_group(void)
{
	int i;

	for (i = 0; i < MEMBERS; i++) {
		CHECK_EQUAL(bufferevent_remove_from_rate_limit_group(members[i]), 0);
		CHECK_EQUAL(bufferevent_remove_from_rate_limit_group(members[i]), 0);
		bufferevent_free(members[i]);
		close(peers[i]);
	}
	bufferevent_rate_limit_group_free(group);
	ev_token_bucket_cfg_free(cfg);
	finish();
}

static int
read_by(int i)
{
	return (int)evbuffer_get_length(bufferevent_get_input(members[i]));
}

static int
read_by_all(void)
{
	int i, sum = 0;

	for (i = 0; i < MEMBERS; i++)
		sum += read_by(i);
	return sum;
}

CASE(group_shares, ONE_BACKEND)
{
	ev_uint64_t read_total = 7, written_total = 7;
	int i;

	begin_group(4000, &long_tick);
	CHECK_EQUAL(bufferevent_rate_limit_group_get_read_limit(group), 4000);
	CHECK_EQUAL(bufferevent_rate_limit_group_get_write_limit(group), 4000);
	CHECK_EQUAL(bufferevent_get_max_to_read(members[0]), 1000);
	CHECK_EQUAL(bufferevent_get_max_to_write(members[0]), 1000);
	CHECK(bufferevent_get_read_limit(members[0]) == EV_SSIZE_MAX);
	for (i = 0; i < MEMBERS; i++)
		send_all(peers[i], data, 3000);
	for (i = 0; i < 100 && read_by_all() < 4000; i++)
		run_for(50);
	run_for(50);
	printf("all %d, left %d\n", read_by_all() >= 4000 && read_by_all() < 4200,
	       (int)bufferevent_rate_limit_group_get_read_limit(group) <= 0);
	for (i = 0; i < MEMBERS; i++)
		CHECK(read_by(i) > 0 && read_by(i) <= 3000);
	bufferevent_rate_limit_group_get_totals(group, &read_total, &written_total);
	CHECK_EQUAL(read_total, read_by_all());
	CHECK_EQUAL(written_total, 0);
	bufferevent_rate_limit_group_reset_totals(group);
	bufferevent_rate_limit_group_get_totals(group, &read_total, NULL);
	CHECK_EQUAL(read_total, 0);
	bufferevent_rate_limit_group_get_totals(group, NULL, NULL);
	/* Whoever leaves the group continues reading. */
	CHECK_EQUAL(bufferevent_remove_from_rate_limit_group(members[0]), 0);
	settle();
	CHECK_EQUAL(read_by(0), 3000);
	end_group();
}

CASE(group_writes, ONE_BACKEND)
{
	static char sink[100000];
	int i, tries, got = 0, before = -1;

	begin_group(4000, &long_tick);
	for (i = 0; i < MEMBERS; i++)
		bufferevent_write(members[i], data, 3000);
	for (tries = 0; tries < 100 && (got < 4000 || got > before); tries++) {
		before = got;
		run_for(50);
		for (i = 0; i < MEMBERS; i++)
			got += received(peers[i], sink, sizeof sink);
	}
	CHECK(got >= 4000 && got < 4200);
	end_group();
}

CASE(group_least_share, ONE_BACKEND)
{
	begin_group(4000, &long_tick);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_min_share(group, 2000), 0);
	CHECK_EQUAL(bufferevent_get_max_to_read(members[0]), 2000);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_min_share(group, 100000), 0);
	CHECK_EQUAL(bufferevent_get_max_to_read(members[0]), 4000);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_min_share(group, 0), 0);
	CHECK_EQUAL(bufferevent_get_max_to_read(members[0]), 1000);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_min_share(group, SIZE_MAX), -1);
	end_group();
}

CASE(group_counted_by_hand, ONE_BACKEND)
{
	begin_group(4000, &long_tick);
	CHECK_EQUAL(bufferevent_rate_limit_group_decrement_read(group, 1000), 0);
	CHECK_EQUAL(bufferevent_rate_limit_group_get_read_limit(group), 3000);
	CHECK_EQUAL(bufferevent_rate_limit_group_decrement_read(group, 3000), 0);
	send_all(peers[0], data, 100);
	settle();
	CHECK_EQUAL(read_by(0), 0);
	CHECK_EQUAL(bufferevent_get_max_to_read(members[0]), 0);
	CHECK_EQUAL(bufferevent_rate_limit_group_decrement_read(group, -1000), 0);
	settle();
	CHECK_EQUAL(read_by(0), 100);
	CHECK_EQUAL(bufferevent_rate_limit_group_decrement_write(group, 5000), 0);
	CHECK_EQUAL(bufferevent_rate_limit_group_get_write_limit(group), -1000);
	end_group();
}

CASE(group_reconfigured, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *other = ev_token_bucket_cfg_new(500, 600, 700, 800, &long_tick);

	begin_group(4000, &long_tick);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_cfg(NULL, other), -1);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_cfg(group, NULL), -1);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_cfg(group, other), 0);
	/* The group has a copy. */
	ev_token_bucket_cfg_free(other);
	CHECK_EQUAL(bufferevent_rate_limit_group_get_read_limit(group), 600);
	CHECK_EQUAL(bufferevent_rate_limit_group_get_write_limit(group), 800);
	end_group();
}

CASE(group_refills, ONE_BACKEND)
{
	long long start = milliseconds();
	int i, sent = 0;

	begin_group(2000, &tick);
	for (i = 0; i < MEMBERS; i++)
		send_all(peers[i], data, 3000);
	for (i = 0; i < 200 && sent < 12000; i++) {
		run_for(10);
		sent = read_by_all();
	}
	CHECK_EQUAL(sent, 12000);
	CHECK(milliseconds() - start >= 150);
	end_group();
}

CASE(group_keeps_the_loop, ONE_BACKEND)
{
	make_base();
	cfg = ev_token_bucket_cfg_new(100, 100, 100, 100, &long_tick);
	group = bufferevent_rate_limit_group_new(base, cfg);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	bufferevent_rate_limit_group_free(group);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	ev_token_bucket_cfg_free(cfg);
	finish();
}

/* Whoever joins a group whose bucket is empty is suspended at once, and so are its timeouts. */
CASE(no_timeout_in_a_group_that_is_used_up, ONE_BACKEND)
{
	struct timeval soon = {0, 20000};

	begin_group(4000, &long_tick);
	bufferevent_rate_limit_group_decrement_read(group, 4000);
	bufferevent_remove_from_rate_limit_group(members[0]);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(members[0], group), 0);
	bufferevent_setcb(members[0], NULL, NULL, trace_event, &(struct traced){.name = "member"});
	bufferevent_set_timeouts(members[0], &soon, NULL);
	run_for(100);
	printf("while it rests: %d\n", happened);
	CHECK_EQUAL(happened, 0);
	bufferevent_rate_limit_group_decrement_read(group, -4000);
	run_until(&happened, 1);
	end_group();
}

CASE(from_group_to_group, ONE_BACKEND)
{
	struct bufferevent_rate_limit_group *other;

	begin_group(4000, &long_tick);
	other = bufferevent_rate_limit_group_new(base, cfg);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(members[0], other), 0);
	CHECK_EQUAL(bufferevent_get_max_to_read(members[0]), 4000);
	CHECK_EQUAL(bufferevent_get_max_to_read(members[1]), 1333);
	bufferevent_rate_limit_group_decrement_read(other, 4000);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(members[1], other), 0);
	send_all(peers[1], data, 100);
	settle();
	CHECK_EQUAL(read_by(1), 0);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(members[1], group), 0);
	settle();
	CHECK_EQUAL(read_by(1), 100);
	bufferevent_remove_from_rate_limit_group(members[0]);
	bufferevent_rate_limit_group_free(other);
	end_group();
}

CASE(own_limit_and_group, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *own = ev_token_bucket_cfg_new(300, 300, 300, 300, &long_tick);

	begin_group(4000, &long_tick);
	bufferevent_set_rate_limit(members[0], own);
	CHECK_EQUAL(bufferevent_get_max_to_read(members[0]), 300);
	send_all(peers[0], data, 1000);
	settle();
	CHECK_EQUAL(read_by(0), 300);
	CHECK_EQUAL(bufferevent_rate_limit_group_get_read_limit(group), 3700);
	bufferevent_set_rate_limit(members[0], NULL);
	ev_token_bucket_cfg_free(own);
	end_group();
}

DIFFERENCE(group_with_other_tick_length, ONE_BACKEND,
	"a rate limit that is replaced by one with another tick length counts ticks of both")
{
	struct timeval fast = {0, 20000};
	struct ev_token_bucket_cfg *other = ev_token_bucket_cfg_new(10, 5000, 10, 5000, &fast);
	int i;

	/* To ticks with higher numbers, and then to ones with lower numbers. */
	begin_group(10, &long_tick);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_cfg(group, other), 0);
	run_for(30);
	CHECK(bufferevent_rate_limit_group_get_read_limit(group) < 5000);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_cfg(group, cfg), 0);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_cfg(group, other), 0);
	bufferevent_rate_limit_group_decrement_read(group, bufferevent_rate_limit_group_get_read_limit(group));
	for (i = 0; i < 500 && bufferevent_rate_limit_group_get_read_limit(group) <= 0; i++)
		run_for(20);
	CHECK(i < 500);
	ev_token_bucket_cfg_free(other);
	end_group();
}

/* No member is forgotten while others want more than there is. */
CASE(group_is_fair, ONE_BACKEND)
{
	struct timeval fast = {0, 2000};
	int i, passes, served = 0;

	begin_group(64, &fast);
	for (i = 0; i < MEMBERS; i++) {
		bufferevent_setcb(members[i], NULL, NULL, NULL, NULL);
		send_all(peers[i], data, 100000);
	}
	for (passes = 0; passes < 2000 && served < MEMBERS; passes++) {
		run_for(5);
		for (i = served = 0; i < MEMBERS; i++)
			served += read_by(i) >= 256;
	}
	CHECK_EQUAL(served, MEMBERS);
	end_group();
}

DIFFERENCE(null_group_removes, ONE_BACKEND,
	"bufferevent_add_to_rate_limit_group crashes for a NULL group")
{
	begin_group(4000, &long_tick);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(members[0], NULL), 0);
	CHECK_EQUAL(bufferevent_get_max_to_read(members[0]), 16384);
	end_group();
}

DIFFERENCE(free_then_group_free, ONE_BACKEND,
	"bufferevent_rate_limit_group_free ends the process when a member has just been freed")
{
	int i;

	begin_group(4000, &long_tick);
	for (i = 0; i < MEMBERS; i++)
		bufferevent_free(members[i]);
	bufferevent_rate_limit_group_free(group);
	ev_token_bucket_cfg_free(cfg);
	finish();
}

DIFFERENCE(group_refilled_when_the_tick_begins, ONE_BACKEND | OWN_LOCKS,
	"rate limits are refilled later and later, so that less data passes than was configured")
{
	struct timeval first, second, late;
	int i;

	make_base();
	cfg = ev_token_bucket_cfg_new(10, 10, 10, 10, &tick);
	group = bufferevent_rate_limit_group_new(base, cfg);
	for (i = 0; i < 5; i++) {
		usleep(123456); /* the loop is late by more than two ticks */
		event_base_loop(base, EVLOOP_NONBLOCK);
		second = next_refill();
		/* The time of a pass is exact, that at which the group began is not. */
		if (i == 0)
			first = second;
		evutil_timersub(&second, &first, &late);
		CHECK_EQUAL((late.tv_sec * 1000000 + late.tv_usec) % tick.tv_usec, 0);
	}
	bufferevent_rate_limit_group_free(group);
	ev_token_bucket_cfg_free(cfg);
	finish();
}

/* --- States in which nothing can be moved are no reason to look again and again. ------------------ */

static double
processor_seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Runs for a while, most of which must be spent asleep. On a busy machine more processor time may be measured,
 * but not each time. */
static void
stay_idle(void)
{
	double before, spent;
	int tries = 0;

	do {
		before = processor_seconds();
		event_base_loopexit(base, &(struct timeval){0, 250000});
		event_base_dispatch(base);
		spent = processor_seconds() - before;
	} while (spent >= 0.1 && tries++ < 4);
	CHECK(spent < 0.1);
}

enum { MANY = 10 };

static void
share_less_than_a_byte(int rate, ev_ssize_t least, short direction)
{
	struct bufferevent_rate_limit_group *shared;
	struct bufferevent *sharing[MANY];
	int sockets[MANY][2], i;

	make_base();
	bytes = 0;
	cfg = ev_token_bucket_cfg_new((size_t)rate, (size_t)rate, (size_t)rate, (size_t)rate, &long_tick);
	shared = bufferevent_rate_limit_group_new(base, cfg);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_min_share(shared, (size_t)least), 0);
	for (i = 0; i < MANY; i++) {
		make_socketpair(sockets[i]);
		sharing[i] = bufferevent_socket_new(base, sockets[i][0], BEV_OPT_CLOSE_ON_FREE);
		bufferevent_setcb(sharing[i], count_bytes, NULL, NULL, NULL);
		CHECK_EQUAL(bufferevent_add_to_rate_limit_group(sharing[i], shared), 0);
		send_all(sockets[i][1], "hello", 5);
		bufferevent_write(sharing[i], "hello", 5);
		bufferevent_disable(sharing[i], EV_READ | EV_WRITE);
		bufferevent_enable(sharing[i], direction);
	}
	stay_idle();
	for (i = 0; i < MANY; i++) {
		bufferevent_remove_from_rate_limit_group(sharing[i]);
		bufferevent_free(sharing[i]);
		close(sockets[i][1]);
	}
	bufferevent_rate_limit_group_free(shared);
	finish();
	ev_token_bucket_cfg_free(cfg);
	cfg = NULL;
}

CASE(shares_below_a_byte, EVERY_BACKEND)
{
	share_less_than_a_byte(5, 0, EV_READ);
	share_less_than_a_byte(5, 0, EV_WRITE);
	share_less_than_a_byte(1, 0, EV_READ);
	share_less_than_a_byte(1, 0, EV_WRITE);
	share_less_than_a_byte(11, 0, EV_READ);
}

DIFFERENCE(shares_below_a_byte_move_something, ONE_BACKEND,
	"a group whose members get less than a byte each moves nothing")
{
	share_less_than_a_byte(5, 0, EV_READ);
	CHECK_EQUAL(bytes, 5);
}

/* Members in a full group, at the high mark, with an own limit used up, with all of them. */
CASE(nothing_may_move, EVERY_BACKEND)
{
	static const char *states[] = {"group used up", "high mark", "own limit used up", "all of them"};
	struct bufferevent_rate_limit_group *shared;
	int state;

	for (state = 0; state < 4; state++) {
		begin(EV_READ);
		cfg = ev_token_bucket_cfg_new(5, 5, 5, 5, &long_tick);
		shared = bufferevent_rate_limit_group_new(base, cfg);
		bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
		if (state == 0 || state == 3) {
			bufferevent_add_to_rate_limit_group(bev, shared);
			bufferevent_rate_limit_group_decrement_read(shared, 5);
			bufferevent_rate_limit_group_decrement_write(shared, 5);
		}
		if (state == 1 || state == 3)
			bufferevent_setwatermark(bev, EV_READ, 0, 3);
		if (state == 2 || state == 3)
			bufferevent_set_rate_limit(bev, cfg);
		send_all(ends[1], data, 10000);
		bufferevent_enable(bev, EV_READ | EV_WRITE);
		if (state != 1)
			bufferevent_write(bev, data, 10000);
		stay_idle();
		printf("%s: %d read\n", states[state], in());
		bufferevent_remove_from_rate_limit_group(bev);
		bufferevent_rate_limit_group_free(shared);
		end();
		cfg = NULL;
	}
}
