/* What every benchmark is written with.
 *
 * A program is a set of benchmarks. `program --list` prints their names; `program NAME` runs that
 * one and prints nanoseconds per operation. bench/run starts each alternately on the reference and
 * on ours, and compares. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* `work` does its operation `count` times; `prepare`, if there is one, comes once before. */
struct benchmark {
	const char *name;
	void (*work)(long count);
	void (*prepare)(void);
};

static inline double
bench_nanoseconds(void (*work)(long), long count)
{
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	work(count);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
}

/* Runs ever more operations until they take 5 ms; the best of eight such runs is the one that was
 * disturbed least. */
static inline double
bench_measure(const struct benchmark *benchmark)
{
	long count = 1;
	double best;
	if (benchmark->prepare)
		benchmark->prepare();
	while ((best = bench_nanoseconds(benchmark->work, count)) < 5e6)
		count = best < 5e5 ? count * 8 : (long)((double)count * 6e6 / best) + 1;
	for (int i = 0; i < 7; i++) {
		double time = bench_nanoseconds(benchmark->work, count);
		if (time < best)
			best = time;
	}
	return best / (double)count;
}

static inline int
bench_main(int argc, char **argv, const struct benchmark *benchmarks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (argc < 2 || !strcmp(argv[1], "--list"))
			puts(benchmarks[i].name);
		else if (!strcmp(argv[1], benchmarks[i].name))
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
