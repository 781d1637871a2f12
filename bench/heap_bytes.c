/* Bytes of heap that the library takes, including malloc's overhead per block: for a base, and for each
 * event that is pending on it. The event itself does not count: it has the same size everywhere, and
 * programs embed it. Also, the resident memory of a process with a base. */
#define _GNU_SOURCE
#include "bench.h"
#include "counted_heap.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MANY = 100000, FEW = 1000 };

static struct event *events[MANY];

/* --- What is measured. ----------------------------------------------------------------------------- */

static void
nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static double
base_bytes(void)
{
	size_t before = heap_in_use;

	BENCH_CHECK(event_base_new());
	return (double)(heap_in_use - before);
}

static double
locked_base_bytes(void)
{
	BENCH_CHECK(evthread_use_pthreads() == 0);
	/* The first base may allocate things that belong to the process. */
	event_base_free(event_base_new());
	return base_bytes();
}

/* Bytes for each of `count` events added to a new base. */
static double
bytes_of_pending(int count, const int *fds, short what, const struct timeval *timeout)
{
	struct event_base *base = event_base_new();
	size_t before;

	for (int i = 0; i < count; i++)
		events[i] = event_new(base, fds ? fds[i] : -1, what, nothing, NULL);
	before = heap_in_use;
	for (int i = 0; i < count; i++)
		BENCH_CHECK(event_add(events[i], timeout) == 0);
	return (double)(heap_in_use - before) / count;
}

static const struct timeval hour = {3600, 0};

static double
many_timers(void)
{
	return bytes_of_pending(MANY, NULL, 0, &hour);
}

static double
few_timers(void)
{
	return bytes_of_pending(FEW, NULL, 0, &hour);
}

static double
one_timer(void)
{
	return bytes_of_pending(1, NULL, 0, &hour);
}

static double
descriptors(int count)
{
	static int fds[FEW];
	struct rlimit limit;

	BENCH_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	BENCH_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (int i = 0; i < count; i++)
		BENCH_CHECK((fds[i] = eventfd(0, EFD_NONBLOCK)) >= 0);
	return bytes_of_pending(count, fds, EV_READ | EV_PERSIST, NULL);
}

static double
few_descriptors(void)
{
	return descriptors(FEW);
}

static double
one_descriptor(void)
{
	return descriptors(1);
}

static double
one_signal(void)
{
	int number = SIGUSR1;

	return bytes_of_pending(1, &number, EV_SIGNAL | EV_PERSIST, NULL);
}

/* What this process has in memory with a base and a timer that has expired, the library included. */
static double
resident_of(const char *format)
{
	struct event_base *base = event_base_new();
	struct timeval soon = {0, 1};
	FILE *rollup;
	char line[256];
	long kilobytes, sum = 0;

	BENCH_CHECK(event_base_once(base, -1, EV_TIMEOUT, nothing, NULL, &soon) == 0);
	BENCH_CHECK(event_base_dispatch(base) >= 0);
	BENCH_CHECK((rollup = fopen("/proc/self/smaps_rollup", "r")) != NULL);
	while (fgets(line, sizeof line, rollup))
		if (sscanf(line, format, &kilobytes) == 1)
			sum += kilobytes;
	fclose(rollup);
	event_base_free(base);
	return (double)sum * 1024;
}

static double
resident(void)
{
	return resident_of("Rss: %ld kB");
}

static double
own(void)
{
	return resident_of("Private_Dirty: %ld kB");
}

static const struct benchmark benchmarks[] = {
	{"process with a base, resident", .measure = resident},
	{"process with a base, its own", .measure = own},
	{"base", .measure = base_bytes},
	{"base with locks", .measure = locked_base_bytes},
	{"pending timer, 1", .measure = one_timer},
	{"pending timer, 1000", .measure = few_timers},
	{"pending timer, 100000", .measure = many_timers},
	{"watched descriptor, 1", .measure = one_descriptor},
	{"watched descriptor, 1000", .measure = few_descriptors},
	{"watched signal", .measure = one_signal},
};

int
main(int argc, char **argv)
{
	event_set_mem_functions(counting_malloc, counting_realloc, counting_free);
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
