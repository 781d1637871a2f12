/* One-shot events on descriptors: what the kernel still watches after one has run, was deleted or
 * expired must not matter. */
#define _GNU_SOURCE
#include "trace.h"

static struct event *acted_on;
static int kept;

CASE(then_another_kind, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader, *writer;
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	reader = named_event(base, ends[0], EV_READ, "reader");
	writer = named_event(base, ends[0], EV_WRITE, "writer");
	CHECK_EQUAL(event_add(reader, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_add(writer, NULL), 0);
	poll_once(base);
	poll_once(base);
	CHECK_EQUAL(event_add(writer, NULL), 0);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	poll_once(base);
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}

CASE(beside_a_persistent_event, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *once, *always;
	int ends[2], round;
	make_socketpair(ends);
	put_byte(ends[1]);
	once = named_event(base, ends[0], EV_READ, "once");
	always = named_event(base, ends[0], EV_READ | EV_PERSIST, "always");
	CHECK_EQUAL(event_add(always, NULL), 0);
	for (round = 0; round < 2; round++) {
		CHECK_EQUAL(event_add(once, NULL), 0);
		poll_once(base);
		poll_once(base);
	}
	CHECK_EQUAL(event_add(once, NULL), 0);
	CHECK_EQUAL(event_del(always), 0);
	printf("always deleted\n");
	poll_once(base);
	poll_once(base);
	CHECK_EQUAL(event_add(always, NULL), 0);
	printf("always added\n");
	poll_once(base);
	poll_once(base);
	event_free(once);
	event_free(always);
	event_base_free(base);
}

CASE(two_of_one_kind, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *first, *second;
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	first = added_event(base, ends[0], EV_READ, "first");
	second = added_event(base, ends[0], EV_READ, "second");
	poll_once(base);
	CHECK_EQUAL(event_add(second, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_add(first, NULL), 0);
	CHECK_EQUAL(event_add(second, NULL), 0);
	CHECK_EQUAL(event_del(second), 0);
	poll_once(base);
	event_free(first);
	event_free(second);
	event_base_free(base);
}

/* Cancelled after the kernel reported it and before its callback. */
static void
delete_it(evutil_socket_t fd, short what, void *name)
{
	print_call(fd, what, name);
	CHECK_EQUAL(event_del(acted_on), 0);
}

static void
delete_and_add_it(evutil_socket_t fd, short what, void *name)
{
	delete_it(fd, what, name);
	CHECK_EQUAL(event_add(acted_on, NULL), 0);
}

static void
break_the_loop(evutil_socket_t fd, short what, void *name)
{
	print_call(fd, what, name);
	CHECK_EQUAL(event_base_loopbreak(event_get_base(acted_on)), 0);
}

/* A callback acts on a less urgent one-shot event of the same batch. */
static void
cancel_with(event_callback_fn act, int interest)
{
	struct event_base *base = new_base();
	struct event *first;
	int ends[2], others[2], round;
	CHECK_EQUAL(event_base_priority_init(base, 2), 0);
	make_socketpair(ends);
	make_socketpair(others);
	put_byte(ends[1]);
	put_byte(others[1]);
	first = event_new(base, ends[0], EV_READ, act, "first");
	CHECK_EQUAL(event_priority_set(first, 0), 0);
	acted_on = named_event_at(base, others[0], interest, "acted on", 1);
	CHECK_EQUAL(event_add(first, NULL), 0);
	CHECK_EQUAL(event_add(acted_on, NULL), 0);
	for (round = 0; round < 3; round++) {
		printf("round %d\n", round);
		poll_once(base);
		if (round == 1)
			CHECK_EQUAL(event_add(acted_on, NULL), 0);
	}
	CHECK_EQUAL(event_del(acted_on), 0);
	CHECK_EQUAL(event_add(acted_on, NULL), 0);
	printf("deleted and added\n");
	poll_once(base);
	event_free(first);
	event_free(acted_on);
	event_base_free(base);
	close(ends[0]);
	close(others[0]);
}

CASE(cancelled_before_its_callback, EVERY_BACKEND)
{
	cancel_with(delete_it, EV_READ);
	cancel_with(delete_it, EV_READ | EV_ET);
	cancel_with(delete_it, EV_READ | EV_WRITE);
}

CASE(cancelled_and_added_before_its_callback, EVERY_BACKEND)
{
	cancel_with(delete_and_add_it, EV_READ);
	cancel_with(delete_and_add_it, EV_READ | EV_ET);
	cancel_with(delete_and_add_it, EV_READ | EV_WRITE);
}

CASE(left_active_by_a_break, EVERY_BACKEND)
{
	cancel_with(break_the_loop, EV_READ);
	cancel_with(break_the_loop, EV_READ | EV_ET);
	cancel_with(break_the_loop, EV_READ | EV_WRITE);
}

/* Ended by something other than readiness, so that the kernel did not report it. */
enum ending { BY_TIMEOUT, BY_ACTIVATION, BY_DELETION };

static void
end_event(struct event_base *base, struct event *ev, enum ending how)
{
	switch (how) {
	case BY_TIMEOUT:
		CHECK_EQUAL(add_timed(ev, 1), 0);
		pause_milliseconds(15);
		break;
	case BY_ACTIVATION:
		event_active(ev, EV_WRITE, 1);
		break;
	case BY_DELETION:
		CHECK_EQUAL(event_del(ev), 0);
		break;
	}
	poll_once(base);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
}

static void
ready_after_it_ended(enum ending how)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_socketpair(ends);
	ev = added_event(base, ends[0], EV_READ, "event");
	end_event(base, ev, how);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
	close(ends[0]);
}

CASE(ready_after_ending_otherwise, EVERY_BACKEND)
{
	ready_after_it_ended(BY_TIMEOUT);
	ready_after_it_ended(BY_ACTIVATION);
	ready_after_it_ended(BY_DELETION);
}

static void
close_and_keep(evutil_socket_t fd, short what, void *name)
{
	print_call(fd, what, name);
	kept = dup(fd);
	close(fd);
}

/* The callback closes the descriptor; a duplicate stays open and becomes ready, and the number is
 * reused for a file that is not ready. */
static void
number_reused_after_it_ended(enum ending how)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2], others[2];
	make_numbered_socketpair(ends, 100);
	ev = event_new(base, 100, EV_READ, close_and_keep, "first");
	CHECK_EQUAL(event_add(ev, NULL), 0);
	end_event(base, ev, how);
	if (how == BY_DELETION)
		close_and_keep(100, 0, "by hand");
	put_byte(ends[1]);
	make_numbered_socketpair(others, 100);
	event_free(ev);
	ev = added_event(base, 100, EV_READ | EV_PERSIST, "second");
	printf("not ready\n");
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(poll_once(base), 0);
	put_byte(others[1]);
	printf("ready\n");
	CHECK_EQUAL(poll_once(base), 0);
	event_free(ev);
	event_base_free(base);
	close(100);
	close(kept);
}

CASE(number_reused_after_ending_otherwise, EVERY_BACKEND)
{
	/* With the changelist the kernel learns too late. */
	struct event_base *base = new_base();
	bool tells_at_once = !uses_changelist(base);
	event_base_free(base);
	if (!tells_at_once)
		harness_skip("not safe with duplicates and the changelist");
	number_reused_after_it_ended(BY_TIMEOUT);
	number_reused_after_it_ended(BY_ACTIVATION);
	number_reused_after_it_ended(BY_DELETION);
}

/* The number belongs to the first file again. */
CASE(number_given_back, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2], others[2], duplicate, round;
	make_socketpair(ends);
	make_socketpair(others);
	duplicate = dup(ends[0]);
	renumber(ends[0], 100);
	put_byte(ends[1]);
	put_byte(others[1]);
	ev = named_event(base, 100, EV_READ, "event");
	for (round = 0; round < 6; round++) {
		CHECK(dup3(round % 2 ? others[0] : duplicate, 100, O_CLOEXEC) == 100);
		printf("round %d\n", round);
		CHECK_EQUAL(event_add(ev, NULL), 0);
		poll_once(base);
		poll_once(base);
	}
	event_free(ev);
	event_base_free(base);
}

/* The other end goes away after the event has run. */
CASE(hung_up_after_it_ran, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	ev = added_event(base, ends[0], EV_READ, "event");
	poll_once(base);
	close(ends[1]);
	run_for(base, 10);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

/* Readiness between the callback and adding the event again. */
static void
add_it_again(evutil_socket_t fd, short what, void *arg)
{
	int *end = arg;
	print_call(fd, what, "event");
	take_byte(fd);
	if (--kept == 0)
		return;
	put_byte(*end);
	CHECK_EQUAL(event_add(acted_on, NULL), 0);
}

CASE(added_again_when_ready_again, EVERY_BACKEND)
{
	static const int interests[] = {EV_READ, EV_READ | EV_ET};
	size_t i;
	for (i = 0; i < 2; i++) {
		struct event_base *base = new_base();
		int ends[2];
		make_socketpair(ends);
		put_byte(ends[1]);
		kept = 5;
		acted_on = event_new(base, ends[0], (short)interests[i], add_it_again, &ends[1]);
		CHECK_EQUAL(event_add(acted_on, NULL), 0);
		CHECK_EQUAL(event_base_dispatch(base), 1);
		event_free(acted_on);
		event_base_free(base);
		close(ends[0]);
		close(ends[1]);
	}
}

/* A break leaves the event active; until its callback runs, more can become ready. */
CASE(more_readiness_before_its_callback, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *first, *next;
	int ends[2], others[2];
	CHECK_EQUAL(event_base_priority_init(base, 2), 0);
	make_socketpair(ends);
	make_socketpair(others);
	put_byte(ends[1]);
	first = event_new(base, ends[0], EV_READ, break_the_loop, "first");
	CHECK_EQUAL(event_priority_set(first, 0), 0);
	next = acted_on = named_event_at(base, others[0], EV_READ | EV_WRITE, "next", 1);
	CHECK_EQUAL(event_add(first, NULL), 0);
	CHECK_EQUAL(event_add(next, NULL), 0);
	poll_once(base);
	put_byte(others[1]);
	poll_once(base);
	event_free(first);
	event_free(next);
	event_base_free(base);
}
