/* The memory hooks, through the functions that every part of the library allocates with. */
#include "observe.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <string.h>

void *event_mm_malloc_(size_t sz);
void *event_mm_calloc_(size_t count, size_t size);
char *event_mm_strdup_(const char *str);
void *event_mm_realloc_(void *p, size_t sz);
void event_mm_free_(void *p);

static int refuse;

static void *
print_malloc(size_t size)
{
	void *block;
	printf("malloc %zu\n", size);
	if (refuse)
		return NULL;
	block = malloc(size ? size : 1);
	memset(block, 0xaa, size);
	return block;
}

static void *
print_realloc(void *block, size_t size)
{
	printf("realloc %d %zu\n", block != NULL, size);
	return refuse ? NULL : realloc(block, size);
}

static void
print_free(void *block)
{
	printf("free %d\n", block != NULL);
	free(block);
}

static void
check_zero(const char *block, size_t size)
{
	CHECK(block != NULL);
	for (size_t i = 0; i < size; i++)
		CHECK_EQUAL(block[i], 0);
}

static void
use_all(void)
{
	char *block;
	errno = 7;
	CHECK(event_mm_malloc_(0) == NULL);
	CHECK(event_mm_calloc_(0, 5) == NULL);
	CHECK(event_mm_calloc_(5, 0) == NULL);
	CHECK_EQUAL(errno, 7);
	CHECK(event_mm_calloc_(SIZE_MAX, 2) == NULL);
	if (!under_valgrind()) /* an allocator that does not set errno */
		CHECK_EQUAL(errno, ENOMEM);
	CHECK(event_mm_calloc_(SIZE_MAX / 2 + 1, 2) == NULL);
	errno = 7;
	CHECK(event_mm_strdup_(NULL) == NULL);
	CHECK_EQUAL(errno, EINVAL);
	block = event_mm_malloc_(10);
	CHECK(block != NULL);
	event_mm_free_(block);
	block = event_mm_calloc_(10, 7);
	check_zero(block, 70);
	block = event_mm_realloc_(block, 700);
	CHECK(block != NULL);
	check_zero(block, 70);
	event_mm_free_(block);
	block = event_mm_realloc_(NULL, 5);
	CHECK(block != NULL);
	event_mm_free_(block);
	block = event_mm_strdup_("text");
	CHECK_STRING(block, "text");
	event_mm_free_(block);
	block = event_mm_strdup_("");
	CHECK_STRING(block, "");
	event_mm_free_(block);
}

CASE(with_and_without_hooks, ONE_BACKEND)
{
	use_all();
	event_set_mem_functions(print_malloc, print_realloc, print_free);
	use_all();
	event_set_mem_functions(NULL, NULL, NULL);
	use_all();
}

/* The other calls with nothing in them are passed on as they are. */
CASE(realloc_of_nothing, ONE_BACKEND)
{
	void *block;

	event_set_mem_functions(print_malloc, print_realloc, print_free);
	block = event_mm_realloc_(NULL, 0);
	printf("%d\n", block != NULL);
	event_mm_free_(block);
	block = event_mm_malloc_(5);
	block = event_mm_realloc_(block, 0);
	printf("%d\n", block != NULL);
}

CASE(each_hook_alone, ONE_BACKEND)
{
	event_set_mem_functions(print_malloc, NULL, NULL);
	use_all();
	event_set_mem_functions(NULL, print_realloc, NULL);
	use_all();
	event_set_mem_functions(NULL, NULL, print_free);
	use_all();
}

CASE(hooks_that_refuse, ONE_BACKEND)
{
	char *block;
	event_set_mem_functions(print_malloc, print_realloc, print_free);
	block = event_mm_strdup_("kept");
	refuse = 1;
	errno = 7;
	CHECK(event_mm_malloc_(10) == NULL);
	CHECK_EQUAL(errno, 7);
	CHECK(event_mm_calloc_(10, 10) == NULL);
	CHECK_EQUAL(errno, ENOMEM);
	errno = 7;
	CHECK(event_mm_strdup_("text") == NULL);
	CHECK_EQUAL(errno, ENOMEM);
	errno = 7;
	CHECK(event_mm_realloc_(block, 100) == NULL);
	CHECK_EQUAL(errno, 7);
	CHECK_STRING(block, "kept");
	event_mm_free_(block);
}

CASE(blocks_are_aligned, ONE_BACKEND)
{
	for (size_t size = 1; size < 200; size++) {
		void *block = event_mm_malloc_(size);
		CHECK(block);
		CHECK_EQUAL((uintptr_t)block % 16, 0);
		event_mm_free_(block);
	}
}
