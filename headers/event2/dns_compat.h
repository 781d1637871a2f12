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

/* generated from src/c_api/dns_compat.rs */

#ifdef __cplusplus
}
#endif

#endif
