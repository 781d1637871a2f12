/* Debug mode: every misuse that it reports, with the message and how the process ends. */
#include "observe.h"

#include <event2/event_compat.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

#define OWN (ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)

static struct event_base *base;
static struct event ev;
static const struct timeval hour = {3600, 0};

static void
begin(void)
{
	log_without_addresses();
	event_enable_debug_mode();
	base = event_base_new();
	memset(&ev, 0, sizeof ev);
	ev.ev_base = base;
}

static void
begin_with_idle_event(void)
{
	begin();
	CHECK(event_assign(&ev, base, -1, 0, ignore_event, NULL) == 0);
}

static void
begin_with_added_event(void)
{
	begin_with_idle_event();
	CHECK(event_add(&ev, &hour) == 0);
}

static void
print_code_and_return(int code)
{
	printf("fatal callback: %#x\n", (unsigned)code);
}

static void
print_code_and_leave(int code)
{
	printf("fatal callback: %#x\n", (unsigned)code);
	_exit(7);
}

/* Each violation in a process of its own. */
#define VIOLATION(name, preparation, misuse)                                                       \
	static int name##_body(void)                                                               \
	{                                                                                          \
		preparation();                                                                     \
		misuse;                                                                            \
		puts("not noticed");                                                               \
		return 0;                                                                          \
	}                                                                                          \
	CASE(name, OWN)                                                                            \
	{                                                                                          \
		in_child(name##_body);                                                             \
	}

VIOLATION(add_of_an_unassigned_event, begin, event_add(&ev, NULL))
VIOLATION(del_of_an_unassigned_event, begin, event_del(&ev))
VIOLATION(del_block_of_an_unassigned_event, begin, event_del_block(&ev))
VIOLATION(del_noblock_of_an_unassigned_event, begin, event_del_noblock(&ev))
VIOLATION(active_of_an_unassigned_event, begin, event_active(&ev, EV_READ, 1))
VIOLATION(trigger_of_an_unassigned_event, begin, evuser_trigger(&ev))
VIOLATION(pending_of_an_unassigned_event, begin, event_pending(&ev, EV_READ, NULL))
VIOLATION(priority_set_of_an_unassigned_event, begin, event_priority_set(&ev, 0))
VIOLATION(remove_timer_of_an_unassigned_event, begin, event_remove_timer(&ev))
VIOLATION(get_fd_of_an_unassigned_event, begin, event_get_fd(&ev))
VIOLATION(get_base_of_an_unassigned_event, begin, event_get_base(&ev))
VIOLATION(get_events_of_an_unassigned_event, begin, event_get_events(&ev))
VIOLATION(get_callback_of_an_unassigned_event, begin, event_get_callback(&ev))
VIOLATION(get_callback_arg_of_an_unassigned_event, begin, event_get_callback_arg(&ev))
VIOLATION(get_priority_of_an_unassigned_event, begin, event_get_priority(&ev))
VIOLATION(get_assignment_of_an_unassigned_event, begin, event_get_assignment(&ev, NULL, NULL, NULL, NULL, NULL))
VIOLATION(base_set_of_an_unassigned_event, begin, printf("%d\n", event_base_set(base, &ev)))
VIOLATION(finalize_of_an_unassigned_event, begin, event_finalize(0, &ev, NULL))
VIOLATION(free_of_an_unassigned_event, begin, event_free(&ev))
VIOLATION(initialized_of_an_unassigned_event, begin, printf("%d\n", event_initialized(&ev)))
VIOLATION(unassign_of_an_unassigned_event, begin, event_debug_unassign(&ev))

VIOLATION(assign_of_an_added_event, begin_with_added_event, event_assign(&ev, base, -1, 0, ignore_event, NULL))
VIOLATION(event_set_of_an_added_event, begin_with_added_event, event_set(&ev, -1, 0, ignore_event, NULL))
VIOLATION(unassign_of_an_added_event, begin_with_added_event, event_debug_unassign(&ev))
VIOLATION(base_set_of_an_added_event, begin_with_added_event, printf("%d\n", event_base_set(base, &ev)))
VIOLATION(add_of_an_added_event, begin_with_added_event, printf("%d\n", event_add(&ev, &hour)))
VIOLATION(assign_of_an_active_event, begin_with_idle_event,
	  event_active(&ev, EV_READ, 1);
	  event_del(&ev);
	  event_assign(&ev, base, -1, 0, ignore_event, NULL))
VIOLATION(use_after_unassign, begin_with_idle_event, event_debug_unassign(&ev); event_add(&ev, &hour))
VIOLATION(assign_after_delete, begin_with_added_event, event_del(&ev); event_assign(&ev, base, -1, 0, ignore_event, NULL))
VIOLATION(assign_twice, begin_with_idle_event, event_assign(&ev, base, -1, 0, ignore_event, NULL))
VIOLATION(assign_after_its_callback_ran, begin_with_idle_event,
	  event_add(&ev, &(struct timeval){0, 0});
	  event_base_dispatch(base);
	  event_assign(&ev, base, -1, 0, ignore_event, NULL))

static void
no_finalizer_needed(struct event *finalized, void *arg)
{
	(void)finalized;
	(void)arg;
}

VIOLATION(use_of_a_finalized_event, begin_with_idle_event,
	  event_finalize(0, &ev, no_finalizer_needed);
	  event_base_dispatch(base);
	  event_get_fd(&ev))
VIOLATION(free_of_a_finalized_event, begin,
	  struct event *heap = event_new(base, -1, 0, ignore_event, NULL);
	  event_finalize(0, heap, no_finalizer_needed);
	  event_base_dispatch(base);
	  event_free(heap))
VIOLATION(assign_of_a_finalized_event, begin_with_idle_event,
	  event_finalize(0, &ev, no_finalizer_needed);
	  event_base_dispatch(base);
	  event_assign(&ev, base, -1, 0, ignore_event, NULL);
	  printf("%d\n", event_add(&ev, &hour)))

static int
blocking_descriptor_body(void)
{
	int ends[2];

	begin();
	CHECK(pipe(ends) == 0);
	event_assign(&ev, base, ends[0], EV_READ, ignore_event, NULL);
	puts("not noticed");
	return 0;
}

CASE(blocking_descriptor, OWN)
{
	in_child(blocking_descriptor_body);
}

VIOLATION(descriptor_that_is_not_open, begin, printf("%d\n", event_assign(&ev, base, 900, EV_READ, ignore_event, NULL)))
VIOLATION(blocking_descriptor_number_as_signal, begin, printf("%d\n", event_assign(&ev, base, 1, EV_SIGNAL, ignore_event, NULL)))
VIOLATION(negative_descriptor, begin, printf("%d\n", event_assign(&ev, base, -1, EV_READ, ignore_event, NULL)))

static void
mix(short first_flags, short second_flags)
{
	struct event first, second;
	int ends[2];

	begin();
	make_pipe(ends);
	CHECK(event_assign(&first, base, ends[0], EV_READ | first_flags, ignore_event, NULL) == 0);
	CHECK(event_assign(&second, base, ends[0], EV_READ | second_flags, ignore_event, NULL) == 0);
	printf("first %d\n", event_add(&first, NULL));
	printf("second %d\n", event_add(&second, &hour));
	printf("pending: %s\n", flag_names(event_pending(&second, EV_READ | EV_TIMEOUT, NULL)));
	event_del(&first);
	printf("second alone %d\n", event_add(&second, NULL));
	event_del(&second);
	event_base_free(base);
}

CASE(edge_triggered_after_level_triggered, OWN)
{
	mix(0, EV_ET);
}

CASE(level_triggered_after_edge_triggered, OWN)
{
	mix(EV_ET, 0);
}

CASE(edge_triggered_twice, OWN)
{
	mix(EV_ET, EV_ET);
}

CASE(mixed_triggers_are_only_noticed_in_debug_mode, OWN)
{
	struct event *first, *second;
	int ends[2];

	log_without_addresses();
	base = event_base_new();
	make_pipe(ends);
	first = event_new(base, ends[0], EV_READ, ignore_event, NULL);
	second = event_new(base, ends[0], EV_READ | EV_ET, ignore_event, NULL);
	CHECK_EQUAL(event_add(first, NULL), 0);
	CHECK_EQUAL(event_add(second, NULL), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 2);
	event_free(first);
	event_free(second);
	event_base_free(base);
}

/* --- How it ends, and when debug mode may be enabled --- */

static int
fatal_callback_returns_body(void)
{
	begin();
	event_set_fatal_callback(print_code_and_return);
	event_add(&ev, NULL);
	return 0;
}

static int
fatal_callback_leaves_body(void)
{
	begin();
	event_set_fatal_callback(print_code_and_leave);
	event_add(&ev, NULL);
	return 0;
}

CASE(fatal_callback, OWN)
{
	in_child(fatal_callback_returns_body);
	in_child(fatal_callback_leaves_body);
}

static int
enabled_twice_body(void)
{
	log_without_addresses();
	event_enable_debug_mode();
	event_set_fatal_callback(print_code_and_return);
	event_enable_debug_mode();
	return 0;
}

static int
enabled_after_a_base_body(void)
{
	log_without_addresses();
	event_base_free(event_base_new());
	event_enable_debug_mode();
	return 0;
}

static int
enabled_after_an_event_body(void)
{
	log_without_addresses();
	event_assign(&ev, NULL, -1, 0, ignore_event, NULL);
	event_enable_debug_mode();
	return 0;
}

static int
enabled_after_shutdown_body(void)
{
	log_without_addresses();
	event_base_free(event_base_new());
	libevent_global_shutdown();
	event_enable_debug_mode();
	return 0;
}

static int
enabled_after_failed_base_body(void)
{
	struct event_config *config = event_config_new();

	log_without_addresses();
	event_config_require_features(config, EV_FEATURE_FDS | EV_FEATURE_ET);
	CHECK(event_base_new_with_config(config) == NULL);
	event_enable_debug_mode();
	return 0;
}

static int
enabled_after_config_body(void)
{
	log_without_addresses();
	event_config_free(event_config_new());
	event_get_supported_methods();
	event_enable_debug_mode();
	puts("enabled");
	return 0;
}

CASE(enabled_too_late, OWN)
{
	in_child(enabled_twice_body);
	in_child(enabled_after_a_base_body);
	in_child(enabled_after_an_event_body);
	in_child(enabled_after_shutdown_body);
	in_child(enabled_after_failed_base_body);
	in_child(enabled_after_config_body);
}

static int
locks_after_a_base_body(void)
{
	begin();
	evthread_use_pthreads();
	puts("accepted");
	return 0;
}

static int
no_locks_after_a_base_body(void)
{
	begin();
	evthread_set_lock_callbacks(NULL);
	puts("accepted");
	return 0;
}

static int
no_conditions_after_a_base_body(void)
{
	begin();
	evthread_set_condition_callbacks(NULL);
	puts("accepted");
	return 0;
}

static int
locks_before_a_base_body(void)
{
	log_without_addresses();
	event_enable_debug_mode();
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	event_assign(&ev, NULL, -1, 0, ignore_event, NULL);
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	base = event_base_new();
	event_base_free(base);
	puts("accepted");
	return 0;
}

CASE(locks_set_too_late, OWN)
{
	in_child(locks_after_a_base_body);
	in_child(no_locks_after_a_base_body);
	in_child(no_conditions_after_a_base_body);
	in_child(locks_before_a_base_body);
}

/* --- Correct programs are left alone --- */

static void
print_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	printf("%s: %s\n", (const char *)arg, flag_names(what));
}

static void
free_itself(evutil_socket_t fd, short what, void *arg)
{
	print_event(fd, what, "frees itself");
	event_free(*(struct event **)arg);
}

static void
assign_itself_again(evutil_socket_t fd, short what, void *arg)
{
	print_event(fd, what, "assigns itself again");
	event_assign(arg, base, -1, 0, print_event, (void *)"assigned again");
	event_add(arg, &(struct timeval){0, 0});
}

static void
finalized(struct event *finalized_event, void *arg)
{
	(void)finalized_event;
	printf("finalizer: %s\n", (const char *)arg);
}

CASE(correct_use_is_not_reported, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct event *heap, *finalizing;
	struct event local;
	int ends[2], i;

	begin();
	make_pipe(ends);
	for (i = 0; i < 3; i++) {
		heap = event_new(base, ends[0], EV_READ, free_itself, &heap);
		event_add(heap, NULL);
		put_byte(ends[1]);
		event_base_loop(base, EVLOOP_ONCE);
		take_byte(ends[0]);
	}
	event_assign(&local, base, -1, 0, assign_itself_again, &local);
	event_add(&local, &(struct timeval){0, 0});
	event_base_dispatch(base);
	event_debug_unassign(&local);
	event_assign(&local, base, -1, 0, print_event, "unassigned and assigned");
	event_active(&local, EV_WRITE, 1);
	event_base_dispatch(base);
	finalizing = event_new(base, -1, 0, print_event, "finalized event");
	event_free_finalize(0, finalizing, finalized);
	event_finalize(0, &local, finalized);
	event_base_dispatch(base);
	event_base_once(base, -1, EV_TIMEOUT, print_event, "once", &(struct timeval){0, 0});
	event_base_dispatch(base);
	event_base_free(base);
	libevent_global_shutdown();
}

CASE(global_shutdown_ends_debug_mode, OWN)
{
	struct event zeroed;

	begin();
	event_base_free(base);
	libevent_global_shutdown();
	base = event_base_new();
	memset(&zeroed, 0, sizeof zeroed);
	zeroed.ev_base = base;
	printf("fd %d\n", event_get_fd(&zeroed));
	event_base_free(base);
}

CASE(many_events_are_remembered, OWN)
{
	enum { COUNT = 20000 };
	struct event **events = calloc(COUNT, sizeof *events);
	int i;

	begin();
	for (i = 0; i < COUNT; i++) {
		events[i] = event_new(base, -1, 0, ignore_event, NULL);
		CHECK(event_add(events[i], &hour) == 0);
	}
	for (i = 0; i < COUNT; i += 2)
		event_free(events[i]);
	for (i = 1; i < COUNT; i += 2) {
		CHECK(event_pending(events[i], EV_TIMEOUT, NULL));
		event_free(events[i]);
	}
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	event_base_free(base);
	libevent_global_shutdown();
	free(events);
}
