/* event2/dns.h: DNS look-ups without blocking, and a DNS server.
 *
 * A resolver, `struct evdns_base`, asks name servers and reports results from the loop. It uses
 * the servers in resolv.conf, or those that the program adds. evdns_getaddrinfo() finds addresses
 * of both families; the evdns_base_resolve_* functions ask for records of one type.
 *
 * An answer is accepted only if it comes from the address and port that were asked and repeats
 * the question and its random id. An answer that does not fit into a datagram is fetched over
 * TCP. A server that does not answer is skipped while others do, and probed until it is back.
 *
 * On the server side, an evdns_server_port reads questions from a socket. The program's callback
 * adds records and sends the answer, at once or later.
 *
 * Threads: functions that take a resolver, a request or a port may be called from any thread if
 * threads were set up before that object was made. Results are reported in the loop's thread,
 * without a lock held; the callback of a server port is called with the lock of the port held.
 */
#ifndef EVENT2_DNS_H_INCLUDED_
#define EVENT2_DNS_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct sockaddr;
struct in_addr;
struct in6_addr;

/** A resolver. */
struct evdns_base;
/** A look-up of records of one type. */
struct evdns_request;
/** A look-up by evdns_getaddrinfo(). */
struct evdns_getaddrinfo_request;
/** A DNS server on one socket. */
struct evdns_server_port;
/** A message with questions; its members are in event2/dns_struct.h. */
struct evdns_server_request;
/** A question. */
struct evdns_server_question;

/** Every part of a resolv.conf file. */
#define DNS_OPTIONS_ALL \
    (DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC | DNS_OPTION_HOSTSFILE)

/** An older name of `DNS_QUERY_NO_SEARCH`. */
#define DNS_NO_SEARCH DNS_QUERY_NO_SEARCH

/** Called with the result of a look-up. `result` is a `DNS_ERR_*` code. If it is `DNS_ERR_NONE`,
 * `type` says what `addresses` points to: `count` addresses of 4 bytes (`DNS_IPv4_A`) or 16 bytes
 * (`DNS_IPv6_AAAA`) in network byte order, or a pointer to a name, `char **` (`DNS_PTR`). They
 * are valid during the call. `ttl` is how many seconds the answer may be cached; it is also set
 * if the server said that there is no such name or no such record. */
typedef void (*evdns_callback_type)(int result, char type, int count, int ttl, void *addresses, void *arg);

/** Called with a log message; `is_warning` is 0 or 1. */
typedef void (*evdns_debug_log_fn_type)(int is_warning, const char *msg);

/** Called with questions, which must be answered with evdns_server_request_respond() or dropped
 * with evdns_server_request_drop(), at once or later. */
typedef void (*evdns_request_callback_fn_type)(struct evdns_server_request *request, void *user_data);

/** Called with the result of evdns_getaddrinfo(): 0 or an `EVUTIL_EAI_*` code, and a list that
 * the callee frees with evutil_freeaddrinfo(). */
typedef void (*evdns_getaddrinfo_cb)(int result, struct evutil_addrinfo *res, void *arg);

/* generated from src/c_api/dns.rs */

#ifdef __cplusplus
}
#endif

#endif
