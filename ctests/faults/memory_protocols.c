/* Protocols and bufferevents with everything that can be set, while memory runs out. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <arpa/inet.h>
#include <event2/bufferevent_struct.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <pthread.h>
#include <sys/queue.h>

/* --- HTTP ------------------------------------------------------------------------------------------ */

enum { ASKED = 5, PIECES = 4 };

struct web {
	struct event_base *base;
	struct evhttp *server, *host;
	struct evhttp_connection *client;
	struct evdns_base *resolver;
	int ended, good, failed, finished;
	struct streaming *streaming;
};

/* A reply that is sent piece by piece. */
struct streaming {
	struct web *web;
	struct evhttp_request *request;
	struct event *timer;
	int left;
};

/* Ends a reply; one that is not whole in a way that the client notices. */
static void
stop_streaming(struct streaming *streaming, int is_whole)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(streaming->request);
	if (connection && !is_whole)
		evhttp_connection_free(connection);
	else
		evhttp_send_reply_end(streaming->request);
	event_free(streaming->timer);
	streaming->web->streaming = NULL;
	free(streaming);
}

static void
send_piece(evutil_socket_t fd, short what, void *arg)
{
	struct streaming *streaming = arg;
	struct evbuffer *piece = evbuffer_new();
	const struct timeval soon = {0, 500};
	(void)fd;
	(void)what;
	if (!piece || evbuffer_add(piece, "piece;", 6) || !streaming->left || !evhttp_request_get_connection(streaming->request)) {
		stop_streaming(streaming, !streaming->left);
	} else {
		streaming->left--;
		evhttp_send_reply_chunk(streaming->request, piece);
		if (event_add(streaming->timer, &soon))
			stop_streaming(streaming, 0);
	}
	if (piece)
		evbuffer_free(piece);
}

static void
serve_stream(struct evhttp_request *request, void *arg)
{
	struct web *web = arg;
	struct streaming *streaming = calloc(1, sizeof *streaming);
	const struct timeval soon = {0, 500};
	*streaming = (struct streaming){.web = web, .request = request, .left = PIECES};
	if (web->streaming || !(streaming->timer = event_new(web->base, -1, 0, send_piece, streaming))) {
		free(streaming);
		evhttp_send_error(request, 503, NULL);
		return;
	}
	web->streaming = streaming;
	evhttp_send_reply_start(request, 200, "OK");
	if (event_add(streaming->timer, &soon))
		stop_streaming(streaming, 0);
}

static void
serve_plain(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();
	struct evkeyvalq query;
	const char *value;
	(void)arg;
	TAILQ_INIT(&query);
	evhttp_request_get_host(request);
	if (!body || evhttp_parse_query_str(evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request)), &query) ||
	    !(value = evhttp_find_header(&query, "q")) || evbuffer_add_printf(body, "answer %s", value) < 0 ||
	    evhttp_add_header(evhttp_request_get_output_headers(request), "X-One", "1"))
		evhttp_send_error(request, 500, "no memory");
	else
		evhttp_send_reply(request, 200, "fine", body);
	evhttp_clear_headers(&query);
	if (body)
		evbuffer_free(body);
}

static struct bufferevent *
make_bufferevent(struct event_base *base, void *arg)
{
	(void)arg;
	return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

static int
hear_headers(struct evhttp_request *request, void *arg)
{
	(void)request;
	(void)arg;
	return 0;
}

static void
hear_piece(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evbuffer_drain(evhttp_request_get_input_buffer(request), 6);
}

static void
hear_error(enum evhttp_request_error error, void *arg)
{
	(void)error;
	((struct web *)arg)->failed = 1;
}

static void
hear_answer(struct evhttp_request *request, void *arg)
{
	struct web *web = arg;
	if (request && evhttp_request_get_response_code(request) == 200)
		web->good++;
	else
		web->failed = 1;
	web->finished = ++web->ended == ASKED;
}

static int
ask(struct web *web, int number)
{
	static const char *const uris[ASKED] = {"/plain?q=1", "/stream", "/plain?q=3", "http://v.example/plain?q=4", "/stream"};
	static const char *const hosts[ASKED] = {"main", "alias", "v.example", "v.example", "main"};
	struct evhttp_request *request = evhttp_request_new(hear_answer, web);
	struct evkeyvalq *headers;
	if (!request)
		return 0;
	headers = evhttp_request_get_output_headers(request);
	evhttp_request_set_error_cb(request, hear_error);
	evhttp_request_set_header_cb(request, hear_headers);
	if (number % 2)
		evhttp_request_set_chunked_cb(request, hear_piece);
	if (evhttp_add_header(headers, "Host", hosts[number]) || evhttp_add_header(headers, "X-Long", "a value that takes more room than others")) {
		evhttp_request_free(request);
		return 0;
	}
	if (evhttp_make_request(web->client, request, EVHTTP_REQ_GET, uris[number]))
		return 0;
	return 1;
}

static int
set_up_web(struct web *web, int flags)
{
	const struct timeval limit = {2, 0};
	struct evhttp_bound_socket *bound;
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int good;
	web->server = evhttp_new(web->base);
	web->host = evhttp_new(web->base);
	if (!web->server || !web->host)
		return 0;
	evhttp_set_max_headers_size(web->server, 10000);
	evhttp_set_max_body_size(web->server, 10000);
	evhttp_set_default_content_type(web->server, "text/plain");
	evhttp_set_allowed_methods(web->server, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
	evhttp_set_timeout_tv(web->server, &limit);
	evhttp_set_bevcb(web->server, make_bufferevent, NULL);
	good = !evhttp_set_cb(web->server, "/plain", serve_plain, web) & !evhttp_set_cb(web->server, "/stream", serve_stream, web) &
	       !evhttp_set_cb(web->host, "/plain", serve_plain, web);
	evhttp_set_gencb(web->server, serve_plain, web);
	good &= !evhttp_add_server_alias(web->server, "alias") & !evhttp_add_server_alias(web->server, "other");
	if (evhttp_add_virtual_host(web->server, "*.example", web->host)) {
		evhttp_free(web->host);
		good = 0;
	}
	web->host = NULL;
	good &= !evhttp_remove_server_alias(web->server, "other") || !good;
	bound = evhttp_bind_socket_with_handle(web->server, "127.0.0.1", 0);
	if (!bound)
		return 0;
	HOLDS(!getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length), "an address");
	if (flags) {
		web->resolver = evdns_base_new(web->base, 0);
		if (!web->resolver)
			return 0;
	}
	web->client = evhttp_connection_base_new(web->base, web->resolver, "127.0.0.1", ntohs(address.sin_port));
	if (!web->client)
		return 0;
	evhttp_connection_set_timeout_tv(web->client, &limit);
	evhttp_connection_set_retries(web->client, 1);
	evhttp_connection_set_initial_retry_tv(web->client, &(struct timeval){0, 1000});
	evhttp_connection_set_local_address(web->client, "127.0.0.1");
	evhttp_connection_set_max_body_size(web->client, 100000);
	evhttp_connection_set_max_headers_size(web->client, 100000);
	return good;
}

static enum ending
use_web(int threads, int flags)
{
	struct web web = {.base = new_base(threads)};
	enum ending ending = REFUSED;
	int i, asked = 0;
	if (!web.base)
		return REFUSED;
	if (set_up_web(&web, flags)) {
		for (i = 0; i < ASKED; i++)
			asked += ask(&web, i);
		web.ended += ASKED - asked;
		web.finished |= web.ended == ASKED;
		if (run_until(web.base, &web.finished) == DONE && web.good == ASKED)
			ending = DONE;
	}
	if (web.client)
		evhttp_connection_free(web.client);
	if (web.streaming)
		stop_streaming(web.streaming, 0);
	if (web.server)
		evhttp_free(web.server);
	if (web.host)
		evhttp_free(web.host);
	if (web.resolver)
		evdns_base_free(web.resolver, 0);
	finish_base(web.base);
	return ending;
}

IN_MEMORY(http_with_all)
{
	return use_web(0, 0);
}

IN_MEMORY(http_with_locks)
{
	return use_web(1, 1);
}

/* --- Bufferevents ------------------------------------------------------------------------------- */

static enum bufferevent_filter_result
pass_on(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	size_t before = evbuffer_get_length(from);
	(void)mode;
	(void)arg;
	if (!before)
		return BEV_NEED_MORE;
	return evbuffer_remove_buffer(from, to, limit < 0 ? before : (size_t)limit) > 0 ? BEV_OK : BEV_ERROR;
}

struct talk {
	struct bufferevent *ends[2];
	size_t sent[2], got[2];
	int failed, finished;
};

enum { SAID = 20000 };

static void
hear(struct bufferevent *bev, void *arg)
{
	struct talk *talk = arg;
	int end = bev == talk->ends[1];
	take_stream(bufferevent_get_input(bev), end, &talk->got[end]);
	talk->finished = talk->failed || (talk->got[0] == SAID && talk->got[1] == SAID);
}

static void
hear_event(struct bufferevent *bev, short what, void *arg)
{
	struct talk *talk = arg;
	(void)bev;
	if (!(what & BEV_EVENT_CONNECTED))
		talk->failed = talk->finished = 1;
}

static void
accept_it(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct talk *talk = arg;
	(void)address;
	(void)length;
	if (talk->ends[1] || !(talk->ends[1] = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE)))
		evutil_closesocket(fd);
	talk->finished = 1;
	talk->failed |= !talk->ends[1];
}

static int
say_all(struct talk *talk, int end, struct evbuffer *room)
{
	unsigned char bytes[SAID];
	const struct timeval limit = {5, 0};
	struct bufferevent *bev = talk->ends[end];
	int i;
	for (i = 0; i < SAID; i++)
		bytes[i] = byte_of_stream(!end, i);
	bufferevent_setcb(bev, hear, NULL, hear_event, talk);
	if (bufferevent_set_timeouts(bev, &limit, &limit) || bufferevent_enable(bev, EV_READ | EV_WRITE))
		return 0;
	bufferevent_setwatermark(bev, EV_READ, 100, 1 << 20);
	bufferevent_setwatermark(bev, EV_READ, 0, 1 << 19);
	if (bufferevent_write(bev, bytes, SAID / 2) || evbuffer_add(room, bytes + SAID / 2, SAID / 2))
		return 0;
	if (bufferevent_write_buffer(bev, room)) {
		evbuffer_drain(room, SAID / 2);
		return 0;
	}
	bufferevent_trigger(bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
	bufferevent_flush(bev, EV_WRITE, BEV_FLUSH);
	return 1;
}

/* Two bufferevents of a connection by name, with limits of their own and of a group; and filters upon them. */
IN_MEMORY(bufferevents_with_all)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval tick = {0, 5000};
	struct talk talk = {.failed = 0};
	struct event_base *base = new_base(1);
	struct evconnlistener *listener = NULL;
	struct evdns_base *resolver = NULL;
	struct bufferevent_rate_limit_group *group = NULL;
	struct ev_token_bucket_cfg *limits = NULL;
	struct evbuffer *room = evbuffer_new();
	socklen_t length = sizeof any;
	enum ending ending = REFUSED;
	int good, i, j;
	if (!base) {
		if (room)
			evbuffer_free(room);
		return REFUSED;
	}
	listener = evconnlistener_new_bind(base, accept_it, &talk, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_THREADSAFE | LEV_OPT_REUSEABLE, -1,
					   (struct sockaddr *)&any, sizeof any);
	limits = ev_token_bucket_cfg_new(100000, 200000, 100000, 200000, &tick);
	resolver = evdns_base_new(base, 0);
	good = listener && limits && resolver && room;
	if (good) {
		HOLDS(!getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&any, &length), "an address");
		group = bufferevent_rate_limit_group_new(base, limits);
		talk.ends[0] = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
		good = group && talk.ends[0];
	}
	if (good) {
		bufferevent_setcb(talk.ends[0], NULL, NULL, hear_event, &talk);
		good = !bufferevent_socket_connect_hostname(talk.ends[0], resolver, AF_INET, "127.0.0.1", ntohs(any.sin_port));
		if (good)
			good = run_until(base, &talk.finished) == DONE && !talk.failed;
	}
	for (i = 0; i < 2 && good; i++) {
		if (bufferevent_set_rate_limit(talk.ends[i], limits) || bufferevent_add_to_rate_limit_group(talk.ends[i], group) ||
		    bufferevent_set_max_single_read(talk.ends[i], 5000))
			good = 0;
	}
	for (i = 0; i < 2 && good; i++) {
		for (j = 0; j < 2 && good; j++) {
			struct bufferevent *above = bufferevent_filter_new(talk.ends[i], pass_on, pass_on,
				BEV_OPT_CLOSE_ON_FREE | (j ? BEV_OPT_DEFER_CALLBACKS : 0), NULL, NULL);
			good = above != NULL;
			if (above)
				talk.ends[i] = above;
		}
	}
	talk.finished = 0;
	for (i = 0; i < 2 && good; i++)
		good = say_all(&talk, i, room);
	if (good && run_until(base, &talk.finished) == DONE && !talk.failed)
		ending = DONE;
	/* Nobody comes any more. */
	if (listener)
		evconnlistener_free(listener);
	for (i = 0; i < 2; i++) {
		if (talk.ends[i])
			bufferevent_free(talk.ends[i]);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	/* Bufferevents are freed by the loop when their callbacks are deferred. */
	faults_stop();
	event_base_loop(base, EVLOOP_NONBLOCK);
	if (group)
		bufferevent_rate_limit_group_free(group);
	if (limits)
		ev_token_bucket_cfg_free(limits);
	if (resolver)
		evdns_base_free(resolver, 0);
	if (room)
		evbuffer_free(room);
	finish_base(base);
	return ending;
}

/* --- Names -------------------------------------------------------------------------------------- */

static void
answer(struct evdns_server_request *request, void *arg)
{
	static const unsigned char addresses[64 * 16] = {192, 0, 2, 1};
	int i, failed = 0;
	(void)arg;
	for (i = 0; i < request->nquestions; i++) {
		const char *name = request->questions[i]->name;
		int is_large = !strncmp(name, "large", 5);
		switch (request->questions[i]->type) {
		case EVDNS_TYPE_A:
			if (!strncmp(name, "alias", 5))
				failed |= evdns_server_request_add_cname_reply(request, name, "canonical.test", 60);
			else if (!strncmp(name, "none", 4))
				failed = 3;
			else
				failed |= evdns_server_request_add_a_reply(request, name, is_large ? 60 : 1, addresses, 60);
			if (!strncmp(name, "alias", 5))
				failed |= evdns_server_request_add_a_reply(request, "canonical.test", 1, addresses, 60);
			break;
		case EVDNS_TYPE_AAAA:
			failed |= evdns_server_request_add_aaaa_reply(request, name, 2, addresses, 60);
			break;
		case EVDNS_TYPE_PTR:
			failed |= evdns_server_request_add_ptr_reply(request, NULL, name, "pointed.test", 60);
			break;
		}
	}
	evdns_server_request_add_reply(request, EVDNS_ADDITIONAL_SECTION, "x.test", 16, EVDNS_CLASS_INET, 5, 3, 0, "\2hi");
	if (evdns_server_request_respond(request, failed < 0 ? 2 : failed))
		evdns_server_request_drop(request);
}

struct names {
	int waits, failed, finished;
};

static void
told(struct names *names, int failed)
{
	names->failed |= failed;
	names->finished = --names->waits == 0;
}

static void
resolved(int error, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)type;
	(void)ttl;
	(void)addresses;
	HOLDS(error || count >= 1, "nothing was found");
	told(arg, error != 0 && error != DNS_ERR_CANCEL);
}

static void
found(int error, struct evutil_addrinfo *list, void *arg)
{
	if (list)
		evutil_freeaddrinfo(list);
	told(arg, error != 0 && error != EVUTIL_EAI_CANCEL);
}

/* Answers over streams what did not fit into a datagram. */
static void *
answer_streams(void *arg)
{
	static const unsigned char rest[] = {0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
	unsigned char bytes[600], reply[600];
	int fd, length, listening = *(int *)arg;
	while ((fd = accept(listening, NULL, NULL)) >= 0) {
		struct timeval limit = {2, 0};
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
		while (recv(fd, bytes, 2, MSG_WAITALL) == 2 && (length = bytes[0] << 8 | bytes[1]) < 500 &&
		       recv(fd, bytes, length, MSG_WAITALL) == length) {
			int size = length + (int)sizeof rest;
			/* There may be an additional record behind the question. */
			memcpy(reply + 2, bytes, length);
			reply[0] = size >> 8;
			reply[1] = size & 255;
			reply[4] = 0x81;
			reply[5] = 0x80;
			reply[8] = 0;
			reply[9] = 1;
			reply[12] = reply[13] = 0;
			memcpy(reply + 2 + length, rest, sizeof rest);
			if (write(fd, reply, size + 2) != size + 2)
				break;
		}
		close(fd);
	}
	return NULL;
}

static enum ending
use_names(int flags, int threads)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_CANONNAME};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	static const char *const options[][2] = {{"ndots:", "1"}, {"timeout:", "0.1"}, {"attempts:", "1"}, {"max-inflight:", "3"},
		{"randomize-case:", "1"}, {"max-timeouts:", "5"}, {"getaddrinfo-allow-skew:", "1"}, {"initial-probe-timeout:", "1"},
		{"edns-udp-size:", "512"}, {"bind-to:", "127.0.0.1"}};
	struct event_base *base = new_base(threads);
	struct evdns_base *resolver;
	struct evdns_server_port *port;
	struct evdns_getaddrinfo_request *cancelled;
	struct evdns_request *request;
	struct names names = {.waits = 1};
	struct in_addr four = {htonl(0xc0000201)};
	struct in6_addr six = {{{0x20, 1}}};
	pthread_t thread;
	char name[40];
	int fd, listening, good, i, result;
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Somebody else may have the port for datagrams. */
	for (listening = -1; listening < 0;) {
		address.sin_port = 0;
		listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		HOLDS(!bind(listening, (struct sockaddr *)&address, length) && !listen(listening, 10) &&
		      !getsockname(listening, (struct sockaddr *)&address, &length), "a socket");
		if (bind(fd, (struct sockaddr *)&address, length)) {
			close(listening);
			listening = -1;
		}
	}
	HOLDS(!pthread_create(&thread, NULL, answer_streams, &listening), "a thread");
	port = evdns_add_server_port_with_base(base, fd, 0, answer, NULL);
	if (!port)
		close(fd);
	resolver = evdns_base_new(base, flags);
	good = resolver && port;
	for (i = 0; i < (int)(sizeof options / sizeof *options) && good; i++) {
		result = evdns_base_set_option(resolver, options[i][0], options[i][1]);
		good = !result || i == 8; /* not every version knows it */
	}
	if (good) {
		evdns_base_search_add(resolver, "one.test");
		evdns_base_search_add(resolver, "two.test");
		evdns_base_search_ndots_set(resolver, 2);
		evdns_base_clear_nameservers_and_suspend(resolver);
		good = !evdns_base_nameserver_sockaddr_add(resolver, (struct sockaddr *)&address, length, 0);
		evdns_base_nameserver_ip_add(resolver, "127.0.0.1:1");
		evdns_base_clear_nameservers_and_suspend(resolver);
		good &= !evdns_base_nameserver_sockaddr_add(resolver, (struct sockaddr *)&address, length, 0);
		evdns_base_resume(resolver);
	}
	if (good) {
#define LOOK_UP(call)                                                                              \
	names.waits++;                                                                             \
	if (!(call))                                                                               \
		told(&names, 1);
		for (i = 0; i < 5; i++) {
			snprintf(name, sizeof name, "a%d", i);
			LOOK_UP(evdns_base_resolve_ipv4(resolver, name, 0, resolved, &names))
		}
		LOOK_UP(evdns_base_resolve_ipv6(resolver, "six.test", DNS_QUERY_NO_SEARCH, resolved, &names))
		LOOK_UP(evdns_base_resolve_ipv4(resolver, "alias.test", DNS_QUERY_NO_SEARCH, resolved, &names))
		LOOK_UP(evdns_base_resolve_ipv4(resolver, "large.test", DNS_QUERY_NO_SEARCH, resolved, &names))
		LOOK_UP(evdns_base_resolve_reverse(resolver, &four, 0, resolved, &names))
		LOOK_UP(evdns_base_resolve_reverse_ipv6(resolver, &six, 0, resolved, &names))
		names.waits++;
		request = evdns_base_resolve_ipv4(resolver, "cancelled.test", DNS_QUERY_NO_SEARCH, resolved, &names);
		if (request)
			evdns_cancel_request(resolver, request);
		else
			told(&names, 1);
		names.waits++;
		evdns_getaddrinfo(resolver, "both.test", "80", &hints, found, &names);
		names.waits++;
		evdns_getaddrinfo(resolver, "alias.test", "80", &hints, found, &names);
		names.waits++;
		cancelled = evdns_getaddrinfo(resolver, "gone.test", "80", &hints, found, &names);
		if (cancelled)
			evdns_getaddrinfo_cancel(cancelled);
		names.waits--; /* the first one was for this */
		if (run_until(base, &names.finished) == DONE)
			ending = names.failed ? REFUSED : DONE;
	}
	faults_stop();
	if (resolver) {
		evdns_base_clear_host_addresses(resolver);
		evdns_base_free(resolver, 1);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	if (port)
		evdns_close_server_port(port);
	shutdown(listening, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listening);
	finish_base(base);
	return ending;
}

IN_MEMORY(dns_with_all)
{
	return use_names(0, 0);
}

IN_MEMORY(dns_with_locks)
{
	return use_names(EVDNS_BASE_DISABLE_WHEN_INACTIVE, 1);
}
