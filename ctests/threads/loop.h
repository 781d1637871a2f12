/* A loop in a thread of its own. */
#ifndef CTESTS_THREADS_LOOP_H
#define CTESTS_THREADS_LOOP_H

#include "observe.h"

#include <pthread.h>

/* For pthread_create(), with the base as argument. */
OBSERVE_ void *
run_without_end(void *base)
{
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

#endif
