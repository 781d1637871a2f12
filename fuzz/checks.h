/* A failed check of the harness ends the process, which libFuzzer reports as a finding. */
#ifndef FUZZ_CHECKS_H
#define FUZZ_CHECKS_H

#include "harness.h"

#include <string.h>
#include <time.h>

long long
milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
harness_register(struct test_case *test)
{
	(void)test;
}

void
harness_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

void
harness_equal(const char *file, int line, const char *a, long long av, const char *b, long long bv)
{
	if (av != bv) {
		fprintf(stderr, "%s is %lld, %s is %lld\n", a, av, b, bv);
		harness_fail(file, line, "not equal");
	}
}

void
harness_string(const char *file, int line, const char *a, const char *av, const char *bv)
{
	if (av != bv && (!av || !bv || strcmp(av, bv))) {
		fprintf(stderr, "%s is %s, not %s\n", a, av, bv);
		harness_fail(file, line, "not equal");
	}
}

#endif
