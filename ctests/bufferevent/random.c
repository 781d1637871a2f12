/* Random work on many bufferevents at once, also by their callbacks: whatever is done in whatever
 * order, nothing crashes, and in the end all memory and all descriptors are given back. */
#include "allocator.h"
#include "tools.h"

#include <event2/thread.h>

enum { SLOTS = 12, GROUPS = 2 };

/* A stream: a socket with a raw or another stream's end, half of a pair, or a filter on one. */
static struct slot {
	struct bufferevent *bev;
	int peer;       /* the raw end, or -1 */
	int on_socket;
} slots[SLOTS];

static unsigned state;
static struct ev_token_bucket_cfg *cfg;
static struct bufferevent_rate_limit_group *groups[GROUPS];
static int options, budget;
static char data[40000];

static unsigned
below(unsigned limit)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 8) % limit;
}

static void act(struct slot *slot);

/* Callbacks act too, as long as there is something left to do: on themselves or on others. */
static void
act_in_callback(struct slot *slot)
{
	if (budget > 0 && below(3) == 0) {
		budget--;
		act(below(3) ? slot : &slots[below(SLOTS)]);
	}
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	/* Always take something: an input that stays full is reported for ever. */
	evbuffer_drain(input, evbuffer_get_length(input) / 2 + 1 + below(5000));
	act_in_callback(arg);
}

static void
on_write(struct bufferevent *bev, void *arg)
{
	(void)bev;
	act_in_callback(arg);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	act_in_callback(arg);
}

static void
watch(struct slot *slot, struct bufferevent *bev)
{
	CHECK(bev);
	slot->bev = bev;
	bufferevent_setcb(bev, on_read, on_write, on_event, slot);
}

static struct slot *
free_slot(void)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (!slots[i].bev)
			return &slots[i];
	return NULL;
}

static void
drop(struct slot *slot)
{
	struct bufferevent *bev = slot->bev;
	int peer = slot->peer;

	if (!bev)
		return;
	slot->bev = NULL;
	slot->peer = -1;
	if (slot->on_socket)
		bufferevent_remove_from_rate_limit_group(bev);
	slot->on_socket = 0;
	bufferevent_free(bev);
	if (peer >= 0)
		close(peer);
}

static void
make_stream(struct slot *slot)
{
	struct bufferevent *pair[2];
	struct slot *other;
	int ends[2];

	slot->peer = -1;
	slot->on_socket = 0;
	switch (below(3)) {
	case 0:
		make_socketpair(ends);
		watch(slot, bufferevent_socket_new(base, ends[0], options | BEV_OPT_CLOSE_ON_FREE));
		slot->peer = ends[1];
		slot->on_socket = 1;
		break;
	case 1:
		CHECK_EQUAL(bufferevent_pair_new(base, options, pair), 0);
		watch(slot, pair[0]);
		other = free_slot();
		if (other) {
			other->peer = -1;
			other->on_socket = 0;
			watch(other, pair[1]);
		} else {
			bufferevent_free(pair[1]);
		}
		break;
	default:
		make_socketpair(ends);
		watch(slot, bufferevent_filter_new(bufferevent_socket_new(base, ends[0], options | BEV_OPT_CLOSE_ON_FREE), NULL,
						   NULL, (options & BEV_OPT_DEFER_CALLBACKS) | BEV_OPT_CLOSE_ON_FREE, NULL, NULL));
		slot->peer = ends[1];
	}
	bufferevent_enable(slot->bev, EV_READ | EV_WRITE);
}

static void
use_peer(struct slot *slot)
{
	static char sink[100000];

	if (slot->peer < 0)
		return;
	switch (below(8)) {
	case 0:
		shutdown(slot->peer, SHUT_WR);
		break;
	case 1:
		close(slot->peer);
		slot->peer = -1;
		break;
	case 2:
	case 3:
		received(slot->peer, sink, sizeof sink);
		break;
	default:
		(void)!send(slot->peer, data, 1 + below(20000), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static void
limit(struct slot *slot)
{
	if (!slot->on_socket)
		return;
	switch (below(4)) {
	case 0:
		bufferevent_set_rate_limit(slot->bev, below(2) ? cfg : NULL);
		break;
	case 1:
		bufferevent_add_to_rate_limit_group(slot->bev, groups[below(GROUPS)]);
		break;
	case 2:
		bufferevent_remove_from_rate_limit_group(slot->bev);
		break;
	default:
		bufferevent_rate_limit_group_decrement_read(groups[below(GROUPS)], (ev_ssize_t)below(4000) - 2000);
	}
}

static void
act(struct slot *slot)
{
	static const short directions[] = {EV_READ, EV_WRITE, EV_READ | EV_WRITE};
	struct timeval time = {0, 1000 + (long)below(3000)};
	short direction = directions[below(3)];
	int ends[2], old;

	if (!slot->bev) {
		make_stream(slot);
		return;
	}
	switch (below(16)) {
	case 0:
		drop(slot);
		break;
	case 1:
		bufferevent_disable(slot->bev, direction);
		break;
	case 2:
	case 3:
		bufferevent_enable(slot->bev, direction);
		break;
	case 4:
	case 5:
		if (evbuffer_get_length(bufferevent_get_output(slot->bev)) < 100000)
			bufferevent_write(slot->bev, data, below(sizeof data));
		break;
	case 6:
		bufferevent_setwatermark(slot->bev, direction, below(100), below(2) ? 0 : 100 + below(10000));
		break;
	case 7:
		bufferevent_set_timeouts(slot->bev, below(2) ? &time : NULL, below(2) ? &time : NULL);
		break;
	case 8:
		bufferevent_flush(slot->bev, direction, (enum bufferevent_flush_mode)below(3));
		break;
	case 9:
		bufferevent_trigger(slot->bev, direction, below(2) ? BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS
								   : BEV_TRIG_DEFER_CALLBACKS);
		break;
	case 10:
		bufferevent_trigger_event(slot->bev, BEV_EVENT_EOF, BEV_TRIG_DEFER_CALLBACKS);
		break;
	case 11:
		limit(slot);
		break;
	case 12:
		if (!slot->on_socket || below(3))
			break;
		make_socketpair(ends);
		old = bufferevent_getfd(slot->bev);
		bufferevent_setfd(slot->bev, ends[0]);
		close(old);
		if (slot->peer >= 0)
			close(slot->peer);
		slot->peer = ends[1];
		break;
	default:
		use_peer(slot);
	}
}

static void
play(unsigned seed, int extra)
{
	struct timeval tick = {0, 5000};
	int i, step, before = open_descriptors();

	state = seed;
	options = extra;
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	cfg = ev_token_bucket_cfg_new(3000, 9000, 3000, 9000, &tick);
	for (i = 0; i < GROUPS; i++)
		groups[i] = bufferevent_rate_limit_group_new(base, cfg);
	for (i = 0; i < SLOTS; i++)
		slots[i].peer = -1;
	for (step = 0; step < 300; step++) {
		budget = 20;
		act(&slots[below(SLOTS)]);
		if (below(3) == 0)
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
	budget = 0;
	for (i = 0; i < SLOTS; i++)
		drop(&slots[i]);
	settle();
	for (i = 0; i < GROUPS; i++)
		bufferevent_rate_limit_group_free(groups[i]);
	ev_token_bucket_cfg_free(cfg);
	event_base_free(base);
	CHECK_EQUAL(open_descriptors(), before);
}

static void
play_many(unsigned first, int extra)
{
	unsigned seed;
	long alive;

	allocator_install();
	play(first, extra);
	alive = allocator.alive;
	for (seed = first + 1; seed < first + 40; seed++) {
		play(seed, extra);
		CHECK_EQUAL(allocator.alive, alive);
	}
}

CASE(immediate, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	play_many(1, 0);
}

CASE(deferred, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	play_many(1000, BEV_OPT_DEFER_CALLBACKS);
}

CASE(locked, ONE_BACKEND | OWN_DEBUG_MODE)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	play_many(2000, BEV_OPT_THREADSAFE);
}

CASE(unlocked_callbacks, ONE_BACKEND | OWN_DEBUG_MODE)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	play_many(3000, BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
}
