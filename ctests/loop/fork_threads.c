/* event_reinit after fork in programs with threads: wake-ups of the loop in the child and in the parent. */
#include "fork.h"

#include <event2/thread.h>
#include <pthread.h>
#include <semaphore.h>

static sem_t entered;

static void
post_entered(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	sem_post(&entered);
}

static void *
break_from_a_thread(void *arg)
{
	struct timespec moment = {0, 20000000};

	(void)arg;
	sem_wait(&entered);
	nanosleep(&moment, NULL);
	CHECK_EQUAL(event_base_loopbreak(base), 0);
	return NULL;
}

/* Loops until a thread breaks the loop: this needs a wake-up, or the alarm ends the process. */
static int
woken_by_a_thread(void)
{
	struct timeval hour = {3600, 0};
	struct event *keep_alive = evtimer_new(base, print_event, NULL);
	pthread_t thread;

	alarm(30);
	sem_init(&entered, 0, 0);
	event_add(keep_alive, &hour);
	event_base_once(base, -1, EV_TIMEOUT, post_entered, NULL, NULL);
	CHECK(pthread_create(&thread, NULL, break_from_a_thread, NULL) == 0);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	pthread_join(thread, NULL);
	event_free(keep_alive);
	alarm(0);
	return 0;
}

static int
woken_in_child(void)
{
	CHECK_EQUAL(event_reinit(base), 0);
	return woken_by_a_thread();
}

CASE(threads_wake_the_loop_of_the_child, EVERY_BACKEND)
{
	CHECK(evthread_use_pthreads() == 0);
	begin();
	in_child(woken_in_child);
	woken_by_a_thread();
	event_base_free(base);
}

static void *
activate_from_a_thread(void *arg)
{
	(void)arg;
	event_active(ev, EV_WRITE, 1);
	return NULL;
}

static void
fork_with_a_wakeup_outstanding(evutil_socket_t fd, short what, void *arg)
{
	pthread_t thread;

	(void)fd;
	(void)what;
	(void)arg;
	CHECK(pthread_create(&thread, NULL, activate_from_a_thread, NULL) == 0);
	pthread_join(thread, NULL);
	event_base_loopbreak(base);
	process = fork() ? "parent" : "child";
}

DIFFERENCE(outstanding_wakeup_does_not_survive_reinit, EVERY_BACKEND,
	   "after a fork while a wake-up was under way, other threads of the child can never wake its loop")
{
	struct event *forker;
	int status = 0;

	CHECK(evthread_use_pthreads() == 0);
	begin();
	ev = event_new(base, -1, 0, print_event, (void *)"active");
	forker = event_new(base, -1, 0, fork_with_a_wakeup_outstanding, NULL);
	event_active(forker, EV_WRITE, 1);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	if (!strcmp(process, "child")) {
		woken_in_child();
		_exit(0);
	}
	CHECK(wait(&status) > 0);
	CHECK_EQUAL(status, 0);
	event_free(forker);
	end();
}

static void *
dispatch_in_a_thread(void *arg)
{
	(void)arg;
	CHECK_EQUAL(event_base_dispatch(base), 0);
	return NULL;
}

DIFFERENCE(free_in_a_child_without_reinit_spares_the_wakeup, EPOLL_ONLY,
	   "event_base_free in a forked child removes the parent's registrations")
{
	struct timeval hour = {3600, 0};
	pthread_t thread;

	CHECK(evthread_use_pthreads() == 0);
	begin();
	alarm(30);
	sem_init(&entered, 0, 0);
	ev = evtimer_new(base, print_event, NULL);
	event_add(ev, &hour);
	in_child(free_base_in_child);
	event_base_once(base, -1, EV_TIMEOUT, post_entered, NULL, NULL);
	CHECK(pthread_create(&thread, NULL, dispatch_in_a_thread, NULL) == 0);
	break_from_a_thread(NULL);
	pthread_join(thread, NULL);
	alarm(0);
	end();
}
