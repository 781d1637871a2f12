/* A DNS server made with the library: what it is asked, and the bytes that it answers. */
#include "tools.h"

#include <fcntl.h>

static struct evdns_server_port *port;
static int client;
static struct sockaddr_in place;
static struct evdns_server_request *kept[20];
static int requests;
static void (*then)(struct evdns_server_request *);

static void
on_request(struct evdns_server_request *request, void *data)
{
	CHECK_STRING(data, "data");
	printf("request: flags %#x, %d questions:", request->flags, request->nquestions);
	for (int i = 0; i < request->nquestions; i++)
		printf(" %s type %d class %d", request->questions[i]->name, request->questions[i]->type, request->questions[i]->dns_question_class);
	printf("\n");
	if (requests < 20)
		kept[requests] = request;
	requests++;
	if (then)
		then(request);
}

static void
begin_port(void (*answer)(struct evdns_server_request *))
{
	int fd, number = 0;

	base = new_base();
	then = answer;
	fd = bound_socket(SOCK_DGRAM, &number);
	place = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)number)};
	CHECK(!evdns_add_server_port_with_base(base, fd, 1, on_request, NULL));
	port = evdns_add_server_port_with_base(base, fd, 0, on_request, "data");
	CHECK(port);
	client = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	CHECK_EQUAL(connect(client, (struct sockaddr *)&place, sizeof place), 0);
}

static void
end_port(void)
{
	if (port)
		evdns_close_server_port(port);
	close(client);
	event_base_free(base);
}

static void
ask(const void *bytes, size_t length)
{
	CHECK_EQUAL(send(client, bytes, length, 0), length);
	poll_once(base);
}

/* A question with the id 0x1234. */
static void
ask_for(const char *name, int type, int flags)
{
	struct message *message = malloc(sizeof *message);

	message->length = 0;
	put16(message, 0x1234);
	put16(message, (unsigned)flags);
	put16(message, 1);
	put(message, "\0\0\0\0\0\0", 6);
	put_name(message, name);
	put16(message, (unsigned)type);
	put16(message, 1);
	ask(message->bytes, message->length);
	free(message);
}

static ssize_t
take_answer(uint8_t bytes[2000])
{
	return recv(client, bytes, 2000, 0);
}

static void
print_answer(void)
{
	uint8_t bytes[2000];
	ssize_t length = take_answer(bytes);

	printf("answer: %d bytes", (int)length);
	for (ssize_t i = 0; i < length; i++)
		printf("%s%02x", i % 16 ? " " : "\n  ", bytes[i]);
	printf("\n");
}

static void
respond(struct evdns_server_request *request)
{
	printf("respond: %d\n", evdns_server_request_respond(request, 0));
}

CASE(questions, ONE_BACKEND)
{
	static const char two[] = "\x12\x34\1\x30\0\2\0\0\0\0\0\0\3one\4test\0\0\1\0\1\3Two\xc0\x10\0\x1c\0\3trailing";
	static const char response[] = "\x12\x34\x81\0\0\1\0\0\0\0\0\0\3one\4test\0\0\1\0\1";
	static const char cut[] = "\x12\x34\1\0\0\2\0\0\0\0\0\0\3one\4test\0\0\1\0\1\3two";
	static const char none[] = "\x12\x34\1\0\0\0\0\0\0\0\0\0";

	begin_port(respond);
	ask_for("Some.Name.test", TYPE_A, 0x0100);
	print_answer();
	ask_for("", 2, 0);
	print_answer();
	ask(two, sizeof two - 1);
	print_answer();
	ask(response, sizeof response - 1);
	ask(cut, sizeof cut - 1);
	ask(none, sizeof none - 1);
	print_answer();
	CHECK_EQUAL(requests, 3);
	end_port();
}

static void
answer_everything(struct evdns_server_request *request)
{
	const char *name = request->questions[0]->name;
	struct in_addr in = {htonl(0x01020304)};

	CHECK_EQUAL(evdns_server_request_add_a_reply(request, name, 1, "\1\2\3\4", 60), 0);
	CHECK_EQUAL(evdns_server_request_add_aaaa_reply(request, name, 1, "0123456789abcdef", -1), 0);
	CHECK_EQUAL(evdns_server_request_add_cname_reply(request, "alias.test", name, 70000), 0);
	CHECK_EQUAL(evdns_server_request_add_ptr_reply(request, &in, NULL, "HOST.test", 5), 0);
	CHECK_EQUAL(evdns_server_request_add_ptr_reply(request, NULL, "4.3.2.1.in-addr.arpa", "deep.host.test", 5), 0);
	CHECK_EQUAL(evdns_server_request_add_ptr_reply(request, &in, "x", "y", 5), -1);
	CHECK_EQUAL(evdns_server_request_add_ptr_reply(request, NULL, NULL, "y", 5), -1);
	CHECK_EQUAL(evdns_server_request_add_reply(request, EVDNS_ADDITIONAL_SECTION, "more.test", EVDNS_TYPE_TXT, 1, 1, 6, 0, "\5text."), 0);
	CHECK_EQUAL(evdns_server_request_add_reply(request, EVDNS_AUTHORITY_SECTION, "test", EVDNS_TYPE_NS, 1, 1, 0, 1, "ns.test"), 0);
	CHECK_EQUAL(evdns_server_request_add_reply(request, EVDNS_ANSWER_SECTION, "test", 99, 3, 1, 5, 0, NULL), 0);
	CHECK_EQUAL(evdns_server_request_add_reply(request, 3, "test", 1, 1, 1, 4, 0, "abcd"), -1);
	CHECK_EQUAL(evdns_server_request_add_reply(request, -1, "test", 1, 1, 1, 4, 0, "abcd"), -1);
	evdns_server_request_set_flags(request, EVDNS_FLAGS_AA | EVDNS_FLAGS_RD);
	CHECK_EQUAL(evdns_server_request_respond(request, 16), -1);
	CHECK_EQUAL(evdns_server_request_respond(request, -1), -1);
	respond(request);
}

CASE(answers, ONE_BACKEND)
{
	begin_port(answer_everything);
	ask_for("host.test", TYPE_A, 0x0110);
	print_answer();
	end_port();
}

static void
answer_flags(struct evdns_server_request *request)
{
	evdns_server_request_set_flags(request, EVDNS_FLAGS_AA);
	if (requests == 2)
		evdns_server_request_set_flags(request, 0);
	printf("respond: %d\n", evdns_server_request_respond(request, requests));
}

CASE(flags_and_codes, ONE_BACKEND)
{
	begin_port(answer_flags);
	for (int i = 1; i < 16; i++) {
		ask_for("a.test", TYPE_A, 0x0100);
		print_answer();
	}
	end_port();
}

static void
change_case(struct evdns_server_request *request)
{
	char *name = request->questions[0]->name;

	CHECK_EQUAL(evdns_server_request_add_cname_reply(request, name, "target.test", 1), 0);
	name[0] = 'X';
	respond(request);
}

CASE(question_changed_in_place, ONE_BACKEND)
{
	begin_port(change_case);
	ask_for("host.test", TYPE_A, 0x0100);
	print_answer();
	end_port();
}

static void
keep(struct evdns_server_request *request)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	struct sockaddr_storage storage;

	CHECK_EQUAL(getsockname(client, (struct sockaddr *)&address, &length), 0);
	CHECK_EQUAL(evdns_server_request_get_requesting_addr(request, (struct sockaddr *)&storage, 3), -1);
	CHECK_EQUAL(evdns_server_request_get_requesting_addr(request, (struct sockaddr *)&storage, sizeof storage), sizeof address);
	CHECK_EQUAL(((struct sockaddr_in *)&storage)->sin_port, address.sin_port);
}

CASE(answered_later, ONE_BACKEND)
{
	begin_port(keep);
	ask_for("a.test", TYPE_A, 0x0100);
	ask_for("b.test", TYPE_A, 0x0100);
	ask_for("c.test", TYPE_A, 0x0100);
	print_answer();
	respond(kept[1]);
	print_answer();
	printf("drop: %d\n", evdns_server_request_drop(kept[0]));
	print_answer();
	respond(kept[2]);
	print_answer();
	end_port();
}

CASE(dropped, ONE_BACKEND)
{
	begin_port(NULL);
	ask_for("a.test", TYPE_A, 0x0100);
	printf("drop: %d\n", evdns_server_request_drop(kept[0]));
	print_answer();
	/* After this, nothing keeps the loop running. */
	evdns_close_server_port(port);
	port = NULL;
	printf("%d\n", event_base_dispatch(base));
	end_port();
}

static void
answer_twenty(struct evdns_server_request *request)
{
	for (int i = 0; i < 20; i++) {
		char name[40];

		snprintf(name, sizeof name, "n%d.a.domain.test", i);
		CHECK_EQUAL(evdns_server_request_add_a_reply(request, name, 1, "\1\2\3\4", 1), 0);
	}
	respond(request);
}

/* Names share their ends. */
CASE(compression, ONE_BACKEND)
{
	begin_port(answer_twenty);
	ask_for("domain.test", TYPE_A, 0x0100);
	print_answer();
	end_port();
}

/* As many labels as a question can have, and more in the answer. */
static void
answer_with_labels(struct evdns_server_request *request)
{
	const char *name = request->questions[0]->name;

	CHECK_EQUAL(evdns_server_request_add_cname_reply(request, name, "b.c.d.e", 1), 0);
	CHECK_EQUAL(evdns_server_request_add_cname_reply(request, "b.c.d.e", "f.g.h.i", 1), 0);
	CHECK_EQUAL(evdns_server_request_add_cname_reply(request, "f.g.h.i", name, 1), 0);
	respond(request);
}

CASE(more_labels_than_are_remembered, ONE_BACKEND)
{
	char name[2 * 127];

	for (size_t i = 0; i < sizeof name; i++)
		name[i] = i % 2 ? '.' : (char)('a' + i / 2 % 26);
	name[sizeof name - 1] = 0;
	begin_port(answer_with_labels);
	ask_for(name, TYPE_A, 0x0100);
	print_answer();
	end_port();
}

/* Walks over the records of an answer; the end of the last one. */
static size_t
walk(const uint8_t *bytes, size_t length, int *truncated)
{
	size_t at = 12;
	int questions = bytes[4] << 8 | bytes[5];
	int records = (bytes[6] << 8 | bytes[7]) + (bytes[8] << 8 | bytes[9]) + (bytes[10] << 8 | bytes[11]);

	*truncated = bytes[2] & 2;
	for (int i = 0; i < questions + records; i++) {
		while (bytes[at] && bytes[at] < 0xc0)
			at += 1 + bytes[at];
		at += bytes[at] ? 2 : 1;
		at += 4;
		if (i >= questions)
			at += 6 + (size_t)(bytes[at + 4] << 8 | bytes[at + 5]);
		CHECK(at <= length);
	}
	return at;
}

static void
answer_too_much(struct evdns_server_request *request)
{
	for (int i = 0; i < 100; i++)
		CHECK_EQUAL(evdns_server_request_add_a_reply(request, request->questions[0]->name, 1, "\1\2\3\4", 1), 0);
	respond(request);
}

DIFFERENCE(cut_answers_hold_whole_records, ONE_BACKEND, "an answer that does not fit is truncated inside a record, and claims to be complete")
{
	uint8_t bytes[2000];
	int truncated;
	ssize_t length;

	begin_port(answer_too_much);
	ask_for("domain.test", TYPE_A, 0x0100);
	length = take_answer(bytes);
	CHECK(length <= 512 && length > 400);
	CHECK_EQUAL(walk(bytes, (size_t)length, &truncated), length);
	CHECK(truncated);
	end_port();
}

static void
answer_long_label(struct evdns_server_request *request)
{
	char name[400];

	memset(name, 'a', 300);
	name[300] = 0;
	CHECK_EQUAL(evdns_server_request_add_a_reply(request, request->questions[0]->name, 1, "\1\2\3\4", 1), 0);
	evdns_server_request_add_cname_reply(request, request->questions[0]->name, name, 1);
	evdns_server_request_respond(request, 0);
}

DIFFERENCE(only_written_bytes_are_sent, ONE_BACKEND, "an answer that cannot be built is sent as 512 bytes of whatever was on the stack")
{
	uint8_t bytes[2000];
	int truncated;
	ssize_t length;

	begin_port(answer_long_label);
	ask_for("domain.test", TYPE_A, 0x0100);
	length = take_answer(bytes);
	CHECK(length > 0 && length < 100);
	CHECK_EQUAL(walk(bytes, (size_t)length, &truncated), length);
	CHECK(truncated);
	end_port();
}

static void
answer_three(struct evdns_server_request *request)
{
	CHECK_EQUAL(evdns_server_request_add_a_reply(request, request->questions[0]->name, 3, "\1\2\3\4\5\6\7\10abcd", 1), 0);
	respond(request);
}

DIFFERENCE(a_record_for_each_address, ONE_BACKEND, "several addresses are put into one record, which other resolvers do not understand")
{
	uint8_t bytes[2000];

	begin_port(answer_three);
	ask_for("domain.test", TYPE_A, 0x0100);
	CHECK(take_answer(bytes) > 0);
	CHECK_EQUAL(bytes[7], 3);
	end_port();
}

DIFFERENCE(short_datagrams, ONE_BACKEND, "a datagram of fewer than 12 bytes crashes a DNS server")
{
	begin_port(respond);
	for (size_t length = 0; length < 12; length++)
		ask("\x12\x34\1\0\0\1\0\0\0\0\0", length);
	ask_for("a.test", TYPE_A, 0x0100);
	CHECK_EQUAL(requests, 1);
	print_answer();
	end_port();
}

DIFFERENCE(other_operations, ONE_BACKEND, "a message that is not a query, such as an update, is passed to the program as a query")
{
	uint8_t bytes[2000];

	begin_port(respond);
	ask_for("a.test", TYPE_A, 0x2800);
	CHECK_EQUAL(requests, 0);
	CHECK_EQUAL(take_answer(bytes), 12);
	CHECK_EQUAL(bytes[2] << 8 | bytes[3], 0xa804);
	end_port();
}

static void
close_port(struct evdns_server_request *request)
{
	(void)request;
	if (port)
		evdns_close_server_port(port);
	port = NULL;
}

DIFFERENCE(closed_in_a_callback, ONE_BACKEND, "a server that is closed in its callback still reads, and uses freed memory after the last answer")
{
	begin_port(close_port);
	CHECK_EQUAL(send(client, "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19, 0), 19);
	CHECK_EQUAL(send(client, "\x12\x35\1\0\0\1\0\0\0\0\0\0\1b\0\0\1\0\1", 19, 0), 19);
	run_for(base, 10);
	CHECK_EQUAL(requests, 1);
	respond(kept[0]);
	print_answer();
	CHECK_EQUAL(event_base_dispatch(base), 1);
	end_port();
}

/* A port on one end of a pair of sockets, whose other end has room for few datagrams. */
DIFFERENCE(answers_wait_for_room_in_turn, ONE_BACKEND,
	"an answer that has to wait until the socket is writable is reported as failed, and later ones are sent before it")
{
	uint8_t bytes[2000];
	char name[20];
	int ends[2], later = 0, answered = 0, small = 1;

	base = new_base();
	CHECK_EQUAL(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	CHECK_EQUAL(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	client = ends[1];
	port = evdns_add_server_port_with_base(base, ends[0], 0, on_request, "data");
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "%c.test", 'a' + i);
		ask_for(name, TYPE_A, 0x0100);
	}
	CHECK_EQUAL(requests, 20);
	for (; !later && answered < 18; answered++)
		later = evdns_server_request_respond(kept[answered], 0);
	CHECK_EQUAL(later, 1);
	/* There is room for one again, but others are before this one. */
	CHECK(take_answer(bytes) > 12);
	printf("first %c\n", bytes[13]);
	for (; answered < 20; answered++)
		CHECK_EQUAL(evdns_server_request_respond(kept[answered], 0), 1);
	for (int taken = 1; taken < 20;) {
		while (take_answer(bytes) > 12) {
			printf("then %c\n", bytes[13]);
			taken++;
		}
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	end_port();
}

DIFFERENCE(blocking_socket, ONE_BACKEND, "with a blocking socket the loop hangs after the first question")
{
	int fd, number = 0;

	base = new_base();
	then = respond;
	fd = bound_socket(SOCK_DGRAM, &number);
	place = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)number)};
	CHECK_EQUAL(fcntl(fd, F_SETFL, 0), 0);
	alarm(30);
	port = evdns_add_server_port_with_base(base, fd, 0, on_request, "data");
	client = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	CHECK_EQUAL(connect(client, (struct sockaddr *)&place, sizeof place), 0);
	ask_for("a.test", TYPE_A, 0x0100);
	print_answer();
	end_port();
}

/* A socket that is always ready and never has a query: an unconnected TCP socket. */
DIFFERENCE(socket_that_fails, ONE_BACKEND, "a server whose socket fails makes the loop spin")
{
	struct timeval pause = {0, 200000};
	int passes = 0;

	base = new_base();
	event_set_log_callback(ignore_message);
	port = evdns_add_server_port_with_base(base, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), 0, on_request, "data");
	CHECK(port);
	event_base_once(base, -1, EV_TIMEOUT, note_pause, NULL, &pause);
	while (!pause_over) {
		passes++;
		event_base_loop(base, EVLOOP_ONCE);
	}
	CHECK(passes < 50);
	/* It has not given up: the loop still waits for it. */
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	evdns_close_server_port(port);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

/* Any bytes may be in a name, and other sections behind the questions. */
CASE(odd_names, ONE_BACKEND)
{
	static const char zero[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\5a\0b.c\4\344\tAz\0\0\1\0\1";
	static const char more[] = "\x12\x34\1\0\0\1\0\1\0\1\0\1\0\0\1\0\1\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4";
	static const char loop[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\300\14\0\1\0\1";
	struct message *message = calloc(1, sizeof *message);

	begin_port(respond);
	ask(zero, sizeof zero - 1);
	ask(more, sizeof more - 1);
	print_answer();
	print_answer();
	ask(loop, sizeof loop - 1);
	/* The largest that is read whole. */
	put(message, "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19);
	message->length = 1500;
	ask(message->bytes, message->length);
	print_answer();
	free(message);
	printf("%d requests\n", requests);
	end_port();
}

static int fill;

static void
answer_and_fill(struct evdns_server_request *request)
{
	static const char bytes[600];

	CHECK_EQUAL(evdns_server_request_add_reply(request, EVDNS_ANSWER_SECTION, request->questions[0]->name, EVDNS_TYPE_TXT, 1, 1, fill, 0, bytes), 0);
	CHECK_EQUAL(evdns_server_request_add_reply(request, EVDNS_ADDITIONAL_SECTION, "a", 99, 1, 1, 2, 0, bytes), 0);
	respond(request);
}

/* As much as there is room for, to the byte. */
CASE(full_answers, ONE_BACKEND)
{
	uint8_t bytes[2000];

	begin_port(answer_and_fill);
	/* One more is cut, by the reference in another place. */
	for (fill = 457; fill <= 461; fill++) {
		int length;

		ask_for("ab.test", TYPE_A, 0x0100);
		length = (int)take_answer(bytes);
		printf("%d bytes: %d, truncated %d\n", fill, fill < 461 ? length : 0, bytes[2] & 2);
	}
	end_port();
}

static void
answer_without_data(struct evdns_server_request *request)
{
	CHECK_EQUAL(evdns_server_request_add_reply(request, EVDNS_ANSWER_SECTION, "a.test", EVDNS_TYPE_CNAME, 1, 1, 0, 1, NULL), -1);
	respond(request);
}

DIFFERENCE(a_name_that_is_missing, ONE_BACKEND, "a record whose data is a name crashes if there is no name")
{
	begin_port(answer_without_data);
	ask_for("a.test", TYPE_A, 0x0100);
	print_answer();
	end_port();
}

/* What is asked: the name is a pointer, to `place`, behind which another name stands. */
static void
ask_pointing_to(uint8_t place)
{
	struct message *message = malloc(sizeof *message);

	message->length = 0;
	put(message, "\x12\x34\1\0\0\1\0\0\0\0\0\0", 12);
	put16(message, 0xc000 | place);
	put16(message, TYPE_A);
	put16(message, 1);
	put_name(message, "behind.test");
	ask(message->bytes, message->length);
	free(message);
}

DIFFERENCE(names_that_follow_their_pointer, ONE_BACKEND, "a question whose name is a pointer to what follows it is passed to the program")
{
	begin_port(respond);
	for (uint8_t place = 12; place < 30; place++)
		ask_pointing_to(place);
	CHECK_EQUAL(requests, 0);
	ask_for("a.test", TYPE_A, 0x0100);
	CHECK_EQUAL(requests, 1);
	end_port();
}

static int data_length;

static void
answer_at_length(struct evdns_server_request *request)
{
	static char data[70000] = "abcd";

	printf("%d bytes: %d\n", data_length, evdns_server_request_add_reply(request, EVDNS_ANSWER_SECTION, "a.test", 99, 1, 1, data_length, 0, data));
	respond(request);
}

CASE(data_of_a_record_count_modulo_65536, ONE_BACKEND)
{
	begin_port(answer_at_length);
	for (data_length = 65536; data_length <= 65540; data_length++) {
		ask_for("a.test", TYPE_A, 0x0100);
		print_answer();
	}
	end_port();
}

DIFFERENCE(descriptor_zero, ONE_BACKEND, "a server on descriptor 0 leaves it open")
{
	int fd, number = 0;

	base = new_base();
	then = respond;
	fd = bound_socket(SOCK_DGRAM, &number);
	CHECK_EQUAL(dup2(fd, 0), 0);
	close(fd);
	port = evdns_add_server_port_with_base(base, 0, 0, on_request, "data");
	CHECK(port);
	place = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)number)};
	client = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	CHECK_EQUAL(connect(client, (struct sockaddr *)&place, sizeof place), 0);
	ask_for("a.test", TYPE_A, 0x0100);
	print_answer();
	end_port();
	CHECK_EQUAL(fcntl(0, F_GETFD), -1);
}
