/* Nanoseconds per operation of the evbuffer. */
#include "bench.h"

#include <event2/buffer.h>
#include <string.h>
#include <unistd.h>

static struct evbuffer *buffer, *other;
static unsigned char data[65536];

static void
new_and_free(long count)
{
	while (count--)
		evbuffer_free(evbuffer_new());
}

static void
add_64_drain(long count)
{
	while (count--) {
		evbuffer_add(buffer, data, 64);
		evbuffer_drain(buffer, 64);
	}
}

static void
add_16_times_64_remove_1024(long count)
{
	unsigned char out[1024];
	while (count--) {
		for (int i = 0; i < 16; i++)
			evbuffer_add(buffer, data, 64);
		evbuffer_remove(buffer, out, 1024);
	}
}

static void
add_4096_drain(long count)
{
	while (count--) {
		evbuffer_add(buffer, data, 4096);
		evbuffer_drain(buffer, 4096);
	}
}

/* The same 4096 bytes move back and forth between two buffers. */
static void
move_4096(long count)
{
	evbuffer_add(buffer, data, 4096);
	while (count--) {
		evbuffer_add_buffer(other, buffer);
		evbuffer_add_buffer(buffer, other);
	}
	evbuffer_drain(buffer, 4096);
}

static void
add_move_drain_4096(long count)
{
	while (count--) {
		evbuffer_add(buffer, data, 4096);
		evbuffer_add_buffer(other, buffer);
		evbuffer_drain(other, 4096);
	}
}

static void
reserve_commit_1500(long count)
{
	struct evbuffer_iovec vec[2];
	while (count--) {
		int used = evbuffer_reserve_space(buffer, 1500, vec, 2);
		size_t left = 1500;
		for (int i = 0; i < used; i++) {
			if (vec[i].iov_len > left)
				vec[i].iov_len = left;
			left -= vec[i].iov_len;
		}
		evbuffer_commit_space(buffer, vec, used);
		evbuffer_drain(buffer, 1500);
	}
}

static void
prepend_20(long count)
{
	while (count--) {
		evbuffer_prepend(buffer, data, 20);
		if ((count & 63) == 0)
			evbuffer_drain(buffer, 64 * 20);
	}
	evbuffer_drain(buffer, evbuffer_get_length(buffer));
}

static void
format(long count)
{
	while (count--) {
		evbuffer_add_printf(buffer, "%s: %d\r\n", "Content-Length", 12345);
		if ((count & 15) == 0)
			evbuffer_drain(buffer, evbuffer_get_length(buffer));
	}
	evbuffer_drain(buffer, evbuffer_get_length(buffer));
}

static void
read_20_lines(long count)
{
	static const char line[] = "Accept-Encoding: gzip, deflate, br\r\n";
	while (count--) {
		for (int i = 0; i < 20; i++)
			evbuffer_add(buffer, line, sizeof line - 1);
		for (int i = 0; i < 20; i++) {
			size_t length;
			char *text = evbuffer_readln(buffer, &length, EVBUFFER_EOL_CRLF);
			BENCH_CHECK(text && length == sizeof line - 3);
			free(text);
		}
	}
}

static int ends[2];

static void
prepare_pipe(void)
{
	BENCH_CHECK(pipe(ends) == 0);
}

static void
through_a_pipe(long count, size_t size)
{
	while (count--) {
		evbuffer_add(buffer, data, size);
		BENCH_CHECK(evbuffer_write(buffer, ends[1]) == (int)size);
		BENCH_CHECK(evbuffer_read(other, ends[0], -1) == (int)size);
		evbuffer_drain(other, size);
	}
}

static void
pipe_64(long count)
{
	through_a_pipe(count, 64);
}

static void
pipe_4096(long count)
{
	through_a_pipe(count, 4096);
}

/* One megabyte in chains of 64 KiB that has the pattern at its end only. */
static void
fill_megabyte(const char *pattern)
{
	for (int i = 0; i < 16; i++)
		evbuffer_add(buffer, data, sizeof data);
	evbuffer_add(buffer, pattern, strlen(pattern));
}

static const char *pattern = "needle in the hay";

static void
prepare_bytes(void)
{
	memset(data, 'x', sizeof data);
	fill_megabyte(pattern);
}

static void
prepare_text(void)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog ";
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)text[i % (sizeof text - 1)];
	fill_megabyte(pattern);
}

static void
prepare_random(void)
{
	srandom(1);
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)random();
	fill_megabyte(pattern);
}

static void
prepare_prefix(void)
{
	static char prefix[257];
	memset(prefix, 'a', 255);
	prefix[255] = 'b';
	pattern = prefix;
	memset(data, 'a', sizeof data);
	fill_megabyte(pattern);
}

/* A long prefix of the pattern begins at every second byte. */
static void
prepare_periodic(void)
{
	static char periodic[257];
	for (size_t i = 0; i < 255; i++)
		periodic[i] = "ab"[i % 2];
	periodic[255] = 'a';
	pattern = periodic;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)"ab"[i % 2];
	fill_megabyte(pattern);
}

static void
search_for(long count, long expected)
{
	size_t length = strlen(pattern);
	while (count--)
		BENCH_CHECK(evbuffer_search(buffer, pattern, length, NULL).pos == expected);
}

static void
search(long count)
{
	search_for(count, 1 << 20);
}

static const char header[] = "GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n"
			     "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101\r\n"
			     "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
			     "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
			     "Connection: keep-alive\r\n\r\n";

static void
prepare_header(void)
{
	evbuffer_add(buffer, header, sizeof header - 1);
}

static void
search_header_field(long count)
{
	pattern = "\r\nConnection:";
	search_for(count, strstr(header, pattern) - header);
}

static void
search_header_end(long count)
{
	pattern = "\r\n\r\n";
	search_for(count, (long)sizeof header - 5);
}

static void
pullup_16_chains(long count)
{
	while (count--) {
		for (int i = 0; i < 16; i++)
			evbuffer_add_reference(buffer, data, 4096, NULL, NULL);
		evbuffer_pullup(buffer, -1);
		evbuffer_drain(buffer, 65536);
	}
}

static void
reference_drain(long count)
{
	while (count--) {
		evbuffer_add_reference(buffer, data, 1000, NULL, NULL);
		evbuffer_drain(buffer, 1000);
	}
}

static const struct benchmark benchmarks[] = {
	{"new+free", .work = new_and_free},
	{"add 64+drain", .work = add_64_drain},
	{"16x add 64+remove 1024", .work = add_16_times_64_remove_1024},
	{"add 4096+drain", .work = add_4096_drain},
	{"move 4096 there and back", .work = move_4096},
	{"add 4096+move+drain", .work = add_move_drain_4096},
	{"reserve+commit 1500+drain", .work = reserve_commit_1500},
	{"prepend 20", .work = prepend_20},
	{"printf", .work = format},
	{"readln CRLF x20", .work = read_20_lines},
	{"pullup 64K of 16 chains", .work = pullup_16_chains},
	{"reference+drain", .work = reference_drain},
	{"write+read 64 through a pipe", .work = pipe_64, .prepare = prepare_pipe},
	{"write+read 4096 through a pipe", .work = pipe_4096, .prepare = prepare_pipe},
	{"search a header for a field", .work = search_header_field, .prepare = prepare_header},
	{"search a header for its end", .work = search_header_end, .prepare = prepare_header},
	{"search 1M, first byte nowhere", .work = search, .prepare = prepare_bytes},
	{"search 1M, text", .work = search, .prepare = prepare_text},
	{"search 1M, random bytes", .work = search, .prepare = prepare_random},
	{"search 1M, long shared prefix", .work = search, .prepare = prepare_prefix},
	{"search 1M, periodic prefix", .work = search, .prepare = prepare_periodic},
};

int
main(int argc, char **argv)
{
	buffer = evbuffer_new();
	other = evbuffer_new();
	memset(data, 'x', sizeof data);
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
