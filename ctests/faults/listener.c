/* A listener whose visitors are bare sockets, while system calls fail. */
#define _GNU_SOURCE
#include "scenarios.h"

enum { VISITORS = 8, MOST_REFUSALS = 4 };

struct door {
	int seen[VISITORS], accepted, refused, finished;
};

static void
look(struct door *door)
{
	door->finished = door->accepted == VISITORS || door->refused == MOST_REFUSALS;
}

/* A visitor has already sent its number. */
static void
visited(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct door *door = arg;
	unsigned char number = VISITORS;
	(void)listener;
	HOLDS(address->sa_family == AF_INET && length == sizeof(struct sockaddr_in), "a visitor without an address");
	HOLDS(fcntl(fd, F_GETFL) & O_NONBLOCK, "a connection that blocks");
	HOLDS(fcntl(fd, F_GETFD) & FD_CLOEXEC, "a connection that exec() would pass on");
	HOLDS(read(fd, &number, 1) == 1 && number < VISITORS && !door->seen[number]++, "a connection was lost or came twice");
	close(fd);
	door->accepted++;
	look(door);
}

static void
refused(struct evconnlistener *listener, void *arg)
{
	struct door *door = arg;
	(void)listener;
	door->refused++;
	look(door);
}

static void
visit(evutil_socket_t listening, int *visitors)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	unsigned char number;
	HOLDS(!getsockname(listening, (struct sockaddr *)&address, &length), "an address");
	for (number = 0; number < VISITORS; number++) {
		visitors[number] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		HOLDS(!connect(visitors[number], (struct sockaddr *)&address, length) && write(visitors[number], &number, 1) == 1, "a visitor");
	}
}

SCENARIO(listener)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct door door = {.accepted = 0};
	struct event_base *base = new_base(0);
	struct evconnlistener *listener;
	enum ending ending = REFUSED;
	int visitors[VISITORS], i;
	if (!base)
		return REFUSED;
	listener = evconnlistener_new_bind(base, visited, &door, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16,
					   (struct sockaddr *)&any, sizeof any);
	if (listener) {
		evconnlistener_set_error_cb(listener, refused);
		visit(evconnlistener_get_fd(listener), visitors);
		if (run_until(base, &door.finished) == DONE && door.accepted == VISITORS)
			ending = DONE;
		evconnlistener_free(listener);
		for (i = 0; i < VISITORS; i++)
			close(visitors[i]);
	}
	finish_base(base);
	return ending;
}
