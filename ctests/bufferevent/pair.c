/* Pairs of bufferevents. */
#include "tools.h"

#include <event2/thread.h>

static struct traced left = {.name = "left", .drain = -1}, right = {.name = "right", .drain = -1};
static struct bufferevent *pair[2];

static void
begin(int options)
{
	make_base();
	CHECK_EQUAL(bufferevent_pair_new(base, options, pair), 0);
	trace(pair[0], &left);
	trace(pair[1], &right);
}

static void
end(void)
{
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	finish();
	printf("end\n");
}

static int
in(int i)
{
	return (int)evbuffer_get_length(bufferevent_get_input(pair[i]));
}

static int
out(int i)
{
	return (int)evbuffer_get_length(bufferevent_get_output(pair[i]));
}

CASE(new_pair, ONE_BACKEND)
{
	int fd = dup(0);

	begin(0);
	CHECK(bufferevent_pair_get_partner(pair[0]) == pair[1]);
	CHECK(bufferevent_pair_get_partner(pair[1]) == pair[0]);
	CHECK_EQUAL(bufferevent_get_enabled(pair[0]), EV_WRITE);
	CHECK_EQUAL(bufferevent_get_enabled(pair[1]), EV_WRITE);
	CHECK_EQUAL(bufferevent_getfd(pair[0]), -1);
	CHECK_EQUAL(bufferevent_setfd(pair[0], fd), -1);
	CHECK_EQUAL(bufferevent_priority_set(pair[0], 0), -1);
	CHECK_EQUAL(bufferevent_base_set(base, pair[0]), -1);
	CHECK(!bufferevent_get_underlying(pair[0]));
	CHECK(bufferevent_get_base(pair[0]) == base);
	CHECK_EQUAL(bufferevent_get_max_to_read(pair[0]), 16384);
	end();
	close(fd);
}

CASE(transfer, ONE_BACKEND)
{
	begin(0);
	/* Reading is not enabled: the data waits. */
	bufferevent_write(pair[0], "hello", 5);
	settle();
	CHECK_EQUAL(out(0), 5);
	CHECK_EQUAL(happened, 0);
	CHECK_EQUAL(bufferevent_enable(pair[1], EV_READ), 0);
	/* The data moves at once, the callbacks come from the loop. */
	CHECK_EQUAL(out(0), 0);
	CHECK_EQUAL(in(1), 5);
	CHECK_EQUAL(happened, 0);
	settle();
	CHECK_EQUAL(happened, 2);
	bufferevent_write(pair[0], "again", 5);
	CHECK_EQUAL(in(1), 5);
	settle();
	bufferevent_enable(pair[0], EV_READ);
	bufferevent_write(pair[1], "back", 4);
	settle();
	/* Nothing to write, no callback. */
	happened = 0;
	bufferevent_enable(pair[0], EV_WRITE);
	settle();
	CHECK_EQUAL(happened, 0);
	end();
}

CASE(disabled_directions, ONE_BACKEND)
{
	begin(0);
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_disable(pair[0], EV_WRITE);
	bufferevent_write(pair[0], "hello", 5);
	settle();
	CHECK_EQUAL(out(0), 5);
	bufferevent_enable(pair[0], EV_WRITE);
	settle();
	CHECK_EQUAL(out(0), 0);
	bufferevent_disable(pair[1], EV_READ);
	bufferevent_write(pair[0], "wait", 4);
	settle();
	CHECK_EQUAL(out(0), 4);
	bufferevent_enable(pair[1], EV_READ);
	settle();
	CHECK_EQUAL(out(0), 0);
	end();
}

CASE(high_mark, ONE_BACKEND)
{
	begin(0);
	right.drain = 0;
	bufferevent_setcb(pair[1], NULL, trace_write, trace_event, &right);
	bufferevent_setwatermark(pair[1], EV_READ, 0, 10);
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_write(pair[0], "0123456789abcdef", 16);
	CHECK_EQUAL(in(1), 10);
	CHECK_EQUAL(out(0), 6);
	settle();
	bufferevent_write(pair[0], "gh", 2);
	CHECK_EQUAL(out(0), 8);
	evbuffer_drain(bufferevent_get_input(pair[1]), 3);
	printf("in %d, out %d\n", in(1), out(0));
	settle();
	evbuffer_drain(bufferevent_get_input(pair[1]), 9);
	printf("in %d, out %d\n", in(1), out(0));
	settle();
	bufferevent_setwatermark(pair[1], EV_READ, 0, 0);
	settle();
	printf("in %d, out %d\n", in(1), out(0));
	end();
}

CASE(low_marks, ONE_BACKEND)
{
	begin(0);
	bufferevent_setwatermark(pair[1], EV_READ, 6, 0);
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_write(pair[0], "hello", 5);
	settle();
	bufferevent_write(pair[0], "x", 1);
	settle();
	end();
}

static void
flush_with(short what, enum bufferevent_flush_mode mode, const char *name)
{
	printf("-- %s, %s\n", name, what == EV_READ ? "read" : what == EV_WRITE ? "write" : "both");
	begin(0);
	left.drain = right.drain = 0;
	bufferevent_write(pair[0], "to the right", 12);
	bufferevent_write(pair[1], "to the left", 11);
	printf("flush: %d\n", bufferevent_flush(pair[0], what, mode));
	settle();
	printf("left %d/%d, right %d/%d\n", in(0), out(0), in(1), out(1));
	printf("again: %d\n", bufferevent_flush(pair[0], what, mode));
	settle();
	printf("enabled %s, ", enabled_names(pair[0]));
	printf("%s\n", enabled_names(pair[1]));
	end();
}

CASE(flush, ONE_BACKEND)
{
	static const short what[] = {EV_READ, EV_WRITE, EV_READ | EV_WRITE};
	int i;

	for (i = 0; i < 3; i++) {
		flush_with(what[i], BEV_NORMAL, "normal");
		flush_with(what[i], BEV_FLUSH, "flush");
		flush_with(what[i], BEV_FINISHED, "finished");
	}
}

CASE(flush_over_the_high_mark, ONE_BACKEND)
{
	begin(0);
	bufferevent_setcb(pair[1], NULL, NULL, NULL, NULL);
	bufferevent_setwatermark(pair[1], EV_READ, 0, 5);
	bufferevent_write(pair[0], "0123456789", 10);
	bufferevent_flush(pair[0], EV_WRITE, BEV_FLUSH);
	printf("in %d, out %d\n", in(1), out(0));
	bufferevent_flush(pair[0], EV_WRITE, BEV_FLUSH);
	printf("in %d, out %d\n", in(1), out(0));
	end();
}

CASE(partner_freed, ONE_BACKEND)
{
	begin(0);
	bufferevent_enable(pair[0], EV_READ);
	bufferevent_write(pair[1], "last", 4);
	settle();
	bufferevent_write(pair[0], "unread", 6);
	bufferevent_free(pair[1]);
	settle();
	CHECK(!bufferevent_pair_get_partner(pair[0]));
	CHECK_EQUAL(bufferevent_write(pair[0], "more", 4), 0);
	CHECK_EQUAL(bufferevent_flush(pair[0], EV_WRITE, BEV_FLUSH), -1);
	printf("enable %d\n", bufferevent_enable(pair[0], EV_READ | EV_WRITE));
	printf("disable %d\n", bufferevent_disable(pair[0], EV_READ | EV_WRITE));
	settle();
	CHECK_EQUAL(left.events, 0);
	bufferevent_free(pair[0]);
	finish();
}

static void
free_partner(struct bufferevent *bev, const char *callback)
{
	(void)callback;
	if (bufferevent_pair_get_partner(bev))
		bufferevent_free(bufferevent_pair_get_partner(bev));
}

static void
free_both(struct bufferevent *bev, const char *callback)
{
	free_partner(bev, callback);
	bufferevent_free(bev);
}

CASE(partner_freed_in_callback, ONE_BACKEND)
{
	begin(0);
	right.then = free_partner;
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_write(pair[0], "hello", 5);
	settle();
	bufferevent_free(pair[1]);
	finish();
	printf("end\n");
}

CASE(both_freed_in_callback, ONE_BACKEND)
{
	begin(0);
	right.then = free_both;
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_write(pair[0], "hello", 5);
	settle();
	finish();
	printf("end\n");
}

static void
echo(struct bufferevent *bev, const char *callback)
{
	if (!strcmp(callback, "read") && left.reads + right.reads < 20)
		bufferevent_write(bev, "ball", 4);
}

CASE(ping_pong, ONE_BACKEND)
{
	begin(BEV_OPT_DEFER_CALLBACKS);
	left.then = right.then = echo;
	bufferevent_enable(pair[0], EV_READ);
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_write(pair[0], "ball", 4);
	run_until(&happened, 39);
	settle();
	printf("%d, %d\n", left.reads, right.reads);
	end();
}

CASE(locked_pair, ONE_BACKEND)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	begin(BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_write(pair[0], "hello", 5);
	settle();
	end();
}

/* Data moves without being copied. */
CASE(large_transfer, ONE_BACKEND)
{
	static char data[1000000];
	struct evbuffer_iovec before, after;

	begin(0);
	bufferevent_setcb(pair[0], NULL, NULL, NULL, NULL);
	bufferevent_setcb(pair[1], NULL, NULL, NULL, NULL);
	memset(data, 'x', sizeof data);
	bufferevent_write(pair[0], data, sizeof data);
	CHECK(evbuffer_peek(bufferevent_get_output(pair[0]), -1, NULL, &before, 1) >= 1);
	bufferevent_enable(pair[1], EV_READ);
	CHECK_EQUAL(in(1), sizeof data);
	CHECK(evbuffer_peek(bufferevent_get_input(pair[1]), -1, NULL, &after, 1) >= 1);
	CHECK(before.iov_base == after.iov_base);
	end();
}
