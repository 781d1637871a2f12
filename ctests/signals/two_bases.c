/* One process, several bases with signal events: who receives. */
#include "observe.h"

#include <signal.h>

static struct event_base *first, *second;

static void
print_signal(evutil_socket_t sig, short what, void *name)
{
	(void)what;
	printf("%s: signal %d\n", (const char *)name, (int)sig);
}

static struct event *
watch(struct event_base *base, int sig, void *name)
{
	struct event *ev = evsignal_new(base, sig, print_signal, name);
	CHECK(event_add(ev, NULL) == 0);
	return ev;
}

static void
two_bases(void)
{
	log_without_addresses();
	first = event_base_new();
	second = event_base_new();
}

CASE(second_base_with_a_signal_warns, EVERY_BACKEND)
{
	struct event *a, *b, *c;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	puts("second base");
	b = watch(second, SIGUSR2, "second");
	puts("first base again");
	c = watch(first, SIGHUP, "first");
	event_free(a);
	event_free(b);
	event_free(c);
	event_base_free(first);
	event_base_free(second);
}

CASE(no_warning_when_the_first_base_has_no_signal_left, EVERY_BACKEND)
{
	struct event *a, *b;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	event_del(a);
	b = watch(second, SIGUSR1, "second");
	raise(SIGUSR1);
	event_base_loop(second, EVLOOP_NONBLOCK);
	event_free(a);
	event_free(b);
	event_base_free(first);
	event_base_free(second);
}

CASE(refused_signal_of_the_first_base_does_not_hide_the_warning, EVERY_BACKEND)
{
	struct event *a, *refused, *b;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	refused = evsignal_new(first, SIGKILL, print_signal, "refused");
	CHECK(event_add(refused, NULL) == -1);
	puts("second base");
	b = watch(second, SIGUSR2, "second");
	event_free(a);
	event_free(refused);
	event_free(b);
	event_base_free(first);
	event_base_free(second);
}

CASE(each_base_receives_while_it_loops, EVERY_BACKEND)
{
	struct event *a, *b;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	b = watch(second, SIGUSR2, "second");
	event_base_loop(second, EVLOOP_NONBLOCK);
	raise(SIGUSR2);
	event_base_loop(second, EVLOOP_NONBLOCK);
	puts("looping on the first");
	event_base_loop(first, EVLOOP_NONBLOCK);
	raise(SIGUSR1);
	event_base_loop(first, EVLOOP_NONBLOCK);
	event_free(a);
	event_free(b);
	event_base_free(first);
	event_base_free(second);
}

CASE(free_of_the_receiver_leaves_the_other_working, EVERY_BACKEND)
{
	struct event *a, *b;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	b = watch(second, SIGUSR1, "second");
	event_free(b);
	event_base_free(second);
	event_base_loop(first, EVLOOP_NONBLOCK);
	raise(SIGUSR1);
	event_base_loop(first, EVLOOP_NONBLOCK);
	event_free(a);
	event_base_free(first);
}

static struct event *inner_event;

static void
loop_inside(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	(void)arg;
	printf("outer: signal %d, inner loop\n", (int)sig);
	raise(SIGUSR2);
	event_base_loop(second, EVLOOP_NONBLOCK);
	puts("outer: inner loop ended");
}

CASE(bases_nest_in_signal_callbacks, EVERY_BACKEND)
{
	struct event *outer;

	two_bases();
	outer = evsignal_new(first, SIGUSR1, loop_inside, NULL);
	event_add(outer, NULL);
	inner_event = watch(second, SIGUSR2, "inner");
	event_base_loop(first, EVLOOP_NONBLOCK);
	raise(SIGUSR1);
	event_base_loop(first, EVLOOP_NONBLOCK);
	event_free(outer);
	event_free(inner_event);
	event_base_free(first);
	event_base_free(second);
}

CASE(restored_disposition_with_two_bases, ONE_BACKEND)
{
	struct event *a, *b;

	two_bases();
	signal(SIGUSR1, SIG_IGN);
	a = watch(first, SIGUSR1, "first");
	b = watch(second, SIGUSR1, "second");
	event_free(b);
	event_free(a);
	CHECK(signal(SIGUSR1, SIG_DFL) == SIG_IGN);
	event_base_free(first);
	event_base_free(second);
}

DIFFERENCE(handler_without_a_receiver_says_nothing, ONE_BACKEND,
	"the signal handler logs when no base receives")
{
	struct event *a, *b;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	b = watch(second, SIGUSR2, "second");
	event_free(b);
	event_base_free(second);
	messages_logged = 0;
	raise(SIGUSR1);
	CHECK_EQUAL(messages_logged, 0);
	event_free(a);
	event_base_free(first);
}
