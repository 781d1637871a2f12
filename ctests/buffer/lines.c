/* Line ends and searches: short texts in every split into chains, so that every line end and every
 * match lies on every side of a boundary. */
#define _GNU_SOURCE /* memmem */
#include "tools.h"

#include <event2/buffer_compat.h>
#include <time.h>

static const char *const style_names[] = {"any", "crlf", "strict", "lf", "nul"};

static const struct {
	const char *text;
	size_t length;
} texts[] = {
#define TEXT(text) {text, sizeof text - 1}
	TEXT("a\r\nb"), TEXT("\r\n"), TEXT("\n"), TEXT("\r"), TEXT("a\r"), TEXT("a\r\r\nb\n"),
	TEXT("a\rb\nc\r\n"), TEXT("\n\n\nx"), TEXT("\r\n\r\n"), TEXT("a\n\rb"), TEXT("ab\0cd\0"),
	TEXT("\0\0"), TEXT("x\r\ry\r\nz\n"), TEXT("no end"), TEXT(""), TEXT("\r\r\r\n\n\r"),
	TEXT("line one\r\nline\0two\nthree"),
};
enum { TEXTS = sizeof texts / sizeof texts[0] };

static void
print_bytes(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\r')
			printf("\\r");
		else if (text[i] == '\n')
			printf("\\n");
		else if (!text[i])
			printf("\\0");
		else
			putchar(text[i]);
	}
}

/* All lines that a style takes out of a text, and what is left. */
static void
describe_lines(struct evbuffer *buffer, enum evbuffer_eol_style style, char *out, size_t size)
{
	size_t used = 0, length;
	char *line, rest[50];
	while ((line = evbuffer_readln(buffer, &length, style)) != NULL) {
		check_chains(buffer);
		CHECK(!line[length]);
		used += (size_t)snprintf(out + used, size - used, "[%zu:", length);
		memcpy(out + used, line, length);
		used += length;
		used += (size_t)snprintf(out + used, size - used, "]");
		free(line);
	}
	CHECK_EQUAL(length, 0);
	length = (size_t)evbuffer_copyout(buffer, rest, sizeof rest);
	memcpy(out + used, rest, length);
	out[used + length] = 0;
	for (char *p = out; p < out + used + length; p++)
		if (!*p)
			*p = '0';
}

static void
lines_of_style(enum evbuffer_eol_style style)
{
	for (int t = 0; t < TEXTS; t++) {
		char whole[200] = "", split[200];
		size_t length = texts[t].length;
		struct evbuffer *buffer = split_buffer(texts[t].text, length, length, 0);
		describe_lines(buffer, style, whole, sizeof whole);
		evbuffer_free(buffer);
		print_bytes(whole, strlen(whole));
		puts("");
		for (size_t first = 0; first <= length; first++) {
			for (size_t second = 0; first + second <= length; second++) {
				buffer = split_buffer(texts[t].text, length, first, second);
				describe_lines(buffer, style, split, sizeof split);
				CHECK_STRING(split, whole);
				evbuffer_free(buffer);
			}
		}
	}
}

CASE(lines_ending_in_anything, ONE_BACKEND) { lines_of_style(EVBUFFER_EOL_ANY); }
CASE(lines_ending_in_crlf, ONE_BACKEND) { lines_of_style(EVBUFFER_EOL_CRLF); }
CASE(lines_ending_in_strict_crlf, ONE_BACKEND) { lines_of_style(EVBUFFER_EOL_CRLF_STRICT); }
CASE(lines_ending_in_lf, ONE_BACKEND) { lines_of_style(EVBUFFER_EOL_LF); }
CASE(lines_ending_in_nul, ONE_BACKEND) { lines_of_style(EVBUFFER_EOL_NUL); }

/* From every start in every split, the same as in one chain. */
CASE(line_ends_from_every_position, ONE_BACKEND)
{
	for (int t = 0; t < TEXTS; t++) {
		size_t length = texts[t].length;
		for (int style = 0; style < 5; style++) {
			printf("%s ", style_names[style]);
			for (size_t start = 0; start <= length; start++) {
				long expected = -2;
				size_t expected_length = 0;
				for (size_t first = 0; first <= length; first++) {
					for (size_t second = 0; first + second <= length; second++) {
						struct evbuffer *buffer =
							split_buffer(texts[t].text, length, first, second);
						struct evbuffer_ptr position, found;
						size_t found_length = 77;
						evbuffer_ptr_set(buffer, &position, start, EVBUFFER_PTR_SET);
						found = evbuffer_search_eol(buffer, &position, &found_length,
							(enum evbuffer_eol_style)style);
						if (expected == -2) {
							expected = found.pos;
							expected_length = found_length;
						}
						CHECK_EQUAL(found.pos, expected);
						CHECK_EQUAL(found_length, expected_length);
						evbuffer_free(buffer);
					}
				}
				printf(" %ld/%zu", expected, expected_length);
			}
			puts("");
		}
	}
}

CASE(line_ends_without_a_place_for_the_length, ONE_BACKEND)
{
	struct evbuffer *buffer = split_buffer("a\r\nb\n", 5, 2, 1);
	struct evbuffer_ptr end;
	char *line;
	size_t length = 5;
	CHECK_EQUAL(evbuffer_search_eol(buffer, NULL, NULL, EVBUFFER_EOL_CRLF).pos, 1);
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &end, 5, EVBUFFER_PTR_SET), 0);
	CHECK_EQUAL(evbuffer_search_eol(buffer, &end, &length, EVBUFFER_EOL_LF).pos, -1);
	CHECK_EQUAL(length, 0);
	line = evbuffer_readln(buffer, NULL, EVBUFFER_EOL_CRLF);
	CHECK_STRING(line, "a");
	free(line);
	line = evbuffer_readline(buffer);
	CHECK_STRING(line, "b");
	free(line);
	CHECK(!evbuffer_readline(buffer));
	CHECK(!evbuffer_readln(buffer, &length, (enum evbuffer_eol_style)17));
	CHECK_EQUAL(length, 0);
	CHECK_EQUAL(evbuffer_search_eol(buffer, NULL, &length, (enum evbuffer_eol_style)17).pos, -1);
	evbuffer_free(buffer);
}

/* A line end that arrives in two parts. */
CASE(line_ends_that_arrive_in_parts, ONE_BACKEND)
{
	for (int style = 0; style < 5; style++) {
		struct evbuffer *buffer = new_buffer();
		static const char text[] = "one\r\ntwo\nthree\0four\r\r\n";
		printf("%s:", style_names[style]);
		for (size_t i = 0; i < sizeof text - 1; i++) {
			char *line;
			size_t length;
			evbuffer_add(buffer, text + i, 1);
			line = evbuffer_readln(buffer, &length, (enum evbuffer_eol_style)style);
			if (line) {
				printf(" %zu@%zu", length, i);
				free(line);
			}
		}
		puts("");
		evbuffer_free(buffer);
	}
}

CASE(long_lines_over_many_chains, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	static char data[3000];
	char *line;
	size_t length;
	memset(data, 'x', sizeof data);
	for (int i = 0; i < 40; i++)
		evbuffer_add_reference(buffer, data, sizeof data, NULL, NULL);
	evbuffer_add(buffer, "\r", 1);
	CHECK(!evbuffer_readln(buffer, &length, EVBUFFER_EOL_CRLF));
	evbuffer_add(buffer, "\nrest", 5);
	line = evbuffer_readln(buffer, &length, EVBUFFER_EOL_CRLF);
	CHECK(line && length == 120000 && line[0] == 'x' && line[119999] == 'x');
	free(line);
	check_text(buffer, "rest");
	evbuffer_free(buffer);
}

/* Every substring and some strings that are not there, from every start to every end, in every
 * split. */
CASE(searches_in_every_split, ONE_BACKEND)
{
	static const char text[] = "aabaabaaab";
	static const char *const missing[] = {"aaaa", "bb", "c", "aabaabaaaba", "ba ", "abb"};
	size_t length = sizeof text - 1;
	for (size_t first = 0; first <= length; first++) {
		for (size_t second = 0; first + second <= length; second++) {
			struct evbuffer *buffer = split_buffer(text, length, first, second);
			struct evbuffer_ptr start, end;
			for (size_t s = 0; s <= length; s++) {
				evbuffer_ptr_set(buffer, &start, s, EVBUFFER_PTR_SET);
				for (size_t a = 0; a < length; a++) {
					for (size_t n = 1; a + n <= length; n++) {
						const char *found = memmem(text + s, length - s, text + a, n);
						long expected = found ? found - text : -1;
						CHECK_EQUAL(evbuffer_search(buffer, text + a, n, &start).pos, expected);
					}
				}
				for (int i = 0; i < 6; i++)
					CHECK_EQUAL(evbuffer_search(buffer, missing[i], strlen(missing[i]), &start).pos, -1);
				for (size_t e = 0; e <= length; e++) {
					const char *found = e > s ? memmem(text + s, e - s, "aab", 3) : NULL;
					evbuffer_ptr_set(buffer, &end, e, EVBUFFER_PTR_SET);
					CHECK_EQUAL(evbuffer_search_range(buffer, "aab", 3, &start, &end).pos,
						found ? found - text : -1);
				}
			}
			evbuffer_free(buffer);
		}
	}
}

CASE(searches_for_nothing_and_from_the_end, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	struct evbuffer_ptr position, found;
	CHECK_EQUAL(evbuffer_search(buffer, "", 0, NULL).pos, 0);
	CHECK_EQUAL(evbuffer_search(buffer, "a", 1, NULL).pos, -1);
	evbuffer_add(buffer, "abc", 3);
	CHECK_EQUAL(evbuffer_search(buffer, "", 0, NULL).pos, 0);
	evbuffer_ptr_set(buffer, &position, 2, EVBUFFER_PTR_SET);
	CHECK_EQUAL(evbuffer_search(buffer, "", 0, &position).pos, 2);
	evbuffer_ptr_set(buffer, &position, 3, EVBUFFER_PTR_SET);
	CHECK_EQUAL(evbuffer_search(buffer, "", 0, &position).pos, 3);
	CHECK_EQUAL(evbuffer_search(buffer, "c", 1, &position).pos, -1);
	/* An old end does not see what is added later. */
	evbuffer_add(buffer, "abc", 3);
	CHECK_EQUAL(evbuffer_search(buffer, "c", 1, &position).pos, -1);
	found = evbuffer_search(buffer, "z", 1, NULL);
	CHECK_EQUAL(evbuffer_search(buffer, "a", 1, &found).pos, -1);
	CHECK_EQUAL(evbuffer_search_range(buffer, "a", 1, NULL, &found).pos, -1);
	evbuffer_free(buffer);
}

CASE(overlapping_matches_are_found_by_stepping, ONE_BACKEND)
{
	struct evbuffer *buffer = split_buffer("aaaaaa", 6, 1, 3);
	struct evbuffer_ptr found = evbuffer_search(buffer, "aaa", 3, NULL);
	for (int i = 0; i < 4; i++) {
		CHECK_EQUAL(found.pos, i);
		CHECK_EQUAL(evbuffer_ptr_set(buffer, &found, 1, EVBUFFER_PTR_ADD), 0);
		found = evbuffer_search(buffer, "aaa", 3, &found);
	}
	CHECK_EQUAL(found.pos, -1);
	evbuffer_free(buffer);
}

/* Long strings over chains of many lengths, against the same search in one piece of memory. */
CASE(long_searches_over_many_chains, ONE_BACKEND)
{
	static char text[12000];
	unsigned state = 7;
	for (int letters = 1; letters <= 3; letters++) {
		for (size_t i = 0; i < sizeof text; i++) {
			state = state * 1103515245 + 12345;
			text[i] = (char)('a' + (state >> 16) % (unsigned)letters);
		}
		text[9000] = 'z';
		for (size_t chain = 1; chain < 5000; chain = chain * 3 + 1) {
			struct evbuffer *buffer = new_buffer();
			for (size_t i = 0; i < sizeof text; i += chain)
				evbuffer_add_reference(buffer, text + i,
					chain < sizeof text - i ? chain : sizeof text - i, NULL, NULL);
			for (size_t length = 1; length < 6000; length = length * 2 + 3) {
				for (size_t start = 0; start + length <= sizeof text; start += 1717) {
					char *found = memmem(text, sizeof text, text + start, length);
					CHECK_EQUAL(evbuffer_search(buffer, text + start, length, NULL).pos, found - text);
				}
			}
			CHECK_EQUAL(evbuffer_search(buffer, "zz", 2, NULL).pos, -1);
			evbuffer_free(buffer);
		}
	}
}

CASE(finding_makes_the_match_contiguous, ONE_BACKEND)
{
	struct evbuffer *buffer = split_buffer("find the needle here", 20, 6, 7);
	unsigned char *found = evbuffer_find(buffer, (const unsigned char *)"needle", 6);
	CHECK(found && !memcmp(found, "needle", 6) && !memcmp(found - 9, "find the ", 9));
	CHECK(!evbuffer_find(buffer, (const unsigned char *)"nowhere", 7));
	CHECK(!evbuffer_find(buffer, (const unsigned char *)"", 0));
	check_text(buffer, "find the needle here");
	CHECK_EQUAL(EVBUFFER_LENGTH(buffer), 20);
	CHECK(!memcmp(EVBUFFER_DATA(buffer), "find", 4));
	evbuffer_free(buffer);
}

CASE(positions, ONE_BACKEND)
{
	struct evbuffer *buffer = split_buffer("abcdefghij", 10, 3, 4);
	struct evbuffer_ptr position;
	for (size_t start = 0; start <= 12; start++) {
		int result = evbuffer_ptr_set(buffer, &position, start, EVBUFFER_PTR_SET);
		CHECK_EQUAL(result, start <= 10 ? 0 : -1);
		CHECK_EQUAL(position.pos, start <= 10 ? (long)start : -1);
		for (size_t step = 0; start <= 10 && step <= 12; step++) {
			evbuffer_ptr_set(buffer, &position, start, EVBUFFER_PTR_SET);
			result = evbuffer_ptr_set(buffer, &position, step, EVBUFFER_PTR_ADD);
			CHECK_EQUAL(result, start + step <= 10 ? 0 : -1);
			CHECK_EQUAL(position.pos, start + step <= 10 ? (long)(start + step) : -1);
		}
	}
	/* No position to start from, or too far: untouched. */
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, 11, EVBUFFER_PTR_SET), -1);
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, 1, EVBUFFER_PTR_ADD), -1);
	CHECK_EQUAL(position.pos, -1);
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, 4, EVBUFFER_PTR_SET), 0);
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, (size_t)-1, EVBUFFER_PTR_ADD), -1);
	CHECK_EQUAL(position.pos, 4);
	evbuffer_free(buffer);
	buffer = new_buffer();
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, 0, EVBUFFER_PTR_SET), 0);
	CHECK_EQUAL(position.pos, 0);
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, 1, EVBUFFER_PTR_SET), -1);
	evbuffer_free(buffer);
}

DIFFERENCE(positions_that_are_none_are_refused, ONE_BACKEND,
	"evbuffer_copyout_from crashes for a position that was not found")
{
	struct evbuffer *buffer = split_buffer("abcdefghij", 10, 3, 4);
	struct evbuffer_ptr found = evbuffer_search(buffer, "z", 1, NULL);
	char out[4];
	CHECK_EQUAL(evbuffer_copyout_from(buffer, &found, out, 4), -1);
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &found, 10, EVBUFFER_PTR_SET), 0);
	evbuffer_drain(buffer, 5); /* makes it stale: behind the end */
	CHECK_EQUAL(evbuffer_copyout_from(buffer, &found, out, 4), -1);
	evbuffer_free(buffer);
}

DIFFERENCE(searching_takes_linear_time, ONE_BACKEND,
	"evbuffer_search takes time that grows with the length of the data times the length "
	"of the string: a peer can keep the loop busy")
{
	struct evbuffer *buffer = new_buffer();
	enum { DATA = 6 << 20, STRING = 40000, CHAIN = 1000 };
	char *data = malloc(DATA), *string = malloc(STRING);
	clock_t start;
	memset(data, 'a', DATA);
	memset(string, 'a', STRING);
	string[STRING - 1] = 'b';
	data[100] = 'b'; /* so that it is not enough to look for one byte */
	for (int i = 0; i < DATA; i += CHAIN)
		evbuffer_add_reference(buffer, data + i, CHAIN < DATA - i ? CHAIN : DATA - i, NULL, NULL);
	start = clock(); /* of this process, whatever else the machine does */
	CHECK_EQUAL(evbuffer_search(buffer, string, STRING, NULL).pos, -1);
	CHECK(clock() - start < 3 * CLOCKS_PER_SEC);
	evbuffer_free(buffer);
	free(data);
	free(string);
}
