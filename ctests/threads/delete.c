/* Deleting, freeing and finalizing an event while its callback runs in another thread. */
#include "loop.h"

#include <event2/event_struct.h>
#include <event2/thread.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

static struct event_base *base;
static struct event *running, *other;
static sem_t inside, may_return;
static int wait_for_caller, returned, runs, finalized;
static pthread_t loop_thread;
static int own_locks;

/* Says that it runs; then waits for the caller, when the caller should not wait for it, or else
 * returns after a while by itself. */
static void
long_callback(evutil_socket_t fd, short what, void *arg)
{
	struct timespec while_ = {0, 60000000};

	(void)fd;
	(void)what;
	(void)arg;
	__atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
	sem_post(&inside);
	if (wait_for_caller)
		sem_wait(&may_return);
	else
		nanosleep(&while_, NULL);
	__atomic_store_n(&returned, 1, __ATOMIC_SEQ_CST);
}

static void
never(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	puts("a deleted event ran");
}

static void
finalizer(struct event *ev, void *arg)
{
	(void)ev;
	(void)arg;
	finalized++;
	printf("finalizer, after the callback %d\n", returned);
}

/* Starts the loop with an event whose callback is running when this returns. */
static void
start(short flags, int caller_does_not_wait)
{
	wait_for_caller = caller_does_not_wait;
	if (!own_locks)
		CHECK(evthread_use_pthreads() == 0);
	sem_init(&inside, 0, 0);
	sem_init(&may_return, 0, 0);
	base = event_base_new();
	running = event_new(base, flags & EV_SIGNAL ? SIGUSR1 : -1, flags, long_callback, NULL);
	other = event_new(base, -1, 0, never, NULL);
	event_active(running, flags & EV_SIGNAL ? EV_SIGNAL : EV_READ, 1);
	CHECK(pthread_create(&loop_thread, NULL, run_without_end, base) == 0);
	sem_wait(&inside);
}

static void
finish(void)
{
	int was_over = __atomic_load_n(&returned, __ATOMIC_SEQ_CST);

	printf("callback was over: %d\n", was_over);
	CHECK_EQUAL(was_over, !wait_for_caller);
	if (wait_for_caller)
		sem_post(&may_return);
	event_base_loopexit(base, NULL);
	pthread_join(loop_thread, NULL);
	CHECK_EQUAL(runs, 1);
	if (running)
		event_free(running);
	event_free(other);
	event_base_free(base);
}

CASE(event_del_waits, EVERY_BACKEND)
{
	start(EV_PERSIST, 0);
	CHECK_EQUAL(event_del(running), 0);
	finish();
}

CASE(event_del_of_a_one_shot_waits, ONE_BACKEND)
{
	start(0, 0);
	CHECK_EQUAL(event_del(running), 0);
	finish();
}

CASE(event_del_of_a_signal_waits, ONE_BACKEND)
{
	start(EV_SIGNAL | EV_PERSIST, 0);
	CHECK_EQUAL(event_del(running), 0);
	finish();
}

CASE(event_del_of_a_finalized_kind_does_not_wait, ONE_BACKEND)
{
	start(EV_PERSIST | EV_FINALIZE, 1);
	CHECK_EQUAL(event_del(running), 0);
	finish();
}

CASE(event_del_block_waits, ONE_BACKEND)
{
	start(EV_PERSIST, 0);
	CHECK_EQUAL(event_del_block(running), 0);
	finish();
}

CASE(event_del_block_of_a_finalized_kind_waits, ONE_BACKEND)
{
	start(EV_PERSIST | EV_FINALIZE, 0);
	CHECK_EQUAL(event_del_block(running), 0);
	finish();
}

CASE(event_del_noblock_does_not_wait, ONE_BACKEND)
{
	start(EV_PERSIST, 1);
	CHECK_EQUAL(event_del_noblock(running), 0);
	finish();
}

CASE(event_free_waits, ONE_BACKEND)
{
	start(EV_PERSIST, 0);
	event_free(running);
	running = NULL;
	finish();
}

CASE(event_free_of_a_finalized_kind_does_not_wait, ONE_BACKEND)
{
	start(EV_PERSIST | EV_FINALIZE, 1);
	event_free(running);
	running = NULL;
	finish();
}

CASE(event_finalize_does_not_wait, ONE_BACKEND)
{
	start(EV_PERSIST, 1);
	CHECK_EQUAL(event_finalize(0, running, finalizer), 0);
	CHECK_EQUAL(finalized, 0);
	finish();
	CHECK_EQUAL(finalized, 1);
}

CASE(event_free_finalize_does_not_wait, ONE_BACKEND)
{
	start(EV_PERSIST, 1);
	CHECK_EQUAL(event_free_finalize(0, running, finalizer), 0);
	running = NULL;
	CHECK_EQUAL(finalized, 0);
	finish();
	CHECK_EQUAL(finalized, 1);
}

CASE(delete_of_another_event_does_not_wait, ONE_BACKEND)
{
	start(EV_PERSIST, 1);
	event_active(other, EV_READ, 1);
	CHECK_EQUAL(event_del(other), 0);
	CHECK_EQUAL(event_del_block(other), 0);
	finish();
}

CASE(other_calls_do_not_wait, ONE_BACKEND)
{
	struct timeval hour = {3600, 0};

	start(EV_PERSIST, 1);
	CHECK_EQUAL(event_add(running, &hour), 0);
	printf("pending: %s\n", flag_names(event_pending(running, 0xff, NULL)));
	CHECK_EQUAL(event_remove_timer(running), 0);
	CHECK_EQUAL(event_add(other, &hour), 0);
	CHECK_EQUAL(event_del(other), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK(event_base_get_running_event(base) == NULL);
	finish();
}

CASE(add_of_a_running_signal_event_waits, ONE_BACKEND)
{
	start(EV_SIGNAL | EV_PERSIST, 0);
	CHECK_EQUAL(event_add(running, NULL), 0);
	finish();
}

CASE(activation_of_a_running_signal_event_waits, ONE_BACKEND)
{
	start(EV_SIGNAL | EV_PERSIST, 0);
	event_active(running, EV_SIGNAL, 0);
	finish();
}

static void
delete_itself(evutil_socket_t fd, short what, void *how)
{
	(void)fd;
	(void)what;
	if (!strcmp(how, "del"))
		event_del(running);
	else if (!strcmp(how, "block"))
		event_del_block(running);
	else
		event_free(running);
	printf("%s in its own callback\n", (const char *)how);
}

CASE(delete_in_the_own_callback_does_not_wait, EVERY_BACKEND)
{
	static char *ways[] = {"del", "block", "free"};
	int i;

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	for (i = 0; i < 3; i++) {
		running = event_new(base, -1, EV_PERSIST, delete_itself, ways[i]);
		event_active(running, EV_READ, 1);
		CHECK_EQUAL(event_base_dispatch(base), 1);
		if (i < 2)
			event_free(running);
	}
	event_base_free(base);
}

CASE(delete_from_a_thread_that_does_not_loop, ONE_BACKEND)
{
	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	running = event_new(base, -1, EV_PERSIST, never, NULL);
	event_active(running, EV_READ, 1);
	CHECK_EQUAL(event_del(running), 0);
	CHECK_EQUAL(event_del_block(running), 0);
	event_free(running);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

/* Locks and conditions of this test, whose first wait returns at once, as POSIX allows. */
static void *
alloc_mutex(unsigned kind)
{
	pthread_mutex_t *mutex = malloc(sizeof *mutex);
	(void)kind;
	pthread_mutex_init(mutex, NULL);
	return mutex;
}

static void
free_mutex(void *mutex, unsigned kind)
{
	(void)kind;
	pthread_mutex_destroy(mutex);
	free(mutex);
}

static int
lock_mutex(unsigned mode, void *mutex)
{
	(void)mode;
	return pthread_mutex_lock(mutex);
}

static int
unlock_mutex(unsigned mode, void *mutex)
{
	(void)mode;
	return pthread_mutex_unlock(mutex);
}

static void *
alloc_condition(unsigned kind)
{
	pthread_cond_t *condition = malloc(sizeof *condition);
	(void)kind;
	pthread_cond_init(condition, NULL);
	return condition;
}

static void
free_condition(void *condition)
{
	pthread_cond_destroy(condition);
	free(condition);
}

static int
signal_condition(void *condition, int broadcast)
{
	return broadcast ? pthread_cond_broadcast(condition) : pthread_cond_signal(condition);
}

static int
wait_condition(void *condition, void *mutex, const struct timeval *timeout)
{
	static int waits;

	(void)timeout;
	if (waits++ == 0) {
		pthread_mutex_unlock(mutex);
		pthread_mutex_lock(mutex);
		return 0;
	}
	return pthread_cond_wait(condition, mutex);
}

static unsigned long
thread_id(void)
{
	return (unsigned long)pthread_self();
}

DIFFERENCE(spurious_wakeup_does_not_end_the_wait, ONE_BACKEND | OWN_LOCKS,
	"event_del returns while the callback runs in another thread when a condition of the program wakes early")
{
	static const struct evthread_lock_callbacks locks = {
		EVTHREAD_LOCK_API_VERSION, 0, alloc_mutex, free_mutex, lock_mutex, unlock_mutex};
	static const struct evthread_condition_callbacks conditions = {
		EVTHREAD_CONDITION_API_VERSION, alloc_condition, free_condition, signal_condition, wait_condition};

	CHECK(evthread_set_lock_callbacks(&locks) == 0);
	CHECK(evthread_set_condition_callbacks(&conditions) == 0);
	evthread_set_id_callback(thread_id);
	own_locks = 1;
	start(EV_PERSIST, 0);
	CHECK_EQUAL(event_del(running), 0);
	finish();
}

/* A callback that activates its own event again each time: whoever deletes it waits for one call. */
static int deleted;

static void
activate_again(evutil_socket_t fd, short what, void *arg)
{
	struct timespec moment = {0, 10000000};

	(void)fd;
	(void)what;
	(void)arg;
	sem_post(&inside);
	nanosleep(&moment, NULL);
	/* After whoever deletes it has begun to wait. */
	if (!__atomic_load_n(&deleted, __ATOMIC_SEQ_CST))
		event_active(running, EV_READ, 1);
}

CASE(event_del_waits_for_one_call_only, EVERY_BACKEND)
{
	CHECK(evthread_use_pthreads() == 0);
	sem_init(&inside, 0, 0);
	base = event_base_new();
	running = event_new(base, -1, EV_PERSIST, activate_again, NULL);
	event_active(running, EV_READ, 1);
	CHECK(pthread_create(&loop_thread, NULL, run_without_end, base) == 0);
	sem_wait(&inside);
	CHECK_EQUAL(event_del(running), 0);
	__atomic_store_n(&deleted, 1, __ATOMIC_SEQ_CST);
	event_base_loopexit(base, NULL);
	pthread_join(loop_thread, NULL);
	event_free(running);
	event_base_free(base);
}
