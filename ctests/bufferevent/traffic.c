/* Heavy traffic over many connections, slow readers, and data that must not be delayed. */
#include "tools.h"

#include <event2/listener.h>

enum { CONNECTIONS = 200 };

/* One end of a connection: what it sends and receives is hashed. */
struct end {
	struct bufferevent *bev;
	unsigned random;
	size_t to_send, sent, got;
	unsigned long long sent_hash, got_hash;
	struct end *other;
	int ended;
};

static struct end clients[CONNECTIONS], servers[CONNECTIONS];
static int accepted, finished;

static unsigned
next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static unsigned long long
hash(unsigned long long hash, const unsigned char *data, size_t size)
{
	while (size--)
		hash = (hash ^ *data++) * 1099511628211ull;
	return hash;
}

static void
send_some(struct end *end)
{
	unsigned char data[9000];
	size_t size, i;

	while (end->sent < end->to_send && evbuffer_get_length(bufferevent_get_output(end->bev)) < 30000) {
		size = 1 + next_random(&end->random) % sizeof data;
		if (size > end->to_send - end->sent)
			size = end->to_send - end->sent;
		for (i = 0; i < size; i++)
			data[i] = (unsigned char)next_random(&end->random);
		end->sent_hash = hash(end->sent_hash, data, size);
		end->sent += size;
		CHECK_EQUAL(bufferevent_write(end->bev, data, size), 0);
	}
}

static void
check_end(struct end *end)
{
	if (!end->other || end->ended || end->got < end->other->to_send)
		return;
	CHECK_EQUAL(end->got, end->other->to_send);
	CHECK(end->got_hash == end->other->sent_hash);
	end->ended = 1;
	finished++;
}

static void
read_some(struct bufferevent *bev, void *arg)
{
	struct end *end = arg;
	unsigned char data[5000];
	/* Not always all of it. */
	size_t rounds = 1 + next_random(&end->random) % 3, got;

	while (rounds-- && (got = bufferevent_read(bev, data, 1 + next_random(&end->random) % sizeof data)) > 0) {
		end->got_hash = hash(end->got_hash, data, got);
		end->got += got;
	}
	if (evbuffer_get_length(bufferevent_get_input(bev)))
		bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
	check_end(end);
}

static void
write_some(struct bufferevent *bev, void *arg)
{
	(void)bev;
	send_some(arg);
}

static void
no_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)arg;
	CHECK_EQUAL(what, BEV_EVENT_CONNECTED);
}

static void
begin_end(struct end *end, struct bufferevent *bev, unsigned seed)
{
	end->bev = bev;
	end->random = seed;
	end->to_send = next_random(&end->random) % 200000;
	bufferevent_setcb(bev, read_some, write_some, no_event, end);
	if (seed % 3 == 0)
		bufferevent_setwatermark(bev, EV_READ, 0, 10000);
	if (seed % 5 == 0)
		bufferevent_setwatermark(bev, EV_WRITE, 10000, 0);
	if (seed % 7 == 0)
		bufferevent_set_max_single_read(bev, 1000);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	send_some(end);
}

static void
accept_one(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	(void)listener;
	(void)address;
	(void)length;
	begin_end(&servers[accepted], bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE | *(int *)arg), 5000 + accepted);
	accepted++;
}

static unsigned
local_port(struct bufferevent *bev, int (*name)(int, struct sockaddr *, socklen_t *))
{
	union any_address address;
	socklen_t length = sizeof address;

	CHECK(name(bufferevent_getfd(bev), &address.any, &length) == 0);
	return address.in.sin_port;
}

static int
get_own(int fd, struct sockaddr *address, socklen_t *length)
{
	return getsockname(fd, address, length);
}

static int
get_peer(int fd, struct sockaddr *address, socklen_t *length)
{
	return getpeername(fd, address, length);
}

static void
exchange(int family, int options)
{
	union any_address address;
	socklen_t length;
	struct evconnlistener *listener;
	int i, j, fd;

	make_base();
	fd = listen_on(family, &address, &length);
	evutil_make_socket_nonblocking(fd);
	listener = evconnlistener_new(base, accept_one, &options, LEV_OPT_CLOSE_ON_FREE, 0, fd);
	for (i = 0; i < CONNECTIONS; i++) {
		struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE | options);

		CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
		begin_end(&clients[i], bev, 1000 + i);
	}
	run_until(&accepted, CONNECTIONS);
	for (i = 0; i < CONNECTIONS; i++)
		for (j = 0; j < CONNECTIONS; j++)
			if (local_port(clients[i].bev, get_own) == local_port(servers[j].bev, get_peer)) {
				clients[i].other = &servers[j];
				servers[j].other = &clients[i];
			}
	for (i = 0; i < CONNECTIONS; i++) {
		check_end(&clients[i]);
		check_end(&servers[i]);
	}
	run_until(&finished, 2 * CONNECTIONS);
	for (i = 0; i < CONNECTIONS; i++) {
		CHECK(clients[i].ended && servers[i].ended);
		bufferevent_free(clients[i].bev);
		bufferevent_free(servers[i].bev);
	}
	evconnlistener_free(listener);
	finish();
}

CASE(random_traffic_ipv4, EVERY_BACKEND)
{
	exchange(AF_INET, 0);
}

CASE(random_traffic_ipv6, ONE_BACKEND)
{
	exchange(AF_INET6, 0);
}

CASE(random_traffic_deferred, EVERY_BACKEND)
{
	exchange(AF_INET, BEV_OPT_DEFER_CALLBACKS);
}

/* --- Slow readers. ----------------------------------------------------------------------------------- */

static size_t taken;

static void
take_slowly(struct bufferevent *bev, void *arg)
{
	(void)arg;
	taken += evbuffer_get_length(bufferevent_get_input(bev));
	evbuffer_drain(bufferevent_get_input(bev), taken);
	bufferevent_disable(bev, EV_READ);
}

static void
enable_reader(evutil_socket_t fd, short what, void *bev)
{
	(void)fd;
	(void)what;
	bufferevent_enable(bev, EV_READ);
}

/* The writer waits for a reader that reads a little every millisecond. */
CASE(slow_reader, EVERY_BACKEND)
{
	static char data[600000];
	struct timeval often = {0, 1000};
	struct bufferevent *writer, *reader;
	struct event *timer;
	int ends[2], i;

	make_base();
	make_connection(AF_INET, ends);
	writer = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	reader = bufferevent_socket_new(base, ends[1], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_set_max_single_read(reader, 4096);
	bufferevent_setcb(reader, take_slowly, NULL, no_event, NULL);
	timer = event_new(base, -1, EV_PERSIST, enable_reader, reader);
	event_add(timer, &often);
	CHECK_EQUAL(bufferevent_write(writer, data, sizeof data), 0);
	for (i = 0; i < 3000 && taken < sizeof data; i++)
		event_base_loop(base, EVLOOP_ONCE);
	CHECK_EQUAL(taken, sizeof data);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(writer)), 0);
	event_free(timer);
	bufferevent_free(writer);
	bufferevent_free(reader);
	finish();
}

/* A reader that does not read at all keeps nobody busy and nothing is lost. */
CASE(reader_that_stops, EVERY_BACKEND)
{
	static char data[4000000];
	struct bufferevent *writer;
	struct traced side = {.name = "writer"};
	size_t left, got = 0;
	int ends[2], passes = 0, tries = 0;
	clock_t used;

	make_base();
	make_connection(0, ends);
	writer = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &side);
	bufferevent_enable(writer, EV_READ);
	memset(data, 'x', sizeof data);
	bufferevent_write(writer, data, sizeof data);
	settle();
	left = evbuffer_get_length(bufferevent_get_output(writer));
	CHECK(left > 0);
	/* It may be more on a busy machine, but not each time. */
	do {
		used = clock();
		run_for(200);
		used = clock() - used;
	} while (used >= CLOCKS_PER_SEC / 20 && tries++ < 4);
	CHECK(used < CLOCKS_PER_SEC / 20);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(writer)), left);
	while (got < sizeof data && passes++ < 10000) {
		got += received(ends[1], data, sizeof data);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	CHECK_EQUAL(got, sizeof data);
	settle();
	CHECK_EQUAL(side.writes, 1);
	bufferevent_free(writer);
	close(ends[1]);
	finish();
}

/* Everything that was written arrives before the end does. */
CASE(end_after_everything, EVERY_BACKEND)
{
	static char data[500000];
	struct bufferevent *writer;
	struct traced side = {.name = "reader"};
	struct bufferevent *reader;
	int ends[2];

	make_base();
	make_connection(AF_INET, ends);
	writer = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, NULL);
	reader = make_bufferevent(ends[1], BEV_OPT_CLOSE_ON_FREE, NULL);
	bufferevent_setcb(reader, NULL, NULL, trace_event, &side);
	bufferevent_enable(reader, EV_READ);
	bufferevent_write(writer, data, sizeof data);
	while (evbuffer_get_length(bufferevent_get_output(writer)))
		event_base_loop(base, EVLOOP_ONCE);
	bufferevent_free(writer);
	run_until(&side.events, 1);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(reader)), sizeof data);
	bufferevent_free(reader);
	finish();
}
