/* event2/bufferevent.h: connections with buffers.
 *
 * A `bufferevent` is a stream, usually a connected socket, with a buffer for what came in and one
 * for what is to go out. It does the reading and writing; the program is called when there is
 * enough to read, when the output has run low, and when the connection is made, ends or fails.
 *
 * Threads: with `BEV_OPT_THREADSAFE` a bufferevent and both its buffers may be used from any
 * thread, under one lock. Callbacks run in the thread of the loop, with that lock held unless
 * `BEV_OPT_UNLOCK_CALLBACKS` was given.
 *
 * Results: functions that return int return 0 for success and -1 for failure unless their text
 * says otherwise.
 */
#ifndef EVENT2_BUFFEREVENT_H_INCLUDED_
#define EVENT2_BUFFEREVENT_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>
#include <sys/time.h>
#include <sys/types.h>

#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evbuffer;
struct evdns_base;
struct event_base;
struct sockaddr;

/** A stream with buffers. */
struct bufferevent;
/** How many bytes may pass in a tick. */
struct ev_token_bucket_cfg;
/** Bufferevents that share one limit. */
struct bufferevent_rate_limit_group;

/** The highest rate: no limit. */
#define EV_RATE_LIMIT_MAX EV_SSIZE_MAX

/** What an event callback is told: it happened while reading. */
#define BEV_EVENT_READING 0x01

/** It happened while writing. */
#define BEV_EVENT_WRITING 0x02

/** The stream has ended in that direction. */
#define BEV_EVENT_EOF 0x10

/**
 * Reading, writing, connecting or the look-up of the name failed; errno tells why, unless
 * bufferevent_socket_get_dns_error() does.
 */
#define BEV_EVENT_ERROR 0x20

/** A timeout has passed in that direction, which is disabled now. */
#define BEV_EVENT_TIMEOUT 0x40

/** The connection is made. */
#define BEV_EVENT_CONNECTED 0x80

/** How a bufferevent is made. */
enum bufferevent_options {
    /** Freeing it closes the descriptor, or frees the bufferevent below. */
    BEV_OPT_CLOSE_ON_FREE = 1,
    /** It has a lock and may be used from several threads. */
    BEV_OPT_THREADSAFE = 2,
    /** Callbacks are called from the loop, never from inside a function of the program. */
    BEV_OPT_DEFER_CALLBACKS = 4,
    /** Callbacks are called without the lock held. Needs `BEV_OPT_DEFER_CALLBACKS`. */
    BEV_OPT_UNLOCK_CALLBACKS = 8
};

/** How much bufferevent_flush() moves. */
enum bufferevent_flush_mode {
    /** What is moved anyway. */
    BEV_NORMAL = 0,
    /** All there is. */
    BEV_FLUSH = 1,
    /** All there is, and nothing will follow. */
    BEV_FINISHED = 2
};

/** How bufferevent_trigger() and bufferevent_trigger_event() call. */
enum bufferevent_trigger_options {
    /** Whatever the watermarks say. */
    BEV_TRIG_IGNORE_WATERMARKS = 65536,
    /** From the loop. */
    BEV_TRIG_DEFER_CALLBACKS = 4
};

/** What a filter function returns. */
enum bufferevent_filter_result {
    /** It moved data; call it again while there is more. */
    BEV_OK = 0,
    /** It needs more data before it can move any. */
    BEV_NEED_MORE = 1,
    /** It cannot go on with this data. */
    BEV_ERROR = 2
};

/** Called when there is enough to read, or when the output has run low. */
typedef void (*bufferevent_data_cb)(struct bufferevent *bev, void *ctx);

/**
 * Called when the connection is made, ends, fails or times out; `what` is or-ed from the
 * `BEV_EVENT_*` flags.
 */
typedef void (*bufferevent_event_cb)(struct bufferevent *bev, short what, void *ctx);

/**
 * Moves data from `src` to `dst`, changing it as it likes, until `src` is empty or `dst` has
 * taken `dst_limit` more bytes (-1: any number).
 *
 * `BEV_NORMAL` as mode leaves it to the filter how much to hold back; with `BEV_FLUSH` it should
 * hold back as little as it can, and `BEV_FINISHED` means that nothing will follow.
 */
typedef enum bufferevent_filter_result (*bufferevent_filter_cb)(struct evbuffer *src,
    struct evbuffer *dst, ev_ssize_t dst_limit, enum bufferevent_flush_mode mode, void *ctx);

/**
 * Makes a bufferevent on a descriptor, which should be non-blocking; -1 is none yet.
 *
 * It begins with `EV_WRITE` enabled, and touches the descriptor when there is something to write
 * or a direction is enabled. Besides sockets, everything works that can be polled. `options` are
 * `BEV_OPT_*` flags, or-ed. A `base` of NULL is that of event_init().
 *
 * Returns NULL when memory is short, or for options that cannot be served: `THREADSAFE` without
 * lock callbacks, `UNLOCK_CALLBACKS` without `DEFER_CALLBACKS`. The caller owns it:
 * bufferevent_free(), before the base is freed.
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_socket_new(struct event_base *base, evutil_socket_t fd,
    int options);

/**
 * Connects a bufferevent on a socket to an address.
 *
 * Without a descriptor it gets a new socket, which is the caller's if this fails afterwards only
 * by an event. With a NULL address, the descriptor is being connected by the caller already.
 *
 * Returns -1 when it cannot even start, and no callback will follow. After 0 the event callback
 * gets `BEV_EVENT_CONNECTED` or `BEV_EVENT_ERROR`, later and from the loop; before that, it may
 * get a write timeout.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_socket_connect(struct bufferevent *bufev, const struct sockaddr *addr,
    int socklen);

/**
 * Looks a host name up and connects to its first address, as bufferevent_socket_connect() does.
 *
 * `family` is `AF_INET`, `AF_INET6`, or `AF_UNSPEC` for either; `hostname` is a name or a numeric
 * address, also in brackets. With an `evdns_base` the look-up goes on in the loop; with NULL this
 * function waits for it. Both directions rest until it ends.
 *
 * Returns -1 for a family or port out of range and while another look-up is under way; after 0,
 * every outcome is told to the event callback, perhaps before this returns. See
 * bufferevent_socket_get_dns_error().
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_socket_connect_hostname(struct bufferevent *bufev,
    struct evdns_base *evdns_base, int family, const char *hostname, int port);

/**
 * Why the look-up of bufferevent_socket_connect_hostname() failed: an `EVUTIL_EAI_*` code for
 * evutil_gai_strerror(), or 0.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_socket_get_dns_error(struct bufferevent *bev);

/**
 * Moves a bufferevent to another base.
 *
 * Returns -1, with nothing changed, for another kind than one on a descriptor, while it waits
 * for something, and while the loop of its present base, in another thread, is calling one of its
 * callbacks: before it is enabled, or after it was disabled, is the time.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_base_set(struct event_base *base, struct bufferevent *bufev);

/** The base of a bufferevent. */
EVENT2_EXPORT_SYMBOL
struct event_base *bufferevent_get_base(struct bufferevent *bev);

/**
 * Sets the priority of a bufferevent, from 0, the most urgent, to below the number of priorities
 * of its base. It applies to its input and output and to deferred callbacks.
 *
 * Returns -1 for a priority out of range, for a pair or filter, and while one of its events is
 * waiting for its turn to run.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_priority_set(struct bufferevent *bufev, int pri);

/** The priority of a bufferevent. */
EVENT2_EXPORT_SYMBOL
int bufferevent_get_priority(const struct bufferevent *bufev);

/**
 * Gives a bufferevent up.
 *
 * None of its callbacks is called any more. Output that was not sent is lost. The rest happens
 * in the loop of its base, or when the base is freed: only then is the descriptor closed, with
 * `BEV_OPT_CLOSE_ON_FREE`.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_free(struct bufferevent *bufev);

/**
 * Sets the callbacks of a bufferevent and their argument. NULL is no callback.
 *
 * `readcb` is called when something came in and the input holds at least its low watermark;
 * `writecb` when something went out and the output holds no more than its low watermark;
 * `eventcb` for everything else.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_setcb(struct bufferevent *bufev, bufferevent_data_cb readcb,
    bufferevent_data_cb writecb, bufferevent_event_cb eventcb, void *cbarg);

/** Tells the callbacks of a bufferevent and their argument; each place may be NULL. */
EVENT2_EXPORT_SYMBOL
void bufferevent_getcb(struct bufferevent *bufev, bufferevent_data_cb *readcb_ptr,
    bufferevent_data_cb *writecb_ptr, bufferevent_event_cb *eventcb_ptr, void **cbarg_ptr);

/**
 * Has a bufferevent use another descriptor from now on; -1 is none.
 *
 * Enabled directions start on it. Buffers, callbacks, watermarks and timeouts stay; a connection
 * that was being made, or a look-up, is forgotten. The old descriptor is not closed.
 *
 * Returns -1 for a kind without a descriptor, or when the new one cannot be polled.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_setfd(struct bufferevent *bufev, evutil_socket_t fd);

/** The descriptor of a bufferevent, or of the one below it; -1 when there is none. */
EVENT2_EXPORT_SYMBOL
evutil_socket_t bufferevent_getfd(struct bufferevent *bufev);

/** The bufferevent that a filter works on; NULL for other kinds. */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_get_underlying(struct bufferevent *bufev);

/** Appends `size` bytes to the output. They are sent from the loop. */
EVENT2_EXPORT_SYMBOL
int bufferevent_write(struct bufferevent *bufev, const void *data, size_t size);

/** Moves all of a buffer to the output. */
EVENT2_EXPORT_SYMBOL
int bufferevent_write_buffer(struct bufferevent *bufev, struct evbuffer *buf);

/** Takes up to `size` bytes out of the input. Returns how many. */
EVENT2_EXPORT_SYMBOL
size_t bufferevent_read(struct bufferevent *bufev, void *data, size_t size);

/** Moves all of the input to the end of a buffer. */
EVENT2_EXPORT_SYMBOL
int bufferevent_read_buffer(struct bufferevent *bufev, struct evbuffer *buf);

/**
 * The buffer with what came in. It belongs to the bufferevent; take from it, and do not append.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer *bufferevent_get_input(struct bufferevent *bufev);

/**
 * The buffer with what is to go out. It belongs to the bufferevent; append to it, and do not take
 * from it.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer *bufferevent_get_output(struct bufferevent *bufev);

/**
 * Enables directions of a bufferevent: `EV_READ`, `EV_WRITE` or both.
 *
 * On a descriptor, enabling `EV_WRITE` without output has the write callback called once as soon
 * as it could be written to. Returns -1 when the kernel refuses to watch the descriptor; the
 * directions count as enabled nevertheless.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_enable(struct bufferevent *bufev, short event);

/**
 * Disables directions of a bufferevent. Output then waits; nothing more comes in, and neither the
 * end of the stream nor errors are noticed in that direction.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_disable(struct bufferevent *bufev, short event);

/**
 * The directions that are enabled. The end of the stream, an error or a timeout disables one.
 */
EVENT2_EXPORT_SYMBOL
short bufferevent_get_enabled(struct bufferevent *bufev);

/**
 * Sets the timeouts of a bufferevent; NULL or a time of zero is none.
 *
 * One passes when so much time goes by in which it wants to read, or has something to write, and
 * nothing moves. The direction is then disabled, and the event callback gets
 * `BEV_EVENT_TIMEOUT`. Times of event_base_init_common_timeout() may be given.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_set_timeouts(struct bufferevent *bufev, const struct timeval *timeout_read,
    const struct timeval *timeout_write);

/**
 * Sets the watermarks, in bytes, of the directions in `events`; 0 is none.
 *
 * Input: the read callback is called from `lowmark` on; reading stops at `highmark` until some of
 * it is taken. Output: the write callback is called down from `lowmark`; a filter above stops
 * filling it at `highmark`.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_setwatermark(struct bufferevent *bufev, short events, size_t lowmark,
    size_t highmark);

/**
 * Tells the watermarks of one direction; each place may be NULL.
 *
 * Returns -1 when `events` is not exactly one of `EV_READ` and `EV_WRITE`.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_getwatermark(struct bufferevent *bufev, short events, size_t *lowmark,
    size_t *highmark);

/** Takes the lock of a bufferevent, if it has one, and a reference. Calls nest. */
EVENT2_EXPORT_SYMBOL
void bufferevent_lock(struct bufferevent *bufev);

/** Gives up what bufferevent_lock() took. */
EVENT2_EXPORT_SYMBOL
void bufferevent_unlock(struct bufferevent *bufev);

/** Takes a reference, which keeps a bufferevent alive after bufferevent_free(). */
EVENT2_EXPORT_SYMBOL
void bufferevent_incref(struct bufferevent *bufev);

/** Gives a reference up. Returns 1 if it was the last, 0 otherwise. */
EVENT2_EXPORT_SYMBOL
int bufferevent_decref(struct bufferevent *bufev);

/**
 * Has a filter or pair move more data than it would by itself, in the directions `iotype`.
 *
 * Enabled bits and watermarks do not count then. A bufferevent on a descriptor ignores it.
 *
 * Returns 1 when a filter moved something, 0 when nothing was to be done or it is not told, and
 * -1 on failure.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_flush(struct bufferevent *bufev, short iotype,
    enum bufferevent_flush_mode mode);

/**
 * Calls the read callback, the write callback, or both, as `iotype` says, if the watermarks allow
 * it. `options` are `BEV_TRIG_*` flags, or-ed.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_trigger(struct bufferevent *bufev, short iotype, int options);

/** Calls the event callback with `what`. `options` is 0 or `BEV_TRIG_DEFER_CALLBACKS`. */
EVENT2_EXPORT_SYMBOL
void bufferevent_trigger_event(struct bufferevent *bufev, short what, int options);

/**
 * Makes a filter: a bufferevent that changes what passes to and from another one, `underlying`.
 *
 * `input_filter` moves what that one has received to the input of the filter, `output_filter`
 * what was written to the filter to the output of that one; NULL passes everything on. Both get
 * `ctx`, which `free_context`, unless it is NULL, is called with when the filter is gone. The
 * filter uses the callbacks of `underlying`, which the program must then leave alone, and keeps
 * it alive; with `BEV_OPT_CLOSE_ON_FREE` it frees it with itself. They share one lock.
 *
 * The filter begins with `EV_WRITE` enabled. Returns NULL when memory is short, `underlying` is
 * NULL, or for options that cannot be served. The caller owns it: bufferevent_free().
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_filter_new(struct bufferevent *underlying,
    bufferevent_filter_cb input_filter, bufferevent_filter_cb output_filter, int options,
    void (*free_context)(void *context), void *ctx);

/**
 * Makes two bufferevents, each of which reads what is written to the other.
 *
 * Both begin with `EV_WRITE` enabled; reading must be enabled. Callbacks are always deferred.
 * Returns -1 when memory is short, or for options that cannot be served. The caller owns both:
 * bufferevent_free() on each. The other is not told when one is freed.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_pair_new(struct event_base *base, int options, struct bufferevent **pair);

/** The other one of a pair; NULL once that is gone, and for other kinds. */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_pair_get_partner(struct bufferevent *bev);

/**
 * Makes a limit of the transfer rate: so many bytes per tick on average, and at most so many
 * (`burst`) after a pause.
 *
 * The unit of a limit is a tick of `tick_len`, of which milliseconds count; NULL is a second.
 *
 * Returns NULL when memory is short, for a rate below 1 or above its burst, for a burst above
 * `EV_RATE_LIMIT_MAX`, and for a tick shorter than a millisecond. The caller owns it:
 * ev_token_bucket_cfg_free(), after no bufferevent uses it any more.
 */
EVENT2_EXPORT_SYMBOL
struct ev_token_bucket_cfg *ev_token_bucket_cfg_new(size_t read_rate, size_t read_burst,
    size_t write_rate, size_t write_burst, const struct timeval *tick_len);

/** Frees what ev_token_bucket_cfg_new() made; NULL is ignored. */
EVENT2_EXPORT_SYMBOL
void ev_token_bucket_cfg_free(struct ev_token_bucket_cfg *cfg);

/**
 * Limits the rate of a bufferevent on a descriptor; NULL ends that. For other kinds it has no
 * effect: limit the one below.
 *
 * `cfg` is not copied. It may be shared, and must outlive its use. Another one in place of the
 * one in use changes the rates; what may pass at the moment stays, up to the new burst.
 *
 * Returns -1, with nothing changed, when memory is short.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_set_rate_limit(struct bufferevent *bev, struct ev_token_bucket_cfg *cfg);

/**
 * Makes a group of bufferevents that share a limit. `cfg` is copied. The group keeps the loop of
 * `base` running.
 *
 * Returns NULL when memory is short. The caller owns it: bufferevent_rate_limit_group_free().
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent_rate_limit_group *bufferevent_rate_limit_group_new(struct event_base *base,
    const struct ev_token_bucket_cfg *cfg);

/** Changes the limit of a group. `cfg` is copied. Returns -1 when an argument is NULL. */
EVENT2_EXPORT_SYMBOL
int bufferevent_rate_limit_group_set_cfg(struct bufferevent_rate_limit_group *group,
    const struct ev_token_bucket_cfg *cfg);

/**
 * Sets the smallest number of bytes that a member of a group may move at a time, 64 at first.
 * With many members each gets less often a turn then, not less at a time.
 *
 * Returns -1 for more than `EV_RATE_LIMIT_MAX`.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_rate_limit_group_set_min_share(struct bufferevent_rate_limit_group *group,
    size_t share);

/** Frees a group. It must have no members: a bufferevent leaves it when it is freed. */
EVENT2_EXPORT_SYMBOL
void bufferevent_rate_limit_group_free(struct bufferevent_rate_limit_group *group);

/**
 * Makes a bufferevent a member of a group, which it may share with others, and of no other group.
 * It may have a limit of its own besides. NULL only removes it from its group.
 *
 * Returns -1, with nothing changed, when memory is short.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_add_to_rate_limit_group(struct bufferevent *bev,
    struct bufferevent_rate_limit_group *group);

/** Removes a bufferevent from its group, if it is in one. Returns 0. */
EVENT2_EXPORT_SYMBOL
int bufferevent_remove_from_rate_limit_group(struct bufferevent *bev);

/** Sets how many bytes are read at a time at most; 0 is the default of 16384. Returns 0. */
EVENT2_EXPORT_SYMBOL
int bufferevent_set_max_single_read(struct bufferevent *bev, size_t size);

/** Sets how many bytes are written at a time at most; 0 is the default of 16384. Returns 0. */
EVENT2_EXPORT_SYMBOL
int bufferevent_set_max_single_write(struct bufferevent *bev, size_t size);

/** How many bytes are read at a time at most. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_max_single_read(struct bufferevent *bev);

/** How many bytes are written at a time at most. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_max_single_write(struct bufferevent *bev);

/**
 * How many bytes the own limit of a bufferevent allows to be read now; it may be negative.
 * `EV_SSIZE_MAX` without a limit of its own.
 */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_read_limit(struct bufferevent *bev);

/** The same for writing. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_write_limit(struct bufferevent *bev);

/** How many bytes the next read may take, by all limits. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_max_to_read(struct bufferevent *bev);

/** How many bytes the next write may take, by all limits. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_max_to_write(struct bufferevent *bev);

/** The own limit of a bufferevent, as it was set; NULL without one. */
EVENT2_EXPORT_SYMBOL
const struct ev_token_bucket_cfg *bufferevent_get_token_bucket_cfg(const struct bufferevent *bev);

/**
 * How many bytes the limit of a group allowed to be read at its last tick, less what was read
 * since; it may be negative.
 */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_rate_limit_group_get_read_limit(struct bufferevent_rate_limit_group *group);

/** The same for writing. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_rate_limit_group_get_write_limit(struct bufferevent_rate_limit_group *group);

/**
 * Counts `decr` bytes as read in the own limit of a bufferevent, which must have one; a negative
 * number gives some back. Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_decrement_read_limit(struct bufferevent *bev, ev_ssize_t decr);

/** The same for writing. */
EVENT2_EXPORT_SYMBOL
int bufferevent_decrement_write_limit(struct bufferevent *bev, ev_ssize_t decr);

/**
 * Counts `decr` bytes as read in the limit of a group; a negative number gives some back.
 * Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_rate_limit_group_decrement_read(struct bufferevent_rate_limit_group *group,
    ev_ssize_t decr);

/** The same for writing. */
EVENT2_EXPORT_SYMBOL
int bufferevent_rate_limit_group_decrement_write(struct bufferevent_rate_limit_group *group,
    ev_ssize_t decr);

/**
 * Tells how many bytes the members of a group have moved since the totals were last reset; each
 * place may be NULL.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_rate_limit_group_get_totals(struct bufferevent_rate_limit_group *group,
    ev_uint64_t *total_read_out, ev_uint64_t *total_written_out);

/** Sets the totals of a group to 0. */
EVENT2_EXPORT_SYMBOL
void bufferevent_rate_limit_group_reset_totals(struct bufferevent_rate_limit_group *group);

#ifdef __cplusplus
}
#endif

#endif
