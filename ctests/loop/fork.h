/* What the tests of forking share: a base, events that say in which process they run, and children. */
#ifndef CTESTS_LOOP_FORK_H
#define CTESTS_LOOP_FORK_H

#include "observe.h"


static struct event_base *base;
static struct event *ev, *second;
static int ends[2], calls;
static const char *process = "parent";

OBSERVE_ void
print_event(evutil_socket_t fd, short what, void *name)
{
	char buffer[16];

	if (what & EV_READ)
		while (read(fd, buffer, sizeof buffer) > 0)
			;
	calls++;
	printf("%s, %s: %s\n", process, (const char *)name, flag_names(what));
}

OBSERVE_ int
loop_once_in_child(void)
{
	process = "child";
	CHECK_EQUAL(event_reinit(base), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	return 0;
}

OBSERVE_ void
begin(void)
{
	log_without_addresses();
	base = event_base_new();
	make_pipe(ends);
}

OBSERVE_ void
end(void)
{
	event_free(ev);
	if (second)
		event_free(second);
	event_base_free(base);
}

OBSERVE_ int
free_base_in_child(void)
{
	event_base_free(base);
	return 0;
}

#endif
