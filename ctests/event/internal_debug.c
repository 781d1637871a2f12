/* Functions that libevent exports without declaring them in a public header: the table of events that
 * debug mode keeps, and the end of debug mode. */
#include "allocator.h"
#include "trace.h"

/* Exported, though in no header. The real structure takes 24 bytes and begins with the memory. */
struct event_debug_map {
	void *memory;
	unsigned char private_part[56];
};
int event_debug_map_HT_GROW(struct event_debug_map *map, unsigned capacity);
void event_debug_map_HT_CLEAR(struct event_debug_map *map);
int event_debug_map_HT_REP_IS_BAD_(const struct event_debug_map *map);
void event_disable_debug_mode(void);
extern int event_debug_mode_on_;

static struct event_debug_map map, empty;

/* Clearing also initialises it. */
static void
begin(void)
{
	allocator_install();
	event_debug_map_HT_CLEAR(&map);
	CHECK(!map.memory);
	empty = map;
}

CASE(an_empty_map_is_consistent, ONE_BACKEND)
{
	begin();
	CHECK_EQUAL(event_debug_map_HT_REP_IS_BAD_(&map), 0);
	CHECK_EQUAL(allocator.made, 0);
}

CASE(a_map_grows_and_is_cleared, ONE_BACKEND)
{
	void *first;
	begin();
	CHECK_EQUAL(event_debug_map_HT_GROW(&map, 10), 0);
	first = map.memory;
	CHECK(first);
	CHECK_EQUAL(allocator.alive, 1);
	CHECK_EQUAL(event_debug_map_HT_REP_IS_BAD_(&map), 0);
	CHECK_EQUAL(event_debug_map_HT_GROW(&map, 10), 0);
	CHECK(map.memory == first);
	CHECK_EQUAL(event_debug_map_HT_GROW(&map, 10000), 0);
	CHECK_EQUAL(allocator.alive, 1);
	CHECK_EQUAL(event_debug_map_HT_REP_IS_BAD_(&map), 0);
	event_debug_map_HT_CLEAR(&map);
	CHECK(!memcmp(&map, &empty, sizeof map));
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(a_map_without_memory_does_not_grow, ONE_BACKEND)
{
	begin();
	allocator.fail_on = 1;
	allocator_fail_at(1);
	CHECK_EQUAL(event_debug_map_HT_GROW(&map, 10), -1);
	CHECK(!memcmp(&map, &empty, sizeof map));
	CHECK_EQUAL(event_debug_map_HT_REP_IS_BAD_(&map), 0);
	allocator_fail_at(0);
	CHECK_EQUAL(event_debug_map_HT_GROW(&map, 10), 0);
	event_debug_map_HT_CLEAR(&map);
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(a_map_that_cannot_grow_stays_as_it_was, ONE_BACKEND)
{
	struct event_debug_map before;
	begin();
	CHECK_EQUAL(event_debug_map_HT_GROW(&map, 10), 0);
	before = map;
	allocator.fail_on = 1;
	allocator_fail_at(1);
	CHECK_EQUAL(event_debug_map_HT_GROW(&map, 10000), -1);
	CHECK(!memcmp(&map, &before, sizeof map));
	CHECK_EQUAL(event_debug_map_HT_REP_IS_BAD_(&map), 0);
	event_debug_map_HT_CLEAR(&map);
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(a_map_with_entries_and_no_memory_is_bad, ONE_BACKEND)
{
	begin();
	memset(map.private_part, 1, sizeof map.private_part);
	CHECK(event_debug_map_HT_REP_IS_BAD_(&map) != 0);
}

CASE(the_end_of_debug_mode_forgets_the_events, ONE_BACKEND | OWN_DEBUG_MODE)
{
	struct event_base *base;
	struct event events[100];
	long before;
	int i;
	allocator_install();
	event_enable_debug_mode();
	CHECK_EQUAL(event_debug_mode_on_, 1);
	base = new_base();
	before = allocator.alive;
	for (i = 0; i < 100; i++)
		CHECK_EQUAL(event_assign(&events[i], base, -1, EV_PERSIST, print_call, "event"), 0);
	CHECK(allocator.alive >= before + 100);
	event_disable_debug_mode();
	CHECK_EQUAL(event_debug_mode_on_, 0);
	CHECK(allocator.alive <= before);
	CHECK_EQUAL(event_assign(&events[0], base, -1, EV_PERSIST, print_call, "event"), 0);
	CHECK(allocator.alive <= before);
	event_base_free(base);
	CHECK_EQUAL(allocator.alive, 0);
}

static void
use_an_event_that_was_not_assigned(void)
{
	struct event_base *base = new_base();
	struct event ev;
	CHECK_EQUAL(event_assign(&ev, base, -1, EV_PERSIST, print_call, "event"), 0);
	event_debug_unassign(&ev);
	CHECK_EQUAL(add_timed(&ev, 1000000), 0);
	printf("added\n");
	CHECK_EQUAL(event_del(&ev), 0);
	event_base_free(base);
}

static int
in_debug_mode(void)
{
	event_enable_debug_mode();
	use_an_event_that_was_not_assigned();
	return 0;
}

static int
after_debug_mode(void)
{
	event_enable_debug_mode();
	event_disable_debug_mode();
	use_an_event_that_was_not_assigned();
	return 0;
}

CASE(the_end_of_debug_mode_ends_its_checks, ONE_BACKEND | OWN_DEBUG_MODE)
{
	in_child(in_debug_mode);
	in_child(after_debug_mode);
}
