/* Events whose timeout is being delivered: added again before their callback, or ready at the same time. */
#include "trace.h"

/* An fd event expires, and before its callback runs another callback adds it again with a time. */
static struct event *expired;

static void
add_expired_again(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = {3600, 0};
	(void)fd;
	(void)what;
	(void)arg;
	CHECK_EQUAL(event_add(expired, &tv), 0);
}

static void
interest_survives_adding_at_expiry(int interest)
{
	struct event_base *base = new_base();
	struct event *first;
	int ends[2];
	make_pipe(ends);
	CHECK_EQUAL(event_base_priority_init(base, 2), 0);
	expired = named_event(base, ends[0], interest, "");
	event_priority_set(expired, 1);
	first = event_new(base, -1, 0, add_expired_again, NULL);
	event_priority_set(first, 0);
	CHECK_EQUAL(add_timed(expired, 1), 0);
	CHECK_EQUAL(add_timed(first, 1), 0);
	pause_milliseconds(30);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
	CHECK_EQUAL(event_pending(expired, EV_READ | EV_TIMEOUT, NULL), EV_READ | EV_TIMEOUT);
	put_byte(ends[1]);
	expired->ev_res = 0;
	poll_once(base);
	CHECK_EQUAL(expired->ev_res, EV_READ);
	event_free(first);
	event_free(expired);
	event_base_free(base);
}

DIFFERENCE(interest_survives_adding_at_expiry_once, EVERY_BACKEND,
	   "an event that is added again while its timeout is being delivered stops watching its descriptor")
{
	interest_survives_adding_at_expiry(EV_READ);
}

DIFFERENCE(interest_survives_adding_at_expiry_persistent, EVERY_BACKEND,
	   "an event that is added again while its timeout is being delivered stops watching its descriptor")
{
	interest_survives_adding_at_expiry(EV_READ | EV_PERSIST);
}

DIFFERENCE(edge_survives_adding_at_expiry, EPOLL_ONLY,
	   "an edge-triggered event that is added again while its timeout is being delivered loses readiness for good")
{
	struct event_base *base = new_base();
	struct event *first;
	int ends[2];
	make_pipe(ends);
	expired = named_event(base, ends[0], EV_READ | EV_PERSIST | EV_ET, "");
	first = event_new(base, -1, 0, add_expired_again, NULL);
	CHECK_EQUAL(event_add(expired, NULL), 0);
	put_byte(ends[1]);
	event_active(first, EV_WRITE, 1);
	event_active(expired, EV_TIMEOUT, 1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
	expired->ev_res = 0;
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
	CHECK_EQUAL(expired->ev_res, EV_READ | EV_ET);
	event_free(first);
	event_free(expired);
	event_base_free(base);
}

DIFFERENCE(readiness_and_timeout_are_delivered_together, EVERY_BACKEND,
	   "an event that becomes ready and times out in the same pass gets only the timeout")
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = named_event(base, ends[0], EV_READ, "");
	CHECK_EQUAL(add_timed(ev, 1), 0);
	put_byte(ends[1]);
	pause_milliseconds(30);
	poll_once(base);
	CHECK_EQUAL(ev->ev_res, EV_READ | EV_TIMEOUT);
	event_free(ev);
	event_base_free(base);
}
