/* The rules about setting lock, condition and thread-id callbacks, and what the library does with
 * them before any object exists. */
#include "locks.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <stddef.h>
#include <string.h>

/* Exported data of the library that other libraries read. */
extern struct evthread_lock_callbacks evthread_lock_fns_;
extern struct evthread_condition_callbacks evthread_cond_fns_;
extern unsigned long (*evthread_id_fn_)(void);
extern int evthread_lock_debugging_enabled_;
struct evthread_lock_callbacks *evthread_get_lock_callbacks(void);
struct evthread_condition_callbacks *evthread_get_condition_callbacks(void);
void *evthread_setup_global_lock_(void *lock, unsigned locktype, int enable_locks);

static int
lock_take(unsigned mode, void *lock)
{
	(void)lock;
	return mode == 99;
}

static int
lock_take_2(unsigned mode, void *lock)
{
	(void)lock;
	return mode == 98;
}

static void *
cond_alloc(unsigned type)
{
	printf("alloc condition %u\n", type);
	return malloc(1);
}

static void
cond_free(void *cond)
{
	free(cond);
}

static int
cond_signal(void *cond, int broadcast)
{
	(void)cond;
	return broadcast;
}

static int
cond_wait(void *cond, void *lock, const struct timeval *timeout)
{
	(void)cond, (void)lock, (void)timeout;
	return 0;
}

static unsigned long
thread_id(void)
{
	return 7;
}

static const struct evthread_lock_callbacks locks = {
	EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, lock_alloc, lock_free, lock_take, lock_take};
static const struct evthread_condition_callbacks conditions = {
	EVTHREAD_CONDITION_API_VERSION, cond_alloc, cond_free, cond_signal, cond_wait};

static int
conditions_in_force(void)
{
	return evthread_cond_fns_.condition_api_version == conditions.condition_api_version &&
	    evthread_cond_fns_.alloc_condition == conditions.alloc_condition &&
	    evthread_cond_fns_.free_condition == conditions.free_condition &&
	    evthread_cond_fns_.signal_condition == conditions.signal_condition &&
	    evthread_cond_fns_.wait_condition == conditions.wait_condition;
}

CASE(nothing_is_set_at_the_start, ONE_BACKEND | OWN_LOCKS)
{
	static const struct evthread_lock_callbacks no_locks;
	CHECK(!memcmp(&evthread_lock_fns_, &no_locks, sizeof no_locks));
	CHECK(!evthread_cond_fns_.alloc_condition && !evthread_cond_fns_.wait_condition);
	CHECK(evthread_id_fn_ == NULL);
	CHECK_EQUAL(evthread_lock_debugging_enabled_, 0);
	CHECK(evthread_get_lock_callbacks() == &evthread_lock_fns_);
	CHECK(evthread_get_condition_callbacks() == &evthread_cond_fns_);
	CHECK_EQUAL(evthread_set_lock_callbacks(NULL), 0);
	CHECK_EQUAL(evthread_set_condition_callbacks(NULL), 0);
}

CASE(lock_callbacks_are_copied_and_make_the_global_locks, ONE_BACKEND | OWN_LOCKS)
{
	struct evthread_lock_callbacks mine = locks;
	log_to_stdout();
	CHECK_EQUAL(evthread_set_lock_callbacks(&mine), 0);
	memset(&mine, 0, sizeof mine);
	CHECK_EQUAL(made, 2);
	CHECK(!memcmp(&evthread_lock_fns_, &locks, sizeof locks));
	CHECK(evthread_get_lock_callbacks() == &evthread_lock_fns_);
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	CHECK_EQUAL(made, 2);
	libevent_global_shutdown();
	CHECK_EQUAL(freed, 2);
	CHECK(!memcmp(&evthread_lock_fns_, &locks, sizeof locks));
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	CHECK_EQUAL(made, 2);
	libevent_global_shutdown();
	CHECK_EQUAL(freed, 2);
}

CASE(incomplete_lock_callbacks_are_refused, ONE_BACKEND | OWN_LOCKS)
{
	for (int missing = 0; missing < 4; missing++) {
		struct evthread_lock_callbacks some = locks;
		memset((char *)&some + offsetof(struct evthread_lock_callbacks, alloc) + missing * sizeof(void *),
		    0, sizeof(void *));
		CHECK_EQUAL(evthread_set_lock_callbacks(&some), -1);
		CHECK(evthread_lock_fns_.alloc == NULL);
	}
	CHECK_EQUAL(made, 0);
}

CASE(other_lock_callbacks_are_refused, ONE_BACKEND | OWN_LOCKS)
{
	struct evthread_lock_callbacks other;
	log_to_stdout();
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	other = locks, other.lock_api_version = 2;
	CHECK_EQUAL(evthread_set_lock_callbacks(&other), -1);
	other = locks, other.supported_locktypes = 0;
	CHECK_EQUAL(evthread_set_lock_callbacks(&other), -1);
	other = locks, other.lock = lock_take_2;
	CHECK_EQUAL(evthread_set_lock_callbacks(&other), -1);
	other = locks, other.unlock = NULL;
	CHECK_EQUAL(evthread_set_lock_callbacks(&other), -1);
	CHECK(!memcmp(&evthread_lock_fns_, &locks, sizeof locks));
	CHECK_EQUAL(made, 2);
}

CASE(versions_and_types_are_not_checked, ONE_BACKEND | OWN_LOCKS)
{
	struct evthread_lock_callbacks strange = locks;
	struct evthread_condition_callbacks strange_conditions = conditions;
	strange.lock_api_version = 99;
	strange.supported_locktypes = 0xffff;
	strange_conditions.condition_api_version = -1;
	CHECK_EQUAL(evthread_set_lock_callbacks(&strange), 0);
	CHECK_EQUAL(evthread_set_condition_callbacks(&strange_conditions), 0);
	CHECK_EQUAL(evthread_lock_fns_.lock_api_version, 99);
	CHECK_EQUAL(evthread_cond_fns_.condition_api_version, -1);
}

CASE(clearing_warns, ONE_BACKEND | OWN_LOCKS)
{
	log_to_stdout();
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	libevent_global_shutdown();
	CHECK_EQUAL(evthread_set_lock_callbacks(NULL), 0);
	CHECK(evthread_lock_fns_.alloc == NULL && evthread_lock_fns_.unlock == NULL);
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	libevent_global_shutdown();
	CHECK_EQUAL(made, 4);
	CHECK_EQUAL(freed, 4);
	CHECK_EQUAL(evthread_set_condition_callbacks(&conditions), 0);
	CHECK_EQUAL(evthread_set_condition_callbacks(NULL), 0);
	CHECK(evthread_cond_fns_.alloc_condition == NULL);
	CHECK_EQUAL(evthread_set_condition_callbacks(&conditions), 0);
}

CASE(condition_callbacks_follow_the_same_rules, ONE_BACKEND | OWN_LOCKS)
{
	struct evthread_condition_callbacks mine = conditions;
	log_to_stdout();
	CHECK_EQUAL(evthread_set_condition_callbacks(&mine), 0);
	memset(&mine, 0, sizeof mine);
	CHECK(conditions_in_force());
	CHECK(evthread_get_condition_callbacks() == &evthread_cond_fns_);
	CHECK_EQUAL(evthread_set_condition_callbacks(&conditions), 0);
	mine = conditions, mine.condition_api_version = 0;
	CHECK_EQUAL(evthread_set_condition_callbacks(&mine), -1);
	mine = conditions, mine.free_condition = NULL;
	CHECK_EQUAL(evthread_set_condition_callbacks(&mine), -1);
	CHECK(conditions_in_force());
}

CASE(the_id_callback_may_change_at_any_time, ONE_BACKEND | OWN_LOCKS)
{
	evthread_set_id_callback(thread_id);
	CHECK(evthread_id_fn_ == thread_id);
	evthread_set_id_callback(NULL);
	CHECK(evthread_id_fn_ == NULL);
	evthread_set_id_callback(thread_id);
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK(evthread_id_fn_ != NULL && evthread_id_fn_ != thread_id);
}

CASE(pthreads_beside_the_programs_locks, ONE_BACKEND | OWN_LOCKS)
{
	log_to_stdout();
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK(!memcmp(&evthread_lock_fns_, &locks, sizeof locks));
	CHECK(evthread_cond_fns_.alloc_condition != NULL);
	CHECK(evthread_id_fn_ != NULL);
	libevent_global_shutdown();
	CHECK_EQUAL(made, freed);
}

CASE(pthreads_beside_the_programs_conditions, ONE_BACKEND | OWN_LOCKS)
{
	log_to_stdout();
	CHECK_EQUAL(evthread_set_condition_callbacks(&conditions), 0);
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK(evthread_lock_fns_.alloc != NULL && evthread_lock_fns_.alloc != lock_alloc);
	CHECK(conditions_in_force());
}

CASE(pthreads_may_be_asked_for_twice, ONE_BACKEND | OWN_LOCKS)
{
	log_to_stdout();
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK_EQUAL(evthread_lock_fns_.lock_api_version, EVTHREAD_LOCK_API_VERSION);
	CHECK_EQUAL(evthread_lock_fns_.supported_locktypes, EVTHREAD_LOCKTYPE_RECURSIVE);
	CHECK_EQUAL(evthread_cond_fns_.condition_api_version, EVTHREAD_CONDITION_API_VERSION);
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), -1);
	CHECK_EQUAL(evthread_set_condition_callbacks(&conditions), -1);
}

CASE(a_global_lock_is_made_once, ONE_BACKEND | OWN_LOCKS)
{
	void *lock;
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	lock = evthread_setup_global_lock_(NULL, EVTHREAD_LOCKTYPE_RECURSIVE, 1);
	CHECK(lock != NULL);
	lock_free(lock, EVTHREAD_LOCKTYPE_RECURSIVE);
	refuse_at = made + 1;
	CHECK(evthread_setup_global_lock_(NULL, 0, 1) == NULL);
}

DIFFERENCE(incomplete_condition_callbacks_are_refused, ONE_BACKEND | OWN_LOCKS,
    "an incomplete set of condition callbacks is ignored with the result 0")
{
	for (int missing = 0; missing < 4; missing++) {
		struct evthread_condition_callbacks some = conditions;
		memset((char *)&some + offsetof(struct evthread_condition_callbacks, alloc_condition) +
		        missing * sizeof(void *),
		    0, sizeof(void *));
		CHECK_EQUAL(evthread_set_condition_callbacks(&some), -1);
		CHECK(evthread_cond_fns_.signal_condition == NULL);
	}
}

DIFFERENCE(callbacks_that_cannot_make_the_global_locks_are_not_installed, ONE_BACKEND | OWN_LOCKS,
    "lock callbacks stay installed when a global lock cannot be made")
{
	log_to_stdout();
	for (int nth = 1; nth <= 2; nth++) {
		made = freed = 0;
		refuse_at = nth;
		CHECK_EQUAL(evthread_set_lock_callbacks(&locks), -1);
		CHECK(evthread_lock_fns_.alloc == NULL);
		CHECK_EQUAL(freed, nth - 1);
	}
	refuse_at = 0;
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
}

static int freed_by_other;

static void
other_free(void *lock, unsigned type)
{
	(void)type;
	freed_by_other++;
	free(lock);
}

DIFFERENCE(callbacks_may_be_cleared_and_set_again, ONE_BACKEND | OWN_LOCKS,
    "setting lock callbacks again after they were cleared ends the process")
{
	struct evthread_lock_callbacks other = locks;
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	CHECK_EQUAL(evthread_set_lock_callbacks(NULL), 0);
	CHECK_EQUAL(freed, 0);
	other.free = other_free;
	CHECK_EQUAL(evthread_set_lock_callbacks(&other), 0);
	CHECK_EQUAL(made, 4);
	libevent_global_shutdown();
	CHECK_EQUAL(freed, 0);
	CHECK_EQUAL(freed_by_other, 2);
	/* What the first ones made is theirs to free. */
	CHECK_EQUAL(evthread_set_lock_callbacks(NULL), 0);
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	CHECK_EQUAL(made, 4);
	libevent_global_shutdown();
	CHECK_EQUAL(freed, 2);
	CHECK_EQUAL(freed_by_other, 2);
}

static void
count_clearing(void)
{
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	CHECK_EQUAL(evthread_set_lock_callbacks(NULL), 0);
	printf("made %d, freed %d\n", made, freed);
}

CASE(clearing_frees_nothing, ONE_BACKEND | OWN_LOCKS)
{
	log_to_stdout();
	count_clearing();
}

CASE(clearing_frees_nothing_in_lock_debugging, ONE_BACKEND | OWN_LOCKS)
{
	log_to_stdout();
	evthread_enable_lock_debugging();
	count_clearing();
}

DIFFERENCE(cleared_callbacks_that_come_back_find_their_locks, ONE_BACKEND | OWN_LOCKS,
    "setting lock callbacks again after they were cleared ends the process")
{
	int round;

	for (round = 0; round < 3; round++) {
		CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
		CHECK_EQUAL(evthread_set_lock_callbacks(NULL), 0);
	}
	CHECK_EQUAL(made, 2);
	evthread_enable_lock_debugging();
	for (round = 0; round < 3; round++) {
		CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
		CHECK_EQUAL(evthread_set_lock_callbacks(NULL), 0);
	}
	/* Debugging needs recursive ones. */
	CHECK_EQUAL(made, 4);
	CHECK_EQUAL(freed, 2);
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	libevent_global_shutdown();
	CHECK_EQUAL(freed, made);
}

DIFFERENCE(shutdown_after_clearing, ONE_BACKEND | OWN_LOCKS,
    "libevent_global_shutdown crashes when the lock callbacks were cleared")
{
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	CHECK_EQUAL(evthread_set_lock_callbacks(NULL), 0);
	libevent_global_shutdown();
	CHECK_EQUAL(made, 2);
	CHECK_EQUAL(freed, 0);
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	libevent_global_shutdown();
	CHECK_EQUAL(made, 2);
	CHECK_EQUAL(freed, 2);
}

static void *
refuse(size_t size)
{
	(void)size;
	return NULL;
}

DIFFERENCE(pthreads_without_memory_fail, ONE_BACKEND | OWN_LOCKS,
    "evthread_use_pthreads reports success although its locks could not be made")
{
	log_to_stdout();
	event_set_mem_functions(refuse, NULL, NULL);
	CHECK_EQUAL(evthread_use_pthreads(), -1);
	CHECK(evthread_lock_fns_.alloc == NULL);
	CHECK(evthread_cond_fns_.alloc_condition == NULL);
	CHECK(evthread_id_fn_ == NULL);
	event_set_mem_functions(NULL, NULL, NULL);
	CHECK_EQUAL(evthread_use_pthreads(), 0);
}
