/* event2/dns_struct.h: what a DNS server sees of the questions that it is asked.
 *
 * The library makes these. A server may read them until it has answered or dropped the request, and
 * may change letters of a name in place: the answer repeats the question as it then is.
 */
#ifndef EVENT2_DNS_STRUCT_H_INCLUDED_
#define EVENT2_DNS_STRUCT_H_INCLUDED_

#include <event2/event-config.h>
#include <sys/types.h>
#include <sys/time.h>

#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A message with questions. */
struct evdns_server_request {
    /** Flags of the message that the answer repeats: 0x0100 when recursion is desired, 0x0010 when
     * checking is disabled. */
    int flags;
    /** How many questions there are; at least one. */
    int nquestions;
    /** The questions. */
    struct evdns_server_question **questions;
};

/** A question. */
struct evdns_server_question {
    /** The type of records that are asked for, `EVDNS_TYPE_*` or another. */
    int type;
#ifdef __cplusplus
    /** The class, usually `EVDNS_CLASS_INET`. */
    int dns_question_class;
#else
    /** The class, usually `EVDNS_CLASS_INET`. Call it `dns_question_class`, as C++ must. */
    int class;
#define dns_question_class class
#endif
    /** The name, with dots between its labels and none at the end. It goes on as long as it takes. */
    char name[1];
};

#ifdef __cplusplus
}
#endif

#endif
