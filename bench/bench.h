/* What every benchmark uses.
 *
 * A program is a set of benchmarks. `program --list` prints their names; `program NAME` runs that
 * one and prints nanoseconds per operation, or what else it measures. bench/run starts each
 * alternately on the reference and on ours, and compares. `program NAME COUNT` does that many
 * operations, once: bench/instructions counts what bench_work executes then. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct benchmark {
	const char *name;
	/* Does its operation `count` times. */
	void (*work)(long count);
	/* Runs once before, if there is one. */
	void (*prepare)(void);
	/* Undoes the work, if there is one: runs after each run, untimed. */
	void (*restore)(void);
	/* The number of operations in a run, where the work fixes it. */
	long count;
	/* Instead of work: the figure. */
	double (*measure)(void);
};

/* A separate function, so that its instructions can be counted by its name. */
__attribute__((noinline)) static void
bench_work(void (*work)(long), long count)
{
	work(count);
	__asm__ volatile("" ::: "memory");
}

static inline double
bench_nanoseconds(const struct benchmark *benchmark, long count)
{
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	bench_work(benchmark->work, count);
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (benchmark->restore)
		benchmark->restore();
	return (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
}

/* Runs more and more operations until they take 5 ms; the best of eight such runs is the least
 * disturbed one. */
static inline double
bench_measure(const struct benchmark *benchmark)
{
	long count = benchmark->count ? benchmark->count : 1;
	double best;
	if (benchmark->measure)
		return benchmark->measure();
	if (benchmark->prepare)
		benchmark->prepare();
	while ((best = bench_nanoseconds(benchmark, count)) < 5e6 && !benchmark->count)
		count = best < 5e5 ? count * 8 : (long)((double)count * 6e6 / best) + 1;
	for (int i = 0; i < 7; i++) {
		double time = bench_nanoseconds(benchmark, count);
		if (time < best)
			best = time;
	}
	return best / (double)count;
}

static inline void
bench_once(const struct benchmark *benchmark, long count)
{
	if (benchmark->prepare)
		benchmark->prepare();
	bench_work(benchmark->work, count);
	if (benchmark->restore)
		benchmark->restore();
}

static inline int
bench_main(int argc, char **argv, const struct benchmark *benchmarks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (argc < 2 || !strcmp(argv[1], "--list"))
			puts(benchmarks[i].name);
		else if (strcmp(argv[1], benchmarks[i].name))
			continue;
		else if (argc > 2)
			bench_once(&benchmarks[i], atol(argv[2]));
		else
			printf("%.3f\n", bench_measure(&benchmarks[i]));
	}
	return 0;
}

/* Ends the program when a result that the benchmark relies on is wrong. */
#define BENCH_CHECK(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#endif
