/* What a server, or a client, makes of streams of bytes: one line for each. The streams come on standard input,
 * each after a line with its length and its division. */
#include "http/client_tools.h"

#include <sys/queue.h>
#include <unistd.h>

enum { LONGEST = 1 << 16 };

static char stream[LONGEST];

static void
see_headers(struct evkeyvalq *headers)
{
	struct evkeyval *header;

	TAILQ_FOREACH(header, headers, next) {
		see("{");
		see_bytes(header->key, strlen(header->key));
		see("=");
		see_bytes(header->value, strlen(header->value));
		see("}");
	}
}

static void
see_body(struct evbuffer *body)
{
	size_t length = evbuffer_get_length(body);

	if (length) {
		see("[");
		see_bytes((char *)evbuffer_pullup(body, -1), length);
		see("]");
	}
}

/* --- A server --- */

static void
reply_to(struct evhttp_request *req, void *arg)
{
	struct evbuffer *reply = evbuffer_new();
	const char *host = evhttp_request_get_host(req);

	(void)arg;
	see("%s ", method_name(evhttp_request_get_command(req)));
	see_bytes(evhttp_request_get_uri(req), strlen(evhttp_request_get_uri(req)));
	see(" %d.%d ", req->major, req->minor);
	see_bytes(host ? host : "-", strlen(host ? host : "-"));
	see(" ");
	see_headers(evhttp_request_get_input_headers(req));
	see_body(evhttp_request_get_input_buffer(req));
	see("; ");
	evbuffer_add(reply, "ok", 2);
	evhttp_send_reply(req, 200, NULL, reply);
	evbuffer_free(reply);
}

/* The replies but for their dates. */
static void
see_replies(void)
{
	const char *text = answer.text, *date;

	while ((date = strstr(text, "\r\nDate: ")) != NULL) {
		see_bytes(text, (size_t)(date - text));
		see("\\x0d\\x0aDate");
		text = strstr(date + 2, "\r\n");
	}
	see_bytes(text, strlen(text));
	see(answer.ended ? " end" : " open");
}

static void
outcome_of_server(size_t length, int cut)
{
	send_divided(stream, length, cut);
	see("-> ");
	see_replies();
	settle(-1);
}

/* --- A client --- */

static void
see_reply(struct evhttp_request *req, void *arg)
{
	(void)arg;
	requests_done++;
	if (!req || !evhttp_request_get_response_code(req)) {
		see("no reply; ");
		return;
	}
	see("%d ", evhttp_request_get_response_code(req));
	see_bytes(evhttp_request_get_response_code_line(req), strlen(evhttp_request_get_response_code_line(req)));
	see(" %d.%d ", req->major, req->minor);
	see_headers(evhttp_request_get_input_headers(req));
	see_body(evhttp_request_get_input_buffer(req));
	see("; ");
}

static void
outcome_of_client(size_t length, int cut)
{
	struct evhttp_connection *client = new_client();
	struct evhttp_request *req = evhttp_request_new(see_reply, NULL);
	int fd;

	requests_done = 0;
	evhttp_request_set_error_cb(req, note_error);
	CHECK(evhttp_make_request(client, req, EVHTTP_REQ_GET, "/") == 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	answer_divided(fd, stream, length, cut);
	TURN_UNTIL(requests_done == 1);
	evhttp_connection_free(client);
}

/* --- The streams --- */

static void
read_streams(void (*see_outcome)(size_t length, int cut))
{
	size_t length;
	int cut;

	while (scanf("%zu %d", &length, &cut) == 2) {
		CHECK(length <= sizeof stream && getchar() == '\n' && fread(stream, 1, length, stdin) == length);
		seen[0] = 0;
		memset(&answer, 0, sizeof answer);
		see_outcome(length, cut);
		puts(seen);
		fflush(stdout);
	}
}

CASE(server, ONE_BACKEND)
{
	start_server();
	evhttp_set_gencb(http, reply_to, NULL);
	evhttp_set_max_headers_size(http, 2000);
	evhttp_set_max_body_size(http, 2000);
	evhttp_set_allowed_methods(http, 0xff);
	read_streams(outcome_of_server);
	stop_server();
}

CASE(client, ONE_BACKEND)
{
	start_peer();
	read_streams(outcome_of_client);
	stop_peer();
}
