/* event2/event_struct.h: the members of `struct event`.
 *
 * For programs that embed an event in a structure of their own. Such a program depends on the
 * layout; one that only holds pointers from event_new() does not. The members may be read; the
 * comments say which of them may be written, and when.
 */
#ifndef EVENT2_EVENT_STRUCT_H_INCLUDED_
#define EVENT2_EVENT_STRUCT_H_INCLUDED_

#include <event2/event-config.h>
#include <sys/time.h>
#include <sys/types.h>

#include <event2/util.h>
/* Programs of the 1.x series get the pair list from here. */
#include <event2/keyvalq_struct.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bits of `evcb_flags`: what the library is doing with an event at the moment. */
/** It has a deadline. */
#define EVLIST_TIMEOUT 0x01
/** It waits for its descriptor or signal. */
#define EVLIST_INSERTED 0x02
/** Not used; kept for programs that test it. */
#define EVLIST_SIGNAL 0x04
/** Its callback is about to be called. */
#define EVLIST_ACTIVE 0x08
/** It does not keep the loop running. May be set between event_assign() and event_add(). */
#define EVLIST_INTERNAL 0x10
/** Its callback will be called in the next pass of the loop. */
#define EVLIST_ACTIVE_LATER 0x20
/** Its finalizer will be called or has been called. */
#define EVLIST_FINALIZING 0x40
/** It was assigned by event_assign(). */
#define EVLIST_INIT 0x80
/** All of the above. */
#define EVLIST_ALL 0xff

/* The macros of sys/queue.h, if the program has not included it; undefined again at the end of
 * this header. */
#ifndef TAILQ_ENTRY
#define EVENT_DEFINED_TQENTRY_
#define TAILQ_ENTRY(element) struct { struct element *tqe_next; struct element **tqe_prev; }
#endif
#ifndef TAILQ_HEAD
#define EVENT_DEFINED_TQHEAD_
#define TAILQ_HEAD(name, element) \
    struct name { struct element *tqh_first; struct element **tqh_last; }
#endif
#ifndef LIST_ENTRY
#define EVENT_DEFINED_LISTENTRY_
#define LIST_ENTRY(element) struct { struct element *le_next; struct element **le_prev; }
#endif
#ifndef LIST_HEAD
#define EVENT_DEFINED_LISTHEAD_
#define LIST_HEAD(name, element) struct name { struct element *lh_first; }
#endif

struct event;
struct event_base;

/**
 * The part of an event that is linked into the queue of callbacks to call.
 */
struct event_callback {
    /** Neighbours in the queue. */
    TAILQ_ENTRY(event_callback) evcb_active_next;
    /** `EVLIST_*` bits. */
    short evcb_flags;
    /** Priority; smaller is sooner. */
    ev_uint8_t evcb_pri;
    /** Which member of evcb_cb_union is valid, and how it is called. */
    ev_uint8_t evcb_closure;
    /** What is called. */
    union {
        void (*evcb_callback)(evutil_socket_t, short, void *);
        void (*evcb_selfcb)(struct event_callback *, void *);
        void (*evcb_evfinalize)(struct event *, void *);
        void (*evcb_cbfinalize)(struct event_callback *, void *);
    } evcb_cb_union;
    /** The argument for the call, read when the call is made. */
    void *evcb_arg;
};

/**
 * An event: what to wait for and what to call then.
 *
 * The memory belongs to the program, or came from event_new(). While an event is neither pending
 * nor active, the library keeps no pointer to it, and it may be copied, moved, zeroed or freed.
 * While it is pending or active, only the library writes to it.
 */
struct event {
    /** Its place among the callbacks to call. */
    struct event_callback ev_evcallback;
    /** Its place among the timers. */
    union {
        /** Neighbours among the events with one common timeout. */
        TAILQ_ENTRY(event) ev_next_with_common_timeout;
        /** Index in the timer heap; -1 if it is not in the heap. */
        int min_heap_idx;
    } ev_timeout_pos;
    /** Descriptor or signal number; -1 for neither. May be changed while the event is neither
     * pending nor active. */
    evutil_socket_t ev_fd;
    /** The base it belongs to, NULL before it has one. */
    struct event_base *ev_base;
    /** Depends on the kind of event. */
    union {
        /** An event on a descriptor, or a plain timer. */
        struct {
            /** Neighbours among the events on the descriptor. */
            LIST_ENTRY(event) ev_io_next;
            /** Interval that a persistent event repeats. */
            struct timeval ev_timeout;
        } ev_io;
        /** A signal event. */
        struct {
            /** Neighbours among the events on the signal. */
            LIST_ENTRY(event) ev_signal_next;
            /** How many calls of the callback are still to be made. */
            short ev_ncalls;
            /** Points to the remaining calls while the callback runs, so that deleting the event
             * can cancel them. */
            short *ev_pncalls;
        } ev_signal;
    } ev_;
    /** `EV_*` bits to wait for. May be changed while the event is neither pending nor active. */
    short ev_events;
    /** `EV_*` bits that happened, as passed to the callback. */
    short ev_res;
    /** Deadline on the monotonic clock, while EVLIST_TIMEOUT is set. */
    struct timeval ev_timeout;
};

/** A queue of events. */
TAILQ_HEAD(event_list, event);
/** A list of events. */
LIST_HEAD(event_dlist, event);

#ifdef EVENT_DEFINED_TQENTRY_
#undef TAILQ_ENTRY
#undef EVENT_DEFINED_TQENTRY_
#endif
#ifdef EVENT_DEFINED_TQHEAD_
#undef TAILQ_HEAD
#undef EVENT_DEFINED_TQHEAD_
#endif
#ifdef EVENT_DEFINED_LISTENTRY_
#undef LIST_ENTRY
#undef EVENT_DEFINED_LISTENTRY_
#endif
#ifdef EVENT_DEFINED_LISTHEAD_
#undef LIST_HEAD
#undef EVENT_DEFINED_LISTHEAD_
#endif

#ifdef __cplusplus
}
#endif

#endif
