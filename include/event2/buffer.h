/* event2/buffer.h: byte queues.
 *
 * An `evbuffer` holds bytes in a chain of blocks: they are added at the end and taken from the
 * front, neither of which moves the rest. Bytes can also be moved between buffers, and memory of
 * the program and files be put into one, without copying.
 *
 * Threads: a buffer may be used from several threads once evbuffer_enable_locking() was called on
 * it. A sequence of calls that belong together is then put between evbuffer_lock() and
 * evbuffer_unlock().
 *
 * Results: functions that return int return 0 for success and -1 for failure unless their text
 * says otherwise. One that failed has changed nothing.
 */
#ifndef EVENT2_BUFFER_H_INCLUDED_
#define EVENT2_BUFFER_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>
#include <stdarg.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;

/** A byte queue. */
struct evbuffer;
/** A callback registered with a buffer. */
struct evbuffer_cb_entry;
/** A part of a file that buffers can refer to. */
struct evbuffer_file_segment;

/**
 * A position in a buffer, made by evbuffer_ptr_set() or a search.
 *
 * Valid until the buffer is changed in any way.
 */
struct evbuffer_ptr {
    /** Bytes from the front of the buffer; -1 means none, such as nothing found. */
    ev_ssize_t pos;
    /** For the library. */
    struct {
        void *chain;
        size_t pos_in_chain;
    } internal_;
};

/** A piece of memory: start and length. The system's own structure for scattered i/o. */
#define evbuffer_iovec iovec
/** Says that evbuffer_iovec is the system's. */
#define EVBUFFER_IOVEC_IS_NATIVE_

/**
 * The bytes of the buffer will only leave it by being written to a descriptor, so parts of files
 * that are added need not be read into memory: the kernel can copy them.
 */
#define EVBUFFER_FLAG_DRAINS_TO_FD 1

/**
 * The callback is called. Without the flag it is passed over, and what changes meanwhile is
 * never reported to it.
 */
#define EVBUFFER_CB_ENABLED 1

/** Close the descriptor when the segment is freed. */
#define EVBUF_FS_CLOSE_ON_FREE 1

/** Read the file instead of mapping it. */
#define EVBUF_FS_DISABLE_MMAP 2

/**
 * Never have the kernel copy from the file: bring the bytes into memory when the segment is made.
 */
#define EVBUF_FS_DISABLE_SENDFILE 4

/** Give the segment no lock: it is used by one thread at a time. */
#define EVBUF_FS_DISABLE_LOCKING 8

/** What ends a line. */
enum evbuffer_eol_style {
    /**
     * Any run of CR and LF bytes. A CR LF of which only the CR has arrived yet counts as two
     * line ends, so this style suits hardly any protocol.
     */
    EVBUFFER_EOL_ANY,
    /** An LF, together with a CR directly before it. */
    EVBUFFER_EOL_CRLF,
    /** A CR followed by an LF. */
    EVBUFFER_EOL_CRLF_STRICT,
    /** An LF. */
    EVBUFFER_EOL_LF,
    /** A zero byte. */
    EVBUFFER_EOL_NUL
};

/** How evbuffer_ptr_set() moves a position. */
enum evbuffer_ptr_how {
    /** To so many bytes from the front of the buffer. */
    EVBUFFER_PTR_SET,
    /** So many bytes forward. */
    EVBUFFER_PTR_ADD
};

/** What changed since the callbacks of a buffer were last told. */
struct evbuffer_cb_info {
    /** Bytes in the buffer before. */
    size_t orig_size;
    /** Bytes added since. */
    size_t n_added;
    /** Bytes removed since. */
    size_t n_deleted;
};

/**
 * Called after a buffer was changed, with the buffer's lock held. It may change any buffer, add
 * and remove callbacks, and free the buffer.
 */
typedef void (*evbuffer_cb_func)(struct evbuffer *buffer, const struct evbuffer_cb_info *info,
    void *arg);

/** Called when no buffer refers to the memory any more, with its start and whole length. */
typedef void (*evbuffer_ref_cleanup_cb)(const void *data, size_t datalen, void *extra);

/**
 * Called when a segment is gone, its descriptor closed: only the address of the segment is
 * still meaningful. `flags` are those that it was made with.
 */
typedef void (*evbuffer_file_segment_cleanup_cb)(const struct evbuffer_file_segment *seg,
    int flags, void *arg);

/**
 * Makes an empty buffer. It takes no memory for data before there is some.
 *
 * Returns NULL when memory is short. The caller owns it: evbuffer_free().
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer *evbuffer_new(void);

/**
 * Gives a buffer up; NULL is ignored.
 *
 * Its data goes with it, and the cleanup functions of referenced memory are called. Callbacks
 * are not told. While a deferred callback of the buffer is pending, the buffer lives on for it.
 */
EVENT2_EXPORT_SYMBOL
void evbuffer_free(struct evbuffer *buf);

/**
 * Makes a buffer usable from several threads.
 *
 * `lock` is a recursive lock of the kind that the lock callbacks make, which stays the caller's
 * and must outlive the buffer; NULL lets the buffer make its own. The lock is held while
 * callbacks and cleanup functions run. Call it before the buffer is shared.
 *
 * Returns -1 when the buffer has a lock already, or one cannot be made: memory is short, or no
 * lock callbacks are set.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_enable_locking(struct evbuffer *buf, void *lock);

/** Takes the lock of a buffer; without a lock it does nothing. Calls nest. */
EVENT2_EXPORT_SYMBOL
void evbuffer_lock(struct evbuffer *buf);

/** Gives up the lock that evbuffer_lock() took. */
EVENT2_EXPORT_SYMBOL
void evbuffer_unlock(struct evbuffer *buf);

/**
 * Sets flags of a buffer: `EVBUFFER_FLAG_DRAINS_TO_FD`. They apply to what is added later.
 * Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_set_flags(struct evbuffer *buf, ev_uint64_t flags);

/** Clears flags of a buffer. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evbuffer_clear_flags(struct evbuffer *buf, ev_uint64_t flags);

/** The number of bytes in a buffer. */
EVENT2_EXPORT_SYMBOL
size_t evbuffer_get_length(const struct evbuffer *buf);

/** The number of bytes at the front of a buffer that are contiguous in memory already. */
EVENT2_EXPORT_SYMBOL
size_t evbuffer_get_contiguous_space(const struct evbuffer *buf);

/**
 * Makes room, so that appending `datlen` more bytes needs no memory.
 *
 * Returns -1 when memory is short or the size is impossible.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_expand(struct evbuffer *buf, size_t datlen);

/**
 * Makes free space at the end of a buffer for at least `size` bytes and tells where it is, so
 * that the caller can write into it. evbuffer_commit_space() then makes it data.
 *
 * `vec` has `n_vec` elements, at least one; with one, the space is contiguous, with more it is
 * cheaper to find. There may be more space than asked for. Until it is committed, every change
 * of the buffer invalidates it, and another call hands the same space out again.
 *
 * Returns how many elements were filled, or -1 when memory is short, the end of the buffer is
 * frozen, or an argument is out of range.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_reserve_space(struct evbuffer *buf, ev_ssize_t size, struct evbuffer_iovec *vec,
    int n_vec);

/**
 * Makes space data that evbuffer_reserve_space() handed out.
 *
 * `vec` has the `n_vecs` first elements that the reservation filled, with the lengths reduced to
 * what was written. Returns -1, with nothing changed, when they do not describe the free space
 * of the buffer or its end is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_commit_space(struct evbuffer *buf, struct evbuffer_iovec *vec, int n_vecs);

/**
 * Appends a copy of `datlen` bytes.
 *
 * Returns -1 when memory is short or the end of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add(struct evbuffer *buf, const void *data, size_t datlen);

/**
 * Moves up to `datlen` bytes from the front of a buffer to `data`.
 *
 * Returns how many, or -1 when the front of the buffer is frozen or its data cannot be read.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_remove(struct evbuffer *buf, void *data, size_t datlen);

/**
 * Copies up to `datlen` bytes from the front of a buffer to `data_out`; they stay in the buffer.
 *
 * Returns how many, or -1 as evbuffer_remove().
 */
EVENT2_EXPORT_SYMBOL
ev_ssize_t evbuffer_copyout(struct evbuffer *buf, void *data_out, size_t datlen);

/**
 * Copies up to `datlen` bytes from the position `pos` of a buffer on; NULL is the front.
 *
 * Returns how many, or -1 as evbuffer_remove() and when there is no such position.
 */
EVENT2_EXPORT_SYMBOL
ev_ssize_t evbuffer_copyout_from(struct evbuffer *buf, const struct evbuffer_ptr *pos,
    void *data_out, size_t datlen);

/**
 * Moves up to `datlen` bytes from the front of `src` to the end of `dst`. Whole blocks change
 * hands without being copied.
 *
 * Returns how many bytes, or -1 when the front of `src` or the end of `dst` is frozen or memory
 * is short. When memory runs out half-way, fewer are moved.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_remove_buffer(struct evbuffer *src, struct evbuffer *dst, size_t datlen);

/**
 * Takes one line out of a buffer, together with its end.
 *
 * Returns the line without its end, followed by a zero byte, in memory that the caller frees
 * with free() or what `event_set_mem_functions()` set in its place; its length goes to
 * `n_read_out` unless that is NULL. Returns NULL, with length 0 and nothing taken, when there is
 * no line end yet, the front of the buffer is frozen, or memory is short.
 */
EVENT2_EXPORT_SYMBOL
char *evbuffer_readln(struct evbuffer *buffer, size_t *n_read_out,
    enum evbuffer_eol_style eol_style);

/**
 * Moves everything from `inbuf` to the end of `outbuf` without copying.
 *
 * Returns -1 when the front of `inbuf` or the end of `outbuf` is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_buffer(struct evbuffer *outbuf, struct evbuffer *inbuf);

/**
 * Appends what `inbuf` holds now to `outbuf` without copying, and leaves it in `inbuf`.
 *
 * The two buffers share the memory; each can then be changed, drained and freed independently.
 *
 * Returns -1 when the end of `outbuf` is frozen, memory is short, the buffers are the same and
 * not empty, or `inbuf` holds parts of files or itself shares another buffer's memory.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_buffer_reference(struct evbuffer *outbuf, struct evbuffer *inbuf);

/**
 * Appends memory of the program without copying it.
 *
 * The memory must stay as it is until `cleanupfn` (which may be NULL) is called, once, with
 * `data`, `datlen` and `cleanupfn_arg`: when the last of it has left the buffer and every buffer
 * that it went to, or was copied. It is called with the buffer's lock held.
 *
 * Returns -1 when memory is short or the end of the buffer is frozen; `cleanupfn` is not called
 * then.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_reference(struct evbuffer *outbuf, const void *data, size_t datlen,
    evbuffer_ref_cleanup_cb cleanupfn, void *cleanupfn_arg);

/**
 * Appends `length` bytes of a file, beginning at `offset`; -1 means all to the end of the file.
 *
 * The descriptor belongs to the buffer from now on and is closed when the bytes are gone.
 * Without `EVBUFFER_FLAG_DRAINS_TO_FD` the file is mapped or read at once; with it, the bytes go
 * from the file to where the buffer is written, and only other uses read the file.
 *
 * Returns -1 when the range is impossible or the size of the file cannot be found, in which case
 * the descriptor stays open; or when memory is short, the end of the buffer is frozen or the
 * file cannot be read, in which cases the descriptor is closed.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_file(struct evbuffer *outbuf, int fd, ev_off_t offset, ev_off_t length);

/**
 * Makes a segment: `length` bytes (-1: all to the end) of a file from `offset` on, which can be
 * added to any number of buffers. `flags` are the `EVBUF_FS_` constants.
 *
 * The descriptor must stay open as long as the segment lives. The file must not become shorter.
 *
 * Returns NULL when the range is impossible, the size or, with `EVBUF_FS_DISABLE_SENDFILE`, the
 * contents of the file cannot be read, or memory is short. The descriptor is not closed then.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_file_segment *evbuffer_file_segment_new(int fd, ev_off_t offset,
    ev_off_t length, unsigned int flags);

/** Gives up the caller's reference to a segment. It lives until no buffer refers to it. */
EVENT2_EXPORT_SYMBOL
void evbuffer_file_segment_free(struct evbuffer_file_segment *seg);

/**
 * Sets the one function that is called when a segment is gone. Set it before the segment is
 * shared with other threads.
 */
EVENT2_EXPORT_SYMBOL
void evbuffer_file_segment_add_cleanup_cb(struct evbuffer_file_segment *seg,
    evbuffer_file_segment_cleanup_cb cb, void *arg);

/**
 * Appends `length` bytes (negative: all to its end) of a segment, from `offset` of it on.
 *
 * The caller keeps its reference when that succeeds. Returns -1 when the range is not inside the
 * segment, the end of the buffer is frozen, the file cannot be read, or memory is short; the
 * caller's reference is given up then.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_file_segment(struct evbuffer *buf, struct evbuffer_file_segment *seg,
    ev_off_t offset, ev_off_t length);

/**
 * Removes the first `len` bytes, or all when there are fewer.
 *
 * Returns -1 when the front of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_drain(struct evbuffer *buf, size_t len);

/**
 * Writes a buffer to a descriptor with one system call, and removes what was written.
 *
 * Returns the number of bytes, which may be less than there are, or -1 with errno when the system
 * call failed; also -1 when there is nothing to write or the front of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_write(struct evbuffer *buffer, evutil_socket_t fd);

/** The same as evbuffer_write(), but at most `howmuch` bytes; negative means all. */
EVENT2_EXPORT_SYMBOL
int evbuffer_write_atmost(struct evbuffer *buffer, evutil_socket_t fd, ev_ssize_t howmuch);

/**
 * Reads from a descriptor to the end of a buffer with one system call, at most `howmuch` bytes
 * and at most 4096.
 *
 * Returns the number of bytes, 0 at the end of the file, or -1 with errno when the system call
 * failed; also -1 when the end of the buffer is frozen or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_read(struct evbuffer *buffer, evutil_socket_t fd, int howmuch);

/**
 * Finds the string of `len` bytes at `what`, at the position `start` or behind it; NULL is the
 * front.
 *
 * Returns the position where it begins; its `pos` is -1 when the string is not there. The time
 * grows with the data searched, not with the length of the string.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_ptr evbuffer_search(struct evbuffer *buffer, const char *what, size_t len,
    const struct evbuffer_ptr *start);

/**
 * The same as evbuffer_search(), but the string must end at the position `end` or before it;
 * NULL is the end of the data.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_ptr evbuffer_search_range(struct evbuffer *buffer, const char *what,
    size_t len, const struct evbuffer_ptr *start, const struct evbuffer_ptr *end);

/**
 * Moves a position: to `position` bytes from the front, or so many bytes forward.
 *
 * The end of the data is a position, too. Returns -1, with the position set to none, when the
 * data ends before; and -1, with it untouched, when there is no position to move forward or the
 * sum overflows.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_ptr_set(struct evbuffer *buffer, struct evbuffer_ptr *ptr, size_t position,
    enum evbuffer_ptr_how how);

/**
 * Finds the end of a line, at the position `start` or behind it; NULL is the front.
 *
 * Returns the position where the line end begins, and its length in `eol_len_out` unless that is
 * NULL; a `pos` of -1 and length 0 when there is none.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_ptr evbuffer_search_eol(struct evbuffer *buffer, struct evbuffer_ptr *start,
    size_t *eol_len_out, enum evbuffer_eol_style eol_style);

/**
 * Tells where the data of a buffer lies in memory, without copying or removing it.
 *
 * The data begins at the position `start_at`, NULL being the front, and at least `len` bytes of
 * it are described, in as many pieces as it takes: the last may go beyond. A negative `len`
 * means as much as `n_vec` pieces can describe or, when `n_vec` is 0, all. Some pieces may be
 * empty. The data must not be changed, and every change of the buffer invalidates the pieces.
 *
 * Returns how many pieces it takes, which may be more than `n_vec`: then `n_vec` are filled. -1
 * when data that is still in a file cannot be read.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_peek(struct evbuffer *buffer, ev_ssize_t len, struct evbuffer_ptr *start_at,
    struct evbuffer_iovec *vec_out, int n_vec);

/**
 * Registers a function that is called whenever bytes are added to or removed from a buffer.
 *
 * It is called before the function that made the change returns, unless callbacks are deferred;
 * the one registered last is called first. Returns a handle, or NULL when memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_cb_entry *evbuffer_add_cb(struct evbuffer *buffer, evbuffer_cb_func cb,
    void *cbarg);

/** Removes a callback by its handle, also from inside a callback. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evbuffer_remove_cb_entry(struct evbuffer *buffer, struct evbuffer_cb_entry *ent);

/**
 * Removes the newest callback with this function and argument.
 *
 * Returns -1 when there is none.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_remove_cb(struct evbuffer *buffer, evbuffer_cb_func cb, void *cbarg);

/** Sets flags of a callback: `EVBUFFER_CB_ENABLED`. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evbuffer_cb_set_flags(struct evbuffer *buffer, struct evbuffer_cb_entry *cb,
    ev_uint32_t flags);

/** Clears flags of a callback. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evbuffer_cb_clear_flags(struct evbuffer *buffer, struct evbuffer_cb_entry *cb,
    ev_uint32_t flags);

/**
 * Makes the first `size` bytes of a buffer contiguous in memory; negative means all.
 *
 * Returns their address, which is valid until the buffer is changed, and which may be written to
 * unless it is memory that was added by reference, shared or from a file. NULL when there are
 * not so many bytes, for size 0, and when memory is short.
 */
EVENT2_EXPORT_SYMBOL
unsigned char *evbuffer_pullup(struct evbuffer *buf, ev_ssize_t size);

/**
 * Puts a copy of `size` bytes in front of the data.
 *
 * Returns -1 when memory is short or the front of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_prepend(struct evbuffer *buf, const void *data, size_t size);

/**
 * Moves everything from `src` to the front of `dst` without copying.
 *
 * Returns -1 when the front of either buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_prepend_buffer(struct evbuffer *dst, struct evbuffer *src);

/**
 * Makes all changes at one end of a buffer fail: adding at the back, or removing and prepending
 * at the front. Freezing twice is freezing once. Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_freeze(struct evbuffer *buf, int at_front);

/** Allows changes at one end of a buffer again. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evbuffer_unfreeze(struct evbuffer *buf, int at_front);

/**
 * Makes callbacks run from the loop of `base` from now on, instead of inside the change.
 *
 * Several changes are then reported as one. The base must outlive the buffer. It cannot be
 * undone. Returns -1, with nothing changed, when memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_defer_callbacks(struct evbuffer *buffer, struct event_base *base);

/**
 * Appends copies of `n_vec` pieces of memory in order. Callbacks are told once.
 *
 * Returns the number of bytes; 0, with nothing added, when memory is short or the end of the
 * buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
size_t evbuffer_add_iovec(struct evbuffer *buffer, struct evbuffer_iovec *vec, int n_vec);

/**
 * Appends formatted text, as printf() would write it, without the terminating NUL.
 *
 * Returns the number of bytes added, or -1 when the format is invalid, memory is short or the
 * end of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_printf(struct evbuffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** As evbuffer_add_printf(), with the arguments of vprintf(). */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_vprintf(struct evbuffer *buffer, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#ifdef __cplusplus
}
#endif

#endif
