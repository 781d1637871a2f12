/* Lock debugging: how the wrappers use the program's callbacks, and which errors they catch. */
#include "allocator.h"
#include "locks.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern struct evthread_lock_callbacks evthread_lock_fns_;
extern struct evthread_condition_callbacks evthread_cond_fns_;
extern int evthread_lock_debugging_enabled_;
struct evthread_lock_callbacks *evthread_get_lock_callbacks(void);
struct evthread_condition_callbacks *evthread_get_condition_callbacks(void);
int evthread_is_debug_lock_held_(void *lock);
void *evthread_debug_get_real_lock_(void *lock);
void *evthread_setup_global_lock_(void *lock, unsigned locktype, int enable_locks);
void evthreadimpl_disable_lock_debugging_(void);

static int lock_result;

static int
lock_take(unsigned mode, void *lock)
{
	(void)lock;
	printf("lock %u\n", mode);
	return lock_result;
}

static int
lock_leave(unsigned mode, void *lock)
{
	(void)lock;
	printf("unlock %u\n", mode);
	return 0;
}

static const struct evthread_lock_callbacks locks = {
	EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, lock_alloc, lock_free, lock_take, lock_leave};

static void
print_severity(int severity, const char *message)
{
	(void)message;
	printf("message of severity %d\n", severity);
}

/* Runs a function in a child and prints how that ended. */
static void
print_end(const char *what, void (*function)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		event_set_log_callback(print_severity);
		function();
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s: signal %d\n", what, WTERMSIG(status));
	else
		printf("%s: exit %d\n", what, WEXITSTATUS(status));
}

CASE(wrappers_stand_before_the_callbacks, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	evthread_enable_lock_debugging();
	CHECK_EQUAL(evthread_lock_debugging_enabled_, 1);
	CHECK(evthread_lock_fns_.alloc != lock_alloc);
	CHECK_EQUAL(evthread_lock_fns_.supported_locktypes, EVTHREAD_LOCKTYPE_RECURSIVE);
	CHECK(evthread_get_lock_callbacks() != &evthread_lock_fns_);
	CHECK(!memcmp(evthread_get_lock_callbacks(), &locks, sizeof locks));
	evthread_enable_lock_debuging();
	evthread_enable_lock_debugging();
	CHECK_EQUAL(made, 4);
	CHECK_EQUAL(freed, 2);
}

CASE(locks_are_recursive_inside, ONE_BACKEND | OWN_LOCKS)
{
	void *lock;
	evthread_enable_lock_debugging();
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	for (unsigned type = 0; type < 4; type++) {
		unsigned mode = type & EVTHREAD_LOCKTYPE_READWRITE ? EVTHREAD_WRITE : 0;
		printf("type %u\n", type);
		lock = evthread_lock_fns_.alloc(type);
		CHECK(evthread_debug_get_real_lock_(lock) != NULL);
		CHECK_EQUAL(evthread_is_debug_lock_held_(lock), 0);
		CHECK_EQUAL(evthread_lock_fns_.lock(mode, lock), 0);
		CHECK_EQUAL(evthread_is_debug_lock_held_(lock), 1);
		CHECK_EQUAL(evthread_lock_fns_.unlock(mode, lock), 0);
		CHECK_EQUAL(evthread_is_debug_lock_held_(lock), 0);
		lock_result = 16;
		CHECK_EQUAL(evthread_lock_fns_.lock(mode | EVTHREAD_TRY, lock), 16);
		CHECK_EQUAL(evthread_is_debug_lock_held_(lock), 0);
		lock_result = 0;
		evthread_lock_fns_.free(lock, type);
	}
}

CASE(without_callbacks_it_is_bookkeeping, ONE_BACKEND | OWN_LOCKS)
{
	void *lock;
	evthread_enable_lock_debugging();
	lock = evthread_lock_fns_.alloc(EVTHREAD_LOCKTYPE_RECURSIVE);
	CHECK(evthread_debug_get_real_lock_(lock) == NULL);
	CHECK_EQUAL(evthread_lock_fns_.lock(0, lock), 0);
	CHECK_EQUAL(evthread_lock_fns_.lock(0, lock), 0);
	CHECK_EQUAL(evthread_lock_fns_.unlock(0, lock), 0);
	CHECK_EQUAL(evthread_is_debug_lock_held_(lock), 1);
	CHECK_EQUAL(evthread_lock_fns_.unlock(0, lock), 0);
	evthread_lock_fns_.free(lock, EVTHREAD_LOCKTYPE_RECURSIVE);
	CHECK(evthread_cond_fns_.alloc_condition == NULL);
}

CASE(callbacks_may_come_after_it, ONE_BACKEND | OWN_LOCKS)
{
	struct evthread_lock_callbacks other = locks;
	log_to_stdout();
	allocator_install();
	evthread_enable_lock_debugging();
	CHECK_EQUAL(allocator.alive, 2);
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	other.lock_api_version = 2;
	CHECK_EQUAL(evthread_set_lock_callbacks(&other), -1);
	CHECK_EQUAL(made, 2);
	CHECK_EQUAL(allocator.alive, 2);
	CHECK(evthread_lock_fns_.alloc != lock_alloc);
}

static void
take_twice(void)
{
	void *lock = evthread_lock_fns_.alloc(0);
	evthread_lock_fns_.lock(0, lock);
	evthread_lock_fns_.lock(0, lock);
}

static void
take_twice_recursively(void)
{
	void *lock = evthread_lock_fns_.alloc(EVTHREAD_LOCKTYPE_RECURSIVE);
	evthread_lock_fns_.lock(0, lock);
	evthread_lock_fns_.lock(0, lock);
	evthread_lock_fns_.unlock(0, lock);
	evthread_lock_fns_.unlock(0, lock);
	evthread_lock_fns_.free(lock, EVTHREAD_LOCKTYPE_RECURSIVE);
}

static void
leave_untaken(void)
{
	evthread_lock_fns_.unlock(0, evthread_lock_fns_.alloc(0));
}

static void
free_held(void)
{
	void *lock = evthread_lock_fns_.alloc(0);
	evthread_lock_fns_.lock(0, lock);
	evthread_lock_fns_.free(lock, 0);
}

static void
free_as_another_type(void)
{
	evthread_lock_fns_.free(evthread_lock_fns_.alloc(0), EVTHREAD_LOCKTYPE_RECURSIVE);
}

static void
read_a_plain_lock(void)
{
	evthread_lock_fns_.lock(EVTHREAD_READ, evthread_lock_fns_.alloc(0));
}

static void
take_a_read_write_lock_without_mode(void)
{
	evthread_lock_fns_.lock(0, evthread_lock_fns_.alloc(EVTHREAD_LOCKTYPE_READWRITE));
}

static void *
leave_in_thread(void *lock)
{
	evthread_lock_fns_.unlock(0, lock);
	return NULL;
}

static void
leave_in_another_thread(void)
{
	pthread_t thread;
	void *lock = evthread_lock_fns_.alloc(0);
	evthread_lock_fns_.lock(0, lock);
	pthread_create(&thread, NULL, leave_in_thread, lock);
	pthread_join(thread, NULL);
}

static void
wait_without_lock(void)
{
	struct timeval zero = {0, 0};
	void *lock = evthread_lock_fns_.alloc(0);
	void *condition = evthread_cond_fns_.alloc_condition(0);
	evthread_cond_fns_.wait_condition(condition, lock, &zero);
}

static void
wait_with_lock(void)
{
	struct timeval zero = {0, 0};
	void *lock = evthread_lock_fns_.alloc(0);
	void *condition = evthread_cond_fns_.alloc_condition(0);
	evthread_lock_fns_.lock(0, lock);
	printf("wait: %d\n", evthread_cond_fns_.wait_condition(condition, lock, &zero));
	printf("held: %d\n", evthread_is_debug_lock_held_(lock));
	evthread_lock_fns_.unlock(0, lock);
	evthread_cond_fns_.free_condition(condition);
	evthread_lock_fns_.free(lock, 0);
}

static void
all_errors(void)
{
	print_end("taken twice", take_twice);
	print_end("recursive, taken twice", take_twice_recursively);
	print_end("left untaken", leave_untaken);
	print_end("freed while held", free_held);
	print_end("freed as another type", free_as_another_type);
	print_end("read mode for a plain lock", read_a_plain_lock);
	print_end("no mode for a read-write lock", take_a_read_write_lock_without_mode);
}

CASE(errors_are_caught_with_pthreads, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	evthread_enable_lock_debugging();
	all_errors();
	print_end("left by another thread", leave_in_another_thread);
	print_end("waited without the lock", wait_without_lock);
	print_end("waited with the lock", wait_with_lock);
}

CASE(errors_are_caught_with_pthreads_set_later, ONE_BACKEND | OWN_LOCKS)
{
	evthread_enable_lock_debugging();
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	all_errors();
	print_end("left by another thread", leave_in_another_thread);
	print_end("waited without the lock", wait_without_lock);
	print_end("waited with the lock", wait_with_lock);
}

CASE(errors_are_caught_without_callbacks, ONE_BACKEND | OWN_LOCKS)
{
	evthread_enable_lock_debugging();
	all_errors();
	print_end("left by another thread", leave_in_another_thread);
}

CASE(a_lock_that_cannot_be_made, ONE_BACKEND | OWN_LOCKS)
{
	allocator_install();
	evthread_enable_lock_debugging();
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	allocator.alive = 0;
	allocator_fail_at(1);
	CHECK(evthread_lock_fns_.alloc(0) == NULL);
	refuse_at = made + 1;
	CHECK(evthread_lock_fns_.alloc(0) == NULL);
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(a_global_lock_in_lock_debugging, ONE_BACKEND | OWN_LOCKS)
{
	void *bare, *lock;
	evthread_enable_lock_debugging();
	bare = evthread_setup_global_lock_(NULL, 0, 0);
	CHECK(bare != NULL && evthread_debug_get_real_lock_(bare) == NULL);
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	lock = evthread_setup_global_lock_(bare, 0, 1);
	CHECK(lock == bare && evthread_debug_get_real_lock_(bare) != NULL);
	lock = evthread_setup_global_lock_(NULL, 0, 1);
	CHECK(lock != NULL && evthread_debug_get_real_lock_(lock) != NULL);
	evthread_lock_fns_.free(lock, 0);
	evthread_lock_fns_.free(bare, 0);
}

CASE(the_switch_alone, ONE_BACKEND | OWN_LOCKS)
{
	evthread_enable_lock_debugging();
	CHECK_EQUAL(evthread_lock_debugging_enabled_, 1);
	evthreadimpl_disable_lock_debugging_();
	CHECK_EQUAL(evthread_lock_debugging_enabled_, 0);
}

DIFFERENCE(it_ends_with_the_global_shutdown, ONE_BACKEND | OWN_LOCKS,
    "lock debugging stays on after libevent_global_shutdown and cannot be enabled again")
{
	allocator_install();
	for (int round = 0; round < 3; round++) {
		evthread_enable_lock_debugging();
		CHECK_EQUAL(evthread_use_pthreads(), 0);
		CHECK_EQUAL(evthread_lock_debugging_enabled_, 1);
		CHECK(evthread_get_lock_callbacks() != &evthread_lock_fns_);
		libevent_global_shutdown();
		CHECK_EQUAL(evthread_lock_debugging_enabled_, 0);
		CHECK(evthread_get_lock_callbacks() == &evthread_lock_fns_);
		CHECK(evthread_get_condition_callbacks() == &evthread_cond_fns_);
		CHECK_EQUAL(allocator.alive, 0);
	}
}

DIFFERENCE(it_may_be_enabled_after_a_shutdown_with_plain_locks, ONE_BACKEND | OWN_LOCKS,
    "enabling lock debugging after libevent_global_shutdown ends the process")
{
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	libevent_global_shutdown();
	evthread_enable_lock_debugging();
	take_twice_recursively();
	libevent_global_shutdown();
	CHECK_EQUAL(made, freed);
	CHECK(!memcmp(&evthread_lock_fns_, &locks, sizeof locks));
}

DIFFERENCE(a_real_global_lock_that_cannot_be_made, ONE_BACKEND | OWN_LOCKS,
    "lock callbacks stay installed when a global lock cannot be made")
{
	log_to_stdout();
	evthread_enable_lock_debugging();
	for (int nth = 1; nth <= 2; nth++) {
		made = freed = 0;
		refuse_at = nth;
		CHECK_EQUAL(evthread_set_lock_callbacks(&locks), -1);
		CHECK_EQUAL(freed, nth - 1);
		CHECK(evthread_get_lock_callbacks()->alloc == NULL);
	}
	refuse_at = 0;
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	libevent_global_shutdown();
	CHECK_EQUAL(freed + 2, made + 1);
}
