/* How event bases use the lock, condition and id callbacks. */
#include "harness.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

extern struct evthread_lock_callbacks evthread_lock_fns_;
extern int event_debug_mode_on_;
extern int event_debug_created_threadable_ctx_;

/* A program's own locks: recursive mutexes that know their type, with a record of wrong use. */
struct own_lock {
	pthread_mutex_t mutex;
	unsigned type;
	int depth;
};

static int live_locks, live_conditions, wrong, refuse_at, made, odd_modes;
static unsigned types_seen[4];

/* Locks whose callbacks are gone cannot be given back; to a leak checker they are not lost. */
static void *volatile latest_locks[8];

static void *
own_alloc(unsigned type)
{
	pthread_mutexattr_t attributes;
	struct own_lock *lock;
	if (__sync_add_and_fetch(&made, 1) == refuse_at)
		return NULL;
	lock = latest_locks[made % 8] = calloc(1, sizeof *lock);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&lock->mutex, &attributes);
	lock->type = type;
	types_seen[type & 3]++;
	__sync_add_and_fetch(&live_locks, 1);
	return lock;
}

static void
own_free(void *memory, unsigned type)
{
	struct own_lock *lock = memory;
	wrong += lock->type != type || lock->depth != 0;
	__sync_sub_and_fetch(&live_locks, 1);
	free(lock);
}

static int
own_lock(unsigned mode, void *memory)
{
	struct own_lock *lock = memory;
	if (mode & ~EVTHREAD_TRY)
		odd_modes++;
	pthread_mutex_lock(&lock->mutex);
	if (++lock->depth > 1 && !(lock->type & EVTHREAD_LOCKTYPE_RECURSIVE))
		wrong++;
	return 0;
}

static int
own_unlock(unsigned mode, void *memory)
{
	struct own_lock *lock = memory;
	if (mode)
		odd_modes++;
	if (--lock->depth < 0)
		wrong++;
	pthread_mutex_unlock(&lock->mutex);
	return 0;
}

static const struct evthread_lock_callbacks locks = {
	EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, own_alloc, own_free, own_lock, own_unlock};

static void *
own_condition(unsigned type)
{
	pthread_cond_t *condition = malloc(sizeof *condition);
	wrong += type != 0;
	pthread_cond_init(condition, NULL);
	__sync_add_and_fetch(&live_conditions, 1);
	return condition;
}

static void
own_condition_free(void *condition)
{
	__sync_sub_and_fetch(&live_conditions, 1);
	free(condition);
}

static int
own_signal(void *condition, int broadcast)
{
	wrong += broadcast != 1;
	return pthread_cond_broadcast(condition);
}

static int
own_wait(void *condition, void *memory, const struct timeval *timeout)
{
	struct own_lock *lock = memory;
	wrong += timeout != NULL || lock->depth != 1;
	lock->depth--;
	pthread_cond_wait(condition, &lock->mutex);
	lock->depth++;
	return 0;
}

static const struct evthread_condition_callbacks conditions = {
	EVTHREAD_CONDITION_API_VERSION, own_condition, own_condition_free, own_signal, own_wait};

static unsigned long
own_id(void)
{
	return (unsigned long)pthread_self();
}

static void
set_own_callbacks(void)
{
	CHECK_EQUAL(evthread_set_lock_callbacks(&locks), 0);
	CHECK_EQUAL(evthread_set_condition_callbacks(&conditions), 0);
	evthread_set_id_callback(own_id);
}

static void
nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

/* A life of a base with an event of each kind. */
static void
live(struct event_base *base)
{
	struct timeval soon = {0, 1000};
	struct event *timer = event_new(base, -1, 0, nothing, NULL);
	struct event *signal = evsignal_new(base, SIGUSR1, nothing, NULL);
	struct event *self = event_new(base, -1, EV_PERSIST, nothing, NULL);
	int pair[2];
	struct event *reader;
	CHECK(!evutil_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	reader = event_new(base, pair[0], EV_READ, nothing, NULL);
	CHECK(timer && signal && self && reader);
	CHECK_EQUAL(event_add(timer, &soon), 0);
	CHECK_EQUAL(event_add(signal, NULL), 0);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	CHECK_EQUAL(event_add(self, NULL), 0);
	CHECK_EQUAL(write(pair[1], "x", 1), 1);
	event_active(self, EV_READ, 1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	event_free(timer);
	event_free(signal);
	event_free(self);
	event_free(reader);
	close(pair[0]);
	close(pair[1]);
}

CASE(a_base_has_a_lock_and_a_condition, EVERY_BACKEND | OWN_LOCKS)
{
	struct event_base *base;
	set_own_callbacks();
	CHECK_EQUAL(live_locks, 2);
	base = event_base_new();
	CHECK(base != NULL);
	CHECK_EQUAL(live_locks, 3);
	CHECK_EQUAL(live_conditions, 1);
	live(base);
	event_base_free(base);
	CHECK_EQUAL(live_locks, 2);
	CHECK_EQUAL(live_conditions, 0);
	libevent_global_shutdown();
	CHECK_EQUAL(live_locks, 0);
	CHECK_EQUAL(wrong, 0);
	CHECK_EQUAL(odd_modes, 0);
	printf("types: 0 %u, recursive %u, read-write %u\n", types_seen[0], types_seen[1], types_seen[2] + types_seen[3]);
}

CASE(a_base_without_lock, EVERY_BACKEND | OWN_LOCKS)
{
	struct event_config *config = event_config_new();
	struct event_base *base;
	set_own_callbacks();
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	CHECK_EQUAL(live_locks, 2);
	CHECK_EQUAL(live_conditions, 0);
	live(base);
	event_base_free(base);
	event_config_free(config);
	CHECK_EQUAL(wrong, 0);
}

CASE(an_earlier_base_has_no_lock_for_life, EVERY_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	struct event_base *base = event_base_new();
	set_own_callbacks();
	live(base);
	CHECK_EQUAL(live_locks, 2);
	event_base_free(base);
	CHECK_EQUAL(live_locks, 2);
	CHECK_EQUAL(wrong, 0);
}

DIFFERENCE(a_base_whose_lock_cannot_be_made, ONE_BACKEND | OWN_LOCKS,
    "event_base_new makes a base without a lock when its lock cannot be made")
{
	set_own_callbacks();
	refuse_at = made + 1;
	CHECK(event_base_new() == NULL);
	CHECK_EQUAL(live_locks, 2);
	CHECK_EQUAL(live_conditions, 0);
}

CASE(lock_debugging_agrees, EVERY_BACKEND | OWN_LOCKS)
{
	struct event_base *base;
	evthread_enable_lock_debugging();
	set_own_callbacks();
	base = event_base_new();
	live(base);
	event_base_free(base);
	libevent_global_shutdown();
	CHECK_EQUAL(live_locks, 0);
	CHECK_EQUAL(live_conditions, 0);
	CHECK_EQUAL(wrong, 0);
}

static void
stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static void *
wake(void *event)
{
	event_active(event, EV_READ, 1);
	return NULL;
}

CASE(another_thread_wakes_the_loop, EVERY_BACKEND | OWN_LOCKS)
{
	struct event_base *base;
	struct event *event;
	pthread_t thread;
	evthread_enable_lock_debugging();
	set_own_callbacks();
	base = event_base_new();
	event = event_new(base, -1, EV_PERSIST, stop, base);
	event_add(event, NULL);
	CHECK(!pthread_create(&thread, NULL, wake, event));
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
	pthread_join(thread, NULL);
	CHECK(event_base_got_break(base));
	event_free(event);
	event_base_free(base);
	CHECK_EQUAL(wrong, 0);
}

CASE(notifiable_bases, EVERY_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	struct event_base *base = event_base_new();
	CHECK_EQUAL(evthread_make_base_notifiable(NULL), -1);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(evthread_make_base_notifiable(base), 0);
	CHECK_EQUAL(evthread_make_base_notifiable(base), 0);
	live(base);
	event_base_free(base);
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	base = event_base_new();
	CHECK_EQUAL(evthread_make_base_notifiable(base), 0);
	event_base_free(base);
}

/* Runs a function in a child and prints how that ended. */
static void
in_child(const char *what, void (*function)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		function();
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("%s: %s %d\n", what, WIFSIGNALED(status) ? "signal" : "exit",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void
set_locks(void)
{
	evthread_set_lock_callbacks(&locks);
}

static void
clear_locks(void)
{
	evthread_set_lock_callbacks(NULL);
}

static void
set_conditions(void)
{
	evthread_set_condition_callbacks(&conditions);
}

static void
clear_conditions(void)
{
	evthread_set_condition_callbacks(NULL);
}

static void
set_pthreads(void)
{
	evthread_use_pthreads();
}

static void
set_id(void)
{
	evthread_set_id_callback(own_id);
}

static void
set_everything(void)
{
	in_child("set locks", set_locks);
	in_child("clear locks", clear_locks);
	in_child("set conditions", set_conditions);
	in_child("clear conditions", clear_conditions);
	in_child("pthreads", set_pthreads);
	in_child("id", set_id);
	in_child("lock debugging", evthread_enable_lock_debugging);
}

CASE(debug_mode_fixes_the_callbacks, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	struct event_base *base;
	log_to_stdout();
	CHECK_EQUAL(event_debug_mode_on_, 0);
	event_enable_debug_mode();
	CHECK_EQUAL(event_debug_mode_on_, 1);
	CHECK_EQUAL(event_debug_created_threadable_ctx_, 0);
	set_everything();
	base = event_base_new();
	CHECK_EQUAL(event_debug_created_threadable_ctx_, 1);
	set_everything();
	event_base_free(base);
	libevent_global_shutdown();
	CHECK_EQUAL(event_debug_mode_on_, 0);
	CHECK_EQUAL(event_debug_created_threadable_ctx_, 1);
	set_everything();
}

CASE(without_debug_mode_callbacks_may_come_late, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	struct event_base *base = event_base_new();
	CHECK(base);
	log_to_stdout();
	set_everything();
	event_base_free(base);
}

DIFFERENCE(callbacks_cleared_under_a_living_base, EVERY_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS,
    "clearing the lock callbacks while a base exists crashes at its next use")
{
	struct event_base *base;
	set_own_callbacks();
	base = event_base_new();
	CHECK_EQUAL(evthread_set_lock_callbacks(NULL), 0);
	live(base);
	event_base_free(base);
	libevent_global_shutdown();
}

static int allocations, refuse_allocation, live_blocks;

static void *
counted_malloc(size_t size)
{
	if (__sync_add_and_fetch(&allocations, 1) == refuse_allocation)
		return NULL;
	live_blocks++;
	return malloc(size);
}

static void *
counted_realloc(void *block, size_t size)
{
	if (++allocations == refuse_allocation)
		return NULL;
	live_blocks += !block;
	return realloc(block, size);
}

static void
counted_free(void *block)
{
	live_blocks -= block != NULL;
	free(block);
}

static void
ignore(int severity, const char *message)
{
	(void)severity, (void)message;
}

/* Every allocation of a threaded start fails once; nothing is lost, and the next start works. */
CASE(a_start_with_each_allocation_failing, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	int nth = 0, bases = 0;
	event_set_log_callback(ignore);
	event_set_mem_functions(counted_malloc, counted_realloc, counted_free);
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	do {
		struct event_base *base;
		int before = live_blocks;
		allocations = 0;
		refuse_allocation = ++nth;
		base = event_base_new();
		refuse_allocation = 0;
		bases = base != NULL && allocations < nth;
		if (base)
			event_base_free(base);
		CHECK_EQUAL(live_blocks, before);
		CHECK(nth < 100);
	} while (!bases);
	libevent_global_shutdown();
	CHECK_EQUAL(live_blocks, 0);
}
