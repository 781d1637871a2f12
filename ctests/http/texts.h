/* Generated texts for the tests of URIs, queries and encodings: the same on every run. */
#ifndef CTESTS_HTTP_TEXTS_H
#define CTESTS_HTTP_TEXTS_H

#include "allocator.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdint.h>
#include <string.h>

static uint64_t random_state = 88172645463325252u;

ALLOCATOR_ unsigned
random_below(unsigned limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 20) % limit;
}

/* A row of up to `most` of the pieces, whose array ends with NULL. */
ALLOCATOR_ const char *
random_text(const char *const *pieces, unsigned most)
{
	static char text[1000];
	unsigned count = 0, n = random_below(most + 1);

	while (pieces[count])
		count++;
	text[0] = 0;
	while (n--)
		strcat(text, pieces[random_below(count)]);
	return text;
}

/* What long runs print instead of everything that they saw. */
static uint64_t digest_state = 14695981039346656037u;

ALLOCATOR_ void
digest(const void *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		digest_state = (digest_state ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
}

ALLOCATOR_ void
digest_text(const char *text)
{
	if (text)
		digest(text, strlen(text) + 1);
	else
		digest("\xff", 1);
}

/* Prints the digest once in `every` calls. */
ALLOCATOR_ void
print_digest(unsigned call, unsigned every)
{
	if (call % every == every - 1)
		printf("%u: %016llx\n", call + 1, (unsigned long long)digest_state);
}

/* Writes a text so that every byte of it can be read. */
ALLOCATOR_ void
print_text(const char *name, const char *text)
{
	printf(" %s=", name);
	if (!text) {
		printf("none");
		return;
	}
	for (; *text; text++)
		printf((unsigned char)*text > 32 && (unsigned char)*text < 127 ? "%c" : "\\x%02x", (unsigned char)*text);
}

#endif
