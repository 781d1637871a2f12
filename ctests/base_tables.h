/* Structures inside a base that exported internal functions take a pointer to. No function returns
 * such a pointer; it is found in the memory of the base by how the structure changes there. */
#ifndef CTESTS_BASE_TABLES_H
#define CTESTS_BASE_TABLES_H

#include "trace.h"

#include <malloc.h>

/* What waits for descriptors or for signals. */
struct event_table {
	void **entries;
	int count;
};

void *evmap_io_get_fdinfo_(struct event_table *table, evutil_socket_t fd);

/* Where in a base a pointer stands that is not NULL with this number behind it, from a place on. */
OBSERVE_ char *
pointer_with_number(struct event_base *base, char *from, int number)
{
	char *end = (char *)base + malloc_usable_size(base);
	void *pointer;
	int behind;
	for (from = from ? from : (char *)base; from + sizeof pointer + sizeof behind <= end; from += sizeof pointer) {
		memcpy(&pointer, from, sizeof pointer);
		memcpy(&behind, from + sizeof pointer, sizeof behind);
		if (pointer && behind == number)
			return from;
	}
	return NULL;
}

/* The base's table of descriptors, which has room for 64 when there was an event on number 40 and
 * for 128 when there was one on 100. Leaves `ev` as it is: assigned and not added. */
OBSERVE_ struct event_table *
table_of_descriptors(struct event_base *base, struct event *ev)
{
	int fd = event_get_fd(ev), low = dup(fd), high = dup(fd);
	struct event *other = event_new(base, renumber(low, 40), event_get_events(ev), event_get_callback(ev), NULL);
	char *places[10], *place = NULL;
	int count = 0, i;
	CHECK_EQUAL(event_add(other, NULL), 0);
	while (count < 10 && (place = pointer_with_number(base, place, 64)))
		places[count++] = place, place += sizeof(void *);
	event_free(other);
	other = event_new(base, renumber(high, 100), event_get_events(ev), event_get_callback(ev), NULL);
	CHECK_EQUAL(event_add(other, NULL), 0);
	for (i = 0; i < count; i++) {
		struct event_table *table = (struct event_table *)places[i];
		if (table->entries && table->count == 128)
			break;
	}
	CHECK(i < count);
	event_free(other);
	/* What was noted about the two is told the kernel. */
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
	close(40);
	close(100);
	return (struct event_table *)places[i];
}

#endif
