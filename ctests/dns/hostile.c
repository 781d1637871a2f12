/* Packets that are not answers: forged, repeated, truncated, looping. None ends a look-up that a true
 * answer can still end, and none hangs it. */
#include "tools.h"

#include <sys/syscall.h>

static int forger; /* a socket at another port */

static void
forge(const struct query *query, const struct message *message)
{
	CHECK_EQUAL(sendto(forger, message->bytes, message->length, 0, (const struct sockaddr *)&query->from, query->from_length), message->length);
}

static void
begin_forged(void (*answer)(struct server *, const struct query *))
{
	int port = 0;

	begin(answer);
	forger = bound_socket(SOCK_DGRAM, &port);
}

static void
from_another_port(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 1, 0);
	put_a(&message, 60, "6.6.6.6");
	forge(query, &message);
	answer_address(from, query);
}

static int seen_forged;

static void
check_true(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)type, (void)ttl, (void)arg;
	reported++;
	seen_forged += result != DNS_ERR_NONE || count != 1 || memcmp(addresses, "\300\0\2\1", 4);
}

static void
check_look_ups(int count)
{
	server.quiet = 1;
	for (int i = 0; i < count; i++)
		CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, check_true, NULL));
	wait_for(&reported, count);
	CHECK_EQUAL(seen_forged, 0);
}

DIFFERENCE(forged_from_another_port, ONE_BACKEND, "an answer is accepted from any port of the server's address")
{
	begin_forged(from_another_port);
	check_look_ups(5);
	end();
}

static void
wrong_then_right(struct server *from, const struct query *query)
{
	static struct message message;

	/* Another name, another id, a question instead of an answer, too short. */
	begin_answer(&message, query, 0, 1, 0);
	message.bytes[13] ^= 1;
	put_a(&message, 60, "6.6.6.6");
	send_message(from, query, &message);
	begin_answer(&message, query, 0, 1, 0);
	message.bytes[1] ^= 1;
	put_a(&message, 60, "6.6.6.6");
	send_message(from, query, &message);
	begin_answer(&message, query, 0, 1, 0);
	message.bytes[2] &= 0x7f;
	put_a(&message, 60, "6.6.6.6");
	send_message(from, query, &message);
	message.length = 11;
	send_message(from, query, &message);
	answer_address(from, query);
}

DIFFERENCE(another_question_is_no_answer, ONE_BACKEND, "an answer to a different question ends the look-up with an error")
{
	begin(wrong_then_right);
	check_look_ups(5);
	end();
}

static int ports[65536], different_ports;

static void
count_ports(struct server *from, const struct query *query)
{
	int port = ntohs(((const struct sockaddr_in *)&query->from)->sin_port);

	different_ports += !ports[port]++;
	answer_address(from, query);
}

DIFFERENCE(ports_change, ONE_BACKEND, "all queries to a server are sent from one port, so a forger has time to discover it")
{
	int descriptors;

	begin(count_ports);
	descriptors = open_descriptors();
	check_look_ups(20);
	for (int i = 0; i < 2000; i++)
		check_look_ups(1);
	CHECK(different_ports > 10 && different_ports < 40);
	/* No socket is left over. */
	CHECK_EQUAL(open_descriptors(), descriptors);
	end();
}

static void
wrong_class(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 2, 0);
	put_a(&message, 60, "6.6.6.6");
	message.bytes[message.length - 11] = 3;
	put_a(&message, 60, "192.0.2.1");
	send_message(from, query, &message);
}

static int without_getrandom;

/* Replaces libc's function, so that the test decides the library's random numbers. */
ssize_t
getrandom(void *bytes, size_t size, unsigned flags)
{
	if (without_getrandom) {
		errno = ENOSYS;
		return -1;
	}
	return syscall(SYS_getrandom, bytes, size, flags);
}

static uint8_t ids[1 << 16];
static int different_ids, last_id, ids_in_order;

static void
note_id(struct server *from, const struct query *query)
{
	int id = query->raw[0] << 8 | query->raw[1];

	different_ids += !ids[id]++;
	ids_in_order += id == last_id + 1;
	last_id = id;
	answer_address(from, query);
}

CASE(ids_where_the_system_lacks_getrandom, ONE_BACKEND)
{
	without_getrandom = 1;
	begin(note_id);
	check_look_ups(200);
	/* Of so few, hardly any is the same as another, or follows it. */
	CHECK(different_ids > 180);
	CHECK(ids_in_order < 20);
	end();
}

CASE(records_of_another_class, ONE_BACKEND)
{
	begin(wrong_class);
	resolve_ipv4("a.test", 0);
	end();
}

static void
twice(struct server *from, const struct query *query)
{
	answer_address(from, query);
	answer_address(from, query);
}

CASE(repeated_answers, ONE_BACKEND)
{
	begin(twice);
	for (int i = 0; i < 5; i++)
		resolve_ipv4("a.test", 0);
	end();
}

static int shape;

static void
answer_oddly(struct server *from, const struct query *query)
{
	static struct message message;
	size_t end = query->question_end;

	begin_answer(&message, query, 0, 1, 0);
	put_a(&message, 60, "192.0.2.1");
	switch (shape) {
	case 0: /* a name that is itself */
		message.bytes[end] = (uint8_t)(0xc0 | end >> 8);
		message.bytes[end + 1] = (uint8_t)end;
		break;
	case 1: /* beyond the end */
		message.bytes[end] = message.bytes[end + 1] = 0xff;
		break;
	case 2: /* data beyond the end */
		message.bytes[end + 10] = 0xff;
		break;
	case 3: /* more records than there are */
		message.bytes[6] = 0xff;
		break;
	case 4:
		message.length = end + 5;
		break;
	case 5:
		message.length = end - 3;
		break;
	case 6: /* in the question */
		message.bytes[12] = 0xc0;
		message.bytes[13] = 12;
		break;
	}
	send_message(from, query, &message);
}

CASE(odd_shapes, ONE_BACKEND)
{
	begin(answer_oddly);
	set("timeout", "0.1");
	set("attempts", "1");
	for (shape = 0; shape < 6; shape++)
		resolve_ipv4("a.test", 0);
	end();
}

static void
huge(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 5000, 0);
	while (message.length < 60000)
		put_a(&message, 60, "192.0.2.1");
	send_message(from, query, &message);
}

CASE(datagram_that_is_too_long, ONE_BACKEND)
{
	begin(huge);
	resolve_ipv4("a.test", 0);
	end();
}

/* Every cut and many changes of a good answer: each look-up ends, once. */
static unsigned seed = 1;

static void
any_change(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 3, 1);
	put_name_record(&message, TYPE_CNAME, 60, "real.test");
	put_a(&message, 60, "192.0.2.1");
	put_a(&message, 60, "192.0.2.1");
	put_soa(&message, 60, 60);
	for (int i = 0; i < 3; i++)
		message.bytes[2 + rand_r(&seed) % (int)(message.length - 2)] = (uint8_t)rand_r(&seed);
	if (rand_r(&seed) % 4 == 0)
		message.length = 12 + (size_t)rand_r(&seed) % (message.length - 12);
	send_message(from, query, &message);
}

static int ended[3000];

static void
count_end(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)result, (void)type, (void)ttl;
	reported++;
	++*(int *)arg;
	/* Reads all of it. */
	if (type == DNS_IPv4_A)
		for (int i = 0; i < 4 * count; i++)
			seed += ((uint8_t *)addresses)[i] == 255;
}

CASE(random_changes, ONE_BACKEND | SLOW)
{
	begin(any_change);
	server.quiet = 1;
	set("timeout", "0.2");
	set("attempts", "1");
	set("max-inflight", "1000");
	for (int i = 0; i < 3000; i++)
		CHECK(evdns_base_resolve_ipv4(dns, "some.name.test", 0, count_end, &ended[i]));
	while (reported < 3000)
		event_base_loop(base, EVLOOP_ONCE);
	run_for(base, 50);
	for (int i = 0; i < 3000; i++)
		CHECK_EQUAL(ended[i], 1);
	end();
}

/* Lengths of labels that there are not. */
static void
odd_label(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 1, 0);
	put_a(&message, 60, "192.0.2.1");
	message.bytes[query->question_end] = (uint8_t)shape;
	send_message(from, query, &message);
}

static void
check_no_address(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)type, (void)count, (void)ttl, (void)addresses, (void)arg;
	reported++;
	CHECK_EQUAL(result, DNS_ERR_UNKNOWN);
}

DIFFERENCE(labels_of_unknown_kinds, ONE_BACKEND, "a label of an undefined type in a name is followed as if it were a compression pointer")
{
	begin(odd_label);
	server.quiet = 1;
	for (shape = 0x40; shape < 0xc0; shape += 0x40) {
		CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, check_no_address, NULL));
		wait_for(&reported, 1);
	}
	end();
}
