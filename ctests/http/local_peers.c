/* Clients on sockets of the local kind, whose addresses may be longer than those of the internet. */
#include "tools.h"

static void
note_peer(struct evhttp_request *req, void *arg)
{
	char *address;
	ev_uint16_t port;

	evhttp_connection_get_peer(evhttp_request_get_connection(req), &address, &port);
	CHECK(address);
	note_and_reply(req, arg);
}

/* A client that has bound its socket to a name of so many characters. */
static void
ask_from(size_t length)
{
	struct sockaddr_un own = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* In the abstract space: no file is left behind. */
	snprintf(own.sun_path + 1, sizeof own.sun_path - 1, "%d%0*d", (int)getpid(), (int)length, 0);
	CHECK(bind(fd, (struct sockaddr *)&own, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0);
	CHECK(connect(fd, (struct sockaddr *)&server_address, server_address_length) == 0);
	CHECK(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
	seen[0] = 0;
	memset(&answer, 0, sizeof answer);
	settle(fd);
	printf("%zu: %s%.15s\n", length, seen, answer.text);
	close(fd);
	settle(-1);
}

CASE(long_names, ONE_BACKEND)
{
	start_server();
	evhttp_set_gencb(http, note_peer, NULL);
	ask_from(20);
	ask_from(26);
	ask_from(27);
	ask_from(60);
	ask_from(sizeof ((struct sockaddr_un *)0)->sun_path);
	stop_server();
}
