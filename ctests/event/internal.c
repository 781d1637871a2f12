/* Functions that libevent exports without declaring them in a public header: events that become
 * active in the next pass, deferred callbacks, virtual events. The other libraries of the family and
 * libevent's own test programs call them. */
#define _GNU_SOURCE
#include "loop/internal.h"

#include <stdint.h>
#include <sys/queue.h>

typedef void (*deferred_fn)(struct event_callback *, void *);

void event_active_later_(struct event *ev, int res);
void event_deferred_cb_init_(struct event_callback *callback, uint8_t priority, deferred_fn run, void *arg);
void event_deferred_cb_set_priority_(struct event_callback *callback, uint8_t priority);
int event_deferred_cb_schedule_(struct event_base *base, struct event_callback *callback);
void event_deferred_cb_cancel_(struct event_base *base, struct event_callback *callback);
void event_callback_init_(struct event_base *base, struct event_callback *callback);
int event_callback_activate_(struct event_base *base, struct event_callback *callback);
int event_callback_cancel_(struct event_base *base, struct event_callback *callback);
void event_base_add_virtual_(struct event_base *base);
void event_base_del_virtual_(struct event_base *base);
void event_base_assert_ok_(struct event_base *base);
int event_add_nolock_(struct event *ev, const struct timeval *tv, int absolute);
int event_del_nolock_(struct event *ev, int blocking);
int event_remove_timer_nolock_(struct event *ev);
void event_active_nolock_(struct event *ev, int res, short count);
void event_active_later_nolock_(struct event *ev, int res);
void event_base_assert_ok_nolock_(struct event_base *base);
int event_base_foreach_event_nolock_(struct event_base *base, event_base_foreach_event_cb visit, void *arg);
int event_base_start_iocp_(struct event_base *base, int cpus);
void event_base_stop_iocp_(struct event_base *base);

static void
print_state(const char *label, struct event *ev)
{
	struct event_base *base = event_get_base(ev);
	printf("%s: flags 0x%02x, res 0x%02x, pending %s, active %d, added %d\n", label, ev->ev_evcallback.evcb_flags,
	       ev->ev_res, flag_names(event_pending(ev, 0x7fff, NULL)),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
}

/* Events that become active later. */
CASE(state_of_a_later_event, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "later");
	event_active_later_(ev, EV_READ);
	print_state("later", ev);
	event_active_later_(ev, EV_WRITE);
	print_state("later again", ev);
	event_base_assert_ok_(base);
	CHECK_EQUAL(event_priority_set(ev, 0), 0);
	printf("loop %d\n", event_base_dispatch(base));
	print_state("after", ev);
	event_active_later_(ev, EV_READ);
	event_active(ev, EV_TIMEOUT, 1);
	print_state("active", ev);
	event_active_later_(ev, EV_WRITE);
	print_state("still active", ev);
	poll_once(base);
	event_active_later_(ev, EV_READ);
	CHECK_EQUAL(event_del(ev), 0);
	print_state("deleted", ev);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

static struct event *later, *same_pass;
static int writer;

static void
activate_both(evutil_socket_t fd, short what, void *name)
{
	print_call(fd, what, name);
	event_active_later_(later, EV_WRITE);
	event_active(same_pass, EV_READ, 1);
	put_byte(writer);
}

CASE(later_is_the_next_pass_before_its_io, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *first, *reader;
	int ends[2];
	make_pipe(ends);
	writer = ends[1];
	reader = named_event(base, ends[0], EV_READ, "reader");
	later = named_event(base, -1, 0, "later");
	same_pass = named_event(base, -1, 0, "same pass");
	first = event_new(base, -1, 0, activate_both, "first");
	CHECK_EQUAL(event_add(reader, NULL), 0);
	event_active(first, EV_READ, 1);
	printf("loop %d\n", event_base_dispatch(base));
	event_free(first);
	event_free(reader);
	event_free(later);
	event_free(same_pass);
	event_base_free(base);
}

CASE(later_events_keep_their_order, EVERY_BACKEND)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	struct event_base *base = new_base();
	struct event *events[4];
	int i;
	CHECK_EQUAL(event_base_priority_init(base, 2), 0);
	for (i = 0; i < 4; i++) {
		events[i] = named_event_at(base, -1, 0, names[i], i / 2);
		event_active_later_(events[i], EV_READ);
	}
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	for (i = 0; i < 4; i++)
		event_active_later_(events[3 - i], EV_READ);
	event_active(events[0], EV_WRITE, 1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	for (i = 0; i < 4; i++)
		event_free(events[i]);
	event_base_free(base);
}

static int
count_visited(const struct event_base *base, const struct event *ev, void *arg)
{
	(void)base;
	*(int *)arg += event_get_callback(ev) == print_call;
	return 0;
}

DIFFERENCE(later_events_are_visited, EVERY_BACKEND,
	"event_base_foreach_event leaves out events that become active in the next pass")
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "later");
	int visited = 0;
	event_active_later_(ev, EV_READ);
	CHECK_EQUAL(event_base_foreach_event(base, count_visited, &visited), 0);
	CHECK_EQUAL(visited, 1);
	event_free(ev);
	event_base_free(base);
}

/* Deferred callbacks. */
static void
print_deferred(struct event_callback *callback, void *name)
{
	printf("%s: flags 0x%02x, priority %d, closure %d\n", (char *)name, callback->evcb_flags, callback->evcb_pri,
	       callback->evcb_closure);
}

CASE(deferred_callbacks, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event_callback callback;
	memset(&callback, 0xff, sizeof callback);
	CHECK_EQUAL(event_base_priority_init(base, 3), 0);
	event_deferred_cb_init_(&callback, 1, print_deferred, "deferred");
	printf("flags 0x%02x\n", callback.evcb_flags);
	CHECK_EQUAL(event_deferred_cb_schedule_(base, &callback), 1);
	CHECK_EQUAL(event_deferred_cb_schedule_(base, &callback), 0);
	printf("flags 0x%02x, active %d, added %d\n", callback.evcb_flags,
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_deferred_cb_set_priority_(&callback, 2);
	CHECK_EQUAL(event_deferred_cb_schedule_(base, &callback), 1);
	event_deferred_cb_cancel_(base, &callback);
	event_deferred_cb_cancel_(base, &callback);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_deferred_cb_schedule_(base, &callback), 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

enum { MANY = 40 };
static struct event_callback many[MANY];
static struct event_base *many_base;

static void
print_one_of_many(struct event_callback *callback, void *arg)
{
	(void)arg;
	printf("deferred %d\n", (int)(callback - many));
}

static void
schedule_many(evutil_socket_t fd, short what, void *arg)
{
	int i;
	(void)fd;
	(void)what;
	(void)arg;
	for (i = 0; i < MANY; i++)
		CHECK_EQUAL(event_deferred_cb_schedule_(many_base, &many[i]), 1);
	put_byte(writer);
}

CASE(many_deferred_callbacks_are_divided_among_passes, EVERY_BACKEND)
{
	struct event *reader, *first;
	int ends[2], i;
	many_base = new_base();
	CHECK_EQUAL(event_base_priority_init(many_base, 2), 0);
	make_pipe(ends);
	writer = ends[1];
	reader = named_event_at(many_base, ends[0], EV_READ, "urgent reader", 0);
	first = event_new(many_base, -1, 0, schedule_many, NULL);
	for (i = 0; i < MANY; i++)
		event_deferred_cb_init_(&many[i], 1, print_one_of_many, NULL);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	event_active(first, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(many_base), 1);
	event_free(reader);
	event_free(first);
	event_base_free(many_base);
}

CASE(deferred_callbacks_are_dropped_with_the_base, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event_callback callback;
	event_deferred_cb_init_(&callback, 0, print_deferred, "deferred");
	CHECK_EQUAL(event_deferred_cb_schedule_(base, &callback), 1);
	event_base_free(base);
	printf("flags 0x%02x\n", callback.evcb_flags);
}

/* Plain callbacks. */
CASE(callbacks_without_an_event, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event_callback callback;
	memset(&callback, 0xff, sizeof callback);
	CHECK_EQUAL(event_base_priority_init(base, 3), 0);
	event_callback_init_(base, &callback);
	printf("flags 0x%02x, priority %d, closure %d\n", callback.evcb_flags, callback.evcb_pri, callback.evcb_closure);
	event_deferred_cb_init_(&callback, 0, print_deferred, "callback");
	CHECK_EQUAL(event_callback_activate_(base, &callback), 1);
	CHECK_EQUAL(event_callback_activate_(base, &callback), 0);
	CHECK_EQUAL(event_callback_cancel_(base, &callback), 0);
	CHECK_EQUAL(event_callback_cancel_(base, &callback), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_callback_activate_(base, &callback), 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

/* Virtual events. */
static void
drop_virtual(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	printf("dropped\n");
	event_base_del_virtual_(base);
}

CASE(virtual_events_hold_the_loop, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval tv = {0, 5000};
	event_base_add_virtual_(base);
	event_base_add_virtual_(base);
	printf("virtual %d, added %d\n", event_base_get_num_events(base, EVENT_BASE_COUNT_VIRTUAL),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	event_base_del_virtual_(base);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, drop_virtual, base, &tv), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	printf("most virtual %d\n", event_base_get_max_events(base, EVENT_BASE_COUNT_VIRTUAL, 1));
	event_base_free(base);
}

/* With the lock held. */
CASE(functions_for_holders_of_the_lock, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval relative = {3600, 0}, absolute;
	struct event *ev = named_event(base, -1, EV_PERSIST, "event");
	CHECK_EQUAL(HELD(base, event_add_nolock_(ev, &relative, 0)), 0);
	print_state("added", ev);
	CHECK_EQUAL(HELD(base, event_remove_timer_nolock_(ev)), 0);
	print_state("removed", ev);
	CHECK_EQUAL(event_gettime_monotonic(base, &absolute), 0);
	absolute.tv_sec += 100;
	CHECK_EQUAL(HELD(base, event_add_nolock_(ev, &absolute, 1)), 0);
	CHECK(evutil_timercmp(&ev->ev_timeout, &absolute, ==));
	HOLDING(base, event_active_nolock_(ev, EV_READ, 1));
	print_state("active", ev);
	CHECK_EQUAL(HELD(base, event_del_nolock_(ev, 0)), 0);
	print_state("deleted", ev);
	absolute.tv_sec -= 200;
	CHECK_EQUAL(HELD(base, event_add_nolock_(ev, &absolute, 1)), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

CASE(active_later_with_the_lock_held, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "later");
	HOLDING(base, event_active_later_nolock_(ev, EV_READ));
	print_state("later", ev);
	HOLDING(base, event_active_later_nolock_(ev, EV_WRITE));
	HOLDING(base, event_base_assert_ok_nolock_(base));
	print_state("later again", ev);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_active(ev, EV_READ, 1);
	HOLDING(base, event_active_later_nolock_(ev, EV_TIMEOUT));
	print_state("active", ev);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

struct visits {
	int left;
	struct event_base *base;
};

static int
visit_some(const struct event_base *base, const struct event *ev, void *arg)
{
	struct visits *visits = arg;
	CHECK(base == visits->base);
	if (event_get_callback(ev) != print_call)
		return 0;
	printf("visited: %s\n", (char *)event_get_callback_arg(ev));
	return --visits->left ? 0 : 7;
}

CASE(events_are_visited_with_the_lock_held, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader, *timer, *active, *idle;
	struct visits every = {100, base}, two = {2, base};
	int ends[2];
	make_pipe(ends);
	reader = named_event(base, ends[0], EV_READ, "reader");
	timer = named_event(base, -1, 0, "timer");
	active = named_event(base, -1, 0, "active");
	idle = named_event(base, -1, 0, "idle");
	CHECK_EQUAL(add_timed(reader, 1000000), 0);
	CHECK_EQUAL(add_timed(timer, 1000000), 0);
	event_active(active, EV_READ, 1);
	CHECK_EQUAL(HELD(base, event_base_foreach_event_nolock_(base, visit_some, &every)), 0);
	CHECK_EQUAL(every.left, 97);
	CHECK_EQUAL(HELD(base, event_base_foreach_event_nolock_(base, visit_some, &two)), 7);
	event_free(reader);
	event_free(timer);
	event_free(active);
	event_free(idle);
	event_base_free(base);
}

/* The self-check of a base. */
static int
check_a_queued_event_without_its_mark(void)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "active");
	event_active(ev, EV_READ, 1);
	HOLDING(base, event_base_assert_ok_nolock_(base));
	printf("consistent\n");
	fflush(stdout);
	ev->ev_evcallback.evcb_flags = 0x80;
	HOLDING(base, event_base_assert_ok_nolock_(base));
	return 0;
}

static int
check_a_descriptor_that_lacks_a_reader(void)
{
	struct event_base *base = new_base();
	struct event *first;
	int ends[2];
	make_pipe(ends);
	first = added_event(base, ends[0], EV_READ, "first");
	added_event(base, ends[0], EV_READ, "second");
	event_base_assert_ok_(base);
	printf("consistent\n");
	fflush(stdout);
	LIST_REMOVE(first, ev_.ev_io.ev_io_next);
	event_base_assert_ok_(base);
	return 0;
}

CASE(an_inconsistent_base_ends_the_process, EVERY_BACKEND)
{
	in_child(check_a_queued_event_without_its_mark);
	in_child(check_a_descriptor_that_lacks_a_reader);
}

/* For another operating system. */
CASE(there_are_no_completion_ports, ONE_BACKEND)
{
	struct event_base *base = new_base();
	CHECK_EQUAL(event_base_start_iocp_(base, 2), -1);
	event_base_stop_iocp_(base);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}
