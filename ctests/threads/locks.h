/* Lock callbacks that report how they are called, for programs with one thread. */
#ifndef CTESTS_THREADS_LOCKS_H
#define CTESTS_THREADS_LOCKS_H

#include "observe.h"

#include <event2/thread.h>

static int made, freed;
static int refuse_at; /* this one cannot be made */

OBSERVE_ void *
lock_alloc(unsigned type)
{
	printf("alloc %u\n", type);
	return ++made == refuse_at ? NULL : malloc(1);
}

OBSERVE_ void
lock_free(void *lock, unsigned type)
{
	printf("free %u\n", type);
	freed++;
	free(lock);
}

#endif
