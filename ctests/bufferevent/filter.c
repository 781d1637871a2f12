/* Filters: bufferevents on top of others. */
#include "tools.h"

#include <event2/bufferevent_struct.h>

static struct traced top = {.name = "filter", .drain = -1}, under = {.name = "under", .drain = -1};
static int ends[2];
static struct bufferevent *bottom, *filter;

static const char *
mode_name(enum bufferevent_flush_mode mode)
{
	return mode == BEV_NORMAL ? "normal" : mode == BEV_FLUSH ? "flush" : "finished";
}

static const char *
result_name(enum bufferevent_filter_result result)
{
	return result == BEV_OK ? "ok" : result == BEV_NEED_MORE ? "need more" : "error";
}

static enum bufferevent_filter_result
report(void *name, int before, struct evbuffer *source, int limit, enum bufferevent_flush_mode mode,
       enum bufferevent_filter_result result)
{
	printf("%s filter: %d of %d, limit %d, %s: %s\n", (char *)name, before - (int)evbuffer_get_length(source), before,
	       limit, mode_name(mode), result_name(result));
	return result;
}

/* Doubles every byte. */
static enum bufferevent_filter_result
expand(struct evbuffer *source, struct evbuffer *destination, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *name)
{
	int before = (int)evbuffer_get_length(source), moved = 0;
	struct evbuffer *doubled = evbuffer_new();
	char byte[2];

	while ((limit < 0 || moved + 2 <= limit) && evbuffer_remove(source, byte, 1) == 1) {
		byte[1] = byte[0];
		evbuffer_add(doubled, byte, 2);
		moved += 2;
	}
	evbuffer_add_buffer(destination, doubled);
	evbuffer_free(doubled);
	return report(name, before, source, (int)limit, mode, moved ? BEV_OK : BEV_NEED_MORE);
}

/* Takes the first of two bytes, and needs both. */
static enum bufferevent_filter_result
shrink(struct evbuffer *source, struct evbuffer *destination, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *name)
{
	int before = (int)evbuffer_get_length(source), moved = 0;
	struct evbuffer *halved = evbuffer_new();
	char bytes[2];

	while ((limit < 0 || moved < limit) && evbuffer_get_length(source) >= 2) {
		evbuffer_remove(source, bytes, 2);
		evbuffer_add(halved, bytes, 1);
		moved++;
	}
	evbuffer_add_buffer(destination, halved);
	evbuffer_free(halved);
	return report(name, before, source, (int)limit, mode, moved ? BEV_OK : BEV_NEED_MORE);
}

/* Lets nothing through before it is flushed. */
static enum bufferevent_filter_result
hold(struct evbuffer *source, struct evbuffer *destination, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *name)
{
	int before = (int)evbuffer_get_length(source);

	if (mode == BEV_NORMAL || !before)
		return report(name, before, source, (int)limit, mode, BEV_NEED_MORE);
	evbuffer_add_buffer(destination, source);
	return report(name, before, source, (int)limit, mode, BEV_OK);
}

static enum bufferevent_filter_result
fail(struct evbuffer *source, struct evbuffer *destination, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *name)
{
	(void)destination;
	return report(name, (int)evbuffer_get_length(source), source, (int)limit, mode, BEV_ERROR);
}

/* Ten bytes at a time. */
static enum bufferevent_filter_result
portion(struct evbuffer *source, struct evbuffer *destination, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *name)
{
	int before = (int)evbuffer_get_length(source);

	if (!before)
		return report(name, before, source, (int)limit, mode, BEV_NEED_MORE);
	evbuffer_remove_buffer(source, destination, limit >= 0 && limit < 10 ? (size_t)limit : 10);
	return report(name, before, source, (int)limit, mode, BEV_OK);
}

static void
free_context(void *name)
{
	printf("%s filter: context freed\n", (char *)name);
}

static void
begin(bufferevent_filter_cb input, bufferevent_filter_cb output, int options)
{
	make_base();
	make_connection(0, ends);
	bottom = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &under);
	filter = bufferevent_filter_new(bottom, input, output, options | BEV_OPT_CLOSE_ON_FREE, free_context, (void *)"the");
	CHECK(filter);
	trace(filter, &top);
	settle();
	printf("--\n");
}

static void
end(void)
{
	bufferevent_free(filter);
	printf("-- freed\n");
	finish();
	CHECK(!is_open(ends[0]));
	close(ends[1]);
}

static void
print_lengths(void)
{
	printf("filter %d/%d, under %d/%d\n", (int)evbuffer_get_length(bufferevent_get_input(filter)),
	       (int)evbuffer_get_length(bufferevent_get_output(filter)),
	       (int)evbuffer_get_length(bufferevent_get_input(bottom)),
	       (int)evbuffer_get_length(bufferevent_get_output(bottom)));
}

static void
print_received(void)
{
	char data[1000];

	data[received(ends[1], data, sizeof data - 1)] = 0;
	printf("peer: %.*s\n", 60, data[0] ? data : "(nothing)");
}

static void
clear_received(void)
{
	char data[1000];

	memset(data, 0, sizeof data);
	received(ends[1], data, sizeof data - 1);
	printf("peer: %s\n", data);
}

CASE(new_filter, ONE_BACKEND)
{
	bufferevent_data_cb read_callback;

	begin(expand, expand, 0);
	CHECK(bufferevent_get_underlying(filter) == bottom);
	CHECK(!bufferevent_get_underlying(bottom));
	CHECK_EQUAL(bufferevent_getfd(filter), ends[0]);
	CHECK(bufferevent_get_base(filter) == base);
	CHECK_EQUAL(bufferevent_get_enabled(filter), EV_WRITE);
	CHECK_EQUAL(bufferevent_get_enabled(bottom), EV_READ | EV_WRITE);
	bufferevent_getcb(bottom, &read_callback, NULL, NULL, NULL);
	CHECK(read_callback && read_callback != trace_read);
	CHECK_EQUAL(bufferevent_priority_set(filter, 0), -1);
	CHECK_EQUAL(bufferevent_base_set(base, filter), -1);
	CHECK(!bufferevent_pair_get_partner(filter));
	CHECK(!bufferevent_filter_new(NULL, expand, expand, 0, NULL, NULL));
	end();
}

static void
play(const char *name, bufferevent_filter_cb input, bufferevent_filter_cb output)
{
	printf("---- %s\n", name);
	begin(input, output, 0);
	bufferevent_write(filter, "abcdef", 6);
	settle();
	clear_received();
	print_lengths();
	/* Reading is off until the filter's is enabled. */
	send_all(ends[1], "1234567", 7);
	settle();
	print_lengths();
	bufferevent_enable(filter, EV_READ);
	settle();
	print_lengths();
	send_all(ends[1], "8", 1);
	settle();
	print_lengths();
	bufferevent_disable(filter, EV_READ | EV_WRITE);
	send_all(ends[1], "90", 2);
	bufferevent_write(filter, "gh", 2);
	settle();
	print_lengths();
	end();
}

CASE(every_kind, EVERY_BACKEND)
{
	play("none", NULL, NULL);
	play("expand", expand, expand);
	play("shrink", shrink, shrink);
	play("hold", hold, hold);
	play("fail", fail, fail);
	play("portion", portion, portion);
	play("input only", shrink, NULL);
	play("output only", NULL, expand);
}

static void
play_flush(const char *name, bufferevent_filter_cb function, short what, enum bufferevent_flush_mode mode)
{
	printf("---- %s, %s, %s\n", name, mode_name(mode),
	       what == EV_READ ? "read" : what == EV_WRITE ? "write" : "both");
	begin(function, function, 0);
	top.drain = 0;
	bufferevent_enable(filter, EV_READ);
	bufferevent_write(filter, "abcde", 5);
	send_all(ends[1], "12345", 5);
	settle();
	print_lengths();
	printf("flush: %d\n", bufferevent_flush(filter, what, mode));
	print_lengths();
	settle();
	clear_received();
	print_lengths();
	end();
}

CASE(flush, ONE_BACKEND)
{
	static const short what[] = {EV_READ, EV_WRITE, EV_READ | EV_WRITE};
	int i, mode;

	for (i = 0; i < 3; i++)
		for (mode = BEV_NORMAL; mode <= BEV_FINISHED; mode++) {
			play_flush("none", NULL, what[i], mode);
			play_flush("shrink", shrink, what[i], mode);
			play_flush("hold", hold, what[i], mode);
			play_flush("fail", fail, what[i], mode);
		}
}

CASE(flush_while_disabled, ONE_BACKEND)
{
	begin(hold, hold, 0);
	bufferevent_write(filter, "abc", 3);
	bufferevent_disable(filter, EV_WRITE);
	printf("flush: %d\n", bufferevent_flush(filter, EV_READ | EV_WRITE, BEV_FLUSH));
	settle();
	print_lengths();
	print_received();
	end();
}

/* --- Watermarks between the layers. ---------------------------------------------------------------- */

CASE(high_read_mark, EVERY_BACKEND)
{
	begin(portion, NULL, 0);
	bufferevent_setcb(filter, NULL, NULL, NULL, NULL);
	bufferevent_setwatermark(filter, EV_READ, 0, 25);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], "0123456789012345678901234567890123456789", 40);
	settle();
	print_lengths();
	evbuffer_drain(bufferevent_get_input(filter), 7);
	settle();
	print_lengths();
	evbuffer_drain(bufferevent_get_input(filter), 25);
	settle();
	print_lengths();
	end();
}

CASE(high_write_mark_of_the_underlying, EVERY_BACKEND)
{
	begin(NULL, portion, 0);
	bufferevent_setwatermark(bottom, EV_WRITE, 0, 25);
	bufferevent_disable(bottom, EV_WRITE);
	bufferevent_write(filter, "0123456789012345678901234567890123456789", 40);
	print_lengths();
	bufferevent_enable(bottom, EV_WRITE);
	settle();
	print_lengths();
	print_received();
	end();
}

CASE(low_marks, ONE_BACKEND)
{
	begin(NULL, NULL, 0);
	bufferevent_setwatermark(filter, EV_READ, 5, 0);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], "1234", 4);
	settle();
	send_all(ends[1], "5", 1);
	settle();
	/* The mark of the underlying bufferevent applies first. */
	bufferevent_setwatermark(bottom, EV_READ, 3, 0);
	bufferevent_setwatermark(filter, EV_READ, 0, 0);
	send_all(ends[1], "ab", 2);
	settle();
	print_lengths();
	send_all(ends[1], "c", 1);
	settle();
	print_lengths();
	end();
}

/* --- Events. --------------------------------------------------------------------------------------- */

CASE(eof_is_forwarded, EVERY_BACKEND)
{
	begin(shrink, NULL, 0);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], "123", 3);
	shutdown(ends[1], SHUT_WR);
	settle();
	print_lengths();
	printf("under %s\n", enabled_names(bottom));
	/* What is left comes with a flush. */
	printf("flush: %d\n", bufferevent_flush(filter, EV_READ, BEV_FINISHED));
	settle();
	end();
}

CASE(connect_through_a_filter, EVERY_BACKEND)
{
	union any_address address;
	socklen_t length;
	int listener = listen_on(AF_INET, &address, &length), server;
	char data[10];

	make_base();
	bottom = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, NULL);
	filter = bufferevent_filter_new(bottom, shrink, expand, BEV_OPT_CLOSE_ON_FREE, NULL, (void *)"the");
	trace(filter, &top);
	bufferevent_write(filter, "ab", 2);
	CHECK_EQUAL(bufferevent_socket_connect(bottom, &address.any, length), 0);
	run_until(&top.events, 1);
	settle();
	server = accept(listener, NULL, NULL);
	CHECK_EQUAL(recv(server, data, 4, MSG_WAITALL), 4);
	CHECK(!memcmp(data, "aabb", 4));
	close(server);
	close(listener);
	bufferevent_free(filter);
	finish();
}

CASE(timeouts_of_the_underlying, ONE_BACKEND)
{
	struct timeval time = {0, 30000};

	begin(NULL, NULL, 0);
	bufferevent_enable(filter, EV_READ);
	bufferevent_set_timeouts(bottom, &time, NULL);
	run_until(&top.events, 1);
	CHECK_EQUAL(top.last, BEV_EVENT_READING | BEV_EVENT_TIMEOUT);
	end();
}

CASE(own_read_timeout, ONE_BACKEND)
{
	struct timeval time = {0, 30000};

	begin(NULL, NULL, 0);
	bufferevent_set_timeouts(filter, &time, NULL);
	bufferevent_enable(filter, EV_READ);
	run_until(&top.events, 1);
	CHECK_EQUAL(top.last, BEV_EVENT_READING | BEV_EVENT_TIMEOUT);
	end();
}

CASE(setfd_through_a_filter, ONE_BACKEND)
{
	int other[2];

	begin(NULL, NULL, 0);
	make_connection(0, other);
	bufferevent_enable(filter, EV_READ);
	close(ends[0]);
	CHECK_EQUAL(bufferevent_setfd(filter, other[0]), 0);
	CHECK_EQUAL(bufferevent_getfd(bottom), other[0]);
	send_all(other[1], "abc", 3);
	settle();
	bufferevent_free(filter);
	finish();
}

/* --- Lives. ----------------------------------------------------------------------------------------- */

CASE(stack_of_filters, EVERY_BACKEND)
{
	struct bufferevent *middle;

	begin(shrink, expand, 0);
	middle = filter;
	filter = bufferevent_filter_new(middle, shrink, expand, BEV_OPT_CLOSE_ON_FREE, free_context, (void *)"upper");
	trace(filter, &top);
	bufferevent_enable(filter, EV_READ);
	CHECK_EQUAL(bufferevent_getfd(filter), ends[0]);
	bufferevent_write(filter, "xy", 2);
	settle();
	print_received();
	send_all(ends[1], "aaaabbbb", 8);
	settle();
	end();
}

static void
free_above(short enabled)
{
	bufferevent_data_cb read_callback;

	make_base();
	make_connection(0, ends);
	bottom = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &under);
	filter = bufferevent_filter_new(bottom, NULL, NULL, 0, free_context, (void *)"the");
	trace(filter, &top);
	bufferevent_enable(filter, enabled);
	bufferevent_free(filter);
	settle();
	bufferevent_getcb(bottom, &read_callback, NULL, NULL, NULL);
	CHECK(!read_callback);
	CHECK_EQUAL(bufferevent_get_enabled(bottom), EV_READ | EV_WRITE);
	trace(bottom, &under);
	send_all(ends[1], "abc", 3);
	settle();
	bufferevent_free(bottom);
	finish();
	CHECK(!is_open(ends[0]));
}

/* It keeps reading, also below a filter that did not. */
CASE(underlying_survives, ONE_BACKEND)
{
	free_above(EV_READ);
	free_above(0);
}

static void
free_it(struct bufferevent *bev, const char *callback)
{
	(void)callback;
	bufferevent_free(bev);
}

static void
free_in(const char *what)
{
	printf("---- %s\n", what);
	begin(NULL, NULL, 0);
	top.then = free_it;
	happened = 0;
	if (!strcmp(what, "write"))
		bufferevent_write(filter, "abc", 3);
	bufferevent_enable(filter, EV_READ);
	if (!strcmp(what, "read"))
		send_all(ends[1], "abc", 3);
	if (!strcmp(what, "event"))
		shutdown(ends[1], SHUT_WR);
	settle();
	CHECK_EQUAL(happened, 1);
	top.then = NULL;
	finish();
	close(ends[1]);
}

CASE(free_in_callbacks, EVERY_BACKEND)
{
	free_in("read");
	free_in("event");
}

CASE(deferred_filter, EVERY_BACKEND)
{
	begin(expand, expand, BEV_OPT_DEFER_CALLBACKS);
	bufferevent_enable(filter, EV_READ);
	happened = 0;
	bufferevent_write(filter, "abc", 3);
	CHECK_EQUAL(happened, 0);
	send_all(ends[1], "12", 2);
	settle();
	print_received();
	end();
}

CASE(too_few_references, ONE_BACKEND)
{
	make_base();
	log_without_addresses();
	make_connection(0, ends);
	bottom = make_bufferevent(ends[0], 0, &under);
	filter = bufferevent_filter_new(bottom, NULL, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	bufferevent_free(bottom);
	bufferevent_free(filter);
	finish();
}

/* A filter on one half of a pair. */
CASE(on_a_pair, ONE_BACKEND)
{
	struct bufferevent *pair[2];

	make_base();
	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	filter = bufferevent_filter_new(pair[0], shrink, expand, BEV_OPT_CLOSE_ON_FREE, free_context, (void *)"the");
	CHECK(filter);
	trace(filter, &top);
	trace(pair[1], &under);
	bufferevent_enable(filter, EV_READ);
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_write(filter, "abc", 3);
	settle();
	bufferevent_write(pair[1], "1234", 4);
	settle();
	printf("flush: %d\n", bufferevent_flush(filter, EV_READ | EV_WRITE, BEV_FINISHED));
	settle();
	bufferevent_free(filter);
	bufferevent_free(pair[1]);
	finish();
}

/* --- Data that 2.1 leaves lying. ---------------------------------------------------------------------- */

DIFFERENCE(enabling_writing_processes_output, ONE_BACKEND,
	"output of a filter that waited while writing was disabled is not sent when writing "
	"is enabled, until other traffic arrives")
{
	char data[10];

	begin(NULL, NULL, 0);
	bufferevent_disable(filter, EV_WRITE);
	bufferevent_write(filter, "abc", 3);
	settle();
	bufferevent_enable(filter, EV_WRITE);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 3);
	end();
}

DIFFERENCE(enabling_reading_processes_input, ONE_BACKEND,
	"input that arrived below a filter while reading was disabled is not processed when "
	"reading is enabled, until more arrives")
{
	begin(NULL, NULL, 0);
	bufferevent_enable(filter, EV_READ);
	settle();
	bufferevent_setwatermark(bottom, EV_READ, 10, 0);
	send_all(ends[1], "abc", 3);
	settle();
	bufferevent_setwatermark(bottom, EV_READ, 0, 0);
	bufferevent_disable(filter, EV_READ);
	bufferevent_enable(filter, EV_READ);
	settle();
	CHECK_EQUAL(top.reads, 1);
	end();
}

DIFFERENCE(higher_mark_processes_input, ONE_BACKEND,
	"input that waits below a full filter is not processed when the high watermark is "
	"raised, until more arrives")
{
	begin(NULL, NULL, 0);
	top.drain = 0;
	bufferevent_setcb(filter, NULL, NULL, NULL, NULL);
	bufferevent_setwatermark(filter, EV_READ, 0, 2);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], "abcdef", 6);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(filter)), 2);
	bufferevent_setwatermark(filter, EV_READ, 0, 0);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(filter)), 6);
	end();
}

DIFFERENCE(input_before_the_filter, ONE_BACKEND,
	"input that was there before the filter was made is not processed until more arrives")
{
	make_base();
	make_connection(0, ends);
	under.drain = 0;
	bottom = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &under);
	bufferevent_enable(bottom, EV_READ);
	send_all(ends[1], "abc", 3);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(bottom)), 3);
	filter = bufferevent_filter_new(bottom, NULL, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	trace(filter, &top);
	bufferevent_enable(filter, EV_READ);
	settle();
	CHECK_EQUAL(top.reads, 1);
	end();
}

CASE(reading_restarts_the_read_timeout, ONE_BACKEND)
{
	struct timeval hour = {3600, 0}, deadline;

	begin(NULL, NULL, 0);
	bufferevent_set_timeouts(filter, &hour, NULL);
	bufferevent_enable(filter, EV_READ);
	settle();
	CHECK(event_pending(&filter->ev_read, EV_TIMEOUT, NULL));
	deadline = filter->ev_read.ev_timeout;
	/* Longer than a step of the coarse clock. */
	usleep(30000);
	send_all(ends[1], "abc", 3);
	run_until(&top.reads, 1);
	CHECK(event_pending(&filter->ev_read, EV_TIMEOUT, NULL));
	CHECK(evutil_timercmp(&filter->ev_read.ev_timeout, &deadline, >));
	end();
}

/* What waits below is moved as soon as there is room for it, not only when the loop runs. */
CASE(room_in_a_full_input_is_used_at_once, ONE_BACKEND)
{
	struct evbuffer *input;
	int i;

	begin(NULL, NULL, 0);
	input = bufferevent_get_input(filter);
	bufferevent_setcb(filter, NULL, NULL, NULL, NULL);
	bufferevent_setwatermark(filter, EV_READ, 0, 10);
	bufferevent_enable(filter, EV_READ);
	send_all(ends[1], "0123456789abcdefghij", 20);
	for (i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	printf("%zu bytes\n", evbuffer_get_length(input));
	evbuffer_drain(input, 4);
	printf("%zu bytes\n", evbuffer_get_length(input));
	evbuffer_drain(input, 10);
	printf("%zu bytes\n", evbuffer_get_length(input));
	end();
}
