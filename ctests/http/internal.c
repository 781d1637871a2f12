/* Functions that no header declares, but that the library exports, and its own tests and some programs call. */
#include "client_tools.h"

int evhttp_parse_firstline_(struct evhttp_request *, struct evbuffer *);
int evhttp_parse_headers_(struct evhttp_request *, struct evbuffer *);
int evhttp_str_is_chunked_(const char *, const char *);
int evhttp_check_transfer_encoding_(const char *);
void evhttp_response_code_(struct evhttp_request *, int, const char *);
void evhttp_send_page_(struct evhttp_request *, struct evbuffer *);
int evhttp_connection_connect_(struct evhttp_connection *);
void evhttp_connection_reset_(struct evhttp_connection *);
void evhttp_start_read_(struct evhttp_connection *);
void evhttp_start_write_(struct evhttp_connection *);

/* --- Parsing without a connection --- */

static struct evhttp_request *req;
static struct evbuffer *buffer;

static void
see_text(const char *text)
{
	see("[");
	if (text)
		see_bytes(text, strlen(text));
	see("]");
}

/* Calls a parser after each byte, or once. */
static int
parse(int (*parser)(struct evhttp_request *, struct evbuffer *), const char **bytes, size_t *length, int trickles)
{
	int status = 0;

	while (*length && status == 0) {
		size_t count = trickles ? 1 : *length;

		evbuffer_add(buffer, *bytes, count);
		*bytes += count;
		*length -= count;
		status = parser(req, buffer);
	}
	return status;
}

static const char *
parsed(enum evhttp_request_kind kind, const char *bytes, size_t length, int trickles)
{
	struct evkeyval *pair;
	int status;

	seen[0] = 0;
	req = evhttp_request_new(NULL, NULL);
	CHECK_EQUAL(req->kind, EVHTTP_RESPONSE);
	req->kind = kind;
	buffer = evbuffer_new();
	status = parse(evhttp_parse_firstline_, &bytes, &length, trickles);
	see("%d: ", status);
	if (status == 1) {
		see("method %d uri ", req->type);
		see_text(req->uri);
		see(" parts %d, %d.%d, code %d ", req->uri_elems != NULL, req->major, req->minor, req->response_code);
		see_text(req->response_code_line);
		evbuffer_add(buffer, bytes, trickles ? 0 : length);
		/* What came with the first line is looked at, too. */
		status = evhttp_parse_headers_(req, buffer);
		if (status == 0)
			status = parse(evhttp_parse_headers_, &bytes, &length, trickles);
		see(" headers %d:", status);
		for (pair = req->input_headers->tqh_first; pair; pair = pair->next.tqe_next) {
			see(" %s=", pair->key);
			see_text(pair->value);
		}
		see(" of %zu", req->headers_size);
	}
	if (status == 1)
		see(", %zu left", evbuffer_get_length(buffer) + length);
	evbuffer_free(buffer);
	evhttp_request_free(req);
	return seen;
}

#define PARSE(kind, text) parse_and_print(EVHTTP_##kind, text, sizeof(text) - 1)

static void
parse_and_print(enum evhttp_request_kind kind, const char *bytes, size_t length)
{
	static char at_once[sizeof seen];

	strcpy(at_once, parsed(kind, bytes, length, 0));
	printf("%s\n", at_once);
	CHECK_STRING(parsed(kind, bytes, length, 1), at_once);
}

CASE(parsers, ONE_BACKEND)
{
	PARSE(RESPONSE, "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\nrest");
	PARSE(RESPONSE, "HTTP/1.0 404 Not there\n\nrest");
	PARSE(RESPONSE, "HTTP/1.1 200\r\nA: b\r\n e\r\n\tf\r\n\r\n");
	PARSE(RESPONSE, "HTTP/1.1 200 OK\r\nA: b\r\n");
	PARSE(RESPONSE, "HTTP/1.1 2");
	PARSE(RESPONSE, "rubbish\r\n");
	PARSE(RESPONSE, "HTTP/1.1 200 OK\r\nA\r\n\r\n");
	PARSE(REQUEST, "GET /x?y HTTP/1.0\r\nA: b\r\n\r\nrest");
	PARSE(REQUEST, "OPTIONS * HTTP/1.1\r\n\r\n");
	PARSE(REQUEST, "CONNECT host:80 HTTP/1.1\r\n\r\n");
	PARSE(REQUEST, "BREW /x HTTP/1.1\r\nA: b\r\nnothing\r\n\r\n");
	PARSE(REQUEST, "GET /x");
	PARSE(REQUEST, "rubbish\r\n");
	/* The test of the library's own: folded by blanks and tabs. */
	PARSE(RESPONSE, "HTTP/1.1 200 OK\r\nX-multi-line:  aaaaaaaa a \r\n\tEND\r\nX-last: last\r\n\r\n");
}

DIFFERENCE(parsed_target_with_a_host, ONE_BACKEND,
	"parsing the first line of a request without a connection ends the process when its target has a scheme and a host")
{
	CHECK_STRING(parsed(EVHTTP_REQUEST, "GET http://host/x HTTP/1.1\r\n\r\n", 30, 0),
		"1: method 1 uri [http://host/x] parts 1, 1.1, code 0 [] headers 1: of 26, 0 left");
}

/* --- Codings --- */

CASE(codings, ONE_BACKEND)
{
	static const char *const values[] = {"", "chunked", "CHUNKED", " \tchunked", "chunked \t", "gzip", "gzip,chunked",
		"gzip , chunked", "gzip, deflate,\tchunked ", "chunked,gzip", "chunked, chunked", "chunked,", ",chunked", ",",
		"chunked;q=1", "gzip, chunked;q=1", "gzip;q=1, chunked", "chunked;q=1, gzip", "xchunked", "chunkedx", "chunke",
		"identity", NULL};
	const char *list = "gzip, chunked";

	for (int i = 0; values[i]; i++)
		printf("[%s] %d %d\n", values[i], evhttp_str_is_chunked_(values[i], NULL), evhttp_check_transfer_encoding_(values[i]));
	/* A part of a value, up to where it ends. */
	CHECK_EQUAL(evhttp_str_is_chunked_(list + 5, list + 13), 1);
	CHECK_EQUAL(evhttp_str_is_chunked_(list, list + 4), 0);
	CHECK_EQUAL(evhttp_str_is_chunked_(list + 5, list + 12), 0);
	CHECK_EQUAL(evhttp_str_is_chunked_("chunked, gzip", NULL), 0);
}

CASE(codes, ONE_BACKEND)
{
	static const int numbers[] = {404, 299, 0, 1000};

	req = evhttp_request_new(NULL, NULL);
	req->kind = EVHTTP_REQUEST;
	for (int i = 0; i < 4; i++) {
		evhttp_response_code_(req, numbers[i], NULL);
		printf("%d %d %s\n", req->kind, evhttp_request_get_response_code(req), evhttp_request_get_response_code_line(req));
	}
	evhttp_response_code_(req, 200, "Mine");
	printf("%d %s\n", evhttp_request_get_response_code(req), evhttp_request_get_response_code_line(req));
	evhttp_request_free(req);
}

/* --- Pages --- */

static void
send_page(struct evhttp_request *request, void *code)
{
	struct evbuffer *page = evbuffer_new();

	evhttp_add_header(evhttp_request_get_output_headers(request), "X", "lost");
	evbuffer_add_printf(page, "<html>page</html>");
	if (code)
		evhttp_response_code_(request, *(int *)code, "Reason");
	evhttp_send_page_(request, page);
	CHECK_EQUAL(evbuffer_get_length(page), 0);
	evbuffer_free(page);
	progress++;
}

CASE(pages, ONE_BACKEND)
{
	static int code = 503;
	char *date, *end;

	start_server();
	for (int i = 0; i < 2; i++) {
		evhttp_set_gencb(http, send_page, i ? &code : NULL);
		outcome("GET / HTTP/1.1\r\n\r\n", 18, WHOLE);
		date = strstr(answer.text, "Date: ");
		CHECK(date && answer.ended);
		end = strstr(date, "\r\n");
		printf("%.*s%s\n", (int)(date - answer.text), answer.text, end);
	}
	stop_server();
}

/* --- Connections --- */

static struct evhttp_connection *client;

static void
note_close(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	see("closed; ");
}

static int
ask_and_answer(int fd)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	int done = requests_done;

	CHECK_EQUAL(evhttp_make_request(client, new_request(), EVHTTP_REQ_GET, "/"), 0);
	if (fd < 0)
		fd = accept_client();
	read_until(fd, "\r\n\r\n");
	/* It continues with what it does. */
	evhttp_start_write_(client);
	turn();
	evhttp_start_read_(client);
	CHECK(send(fd, ok, sizeof ok - 1, MSG_NOSIGNAL) > 0);
	TURN_UNTIL(requests_done > done);
	return fd;
}

/* Made before there is a request, and ended between two. */
CASE(connections_made_and_reset, ONE_BACKEND)
{
	int fd;

	start_peer();
	client = new_client();
	evhttp_connection_set_closecb(client, note_close, NULL);
	CHECK_EQUAL(evhttp_connection_connect_(client), 0);
	CHECK_EQUAL(evhttp_connection_connect_(client), 0);
	fd = accept_client();
	turn();
	CHECK(!accepted(&(int){0}));
	ask_and_answer(fd);
	CHECK_STRING(seen, "200 [OK] [ok]; ");
	evhttp_connection_reset_(client);
	CHECK_STRING(seen, "200 [OK] [ok]; closed; ");
	memset(&answer, 0, sizeof answer);
	TURN_UNTIL((receive(fd), answer.ended));
	close(fd);
	evhttp_connection_reset_(client);
	CHECK_STRING(seen, "200 [OK] [ok]; closed; ");
	close(ask_and_answer(-1));
	TURN_UNTIL(strstr(strstr(seen, "closed; ") + 1, "closed; "));
	CHECK_STRING(seen, "200 [OK] [ok]; closed; 200 [OK] [ok]; closed; ");
	/* From an address that is not this machine's. */
	evhttp_connection_set_local_address(client, "192.0.2.1");
	CHECK_EQUAL(evhttp_connection_connect_(client), -1);
	evhttp_connection_free(client);
	stop_peer();
}

/* Input that is there already is read by the loop, not in the call. */
static void
begin_again(struct evhttp_request *request, void *arg)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(request);
	const char *uri = evhttp_request_get_uri(request);

	(void)arg;
	see("%s begins; ", uri);
	if (strcmp(uri, "/1") == 0) {
		evbuffer_add_printf(bufferevent_get_output(evhttp_connection_get_bufferevent(evcon)), "raw");
		evhttp_start_write_(evcon);
	} else {
		evhttp_send_reply(request, 200, NULL, NULL);
	}
	see("ends; ");
}

CASE(writing_begins_in_a_handler, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, begin_again, NULL);
	memset(&answer, 0, sizeof answer);
	fd = connect_raw();
	send_bytes(fd, "GET /1 HTTP/1.1\r\n\r\n", 19);
	settle(fd);
	printf("%s%s\n", seen, answer.text);
	close(fd);
	stop_server();
}
