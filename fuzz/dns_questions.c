/* Coverage-guided: the input is a datagram for a DNS server made with the library, and what the program
 * adds to the answer. The server must send a well-formed message of at most 512 bytes. */
#define _GNU_SOURCE
#include "checks.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

static struct event_base *base;
static int client;
static const uint8_t *choices;
static size_t choices_left;

static int
choice(void)
{
	if (!choices_left)
		return 0;
	choices_left--;
	return *choices++;
}

static void
ignore_message(int severity, const char *message)
{
	(void)severity, (void)message;
}

static void
on_request(struct evdns_server_request *request, void *arg)
{
	char name[600], usual[600] = "a.Name.test";
	size_t length;

	(void)arg;
	for (int i = 0; i < request->nquestions; i++)
		CHECK(strlen(request->questions[i]->name) <= 255);
	while (choices_left) {
		for (length = (size_t)choice() * 2; length > 0 && choices_left && length < sizeof name - 1;) {
			name[--length] = (char)choice();
		}
		name[sizeof name - 1] = 0;
		const char *owner = choice() & 1 ? request->questions[0]->name : "some.Name.test";

		evdns_server_request_add_reply(request, choice() % 4, owner, choice(), 1, choice(), choice(), choice() & 1, choice() & 1 ? name : usual);
	}
	if (evdns_server_request_respond(request, choice() % 20) < 0)
		evdns_server_request_drop(request);
}

static size_t
skip_name(const uint8_t *bytes, size_t length, size_t at)
{
	size_t start = at;

	for (;;) {
		CHECK(at < length);
		if (bytes[at] >= 0xc0) {
			CHECK(at + 1 < length);
			CHECK((size_t)((bytes[at] & 63) << 8 | bytes[at + 1]) < start);
			return at + 2;
		}
		CHECK(bytes[at] < 64);
		if (!bytes[at])
			return at + 1;
		at += 1 + bytes[at];
	}
}

static void
check_answer(const uint8_t *bytes, size_t length)
{
	size_t at = 12;
	int questions, records;

	CHECK(length >= 12 && length <= 512);
	questions = bytes[4] << 8 | bytes[5];
	records = (bytes[6] << 8 | bytes[7]) + (bytes[8] << 8 | bytes[9]) + (bytes[10] << 8 | bytes[11]);
	CHECK(bytes[2] & 0x80);
	for (int i = 0; i < questions + records; i++) {
		at = skip_name(bytes, length, at) + 4;
		if (i >= questions) {
			CHECK(at + 6 <= length);
			at += 6 + (size_t)(bytes[at + 4] << 8 | bytes[at + 5]);
		}
		CHECK(at <= length);
	}
	CHECK_EQUAL(at, length);
}

static void
begin(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	event_set_log_callback(ignore_message);
	base = event_base_new();
	CHECK_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	CHECK_EQUAL(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	CHECK(evdns_add_server_port_with_base(base, fd, 0, on_request, NULL));
	client = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	CHECK_EQUAL(connect(client, (struct sockaddr *)&address, sizeof address), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t good[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\4host\4Name\4test\0\0\1\0\1";
	uint8_t answer[2000];
	size_t length;
	ssize_t received;

	if (size < 1)
		return 0;
	if (!base)
		begin();
	if (data[0] & 1) {
		/* A valid query, and an odd program. */
		CHECK(send(client, good, sizeof good - 1, 0) > 0);
		choices = data + 1;
		choices_left = size - 1;
	} else {
		length = size - 1 < 600 ? size - 1 : 600;
		CHECK(send(client, data + 1, length, 0) >= 0);
		choices_left = 0;
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	while ((received = recv(client, answer, sizeof answer, 0)) > 0)
		check_answer(answer, (size_t)received);
	return 0;
}
