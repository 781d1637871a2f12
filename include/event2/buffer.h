/* event2/buffer.h: byte queues.
 *
 * An `evbuffer` holds bytes in a chain of blocks. Adding bytes at the end and removing them from
 * the front does not move the others. Bytes can be moved between buffers, and memory of the
 * program and files can be added, without copying.
 *
 * Threads: a buffer may be used from several threads after evbuffer_enable_locking() was called
 * for it. Put evbuffer_lock() and evbuffer_unlock() around calls that belong together.
 *
 * Results: functions that return int return 0 for success and -1 for failure unless their text
 * says otherwise. A function that failed has changed nothing.
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
    /** Bytes from the front of the buffer; -1 means no position, for example if nothing was
     * found. */
    ev_ssize_t pos;
    /** Private. */
    struct {
        void *chain;
        size_t pos_in_chain;
    } internal_;
};

/** A piece of memory: start and length. This is the system's `struct iovec`. */
#define evbuffer_iovec iovec
/** Says that evbuffer_iovec is the system's structure. */
#define EVBUFFER_IOVEC_IS_NATIVE_

/**
 * The bytes of the buffer leave it only by being written to a descriptor, so that files added to it
 * need not be read into memory: the kernel can copy them.
 */
#define EVBUFFER_FLAG_DRAINS_TO_FD 1

/**
 * The callback is called. Without the flag it is skipped, and changes in the meantime are never
 * reported to it.
 */
#define EVBUFFER_CB_ENABLED 1

/** Close the descriptor when the segment is freed. */
#define EVBUF_FS_CLOSE_ON_FREE 1

/** Read the file instead of mapping it. */
#define EVBUF_FS_DISABLE_MMAP 2

/**
 * Do not let the kernel copy from the file: read the bytes into memory when the segment is made.
 */
#define EVBUF_FS_DISABLE_SENDFILE 4

/** Give the segment no lock: it will be used by one thread at a time. */
#define EVBUF_FS_DISABLE_LOCKING 8

/** What ends a line. */
enum evbuffer_eol_style {
    /**
     * Any run of CR and LF bytes. If the CR of a CR LF arrives first, the two count as two line
     * ends, so this style suits hardly any protocol.
     */
    EVBUFFER_EOL_ANY,
    /** An LF, together with a CR directly before it, if any. */
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
    /** To that many bytes from the front of the buffer. */
    EVBUFFER_PTR_SET,
    /** Forward by that many bytes. */
    EVBUFFER_PTR_ADD
};

/** What changed since the callbacks of a buffer were last called. */
struct evbuffer_cb_info {
    /** Bytes in the buffer before. */
    size_t orig_size;
    /** Bytes added since. */
    size_t n_added;
    /** Bytes removed since. */
    size_t n_deleted;
};

/**
 * Called after a buffer has changed, with the buffer's lock held. It may change any buffer, add
 * and remove callbacks, and free the buffer.
 */
typedef void (*evbuffer_cb_func)(struct evbuffer *buffer, const struct evbuffer_cb_info *info,
    void *arg);

/** Called when no buffer refers to the memory any more, with its start and full length. */
typedef void (*evbuffer_ref_cleanup_cb)(const void *data, size_t datalen, void *extra);

/**
 * Called after a segment is gone and its descriptor is closed: only the address of the segment is
 * still meaningful. `flags` are those that it was made with.
 */
typedef void (*evbuffer_file_segment_cleanup_cb)(const struct evbuffer_file_segment *seg,
    int flags, void *arg);

/**
 * Makes an empty buffer. It takes no memory for data until there is some.
 *
 * Returns NULL if memory is short. The caller owns it and frees it with evbuffer_free().
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer *evbuffer_new(void);

/**
 * Frees a buffer; NULL is ignored.
 *
 * Its data is freed too, and the cleanup functions of referenced memory are called. Callbacks are
 * not notified. If a deferred callback of the buffer is pending, the buffer stays in memory until
 * that has run.
 */
EVENT2_EXPORT_SYMBOL
void evbuffer_free(struct evbuffer *buf);

/**
 * Makes a buffer usable from several threads.
 *
 * `lock` is a recursive lock made by the lock callbacks; it remains the caller's and must outlive
 * the buffer. With NULL the buffer makes its own. The lock is held while callbacks and cleanup
 * functions run. Call this before the buffer is shared.
 *
 * Returns 0, or -1 if the buffer already has a lock or none can be made: memory is short, or no
 * lock callbacks are set.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_enable_locking(struct evbuffer *buf, void *lock);

/** Takes the lock of a buffer; does nothing if it has none. Calls nest. */
EVENT2_EXPORT_SYMBOL
void evbuffer_lock(struct evbuffer *buf);

/** Releases the lock that evbuffer_lock() took. */
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

/** The number of bytes at the front of a buffer that are contiguous in memory. */
EVENT2_EXPORT_SYMBOL
size_t evbuffer_get_contiguous_space(const struct evbuffer *buf);

/**
 * Allocates space so that appending `datlen` more bytes needs no memory.
 *
 * Returns 0, or -1 if memory is short or the size is impossible.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_expand(struct evbuffer *buf, size_t datlen);

/**
 * Makes free space for at least `size` bytes at the end of a buffer and says where it is, so that
 * the caller can write into it. evbuffer_commit_space() then turns it into data.
 *
 * `vec` has `n_vec` elements, at least one. With one, the space is contiguous; with more it is
 * cheaper to find. There may be more space than asked for. Until it is committed, every change of
 * the buffer invalidates it, and another call returns the same space again.
 *
 * Returns how many elements were filled, or -1 if memory is short, the end of the buffer is
 * frozen, or an argument is out of range.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_reserve_space(struct evbuffer *buf, ev_ssize_t size, struct evbuffer_iovec *vec,
    int n_vec);

/**
 * Turns space that evbuffer_reserve_space() returned into data.
 *
 * `vec` contains the first `n_vecs` elements that the reservation filled, with the lengths reduced
 * to what was written. Returns 0, or -1, with nothing changed, if they do not describe the free
 * space of the buffer or its end is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_commit_space(struct evbuffer *buf, struct evbuffer_iovec *vec, int n_vecs);

/**
 * Appends a copy of `datlen` bytes.
 *
 * Returns 0, or -1 if memory is short or the end of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add(struct evbuffer *buf, const void *data, size_t datlen);

/**
 * Moves up to `datlen` bytes from the front of a buffer to `data`.
 *
 * Returns how many, or -1 if the front of the buffer is frozen or its data cannot be read.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_remove(struct evbuffer *buf, void *data, size_t datlen);

/**
 * Copies up to `datlen` bytes from the front of a buffer to `data_out`; they stay in the buffer.
 *
 * Returns how many, or -1 in the same cases as evbuffer_remove().
 */
EVENT2_EXPORT_SYMBOL
ev_ssize_t evbuffer_copyout(struct evbuffer *buf, void *data_out, size_t datlen);

/**
 * Copies up to `datlen` bytes from a buffer, starting at the position `pos`; NULL means the front.
 *
 * Returns how many, or -1 in the same cases as evbuffer_remove() and if there is no such position.
 */
EVENT2_EXPORT_SYMBOL
ev_ssize_t evbuffer_copyout_from(struct evbuffer *buf, const struct evbuffer_ptr *pos,
    void *data_out, size_t datlen);

/**
 * Moves up to `datlen` bytes from the front of `src` to the end of `dst`. Whole blocks are moved
 * without copying.
 *
 * Returns how many bytes, or -1 if the front of `src` or the end of `dst` is frozen or memory is
 * short. If memory runs out half-way, fewer bytes are moved.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_remove_buffer(struct evbuffer *src, struct evbuffer *dst, size_t datlen);

/**
 * Removes one line from a buffer, together with its line end.
 *
 * Returns the line without its end, NUL-terminated, in memory that the caller frees with free() or
 * the function that event_set_mem_functions() set in its place; its length is stored in
 * `n_read_out` unless that is NULL. Returns NULL, with length 0 and nothing removed, if there is
 * no line end yet, the front of the buffer is frozen, or memory is short.
 */
EVENT2_EXPORT_SYMBOL
char *evbuffer_readln(struct evbuffer *buffer, size_t *n_read_out,
    enum evbuffer_eol_style eol_style);

/**
 * Moves everything from `inbuf` to the end of `outbuf` without copying.
 *
 * Returns 0, or -1 if the front of `inbuf` or the end of `outbuf` is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_buffer(struct evbuffer *outbuf, struct evbuffer *inbuf);

/**
 * Appends the current contents of `inbuf` to `outbuf` without copying, and leaves them in `inbuf`.
 *
 * The two buffers share the memory; each can then be changed, drained and freed independently.
 *
 * Returns 0, or -1 if the end of `outbuf` is frozen, memory is short, the buffers are the same and
 * not empty, or `inbuf` contains parts of files or itself shares another buffer's memory.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_buffer_reference(struct evbuffer *outbuf, struct evbuffer *inbuf);

/**
 * Appends memory of the program without copying it.
 *
 * The memory must stay unchanged until `cleanupfn` (which may be NULL) is called, once, with
 * `data`, `datlen` and `cleanupfn_arg`: when the last of it has been copied or has left this
 * buffer and all buffers that it was moved to. It is called with the buffer's lock held.
 *
 * Returns 0; or -1, without calling `cleanupfn`, if memory is short or the end of the buffer is
 * frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_reference(struct evbuffer *outbuf, const void *data, size_t datlen,
    evbuffer_ref_cleanup_cb cleanupfn, void *cleanupfn_arg);

/**
 * Appends `length` bytes of a file, starting at `offset`; -1 means everything to the end of the
 * file.
 *
 * The buffer takes the descriptor over and closes it when the bytes are gone. Without
 * `EVBUFFER_FLAG_DRAINS_TO_FD` the file is mapped or read at once; with it, the kernel copies the
 * bytes directly when the buffer is written to a descriptor, and the file is read only if they are
 * accessed in another way. A bufferevent may send long parts of a mapped file directly, too: do
 * not overwrite the file before the peer has received the bytes.
 *
 * Returns 0 or -1. The descriptor stays open if the range is impossible or the size of the file
 * cannot be determined; it is closed if memory is short, the end of the buffer is frozen, or the
 * file cannot be read.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_file(struct evbuffer *outbuf, int fd, ev_off_t offset, ev_off_t length);

/**
 * Makes a segment: `length` bytes of a file (-1: everything to the end), starting at `offset`,
 * which can be added to any number of buffers. `flags` are `EVBUF_FS_*` bits.
 *
 * The descriptor must stay open as long as the segment exists. The file must not become shorter.
 *
 * Returns NULL, without closing the descriptor, if the range is impossible, the size cannot be
 * determined, the contents cannot be read (with `EVBUF_FS_DISABLE_SENDFILE`), or memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_file_segment *evbuffer_file_segment_new(int fd, ev_off_t offset,
    ev_off_t length, unsigned int flags);

/**
 * Releases the caller's reference to a segment, which is freed once no buffer refers to it.
 */
EVENT2_EXPORT_SYMBOL
void evbuffer_file_segment_free(struct evbuffer_file_segment *seg);

/**
 * Sets the function, one per segment, that is called when the segment is gone. Call it before the
 * segment is shared with other threads.
 */
EVENT2_EXPORT_SYMBOL
void evbuffer_file_segment_add_cleanup_cb(struct evbuffer_file_segment *seg,
    evbuffer_file_segment_cleanup_cb cb, void *arg);

/**
 * Appends `length` bytes of a segment (negative: everything to its end), starting at `offset`
 * within it.
 *
 * Returns 0, and the caller keeps its reference. Returns -1 if the range is not inside the
 * segment, the end of the buffer is frozen, the file cannot be read, or memory is short; the
 * caller's reference is then released.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_file_segment(struct evbuffer *buf, struct evbuffer_file_segment *seg,
    ev_off_t offset, ev_off_t length);

/**
 * Removes the first `len` bytes, or everything if there are fewer.
 *
 * Returns 0, or -1 if the front of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_drain(struct evbuffer *buf, size_t len);

/**
 * Writes a buffer to a descriptor with one system call, and removes what was written.
 *
 * Returns the number of bytes, which may be fewer than there are. Returns -1 with errno set if the
 * system call failed; also -1 if there is nothing to write or the front of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_write(struct evbuffer *buffer, evutil_socket_t fd);

/** Like evbuffer_write(), but writes at most `howmuch` bytes; negative means no limit. */
EVENT2_EXPORT_SYMBOL
int evbuffer_write_atmost(struct evbuffer *buffer, evutil_socket_t fd, ev_ssize_t howmuch);

/**
 * Reads from a descriptor to the end of a buffer with one system call, at most `howmuch` bytes and
 * at most 4096.
 *
 * Returns the number of bytes, or 0 at the end of the file. Returns -1 with errno set if the
 * system call failed; also -1 if the end of the buffer is frozen or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_read(struct evbuffer *buffer, evutil_socket_t fd, int howmuch);

/**
 * Finds the `len` bytes at `what`, starting at the position `start`; NULL means the front.
 *
 * Returns the position where they begin, or one with a `pos` of -1 if they are not found. The time
 * is proportional to the data searched, whatever the length of `what`.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_ptr evbuffer_search(struct evbuffer *buffer, const char *what, size_t len,
    const struct evbuffer_ptr *start);

/**
 * Like evbuffer_search(), but the match must end at or before the position `end`; NULL means the
 * end of the data.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_ptr evbuffer_search_range(struct evbuffer *buffer, const char *what,
    size_t len, const struct evbuffer_ptr *start, const struct evbuffer_ptr *end);

/**
 * Moves a position: to `position` bytes from the front, or forward by that many.
 *
 * The end of the data is a valid position. Returns 0. Returns -1 and invalidates the position if
 * the data ends earlier; returns -1 and leaves it unchanged if it is not valid and was to be moved
 * forward, or if the sum overflows.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_ptr_set(struct evbuffer *buffer, struct evbuffer_ptr *ptr, size_t position,
    enum evbuffer_ptr_how how);

/**
 * Finds the next line end, starting at the position `start`; NULL means the front.
 *
 * Returns the position where the line end begins, and stores its length in `eol_len_out` unless
 * that is NULL; if there is none, `pos` is -1 and the length 0.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_ptr evbuffer_search_eol(struct evbuffer *buffer, struct evbuffer_ptr *start,
    size_t *eol_len_out, enum evbuffer_eol_style eol_style);

/**
 * Says where the data of a buffer is in memory, without copying or removing it.
 *
 * At least `len` bytes from the position `start_at` (NULL: the front) are described, in as many
 * pieces as needed; the last piece may extend further. A negative `len` means as much as fits into
 * `n_vec` pieces or, if `n_vec` is 0, everything. Some pieces may be empty. The data must not be
 * changed, and every change of the buffer invalidates the pieces.
 *
 * Returns the number of pieces needed, which may be more than `n_vec`; then only `n_vec` are
 * filled in. Returns -1 if data that is still in a file cannot be read.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_peek(struct evbuffer *buffer, ev_ssize_t len, struct evbuffer_ptr *start_at,
    struct evbuffer_iovec *vec_out, int n_vec);

/**
 * Registers a function that is called whenever bytes are added to or removed from a buffer.
 *
 * It is called before the function that made the change returns, unless callbacks are deferred;
 * the one registered last is called first. Returns a handle, or NULL if memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evbuffer_cb_entry *evbuffer_add_cb(struct evbuffer *buffer, evbuffer_cb_func cb,
    void *cbarg);

/**
 * Removes a callback by its handle. May be called from any callback, including that one. Returns
 * 0.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_remove_cb_entry(struct evbuffer *buffer, struct evbuffer_cb_entry *ent);

/**
 * Removes the most recently added callback with this function and argument.
 *
 * Returns 0, or -1 if there is none.
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
 * Makes the first `size` bytes of a buffer contiguous in memory; negative means everything.
 *
 * Returns their address, which is valid until the buffer is changed. They may be written to,
 * unless they are memory that was added by reference, shared, or from a file. Returns NULL if
 * there are fewer bytes, `size` is 0, or memory is short.
 */
EVENT2_EXPORT_SYMBOL
unsigned char *evbuffer_pullup(struct evbuffer *buf, ev_ssize_t size);

/**
 * Inserts a copy of `size` bytes at the front.
 *
 * Returns 0, or -1 if memory is short or the front of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_prepend(struct evbuffer *buf, const void *data, size_t size);

/**
 * Moves everything from `src` to the front of `dst` without copying.
 *
 * Returns 0, or -1 if the front of either buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_prepend_buffer(struct evbuffer *dst, struct evbuffer *src);

/**
 * Makes all changes at one end of a buffer fail: adding at the end, or removing and prepending at
 * the front. Freezing twice is the same as freezing once. Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_freeze(struct evbuffer *buf, int at_front);

/** Allows changes at one end of a buffer again. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evbuffer_unfreeze(struct evbuffer *buf, int at_front);

/**
 * Makes the callbacks of a buffer run from the loop of `base` instead of inside the change.
 *
 * Several changes are then reported as one. The base must outlive the buffer. This cannot be
 * undone. Returns 0, or -1, with nothing changed, if memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_defer_callbacks(struct evbuffer *buffer, struct event_base *base);

/**
 * Appends copies of `n_vec` pieces of memory in order. Callbacks are called once.
 *
 * Returns the number of bytes added; 0, with nothing added, if memory is short or the end of the
 * buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
size_t evbuffer_add_iovec(struct evbuffer *buffer, struct evbuffer_iovec *vec, int n_vec);

/**
 * Appends formatted text, as printf() would write it, without the terminating NUL.
 *
 * Returns the number of bytes added, or -1 if the format is invalid, memory is short or the end
 * of the buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_printf(struct evbuffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Like evbuffer_add_printf(), with the arguments of vprintf(). */
EVENT2_EXPORT_SYMBOL
int evbuffer_add_vprintf(struct evbuffer *buffer, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#ifdef __cplusplus
}
#endif

#endif
