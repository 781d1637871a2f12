/* Functions that libevent exports without declaring them in a public header: how a base gets
 * signals. The lock of the base is held, but not where signals end: deleting the base's own event
 * takes it. */
#include "loop/internal.h"

#include <signal.h>

int evsig_init_(struct event_base *base);
void evsig_dealloc_(struct event_base *base);
void evsig_set_base_(struct event_base *base);
int evsig_set_handler_(struct event_base *base, int number, void (*handler)(int));
int evsig_restore_handler_(struct event_base *base, int number);

static struct event_base *base;
static volatile int handled;

static void
count_handled(int number)
{
	CHECK_EQUAL(number, SIGUSR1);
	handled++;
}

static void
ignore_signal(int number)
{
	(void)number;
}

static void (*installed_handler(void))(int)
{
	struct sigaction action;
	CHECK(sigaction(SIGUSR1, NULL, &action) == 0);
	return action.sa_handler;
}

CASE(a_handler_replaces_the_disposition_until_it_is_restored, EVERY_BACKEND)
{
	struct sigaction action;
	base = new_base();
	CHECK(signal(SIGUSR1, ignore_signal) == SIG_DFL);
	CHECK_EQUAL(HELD(base, evsig_set_handler_(base, SIGUSR1, count_handled)), 0);
	CHECK(sigaction(SIGUSR1, NULL, &action) == 0);
	CHECK(action.sa_handler == count_handled);
	printf("restart %d, mask has itself %d, another %d\n", !!(action.sa_flags & SA_RESTART),
	       sigismember(&action.sa_mask, SIGUSR1), sigismember(&action.sa_mask, SIGTERM));
	raise(SIGUSR1);
	CHECK_EQUAL(handled, 1);
	CHECK_EQUAL(HELD(base, evsig_restore_handler_(base, SIGUSR1)), 0);
	CHECK(installed_handler() == ignore_signal);
	raise(SIGUSR1);
	CHECK_EQUAL(handled, 1);
	event_base_free(base);
}

CASE(a_signal_without_a_handler_is_restored_to_nothing_else, EVERY_BACKEND)
{
	base = new_base();
	CHECK(signal(SIGUSR1, ignore_signal) == SIG_DFL);
	CHECK_EQUAL(HELD(base, evsig_restore_handler_(base, SIGUSR1)), 0);
	CHECK_EQUAL(HELD(base, evsig_set_handler_(base, SIGUSR1, count_handled)), 0);
	CHECK_EQUAL(HELD(base, evsig_restore_handler_(base, SIGUSR1)), 0);
	CHECK(signal(SIGUSR1, SIG_IGN) == ignore_signal);
	CHECK_EQUAL(HELD(base, evsig_restore_handler_(base, SIGUSR1)), 0);
	CHECK(installed_handler() == SIG_IGN);
	event_base_free(base);
}

CASE(what_the_kernel_refuses_is_refused, EVERY_BACKEND)
{
	base = new_base();
	CHECK_EQUAL(HELD(base, evsig_set_handler_(base, SIGKILL, count_handled)), -1);
	CHECK_EQUAL(HELD(base, evsig_set_handler_(base, NSIG, count_handled)), -1);
	CHECK_EQUAL(HELD(base, evsig_set_handler_(base, 1000, count_handled)), -1);
	event_base_free(base);
}

CASE(the_end_of_signals_restores_every_handler, EVERY_BACKEND)
{
	base = new_base();
	CHECK(signal(SIGUSR1, ignore_signal) == SIG_DFL);
	CHECK_EQUAL(HELD(base, evsig_set_handler_(base, SIGUSR1, count_handled)), 0);
	evsig_dealloc_(base);
	CHECK(installed_handler() == ignore_signal);
	event_base_free(base);
}

CASE(signals_can_begin_again, EVERY_BACKEND)
{
	struct event *ev;
	base = new_base();
	ev = added_event(base, SIGUSR1, EV_SIGNAL | EV_PERSIST, "signal");
	raise(SIGUSR1);
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(event_del(ev), 0);
	evsig_dealloc_(base);
	CHECK_EQUAL(HELD(base, evsig_init_(base)), 0);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	raise(SIGUSR1);
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK(installed_handler() == SIG_DFL);
	event_free(ev);
	event_base_free(base);
}

/* Calling it changes nothing any more: each base has what it watches. */
CASE(a_base_is_made_the_receiver, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *event = added_event(base, SIGUSR1, EV_SIGNAL | EV_PERSIST, "signal");
	HOLDING(base, evsig_set_base_(base));
	raise(SIGUSR1);
	CHECK_EQUAL(poll_once(base), 0);
	event_free(event);
	event_base_free(base);
}
