/* Memory functions for the library that count what it takes from the heap: a block knows its size. */
#ifndef BENCH_COUNTED_HEAP_H
#define BENCH_COUNTED_HEAP_H

#include <stddef.h>
#include <stdlib.h>

/* Bytes in use, with what malloc adds to each block, and the most there have been. */
static size_t heap_in_use, heap_peak __attribute__((unused));

union heap_header {
	size_t size;
	max_align_t alignment;
};

/* What glibc takes from the heap for a block. */
static size_t
heap_taken(size_t size)
{
	return size + 8 <= 32 ? 32 : (size + 8 + 15) / 16 * 16;
}

static void *
counting_realloc(void *block, size_t size)
{
	union heap_header *old = block ? (union heap_header *)block - 1 : NULL;
	size_t before = old ? heap_taken(old->size) : 0;
	union heap_header *new = realloc(old, sizeof *new + size);

	if (!new)
		return NULL;
	new->size = size;
	heap_in_use += heap_taken(size) - before;
	heap_peak = heap_in_use > heap_peak ? heap_in_use : heap_peak;
	return new + 1;
}

static void *
counting_malloc(size_t size)
{
	return counting_realloc(NULL, size);
}

static void
counting_free(void *block)
{
	union heap_header *header = block ? (union heap_header *)block - 1 : NULL;

	if (header)
		heap_in_use -= heap_taken(header->size);
	free(header);
}

#endif
