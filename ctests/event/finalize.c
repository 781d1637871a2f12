/* event_finalize and event_free_finalize. */
#include "observe.h"

#include <event2/event_struct.h>
#include <event2/thread.h>
#include <pthread.h>

static struct event_base *base;
static struct event *ev;

static void
print_event(evutil_socket_t fd, short what, void *name)
{
	(void)fd;
	printf("%s: %s\n", (const char *)name, flag_names(what));
}

static void
print_finalizer(struct event *finalized, void *arg)
{
	printf("finalizer: %s, same event %d, base kept %d\n", (const char *)arg, finalized == ev,
	       finalized->ev_base == base);
}

static void
other_finalizer(struct event *finalized, void *arg)
{
	(void)finalized;
	printf("other finalizer: %s\n", (const char *)arg);
}

static void
begin(void)
{
	log_without_addresses();
	base = event_base_new();
}

static void
print_state(const char *when)
{
	printf("%s: flags %#x, result %#x, pending %s, %d active, %d added\n", when, ev->ev_evcallback.evcb_flags, ev->ev_res,
	       flag_names(event_pending(ev, 0xff, NULL)), event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
}

CASE(finalize_of_an_idle_event, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	begin();
	ev = event_new(base, -1, 0, print_event, (void *)"idle");
	CHECK_EQUAL(event_finalize(0, ev, print_finalizer), 0);
	print_state("queued");
	CHECK_EQUAL(event_base_dispatch(base), 1);
	print_state("finalized");
	event_free(ev);
	event_base_free(base);
}

CASE(finalize_of_a_pending_event, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct timeval hour = {3600, 0};
	int ends[2];

	begin();
	make_pipe(ends);
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, print_event, (void *)"reader");
	event_add(ev, &hour);
	put_byte(ends[1]);
	CHECK_EQUAL(event_finalize(0, ev, print_finalizer), 0);
	print_state("queued");
	CHECK_EQUAL(event_base_dispatch(base), 1);
	print_state("finalized");
	event_free(ev);
	event_base_free(base);
}

CASE(finalize_of_an_active_event, EVERY_BACKEND)
{
	begin();
	ev = event_new(base, -1, 0, print_event, (void *)"active");
	event_active(ev, EV_WRITE, 1);
	CHECK_EQUAL(event_finalize(0, ev, print_finalizer), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

CASE(free_finalize, EVERY_BACKEND)
{
	begin();
	ev = event_new(base, -1, EV_PERSIST, print_event, (void *)"persistent");
	event_add(ev, &(struct timeval){3600, 0});
	CHECK_EQUAL(event_free_finalize(0, ev, print_finalizer), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	event_base_free(base);
}

static void
finalize_itself(evutil_socket_t fd, short what, void *arg)
{
	print_event(fd, what, arg);
	if (!strncmp(arg, "free", 4))
		event_free_finalize(0, ev, print_finalizer);
	else
		event_finalize(0, ev, print_finalizer);
	puts("callback ends");
}

CASE(finalize_in_its_own_callback, EVERY_BACKEND)
{
	static char *ways[] = {"finalize", "free_finalize"};
	int way, flags;

	for (way = 0; way < 2; way++) {
		for (flags = 0; flags < 3; flags++) {
			begin();
			ev = event_new(base, -1, flags == 0 ? 0 : EV_PERSIST | (flags == 2 ? EV_FINALIZE : 0), finalize_itself,
				       ways[way]);
			event_add(ev, &(struct timeval){0, 1000});
			CHECK_EQUAL(event_base_dispatch(base), 1);
			if (way == 0)
				event_free(ev);
			event_base_free(base);
		}
	}
}

CASE(finalizing_event_refuses_other_uses, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct timeval soon = {0, 1000};

	begin();
	event_base_priority_init(base, 3);
	ev = event_new(base, -1, 0, print_event, (void *)"never called");
	CHECK_EQUAL(event_finalize(0, ev, print_finalizer), 0);
	printf("add %d\n", event_add(ev, &soon));
	printf("del %d\n", event_del(ev));
	printf("del_block %d\n", event_del_block(ev));
	printf("priority_set %d\n", event_priority_set(ev, 0));
	printf("base_set %d\n", event_base_set(base, ev));
	event_active(ev, EV_READ, 1);
	printf("initialized %d\n", event_initialized(ev));
	print_state("queued");
	CHECK_EQUAL(event_base_dispatch(base), 1);
	puts("after the finalizer");
	printf("add %d\n", event_add(ev, &soon));
	printf("del %d\n", event_del(ev));
	printf("priority_set %d\n", event_priority_set(ev, 0));
	event_active(ev, EV_READ, 1);
	print_state("idle");
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_assign(ev, base, -1, 0, print_event, (void *)"assigned again");
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

CASE(second_finalize_replaces_the_first, EVERY_BACKEND)
{
	begin();
	ev = event_new(base, -1, 0, print_event, (void *)"x");
	CHECK_EQUAL(event_free_finalize(0, ev, print_finalizer), 0);
	CHECK_EQUAL(event_finalize(0, ev, other_finalizer), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	ev = event_new(base, -1, 0, print_event, (void *)"y");
	CHECK_EQUAL(event_finalize(0, ev, other_finalizer), 0);
	CHECK_EQUAL(event_free_finalize(0, ev, print_finalizer), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(finalize_without_base, EVERY_BACKEND)
{
	struct event local;

	log_without_addresses();
	event_assign(&local, NULL, -1, 0, print_event, NULL);
	printf("finalize %d\n", event_finalize(0, &local, print_finalizer));
	ev = event_new(NULL, -1, 0, print_event, NULL);
	printf("free_finalize %d\n", event_free_finalize(0, ev, print_finalizer));
	event_free(ev);
}

CASE(finalizers_run_in_priority_order, EVERY_BACKEND)
{
	struct event *urgent;

	begin();
	event_base_priority_init(base, 3);
	ev = event_new(base, -1, 0, print_event, (void *)"late");
	urgent = event_new(base, -1, 0, print_event, (void *)"urgent");
	event_priority_set(ev, 2);
	event_priority_set(urgent, 0);
	event_free_finalize(0, ev, other_finalizer);
	event_free_finalize(0, urgent, other_finalizer);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(finalizer_keeps_its_place_in_the_queue, EVERY_BACKEND)
{
	struct event *first, *last;

	begin();
	first = event_new(base, -1, 0, print_event, (void *)"first");
	ev = event_new(base, -1, 0, print_event, (void *)"middle");
	last = event_new(base, -1, 0, print_event, (void *)"last");
	event_active(first, EV_READ, 1);
	event_active(ev, EV_READ, 1);
	event_active(last, EV_READ, 1);
	event_finalize(0, ev, print_finalizer);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(first);
	event_free(ev);
	event_free(last);
	event_base_free(base);
}

/* --- When the base is freed --- */

CASE(base_free_runs_finalizers, EVERY_BACKEND)
{
	struct event local;

	begin();
	ev = event_new(base, -1, 0, print_event, (void *)"freed");
	event_assign(&local, base, -1, 0, print_event, (void *)"local");
	event_free_finalize(0, ev, print_finalizer);
	event_finalize(0, &local, other_finalizer);
	event_base_free(base);
}

static void
finalize_another(struct event *finalized, void *arg)
{
	struct event *another;

	other_finalizer(finalized, arg);
	another = event_new(base, -1, 0, print_event, (void *)"queued by a finalizer");
	event_free_finalize(0, another, other_finalizer);
}

CASE(base_free_runs_finalizers_that_finalizers_queue, EVERY_BACKEND)
{
	begin();
	ev = event_new(base, -1, 0, print_event, (void *)"first");
	event_free_finalize(0, ev, finalize_another);
	event_base_free(base);
}

/* Each adds an event, through which the next finalizers still find the base. */
static struct event added_late[3];

static void
add_an_event(struct event *finalized, void *arg)
{
	struct timeval hour = {3600, 0};
	struct event *late = arg;

	(void)finalized;
	event_assign(late, base, -1, 0, print_event, (void *)"late");
	CHECK_EQUAL(event_add(late, late == added_late ? event_base_init_common_timeout(base, &hour) : &hour), 0);
	printf("%d added\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
}

DIFFERENCE(base_free_deletes_what_finalizers_add, EVERY_BACKEND | OWN_DEBUG_MODE,
           "An event that a finalizer adds while its base is freed stays in the freed base")
{
	begin();
	for (int i = 0; i < 3; i++) {
		ev = event_new(base, -1, 0, print_event, &added_late[i]);
		event_free_finalize(0, ev, add_an_event);
	}
	event_base_free(base);
	for (int i = 0; i < 3; i++)
		CHECK_EQUAL(added_late[i].ev_evcallback.evcb_flags, EVLIST_INIT);
}

CASE(base_free_nofinalize_drops_finalizers, EVERY_BACKEND)
{
	struct event local;

	begin();
	event_assign(&local, base, -1, 0, print_event, (void *)"local");
	CHECK_EQUAL(event_finalize(0, &local, other_finalizer), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 1);
	event_base_free_nofinalize(base);
	puts("freed");
}

CASE(finalizer_frees_what_its_event_used, EVERY_BACKEND)
{
	struct event *event_of_block = NULL;
	char *block = malloc(20);

	begin();
	strcpy(block, "block");
	event_of_block = event_new(base, -1, EV_PERSIST, print_event, block);
	ev = event_of_block;
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free_finalize(0, event_of_block, print_finalizer);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	free(block);
	event_base_free(base);
}

static void
use_the_loop(struct event *finalized, void *arg)
{
	other_finalizer(finalized, arg);
	event_base_once(base, -1, EV_TIMEOUT, print_event, (void *)"once, from a finalizer", NULL);
	event_base_loopexit(base, NULL);
}

CASE(finalizer_may_use_the_base, EVERY_BACKEND)
{
	begin();
	ev = event_new(base, -1, 0, print_event, (void *)"x");
	event_free_finalize(0, ev, use_the_loop);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	event_base_free(base);
}

CASE(signal_event_is_finalized, EVERY_BACKEND)
{
	begin();
	ev = evsignal_new(base, 10, print_event, (void *)"signal");
	event_add(ev, NULL);
	event_active(ev, EV_SIGNAL, 3);
	event_finalize(0, ev, print_finalizer);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

DIFFERENCE(finalizer_may_be_null, ONE_BACKEND, "a NULL finalizer crashes")
{
	begin();
	ev = event_new(base, -1, 0, print_event, NULL);
	event_finalize(0, ev, NULL);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	ev = event_new(base, -1, 0, print_event, NULL);
	event_free_finalize(0, ev, NULL);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

static struct event *seen_running;

static void
ask_for_the_running_event(struct event *finalized, void *arg)
{
	(void)finalized;
	(void)arg;
	seen_running = event_base_get_running_event(base);
}

DIFFERENCE(no_event_runs_during_a_finalizer, ONE_BACKEND,
	"event_base_get_running_event crashes in finalizers")
{
	begin();
	ev = event_new(base, -1, 0, print_event, NULL);
	event_free_finalize(0, ev, ask_for_the_running_event);
	seen_running = ev;
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK(seen_running == NULL);
	event_base_free(base);
}

/* --- From another thread --- */

static int finalized_count;
static pthread_t loop_thread;

static void
count_in_loop_thread(struct event *finalized, void *arg)
{
	(void)finalized;
	CHECK(pthread_equal(pthread_self(), loop_thread));
	free(arg);
	finalized_count++;
}

static void
touch(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	++*(int *)arg;
}

static void *
run_loop(void *arg)
{
	(void)arg;
	loop_thread = pthread_self();
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

CASE(many_are_finalized_from_another_thread, EVERY_BACKEND)
{
	enum { COUNT = 2000 };
	pthread_t thread;
	int i;

	CHECK(evthread_use_pthreads() == 0);
	begin();
	CHECK(pthread_create(&thread, NULL, run_loop, NULL) == 0);
	for (i = 0; i < COUNT; i++) {
		struct event *one = event_new(base, -1, EV_PERSIST, touch, calloc(1, sizeof(int)));
		if (i % 2)
			event_active(one, EV_READ, 1);
		else
			event_add(one, &(struct timeval){0, 0});
		event_free_finalize(0, one, count_in_loop_thread);
	}
	event_base_loopexit(base, NULL);
	pthread_join(thread, NULL);
	loop_thread = pthread_self();
	event_base_free(base);
	CHECK_EQUAL(finalized_count, COUNT);
}

/* Until its finalizer has run, a finalizing event may still be named: also in debug mode. */
static void
name_it_in_its_finalizer(struct event *finalized, void *arg)
{
	(void)arg;
	/* From here on the memory belongs to the program. */
	CHECK_EQUAL(event_assign(finalized, base, -1, 0, print_event, (void *)"assigned again"), 0);
	puts("finalizer");
}

CASE(finalizing_event_in_debug_mode, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct timeval soon = {0, 1000};

	event_enable_debug_mode();
	begin();
	ev = event_new(base, -1, EV_PERSIST, print_event, (void *)"finalizing");
	event_add(ev, &soon);
	CHECK_EQUAL(event_finalize(0, ev, name_it_in_its_finalizer), 0);
	CHECK_EQUAL(event_add(ev, &soon), -1);
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_remove_timer(ev), 0);
	CHECK_EQUAL(event_pending(ev, 0xff, NULL) & (EV_READ | EV_WRITE), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
	libevent_global_shutdown();
}
