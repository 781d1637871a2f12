/* What is counted of the events that a wait made active, and queues that are replaced while the loop
 * runs. */
#define _GNU_SOURCE
#include "trace.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>

enum { READY = 40 };

static struct event_base *base;
static int calls;

static void
print_counts(evutil_socket_t fd, short what, void *arg)
{
	uint64_t value;

	(void)arg;
	/* The other event of the descriptor may have been first. */
	CHECK(read(fd, &value, sizeof value) == sizeof value || errno == EAGAIN);
	printf("%d: what %d, active %d, added %d\n", calls++, what,
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
}

/* Of the descriptors every fifth has two events, every fourth event ends with its callback, and some
 * are active before the wait; one more event is the library's own. */
static void
count_with(int priorities)
{
	struct event *events[READY], *seconds[READY] = {NULL}, *own;
	int fds[READY];

	base = new_base();
	calls = 0;
	CHECK_EQUAL(event_base_priority_init(base, priorities), 0);
	for (int i = 0; i < READY; i++) {
		fds[i] = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
		events[i] = event_new(base, fds[i], EV_READ | (i % 4 ? EV_PERSIST : 0), print_counts, NULL);
		CHECK_EQUAL(event_priority_set(events[i], i % priorities), 0);
		CHECK_EQUAL(event_add(events[i], NULL), 0);
		if (i % 5 == 0) {
			seconds[i] = event_new(base, fds[i], EV_READ | EV_PERSIST, print_counts, NULL);
			CHECK_EQUAL(event_add(seconds[i], NULL), 0);
		}
		if (i % 7 == 0)
			event_active(events[i], EV_READ, 1);
	}
	own = event_new(base, fds[0], EV_READ | EV_PERSIST, ignore_event, NULL);
	own->ev_evcallback.evcb_flags |= EVLIST_INTERNAL;
	CHECK_EQUAL(event_add(own, NULL), 0);
	for (int i = 0; i < 3; i++)
		printf("loop %d\n", event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE));
	printf("most active %d, most added %d\n", event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0),
	       event_base_get_max_events(base, EVENT_BASE_COUNT_ADDED, 0));
	event_free(own);
	for (int i = 0; i < READY; i++) {
		event_free(events[i]);
		if (seconds[i])
			event_free(seconds[i]);
		close(fds[i]);
	}
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	event_base_free(base);
}

CASE(what_a_wait_made_active, EPOLL_ONLY)
{
	count_with(1);
}

CASE(what_a_wait_made_active_at_three_priorities, EPOLL_ONLY)
{
	count_with(3);
}

static void
drop_message(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

CASE(what_a_wait_made_active_with_messages, EPOLL_ONLY)
{
	event_enable_debug_logging(EVENT_DBG_ALL);
	event_set_log_callback(drop_message);
	count_with(1);
}

static struct event *late[6];

static void
make_other_queues(evutil_socket_t fd, short what, void *priorities)
{
	(void)fd;
	(void)what;
	CHECK_EQUAL(event_base_priority_init(base, *(const int *)priorities), 0);
	for (int i = 0; i < 6; i++)
		event_active(late[i], EV_READ, 1);
}

static void
replace_queues(int before, int after, int at)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	struct event *first;

	base = new_base();
	CHECK_EQUAL(event_base_priority_init(base, before), 0);
	first = event_new(base, -1, 0, make_other_queues, &after);
	CHECK_EQUAL(event_priority_set(first, at), 0);
	for (int i = 0; i < 6; i++)
		late[i] = named_event_at(base, -1, 0, names[i], i % (before < after ? before : after));
	event_active(first, EV_READ, 1);
	for (int i = 0; i < 4; i++) {
		printf("loop %d\n", event_base_loop(base, EVLOOP_NONBLOCK));
		printf("active %d\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	}
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	event_free(first);
	for (int i = 0; i < 6; i++)
		event_free(late[i]);
	event_base_free(base);
}

DIFFERENCE(queues_are_replaced_in_a_callback, ONE_BACKEND,
	   "event_base_priority_init in a callback makes the loop read memory that was freed")
{
	replace_queues(1, 200, 0);
	replace_queues(3, 200, 2);
	replace_queues(200, 3, 100);
	replace_queues(200, 1, 0);
}
