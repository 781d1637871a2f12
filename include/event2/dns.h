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

/** There is a result. */
#define DNS_ERR_NONE 0

/** The server could not read the question. */
#define DNS_ERR_FORMAT 1

/** The server has failed. */
#define DNS_ERR_SERVERFAILED 2

/** There is no such name. */
#define DNS_ERR_NOTEXIST 3

/** The server does not know this kind of question. */
#define DNS_ERR_NOTIMPL 4

/** The server does not want to answer. */
#define DNS_ERR_REFUSED 5

/** The answer has no room in a datagram and could not be fetched over TCP. */
#define DNS_ERR_TRUNCATED 65

/** The answer makes no sense. */
#define DNS_ERR_UNKNOWN 66

/** No server has answered in time. */
#define DNS_ERR_TIMEOUT 67

/** The resolver was freed. */
#define DNS_ERR_SHUTDOWN 68

/** The look-up was cancelled. */
#define DNS_ERR_CANCEL 69

/** The name exists, but has no such records. */
#define DNS_ERR_NODATA 70

/** Addresses of IPv4. */
#define DNS_IPv4_A 1

/** A name. */
#define DNS_PTR 2

/** Addresses of IPv6. */
#define DNS_IPv6_AAAA 3

/** Flag of a look-up: the domains of the search list are not tried. */
#define DNS_QUERY_NO_SEARCH 1

/** The search list, and the option `ndots`. */
#define DNS_OPTION_SEARCH 1

/** The servers, and the option `bind-to`. Where there is none, the one of this machine. */
#define DNS_OPTION_NAMESERVERS 2

/** All other options. */
#define DNS_OPTION_MISC 4

/** The names in `/etc/hosts`. */
#define DNS_OPTION_HOSTSFILE 8

/** Not the server of this machine where there is none. */
#define DNS_OPTION_NAMESERVERS_NO_DEFAULT 16

/** Flag of evdns_base_new(): use what the system configures. */
#define EVDNS_BASE_INITIALIZE_NAMESERVERS 1

/**
 * Flag of evdns_base_new(): the loop ends although there are servers, when there are no look-ups.
 */
#define EVDNS_BASE_DISABLE_WHEN_INACTIVE 0x8000

/** Flag of evdns_base_new(): no server is added where the system configures none. */
#define EVDNS_BASE_NAMESERVERS_NO_DEFAULT 0x10000

/** The records that answer the question. */
#define EVDNS_ANSWER_SECTION 0

/** The records about the zone. */
#define EVDNS_AUTHORITY_SECTION 1

/** Other records. */
#define EVDNS_ADDITIONAL_SECTION 2

/** An address of IPv4. */
#define EVDNS_TYPE_A 1

/** A server of a zone. */
#define EVDNS_TYPE_NS 2

/** The name that this one is an alias of. */
#define EVDNS_TYPE_CNAME 5

/** The start of a zone. */
#define EVDNS_TYPE_SOA 6

/** A name that this one points to. */
#define EVDNS_TYPE_PTR 12

/** Where mail goes. */
#define EVDNS_TYPE_MX 15

/** Text. */
#define EVDNS_TYPE_TXT 16

/** An address of IPv6. */
#define EVDNS_TYPE_AAAA 28

/** A question for a whole zone. */
#define EVDNS_QTYPE_AXFR 252

/** A question for all records. */
#define EVDNS_QTYPE_ALL 255

/** The class of the Internet. */
#define EVDNS_CLASS_INET 1

/** Flag of an answer: the server is responsible for the zone. */
#define EVDNS_FLAGS_AA 0x400

/**
 * Flag of an answer: the server would ask others (in the message that is "recursion available").
 */
#define EVDNS_FLAGS_RD 0x080

/**
 * Makes a resolver on the loop of `event_base`; `NULL` is the base that event_init() made.
 *
 * `flags` are `EVDNS_BASE_*`; 0 makes a resolver without servers. Flags that do not exist mean
 * `EVDNS_BASE_INITIALIZE_NAMESERVERS`, as any number did once.
 *
 * The base must outlive the resolver. Returns `NULL` when memory is short or `/etc/resolv.conf`
 * cannot be read; when it names no server, the one of this machine is asked.
 */
EVENT2_EXPORT_SYMBOL
struct evdns_base *evdns_base_new(struct event_base *event_base, int flags);

/**
 * Frees a resolver.
 *
 * Look-ups without a result are told `DNS_ERR_SHUTDOWN` from the loop (`fail_requests`), or never.
 * Results that were found already are told in either case. The requests of look-ups that are not
 * told anything must not be used any more. `NULL` is ignored.
 */
EVENT2_EXPORT_SYMBOL
void evdns_base_free(struct evdns_base *base, int fail_requests);

/** Forgets all names from hosts files. */
EVENT2_EXPORT_SYMBOL
void evdns_base_clear_host_addresses(struct evdns_base *base);

/** The text of a `DNS_ERR_*` code. */
EVENT2_EXPORT_SYMBOL
const char *evdns_err_to_string(int err);

/**
 * Adds a server at an IPv4 address in network byte order, at port 53.
 *
 * Returns 0, or another number: -1 when memory is short, 1 without a socket, 2 when the socket
 * cannot be used or bound, 3 when the resolver has this server already.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_nameserver_add(struct evdns_base *base, unsigned long address);

/** How many servers a resolver has, whether they answer or not. */
EVENT2_EXPORT_SYMBOL
int evdns_base_count_nameservers(struct evdns_base *base);

/**
 * Forgets all servers. Look-ups that are under way, and new ones, wait until there is a server;
 * evdns_base_resume() then asks it. Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_clear_nameservers_and_suspend(struct evdns_base *base);

/** Asks the servers what waits, as far as `max-inflight` allows. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evdns_base_resume(struct evdns_base *base);

/**
 * Adds a server at an address given as text: `1.2.3.4`, `1.2.3.4:53`, `::1`, `[::1]` or `[::1]:53`,
 * the IPv6 ones also with `%interface`. Without a port it is 53.
 *
 * Returns as evdns_base_nameserver_add() does, and 4 when the text is no address.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_nameserver_ip_add(struct evdns_base *base, const char *ip_as_string);

/**
 * Adds a server at a socket address of `len` bytes, with its port. `flags` must be 0.
 *
 * Returns as evdns_base_nameserver_add() does.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_nameserver_sockaddr_add(struct evdns_base *base, const struct sockaddr *sa,
    socklen_t len, unsigned int flags);

/**
 * Looks up the IPv4 addresses of a name.
 *
 * `flags` are 0 or `DNS_QUERY_NO_SEARCH`. Returns a request, valid until `callback` has returned,
 * which evdns_cancel_request() takes; or `NULL`, and then `callback` is never called: the name is
 * none, or memory is short. The callback is never called before this returns in the loop's thread.
 */
EVENT2_EXPORT_SYMBOL
struct evdns_request *evdns_base_resolve_ipv4(struct evdns_base *base, const char *name,
    int flags, evdns_callback_type callback, void *ptr);

/** Looks up the IPv6 addresses of a name, as evdns_base_resolve_ipv4() does those of IPv4. */
EVENT2_EXPORT_SYMBOL
struct evdns_request *evdns_base_resolve_ipv6(struct evdns_base *base, const char *name,
    int flags, evdns_callback_type callback, void *ptr);

/**
 * Looks up the name of an IPv4 address. `flags` do not matter; else as evdns_base_resolve_ipv4().
 */
EVENT2_EXPORT_SYMBOL
struct evdns_request *evdns_base_resolve_reverse(struct evdns_base *base,
    const struct in_addr *in, int flags, evdns_callback_type callback, void *ptr);

/**
 * Looks up the name of an IPv6 address. `flags` do not matter; else as evdns_base_resolve_ipv4().
 */
EVENT2_EXPORT_SYMBOL
struct evdns_request *evdns_base_resolve_reverse_ipv6(struct evdns_base *base,
    const struct in6_addr *in, int flags, evdns_callback_type callback, void *ptr);

/**
 * Cancels a look-up: its callback gets `DNS_ERR_CANCEL`, from the loop.
 *
 * One whose result was found already, and that was not told yet, still gets it; so does one whose
 * callback is running. `base` may be `NULL`.
 */
EVENT2_EXPORT_SYMBOL
void evdns_cancel_request(struct evdns_base *base, struct evdns_request *req);

/**
 * Sets an option by its name, with or without a colon at the end.
 *
 * `ndots` (1): names with so many dots are tried as they are before the domains are. `timeout` (5):
 * seconds until a question is sent again, with a fraction. `attempts` (3): how often it is sent.
 * `max-timeouts` (3): a server that is silent more often in succession is left out.
 * `max-inflight` (64): most questions at a time. `randomize-case` (1): letters of questions get a
 * random case. `initial-probe-timeout` (10): seconds until a server that is left out is tried again.
 * `getaddrinfo-allow-skew` (3): how many seconds one family waits for the other. `bind-to`: the
 * address that new sockets are bound to. `so-rcvbuf`, `so-sndbuf`: sizes of their buffers.
 *
 * Returns 0, or -1 when the value makes no sense. Options that do not exist are ignored.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_set_option(struct evdns_base *base, const char *option, const char *val);

/**
 * Reads a resolv.conf file. `flags` are `DNS_OPTION_*`: which parts count. Servers and names are
 * added to those that there are; a `search` or `domain` line replaces the search list.
 *
 * Returns 0; 1 when the file cannot be opened, and what holds without a file is used; 2 when it
 * cannot be read or memory is short; 6 when it names no server and the one of this machine was
 * added.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_resolv_conf_parse(struct evdns_base *base, int flags, const char *filename);

/**
 * Adds the names of a hosts file to those that evdns_getaddrinfo() knows. `NULL` stands for a file
 * that knows only `localhost`; so does one that cannot be read.
 *
 * `base` may be `NULL` for the resolver of the process. Returns 0, or -1 when the file cannot be
 * read or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_load_hosts(struct evdns_base *base, const char *hosts_fname);

/** Empties the search list, and sets `ndots` to 1. */
EVENT2_EXPORT_SYMBOL
void evdns_base_search_clear(struct evdns_base *base);

/** Puts a domain in front of the search list. */
EVENT2_EXPORT_SYMBOL
void evdns_base_search_add(struct evdns_base *base, const char *domain);

/** Names with so many dots are tried as they are before the domains are. */
EVENT2_EXPORT_SYMBOL
void evdns_base_search_ndots_set(struct evdns_base *base, int ndots);

/**
 * Sets what gets all messages of resolvers and servers, those for debugging included; `NULL` for the
 * general log. It must not use a resolver.
 */
EVENT2_EXPORT_SYMBOL
void evdns_set_log_fn(evdns_debug_log_fn_type callback);

/** Does nothing: random numbers come from the system. */
EVENT2_EXPORT_SYMBOL
void evdns_set_transaction_id_fn(ev_uint16_t (*function)(void));

/** Does nothing: random numbers come from the system. */
EVENT2_EXPORT_SYMBOL
void evdns_set_random_bytes_fn(void (*function)(char*, size_t));

/**
 * Makes a DNS server of a bound datagram socket, which it takes over, on the loop of `base`.
 *
 * `flags` must be 0. `callback` is called with every message that has questions, and `user_data`.
 * Returns `NULL` when something is not possible; the socket then stays the caller's.
 */
EVENT2_EXPORT_SYMBOL
struct evdns_server_port *evdns_add_server_port_with_base(struct event_base *base,
    evutil_socket_t socket, int flags, evdns_request_callback_fn_type callback, void *user_data);

/**
 * Closes a server: no question is read any more. Requests that are not answered still may be; the
 * socket is closed with the last of them.
 */
EVENT2_EXPORT_SYMBOL
void evdns_close_server_port(struct evdns_server_port *port);

/**
 * Sets the flags of an answer, `EVDNS_FLAGS_AA` and `EVDNS_FLAGS_RD`, in place of those set before.
 */
EVENT2_EXPORT_SYMBOL
void evdns_server_request_set_flags(struct evdns_server_request *req, int flags);

/**
 * Adds a record to an answer; everything is copied.
 *
 * `section` is one of `EVDNS_*_SECTION`. With `is_name`, `data` is a name as text; otherwise it is
 * `datalen` bytes, or `NULL` for none. Returns 0, or -1 when the section does not exist, a name is
 * missing or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_reply(struct evdns_server_request *req, int section,
    const char *name, int type, int dns_class, int ttl, int datalen, int is_name, const char *data);

/**
 * Adds a record for each of `n` IPv4 addresses, one behind the other in network byte order, to the
 * answer section. Returns 0 or -1.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_a_reply(struct evdns_server_request *req, const char *name, int n,
    const void *addrs, int ttl);

/**
 * Adds a record for each of `n` IPv6 addresses, one behind the other, to the answer section. Returns
 * 0 or -1.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_aaaa_reply(struct evdns_server_request *req, const char *name,
    int n, const void *addrs, int ttl);

/**
 * Adds the host name of an address to the answer section: of the IPv4 address `in`, or of the one
 * whose name (as `4.3.2.1.in-addr.arpa`) is `inaddr_name`; the other one is `NULL`. Returns 0 or -1.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_ptr_reply(struct evdns_server_request *req, struct in_addr *in,
    const char *inaddr_name, const char *hostname, int ttl);

/** Adds the name that `name` is an alias of to the answer section. Returns 0 or -1. */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_add_cname_reply(struct evdns_server_request *req, const char *name,
    const char *cname, int ttl);

/**
 * Sends an answer with the code `err`, 0 to 15, which are those of `DNS_ERR_NONE` to
 * `DNS_ERR_REFUSED` and others of the protocol.
 *
 * Records that have no room in 512 bytes are left out, and the answer says that it is cut.
 *
 * Returns 0 when it was sent, or given up because the system refused; 1 when it is sent as soon as
 * the socket has room: the request is not the program's any more. -1 when nothing was done: `err`
 * does not exist, or memory is short; then the request may be used on.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_respond(struct evdns_server_request *req, int err);

/** Frees a request without an answer. Returns 0. */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_drop(struct evdns_server_request *req);

/**
 * Copies the address that a request came from. Returns its length, or -1 when it is longer than
 * `addr_len`.
 */
EVENT2_EXPORT_SYMBOL
int evdns_server_request_get_requesting_addr(struct evdns_server_request *req,
    struct sockaddr *sa, int addr_len);

/**
 * Looks up the addresses of a host, as getaddrinfo() does, without blocking.
 *
 * The names of hosts files come first, then the name servers are asked for both families at the same
 * time, or for the one that `hints_in` names. IPv4 addresses stand before IPv6 ones. `dns_base` may
 * be `NULL` for the resolver of the process.
 *
 * Returns a request, valid until `cb` has returned; or `NULL` when `cb` was called already, before
 * this returned: the answer was at hand, or something is wrong.
 */
EVENT2_EXPORT_SYMBOL
struct evdns_getaddrinfo_request *evdns_getaddrinfo(struct evdns_base *dns_base,
    const char *nodename, const char *servname, const struct evutil_addrinfo *hints_in,
    evdns_getaddrinfo_cb cb, void *arg);

/**
 * Cancels a look-up: `cb` gets `EVUTIL_EAI_CANCEL`, from the loop. Not for one whose callback was
 * called.
 */
EVENT2_EXPORT_SYMBOL
void evdns_getaddrinfo_cancel(struct evdns_getaddrinfo_request *req);

/**
 * Copies the address of a server. `idx` counts from the server that is asked next, which changes with
 * every question.
 *
 * Returns its length; when that is more than `len`, nothing was copied. -1 when there are not so
 * many servers.
 */
EVENT2_EXPORT_SYMBOL
int evdns_base_get_nameserver_addr(struct evdns_base *base, int idx, struct sockaddr *sa,
    socklen_t len);

#ifdef __cplusplus
}
#endif

#endif
