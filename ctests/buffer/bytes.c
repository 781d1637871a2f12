/* Adding, removing and looking at bytes of one buffer. */
#include "tools.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>

CASE(a_new_buffer_is_empty, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	char byte;
	CHECK_EQUAL(check_chains(buffer), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	CHECK_EQUAL(evbuffer_get_contiguous_space(buffer), 0);
	CHECK_EQUAL(evbuffer_drain(buffer, 10), 0);
	CHECK_EQUAL(evbuffer_remove(buffer, &byte, 1), 0);
	CHECK_EQUAL(evbuffer_copyout(buffer, &byte, 1), 0);
	CHECK(!evbuffer_pullup(buffer, -1));
	CHECK(!evbuffer_pullup(buffer, 0));
	CHECK(!evbuffer_pullup(buffer, 1));
	CHECK_EQUAL(evbuffer_peek(buffer, -1, NULL, NULL, 0), 0);
	CHECK_EQUAL(evbuffer_peek(buffer, 10, NULL, NULL, 0), 0);
	CHECK_EQUAL(evbuffer_prepend(buffer, NULL, 0), 0);
	CHECK_EQUAL(evbuffer_add(buffer, NULL, 0), 0);
	CHECK_EQUAL(evbuffer_add_iovec(buffer, NULL, 0), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_free(buffer);
}

/* Every way to put a text in: n bytes one after the other, in pieces of every length. */
CASE(adding_and_removing_in_pieces, ONE_BACKEND)
{
	static unsigned char data[5000], out[5000];
	fill_pattern(data, sizeof data, 0);
	for (size_t in = 1; in < 1200; in += in < 40 ? 1 : 97) {
		for (size_t take = 1; take < 3000; take = take * 2 + 1) {
			struct evbuffer *buffer = new_buffer();
			size_t added = 0, removed = 0;
			while (removed < sizeof data) {
				for (int i = 0; i < 30 && added < sizeof data; i++) {
					size_t n = in < sizeof data - added ? in : sizeof data - added;
					CHECK_EQUAL(evbuffer_add(buffer, data + added, n), 0);
					added += n;
				}
				check_chains(buffer);
				CHECK_EQUAL(evbuffer_get_length(buffer), added - removed);
				for (int i = 0; i < 20 && removed < added; i++)
					removed += evbuffer_remove(buffer, out + removed, take);
				check_chains(buffer);
			}
			CHECK(!memcmp(data, out, sizeof data));
			CHECK_EQUAL(evbuffer_get_length(buffer), 0);
			evbuffer_free(buffer);
		}
	}
}

CASE(prepending_in_pieces, ONE_BACKEND)
{
	static unsigned char data[5000];
	fill_pattern(data, sizeof data, 0);
	for (size_t piece = 1; piece < 2500; piece = piece * 2 + 1) {
		struct evbuffer *buffer = new_buffer();
		size_t left = sizeof data;
		while (left) {
			size_t n = piece < left ? piece : left;
			left -= n;
			CHECK_EQUAL(evbuffer_prepend(buffer, data + left, n), 0);
		}
		check_content(buffer, data, sizeof data);
		evbuffer_free(buffer);
	}
}

CASE(prepending_to_drained_and_to_referenced_data, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	evbuffer_add(buffer, "0123456789", 10);
	evbuffer_drain(buffer, 4);
	CHECK_EQUAL(evbuffer_prepend(buffer, "abc", 3), 0); /* fits into the drained room */
	check_text(buffer, "abc456789");
	CHECK_EQUAL(evbuffer_prepend(buffer, "xyz", 3), 0); /* one byte does, the others do not */
	check_text(buffer, "xyzabc456789");
	evbuffer_drain(buffer, 12);
	add_chain(buffer, "reference");
	CHECK_EQUAL(evbuffer_prepend(buffer, "a ", 2), 0);
	CHECK_EQUAL(evbuffer_add(buffer, "!", 1), 0);
	check_text(buffer, "a reference!");
	evbuffer_free(buffer);

	buffer = new_buffer();
	CHECK_EQUAL(evbuffer_expand(buffer, 100), 0); /* an empty chain */
	CHECK_EQUAL(evbuffer_prepend(buffer, "front", 5), 0);
	CHECK_EQUAL(evbuffer_add(buffer, "back", 4), 0);
	check_text(buffer, "frontback");
	evbuffer_free(buffer);
}

CASE(draining_at_the_boundaries_of_chains, ONE_BACKEND)
{
	for (size_t count = 0; count <= 12; count++) {
		struct evbuffer *buffer = split_buffer("abcdefghij", 10, 3, 4);
		CHECK_EQUAL(evbuffer_drain(buffer, count), 0);
		check_text(buffer, count < 10 ? "abcdefghij" + count : "");
		CHECK_EQUAL(evbuffer_add(buffer, "k", 1), 0);
		print_text("drained", buffer);
		evbuffer_free(buffer);
	}
}

CASE(draining_everything_lets_all_chains_go, ONE_BACKEND)
{
	static char data[20000];
	struct evbuffer *buffer = new_buffer();
	evbuffer_add(buffer, data, sizeof data);
	evbuffer_add_reference(buffer, data, 10, NULL, NULL);
	CHECK_EQUAL(evbuffer_drain(buffer, (size_t)-1), 0);
	CHECK_EQUAL(check_chains(buffer), 0);
	CHECK_EQUAL(evbuffer_drain(buffer, (size_t)-1), 0);
	evbuffer_free(buffer);
}

CASE(copying_out_at_every_offset, ONE_BACKEND)
{
	static const char text[] = "abcdefghij";
	struct evbuffer *buffer = split_buffer(text, 10, 3, 4);
	struct evbuffer_ptr position;
	char out[20];
	for (size_t start = 0; start <= 10; start++) {
		for (size_t count = 0; count <= 12; count++) {
			size_t expected = count < 10 - start ? count : 10 - start;
			CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, start, EVBUFFER_PTR_SET), 0);
			CHECK_EQUAL(evbuffer_copyout_from(buffer, &position, out, count), expected);
			CHECK(!memcmp(out, text + start, expected));
		}
	}
	CHECK_EQUAL(evbuffer_copyout_from(buffer, NULL, out, 4), 4);
	CHECK_EQUAL(evbuffer_copyout(buffer, out, (size_t)-1), 10);
	evbuffer_ptr_set(buffer, &position, 3, EVBUFFER_PTR_SET);
	printf("huge: %zd\n", evbuffer_copyout_from(buffer, &position, out, (size_t)-1));
	check_text(buffer, text);
	evbuffer_free(buffer);
}

CASE(pulling_up_every_length, ONE_BACKEND)
{
	static const char text[] = "abcdefghij";
	for (int written = 0; written < 2; written++) {
		for (ev_ssize_t size = -1; size <= 12; size++) {
			struct evbuffer *buffer = split_buffer(text, 10, 3, 4);
			unsigned char *start;
			size_t expected = size < 0 ? 10 : (size_t)size;
			if (written) { /* chains that the library owns, with room */
				evbuffer_drain(buffer, 10);
				evbuffer_add(buffer, "abc", 3);
				add_chain(buffer, "defg");
				evbuffer_add(buffer, "hij", 3);
			}
			start = evbuffer_pullup(buffer, size);
			CHECK((start != NULL) == (expected > 0 && expected <= 10));
			if (start) {
				CHECK(!memcmp(start, text, expected));
				CHECK(evbuffer_get_contiguous_space(buffer) >= expected);
				CHECK(start == evbuffer_pullup(buffer, (ev_ssize_t)expected));
			}
			check_text(buffer, text);
			evbuffer_free(buffer);
		}
	}
}

CASE(pulling_up_gives_memory_to_write_to, ONE_BACKEND)
{
	static unsigned char data[3000], *start;
	struct evbuffer *buffer = new_buffer();
	fill_pattern(data, sizeof data, 0);
	for (size_t i = 0; i < sizeof data; i += 100)
		evbuffer_add(buffer, data + i, 100);
	start = evbuffer_pullup(buffer, 2500);
	memset(start, 'x', 2500);
	memset(data, 'x', 2500);
	check_content(buffer, data, sizeof data);
	evbuffer_free(buffer);
}

CASE(peeking_from_every_offset, ONE_BACKEND)
{
	static const char text[] = "abcdefghij";
	struct evbuffer *buffer = split_buffer(text, 10, 3, 4);
	struct evbuffer_iovec vec[5];
	struct evbuffer_ptr position;
	for (size_t start = 0; start <= 10; start++) {
		for (ev_ssize_t length = -1; length <= 12; length++) {
			for (int room = 0; room < 5; room++) {
				int count;
				memset(vec, 0, sizeof vec);
				CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, start, EVBUFFER_PTR_SET), 0);
				count = evbuffer_peek(buffer, length, &position, vec, room);
				printf("%zu %zd %d: %d", start, length, room, count);
				for (int i = 0; i < count && i < room; i++)
					printf(" %.*s", (int)vec[i].iov_len, (char *)vec[i].iov_base);
				puts("");
			}
		}
	}
	for (ev_ssize_t length = -1; length <= 12; length++)
		printf("%zd: %d\n", length, evbuffer_peek(buffer, length, NULL, NULL, 0));
	evbuffer_free(buffer);
}

CASE(several_pieces_at_once, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	static char large[6000];
	struct evbuffer_iovec vec[5] = {
		{"one", 3}, {NULL, 0}, {large, sizeof large}, {"two", 3}, {"three", 5}};
	memset(large, '.', sizeof large);
	CHECK_EQUAL(evbuffer_add_iovec(buffer, vec, 5), 6011);
	CHECK_EQUAL(evbuffer_add_iovec(buffer, vec, 0), 0);
	CHECK_EQUAL(evbuffer_add_iovec(buffer, vec, -1), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 6011);
	CHECK(!memcmp(evbuffer_pullup(buffer, 5), "one..", 5));
	evbuffer_drain(buffer, 6003);
	check_text(buffer, "twothree");
	evbuffer_free(buffer);
}

static int
format(struct evbuffer *buffer, const char *text, ...)
{
	va_list arguments;
	int first, second;
	va_start(arguments, text);
	first = evbuffer_add_vprintf(buffer, text, arguments);
	second = evbuffer_add_vprintf(buffer, text, arguments); /* the list is not used up */
	va_end(arguments);
	CHECK_EQUAL(first, second);
	return first;
}

/* Buffers are used as strings by programs, without a terminator of their own. */
CASE(formatted_text_is_terminated, ONE_BACKEND)
{
	const char *formats[] = {"plain", "%s", "%10s"};
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		struct evbuffer *buffer = new_buffer();
		struct evbuffer_iovec space;
		CHECK_EQUAL(evbuffer_reserve_space(buffer, 400, &space, 1), 1);
		memset(space.iov_base, 'x', space.iov_len);
		for (int turn = 0; turn < 3; turn++) {
			evbuffer_add_printf(buffer, formats[i], "text");
			printf("%s\n", (const char *)evbuffer_pullup(buffer, -1));
		}
		CHECK_EQUAL(strlen((const char *)evbuffer_pullup(buffer, -1)), evbuffer_get_length(buffer));
		evbuffer_free(buffer);
	}
}

CASE(formatting, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	static char expected[10001];
	CHECK_EQUAL(evbuffer_add_printf(buffer, "%s", ""), 0);
	CHECK_EQUAL(evbuffer_add_printf(buffer, "%d-%s", 42, "text"), 7);
	CHECK_EQUAL(format(buffer, "<%5.2f|%c>", 3.14159, 'x'), 9);
	check_text(buffer, "42-text< 3.14|x>< 3.14|x>");
	evbuffer_drain(buffer, 100);
	/* Around the room of a chain, where the text is formatted a second time. */
	memset(expected, ' ', sizeof expected - 1);
	for (int width = 1; width <= 10000; width += width < 5000 ? 1 : 713) {
		CHECK_EQUAL(evbuffer_add_printf(buffer, "%*s", width, ""), width);
		if (width % 100 == 0) {
			size_t length = evbuffer_get_length(buffer);
			for (size_t i = 0; i < length; i += 1000)
				CHECK(!memcmp(evbuffer_pullup(buffer, 1), " ", 1));
			check_chains(buffer);
			evbuffer_drain(buffer, length - 7);
		}
	}
	CHECK(evbuffer_get_length(buffer) > 0);
	evbuffer_drain(buffer, evbuffer_get_length(buffer));
	CHECK_EQUAL(evbuffer_add_printf(buffer, "%10000s", "y"), 10000);
	expected[9999] = 'y';
	check_content(buffer, expected, 10000);
	evbuffer_free(buffer);
}

CASE(formatting_every_conversion, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	char text[300];
	int n = 0;
#define FORMAT(...)                                                                                \
	do {                                                                                       \
		int length = snprintf(text, sizeof text, __VA_ARGS__);                             \
		CHECK_EQUAL(evbuffer_add_printf(buffer, __VA_ARGS__), length);                     \
		check_text(buffer, text);                                                          \
		evbuffer_drain(buffer, 300);                                                       \
		n++;                                                                               \
	} while (0)
	FORMAT("plain text");
	FORMAT("%%");
	FORMAT("a%%b%sc", "x");
	FORMAT("%s%s", "", "abc");
	FORMAT("%s: %s\r\n", "Host", "example.org");
	FORMAT("%d %d %d", 0, INT_MAX, INT_MIN);
	FORMAT("%i", -1);
	FORMAT("%u %u", 0u, UINT_MAX);
	FORMAT("%ld %ld %ld", 0L, LONG_MAX, LONG_MIN);
	FORMAT("%lu %lx", ULONG_MAX, ULONG_MAX);
	FORMAT("%lld %llu", LLONG_MIN, ULLONG_MAX);
	FORMAT("%zu %zd", (size_t)-1, (ssize_t)-1);
	FORMAT("%x %X %o %#x", 255, 255, 255, 255);
	FORMAT("%c%c", 'a', 'b');
	FORMAT("%5d|%-5d|%05d|%+d|% d", 42, 42, 42, 42, 42);
	FORMAT("%10s|%-10s|%.2s|%*s|%.*s", "abc", "abc", "abc", 6, "abc", 1, "abc");
	FORMAT("%hd %hhd", (short)-2, (signed char)-3);
	FORMAT("%f %e %g %a", 1.5, 1.5, 1.5, 1.5);
	FORMAT("%2$s %1$s", "world", "hello");
	FORMAT("%jd %td", (intmax_t)-5, (ptrdiff_t)-6);
	FORMAT("%m");
	printf("%d formats\n", n);
	evbuffer_free(buffer);
}

/* Texts that just fit into a chain, or do not. */
CASE(formatting_strings_of_every_length, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	static char string[2200], expected[2300];
	for (size_t length = 0; length < sizeof string - 1; length += length < 1200 ? 1 : 97) {
		int count = snprintf(expected, sizeof expected, "%s%%|%d %ld%c%x\n", string, -(int)length,
			LONG_MIN + (long)length, 'c', (unsigned)length);
		CHECK_EQUAL(evbuffer_add_printf(buffer, "%s%%|%d %ld%c%x\n", string, -(int)length,
				    LONG_MIN + (long)length, 'c', (unsigned)length), count);
		CHECK(!memcmp(evbuffer_pullup(buffer, count), expected, (size_t)count));
		CHECK_EQUAL(evbuffer_get_length(buffer), count);
		evbuffer_drain(buffer, (size_t)count - (length % 3 == 0));
		if (length % 3 == 0)
			evbuffer_drain(buffer, 1);
		memset(string, 'a' + (int)(length % 26), length + 1);
	}
	evbuffer_free(buffer);
}

CASE(lengths_that_cannot_be, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	struct evbuffer_iovec vec[2];
	static const size_t sizes[] = {(size_t)-1, (size_t)-48, (size_t)-49, (size_t)-4096,
		(size_t)SSIZE_MAX, (size_t)SSIZE_MAX - 47, (size_t)SSIZE_MAX + 1};
	evbuffer_add(buffer, "data", 4);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		CHECK_EQUAL(evbuffer_expand(buffer, sizes[i]), -1);
		CHECK_EQUAL(evbuffer_add(buffer, "x", sizes[i]), -1);
		CHECK_EQUAL(evbuffer_reserve_space(buffer, (ev_ssize_t)sizes[i], vec, 1), -1);
		CHECK_EQUAL(evbuffer_reserve_space(buffer, (ev_ssize_t)sizes[i], vec, 2), -1);
		check_text(buffer, "data");
	}
	CHECK_EQUAL(evbuffer_reserve_space(buffer, -1, vec, 1), -1);
	CHECK_EQUAL(evbuffer_reserve_space(buffer, 10, vec, 0), -1);
	CHECK_EQUAL(evbuffer_reserve_space(buffer, 10, vec, -1), -1);
	evbuffer_free(buffer);
	buffer = new_buffer();
	CHECK_EQUAL(evbuffer_expand(buffer, (size_t)-1), -1);
	CHECK_EQUAL(evbuffer_reserve_space(buffer, SSIZE_MAX, vec, 2), -1);
	CHECK_EQUAL(evbuffer_add(buffer, "x", (size_t)-1), -1);
	CHECK_EQUAL(check_chains(buffer), 0);
	evbuffer_free(buffer);
}

CASE(references_are_released_once, ONE_BACKEND)
{
	static const char data[] = "referenced";
	struct cleanup_count count = {0, NULL, 0};
	struct evbuffer *buffer = new_buffer(), *other = new_buffer();
	char out[4];

	evbuffer_add_reference(buffer, data, 10, count_cleanup, &count);
	CHECK(evbuffer_pullup(buffer, 5) == (const unsigned char *)data);
	evbuffer_drain(buffer, 9);
	CHECK_EQUAL(count.calls, 0);
	evbuffer_drain(buffer, 1);
	CHECK_EQUAL(count.calls, 1);
	CHECK(count.data == data && count.length == 10);

	evbuffer_add_reference(buffer, data, 10, count_cleanup, &count);
	evbuffer_add_buffer(other, buffer);
	CHECK_EQUAL(count.calls, 1);
	evbuffer_remove(other, out, 4);
	evbuffer_free(other);
	CHECK_EQUAL(count.calls, 2);
	CHECK(count.data == data && count.length == 10);

	evbuffer_add(buffer, "x", 1);
	evbuffer_add_reference(buffer, data, 10, count_cleanup, &count);
	CHECK(!memcmp(evbuffer_pullup(buffer, -1), "xreferenced", 11));
	CHECK_EQUAL(count.calls, 3);
	evbuffer_free(buffer);
	CHECK_EQUAL(count.calls, 3);
}

CASE(references_without_bytes, ONE_BACKEND)
{
	struct cleanup_count count = {0, NULL, 0};
	struct evbuffer *buffer = new_buffer();
	CHECK_EQUAL(evbuffer_add_reference(buffer, "", 0, count_cleanup, &count), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	CHECK_EQUAL(evbuffer_drain(buffer, 1), 0);
	printf("after draining nothing: %d\n", count.calls);
	CHECK_EQUAL(evbuffer_add(buffer, "a", 1), 0);
	printf("after adding: %d\n", count.calls);
	CHECK_EQUAL(evbuffer_add_reference(buffer, "", 0, count_cleanup, &count), 0);
	CHECK_EQUAL(evbuffer_drain(buffer, 1), 0);
	printf("after draining all: %d\n", count.calls);
	CHECK_EQUAL(evbuffer_add_reference(buffer, "", 0, count_cleanup, &count), 0);
	evbuffer_free(buffer);
	CHECK_EQUAL(count.calls, 3);
}

/* The first chain has no bytes, and no room for those that come before it. */
CASE(bytes_before_a_reference_without_bytes, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	CHECK_EQUAL(evbuffer_add_reference(buffer, "", 0, NULL, NULL), 0);
	CHECK_EQUAL(evbuffer_prepend(buffer, "ab", 2), 0);
	check_text(buffer, "ab");
	CHECK_EQUAL(evbuffer_add(buffer, "cd", 2), 0);
	check_text(buffer, "abcd");
	CHECK_EQUAL(evbuffer_add_reference(buffer, "ef", 2, NULL, NULL), 0);
	check_text(buffer, "abcdef");
	evbuffer_free(buffer);
}

CASE(flags_are_accepted, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	CHECK_EQUAL(evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD), 0);
	CHECK_EQUAL(evbuffer_set_flags(buffer, ~(ev_uint64_t)0), 0);
	CHECK_EQUAL(evbuffer_clear_flags(buffer, ~(ev_uint64_t)0), 0);
	evbuffer_free(buffer);
}

CASE(bytes_of_the_buffer_itself_can_be_added, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	unsigned char *start;
	evbuffer_add(buffer, "0123456789", 10);
	start = evbuffer_pullup(buffer, -1);
	CHECK_EQUAL(evbuffer_add(buffer, start + 2, 5), 0);
	check_text(buffer, "012345678923456");
	start = evbuffer_pullup(buffer, -1);
	CHECK_EQUAL(evbuffer_prepend(buffer, start + 10, 5), 0);
	check_text(buffer, "23456012345678923456");
	evbuffer_free(buffer);
}

/* The room is the buffer's also when all that it has, which is nothing, goes elsewhere. */
CASE(room_of_a_buffer_of_which_nothing_is_moved, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer(), *other = new_buffer();
	struct evbuffer_iovec vec[1];

	CHECK_EQUAL(evbuffer_reserve_space(buffer, 10, vec, 1), 1);
	CHECK_EQUAL(evbuffer_add_buffer(other, buffer), 0);
	CHECK_EQUAL(evbuffer_prepend_buffer(other, buffer), 0);
	CHECK_EQUAL(evbuffer_remove_buffer(buffer, other, 10), 0);
	memcpy(vec[0].iov_base, "0123456789", 10);
	vec[0].iov_len = 10;
	CHECK_EQUAL(evbuffer_commit_space(buffer, vec, 1), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 10);
	CHECK_EQUAL(evbuffer_get_length(other), 0);
	CHECK(memcmp(evbuffer_pullup(buffer, -1), "0123456789", 10) == 0);
	evbuffer_free(buffer);
	evbuffer_free(other);
}

DIFFERENCE(the_growth_after_a_large_reference_is_normal, ONE_BACKEND,
	"after a large block was added by reference, adding one more byte allocates a block of "
	"the same size")
{
	struct evbuffer *buffer = new_buffer();
	static char data[1 << 20];
	struct evbuffer_iovec vec[1];
	evbuffer_add_reference(buffer, data, sizeof data, NULL, NULL);
	CHECK_EQUAL(evbuffer_add(buffer, "x", 1), 0);
	CHECK_EQUAL(evbuffer_reserve_space(buffer, 1, vec, 1), 1);
	CHECK(vec[0].iov_len < 8192);
	evbuffer_free(buffer);
}

DIFFERENCE(bytes_of_the_buffer_itself_can_be_added_when_they_slide, ONE_BACKEND,
	"adding bytes that lie in the same buffer stores wrong bytes when the buffer moves "
	"its data to make room")
{
	/* In chains of 456 and of 976 bytes: data in the middle, little room behind it. */
	static unsigned char data[976], expected[600];
	static const size_t added[] = {446, 950}, drained[] = {225, 470};
	fill_pattern(data, sizeof data, 0);
	for (int i = 0; i < 2; i++) {
		struct evbuffer *buffer = new_buffer();
		size_t left = added[i] - drained[i];
		CHECK_EQUAL(evbuffer_add(buffer, data, added[i]), 0);
		CHECK_EQUAL(evbuffer_drain(buffer, drained[i]), 0);
		CHECK_EQUAL(evbuffer_add(buffer, evbuffer_pullup(buffer, -1), 100), 0);
		memcpy(expected, data + drained[i], left);
		memcpy(expected + left, expected, 100);
		check_content(buffer, expected, left + 100);
		evbuffer_free(buffer);
	}
}
