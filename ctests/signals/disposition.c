/* What the library does to a signal's disposition, and which numbers it takes. */
#include "observe.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <signal.h>

static struct event_base *base;

static void
own_handler(int sig)
{
	printf("own handler: %d\n", sig);
}

static void
own_action(int sig, siginfo_t *info, void *context)
{
	(void)context;
	printf("own action: %d, sent by itself %d\n", sig, info->si_pid == getpid());
}

static void
print_disposition(const char *when)
{
	struct sigaction action;
	const char *who;
	int sig, blocked = 0;

	CHECK(sigaction(SIGUSR1, NULL, &action) == 0);
	if (action.sa_flags & SA_SIGINFO)
		who = action.sa_sigaction == own_action ? "own action" : "library";
	else if (action.sa_handler == SIG_DFL)
		who = "default";
	else if (action.sa_handler == SIG_IGN)
		who = "ignored";
	else
		who = action.sa_handler == own_handler ? "own handler" : "library";
	for (sig = 1; sig < 32; sig++)
		blocked += sigismember(&action.sa_mask, sig) == 1;
	printf("%s: %s%s%s%s%s, %d signals masked\n", when, who, action.sa_flags & SA_RESTART ? " restart" : "",
	       action.sa_flags & SA_NODEFER ? " nodefer" : "", action.sa_flags & SA_NOCLDSTOP ? " nocldstop" : "",
	       action.sa_flags & SA_RESETHAND ? " resethand" : "", blocked);
}

static void
print_disposition_in_callback(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	print_disposition(arg);
}

static void
watch_and_leave(void)
{
	struct event *first, *second;

	print_disposition("before");
	first = evsignal_new(base, SIGUSR1, print_disposition_in_callback, "in the callback");
	second = evsignal_new(base, SIGUSR1, print_disposition_in_callback, "in the callback");
	print_disposition("created");
	event_add(first, NULL);
	print_disposition("added");
	event_add(second, NULL);
	event_del(first);
	print_disposition("one deleted");
	event_del(second);
	print_disposition("both deleted");
	event_free(first);
	event_free(second);
}

CASE(default_disposition_is_restored, ONE_BACKEND)
{
	base = event_base_new();
	watch_and_leave();
	event_base_free(base);
}

CASE(ignored_disposition_is_restored, ONE_BACKEND)
{
	base = event_base_new();
	signal(SIGUSR1, SIG_IGN);
	watch_and_leave();
	raise(SIGUSR1);
	event_base_free(base);
}

CASE(handler_is_restored, ONE_BACKEND)
{
	base = event_base_new();
	signal(SIGUSR1, own_handler);
	watch_and_leave();
	raise(SIGUSR1);
	event_base_free(base);
}

CASE(action_with_flags_and_mask_is_restored, ONE_BACKEND)
{
	struct sigaction action;

	base = event_base_new();
	memset(&action, 0, sizeof action);
	action.sa_sigaction = own_action;
	action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_NOCLDSTOP;
	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGHUP);
	sigaddset(&action.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &action, NULL);
	watch_and_leave();
	raise(SIGUSR1);
	event_base_free(base);
}

CASE(one_shot_is_restored_before_its_callback, ONE_BACKEND)
{
	struct event *ev;

	base = event_base_new();
	signal(SIGUSR1, own_handler);
	ev = event_new(base, SIGUSR1, EV_SIGNAL, print_disposition_in_callback, "in the callback");
	event_add(ev, NULL);
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_ONCE);
	event_free(ev);
	ev = evsignal_new(base, SIGUSR1, print_disposition_in_callback, "in the persistent callback");
	event_add(ev, NULL);
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_ONCE);
	event_free(ev);
	print_disposition("freed");
	event_base_free(base);
}

CASE(event_base_free_restores, ONE_BACKEND)
{
	struct event ev;

	base = event_base_new();
	signal(SIGUSR1, own_handler);
	event_assign(&ev, base, SIGUSR1, EV_SIGNAL | EV_PERSIST, print_disposition_in_callback, NULL);
	event_add(&ev, NULL);
	print_disposition("added");
	event_base_free(base);
	print_disposition("base freed");
	raise(SIGUSR1);
}

CASE(event_free_restores, ONE_BACKEND)
{
	struct event *ev;

	base = event_base_new();
	ev = evsignal_new(base, SIGUSR1, print_disposition_in_callback, "in the callback");
	event_add(ev, NULL);
	print_disposition("added");
	event_free(ev);
	print_disposition("freed");
	event_base_free(base);
}

CASE(each_signal_is_restored_by_itself, ONE_BACKEND)
{
	struct event *usr1, *usr2;

	base = event_base_new();
	signal(SIGUSR1, own_handler);
	signal(SIGUSR2, SIG_IGN);
	usr1 = evsignal_new(base, SIGUSR1, print_disposition_in_callback, "in the callback");
	usr2 = evsignal_new(base, SIGUSR2, print_disposition_in_callback, "in the callback");
	event_add(usr2, NULL);
	print_disposition("other added");
	event_add(usr1, NULL);
	event_del(usr2);
	print_disposition("other deleted");
	event_del(usr1);
	print_disposition("deleted");
	CHECK(signal(SIGUSR2, SIG_DFL) == SIG_IGN);
	event_free(usr1);
	event_free(usr2);
	event_base_free(base);
}

CASE(handler_keeps_errno, ONE_BACKEND)
{
	struct event *ev;

	base = event_base_new();
	ev = evsignal_new(base, SIGUSR1, print_disposition_in_callback, "in the callback");
	event_add(ev, NULL);
	errno = 1234;
	raise(SIGUSR1);
	CHECK_EQUAL(errno, 1234);
	event_free(ev);
	event_base_free(base);
}

static void
try_number(int sig)
{
	struct event *ev = evsignal_new(base, sig, print_disposition_in_callback, NULL);

	printf("signal %d: ", sig);
	if (!ev) {
		puts("not created");
		return;
	}
	printf("created, add %d", event_add(ev, NULL));
	printf(", pending %s", flag_names(event_pending(ev, EV_SIGNAL | EV_TIMEOUT, NULL)));
	printf(", %d added", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	printf(", delete %d\n", event_del(ev));
	event_free(ev);
}

CASE(every_signal_number, EVERY_BACKEND)
{
	static const int numbers[] = {-1000, -1, 0, SIGKILL, SIGSTOP, SIGTSTP, SIGSEGV, 32, 33, 64, 65, 66, 1000, 1 << 20};
	size_t i;

	log_without_addresses();
	base = event_base_new();
	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		try_number(numbers[i]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	event_base_free(base);
}

CASE(refused_number_leaves_no_timeout, ONE_BACKEND)
{
	struct timeval soon = {0, 1000};
	struct event *ev;

	log_without_addresses();
	base = event_base_new();
	ev = evsignal_new(base, SIGKILL, print_disposition_in_callback, NULL);
	CHECK_EQUAL(event_add(ev, &soon), -1);
	CHECK_EQUAL(errno, EINVAL);
	CHECK_EQUAL(event_pending(ev, EV_SIGNAL | EV_TIMEOUT, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}
