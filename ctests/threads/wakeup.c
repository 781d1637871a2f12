/* Calls from another thread on a base whose loop sleeps in the kernel: each must be noticed. */
#include "observe.h"

#include <event2/thread.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

static struct event_base *base;
static pthread_t loop_thread;
static volatile int loop_task;
static int loop_flags;
static sem_t loop_entered, loop_ended;
static int loop_result;
static struct event *keep_alive;

static void
print_event(evutil_socket_t fd, short what, void *name)
{
	(void)fd;
	printf("%s: %s, in the loop's thread %d\n", (const char *)name, flag_names(what),
	       pthread_equal(pthread_self(), loop_thread) != 0);
}

static void
print_and_break(evutil_socket_t fd, short what, void *name)
{
	print_event(fd, what, name);
	event_base_loopbreak(base);
}

static void
post_entered(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	loop_thread = pthread_self();
	loop_task = (int)syscall(SYS_gettid);
	sem_post(&loop_entered);
}

static void *
run_loop(void *arg)
{
	(void)arg;
	loop_result = event_base_loop(base, loop_flags);
	sem_post(&loop_ended);
	return NULL;
}

static void
wait_for(sem_t *semaphore, const char *what)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 30;
	if (sem_timedwait(semaphore, &end) != 0) {
		printf("waited in vain: %s\n", what);
		_exit(1);
	}
}

/* Returns when the loop's thread waits in the kernel for descriptors or time. */
static void
wait_until_asleep(void)
{
	static const long waits[] = {SYS_epoll_wait, SYS_epoll_pwait, SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6};
	struct timespec moment = {0, 2000000};
	char name[60], line[40];
	long long end = milliseconds() + 30000;

	snprintf(name, sizeof name, "/proc/self/task/%d/syscall", loop_task);
	while (milliseconds() < end) {
		FILE *file = fopen(name, "r");
		size_t i;

		line[0] = 0;
		if (!file || !fgets(line, sizeof line, file))
			strcpy(line, "unknown");
		if (file)
			fclose(file);
		for (i = 0; i < sizeof waits / sizeof waits[0]; i++) {
			if (line[0] >= '0' && line[0] <= '9' && atol(line) == waits[i])
				return;
		}
		nanosleep(&moment, NULL);
	}
}

/* Starts the loop in a thread of its own and returns when it has run a callback and is asleep. */
static void
start_loop(void)
{
	pthread_t thread;

	sem_init(&loop_entered, 0, 0);
	sem_init(&loop_ended, 0, 0);
	CHECK(event_base_once(base, -1, EV_TIMEOUT, post_entered, NULL, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, run_loop, NULL) == 0);
	pthread_detach(thread);
	wait_for(&loop_entered, "the loop begins");
	wait_until_asleep();
}

static void
end_of_loop(void)
{
	wait_for(&loop_ended, "the loop ends");
	printf("loop: %d, broken %d, exited %d\n", loop_result, event_base_got_break(base), event_base_got_exit(base));
}

/* A base that sleeps for an hour if nobody wakes it. */
static void
sleeping_base(void)
{
	struct timeval hour = {3600, 0};

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	keep_alive = evtimer_new(base, ignore_event, NULL);
	event_add(keep_alive, &hour);
	start_loop();
}

static void
done(void)
{
	event_free(keep_alive);
	event_base_free(base);
	libevent_global_shutdown();
}

CASE(add_of_a_readable_descriptor_is_noticed, EVERY_BACKEND)
{
	struct event *ev;
	int ends[2];

	make_pipe(ends);
	put_byte(ends[1]);
	sleeping_base();
	ev = event_new(base, ends[0], EV_READ, print_and_break, "reader");
	event_add(ev, NULL);
	end_of_loop();
	event_free(ev);
	done();
}

CASE(descriptor_added_while_asleep_becomes_readable_later, EVERY_BACKEND)
{
	struct timespec moment = {0, 10000000};
	struct event *ev;
	int ends[2];

	make_pipe(ends);
	sleeping_base();
	ev = event_new(base, ends[0], EV_READ, print_and_break, "reader");
	event_add(ev, NULL);
	nanosleep(&moment, NULL);
	put_byte(ends[1]);
	end_of_loop();
	event_free(ev);
	done();
}

CASE(add_of_an_earlier_timer_is_noticed, EVERY_BACKEND)
{
	struct timeval soon = {0, 5000};
	struct event *ev;

	sleeping_base();
	ev = evtimer_new(base, print_and_break, "timer");
	event_add(ev, &soon);
	end_of_loop();
	event_free(ev);
	done();
}

/* A different thread runs the loop now. */
CASE(a_loop_that_moved_to_another_thread_is_woken, EVERY_BACKEND)
{
	struct timeval hour = {3600, 0}, soon = {0, 5000};
	struct event *ev;

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	keep_alive = evtimer_new(base, ignore_event, NULL);
	event_add(keep_alive, &hour);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	start_loop();
	ev = evtimer_new(base, print_and_break, "timer");
	event_add(ev, &soon);
	end_of_loop();
	event_free(ev);
	done();
}

void event_active_later_(struct event *ev, int res);

CASE(activation_in_the_next_pass_is_noticed, EVERY_BACKEND)
{
	struct event *ev;

	sleeping_base();
	ev = event_new(base, -1, EV_PERSIST, print_and_break, "user");
	event_active_later_(ev, EV_READ);
	end_of_loop();
	event_free(ev);
	done();
}

CASE(event_active_is_noticed, EVERY_BACKEND)
{
	struct event *ev;

	sleeping_base();
	ev = event_new(base, -1, EV_PERSIST, print_and_break, "user");
	event_active(ev, EV_READ, 1);
	end_of_loop();
	event_free(ev);
	done();
}

CASE(event_base_once_is_noticed, EVERY_BACKEND)
{
	sleeping_base();
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_and_break, "once", NULL), 0);
	end_of_loop();
	done();
}

CASE(active_by_fd_and_by_signal_are_noticed, EVERY_BACKEND)
{
	struct event *reader, *signal_event;
	int ends[2];

	make_pipe(ends);
	sleeping_base();
	reader = event_new(base, ends[0], EV_READ, print_and_break, "reader");
	signal_event = evsignal_new(base, SIGUSR1, print_and_break, "signal");
	event_add(reader, NULL);
	event_add(signal_event, NULL);
	event_base_active_by_fd(base, ends[0], EV_READ);
	end_of_loop();
	start_loop();
	event_base_active_by_signal(base, SIGUSR1);
	end_of_loop();
	event_free(reader);
	event_free(signal_event);
	done();
}

CASE(signal_handled_in_another_thread_is_noticed, EVERY_BACKEND)
{
	struct event *ev;

	sleeping_base();
	ev = evsignal_new(base, SIGUSR1, print_and_break, "signal");
	event_add(ev, NULL);
	CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
	end_of_loop();
	start_loop();
	CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
	end_of_loop();
	event_free(ev);
	done();
}

CASE(loopbreak_is_noticed, EVERY_BACKEND)
{
	sleeping_base();
	CHECK_EQUAL(event_base_loopbreak(base), 0);
	end_of_loop();
	done();
}

CASE(loopexit_is_noticed, EVERY_BACKEND)
{
	struct timeval soon = {0, 10000};

	sleeping_base();
	CHECK_EQUAL(event_base_loopexit(base, NULL), 0);
	end_of_loop();
	start_loop();
	CHECK_EQUAL(event_base_loopexit(base, &soon), 0);
	end_of_loop();
	done();
}

CASE(loopcontinue_leaves_the_loop_running, EVERY_BACKEND)
{
	sleeping_base();
	CHECK_EQUAL(event_base_loopcontinue(base), 0);
	CHECK_EQUAL(event_base_loopbreak(base), 0);
	end_of_loop();
	done();
}

CASE(delete_of_the_last_descriptor_event_ends_the_loop, EVERY_BACKEND)
{
	struct event *ev;
	int ends[2];

	CHECK(evthread_use_pthreads() == 0);
	make_pipe(ends);
	base = event_base_new();
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, print_event, "reader");
	event_add(ev, NULL);
	start_loop();
	event_del(ev);
	end_of_loop();
	event_free(ev);
	event_base_free(base);
}

CASE(free_of_the_last_descriptor_event_ends_the_loop, EVERY_BACKEND)
{
	struct event *ev;
	int ends[2];

	CHECK(evthread_use_pthreads() == 0);
	make_pipe(ends);
	base = event_base_new();
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, print_event, "reader");
	event_add(ev, NULL);
	start_loop();
	event_free(ev);
	end_of_loop();
	event_base_free(base);
}

CASE(delete_of_the_last_signal_event_ends_the_loop, EVERY_BACKEND)
{
	struct event *ev;

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	ev = evsignal_new(base, SIGUSR1, print_event, "signal");
	event_add(ev, NULL);
	start_loop();
	event_del(ev);
	end_of_loop();
	event_free(ev);
	event_base_free(base);
}

DIFFERENCE(delete_of_the_last_timer_ends_the_loop, ONE_BACKEND,
	"a loop whose last timer another thread deletes does not end until that timer would have expired")
{
	struct timeval seconds = {8, 0};

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	keep_alive = evtimer_new(base, ignore_event, NULL);
	event_add(keep_alive, &seconds);
	start_loop();
	event_del(keep_alive);
	end_of_loop();
	CHECK_EQUAL(loop_result, 1);
	done();
}

DIFFERENCE(delete_of_the_last_common_timeout_ends_the_loop, ONE_BACKEND,
	"a loop whose last event waits for a common timeout does not end when another thread deletes it")
{
	struct timeval seconds = {8, 0};

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	keep_alive = evtimer_new(base, ignore_event, NULL);
	event_add(keep_alive, event_base_init_common_timeout(base, &seconds));
	start_loop();
	event_del(keep_alive);
	end_of_loop();
	CHECK_EQUAL(loop_result, 1);
	done();
}

CASE(empty_loop_that_does_not_end_is_woken, EVERY_BACKEND)
{
	struct event *ev;

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	loop_flags = EVLOOP_NO_EXIT_ON_EMPTY;
	start_loop();
	ev = event_new(base, -1, 0, print_event, "user");
	event_active(ev, EV_WRITE, 1);
	event_base_loopexit(base, NULL);
	end_of_loop();
	event_free(ev);
	event_base_free(base);
}

CASE(second_loop_on_a_running_base_is_refused, EVERY_BACKEND)
{
	log_without_addresses();
	sleeping_base();
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), -1);
	CHECK_EQUAL(event_base_dispatch(base), -1);
	event_base_loopbreak(base);
	end_of_loop();
	done();
}

CASE(running_event_is_known_to_the_loops_thread_only, ONE_BACKEND)
{
	sleeping_base();
	CHECK(event_base_get_running_event(base) == NULL);
	event_base_loopbreak(base);
	end_of_loop();
	done();
}

static void
add_from_callback(evutil_socket_t fd, short what, void *arg)
{
	struct timeval none = {0, 0};

	print_event(fd, what, "first");
	event_add(arg, &none);
}

CASE(many_wakeups_in_a_row, EVERY_BACKEND)
{
	struct event *chain, *last;
	int i;

	sleeping_base();
	last = evtimer_new(base, print_event, "last");
	chain = event_new(base, -1, 0, add_from_callback, last);
	for (i = 0; i < 3; i++) {
		event_active(chain, EV_READ, 1);
		CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, post_entered, NULL, &(struct timeval){0, 20000}), 0);
		wait_for(&loop_entered, "the timer runs");
	}
	event_base_loopbreak(base);
	end_of_loop();
	event_free(chain);
	event_free(last);
	done();
}

CASE(base_without_lock_is_not_woken, EVERY_BACKEND | RACES)
{
	struct event_config *config;
	struct timeval soon = {2, 0};
	struct event *timer;

	CHECK(evthread_use_pthreads() == 0);
	config = event_config_new();
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	timer = evtimer_new(base, print_event, "timer");
	event_add(timer, &soon);
	start_loop();
	CHECK_EQUAL(event_base_loopbreak(base), -1);
	CHECK_EQUAL(event_base_got_break(base), 1);
	end_of_loop();
	event_free(timer);
	event_base_free(base);
}

CASE(make_base_notifiable, EVERY_BACKEND)
{
	CHECK_EQUAL(evthread_make_base_notifiable(NULL), -1);
	base = event_base_new();
	CHECK_EQUAL(evthread_make_base_notifiable(base), 0);
	CHECK_EQUAL(evthread_make_base_notifiable(base), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
	if (getenv("CTESTS_DEBUG_MODE"))
		return;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	base = event_base_new();
	CHECK_EQUAL(evthread_make_base_notifiable(base), 0);
	CHECK_EQUAL(event_base_loopbreak(base), 0);
	event_base_free(base);
}

/* The descriptor through which the library wakes its loop, -1 if it is not an eventfd. */
static int
find_eventfd(void)
{
	char path[64], target[64];
	ssize_t length;
	int fd;

	for (fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof target - 1);
		if (length < 0)
			continue;
		target[length] = 0;
		if (!strcmp(target, "anon_inode:[eventfd]"))
			return fd;
	}
	return -1;
}

DIFFERENCE(failed_wakeup_does_not_prevent_the_next, ONE_BACKEND,
	"after one failed wake-up write the loop can never be woken again")
{
	int eventfd_number, saved, unwritable;

	sleeping_base();
	eventfd_number = find_eventfd();
	if (eventfd_number < 0)
		harness_skip("the loop is not woken by an eventfd");
	saved = dup(eventfd_number);
	unwritable = open("/dev/null", O_RDONLY);
	CHECK(dup2(unwritable, eventfd_number) == eventfd_number);
	CHECK_EQUAL(event_base_loopbreak(base), -1);
	CHECK(dup2(saved, eventfd_number) == eventfd_number);
	CHECK_EQUAL(event_base_loopbreak(base), 0);
	end_of_loop();
	done();
}

/* A writer that joins a reader on the same descriptor while the loop sleeps on it. */
CASE(add_of_a_writer_beside_a_reader_is_noticed, EVERY_BACKEND)
{
	struct event *reader, *writer;
	int sockets[2];

	CHECK(evthread_use_pthreads() == 0);
	make_socketpair(sockets);
	base = event_base_new();
	reader = event_new(base, sockets[0], EV_READ | EV_PERSIST, print_event, "reader");
	writer = event_new(base, sockets[0], EV_WRITE, print_and_break, "writer");
	event_add(reader, NULL);
	keep_alive = evtimer_new(base, ignore_event, NULL);
	event_add(keep_alive, &(struct timeval){3600, 0});
	start_loop();
	CHECK(event_add(writer, NULL) == 0);
	end_of_loop();
	event_free(writer);
	/* And the reader is still watched. */
	writer = event_new(base, sockets[0], EV_READ, print_and_break, "other reader");
	start_loop();
	event_add(writer, NULL);
	put_byte(sockets[1]);
	end_of_loop();
	event_free(reader);
	event_free(writer);
	close(sockets[0]);
	close(sockets[1]);
	done();
}
