/* Coverage-guided: the input is a message from a peer. If it is accepted, writing and reading it again
 * must give the same bytes. */
#include "rpc/messages.h"
#include "checks.h"

static void
ignore_message(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

#define READ_AND_WRITE(name, data, size)                                                           \
	do {                                                                                       \
		struct name *msg = name##_new();                                                   \
		struct evbuffer *buffer = evbuffer_new(), *again = evbuffer_new();                 \
		evbuffer_add(buffer, data, size);                                                  \
		if (name##_unmarshal(msg, buffer) == 0) {                                          \
			CHECK_EQUAL(evbuffer_get_length(buffer), 0);                               \
			name##_marshal(buffer, msg);                                               \
			evbuffer_add_buffer_reference(again, buffer);                              \
			name##_clear(msg);                                                         \
			CHECK_EQUAL(name##_unmarshal(msg, again), 0);                              \
			name##_marshal(again, msg);                                                \
			CHECK_EQUAL(evbuffer_get_length(again), evbuffer_get_length(buffer));      \
			CHECK(!memcmp(evbuffer_pullup(again, -1), evbuffer_pullup(buffer, -1),     \
			    evbuffer_get_length(buffer)));                                         \
		}                                                                                  \
		name##_free(msg);                                                                  \
		evbuffer_free(again);                                                              \
		evbuffer_free(buffer);                                                             \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	event_set_log_callback(ignore_message);
	READ_AND_WRITE(everything, data, size);
	READ_AND_WRITE(nest, data, size);
	READ_AND_WRITE(borrower, data, size);
	return 0;
}
