/* event2/event.h: bases, events and the loop.
 *
 * An `event_base` waits for many things at once; an `event` is one of them: a descriptor that
 * becomes readable or writable, a signal, a point in time, or a call from the program itself,
 * together with the function to call then. event_base_dispatch() waits and calls, until nothing
 * is left to wait for.
 *
 * Ownership: a program frees each base with event_base_free() and each event of event_new() with
 * event_free(), the events first. The library copies every `struct timeval` it is given, and
 * never closes a program's descriptor or frees a callback's argument.
 *
 * Threads: after event2/thread.h has been set up, functions that take an event or a base may be
 * called from any thread except where their text says otherwise, and wake the loop where
 * needed. Only one thread at a time may run a base's loop, and callbacks are called in that
 * thread, with no lock of the base held.
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
/** One thing to wait for and what to call then. */
struct event;
/** Wishes for a new base. */
struct event_config;

/**
 * Called when an event happens.
 *
 * Gets the event's descriptor or signal number (-1 when it has none), the `EV_*` bits that
 * happened, and the event's argument. It may do anything with any event or base, its own
 * included, except run the loop of the same base or free that base.
 */
typedef void (*event_callback_fn)(evutil_socket_t fd, short events, void *arg);

/**
 * Called when no callback of the event runs or will run any more, in the thread of the loop.
 *
 * Gets the event and the event's argument, which it may release.
 */
typedef void (*event_finalize_callback_fn)(struct event *event, void *arg);

/**
 * Called for each event by event_base_foreach_event(), with the base locked.
 *
 * It must not change any event or base. Returns 0 to go on; any other value ends the enumeration
 * and becomes its result.
 */
typedef int (*event_base_foreach_event_cb)(const struct event_base *base,
    const struct event *event, void *arg);

/**
 * Gets every message of the library: an `EVENT_LOG_*` severity and a text without newline.
 *
 * The text is valid during the call only. It may be called from any thread and while the library
 * holds locks, so it must not call the library.
 */
typedef void (*event_log_cb)(int severity, const char *message);

/**
 * Called with an error code when the library cannot go on.
 *
 * Should end the process: when it returns, the library calls exit() with the code.
 */
typedef void (*event_fatal_cb)(int error);

/* generated from src/c_api/event.rs */

/* generated from src/c_api/event_base.rs */

/** Says that event_set_mem_functions() exists. */
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

/* Events of the program's own, which happen when it triggers them. */
#define evuser_new(base, callback, arg) event_new((base), -1, 0, (callback), (arg))
#define evuser_trigger(event) event_active((event), 0, 0)
#define evuser_del(event) event_del(event)
#define evuser_pending(event, expiry) event_pending((event), 0, (expiry))
#define evuser_initialized(event) event_initialized(event)

#ifdef __cplusplus
}
#endif

#endif
