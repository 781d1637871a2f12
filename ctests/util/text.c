/* Characters, strings, numbers, formatted output, dates. */
#include "harness.h"

#include <errno.h>
#include <event2/util.h>
#include <limits.h>
#include <locale.h>
#include <string.h>

int EVUTIL_ISALPHA_(char c);
int EVUTIL_ISALNUM_(char c);
int EVUTIL_ISSPACE_(char c);
int EVUTIL_ISDIGIT_(char c);
int EVUTIL_ISXDIGIT_(char c);
int EVUTIL_ISPRINT_(char c);
int EVUTIL_ISLOWER_(char c);
int EVUTIL_ISUPPER_(char c);
char EVUTIL_TOLOWER_(char c);
char EVUTIL_TOUPPER_(char c);
int evutil_hex_char_to_int_(char c);
void evutil_rtrim_lws_(char *str);
size_t event_strlcpy_(char *dst, const char *src, size_t siz);
void evutil_memclear_(void *mem, size_t len);
extern void *(*volatile evutil_memset_volatile_)(void *, int, size_t);

CASE(every_character, ONE_BACKEND)
{
	for (int i = 0; i < 256; i++) {
		char c = (char)i;
		printf("%d: %d %d %d %d %d %d %d %d %d %d %d\n", i, EVUTIL_ISALPHA_(c), EVUTIL_ISALNUM_(c),
		    EVUTIL_ISSPACE_(c), EVUTIL_ISDIGIT_(c), EVUTIL_ISXDIGIT_(c), EVUTIL_ISPRINT_(c),
		    EVUTIL_ISLOWER_(c), EVUTIL_ISUPPER_(c), EVUTIL_TOLOWER_(c), EVUTIL_TOUPPER_(c),
		    evutil_hex_char_to_int_(c));
	}
}

CASE(comparison_ignores_ascii_case, ONE_BACKEND)
{
	static const char *const texts[] = {"", "a", "A", "b", "ab", "AB", "abc", "Abd", "Z", "[", "`", "{", "@",
		"0", " ", "\x7f", "\x80", "\xc4", "\xe4", "\xff", "a\xff", "content-length", "Content-Length", NULL};
	setlocale(LC_ALL, "");
	for (int i = 0; texts[i]; i++)
		for (int j = 0; texts[j]; j++) {
			printf("%d %d: %d", i, j, evutil_ascii_strcasecmp(texts[i], texts[j]));
			for (size_t n = 0; n < 4; n++)
				printf(" %d", evutil_ascii_strncasecmp(texts[i], texts[j], n));
			printf(" %d\n", evutil_ascii_strncasecmp(texts[i], texts[j], SIZE_MAX));
		}
	for (int i = 1; i < 256; i++)
		for (int j = 1; j < 256; j++) {
			char a[2] = {(char)i, 0}, b[2] = {(char)j, 0};
			int result = evutil_ascii_strcasecmp(a, b);
			CHECK(result == -1 || result == 0 || result == 1);
			putchar('1' + result);
		}
	putchar('\n');
}

CASE(numbers, ONE_BACKEND)
{
	static const char *const texts[] = {"0", "1", "-1", "+7", " \t12", "9223372036854775807",
		"9223372036854775808", "-9223372036854775808", "-9223372036854775809",
		"99999999999999999999999999", "0x1f", "017", "ff", "zz", "", "x", "-", "12abc", "0x", NULL};
	static const int bases[] = {0, 2, 8, 10, 16, 36, 1, 37, -1};
	for (int i = 0; texts[i]; i++)
		for (int b = 0; b < 9; b++) {
			char *end = NULL;
			long long value;
			errno = 0;
			value = evutil_strtoll(texts[i], &end, bases[b]);
			printf("\"%s\" %d: %lld errno %d end %d\n", texts[i], bases[b], value, errno,
			    end ? (int)(end - texts[i]) : -1);
		}
	CHECK_EQUAL(evutil_strtoll("42", NULL, 10), 42);
}

CASE(trailing_blanks, ONE_BACKEND)
{
	static const char *const texts[] = {"", " ", "\t", " \t \t", "a", "a ", " a", "a b  ", "a\r\n", "a\r\n ",
		"a\v ", "a \f", "\xa0 ", NULL};
	evutil_rtrim_lws_(NULL);
	for (int i = 0; texts[i]; i++) {
		char text[16];
		memset(text, 'x', sizeof text);
		strcpy(text, texts[i]);
		evutil_rtrim_lws_(text);
		for (size_t j = 0; j < sizeof text; j++)
			printf("%02x", (unsigned char)text[j]);
		printf("\n");
	}
}

CASE(bounded_copies, ONE_BACKEND)
{
	for (size_t size = 0; size < 8; size++) {
		char text[9] = "xxxxxxxx";
		printf("%zu: %zu ", size, event_strlcpy_(text, "hello", size));
		for (int i = 0; i < 8; i++)
			printf("%02x", (unsigned char)text[i]);
		printf("\n");
	}
}

static int replaced;

static void *
count_memset(void *memory, int value, size_t size)
{
	replaced++;
	return memset(memory, value, size);
}

CASE(memory_is_cleared_through_the_variable, ONE_BACKEND)
{
	char text[] = "secret key";
	evutil_memclear_(text, 6);
	CHECK(!memcmp(text, "\0\0\0\0\0\0 key", 10));
	evutil_memset_volatile_ = count_memset;
	evutil_memclear_(text, sizeof text);
	CHECK_EQUAL(replaced, 1);
	CHECK_EQUAL(text[7], 0);
}

static int
format(char *buffer, size_t size, const char *text, ...)
{
	va_list arguments;
	int length;
	va_start(arguments, text);
	length = evutil_vsnprintf(buffer, size, text, arguments);
	va_end(arguments);
	return length;
}

CASE(formatted_output, ONE_BACKEND)
{
	char text[32];
	for (size_t size = 0; size < 12; size++) {
		strcpy(text, "unchanged");
		printf("%zu: %d", size, evutil_snprintf(text, size, "%d-%s", 42, "long"));
		printf(" \"%s\"", text);
		strcpy(text, "unchanged");
		printf(" %d", format(text, size, "%c%5.2f", '<', 3.14159));
		printf(" \"%s\"\n", text);
	}
	CHECK_EQUAL(evutil_snprintf(NULL, 0, "%d", 42), 0);
	CHECK_EQUAL(evutil_snprintf(text, sizeof text, "%s", ""), 0);
	CHECK_STRING(text, "");
}

DIFFERENCE(formatting_leaves_the_rest_of_the_buffer_alone, ONE_BACKEND,
    "evutil_snprintf always overwrites the last byte of the buffer")
{
	char text[16];
	memset(text, 'x', sizeof text);
	CHECK_EQUAL(evutil_snprintf(text, sizeof text, "abc"), 3);
	CHECK_EQUAL(text[15], 'x');
	CHECK_EQUAL(format(text, sizeof text, "abc"), 3);
	CHECK_EQUAL(text[15], 'x');
}

static void
print_date(const struct tm *tm, size_t size)
{
	char text[100];
	memset(text, 'x', sizeof text);
	text[99] = 0;
	printf("%zu: %d", size, evutil_date_rfc1123(text, size, tm));
	printf(" \"%s\"\n", text);
}

CASE(dates, ONE_BACKEND)
{
	static const time_t times[] = {0, 1, 86399, 951782400, 951868800, 1700000000, 2147483647, 4102444800,
		253402300799, -1, -62135596800, 400000000000};
	setlocale(LC_ALL, "");
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct tm tm;
		CHECK(gmtime_r(&times[i], &tm));
		print_date(&tm, 100);
	}
	for (int month = 0; month < 12; month++)
		for (int day = 0; day < 7; day++) {
			struct tm tm = {.tm_mon = month, .tm_wday = day, .tm_mday = 31, .tm_year = 99};
			print_date(&tm, 50);
		}
}

CASE(dates_are_taken_as_they_are, ONE_BACKEND)
{
	struct tm tm = {.tm_mday = 99, .tm_hour = -1, .tm_min = 1000, .tm_sec = -2000, .tm_year = -1895};
	print_date(&tm, 100);
	tm.tm_year = 20000;
	print_date(&tm, 100);
	tm.tm_year = INT_MAX - 1900;
	print_date(&tm, 100);
	tm.tm_year = INT_MIN;
	print_date(&tm, 100);
}

CASE(dates_are_cut_to_the_room, ONE_BACKEND)
{
	struct tm tm = {.tm_mday = 1, .tm_wday = 4, .tm_year = 70};
	for (size_t size = 0; size < 34; size++)
		print_date(&tm, size);
}

CASE(the_date_of_now, ONE_BACKEND)
{
	char text[64], expected[64];
	time_t before = time(NULL), after;
	struct tm tm;
	CHECK_EQUAL(evutil_date_rfc1123(text, sizeof text, NULL), 29);
	after = time(NULL);
	for (; before <= after; before++) {
		evutil_date_rfc1123(expected, sizeof expected, gmtime_r(&before, &tm));
		if (!strcmp(text, expected))
			return;
	}
	CHECK(!"a time between before and after");
}

DIFFERENCE(dates_without_a_name, ONE_BACKEND,
    "evutil_date_rfc1123 reads out of bounds for days and months that do not exist")
{
	static const int numbers[] = {-1, 12, 13, 1000, -5000000, INT_MAX, INT_MIN};
	char text[64];
	for (int i = 0; i < 7; i++) {
		struct tm tm = {.tm_mday = 1, .tm_mon = numbers[i]};
		strcpy(text, "unchanged");
		CHECK_EQUAL(evutil_date_rfc1123(text, sizeof text, &tm), -1);
		CHECK_STRING(text, "");
		tm.tm_mon = 0, tm.tm_wday = numbers[i];
		CHECK_EQUAL(evutil_date_rfc1123(text, sizeof text, &tm), -1);
	}
}
