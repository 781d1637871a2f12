/* An allocator to install in the library. It counts live blocks, and can fail at one allocation or at all
 * from one on. Every block is marked, so that freeing a block twice, or one that did not come from here,
 * fails the case. */
#ifndef CTESTS_ALLOCATOR_H
#define CTESTS_ALLOCATOR_H

#include "observe.h"

#include <errno.h>
#include <event2/event.h>
#include <stddef.h>

#define ALLOCATOR_ static __attribute__((unused))

struct allocator_block {
	size_t size;
	size_t mark;
} __attribute__((aligned(16)));

enum { ALLOCATOR_ALIVE = 0x1badb002, ALLOCATOR_DEAD = 0xdead };

static struct {
	long alive;      /* blocks given out and not yet given back */
	size_t held;     /* their bytes */
	long made;       /* allocations asked for since the last allocator_fail_at() */
	long fail_at;    /* the allocation that fails, counted from 1; 0: none */
	int fail_on;     /* those after it fail too */
	long failed;
} allocator;

ALLOCATOR_ int
allocator_refuses(void)
{
	long number = __atomic_add_fetch(&allocator.made, 1, __ATOMIC_SEQ_CST);

	if (!allocator.fail_at || number < allocator.fail_at || (number > allocator.fail_at && !allocator.fail_on))
		return 0;
	allocator.failed++;
	errno = ENOMEM;
	return 1;
}

ALLOCATOR_ void *
allocator_malloc(size_t size)
{
	struct allocator_block *block;

	if (allocator_refuses())
		return NULL;
	block = malloc(sizeof *block + size);
	block->size = size;
	block->mark = ALLOCATOR_ALIVE;
	__atomic_add_fetch(&allocator.alive, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&allocator.held, size, __ATOMIC_SEQ_CST);
	return block + 1;
}

ALLOCATOR_ void
allocator_free(void *memory)
{
	struct allocator_block *block = (struct allocator_block *)memory - 1;

	if (!memory)
		return;
	CHECK(block->mark == ALLOCATOR_ALIVE);
	block->mark = ALLOCATOR_DEAD;
	__atomic_sub_fetch(&allocator.alive, 1, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&allocator.held, block->size, __ATOMIC_SEQ_CST);
	free(block);
}

ALLOCATOR_ void *
allocator_realloc(void *memory, size_t size)
{
	struct allocator_block *block = (struct allocator_block *)memory - 1;

	if (!memory)
		return allocator_malloc(size);
	CHECK(block->mark == ALLOCATOR_ALIVE);
	if (allocator_refuses())
		return NULL;
	__atomic_add_fetch(&allocator.held, size - block->size, __ATOMIC_SEQ_CST);
	block = realloc(block, sizeof *block + size);
	block->size = size;
	return block + 1;
}

ALLOCATOR_ void
allocator_install(void)
{
	event_set_mem_functions(allocator_malloc, allocator_realloc, allocator_free);
}

/* The n-th allocation from now on fails; 0: none. */
ALLOCATOR_ void
allocator_fail_at(long n)
{
	allocator.made = 0;
	allocator.failed = 0;
	allocator.fail_at = n;
}

#endif
