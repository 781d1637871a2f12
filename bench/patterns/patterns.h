/* What every pattern of use uses.
 *
 * A program is a set of patterns; `program --list` prints a line for each: name and number of
 * operations. `program NAME COUNT` does that many operations once, all inside pattern_work: the
 * instructions are counted by the name of that function, and its system calls are marked by a getppid
 * before and after. `program NAME COUNT heap` counts the library's memory instead: it prints the peak,
 * and what is held when the pattern says that its load is over. bench/patterns/run compares. */
#ifndef BENCH_PATTERNS_H
#define BENCH_PATTERNS_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <event2/util.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct pattern {
	const char *name;
	long count;
	void (*run)(long count);
	struct pattern *next;
};

void pattern_register(struct pattern *pattern);

/* PATTERN(name, count) { ... }: does something `n` times; `count` is the number of measured operations. */
#define PATTERN(id, count_)                                                                        \
	static void id(long n);                                                                    \
	static struct pattern id##_pattern = {#id, count_, id, NULL};                              \
	__attribute__((constructor)) static void id##_register(void)                               \
	{                                                                                          \
		pattern_register(&id##_pattern);                                                   \
	}                                                                                          \
	static void id(long n)

/* The load is over: what the library holds now counts as left. */
void pattern_load_is_over(void);

/* Frees memory that the library hands to the program. */
void pattern_free(void *memory);

/* Ends the program when a result that a pattern relies on is wrong. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define SHARED_ static __attribute__((unused))

SHARED_ void
nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

SHARED_ void
count_call(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	++*(long *)arg;
}

SHARED_ void
turn(struct event_base *base)
{
	REQUIRE(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
}

SHARED_ void
make_sockets(int ends[2])
{
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
}

SHARED_ void
put(int fd, const void *bytes, size_t count)
{
	REQUIRE(write(fd, bytes, count) == (ssize_t)count);
}

/* Bytes without a line end. */
extern char pattern_bytes[65536];

#endif
