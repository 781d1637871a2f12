/* event2/thread.h: using the library from several threads.
 *
 * Without one of the set-up functions here the library takes no locks, and each base, with what
 * belongs to it, may be used by one thread only. Set threads up before making any base, buffer or
 * other object: an object gets its lock when it is made. Programs on POSIX threads call
 * evthread_use_pthreads() and are done; the callback structures are for other kinds of threads.
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

/** Mode bit: a read-write lock is taken or given up by a writer. */
#define EVTHREAD_WRITE 0x04

/** Mode bit: a read-write lock is taken or given up by a reader. */
#define EVTHREAD_READ 0x08

/** Mode bit: take the lock only if that needs no waiting; else return non-zero at once. */
#define EVTHREAD_TRY 0x10

/** Value of `lock_api_version`. */
#define EVTHREAD_LOCK_API_VERSION 1

/** Lock type: the thread that holds the lock may take it again, and gives it up as often. */
#define EVTHREAD_LOCKTYPE_RECURSIVE 1

/** Lock type: many readers at a time, or one writer. The library never asks for one. */
#define EVTHREAD_LOCKTYPE_READWRITE 2

/** Value of `condition_api_version`. */
#define EVTHREAD_CONDITION_API_VERSION 1

/**
 * How the library locks, for `evthread_set_lock_callbacks()`.
 *
 * The functions are called from any thread that uses the library and must not call it.
 */
struct evthread_lock_callbacks {
    /** `EVTHREAD_LOCK_API_VERSION`. */
    int lock_api_version;
    /** The lock types that `alloc` knows, or-ed; recursive locks are needed. */
    unsigned int supported_locktypes;
    /** Makes a lock of type 0 or `EVTHREAD_LOCKTYPE_RECURSIVE`; `NULL` when it cannot. */
    void *(*alloc)(unsigned int locktype);
    /** Frees a lock; gets the type it was made with. */
    void (*free)(void *lock, unsigned int locktype);
    /** Takes a lock. The mode is 0 or `EVTHREAD_TRY`. Returns 0 when the lock is taken. */
    int (*lock)(unsigned int mode, void *lock);
    /** Gives up a lock, in the thread that took it. Returns 0. */
    int (*unlock)(unsigned int mode, void *lock);
};

/** How the library waits for conditions, for `evthread_set_condition_callbacks()`. */
struct evthread_condition_callbacks {
    /** `EVTHREAD_CONDITION_API_VERSION`. */
    int condition_api_version;
    /** Makes a condition; the type is always 0. `NULL` when it cannot. */
    void *(*alloc_condition)(unsigned int condtype);
    /** Frees a condition that nobody waits for. */
    void (*free_condition)(void *cond);
    /**
     * Wakes all waiting threads (`broadcast` 1) or at least one (0). Called with the lock of the
     * condition held. Returns 0, or -1 on failure.
     */
    int (*signal_condition)(void *cond, int broadcast);
    /**
     * Gives up `lock`, which the caller holds, waits for a signal, takes the lock again. Waits
     * at most `timeout` when that is not `NULL`. Returns 0 when signalled, 1 when the time has
     * passed, -1 on failure.
     */
    int (*wait_condition)(void *cond, void *lock, const struct timeval *timeout);
};

/**
 * Sets the functions that lock and unlock.
 *
 * Call it before anything else of the library, except for the memory and log hooks: an object
 * made earlier has no lock for life. The structure is copied. The library makes the few locks
 * that belong to the process before this function returns.
 *
 * Callbacks cannot be replaced by others: setting the same ones again does nothing. `NULL`
 * removes them, with a warning, and every lock is then left untaken. While debug mode is on, a
 * call after the first `event_base` was made is a fatal error.
 *
 * Returns 0, or -1 when a function is missing, other callbacks are set already, or a lock of the
 * process cannot be made; nothing is changed then. Not thread-safe.
 */
EVENT2_EXPORT_SYMBOL
int evthread_set_lock_callbacks(const struct evthread_lock_callbacks *callbacks);

/**
 * Sets the functions that wait for and signal conditions.
 *
 * The rules about when to call it, about replacing and removing callbacks, and the results are
 * those of `evthread_set_lock_callbacks()`. The structure is copied. Not thread-safe.
 */
EVENT2_EXPORT_SYMBOL
int evthread_set_condition_callbacks(const struct evthread_condition_callbacks *callbacks);

/**
 * Sets the function that tells threads apart.
 *
 * It returns a number that no other living thread has and that stays the same as long as the
 * thread lives. Without it (`NULL`) the library takes every call for one of the thread that runs
 * the loop, and other threads do not wake a loop that sleeps. Not thread-safe.
 */
EVENT2_EXPORT_SYMBOL
void evthread_set_id_callback(unsigned long (*id_fn)(void));

/**
 * Sets lock, condition and thread-id functions for programs that use POSIX threads: all that
 * such a program has to do.
 *
 * Call it before anything else of the library, except for the memory and log hooks; the locks
 * come from the memory hooks. Lock or condition callbacks of the program that are set already
 * stay in force, with a warning. A second call does nothing.
 *
 * Returns 0, or -1 when there is no memory for the locks of the process. Thread-safe.
 */
EVENT2_EXPORT_SYMBOL
int evthread_use_pthreads(void);

/**
 * Makes the library check how locks are used.
 *
 * A lock that its holder takes twice although it is not recursive, that is given up by a thread
 * that does not hold it or freed while it is held, and other errors of that sort end the process
 * through the fatal-error callback. Works with any callbacks, set before or after, and without;
 * call it before any object with a lock is made. It ends with `libevent_global_shutdown()`.
 * Not thread-safe.
 */
EVENT2_EXPORT_SYMBOL
void evthread_enable_lock_debugging(void);

/** The same as `evthread_enable_lock_debugging()`, under the name that older programs know. */
EVENT2_EXPORT_SYMBOL
void evthread_enable_lock_debuging(void);

/**
 * Makes sure that other threads can wake the loop of a base while it sleeps.
 *
 * A base that was made after lock callbacks were set can be woken already, so programs rarely
 * call this. Returns 0, or -1 when `base` is `NULL` or there are no descriptors or memory left.
 */
EVENT2_EXPORT_SYMBOL
int evthread_make_base_notifiable(struct event_base *base);

#ifdef __cplusplus
}
#endif

#endif
