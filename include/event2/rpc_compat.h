/* event2/rpc_compat.h: the macros for entries of messages that the 1.x series had.
 *
 * They take any number of arguments, which GNU C knows outside of its strict modes.
 */
#ifndef EVENT2_RPC_COMPAT_H_INCLUDED_
#define EVENT2_RPC_COMPAT_H_INCLUDED_

#if defined(__GNUC__) && !defined(__STRICT_ANSI__)

#undef EVTAG_ASSIGN
#undef EVTAG_GET
#undef EVTAG_ADD

/** Sets an entry: (msg, member, value), (msg, bytes, value, length), (msg, array, index, value). */
#define EVTAG_ASSIGN(msg, member, args...) (*(msg)->base->member##_assign)(msg, ## args)
/** Looks at an entry: (msg, member, &value), (msg, bytes, &value, &length),
 * (msg, array, index, &value). */
#define EVTAG_GET(msg, member, args...) (*(msg)->base->member##_get)(msg, ## args)
/** Appends to an array: (msg, array, value), (msg, array of structures). */
#define EVTAG_ADD(msg, member, args...) (*(msg)->base->member##_add)(msg, ## args)

#endif

/** The number of elements of an array, or of bytes. */
#define EVTAG_LEN(msg, member) ((msg)->member##_length)

#endif
