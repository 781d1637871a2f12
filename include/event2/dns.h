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

/** Success. */
#define DNS_ERR_NONE 0

/** The server could not parse the query. */
#define DNS_ERR_FORMAT 1

/** The server failed. */
#define DNS_ERR_SERVERFAILED 2

/** The name does not exist. */
#define DNS_ERR_NOTEXIST 3

/** The server does not support this kind of query. */
#define DNS_ERR_NOTIMPL 4

/** The server refused to answer. */
#define DNS_ERR_REFUSED 5

/** The answer does not fit into a datagram and could not be fetched over TCP. */
#define DNS_ERR_TRUNCATED 65

/** The answer is malformed. */
#define DNS_ERR_UNKNOWN 66

/** No server answered in time. */
#define DNS_ERR_TIMEOUT 67

/** The resolver was freed. */
#define DNS_ERR_SHUTDOWN 68

/** The look-up was cancelled. */
#define DNS_ERR_CANCEL 69

/** The name exists, but has no such records. */
#define DNS_ERR_NODATA 70

/** Result type: IPv4 addresses. */
#define DNS_IPv4_A 1

/** Result type: a name. */
#define DNS_PTR 2

/** Result type: IPv6 addresses. */
#define DNS_IPv6_AAAA 3

/** Flag for a look-up: do not try the domains of the search list. */
#define DNS_QUERY_NO_SEARCH 1

/** Read the search list and the option `ndots`. */
#define DNS_OPTION_SEARCH 1

/**
 * Read the name servers and the option `bind-to`. If there is no server, use the one on this
 * machine.
 */
#define DNS_OPTION_NAMESERVERS 2

/** Read all other options. */
#define DNS_OPTION_MISC 4

/** Read the names in `/etc/hosts`. */
#define DNS_OPTION_HOSTSFILE 8

/** Do not use the server on this machine if there is no other. */
#define DNS_OPTION_NAMESERVERS_NO_DEFAULT 16

/** Flag for evdns_base_new(): use the system's configuration. */
#define EVDNS_BASE_INITIALIZE_NAMESERVERS 1

/**
 * Flag for evdns_base_new(): while no look-up is under way, the resolver does not keep the loop
 * running.
 */
#define EVDNS_BASE_DISABLE_WHEN_INACTIVE 0x8000

/** Flag for evdns_base_new(): add no server if the system configures none. */
#define EVDNS_BASE_NAMESERVERS_NO_DEFAULT 0x10000

/** Section for the records that answer the question. */
#define EVDNS_ANSWER_SECTION 0

/** Section for records about the zone. */
#define EVDNS_AUTHORITY_SECTION 1

/** Section for any other records. */
#define EVDNS_ADDITIONAL_SECTION 2

/** Record type: an IPv4 address. */
#define EVDNS_TYPE_A 1

/** Record type: a name server of the zone. */
#define EVDNS_TYPE_NS 2

/** Record type: the name that this name is an alias for. */
#define EVDNS_TYPE_CNAME 5

/** Record type: the start of a zone. */
#define EVDNS_TYPE_SOA 6

/** Record type: the name that an address points to. */
#define EVDNS_TYPE_PTR 12

/** Record type: where mail is delivered. */
#define EVDNS_TYPE_MX 15

/** Record type: text. */
#define EVDNS_TYPE_TXT 16

/** Record type: an IPv6 address. */
#define EVDNS_TYPE_AAAA 28

/** Question type: a whole zone. */
#define EVDNS_QTYPE_AXFR 252

/** Question type: all records. */
#define EVDNS_QTYPE_ALL 255

/** The Internet class. */
#define EVDNS_CLASS_INET 1

/** Flag of an answer: the server is authoritative for the zone. */
#define EVDNS_FLAGS_AA 0x400

/**
 * Flag of an answer: the server offers recursion. In the message this is the bit "recursion
 * available".
 */
#define EVDNS_FLAGS_RD 0x080

/**
 * Makes a resolver on the loop of `event_base`; NULL means the base of event_init().
 *
 * `flags` are `EVDNS_BASE_*` bits; 0 makes a resolver without servers. If there are unknown bits
 * among them, `EVDNS_BASE_INITIALIZE_NAMESERVERS` is implied, as older interfaces took any
 * non-zero number to mean that.
 *
 * The base must outlive the resolver. Returns NULL if memory is short or `/etc/resolv.conf` cannot
 * be read. If that file names no server, the one on this machine is used. The caller frees the
 * resolver with evdns_base_free().
 */
EVENT2_EXPORT_SYMBOL
struct evdns_base *evdns_base_new(struct event_base *event_base, int flags);

/**
 * Frees a resolver; NULL is ignored.
 *
 * With `fail_requests`, look-ups that have no result yet get `DNS_ERR_SHUTDOWN`, from the loop;
 * without it their callbacks are never called, and their requests must not be used any more.
 * Look-ups that already have a result get it in either case.
 */
EVENT2_EXPORT_SYMBOL
void evdns_base_free(struct evdns_base *base, int fail_requests);

/** Forgets all names that were read from hosts files. */
EVENT2_EXPORT_SYMBOL
void evdns_base_clear_host_addresses(struct evdns_base *base);

/** The English text for a `DNS_ERR_*` code: a constant. */
EVENT2_EXPORT_SYMBOL
const char *evdns_err_to_string(int err);

/**
 * Adds the server at an IPv4 address, given in network byte order, with port 53.
 *
 * Returns 0 on success, -1 if memory is short, 1 if no socket could be made, 2 if the socket
 * cannot be used or bound, or 3 if the resolver already has this server.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_nameserver_add(struct evdns_base *base, unsigned long address);

/** The number of servers that a resolver has, whether they answer or not. */
EVENT2_EXPORT_SYMBOL
int evdns_base_count_nameservers(struct evdns_base *base);

/**
 * Forgets all servers. Look-ups under way, and new ones, wait until a server is added and
 * evdns_base_resume() is called. Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_clear_nameservers_and_suspend(struct evdns_base *base);

/** Sends the queries that are waiting, as far as `max-inflight` allows. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evdns_base_resume(struct evdns_base *base);

/**
 * Adds the server at an address given as text: `1.2.3.4`, `1.2.3.4:53`, `::1`, `[::1]` or
 * `[::1]:53`; IPv6 addresses may end with `%interface`. The default port is 53.
 *
 * Returns what evdns_base_nameserver_add() returns, or 4 if the text is not an address.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_nameserver_ip_add(struct evdns_base *base, const char *ip_as_string);

/**
 * Adds the server at a socket address of `len` bytes, which includes the port. `flags` must be 0.
 *
 * Returns what evdns_base_nameserver_add() returns.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_nameserver_sockaddr_add(struct evdns_base *base, const struct sockaddr *sa,
    socklen_t len, unsigned int flags);

/**
 * Looks up the IPv4 addresses of a name.
 *
 * `flags` is 0 or `DNS_QUERY_NO_SEARCH`. `callback` is called from the loop, never before this
 * returns in the loop's thread.
 *
 * Returns a request that can be passed to evdns_cancel_request() until `callback` has returned.
 * Returns NULL, and never calls `callback`, if the name is not valid or memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evdns_request *evdns_base_resolve_ipv4(struct evdns_base *base, const char *name,
    int flags, evdns_callback_type callback, void *ptr);

/** Looks up the IPv6 addresses of a name; otherwise like evdns_base_resolve_ipv4(). */
EVENT2_EXPORT_SYMBOL
struct evdns_request *evdns_base_resolve_ipv6(struct evdns_base *base, const char *name,
    int flags, evdns_callback_type callback, void *ptr);

/**
 * Looks up the name of an IPv4 address. `flags` is ignored; otherwise like
 * evdns_base_resolve_ipv4().
 */
EVENT2_EXPORT_SYMBOL
struct evdns_request *evdns_base_resolve_reverse(struct evdns_base *base,
    const struct in_addr *in, int flags, evdns_callback_type callback, void *ptr);

/**
 * Looks up the name of an IPv6 address. `flags` is ignored; otherwise like
 * evdns_base_resolve_ipv4().
 */
EVENT2_EXPORT_SYMBOL
struct evdns_request *evdns_base_resolve_reverse_ipv6(struct evdns_base *base,
    const struct in6_addr *in, int flags, evdns_callback_type callback, void *ptr);

/**
 * Cancels a look-up: its callback gets `DNS_ERR_CANCEL`, from the loop.
 *
 * A look-up that already has a result still gets it, and nothing happens if its callback is
 * running. `base` may be NULL.
 */
EVENT2_EXPORT_SYMBOL
void evdns_cancel_request(struct evdns_base *base, struct evdns_request *req);

/**
 * Sets an option by name, with or without a colon at the end of the name. Defaults are in
 * parentheses.
 *
 * - `ndots` (1): names with at least this many dots are first tried as they are, without the search list.
 * - `timeout` (5): seconds, possibly with a fraction, until a query is sent again.
 * - `attempts` (3): how often a query is sent.
 * - `max-timeouts` (3): a server that times out more often than this in a row counts as down.
 * - `max-inflight` (64): how many queries may be under way at a time.
 * - `randomize-case` (1): whether the letters of queries get random case.
 * - `initial-probe-timeout` (10): seconds until a server that is down is first probed.
 * - `getaddrinfo-allow-skew` (3): seconds that evdns_getaddrinfo() waits for the second address family.
 * - `bind-to`: the address that new sockets are bound to.
 * - `so-rcvbuf`, `so-sndbuf`: the sizes of the buffers of new sockets.
 *
 * Returns 0, or -1 if the value is not valid. Unknown options are ignored.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_set_option(struct evdns_base *base, const char *option, const char *val);

/**
 * Reads a resolv.conf file. `flags` are `DNS_OPTION_*` bits that say which parts of it to use.
 * Servers and names are added to the existing ones; a `search` or `domain` line replaces the
 * search list.
 *
 * Returns 0 on success, 1 if the file cannot be opened (the defaults are then used), 2 if it
 * cannot be read or memory is short, or 6 if it names no server and the one on this machine was
 * added.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_resolv_conf_parse(struct evdns_base *base, int flags, const char *filename);

/**
 * Adds the names in a hosts file to those that evdns_getaddrinfo() knows. If `hosts_fname` is
 * NULL, or the file cannot be read, only `localhost` is added.
 *
 * `base` may be NULL for the resolver of evdns_init(). Returns 0, or -1 if the file cannot be read
 * or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_load_hosts(struct evdns_base *base, const char *hosts_fname);

/** Empties the search list and sets `ndots` to 1. */
EVENT2_EXPORT_SYMBOL
void evdns_base_search_clear(struct evdns_base *base);

/** Adds a domain at the front of the search list. */
EVENT2_EXPORT_SYMBOL
void evdns_base_search_add(struct evdns_base *base, const char *domain);

/** Sets how many dots a name must have to be tried as it is before the search list. */
EVENT2_EXPORT_SYMBOL
void evdns_base_search_ndots_set(struct evdns_base *base, int ndots);

/**
 * Sets the function that gets all messages of resolvers and DNS servers, including debug messages;
 * NULL restores the general log. It must not use a resolver.
 */
EVENT2_EXPORT_SYMBOL
void evdns_set_log_fn(evdns_debug_log_fn_type callback);

/** Has no effect: random numbers come from the system. */
EVENT2_EXPORT_SYMBOL
void evdns_set_transaction_id_fn(ev_uint16_t (*function)(void));

/** Has no effect: random numbers come from the system. */
EVENT2_EXPORT_SYMBOL
void evdns_set_random_bytes_fn(void (*function)(char*, size_t));

/**
 * Makes a DNS server on a bound datagram socket, in the loop of `base`.
 *
 * The server takes the socket over. `flags` must be 0. `callback` gets every message that has
 * questions, and `user_data`.
 *
 * Returns the server, to be closed with evdns_close_server_port(), or NULL on failure; the socket
 * then remains the caller's.
 */
EVENT2_EXPORT_SYMBOL
struct evdns_server_port *evdns_add_server_port_with_base(struct event_base *base,
    evutil_socket_t socket, int flags, evdns_request_callback_fn_type callback, void *user_data);

/**
 * Closes a server: it reads no more questions. Requests that are not answered yet may still be
 * answered; the socket is closed with the last of them.
 */
EVENT2_EXPORT_SYMBOL
void evdns_close_server_port(struct evdns_server_port *port);

/**
 * Sets the flags of an answer, `EVDNS_FLAGS_AA` and `EVDNS_FLAGS_RD`, replacing those set before.
 */
EVENT2_EXPORT_SYMBOL
void evdns_server_request_set_flags(struct evdns_server_request *req, int flags);

/**
 * Adds a record to an answer; everything is copied.
 *
 * `section` is one of the `EVDNS_*_SECTION` constants. With `is_name`, `data` is a name as text;
 * otherwise it is `datalen` bytes, or NULL for no data.
 *
 * Returns 0, or -1 if the section does not exist, a name is missing or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_reply(struct evdns_server_request *req, int section,
    const char *name, int type, int dns_class, int ttl, int datalen, int is_name, const char *data);

/**
 * Adds a record to the answer section for each of the `n` IPv4 addresses in the array `addrs`, in
 * network byte order. Returns 0 or -1.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_a_reply(struct evdns_server_request *req, const char *name, int n,
    const void *addrs, int ttl);

/**
 * Adds a record to the answer section for each of the `n` IPv6 addresses in the array `addrs`.
 * Returns 0 or -1.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_aaaa_reply(struct evdns_server_request *req, const char *name,
    int n, const void *addrs, int ttl);

/**
 * Adds the host name of an address to the answer section. The address is either `in`, an IPv4
 * address, or `inaddr_name`, a name such as `4.3.2.1.in-addr.arpa`; the other must be NULL.
 * Returns 0 or -1.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_ptr_reply(struct evdns_server_request *req, struct in_addr *in,
    const char *inaddr_name, const char *hostname, int ttl);

/**
 * Adds a record to the answer section that says that `name` is an alias for `cname`. Returns 0 or
 * -1.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_cname_reply(struct evdns_server_request *req, const char *name,
    const char *cname, int ttl);

/**
 * Sends an answer with the response code `err`, 0 to 15: `DNS_ERR_NONE` to `DNS_ERR_REFUSED`, or
 * another code of the protocol.
 *
 * Records that do not fit into 512 bytes are left out, and the answer is marked as truncated.
 *
 * Returns 0 if the answer was sent, or dropped because the system refused to send it; 1 if it will
 * be sent as soon as the socket is writable. In both cases the request no longer belongs to the
 * program. Returns -1 if nothing was done, because `err` is out of range or memory is short; the
 * request may then still be used.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_respond(struct evdns_server_request *req, int err);

/** Frees a request without answering it. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_drop(struct evdns_server_request *req);

/**
 * Copies the address that a request came from to `sa`. Returns its length, or -1 if that is more
 * than `addr_len`.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_get_requesting_addr(struct evdns_server_request *req,
    struct sockaddr *sa, int addr_len);

/**
 * Looks up the addresses of a host, like getaddrinfo() but without blocking.
 *
 * Names from hosts files come first. Otherwise the name servers are asked for both address
 * families at the same time, or for the one in `hints_in`; IPv4 addresses come before IPv6 ones.
 * `dns_base` may be NULL for the resolver of evdns_init().
 *
 * Returns a request that can be passed to evdns_getaddrinfo_cancel() until `cb` has returned.
 * Returns NULL if `cb` was already called, before this returned, because the answer was known or
 * the arguments were wrong.
 */
EVENT2_EXPORT_SYMBOL
struct evdns_getaddrinfo_request *evdns_getaddrinfo(struct evdns_base *dns_base,
    const char *nodename, const char *servname, const struct evutil_addrinfo *hints_in,
    evdns_getaddrinfo_cb cb, void *arg);

/**
 * Cancels a look-up: `cb` gets `EVUTIL_EAI_CANCEL`, from the loop. Must not be called once `cb`
 * has been called.
 */
EVENT2_EXPORT_SYMBOL
void evdns_getaddrinfo_cancel(struct evdns_getaddrinfo_request *req);

/**
 * Copies the address of a server to `sa`. `idx` 0 is the server that is asked next, which changes
 * with every query.
 *
 * Returns the length of the address; if that is more than `len`, nothing was copied. Returns -1 if
 * there are not that many servers.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_get_nameserver_addr(struct evdns_base *base, int idx, struct sockaddr *sa,
    socklen_t len);

#ifdef __cplusplus
}
#endif

#endif
