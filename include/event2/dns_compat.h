/* event2/dns_compat.h: the functions of event2/dns.h as they were in the 1.x series.
 *
 * They all use one resolver for the whole process, on the base of event_init(), and must be
 * called from one thread only.
 */
#ifndef EVENT2_DNS_COMPAT_H_INCLUDED_
#define EVENT2_DNS_COMPAT_H_INCLUDED_

#include <event2/event-config.h>
#include <sys/types.h>
#include <sys/time.h>

#include <event2/util.h>
#include <event2/visibility.h>
#include <event2/dns.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evdns_base;
struct in_addr;
struct in6_addr;

/**
 * Makes the process-wide resolver, with the system's configuration. Returns 0, or -1 on failure.
 */
EVENT2_EXPORT_SYMBOL
int evdns_init(void);

/** The process-wide resolver, or NULL if there is none. */
EVENT2_EXPORT_SYMBOL
struct evdns_base *evdns_get_global_base(void);

/** Frees the process-wide resolver like evdns_base_free(), and resets evdns_set_log_fn(). */
EVENT2_EXPORT_SYMBOL
void evdns_shutdown(int fail_requests);

/** See evdns_base_nameserver_add(). Makes the resolver if there is none. */
EVENT2_EXPORT_SYMBOL
int evdns_nameserver_add(unsigned long address);

/** See evdns_base_count_nameservers(). Returns 0 without a resolver. */
EVENT2_EXPORT_SYMBOL
int evdns_count_nameservers(void);

/** See evdns_base_clear_nameservers_and_suspend(). Returns -1 without a resolver. */
EVENT2_EXPORT_SYMBOL
int evdns_clear_nameservers_and_suspend(void);

/** See evdns_base_resume(). Returns -1 without a resolver. */
EVENT2_EXPORT_SYMBOL
int evdns_resume(void);

/** See evdns_base_nameserver_ip_add(). Makes the resolver if there is none. */
EVENT2_EXPORT_SYMBOL
int evdns_nameserver_ip_add(const char *ip_as_string);

/**
 * See evdns_base_resolve_ipv4(). Returns 0 if the look-up was started, otherwise -1. It cannot be
 * cancelled.
 */
EVENT2_EXPORT_SYMBOL
int evdns_resolve_ipv4(const char *name, int flags, evdns_callback_type callback, void *ptr);

/**
 * See evdns_base_resolve_ipv6(). Returns 0 if the look-up was started, otherwise -1. It cannot be
 * cancelled.
 */
EVENT2_EXPORT_SYMBOL
int evdns_resolve_ipv6(const char *name, int flags, evdns_callback_type callback, void *ptr);

/**
 * See evdns_base_resolve_reverse(). Returns 0 if the look-up was started, otherwise -1. It cannot be
 * cancelled.
 */
EVENT2_EXPORT_SYMBOL
int evdns_resolve_reverse(const struct in_addr *in, int flags, evdns_callback_type callback,
    void *ptr);

/**
 * See evdns_base_resolve_reverse_ipv6(). Returns 0 if the look-up was started, otherwise -1. It
 * cannot be cancelled.
 */
EVENT2_EXPORT_SYMBOL
int evdns_resolve_reverse_ipv6(const struct in6_addr *in, int flags,
    evdns_callback_type callback, void *ptr);

/** See evdns_base_set_option(); `flags` is ignored. Makes the resolver if there is none. */
EVENT2_EXPORT_SYMBOL
int evdns_set_option(const char *option, const char *val, int flags);

/** See evdns_base_resolv_conf_parse(). Makes the resolver if there is none. */
EVENT2_EXPORT_SYMBOL
int evdns_resolv_conf_parse(int flags, const char *filename);

/** See evdns_base_search_clear(). Has no effect without a resolver. */
EVENT2_EXPORT_SYMBOL
void evdns_search_clear(void);

/** See evdns_base_search_add(). Has no effect without a resolver. */
EVENT2_EXPORT_SYMBOL
void evdns_search_add(const char *domain);

/** See evdns_base_search_ndots_set(). Has no effect without a resolver. */
EVENT2_EXPORT_SYMBOL
void evdns_search_ndots_set(int ndots);

/** See evdns_add_server_port_with_base(), on the base that event_init() made. */
EVENT2_EXPORT_SYMBOL
struct evdns_server_port *evdns_add_server_port(evutil_socket_t socket, int flags,
    evdns_request_callback_fn_type callback, void *user_data);

#ifdef __cplusplus
}
#endif

#endif
