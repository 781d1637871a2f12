/* Headers in memory of an allocator that puts blocks side by side, without anything between them. */
#include "tools.h"

#include <stdlib.h>

enum { SLOT = 32, SLOTS = 1000 };

static char slots[SLOTS][SLOT] __attribute__((aligned(SLOT)));
static int used, alive;

static int
is_slot(const void *block)
{
	return (const char *)block >= slots[0] && (const char *)block < slots[SLOTS];
}

static void *
next_slot(size_t size)
{
	alive++;
	return size <= SLOT && used < SLOTS ? slots[used++] : malloc(size);
}

static void *
move_block(void *block, size_t size)
{
	void *moved;

	if (block && !is_slot(block))
		return realloc(block, size);
	moved = malloc(size);
	if (block)
		memcpy(moved, block, size < SLOT ? size : SLOT);
	else
		alive++;
	return moved;
}

static void
give_back(void *block)
{
	alive--;
	if (!is_slot(block))
		free(block);
}

CASE(blocks_side_by_side, ONE_BACKEND)
{
	struct evhttp_request *req;
	int before;

	event_set_mem_functions(next_slot, move_block, give_back);
	req = evhttp_request_new(NULL, NULL);
	before = alive;
	for (int i = 0; i < 50; i++)
		CHECK_EQUAL(evhttp_add_header(evhttp_request_get_output_headers(req), "Transfer-Encoding", "some-coding"), 0);
	CHECK(alive > before);
	CHECK_EQUAL(evhttp_remove_header(evhttp_request_get_output_headers(req), "transfer-encoding"), 0);
	evhttp_clear_headers(evhttp_request_get_output_headers(req));
	CHECK_EQUAL(alive, before);
	evhttp_request_free(req);
}
