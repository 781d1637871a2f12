/* event2/http_compat.h: functions of the 1.x series that use one base for the whole process. */
#ifndef EVENT2_HTTP_COMPAT_H_INCLUDED_
#define EVENT2_HTTP_COMPAT_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>
#include <sys/time.h>
#include <sys/types.h>

#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct evhttp;
struct evhttp_connection;

/** The former name of evhttp_request_get_uri(). */
#define evhttp_request_uri evhttp_request_get_uri

/* generated from src/c_api/http_compat.rs */

#ifdef __cplusplus
}
#endif

#endif
