#define _GNU_SOURCE
#include "harness.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <link.h>
#include <string.h>
#include <time.h>

static struct test_case *cases;

void
harness_register(struct test_case *test)
{
	struct test_case **end = &cases;
	while (*end)
		end = &(*end)->next;
	*end = test;
}

void
harness_fail(const char *file, int line, const char *what)
{
	const char *slash = strrchr(file, '/');
	printf("%s:%d: failed: %s\n", slash ? slash + 1 : file, line, what);
	exit(1);
}

void
harness_equal(const char *file, int line, const char *a, long long av, const char *b, long long bv)
{
	char text[400];
	if (av == bv)
		return;
	snprintf(text, sizeof text, "%s == %s (%lld, %lld)", a, b, av, bv);
	harness_fail(file, line, text);
}

void
harness_string(const char *file, int line, const char *a, const char *av, const char *bv)
{
	char text[800];
	if (av == bv || (av && bv && !strcmp(av, bv)))
		return;
	snprintf(text, sizeof text, "%s is \"%s\", not \"%s\"", a, av ? av : "(null)", bv ? bv : "(null)");
	harness_fail(file, line, text);
}

void
harness_skip(const char *reason)
{
	printf("skipped: %s\n", reason);
	exit(77);
}

static void
print_message(int severity, const char *message)
{
	printf("[%d] %s\n", severity, message);
}

void
log_to_stdout(void)
{
	event_set_log_callback(print_message);
}

long long
milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int
report_loaded(struct dl_phdr_info *object, size_t size, void *report)
{
	(void)size;
	if (strstr(object->dlpi_name, "libevent"))
		fprintf(report, "%s\n", object->dlpi_name);
	return 0;
}

/* Tells the runner which libevent files this process really uses. */
static void
report_libraries(void)
{
	const char *path = getenv("CTESTS_LOADED");
	FILE *report = path ? fopen(path, "w") : NULL;
	if (!report)
		return;
	dl_iterate_phdr(report_loaded, report);
	fclose(report);
	unsetenv("CTESTS_LOADED");
}

/* What the configuration asks for, unless the case decides it itself. */
static void
prepare(const struct test_case *test)
{
	if (!(test->options & OWN_DEBUG_MODE) && getenv("CTESTS_DEBUG_MODE"))
		event_enable_debug_mode();
	if (!(test->options & OWN_LOCKS) && getenv("CTESTS_LOCK_DEBUGGING")) {
		CHECK_EQUAL(evthread_use_pthreads(), 0);
		evthread_enable_lock_debugging();
	}
}

int
main(int argc, char **argv)
{
	const char *wanted = argc == 2 ? argv[1] : "--list";
	struct test_case *test;

	report_libraries();
	if (!strcmp(wanted, "--list")) {
		for (test = cases; test; test = test->next)
			printf("%s\t%s\t%d\t%s\n", test->name, test->kind, test->options, test->reason);
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (test = cases; test; test = test->next) {
		if (strcmp(test->name, wanted))
			continue;
		prepare(test);
		test->run();
		return 0;
	}
	fprintf(stderr, "%s: no case '%s'\n", argv[0], wanted);
	return 2;
}
