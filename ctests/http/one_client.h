/* What tests with one connection of a client share. */
#ifndef CTESTS_HTTP_ONE_CLIENT_H
#define CTESTS_HTTP_ONE_CLIENT_H

#include "client_tools.h"

static struct evhttp_connection *connection __attribute__((unused));
static int closes __attribute__((unused));

ALLOCATOR_ void
note_close(struct evhttp_connection *evcon, void *arg)
{
	CHECK(evcon == connection && arg == &closes);
	/* The address stays valid until here. */
	CHECK(evhttp_connection_get_addr(evcon) != NULL);
	see("closed; ");
	closes++;
}

ALLOCATOR_ void
new_connection(int port)
{
	seen[0] = 0;
	connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)port);
	CHECK(connection != NULL);
	evhttp_connection_set_closecb(connection, note_close, &closes);
}

ALLOCATOR_ struct evhttp_request *
request(enum evhttp_cmd_type method, const char *uri)
{
	struct evhttp_request *req = evhttp_request_new(note_reply, NULL);

	evhttp_request_set_error_cb(req, note_error);
	CHECK_EQUAL(evhttp_make_request(connection, req, method, uri), 0);
	return req;
}

ALLOCATOR_ void
answer_with(int fd, const char *text)
{
	CHECK_EQUAL(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static const char ok[] __attribute__((unused)) = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#endif
