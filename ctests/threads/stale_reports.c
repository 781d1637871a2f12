/* Events that are deleted and added again just when the kernel has reported their descriptors. */
#define _GNU_SOURCE
#include "trace.h"

#include <event2/thread.h>
#include <pthread.h>

/* How often the event is still to be deleted and added when the base takes its lock. */
static int meetings;
static struct event *met;

/* Comes before the loop takes its lock again after a wait, as another thread might. */
static void
delete_and_add(void)
{
	static int within;

	if (within || meetings == 0 || !met)
		return;
	within = 1;
	meetings--;
	CHECK_EQUAL(event_del(met), 0);
	CHECK_EQUAL(event_add(met, NULL), 0);
	within = 0;
}

static void *
make_lock(unsigned kind)
{
	pthread_mutexattr_t attributes;
	pthread_mutex_t *mutex = malloc(sizeof *mutex);

	(void)kind;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(mutex, &attributes);
	return mutex;
}

static void
free_lock(void *mutex, unsigned kind)
{
	(void)kind;
	pthread_mutex_destroy(mutex);
	free(mutex);
}

static int
take_lock(unsigned mode, void *mutex)
{
	(void)mode;
	delete_and_add();
	return pthread_mutex_lock(mutex);
}

static int
give_lock(unsigned mode, void *mutex)
{
	(void)mode;
	return pthread_mutex_unlock(mutex);
}

static void
take_and_end(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	take_byte(fd);
	event_base_loopexit(arg, NULL);
}

CASE(the_set_is_not_rebuilt_for_them, EPOLL_ONLY | OWN_LOCKS)
{
	static const struct evthread_lock_callbacks locks = {
		EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, make_lock, free_lock, take_lock, give_lock};
	struct event_base *base;
	int ends[2], before;

	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	base = new_base();
	make_pipe(ends);
	put_byte(ends[1]);
	before = epoll_descriptor();
	CHECK(before >= 0);
	met = event_new(base, ends[0], EV_READ | EV_PERSIST, take_and_end, base);
	CHECK_EQUAL(event_add(met, NULL), 0);
	meetings = 50;
	for (int i = 0; i < 100 && event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED); i++)
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	meetings = 0;
	CHECK_EQUAL(epoll_descriptor(), before);
	event_free(met);
	event_base_free(base);
}
