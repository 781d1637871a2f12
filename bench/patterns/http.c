/* Patterns of HTTP: servers whose client is a bare socket, the library's client, and texts. */
#include "patterns.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/tcp.h>

struct site {
	struct event_base *base;
	struct evhttp *http;
	struct sockaddr_in address;
	long served;
};

static void
reply(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add(body, pattern_bytes, 100);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", "text/plain");
	evhttp_send_reply(req, HTTP_OK, "OK", body);
	evbuffer_free(body);
	++((struct site *)arg)->served;
}

static void
open_site(struct site *site, void (*handler)(struct evhttp_request *, void *))
{
	struct evhttp_bound_socket *bound;
	socklen_t length = sizeof site->address;

	site->served = 0;
	site->base = event_base_new();
	site->http = evhttp_new(site->base);
	evhttp_set_gencb(site->http, handler, site);
	bound = evhttp_bind_socket_with_handle(site->http, "127.0.0.1", 0);
	REQUIRE(bound);
	REQUIRE(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&site->address, &length) == 0);
}

static void
close_site(struct site *site)
{
	evhttp_free(site->http);
	event_base_free(site->base);
}

static int
connect_to(struct site *site)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&site->address, sizeof site->address) == 0);
	REQUIRE(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0);
	return fd;
}

static void
serve_until(struct site *site, long served)
{
	while (site->served < served)
		REQUIRE(event_base_loop(site->base, EVLOOP_ONCE) >= 0);
}

/* Takes the reply, which the loop may still have to write. */
static void
take_reply(struct site *site, int fd)
{
	char bytes[16384];

	turn(site->base);
	REQUIRE(read(fd, bytes, sizeof bytes) > 0);
}

static const char get[] = "GET /some/path?with=arguments HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pattern/1.0\r\n"
			  "Accept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\n"
			  "Cookie: session=0123456789abcdef\r\nConnection: keep-alive\r\n\r\n";

PATTERN(http_requests_on_a_connection, 200)
{
	struct site site;
	int fd;

	open_site(&site, reply);
	fd = connect_to(&site);
	for (long i = 1; i <= n; i++) {
		put(fd, get, sizeof get - 1);
		serve_until(&site, i);
		take_reply(&site, fd);
	}
	pattern_load_is_over();
	close(fd);
	close_site(&site);
}

PATTERN(http_connections_with_a_request, 100)
{
	struct site site;
	int *fds = calloc((size_t)n, sizeof *fds);

	open_site(&site, reply);
	for (long i = 0; i < n; i++) {
		fds[i] = connect_to(&site);
		put(fds[i], get, sizeof get - 1);
		serve_until(&site, i + 1);
		take_reply(&site, fds[i]);
	}
	pattern_load_is_over();
	for (long i = 0; i < n; i++)
		close(fds[i]);
	close_site(&site);
	free(fds);
}

PATTERN(http_head_in_pieces, 300)
{
	static const char name[] = "X-", end[] = ": value\r\n\r\n";
	struct site site;
	int fd;

	open_site(&site, reply);
	fd = connect_to(&site);
	put(fd, get, sizeof get - 3);
	put(fd, name, sizeof name - 1);
	while (n--) {
		put(fd, pattern_bytes, 10);
		turn(site.base);
	}
	put(fd, end, sizeof end - 1);
	serve_until(&site, 1);
	take_reply(&site, fd);
	close(fd);
	close_site(&site);
}

PATTERN(http_many_headers, 200)
{
	static const char line[] = "X-Some-Header: with a value\r\n";
	struct site site;
	int fd;

	open_site(&site, reply);
	fd = connect_to(&site);
	put(fd, get, sizeof get - 3);
	while (n--)
		put(fd, line, sizeof line - 1);
	put(fd, "\r\n", 2);
	serve_until(&site, 1);
	take_reply(&site, fd);
	close(fd);
	close_site(&site);
}

PATTERN(http_folded_lines, 1000)
{
	static const char line[] = " some more of the value\r\n";
	struct site site;
	int fd;

	open_site(&site, reply);
	fd = connect_to(&site);
	put(fd, get, sizeof get - 3);
	put(fd, "X: a\r\n", 6);
	while (n--)
		put(fd, line, sizeof line - 1);
	put(fd, "\r\n", 2);
	serve_until(&site, 1);
	take_reply(&site, fd);
	close(fd);
	close_site(&site);
}

static void
upload(long pieces, size_t size)
{
	struct site site;
	char head[100];
	int fd;

	open_site(&site, reply);
	fd = connect_to(&site);
	put(fd, head, (size_t)sprintf(head, "POST / HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", (size_t)pieces * size));
	while (pieces--) {
		put(fd, pattern_bytes, size);
		turn(site.base);
	}
	serve_until(&site, 1);
	take_reply(&site, fd);
	close(fd);
	close_site(&site);
}

PATTERN(http_upload_in_pieces, 300)
{
	upload(n, 100);
}

PATTERN(http_upload_in_long_pieces, 300)
{
	upload(n, 3000);
}

PATTERN(http_upload_in_chunks, 300)
{
	static const char head[] = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const char chunk[] = "14\r\nxxxxxxxxxxxxxxxxxxxx\r\n", end[] = "0\r\n\r\n";
	struct site site;
	int fd;

	open_site(&site, reply);
	fd = connect_to(&site);
	put(fd, head, sizeof head - 1);
	while (n--) {
		put(fd, chunk, sizeof chunk - 1);
		turn(site.base);
	}
	put(fd, end, sizeof end - 1);
	serve_until(&site, 1);
	take_reply(&site, fd);
	close(fd);
	close_site(&site);
}

static long chunks;

/* One reply with this many chunks or headers. */
static void
reply_of_pieces(long pieces, void (*handler)(struct evhttp_request *, void *))
{
	struct site site;
	int fd;

	chunks = pieces;
	open_site(&site, handler);
	fd = connect_to(&site);
	put(fd, get, sizeof get - 1);
	serve_until(&site, 1);
	take_reply(&site, fd);
	close(fd);
	close_site(&site);
}

static void
reply_in_chunks(struct evhttp_request *req, void *arg)
{
	struct evbuffer *chunk = evbuffer_new();

	evhttp_send_reply_start(req, HTTP_OK, "OK");
	for (long i = 0; i < chunks; i++) {
		evbuffer_add(chunk, pattern_bytes, 50);
		evhttp_send_reply_chunk(req, chunk);
	}
	evhttp_send_reply_end(req);
	evbuffer_free(chunk);
	++((struct site *)arg)->served;
}

PATTERN(http_reply_in_chunks, 300)
{
	reply_of_pieces(n, reply_in_chunks);
}

static void
reply_with_headers(struct evhttp_request *req, void *arg)
{
	for (long i = 0; i < chunks; i++)
		evhttp_add_header(evhttp_request_get_output_headers(req), "X-Some-Header", "with a value");
	evhttp_send_reply(req, HTTP_OK, "OK", NULL);
	++((struct site *)arg)->served;
}

PATTERN(http_reply_with_many_headers, 500)
{
	reply_of_pieces(n, reply_with_headers);
}

/* --- The client: each reply asks again. -------------------------------------------------------------- */

static struct evhttp_connection *connection;
static long replies;

static void request_again(struct evhttp_request *req, void *left);

static void
make_request(void *left)
{
	struct evhttp_request *req = evhttp_request_new(request_again, left);

	evhttp_add_header(evhttp_request_get_output_headers(req), "Host", "localhost");
	REQUIRE(evhttp_make_request(connection, req, EVHTTP_REQ_GET, "/path") == 0);
}

static void
request_again(struct evhttp_request *req, void *left)
{
	REQUIRE(req && evhttp_request_get_response_code(req) == HTTP_OK);
	replies++;
	if (--*(long *)left > 0)
		make_request(left);
}

PATTERN(http_client_and_server, 200)
{
	struct site site;

	open_site(&site, reply);
	connection = evhttp_connection_base_new(site.base, NULL, "127.0.0.1", ntohs(site.address.sin_port));
	replies = 0;
	make_request(&n);
	while (n > 0)
		REQUIRE(event_base_loop(site.base, EVLOOP_ONCE) >= 0);
	evhttp_connection_free(connection);
	close_site(&site);
}

PATTERN(http_paths, 2500)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	char path[50];

	for (long i = 0; i < n; i++) {
		sprintf(path, "/path/number/%ld", i);
		REQUIRE(evhttp_set_cb(http, path, reply, NULL) == 0);
	}
	pattern_load_is_over();
	evhttp_free(http);
	event_base_free(base);
}

/* --- Texts. ------------------------------------------------------------------------------------------ */

PATTERN(http_uris, 1000)
{
	while (n--) {
		struct evhttp_uri *uri = evhttp_uri_parse("http://user@www.example.com:8080/some/path?a=b&c=d#part");
		char text[200];

		REQUIRE(uri && evhttp_uri_join(uri, text, sizeof text));
		evhttp_uri_free(uri);
	}
}

PATTERN(http_query_of_many_arguments, 300)
{
	char *query = malloc((size_t)n * 12 + 1), *end = query;
	struct evkeyvalq arguments;

	*query = 0;
	for (long i = 0; i < n; i++)
		end += sprintf(end, "%sk%ld=v%%20", i ? "&" : "", i % 1000);
	REQUIRE(evhttp_parse_query_str(query, &arguments) == 0);
	evhttp_clear_headers(&arguments);
	free(query);
}

PATTERN(http_a_long_uri, 20000)
{
	char *text = malloc((size_t)n * 5 + 20), *joined = malloc((size_t)n * 5 + 20);
	struct evhttp_uri *uri;

	strcpy(text, "http://host/");
	for (long i = 0; i < n; i++)
		memcpy(text + 12 + i * 5, "pa%41", 5);
	text[12 + n * 5] = 0;
	uri = evhttp_uri_parse(text);
	REQUIRE(uri && evhttp_uri_join(uri, joined, (size_t)n * 5 + 20));
	evhttp_uri_free(uri);
	free(text);
	free(joined);
}

PATTERN(http_a_long_header, 50000)
{
	struct evkeyvalq list;
	char *value = malloc((size_t)n + 1);

	memset(value, 'v', (size_t)n);
	value[n] = 0;
	list.tqh_first = NULL;
	list.tqh_last = &list.tqh_first;
	REQUIRE(evhttp_add_header(&list, "Name", value) == 0);
	evhttp_clear_headers(&list);
	free(value);
}
