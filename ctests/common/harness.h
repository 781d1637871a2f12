/* What every C test uses.
 *
 * A test program is a set of cases. `program --list` prints one line a case: name, kind, options,
 * reason. `program NAME` runs that case alone in this process: exit 0 when its checks hold, 1 when
 * one does not, 77 when it skipped itself (with the reason on stdout).
 *
 * The runner starts every case on the reference library and on ours and compares what it printed,
 * so print what a program could see, and nothing that changes from run to run (addresses, times,
 * process ids, descriptor numbers). stderr is not compared; log messages go through log_to_stdout().
 */
#ifndef CTESTS_HARNESS_H
#define CTESTS_HARNESS_H

#include <stdio.h>
#include <stdlib.h>

/* Options of a case, or-ed. */
enum {
	EVERY_BACKEND = 0,   /* run with epoll, epoll+changelist, poll and select */
	ONE_BACKEND = 1,     /* the backend does not matter: run once, with the default */
	OWN_DEBUG_MODE = 2,  /* decides about debug mode itself: do not run it again in debug mode */
	NOT_SELECT = 4,      /* needs what select cannot do */
	EPOLL_ONLY = 8,      /* needs epoll */
	SLOW = 16,           /* takes more than two seconds */
	OWN_LOCKS = 32,      /* decides about locking itself: do not run it again with lock debugging */
	RACES = 64           /* several threads use a base without a lock: not for the thread sanitizer */
};

struct test_case {
	const char *name;
	const char *kind;   /* "same": equal on both libraries; "difference": only ours passes */
	int options;
	const char *reason; /* of a difference: the defect of the reference that ours does not have */
	void (*run)(void);
	struct test_case *next;
};

void harness_register(struct test_case *test);

#define HARNESS_CASE_(id, kind_, options_, reason_)                                                \
	static void id(void);                                                                      \
	static struct test_case id##_case = {#id, kind_, options_, reason_, id, NULL};             \
	__attribute__((constructor)) static void id##_register(void)                               \
	{                                                                                          \
		harness_register(&id##_case);                                                      \
	}                                                                                          \
	static void id(void)

/* CASE(name, options) { ... }: behaviour that is the same on both libraries. */
#define CASE(id, options) HARNESS_CASE_(id, "same", options, "")

/* DIFFERENCE(name, options, "reason") { ... }: checks the wanted behaviour where the reference has
 * a defect. It must pass on ours and must not pass on the reference (where it may fail a check,
 * crash or run into the time limit): a difference that the reference passes too is an error. */
#define DIFFERENCE(id, options, reason) HARNESS_CASE_(id, "difference", options, reason)

/* Fails the case with a message if the condition does not hold. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			harness_fail(__FILE__, __LINE__, #condition);                              \
	} while (0)

/* The same for two integers, with their values in the message. */
#define CHECK_EQUAL(a, b) harness_equal(__FILE__, __LINE__, #a, (long long)(a), #b, (long long)(b))

/* The same for two strings; NULL equals only NULL. */
#define CHECK_STRING(a, b) harness_string(__FILE__, __LINE__, #a, (a), (b))

void harness_fail(const char *file, int line, const char *what) __attribute__((noreturn));
void harness_equal(const char *file, int line, const char *a, long long av, const char *b, long long bv);
void harness_string(const char *file, int line, const char *a, const char *av, const char *bv);

/* Ends the case as skipped. */
void harness_skip(const char *reason) __attribute__((noreturn));

/* Sends the library's messages to stdout as "[severity] text". */
void log_to_stdout(void);

/* The time in milliseconds on the monotonic clock, for bounds that hold on any machine. */
long long milliseconds(void);

#endif
