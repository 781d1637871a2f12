/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Reading and writing: what causes a callback, watermarks, records. */
#include "tls/tools.h"


/* --- Reading ------------------------------------------------------------------------------------------ */

/* Records are handed over whole, whatever the watermarks say. */
static void
whole_records(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		server.trace = server.keep = 1;
		CHECK_EQUAL(SSL_write(client.ssl, "a record", 8), 8);
		run_until(&server.reads, 1);
		settle();
		free_ends();
	}
}

CASE(a_record_is_a_callback, EVERY_BACKEND)
{
	for_versions(whole_records);
}

/* Short records are messages: each has its own callback, also when they arrive together. */
static void
messages_together(void)
{
	int transport, i;

	for (transport = PAIR_OF_SOCKETS; transport <= TCP; transport++) {
		connect_ends(transport);
		for (i = 1; i <= 5; i++)
			CHECK_EQUAL(SSL_write(client.ssl, "a record", i), i);
		server.trace = 1;
		server.wanted = 15;
		run_until(&server.finished, 1);
		settle();
		free_ends();
	}
}

CASE(messages_are_callbacks, EVERY_BACKEND)
{
	for_versions(messages_together);
}

static void
low_watermark(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		server.trace = 1;
		bufferevent_setwatermark(server.bev, EV_READ, 10, 0);
		CHECK_EQUAL(SSL_write(client.ssl, "123456789", 9), 9);
		settle();
		CHECK_EQUAL(server.reads, 0);
		CHECK_EQUAL(SSL_write(client.ssl, "0", 1), 1);
		run_until(&server.reads, 1);
		free_ends();
	}
}

CASE(low_watermark_of_input, EVERY_BACKEND)
{
	for_versions(low_watermark);
}

/* Each callback takes a little: the kernel reports nothing for the rest of a record. */
static void
take_a_little(struct end *end, const char *callback)
{
	struct evbuffer *input = bufferevent_get_input(end->bev);

	if (strcmp(callback, "read"))
		return;
	while (evbuffer_get_length(input) >= 500) {
		CHECK_EQUAL(evbuffer_drain(input, 500), 0);
		end->got += 500;
	}
	end->finished = end->got >= end->wanted;
}

static void
high_watermark_in_a_record(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		server.keep = 1;
		server.then = take_a_little;
		server.wanted = 160000;
		bufferevent_setwatermark(server.bev, EV_READ, 0, 1000);
		write_pattern(&client, 160000, 1);
		run_until(&server.finished, 1);
		CHECK_EQUAL(server.got, 160000);
		free_ends();
	}
}

DIFFERENCE(high_watermark_in_the_middle_of_a_record, EVERY_BACKEND,
	   "a TLS stream stalls when a high watermark stops it in the middle of a record")
{
	for_versions(high_watermark_in_a_record);
}

static void
no_more_than_a_record_beyond(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		server.keep = 1;
		bufferevent_setwatermark(server.bev, EV_READ, 0, 1000);
		write_pattern(&client, 300000, 1);
		run_until(&server.reads, 1);
		settle();
		CHECK(evbuffer_get_length(bufferevent_get_input(server.bev)) >= 1000);
		CHECK(evbuffer_get_length(bufferevent_get_input(server.bev)) < 1000 + 16384 + 1000);
		free_ends();
	}
}

DIFFERENCE(input_that_stays_full, EVERY_BACKEND,
	   "a TLS stream whose input stays at its high watermark keeps the loop busy, and a pass never ends")
{
	for_versions(no_more_than_a_record_beyond);
}

/* What arrives while reading is disabled waits, wherever it is. */
static void
reading_switched(void)
{
	int transport, i;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		for (i = 1; i <= 5; i++) {
			CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
			write_pattern(&client, 30000, i);
			settle();
			CHECK_EQUAL(server.got, (i - 1) * 30000);
			server.finished = 0;
			server.wanted = i * 30000;
			CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
			run_until(&server.finished, 1);
		}
		print_end(&server);
		free_ends();
	}
}

CASE(reading_is_switched, EVERY_BACKEND)
{
	for_versions(reading_switched);
}

static void
disable_when_read(struct end *end, const char *callback)
{
	if (!strcmp(callback, "read"))
		CHECK_EQUAL(bufferevent_disable(end->bev, EV_READ), 0);
}

/* A read callback that disables reading is not called again before that is enabled. */
static void
one_read_at_a_time(void)
{
	int transport, i;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		server.then = disable_when_read;
		for (i = 0; i < 10; i++)
			CHECK_EQUAL(SSL_write(client.ssl, "a record", 8), 8);
		for (i = 1; server.got < 80; i++) {
			run_until(&server.reads, i);
			settle();
			CHECK_EQUAL(server.reads, i);
			CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
		}
		CHECK_EQUAL(server.got, 80);
		free_ends();
	}
}

CASE(reading_is_disabled_in_its_callback, EVERY_BACKEND)
{
	for_versions(one_read_at_a_time);
}

/* --- Writing ------------------------------------------------------------------------------------------ */

static int records, longest; /* of data, as they are sent */

static void
count_records(int sent, int version, int type, const void *data, size_t length, SSL *ssl, void *arg)
{
	const unsigned char *header = data;
	int size;

	(void)version;
	(void)ssl;
	(void)arg;
	if (!sent || type != SSL3_RT_HEADER || length < 5 || header[0] != SSL3_RT_APPLICATION_DATA)
		return;
	size = header[3] << 8 | header[4];
	records++;
	longest = size > longest ? size : longest;
}

static void
watch_records(struct end *end)
{
	records = longest = 0;
	SSL_set_msg_callback(end->ssl, count_records);
}

static void
write_pieces(int count)
{
	static char piece[1000];

	server.wanted += count * sizeof piece;
	server.finished = 0;
	while (count--)
		CHECK_EQUAL(evbuffer_add_reference(bufferevent_get_output(client.bev), piece, sizeof piece, NULL, NULL), 0);
	run_until(&server.finished, 1);
}

static void
small_writes(void)
{
	int i;

	connect_ends(TCP);
	watch_records(&client);
	server.wanted = 200 * 50;
	for (i = 0; i < 200; i++)
		write_pattern(&client, 50, i);
	CHECK_EQUAL(records, 0);
	run_until(&server.finished, 1);
	CHECK_EQUAL(records, 1);
	/* Also of pieces that lie apart. */
	watch_records(&client);
	write_pieces(5);
	CHECK_EQUAL(records, 1);
	watch_records(&client);
	write_pieces(40);
	CHECK_EQUAL(records, 3);
	free_ends();
}

DIFFERENCE(small_writes_make_one_record, EVERY_BACKEND,
	   "small writes become many small TLS records, each with a system call")
{
	for_versions(small_writes);
}

/* Pieces of the program's own memory, of all lengths. */
static void
pieces(void)
{
	static char data[100000];
	struct evbuffer *output;
	size_t i, length, total = 0;

	for (i = 0; i < sizeof data; i++)
		data[i] = i * 7;
	connect_ends(TCP);
	watch_records(&client);
	output = bufferevent_get_output(client.bev);
	for (i = 0; total + 40000 < sizeof data; i++) {
		length = i % 7 ? i * i % 300 : i * 100 % 40000;
		CHECK_EQUAL(evbuffer_add_reference(output, data + total, length, NULL, NULL), 0);
		total += length;
	}
	server.wanted = total;
	run_until(&server.finished, 1);
	print_end(&server);
	/* Not one of them is longer than allowed, nor are there many. */
	CHECK(longest <= 16384 + 256);
	free_ends();
}

CASE(pieces_of_all_lengths, EVERY_BACKEND)
{
	for_versions(pieces);
}

static void
write_segments(struct end *end, size_t size, int count)
{
	static unsigned char data[100000];
	size_t i;

	for (; count > 0; count--) {
		for (i = 0; i < size; i++)
			data[i] = i * count;
		CHECK_EQUAL(bufferevent_write(end->bev, data, size), 0);
	}
}

DIFFERENCE(partial_writes, EVERY_BACKEND,
	   "if the program allows partial writes, a TLS stream loses bytes and sends others twice")
{
	unsigned long right;

	/* Segments of several records each. */
	make_context(TLS1_3_VERSION);
	make_base();
	connect_ends(TCP);
	server.wanted = 3000000;
	write_segments(&client, 60000, 50);
	run_until(&server.finished, 1);
	right = server.sum;
	free_ends();
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
	connect_ends(TCP);
	CHECK_EQUAL(bufferevent_set_max_single_write(client.bev, 1000000), 0);
	server.wanted = 3000000;
	write_segments(&client, 60000, 50);
	run_until(&server.finished, 1);
	CHECK(server.sum == right);
	CHECK_EQUAL(server.got, 3000000);
	free_ends();
	end_all();
}

/* The callback comes from the loop, and when the output is low enough. */
static int inside;

static void
not_inside(struct end *end, const char *callback)
{
	CHECK(!inside);
	if (!strcmp(callback, "write"))
		printf("%s: write, %d left\n", end->name, (int)evbuffer_get_length(bufferevent_get_output(end->bev)));
}

static void
write_callbacks(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		client.then = not_inside;
		inside = 1;
		CHECK_EQUAL(bufferevent_write(client.bev, "x", 1), 0);
		inside = 0;
		run_until(&client.writes, 1);
		settle();
		CHECK_EQUAL(client.writes, 1);
		/* None without something to send. */
		CHECK_EQUAL(bufferevent_disable(client.bev, EV_WRITE), 0);
		CHECK_EQUAL(bufferevent_write(client.bev, "y", 1), 0);
		settle();
		CHECK_EQUAL(client.writes, 1);
		run_until(&server.reads, 1);
		CHECK_EQUAL(server.got, 1);
		CHECK_EQUAL(bufferevent_enable(client.bev, EV_WRITE), 0);
		run_until(&client.writes, 2);
		run_until(&server.reads, 2);
		CHECK_EQUAL(server.got, 2);
		free_ends();
	}
}

CASE(write_callback, EVERY_BACKEND)
{
	for_versions(write_callbacks);
}

/* The program has frozen the front of the output: what was sent could not be removed. */
DIFFERENCE(frozen_output, EVERY_BACKEND, "a TLS bufferevent sends the data of an output whose front is frozen again and again")
{
	int transport;

	begin();
	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		CHECK_EQUAL(evbuffer_freeze(bufferevent_get_output(client.bev), 1), 0);
		CHECK_EQUAL(bufferevent_write(client.bev, "once", 4), 0);
		run_until(&client.ended, 1);
		CHECK_EQUAL(client.last, BEV_EVENT_WRITING | BEV_EVENT_ERROR);
		settle();
		CHECK(server.got <= 4);
		free_ends();
	}
	end_all();
}

/* Ciphertext of a filter is below as soon as it was written, as much as may wait there. */
static void
synchronous(void)
{
	struct bufferevent *below;
	size_t before;

	connect_ends(FILTER_ON_TCP);
	below = bufferevent_get_underlying(client.bev);
	before = evbuffer_get_length(bufferevent_get_output(below));
	CHECK_EQUAL(bufferevent_write(client.bev, "now", 3), 0);
	CHECK(evbuffer_get_length(bufferevent_get_output(below)) > before);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(client.bev)), 0);
	settle();
	bufferevent_setwatermark(below, EV_WRITE, 0, 20000);
	server.got = 0;
	server.wanted = 200000;
	write_pattern(&client, 200000, 1);
	CHECK(evbuffer_get_length(bufferevent_get_output(below)) <= 20000);
	CHECK(evbuffer_get_length(bufferevent_get_output(client.bev)) > 100000);
	run_until(&server.finished, 1);
	free_ends();
}

CASE(filter_encrypts_at_once, EVERY_BACKEND)
{
	for_versions(synchronous);
}

/* A peer that does not read. The same bytes are offered again when it does. */
static void
slow_peer(void)
{
	int transport, i;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
		write_pattern(&client, 5000000, 1);
		settle();
		/* More behind it, in small pieces. */
		for (i = 0; i < 100; i++) {
			write_pattern(&client, 10, i);
			settle();
		}
		server.wanted = 5001000;
		CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
		run_until(&server.finished, 1);
		print_end(&server);
		free_ends();
	}
}

CASE(peer_reads_late, ONE_BACKEND)
{
	for_versions(slow_peer);
}

/* While nobody reads from a filter, what is below does not fill up with what the peer sends. */
static void
nothing_below(void)
{
	int transport, i;

	for (transport = FILTER_ON_SOCKET; transport < FILTER_ON_PAIR; transport++) {
		connect_ends(transport);
		CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
		write_pattern(&client, 3000000, 1);
		for (i = 0; i < 100; i++)
			settle();
		CHECK(evbuffer_get_length(bufferevent_get_input(bufferevent_get_underlying(server.bev))) < 300000);
		server.wanted = 3000000;
		CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
		run_until(&server.finished, 1);
		print_end(&server);
		free_ends();
	}
}

CASE(nothing_is_read_below_a_suspended_filter, ONE_BACKEND)
{
	for_versions(nothing_below);
}

/* A write that has to be repeated is as long as it was, whatever is wanted meanwhile. */
static void
smaller_writes(void)
{
	int transport;

	for (transport = 0; transport < FILTER_ON_SOCKET; transport++) {
		connect_ends(transport);
		CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
		write_pattern(&client, 5000000, 1);
		settle();
		CHECK_EQUAL(bufferevent_set_max_single_write(client.bev, 100), 0);
		settle();
		server.wanted = 5000000;
		CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
		CHECK_EQUAL(bufferevent_set_max_single_write(client.bev, 0), 0);
		CHECK_EQUAL(bufferevent_set_max_single_write(client.bev, 5000), 0);
		run_until(&server.finished, 1);
		CHECK_EQUAL(client.ended, 0);
		print_end(&server);
		free_ends();
	}
}

CASE(smaller_writes_after_an_unfinished_one, ONE_BACKEND)
{
	for_versions(smaller_writes);
}
