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

/* generated from src/c_api/bufferevent_compat.rs */

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
