/* Structures inside a base that exported internal functions take a pointer to. No function returns
 * such a pointer; it is found in the memory of the base by how the structure changes there. */
#ifndef CTESTS_LOOP_TABLES_H
#define CTESTS_LOOP_TABLES_H

#include "trace.h"

#include <malloc.h>
#include <stdint.h>

/* What waits for descriptors or for signals. */
struct event_table {
	void **entries;
	int count;
};

void *evmap_io_get_fdinfo_(struct event_table *table, evutil_socket_t fd);

/* The words of a base. They are read through /proc, because valgrind would object to looking at
 * those between fields. The caller frees them. */
OBSERVE_ uint64_t *
words_of(struct event_base *base, size_t *count)
{
	size_t size = malloc_usable_size(base) & ~(sizeof(uint64_t) - 1);
	uint64_t *words = calloc(1, size);
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	CHECK(memory >= 0);
	CHECK(pread(memory, words, size, (off_t)(uintptr_t)base) == (ssize_t)size);
	close(memory);
	*count = size / sizeof *words;
	return words;
}

/* Where in a base a pointer stands that is not null with a number behind it that was `before` in
 * earlier words and is `after` now. */
OBSERVE_ void *
pointer_with_number(struct event_base *base, const uint64_t *earlier, int before, int after)
{
	size_t count, i;
	uint64_t *now = words_of(base, &count);
	for (i = 0; i + 1 < count; i++) {
		if (now[i] && earlier[i] && (int)earlier[i + 1] == before && (int)now[i + 1] == after)
			break;
	}
	CHECK(i + 1 < count);
	free(now);
	return (uint64_t *)base + i;
}

/* Adds an event like another one on a duplicate of its descriptor. */
OBSERVE_ struct event *
add_duplicate(struct event_base *base, struct event *ev, int number)
{
	int fd = renumber(dup(event_get_fd(ev)), number);
	struct event *duplicate = event_new(base, fd, event_get_events(ev), event_get_callback(ev), NULL);
	CHECK_EQUAL(event_add(duplicate, NULL), 0);
	return duplicate;
}

/* The base's table of descriptors, which has room for 64 with an event on number 40 and for 128 with
 * one on 100. */
OBSERVE_ struct event_table *
table_of_descriptors(struct event_base *base, struct event *ev)
{
	struct event *low = add_duplicate(base, ev, 40), *high;
	struct event_table *table;
	size_t count;
	uint64_t *earlier = words_of(base, &count);
	high = add_duplicate(base, ev, 100);
	table = pointer_with_number(base, earlier, 64, 128);
	free(earlier);
	event_free(low);
	event_free(high);
	/* The recorded changes of the two are passed to the kernel. */
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
	close(40);
	close(100);
	return table;
}

#endif
