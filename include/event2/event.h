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

/**
 * The timeout has passed. Not needed in event_new(): whether there is a timeout is up to
 * event_add().
 */
#define EV_TIMEOUT 0x01

/** The descriptor can be read from. */
#define EV_READ 0x02

/** The descriptor can be written to. */
#define EV_WRITE 0x04

/** The signal was delivered. Cannot be combined with the bits for descriptors. */
#define EV_SIGNAL 0x08

/** The event stays pending when it becomes active; otherwise it must be added again. */
#define EV_PERSIST 0x10

/** Report only changes of readiness, if the backend can (`EV_FEATURE_ET`). */
#define EV_ET 0x20

/**
 * event_del() does not wait for the event's callback. Free such an event with
 * event_free_finalize().
 */
#define EV_FINALIZE 0x40

/** The peer has closed the connection, if the backend can tell (`EV_FEATURE_EARLY_CLOSE`). */
#define EV_CLOSED 0x80

/** Severity of details for debugging; see event_enable_debug_logging(). */
#define EVENT_LOG_DEBUG 0

/** Severity of information. */
#define EVENT_LOG_MSG 1

/** Severity of a failure that the library can recover from. */
#define EVENT_LOG_WARN 2

/** Severity of a failure that ends the process. */
#define EVENT_LOG_ERR 3

/** Mask for event_enable_debug_logging(): no debug messages. */
#define EVENT_DBG_NONE 0

/** Mask for event_enable_debug_logging(): all debug messages. */
#define EVENT_DBG_ALL 0xffffffffu

/**
 * Sets the function that gets every message of the library; NULL restores stderr.
 *
 * It may be called from any thread and while a base is locked, so it must not call the library.
 */
EVENT2_EXPORT_SYMBOL
void event_set_log_callback(event_log_cb callback);

/**
 * Sets the function that is called with the exit code before the library ends the process; NULL
 * removes it. It need not return; if it does, the process exits with that code.
 */
EVENT2_EXPORT_SYMBOL
void event_set_fatal_callback(event_fatal_cb callback);

/**
 * Enables debug messages if any bit of `which` is set, and disables them for `EVENT_DBG_NONE`.
 */
EVENT2_EXPORT_SYMBOL
void event_enable_debug_logging(ev_uint32_t which);

/**
 * Sets the functions that the library uses to allocate memory; a NULL argument stands for the
 * function of libc.
 *
 * Call it before anything else: blocks are freed with the functions that are set at that time. The
 * functions may be called from any thread, must align memory like `malloc()`, may return NULL, and
 * must not call the library.
 */
EVENT2_EXPORT_SYMBOL
void event_set_mem_functions(void *(*malloc_fn)(size_t size),
    void *(*realloc_fn)(void *block, size_t size), void (*free_fn)(void *block));

/** The version of the library whose interface this is, such as "2.1.12-stable". */
EVENT2_EXPORT_SYMBOL
const char *event_get_version(void);

/**
 * The version as a number: major, minor and patch in a byte each, the most significant first.
 */
EVENT2_EXPORT_SYMBOL
ev_uint32_t event_get_version_number(void);

/**
 * Frees what belongs to the process rather than to a base, and ends debug mode.
 *
 * Call it after all other objects of the library have been freed; a leak checker then finds
 * nothing. The callbacks stay set. Not thread-safe.
 */
EVENT2_EXPORT_SYMBOL
void libevent_global_shutdown(void);

/**
 * Prepares an event in memory that the program provides.
 *
 * `base` may be NULL for the base of event_init(). `fd` is a descriptor, a signal number with
 * `EV_SIGNAL`, or -1. `events` are `EV_*` bits, or 0 for a timer. If `arg` is event_self_cbarg(),
 * the callback gets the event itself. The previous contents of the memory do not matter, but the
 * event must not be pending or active. A persistent event with a timeout repeats it.
 *
 * The event gets the middle priority of the base. Returns 0, or -1 if `EV_SIGNAL` is combined with
 * bits for descriptors. Takes no lock.
 */
EVENT2_EXPORT_SYMBOL
int event_assign(struct event *event, struct event_base *base, evutil_socket_t fd,
    short events, event_callback_fn callback, void *arg);

/**
 * Makes an event; see event_assign() for the arguments.
 *
 * Returns the event, to be freed with event_free(), or NULL if there is no memory or the arguments
 * are not valid.
 */
EVENT2_EXPORT_SYMBOL
struct event *event_new(struct event_base *base, evutil_socket_t fd, short events,
    event_callback_fn callback, void *arg);

/**
 * Deletes an event made by event_new() and frees it. May be called from its own callback; NULL is
 * ignored.
 *
 * In a thread other than the loop's, it first waits for the event's running callback to return,
 * unless the event has `EV_FINALIZE`. Do not hold a lock that the callback needs.
 */
EVENT2_EXPORT_SYMBOL
void event_free(struct event *event);

/** The argument for event_new() and event_assign() that stands for the event itself. */
EVENT2_EXPORT_SYMBOL
void *event_self_cbarg(void);

/**
 * Moves an event that is neither pending nor active to another base, where it gets the middle
 * priority.
 *
 * Returns 0, or -1 if the event was never assigned, or is pending or active. Takes no lock.
 */
EVENT2_EXPORT_SYMBOL
int event_base_set(struct event_base *base, struct event *event);

/**
 * Makes an event pending.
 *
 * It then waits for what it was assigned, and, unless `timeout` is NULL, until that much time has
 * passed. If the event is already pending, a NULL timeout keeps its timeout and another one
 * replaces it. `{0, 0}` is due in the next pass of the loop.
 *
 * Returns 0; or -1, with nothing changed, if the event has no base or is being finalized, memory
 * is short, or the system refuses the descriptor or signal (errno says why). May be called from
 * any thread.
 */
EVENT2_EXPORT_SYMBOL
int event_add(struct event *event, const struct timeval *timeout);

/**
 * Removes an event's timeout, including the interval that a persistent event repeats; whatever
 * else it waits for stays. Returns 0, or -1 if the event has no base. May be called from any
 * thread.
 */
EVENT2_EXPORT_SYMBOL
int event_remove_timer(struct event *event);

/**
 * Makes an event neither pending nor active. If it is neither already, nothing happens.
 *
 * In a thread other than the loop's, it waits for the event's running callback to return, unless
 * the event has `EV_FINALIZE`. Do not hold a lock that the callback needs.
 *
 * Returns 0, or -1 if the event has no base, or if the system refuses to watch the descriptor for
 * the remaining events; this event is deleted all the same. May be called from any thread.
 */
EVENT2_EXPORT_SYMBOL
int event_del(struct event *event);

/** event_del() that never waits: the callback may still be running in the loop's thread. */
EVENT2_EXPORT_SYMBOL
int event_del_noblock(struct event *event);

/** event_del() that waits for a running callback even if the event has `EV_FINALIZE`. */
EVENT2_EXPORT_SYMBOL
int event_del_block(struct event *event);

/**
 * Makes an event active as if it had happened; it need not be pending.
 *
 * Its callback gets `result`, `EV_*` bits. If the event is active already, the bits are added to
 * those it has. `ncalls` is how often the callback of a signal event is called; it is ignored for
 * other events. May be called from any thread.
 */
EVENT2_EXPORT_SYMBOL
void event_active(struct event *event, int result, short ncalls);

/**
 * Which of the bits in `events` an event is pending or active for.
 *
 * If `events` contains `EV_TIMEOUT` and the event has a timeout pending, `*expiry` is set to the
 * time of day when it is due, unless `expiry` is NULL. Returns `EV_*` bits. May be called from any
 * thread.
 */
EVENT2_EXPORT_SYMBOL
int event_pending(const struct event *event, short events, struct timeval *expiry);

/**
 * Deletes an event, and calls `callback` once no callback of the event is running any more.
 *
 * Never waits, in any thread. The finalizer runs in the loop, or in event_base_free(), and gets
 * the event and its argument. Until then the event cannot be added or activated; afterwards it may
 * be assigned again or freed. `flags` must be 0. Returns 0, or -1 if the event has no base.
 */
EVENT2_EXPORT_SYMBOL
int event_finalize(unsigned int flags, struct event *event,
    event_finalize_callback_fn callback);

/** event_finalize() that then frees the event, which must have been made by event_new(). */
EVENT2_EXPORT_SYMBOL
int event_free_finalize(unsigned int flags, struct event *event,
    event_finalize_callback_fn callback);

/** Whether an event was assigned. The memory must be zero or must have been assigned. */
EVENT2_EXPORT_SYMBOL
int event_initialized(const struct event *event);

/** An event's descriptor or signal number; -1 if it has none. Takes no lock. */
EVENT2_EXPORT_SYMBOL
evutil_socket_t event_get_fd(const struct event *event);

/** An event's base. Takes no lock. */
EVENT2_EXPORT_SYMBOL
struct event_base *event_get_base(const struct event *event);

/** The `EV_*` bits that an event was assigned. Takes no lock. */
EVENT2_EXPORT_SYMBOL
short event_get_events(const struct event *event);

/** An event's callback. Takes no lock. */
EVENT2_EXPORT_SYMBOL
event_callback_fn event_get_callback(const struct event *event);

/** An event's argument. Takes no lock. */
EVENT2_EXPORT_SYMBOL
void *event_get_callback_arg(const struct event *event);

/** An event's priority; smaller numbers are more urgent. Takes no lock. */
EVENT2_EXPORT_SYMBOL
int event_get_priority(const struct event *event);

/**
 * Everything that an event was assigned, stored where the pointers are not NULL. Takes no lock.
 */
EVENT2_EXPORT_SYMBOL
void event_get_assignment(const struct event *event, struct event_base **base_out,
    evutil_socket_t *fd_out, short *events_out, event_callback_fn *callback_out, void **arg_out);

/**
 * The size of `struct event` in the library, for programs that allocate it without its definition.
 */
EVENT2_EXPORT_SYMBOL
size_t event_get_struct_event_size(void);

/**
 * Sets the priority of an event, from 0, the most urgent, to one less than the number of
 * priorities of its base.
 *
 * Returns 0, or -1 if the event is active or has no base, or the base has no such priority. Takes
 * no lock.
 */
EVENT2_EXPORT_SYMBOL
int event_priority_set(struct event *event, int priority);

/**
 * In debug mode, says that the memory of an event will be reused without a call of event_free().
 */
EVENT2_EXPORT_SYMBOL
void event_debug_unassign(struct event *event);

/**
 * Makes the library check that events are used correctly, at some cost; misuse is then a fatal
 * error.
 *
 * Must be the first call of the library, before any event or base is made, and be made only once.
 */
EVENT2_EXPORT_SYMBOL
void event_enable_debug_mode(void);

/** Wait at most once, and return when no event is active any more. */
#define EVLOOP_ONCE 0x01

/** Do not wait; return when no event is ready. */
#define EVLOOP_NONBLOCK 0x02

/** Do not return because there are no events. */
#define EVLOOP_NO_EXIT_ON_EMPTY 0x04

/** Count active events and other queued callbacks. */
#define EVENT_BASE_COUNT_ACTIVE 1

/** Count everything that keeps the loop running without being an event. */
#define EVENT_BASE_COUNT_VIRTUAL 2

/**
 * Count what events wait for: a descriptor or signal, a timeout, and a queued callback count one
 * each.
 */
#define EVENT_BASE_COUNT_ADDED 4

/** An upper bound for the number of priorities; a base accepts at most one less. */
#define EVENT_MAX_PRIORITIES 256

/** What a backend can do; bits for event_config_require_features(). */
enum event_method_feature {
    /** Edge-triggered events. */
    EV_FEATURE_ET = 1,
    /** Adding, deleting and activating an event takes constant time. */
    EV_FEATURE_O1 = 2,
    /** Any kind of descriptor works, including those of regular files. */
    EV_FEATURE_FDS = 4,
    /** `EV_CLOSED` works. */
    EV_FEATURE_EARLY_CLOSE = 8
};

/** Bits for event_config_set_flag(). */
enum event_base_config_flag {
    /** Use no lock even if threads are set up: the base is used by one thread only. */
    EVENT_BASE_FLAG_NOLOCK = 1,
    /** Ignore environment variables when choosing the backend. */
    EVENT_BASE_FLAG_IGNORE_ENV = 2,
    /** For another operating system; has no effect here. */
    EVENT_BASE_FLAG_STARTUP_IOCP = 4,
    /** Read the clock whenever the time is needed, instead of once per pass. */
    EVENT_BASE_FLAG_NO_CACHE_TIME = 8,
    /**
     * Collect changes and pass them to epoll just before it waits. Not for descriptors made with
     * `dup()`.
     */
    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST = 16,
    /** Use a clock with microsecond precision instead of the cheapest one. */
    EVENT_BASE_FLAG_PRECISE_TIMER = 32
};

/**
 * Makes a configuration with default values.
 *
 * Returns it, to be freed with event_config_free(), or NULL if there is no memory. A configuration
 * may be used by one thread at a time.
 */
EVENT2_EXPORT_SYMBOL
struct event_config *event_config_new(void);

/** Frees a configuration; bases made with it are not affected. NULL is ignored. */
EVENT2_EXPORT_SYMBOL
void event_config_free(struct event_config *config);

/**
 * Excludes a backend: "epoll", "poll" or "select"; other names have no effect.
 *
 * Returns 0, or -1 if `config` is NULL or there is no memory.
 */
EVENT2_EXPORT_SYMBOL
int event_config_avoid_method(struct event_config *config, const char *method);

/**
 * Requires features of the backend, as `EV_FEATURE_*` bits, replacing those required before.
 *
 * Returns 0, or -1 if `config` is NULL. If no backend has the features, making the base fails.
 */
EVENT2_EXPORT_SYMBOL
int event_config_require_features(struct event_config *config, int features);

/** Adds `EVENT_BASE_FLAG_*` bits. Returns 0, or -1 if `config` is NULL. */
EVENT2_EXPORT_SYMBOL
int event_config_set_flag(struct event_config *config, int flags);

/** For another operating system: has no effect here. Returns 0, or -1 if `config` is NULL. */
EVENT2_EXPORT_SYMBOL
int event_config_set_num_cpus_hint(struct event_config *config, int cpus);

/**
 * Limits how long callbacks run before the loop looks for more urgent events again.
 *
 * The limit is the time `max_interval`, unless NULL, and the number `max_callbacks`, unless
 * negative. It applies to priorities from `min_priority` on; more urgent callbacks are not
 * limited. Returns 0, or -1 if `config` is NULL.
 */
EVENT2_EXPORT_SYMBOL
int event_config_set_max_dispatch_interval(struct event_config *config,
    const struct timeval *max_interval, int max_callbacks, int min_priority);

/** Makes a base with the default configuration; see event_base_new_with_config(). */
EVENT2_EXPORT_SYMBOL
struct event_base *event_base_new(void);

/**
 * Makes a base; NULL stands for the default configuration. The configuration is not needed
 * afterwards.
 *
 * Environment variables may exclude backends (`EVENT_NOEPOLL`, `EVENT_NOPOLL`, `EVENT_NOSELECT`)
 * unless the configuration ignores them. Returns the base, to be freed with event_base_free(); or
 * NULL, with a warning, if no backend is suitable, or memory or descriptors are short.
 */
EVENT2_EXPORT_SYMBOL
struct event_base *event_base_new_with_config(const struct event_config *config);

/**
 * Frees a base; NULL stands for the one of event_init().
 *
 * Its events are deleted without calling their callbacks, but still belong to the program, which
 * frees them. Finalizers that are waiting are called. Descriptors are not closed, and signal
 * handlers are restored. No loop may be running, and no other thread may use the base.
 */
EVENT2_EXPORT_SYMBOL
void event_base_free(struct event_base *base);

/** event_base_free() that drops waiting finalizers instead of calling them. */
EVENT2_EXPORT_SYMBOL
void event_base_free_nofinalize(struct event_base *base);

/**
 * Makes a base usable in a child process after `fork()`.
 *
 * The child gets kernel objects of its own; events, timeouts and a running loop are kept. Without
 * this call, changes in the child affect the parent. Returns 0, or -1 if a descriptor could not be
 * registered again or a system call failed.
 */
EVENT2_EXPORT_SYMBOL
int event_reinit(struct event_base *base);

/** The name of a base's backend, such as "epoll". Takes no lock. */
EVENT2_EXPORT_SYMBOL
const char *event_base_get_method(const struct event_base *base);

/** The features of a base's backend, as `EV_FEATURE_*` bits. Takes no lock. */
EVENT2_EXPORT_SYMBOL
int event_base_get_features(const struct event_base *base);

/** The names of all backends: an array that ends with NULL and belongs to the library. */
EVENT2_EXPORT_SYMBOL
const char **event_get_supported_methods(void);

/**
 * Runs the loop until there is nothing left to wait for or it is told to end; see
 * event_base_loop().
 */
EVENT2_EXPORT_SYMBOL
int event_base_dispatch(struct event_base *base);

/**
 * Waits for events and calls their callbacks, in passes; `flags` are `EVLOOP_*` bits.
 *
 * In each pass, the callbacks of the most urgent priority that has active ones are called, in the
 * order in which they became active; then the loop looks for new events. Only one loop may run on
 * a base at a time. Returns 0 if it was told to end (by event_base_loopexit(),
 * event_base_loopbreak() or `flags`), 1 if there was nothing left to wait for, or -1 on an error.
 */
EVENT2_EXPORT_SYMBOL
int event_base_loop(struct event_base *base, int flags);

/**
 * Ends the loop after `timeout`, or, if that is NULL, as soon as the active callbacks have run.
 *
 * Also works before the loop runs: a loop with nothing else to do then ends at once. Returns 0, or
 * -1 if `base` is NULL or there is no memory. May be called from any thread.
 */
EVENT2_EXPORT_SYMBOL
int event_base_loopexit(struct event_base *base, const struct timeval *timeout);

/**
 * Ends the running loop after the current callback. Other active events stay active.
 *
 * Has no effect on a loop that starts later. Returns 0, or -1 if `base` is NULL or a loop in
 * another thread could not be woken. May be called from any thread.
 */
EVENT2_EXPORT_SYMBOL
int event_base_loopbreak(struct event_base *base);

/**
 * Makes the running loop look for events after the current callback, before it calls others.
 *
 * Returns 0, or -1 if `base` is NULL or a loop in another thread could not be woken. May be called
 * from any thread.
 */
EVENT2_EXPORT_SYMBOL
int event_base_loopcontinue(struct event_base *base);

/** Whether event_base_loopexit() ended the loop, or will. Cleared when a loop starts. */
EVENT2_EXPORT_SYMBOL
int event_base_got_exit(struct event_base *base);

/** Whether event_base_loopbreak() ended the loop, or will. Cleared when a loop starts. */
EVENT2_EXPORT_SYMBOL
int event_base_got_break(struct event_base *base);

/**
 * Calls a callback once, without an event that the program has to manage.
 *
 * `events` are `EV_READ`, `EV_WRITE` and `EV_CLOSED` for a descriptor, or `EV_TIMEOUT` alone; in
 * the latter case the callback becomes active at once if `timeout` is NULL or `{0, 0}`. Returns 0,
 * or -1 if `events` has other bits, `base` is NULL, there is no memory, or the system refuses the
 * descriptor. May be called from any thread.
 */
EVENT2_EXPORT_SYMBOL
int event_base_once(struct event_base *base, evutil_socket_t fd, short events,
    event_callback_fn callback, void *arg, const struct timeval *timeout);

/**
 * The event whose callback is running; NULL outside of callbacks and in threads other than the
 * loop's. A callback that has freed its event still gets the address.
 */
EVENT2_EXPORT_SYMBOL
struct event *event_base_get_running_event(struct event_base *base);

/**
 * Gives a base priorities from 0, the most urgent, to `npriorities` - 1.
 *
 * Events made later get the middle one, so this is best called before events are made. Returns 0,
 * or -1 if the number is not from 1 to 255, an event is active, or there is no memory. Not
 * thread-safe.
 */
EVENT2_EXPORT_SYMBOL
int event_base_priority_init(struct event_base *base, int npriorities);

/** The number of priorities of a base; NULL stands for the one of event_init(). */
EVENT2_EXPORT_SYMBOL
int event_base_get_npriorities(struct event_base *base);

/**
 * Prepares a duration that many timeouts of a base share, so that adding and deleting them takes
 * constant time.
 *
 * Returns a value to pass to event_add() instead of `duration`; it belongs to the base and is
 * always the same for the same duration. Returns NULL, with a warning, if the base has 256 already
 * or there is no memory.
 */
EVENT2_EXPORT_SYMBOL
const struct timeval *event_base_init_common_timeout(struct event_base *base,
    const struct timeval *duration);

/** The current number of what the `EVENT_BASE_COUNT_*` bits in `types` select, summed up. */
EVENT2_EXPORT_SYMBOL
int event_base_get_num_events(struct event_base *base, unsigned int types);

/**
 * The highest number so far of what the `EVENT_BASE_COUNT_*` bits in `types` select, summed up.
 * With `clear`, the maximums are reset to 0.
 */
EVENT2_EXPORT_SYMBOL
int event_base_get_max_events(struct event_base *base, unsigned int types, int clear);

/**
 * Calls `callback` for every event that is pending or active, including the library's own.
 *
 * The base is locked during the calls, and the callback must not change anything. If it returns a
 * value other than 0, the enumeration ends with that result. Returns 0 at the end, or -1 if an
 * argument is NULL.
 */
EVENT2_EXPORT_SYMBOL
int event_base_foreach_event(struct event_base *base, event_base_foreach_event_cb callback,
    void *arg);

/**
 * Writes a line for every pending and every active event to a stream, in a form for people to
 * read.
 */
EVENT2_EXPORT_SYMBOL
void event_base_dump_events(struct event_base *base, FILE *out);

/**
 * Makes the events on a descriptor that wait for one of `events` active, as if it were ready.
 *
 * With `EV_TIMEOUT`, it instead makes every event with this descriptor that has a timeout active,
 * with `EV_TIMEOUT`.
 */
EVENT2_EXPORT_SYMBOL
void event_base_active_by_fd(struct event_base *base, evutil_socket_t fd, short events);

/** Makes the events for a signal active as if it had been delivered once. */
EVENT2_EXPORT_SYMBOL
void event_base_active_by_signal(struct event_base *base, int signal_number);

/**
 * The time of day as read once per pass, so it stays the same within a callback. NULL stands for
 * the base of event_init(). Stores it in `*now` and returns 0, or -1 if `now` is NULL.
 */
EVENT2_EXPORT_SYMBOL
int event_base_gettimeofday_cached(struct event_base *base, struct timeval *now);

/**
 * Updates the cached time, for use in a callback that takes long. NULL stands for the base of
 * event_init(). Returns 0, or -1 if there is no base.
 */
EVENT2_EXPORT_SYMBOL
int event_base_update_cache_time(struct event_base *base);

/**
 * The current time of the clock that a base measures timeouts with. Stores it in `*now` and
 * returns 0, or -1 if an argument is NULL.
 */
EVENT2_EXPORT_SYMBOL
int event_gettime_monotonic(struct event_base *base, struct timeval *now);

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
