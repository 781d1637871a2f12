/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Two ends that send each other lines, with reading switched off and on around each: what a long conversation
 * and its end are like, with everything that may be asked of its last callback. */
#include "tls/tools.h"

#include <event2/bufferevent_struct.h>

enum { LINES = 1001 };

/* How a conversation is set up, and what becomes of it. */
static struct conversation {
	enum transport transport;
	int allowed;   /* dirty shutdown */
	int open;      /* other bufferevents take the sessions over when they are made */
	int again;     /* the program asks OpenSSL for another handshake */
	int silent;    /* the server says nothing, and the client waits for it */
	int freed;     /* the descriptor is taken away in the last callback, which then frees */
} now;

static int last_line, over, events_of_the_end;

static void
say(struct bufferevent *bev, int line)
{
	CHECK_EQUAL(bufferevent_disable(bev, EV_READ), 0);
	CHECK(evbuffer_add_printf(bufferevent_get_output(bev), "%d\n", line) > 0);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
}

/* Each line is answered with the next number; whoever gets the last one closes. */
static void
answer_lines(struct bufferevent *bev, void *arg)
{
	struct end *end = arg;
	char *line;

	while ((line = evbuffer_readln(bufferevent_get_input(bev), NULL, EVBUFFER_EOL_LF))) {
		CHECK_EQUAL(atoi(line), last_line);
		free(line);
		if (++last_line < LINES) {
			say(bev, last_line);
			continue;
		}
		/* Without a word. */
		free_end(end);
		return;
	}
}

static void
written(struct bufferevent *bev, void *arg)
{
	(void)arg;
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), 0);
}

/* Nothing waits for the one that has ended, and its descriptor can be taken away. */
static void
end_with(struct end *end)
{
	evutil_socket_t fd = bufferevent_getfd(end->bev);

	over++;
	if (!now.freed)
		return;
	CHECK(is_open(fd));
	CHECK_EQUAL(bufferevent_setfd(end->bev, -1), 0);
	printf("descriptor: %s\n", bufferevent_getfd(end->bev) < 0 ? "none" : "as before");
	CHECK_EQUAL(bufferevent_disable(end->bev, EV_READ | EV_WRITE), 0);
	CHECK(!event_pending(&end->bev->ev_read, EV_READ | EV_WRITE | EV_TIMEOUT, NULL));
	CHECK(!event_pending(&end->bev->ev_write, EV_READ | EV_WRITE | EV_TIMEOUT, NULL));
	free_end(end);
	if (now.transport <= TCP)
		close(fd);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct end *end = arg;

	if (what & BEV_EVENT_CONNECTED) {
		end->connected++;
		if (now.again) {
			SSL_renegotiate(end->ssl);
			ERR_clear_error();
		}
		if (end == &client && !now.silent)
			say(bev, last_line);
		return;
	}
	events_of_the_end++;
	CHECK(!now.allowed || (what & BEV_EVENT_EOF));
	printf("%s: %s\n", end->name, event_names(what));
	end_with(end);
}

static void
listen_to(struct end *end)
{
	bufferevent_setcb(end->bev, answer_lines, written, on_event, end);
}

/* Continues with what the first bufferevents have left, at once. */
static void
take_over(struct end *end)
{
	struct bufferevent *below = bufferevent_get_underlying(end->bev);
	evutil_socket_t fd = bufferevent_getfd(end->bev);
	const char *name = end->name;
	SSL *ssl = end->ssl;

	bufferevent_free(end->bev);
	make_end_with(end, name, below, below ? -1 : fd, ssl, BUFFEREVENT_SSL_OPEN);
	listen_to(end);
	CHECK_EQUAL(bufferevent_enable(end->bev, EV_READ | EV_WRITE), 0);
}

static void
make_open_ends(void)
{
	struct bufferevent *below[2] = {NULL, NULL};
	int fds[2], i;

	make_connection(0, fds);
	for (i = 0; i < 2 && now.transport == FILTER_ON_SOCKET; i++)
		CHECK((below[i] = bufferevent_socket_new(base, fds[i], BEV_OPT_CLOSE_ON_FREE)));
	keep_everything(&client, "client", below[0], fds[0], BUFFEREVENT_SSL_CONNECTING);
	keep_everything(&server, "server", below[1], fds[1], BUFFEREVENT_SSL_ACCEPTING);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	take_over(&client);
	take_over(&server);
	say(client.bev, last_line);
}

static void
converse(void)
{
	struct timeval wait = {0, 50000};

	last_line = over = events_of_the_end = 0;
	options_now = BEV_OPT_DEFER_CALLBACKS;
	if (now.open) {
		make_open_ends();
	} else {
		make_ends(now.transport);
		listen_to(&client);
		listen_to(&server);
	}
	bufferevent_openssl_set_allow_dirty_shutdown(client.bev, now.allowed);
	bufferevent_openssl_set_allow_dirty_shutdown(server.bev, now.allowed);
	if (now.silent) {
		run_until(&client.connected, 1);
		run_until(&server.connected, 1);
		CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ | EV_WRITE), 0);
		/* What it learns of the client's end may differ. */
		bufferevent_setcb(server.bev, NULL, NULL, NULL, NULL);
		bufferevent_set_timeouts(client.bev, &wait, NULL);
	}
	run_until(&over, 1);
	settle();
	CHECK_EQUAL(events_of_the_end, 1);
	if (!now.silent) {
		CHECK_EQUAL(last_line, LINES);
		CHECK_EQUAL(client.connected, now.open ? 0 : 1);
		CHECK_EQUAL(server.connected, now.open ? 0 : 1);
	}
	/* A bufferevent that is disabled, or gone, holds no event. */
	if (now.freed)
		CHECK(event_base_dispatch(base) >= 0);
	free_ends();
}

static void
converse_in_all_ways(void)
{
	enum transport transports[] = {PAIR_OF_SOCKETS, FILTER_ON_SOCKET};
	int i;

	for (i = 0; i < 2; i++)
		for (now.freed = 0; now.freed < 2; now.freed++) {
			now.transport = transports[i];
			converse();
		}
}

CASE(conversation, EVERY_BACKEND)
{
	for_versions(converse_in_all_ways);
}

CASE(refused_renegotiation_in_between, EVERY_BACKEND)
{
	now.again = 1;
	make_context(TLS1_3_VERSION);
	make_base();
	converse_in_all_ways();
	end_all();
}

CASE(conversation_of_an_open_session, EVERY_BACKEND)
{
	now.open = 1;
	for_versions(converse_in_all_ways);
}

DIFFERENCE(end_without_notice_is_allowed, EVERY_BACKEND,
	   "with OpenSSL 3 the end of a connection without close_notify is an error even if dirty shutdown is allowed")
{
	now.allowed = 1;
	for_versions(converse_in_all_ways);
	now.open = 1;
	for_versions(converse_in_all_ways);
}

CASE(one_end_says_nothing, EVERY_BACKEND)
{
	now.silent = 1;
	now.freed = 1;
	make_context(0);
	make_base();
	now.transport = PAIR_OF_SOCKETS;
	converse();
	now.transport = FILTER_ON_SOCKET;
	converse();
	end_all();
}
