/* event2/event.h: bases, events and the loop.
 *
 * An `event_base` waits for many things at once. An `event` is one of them: a descriptor that
 * becomes readable or writable, a signal, a point in time, or something that the program triggers
 * itself, together with the function to call. event_base_dispatch() waits and calls these functions
 * until there is nothing left to wait for.
 *
 * Ownership: a program frees each event made by event_new() with event_free(), and then each base
 * with event_base_free(). The library copies every `struct timeval` that it is given, and never
 * closes a program's descriptor or frees a callback's argument.
 *
 * Threads: once threads are set up with event2/thread.h, functions that take an event or a base may
 * be called from any thread unless their text says otherwise; they wake the loop if necessary. Only
 * one thread at a time may run a base's loop. Callbacks are called in that thread, without the lock
 * of the base held.
 *
 * Results: functions that return int return 0 for success and -1 for failure unless their text
 * says otherwise.
 */
#ifndef EVENT2_EVENT_H_INCLUDED_
#define EVENT2_EVENT_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/types.h>

#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Waits for events and calls their callbacks. */
struct event_base;
/** Something to wait for, and the function to call then. */
struct event;
/** Options for making a base. */
struct event_config;

/**
 * Called when an event happens.
 *
 * Gets the event's descriptor or signal number (-1 if it has none), the `EV_*` bits that
 * happened, and the event's argument. It may do anything with any event or base, including its own,
 * except run the loop of the same base or free that base.
 */
typedef void (*event_callback_fn)(evutil_socket_t fd, short events, void *arg);

/**
 * Called in the thread of the loop when no callback of the event is running or will run any more.
 *
 * Gets the event and the event's argument, both of which it may free.
 */
typedef void (*event_finalize_callback_fn)(struct event *event, void *arg);

/**
 * Called for each event by event_base_foreach_event(), with the base locked.
 *
 * It must not change any event or base. It returns 0 to continue; any other value ends the
 * enumeration and becomes its result.
 */
typedef int (*event_base_foreach_event_cb)(const struct event_base *base,
    const struct event *event, void *arg);

/**
 * Called with every message of the library: an `EVENT_LOG_*` severity and a text without newline.
 *
 * The text is valid only during the call. The function may be called from any thread and while the
 * library holds locks, so it must not call the library.
 */
typedef void (*event_log_cb)(int severity, const char *message);

/**
 * Called with an error code when the library cannot go on.
 *
 * Should end the process: if it returns, the library calls exit() with the code.
 */
typedef void (*event_fatal_cb)(int error);

/* generated from src/c_api/event.rs */

/* generated from src/c_api/event_base.rs */

/** Says that event_set_mem_functions() is available. */
#define EVENT_SET_MEM_FUNCTIONS_IMPLEMENTED 1

/** The version of the headers a program was compiled with; event_get_version() is the library's. */
#define LIBEVENT_VERSION EVENT__VERSION
/** The same as a number, for comparisons. */
#define LIBEVENT_VERSION_NUMBER EVENT__NUMERIC_VERSION

/* The names that the 2.0 series gave to the severities. */
#define _EVENT_LOG_DEBUG EVENT_LOG_DEBUG
#define _EVENT_LOG_MSG EVENT_LOG_MSG
#define _EVENT_LOG_WARN EVENT_LOG_WARN
#define _EVENT_LOG_ERR EVENT_LOG_ERR

/** The signal number of a signal event. */
#define event_get_signal(event) ((int)event_get_fd(event))

/* Timers: events with nothing but a timeout, which event_add() gets. */
#define evtimer_assign(event, base, callback, arg) \
    event_assign((event), (base), -1, 0, (callback), (arg))
#define evtimer_new(base, callback, arg) event_new((base), -1, 0, (callback), (arg))
#define evtimer_add(event, timeout) event_add((event), (timeout))
#define evtimer_del(event) event_del(event)
#define evtimer_pending(event, expiry) event_pending((event), EV_TIMEOUT, (expiry))
#define evtimer_initialized(event) event_initialized(event)

/* Signals: events that stay pending and are called once or more for each delivery. */
#define evsignal_assign(event, base, signal_number, callback, arg) \
    event_assign((event), (base), (signal_number), EV_SIGNAL | EV_PERSIST, (callback), (arg))
#define evsignal_new(base, signal_number, callback, arg) \
    event_new((base), (signal_number), EV_SIGNAL | EV_PERSIST, (callback), (arg))
#define evsignal_add(event, timeout) event_add((event), (timeout))
#define evsignal_del(event) event_del(event)
#define evsignal_pending(event, expiry) event_pending((event), EV_SIGNAL, (expiry))
#define evsignal_initialized(event) event_initialized(event)

/* Events that become active only when the program triggers them. */
#define evuser_new(base, callback, arg) event_new((base), -1, 0, (callback), (arg))
#define evuser_trigger(event) event_active((event), 0, 0)
#define evuser_del(event) event_del(event)
#define evuser_pending(event, expiry) event_pending((event), 0, (expiry))
#define evuser_initialized(event) event_initialized(event)

#ifdef __cplusplus
}
#endif

#endif
