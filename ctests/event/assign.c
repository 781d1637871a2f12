/* Making events and asking them what they are: event_new, event_assign, the getters, event_base_set,
 * event_priority_set, event_pending. */
#define _GNU_SOURCE
#include "trace.h"

static void
print_event(const struct event *ev)
{
	printf("initialized %d, fd %d, events 0x%02x, priority %d\n", event_initialized(ev), event_get_fd(ev),
	       event_get_events(ev), event_get_priority(ev));
}

CASE(getters, ONE_BACKEND)
{
	static const short interests[] = {0, EV_READ, EV_WRITE | EV_PERSIST, EV_READ | EV_WRITE | EV_CLOSED | EV_ET,
					  EV_SIGNAL, EV_SIGNAL | EV_PERSIST, EV_TIMEOUT, EV_TIMEOUT | EV_READ,
					  EV_FINALIZE | EV_READ, EV_SIGNAL | EV_TIMEOUT | EV_ET};
	struct event_base *base = new_base();
	size_t i;
	for (i = 0; i < sizeof interests / sizeof interests[0]; i++) {
		struct event_base *base_out = NULL;
		evutil_socket_t fd_out = -5;
		short events_out = -5;
		event_callback_fn callback_out = NULL;
		void *arg_out = NULL;
		struct event *ev = event_new(base, -1, interests[i], print_call, "argument");
		CHECK(ev);
		print_event(ev);
		event_get_assignment(ev, &base_out, &fd_out, &events_out, &callback_out, &arg_out);
		CHECK(base_out == base && base == event_get_base(ev));
		CHECK_EQUAL(fd_out, -1);
		CHECK_EQUAL(events_out, interests[i]);
		CHECK(callback_out == print_call && callback_out == event_get_callback(ev));
		CHECK_STRING(arg_out, "argument");
		CHECK_STRING(event_get_callback_arg(ev), "argument");
		event_get_assignment(ev, NULL, NULL, NULL, NULL, NULL);
		event_free(ev);
	}
	event_base_free(base);
}

CASE(macros_of_events, ONE_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	CHECK_EQUAL(evtimer_assign(&ev, base, print_call, "timer"), 0);
	print_event(&ev);
	CHECK_EQUAL(evtimer_initialized(&ev), 1);
	CHECK_EQUAL(evtimer_pending(&ev, NULL), 0);
	CHECK_EQUAL(evsignal_assign(&ev, base, 12, print_call, "signal"), 0);
	print_event(&ev);
	CHECK_EQUAL(event_get_signal(&ev), 12);
	CHECK_EQUAL(evsignal_add(&ev, NULL), 0);
	CHECK_EQUAL(evsignal_pending(&ev, NULL), EV_SIGNAL);
	CHECK_EQUAL(evsignal_del(&ev), 0);
	CHECK_EQUAL(event_assign(&ev, base, -1, 0, print_call, "user"), 0);
	print_event(&ev);
	evuser_trigger(&ev);
	CHECK_EQUAL(evuser_pending(&ev, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(evuser_initialized(&ev), 1);
	CHECK_EQUAL(evuser_del(&ev), 0);
	event_base_free(base);
}

CASE(signal_with_io_is_refused, ONE_BACKEND | OWN_DEBUG_MODE)
{
	static const short interests[] = {EV_SIGNAL | EV_READ, EV_SIGNAL | EV_WRITE, EV_SIGNAL | EV_CLOSED,
					  EV_SIGNAL | EV_READ | EV_WRITE | EV_PERSIST};
	struct event_base *base = new_base();
	size_t i;
	log_to_stdout();
	for (i = 0; i < sizeof interests / sizeof interests[0]; i++) {
		struct event ev;
		memset(&ev, 0, sizeof ev);
		CHECK(!event_new(base, 3, interests[i], print_call, NULL));
		CHECK_EQUAL(event_assign(&ev, base, 3, interests[i], print_call, NULL), -1);
		CHECK_EQUAL(event_initialized(&ev), 1);
		CHECK_EQUAL(event_get_events(&ev), interests[i]);
	}
	event_base_free(base);
}

CASE(descriptors_are_not_checked_when_assigned, ONE_BACKEND | OWN_DEBUG_MODE)
{
	static const int fds[] = {-1, -100, 9999, 1 << 30, 2147483647};
	struct event_base *base = new_base();
	size_t i;
	for (i = 0; i < sizeof fds / sizeof fds[0]; i++) {
		struct event *ev = named_event(base, fds[i], EV_READ, "");
		print_event(ev);
		event_free(ev);
	}
	event_base_free(base);
}

static void
check_self(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	printf("argument is the event: %d\n", event_get_callback(arg) == check_self);
}

CASE(self_argument, ONE_BACKEND)
{
	struct event_base *base = new_base();
	struct event *allocated = event_new(base, -1, 0, check_self, event_self_cbarg());
	struct event assigned;
	CHECK_EQUAL(event_assign(&assigned, base, -1, 0, check_self, event_self_cbarg()), 0);
	CHECK(event_get_callback_arg(allocated) == allocated);
	CHECK(event_get_callback_arg(&assigned) == &assigned);
	CHECK(event_self_cbarg() == event_self_cbarg());
	event_active(allocated, 0, 0);
	event_active(&assigned, 0, 0);
	poll_once(base);
	event_free(allocated);
	event_base_free(base);
}

CASE(assigning_again, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	CHECK_EQUAL(event_assign(&ev, base, ends[0], EV_READ, print_call, "read"), 0);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	CHECK_EQUAL(event_del(&ev), 0);
	CHECK_EQUAL(event_assign(&ev, base, ends[0], EV_WRITE, print_call, "write"), 0);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_assign(&ev, base, -1, 0, print_call, "timer"), 0);
	CHECK_EQUAL(add_timed(&ev, 0), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(setting_the_base, EVERY_BACKEND)
{
	struct event_base *first = new_base(), *second = new_base();
	struct event ev;
	CHECK_EQUAL(event_base_priority_init(second, 5), 0);
	CHECK_EQUAL(event_assign(&ev, first, -1, 0, print_call, "moved"), 0);
	CHECK_EQUAL(event_base_set(second, &ev), 0);
	CHECK_EQUAL(event_get_priority(&ev), 2);
	CHECK_EQUAL(event_priority_set(&ev, 4), 0);
	CHECK_EQUAL(event_base_set(second, &ev), 0);
	CHECK_EQUAL(event_get_priority(&ev), 2);
	CHECK_EQUAL(add_timed(&ev, 1000), 0);
	CHECK_EQUAL(event_base_set(first, &ev), -1);
	CHECK_EQUAL(event_del(&ev), 0);
	event_active(&ev, EV_READ, 1);
	CHECK_EQUAL(event_base_set(first, &ev), -1);
	poll_once(second);
	CHECK_EQUAL(event_base_set(first, &ev), 0);
	event_active(&ev, EV_READ, 1);
	poll_once(second);
	poll_once(first);
	event_base_free(first);
	event_base_free(second);
}

CASE(setting_the_priority, EVERY_BACKEND)
{
	static const int priorities[] = {0, 1, 2, 3, 4, -1, 255, 256, 1 << 20};
	struct event_base *base = new_base();
	struct event *ev;
	size_t i;
	CHECK_EQUAL(event_base_priority_init(base, 4), 0);
	ev = named_event(base, -1, 0, "priority");
	for (i = 0; i < sizeof priorities / sizeof priorities[0]; i++)
		printf("%d: %d, then %d\n", priorities[i], event_priority_set(ev, priorities[i]),
		       event_get_priority(ev));
	CHECK_EQUAL(add_timed(ev, 1000), 0);
	CHECK_EQUAL(event_priority_set(ev, 0), 0);
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_priority_set(ev, 1), -1);
	CHECK_EQUAL(event_get_priority(ev), 0);
	event_free(ev);
	event_base_free(base);
}

/* Getters. */
static void
print_pending(struct event *ev, const char *label)
{
	static const int masks[] = {0, EV_TIMEOUT, EV_READ, EV_WRITE, EV_CLOSED, EV_SIGNAL,
				    EV_TIMEOUT | EV_READ | EV_WRITE | EV_CLOSED | EV_SIGNAL, 0x7fff};
	size_t i;
	printf("%s:", label);
	for (i = 0; i < sizeof masks / sizeof masks[0]; i++)
		printf(" 0x%02x", event_pending(ev, (short)masks[i], NULL));
	printf("\n");
}

CASE(pending_by_state_and_mask, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_socketpair(ends);
	ev = named_event(base, ends[0], EV_READ | EV_WRITE | EV_PERSIST | EV_TIMEOUT, "event");
	print_pending(ev, "idle");
	CHECK_EQUAL(event_add(ev, NULL), 0);
	print_pending(ev, "added");
	CHECK_EQUAL(add_timed(ev, 1000), 0);
	print_pending(ev, "with a timeout");
	event_active(ev, EV_CLOSED, 1);
	print_pending(ev, "active");
	poll_once(base);
	CHECK_EQUAL(event_remove_timer(ev), 0);
	print_pending(ev, "without the timeout");
	CHECK_EQUAL(event_del(ev), 0);
	print_pending(ev, "deleted");
	event_active(ev, EV_TIMEOUT, 1);
	print_pending(ev, "active only");
	event_free(ev);
	event_base_free(base);
}

CASE(pending_returns_the_deadline, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval now, tv = {-7, -7};
	struct event *ev = named_event(base, -1, 0, "");
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, &tv), 0);
	CHECK_EQUAL(tv.tv_sec, -7);
	CHECK_EQUAL(add_timed(ev, 5000), 0);
	CHECK_EQUAL(event_pending(ev, EV_READ, &tv), 0);
	CHECK_EQUAL(tv.tv_sec, -7);
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, &tv), EV_TIMEOUT);
	evutil_gettimeofday(&now, NULL);
	evutil_timersub(&tv, &now, &tv);
	CHECK(tv.tv_sec == 4 || (tv.tv_sec == 5 && tv.tv_usec < 100000));
	event_free(ev);
	event_base_free(base);
}

CASE(a_failed_add_changes_nothing, EPOLL_ONLY)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = named_event(base, ends[0], EV_READ | EV_PERSIST, "closed");
	close(ends[0]);
	printf("%d\n", add_timed(ev, 1000));
	printf("pending %s, counted %d\n", flag_names(event_pending(ev, 0x7fff, NULL)),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_free(ev);
	event_base_free(base);
}

/* The previous content of the memory does not matter. */
CASE(memory_with_any_content, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct event_base *base = new_base();
	struct timeval soon = {0, 5000};
	int ends[2], fill, kinds;

	make_pipe(ends);
	ends[0] = renumber(ends[0], 100);
	put_byte(ends[1]);
	for (fill = 0; fill < 3; fill++) {
		for (kinds = 0; kinds < 4; kinds++) {
			static const short interests[] = {0, EV_PERSIST, EV_READ, EV_READ | EV_PERSIST};
			struct event ev;

			memset(&ev, fill == 0 ? 0xff : fill == 1 ? 0x5a : 0x80, sizeof ev);
			CHECK_EQUAL(event_assign(&ev, base, interests[kinds] & EV_READ ? ends[0] : -1, interests[kinds], print_call,
					    "filled"), 0);
			print_event(&ev);
			CHECK_EQUAL(event_pending(&ev, 0xff, NULL), 0);
			CHECK_EQUAL(event_del(&ev), 0);
			CHECK_EQUAL(event_add(&ev, &soon), 0);
			CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
			CHECK_EQUAL(event_del(&ev), 0);
			CHECK_EQUAL(event_base_dispatch(base), 1);
			/* No timeout was requested, and none results from the old content of the memory when it runs. */
			memset(&ev, fill == 0 ? 0x0f : fill == 1 ? 0x5a : 0x01, sizeof ev);
			CHECK_EQUAL(event_assign(&ev, base, -1, interests[kinds], print_call, "without a timeout"), 0);
			event_active(&ev, EV_READ, 1);
			CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
			CHECK_EQUAL(event_pending(&ev, 0xff, NULL), 0);
			CHECK_EQUAL(event_del(&ev), 0);
		}
	}
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
}
