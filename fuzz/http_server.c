/* Coverage-guided: the input is what a client sends to a server. It must not matter how the bytes are divided, and all
 * memory must be freed. */
#define _GNU_SOURCE
#include "http/tools.h"
#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether a body is asked for depends on whether a part of it came with the head. */
static void
without_continue(char *text)
{
	char *place;

	while ((place = strstr(text, " 100")) != NULL)
		memmove(place, place + 4, strlen(place + 4) + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char whole[sizeof seen];
	const char *bytes = (const char *)data + 2;

	if (size < 3)
		return 0;
	if (!base) {
		start_server();
		evhttp_set_max_headers_size(http, 300);
		evhttp_set_max_body_size(http, 300);
	}
	evhttp_set_allowed_methods(http, data[1] & 1 ? 0xffff : 0x1f);
	evhttp_set_flags(http, data[1] & 2 ? EVHTTP_SERVER_LINGERING_CLOSE : 0);
	size -= 2;
	strcpy(whole, outcome(bytes, size, WHOLE));
	without_continue(whole);
	outcome(bytes, size, data[0] % 4 ? (int)(1 + data[0] % size) : BYTE_BY_BYTE);
	without_continue(seen);
	CHECK_STRING(seen, whole);
	return 0;
}
