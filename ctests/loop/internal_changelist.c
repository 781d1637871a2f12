/* Functions that libevent exports without declaring them in a public header: the list of changes
 * that are passed to epoll before it waits. What the kernel knows is read from /proc. */
#include "tables.h"
#include "internal.h"


/* Exported, though in no header. */
struct event_changelist {
	void *changes;
	int n_changes;
	int changes_size;
};
void event_changelist_init_(struct event_changelist *list);
int event_changelist_add_(struct event_base *base, evutil_socket_t fd, short old, short events, void *place);
int event_changelist_del_(struct event_base *base, evutil_socket_t fd, short old, short events, void *place);
void event_changelist_remove_all_(struct event_changelist *list, struct event_base *base);
void event_changelist_freemem_(struct event_changelist *list);

static struct event_base *base;
static struct event_table *table;
static struct event *reader, *writer;
static int ends[2];

/* The base's list, which has one entry after the first change and two after the second. */
static struct event_changelist *
list_of_changes(void)
{
	struct event_changelist *list;
	uint64_t *earlier;
	size_t count;
	CHECK_EQUAL(event_add(reader, NULL), 0);
	earlier = words_of(base, &count);
	CHECK_EQUAL(event_add(writer, NULL), 0);
	list = pointer_with_number(base, earlier, 1, 2);
	free(earlier);
	CHECK(list->changes_size >= 2);
	return list;
}

/* A base with a reader and a writer, both of which are in the list of changes. */
static struct event_changelist *
begin(void)
{
	base = base_with_flags(EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	CHECK(uses_changelist(base));
	make_pipe(ends);
	ends[0] = renumber(ends[0], 50);
	ends[1] = renumber(ends[1], 51);
	reader = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader");
	writer = named_event(base, ends[1], EV_WRITE | EV_PERSIST, "writer");
	table = table_of_descriptors(base, reader);
	return list_of_changes();
}

static void
end(void)
{
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}

static void *
place_of(int fd)
{
	void *place = evmap_io_get_fdinfo_(table, fd);
	CHECK(place);
	return place;
}

static void
print_watched(const char *label)
{
	char path[64], line[200];
	int watched[2] = {0, 0}, fd;
	FILE *info;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll_descriptor());
	info = fopen(path, "r");
	CHECK(info);
	while (fgets(line, sizeof line, info)) {
		if (sscanf(line, "tfd: %d", &fd) == 1 && (fd == 50 || fd == 51))
			watched[fd - 50] = 1;
	}
	fclose(info);
	printf("%s: the kernel watches the reader %d, the writer %d\n", label, watched[0], watched[1]);
}

static void
turn(void)
{
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY), 0);
}

CASE(a_new_list_is_empty, ONE_BACKEND)
{
	struct event_changelist list;
	memset(&list, 0xff, sizeof list);
	event_changelist_init_(&list);
	CHECK(!list.changes);
	CHECK_EQUAL(list.n_changes, 0);
	CHECK_EQUAL(list.changes_size, 0);
	event_changelist_freemem_(&list);
	CHECK(!list.changes);
	CHECK_EQUAL(list.changes_size, 0);
}

CASE(changes_are_applied_before_the_wait, ONE_BACKEND)
{
	struct event_changelist *list = begin();
	print_watched("added");
	turn();
	print_watched("told");
	CHECK_EQUAL(list->n_changes, 0);
	end();
}

CASE(forgotten_changes_are_never_applied, ONE_BACKEND)
{
	struct event_changelist *list = begin();
	HOLDING(base, event_changelist_remove_all_(list, base));
	CHECK_EQUAL(list->n_changes, 0);
	put_byte(ends[1]);
	turn();
	print_watched("forgotten");
	end();
}

CASE(a_descriptor_is_noted_once, ONE_BACKEND)
{
	struct event_changelist *list = begin();
	HOLDING(base, event_changelist_remove_all_(list, base));
	CHECK_EQUAL(HELD(base, event_changelist_add_(base, ends[0], 0, EV_READ, place_of(ends[0]))), 0);
	CHECK_EQUAL(list->n_changes, 1);
	CHECK_EQUAL(HELD(base, event_changelist_add_(base, ends[0], 0, EV_READ, place_of(ends[0]))), 0);
	CHECK_EQUAL(list->n_changes, 1);
	CHECK_EQUAL(HELD(base, event_changelist_add_(base, ends[1], 0, EV_WRITE, place_of(ends[1]))), 0);
	CHECK_EQUAL(list->n_changes, 2);
	put_byte(ends[1]);
	turn();
	CHECK_EQUAL(list->n_changes, 0);
	print_watched("noted");
	end();
}

CASE(a_deletion_is_noted_too, ONE_BACKEND)
{
	struct event_changelist *list = begin();
	put_byte(ends[1]);
	turn();
	CHECK_EQUAL(event_del(reader), 0);
	HOLDING(base, event_changelist_remove_all_(list, base));
	CHECK_EQUAL(HELD(base, event_changelist_del_(base, ends[0], EV_READ, EV_READ, place_of(ends[0]))), 0);
	CHECK_EQUAL(list->n_changes, 1);
	print_watched("noted");
	turn();
	CHECK_EQUAL(list->n_changes, 0);
	print_watched("told");
	end();
}

CASE(a_freed_list_can_be_filled_again, ONE_BACKEND)
{
	struct event_changelist *list = begin();
	HOLDING(base, event_changelist_remove_all_(list, base));
	event_changelist_freemem_(list);
	CHECK(!list->changes);
	CHECK_EQUAL(list->n_changes, 0);
	CHECK_EQUAL(list->changes_size, 0);
	CHECK_EQUAL(HELD(base, event_changelist_add_(base, ends[0], 0, EV_READ, place_of(ends[0]))), 0);
	CHECK(list->changes);
	put_byte(ends[1]);
	turn();
	end();
}
