/* A proxy: forwards connections on its port to another address.
 *
 *     gcc proxy.c -o proxy $(pkg-config --cflags --libs libevent)
 *     ./proxy 8080 127.0.0.1:80        a port, or 0 for any that is free, and where to
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* While this much waits to be written to one side, nothing is read from the other. */
#define MOST_WAITING (256 * 1024)

static struct sockaddr_storage target;
static int target_length = sizeof target;

/* One side of a forwarded connection. */
struct side {
	struct bufferevent *stream;
	struct side *other;
	bool connected;
	bool ended; /* it will not send any more */
};

static void
free_both(struct side *side)
{
	bufferevent_free(side->stream);
	bufferevent_free(side->other->stream);
	/* They were allocated together. */
	free(side < side->other ? side : side->other);
}

/* The other side has ended: once all its data is written, shuts this side down too. */
static void
pass_end(struct side *to)
{
	if (!to->connected || evbuffer_get_length(bufferevent_get_output(to->stream)) > 0)
		return;
	if (to->ended)
		free_both(to);
	else
		shutdown(bufferevent_getfd(to->stream), SHUT_WR);
}

static void
readable(struct bufferevent *stream, void *arg)
{
	struct side *from = arg;
	struct evbuffer *output = bufferevent_get_output(from->other->stream);

	evbuffer_add_buffer(output, bufferevent_get_input(stream));
	if (evbuffer_get_length(output) >= MOST_WAITING)
		bufferevent_disable(stream, EV_READ);
}

static void
written(struct bufferevent *stream, void *arg)
{
	struct side *to = arg;

	(void)stream;
	if (to->other->ended)
		pass_end(to);
	else
		bufferevent_enable(to->other->stream, EV_READ);
}

static void
happened(struct bufferevent *stream, short what, void *arg)
{
	struct side *side = arg;

	(void)stream;
	if (what & BEV_EVENT_CONNECTED) {
		side->connected = true;
		if (side->other->ended)
			pass_end(side);
	} else if (what & BEV_EVENT_EOF) {
		side->ended = true;
		pass_end(side->other);
	} else {
		free_both(side);
	}
}

static void
accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct event_base *base = evconnlistener_get_base(listener);
	struct side *sides = calloc(2, sizeof *sides);
	struct bufferevent *client = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	struct bufferevent *server = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	(void)address;
	(void)length;
	(void)arg;
	if (!sides || !client || !server)
		exit(EXIT_FAILURE);
	sides[0] = (struct side){client, &sides[1], true, false};
	sides[1] = (struct side){server, &sides[0], false, false};
	bufferevent_setcb(client, readable, written, happened, &sides[0]);
	bufferevent_setcb(server, readable, written, happened, &sides[1]);
	/* Later failures are reported to the event callback. */
	if (bufferevent_socket_connect(server, (struct sockaddr *)&target, target_length) < 0) {
		free_both(&sides[0]);
		return;
	}
	bufferevent_enable(client, EV_READ | EV_WRITE);
	bufferevent_enable(server, EV_READ | EV_WRITE);
}

static void
terminate(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	event_base_loopexit(arg, NULL);
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof address;
	struct evconnlistener *listener;
	struct event *end;

	if (argc != 3 || !base || evutil_parse_sockaddr_port(argv[2], (struct sockaddr *)&target, &target_length) < 0) {
		fprintf(stderr, "usage: %s PORT ADDRESS:PORT\n", argv[0]);
		return EXIT_FAILURE;
	}
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((unsigned short)atoi(argv[1]));
	listener = evconnlistener_new_bind(base, accepted, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
					   (struct sockaddr *)&address, sizeof address);
	end = evsignal_new(base, SIGTERM, terminate, base);
	if (!listener || !end || event_add(end, NULL) < 0) {
		perror("proxy");
		return EXIT_FAILURE;
	}
	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length);
	printf("listening on port %d\n", ntohs(address.sin_port));
	fflush(stdout);
	event_base_dispatch(base);

	evconnlistener_free(listener);
	event_free(end);
	event_base_free(base);
	return EXIT_SUCCESS;
}
