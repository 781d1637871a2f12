/* event2/dns_struct.h: the questions that a DNS server gets.
 *
 * The library makes these. A server may read them until it has answered or dropped the request.
 * It may change letters of a name in place: the answer then repeats the question in its changed
 * form.
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
    /** Flags of the message, which the answer repeats: 0x0100 if recursion is desired, 0x0010 if
     * checking is disabled. */
    int flags;
    /** The number of questions; at least one. */
    int nquestions;
    /** The questions. */
    struct evdns_server_question **questions;
};

/** A question. */
struct evdns_server_question {
    /** The type of the records asked for, `EVDNS_TYPE_*` or another. */
    int type;
#ifdef __cplusplus
    /** The class, usually `EVDNS_CLASS_INET`. */
    int dns_question_class;
#else
    /** The class, usually `EVDNS_CLASS_INET`. Call it `dns_question_class`, as C++ must. */
    int class;
#define dns_question_class class
#endif
    /** The name, with dots between its labels and none at the end. The array extends as far as
     * the name needs. */
    char name[1];
};

#ifdef __cplusplus
}
#endif

#endif
