/* What the scenarios share that run while system calls fail. A scenario uses one part of the library
 * as a program would that looks at every result. Whatever fails, these hold: it ends with all that
 * it wanted, or with an error that the library reported; no byte that was accepted is lost, repeated
 * or out of order; the base works on once the system does; all memory and descriptors come back. */
#ifndef CTESTS_FAULTS_SCENARIOS_H
#define CTESTS_FAULTS_SCENARIOS_H

#include "shim.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <event2/util.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How a run ends: everything was done, an invariant was violated, or an error was reported. */
enum ending { DONE = 0, BROKEN = 2, REFUSED = 3 };

struct scenario {
	const char *name;
	enum ending (*run)(void);
	int in_memory; /* only memory runs out for it */
	struct scenario *next;
};

void scenario_register(struct scenario *scenario);

#define SCENARIO(id) SCENARIO_(id, 0)
#define IN_MEMORY(id) SCENARIO_(id, 1)
#define SCENARIO_(id, in_memory)                                                                   \
	static enum ending id(void);                                                               \
	static struct scenario id##_scenario = {#id, id, in_memory, NULL};                         \
	__attribute__((constructor)) static void id##_register(void)                               \
	{                                                                                          \
		scenario_register(&id##_scenario);                                                 \
	}                                                                                          \
	static enum ending id(void)

/* Ends the run when an invariant is violated. */
#define HOLDS(condition, text)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("broken: %s (%s:%d)\n", text, __FILE__, __LINE__);                  \
			fflush(stdout);                                                            \
			_exit(BROKEN);                                                             \
		}                                                                                  \
	} while (0)

/* How new_base() makes bases: which methods it avoids, and EVENT_BASE_FLAG_*. */
struct base_options {
	const char *avoid[2];
	int flags;
};
extern struct base_options base_options;

/* A base as base_options says; NULL when the library fails. */
struct event_base *new_base(int threads);

/* Runs the loop until *finished, or the loop fails. A loop that neither finishes nor fails breaks
 * the run after a while. */
enum ending run_until(struct event_base *base, const int *finished);

/* With the system in order again: a timer and a descriptor still run. Then frees the base. */
void finish_base(struct event_base *base);

/* Frees what the library allocated for the program, as it must when it has hooks. */
void free_with_hooks(void *block);

/* Byte number `at` of the stream `stream`, so that lost, repeated and moved bytes show. */
unsigned char byte_of_stream(int stream, size_t at);

/* Checks that what arrived in a buffer continues the stream, and removes it. */
void take_stream(struct evbuffer *input, int stream, size_t *arrived);

#endif
