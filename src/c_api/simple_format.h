/* Formatting of simple texts, much faster than vsnprintf(). */
#ifndef LIBEVENT_RS_SIMPLE_FORMAT_H
#define LIBEVENT_RS_SIMPLE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* Writes what vsnprintf() would write, with its terminator, to `size` bytes at `out`, as long as it
 * fits there. Returns the length that the text has, or -1 when the format is not a simple one: then
 * vsnprintf() has to do it. */
int libevent_rs_format_simply(char *out, size_t size, const char *format, va_list arguments);

#endif
