/* event2/bufferevent.h: buffered streams.
 *
 * A `bufferevent` is a stream, usually a connected socket, with an input and an output buffer. It
 * does the reading and writing, and calls the program when there is enough to read, when the output
 * has run low, and when the connection is established, ends or fails.
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
/** Configuration of a rate limit. */
struct ev_token_bucket_cfg;
/** Bufferevents that share a rate limit. */
struct bufferevent_rate_limit_group;

/** The highest rate: no limit. */
#define EV_RATE_LIMIT_MAX EV_SSIZE_MAX

/** Bit of an event callback's `what`: it happened while reading. */
#define BEV_EVENT_READING 0x01

/** It happened while writing. */
#define BEV_EVENT_WRITING 0x02

/** The stream has ended in that direction. */
#define BEV_EVENT_EOF 0x10

/**
 * Reading, writing, connecting or looking up the name failed; errno says why, unless
 * bufferevent_socket_get_dns_error() does.
 */
#define BEV_EVENT_ERROR 0x20

/** A timeout has passed in that direction, which is now disabled. */
#define BEV_EVENT_TIMEOUT 0x40

/** The connection is established. */
#define BEV_EVENT_CONNECTED 0x80

/** Options for making a bufferevent. */
enum bufferevent_options {
    /** Freeing it also closes the descriptor, or frees the bufferevent that it is based on. */
    BEV_OPT_CLOSE_ON_FREE = 1,
    /** It has a lock and may be used from several threads. */
    BEV_OPT_THREADSAFE = 2,
    /**
     * Callbacks are called from the loop, never from within a function that the program calls.
     */
    BEV_OPT_DEFER_CALLBACKS = 4,
    /** Callbacks are called without the lock held. Requires `BEV_OPT_DEFER_CALLBACKS`. */
    BEV_OPT_UNLOCK_CALLBACKS = 8
};

/** How much bufferevent_flush() moves. */
enum bufferevent_flush_mode {
    /** As much as would be moved anyway. */
    BEV_NORMAL = 0,
    /** Everything. */
    BEV_FLUSH = 1,
    /** Everything, and nothing will follow. */
    BEV_FINISHED = 2
};

/** Options for bufferevent_trigger() and bufferevent_trigger_event(). */
enum bufferevent_trigger_options {
    /** Call the callbacks whatever the watermarks are. */
    BEV_TRIG_IGNORE_WATERMARKS = 65536,
    /** Call them from the loop. */
    BEV_TRIG_DEFER_CALLBACKS = 4
};

/** What a filter function returns. */
enum bufferevent_filter_result {
    /** Data was moved; call the function again if there is more. */
    BEV_OK = 0,
    /** More data is needed before any can be moved. */
    BEV_NEED_MORE = 1,
    /** The data is not valid; give up. */
    BEV_ERROR = 2
};

/** Called when there is enough to read, or when the output has run low. */
typedef void (*bufferevent_data_cb)(struct bufferevent *bev, void *ctx);

/**
 * Called when the connection is established, ends, fails or times out; `what` consists of
 * `BEV_EVENT_*` bits.
 */
typedef void (*bufferevent_event_cb)(struct bufferevent *bev, short what, void *ctx);

/**
 * Moves data from `src` to `dst`, transforming it, until `src` is empty or `dst` has grown by
 * `dst_limit` bytes (-1: without limit).
 *
 * In mode `BEV_NORMAL` the filter decides how much to hold back; with `BEV_FLUSH` it should hold
 * back as little as it can, and `BEV_FINISHED` means that nothing will follow.
 */
typedef enum bufferevent_filter_result (*bufferevent_filter_cb)(struct evbuffer *src,
    struct evbuffer *dst, ev_ssize_t dst_limit, enum bufferevent_flush_mode mode, void *ctx);

/**
 * Makes a bufferevent on a descriptor, which should be non-blocking; -1 means none yet.
 *
 * It starts with `EV_WRITE` enabled, and does not touch the descriptor before there is something
 * to write or a direction is enabled. Besides sockets, any descriptor that can be polled works.
 * `options` are `BEV_OPT_*` flags. A `base` of NULL is that of event_init().
 *
 * Returns NULL if memory is short or the options cannot be satisfied: `THREADSAFE` without lock
 * callbacks, or `UNLOCK_CALLBACKS` without `DEFER_CALLBACKS`. The caller owns it and frees it with
 * bufferevent_free(), before the base.
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_socket_new(struct event_base *base, evutil_socket_t fd,
    int options);

/**
 * Connects a bufferevent on a socket to an address.
 *
 * If it has no descriptor, a new socket is made for it; that one is closed again if this returns
 * -1, but not if connecting fails later. If `addr` is NULL, the program has already started to
 * connect the descriptor.
 *
 * Returns 0, or -1 if connecting cannot even start, in which case no callback follows. After 0 the
 * event callback gets `BEV_EVENT_CONNECTED` or `BEV_EVENT_ERROR`, later and from the loop; a write
 * timeout may come first.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_socket_connect(struct bufferevent *bufev, const struct sockaddr *addr,
    int socklen);

/**
 * Looks up a host name and connects to its first address, like bufferevent_socket_connect().
 *
 * `family` is `AF_INET`, `AF_INET6`, or `AF_UNSPEC` for either; `hostname` is a name or a numeric
 * address, which may be in brackets. With an `evdns_base` the look-up runs in the loop; with NULL
 * this function blocks until it is done. Reading and writing pause until then.
 *
 * Returns 0, or -1 if the family or port is out of range or another look-up is under way. After 0,
 * the outcome is always reported to the event callback, possibly before this returns. See
 * bufferevent_socket_get_dns_error().
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_socket_connect_hostname(struct bufferevent *bufev,
    struct evdns_base *evdns_base, int family, const char *hostname, int port);

/**
 * Why the look-up by bufferevent_socket_connect_hostname() failed: an `EVUTIL_EAI_*` code for
 * evutil_gai_strerror(), or 0.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_socket_get_dns_error(struct bufferevent *bev);

/**
 * Moves a bufferevent to another base.
 *
 * It must be idle: call this before it is enabled, or after it was disabled.
 *
 * Returns 0, or -1, with nothing changed, if the bufferevent is not one on a descriptor, one of
 * its events is pending, or the loop of its present base is calling one of its callbacks in
 * another thread.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_base_set(struct event_base *base, struct bufferevent *bufev);

/** The base of a bufferevent. */
EVENT2_EXPORT_SYMBOL
struct event_base *bufferevent_get_base(struct bufferevent *bev);

/**
 * Sets the priority of a bufferevent, from 0, the most urgent, to one less than the number of
 * priorities of its base. It applies to reading, writing and deferred callbacks.
 *
 * Returns 0, or -1 if the priority is out of range, the bufferevent is a pair or a filter, or one
 * of its events is active.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_priority_set(struct bufferevent *bufev, int pri);

/** The priority of a bufferevent. */
EVENT2_EXPORT_SYMBOL
int bufferevent_get_priority(const struct bufferevent *bufev);

/**
 * Frees a bufferevent. May be called from its own callbacks.
 *
 * None of its callbacks is called any more, and output that was not sent yet is lost. The rest is
 * done in the loop of its base, or when the base is freed: only then is the descriptor closed,
 * with `BEV_OPT_CLOSE_ON_FREE`.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_free(struct bufferevent *bufev);

/**
 * Sets the callbacks of a bufferevent and their argument. NULL means no callback.
 *
 * `readcb` is called when data has arrived and the input holds at least the low watermark;
 * `writecb` when data was sent and the output holds no more than the low watermark; `eventcb` for
 * everything else.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_setcb(struct bufferevent *bufev, bufferevent_data_cb readcb,
    bufferevent_data_cb writecb, bufferevent_event_cb eventcb, void *cbarg);

/** Gets the callbacks of a bufferevent and their argument; each pointer may be NULL. */
EVENT2_EXPORT_SYMBOL
void bufferevent_getcb(struct bufferevent *bufev, bufferevent_data_cb *readcb_ptr,
    bufferevent_data_cb *writecb_ptr, bufferevent_event_cb *eventcb_ptr, void **cbarg_ptr);

/**
 * Changes the descriptor of a bufferevent; -1 means none.
 *
 * Enabled directions start on the new descriptor. Buffers, callbacks, watermarks and timeouts
 * stay; a connect or look-up under way is abandoned. The old descriptor is not closed.
 *
 * Returns 0, or -1 if this kind has no descriptor or the new one cannot be polled.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_setfd(struct bufferevent *bufev, evutil_socket_t fd);

/** The descriptor of a bufferevent, or of the one that it is based on; -1 if there is none. */
EVENT2_EXPORT_SYMBOL
evutil_socket_t bufferevent_getfd(struct bufferevent *bufev);

/** The bufferevent that a filter is based on; NULL for other kinds. */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_get_underlying(struct bufferevent *bufev);

/**
 * Appends `size` bytes to the output. They are sent from the loop. Returns 0, or -1 if memory is
 * short.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_write(struct bufferevent *bufev, const void *data, size_t size);

/** Moves the contents of a buffer to the output. Returns 0, or -1 on failure. */
EVENT2_EXPORT_SYMBOL
int bufferevent_write_buffer(struct bufferevent *bufev, struct evbuffer *buf);

/** Removes up to `size` bytes from the input. Returns how many. */
EVENT2_EXPORT_SYMBOL
size_t bufferevent_read(struct bufferevent *bufev, void *data, size_t size);

/** Moves all of the input to the end of a buffer. Returns 0, or -1 on failure. */
EVENT2_EXPORT_SYMBOL
int bufferevent_read_buffer(struct bufferevent *bufev, struct evbuffer *buf);

/**
 * The buffer with the received data. It belongs to the bufferevent; remove data from it, but do
 * not add any.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer *bufferevent_get_input(struct bufferevent *bufev);

/**
 * The buffer with the data to send. It belongs to the bufferevent; add data to it, but do not
 * remove any.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer *bufferevent_get_output(struct bufferevent *bufev);

/**
 * Enables directions of a bufferevent: `EV_READ`, `EV_WRITE` or both.
 *
 * On a descriptor, enabling `EV_WRITE` without output makes the write callback run once as soon as
 * the descriptor is writable. Returns 0, or -1 if the kernel refuses to watch the descriptor; the
 * directions count as enabled nevertheless.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_enable(struct bufferevent *bufev, short event);

/**
 * Disables directions of a bufferevent. Output then waits, no more data is read, and neither the
 * end of the stream nor errors are noticed in that direction.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_disable(struct bufferevent *bufev, short event);

/**
 * The directions that are enabled. The end of the stream, an error or a timeout disables a
 * direction.
 */
EVENT2_EXPORT_SYMBOL
short bufferevent_get_enabled(struct bufferevent *bufev);

/**
 * Sets the timeouts of a bufferevent; NULL or zero means none.
 *
 * A timeout passes if the bufferevent has been waiting to read, or has had something to write, for
 * that long without any progress. The direction is then disabled, and the event callback gets
 * `BEV_EVENT_TIMEOUT`. Values of event_base_init_common_timeout() may be used.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_set_timeouts(struct bufferevent *bufev, const struct timeval *timeout_read,
    const struct timeval *timeout_write);

/**
 * Sets the watermarks, in bytes, of the directions in `events`; 0 means none.
 *
 * Input: the read callback is called once there are `lowmark` bytes; reading pauses at `highmark`
 * until some are removed. Output: the write callback is called when no more than `lowmark` bytes
 * are left; a filter above stops adding at `highmark`.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_setwatermark(struct bufferevent *bufev, short events, size_t lowmark,
    size_t highmark);

/**
 * Gets the watermarks of one direction; each pointer may be NULL.
 *
 * Returns 0, or -1 if `events` is not exactly one of `EV_READ` and `EV_WRITE`.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_getwatermark(struct bufferevent *bufev, short events, size_t *lowmark,
    size_t *highmark);

/** Takes a reference to a bufferevent and its lock, if it has one. Calls nest. */
EVENT2_EXPORT_SYMBOL
void bufferevent_lock(struct bufferevent *bufev);

/** Releases what bufferevent_lock() took. */
EVENT2_EXPORT_SYMBOL
void bufferevent_unlock(struct bufferevent *bufev);

/** Takes a reference, which keeps a bufferevent in memory after bufferevent_free(). */
EVENT2_EXPORT_SYMBOL
void bufferevent_incref(struct bufferevent *bufev);

/** Releases a reference. Returns 1 if it was the last one, 0 otherwise. */
EVENT2_EXPORT_SYMBOL
int bufferevent_decref(struct bufferevent *bufev);

/**
 * Makes a filter or pair move more data than it would by itself, in the directions `iotype`.
 *
 * This ignores watermarks and whether the directions are enabled. A bufferevent on a descriptor
 * ignores the call.
 *
 * Returns 1 if a filter moved something, 0 if there was nothing to do or the kind does not say, or
 * -1 on failure.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_flush(struct bufferevent *bufev, short iotype,
    enum bufferevent_flush_mode mode);

/**
 * Calls the read callback, the write callback, or both, as `iotype` says, if the watermarks allow
 * it. `options` are `BEV_TRIG_*` flags.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_trigger(struct bufferevent *bufev, short iotype, int options);

/** Calls the event callback with `what`. `options` is 0 or `BEV_TRIG_DEFER_CALLBACKS`. */
EVENT2_EXPORT_SYMBOL
void bufferevent_trigger_event(struct bufferevent *bufev, short what, int options);

/**
 * Makes a filter: a bufferevent that transforms the data to and from another one, `underlying`.
 *
 * `input_filter` moves data from the input of `underlying` to the input of the filter, and
 * `output_filter` from the output of the filter to the output of `underlying`; NULL passes data on
 * unchanged. Both get `ctx`; `free_context`, unless it is NULL, is called with `ctx` when the
 * filter is gone. The filter uses the callbacks of `underlying`, which the program must not
 * change, and keeps it alive; with `BEV_OPT_CLOSE_ON_FREE`, freeing the filter frees it too. They
 * share one lock.
 *
 * The filter starts with `EV_WRITE` enabled. Returns NULL if memory is short, `underlying` is
 * NULL, or the options cannot be satisfied. The caller owns the filter and frees it with
 * bufferevent_free().
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_filter_new(struct bufferevent *underlying,
    bufferevent_filter_cb input_filter, bufferevent_filter_cb output_filter, int options,
    void (*free_context)(void *context), void *ctx);

/**
 * Makes two bufferevents, each of which reads what is written to the other.
 *
 * Both start with `EV_WRITE` enabled; reading must be enabled. Callbacks are always deferred. The
 * caller owns both and frees each with bufferevent_free(), of which the other is not notified.
 *
 * Returns 0, or -1 if memory is short or the options cannot be satisfied.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_pair_new(struct event_base *base, int options, struct bufferevent **pair);

/** The other one of a pair; NULL once that is gone, and for other kinds. */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_pair_get_partner(struct bufferevent *bev);

/**
 * Makes a configuration for rate limits: `read_rate` and `write_rate` bytes per tick on average,
 * and at most `read_burst` and `write_burst` bytes at once after a pause.
 *
 * A tick lasts `tick_len`, rounded down to milliseconds; NULL means one second.
 *
 * Returns NULL if memory is short, a rate is below 1 or above its burst, a burst is above
 * `EV_RATE_LIMIT_MAX`, or the tick is shorter than a millisecond. The caller owns it and frees it
 * with ev_token_bucket_cfg_free() once no bufferevent uses it any more.
 */
EVENT2_EXPORT_SYMBOL
struct ev_token_bucket_cfg *ev_token_bucket_cfg_new(size_t read_rate, size_t read_burst,
    size_t write_rate, size_t write_burst, const struct timeval *tick_len);

/** Frees what ev_token_bucket_cfg_new() made; NULL is ignored. */
EVENT2_EXPORT_SYMBOL
void ev_token_bucket_cfg_free(struct ev_token_bucket_cfg *cfg);

/**
 * Limits the rate of a bufferevent on a descriptor; NULL removes the limit. For other kinds it has
 * no effect: limit the bufferevent that they are based on.
 *
 * `cfg` is not copied. It may be shared by several bufferevents, and must outlive its use. If
 * there is a limit already, its rates change; the bytes allowed at the moment stay, up to the new
 * burst.
 *
 * Returns 0, or -1, with nothing changed, if memory is short.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_set_rate_limit(struct bufferevent *bev, struct ev_token_bucket_cfg *cfg);

/**
 * Makes a group of bufferevents that share a rate limit. `cfg` is copied. The group keeps the loop
 * of `base` running.
 *
 * Returns NULL if memory is short. The caller owns it and frees it with
 * bufferevent_rate_limit_group_free().
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent_rate_limit_group *bufferevent_rate_limit_group_new(struct event_base *base,
    const struct ev_token_bucket_cfg *cfg);

/** Changes the limit of a group. `cfg` is copied. Returns 0, or -1 if an argument is NULL. */
EVENT2_EXPORT_SYMBOL
int bufferevent_rate_limit_group_set_cfg(struct bufferevent_rate_limit_group *group,
    const struct ev_token_bucket_cfg *cfg);

/**
 * Sets the smallest number of bytes that a member of a group may move at a time, 64 by default. If
 * the group has many members, each then waits longer for its turn instead of moving less.
 *
 * Returns 0, or -1 if `share` is above `EV_RATE_LIMIT_MAX`.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_rate_limit_group_set_min_share(struct bufferevent_rate_limit_group *group,
    size_t share);

/**
 * Frees a group, which must have no members. Freeing a bufferevent removes it from its group.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_rate_limit_group_free(struct bufferevent_rate_limit_group *group);

/**
 * Adds a bufferevent to a group, and removes it from the group that it was in. It may also have a
 * limit of its own. A NULL `group` only removes it.
 *
 * Returns 0, or -1, with nothing changed, if memory is short.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_add_to_rate_limit_group(struct bufferevent *bev,
    struct bufferevent_rate_limit_group *group);

/** Removes a bufferevent from its group, if it is in one. Returns 0. */
EVENT2_EXPORT_SYMBOL
int bufferevent_remove_from_rate_limit_group(struct bufferevent *bev);

/** Sets the most bytes that are read at a time; 0 means the default of 16384. Returns 0. */
EVENT2_EXPORT_SYMBOL
int bufferevent_set_max_single_read(struct bufferevent *bev, size_t size);

/** Sets the most bytes that are written at a time; 0 means the default of 16384. Returns 0. */
EVENT2_EXPORT_SYMBOL
int bufferevent_set_max_single_write(struct bufferevent *bev, size_t size);

/** The most bytes that are read at a time. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_max_single_read(struct bufferevent *bev);

/** The most bytes that are written at a time. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_max_single_write(struct bufferevent *bev);

/**
 * How many bytes a bufferevent's own limit allows it to read now, which may be negative.
 * `EV_SSIZE_MAX` if it has no limit of its own.
 */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_read_limit(struct bufferevent *bev);

/** Like bufferevent_get_read_limit(), for writing. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_write_limit(struct bufferevent *bev);

/** How many bytes the next read may take, given all limits. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_max_to_read(struct bufferevent *bev);

/** How many bytes the next write may take, given all limits. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_get_max_to_write(struct bufferevent *bev);

/** A bufferevent's own limit, as it was set; NULL if it has none. */
EVENT2_EXPORT_SYMBOL
const struct ev_token_bucket_cfg *bufferevent_get_token_bucket_cfg(const struct bufferevent *bev);

/**
 * How many bytes the limit of a group allowed to be read at its last tick, minus what was read
 * since; may be negative.
 */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_rate_limit_group_get_read_limit(struct bufferevent_rate_limit_group *group);

/** Like bufferevent_rate_limit_group_get_read_limit(), for writing. */
EVENT2_EXPORT_SYMBOL
ev_ssize_t bufferevent_rate_limit_group_get_write_limit(struct bufferevent_rate_limit_group *group);

/**
 * Counts `decr` bytes as read against a bufferevent's own limit, which it must have; a negative
 * number gives some back. Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_decrement_read_limit(struct bufferevent *bev, ev_ssize_t decr);

/** Like bufferevent_decrement_read_limit(), for writing. */
EVENT2_EXPORT_SYMBOL
int bufferevent_decrement_write_limit(struct bufferevent *bev, ev_ssize_t decr);

/**
 * Counts `decr` bytes as read against the limit of a group; a negative number gives some back.
 * Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_rate_limit_group_decrement_read(struct bufferevent_rate_limit_group *group,
    ev_ssize_t decr);

/** Like bufferevent_rate_limit_group_decrement_read(), for writing. */
EVENT2_EXPORT_SYMBOL
int bufferevent_rate_limit_group_decrement_write(struct bufferevent_rate_limit_group *group,
    ev_ssize_t decr);

/**
 * Gets the number of bytes that the members of a group have moved since the totals were last
 * reset; each pointer may be NULL.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_rate_limit_group_get_totals(struct bufferevent_rate_limit_group *group,
    ev_uint64_t *total_read_out, ev_uint64_t *total_written_out);

/** Resets the totals of a group to 0. */
EVENT2_EXPORT_SYMBOL
void bufferevent_rate_limit_group_reset_totals(struct bufferevent_rate_limit_group *group);

#ifdef __cplusplus
}
#endif

#endif
