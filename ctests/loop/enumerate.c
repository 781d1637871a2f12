/* Counting, visiting and dumping the events of a base. */
#define _GNU_SOURCE
#include "trace.h"

#include <ctype.h>

/* Counters. */
static void
print_counters(const char *label, struct event_base *base)
{
	printf("%s: active %d, virtual %d, added %d, all %d; most: active %d, virtual %d, added %d, all %d\n", label,
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_VIRTUAL),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE | EVENT_BASE_COUNT_VIRTUAL |
						       EVENT_BASE_COUNT_ADDED),
	       event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0),
	       event_base_get_max_events(base, EVENT_BASE_COUNT_VIRTUAL, 0),
	       event_base_get_max_events(base, EVENT_BASE_COUNT_ADDED, 0),
	       event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE | EVENT_BASE_COUNT_VIRTUAL |
						       EVENT_BASE_COUNT_ADDED, 0));
}

CASE(counters, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader, *timer, *signal_event, *user;
	struct timeval tv = {3600, 0};
	int ends[2];
	make_pipe(ends);
	reader = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader");
	timer = named_event(base, -1, 0, "timer");
	signal_event = named_event(base, 10, EV_SIGNAL | EV_PERSIST, "signal");
	user = named_event(base, -1, 0, "user");
	print_counters("nothing", base);
	event_add(reader, NULL);
	print_counters("reader", base);
	event_add(reader, &tv);
	print_counters("reader with a timeout", base);
	event_add(timer, &tv);
	print_counters("timer", base);
	event_add(timer, event_base_init_common_timeout(base, &tv));
	print_counters("common timeout", base);
	event_add(signal_event, NULL);
	print_counters("signal", base);
	event_active(reader, EV_READ, 1);
	print_counters("reader active", base);
	event_active(user, EV_READ, 1);
	print_counters("user active", base);
	poll_once(base);
	print_counters("polled", base);
	event_base_once(base, -1, EV_TIMEOUT, print_call, "once", NULL);
	print_counters("once", base);
	event_base_loopexit(base, &tv);
	print_counters("exit", base);
	poll_once(base);
	event_del(reader);
	event_del(timer);
	event_del(signal_event);
	print_counters("deleted", base);
	printf("cleared %d %d\n", event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 1),
	       event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0));
	printf("cleared %d %d\n", event_base_get_max_events(base, EVENT_BASE_COUNT_ADDED, 1),
	       event_base_get_max_events(base, EVENT_BASE_COUNT_ADDED, 0));
	print_counters("cleared", base);
	event_add(timer, &tv);
	print_counters("timer", base);
	printf("nothing asked: %d %d\n", event_base_get_num_events(base, 0), event_base_get_max_events(base, 0, 0));
	printf("unknown: %d\n", event_base_get_num_events(base, 0x100));
	event_free(reader);
	event_free(timer);
	event_free(signal_event);
	event_free(user);
	event_base_free(base);
}

/* Visiting. Only the events of the test are printed: the library may have its own. */
static int
print_visited(const struct event_base *base, const struct event *ev, void *arg)
{
	int *stop = arg;
	CHECK(event_get_base(ev) == base);
	if (event_get_callback(ev) != print_call)
		return 0;
	printf("%s: 0x%02x\n", (char *)event_get_callback_arg(ev), ev->ev_evcallback.evcb_flags);
	return stop && --*stop == 0 ? 7 : 0;
}

CASE(visiting_every_event, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *events[9];
	struct timeval tv = {3600, 0}, longer = {7200, 0};
	int ends[2], stop = 3, i;
	CHECK_EQUAL(event_base_priority_init(base, 3), 0);
	make_socketpair(ends);
	CHECK_EQUAL(event_base_foreach_event(base, print_visited, NULL), 0);
	events[0] = named_event(base, ends[1], EV_READ | EV_PERSIST, "reader of the second");
	events[1] = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader of the first");
	events[2] = named_event(base, ends[0], EV_WRITE, "writer of the first");
	events[3] = named_event(base, 12, EV_SIGNAL | EV_PERSIST, "signal 12");
	events[4] = named_event(base, 10, EV_SIGNAL | EV_PERSIST, "signal 10");
	events[5] = named_event(base, -1, 0, "timer");
	events[6] = named_event(base, -1, 0, "common timeout");
	events[7] = named_event_at(base, -1, 0, "active, less urgent", 2);
	events[8] = named_event_at(base, -1, 0, "active, urgent", 0);
	for (i = 0; i < 5; i++)
		CHECK_EQUAL(event_add(events[i], i == 1 ? &longer : NULL), 0);
	CHECK_EQUAL(event_add(events[5], &longer), 0);
	CHECK_EQUAL(event_add(events[6], event_base_init_common_timeout(base, &tv)), 0);
	event_active(events[7], EV_READ, 1);
	event_active(events[8], EV_READ, 1);
	event_active(events[0], EV_READ, 1);
	printf("all\n");
	CHECK_EQUAL(event_base_foreach_event(base, print_visited, NULL), 0);
	printf("the first three\n");
	CHECK_EQUAL(event_base_foreach_event(base, print_visited, &stop), 7);
	CHECK_EQUAL(event_base_foreach_event(NULL, print_visited, NULL), -1);
	CHECK_EQUAL(event_base_foreach_event(base, NULL, NULL), -1);
	for (i = 0; i < 9; i++)
		event_free(events[i]);
	CHECK_EQUAL(event_base_foreach_event(base, print_visited, NULL), 0);
	event_base_free(base);
}

/* Dumping: addresses become the position in a list, times the seconds from now. */
static struct event *dumped[10];

static void
print_dump_line(const char *line)
{
	void *address;
	int length = 0, i;
	char *timeout;
	if (line[0] != ' ') {
		printf("%s", line);
		return;
	}
	CHECK(sscanf(line, "  %p%n", &address, &length) == 1 && length > 0);
	for (i = 0; i < 10 && dumped[i] != address; i++)
		;
	if (i == 10)
		return; /* an event of the library */
	timeout = strstr(line, " Timeout=");
	if (!timeout) {
		printf("  event %d%s", i, line + length);
		return;
	}
	printf("  event %d%.*s", i, (int)(timeout - line) - length, line + length);
	{
		long seconds, fraction;
		struct timeval now;
		char rest[100] = "";
		int digits = 0;
		CHECK(sscanf(timeout, " Timeout=%ld.%n%ld%99[^\n]", &seconds, &digits, &fraction, rest) >= 2);
		CHECK(isdigit(timeout[digits + 5]) && !isdigit(timeout[digits + 6]));
		evutil_gettimeofday(&now, NULL);
		printf(" in about %ld minutes%s\n", (seconds - now.tv_sec + 30) / 60, rest);
	}
}

static void
print_dump(const char *label, struct event_base *base)
{
	char *text = NULL, line[300];
	size_t size = 0;
	FILE *out = open_memstream(&text, &size), *in;
	event_base_dump_events(base, out);
	fclose(out);
	in = fmemopen(text, size, "r");
	printf("--- %s\n", label);
	while (fgets(line, sizeof line, in))
		print_dump_line(line);
	fclose(in);
	free(text);
}

CASE(dumping_every_event, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval tv = {3600, 0};
	int ends[2], i;
	CHECK_EQUAL(event_base_priority_init(base, 3), 0);
	make_numbered_socketpair(ends, 100);
	renumber(ends[1], 101);
	print_dump("nothing", base);
	dumped[0] = named_event(base, 100, EV_READ | EV_PERSIST, "");
	dumped[1] = named_event(base, 100, EV_WRITE | EV_CLOSED, "");
	dumped[2] = named_event(base, 101, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, "");
	dumped[3] = named_event(base, 10, EV_SIGNAL | EV_PERSIST, "");
	dumped[4] = named_event(base, -1, 0, "");
	dumped[5] = named_event(base, -1, EV_PERSIST, "");
	dumped[6] = named_event(base, -1, 0, "");
	dumped[7] = named_event(base, 100, EV_READ, "");
	for (i = 0; i < 4; i++)
		CHECK_EQUAL(event_add(dumped[i], i == 1 ? &tv : NULL), 0);
	CHECK_EQUAL(event_add(dumped[4], &tv), 0);
	CHECK_EQUAL(event_add(dumped[5], event_base_init_common_timeout(base, &tv)), 0);
	dumped[7]->ev_evcallback.evcb_flags |= EVLIST_INTERNAL;
	CHECK_EQUAL(event_add(dumped[7], NULL), 0);
	print_dump("added", base);
	event_priority_set(dumped[6], 2);
	event_active(dumped[6], EV_TIMEOUT | EV_READ, 1);
	event_active(dumped[0], EV_READ | EV_WRITE, 1);
	event_active(dumped[1], EV_CLOSED, 1);
	event_active(dumped[3], EV_SIGNAL, 1);
	event_active(dumped[4], EV_TIMEOUT, 1);
	event_active(dumped[7], EV_READ, 1);
	print_dump("active", base);
	for (i = 0; i < 8; i++)
		event_free(dumped[i]);
	memset(dumped, 0, sizeof dumped);
	print_dump("freed", base);
	event_base_free(base);
}

/* With locking, the base has an event of its own. */
CASE(dumping_to_a_file, ONE_BACKEND | OWN_LOCKS)
{
	struct event_base *base = new_base();
	event_base_dump_events(base, stdout);
	event_base_free(base);
}
