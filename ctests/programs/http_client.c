/* A client for http_servers.py: makes requests on several connections at a time, and writes a line for each: the
 * status, how long the body is, its checksum, its coding; or "failed". */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct event_base *base;
static int left;

static void
done(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body;
	unsigned long sum = 0;
	const char *coding;
	size_t length;
	FILE *out = arg;

	left--;
	if (left == 0)
		event_base_loopexit(base, NULL);
	if (!req || evhttp_request_get_response_code(req) == 0) {
		puts("failed");
		return;
	}
	body = evhttp_request_get_input_buffer(req);
	coding = evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Encoding");
	length = evbuffer_get_length(body);
	for (size_t i = 0; i < length; i++)
		sum = sum * 31 + evbuffer_pullup(body, -1)[i];
	printf("%d %zu %lu %s\n", evhttp_request_get_response_code(req), length, sum & 0xffffffff, coding ? coding : "plain");
	if (out) {
		rewind(out);
		fwrite(evbuffer_pullup(body, -1), 1, length, out);
	}
}

/* The arguments: port, connections, requests for each, bytes to upload or 0, a file for the last body or "-", path,
 * headers to send. */
int
main(int argc, char **argv)
{
	int port, connections, requests, upload;
	struct evhttp_connection **client;
	FILE *out;

	if (argc < 7)
		return 2;
	port = atoi(argv[1]);
	connections = atoi(argv[2]);
	requests = atoi(argv[3]);
	upload = atoi(argv[4]);
	out = strcmp(argv[5], "-") ? fopen(argv[5], "w") : NULL;
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	left = connections * requests;
	client = calloc((size_t)connections, sizeof *client);
	for (int i = 0; i < connections; i++) {
		client[i] = evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)port);
		evhttp_connection_set_flags(client[i], EVHTTP_CON_READ_ON_WRITE_ERROR);
		evhttp_connection_set_timeout(client[i], 10);
		evhttp_connection_set_retries(client[i], 2);
		for (int j = 0; j < requests; j++) {
			struct evhttp_request *req = evhttp_request_new(done, out);
			struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

			evhttp_add_header(headers, "Host", "localhost");
			for (int k = 7; k + 1 < argc; k += 2)
				evhttp_add_header(headers, argv[k], argv[k + 1]);
			if (upload) {
				char *bytes = malloc((size_t)upload);
				memset(bytes, 'u', (size_t)upload);
				evbuffer_add(evhttp_request_get_output_buffer(req), bytes, (size_t)upload);
				free(bytes);
			}
			if (evhttp_make_request(client[i], req, upload ? EVHTTP_REQ_POST : EVHTTP_REQ_GET, argv[6]) != 0)
				puts("not made");
		}
	}
	event_base_dispatch(base);
	for (int i = 0; i < connections; i++)
		evhttp_connection_free(client[i]);
	event_base_free(base);
	free(client);
	if (out)
		fclose(out);
	return 0;
}
