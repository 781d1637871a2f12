/* The exported functions with printf-style arguments, which Rust cannot define.
 * They only format; what happens with the text is decided by the Rust functions declared here. */
#include "simple_format.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

enum { SEVERITY_DEBUG, SEVERITY_MESSAGE, SEVERITY_WARNING, SEVERITY_ERROR };

/* Bytes of a message, terminator included; longer ones are cut. */
enum { MESSAGE_SIZE = 1024 };

extern uint32_t event_debug_logging_mask_;

void libevent_rs_log_text(int severity, const char *text, const char *error);
void libevent_rs_log_text_with_errno(int severity, const char *text);
void libevent_rs_end_process(int code) __attribute__((noreturn));

static void
format(char *text, const char *format, va_list arguments)
{
	int error = errno;
	text[0] = '\0';
	if (format)
		vsnprintf(text, MESSAGE_SIZE, format, arguments);
	errno = error;
}

/* Calls `deliver` with the formatted text of the variadic arguments after `last`. */
#define WITH_TEXT(text, last, deliver)                                                             \
	do {                                                                                       \
		char text[MESSAGE_SIZE];                                                           \
		va_list arguments;                                                                 \
		va_start(arguments, last);                                                         \
		format(text, last, arguments);                                                     \
		va_end(arguments);                                                                 \
		deliver;                                                                           \
	} while (0)

void
event_err(int code, const char *fmt, ...)
{
	WITH_TEXT(text, fmt, libevent_rs_log_text_with_errno(SEVERITY_ERROR, text));
	libevent_rs_end_process(code);
}

void
event_errx(int code, const char *fmt, ...)
{
	WITH_TEXT(text, fmt, libevent_rs_log_text(SEVERITY_ERROR, text, NULL));
	libevent_rs_end_process(code);
}

void
event_sock_err(int code, int socket, const char *fmt, ...)
{
	(void)socket;
	WITH_TEXT(text, fmt, libevent_rs_log_text_with_errno(SEVERITY_ERROR, text));
	libevent_rs_end_process(code);
}

void
event_warn(const char *fmt, ...)
{
	WITH_TEXT(text, fmt, libevent_rs_log_text_with_errno(SEVERITY_WARNING, text));
}

void
event_warnx(const char *fmt, ...)
{
	WITH_TEXT(text, fmt, libevent_rs_log_text(SEVERITY_WARNING, text, NULL));
}

void
event_sock_warn(int socket, const char *fmt, ...)
{
	(void)socket;
	WITH_TEXT(text, fmt, libevent_rs_log_text_with_errno(SEVERITY_WARNING, text));
}

void
event_msgx(const char *fmt, ...)
{
	WITH_TEXT(text, fmt, libevent_rs_log_text(SEVERITY_MESSAGE, text, NULL));
}

void
event_debugx_(const char *fmt, ...)
{
	if (event_debug_logging_mask_)
		WITH_TEXT(text, fmt, libevent_rs_log_text(SEVERITY_DEBUG, text, NULL));
}

void
event_logv_(int severity, const char *error, const char *fmt, va_list arguments)
{
	char text[MESSAGE_SIZE];

	if (severity == SEVERITY_DEBUG && !event_debug_logging_mask_)
		return;
	format(text, fmt, arguments);
	libevent_rs_log_text(severity, text, error);
}

/* A buffer without room is left alone and counts as no output. */
int
evutil_vsnprintf(char *buffer, size_t size, const char *fmt, va_list arguments)
{
	if (size == 0)
		return 0;
	return vsnprintf(buffer, size, fmt, arguments);
}

int
evutil_snprintf(char *buffer, size_t size, const char *fmt, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, fmt);
	length = evutil_vsnprintf(buffer, size, fmt, arguments);
	va_end(arguments);
	return length;
}

struct evbuffer;

int libevent_rs_buffer_format_begin(struct evbuffer *buffer, struct iovec *room);
int libevent_rs_buffer_format_grow(struct evbuffer *buffer, size_t size, struct iovec *room);
int libevent_rs_buffer_format_end(struct evbuffer *buffer, const struct iovec *text);

/* Formats into the room, if the text and a terminator fit. Returns the length that the text has,
 * or -1 when the format is invalid. */
static int
format_into(const struct iovec *room, const char *fmt, va_list arguments)
{
	va_list copy;
	int length;

	va_copy(copy, arguments);
	length = libevent_rs_format_simply(room->iov_base, room->iov_len, fmt, copy);
	va_end(copy);
	if (length >= 0)
		return length;
	va_copy(copy, arguments);
	length = vsnprintf(room->iov_base, room->iov_len, fmt, copy);
	va_end(copy);
	return length;
}

/* Formats straight into free space of the buffer, a second time when the first was too short. The
 * terminator stays behind the text, uncounted: there are programs that pull the buffer up and use
 * it as a string. */
int
evbuffer_add_vprintf(struct evbuffer *buffer, const char *fmt, va_list arguments)
{
	struct iovec room;
	int length;

	if (libevent_rs_buffer_format_begin(buffer, &room) < 0)
		return -1;
	length = format_into(&room, fmt, arguments);
	if (length >= 0 && (size_t)length >= room.iov_len) {
		if (libevent_rs_buffer_format_grow(buffer, (size_t)length + 1, &room) < 0)
			length = -1;
		else
			length = format_into(&room, fmt, arguments);
	}
	if (length < 0 || (size_t)length >= room.iov_len)
		return libevent_rs_buffer_format_end(buffer, NULL);
	room.iov_len = (size_t)length;
	return libevent_rs_buffer_format_end(buffer, &room);
}

int
evbuffer_add_printf(struct evbuffer *buffer, const char *fmt, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, fmt);
	length = evbuffer_add_vprintf(buffer, fmt, arguments);
	va_end(arguments);
	return length;
}
