/* Functions that libevent exports without declaring them in a public header: the tables of what
 * waits for descriptors and for signals. They work on a base; their own structures are private, so
 * what they do is seen by the events and by the kernel. */
#include "tables.h"
#include "internal.h"

#include <signal.h>
#include <sys/queue.h>

void evmap_io_initmap_(struct event_table *table);
void evmap_io_clear_(struct event_table *table);
int evmap_io_add_(struct event_base *base, evutil_socket_t fd, struct event *ev);
int evmap_io_del_(struct event_base *base, evutil_socket_t fd, struct event *ev);
void evmap_io_active_(struct event_base *base, evutil_socket_t fd, short events);
void evmap_signal_initmap_(struct event_table *table);
void evmap_signal_clear_(struct event_table *table);
int evmap_signal_add_(struct event_base *base, int number, struct event *ev);
int evmap_signal_del_(struct event_base *base, int number, struct event *ev);
void evmap_signal_active_(struct event_base *base, evutil_socket_t number, int deliveries);
int evmap_reinit_(struct event_base *base);
void evmap_delete_all_(struct event_base *base);
void evmap_check_integrity_(struct event_base *base);
int evmap_foreach_event_(struct event_base *base, event_base_foreach_event_cb visit, void *arg);

static struct event_base *base;
static int ends[2];

static void
begin(void)
{
	base = new_base();
	make_pipe(ends);
}

static struct event *
reader_named(const char *name)
{
	return named_event(base, ends[0], EV_READ | EV_PERSIST, name);
}

/* One turn of the loop, also when no event counts as added. */
static void
turn(void)
{
	printf("turn %d\n", event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY));
}

/* Tables. */
static void
check_a_new_table(void (*initialise)(struct event_table *), void (*clear)(struct event_table *))
{
	struct event_table table;
	memset(&table, 0xff, sizeof table);
	initialise(&table);
	CHECK(!table.entries);
	CHECK_EQUAL(table.count, 0);
	clear(&table);
	CHECK(!table.entries);
	CHECK_EQUAL(table.count, 0);
}

CASE(new_tables_are_empty, ONE_BACKEND)
{
	check_a_new_table(evmap_io_initmap_, evmap_io_clear_);
	check_a_new_table(evmap_signal_initmap_, evmap_signal_clear_);
}

/* A base with a lock has an event of its own in the table. */
CASE(a_cleared_table_can_be_filled_again, EVERY_BACKEND | OWN_LOCKS)
{
	struct event_table *table;
	struct event *ev;
	begin();
	ev = reader_named("reader");
	table = table_of_descriptors(base, ev);
	CHECK_EQUAL(event_del(ev), 0);
	evmap_io_clear_(table);
	CHECK(!table->entries);
	CHECK_EQUAL(table->count, 0);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(poll_once(base), 0);
	event_free(ev);
	event_base_free(base);
}

CASE(the_backend_has_a_place_for_each_descriptor, EVERY_BACKEND)
{
	struct event_table *table;
	struct event *reader, *writer;
	int *place;
	begin();
	ends[1] = renumber(ends[1], 60);
	reader = reader_named("reader");
	writer = named_event(base, ends[1], EV_WRITE, "writer");
	table = table_of_descriptors(base, reader);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	CHECK_EQUAL(event_add(writer, NULL), 0);
	place = evmap_io_get_fdinfo_(table, ends[0]);
	CHECK(place);
	CHECK(evmap_io_get_fdinfo_(table, ends[1]));
	CHECK(place != evmap_io_get_fdinfo_(table, ends[1]));
	CHECK(!evmap_io_get_fdinfo_(table, 59));
	CHECK_EQUAL(event_del(reader), 0);
	CHECK(evmap_io_get_fdinfo_(table, ends[0]) == place);
	if (uses_method(base, "poll")) {
		printf("the writer's place: %d\n", *(int *)evmap_io_get_fdinfo_(table, ends[1]));
		printf("the reader's place: %d\n", *place);
	}
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}

/* Descriptors. */
CASE(adding_returns_whether_the_backend_changed, EVERY_BACKEND)
{
	struct event *first, *second;
	begin();
	first = reader_named("first");
	second = reader_named("second");
	printf("first: %d\n", HELD(base, evmap_io_add_(base, ends[0], first)));
	turn();
	printf("second: %d\n", HELD(base, evmap_io_add_(base, ends[0], second)));
	put_byte(ends[1]);
	turn();
	printf("without first: %d\n", HELD(base, evmap_io_del_(base, ends[0], first)));
	turn();
	printf("without second: %d\n", HELD(base, evmap_io_del_(base, ends[0], second)));
	turn();
	event_free(first);
	event_free(second);
	event_base_free(base);
}

CASE(another_direction_changes_the_backend, EVERY_BACKEND)
{
	struct event *reader, *writer;
	begin();
	make_socketpair(ends);
	reader = reader_named("reader");
	writer = named_event(base, ends[0], EV_WRITE | EV_PERSIST, "writer");
	printf("reader: %d\n", HELD(base, evmap_io_add_(base, ends[0], reader)));
	turn();
	printf("writer: %d\n", HELD(base, evmap_io_add_(base, ends[0], writer)));
	turn();
	printf("without writer: %d\n", HELD(base, evmap_io_del_(base, ends[0], writer)));
	turn();
	printf("without reader: %d\n", HELD(base, evmap_io_del_(base, ends[0], reader)));
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}

CASE(no_descriptor_is_accepted_and_ignored, EVERY_BACKEND)
{
	struct event *ev;
	begin();
	ev = named_event(base, -1, EV_READ | EV_PERSIST, "without a descriptor");
	CHECK_EQUAL(HELD(base, evmap_io_add_(base, -1, ev)), 0);
	CHECK_EQUAL(HELD(base, evmap_io_del_(base, -1, ev)), 0);
	turn();
	event_free(ev);
	event_base_free(base);
}

/* The list of changes takes it: the kernel has not been asked. */
CASE(a_closed_descriptor_is_refused_by_the_kernel, EVERY_BACKEND | EPOLL_ONLY)
{
	struct event *ev;
	begin();
	ev = reader_named("reader");
	close(ends[0]);
	CHECK_EQUAL(HELD(base, evmap_io_add_(base, ends[0], ev)), uses_changelist(base) ? 1 : -1);
	turn();
	if (uses_changelist(base))
		CHECK(HELD(base, evmap_io_del_(base, ends[0], ev)) >= 0);
	event_free(ev);
	event_base_free(base);
}

CASE(readiness_is_given_to_those_who_want_it, EVERY_BACKEND)
{
	struct event *reader, *writer, *both;
	begin();
	make_socketpair(ends);
	reader = reader_named("reader");
	writer = named_event(base, ends[0], EV_WRITE, "writer");
	both = named_event(base, ends[0], EV_READ | EV_WRITE, "both");
	CHECK_EQUAL(event_add(reader, NULL), 0);
	CHECK_EQUAL(event_add(writer, NULL), 0);
	CHECK_EQUAL(event_add(both, NULL), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	HOLDING(base, evmap_io_active_(base, ends[0], EV_READ));
	printf("active for reading: %d\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	printf("results 0x%x, 0x%x\n", reader->ev_res, both->ev_res);
	HOLDING(base, evmap_io_active_(base, ends[0], EV_WRITE));
	printf("and for writing: %d\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	printf("results 0x%x, 0x%x, 0x%x\n", reader->ev_res, writer->ev_res, both->ev_res);
	event_free(reader);
	event_free(writer);
	event_free(both);
	event_base_free(base);
}

CASE(readiness_without_events_is_ignored, EVERY_BACKEND)
{
	struct event *ev;
	begin();
	HOLDING(base, evmap_io_active_(base, ends[0], EV_READ));
	ev = reader_named("reader");
	CHECK_EQUAL(event_add(ev, NULL), 0);
	HOLDING(base, evmap_io_active_(base, ends[1], EV_READ));
	HOLDING(base, evmap_io_active_(base, 100000, EV_READ));
	HOLDING(base, evmap_io_active_(base, -1, EV_READ));
	HOLDING(base, evmap_io_active_(base, ends[0], EV_WRITE));
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	event_free(ev);
	event_base_free(base);
}

/* Signals. */
static void
print_handler(const char *label, int number)
{
	struct sigaction action;
	CHECK(sigaction(number, NULL, &action) == 0);
	printf("%s: %s\n", label, action.sa_handler == SIG_DFL ? "default" : action.sa_handler == SIG_IGN ? "ignored" : "installed");
}

CASE(signals_are_watched_while_there_are_events, EVERY_BACKEND)
{
	struct event *first, *second;
	begin();
	CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
	first = named_event(base, SIGUSR1, EV_SIGNAL | EV_PERSIST, "first");
	second = named_event(base, SIGUSR1, EV_SIGNAL | EV_PERSIST, "second");
	CHECK_EQUAL(HELD(base, evmap_signal_add_(base, SIGUSR1, first)), 1);
	CHECK_EQUAL(HELD(base, evmap_signal_add_(base, SIGUSR1, second)), 1);
	print_handler("added", SIGUSR1);
	raise(SIGUSR1);
	turn();
	CHECK_EQUAL(HELD(base, evmap_signal_del_(base, SIGUSR1, first)), 1);
	print_handler("one left", SIGUSR1);
	raise(SIGUSR1);
	turn();
	CHECK_EQUAL(HELD(base, evmap_signal_del_(base, SIGUSR1, second)), 1);
	print_handler("none left", SIGUSR1);
	event_free(first);
	event_free(second);
	event_base_free(base);
}

CASE(numbers_that_are_no_signals_are_refused, EVERY_BACKEND)
{
	static const int numbers[] = {-1, NSIG, 1000};
	struct event *ev;
	size_t i;
	begin();
	log_to_stdout();
	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		ev = named_event(base, numbers[i], EV_SIGNAL | EV_PERSIST, "none");
		printf("add: %d\n", HELD(base, evmap_signal_add_(base, numbers[i], ev)));
		event_free(ev);
	}
	event_base_free(base);
}

static int calls;

static void
count_call(evutil_socket_t number, short what, void *arg)
{
	(void)arg;
	CHECK_EQUAL(number, SIGUSR2);
	CHECK_EQUAL(what, EV_SIGNAL);
	calls++;
}

CASE(a_signal_runs_as_often_as_it_was_delivered, EVERY_BACKEND)
{
	struct event *ev, *other;
	begin();
	ev = evsignal_new(base, SIGUSR2, count_call, NULL);
	other = named_event(base, SIGUSR1, EV_SIGNAL | EV_PERSIST, "other");
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(event_add(other, NULL), 0);
	HOLDING(base, evmap_signal_active_(base, SIGUSR2, 3));
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 1);
	turn();
	CHECK_EQUAL(calls, 3);
	HOLDING(base, evmap_signal_active_(base, SIGHUP, 1));
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	event_free(ev);
	event_free(other);
	event_base_free(base);
}

/* Both. */
struct fixture {
	struct event *low, *high, *signal, *timer;
};

static struct fixture
one_of_each(void)
{
	struct fixture events;
	int others[2];
	begin();
	make_pipe(others);
	ends[0] = renumber(ends[0], 50);
	events.high = reader_named("high");
	events.low = named_event(base, others[0], EV_READ | EV_PERSIST, "low");
	events.signal = named_event(base, SIGUSR1, EV_SIGNAL | EV_PERSIST, "signal");
	events.timer = named_event(base, -1, 0, "timer");
	CHECK_EQUAL(event_add(events.signal, NULL), 0);
	CHECK_EQUAL(event_add(events.high, NULL), 0);
	CHECK_EQUAL(event_add(events.low, NULL), 0);
	CHECK_EQUAL(add_timed(events.timer, 1000000), 0);
	return events;
}

static void
free_all(struct fixture *events)
{
	event_free(events->low);
	event_free(events->high);
	event_free(events->signal);
	event_free(events->timer);
	event_base_free(base);
}

static int
visit(const struct event_base *visited, const struct event *ev, void *left)
{
	CHECK(visited == base);
	if (event_get_callback(ev) != print_call)
		return 0;
	printf("visited: %s\n", (char *)event_get_callback_arg(ev));
	return --*(int *)left ? 0 : -3;
}

CASE(events_are_visited_by_descriptor_and_then_by_signal, EVERY_BACKEND)
{
	struct fixture events = one_of_each();
	int left = 10;
	CHECK_EQUAL(HELD(base, evmap_foreach_event_(base, visit, &left)), 0);
	CHECK_EQUAL(left, 7);
	left = 2;
	CHECK_EQUAL(HELD(base, evmap_foreach_event_(base, visit, &left)), -3);
	free_all(&events);
}

/* The base's own events go too: afterwards nothing can be done with it but free it. */
CASE(all_are_deleted_but_timers, EVERY_BACKEND)
{
	struct fixture events = one_of_each();
	int left = 10;
	print_handler("before", SIGUSR1);
	evmap_delete_all_(base);
	print_handler("after", SIGUSR1);
	CHECK(!event_pending(events.low, EV_READ, NULL));
	CHECK(!event_pending(events.high, EV_READ, NULL));
	CHECK(!event_pending(events.signal, EV_SIGNAL, NULL));
	CHECK(event_pending(events.timer, EV_TIMEOUT, NULL));
	CHECK_EQUAL(HELD(base, evmap_foreach_event_(base, visit, &left)), 0);
	CHECK_EQUAL(left, 10);
	free_all(&events);
}

CASE(the_backend_is_updated_again, EVERY_BACKEND)
{
	struct fixture events = one_of_each();
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(HELD(base, evmap_reinit_(base)), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(poll_once(base), 0);
	take_byte(ends[0]);
	CHECK_EQUAL(poll_once(base), 0);
	raise(SIGUSR1);
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(event_del(events.high), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(poll_once(base), 0);
	free_all(&events);
}

static int
check_a_table_with_a_lost_event(void)
{
	struct fixture events = one_of_each();
	struct event *second = reader_named("second");
	CHECK_EQUAL(event_add(second, NULL), 0);
	HOLDING(base, evmap_check_integrity_(base));
	printf("consistent\n");
	fflush(stdout);
	LIST_REMOVE(events.high, ev_.ev_io.ev_io_next);
	HOLDING(base, evmap_check_integrity_(base));
	return 0;
}

CASE(an_inconsistent_table_ends_the_process, EVERY_BACKEND)
{
	in_child(check_a_table_with_a_lost_event);
}
