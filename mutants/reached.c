/* Notes which parts of the library a process reaches, for scripts/mutants: linked into a library whose
 * code calls these at the start of each part. The notes are bytes in a file named by
 * MUTANTS_REACHED, which stay whatever becomes of the process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *end);
void __sanitizer_cov_trace_pc_guard(uint32_t *guard);
void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *end);

static unsigned char *notes;
static size_t parts;

static int
create(const char *suffix, int flags)
{
	char path[4096];
	const char *prefix = getenv("MUTANTS_REACHED");
	Dl_info library;

	if (!prefix || !dladdr(__ehdr_start, &library))
		return -1;
	snprintf(path, sizeof(path), "%s.%s.%s", prefix, strrchr(library.dli_fname, '/') + 1, suffix);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
}

void
__sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *end)
{
	int file;

	if (start == end || *start || (file = create("reached", 0)) < 0)
		return;
	parts = (size_t)(end - start);
	if (ftruncate(file, (off_t)parts + 1) == 0) {
		notes = mmap(NULL, parts + 1, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
		if (notes == MAP_FAILED)
			notes = NULL;
	}
	close(file);
	for (size_t i = 0; i < parts; i++)
		start[i] = (uint32_t)i + 1;
}

void
__sanitizer_cov_trace_pc_guard(uint32_t *guard)
{
	if (notes && *guard)
		notes[*guard] = 1;
}

/* The addresses of all parts, once. */
void
__sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *end)
{
	static int written;
	int file = written++ || !getenv("MUTANTS_PARTS") ? -1 : create("parts", O_TRUNC);

	if (file < 0)
		return;
	for (; start < end; start += 2) {
		uintptr_t place = *start - (uintptr_t)__ehdr_start;
		if (write(file, &place, sizeof(place)) < 0)
			abort();
	}
	close(file);
}
