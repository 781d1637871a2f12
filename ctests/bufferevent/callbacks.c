/* What programs do to a bufferevent in each of its callbacks, immediate and deferred. */
#include "one.h"

#include <event2/thread.h>

static struct traced side = {.name = "side", .drain = -1}, second = {.name = "second", .drain = -1};
static int spare[2];
static const char *wanted;       /* the callback in which it is done */
static void (*action)(void);

static void
act(struct bufferevent *self, const char *callback)
{
	(void)self;
	if (wanted && !strcmp(callback, wanted)) {
		wanted = NULL;
		action();
	}
}

static void
do_free(void)
{
	bufferevent_free(bev);
	bev = NULL;
}

static void
do_disable(void)
{
	CHECK_EQUAL(bufferevent_disable(bev, EV_READ | EV_WRITE), 0);
}

static void
do_enable(void)
{
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ | EV_WRITE), 0);
}

static void
do_setfd(void)
{
	CHECK_EQUAL(bufferevent_setfd(bev, spare[0]), 0);
}

static void
do_take_fd(void)
{
	CHECK_EQUAL(bufferevent_setfd(bev, -1), 0);
}

static void
do_setcb(void)
{
	trace(bev, &second);
}

static void
do_clear_callbacks(void)
{
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
}

static void
do_trigger(void)
{
	bufferevent_trigger(bev, EV_READ | EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS);
}

static void
do_trigger_deferred(void)
{
	bufferevent_trigger(bev, EV_READ | EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void
do_trigger_event(void)
{
	bufferevent_trigger_event(bev, BEV_EVENT_CONNECTED | BEV_EVENT_TIMEOUT, 0);
}

static void
do_write(void)
{
	CHECK_EQUAL(bufferevent_write(bev, "more", 4), 0);
}

static void
do_flush(void)
{
	printf("flush %d\n", bufferevent_flush(bev, EV_READ | EV_WRITE, BEV_FLUSH));
}

static void
do_timeouts(void)
{
	struct timeval time = {100, 0};

	CHECK_EQUAL(bufferevent_set_timeouts(bev, &time, &time), 0);
}

static void
do_watermarks(void)
{
	bufferevent_setwatermark(bev, EV_READ, 0, 3);
	bufferevent_setwatermark(bev, EV_WRITE, 10, 0);
}

static void
do_priority(void)
{
	CHECK_EQUAL(bufferevent_get_priority(bev), 1);
	bufferevent_priority_set(bev, 2);
}

static void
do_base_set(void)
{
	struct event_base *other = event_base_new();

	bufferevent_setfd(bev, -1);
	printf("base set %d\n", bufferevent_base_set(other, bev));
	if (bufferevent_get_base(bev) == other)
		CHECK_EQUAL(bufferevent_base_set(base, bev), 0);
	bufferevent_setfd(bev, ends[0]);
	event_base_free(other);
}

static void
do_count(void)
{
	bufferevent_incref(bev);
	CHECK_EQUAL(bufferevent_decref(bev), 0);
	bufferevent_lock(bev);
	bufferevent_unlock(bev);
}

static void
do_break(void)
{
	event_base_loopbreak(base);
}

static const struct {
	const char *name;
	void (*run)(void);
} actions[] = {{"free", do_free},
	       {"disable", do_disable},
	       {"enable", do_enable},
	       {"setfd", do_setfd},
	       {"setfd -1", do_take_fd},
	       {"setcb", do_setcb},
	       {"setcb NULL", do_clear_callbacks},
	       {"trigger", do_trigger},
	       {"trigger deferred", do_trigger_deferred},
	       {"trigger event", do_trigger_event},
	       {"write", do_write},
	       {"flush", do_flush},
	       {"timeouts", do_timeouts},
	       {"watermarks", do_watermarks},
	       {"priority", do_priority},
	       {"references", do_count},
	       {"break", do_break}};

/* A connection on which everything happens: it is written to, read from, and ends. */
static void
play(const char *callback, const char *name, void (*what)(void), int options)
{
	char data[100];

	printf("-- %s in the %s callback\n", name, callback);
	base = event_base_new();
	event_base_priority_init(base, 3);
	make_connection(0, ends);
	make_connection(0, spare);
	wanted = callback;
	action = what;
	side.then = act;
	bev = make_bufferevent(ends[0], options, &side);
	bufferevent_enable(bev, EV_READ);
	bufferevent_write(bev, "question", 8);
	settle();
	send_all(ends[1], "answer", 6);
	settle();
	send_all(spare[1], "other answer", 12);
	settle();
	shutdown(ends[1], SHUT_WR);
	settle();
	if (bev) {
		printf("enabled %s, in %d, out %d\n", enabled_names(bev),
		       (int)evbuffer_get_length(bufferevent_get_input(bev)),
		       (int)evbuffer_get_length(bufferevent_get_output(bev)));
		bufferevent_free(bev);
	}
	printf("peers got %d, %d\n", received(ends[1], data, sizeof data), received(spare[1], data, sizeof data));
	finish();
	close(ends[0]);
	close(ends[1]);
	close(spare[0]);
	close(spare[1]);
}

static void
play_all(const char *callback, int options)
{
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof actions / sizeof actions[0]; i++)
		play(callback, actions[i].name, actions[i].run, options);
}

CASE(in_read_callback, EVERY_BACKEND)
{
	play_all("read", 0);
}

CASE(in_write_callback, EVERY_BACKEND)
{
	play_all("write", 0);
}

CASE(in_event_callback, EVERY_BACKEND)
{
	play_all("event", 0);
}

CASE(in_deferred_read_callback, ONE_BACKEND)
{
	play_all("read", BEV_OPT_DEFER_CALLBACKS);
}

CASE(in_deferred_write_callback, ONE_BACKEND)
{
	play_all("write", BEV_OPT_DEFER_CALLBACKS);
}

CASE(in_deferred_event_callback, ONE_BACKEND)
{
	play_all("event", BEV_OPT_DEFER_CALLBACKS);
}

CASE(in_locked_callbacks, ONE_BACKEND)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	play_all("read", BEV_OPT_THREADSAFE);
	play_all("write", BEV_OPT_THREADSAFE);
	play_all("event", BEV_OPT_THREADSAFE);
}

CASE(in_unlocked_callbacks, ONE_BACKEND)
{
	int options = BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	play_all("read", options);
	play_all("write", options);
	play_all("event", options);
}

CASE(base_set_in_callback, ONE_BACKEND)
{
	signal(SIGPIPE, SIG_IGN);
	play("read", "base set", do_base_set, BEV_OPT_DEFER_CALLBACKS);
}

/* --- Triggers. ----------------------------------------------------------------------------------- */

static void
begin(int options)
{
	connect_bufferevent(options);
	side.drain = 0;
}

CASE(triggers, ONE_BACKEND)
{
	begin(0);
	bufferevent_disable(bev, EV_WRITE);
	bufferevent_setwatermark(bev, EV_READ, 1, 0);
	bufferevent_trigger(bev, EV_READ, 0);
	CHECK_EQUAL(happened, 0);
	bufferevent_trigger(bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
	CHECK_EQUAL(side.reads, 1);
	bufferevent_setwatermark(bev, EV_READ, 0, 0);
	bufferevent_trigger(bev, EV_READ, 0);
	CHECK_EQUAL(side.reads, 2);
	bufferevent_trigger(bev, EV_WRITE, 0);
	CHECK_EQUAL(side.writes, 1);
	bufferevent_write(bev, "x", 1);
	bufferevent_trigger(bev, EV_WRITE, 0);
	CHECK_EQUAL(side.writes, 1);
	bufferevent_setwatermark(bev, EV_WRITE, 1, 0);
	bufferevent_trigger(bev, EV_WRITE, 0);
	CHECK_EQUAL(side.writes, 2);
	bufferevent_trigger(bev, EV_READ | EV_WRITE, 0);
	CHECK_EQUAL(happened, 6);
	bufferevent_trigger(bev, 0, 0);
	CHECK_EQUAL(happened, 6);
	bufferevent_trigger_event(bev, BEV_EVENT_EOF, 0);
	CHECK_EQUAL(side.last, BEV_EVENT_EOF);
	bufferevent_trigger_event(bev, 0x700, 0);
	CHECK_EQUAL(side.last, 0x700);
	end();
}

CASE(deferred_triggers, ONE_BACKEND)
{
	begin(0);
	bufferevent_trigger(bev, EV_READ | EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
	bufferevent_trigger(bev, EV_READ | EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
	bufferevent_trigger_event(bev, BEV_EVENT_EOF, BEV_TRIG_DEFER_CALLBACKS);
	bufferevent_trigger_event(bev, BEV_EVENT_READING, BEV_TRIG_DEFER_CALLBACKS);
	CHECK_EQUAL(happened, 0);
	settle();
	CHECK_EQUAL(happened, 3);
	end();
}

/* The order of deferred callbacks: connected, read, write, other events. */
CASE(deferred_order, ONE_BACKEND)
{
	begin(BEV_OPT_DEFER_CALLBACKS);
	errno = ENOENT;
	bufferevent_trigger_event(bev, BEV_EVENT_ERROR, 0);
	bufferevent_trigger(bev, EV_WRITE, 0);
	bufferevent_trigger(bev, EV_READ, 0);
	errno = EPERM;
	bufferevent_trigger_event(bev, BEV_EVENT_CONNECTED, 0);
	bufferevent_trigger_event(bev, BEV_EVENT_READING, 0);
	errno = 0;
	CHECK_EQUAL(happened, 0);
	settle();
	end();
}

static void
free_at_first(struct bufferevent *self, const char *callback)
{
	(void)callback;
	bufferevent_free(self);
}

CASE(free_in_the_first_deferred_callback, ONE_BACKEND)
{
	begin(BEV_OPT_DEFER_CALLBACKS);
	side.then = free_at_first;
	bufferevent_trigger_event(bev, BEV_EVENT_CONNECTED, 0);
	bufferevent_trigger(bev, EV_READ | EV_WRITE, 0);
	bufferevent_trigger_event(bev, BEV_EVENT_EOF, 0);
	settle();
	CHECK_EQUAL(happened, 1);
	finish();
}

CASE(free_with_deferred_callbacks, ONE_BACKEND)
{
	begin(BEV_OPT_DEFER_CALLBACKS);
	bufferevent_trigger_event(bev, BEV_EVENT_CONNECTED, 0);
	bufferevent_trigger(bev, EV_READ | EV_WRITE, 0);
	bufferevent_free(bev);
	settle();
	CHECK_EQUAL(happened, 0);
	CHECK(!is_open(ends[0]));
	finish();
}

CASE(replaced_before_the_deferred_callback, ONE_BACKEND)
{
	begin(BEV_OPT_DEFER_CALLBACKS);
	bufferevent_trigger(bev, EV_READ, 0);
	trace(bev, &second);
	settle();
	CHECK_EQUAL(second.reads, 1);
	CHECK_EQUAL(side.reads, 0);
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	bufferevent_trigger(bev, EV_READ | EV_WRITE, 0);
	bufferevent_trigger_event(bev, BEV_EVENT_EOF, 0);
	settle();
	CHECK_EQUAL(happened, 1);
	end();
}

static void
trigger_again(struct bufferevent *self, const char *callback)
{
	if (!strcmp(callback, "read") && side.reads < 100)
		bufferevent_trigger(self, EV_READ, 0);
}

/* A callback that triggers itself does not starve others. */
CASE(deferred_without_end, ONE_BACKEND)
{
	begin(BEV_OPT_DEFER_CALLBACKS);
	side.then = trigger_again;
	bufferevent_trigger(bev, EV_READ, 0);
	run_until(&side.reads, 100);
	settle();
	CHECK_EQUAL(side.reads, 100);
	end();
}

/* Deferred callbacks merge: what came in the meantime is reported once. */
CASE(deferred_reads_merge, ONE_BACKEND)
{
	begin(BEV_OPT_DEFER_CALLBACKS);
	side.drain = -1;
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "abc", 3);
	settle();
	CHECK_EQUAL(side.reads, 1);
	bufferevent_write(bev, "abc", 3);
	settle();
	CHECK(side.writes >= 1);
	end();
}

/* --- References. ---------------------------------------------------------------------------------- */

CASE(references, ONE_BACKEND)
{
	begin(0);
	bufferevent_incref(bev);
	CHECK_EQUAL(bufferevent_decref(bev), 0);
	bufferevent_incref(bev);
	bufferevent_enable(bev, EV_READ);
	bufferevent_free(bev);
	/* It lives, without callbacks. */
	send_all(ends[1], "abc", 3);
	settle();
	CHECK_EQUAL(happened, 0);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(bev)), 3);
	CHECK(is_open(ends[0]));
	CHECK_EQUAL(bufferevent_decref(bev), 1);
	settle();
	CHECK(!is_open(ends[0]));
	finish();
}

CASE(lock_holds_a_reference, ONE_BACKEND)
{
	begin(0);
	bufferevent_lock(bev);
	bufferevent_free(bev);
	settle();
	CHECK(is_open(ends[0]));
	CHECK_EQUAL(bufferevent_getfd(bev), ends[0]);
	bufferevent_unlock(bev);
	settle();
	CHECK(!is_open(ends[0]));
	finish();
}

static int buffer_calls;

static void
count_buffer_call(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)buffer;
	buffer_calls++;
	printf("%s: %d + %d - %d\n", (char *)arg, (int)info->orig_size, (int)info->n_added, (int)info->n_deleted);
}

/* Callbacks of the buffers come before those of the bufferevent. */
CASE(callbacks_of_buffers, EVERY_BACKEND)
{
	begin(0);
	side.drain = -1;
	CHECK(evbuffer_add_cb(bufferevent_get_input(bev), count_buffer_call, (void *)"input"));
	CHECK(evbuffer_add_cb(bufferevent_get_output(bev), count_buffer_call, (void *)"output"));
	bufferevent_enable(bev, EV_READ);
	settle();
	bufferevent_write(bev, "abc", 3);
	settle();
	send_all(ends[1], "defg", 4);
	settle();
	end();
}

/* A write callback that always writes more: others get their turn. */
static void
write_more(struct bufferevent *self, void *arg)
{
	char data[10];

	(void)arg;
	received(ends[1], data, sizeof data);
	if (++side.writes < 200)
		bufferevent_write(self, "x", 1);
}

static void
count_turn(evutil_socket_t fd, short what, void *turns)
{
	(void)fd;
	(void)what;
	if (side.writes < 200)
		++*(int *)turns;
}

CASE(writer_without_end, EVERY_BACKEND)
{
	struct event *other;
	int turns = 0;

	begin(0);
	make_connection(0, spare);
	other = event_new(base, spare[0], EV_READ | EV_PERSIST, count_turn, &turns);
	event_add(other, NULL);
	send_all(spare[1], "x", 1);
	bufferevent_setcb(bev, NULL, write_more, NULL, NULL);
	bufferevent_write(bev, "x", 1);
	run_until(&side.writes, 200);
	CHECK(turns >= 50);
	event_free(other);
	end();
}
