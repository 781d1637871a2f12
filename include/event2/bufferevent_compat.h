/* event2/bufferevent_compat.h: functions and names of the 1.x series for bufferevents.
 *
 * New programs should use bufferevent_socket_new() and bufferevent_set_timeouts() instead.
 */
#ifndef EVENT2_BUFFEREVENT_COMPAT_H_INCLUDED_
#define EVENT2_BUFFEREVENT_COMPAT_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/bufferevent.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Types of callbacks. */
#define evbuffercb bufferevent_data_cb
#define everrorcb bufferevent_event_cb

/**
 * Makes a bufferevent on a descriptor, on the base of event_init(), and sets its callbacks.
 *
 * To use another base, call bufferevent_base_set() before enabling it. Returns NULL if memory is
 * short or event_init() was not called.
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_new(evutil_socket_t fd, bufferevent_data_cb readcb,
    bufferevent_data_cb writecb, bufferevent_event_cb errorcb, void *cbarg);

/** Sets the timeouts of a bufferevent in seconds; 0 means none. */
EVENT2_EXPORT_SYMBOL
void bufferevent_settimeout(struct bufferevent *bufev, int timeout_read, int timeout_write);

/* What an event callback is told. */
#define EVBUFFER_READ BEV_EVENT_READING
#define EVBUFFER_WRITE BEV_EVENT_WRITING
#define EVBUFFER_EOF BEV_EVENT_EOF
#define EVBUFFER_ERROR BEV_EVENT_ERROR
#define EVBUFFER_TIMEOUT BEV_EVENT_TIMEOUT

/* What used to be members of the structure. */
#define EVBUFFER_INPUT(bufferevent) bufferevent_get_input(bufferevent)
#define EVBUFFER_OUTPUT(bufferevent) bufferevent_get_output(bufferevent)

#ifdef __cplusplus
}
#endif

#endif
