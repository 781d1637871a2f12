/* The work that several event loops do for comparison. work.c says what it is; each loop has a file
 * beside it that defines `loop`, in the way that its documentation suggests. */
#ifndef BENCH_LOOPS_WORK_H
#define BENCH_LOOPS_WORK_H

#define _GNU_SOURCE
#include "../bench.h"
#include "../connections.h"

/* A descriptor that is watched. `ready` is called whenever it can be read from. */
struct channel {
	int fd;
	void (*ready)(struct channel *);
	/* Where the byte goes next, in the chain. */
	int next;
	/* The loop's own. */
	void *handle;
};

/* A timer, which calls timer_expired(). */
struct timer {
	/* The loop's own. */
	void *handle;
};

struct loop {
	void (*open)(void);
	/* Watches a channel until it is forgotten. */
	void (*watch)(struct channel *);
	void (*forget)(struct channel *);
	/* Runs until `stop` is called. */
	void (*run)(void);
	void (*stop)(void);

	/* All NULL if the loop has no timers. */
	void (*make_timer)(struct timer *);
	/* Starts a timer or, if it runs, changes it. */
	void (*start_timer)(struct timer *, unsigned milliseconds);
	void (*stop_timer)(struct timer *);

	/* Echoes what a connection sends, with the buffers that the loop provides, and calls
	 * connection_ended() at its end; NULL if it provides none. */
	void (*echo_stream)(int fd);
};

extern const struct loop loop;

/* What a loop calls. */
void timer_expired(void);
void connection_ended(void);

static inline void *
allocate(size_t size)
{
	void *block = calloc(1, size);
	BENCH_CHECK(block);
	return block;
}

#endif
