/* The descriptors of a socket bufferevent: none, one after the other, or one that is not a socket. */
#include "tools.h"

static struct traced left = {.name = "left", .drain = -1}, right = {.name = "right", .drain = -1};
static int ends[2];

CASE(without_descriptor, ONE_BACKEND)
{
	struct bufferevent *bev;
	char data[100];

	make_base();
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &left);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ | EV_WRITE), 0);
	CHECK_EQUAL(bufferevent_write(bev, "kept", 4), 0);
	settle();
	CHECK_EQUAL(happened, 0);
	make_connection(0, ends);
	CHECK_EQUAL(bufferevent_setfd(bev, ends[0]), 0);
	CHECK_EQUAL(bufferevent_getfd(bev), ends[0]);
	send_all(ends[1], "abc", 3);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 4);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

CASE(regular_file, ONE_BACKEND)
{
	struct bufferevent *bev;
	int fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK);

	make_base();
	bev = make_bufferevent(fd, 0, &left);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), -1);
	CHECK_EQUAL(bufferevent_get_enabled(bev), EV_READ | EV_WRITE);
	bufferevent_free(bev);
	close(fd);
	finish();
}

CASE(pipes, EVERY_BACKEND)
{
	struct bufferevent *one, *two;

	make_base();
	make_pipe(ends);
	one = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	two = make_bufferevent(ends[1], BEV_OPT_CLOSE_ON_FREE, &right);
	bufferevent_disable(one, EV_WRITE);
	bufferevent_enable(one, EV_READ);
	bufferevent_write(two, "through a pipe", 14);
	settle();
	bufferevent_free(two);
	settle();
	bufferevent_free(one);
	finish();
}

/* Also when another file takes the number. */
CASE(from_a_socket_to_a_pipe_and_back, EVERY_BACKEND)
{
	struct bufferevent *bev;
	int through[2], other[2];
	char data[10];

	make_base();
	make_connection(0, ends);
	make_pipe(through);
	bev = make_bufferevent(ends[0], 0, &left);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "socket", 6);
	settle();
	CHECK_EQUAL(bufferevent_setfd(bev, through[0]), 0);
	CHECK_EQUAL(write(through[1], "pipe", 4), 4);
	settle();
	make_connection(AF_INET, other);
	CHECK_EQUAL(bufferevent_setfd(bev, other[1]), 0);
	send_all(other[0], "another socket", 14);
	bufferevent_write(bev, "answer", 6);
	settle();
	CHECK_EQUAL(received(other[0], data, sizeof data), 6);
	bufferevent_disable(bev, EV_READ);
	CHECK_EQUAL(dup2(through[0], other[1]), other[1]);
	bufferevent_enable(bev, EV_READ);
	CHECK_EQUAL(write(through[1], "same number", 11), 11);
	settle();
	bufferevent_disable(bev, EV_READ | EV_WRITE);
	CHECK_EQUAL(dup2(through[1], other[1]), other[1]);
	bufferevent_enable(bev, EV_WRITE);
	bufferevent_write(bev, "into it", 7);
	settle();
	CHECK_EQUAL(read(through[0], data, sizeof data), 7);
	bufferevent_free(bev);
	finish();
}

CASE(close_on_free, ONE_BACKEND)
{
	static struct bufferevent *never_freed;
	struct bufferevent *bev;

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	bufferevent_write(bev, "unsent", 6);
	bufferevent_free(bev);
	/* The loop destroys it. */
	CHECK(is_open(ends[0]));
	CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	CHECK(!is_open(ends[0]));
	bev = make_bufferevent(ends[1], 0, &left);
	bufferevent_free(bev);
	settle();
	CHECK(is_open(ends[1]));
	close(ends[1]);
	make_connection(0, ends);
	never_freed = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	bufferevent_free(make_bufferevent(ends[1], BEV_OPT_CLOSE_ON_FREE, &left));
	event_base_free(base);
	CHECK(never_freed && is_open(ends[0]));
	CHECK(!is_open(ends[1]));
	CHECK_EQUAL(happened, 0);
}

CASE(setfd_and_getfd, EVERY_BACKEND)
{
	struct bufferevent *bev;
	int other[2];

	make_base();
	make_connection(0, ends);
	make_connection(AF_INET, other);
	bev = make_bufferevent(ends[0], 0, &left);
	bufferevent_enable(bev, EV_READ);
	settle();
	CHECK_EQUAL(bufferevent_setfd(bev, other[0]), 0);
	CHECK_EQUAL(bufferevent_getfd(bev), other[0]);
	CHECK(is_open(ends[0]));
	settle();
	send_all(ends[1], "unseen", 6);
	settle();
	send_all(other[1], "seen", 4);
	happened = 0;
	run_until(&happened, 1);
	CHECK_EQUAL(bufferevent_setfd(bev, -1), 0);
	CHECK_EQUAL(bufferevent_getfd(bev), -1);
	bufferevent_free(bev);
	finish();
}

CASE(replaces_descriptor, ONE_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	bufferevent_enable(bev, EV_READ);
	settle();
	close(ends[0]);
	bufferevent_setfd(bev, -1);
	close(ends[1]);
	make_connection(0, ends);
	bufferevent_setfd(bev, ends[0]);
	send_all(ends[1], "new", 3);
	settle();
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

DIFFERENCE(priority_survives_setfd, ONE_BACKEND, "bufferevent_setfd resets the priority")
{
	struct bufferevent *bev;

	make_base();
	event_base_priority_init(base, 5);
	make_connection(0, ends);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &left);
	CHECK_EQUAL(bufferevent_priority_set(bev, 4), 0);
	bufferevent_setfd(bev, ends[0]);
	CHECK_EQUAL(bufferevent_get_priority(bev), 4);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

/* An error of a datagram socket that was connected to a port where nobody listens. */
DIFFERENCE(refused_datagrams, ONE_BACKEND,
	"a connection refused error on a connected descriptor (UDP) is not reported")
{
	union any_address address = {.in = {.sin_family = AF_INET}};
	socklen_t length = sizeof address;
	struct bufferevent *bev;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), port = socket(AF_INET, SOCK_DGRAM, 0);

	make_base();
	address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(port, &address.any, sizeof address.in) == 0);
	CHECK(getsockname(port, &address.any, &length) == 0);
	close(port);
	CHECK(connect(fd, &address.any, length) == 0);
	CHECK(send(fd, "x", 1, 0) == 1);
	bev = make_bufferevent(fd, BEV_OPT_CLOSE_ON_FREE, &left);
	bufferevent_enable(bev, EV_READ);
	settle();
	CHECK_EQUAL(left.last, BEV_EVENT_READING | BEV_EVENT_ERROR);
	bufferevent_free(bev);
	finish();
}
