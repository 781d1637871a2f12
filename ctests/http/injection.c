/* What a program passes on from its input cannot become lines of a reply or of a request. */
#include "client_tools.h"

#include <sys/queue.h>

#define EVIL "\r\nX-Evil: 1"

/* No line of the reply begins with the injected header. */
static void
check_no_evil_line(const char *text)
{
	CHECK(!strstr(text, "\nX-Evil") && !strstr(text, "\rX-Evil"));
}

/* What comes back for one request without a body. */
static const char *
reply_to(const char *request)
{
	outcome(request, strlen(request), WHOLE);
	return answer.text;
}

#define REQUEST "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static void
reply_with_reason(struct evhttp_request *req, void *reason)
{
	evhttp_send_reply(req, 200, reason, NULL);
}

static void
stream_with_reason(struct evhttp_request *req, void *reason)
{
	evhttp_send_reply_start(req, 200, reason);
	evhttp_send_reply_end(req);
}

static void
fail_with_reason(struct evhttp_request *req, void *reason)
{
	evhttp_send_error(req, 404, reason);
}

/* The first line of a reply, with what the program gave as reason. */
static void
check_first_line(const char *reason, const char *wanted)
{
	static void (*const handlers[])(struct evhttp_request *, void *) = {
		reply_with_reason, stream_with_reason, fail_with_reason};
	int i;

	for (i = 0; i < 3; i++) {
		char line[100];
		const char *text;

		evhttp_set_gencb(http, handlers[i], (void *)reason);
		text = reply_to(REQUEST);
		snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\n", i == 2 ? 404 : 200, wanted);
		if (strncmp(text, line, strlen(line)) != 0)
			printf("%s instead of %s", text, line);
		CHECK(strncmp(text, line, strlen(line)) == 0);
		/* An error page has the reason in its body, too, as it was given. */
		*strstr(answer.text, "\r\n\r\n") = 0;
		check_no_evil_line(answer.text);
	}
}

CASE(reasons, ONE_BACKEND)
{
	start_server();
	check_first_line("Any Text, (also) this", "Any Text, (also) this");
	check_first_line("", "");
	check_first_line("\xe4\x01\t", "\xe4\x01\t");
	stop_server();
}

DIFFERENCE(line_ends_in_reasons, ONE_BACKEND,
	"line ends in the reason given to evhttp_send_reply() split the reply: they become headers that the program never set")
{
	start_server();
	check_first_line("OK" EVIL, "OK  X-Evil: 1");
	check_first_line("OK\nX-Evil: 1", "OK X-Evil: 1");
	check_first_line("OK\rX-Evil: 1", "OK X-Evil: 1");
	check_first_line("OK\r\n\r\nbody", "OK    body");
	stop_server();
}

static void
reply_with_headers(struct evhttp_request *req, void *value)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	CHECK_EQUAL(evhttp_add_header(headers, "X-Good", "fine"), 0);
	CHECK_EQUAL(evhttp_add_header(headers, "X-Bad", value), -1);
	CHECK_EQUAL(evhttp_add_header(headers, value, "1"), -1);
	evhttp_send_reply(req, 200, NULL, NULL);
}

CASE(line_ends_in_headers, ONE_BACKEND)
{
	const char *text;

	start_server();
	evhttp_set_gencb(http, reply_with_headers, EVIL);
	text = reply_to(REQUEST);
	CHECK(strstr(text, "\r\nX-Good: fine\r\n"));
	check_no_evil_line(text);
	stop_server();
}

/* Programs that change the list themselves bypass the checks of evhttp_add_header(). */
static void
reply_with_changed_headers(struct evhttp_request *req, void *value)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evkeyval *pair;

	CHECK_EQUAL(evhttp_add_header(headers, "X-One", "1"), 0);
	CHECK_EQUAL(evhttp_add_header(headers, "X-Two", "2"), 0);
	pair = headers->tqh_first;
	free(pair->value);
	pair->value = strdup(value);
	pair = pair->next.tqe_next;
	free(pair->key);
	pair->key = strdup(value);
	evhttp_send_reply(req, 200, NULL, NULL);
}

DIFFERENCE(line_ends_in_changed_headers, ONE_BACKEND,
	"line ends in a header that a program has changed itself reach the wire and split the reply")
{
	start_server();
	evhttp_set_gencb(http, reply_with_changed_headers, "a" EVIL);
	check_no_evil_line(reply_to(REQUEST));
	evhttp_set_gencb(http, reply_with_changed_headers, "a\nX-Evil: 1");
	check_no_evil_line(reply_to(REQUEST));
	evhttp_set_gencb(http, reply_with_changed_headers, "a\rX-Evil: 1");
	check_no_evil_line(reply_to(REQUEST));
	stop_server();
}

static void
reply_with_body(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add(body, "x", 1);
	evhttp_send_reply(req, 200, NULL, body);
	evbuffer_free(body);
}

CASE(line_ends_in_the_default_type, ONE_BACKEND)
{
	start_server();
	evhttp_set_gencb(http, reply_with_body, NULL);
	evhttp_set_default_content_type(http, "text/plain" EVIL);
	check_no_evil_line(reply_to(REQUEST));
	stop_server();
}

/* The page that the library makes itself quotes what was asked for. */
CASE(the_page_for_unknown_paths, ONE_BACKEND)
{
	const char *text;

	start_server();
	evhttp_set_gencb(http, NULL, NULL);
	text = reply_to("GET /<script>'\"&</script> HTTP/1.1\r\n\r\n");
	puts(strstr(text, "\r\n\r\n"));
	CHECK(!strstr(text, "<script>"));
	stop_server();
}

/* --- Requests --- */

static const char *
sent_for(const char *uri, int wanted)
{
	struct evhttp_connection *client = new_client();
	struct evhttp_request *req = new_request();
	const char *text = "";
	int fd;

	CHECK_EQUAL(evhttp_add_header(evhttp_request_get_output_headers(req), "X", "a" EVIL), -1);
	CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, uri), wanted);
	if (wanted == 0) {
		fd = accept_client();
		text = read_until(fd, "\r\n\r\n");
		close(fd);
	}
	evhttp_connection_free(client);
	return text;
}

CASE(targets_as_they_are, ONE_BACKEND)
{
	start_peer();
	CHECK_STRING(sent_for("/a b?c\td#e", 0), "GET /a b?c\td#e HTTP/1.1\r\n\r\n");
	CHECK_STRING(sent_for("*", 0), "GET * HTTP/1.1\r\n\r\n");
	CHECK_STRING(sent_for("http://h/\xe4", 0), "GET http://h/\xe4 HTTP/1.1\r\n\r\n");
	stop_peer();
}

DIFFERENCE(line_ends_in_targets, ONE_BACKEND,
	"line ends in the URI given to evhttp_make_request() become headers, or further requests, that the program never made")
{
	start_peer();
	seen[0] = 0;
	sent_for("/ HTTP/1.1\r\nX-Evil: 1\r\nY:", -1);
	sent_for("/\nX-Evil: 1", -1);
	sent_for("/\rX-Evil: 1", -1);
	sent_for("/\n", -1);
	turn();
	CHECK_STRING(seen, "");
	stop_peer();
}

DIFFERENCE(line_ends_in_changed_headers_of_requests, ONE_BACKEND,
	"line ends in a header that a program has changed itself reach the wire and split the request")
{
	struct evhttp_connection *client;
	struct evhttp_request *req;
	struct evkeyval *pair;
	int fd;

	start_peer();
	client = new_client();
	req = new_request();
	CHECK_EQUAL(evhttp_add_header(evhttp_request_get_output_headers(req), "X", "1"), 0);
	pair = evhttp_request_get_output_headers(req)->tqh_first;
	free(pair->value);
	pair->value = strdup("1" EVIL);
	if (evhttp_make_request(client, req, EVHTTP_REQ_GET, "/") == 0) {
		fd = accept_client();
		check_no_evil_line(read_until(fd, "\r\n\r\n"));
		close(fd);
	}
	evhttp_connection_free(client);
	stop_peer();
}
