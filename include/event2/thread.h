/* event2/thread.h: using the library from several threads.
 *
 * Unless one of the set-up functions below is called, the library takes no locks, and each base,
 * with everything that belongs to it, may be used by one thread only. Set threads up before
 * making any base, buffer or other object: an object gets its lock when it is made. Programs with
 * POSIX threads only need evthread_use_pthreads(); the callback structures are for other kinds of
 * threads.
 */
#ifndef EVENT2_THREAD_H_INCLUDED_
#define EVENT2_THREAD_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct timeval;

/** Says that thread.h offers evthread_use_pthreads(). */
#define EVTHREAD_USE_PTHREADS_IMPLEMENTED 1

/** Mode bit: a writer takes or releases a read-write lock. */
#define EVTHREAD_WRITE 0x04

/** Mode bit: a reader takes or releases a read-write lock. */
#define EVTHREAD_READ 0x08

/** Mode bit: take the lock only if it is free; otherwise return non-zero at once. */
#define EVTHREAD_TRY 0x10

/** Value of `lock_api_version`. */
#define EVTHREAD_LOCK_API_VERSION 1

/**
 * Lock type: the thread that holds the lock may take it again, and releases it as many times.
 */
#define EVTHREAD_LOCKTYPE_RECURSIVE 1

/** Lock type: many readers at a time, or one writer. The library never uses it. */
#define EVTHREAD_LOCKTYPE_READWRITE 2

/** Value of `condition_api_version`. */
#define EVTHREAD_CONDITION_API_VERSION 1

/**
 * How the library locks, for evthread_set_lock_callbacks().
 *
 * The functions are called from any thread that uses the library, and must not call it themselves.
 */
struct evthread_lock_callbacks {
    /** `EVTHREAD_LOCK_API_VERSION`. */
    int lock_api_version;
    /** The lock types that `alloc` supports, as bits; recursive locks are required. */
    unsigned int supported_locktypes;
    /** Makes a lock of type 0 or `EVTHREAD_LOCKTYPE_RECURSIVE`; returns NULL on failure. */
    void *(*alloc)(unsigned int locktype);
    /** Frees a lock of the given type. */
    void (*free)(void *lock, unsigned int locktype);
    /** Takes a lock. The mode is 0 or `EVTHREAD_TRY`. Returns 0 if the lock was taken. */
    int (*lock)(unsigned int mode, void *lock);
    /** Releases a lock, in the thread that took it. Returns 0. */
    int (*unlock)(unsigned int mode, void *lock);
};

/** How the library waits for conditions, for evthread_set_condition_callbacks(). */
struct evthread_condition_callbacks {
    /** `EVTHREAD_CONDITION_API_VERSION`. */
    int condition_api_version;
    /** Makes a condition; the type is always 0. Returns NULL on failure. */
    void *(*alloc_condition)(unsigned int condtype);
    /** Frees a condition that no thread is waiting for. */
    void (*free_condition)(void *cond);
    /**
     * Wakes all waiting threads (`broadcast` 1) or at least one (0). Called with the lock of the
     * condition held. Returns 0, or -1 on failure.
     */
    int (*signal_condition)(void *cond, int broadcast);
    /**
     * Releases `lock`, which the caller holds, waits for a signal, and takes the lock again. Waits
     * no longer than `timeout`, unless that is NULL. Returns 0 if signalled, 1 if the time has
     * passed, -1 on failure.
     */
    int (*wait_condition)(void *cond, void *lock, const struct timeval *timeout);
};

/**
 * Sets the functions that take and release locks.
 *
 * Call it before anything else of the library except the memory and log hooks: an object made
 * earlier never gets a lock. The structure is copied. The library makes its few process-wide locks
 * before this returns.
 *
 * Callbacks cannot be replaced by others; setting the same ones again has no effect. NULL removes
 * them, with a warning, and locks are then no longer taken. In debug mode, a call after the first
 * `event_base` was made is a fatal error.
 *
 * Returns 0; or -1, with nothing changed, if a function is missing, other callbacks are already
 * set, or a process-wide lock cannot be made. Not thread-safe.
 */
EVENT2_EXPORT_SYMBOL
int evthread_set_lock_callbacks(const struct evthread_lock_callbacks *callbacks);

/**
 * Sets the functions that wait for and signal conditions.
 *
 * When to call it, how callbacks are replaced and removed, and what is returned are as for
 * evthread_set_lock_callbacks(). The structure is copied. Not thread-safe.
 */
EVENT2_EXPORT_SYMBOL
int evthread_set_condition_callbacks(const struct evthread_condition_callbacks *callbacks);

/**
 * Sets the function that identifies threads.
 *
 * It returns a number that no other living thread has and that does not change during the thread's
 * life. Without it (NULL) the library assumes that every call comes from the thread that runs the
 * loop, so other threads do not wake a sleeping loop. Not thread-safe.
 */
EVENT2_EXPORT_SYMBOL
void evthread_set_id_callback(unsigned long (*id_fn)(void));

/**
 * Sets lock, condition and thread-id functions for POSIX threads; nothing else is needed.
 *
 * Call it before anything else of the library except the memory and log hooks; memory for the
 * locks comes from the memory hooks. Lock or condition callbacks that the program has already set
 * stay in force, with a warning. A second call has no effect.
 *
 * Returns 0, or -1 if there is no memory for the process-wide locks. Thread-safe.
 */
EVENT2_EXPORT_SYMBOL
int evthread_use_pthreads(void);

/**
 * Makes the library check how locks are used.
 *
 * Taking a non-recursive lock twice, releasing a lock in a thread that does not hold it, freeing a
 * lock that is held, and similar mistakes end the process through the fatal-error callback. Works
 * with any lock callbacks, set before or after, and without them. Call it before any object with a
 * lock is made. It ends with libevent_global_shutdown(). Not thread-safe.
 */
EVENT2_EXPORT_SYMBOL
void evthread_enable_lock_debugging(void);

/** The same as evthread_enable_lock_debugging(), under a name that older programs use. */
EVENT2_EXPORT_SYMBOL
void evthread_enable_lock_debuging(void);

/**
 * Makes sure that other threads can wake the loop of a base while it sleeps.
 *
 * A base that was made after lock callbacks were set can already be woken, so programs rarely need
 * this. Returns 0, or -1 if `base` is NULL or there are no descriptors or no memory left.
 */
EVENT2_EXPORT_SYMBOL
int evthread_make_base_notifiable(struct event_base *base);

#ifdef __cplusplus
}
#endif

#endif
