/* The tables of functions of the backends, which libevent exports without declaring them in a public
 * header. Their functions work on a base that has that backend. */
#include "tables.h"
#include "internal.h"

int evmap_reinit_(struct event_base *base);

/* Exported, though in no header. */
struct eventop {
	const char *name;
	void *(*init)(struct event_base *);
	int (*add)(struct event_base *, evutil_socket_t fd, short old, short events, void *place);
	int (*del)(struct event_base *, evutil_socket_t fd, short old, short events, void *place);
	int (*dispatch)(struct event_base *, struct timeval *);
	void (*dealloc)(struct event_base *);
	int need_reinit;
	enum event_method_feature features;
	size_t fdinfo_len;
};
extern const struct eventop epollops, pollops, selectops, nil_eventop;

static void
print_table(const struct eventop *table)
{
	printf("%s: init %d, add %d, del %d, dispatch %d, dealloc %d, reinit %d, features 0x%02x, place of %zu bytes\n",
	       table->name, !!table->init, !!table->add, !!table->del, !!table->dispatch, !!table->dealloc,
	       table->need_reinit, table->features, table->fdinfo_len);
}

CASE(what_the_tables_say, ONE_BACKEND)
{
	CHECK_EQUAL(sizeof(struct eventop), 64);
	print_table(&epollops);
	print_table(&pollops);
	print_table(&selectops);
	print_table(&nil_eventop);
}

static const struct eventop *
table_of(struct event_base *base)
{
	return uses_method(base, "epoll") ? &epollops : uses_method(base, "poll") ? &pollops : &selectops;
}

CASE(a_base_has_the_features_of_its_table, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	const struct eventop *table = table_of(base);
	if (!uses_changelist(base))
		CHECK_STRING(event_base_get_method(base), table->name);
	CHECK_EQUAL(event_base_get_features(base), (int)table->features);
	event_base_free(base);
}

CASE(giving_up_nothing_always_succeeds, ONE_BACKEND)
{
	struct event_base *base = new_base();
	CHECK_EQUAL(nil_eventop.del(base, 3, EV_READ, EV_READ, NULL), 0);
	event_base_free(base);
}

static struct event *reader;
static int ends[2];

static struct event_base *
base_with_a_reader(void)
{
	struct event_base *base = new_base();
	make_pipe(ends);
	reader = added_event(base, ends[0], EV_READ | EV_PERSIST, "reader");
	return base;
}

CASE(waiting_makes_events_active, EVERY_BACKEND)
{
	struct event_base *base = base_with_a_reader();
	const struct eventop *table = table_of(base);
	struct timeval at_once = {0, 0};
	CHECK_EQUAL(HELD(base, table->dispatch(base, &at_once)), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(HELD(base, table->dispatch(base, &at_once)), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 1);
	CHECK_EQUAL(reader->ev_res, EV_READ);
	CHECK_EQUAL(event_del(reader), 0);
	CHECK_EQUAL(HELD(base, table->dispatch(base, &at_once)), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	event_free(reader);
	event_base_free(base);
}

/* Our backends take the interest in a descriptor from its events, not from the function's arguments, so
 * only what is in the table can be registered here. */
CASE(what_is_registered_can_be_added_again, EVERY_BACKEND)
{
	struct event_base *base = base_with_a_reader();
	void *place = evmap_io_get_fdinfo_(table_of_descriptors(base, reader), ends[0]);
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(HELD(base, table_of(base)->add(base, ends[0], 0, EV_READ, place)), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(poll_once(base), 0);
	event_free(reader);
	event_base_free(base);
}

CASE(what_is_closed_cannot_be_added, EVERY_BACKEND | EPOLL_ONLY)
{
	struct event_base *base = new_base();
	CHECK_EQUAL(HELD(base, epollops.add(base, 1000, 0, EV_READ, NULL)), -1);
	event_base_free(base);
}

/* The reference keeps what init() returns behind the address of the table; ours does that itself. */
static void
keep_backend(struct event_base *base, const struct eventop *table, void *backend)
{
	size_t count, i;
	uint64_t *words = words_of(base, &count);
	for (i = 0; i + 1 < count; i++) {
		if (words[i] == (uintptr_t)table) {
			((void **)base)[i + 1] = backend;
			break;
		}
	}
	free(words);
}

CASE(a_base_gets_a_new_backend, EVERY_BACKEND)
{
	struct event_base *base = base_with_a_reader();
	const struct eventop *table = table_of(base);
	void *backend;
	if (uses_changelist(base))
		harness_skip("the table for the list of changes is not exported");
	CHECK_EQUAL(poll_once(base), 0);
	table->dealloc(base);
	backend = table->init(base);
	CHECK(backend);
	keep_backend(base, table, backend);
	CHECK_EQUAL(HELD(base, evmap_reinit_(base)), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(event_del(reader), 0);
	event_free(reader);
	event_base_free(base);
}
