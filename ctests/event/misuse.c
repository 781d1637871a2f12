/* Wrong arguments: what the library refuses, and how. Calls that crash the reference are
 * differences: ours refuses them. */
#include "observe.h"

#include <errno.h>
#include <event2/event_compat.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>

static struct event_base *base;

static void
print_event(evutil_socket_t fd, short what, void *name)
{
	(void)fd;
	printf("%s: %s\n", (const char *)name, flag_names(what));
}

static void
begin(void)
{
	log_without_addresses();
	base = event_base_new();
}

CASE(null_arguments_that_are_refused, ONE_BACKEND | OWN_DEBUG_MODE)
{
	struct timeval tv;

	begin();
	printf("set_flag %d\n", event_config_set_flag(NULL, EVENT_BASE_FLAG_NOLOCK));
	printf("require_features %d\n", event_config_require_features(NULL, EV_FEATURE_ET));
	printf("set_num_cpus_hint %d\n", event_config_set_num_cpus_hint(NULL, 4));
	printf("loopexit %d\n", event_base_loopexit(NULL, NULL));
	printf("loopbreak %d\n", event_base_loopbreak(NULL));
	printf("loopcontinue %d\n", event_base_loopcontinue(NULL));
	printf("base_once %d\n", event_base_once(NULL, -1, EV_TIMEOUT, print_event, NULL, NULL));
	printf("gettime_monotonic %d\n", event_gettime_monotonic(NULL, &tv));
	printf("update_cache_time %d\n", event_base_update_cache_time(NULL));
	printf("gettimeofday_cached %d\n", event_base_gettimeofday_cached(NULL, &tv));
	printf("foreach without base %d\n", event_base_foreach_event(NULL, NULL, NULL));
	printf("foreach without function %d\n", event_base_foreach_event(base, NULL, NULL));
	printf("make_base_notifiable %d\n", evthread_make_base_notifiable(NULL));
	printf("legacy loopexit %d\n", event_loopexit(NULL));
	printf("legacy loopbreak %d\n", event_loopbreak());
	printf("legacy once %d\n", event_once(-1, EV_TIMEOUT, print_event, NULL, NULL));
	event_base_free(NULL);
	event_base_free_nofinalize(NULL);
	event_base_free(base);
}

CASE(config_avoid_method_without_name, ONE_BACKEND)
{
	struct event_config *config = event_config_new();

	printf("avoid_method %d\n", event_config_avoid_method(config, NULL));
	event_config_free(config);
}

CASE(null_config_is_a_default_config, EVERY_BACKEND)
{
	struct event_base *other = event_base_new_with_config(NULL);

	begin();
	CHECK(other);
	CHECK_STRING(event_base_get_method(other), event_base_get_method(base));
	event_base_free(other);
	event_base_free(base);
}

#define NULL_CALL(name, call, expected)                                                            \
	DIFFERENCE(name, ONE_BACKEND | OWN_DEBUG_MODE, "a NULL argument crashes")               \
	{                                                                                          \
		begin();                                                                           \
		CHECK_EQUAL(call, expected);                                                       \
		event_base_free(base);                                                             \
	}

NULL_CALL(event_free_of_null, (event_free(NULL), 0), 0)
NULL_CALL(event_del_of_null, event_del(NULL), -1)
NULL_CALL(event_base_loop_of_null, event_base_loop(NULL, 0), -1)
NULL_CALL(event_base_dispatch_of_null, event_base_dispatch(NULL), -1)
NULL_CALL(event_config_free_of_null, (event_config_free(NULL), 0), 0)
NULL_CALL(event_config_avoid_method_of_null, event_config_avoid_method(NULL, "epoll"), -1)
NULL_CALL(event_config_set_max_dispatch_interval_of_null, event_config_set_max_dispatch_interval(NULL, NULL, 1, 1), -1)
NULL_CALL(event_base_got_exit_of_null, event_base_got_exit(NULL), 0)
NULL_CALL(event_base_got_break_of_null, event_base_got_break(NULL), 0)
NULL_CALL(event_base_get_num_events_of_null, event_base_get_num_events(NULL, EVENT_BASE_COUNT_ADDED), 0)
NULL_CALL(event_base_get_max_events_of_null, event_base_get_max_events(NULL, EVENT_BASE_COUNT_ADDED, 0), 0)
NULL_CALL(event_dispatch_without_base, event_dispatch(), -1)
NULL_CALL(event_loop_without_base, event_loop(0), -1)
NULL_CALL(event_priority_init_without_base, event_priority_init(3), -1)

/* --- Events that were never set up --- */

CASE(zeroed_event, ONE_BACKEND | OWN_DEBUG_MODE)
{
	struct event ev;
	struct timeval tv = {1, 0};

	begin();
	memset(&ev, 0, sizeof ev);
	printf("initialized %d\n", event_initialized(&ev));
	printf("add %d\n", event_add(&ev, &tv));
	printf("del %d\n", event_del(&ev));
	printf("pending %d\n", event_pending(&ev, 0xff, &tv));
	printf("remove_timer %d\n", event_remove_timer(&ev));
	printf("base_set %d\n", event_base_set(base, &ev));
	printf("fd %d, events %d, priority %d\n", event_get_fd(&ev), event_get_events(&ev), event_get_priority(&ev));
	CHECK(event_get_base(&ev) == NULL && event_get_callback(&ev) == NULL);
	event_active(&ev, EV_READ, 1);
	event_debug_unassign(&ev);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(event_without_base, ONE_BACKEND)
{
	struct event ev;
	struct timeval tv = {1, 0};

	begin();
	CHECK_EQUAL(event_assign(&ev, NULL, -1, EV_READ, print_event, NULL), 0);
	printf("add %d\n", event_add(&ev, &tv));
	printf("del %d\n", event_del(&ev));
	printf("pending %d\n", event_pending(&ev, 0xff, &tv));
	CHECK_EQUAL(event_base_set(base, &ev), 0);
	CHECK_EQUAL(event_add(&ev, &tv), 0);
	CHECK_EQUAL(event_base_set(base, &ev), -1);
	CHECK_EQUAL(event_del(&ev), 0);
	event_base_free(base);
}

CASE(assign_does_not_look_at_old_content, EVERY_BACKEND)
{
	struct event ev;
	int ends[2];

	begin();
	make_pipe(ends);
	memset(&ev, 0xa5, sizeof ev);
	CHECK_EQUAL(event_assign(&ev, base, ends[0], EV_READ, print_event, (void *)"reader"), 0);
	printf("flags %#x, result %d, heap index %d\n", ev.ev_evcallback.evcb_flags, ev.ev_res, ev.ev_timeout_pos.min_heap_idx);
	CHECK_EQUAL(event_add(&ev, &(struct timeval){60, 0}), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	memset(&ev, 0xff, sizeof ev);
	CHECK_EQUAL(event_assign(&ev, base, SIGUSR1, EV_SIGNAL | EV_PERSIST, print_event, (void *)"signal"), 0);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(event_del(&ev), 0);
	event_base_free(base);
}

CASE(refused_assignment, ONE_BACKEND)
{
	static const short masks[] = {EV_SIGNAL | EV_READ, EV_SIGNAL | EV_WRITE, EV_SIGNAL | EV_CLOSED,
				      EV_SIGNAL | EV_READ | EV_WRITE | EV_PERSIST};
	struct event ev;
	size_t i;

	begin();
	for (i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		memset(&ev, 0, sizeof ev);
		printf("assign %d", event_assign(&ev, base, SIGUSR1, masks[i], print_event, NULL));
		printf(", initialized %d\n", event_initialized(&ev));
		CHECK(event_new(base, SIGUSR1, masks[i], print_event, NULL) == NULL);
	}
	event_base_free(base);
}

CASE(strange_masks_are_kept, EVERY_BACKEND)
{
	static const short masks[] = {0, EV_TIMEOUT, EV_ET, EV_PERSIST, EV_TIMEOUT | EV_READ, 0x100, 0x7f00, (short)0x8000};
	struct event *ev;
	size_t i;

	begin();
	for (i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		ev = event_new(base, -1, masks[i], print_event, (void *)"strange");
		CHECK(ev);
		printf("events %#hx, add %d", event_get_events(ev), event_add(ev, NULL));
		printf(", pending %s\n", flag_names(event_pending(ev, 0xff, NULL)));
		event_active(ev, masks[i], 1);
		event_base_loop(base, EVLOOP_NONBLOCK);
		event_free(ev);
	}
	event_base_free(base);
}

CASE(priority_out_of_range, ONE_BACKEND)
{
	struct event *ev;
	int priority;

	begin();
	event_base_priority_init(base, 4);
	ev = event_new(base, -1, 0, print_event, (void *)"x");
	for (priority = -2; priority < 6; priority++) {
		printf("priority_set(%d) %d", priority, event_priority_set(ev, priority));
		printf(", priority %d\n", event_get_priority(ev));
	}
	printf("priority_set(256) %d\n", event_priority_set(ev, 256));
	event_active(ev, EV_READ, 1);
	printf("while active %d\n", event_priority_set(ev, 1));
	event_base_dispatch(base);
	event_free(ev);
	event_base_free(base);
}

CASE(number_of_priorities_out_of_range, ONE_BACKEND)
{
	static const int numbers[] = {-1, 0, 1, 255, 256, 257, 100000, INT32_MAX};
	size_t i;

	begin();
	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		printf("priority_init(%d) %d", numbers[i], event_base_priority_init(base, numbers[i]));
		printf(", now %d\n", event_base_get_npriorities(base));
	}
	event_base_free(base);
}

/* --- Descriptors --- */

static void
add_and_delete(const char *what, int fd, short events)
{
	struct event *ev = event_new(base, fd, events, print_event, (void *)what);
	int result = event_add(ev, &(struct timeval){60, 0});
	printf("%s: add %d", what, result);
	if (result && fd < 1 << 20)
		printf(" (%s)", strerror(errno));
	printf(", pending %s", flag_names(event_pending(ev, 0xff, NULL)));
	printf(", del %d\n", event_del(ev));
	event_free(ev);
}

CASE(descriptors_that_the_kernel_refuses, EVERY_BACKEND)
{
	FILE *file = tmpfile();
	int directory = open("/", O_RDONLY | O_NONBLOCK);
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (getenv("EVENT_EPOLL_USE_CHANGELIST"))
		harness_skip("with a changelist, files are refused only by ours: event/hangup/files_with_a_changelist");
	begin();
	fcntl(fileno(file), F_SETFL, O_NONBLOCK);
	fcntl(epoll, F_SETFL, O_NONBLOCK);
	add_and_delete("regular file", fileno(file), EV_READ);
	add_and_delete("regular file, both", fileno(file), EV_READ | EV_WRITE);
	add_and_delete("directory", directory, EV_READ | EV_PERSIST);
	add_and_delete("closed number", 800, EV_WRITE);
	add_and_delete("no descriptor", -1, EV_READ | EV_WRITE);
	add_and_delete("epoll", epoll, EV_READ);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	event_base_free(base);
	fclose(file);
}

CASE(descriptor_numbers_beyond_any_table, EPOLL_ONLY)
{
	begin();
	add_and_delete("2^27", 1 << 27, EV_READ);
	add_and_delete("2^30", 1 << 30, EV_READ);
	add_and_delete("largest", INT32_MAX, EV_READ | EV_WRITE);
	add_and_delete("smallest", INT32_MIN, EV_READ);
	event_base_free(base);
}

/* A kind that is never reported, because there is no descriptor, still counts and can be activated. */
CASE(negative_descriptor, EVERY_BACKEND)
{
	struct event *ev;

	begin();
	ev = event_new(base, -1, EV_READ | EV_PERSIST, print_event, (void *)"negative");
	CHECK_EQUAL(event_add(ev, NULL), 0);
	printf("pending %s\n", flag_names(event_pending(ev, 0xff, NULL)));
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	event_free(ev);
	event_base_free(base);
}

/* --- The order of freeing --- */

CASE(base_freed_with_events_in_every_state, EVERY_BACKEND)
{
	struct event io, timer, persistent, signal_event, active, idle, common;
	struct event *all[] = {&io, &timer, &persistent, &signal_event, &active, &idle, &common};
	struct timeval minute = {60, 0};
	int ends[2];
	size_t i;

	begin();
	make_pipe(ends);
	event_assign(&io, base, ends[0], EV_READ, print_event, (void *)"io");
	event_assign(&timer, base, -1, 0, print_event, (void *)"timer");
	event_assign(&persistent, base, ends[1], EV_WRITE | EV_PERSIST, print_event, (void *)"persistent");
	event_assign(&signal_event, base, SIGUSR1, EV_SIGNAL | EV_PERSIST, print_event, (void *)"signal");
	event_assign(&active, base, -1, 0, print_event, (void *)"active");
	event_assign(&idle, base, -1, EV_PERSIST, print_event, (void *)"idle");
	event_assign(&common, base, -1, 0, print_event, (void *)"common");
	event_add(&io, NULL);
	event_add(&timer, &minute);
	event_add(&persistent, &minute);
	event_add(&signal_event, &minute);
	event_add(&active, &minute);
	event_active(&active, EV_READ, 1);
	event_add(&common, event_base_init_common_timeout(base, &minute));
	event_base_once(base, -1, EV_TIMEOUT, print_event, (void *)"once", &minute);
	event_base_once(base, -1, EV_TIMEOUT, print_event, (void *)"once, active", NULL);
	event_base_free(base);
	for (i = 0; i < sizeof all / sizeof all[0]; i++) {
		printf("%s: flags %#x, initialized %d, base kept %d, fd kept %d\n", (char *)all[i]->ev_evcallback.evcb_arg,
		       all[i]->ev_evcallback.evcb_flags, event_initialized(all[i]), all[i]->ev_base == base,
		       all[i]->ev_fd == ends[0] || all[i]->ev_fd == ends[1] || all[i]->ev_fd == SIGUSR1);
	}
	base = event_base_new();
	CHECK_EQUAL(event_assign(&io, base, ends[1], EV_WRITE, print_event, (void *)"again"), 0);
	CHECK_EQUAL(event_add(&io, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
}

/* Programs do this; lock debugging would read the freed lock. */
CASE(event_freed_after_its_base, EVERY_BACKEND | OWN_LOCKS)
{
	struct event *io, *timer, *idle;
	int ends[2];

	begin();
	make_pipe(ends);
	io = event_new(base, ends[0], EV_READ, print_event, NULL);
	timer = evtimer_new(base, print_event, NULL);
	idle = evtimer_new(base, print_event, NULL);
	event_add(io, NULL);
	event_add(timer, &(struct timeval){60, 0});
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 2);
	event_base_free(base);
	event_free(io);
	event_free(timer);
	event_free(idle);
	puts("freed");
}

CASE(base_is_freed_while_another_lives, EVERY_BACKEND)
{
	struct event_base *other;
	struct event *ev;
	int ends[2];

	begin();
	other = event_base_new();
	make_pipe(ends);
	ev = event_new(base, ends[0], EV_READ, print_event, (void *)"survivor");
	event_add(ev, NULL);
	event_base_free(other);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

/* --- Writing into struct event at the wrong time --- */

static void
write_instead(struct event *ev)
{
	ev->ev_events = EV_WRITE | EV_PERSIST;
}

static void
another_descriptor(struct event *ev)
{
	ev->ev_fd = 500;
}

/* The event can be deleted, and another one on its descriptor works. */
static void
change_while_pending(void (*change)(struct event *ev))
{
	struct event ev, again;
	int ends[2];

	begin();
	make_pipe(ends);
	event_assign(&ev, base, ends[0], EV_READ | EV_PERSIST, print_event, (void *)"changed");
	event_add(&ev, NULL);
	change(&ev);
	CHECK_EQUAL(event_del(&ev), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	event_assign(&again, base, ends[0], EV_READ, print_event, (void *)"again");
	CHECK_EQUAL(event_add(&again, NULL), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

DIFFERENCE(interest_mask_changed_while_pending, EVERY_BACKEND,
	"a program that changes ev_events of a pending event is aborted when it deletes the event")
{
	change_while_pending(write_instead);
}

DIFFERENCE(descriptor_changed_while_pending, EVERY_BACKEND,
	"a program that changes ev_fd of a pending event is aborted when it deletes the event")
{
	change_while_pending(another_descriptor);
}

DIFFERENCE(internal_event_that_is_only_active, ONE_BACKEND,
	"event_base_free ends the process when an internal event is active")
{
	struct event ev;

	begin();
	event_assign(&ev, base, -1, 0, print_event, (void *)"internal");
	ev.ev_evcallback.evcb_flags |= EVLIST_INTERNAL;
	event_active(&ev, EV_READ, 1);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 1);
	event_base_free(base);
}

DIFFERENCE(no_running_event_outside_callbacks, ONE_BACKEND,
	"event_base_get_running_event crashes outside callbacks")
{
	struct event *ev;

	begin();
	CHECK(event_base_get_running_event(base) == NULL);
	ev = event_new(base, -1, 0, print_event, (void *)"x");
	event_active(ev, EV_READ, 1);
	event_base_dispatch(base);
	CHECK(event_base_get_running_event(base) == NULL);
	event_free(ev);
	event_base_free(base);
}

/* With room for 0, 1, 2... descriptors: refused until there are enough, and nothing stays open. */
DIFFERENCE(base_creation_without_descriptors, ONE_BACKEND,
	"event_base_new ends the process when the signal pipe cannot be made")
{
	int first_free = dup(0), room;
	struct rlimit limit;

	close(first_free);
	log_without_addresses();
	getrlimit(RLIMIT_NOFILE, &limit);
	for (room = 0; room < 8; room++) {
		limit.rlim_cur = first_free + room;
		CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		base = event_base_new();
		CHECK(base || room < 5);
		if (base)
			event_base_free(base);
		CHECK_EQUAL(dup(0), room ? first_free : -1);
		close(first_free);
	}
}

/* Freed blocks are overwritten and never used again, but all are known, so none is lost. */
static size_t *last_block;

static void *
counted_malloc(size_t size)
{
	size_t *block = malloc(size + 16);

	block[0] = size;
	block[1] = (size_t)last_block;
	last_block = block;
	return block + 2;
}

static void *
counted_realloc(void *block, size_t size)
{
	void *moved = counted_malloc(size);
	if (block)
		memcpy(moved, block, ((size_t *)block)[-2] < size ? ((size_t *)block)[-2] : size);
	return moved;
}

static void
overwriting_free(void *block)
{
	if (block)
		memset(block, 0xee, ((size_t *)block)[-2]);
}

DIFFERENCE(events_freed_after_many_bases, ONE_BACKEND | OWN_LOCKS,
	"event_free uses the base of an event that was freed before.")
{
	enum { MANY = 300 };
	static struct event_base *bases[MANY];
	static struct event *events[MANY];
	int i;

	event_set_mem_functions(counted_malloc, counted_realloc, overwriting_free);
	evthread_use_pthreads();
	for (i = 0; i < MANY; i++) {
		bases[i] = event_base_new();
		CHECK(bases[i]);
		events[i] = event_new(bases[i], -1, EV_PERSIST, ignore_event, NULL);
		event_add(events[i], &(struct timeval){100, 0});
	}
	for (i = 1; i < MANY; i += 2)
		event_base_free(bases[i]);
	for (i = 1; i < MANY; i += 2)
		event_free(events[i]);
	/* The remaining ones are still known. */
	for (i = 0; i < MANY; i += 2) {
		CHECK(event_pending(events[i], EV_TIMEOUT, NULL));
		CHECK_EQUAL(event_del(events[i]), 0);
		CHECK(!event_pending(events[i], EV_TIMEOUT, NULL));
		event_base_free(bases[i]);
		event_free(events[i]);
	}
}

DIFFERENCE(null_event_is_harmless, ONE_BACKEND | OWN_DEBUG_MODE,
	"event_free and event_del crash for NULL")
{
	CHECK_EQUAL(event_del(NULL), -1);
	CHECK_EQUAL(event_del_block(NULL), -1);
	CHECK_EQUAL(event_del_noblock(NULL), -1);
	event_free(NULL);
}
