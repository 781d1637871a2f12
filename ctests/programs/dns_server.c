/* A DNS server made with the library. usage: dns_server PORT. It knows test.: A and AAAA of any
 * name, MX, TXT and NS of test itself, an alias, names that do not exist (absent.test), names of
 * addresses, a name with many addresses (many.test), and one that is answered late (late.test). */
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static struct event_base *base;

static void
respond(struct evdns_server_request *request, int code)
{
	if (evdns_server_request_respond(request, code) < 0)
		evdns_server_request_drop(request);
}

static void
answer_late(evutil_socket_t fd, short what, void *arg)
{
	struct evdns_server_request *request = arg;

	(void)fd, (void)what;
	evdns_server_request_add_a_reply(request, request->questions[0]->name, 1, "\12\0\0\11", 60);
	respond(request, 0);
}

/* The records of a name that exists. */
static void
add_records(struct evdns_server_request *request, int type, const char *name)
{
	char addresses[4 * 100];

	switch (type) {
	case EVDNS_TYPE_A:
		if (!strcasecmp(name, "many.test")) {
			for (int i = 0; i < 100; i++)
				memcpy(addresses + 4 * i, (char[4]){10, 0, 1, (char)i}, 4);
			evdns_server_request_add_a_reply(request, name, 100, addresses, 60);
		} else {
			evdns_server_request_add_a_reply(request, name, 2, "\12\0\0\1\12\0\0\2", 60);
		}
		break;
	case EVDNS_TYPE_AAAA:
		evdns_server_request_add_aaaa_reply(request, name, 1, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 60);
		break;
	case EVDNS_TYPE_MX:
		evdns_server_request_add_reply(request, EVDNS_ANSWER_SECTION, name, EVDNS_TYPE_MX, 1, 60, 13, 0, "\0\12\4mail\4test");
		evdns_server_request_add_reply(request, EVDNS_ADDITIONAL_SECTION, "mail.test", EVDNS_TYPE_A, 1, 60, 4, 0, "\12\0\0\3");
		break;
	case EVDNS_TYPE_TXT:
		evdns_server_request_add_reply(request, EVDNS_ANSWER_SECTION, name, EVDNS_TYPE_TXT, 1, 60, 12, 0, "\5hello\5world");
		break;
	case EVDNS_TYPE_NS:
		evdns_server_request_add_reply(request, EVDNS_ANSWER_SECTION, "test", EVDNS_TYPE_NS, 1, 60, 0, 1, "ns.test");
		evdns_server_request_add_reply(request, EVDNS_ADDITIONAL_SECTION, "ns.test", EVDNS_TYPE_A, 1, 60, 4, 0, "\12\0\0\4");
		break;
	}
}

static void
on_request(struct evdns_server_request *request, void *arg)
{
	struct evdns_server_question *question = request->questions[0];
	const char *name = question->name;
	struct timeval later = {0, 200000};
	size_t length = strlen(name);

	(void)arg;
	evdns_server_request_set_flags(request, EVDNS_FLAGS_AA | EVDNS_FLAGS_RD);
	if (question->type == EVDNS_TYPE_PTR) {
		evdns_server_request_add_ptr_reply(request, NULL, name, "host.test", 60);
		respond(request, 0);
		return;
	}
	if (length < 4 || strcasecmp(name + length - 4, "test")) {
		respond(request, 5);
		return;
	}
	if (!strcasecmp(name, "absent.test")) {
		evdns_server_request_add_reply(request, EVDNS_AUTHORITY_SECTION, "test", EVDNS_TYPE_SOA, 1, 60, 22, 0,
		    "\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\36");
		respond(request, 3);
		return;
	}
	if (!strcasecmp(name, "late.test")) {
		event_base_once(base, -1, EV_TIMEOUT, answer_late, request, &later);
		return;
	}
	if (!strcasecmp(name, "alias.test")) {
		evdns_server_request_add_cname_reply(request, name, "host.test", 60);
		name = "host.test";
	}
	add_records(request, question->type, name);
	respond(request, 0);
}

static void
stop(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what, (void)arg;
	event_base_loopbreak(base);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct evdns_server_port *port;
	struct event *term;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc < 2)
		return 2;
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	if (bind(fd, (struct sockaddr *)&address, sizeof address))
		return 1;
	evutil_make_socket_nonblocking(fd);
	base = event_base_new();
	port = evdns_add_server_port_with_base(base, fd, 0, on_request, NULL);
	term = evsignal_new(base, SIGTERM, stop, NULL);
	if (!port || event_add(term, NULL))
		return 1;
	puts("ready");
	fflush(stdout);
	event_base_dispatch(base);
	evdns_close_server_port(port);
	event_free(term);
	event_base_free(base);
	return 0;
}
