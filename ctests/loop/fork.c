/* event_reinit after fork, in the child and in the parent, and what happens without it. */
#include "fork.h"

#include <dlfcn.h>

CASE(descriptor_events_work_in_the_child, EVERY_BACKEND)
{
	begin();
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, print_event, (void *)"reader");
	event_add(ev, NULL);
	put_byte(ends[1]);
	in_child(loop_once_in_child);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	end();
}

static int
change_interest_in_child(void)
{
	process = "child";
	CHECK_EQUAL(event_reinit(base), 0);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_add(second, NULL), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	event_base_free(base);
	return 0;
}

CASE(changes_in_the_child_do_not_reach_the_parent, EVERY_BACKEND)
{
	int others[2];

	begin();
	make_pipe(others);
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, print_event, (void *)"reader");
	second = event_new(base, others[0], EV_READ | EV_PERSIST, print_event, (void *)"second reader");
	event_add(ev, NULL);
	in_child(change_interest_in_child);
	put_byte(ends[1]);
	put_byte(others[1]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	end();
}

static int
edge_triggered_in_child(void)
{
	process = "child";
	CHECK_EQUAL(event_reinit(base), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	return 0;
}

static void
print_without_reading(evutil_socket_t fd, short what, void *name)
{
	(void)fd;
	printf("%s, %s: %s\n", process, (const char *)name, flag_names(what));
}

CASE(edge_triggering_is_kept, EPOLL_ONLY)
{
	begin();
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST | EV_ET, print_without_reading, (void *)"edge");
	event_add(ev, NULL);
	in_child(edge_triggered_in_child);
	end();
}

static int
dispatch_in_child(void)
{
	process = "child";
	CHECK_EQUAL(event_reinit(base), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	return 0;
}

CASE(timers_work_in_child_and_parent, EVERY_BACKEND)
{
	struct timeval later = {0, 80000}, soon = {0, 5000};

	begin();
	ev = evtimer_new(base, print_event, (void *)"later timer");
	second = evtimer_new(base, print_event, (void *)"earlier timer");
	event_add(ev, &later);
	event_add(second, &soon);
	in_child(dispatch_in_child);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	end();
}

CASE(precise_timers_work_in_the_child, EPOLL_ONLY)
{
	struct event_config *config = event_config_new();
	struct timeval soon = {0, 5000};

	log_without_addresses();
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	event_config_free(config);
	ev = evtimer_new(base, print_event, (void *)"timer");
	event_add(ev, &soon);
	in_child(dispatch_in_child);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	end();
}

CASE(active_events_run_in_child_and_parent, EVERY_BACKEND)
{
	begin();
	ev = event_new(base, -1, 0, print_event, (void *)"active");
	event_active(ev, EV_WRITE, 1);
	in_child(dispatch_in_child);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	end();
}

static int
signal_in_child(void)
{
	process = "child";
	CHECK_EQUAL(event_reinit(base), 0);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	return 0;
}

CASE(signals_of_the_child_stay_in_the_child, EVERY_BACKEND)
{
	begin();
	ev = evsignal_new(base, SIGUSR1, print_event, (void *)"signal");
	event_add(ev, NULL);
	in_child(signal_in_child);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	puts("raised in the parent");
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	end();
}

static int
signal_without_reinit_in_child(void)
{
	raise(SIGUSR1);
	return 0;
}

static void
count_signal(evutil_socket_t fd, short what, void *count)
{
	(void)fd;
	(void)what;
	++*(int *)count;
}

DIFFERENCE(signal_of_a_child_without_reinit_stays_there, EVERY_BACKEND,
	"The loop of a process reports signals of its forked child.")
{
	int count = 0;

	begin();
	ev = evsignal_new(base, SIGUSR1, count_signal, &count);
	event_add(ev, NULL);
	in_child(signal_without_reinit_in_child);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	CHECK_EQUAL(count, 0);
	end();
}

static int
loop_without_reinit_in_child(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	return 0;
}

/* A child reads the byte that announces a signal. */
DIFFERENCE(child_that_loops_without_reinit, EVERY_BACKEND,
	"A forked child that runs the loop of its parent takes signals from it.")
{
	int count = 0, round;

	begin();
	ev = evsignal_new(base, SIGUSR1, count_signal, &count);
	event_add(ev, NULL);
	for (round = 1; round < 4; round++) {
		raise(SIGUSR1);
		in_child(loop_without_reinit_in_child);
		/* It does not wait for what is there already. */
		CHECK_EQUAL(event_base_loop(base, round < 3 ? EVLOOP_NONBLOCK : EVLOOP_ONCE), 0);
		CHECK_EQUAL(count, round);
	}
	end();
}

CASE(reinit_in_the_parent, EVERY_BACKEND)
{
	struct timeval later = {0, 300000};
	struct event *timer;

	begin();
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, print_event, (void *)"reader");
	second = evsignal_new(base, SIGUSR1, print_event, (void *)"signal");
	timer = evtimer_new(base, print_event, (void *)"timer");
	event_add(ev, NULL);
	event_add(second, NULL);
	event_add(timer, &later);
	CHECK_EQUAL(event_reinit(base), 0);
	CHECK_EQUAL(event_reinit(base), 0);
	put_byte(ends[1]);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	event_del(ev);
	event_del(second);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(timer);
	end();
}

CASE(reinit_of_an_empty_base, EVERY_BACKEND)
{
	begin();
	CHECK_EQUAL(event_reinit(base), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	ev = event_new(base, ends[0], EV_READ, print_event, (void *)"reader");
	event_add(ev, NULL);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	end();
}

static void
fork_here(evutil_socket_t fd, short what, void *arg)
{
	pid_t child;

	(void)fd;
	(void)what;
	(void)arg;
	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (child) {
		report_child(child);
		return;
	}
	process = "child";
	CHECK_EQUAL(event_reinit(base), 0);
}

CASE(reinit_in_a_callback_of_the_running_loop, EVERY_BACKEND)
{
	struct event *forker;

	begin();
	forker = evtimer_new(base, fork_here, NULL);
	second = event_new(base, -1, 0, print_event, (void *)"queued behind");
	ev = event_new(base, ends[0], EV_READ, print_event, (void *)"reader");
	event_active(forker, EV_TIMEOUT, 1);
	event_active(second, EV_WRITE, 1);
	event_add(ev, NULL);
	put_byte(ends[1]);
	printf("%s loop: %d\n", process, event_base_dispatch(base));
	put_byte(ends[1]);
	event_add(ev, NULL);
	printf("%s loop: %d\n", process, event_base_dispatch(base));
	event_free(forker);
	end();
	if (!strcmp(process, "child")) {
		fflush(stdout);
		_exit(0);
	}
}

CASE(reinit_with_a_closed_descriptor, EPOLL_ONLY)
{
	int result;

	begin();
	ev = event_new(base, ends[0], EV_READ, print_event, (void *)"closed");
	second = event_new(base, ends[1], EV_WRITE, print_event, (void *)"writer");
	event_add(ev, NULL);
	event_add(second, NULL);
	close(ends[0]);
	result = event_reinit(base);
	printf("reinit: %d\n", result);
	event_base_loop(base, EVLOOP_NONBLOCK);
	end();
}

/* Signals delivered to the parent before the fork are not reported in the child. */
static int
look_for_signals_in_child(void)
{
	process = "child";
	CHECK_EQUAL(event_reinit(base), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	return 0;
}

CASE(deliveries_before_the_fork_are_the_parents, EVERY_BACKEND)
{
	begin();
	ev = evsignal_new(base, SIGUSR1, print_event, (void *)"signal");
	event_add(ev, NULL);
	raise(SIGUSR1);
	raise(SIGUSR1);
	in_child(look_for_signals_in_child);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	printf("%d calls\n", calls);
	end();
}

/* --- Defects --- */

static int bad_closes;

/* Stands before the C library's function for the library under test too. */
int
close(int fd)
{
	static int (*real_close)(int);
	int result;

	if (!real_close)
		real_close = (int (*)(int))dlsym(RTLD_NEXT, "close");
	result = real_close(fd);
	if (result < 0 && errno == EBADF)
		bad_closes++;
	return result;
}

DIFFERENCE(reinit_closes_each_descriptor_once, ONE_BACKEND,
	"event_reinit closes the signal pipe twice")
{
	begin();
	ev = evsignal_new(base, SIGUSR1, print_event, (void *)"signal");
	event_add(ev, NULL);
	bad_closes = 0;
	CHECK_EQUAL(event_reinit(base), 0);
	CHECK_EQUAL(bad_closes, 0);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(calls, 1);
	end();
}

DIFFERENCE(reinit_does_not_count_signals_twice, ONE_BACKEND,
	   "event_reinit counts the signals twice and then logs warnings about another base")
{
	struct event_base *other;

	begin();
	ev = evsignal_new(base, SIGUSR1, print_event, (void *)"signal");
	event_add(ev, NULL);
	CHECK_EQUAL(event_reinit(base), 0);
	event_del(ev);
	other = event_base_new();
	second = evsignal_new(other, SIGUSR2, print_event, (void *)"signal");
	messages_logged = 0;
	event_add(second, NULL);
	CHECK_EQUAL(messages_logged, 0);
	raise(SIGUSR2);
	CHECK_EQUAL(event_base_loop(other, EVLOOP_ONCE), 0);
	CHECK_EQUAL(calls, 1);
	event_free(second);
	second = NULL;
	event_base_free(other);
	end();
}

DIFFERENCE(free_in_a_child_without_reinit_spares_the_parent, EPOLL_ONLY,
	   "event_base_free in a forked child removes the parent's registrations")
{
	struct timeval limit = {0, 300000};

	begin();
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, print_event, (void *)"reader");
	event_add(ev, NULL);
	in_child(free_base_in_child);
	put_byte(ends[1]);
	event_base_loopexit(base, &limit);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(event_base_got_exit(base), 0);
	CHECK_EQUAL(calls, 1);
	end();
}

static int reinitialised, fired_after;

static void
reinit_once(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	CHECK_EQUAL(event_reinit(base), 0);
	reinitialised++;
}

/* The timer descriptor is recreated with the rest, although it was armed before. */
CASE(reinit_after_an_exact_wait, EVERY_BACKEND)
{
	struct event_config *config = event_config_new();
	struct event *timers[4];
	int i;

	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	event_config_free(config);
	for (i = 0; i < 4; i++) {
		struct timeval time = {0, 3000 + 7000 * i};

		timers[i] = evtimer_new(base, i % 2 ? count_signal : reinit_once, &fired_after);
		event_add(timers[i], &time);
	}
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(reinitialised, 2);
	CHECK_EQUAL(fired_after, 2);
	for (i = 0; i < 4; i++)
		event_free(timers[i]);
	event_base_free(base);
}

/* Something other than the timer ended the wait: its deadline is the same after the fork. */
CASE(reinit_during_an_exact_wait, EVERY_BACKEND)
{
	struct timeval time = {0, 100000};
	struct event *timer, *reader;
	struct event_config *config = event_config_new();
	int pipe_ends[2], fired = 0;
	pid_t child;

	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	event_config_free(config);
	make_pipe(pipe_ends);
	timer = evtimer_new(base, count_signal, &fired);
	event_add(timer, &time);
	reader = event_new(base, pipe_ends[0], EV_READ, reinit_once, NULL);
	event_add(reader, NULL);
	child = fork();
	if (child == 0) {
		usleep(10000);
		put_byte(pipe_ends[1]);
		_exit(0);
	}
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(fired, 1);
	CHECK_EQUAL(reinitialised, 1);
	CHECK(waitpid(child, NULL, 0) == child);
	event_free(timer);
	event_free(reader);
	event_base_free(base);
}

enum { DESCRIPTORS = 40 };
static char links[DESCRIPTORS][64];

static void
read_link(int fd, char text[64])
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	length = readlink(path, text, 63);
	text[length > 0 ? length : 0] = 0;
}

/* How many of the pipes and sockets of the parent's base this process has open. */
static int
count_shared(void)
{
	char mine[64];
	int shared = 0, fd, other;

	for (fd = 3; fd < DESCRIPTORS; fd++) {
		read_link(fd, mine);
		for (other = 3; other < DESCRIPTORS; other++)
			shared += (!strncmp(mine, "pipe:", 5) || !strncmp(mine, "socket:", 7)) && !strcmp(mine, links[other]);
	}
	return shared;
}

static int
reinit_and_count(void)
{
	CHECK(count_shared() > 0);
	CHECK_EQUAL(event_reinit(base), 0);
	printf("shared with the parent: %d\n", count_shared());
	return 0;
}

CASE(a_child_shares_no_signal_pipe_after_reinit, EVERY_BACKEND)
{
	int before[DESCRIPTORS], fd;

	for (fd = 3; fd < DESCRIPTORS; fd++)
		before[fd] = is_open(fd);
	begin();
	ev = evsignal_new(base, SIGUSR1, print_event, (void *)"signal");
	event_add(ev, NULL);
	for (fd = 3; fd < DESCRIPTORS; fd++)
		if (!before[fd])
			read_link(fd, links[fd]);
	in_child(reinit_and_count);
	end();
}
