/* event2/rpc_compat.h: the macros of the 1.x series for the entries of messages.
 *
 * They take a variable number of arguments, which GNU C allows outside of its strict modes.
 */
#ifndef EVENT2_RPC_COMPAT_H_INCLUDED_
#define EVENT2_RPC_COMPAT_H_INCLUDED_

#if defined(__GNUC__) && !defined(__STRICT_ANSI__)

#undef EVTAG_ASSIGN
#undef EVTAG_GET
#undef EVTAG_ADD

/** Sets an entry: (msg, member, value), (msg, bytes, value, length), (msg, array, index, value).
 * */
#define EVTAG_ASSIGN(msg, member, args...) (*(msg)->base->member##_assign)(msg, ## args)
/** Reads an entry: (msg, member, &value), (msg, bytes, &value, &length),
 * (msg, array, index, &value). */
#define EVTAG_GET(msg, member, args...) (*(msg)->base->member##_get)(msg, ## args)
/** Appends to an array: (msg, array, value), or (msg, array) for an array of structures. */
#define EVTAG_ADD(msg, member, args...) (*(msg)->base->member##_add)(msg, ## args)

#endif

/** The number of elements of an array, or of bytes in a byte array. */
#define EVTAG_LEN(msg, member) ((msg)->member##_length)

#endif
