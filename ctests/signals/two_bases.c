/* One process, several bases with signal events: which of them are notified. */
#include "observe.h"

#include <event2/event_struct.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>

static struct event_base *first, *second;
static int calls, quiet;

static void
print_signal(evutil_socket_t sig, short what, void *name)
{
	(void)what;
	calls++;
	if (!quiet)
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
count_in(struct event_base *base, int wanted)
{
	calls = 0;
	quiet = 1;
	event_base_loop(base, EVLOOP_NONBLOCK);
	quiet = 0;
	CHECK_EQUAL(calls, wanted);
}

/* Where the reference warns that only one base receives. */
static void
ignore_message(int severity, const char *message)
{
	(void)severity;
	(void)message;
}

static void
two_bases(void)
{
	log_without_addresses();
	first = event_base_new();
	second = event_base_new();
}

/* Both loops have run: from then on each base hears of what it watches. */
static void
run_both(void)
{
	event_base_loop(first, EVLOOP_NONBLOCK);
	event_base_loop(second, EVLOOP_NONBLOCK);
}

#define ONE_RECEIVES "Of several bases with signal events only the last one is notified of a signal."

DIFFERENCE(each_base_hears_of_its_own_signals, EVERY_BACKEND, ONE_RECEIVES)
{
	struct event *a, *b, *c;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	b = watch(second, SIGUSR2, "second");
	c = watch(first, SIGHUP, "first");
	CHECK_EQUAL(messages_logged, 0);
	raise(SIGHUP);
	raise(SIGUSR1);
	raise(SIGUSR2);
	count_in(first, 2);
	count_in(second, 1);
	raise(SIGUSR1);
	count_in(second, 0);
	count_in(first, 1);
	event_free(a);
	event_free(b);
	event_free(c);
	event_base_free(first);
	event_base_free(second);
}

DIFFERENCE(bases_share_a_signal, EVERY_BACKEND, ONE_RECEIVES)
{
	struct event *a, *b;
	int round;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	b = watch(second, SIGUSR1, "second");
	run_both();
	for (round = 1; round < 4; round++) {
		for (int i = 0; i < round; i++)
			raise(SIGUSR1);
		count_in(round & 1 ? first : second, round);
		count_in(round & 1 ? second : first, round);
	}
	/* Signals that arrive while it does not watch are not reported later. */
	event_free(b);
	raise(SIGUSR1);
	b = watch(second, SIGUSR1, "second");
	count_in(second, 0);
	count_in(first, 1);
	event_free(b);
	event_free(a);
	CHECK(signal(SIGUSR1, SIG_DFL) == SIG_DFL);
	event_base_free(first);
	event_base_free(second);
}

static void
delete_and_print(evutil_socket_t sig, short what, void *event)
{
	event_del(event);
	print_signal(sig, what, event_get_base(event) == first ? "first" : "second");
}

/* Of bases whose loops have not run, the one that was the last to watch a signal is told of it alone. So somebody
 * still watches the next signal, which would otherwise end the process. */
CASE(before_they_have_run, EVERY_BACKEND)
{
	struct event a, b;

	two_bases();
	event_set_log_callback(ignore_message);
	event_assign(&a, first, SIGUSR1, EV_SIGNAL | EV_PERSIST, delete_and_print, &a);
	event_assign(&b, second, SIGUSR1, EV_SIGNAL | EV_PERSIST, delete_and_print, &b);
	CHECK(event_add(&a, NULL) == 0 && event_add(&b, NULL) == 0);
	raise(SIGUSR1);
	event_base_loop(second, EVLOOP_NONBLOCK);
	event_base_loop(first, EVLOOP_NONBLOCK);
	CHECK_EQUAL(calls, 1);
	event_base_loop(first, EVLOOP_NONBLOCK);
	raise(SIGUSR1);
	event_base_loop(first, EVLOOP_NONBLOCK);
	event_base_loop(second, EVLOOP_NONBLOCK);
	CHECK_EQUAL(calls, 2);
	CHECK(signal(SIGUSR1, SIG_DFL) == SIG_DFL);
	event_base_free(second);
	event_base_free(first);
}

/* A library's base that never runs takes nothing from the others, which may be many and go again. */
DIFFERENCE(a_base_that_never_runs, EVERY_BACKEND, ONE_RECEIVES)
{
	enum { MANY = 5 };
	struct event_base *bases[MANY];
	struct event *a, *b, *events[MANY];
	int i, descriptors = open_descriptors();

	two_bases();
	a = watch(first, SIGUSR1, "first");
	b = watch(second, SIGUSR1, "second");
	event_base_loop(first, EVLOOP_NONBLOCK);
	for (i = 0; i < MANY; i++) {
		bases[i] = event_base_new();
		events[i] = watch(bases[i], i == 2 ? SIGUSR2 : SIGUSR1, "one of many");
	}
	/* More than fill the pipe of the one that does not run. */
	for (i = 0; i < 70000; i++) {
		raise(SIGUSR1);
		if (i % 30000 == 29999)
			count_in(first, 30000);
	}
	count_in(first, 10000);
	for (i = 0; i < MANY; i++) {
		event_free(events[i]);
		event_base_free(bases[i]);
		raise(SIGUSR1);
	}
	count_in(first, MANY);
	event_free(a);
	event_free(b);
	event_base_free(first);
	event_base_free(second);
	CHECK(signal(SIGUSR1, SIG_DFL) == SIG_DFL);
	CHECK(signal(SIGUSR2, SIG_DFL) == SIG_DFL);
	CHECK_EQUAL(open_descriptors(), descriptors);
}

/* A handler that the program installs while a base watches is restored after the last base. */
DIFFERENCE(a_handler_of_the_program_between_two_bases, ONE_BACKEND,
	"restoring the signal handler for the first of two bases takes the signal away from the second")
{
	struct event *a, *b;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	signal(SIGUSR1, SIG_IGN);
	b = watch(second, SIGUSR1, "second");
	event_free(a);
	raise(SIGUSR1);
	count_in(second, 1);
	event_free(b);
	CHECK(signal(SIGUSR1, SIG_DFL) == SIG_IGN);
	event_base_free(first);
	event_base_free(second);
}

static void *
raise_many(void *count)
{
	for (int i = 0; i < *(int *)count; i++)
		kill(getpid(), SIGUSR1);
	return NULL;
}

/* Bases come and go while another thread is handling signals. */
DIFFERENCE(bases_end_while_signals_come, EVERY_BACKEND | SLOW, ONE_RECEIVES)
{
	enum { DELIVERIES = 3000 };
	int deliveries = DELIVERIES, i;
	pthread_t thread;
	struct event *a, *b;
	sigset_t blocked;

	CHECK(evthread_use_pthreads() == 0);
	two_bases();
	a = watch(first, SIGUSR1, "first");
	CHECK(pthread_create(&thread, NULL, raise_many, &deliveries) == 0);
	/* The handler runs in the other thread. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	CHECK(pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0);
	for (i = 0; i < 2000; i++) {
		struct event_base *third = event_base_new();
		int ends[2];

		b = watch(third, SIGUSR1, "third");
		event_free(b);
		event_base_free(third);
		/* A descriptor that takes the number of the pipe gets nothing. */
		make_pipe(ends);
		CHECK_EQUAL(fcntl(ends[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		CHECK(read(ends[0], &(char){0}, 1) == -1);
		close(ends[0]);
		close(ends[1]);
	}
	pthread_join(thread, NULL);
	calls = 0;
	event_base_loop(first, EVLOOP_NONBLOCK);
	/* Signals of the same number that are pending at once are one for the kernel. */
	CHECK(calls > 0 && calls <= DELIVERIES);
	event_free(a);
	event_base_free(first);
	event_base_free(second);
}

static int
in_the_child(void)
{
	struct event *c;

	event_base_free(first);
	first = event_base_new();
	c = watch(first, SIGUSR1, "child");
	raise(SIGUSR1);
	event_base_loop(first, EVLOOP_NONBLOCK);
	event_free(c);
	event_base_free(first);
	event_base_free(second);
	return calls != 1;
}

DIFFERENCE(a_forked_child_takes_nothing_from_the_parent, EVERY_BACKEND, ONE_RECEIVES)
{
	struct event *a, *b;

	two_bases();
	a = watch(first, SIGUSR1, "first");
	b = watch(second, SIGUSR1, "second");
	run_both();
	calls = 0;
	in_child(in_the_child);
	raise(SIGUSR1);
	count_in(first, 1);
	count_in(second, 1);
	event_free(a);
	event_free(b);
	event_base_free(first);
	event_base_free(second);
}

CASE(a_refused_signal_of_another_base_warns_of_nothing, EVERY_BACKEND)
{
	struct event *refused, *b;

	two_bases();
	refused = evsignal_new(first, SIGKILL, print_signal, "refused");
	CHECK(event_add(refused, NULL) == -1);
	puts("second base");
	b = watch(second, SIGUSR1, "second");
	raise(SIGUSR1);
	event_base_loop(second, EVLOOP_NONBLOCK);
	event_free(refused);
	event_free(b);
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

CASE(each_base_receives_while_it_loops, EVERY_BACKEND)
{
	struct event *a, *b;

	two_bases();
	event_set_log_callback(ignore_message);
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
	event_set_log_callback(ignore_message);
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

DIFFERENCE(bases_nest_in_signal_callbacks, EVERY_BACKEND, ONE_RECEIVES)
{
	struct event *outer;

	two_bases();
	event_set_log_callback(ignore_message);
	outer = evsignal_new(first, SIGUSR1, loop_inside, NULL);
	event_add(outer, NULL);
	inner_event = watch(second, SIGUSR2, "inner");
	event_base_loop(first, EVLOOP_NONBLOCK);
	raise(SIGUSR1);
	event_base_loop(first, EVLOOP_NONBLOCK);
	CHECK_EQUAL(calls, 1);
	event_free(outer);
	event_free(inner_event);
	event_base_free(first);
	event_base_free(second);
}

CASE(restored_disposition_with_two_bases, ONE_BACKEND)
{
	struct event *a, *b;

	two_bases();
	event_set_log_callback(ignore_message);
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
