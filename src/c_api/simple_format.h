/* Formatting of simple texts, much faster than vsnprintf(). */
#ifndef LIBEVENT_RS_SIMPLE_FORMAT_H
#define LIBEVENT_RS_SIMPLE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* Writes what vsnprintf() would write, with its terminator, to `size` bytes at `out`. Returns the
 * length without it, or -1 when the format is not a simple one or the text and a terminator do not fit: then
 * vsnprintf() has to do it. */
int libevent_rs_format_simply(char *out, size_t size, const char *format, va_list arguments);

#endif
