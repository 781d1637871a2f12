/* Functions that libevent exports without declaring them in a public header: callbacks that are part
 * of no event, or of one, are queued, cancelled and finalized. The library itself uses them for
 * bufferevents. */
#include "loop/internal.h"

#include <event2/event_compat.h>
#include <pthread.h>

typedef void (*callback_fn)(struct event_callback *, void *);

void event_deferred_cb_init_(struct event_callback *callback, ev_uint8_t priority, callback_fn run, void *arg);
int event_callback_activate_(struct event_base *base, struct event_callback *callback);
int event_callback_activate_nolock_(struct event_base *base, struct event_callback *callback);
int event_callback_activate_later_nolock_(struct event_base *base, struct event_callback *callback);
int event_callback_cancel_nolock_(struct event_base *base, struct event_callback *callback, int even_if_finalizing);
void event_callback_finalize_(struct event_base *base, unsigned flags, struct event_callback *callback, callback_fn);
void event_callback_finalize_nolock_(struct event_base *base, unsigned flags, struct event_callback *callback, callback_fn);
int event_callback_finalize_many_(struct event_base *base, int count, struct event_callback **callbacks, callback_fn);

static struct event_base *base;
static struct event_callback entries[3];
static char *names[] = {"first", "second", "third"};

static void
print_name(struct event_callback *entry, void *name)
{
	printf("%s runs, flags 0x%02x, closure %d\n", (char *)name, entry->evcb_flags, entry->evcb_closure);
}

static void
print_finalizer(struct event_callback *entry, void *name)
{
	printf("%s is finalized, flags 0x%02x, closure %d\n", (char *)name, entry->evcb_flags, entry->evcb_closure);
}

static void
print_other_finalizer(struct event_callback *entry, void *name)
{
	printf("%s is finalized by another, flags 0x%02x\n", (char *)name, entry->evcb_flags);
}

static void
print_counts(const char *label, struct event_callback *entry)
{
	printf("%s: flags 0x%02x, closure %d, active %d, added %d\n", label, entry->evcb_flags, entry->evcb_closure,
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
}

/* A base with two priorities and three callbacks of the less urgent one. */
static void
begin(void)
{
	int i;
	base = new_base();
	CHECK_EQUAL(event_base_priority_init(base, 2), 0);
	for (i = 0; i < 3; i++)
		event_deferred_cb_init_(&entries[i], 1, print_name, names[i]);
}

static void
run_all(void)
{
	printf("loop %d\n", event_base_loop(base, EVLOOP_NONBLOCK));
}

CASE(activated_with_the_lock_held, EVERY_BACKEND)
{
	begin();
	CHECK_EQUAL(HELD(base, event_callback_activate_nolock_(base, &entries[0])), 1);
	CHECK_EQUAL(HELD(base, event_callback_activate_nolock_(base, &entries[0])), 0);
	print_counts("active", &entries[0]);
	run_all();
	print_counts("after", &entries[0]);
	event_base_free(base);
}

CASE(activated_later, EVERY_BACKEND)
{
	begin();
	CHECK_EQUAL(HELD(base, event_callback_activate_later_nolock_(base, &entries[0])), 1);
	CHECK_EQUAL(HELD(base, event_callback_activate_later_nolock_(base, &entries[0])), 0);
	print_counts("later", &entries[0]);
	CHECK_EQUAL(HELD(base, event_callback_activate_nolock_(base, &entries[0])), 0);
	print_counts("now", &entries[0]);
	CHECK_EQUAL(HELD(base, event_callback_activate_later_nolock_(base, &entries[0])), 0);
	print_counts("still now", &entries[0]);
	run_all();
	event_base_free(base);
}

static void
queue_the_others(struct event_callback *entry, void *name)
{
	print_name(entry, name);
	CHECK_EQUAL(HELD(base, event_callback_activate_later_nolock_(base, &entries[1])), 1);
	CHECK_EQUAL(HELD(base, event_callback_activate_nolock_(base, &entries[2])), 1);
}

CASE(later_comes_after_what_is_active, EVERY_BACKEND)
{
	begin();
	event_deferred_cb_init_(&entries[0], 1, queue_the_others, names[0]);
	CHECK_EQUAL(event_callback_activate_(base, &entries[0]), 1);
	run_all();
	event_base_free(base);
}

static void
queue_itself_later(struct event_callback *entry, void *left)
{
	printf("%d left\n", *(int *)left);
	if (--*(int *)left > 0)
		CHECK_EQUAL(HELD(base, event_callback_activate_later_nolock_(base, entry)), 1);
}

CASE(a_callback_queues_itself_for_later_passes, EVERY_BACKEND)
{
	int left = 3;
	begin();
	event_deferred_cb_init_(&entries[0], 0, queue_itself_later, &left);
	CHECK_EQUAL(event_callback_activate_(base, &entries[0]), 1);
	printf("loop %d\n", event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK));
	print_counts("after", &entries[0]);
	event_base_free(base);
}

CASE(cancelled_with_the_lock_held, EVERY_BACKEND)
{
	begin();
	CHECK_EQUAL(HELD(base, event_callback_activate_nolock_(base, &entries[0])), 1);
	CHECK_EQUAL(HELD(base, event_callback_activate_later_nolock_(base, &entries[1])), 1);
	CHECK_EQUAL(HELD(base, event_callback_activate_nolock_(base, &entries[2])), 1);
	CHECK_EQUAL(HELD(base, event_callback_cancel_nolock_(base, &entries[0], 0)), 0);
	print_counts("active one", &entries[0]);
	CHECK_EQUAL(HELD(base, event_callback_cancel_nolock_(base, &entries[1], 0)), 0);
	print_counts("later one", &entries[1]);
	CHECK_EQUAL(HELD(base, event_callback_cancel_nolock_(base, &entries[1], 0)), 0);
	print_counts("idle one", &entries[1]);
	run_all();
	event_base_free(base);
}

CASE(cancelling_the_callback_of_an_event_deletes_it, EVERY_BACKEND)
{
	struct event *ev;
	int ends[2];
	begin();
	make_pipe(ends);
	ev = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader");
	CHECK_EQUAL(add_timed(ev, 1000000), 0);
	event_active(ev, EV_READ, 1);
	print_counts("before", &ev->ev_evcallback);
	CHECK_EQUAL(HELD(base, event_callback_cancel_nolock_(base, &ev->ev_evcallback, 0)), 0);
	print_counts("after", &ev->ev_evcallback);
	CHECK(!event_pending(ev, EV_READ | EV_TIMEOUT, NULL));
	put_byte(ends[1]);
	run_all();
	event_free(ev);
	event_base_free(base);
}

CASE(finalized, EVERY_BACKEND)
{
	begin();
	event_callback_finalize_(base, 0, &entries[0], print_finalizer);
	print_counts("idle one", &entries[0]);
	CHECK_EQUAL(event_callback_activate_(base, &entries[1]), 1);
	event_callback_finalize_(base, 0, &entries[1], print_finalizer);
	print_counts("active one", &entries[1]);
	CHECK_EQUAL(HELD(base, event_callback_activate_later_nolock_(base, &entries[2])), 1);
	HOLDING(base, event_callback_finalize_nolock_(base, 0, &entries[2], print_finalizer));
	print_counts("later one", &entries[2]);
	CHECK_EQUAL(event_callback_activate_(base, &entries[0]), 0);
	run_all();
	print_counts("afterwards", &entries[0]);
	event_base_free(base);
}

CASE(the_last_finalizer_counts, EVERY_BACKEND)
{
	begin();
	event_callback_finalize_(base, 0, &entries[0], print_finalizer);
	event_callback_finalize_(base, 0, &entries[0], print_other_finalizer);
	run_all();
	event_base_free(base);
}

CASE(a_finalizing_callback_is_cancelled_on_request_only, EVERY_BACKEND)
{
	begin();
	event_callback_finalize_(base, 0, &entries[0], print_finalizer);
	event_callback_finalize_(base, 0, &entries[1], print_finalizer);
	CHECK_EQUAL(HELD(base, event_callback_cancel_nolock_(base, &entries[0], 0)), 0);
	print_counts("left alone", &entries[0]);
	CHECK_EQUAL(HELD(base, event_callback_cancel_nolock_(base, &entries[1], 1)), 0);
	print_counts("cancelled", &entries[1]);
	run_all();
	event_base_free(base);
}

CASE(a_finalizer_runs_when_its_base_is_freed, EVERY_BACKEND)
{
	begin();
	event_callback_finalize_(base, 0, &entries[0], print_finalizer);
	CHECK_EQUAL(event_callback_activate_(base, &entries[1]), 1);
	event_base_free(base);
	printf("flags 0x%02x, 0x%02x\n", entries[0].evcb_flags, entries[1].evcb_flags);
}

static void
finalize_itself(struct event_callback *entry, void *name)
{
	print_name(entry, name);
	event_callback_finalize_(base, 0, entry, print_finalizer);
	printf("%s ends\n", (char *)name);
}

CASE(a_running_callback_finalizes_itself, EVERY_BACKEND)
{
	begin();
	event_deferred_cb_init_(&entries[0], 1, finalize_itself, names[0]);
	CHECK_EQUAL(event_callback_activate_(base, &entries[0]), 1);
	run_all();
	event_base_free(base);
}

static struct event_callback *all[] = {&entries[0], &entries[1], &entries[2]};

CASE(many_are_finalized_together, EVERY_BACKEND)
{
	begin();
	CHECK_EQUAL(event_callback_activate_(base, &entries[1]), 1);
	CHECK_EQUAL(HELD(base, event_callback_activate_later_nolock_(base, &entries[2])), 1);
	CHECK_EQUAL(event_callback_finalize_many_(base, 3, all, print_finalizer), 0);
	print_counts("first", &entries[0]);
	print_counts("second", &entries[1]);
	print_counts("third", &entries[2]);
	run_all();
	event_base_free(base);
}

static void
finalize_all(struct event_callback *entry, void *name)
{
	print_name(entry, name);
	CHECK_EQUAL(event_callback_finalize_many_(base, 3, all, print_finalizer), 0);
	printf("%s ends\n", (char *)name);
}

CASE(many_are_finalized_by_the_one_that_runs, EVERY_BACKEND)
{
	begin();
	event_deferred_cb_init_(&entries[1], 1, finalize_all, names[1]);
	CHECK_EQUAL(event_callback_activate_(base, &entries[1]), 1);
	CHECK_EQUAL(event_callback_activate_(base, &entries[2]), 1);
	run_all();
	event_base_free(base);
}

CASE(many_are_finalized_in_the_current_base, EVERY_BACKEND)
{
	struct event_base *other = new_base();
	int i;
	base = event_init();
	for (i = 0; i < 3; i++)
		event_deferred_cb_init_(&entries[i], 0, print_name, names[i]);
	CHECK_EQUAL(event_callback_finalize_many_(NULL, 3, all, print_finalizer), 0);
	CHECK_EQUAL(event_base_get_num_events(other, EVENT_BASE_COUNT_ACTIVE), 0);
	run_all();
	event_base_free(other);
	event_base_free(base);
}

/* A callback that is running in another thread is finalized after it has ended. */
static struct event_callback slow;
static int to_main[2], to_loop[2];
static volatile int slow_ended;

static void
wait_for_byte(struct event_callback *entry, void *arg)
{
	char byte;
	(void)entry;
	(void)arg;
	CHECK(write(to_main[1], "x", 1) == 1);
	CHECK(read(to_loop[0], &byte, 1) == 1);
	slow_ended = 1;
}

static void
finalize_slow(struct event_callback *entry, void *arg)
{
	(void)entry;
	(void)arg;
	printf("finalizer, the callback has ended: %d\n", slow_ended);
}

static void *
run_the_base(void *unused)
{
	CHECK_EQUAL(event_base_dispatch(base), 1);
	return unused;
}

CASE(a_callback_of_another_thread_is_finalized_when_it_ended, EVERY_BACKEND)
{
	struct event_callback *only = &slow;
	pthread_t thread;
	char byte;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK(pipe(to_main) == 0 && pipe(to_loop) == 0);
	base = new_base();
	event_deferred_cb_init_(&slow, 0, wait_for_byte, NULL);
	CHECK_EQUAL(event_callback_activate_(base, &slow), 1);
	CHECK(pthread_create(&thread, NULL, run_the_base, NULL) == 0);
	CHECK(read(to_main[0], &byte, 1) == 1);
	CHECK_EQUAL(event_callback_finalize_many_(base, 1, &only, finalize_slow), 0);
	printf("finalizing 0x%02x\n", slow.evcb_flags);
	CHECK(write(to_loop[1], "x", 1) == 1);
	CHECK(pthread_join(thread, NULL) == 0);
	event_base_free(base);
}
