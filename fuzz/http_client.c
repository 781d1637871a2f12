/* Coverage-guided: the input is what a server sends to a client before it closes the connection. It must not
 * matter how the bytes are divided. */
#define _GNU_SOURCE
#include "http/client_tools.h"
#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum evhttp_cmd_type methods[] = {EVHTTP_REQ_GET, EVHTTP_REQ_HEAD, EVHTTP_REQ_POST, EVHTTP_REQ_CONNECT};
	static char whole[sizeof seen];
	const char *bytes = (const char *)data + 2;

	if (size < 3)
		return 0;
	if (!base)
		start_peer();
	size -= 2;
	strcpy(whole, reply_outcome(methods[data[1] % 4], bytes, size, WHOLE));
	reply_outcome(methods[data[1] % 4], bytes, size, data[0] % 4 ? (int)(1 + data[0] % size) : BYTE_BY_BYTE);
	CHECK_STRING(seen, whole);
	return 0;
}
