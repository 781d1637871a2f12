/* A server by libevhtp: /echo sends back what is posted, /chunks a thousand pieces.
 * usage: evhtp PORT THREADS [KEY CERTIFICATE] */
#include <evhtp/evhtp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void
echo(evhtp_request_t *request, void *arg)
{
	(void)arg;
	evbuffer_add_buffer(request->buffer_out, request->buffer_in);
	evhtp_send_reply(request, EVHTP_RES_OK);
}

static void
chunks(evhtp_request_t *request, void *arg)
{
	struct evbuffer *piece = evbuffer_new();
	int i;

	(void)arg;
	evhtp_send_reply_chunk_start(request, EVHTP_RES_OK);
	for (i = 0; i < 1000; i++) {
		evbuffer_add_printf(piece, "piece %d\n", i);
		evhtp_send_reply_chunk(request, piece);
		evbuffer_drain(piece, evbuffer_get_length(piece));
	}
	evhtp_send_reply_chunk_end(request);
	evbuffer_free(piece);
}

static void
stop(evutil_socket_t signal, short what, void *base)
{
	(void)signal;
	(void)what;
	event_base_loopbreak(base);
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct event *terminated = evsignal_new(base, SIGTERM, stop, base);
	evhtp_t *htp = evhtp_new(base, NULL);
	int threads = atoi(argv[2]);

	signal(SIGPIPE, SIG_IGN);
	if (argc > 4) {
		evhtp_ssl_cfg_t config = {.privfile = argv[3], .pemfile = argv[4]};

		if (evhtp_ssl_init(htp, &config) != 0)
			return 2;
	}
	evhtp_set_cb(htp, "/echo", echo, NULL);
	evhtp_set_cb(htp, "/chunks", chunks, NULL);
	if (threads)
		evhtp_use_threads_wexit(htp, NULL, NULL, threads, NULL);
	if (evhtp_bind_socket(htp, "127.0.0.1", atoi(argv[1]), 128) != 0)
		return 1;
	event_add(terminated, NULL);
	event_base_loop(base, 0);
	return 0;
}
