/* event2/keyvalq_struct.h: the list of name-value pairs, such as the headers of a request. */
#ifndef EVENT2_KEYVALQ_STRUCT_H_INCLUDED_
#define EVENT2_KEYVALQ_STRUCT_H_INCLUDED_

#ifdef __cplusplus
extern "C" {
#endif

/* The macros of sys/queue.h, for as long as this header needs them, where the program has not
 * included it. */
#ifndef TAILQ_ENTRY
#define EVENT_DEFINED_TQENTRY_
#define TAILQ_ENTRY(element) struct { struct element *tqe_next; struct element **tqe_prev; }
#endif
#ifndef TAILQ_HEAD
#define EVENT_DEFINED_TQHEAD_
#define TAILQ_HEAD(name, element) \
    struct name { struct element *tqh_first; struct element **tqh_last; }
#endif

/**
 * One pair. Both strings end with a NUL and belong to the list that holds the pair.
 */
struct evkeyval {
    /** Neighbours in the list. */
    TAILQ_ENTRY(evkeyval) next;
    /** The name. */
    char *key;
    /** The value. */
    char *value;
};

/** A list of pairs in the order they were added. */
TAILQ_HEAD(evkeyvalq, evkeyval);

#ifdef EVENT_DEFINED_TQENTRY_
#undef TAILQ_ENTRY
#undef EVENT_DEFINED_TQENTRY_
#endif
#ifdef EVENT_DEFINED_TQHEAD_
#undef TAILQ_HEAD
#undef EVENT_DEFINED_TQHEAD_
#endif

#ifdef __cplusplus
}
#endif

#endif
