/* evhttp.h: everything that programs written for the 1.x series expect for HTTP. */
#ifndef EVENT1_EVHTTP_H_INCLUDED_
#define EVENT1_EVHTTP_H_INCLUDED_

#include <event.h>

#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/http_compat.h>

#endif
