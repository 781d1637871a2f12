/* GNU libmicrohttpd, with epoll. */
#include "load.h"

#include <microhttpd.h>

static char large[LARGE];

static enum MHD_Result
reply(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
    const char *upload, size_t *size, void **state)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)arg;
	(void)method;
	(void)version;
	(void)upload;
	if (!*state) {
		*state = large;
		return MHD_YES;
	}
	if (*size) {
		*size = 0;
		return MHD_YES;
	}
	response = MHD_create_response_from_buffer(strcmp(url, "/reference") ? SMALL : LARGE, large, MHD_RESPMEM_PERSISTENT);
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

static void
serve(void)
{
	int port = free_port();

	memset(large, 'x', sizeof large);
	BENCH_CHECK(MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD, (uint16_t)port, NULL, NULL, reply,
	    NULL, MHD_OPTION_CONNECTION_LIMIT, 2000u, MHD_OPTION_END));
	ready(port);
	for (;;)
		pause();
}

/* Now and then it leaves some of a thousand connections, made at once, without a reply. */
const struct server server = {REFERENCE | UPLOADS, serve, NULL};
