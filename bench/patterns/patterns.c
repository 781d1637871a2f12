/* The program around the patterns: lists them, runs one, counts memory. */
#include "patterns.h"

#include <stddef.h>
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

/* --- A block knows its size, so that what is held can be counted. ---------------------------------- */

union header {
	size_t size;
	max_align_t alignment;
};

static long held, most, left;

/* What glibc takes from the heap for a block. */
static long
taken(size_t size)
{
	return size + 8 <= 32 ? 32 : (long)((size + 8 + 15) / 16 * 16);
}

static void *
counting_realloc(void *block, size_t size)
{
	union header *old = block ? (union header *)block - 1 : NULL;
	long before = old ? taken(old->size) : 0;
	union header *new = realloc(old, sizeof *new + size);

	REQUIRE(new);
	new->size = size;
	held += taken(size) - before;
	most = held > most ? held : most;
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
	union header *header = block ? (union header *)block - 1 : NULL;

	if (header)
		held -= taken(header->size);
	free(header);
}

static void (*free_memory)(void *memory) = free;

void
pattern_free(void *memory)
{
	free_memory(memory);
}

void
pattern_load_is_over(void)
{
	left = held;
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
		printf("%ld %ld\n", most, left);
	return 0;
}
