/* Connecting bufferevents by names that the resolver looks up. */
#include "tools.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <sys/resource.h>

static int events;

static void
on_event(struct bufferevent *bev, short what, void *name)
{
	int error = errno;

	events++;
	printf("%s:%s%s, dns error %d%s\n", (const char *)name, what & BEV_EVENT_CONNECTED ? " connected" : "", what & BEV_EVENT_ERROR ? " error" : "",
	       bufferevent_socket_get_dns_error(bev), what & BEV_EVENT_ERROR && error == EMFILE ? ", no descriptor" : "");
}

static void
answer_this_machine(struct server *from, const struct query *query)
{
	static struct message message;

	if (!strcmp(query->name, "absent.test")) {
		answer_empty(from, query, 3);
		return;
	}
	begin_answer(&message, query, 0, query->type == TYPE_A, 0);
	if (query->type == TYPE_A)
		put_a(&message, 60, "127.0.0.1");
	send_message(from, query, &message);
}

static void
on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	(void)listener, (void)address, (void)length, (void)arg;
	evutil_closesocket(fd);
}

static struct bufferevent *
start(const char *name, int port)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	bufferevent_setcb(bev, NULL, NULL, on_event, (void *)name);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, dns, AF_INET, name, port), 0);
	return bev;
}

static int
listening_port(struct evconnlistener *listener)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	CHECK_EQUAL(getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

CASE(by_name, ONE_BACKEND)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct evconnlistener *listener;
	struct bufferevent *bevs[3];

	begin(answer_this_machine);
	listener = evconnlistener_new_bind(base, on_connection, NULL, LEV_OPT_CLOSE_ON_FREE, 10, (struct sockaddr *)&any, sizeof any);
	bevs[0] = start("absent.test", 80);
	wait_for(&events, 1);
	bevs[1] = start("present.test", listening_port(listener));
	wait_for(&events, 1);
	bevs[2] = start("127.0.0.1", listening_port(listener));
	wait_for(&events, 1);
	CHECK_EQUAL(server.queries, 2);
	for (int i = 0; i < 3; i++)
		bufferevent_free(bevs[i]);
	evconnlistener_free(listener);
	end();
}

/* No descriptor can be opened once the server was added: names are still found. */
CASE(without_descriptors, ONE_BACKEND)
{
	struct rlimit limit;
	int fds[2000], count = 0;
	struct bufferevent *bevs[2];

	begin(answer_this_machine);
	CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 200;
	CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (count < 2000 && (fds[count] = dup(0)) >= 0)
		count++;
	bevs[0] = start("absent.test", 80);
	bevs[1] = start("present.test", 80);
	wait_for(&events, 2);
	CHECK_EQUAL(server.queries, 2);
	for (int i = 0; i < 2; i++)
		bufferevent_free(bevs[i]);
	while (count > 0)
		close(fds[--count]);
	end();
}

CASE(freed_meanwhile, ONE_BACKEND)
{
	struct bufferevent *bev;

	begin(NULL);
	bev = start("present.test", 80);
	poll_once(base);
	bufferevent_free(bev);
	run_for(base, 20);
	CHECK_EQUAL(events, 0);
	end();
}
