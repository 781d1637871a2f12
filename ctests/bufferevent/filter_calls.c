/* How often a filter's functions are called, with what, and between which callbacks: every call is
 * printed, for all combinations of marks, modes, results, portions and what is drained. */
#include "tools.h"

enum { MOST_CALLS = 30, NO_CALLBACK = -2 };

static int ends[2];
static struct bufferevent *bottom, *filter;

/* How the functions of a scenario behave. */
static struct {
	int portion;                          /* bytes that a call takes at most */
	int unit;                             /* and a multiple of this */
	enum bufferevent_filter_result moved; /* what it returns when it has moved something */
	enum bufferevent_filter_result idle;  /* and when it has not */
	int drain;                            /* bytes that the read callback takes; -1: all; or none is set */
	int calls;
} script;

static const char data[] = "0123456789012345678901234567890123456789";
static const char *const modes[] = {"normal", "flush", "finished"}, *const results[] = {"ok", "need more", "error"};

static enum bufferevent_filter_result
call(struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *name)
{
	int there = (int)evbuffer_get_length(source), take = there < script.portion ? there : script.portion;
	enum bufferevent_filter_result result;

	if (limit >= 0 && take > limit)
		take = (int)limit;
	take -= take % script.unit;
	printf("  %s: %d in source, %d in target, limit %d, %s", source == bufferevent_get_output(filter) ? "out" : "in", there,
	       (int)evbuffer_get_length(target), (int)limit, modes[mode]);
	(void)name;
	evbuffer_remove_buffer(source, target, (size_t)take);
	result = take ? script.moved : script.idle;
	if (++script.calls > MOST_CALLS)
		result = BEV_NEED_MORE;
	printf(": %d, %s\n", take, results[result]);
	return result;
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	printf("  read callback, %d\n", (int)evbuffer_get_length(input));
	evbuffer_drain(input, script.drain < 0 ? evbuffer_get_length(input) : (size_t)script.drain);
}

static void
on_write(struct bufferevent *bev, void *arg)
{
	(void)arg;
	printf("  write callback, %d\n", (int)evbuffer_get_length(bufferevent_get_output(bev)));
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)arg;
	printf("  event %s\n", event_names(what));
}

static void
state(void)
{
	printf("  filter %d/%d, below %d/%d\n", (int)evbuffer_get_length(bufferevent_get_input(filter)),
	       (int)evbuffer_get_length(bufferevent_get_output(filter)),
	       (int)evbuffer_get_length(bufferevent_get_input(bottom)), (int)evbuffer_get_length(bufferevent_get_output(bottom)));
}

static void
begin(int options)
{
	script.calls = 0;
	if (!script.unit)
		script.unit = 1;
	make_base();
	make_connection(0, ends);
	bottom = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	filter = bufferevent_filter_new(bottom, call, call, options | BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	bufferevent_setcb(filter, script.drain == NO_CALLBACK ? NULL : on_read, on_write, on_event, NULL);
	settle();
}

static void
end(void)
{
	bufferevent_free(filter);
	finish();
	close(ends[1]);
}

/* Left out: a full input that nobody drains is reported for ever, and see
 * room_made_by_the_read_callback below. */
static int
is_comparable(int options, int high)
{
	if (!high || script.drain == NO_CALLBACK)
		return 1;
	return script.drain && (script.moved != BEV_OK || options & BEV_OPT_DEFER_CALLBACKS);
}

/* Calls `play` with every behaviour of the functions. */
static void
with_every_behaviour(void (*play)(int options, int high), int options)
{
	static const int portions[] = {1, 7, 100}, highs[] = {0, 5, 20}, drains[] = {-1, 3, 0, NO_CALLBACK};
	int high, portion, drain, moved, idle;

	for (high = 0; high < 3; high++)
		for (portion = 0; portion < 3; portion++)
			for (drain = 0; drain < 4; drain++)
				for (moved = BEV_OK; moved <= BEV_ERROR; moved++)
					for (idle = BEV_NEED_MORE; idle <= BEV_ERROR; idle++) {
						script.portion = portions[portion];
						script.drain = drains[drain];
						script.moved = (enum bufferevent_filter_result)moved;
						script.idle = (enum bufferevent_filter_result)idle;
						if (!is_comparable(options, highs[high]))
							continue;
						printf("high mark %d, portions of %d, drains %d, %s, else %s\n", highs[high],
						       script.portion, script.drain, results[moved], results[idle]);
						play(options, highs[high]);
					}
}

static void
play_input(int options, int high)
{
	begin(options);
	bufferevent_setwatermark(filter, EV_READ, 0, (size_t)high);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], data, 11);
	settle();
	printf("  more\n");
	send_all(ends[1], data, 11);
	settle();
	state();
	printf("  drained\n");
	evbuffer_drain(bufferevent_get_input(filter), 2);
	settle();
	evbuffer_drain(bufferevent_get_input(filter), 100);
	settle();
	state();
	end();
}

CASE(input, ONE_BACKEND)
{
	with_every_behaviour(play_input, 0);
}

CASE(deferred_input, ONE_BACKEND)
{
	with_every_behaviour(play_input, BEV_OPT_DEFER_CALLBACKS);
}

/* A function that finds too little room can only say that it needs more. */
CASE(input_in_units, ONE_BACKEND)
{
	script.unit = 3;
	with_every_behaviour(play_input, 0);
}

CASE(deferred_input_in_units, ONE_BACKEND)
{
	script.unit = 3;
	with_every_behaviour(play_input, BEV_OPT_DEFER_CALLBACKS);
}

static void
play_output(int options, int high)
{
	static char sink[100];

	begin(options);
	bufferevent_setwatermark(bottom, EV_WRITE, 0, (size_t)high);
	bufferevent_write(filter, data, 11);
	printf("  written\n");
	settle();
	state();
	bufferevent_write(filter, data, 11);
	bufferevent_write(filter, data, 11);
	settle();
	state();
	printf("  disabled\n");
	bufferevent_disable(filter, EV_WRITE);
	bufferevent_write(filter, data, 5);
	settle();
	state();
	printf("%d sent\n", received(ends[1], sink, sizeof sink));
	end();
}

CASE(output, ONE_BACKEND)
{
	with_every_behaviour(play_output, 0);
}

CASE(deferred_output, ONE_BACKEND)
{
	with_every_behaviour(play_output, BEV_OPT_DEFER_CALLBACKS);
}

CASE(output_in_units, ONE_BACKEND)
{
	script.unit = 3;
	with_every_behaviour(play_output, 0);
}

static int flush_directions;
static enum bufferevent_flush_mode flush_mode;

static int flush_enabled;

static void
play_flush(int options, int high)
{
	begin(options);
	bufferevent_disable(filter, EV_READ | EV_WRITE);
	bufferevent_setwatermark(filter, EV_READ, 0, (size_t)high);
	bufferevent_setwatermark(bottom, EV_WRITE, 0, (size_t)high);
	bufferevent_enable(filter, (short)flush_enabled);
	printf("  empty\n");
	printf("  flush: %d\n", bufferevent_flush(filter, (short)flush_directions, flush_mode));
	send_all(ends[1], data, 11);
	bufferevent_write(filter, data, 11);
	settle();
	printf("  with data\n");
	printf("  flush: %d\n", bufferevent_flush(filter, (short)flush_directions, flush_mode));
	settle();
	printf("  again\n");
	printf("  flush: %d\n", bufferevent_flush(filter, (short)flush_directions, flush_mode));
	settle();
	state();
	end();
}

static void
flush_every_way(enum bufferevent_flush_mode mode, int directions)
{
	flush_mode = mode;
	flush_directions = directions;
	for (flush_enabled = 0; flush_enabled <= (EV_READ | EV_WRITE); flush_enabled += EV_READ) {
		printf("enabled %s\n", flag_names(flush_enabled));
		with_every_behaviour(play_flush, 0);
		printf("deferred\n");
		with_every_behaviour(play_flush, BEV_OPT_DEFER_CALLBACKS);
	}
}

#define FLUSH(name, mode, directions) CASE(name, ONE_BACKEND) { flush_every_way(mode, directions); }

FLUSH(flush_of_input_normal, BEV_NORMAL, EV_READ)
FLUSH(flush_of_input, BEV_FLUSH, EV_READ)
FLUSH(flush_of_input_finished, BEV_FINISHED, EV_READ)
FLUSH(flush_of_output_normal, BEV_NORMAL, EV_WRITE)
FLUSH(flush_of_output, BEV_FLUSH, EV_WRITE)
FLUSH(flush_of_output_finished, BEV_FINISHED, EV_WRITE)
FLUSH(flush_of_both_normal, BEV_NORMAL, EV_READ | EV_WRITE)
FLUSH(flush_of_both, BEV_FLUSH, EV_READ | EV_WRITE)
FLUSH(flush_of_both_finished, BEV_FINISHED, EV_READ | EV_WRITE)

/* A function that has asked for more is not called again before more has come. */
static void
play_rest(int options, int high)
{
	if (script.moved == BEV_OK)
		return;
	begin(options);
	bufferevent_setwatermark(filter, EV_READ, 0, (size_t)high);
	bufferevent_setwatermark(bottom, EV_WRITE, 0, (size_t)high);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], data, 4);
	bufferevent_write(filter, data, 4);
	settle();
	printf("  off and on\n");
	bufferevent_disable(filter, EV_READ | EV_WRITE);
	settle();
	bufferevent_enable(filter, EV_READ | EV_WRITE);
	settle();
	printf("  marks\n");
	bufferevent_setwatermark(filter, EV_READ, 0, 30);
	bufferevent_setwatermark(bottom, EV_WRITE, 0, 30);
	settle();
	printf("  more\n");
	send_all(ends[1], data, 1);
	bufferevent_write(filter, data, 1);
	settle();
	state();
	end();
}

CASE(none_without_anything_new, ONE_BACKEND)
{
	with_every_behaviour(play_rest, 0);
}

CASE(none_without_anything_new_deferred, ONE_BACKEND)
{
	with_every_behaviour(play_rest, BEV_OPT_DEFER_CALLBACKS);
}

DIFFERENCE(room_made_by_the_read_callback, ONE_BACKEND,
	   "when the read callback of a full filter drains it, the data waiting below is never processed: the stream stalls")
{
	script.portion = 100;
	script.idle = BEV_NEED_MORE;
	script.drain = -1;
	begin(0);
	bufferevent_setwatermark(filter, EV_READ, 0, 5);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], data, 18);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(bottom)), 0);
	CHECK_EQUAL(script.calls, 4);
	end();
}

/* A function that asks for more although it took something, and what comes while reading is off. */
static int asked;

static enum bufferevent_filter_result
take_five(struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	size_t there = evbuffer_get_length(source);

	(void)limit;
	(void)mode;
	(void)arg;
	asked++;
	if (there == 0 || there == 4)
		return BEV_NEED_MORE;
	evbuffer_remove_buffer(source, target, there < 5 ? there : 5);
	return BEV_OK;
}

static enum bufferevent_filter_result
take_fours(struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	(void)limit;
	(void)mode;
	(void)arg;
	if (evbuffer_get_length(source) < 4)
		return BEV_NEED_MORE;
	evbuffer_remove_buffer(source, target, 4);
	return BEV_OK;
}

DIFFERENCE(rest_of_what_a_filter_took, EVERY_BACKEND,
	"data that arrived at a filter while reading was disabled is not processed when reading is enabled again")
{
	struct evbuffer *input;

	make_base();
	make_connection(0, ends);
	bottom = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	filter = bufferevent_filter_new(bottom, take_fours, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	input = bufferevent_get_input(filter);
	bufferevent_enable(filter, EV_READ);
	/* It takes the first eight and asks for more than the last two. */
	send_all(ends[1], "0123456789", 10);
	settle();
	CHECK_EQUAL(evbuffer_get_length(input), 8);
	bufferevent_disable(filter, EV_READ);
	CHECK_EQUAL(evbuffer_unfreeze(bufferevent_get_input(bottom), 0), 0);
	CHECK_EQUAL(evbuffer_add(bufferevent_get_input(bottom), "abc", 3), 0);
	settle();
	CHECK_EQUAL(evbuffer_get_length(input), 8);
	bufferevent_enable(filter, EV_READ);
	settle();
	CHECK_EQUAL(evbuffer_get_length(input), 12);
	bufferevent_free(filter);
	close(ends[1]);
	finish();
}

DIFFERENCE(input_that_came_while_reading_was_off, EVERY_BACKEND,
	"data that arrived at a filter while reading was disabled is not processed when reading is enabled again")
{
	struct evbuffer *input;

	make_base();
	make_connection(0, ends);
	bottom = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	filter = bufferevent_filter_new(bottom, take_five, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	input = bufferevent_get_input(filter);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], "0123", 4);
	settle();
	CHECK_EQUAL(evbuffer_get_length(input), 0);
	CHECK(asked > 0);
	send_all(ends[1], "4", 1);
	settle();
	CHECK_EQUAL(evbuffer_get_length(input), 5);
	/* Bytes that are already below when reading is disabled. */
	evbuffer_drain(input, 5);
	bufferevent_disable(filter, EV_READ);
	bufferevent_enable(bottom, EV_READ);
	bufferevent_setwatermark(bottom, EV_READ, 0, 0);
	CHECK_EQUAL(evbuffer_unfreeze(bufferevent_get_input(bottom), 0), 0);
	CHECK_EQUAL(evbuffer_add(bufferevent_get_input(bottom), "567", 3), 0);
	settle();
	CHECK_EQUAL(evbuffer_get_length(input), 0);
	bufferevent_enable(filter, EV_READ);
	settle();
	CHECK_EQUAL(evbuffer_get_length(input), 3);
	bufferevent_free(filter);
	close(ends[1]);
	finish();
}
