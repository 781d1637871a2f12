/* Events that the program activates itself, and what a callback may do to events: to its own and to
 * others, pending or active. */
#include "trace.h"

CASE(activation_needs_no_add, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "never added");
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_active(ev, EV_WRITE, 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	event_active(ev, EV_TIMEOUT, 5);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

CASE(activations_are_merged, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *first = named_event(base, -1, 0, "first"), *second = named_event(base, -1, 0, "second");
	event_active(first, EV_READ, 1);
	event_active(second, EV_READ, 1);
	event_active(first, EV_WRITE, 1);
	event_active(first, EV_TIMEOUT, 1);
	poll_once(base);
	event_free(first);
	event_free(second);
	event_base_free(base);
}

CASE(activation_merges_with_readiness, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	ev = added_event(base, ends[0], EV_READ | EV_WRITE | EV_PERSIST, "event");
	event_active(ev, EV_TIMEOUT, 1);
	poll_once(base);
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

CASE(activation_of_a_one_shot_event_deletes_it, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = named_event(base, ends[0], EV_READ, "event");
	CHECK_EQUAL(add_timed(ev, 3600000), 0);
	event_active(ev, EV_WRITE, 1);
	poll_once(base);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

CASE(repetitions_are_for_signal_events, ONE_BACKEND)
{
	static const short counts[] = {0, 1, 3, -1};
	struct event_base *base = new_base();
	struct event *user = named_event(base, -1, 0, "user");
	struct event *signal_event = named_event(base, 10, EV_SIGNAL | EV_PERSIST, "signal");
	size_t i;
	for (i = 0; i < 3; i++) {
		printf("%d times\n", counts[i]);
		event_active(user, EV_READ, counts[i]);
		event_active(signal_event, EV_SIGNAL, counts[i]);
		event_active(signal_event, EV_SIGNAL, 7);
		poll_once(base);
	}
	event_free(user);
	event_free(signal_event);
	event_base_free(base);
}

/* Adding an event that is active. */
CASE(adding_an_active_event, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *timer = named_event(base, -1, 0, "timer"), *other = named_event(base, -1, 0, "other");
	event_active(timer, EV_READ, 1);
	event_active(other, EV_READ, 1);
	CHECK_EQUAL(add_timed(timer, 3600000), 0);
	printf("pending %s\n", flag_names(event_pending(timer, 0x7fff, NULL)));
	poll_once(base);
	printf("pending %s\n", flag_names(event_pending(timer, 0x7fff, NULL)));
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(timer);
	event_free(other);
	event_base_free(base);
}

CASE(adding_an_event_that_has_expired, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *timer = named_event(base, -1, 0, "timer");
	event_active(timer, EV_TIMEOUT | EV_READ, 1);
	CHECK_EQUAL(add_timed(timer, 5), 0);
	printf("pending %s\n", flag_names(event_pending(timer, 0x7fff, NULL)));
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_active(timer, EV_TIMEOUT, 1);
	CHECK_EQUAL(event_add(timer, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(timer);
	event_base_free(base);
}

DIFFERENCE(adding_an_active_event_registers_it, EVERY_BACKEND,
	   "event_add for an event that is active, but was not added, does nothing: it is never watched")
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = named_event(base, ends[0], EV_READ | EV_PERSIST, "");
	event_active(ev, EV_WRITE, 1);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_pending(ev, EV_READ, NULL), EV_READ);
	put_byte(ends[1]);
	poll_once(base);
	CHECK_EQUAL(ev->ev_res, EV_READ);
	event_free(ev);
	event_base_free(base);
}

DIFFERENCE(adding_an_active_one_shot_event, EVERY_BACKEND,
	   "event_add for an event that is active, but was not added, does nothing: it is never watched")
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = named_event(base, ends[0], EV_READ, "");
	event_active(ev, EV_WRITE, 1);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(ev->ev_evcallback.evcb_flags & EVLIST_INSERTED, EVLIST_INSERTED);
	poll_once(base);
	CHECK_EQUAL(event_pending(ev, EV_READ, NULL), 0);
	event_free(ev);
	event_base_free(base);
}

/* What each callback does. */
struct actor {
	const char *name;
	struct event *ev;
	struct event *other;
	void (*act)(struct actor *);
};

static void
run_actor(evutil_socket_t fd, short what, void *arg)
{
	struct actor *actor = arg;
	(void)fd;
	printf("%s: %s\n", actor->name, flag_names(what));
	if (actor->act)
		actor->act(actor);
}

static void
delete_self(struct actor *actor)
{
	CHECK_EQUAL(event_del(actor->ev), 0);
}

static void
add_self(struct actor *actor)
{
	CHECK_EQUAL(event_add(actor->ev, NULL), 0);
}

static void
add_self_once(struct actor *actor)
{
	actor->act = NULL;
	add_self(actor);
}

static void
free_self(struct actor *actor)
{
	event_free(actor->ev);
	actor->ev = NULL;
}

static void
activate_self_once(struct actor *actor)
{
	actor->act = NULL;
	event_active(actor->ev, EV_WRITE, 1);
}

static void
assign_self_as_timer(struct actor *actor)
{
	struct event_base *base = event_get_base(actor->ev);
	CHECK_EQUAL(event_del(actor->ev), 0);
	CHECK_EQUAL(event_assign(actor->ev, base, -1, 0, print_call, "assigned anew"), 0);
	CHECK_EQUAL(add_timed(actor->ev, 0), 0);
}

static void
delete_other(struct actor *actor)
{
	CHECK_EQUAL(event_del(actor->other), 0);
}

static void
free_other(struct actor *actor)
{
	event_free(actor->other);
	actor->other = NULL;
}

static void
add_other(struct actor *actor)
{
	CHECK_EQUAL(event_add(actor->other, NULL), 0);
}

static void
activate_other(struct actor *actor)
{
	event_active(actor->other, EV_WRITE, 1);
}

static void
time_other(struct actor *actor)
{
	CHECK_EQUAL(add_timed(actor->other, 0), 0);
	printf("the other's time is now\n");
}

static void
assign_other(struct actor *actor)
{
	struct event_base *base = event_get_base(actor->other);
	CHECK_EQUAL(event_del(actor->other), 0);
	CHECK_EQUAL(event_assign(actor->other, base, -1, 0, print_call, "the other, assigned anew"), 0);
	event_active(actor->other, EV_TIMEOUT, 1);
}

/* Runs one actor on a readable descriptor for two passes. */
static void
play_alone(int interest, void (*act)(struct actor *))
{
	struct event_base *base = new_base();
	struct actor actor = {"actor", NULL, NULL, act};
	int ends[2], pass;
	make_socketpair(ends);
	put_byte(ends[1]);
	actor.ev = event_new(base, ends[0], (short)interest, run_actor, &actor);
	CHECK_EQUAL(event_add(actor.ev, NULL), 0);
	for (pass = 0; pass < 3; pass++) {
		printf("loop %d\n", poll_once(base));
		if (actor.ev)
			printf("pending %s\n", flag_names(event_pending(actor.ev, 0x7fff, NULL)));
	}
	if (actor.ev)
		event_free(actor.ev);
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
}

static void
play_each(void (*act)(struct actor *))
{
	static const int interests[] = {EV_READ, EV_READ | EV_PERSIST, EV_READ | EV_ET, EV_READ | EV_PERSIST | EV_ET};
	size_t i;
	for (i = 0; i < sizeof interests / sizeof interests[0]; i++) {
		printf("%s\n", flag_names(interests[i]));
		play_alone(interests[i], act);
	}
}

CASE(a_callback_deletes_its_event, EVERY_BACKEND)
{
	play_each(delete_self);
}

CASE(a_callback_adds_its_event, EVERY_BACKEND)
{
	play_each(add_self);
}

CASE(a_callback_adds_its_event_once, EVERY_BACKEND)
{
	play_each(add_self_once);
}

CASE(a_callback_frees_its_event, EVERY_BACKEND)
{
	play_each(free_self);
}

CASE(a_callback_activates_its_event, EVERY_BACKEND)
{
	play_each(activate_self_once);
}

CASE(a_callback_assigns_its_event, EVERY_BACKEND)
{
	play_each(assign_self_as_timer);
}

/* Two events on one descriptor: the newer one runs first and acts on the older. */
static void
play_on_other(int interest, void (*act)(struct actor *))
{
	struct event_base *base = new_base();
	struct actor older = {"older", NULL, NULL, NULL}, newer = {"newer", NULL, NULL, act};
	int ends[2], pass;
	make_socketpair(ends);
	put_byte(ends[1]);
	older.ev = event_new(base, ends[0], (short)interest, run_actor, &older);
	newer.ev = event_new(base, ends[0], (short)interest, run_actor, &newer);
	newer.other = older.ev;
	CHECK_EQUAL(event_add(older.ev, NULL), 0);
	CHECK_EQUAL(event_add(newer.ev, NULL), 0);
	for (pass = 0; pass < 3; pass++) {
		printf("loop %d\n", poll_once(base));
		newer.act = NULL;
	}
	event_free(newer.ev);
	if (newer.other)
		event_free(newer.other);
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
}

static void
play_each_on_other(void (*act)(struct actor *))
{
	static const int interests[] = {EV_READ, EV_READ | EV_PERSIST, EV_WRITE, EV_READ | EV_WRITE | EV_PERSIST};
	size_t i;
	for (i = 0; i < sizeof interests / sizeof interests[0]; i++) {
		printf("%s\n", flag_names(interests[i]));
		play_on_other(interests[i], act);
	}
}

CASE(a_callback_deletes_an_active_event, EVERY_BACKEND)
{
	play_each_on_other(delete_other);
}

CASE(a_callback_frees_an_active_event, EVERY_BACKEND)
{
	play_each_on_other(free_other);
}

CASE(a_callback_adds_an_active_event, EVERY_BACKEND)
{
	play_each_on_other(add_other);
}

CASE(a_callback_activates_an_active_event, EVERY_BACKEND)
{
	play_each_on_other(activate_other);
}

CASE(a_callback_assigns_an_active_event, EVERY_BACKEND)
{
	play_each_on_other(assign_other);
}

/* Others that are idle. */
static void
play_on_idle(int interest, void (*act)(struct actor *))
{
	struct event_base *base = new_base();
	struct actor actor = {"actor", NULL, NULL, act}, idle = {"idle", NULL, NULL, NULL};
	int ends[2];
	make_socketpair(ends);
	idle.ev = event_new(base, ends[0], (short)interest, run_actor, &idle);
	actor.ev = event_new(base, -1, 0, run_actor, &actor);
	actor.other = idle.ev;
	event_active(actor.ev, EV_READ, 1);
	printf("loop %d\n", event_base_loop(base, EVLOOP_NONBLOCK));
	printf("loop %d\n", event_base_loop(base, EVLOOP_NONBLOCK));
	event_free(actor.ev);
	event_free(idle.ev);
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
}

CASE(a_callback_acts_on_an_idle_event, EVERY_BACKEND)
{
	play_on_idle(EV_WRITE, add_other);
	play_on_idle(EV_WRITE, activate_other);
	play_on_idle(EV_WRITE, delete_other);
	play_on_idle(EV_WRITE, assign_other);
	play_on_idle(0, time_other);
}

/* In the same pass, or the next one? */
static struct event *probed;

static void
make_readable(struct actor *actor)
{
	put_byte(event_get_fd(actor->other));
	event_active(probed, EV_TIMEOUT, 1);
}

static void
add_zero_timer_and_write(struct actor *actor)
{
	CHECK_EQUAL(add_timed(probed, 0), 0);
	put_byte(event_get_fd(actor->other));
}

/* A callback makes a descriptor readable and lets a probe run: which of the two comes first? */
static void
probe(void (*act)(struct actor *), const char *name)
{
	struct event_base *base = new_base();
	struct event *reader;
	struct actor actor = {"actor", NULL, NULL, act};
	int ends[2];
	make_pipe(ends);
	reader = added_event(base, ends[0], EV_READ, "reader");
	actor.ev = event_new(base, -1, 0, run_actor, &actor);
	actor.other = event_new(base, ends[1], EV_WRITE, print_call, "writer");
	probed = named_event(base, -1, 0, name);
	event_active(actor.ev, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(reader);
	event_free(actor.ev);
	event_free(actor.other);
	event_free(probed);
	event_base_free(base);
}

CASE(activation_in_a_callback_runs_before_the_next_poll, EVERY_BACKEND)
{
	probe(make_readable, "activated");
}

CASE(zero_timer_in_a_callback_runs_after_the_next_poll, EVERY_BACKEND)
{
	probe(add_zero_timer_and_write, "zero timer");
}

/* Activation by descriptor. */
CASE(activating_by_descriptor, EVERY_BACKEND)
{
	static const short wanted[] = {EV_READ, EV_WRITE, EV_READ | EV_WRITE, EV_CLOSED, EV_READ | EV_PERSIST | EV_ET,
				       EV_TIMEOUT, EV_TIMEOUT | EV_READ, 0, EV_SIGNAL};
	struct event_base *base = new_base();
	struct event *events[5];
	int ends[2], i;
	size_t w;
	CHECK_EQUAL(event_base_priority_init(base, 5), 0);
	make_pipe(ends);
	events[0] = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader");
	events[1] = named_event(base, ends[0], EV_WRITE | EV_PERSIST | EV_READ, "reader and writer");
	events[2] = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader with a timeout");
	events[3] = named_event(base, ends[0], EV_PERSIST, "timer with a descriptor");
	events[4] = named_event(base, -1, EV_PERSIST, "timer");
	/* The order among timers is not specified, so each event has its own priority. */
	for (i = 0; i < 5; i++) {
		CHECK_EQUAL(event_priority_set(events[i], 4 - i), 0);
		CHECK_EQUAL(i < 2 ? event_add(events[i], NULL) : add_timed(events[i], 3600000), 0);
	}
	for (w = 0; w < sizeof wanted / sizeof wanted[0]; w++) {
		printf("activating %s\n", flag_names(wanted[w]));
		event_base_active_by_fd(base, ends[0], wanted[w]);
		poll_once(base);
	}
	printf("timers without a descriptor\n");
	event_base_active_by_fd(base, -1, EV_TIMEOUT);
	poll_once(base);
	printf("unknown descriptors\n");
	event_base_active_by_fd(base, 9999, EV_READ | EV_WRITE);
	event_base_active_by_fd(base, -5, EV_READ | EV_WRITE);
	poll_once(base);
	for (i = 0; i < 5; i++) {
		printf("%d pending %s\n", i, flag_names(event_pending(events[i], 0x7fff, NULL)));
		event_free(events[i]);
	}
	event_base_free(base);
}

CASE(activating_by_signal, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *first = added_event(base, 10, EV_SIGNAL | EV_PERSIST, "first");
	struct event *second = added_event(base, 10, EV_SIGNAL, "second once");
	struct event *other = added_event(base, 12, EV_SIGNAL | EV_PERSIST, "other");
	event_base_active_by_signal(base, 10);
	poll_once(base);
	event_base_active_by_signal(base, 10);
	event_base_active_by_signal(base, 10);
	event_base_active_by_signal(base, 9);
	event_base_active_by_signal(base, 0);
	event_base_active_by_signal(base, -1);
	event_base_active_by_signal(base, 1000);
	poll_once(base);
	event_free(first);
	event_free(second);
	event_free(other);
	event_base_free(base);
}
