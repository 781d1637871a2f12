/* How often, when and in which order the callbacks of signal events run. */
#include "observe.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <sys/time.h>

static struct event_base *base;

static void
print_signal(evutil_socket_t sig, short what, void *name)
{
	printf("%s: signal %d %s\n", (const char *)name, (int)sig, flag_names(what));
}

static struct event *
watch(int sig, event_callback_fn callback, void *arg)
{
	struct event *ev = evsignal_new(base, sig, callback, arg);
	CHECK(ev);
	CHECK(event_add(ev, NULL) == 0);
	return ev;
}

CASE(persistent_signal_runs_once_per_delivery, EVERY_BACKEND)
{
	struct event *ev;

	base = event_base_new();
	ev = watch(SIGUSR1, print_signal, "persistent");
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	printf("pending before the loop: %s\n", flag_names(event_pending(ev, 0xff, NULL)));
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	event_free(ev);
	event_base_free(base);
}

CASE(one_shot_signal_runs_for_every_queued_delivery, EVERY_BACKEND)
{
	struct event *ev;

	base = event_base_new();
	ev = event_new(base, SIGUSR1, EV_SIGNAL, print_signal, "one-shot");
	event_add(ev, NULL);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	printf("pending: %s\n", flag_names(event_pending(ev, 0xff, NULL)));
	event_add(ev, NULL);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

CASE(several_events_on_one_signal, EVERY_BACKEND)
{
	struct event *first, *second, *third;

	base = event_base_new();
	first = watch(SIGUSR1, print_signal, "first");
	second = watch(SIGUSR1, print_signal, "second");
	third = watch(SIGUSR1, print_signal, "third");
	raise(SIGUSR1);
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_ONCE);
	puts("second deleted, first added again");
	event_del(second);
	event_del(first);
	event_add(first, NULL);
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_ONCE);
	event_free(first);
	event_free(second);
	event_free(third);
	event_base_free(base);
}

CASE(several_signals_run_in_ascending_order, EVERY_BACKEND)
{
	struct event *events[4];
	int i;

	base = event_base_new();
	events[0] = watch(SIGUSR2, print_signal, "usr2");
	events[1] = watch(SIGHUP, print_signal, "hup");
	events[2] = watch(SIGRTMIN + 2, print_signal, "realtime");
	events[3] = watch(SIGUSR1, print_signal, "usr1");
	raise(SIGRTMIN + 2);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGHUP);
	event_base_loop(base, EVLOOP_ONCE);
	for (i = 0; i < 4; i++)
		event_free(events[i]);
	event_base_free(base);
}

static int rounds;

static void
raise_again(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	(void)arg;
	printf("round %d\n", ++rounds);
	if (rounds < 4)
		raise(sig);
	puts("end of round");
}

CASE(signal_raised_in_its_own_callback, EVERY_BACKEND)
{
	struct event *ev;

	base = event_base_new();
	ev = watch(SIGUSR1, raise_again, NULL);
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_ONCE);
	while (rounds < 4)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(ev);
	event_base_free(base);
}

static void
raise_usr2(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	printf("%s: %s, raising\n", (const char *)arg, flag_names(what));
	raise(SIGUSR2);
}

CASE(signal_raised_in_a_timer_runs_in_the_next_pass, EVERY_BACKEND)
{
	struct timeval now = {0, 0};
	struct event *ev, *timers[2];

	base = event_base_new();
	ev = watch(SIGUSR2, print_signal, "signal");
	timers[0] = evtimer_new(base, raise_usr2, "timer");
	timers[1] = evtimer_new(base, raise_usr2, "timer");
	event_add(timers[0], &now);
	event_add(timers[1], &now);
	event_base_loop(base, EVLOOP_ONCE);
	puts("second loop");
	event_base_loop(base, EVLOOP_ONCE);
	event_free(ev);
	event_free(timers[0]);
	event_free(timers[1]);
	event_base_free(base);
}

static void
print_fd(evutil_socket_t fd, short what, void *name)
{
	(void)fd;
	printf("%s: %s\n", (const char *)name, flag_names(what));
}

CASE(signals_run_after_descriptors_and_timers, EVERY_BACKEND)
{
	struct timeval now = {0, 0};
	struct event *signal_event, *timer, *reader, *manual;
	int ends[2];

	base = event_base_new();
	make_pipe(ends);
	signal_event = watch(SIGUSR1, print_signal, "signal");
	timer = evtimer_new(base, print_fd, "timer");
	reader = event_new(base, ends[0], EV_READ, print_fd, "reader");
	manual = event_new(base, -1, 0, print_fd, "manual");
	event_add(timer, &now);
	event_add(reader, NULL);
	put_byte(ends[1]);
	raise(SIGUSR1);
	event_active(manual, EV_WRITE, 1);
	event_base_loop(base, EVLOOP_ONCE);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_free(signal_event);
	event_free(timer);
	event_free(reader);
	event_free(manual);
	event_base_free(base);
}

CASE(signal_priorities, EVERY_BACKEND)
{
	struct timeval now = {0, 0};
	struct event *urgent, *late, *timer;

	base = event_base_new();
	CHECK(event_base_priority_init(base, 3) == 0);
	late = evsignal_new(base, SIGUSR1, print_signal, "late");
	urgent = evsignal_new(base, SIGUSR2, print_signal, "urgent");
	timer = evtimer_new(base, print_fd, "timer");
	event_priority_set(late, 2);
	event_priority_set(urgent, 0);
	event_add(late, NULL);
	event_add(urgent, NULL);
	event_add(timer, &now);
	raise(SIGUSR1);
	raise(SIGUSR2);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_free(late);
	event_free(urgent);
	event_free(timer);
	event_base_free(base);
}

static void
alarm_rang(evutil_socket_t sig, short what, void *arg)
{
	(void)arg;
	printf("alarm %d %s\n", (int)sig, flag_names(what));
	event_base_loopbreak(base);
}

CASE(signal_ends_a_wait_in_the_kernel, EVERY_BACKEND)
{
	struct itimerval soon = {{0, 0}, {0, 30000}};
	struct event *ev;

	base = event_base_new();
	ev = watch(SIGALRM, alarm_rang, NULL);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	event_free(ev);
	event_base_free(base);
}

static void
ignore_in_handler(int sig)
{
	(void)sig;
}

CASE(foreign_signal_does_not_end_the_loop, EVERY_BACKEND)
{
	struct itimerval soon = {{0, 0}, {0, 20000}};
	struct timeval later = {0, 100000};
	struct sigaction action;
	struct event *timer;

	memset(&action, 0, sizeof action);
	action.sa_handler = ignore_in_handler;
	sigaction(SIGALRM, &action, NULL);
	base = event_base_new();
	timer = evtimer_new(base, print_fd, "timer");
	event_add(timer, &later);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(timer);
	event_base_free(base);
}

CASE(blocked_signal_is_seen_when_unblocked, EVERY_BACKEND)
{
	struct event *ev;
	sigset_t set;

	base = event_base_new();
	ev = watch(SIGUSR1, print_signal, "signal");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	puts("unblocked");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_free(ev);
	event_base_free(base);
}

CASE(sigpipe_is_an_event_like_others, EVERY_BACKEND)
{
	struct event *ev;
	int ends[2];

	base = event_base_new();
	make_pipe(ends);
	ev = watch(SIGPIPE, print_signal, "sigpipe");
	close(ends[0]);
	CHECK(write(ends[1], "x", 1) == -1);
	CHECK_EQUAL(errno, EPIPE);
	event_base_loop(base, EVLOOP_ONCE);
	event_free(ev);
	event_base_free(base);
}

static int
exit_with_five(void)
{
	return 5;
}

CASE(sigchld_reports_an_ended_child, EVERY_BACKEND)
{
	struct event *ev;
	int status;
	pid_t child;

	base = event_base_new();
	ev = watch(SIGCHLD, print_signal, "sigchld");
	child = start_child(exit_with_five);
	event_base_loop(base, EVLOOP_ONCE);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	event_free(ev);
	event_base_free(base);
}

static struct event *victims[3];

static void
delete_victims(evutil_socket_t sig, short what, void *arg)
{
	int i;
	(void)what;
	printf("signal %d in the callback that %s\n", (int)sig, (const char *)arg);
	if (!strcmp(arg, "deletes itself"))
		event_del(victims[0]);
	else if (!strcmp(arg, "frees itself"))
		event_free(victims[0]);
	else if (!strcmp(arg, "deletes all"))
		for (i = 0; i < 3; i++)
			event_del(victims[i]);
	else if (!strcmp(arg, "breaks"))
		event_base_loopbreak(base);
	else if (!strcmp(arg, "exits"))
		event_base_loopexit(base, NULL);
	else if (!strcmp(arg, "continues"))
		event_base_loopcontinue(base);
	else if (!strcmp(arg, "adds itself"))
		CHECK(event_add(victims[0], NULL) == 0);
	else if (!strcmp(arg, "adds itself again"))
		CHECK(event_del(victims[0]) == 0 && event_add(victims[0], NULL) == 0);
}

static void
three_deliveries(const char *action, int others)
{
	int i;

	base = event_base_new();
	victims[0] = evsignal_new(base, SIGUSR1, delete_victims, (void *)action);
	victims[1] = evsignal_new(base, SIGUSR1, print_signal, "older");
	victims[2] = evsignal_new(base, SIGUSR1, print_signal, "newer");
	if (others)
		event_add(victims[1], NULL);
	event_add(victims[0], NULL);
	if (others)
		event_add(victims[2], NULL);
	for (i = 0; i < 3; i++)
		raise(SIGUSR1);
	printf("loop: %d\n", event_base_loop(base, EVLOOP_ONCE));
	printf("broken %d, exited %d, queued %d, added %d\n", event_base_got_break(base), event_base_got_exit(base),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	printf("loop: %d\n", event_base_loop(base, EVLOOP_NONBLOCK));
	if (strcmp(action, "frees itself") != 0)
		event_free(victims[0]);
	event_free(victims[1]);
	event_free(victims[2]);
	event_base_free(base);
}

CASE(delete_in_the_callback_drops_repetitions, ONE_BACKEND)
{
	three_deliveries("deletes itself", 0);
	three_deliveries("deletes itself", 1);
}

CASE(free_in_the_callback_drops_repetitions, ONE_BACKEND)
{
	three_deliveries("frees itself", 0);
	three_deliveries("frees itself", 1);
}

CASE(delete_of_all_in_the_callback, ONE_BACKEND)
{
	three_deliveries("deletes all", 1);
}

CASE(loopbreak_in_the_callback_drops_repetitions, EVERY_BACKEND)
{
	three_deliveries("breaks", 0);
	three_deliveries("breaks", 1);
}

CASE(loopexit_in_the_callback_keeps_repetitions, ONE_BACKEND)
{
	three_deliveries("exits", 0);
	three_deliveries("exits", 1);
}

CASE(loopcontinue_in_the_callback_keeps_repetitions, ONE_BACKEND)
{
	three_deliveries("continues", 0);
	three_deliveries("continues", 1);
}

CASE(add_in_the_callback, ONE_BACKEND)
{
	three_deliveries("adds itself", 1);
	three_deliveries("adds itself again", 1);
}

static void
add_victim(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	puts("adding");
	CHECK(event_add(arg, NULL) == 0);
}

CASE(event_added_in_the_callback_waits_for_the_next_delivery, EVERY_BACKEND)
{
	struct event *ev, *added;

	base = event_base_new();
	added = evsignal_new(base, SIGUSR1, print_signal, "added");
	ev = watch(SIGUSR1, add_victim, added);
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_ONCE);
	puts("raised again");
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_ONCE);
	event_free(ev);
	event_free(added);
	event_base_free(base);
}

CASE(event_active_repeats_a_signal_callback, ONE_BACKEND)
{
	struct event *ev, *other;
	int ncalls;

	base = event_base_new();
	ev = evsignal_new(base, SIGUSR1, print_signal, "never added");
	other = watch(SIGUSR2, print_signal, "added");
	for (ncalls = 0; ncalls <= 3; ncalls++) {
		printf("%d calls\n", ncalls);
		event_active(ev, EV_SIGNAL, ncalls);
		event_active(other, EV_SIGNAL | EV_TIMEOUT, ncalls);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	puts("activated twice");
	event_active(ev, EV_SIGNAL, 2);
	event_active(ev, EV_READ, 5);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_free(ev);
	event_free(other);
	event_base_free(base);
}

CASE(event_base_active_by_signal_activates_every_event, ONE_BACKEND)
{
	struct event *first, *second, *other;

	base = event_base_new();
	first = watch(SIGUSR1, print_signal, "first");
	second = event_new(base, SIGUSR1, EV_SIGNAL, print_signal, "second, one-shot");
	event_add(second, NULL);
	other = watch(SIGUSR2, print_signal, "other");
	event_base_active_by_signal(base, SIGUSR1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	puts("again");
	event_base_active_by_signal(base, SIGUSR1);
	event_base_active_by_signal(base, SIGUSR1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	puts("nobody");
	event_base_active_by_signal(base, SIGHUP);
	event_base_active_by_signal(base, 64);
	event_base_active_by_signal(base, 65);
	event_base_active_by_signal(base, 100000);
	event_base_active_by_signal(base, 0);
	event_base_active_by_signal(base, -1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_free(first);
	event_free(second);
	event_free(other);
	event_base_free(base);
}

static int count;

static void
count_call(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	count++;
}

static int
calls_after(int deliveries)
{
	struct event *ev;

	base = event_base_new();
	ev = watch(SIGUSR1, count_call, NULL);
	while (deliveries-- > 0)
		raise(SIGUSR1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_free(ev);
	event_base_free(base);
	return count;
}

CASE(thirty_thousand_deliveries_are_all_counted, ONE_BACKEND)
{
	CHECK_EQUAL(calls_after(30000), 30000);
}

CASE(forty_thousand_deliveries_are_not_lost, ONE_BACKEND)
{
	int calls = calls_after(40000);
	CHECK(calls >= 32767 && calls <= 40000);
}

DIFFERENCE(seventy_thousand_deliveries_are_not_lost, ONE_BACKEND,
	"65,536 queued deliveries of a signal wrap around to no call at all")
{
	int calls = calls_after(70000);
	CHECK(calls >= 1 && calls <= 70000);
}

CASE(deliveries_beyond_the_pipe_do_not_block, ONE_BACKEND)
{
	struct event *ev;
	int i;

	base = event_base_new();
	ev = watch(SIGUSR1, count_call, NULL);
	for (i = 0; i < 150000; i++)
		raise(SIGUSR1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	count = 0;
	raise(SIGUSR1);
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(count, 2);
	event_free(ev);
	event_base_free(base);
}

CASE(signal_event_holds_the_loop_and_the_pipe_does_not, EVERY_BACKEND)
{
	struct event *ev;

	base = event_base_new();
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	ev = watch(SIGUSR1, print_signal, "signal");
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	event_del(ev);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_loop(base, 0), 1);
	raise(SIGCHLD);
	event_free(ev);
	event_base_free(base);
}

CASE(signal_event_describes_itself, ONE_BACKEND)
{
	struct event *ev;
	struct event_base *its_base;
	evutil_socket_t fd;
	short events;
	event_callback_fn callback;
	void *arg;

	base = event_base_new();
	ev = evsignal_new(base, SIGUSR1, print_signal, "x");
	event_get_assignment(ev, &its_base, &fd, &events, &callback, &arg);
	CHECK(its_base == base && callback == print_signal);
	printf("%d %s %d %s\n", (int)fd, flag_names(events), event_get_signal(ev), (char *)arg);
	printf("flags %#x\n", ev->ev_evcallback.evcb_flags);
	event_add(ev, NULL);
	printf("flags %#x\n", ev->ev_evcallback.evcb_flags);
	printf("pending: %s", flag_names(evsignal_pending(ev, NULL)));
	printf(", asked for read: %s\n", flag_names(event_pending(ev, EV_READ | EV_WRITE, NULL)));
	event_active(ev, EV_SIGNAL, 1);
	printf("flags %#x, result %#x\n", ev->ev_evcallback.evcb_flags, ev->ev_res);
	event_del(ev);
	printf("flags %#x\n", ev->ev_evcallback.evcb_flags);
	event_free(ev);
	event_base_free(base);
}
