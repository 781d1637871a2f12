/* The program around the patterns: lists them, runs one, counts memory. */
#include "../counted_heap.h"
#include "patterns.h"

#include <sys/resource.h>

char pattern_bytes[65536];
static struct pattern *patterns;

void
pattern_register(struct pattern *pattern)
{
	struct pattern **place = &patterns;

	while (*place)
		place = &(*place)->next;
	*place = pattern;
}

/* Bytes in use when the load was over. */
static size_t left;

static void (*free_memory)(void *memory) = free;

void
pattern_free(void *memory)
{
	free_memory(memory);
}

void
pattern_load_is_over(void)
{
	left = heap_in_use;
}

/* --- Running. -------------------------------------------------------------------------------------- */

/* A separate function, so that its instructions can be counted by its name. */
__attribute__((noinline)) static void
pattern_work(const struct pattern *pattern, long count)
{
	(void)getppid();
	pattern->run(count);
	(void)getppid();
	__asm__ volatile("" ::: "memory");
}

static void
allow_descriptors(void)
{
	struct rlimit limit;

	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

int
main(int argc, char **argv)
{
	int listing = argc < 2 || !strcmp(argv[1], "--list");

	allow_descriptors();
	memset(pattern_bytes, 'x', sizeof pattern_bytes);
	if (argc > 3) {
		free_memory = counting_free;
		event_set_mem_functions(counting_malloc, counting_realloc, counting_free);
	}
	for (struct pattern *pattern = patterns; pattern; pattern = pattern->next) {
		if (listing)
			printf("%s %ld\n", pattern->name, pattern->count);
		else if (!strcmp(argv[1], pattern->name))
			pattern_work(pattern, argc > 2 ? atol(argv[2]) : pattern->count);
	}
	if (argc > 3)
		printf("%zu %zu\n", heap_peak, left);
	return 0;
}
