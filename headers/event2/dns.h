/* event2/dns.h: names and addresses by the domain name system, without blocking.
 *
 * The resolver, `struct evdns_base`, asks name servers and calls back from the loop. It knows the
 * servers of resolv.conf, or those that are added. evdns_getaddrinfo() gives addresses of both
 * families; the evdns_base_resolve_* functions ask for records of one type.
 *
 * An answer counts when it comes from the address and port that were asked, repeats the question and
 * its random number. One that has no room in a datagram is fetched over TCP. A server that does not
 * answer is left out for a while as long as others do, and probed until it is back.
 *
 * The server: an evdns_server_port reads questions from a socket of the program's, which adds
 * records and sends the answer, at once or later.
 *
 * Threads: all functions that take a resolver, a request or a port may be called in any thread when
 * threads were set up before it was made. Results are told in the thread of the loop, without a lock;
 * a server's function is called with the lock of its port held.
 */
#ifndef EVENT2_DNS_H_INCLUDED_
#define EVENT2_DNS_H_INCLUDED_

#include <event2/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

#include <event2/util.h>

struct event_base;
struct sockaddr;
struct in_addr;
struct in6_addr;

/** A resolver. */
struct evdns_base;
/** A look-up of records of one type. */
struct evdns_request;
/** A look-up of addresses, as by getaddrinfo(). */
struct evdns_getaddrinfo_request;
/** A socket at which questions are answered. */
struct evdns_server_port;
/** A message with questions; event2/dns_struct.h says what is in it. */
struct evdns_server_request;
/** A question. */
struct evdns_server_question;

/** Every part of a resolv.conf file. */
#define DNS_OPTIONS_ALL \
    (DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC | DNS_OPTION_HOSTSFILE)

/** An older name of `DNS_QUERY_NO_SEARCH`. */
#define DNS_NO_SEARCH DNS_QUERY_NO_SEARCH

/** Gets the result of a look-up. `result` is a `DNS_ERR_*` code. When it is `DNS_ERR_NONE`, `type`
 * says what `addresses` points to: `count` addresses of 4 bytes (`DNS_IPv4_A`) or 16 bytes
 * (`DNS_IPv6_AAAA`) in network byte order, or a pointer to a name, `char **` (`DNS_PTR`). They are
 * valid during the call. `ttl` says for how many seconds the answer holds, also when there is no
 * such name or no such record and the server said so. */
typedef void (*evdns_callback_type)(int result, char type, int count, int ttl, void *addresses, void *arg);

/** Gets a message; `is_warning` is 0 or 1. */
typedef void (*evdns_debug_log_fn_type)(int is_warning, const char *msg);

/** Gets questions, to be answered by evdns_server_request_respond() or dropped by
 * evdns_server_request_drop(), at once or later. */
typedef void (*evdns_request_callback_fn_type)(struct evdns_server_request *request, void *user_data);

/** Gets the result of evdns_getaddrinfo(): 0 or an `EVUTIL_EAI_*` code, and a list that
 * evutil_freeaddrinfo() frees. */
typedef void (*evdns_getaddrinfo_cb)(int result, struct evutil_addrinfo *res, void *arg);

/* generated from src/c_api/dns.rs */

#ifdef __cplusplus
}
#endif

#endif
