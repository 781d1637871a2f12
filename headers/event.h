/* event.h: everything that programs written for the 1.x series expect of one header.
 *
 * Besides today's interface it brings the functions that act on one base for the whole process
 * (event2/event_compat.h) and the structures that such programs embed or look into. New programs
 * include the headers of the event2 directory that they need.
 */
#ifndef EVENT1_EVENT_H_INCLUDED_
#define EVENT1_EVENT_H_INCLUDED_

#include <event2/event-config.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>

#include <evutil.h>

#include <event2/event_struct.h>
#include <event2/event.h>
#include <event2/event_compat.h>
#include <event2/buffer.h>
#include <event2/buffer_compat.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_compat.h>
#include <event2/bufferevent_struct.h>
#include <event2/tag.h>
#include <event2/tag_compat.h>

#endif
