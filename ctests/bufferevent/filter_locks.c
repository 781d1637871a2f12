/* Filters share a lock with the bufferevent below. */
#include "tools.h"

#include <event2/thread.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

static struct traced top = {.name = "filter", .drain = -1};
static int ends[2];
static struct bufferevent *bottom, *filter;

/* A thread writes to the filter while the loop reads from below; each waits a while for the other at a
 * point where it has its lock, so that separate locks are both held then. */
static sem_t in_writer, in_loop;

static void
meet(sem_t *mine, sem_t *other)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec++;
	sem_post(mine);
	sem_timedwait(other, &end);
}

static enum bufferevent_filter_result
meet_and_pass(struct evbuffer *source, struct evbuffer *destination, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *name)
{
	(void)limit;
	(void)mode;
	(void)name;
	meet(&in_writer, &in_loop);
	evbuffer_add_buffer(destination, source);
	return BEV_OK;
}

static void
meet_below(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
	(void)input;
	(void)arg;
	if (info->n_added)
		meet(&in_loop, &in_writer);
}

static void *
write_to_filter(void *arg)
{
	(void)arg;
	CHECK_EQUAL(bufferevent_write(filter, "x", 1), 0);
	return NULL;
}

DIFFERENCE(filter_and_underlying_share_a_lock, ONE_BACKEND,
	"a thread-safe filter has a lock of its own, and a thread that writes to it deadlocks with the loop")
{
	pthread_t writer;
	char byte;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	sem_init(&in_writer, 0, 0);
	sem_init(&in_loop, 0, 0);
	make_base();
	make_connection(0, ends);
	bottom = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE, NULL);
	filter = bufferevent_filter_new(bottom, NULL, meet_and_pass, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE, NULL, NULL);
	trace(filter, &top);
	bufferevent_enable(filter, EV_READ);
	evbuffer_add_cb(bufferevent_get_input(bottom), meet_below, NULL);
	send_all(ends[1], "y", 1);
	CHECK(pthread_create(&writer, NULL, write_to_filter, NULL) == 0);
	run_until(&top.reads, 1);
	pthread_join(writer, NULL);
	settle();
	CHECK_EQUAL(received(ends[1], &byte, 1), 1);
	bufferevent_free(filter);
	finish();
	close(ends[1]);
}

/* The one below gets a lock with the filter. */
CASE(filter_with_a_lock_on_one_without, ONE_BACKEND)
{
	char bytes[3];

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	make_base();
	make_connection(0, ends);
	bottom = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, NULL);
	filter = bufferevent_filter_new(bottom, NULL, NULL, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE, NULL, NULL);
	trace(filter, &top);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], "abc", 3);
	run_until(&top.reads, 1);
	bufferevent_lock(bottom);
	CHECK_EQUAL(bufferevent_write(filter, "def", 3), 0);
	bufferevent_unlock(bottom);
	settle();
	CHECK_EQUAL(received(ends[1], bytes, 3), 3);
	bufferevent_free(filter);
	finish();
	close(ends[1]);
}
