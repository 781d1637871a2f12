/* event2/thread.h: using the library from several threads.
 *
 * Unless one of the set-up functions below is called, the library takes no locks, and each base,
 * with everything that belongs to it, may be used by one thread only. Set threads up before
 * making any base, buffer or other object: an object gets its lock when it is made. Programs with
 * POSIX threads only need evthread_use_pthreads(); the callback structures are for other kinds of
 * threads.
 */
#ifndef EVENT2_THREAD_H_INCLUDED_
#define EVENT2_THREAD_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct timeval;

/** Says that thread.h offers evthread_use_pthreads(). */
#define EVTHREAD_USE_PTHREADS_IMPLEMENTED 1

/* generated from src/hooks/thread_abi.rs */

/* generated from src/c_api/thread.rs */

#ifdef __cplusplus
}
#endif

#endif
