/* event2/event_compat.h: the 1.x interface, which has one base for the whole process.
 *
 * All of it uses the base that event_init() made last, so it cannot be used from several threads
 * at once, and libraries cannot share it with the programs that load them. New programs should
 * pass their base explicitly.
 */
#ifndef EVENT2_EVENT_COMPAT_H_INCLUDED_
#define EVENT2_EVENT_COMPAT_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a base, which functions without a base argument use from now on.
 *
 * An earlier one is not freed. Returns the base, to be freed with event_base_free(); failure is
 * fatal.
 */
EVENT2_EXPORT_SYMBOL
struct event_base *event_init(void);

/** event_base_dispatch() on the base of event_init(); returns -1 without one. */
EVENT2_EXPORT_SYMBOL
int event_dispatch(void);

/** event_base_loop() on the base of event_init(); returns -1 without one. */
EVENT2_EXPORT_SYMBOL
int event_loop(int flags);

/** event_base_loopexit() on the base of event_init(); returns -1 without one. */
EVENT2_EXPORT_SYMBOL
int event_loopexit(const struct timeval *timeout);

/** event_base_loopbreak() on the base of event_init(); returns -1 without one. */
EVENT2_EXPORT_SYMBOL
int event_loopbreak(void);

/** event_base_once() on the base of event_init(); returns -1 without one. */
EVENT2_EXPORT_SYMBOL
int event_once(evutil_socket_t fd, short events, event_callback_fn callback, void *arg,
    const struct timeval *timeout);

/** The backend of the base of event_init(); NULL without one. */
EVENT2_EXPORT_SYMBOL
const char *event_get_method(void);

/** event_base_priority_init() on the base of event_init(); returns -1 without one. */
EVENT2_EXPORT_SYMBOL
int event_priority_init(int npriorities);

/**
 * event_assign() for the base of event_init(). Invalid arguments are fatal. A program with several
 * bases calls event_base_set() next.
 */
EVENT2_EXPORT_SYMBOL
void event_set(struct event *event, evutil_socket_t fd, short events,
    event_callback_fn callback, void *arg);

/* Timers, under two names. */
#define evtimer_set(event, callback, arg) event_set((event), -1, 0, (callback), (arg))
#define timeout_set(event, callback, arg) event_set((event), -1, 0, (callback), (arg))
#define timeout_add(event, timeout) event_add((event), (timeout))
#define timeout_del(event) event_del(event)
#define timeout_pending(event, expiry) event_pending((event), EV_TIMEOUT, (expiry))
#define timeout_initialized(event) event_initialized(event)

/* Signals, under two names. */
#define evsignal_set(event, signal_number, callback, arg) \
    event_set((event), (signal_number), EV_SIGNAL | EV_PERSIST, (callback), (arg))
#define signal_set(event, signal_number, callback, arg) \
    event_set((event), (signal_number), EV_SIGNAL | EV_PERSIST, (callback), (arg))
#define signal_add(event, timeout) event_add((event), (timeout))
#define signal_del(event) event_del(event)
#define signal_pending(event, expiry) event_pending((event), EV_SIGNAL, (expiry))
#define signal_initialized(event) event_initialized(event)

/* What an event waits for. */
#ifndef EVENT_FD
#define EVENT_FD(event) ((int)event_get_fd(event))
#define EVENT_SIGNAL(event) event_get_signal(event)
#endif

#ifdef __cplusplus
}
#endif

#endif
