/* What the tests of functions that no header declares share: the lock of a base, which those with
 * "nolock" in their name and those of tables and backends want held by the caller. */
#ifndef CTESTS_LOOP_INTERNAL_H
#define CTESTS_LOOP_INTERNAL_H

#include "trace.h"

#include <event2/thread.h>

/* Exported, though in no header. */
extern struct evthread_lock_callbacks evthread_lock_fns_;

/* Where both libraries keep a base's lock: programs that debug them read it there. */
enum { OFFSET_OF_LOCK = 432 };

OBSERVE_ void *
lock_of_base(struct event_base *base)
{
	void *lock;
	memcpy(&lock, (char *)base + OFFSET_OF_LOCK, sizeof lock);
	return lock;
}

OBSERVE_ void
hold(struct event_base *base)
{
	if (lock_of_base(base))
		CHECK_EQUAL(evthread_lock_fns_.lock(0, lock_of_base(base)), 0);
}

OBSERVE_ void
release(struct event_base *base)
{
	if (lock_of_base(base))
		CHECK_EQUAL(evthread_lock_fns_.unlock(0, lock_of_base(base)), 0);
}

/* Evaluates an expression with the lock of a base held. */
#define HELD(base, expression)                                                                     \
	__extension__({                                                                            \
		hold(base);                                                                        \
		__typeof__(expression) result_ = (expression);                                     \
		release(base);                                                                     \
		result_;                                                                           \
	})

/* The same for what returns nothing. */
#define HOLDING(base, call)                                                                        \
	do {                                                                                       \
		hold(base);                                                                        \
		call;                                                                              \
		release(base);                                                                     \
	} while (0)

#endif
