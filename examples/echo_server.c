/* A server that sends back what it gets.
 *
 *     gcc echo_server.c -o echo_server $(pkg-config --cflags --libs libevent)
 *     ./echo_server 7777        a port, or 0 for any that is free
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* While this much waits for a client that sends without reading, nothing more is read from it. */
#define MOST_WAITING (256 * 1024)

/* Data has arrived: moves it to the output without copying. */
static void
readable(struct bufferevent *client, void *arg)
{
	struct evbuffer *output = bufferevent_get_output(client);

	(void)arg;
	evbuffer_add_buffer(output, bufferevent_get_input(client));
	if (evbuffer_get_length(output) > MOST_WAITING)
		bufferevent_disable(client, EV_READ);
}

/* The output is empty: continues reading. */
static void
written(struct bufferevent *client, void *arg)
{
	(void)arg;
	bufferevent_enable(client, EV_READ);
}

static void
free_when_written(struct bufferevent *client, void *arg)
{
	(void)arg;
	bufferevent_free(client);
}

static void
ended(struct bufferevent *client, short what, void *arg)
{
	(void)arg;
	if (what & BEV_EVENT_EOF && evbuffer_get_length(bufferevent_get_output(client)) > 0)
		/* It will not send any more, but may still be reading. */
		bufferevent_setcb(client, NULL, free_when_written, ended, NULL);
	else
		bufferevent_free(client);
}

static void
accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct event_base *base = evconnlistener_get_base(listener);
	struct bufferevent *client = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)address;
	(void)length;
	(void)arg;
	if (!client) {
		evutil_closesocket(fd);
		return;
	}
	bufferevent_setcb(client, readable, written, ended, NULL);
	bufferevent_enable(client, EV_READ | EV_WRITE);
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

	if (argc != 2 || !base) {
		fprintf(stderr, "usage: %s PORT\n", argv[0]);
		return EXIT_FAILURE;
	}
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((unsigned short)atoi(argv[1]));
	listener = evconnlistener_new_bind(base, accepted, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
					   (struct sockaddr *)&address, sizeof address);
	end = evsignal_new(base, SIGTERM, terminate, base);
	if (!listener || !end || event_add(end, NULL) < 0) {
		perror("echo_server");
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
