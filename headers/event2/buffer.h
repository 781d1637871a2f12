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

/* generated from src/buffer/abi.rs */
/* generated from src/c_api/buffer.rs */

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
