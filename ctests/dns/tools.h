/* What the tests of dns share: a name server of plain sockets in the same loop, whose answers each
 * case makes itself, and callbacks that print what they receive. */
#ifndef CTESTS_DNS_TOOLS_H
#define CTESTS_DNS_TOOLS_H

#include "trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define DNS_ static __attribute__((unused))

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_AAAA = 28 };
enum { FLAG_TC = 0x0200 };

/* A question as the server got it. */
struct query {
	uint8_t raw[1500];
	size_t length, question_end;
	char name[300];
	int type;
	struct sockaddr_storage from;
	socklen_t from_length;
	int stream; /* the connection, or -1 */
};

/* A message that is being built. */
struct message {
	uint8_t bytes[70000];
	size_t length;
};

struct server {
	const char *label;
	int fd, listener, port;
	int queries, streamed;
	int quiet; /* does not print questions */
	void (*answer)(struct server *server, const struct query *query);
	struct event *event, *accept_event;
	struct connection *connections;
};

static struct event_base *base __attribute__((unused));
static struct evdns_base *dns __attribute__((unused));
static struct server server __attribute__((unused)), second __attribute__((unused));

DNS_ void
put(struct message *message, const void *bytes, size_t length)
{
	memcpy(message->bytes + message->length, bytes, length);
	message->length += length;
}

DNS_ void
put16(struct message *message, unsigned value)
{
	uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	put(message, bytes, 2);
}

DNS_ void
put32(struct message *message, uint32_t value)
{
	put16(message, value >> 16);
	put16(message, value & 0xffff);
}

DNS_ void
put_name(struct message *message, const char *name)
{
	while (*name) {
		size_t length = strcspn(name, ".");
		uint8_t first = (uint8_t)length;

		put(message, &first, 1);
		put(message, name, length);
		name += length + (name[length] == '.');
	}
	put(message, "", 1);
}

/* The head of an answer, with the question. */
DNS_ void
begin_answer(struct message *message, const struct query *query, int flags, int answers, int authority)
{
	message->length = 0;
	put(message, query->raw, 2);
	put16(message, 0x8180 | (unsigned)flags);
	put16(message, 1);
	put16(message, (unsigned)answers);
	put16(message, (unsigned)authority);
	put16(message, 0);
	put(message, query->raw + 12, query->question_end - 12);
}

/* A record for the name of the question. */
DNS_ void
put_record(struct message *message, int type, uint32_t ttl, const void *data, size_t length)
{
	put16(message, 0xc00c);
	put16(message, (unsigned)type);
	put16(message, 1);
	put32(message, ttl);
	put16(message, (unsigned)length);
	put(message, data, length);
}

DNS_ void
put_name_record(struct message *message, int type, uint32_t ttl, const char *name)
{
	struct message *data = malloc(sizeof *data);

	data->length = 0;
	put_name(data, name);
	put_record(message, type, ttl, data->bytes, data->length);
	free(data);
}

DNS_ void
put_a(struct message *message, uint32_t ttl, const char *address)
{
	struct in_addr in;

	CHECK_EQUAL(inet_pton(AF_INET, address, &in), 1);
	put_record(message, TYPE_A, ttl, &in, 4);
}

DNS_ void
put_aaaa(struct message *message, uint32_t ttl, const char *address)
{
	struct in6_addr in;

	CHECK_EQUAL(inet_pton(AF_INET6, address, &in), 1);
	put_record(message, TYPE_AAAA, ttl, &in, 16);
}

DNS_ void
put_soa(struct message *message, uint32_t ttl, uint32_t minimum)
{
	struct message *data = malloc(sizeof *data);

	data->length = 0;
	put_name(data, "ns.example.com");
	put_name(data, "root.example.com");
	for (int i = 0; i < 4; i++)
		put32(data, 1000);
	put32(data, minimum);
	put_record(message, TYPE_SOA, ttl, data->bytes, data->length);
	free(data);
}

DNS_ void
send_bytes(struct server *from, const struct query *query, const void *bytes, size_t length)
{
	if (query->stream >= 0) {
		uint8_t head[2] = {(uint8_t)(length >> 8), (uint8_t)length};

		/* The resolver may have closed the connection. */
		if (send(query->stream, head, 2, MSG_NOSIGNAL) == 2)
			CHECK(send(query->stream, bytes, length, MSG_NOSIGNAL) == (ssize_t)length || errno == EPIPE || errno == ECONNRESET);
		return;
	}
	CHECK_EQUAL(sendto(from->fd, bytes, length, 0, (const struct sockaddr *)&query->from, query->from_length), length);
}

DNS_ void
send_message(struct server *from, const struct query *query, const struct message *message)
{
	send_bytes(from, query, message->bytes, message->length);
}

/* An answer without records. */
DNS_ void
answer_empty(struct server *from, const struct query *query, int flags)
{
	struct message *message = malloc(sizeof *message);

	begin_answer(message, query, flags, 0, 0);
	send_message(from, query, message);
	free(message);
}

/* One address of the type that was asked for; nothing of another type. */
DNS_ void
answer_address(struct server *from, const struct query *query)
{
	struct message *message = malloc(sizeof *message);

	begin_answer(message, query, 0, query->type == TYPE_A || query->type == TYPE_AAAA, 0);
	if (query->type == TYPE_A)
		put_a(message, 60, "192.0.2.1");
	else if (query->type == TYPE_AAAA)
		put_aaaa(message, 60, "2001:db8::1");
	send_message(from, query, message);
	free(message);
}

DNS_ const char *
type_name(int type)
{
	static char number[20];

	switch (type) {
	case TYPE_A:
		return "A";
	case TYPE_AAAA:
		return "AAAA";
	case TYPE_PTR:
		return "PTR";
	}
	snprintf(number, sizeof number, "type %d", type);
	return number;
}

/* Reads a question; the case of letters is random, so small ones are shown. */
DNS_ void
parse_query(struct query *query)
{
	size_t at = 12, out = 0;

	CHECK(query->length >= 17);
	while (query->raw[at]) {
		size_t length = query->raw[at++];

		CHECK(length < 64 && at + length < query->length && out + length + 2 < sizeof query->name);
		if (out)
			query->name[out++] = '.';
		for (size_t i = 0; i < length; i++) {
			uint8_t byte = query->raw[at++];

			query->name[out++] = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
		}
	}
	query->name[out] = 0;
	query->type = query->raw[at + 1] << 8 | query->raw[at + 2];
	query->question_end = at + 5;
}

DNS_ void
take_query(struct server *to, struct query *query)
{
	parse_query(query);
	to->queries++;
	if (!to->quiet)
		printf("%s asked%s: %s %s\n", to->label, query->stream >= 0 ? " over TCP" : "", type_name(query->type), query->name);
	if (to->answer)
		to->answer(to, query);
}

DNS_ void
datagram_waits(evutil_socket_t fd, short what, void *arg)
{
	struct query query;
	ssize_t length;

	(void)what;
	for (;;) {
		query.from_length = sizeof query.from;
		length = recvfrom(fd, query.raw, sizeof query.raw, MSG_DONTWAIT, (struct sockaddr *)&query.from, &query.from_length);
		if (length < 0)
			return;
		query.length = (size_t)length;
		query.stream = -1;
		take_query(arg, &query);
	}
}

struct connection {
	struct server *server;
	struct connection *next;
	struct event *event;
	uint8_t bytes[4096];
	size_t length;
};

DNS_ void
end_connection(struct connection *connection)
{
	struct connection **place = &connection->server->connections;

	while (*place != connection)
		place = &(*place)->next;
	*place = connection->next;
	close(event_get_fd(connection->event));
	event_free(connection->event);
	free(connection);
}

DNS_ void
stream_waits(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;
	ssize_t length = recv(fd, connection->bytes + connection->length, sizeof connection->bytes - connection->length, 0);

	(void)what;
	if (length <= 0) {
		end_connection(connection);
		return;
	}
	connection->length += (size_t)length;
	while (connection->length >= 2) {
		size_t size = (size_t)(connection->bytes[0] << 8 | connection->bytes[1]);
		struct query query;

		if (connection->length < 2 + size)
			return;
		CHECK(size <= sizeof query.raw);
		memcpy(query.raw, connection->bytes + 2, size);
		query.length = size;
		query.stream = fd;
		connection->server->streamed++;
		take_query(connection->server, &query);
		connection->length -= 2 + size;
		memmove(connection->bytes, connection->bytes + 2 + size, connection->length);
	}
}

DNS_ void
connection_waits(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = calloc(1, sizeof *connection);
	int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	CHECK(accepted >= 0);
	connection->server = arg;
	connection->next = connection->server->connections;
	connection->server->connections = connection;
	connection->event = event_new(base, accepted, EV_READ | EV_PERSIST, stream_waits, connection);
	event_add(connection->event, NULL);
}

/* A socket of this kind on the loopback address, at a port that is free for both kinds. */
DNS_ int
bound_socket(int kind, int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	address.sin_port = htons((uint16_t)*port);
	if (bind(fd, (struct sockaddr *)&address, sizeof address)) {
		close(fd);
		return -1;
	}
	CHECK_EQUAL(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

DNS_ void
start_server(struct server *new, const char *label, void (*answer)(struct server *, const struct query *))
{
	memset(new, 0, sizeof *new);
	new->label = label;
	new->answer = answer;
	do {
		new->port = 0;
		new->listener = bound_socket(SOCK_STREAM, &new->port);
		new->fd = bound_socket(SOCK_DGRAM, &new->port);
		if (new->fd < 0)
			close(new->listener);
	} while (new->fd < 0);
	CHECK_EQUAL(listen(new->listener, 10), 0);
	new->event = event_new(base, new->fd, EV_READ | EV_PERSIST, datagram_waits, new);
	new->accept_event = event_new(base, new->listener, EV_READ | EV_PERSIST, connection_waits, new);
	event_add(new->event, NULL);
	event_add(new->accept_event, NULL);
}

DNS_ void
stop_server(struct server *old)
{
	while (old->connections)
		end_connection(old->connections);
	event_free(old->event);
	event_free(old->accept_event);
	close(old->fd);
	close(old->listener);
	old->event = NULL;
}

DNS_ struct sockaddr_in
address_of(const struct server *of)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	address.sin_port = htons((uint16_t)of->port);
	return address;
}

DNS_ int
add_server(struct evdns_base *to, const struct server *new)
{
	struct sockaddr_in address = address_of(new);

	return evdns_base_nameserver_sockaddr_add(to, (struct sockaddr *)&address, sizeof address, 0);
}

DNS_ void
set(const char *option, const char *value)
{
	CHECK_EQUAL(evdns_base_set_option(dns, option, value), 0);
}

/* A loop, a server and a resolver that asks it. */
DNS_ void
begin(void (*answer)(struct server *, const struct query *))
{
	base = new_base();
	start_server(&server, "server", answer);
	dns = evdns_base_new(base, 0);
	CHECK(dns);
	CHECK_EQUAL(add_server(dns, &server), 0);
}

DNS_ void
end(void)
{
	if (dns)
		evdns_base_free(dns, 0);
	if (second.event)
		stop_server(&second);
	if (server.event)
		stop_server(&server);
	event_base_free(base);
}

/* How many results were reported. */
static int reported __attribute__((unused));

DNS_ void
print_result(const char *name, int result, char type, int count, int ttl, void *addresses)
{
	char text[INET6_ADDRSTRLEN];

	printf("%s: %s, type %d, count %d, ttl %d", name, evdns_err_to_string(result), type, count, ttl);
	for (int i = 0; i < count; i++) {
		if (type == DNS_PTR)
			printf(" %s", ((char **)addresses)[i]);
		else
			printf(" %s", inet_ntop(type == DNS_IPv4_A ? AF_INET : AF_INET6, (char *)addresses + i * (type == DNS_IPv4_A ? 4 : 16),
						text, sizeof text));
	}
	printf("%s\n", addresses ? "" : ", no data");
}

DNS_ void
on_result(int result, char type, int count, int ttl, void *addresses, void *name)
{
	reported++;
	print_result(name, result, type, count, ttl, addresses);
}

/* Runs the loop until this many more results were reported. */
DNS_ void
wait_for(int *counter, int more)
{
	int wanted = *counter + more;
	long long deadline = milliseconds() + 30000;

	while (*counter < wanted) {
		CHECK(milliseconds() < deadline);
		event_base_loop(base, EVLOOP_ONCE);
	}
}

/* Looks the IPv4 addresses of a name up and waits for the result. */
DNS_ void
resolve_ipv4(const char *name, int flags)
{
	CHECK(evdns_base_resolve_ipv4(dns, name, flags, on_result, (void *)name));
	wait_for(&reported, 1);
}

DNS_ void
resolve_ipv6(const char *name, int flags)
{
	CHECK(evdns_base_resolve_ipv6(dns, name, flags, on_result, (void *)name));
	wait_for(&reported, 1);
}

/* For counting passes of a loop in some time. */
static int pause_over __attribute__((unused));

DNS_ void
note_pause(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	pause_over = 1;
}

DNS_ void
ignore_message(int severity, const char *message)
{
	(void)severity, (void)message;
}

#endif
