/* Functions that libevent exports without declaring them in a public header: the buckets of rate
 * limits, and what kinds of bufferevents in other libraries use of them. */
#include "internal.h"

/* Exported functions' own types. */
struct ev_token_bucket {
	ev_ssize_t read_limit, write_limit;
	ev_uint32_t last_updated;
};
int ev_token_bucket_init_(struct ev_token_bucket *, const struct ev_token_bucket_cfg *, ev_uint32_t tick, int again);
int ev_token_bucket_update_(struct ev_token_bucket *, const struct ev_token_bucket_cfg *, ev_uint32_t tick);
ev_uint32_t ev_token_bucket_get_tick_(const struct timeval *, const struct ev_token_bucket_cfg *);

static struct ev_token_bucket bucket;

static struct ev_token_bucket_cfg *
limits(size_t read, size_t most_read, size_t write, size_t most_written, int tick_milliseconds)
{
	struct timeval tick = {tick_milliseconds / 1000, tick_milliseconds % 1000 * 1000};
	struct ev_token_bucket_cfg *cfg = ev_token_bucket_cfg_new(read, most_read, write, most_written, &tick);
	CHECK(cfg);
	return cfg;
}

static void
check_bucket(ev_ssize_t read, ev_ssize_t write, ev_uint32_t updated)
{
	CHECK_EQUAL(bucket.read_limit, read);
	CHECK_EQUAL(bucket.write_limit, write);
	CHECK_EQUAL(bucket.last_updated, updated);
}

CASE(a_new_bucket_holds_what_a_tick_brings, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *cfg = limits(100, 1000, 200, 2000, 1000);
	memset(&bucket, 0xff, sizeof bucket);
	CHECK_EQUAL(ev_token_bucket_init_(&bucket, cfg, 17, 0), 0);
	check_bucket(100, 200, 17);
	ev_token_bucket_cfg_free(cfg);
}

CASE(a_bucket_is_filled_by_ticks_up_to_its_size, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *cfg = limits(100, 1000, 200, 1500, 1000);
	ev_token_bucket_init_(&bucket, cfg, 17, 0);
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, cfg, 17), 0);
	check_bucket(100, 200, 17);
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, cfg, 20), 1);
	check_bucket(400, 800, 20);
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, cfg, 25), 1);
	check_bucket(900, 1500, 25);
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, cfg, 1000000), 1);
	check_bucket(1000, 1500, 1000000);
	bucket.read_limit = -250;
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, cfg, 1000002), 1);
	check_bucket(-50, 1500, 1000002);
	ev_token_bucket_cfg_free(cfg);
}

CASE(time_that_goes_back_fills_nothing, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *cfg = limits(100, 1000, 200, 2000, 1000);
	ev_token_bucket_init_(&bucket, cfg, 17, 0);
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, cfg, 16), 0);
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, cfg, 17 + 0x80000000u), 0);
	check_bucket(100, 200, 17);
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, cfg, 17 + 0x7fffffffu), 1);
	check_bucket(1000, 2000, 17 + 0x7fffffffu);
	ev_token_bucket_cfg_free(cfg);
}

CASE(the_number_of_ticks_wraps, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *cfg = limits(100, 1000, 200, 2000, 1000);
	ev_token_bucket_init_(&bucket, cfg, 0xfffffffe, 0);
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, cfg, 1), 1);
	check_bucket(400, 800, 1);
	ev_token_bucket_cfg_free(cfg);
}

CASE(another_configuration_clips_a_bucket, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *large = limits(1000, 1000, 2000, 2000, 1000), *small = limits(10, 300, 20, 4000, 1000);
	ev_token_bucket_init_(&bucket, large, 17, 0);
	CHECK_EQUAL(ev_token_bucket_init_(&bucket, small, 17, 1), 0);
	check_bucket(300, 2000, 17);
	CHECK_EQUAL(ev_token_bucket_init_(&bucket, large, 17, 1), 0);
	check_bucket(300, 2000, 17);
	ev_token_bucket_cfg_free(large);
	ev_token_bucket_cfg_free(small);
}

DIFFERENCE(another_configuration_counts_its_own_ticks, ONE_BACKEND,
	"a rate limit that is replaced by one with another tick length counts ticks of both")
{
	struct ev_token_bucket_cfg *seconds = limits(10, 1000, 10, 1000, 1000), *tenths = limits(10, 1000, 10, 1000, 100);
	struct timeval time = {1000, 0};
	ev_token_bucket_init_(&bucket, seconds, ev_token_bucket_get_tick_(&time, seconds), 0);
	ev_token_bucket_init_(&bucket, tenths, ev_token_bucket_get_tick_(&time, tenths), 1);
	time.tv_sec++;
	CHECK_EQUAL(ev_token_bucket_update_(&bucket, tenths, ev_token_bucket_get_tick_(&time, tenths)), 1);
	CHECK_EQUAL(bucket.read_limit, 110);
	ev_token_bucket_cfg_free(seconds);
	ev_token_bucket_cfg_free(tenths);
}

CASE(ticks_are_numbered_by_milliseconds, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *second = limits(1, 1, 1, 1, 1000), *odd = limits(1, 1, 1, 1, 7);
	struct timeval time = {10, 999999}, late = {20000000, 5000};
	CHECK_EQUAL(ev_token_bucket_get_tick_(&time, second), 10);
	CHECK_EQUAL(ev_token_bucket_get_tick_(&time, odd), 10999 / 7);
	time.tv_usec = 0;
	CHECK_EQUAL(ev_token_bucket_get_tick_(&time, odd), 10000 / 7);
	time.tv_sec = 0;
	CHECK_EQUAL(ev_token_bucket_get_tick_(&time, odd), 0);
	CHECK_EQUAL(ev_token_bucket_get_tick_(&late, odd), 20000000005ull / 7);
	ev_token_bucket_cfg_free(second);
	ev_token_bucket_cfg_free(odd);
}

CASE(the_number_of_a_tick_has_32_bits, ONE_BACKEND)
{
	struct ev_token_bucket_cfg *shortest = limits(1, 1, 1, 1, 1);
	struct timeval late = {20000000, 5000};
	CHECK_EQUAL(ev_token_bucket_get_tick_(&late, shortest), (ev_uint32_t)20000000005ull);
	ev_token_bucket_cfg_free(shortest);
}

/* What a bufferevent may do. */
static struct bufferevent *bev;
static struct bufferevent_rate_limit_group *group;
static struct ev_token_bucket_cfg *cfg;
static int ends[2];

static void
begin(void)
{
	make_base();
	make_socketpair(ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, NULL);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
}

static void
end(void)
{
	bufferevent_free(bev);
	close(ends[1]);
	settle();
	if (group)
		bufferevent_rate_limit_group_free(group);
	if (cfg)
		ev_token_bucket_cfg_free(cfg);
	finish();
}

static void
check_most(ev_ssize_t read, ev_ssize_t write)
{
	LOCKED(bev, CHECK_EQUAL(bufferevent_get_read_max_(bev), read));
	LOCKED(bev, CHECK_EQUAL(bufferevent_get_write_max_(bev), write));
}

CASE(without_limits_single_sizes_count, ONE_BACKEND)
{
	begin();
	check_most(16384, 16384);
	CHECK_EQUAL(bufferevent_set_max_single_read(bev, 100), 0);
	CHECK_EQUAL(bufferevent_set_max_single_write(bev, 200), 0);
	check_most(100, 200);
	CHECK_EQUAL(bufferevent_decrement_read_buckets_(bev, 1000), 0);
	CHECK_EQUAL(bufferevent_decrement_write_buckets_(bev, 1000), 0);
	check_most(100, 200);
	CHECK_EQUAL(bufferevent_ratelim_init_(bev), 0);
	check_most(16384, 16384);
	end();
}

CASE(the_own_limit_is_used_up, EVERY_BACKEND)
{
	begin();
	cfg = limits(1000, 1000, 2000, 2000, 1000000);
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, cfg), 0);
	check_most(1000, 2000);
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_read_buckets_(bev, 600), 0));
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_write_buckets_(bev, 500), 0));
	check_most(400, 1500);
	print_suspended("some is left", bev);
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_read_buckets_(bev, 700), 0));
	CHECK_EQUAL(bufferevent_get_read_limit(bev), -300);
	check_most(0, 1500);
	print_suspended("nothing to read", bev);
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_write_buckets_(bev, 1500), 0));
	check_most(0, 0);
	print_suspended("nothing to write", bev);
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_read_buckets_(bev, -400), 0));
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_write_buckets_(bev, -1), 0));
	check_most(100, 1);
	print_suspended("some was given back", bev);
	end();
}

static void
join_a_group(void)
{
	begin();
	cfg = limits(1000, 1000, 2000, 2000, 1000000);
	group = bufferevent_rate_limit_group_new(base, cfg);
	CHECK(group);
	CHECK_EQUAL(bufferevent_rate_limit_group_set_min_share(group, 64), 0);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(bev, group), 0);
}

CASE(the_group_is_charged, EVERY_BACKEND)
{
	ev_uint64_t read, written;
	join_a_group();
	check_most(1000, 2000);
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_read_buckets_(bev, 400), 0));
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_write_buckets_(bev, 1990), 0));
	CHECK_EQUAL(bufferevent_rate_limit_group_get_read_limit(group), 600);
	CHECK_EQUAL(bufferevent_rate_limit_group_get_write_limit(group), 10);
	check_most(600, 64);
	print_suspended("some is left", bev);
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_read_buckets_(bev, 600), 0));
	check_most(0, 64);
	print_suspended("nothing to read", bev);
	bufferevent_rate_limit_group_get_totals(group, &read, &written);
	CHECK_EQUAL(read, 1000);
	CHECK_EQUAL(written, 1990);
	bufferevent_remove_from_rate_limit_group(bev);
	end();
}

CASE(members_have_equal_shares, ONE_BACKEND)
{
	struct bufferevent *pair[2];
	join_a_group();
	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(pair[0], group), 0);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(pair[1], group), 0);
	check_most(333, 666);
	CHECK_EQUAL(bufferevent_remove_from_rate_limit_group_internal_(pair[0], 1), 0);
	check_most(500, 1000);
	CHECK_EQUAL(bufferevent_remove_from_rate_limit_group_internal_(pair[0], 1), 0);
	check_most(500, 1000);
	bufferevent_remove_from_rate_limit_group(pair[1]);
	bufferevent_remove_from_rate_limit_group(bev);
	check_most(16384, 16384);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	end();
}

CASE(leaving_a_group_ends_its_suspension_on_request, EVERY_BACKEND)
{
	join_a_group();
	LOCKED(bev, CHECK_EQUAL(bufferevent_decrement_read_buckets_(bev, 1000), 0));
	print_suspended("used up", bev);
	CHECK_EQUAL(bufferevent_remove_from_rate_limit_group_internal_(bev, 0), 0);
	print_suspended("left", bev);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(bev, group), 0);
	print_suspended("joined again", bev);
	CHECK_EQUAL(bufferevent_remove_from_rate_limit_group_internal_(bev, 1), 0);
	print_suspended("left and went on", bev);
	end();
}
