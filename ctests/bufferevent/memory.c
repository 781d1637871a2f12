/* Every allocation fails once: nothing is lost, nothing crashes, and all memory comes back. */
#include "allocator.h"
#include "tools.h"

#include <event2/thread.h>

static int ends[2];
static long alive;
static int descriptors;

/* Runs `attempt`, whose result tells success, with the n-th allocation failing for every n. */
static void
with_each_failure(int (*attempt)(void))
{
	int n, succeeded;

	signal(SIGPIPE, SIG_IGN);
	allocator_install();
	base = event_base_new();
	/* What a base makes once and keeps. */
	CHECK(attempt());
	settle();
	alive = allocator.alive;
	descriptors = open_descriptors();
	for (n = 1;; n++) {
		long failed;

		allocator_fail_at(n);
		succeeded = attempt();
		failed = allocator.failed;
		allocator_fail_at(0);
		settle();
		CHECK_EQUAL(open_descriptors(), descriptors);
		CHECK_EQUAL(allocator.alive, alive);
		if (!failed) {
			CHECK(succeeded);
			break;
		}
	}
	event_base_free(base);
	CHECK(n > 1);
}

static int
new_socket(void)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

	if (bev)
		bufferevent_free(bev);
	return bev != NULL;
}

CASE(socket_new, ONE_BACKEND | OWN_DEBUG_MODE)
{
	with_each_failure(new_socket);
}

static int
new_locked_socket(void)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS);

	if (bev)
		bufferevent_free(bev);
	return bev != NULL;
}

CASE(locked_socket_new, ONE_BACKEND | OWN_DEBUG_MODE)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	with_each_failure(new_locked_socket);
}

static int
new_pair(void)
{
	struct bufferevent *pair[2];

	if (bufferevent_pair_new(base, 0, pair) < 0)
		return 0;
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	return 1;
}

DIFFERENCE(pair_new, ONE_BACKEND | OWN_DEBUG_MODE, "A pair for which there is no memory crashes")
{
	with_each_failure(new_pair);
}

static int
new_filter(void)
{
	struct bufferevent *bottom = bufferevent_socket_new(base, -1, 0), *filter;

	if (!bottom)
		return 0;
	filter = bufferevent_filter_new(bottom, NULL, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	bufferevent_free(filter ? filter : bottom);
	return filter != NULL;
}

DIFFERENCE(filter_new, ONE_BACKEND | OWN_DEBUG_MODE,
	"A filter for which there is no memory crashes")
{
	with_each_failure(new_filter);
}

static int
limit_rate(void)
{
	struct ev_token_bucket_cfg *cfg = ev_token_bucket_cfg_new(1, 1, 1, 1, NULL);
	struct bufferevent_rate_limit_group *group = NULL;
	struct bufferevent *bev = NULL;
	int success = 0;

	if (cfg)
		group = bufferevent_rate_limit_group_new(base, cfg);
	if (group)
		bev = bufferevent_socket_new(base, -1, 0);
	if (bev)
		success = !bufferevent_set_rate_limit(bev, cfg) && !bufferevent_add_to_rate_limit_group(bev, group);
	if (bev) {
		bufferevent_set_rate_limit(bev, NULL);
		bufferevent_remove_from_rate_limit_group(bev);
		bufferevent_free(bev);
	}
	if (group)
		bufferevent_rate_limit_group_free(group);
	if (cfg)
		ev_token_bucket_cfg_free(cfg);
	return success;
}

CASE(rate_limits, ONE_BACKEND | OWN_DEBUG_MODE)
{
	with_each_failure(limit_rate);
}

static int
connect_by_name(void)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	int success;

	if (!bev)
		return 0;
	success = !bufferevent_socket_connect_hostname(bev, NULL, AF_INET, "127.0.0.1", 1) && bufferevent_getfd(bev) >= 0;
	bufferevent_free(bev);
	return success;
}

CASE(connecting_by_name, ONE_BACKEND | OWN_DEBUG_MODE)
{
	with_each_failure(connect_by_name);
}

/* A connection that could not be started leaves no descriptor behind. */
static int
connect_socket(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(1)};
	struct timeval minute = {60, 0};
	/* A new one, which has no memory for descriptors and deadlines yet. */
	struct event_base *own = event_base_new();
	struct bufferevent *bev = own ? bufferevent_socket_new(own, -1, BEV_OPT_CLOSE_ON_FREE) : NULL;
	int success = 0;

	if (bev) {
		bufferevent_set_timeouts(bev, &minute, &minute);
		bufferevent_enable(bev, EV_READ | EV_WRITE);
		success = !bufferevent_socket_connect(bev, (struct sockaddr *)&address, sizeof address);
		CHECK(success == (bufferevent_getfd(bev) >= 0));
		bufferevent_free(bev);
	}
	if (own)
		event_base_free(own);
	return success;
}

CASE(connecting, ONE_BACKEND | OWN_DEBUG_MODE)
{
	with_each_failure(connect_socket);
}

/* A write that fails leaves the output as it was. */
CASE(writing, ONE_BACKEND | OWN_DEBUG_MODE)
{
	static char data[5000], got[30000];
	struct bufferevent *bev;
	int n, expected = 0;

	signal(SIGPIPE, SIG_IGN);
	allocator_install();
	base = event_base_new();
	make_connection(0, ends);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	settle();
	for (n = 0; n < 5; n++) {
		int result;
		size_t before = evbuffer_get_length(bufferevent_get_output(bev));

		allocator_fail_at(n);
		result = bufferevent_write(bev, data, sizeof data);
		allocator_fail_at(0);
		if (result == 0)
			expected += sizeof data;
		CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), before + (result == 0 ? sizeof data : 0));
		settle();
	}
	CHECK_EQUAL(received(ends[1], got, sizeof got), expected);
	CHECK(expected >= 10000);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
	CHECK_EQUAL(allocator.alive, 0);
}

static int reads, read_bytes, events;

static void
take_all(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	reads++;
	read_bytes += (int)evbuffer_get_length(input);
	evbuffer_drain(input, evbuffer_get_length(input));
}

static void
note_error(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	CHECK_EQUAL(what, BEV_EVENT_READING | BEV_EVENT_ERROR);
	CHECK_EQUAL(errno, ENOMEM);
	events++;
	bufferevent_enable(bev, EV_READ);
}

/* A read without memory fails or works without it; what has arrived is not lost. */
CASE(reading, ONE_BACKEND | OWN_DEBUG_MODE)
{
	struct bufferevent *bev;
	int n;

	signal(SIGPIPE, SIG_IGN);
	allocator_install();
	base = event_base_new();
	make_connection(0, ends);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(bev, take_all, NULL, note_error, NULL);
	bufferevent_enable(bev, EV_READ);
	settle();
	for (n = 1; n < 5; n++) {
		send_all(ends[1], "0123456789", 10);
		errno = 0;
		allocator_fail_at(n);
		event_base_loop(base, EVLOOP_NONBLOCK);
		allocator_fail_at(0);
		settle();
		CHECK_EQUAL(read_bytes, 10 * n);
	}
	bufferevent_free(bev);
	close(ends[1]);
	finish();
	CHECK_EQUAL(allocator.alive, 0);
}

/* An allocator need not set errno when it fails; the old value of errno is not the reason. */
static void *
refuse_silently(size_t size)
{
	void *memory = allocator_malloc(size);

	if (!memory)
		errno = EBADF;
	return memory;
}

DIFFERENCE(reading_without_any_memory, ONE_BACKEND | OWN_DEBUG_MODE,
	"a read that runs out of memory reports an error with an unrelated errno")
{
	struct bufferevent *bev;

	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(refuse_silently, allocator_realloc, allocator_free);
	base = event_base_new();
	make_connection(0, ends);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(bev, take_all, NULL, note_error, NULL);
	bufferevent_enable(bev, EV_READ);
	settle();
	send_all(ends[1], "0123456789", 10);
	allocator_fail_at(1);
	allocator.fail_on = 1;
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	allocator_fail_at(0);
	settle();
	/* With a correct error before, or without any. */
	CHECK_EQUAL(read_bytes, 10);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

/* What was accepted is sent, also when there is no memory for its timeout. */
DIFFERENCE(writing_without_memory_for_the_timeout, ONE_BACKEND | OWN_DEBUG_MODE,
	"when there is no memory for the write timeout, output is accepted but never sent")
{
	enum { TIMERS = 200 };
	struct timeval hour = {3600, 0};
	struct event *timers[TIMERS];
	struct bufferevent *bev;
	char data[100];
	int full = 0;

	signal(SIGPIPE, SIG_IGN);
	allocator_install();
	base = event_base_new();
	make_connection(0, ends);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_set_timeouts(bev, NULL, &hour);
	bufferevent_write(bev, "first", 5); /* what the base has for a descriptor stays */
	settle();
	CHECK_EQUAL(recv(ends[1], data, sizeof data, MSG_DONTWAIT), 5);
	CHECK_EQUAL(evbuffer_expand(bufferevent_get_output(bev), 1000), 0);
	for (int i = 0; i < TIMERS; i++)
		timers[i] = evtimer_new(base, ignore_event, NULL);
	allocator_fail_at(1);
	allocator.fail_on = 1;
	while (full < TIMERS && event_add(timers[full], &hour) == 0)
		full++;
	CHECK(full < TIMERS);
	CHECK_EQUAL(bufferevent_write(bev, "0123456789", 10), 0);
	settle();
	allocator_fail_at(0);
	CHECK_EQUAL(recv(ends[1], data, sizeof data, MSG_DONTWAIT), 10);
	for (int i = 0; i < TIMERS; i++)
		event_free(timers[i]);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

/* Everything is given back. */
CASE(all_memory_comes_back, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	struct ev_token_bucket_cfg *cfg;
	struct bufferevent_rate_limit_group *group;
	struct bufferevent *bev, *filter, *pair[2];

	allocator_install();
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	make_connection(0, ends);
	cfg = ev_token_bucket_cfg_new(10, 10, 10, 10, NULL);
	group = bufferevent_rate_limit_group_new(base, cfg);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_set_rate_limit(bev, cfg);
	bufferevent_add_to_rate_limit_group(bev, group);
	filter = bufferevent_filter_new(bev, NULL, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	bufferevent_setwatermark(filter, EV_READ, 0, 10);
	bufferevent_setwatermark(bev, EV_READ, 0, 10);
	bufferevent_write(filter, "unsent and sent", 15);
	bufferevent_enable(filter, EV_READ);
	bufferevent_pair_new(base, 0, pair);
	bufferevent_write(pair[0], "unsent", 6);
	send_all(ends[1], "01234567890123456789", 20);
	settle();
	bufferevent_remove_from_rate_limit_group(bev);
	bufferevent_free(filter);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	settle();
	bufferevent_rate_limit_group_free(group);
	event_base_free(base);
	ev_token_bucket_cfg_free(cfg);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
	CHECK(!is_open(ends[0]));
	close(ends[1]);
}

/* Idle connections keep no large memory for the few bytes that they got. */
CASE(small_reads_keep_little, ONE_BACKEND | OWN_DEBUG_MODE)
{
	struct bufferevent *bevs[20];
	int peers[20], i;
	size_t before;

	allocator_install();
	base = event_base_new();
	for (i = 0; i < 20; i++) {
		make_connection(0, ends);
		peers[i] = ends[1];
		bevs[i] = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
		bufferevent_enable(bevs[i], EV_READ);
	}
	settle();
	before = allocator.held;
	for (i = 0; i < 20; i++)
		send_all(peers[i], "abcd", 4);
	settle();
	for (i = 0; i < 20; i++)
		CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(bevs[i])), 4);
	/* What one base keeps for all of them does not count. */
	CHECK(allocator.held - before <= 20 * 5000 + 32768);
	for (i = 0; i < 20; i++) {
		bufferevent_free(bevs[i]);
		close(peers[i]);
	}
	finish();
}

/* Debug mode has a record of every event, which goes with the event. No address is given out twice
 * here, so that none is found in the record of another. */
static void *kept[2000];
static int kept_count;

static void
keep_instead_of_freeing(void *memory)
{
	struct allocator_block *block = (struct allocator_block *)memory - 1;

	if (!memory)
		return;
	CHECK(block->mark == ALLOCATOR_ALIVE && kept_count < 2000);
	block->mark = ALLOCATOR_DEAD;
	allocator.alive--;
	kept[kept_count++] = block;
}

static void
begin_debug_mode(void)
{
	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(allocator_malloc, allocator_realloc, keep_instead_of_freeing);
	event_enable_debug_mode();
	base = event_base_new();
}

static void
end_debug_mode(void)
{
	event_base_free(base);
	while (kept_count > 0)
		free(kept[--kept_count]);
}

static void
in_debug_mode(int (*attempt)(void))
{
	int i;

	begin_debug_mode();
	CHECK(attempt());
	settle();
	alive = allocator.alive;
	for (i = 0; i < 10; i++) {
		CHECK(attempt());
		settle();
		CHECK_EQUAL(allocator.alive, alive);
	}
	end_debug_mode();
}

#define KEPT_RECORDS "debug mode keeps records of the events of freed bufferevents, and grows without bound"

DIFFERENCE(debug_mode_forgets_sockets, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS, KEPT_RECORDS)
{
	in_debug_mode(new_socket);
}

DIFFERENCE(debug_mode_forgets_pairs, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS, KEPT_RECORDS)
{
	in_debug_mode(new_pair);
}

DIFFERENCE(debug_mode_forgets_filters, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS, KEPT_RECORDS)
{
	in_debug_mode(new_filter);
}

DIFFERENCE(debug_mode_forgets_rate_limits, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS, KEPT_RECORDS)
{
	in_debug_mode(limit_rate);
}

/* Without its last block, a bufferevent is not made, and leaves nothing. */
static void
fail_at_the_last(int (*attempt)(void))
{
	int last;

	CHECK(attempt());
	settle();
	alive = allocator.alive;
	allocator_fail_at(0);
	CHECK(attempt());
	last = (int)allocator.made;
	settle();
	CHECK_EQUAL(allocator.alive, alive);
	allocator_fail_at(last);
	CHECK(!attempt());
	allocator_fail_at(0);
	settle();
	CHECK_EQUAL(allocator.alive, alive);
}

#define MADE_BY_HALF "when memory is short, a bufferevent is made that never sends its output"

DIFFERENCE(none_is_made_by_half, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS, MADE_BY_HALF)
{
	signal(SIGPIPE, SIG_IGN);
	allocator_install();
	base = event_base_new();
	fail_at_the_last(new_socket);
	fail_at_the_last(new_pair);
	event_base_free(base);
}

DIFFERENCE(no_filter_is_made_by_half, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS, MADE_BY_HALF)
{
	begin_debug_mode();
	fail_at_the_last(new_filter);
	end_debug_mode();
}
