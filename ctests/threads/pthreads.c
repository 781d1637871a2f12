/* The library's own locks, conditions and thread ids. */
#include "allocator.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

extern struct evthread_lock_callbacks evthread_lock_fns_;
extern struct evthread_condition_callbacks evthread_cond_fns_;
extern unsigned long (*evthread_id_fn_)(void);

static int
take(void *lock)
{
	return evthread_lock_fns_.lock(0, lock);
}

static int
try(void *lock)
{
	return evthread_lock_fns_.lock(EVTHREAD_TRY, lock);
}

static int
give_up(void *lock)
{
	return evthread_lock_fns_.unlock(0, lock);
}

static void *
try_in_thread(void *lock)
{
	int result = try(lock);
	if (result == 0)
		give_up(lock);
	return (void *)(long)result;
}

/* The result of trying to take a lock in another thread. */
static int
elsewhere(void *lock)
{
	pthread_t thread;
	void *result;
	CHECK(!pthread_create(&thread, NULL, try_in_thread, lock));
	pthread_join(thread, &result);
	return (int)(long)result;
}

CASE(a_plain_lock, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	for (unsigned type = 0; type <= EVTHREAD_LOCKTYPE_READWRITE; type += EVTHREAD_LOCKTYPE_READWRITE) {
		void *lock = evthread_lock_fns_.alloc(type);
		CHECK_EQUAL(take(lock), 0);
		CHECK_EQUAL(try(lock), EBUSY);
		CHECK_EQUAL(elsewhere(lock), EBUSY);
		CHECK_EQUAL(give_up(lock), 0);
		CHECK_EQUAL(elsewhere(lock), 0);
		CHECK_EQUAL(try(lock), 0);
		CHECK_EQUAL(give_up(lock), 0);
		evthread_lock_fns_.free(lock, type);
	}
}

CASE(a_recursive_lock, ONE_BACKEND | OWN_LOCKS)
{
	void *lock;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	lock = evthread_lock_fns_.alloc(EVTHREAD_LOCKTYPE_RECURSIVE);
	for (int i = 0; i < 1000; i++)
		CHECK_EQUAL(i % 2 ? take(lock) : try(lock), 0);
	for (int i = 0; i < 1000; i++) {
		CHECK_EQUAL(elsewhere(lock), EBUSY);
		CHECK_EQUAL(give_up(lock), 0);
		if (i == 20)
			while (i < 998)
				i++, give_up(lock);
	}
	CHECK_EQUAL(elsewhere(lock), 0);
	CHECK_EQUAL(give_up(lock), EPERM);
	CHECK_EQUAL(elsewhere(lock), 0);
	evthread_lock_fns_.free(lock, EVTHREAD_LOCKTYPE_RECURSIVE);
}

static void *
unlock_in_thread(void *lock)
{
	return (void *)(long)give_up(lock);
}

CASE(only_the_holder_gives_up_a_recursive_lock, ONE_BACKEND | OWN_LOCKS)
{
	pthread_t thread;
	void *result, *lock;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	lock = evthread_lock_fns_.alloc(EVTHREAD_LOCKTYPE_RECURSIVE);
	CHECK_EQUAL(take(lock), 0);
	CHECK(!pthread_create(&thread, NULL, unlock_in_thread, lock));
	pthread_join(thread, &result);
	CHECK_EQUAL((long)result, EPERM);
	CHECK_EQUAL(elsewhere(lock), EBUSY);
	CHECK_EQUAL(give_up(lock), 0);
	evthread_lock_fns_.free(lock, EVTHREAD_LOCKTYPE_RECURSIVE);
}

struct counter {
	void *lock;
	long value;
};

static void *
count(void *arg)
{
	struct counter *counter = arg;
	for (int i = 0; i < 20000; i++) {
		take(counter->lock);
		counter->value++;
		give_up(counter->lock);
	}
	return NULL;
}

CASE(locks_exclude, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	for (unsigned type = 0; type <= EVTHREAD_LOCKTYPE_RECURSIVE; type++) {
		pthread_t threads[4];
		struct counter counter = {evthread_lock_fns_.alloc(type), 0};
		for (int i = 0; i < 4; i++)
			CHECK(!pthread_create(&threads[i], NULL, count, &counter));
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		printf("%ld\n", counter.value);
		CHECK_EQUAL(counter.value, 80000);
		evthread_lock_fns_.free(counter.lock, type);
	}
}

struct baton {
	void *lock, *condition;
	int turn, rounds;
};

/* Takes every second turn. */
static void *
play(void *arg)
{
	struct baton *baton = arg;
	take(baton->lock);
	while (baton->turn < baton->rounds) {
		if (baton->turn % 2 == 0) {
			CHECK_EQUAL(evthread_cond_fns_.wait_condition(baton->condition, baton->lock, NULL), 0);
			continue;
		}
		baton->turn++;
		CHECK_EQUAL(evthread_cond_fns_.signal_condition(baton->condition, 1), 0);
	}
	give_up(baton->lock);
	return NULL;
}

CASE(conditions_pass_turns, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	for (unsigned type = 0; type <= EVTHREAD_LOCKTYPE_RECURSIVE; type++) {
		struct timeval minute = {60, 0};
		pthread_t thread;
		struct baton baton = {
			evthread_lock_fns_.alloc(type), evthread_cond_fns_.alloc_condition(0), 0, 2001};
		CHECK(!pthread_create(&thread, NULL, play, &baton));
		take(baton.lock);
		while (baton.turn < baton.rounds) {
			if (baton.turn % 2) {
				CHECK_EQUAL(
				    evthread_cond_fns_.wait_condition(baton.condition, baton.lock, &minute), 0);
				continue;
			}
			baton.turn++;
			evthread_cond_fns_.signal_condition(baton.condition, baton.turn % 3 == 0);
		}
		give_up(baton.lock);
		pthread_join(thread, NULL);
		printf("%d\n", baton.turn);
		evthread_cond_fns_.free_condition(baton.condition);
		evthread_lock_fns_.free(baton.lock, type);
	}
}

CASE(a_wait_ends_after_its_time, ONE_BACKEND | OWN_LOCKS)
{
	struct timeval times[] = {{0, 0}, {0, 1000}, {0, 30000}};
	long long start = milliseconds();
	void *lock, *condition;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	lock = evthread_lock_fns_.alloc(0);
	condition = evthread_cond_fns_.alloc_condition(0);
	take(lock);
	for (int i = 0; i < 3; i++)
		CHECK_EQUAL(evthread_cond_fns_.wait_condition(condition, lock, &times[i]), 1);
	CHECK(milliseconds() - start >= 30);
	CHECK_EQUAL(elsewhere(lock), EBUSY);
	give_up(lock);
	evthread_cond_fns_.free_condition(condition);
	evthread_lock_fns_.free(lock, 0);
}

CASE(signals_without_waiters_are_lost, ONE_BACKEND | OWN_LOCKS)
{
	struct timeval zero = {0, 0};
	void *lock, *condition;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	lock = evthread_lock_fns_.alloc(0);
	condition = evthread_cond_fns_.alloc_condition(0);
	take(lock);
	CHECK_EQUAL(evthread_cond_fns_.signal_condition(condition, 1), 0);
	CHECK_EQUAL(evthread_cond_fns_.signal_condition(condition, 0), 0);
	CHECK_EQUAL(evthread_cond_fns_.wait_condition(condition, lock, &zero), 1);
	give_up(lock);
	evthread_cond_fns_.free_condition(condition);
	evthread_lock_fns_.free(lock, 0);
}

static void *
own_id(void *arg)
{
	*(unsigned long *)arg = evthread_id_fn_();
	return NULL;
}

CASE(ids_are_those_of_pthreads, ONE_BACKEND | OWN_LOCKS)
{
	unsigned long id = 0;
	pthread_t thread;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK(evthread_id_fn_() == (unsigned long)pthread_self());
	CHECK(!pthread_create(&thread, NULL, own_id, &id));
	pthread_join(thread, NULL);
	CHECK(id == (unsigned long)thread);
	CHECK(id != evthread_id_fn_());
}

/* Runs a function in a child; it must end with exit status 33. */
static void
check_in_child(void (*function)(void *), void *arg)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		function(arg);
		_exit(33);
	}
	waitpid(child, &status, 0);
	CHECK(WIFEXITED(status));
	CHECK_EQUAL(WEXITSTATUS(status), 33);
}

static void
use_plain_lock(void *lock)
{
	CHECK_EQUAL(elsewhere(lock), EBUSY);
	CHECK_EQUAL(give_up(lock), 0);
	CHECK_EQUAL(elsewhere(lock), 0);
	CHECK_EQUAL(take(lock), 0);
}

CASE(a_lock_works_in_a_forked_child, ONE_BACKEND | OWN_LOCKS)
{
	void *lock;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	lock = evthread_lock_fns_.alloc(0);
	take(lock);
	check_in_child(use_plain_lock, lock);
	CHECK_EQUAL(elsewhere(lock), EBUSY);
	give_up(lock);
	evthread_lock_fns_.free(lock, 0);
}

static void *
take_in_thread(void *lock)
{
	take(lock);
	give_up(lock);
	return NULL;
}

static void
use_wanted_lock(void *lock)
{
	pthread_t threads[2];
	CHECK_EQUAL(give_up(lock), 0);
	CHECK_EQUAL(try(lock), 0);
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&threads[i], NULL, take_in_thread, lock));
	usleep(2000);
	CHECK_EQUAL(give_up(lock), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* The threads that wait for the lock do not exist in the child, which must not hand it to them. */
CASE(a_lock_with_waiters_works_in_a_forked_child, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	for (int round = 0; round < 10; round++) {
		void *lock = evthread_lock_fns_.alloc(0);
		pthread_t threads[3];
		take(lock);
		for (int i = 0; i < 3; i++)
			CHECK(!pthread_create(&threads[i], NULL, take_in_thread, lock));
		usleep(2000);
		check_in_child(use_wanted_lock, lock);
		give_up(lock);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		evthread_lock_fns_.free(lock, 0);
	}
}

static void
use_recursive_lock(void *lock)
{
	CHECK_EQUAL(elsewhere(lock), EBUSY);
	CHECK_EQUAL(try(lock), 0);
	CHECK_EQUAL(give_up(lock), 0);
	CHECK_EQUAL(elsewhere(lock), EBUSY);
	CHECK_EQUAL(give_up(lock), 0);
	CHECK_EQUAL(elsewhere(lock), 0);
}

DIFFERENCE(a_recursive_lock_works_in_a_forked_child, ONE_BACKEND | OWN_LOCKS,
    "a child that was forked while a lock was held hangs when it takes the lock again")
{
	void *lock;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	lock = evthread_lock_fns_.alloc(EVTHREAD_LOCKTYPE_RECURSIVE);
	take(lock);
	check_in_child(use_recursive_lock, lock);
	CHECK_EQUAL(elsewhere(lock), EBUSY);
	give_up(lock);
	evthread_lock_fns_.free(lock, EVTHREAD_LOCKTYPE_RECURSIVE);
}

CASE(memory_comes_from_the_hooks, ONE_BACKEND | OWN_LOCKS)
{
	void *lock, *condition;
	allocator_install();
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK_EQUAL(allocator.alive, 2);
	lock = evthread_lock_fns_.alloc(0);
	condition = evthread_cond_fns_.alloc_condition(0);
	CHECK_EQUAL(allocator.alive, 4);
	allocator_fail_at(1);
	CHECK(evthread_lock_fns_.alloc(EVTHREAD_LOCKTYPE_RECURSIVE) == NULL);
	allocator_fail_at(1);
	CHECK(evthread_cond_fns_.alloc_condition(0) == NULL);
	evthread_lock_fns_.free(lock, 0);
	evthread_cond_fns_.free_condition(condition);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

static void *
use_pthreads(void *arg)
{
	pthread_barrier_wait(arg);
	return (void *)(long)evthread_use_pthreads();
}

CASE(set_up_once_by_many_threads, ONE_BACKEND | OWN_LOCKS)
{
	pthread_t threads[8];
	pthread_barrier_t barrier;
	void *result;
	allocator_install();
	/* The reference promises nothing for concurrent calls, so they follow one that is over. */
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	pthread_barrier_init(&barrier, NULL, 8);
	for (int i = 0; i < 8; i++)
		CHECK(!pthread_create(&threads[i], NULL, use_pthreads, &barrier));
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], &result);
		CHECK_EQUAL((long)result, 0);
	}
	CHECK_EQUAL(allocator.alive, 2);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}
