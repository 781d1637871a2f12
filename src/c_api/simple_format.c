/* Protocols are made of formats like "%s: %d\r\n": strings and plain numbers. Those are done here;
 * everything else (flags, widths, precisions, floating point, null strings) is left to libc. */
#include "simple_format.h"

#include <limits.h>
#include <string.h>

struct text {
	char *out;
	size_t size;
	size_t length; /* that it has, also where it no longer fits */
};

/* What does not fit is counted all the same: then the caller knows how much room it needs. */
static int
put(struct text *text, const char *bytes, size_t count)
{
	if (text->length < text->size && count < text->size - text->length)
		memcpy(text->out + text->length, bytes, count);
	text->length += count;
	return 1;
}

static int
put_number(struct text *text, unsigned long number, unsigned base, int negative)
{
	char digits[sizeof number * CHAR_BIT / 3 + 2];
	char *first = digits + sizeof digits;

	do
		*--first = "0123456789abcdef"[number % base];
	while ((number /= base) != 0);
	if (negative)
		*--first = '-';
	return put(text, first, (size_t)(digits + sizeof digits - first));
}

static int
put_signed(struct text *text, long number)
{
	return put_number(text, number < 0 ? -(unsigned long)number : (unsigned long)number, 10, number < 0);
}

static int
put_string(struct text *text, const char *string)
{
	return string && put(text, string, strlen(string));
}

int
libevent_rs_format_simply(char *out, size_t size, const char *format, va_list arguments)
{
	struct text text = {out, size, 0};
	int done = 1;

	while (done && *format) {
		const char *plain = format;
		char byte;

		while (*format && *format != '%')
			format++;
		done = put(&text, plain, (size_t)(format - plain));
		if (!done || !*format)
			break;
		switch (*++format) {
		case 's':
			done = put_string(&text, va_arg(arguments, const char *));
			break;
		case 'd':
			done = put_signed(&text, va_arg(arguments, int));
			break;
		case 'u':
			done = put_number(&text, va_arg(arguments, unsigned), 10, 0);
			break;
		case 'x':
			done = put_number(&text, va_arg(arguments, unsigned), 16, 0);
			break;
		case 'c':
			byte = (char)va_arg(arguments, int);
			done = put(&text, &byte, 1);
			break;
		case '%':
			done = put(&text, "%", 1);
			break;
		case 'l':
			format++;
			done = *format == 'd' ? put_signed(&text, va_arg(arguments, long))
				: *format == 'u' && put_number(&text, va_arg(arguments, unsigned long), 10, 0);
			break;
		default:
			return -1;
		}
		format++;
	}
	if (!done || text.length > INT_MAX)
		return -1;
	if (text.length < size)
		out[text.length] = '\0';
	return (int)text.length;
}
