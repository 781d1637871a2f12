/* pthread_cancel of a thread that is somewhere in the library: it ends, and others can use what it
 * used. */
#include "loop.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

static struct event_base *base;
static atomic_int seen; /* by the thread that runs the loop */

static void
cancel_and_join(pthread_t thread)
{
	void *result = NULL;

	CHECK(pthread_cancel(thread) == 0);
	CHECK(pthread_join(thread, &result) == 0);
	CHECK(result == PTHREAD_CANCELED);
}

static void
wait_until_seen(int count)
{
	long long end = milliseconds() + 30000;

	while (seen < count && milliseconds() < end)
		usleep(1000);
	CHECK(seen >= count);
}

static void
note(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	seen++;
}

static void
note_and_take(evutil_socket_t fd, short what, void *arg)
{
	take_byte(fd);
	note(fd, what, arg);
}

/* A reader, a timer, a signal and a call from another thread all come through. */
static void
check_base_works(void)
{
	struct timeval soon = {0, 20000};
	int ends[2];
	struct event *reader, *timer;

	make_pipe(ends);
	seen = 0;
	reader = event_new(base, ends[0], EV_READ, note_and_take, NULL);
	timer = evtimer_new(base, note, NULL);
	event_add(reader, NULL);
	event_add(timer, &soon);
	put_byte(ends[1]);
	CHECK(event_base_loopexit(base, &(struct timeval){0, 100000}) == 0);
	CHECK(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY) == 0);
	CHECK(seen == 2);
	event_free(reader);
	event_free(timer);
	close(ends[0]);
	close(ends[1]);
}

static void
prepare(void)
{
	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	CHECK(base);
}

CASE(a_waiting_loop_is_cancelled, EVERY_BACKEND)
{
	pthread_t thread;

	prepare();
	CHECK(pthread_create(&thread, NULL, run_without_end, base) == 0);
	usleep(50000);
	cancel_and_join(thread);
	event_base_free(base);
	puts("cancelled");
}

DIFFERENCE(another_thread_runs_the_base_of_a_cancelled_one, EVERY_BACKEND,
	"A base whose thread was cancelled while it waited cannot be run by another thread.")
{
	pthread_t thread;
	int round;

	prepare();
	for (round = 0; round < 3; round++) {
		CHECK(pthread_create(&thread, NULL, run_without_end, base) == 0);
		usleep(30000);
		cancel_and_join(thread);
		check_base_works();
	}
	event_base_free(base);
}

static void
sleep_long(evutil_socket_t fd, short what, void *arg)
{
	note(fd, what, arg);
	sleep(100);
}

DIFFERENCE(a_thread_is_cancelled_in_a_callback, EVERY_BACKEND,
	"A base whose thread was cancelled in a callback cannot be run by another thread.")
{
	struct event *event;
	pthread_t thread;

	prepare();
	event = event_new(base, -1, 0, sleep_long, NULL);
	event_active(event, EV_READ, 1);
	CHECK(pthread_create(&thread, NULL, run_without_end, base) == 0);
	wait_until_seen(1);
	cancel_and_join(thread);
	CHECK(event_del(event) == 0); /* does not wait for the callback that is gone */
	check_base_works();
	event_free(event);
	event_base_free(base);
}

DIFFERENCE(a_busy_thread_is_cancelled, EVERY_BACKEND,
	"A base whose thread was cancelled while it was busy cannot be run by another thread.")
{
	struct event *writer, *timer;
	pthread_t thread;
	int ends[2];

	prepare();
	make_pipe(ends);
	writer = event_new(base, ends[1], EV_WRITE | EV_PERSIST, note, NULL);
	timer = event_new(base, -1, EV_PERSIST, note, NULL);
	event_add(writer, NULL);
	event_add(timer, &(struct timeval){0, 0});
	CHECK(pthread_create(&thread, NULL, run_without_end, base) == 0);
	wait_until_seen(100);
	cancel_and_join(thread);
	event_free(writer);
	event_free(timer);
	check_base_works();
	event_base_free(base);
}

/* A stream that never ends between two bufferevents, both with locks. */
static void
echo(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	seen++;
	bufferevent_write_buffer(bev, input);
}

DIFFERENCE(a_thread_is_cancelled_between_bufferevents, EVERY_BACKEND,
	"A base whose thread was cancelled while bufferevents were busy cannot be run by another thread.")
{
	struct bufferevent *bev[2];
	pthread_t thread;
	int round, ends[2], i, flags = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE;

	prepare();
	for (round = 0; round < 6; round++) {
		make_socketpair(ends);
		for (i = 0; i < 2; i++) {
			bev[i] = bufferevent_socket_new(base, ends[i], flags | (round & 1 ? BEV_OPT_DEFER_CALLBACKS : 0));
			bufferevent_setcb(bev[i], echo, NULL, NULL, NULL);
			bufferevent_enable(bev[i], EV_READ | EV_WRITE);
		}
		bufferevent_write(bev[0], "0123456789", 10);
		seen = 0;
		CHECK(pthread_create(&thread, NULL, run_without_end, base) == 0);
		wait_until_seen(100);
		cancel_and_join(thread);
		/* Nobody holds their locks: they continue, with all the bytes or a part. */
		seen = 0;
		bufferevent_write(bev[0], "more", 4);
		bufferevent_write(bev[1], "more", 4);
		event_base_loopexit(base, &(struct timeval){0, 20000});
		CHECK(event_base_dispatch(base) == 0);
		CHECK(seen > 0);
		bufferevent_free(bev[0]);
		bufferevent_free(bev[1]);
		check_base_works();
	}
	event_base_free(base);
}

/* Functions that make system calls, called by a thread that is to end at the first one. */
static struct evbuffer *buffer;
static struct bufferevent *stream;
static int ends[2];

static void
read_into_buffer(void)
{
	evbuffer_read(buffer, ends[0], -1);
}

static void
write_from_buffer(void)
{
	evbuffer_write(buffer, ends[1]);
}

static void
connect_stream(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(1)};

	bufferevent_socket_connect(stream, (struct sockaddr *)&address, sizeof address);
}

static void
run_once(void)
{
	event_base_loop(base, EVLOOP_ONCE);
}

static void *
cancel_itself_and_call(void *function)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
	pthread_cancel(pthread_self());
	((void (*)(void))function)();
	pthread_testcancel();
	return NULL;
}

static void
call_cancelled(void (*function)(void))
{
	pthread_t thread;
	void *result = NULL;

	CHECK(pthread_create(&thread, NULL, cancel_itself_and_call, (void *)function) == 0);
	CHECK(pthread_join(thread, &result) == 0);
	CHECK(result == PTHREAD_CANCELED);
}

DIFFERENCE(buffers_are_whole_after_a_cancelled_call, ONE_BACKEND,
	"The lock of a buffer stays taken when a thread is cancelled that reads into it or writes from it.")
{
	char text[20] = "";

	prepare();
	make_pipe(ends);
	buffer = evbuffer_new();
	evbuffer_enable_locking(buffer, NULL);
	CHECK(write(ends[1], "abc", 3) == 3);
	call_cancelled(read_into_buffer);
	CHECK(evbuffer_get_length(buffer) == 0);
	CHECK(evbuffer_read(buffer, ends[0], -1) == 3);
	call_cancelled(write_from_buffer);
	CHECK(evbuffer_get_length(buffer) == 3);
	CHECK(evbuffer_write(buffer, ends[1]) == 3);
	CHECK(read(ends[0], text, sizeof text) == 3);
	puts(text);
	evbuffer_free(buffer);
	event_base_free(base);
}

DIFFERENCE(what_a_cancelled_thread_used_still_works, EVERY_BACKEND,
	"Locks that a thread holds in system calls stay taken when it is cancelled, and so does a running loop.")
{
	char text[20];
	int i;

	prepare();
	make_socketpair(ends);
	stream = bufferevent_socket_new(base, -1, BEV_OPT_THREADSAFE | BEV_OPT_CLOSE_ON_FREE);
	call_cancelled(connect_stream);
	bufferevent_setcb(stream, echo, NULL, NULL, NULL);
	CHECK(bufferevent_setfd(stream, ends[0]) == 0);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
	CHECK(write(ends[1], "abc", 3) == 3);
	call_cancelled(run_once);
	for (i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK(read(ends[1], text, sizeof text) == 3);
	bufferevent_free(stream);
	check_base_works();
	event_base_free(base);
}
