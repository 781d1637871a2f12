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

/**
 * Makes a server on the base of event_init() and lets it listen. Returns NULL if that fails: see
 * evhttp_bind_socket().
 */
EVENT2_EXPORT_SYMBOL
struct evhttp *evhttp_start(const char *address, ev_uint16_t port);

/**
 * Makes a client's connection to a host, on the base of event_init() or the one that
 * evhttp_connection_set_base() sets.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_connection *evhttp_connection_new(const char *address, ev_uint16_t port);

/** Sets the base of a connection made by evhttp_connection_new(), before it is used. */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_base(struct evhttp_connection *evcon, struct event_base *base);

#ifdef __cplusplus
}
#endif

#endif
