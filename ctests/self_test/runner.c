/* Cases that the runner has to report (fails_...) or to accept (passes_...), for `run --self-test`.
 * How they go depends only on which library the process is started on. */
#include "harness.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int
on_ours(void)
{
	return strstr(getenv("LD_LIBRARY_PATH"), "build/lib") != NULL;
}

CASE(passes_equal, EVERY_BACKEND)
{
	printf("%s\n", event_get_version());
}

CASE(passes_skipped, ONE_BACKEND)
{
	harness_skip("on both libraries");
}

CASE(fails_output, EVERY_BACKEND)
{
	printf("first\n%s\nlast\n", on_ours() ? "ours" : "reference");
}

CASE(fails_output_of_one_backend, EVERY_BACKEND)
{
	printf("%d\n", on_ours() && getenv("EVENT_NOPOLL") != NULL);
}

CASE(fails_check_on_ours, ONE_BACKEND)
{
	CHECK_EQUAL(on_ours(), 0);
}

CASE(fails_check_on_both, ONE_BACKEND)
{
	CHECK(!"ever");
}

CASE(fails_skipped_on_ours, ONE_BACKEND)
{
	if (on_ours())
		exit(77);
}

CASE(fails_skipped_without_a_reason, ONE_BACKEND)
{
	exit(77);
}

CASE(fails_crash, ONE_BACKEND)
{
	if (on_ours())
		raise(SIGSEGV);
}

CASE(fails_time_limit, ONE_BACKEND)
{
	if (on_ours())
		pause();
}

CASE(passes_with_a_child_left_behind, ONE_BACKEND)
{
	if (fork() == 0)
		pause();
}

DIFFERENCE(passes_difference, ONE_BACKEND, "shown by failing on the reference")
{
	CHECK(on_ours());
}

DIFFERENCE(passes_difference_in_one_backend, EVERY_BACKEND, "shows with select only")
{
	CHECK(on_ours() || !getenv("EVENT_NOPOLL"));
}

DIFFERENCE(passes_difference_as_a_crash, ONE_BACKEND, "the reference crashes")
{
	if (!on_ours())
		raise(SIGSEGV);
}

/* The runner says when it tries again. */
CASE(passes_equal_when_tried_again, ONE_BACKEND)
{
	printf("%d\n", on_ours() || getenv("CTESTS_RETRY"));
}

CASE(passes_when_the_reference_is_tried_again, ONE_BACKEND)
{
	CHECK(on_ours() || getenv("CTESTS_RETRY"));
}

CASE(fails_check_on_ours_at_first, ONE_BACKEND)
{
	CHECK(!on_ours() || getenv("CTESTS_RETRY"));
}

DIFFERENCE(passes_difference_when_tried_again, ONE_BACKEND, "does not show each time")
{
	CHECK(on_ours() || !getenv("CTESTS_RETRY"));
}

DIFFERENCE(fails_difference_without_difference, EVERY_BACKEND, "claimed, but both pass")
{
}

DIFFERENCE(fails_difference_on_ours, ONE_BACKEND, "both fail")
{
	CHECK(!"ever");
}
