/* Patterns of buffers. */
#include "patterns.h"

PATTERN(add_and_drain_4096, 2000)
{
	struct evbuffer *buffer = evbuffer_new();

	while (n--) {
		evbuffer_add(buffer, pattern_bytes, 4096);
		evbuffer_drain(buffer, 4096);
	}
	evbuffer_free(buffer);
}

PATTERN(add_small_pieces, 5000)
{
	struct evbuffer *buffer = evbuffer_new();

	while (n--)
		evbuffer_add(buffer, pattern_bytes, 20);
	pattern_load_is_over();
	evbuffer_free(buffer);
}

PATTERN(move_4096, 2000)
{
	struct evbuffer *from = evbuffer_new(), *to = evbuffer_new();

	while (n--) {
		evbuffer_add(from, pattern_bytes, 4096);
		evbuffer_add_buffer(to, from);
		evbuffer_drain(to, 4096);
	}
	evbuffer_free(from);
	evbuffer_free(to);
}

PATTERN(move_small_pieces, 2000)
{
	struct evbuffer *from = evbuffer_new(), *to = evbuffer_new();

	while (n--) {
		evbuffer_add(from, pattern_bytes, 100);
		evbuffer_add_buffer(to, from);
	}
	pattern_load_is_over();
	evbuffer_free(from);
	evbuffer_free(to);
}

PATTERN(remove_small_pieces, 5000)
{
	struct evbuffer *buffer = evbuffer_new();
	char out[100];

	while (n--) {
		evbuffer_add(buffer, pattern_bytes, 100);
		REQUIRE(evbuffer_remove(buffer, out, 100) == 100);
	}
	evbuffer_free(buffer);
}

PATTERN(pull_up_after_each_addition, 500)
{
	struct evbuffer *buffer = evbuffer_new();

	while (n--) {
		evbuffer_add(buffer, pattern_bytes, 1000);
		evbuffer_pullup(buffer, -1);
	}
	pattern_load_is_over();
	evbuffer_free(buffer);
}

PATTERN(pull_up_after_each_reference, 500)
{
	struct evbuffer *buffer = evbuffer_new();

	while (n--) {
		evbuffer_add_reference(buffer, pattern_bytes, 1000, NULL, NULL);
		evbuffer_pullup(buffer, -1);
	}
	evbuffer_free(buffer);
}

PATTERN(pull_up_ever_more, 500)
{
	struct evbuffer *buffer = evbuffer_new();

	for (long i = 0; i < n; i++)
		evbuffer_add_reference(buffer, pattern_bytes, 1000, NULL, NULL);
	for (long i = 1; i <= n; i++)
		evbuffer_pullup(buffer, i * 1000);
	evbuffer_free(buffer);
}

PATTERN(search_short_chains, 1000)
{
	struct evbuffer *buffer = evbuffer_new();

	while (n--)
		evbuffer_add_reference(buffer, pattern_bytes, 50, NULL, NULL);
	for (int i = 0; i < 50; i++)
		REQUIRE(evbuffer_search(buffer, "\r\n\r\n", 4, NULL).pos < 0);
	evbuffer_free(buffer);
}

PATTERN(search_with_a_match_in_front, 5000)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
	struct evbuffer *buffer = evbuffer_new();

	evbuffer_add(buffer, head, sizeof head - 1);
	while (n--)
		REQUIRE(evbuffer_search(buffer, "\r\n", 2, NULL).pos == 14);
	evbuffer_free(buffer);
}

/* The line feed is far away, in the last of many chains. */
PATTERN(line_end_after_many_chains, 100)
{
	struct evbuffer *buffer = evbuffer_new();

	for (int i = 0; i < 300; i++)
		evbuffer_add_reference(buffer, pattern_bytes, 100, NULL, NULL);
	evbuffer_add(buffer, "\r\n", 2);
	while (n--)
		REQUIRE(evbuffer_search_eol(buffer, NULL, NULL, EVBUFFER_EOL_ANY).pos == 30000);
	evbuffer_free(buffer);
}

PATTERN(lines, 2000)
{
	struct evbuffer *buffer = evbuffer_new();

	for (long i = 0; i < n; i++)
		evbuffer_add(buffer, "a line of a protocol\r\n", 22);
	while (n--)
		pattern_free(evbuffer_readln(buffer, NULL, EVBUFFER_EOL_CRLF));
	evbuffer_free(buffer);
}

PATTERN(positions_at_the_end, 500)
{
	struct evbuffer *buffer = evbuffer_new();
	struct evbuffer_ptr position;

	while (n--) {
		evbuffer_add(buffer, pattern_bytes, 1000);
		evbuffer_ptr_set(buffer, &position, evbuffer_get_length(buffer) - 1, EVBUFFER_PTR_SET);
	}
	evbuffer_free(buffer);
}

PATTERN(prepend_large_pieces, 500)
{
	struct evbuffer *buffer = evbuffer_new();

	while (n--)
		evbuffer_prepend(buffer, pattern_bytes, 5000);
	pattern_load_is_over();
	evbuffer_free(buffer);
}

PATTERN(prepend_small_pieces, 3000)
{
	struct evbuffer *buffer = evbuffer_new();

	while (n--)
		evbuffer_prepend(buffer, pattern_bytes, 100);
	pattern_load_is_over();
	evbuffer_free(buffer);
}

/* A header before data, which is consumed before the next. */
PATTERN(prepend_and_take, 3000)
{
	struct evbuffer *buffer = evbuffer_new();

	evbuffer_add(buffer, pattern_bytes, 3000);
	while (n--) {
		evbuffer_prepend(buffer, pattern_bytes, 20);
		evbuffer_drain(buffer, 20);
	}
	pattern_load_is_over();
	evbuffer_free(buffer);
}

/* As programs read themselves: a page is reserved, and part of it is filled. */
PATTERN(reserve_a_page_and_commit_a_part, 2000)
{
	struct evbuffer *buffer = evbuffer_new();
	struct evbuffer_iovec room;

	while (n--) {
		REQUIRE(evbuffer_reserve_space(buffer, 4096, &room, 1) == 1);
		room.iov_len = 1000;
		evbuffer_commit_space(buffer, &room, 1);
		if (evbuffer_get_length(buffer) == 20000)
			evbuffer_drain(buffer, 20000);
	}
	pattern_load_is_over();
	evbuffer_free(buffer);
}

/* Small reads of data that is there already. */
PATTERN(pull_up_what_is_in_one_piece, 5000)
{
	struct evbuffer *buffer = evbuffer_new();

	evbuffer_add(buffer, pattern_bytes, 1000);
	while (n--)
		REQUIRE(evbuffer_pullup(buffer, 100));
	pattern_load_is_over();
	evbuffer_free(buffer);
}

PATTERN(peek_at_many_chains, 50)
{
	struct evbuffer *buffer = evbuffer_new();
	struct evbuffer_iovec pieces[200];

	for (int i = 0; i < 200; i++)
		evbuffer_add_reference(buffer, pattern_bytes, 100, NULL, NULL);
	while (n--)
		REQUIRE(evbuffer_peek(buffer, -1, NULL, pieces, 200) == 200);
	pattern_load_is_over();
	evbuffer_free(buffer);
}

PATTERN(peek_at_a_few_chains, 5000)
{
	struct evbuffer *buffer = evbuffer_new();
	struct evbuffer_iovec pieces[4];

	for (int i = 0; i < 3; i++)
		evbuffer_add_reference(buffer, pattern_bytes, 100, NULL, NULL);
	while (n--)
		REQUIRE(evbuffer_peek(buffer, -1, NULL, pieces, 4) == 3);
	evbuffer_free(buffer);
}

PATTERN(move_a_few_bytes_of_a_chain, 3000)
{
	struct evbuffer *from = evbuffer_new(), *to = evbuffer_new();

	while (n--) {
		if (!evbuffer_get_length(from)) {
			evbuffer_add(from, pattern_bytes, 3000);
			evbuffer_drain(to, 3000);
		}
		evbuffer_remove_buffer(from, to, 10);
	}
	pattern_load_is_over();
	evbuffer_free(from);
	evbuffer_free(to);
}

PATTERN(reserve_much_commit_little, 2000)
{
	struct evbuffer *buffer = evbuffer_new();
	struct evbuffer_iovec room;

	while (n--) {
		REQUIRE(evbuffer_reserve_space(buffer, 65536, &room, 1) == 1);
		room.iov_len = 10;
		evbuffer_commit_space(buffer, &room, 1);
	}
	pattern_load_is_over();
	evbuffer_free(buffer);
}

static void
note_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)buffer;
	*(size_t *)arg += info->n_added;
}

PATTERN(deferred_callbacks, 1000)
{
	struct event_base *base = event_base_new();
	struct evbuffer *buffer = evbuffer_new();
	size_t added = 0;

	evbuffer_defer_callbacks(buffer, base);
	evbuffer_add_cb(buffer, note_change, &added);
	while (n--) {
		for (int i = 0; i < 5; i++)
			evbuffer_add(buffer, pattern_bytes, 100);
		turn(base);
		evbuffer_drain(buffer, 500);
	}
	REQUIRE(added > 0);
	evbuffer_free(buffer);
	event_base_free(base);
}

PATTERN(printf_short, 3000)
{
	struct evbuffer *buffer = evbuffer_new();

	for (long i = 0; i < n; i++) {
		evbuffer_add_printf(buffer, "%s: %ld\r\n", "Content-Length", i);
		evbuffer_drain(buffer, evbuffer_get_length(buffer));
	}
	evbuffer_free(buffer);
}

PATTERN(printf_long, 300)
{
	struct evbuffer *buffer = evbuffer_new();
	char text[5001];

	memcpy(text, pattern_bytes, 5000);
	text[5000] = 0;
	while (n--)
		evbuffer_add_printf(buffer, "%s", text);
	pattern_load_is_over();
	evbuffer_free(buffer);
}

PATTERN(references, 2000)
{
	struct evbuffer *buffer = evbuffer_new();

	while (n--)
		evbuffer_add_reference(buffer, pattern_bytes, 1000, NULL, NULL);
	pattern_load_is_over();
	evbuffer_free(buffer);
}

PATTERN(read_into_a_buffer, 1000)
{
	struct evbuffer *buffer = evbuffer_new();
	int ends[2];

	make_sockets(ends);
	while (n--) {
		put(ends[1], pattern_bytes, 100);
		REQUIRE(evbuffer_read(buffer, ends[0], -1) == 100);
	}
	pattern_load_is_over();
	evbuffer_free(buffer);
}

PATTERN(file_segments, 300)
{
	struct evbuffer *buffer = evbuffer_new();
	FILE *file = tmpfile();

	REQUIRE(file && fwrite(pattern_bytes, 1, sizeof pattern_bytes, file) == sizeof pattern_bytes);
	REQUIRE(fflush(file) == 0);
	while (n--) {
		struct evbuffer_file_segment *segment = evbuffer_file_segment_new(fileno(file), 0, sizeof pattern_bytes, 0);
		evbuffer_add_file_segment(buffer, segment, 0, 1000);
		evbuffer_file_segment_free(segment);
		evbuffer_drain(buffer, 1000);
	}
	evbuffer_free(buffer);
}
