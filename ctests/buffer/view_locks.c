/* Views of buffers and the locks of what they view, seen through the program's lock callbacks. */
#include "harness.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/thread.h>

/* Locks of one thread: only counted. A lock that was freed stays readable. */
static struct counted_lock {
	int alive;
	int depth;
} counted_locks[100];

static int locks_made, used_after_free, held, held_at_once;

static void *
make_lock(unsigned kind)
{
	(void)kind;
	CHECK(locks_made < 100);
	counted_locks[locks_made].alive = 1;
	return &counted_locks[locks_made++];
}

static void
free_lock(void *lock, unsigned kind)
{
	(void)kind;
	((struct counted_lock *)lock)->alive = 0;
}

static int
take_lock(unsigned mode, void *argument)
{
	struct counted_lock *lock = argument;
	(void)mode;
	used_after_free += !lock->alive;
	held += lock->depth++ == 0;
	if (held > held_at_once)
		held_at_once = held;
	return 0;
}

static int
release_lock(unsigned mode, void *argument)
{
	struct counted_lock *lock = argument;
	(void)mode;
	used_after_free += !lock->alive;
	held -= --lock->depth == 0;
	return 0;
}

static void
set_locks(void)
{
	static struct evthread_lock_callbacks locks = {
		EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, make_lock, free_lock, take_lock, release_lock};
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
}

DIFFERENCE(a_view_outlives_its_bufferevent, ONE_BACKEND | OWN_LOCKS,
	"a buffer that shares data with a freed bufferevent uses the lock that was freed with it")
{
	struct event_base *base;
	struct bufferevent *bev;
	struct evbuffer *view;

	set_locks();
	base = event_base_new();
	bev = bufferevent_socket_new(base, -1, BEV_OPT_THREADSAFE);
	CHECK(bev);
	CHECK_EQUAL(bufferevent_write(bev, "what is viewed", 14), 0);
	view = evbuffer_new();
	CHECK_EQUAL(evbuffer_add_buffer_reference(view, bufferevent_get_output(bev)), 0);
	bufferevent_free(bev);
	CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	CHECK_EQUAL(evbuffer_get_length(view), 14);
	CHECK_EQUAL(evbuffer_drain(view, 14), 0);
	evbuffer_free(view);
	event_base_free(base);
	CHECK_EQUAL(used_after_free, 0);
}

DIFFERENCE(releasing_a_view_takes_one_lock, ONE_BACKEND | OWN_LOCKS,
	"two threads may deadlock when each frees a buffer that shares data with the buffer of the other")
{
	struct evbuffer *source, *view;

	set_locks();
	source = evbuffer_new();
	view = evbuffer_new();
	CHECK_EQUAL(evbuffer_enable_locking(source, NULL), 0);
	CHECK_EQUAL(evbuffer_enable_locking(view, NULL), 0);
	CHECK_EQUAL(evbuffer_add(source, "what is viewed", 14), 0);
	CHECK_EQUAL(evbuffer_add_buffer_reference(view, source), 0);
	held_at_once = 0;
	CHECK_EQUAL(evbuffer_drain(view, 14), 0);
	CHECK_EQUAL(held_at_once, 1);
	evbuffer_free(view);
	evbuffer_free(source);
	CHECK_EQUAL(used_after_free, 0);
}
