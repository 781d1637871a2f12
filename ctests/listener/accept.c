/* Listeners: what is accepted, with which properties, and what every function does. */
#include "tools.h"


static void
make_base(void)
{
	base = event_base_new();
	CHECK(base);
}

static struct evconnlistener *
bind_with(int family, unsigned flags, evconnlistener_cb callback, void *arg)
{
	union any_address address;
	int length = family == AF_UNIX ? abstract_address("socket", &address) : loopback_address(family, &address);

	return evconnlistener_new_bind(base, callback, arg, flags, -1, &address.any, length);
}

static const char *
family_name(int family)
{
	return family == AF_INET ? "IPv4" : family == AF_INET6 ? "IPv6" : family == AF_UNIX ? "unix" : "other";
}

static void
report(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	union any_address local, peer = {.storage = {0}};
	socklen_t local_length = sizeof local;

	memcpy(&peer, address, length);
	CHECK(getpeername(fd, &local.any, &local_length) == 0);
	CHECK(local.any.sa_family == peer.any.sa_family);
	if (peer.any.sa_family == AF_INET)
		CHECK(!memcmp(&local.in, &peer.in, sizeof local.in));
	if (peer.any.sa_family == AF_INET6)
		CHECK(!memcmp(&local.in6, &peer.in6, sizeof local.in6));
	CHECK(evconnlistener_get_base(listener) == base);
	printf("%s: %s, length %d, nonblocking %d, close on exec %d, keep-alive %d\n", (const char *)arg,
	       family_name(address->sa_family), length, (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0,
	       fcntl(fd, F_GETFD) & FD_CLOEXEC, socket_option(fd, SOL_SOCKET, SO_KEEPALIVE));
	accepted++;
	close(fd);
}

static void
accepts_with(const char *what, int family, unsigned flags)
{
	struct evconnlistener *listener = bind_with(family, flags, report, (void *)what);
	int fd, client, already = accepted;

	if (!listener) {
		printf("%s: no listener, errno %s\n", what, strerror(errno));
		return;
	}
	fd = evconnlistener_get_fd(listener);
	printf("%s: listens %d, nonblocking %d, close on exec %d, reuse %d, keep-alive %d\n", what,
	       socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN), (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0,
	       fcntl(fd, F_GETFD) & FD_CLOEXEC, socket_option(fd, SOL_SOCKET, SO_REUSEADDR),
	       socket_option(fd, SOL_SOCKET, SO_KEEPALIVE));
	client = connect_to(fd);
	if (flags & LEV_OPT_DEFERRED_ACCEPT)
		CHECK(write(client, "x", 1) == 1);
	run_base_until(base, &accepted, already + 1);
	close(client);
	evconnlistener_free(listener);
	printf("%s: open after free: %d\n", what, is_open(fd));
	if (is_open(fd))
		close(fd);
}

CASE(families, EVERY_BACKEND)
{
	make_base();
	accepts_with("IPv4", AF_INET, LEV_OPT_CLOSE_ON_FREE);
	accepts_with("IPv6", AF_INET6, LEV_OPT_CLOSE_ON_FREE);
	accepts_with("unix", AF_UNIX, LEV_OPT_CLOSE_ON_FREE);
	event_base_free(base);
}

CASE(flags, ONE_BACKEND)
{
	static const struct {
		const char *name;
		unsigned flag;
	} flags[] = {{"none", 0},
		     {"blocking", LEV_OPT_LEAVE_SOCKETS_BLOCKING},
		     {"close on free", LEV_OPT_CLOSE_ON_FREE},
		     {"close on exec", LEV_OPT_CLOSE_ON_EXEC},
		     {"reuseable", LEV_OPT_REUSEABLE},
		     {"threadsafe", LEV_OPT_THREADSAFE},
		     {"deferred", LEV_OPT_DEFERRED_ACCEPT},
		     {"reuseable port", LEV_OPT_REUSEABLE_PORT},
		     {"blocking, close on exec", LEV_OPT_LEAVE_SOCKETS_BLOCKING | LEV_OPT_CLOSE_ON_EXEC},
		     {"reuseable twice", LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT},
		     {"unknown", 0x8000}};
	size_t i;

	make_base();
	for (i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		accepts_with(flags[i].name, AF_INET, flags[i].flag);
		accepts_with(flags[i].name, AF_INET6, flags[i].flag);
	}
	accepts_with("unix, reuseable", AF_UNIX, LEV_OPT_REUSEABLE);
	accepts_with("IPv6 only", AF_INET6, LEV_OPT_BIND_IPV6ONLY);
	event_base_free(base);
}

CASE(port_shared_by_two, ONE_BACKEND)
{
	union any_address address;
	socklen_t length = sizeof address;
	struct evconnlistener *first, *second;

	make_base();
	first = bind_with(AF_INET, LEV_OPT_REUSEABLE_PORT | LEV_OPT_CLOSE_ON_FREE, count_and_close, NULL);
	CHECK(first);
	CHECK(getsockname(evconnlistener_get_fd(first), &address.any, &length) == 0);
	second = evconnlistener_new_bind(base, count_and_close, NULL, LEV_OPT_REUSEABLE_PORT | LEV_OPT_CLOSE_ON_FREE, 5,
					 &address.any, length);
	CHECK(second);
	CHECK(!evconnlistener_new_bind(base, count_and_close, NULL, LEV_OPT_CLOSE_ON_FREE, 5, &address.any, length));
	close(connect_to(evconnlistener_get_fd(first)));
	run_base_until(base, &accepted, 1);
	evconnlistener_free(first);
	evconnlistener_free(second);
	event_base_free(base);
}

CASE(ipv6_only_leaves_the_port_to_ipv4, ONE_BACKEND)
{
	union any_address address, address4;
	socklen_t length = sizeof address;
	struct evconnlistener *six, *four;
	int tries;

	make_base();
	for (four = NULL, tries = 0; !four && tries < 20; tries++) {
		loopback_address(AF_INET6, &address);
		address.in6.sin6_addr = in6addr_any;
		six = evconnlistener_new_bind(base, report, (void *)"six",
					      LEV_OPT_BIND_IPV6ONLY | LEV_OPT_CLOSE_ON_FREE, -1, &address.any,
					      sizeof address.in6);
		CHECK(six);
		CHECK_EQUAL(socket_option(evconnlistener_get_fd(six), IPPROTO_IPV6, IPV6_V6ONLY), 1);
		CHECK(getsockname(evconnlistener_get_fd(six), &address.any, &length) == 0);
		loopback_address(AF_INET, &address4);
		address4.in.sin_port = address.in6.sin6_port;
		four = evconnlistener_new_bind(base, report, (void *)"four", LEV_OPT_CLOSE_ON_FREE, -1, &address4.any,
					       sizeof address4.in);
		/* Another process may have the port on IPv4. */
		if (!four)
			evconnlistener_free(six);
	}
	CHECK(four);
	close(connect_to(evconnlistener_get_fd(four)));
	run_base_until(base, &accepted, 1);
	evconnlistener_free(six);
	evconnlistener_free(four);
	event_base_free(base);
}

CASE(mapped_addresses, ONE_BACKEND)
{
	union any_address address;
	socklen_t length = sizeof address;
	struct evconnlistener *listener;
	int client;

	make_base();
	loopback_address(AF_INET6, &address);
	address.in6.sin6_addr = in6addr_any;
	listener = evconnlistener_new_bind(base, report, (void *)"mapped", LEV_OPT_CLOSE_ON_FREE, -1, &address.any,
					   sizeof address.in6);
	CHECK(listener);
	CHECK(getsockname(evconnlistener_get_fd(listener), &address.any, &length) == 0);
	length = address.in6.sin6_port;
	loopback_address(AF_INET, &address);
	address.in.sin_port = length;
	client = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(client, &address.any, sizeof address.in) == 0);
	run_base_until(base, &accepted, 1);
	close(client);
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(bound_unix_peer_and_path, ONE_BACKEND)
{
	char directory[] = "/tmp/ctests-listener-XXXXXX";
	union any_address address = {.un = {.sun_family = AF_UNIX}}, peer = address;
	struct evconnlistener *listener;
	int client, length;

	make_base();
	CHECK(mkdtemp(directory));
	snprintf(address.un.sun_path, sizeof address.un.sun_path, "%s/server", directory);
	snprintf(peer.un.sun_path, sizeof peer.un.sun_path, "%s/client", directory);
	listener = evconnlistener_new_bind(base, report, (void *)"path", LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
					   &address.any, sizeof address.un);
	CHECK(listener);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	length = offsetof(struct sockaddr_un, sun_path) + strlen(peer.un.sun_path) + 1;
	CHECK(bind(client, &peer.any, length) == 0);
	CHECK(connect(client, &address.any, sizeof address.un) == 0);
	run_base_until(base, &accepted, 1);
	close(client);
	evconnlistener_free(listener);
	printf("path is there after free: %d\n", access(address.un.sun_path, F_OK) == 0);
	listener = evconnlistener_new_bind(base, report, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1, &address.any,
					   sizeof address.un);
	printf("bound again: %d, %s\n", listener != NULL, strerror(errno));
	unlink(address.un.sun_path);
	unlink(peer.un.sun_path);
	rmdir(directory);
	event_base_free(base);
}

/* A connection without data is kept back by the kernel. */
CASE(deferred_accept, ONE_BACKEND)
{
	struct evconnlistener *listener;
	int client;

	make_base();
	listener = bind_with(AF_INET, LEV_OPT_DEFERRED_ACCEPT | LEV_OPT_CLOSE_ON_FREE, count_and_close, NULL);
	CHECK(listener);
	CHECK_EQUAL(socket_option(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_DEFER_ACCEPT), 1);
	client = connect_to(evconnlistener_get_fd(listener));
	run_ready(base);
	CHECK_EQUAL(accepted, 0);
	CHECK(write(client, "x", 1) == 1);
	run_base_until(base, &accepted, 1);
	close(client);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
try_bind(const char *what, unsigned flags, int backlog, const struct sockaddr *address, int length)
{
	struct evconnlistener *listener;

	errno = 0;
	listener = evconnlistener_new_bind(base, count_and_close, NULL, flags | LEV_OPT_CLOSE_ON_FREE, backlog, address,
					   length);
	printf("%s: %s\n", what, listener ? "made" : "refused");
	if (listener)
		evconnlistener_free(listener);
}

CASE(refused_to_bind, ONE_BACKEND)
{
	union any_address address;
	int length, before;

	make_base();
	before = dup(0);
	close(before);
	length = loopback_address(AF_INET, &address);
	try_bind("backlog 0", 0, 0, &address.any, length);
	try_bind("backlog 1", 0, 1, &address.any, length);
	try_bind("no address", 0, -1, NULL, 0);
	try_bind("short address", 0, -1, &address.any, 3);
	try_bind("negative length", 0, -1, &address.any, -1);
	try_bind("IPv6 only on IPv4", LEV_OPT_BIND_IPV6ONLY, -1, &address.any, length);
	address.in.sin_addr.s_addr = htonl(0xc0000201);
	try_bind("address of others", 0, -1, &address.any, length);
	address.any.sa_family = 200;
	try_bind("unknown family", 0, -1, &address.any, length);
	length = abstract_address("deferred", &address);
	try_bind("deferred unix", LEV_OPT_DEFERRED_ACCEPT, -1, &address.any, length);
	try_bind("IPv6 only unix", LEV_OPT_BIND_IPV6ONLY, -1, &address.any, length);
	CHECK_EQUAL(dup(0), before);
	event_base_free(base);
}

/* A descriptor may serve as well that listens already; on failure it stays open. */
CASE(from_a_descriptor, EVERY_BACKEND)
{
	static const int backlogs[] = {-1, 0, 1, 100};
	union any_address address;
	struct evconnlistener *listener;
	int fd, client, i, length;

	make_base();
	for (i = 0; i < 4; i++) {
		length = loopback_address(AF_INET, &address);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(bind(fd, &address.any, length) == 0);
		if (backlogs[i] == 0)
			CHECK(listen(fd, 3) == 0);
		listener = evconnlistener_new(base, report, (void *)"given", 0, backlogs[i], fd);
		CHECK(listener);
		CHECK_EQUAL(evconnlistener_get_fd(listener), fd);
		client = connect_to(fd);
		run_base_until(base, &accepted, i + 1);
		close(client);
		evconnlistener_free(listener);
		CHECK(is_open(fd));
		close(fd);
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	listener = evconnlistener_new(base, report, NULL, LEV_OPT_CLOSE_ON_FREE, -1, fd);
	CHECK(!listener);
	CHECK_EQUAL(errno, EOPNOTSUPP);
	CHECK(is_open(fd));
	close(fd);
	CHECK(!evconnlistener_new(base, report, NULL, LEV_OPT_CLOSE_ON_FREE, -1, -1));
	CHECK_EQUAL(errno, EBADF);
	event_base_free(base);
}

CASE(current_base, ONE_BACKEND)
{
	union any_address address;
	struct evconnlistener *listener;
	int length = loopback_address(AF_INET, &address);

	base = event_init();
	listener = evconnlistener_new_bind(NULL, count_and_close, NULL, LEV_OPT_CLOSE_ON_FREE, -1, &address.any, length);
	CHECK(listener);
	CHECK(evconnlistener_get_base(listener) == base);
	close(connect_to(evconnlistener_get_fd(listener)));
	run_base_until(base, &accepted, 1);
	evconnlistener_free(listener);
	event_base_free(base);
}

/* An enabled listener keeps the loop, a disabled one does not. */
CASE(counts_as_an_event, EVERY_BACKEND)
{
	struct evconnlistener *listener;

	make_base();
	listener = bind_with(AF_INET, LEV_OPT_DISABLED | LEV_OPT_CLOSE_ON_FREE, count_and_close, NULL);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	CHECK_EQUAL(evconnlistener_disable(listener), 0);
	CHECK_EQUAL(evconnlistener_disable(listener), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(disabled, EVERY_BACKEND)
{
	struct evconnlistener *listener;
	int clients[3], i;

	make_base();
	listener = bind_with(AF_INET, LEV_OPT_DISABLED | LEV_OPT_CLOSE_ON_FREE, count_and_close, NULL);
	for (i = 0; i < 3; i++)
		clients[i] = connect_to(evconnlistener_get_fd(listener));
	run_ready(base);
	CHECK_EQUAL(accepted, 0);
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	run_base_until(base, &accepted, 3);
	CHECK_EQUAL(evconnlistener_disable(listener), 0);
	close(connect_to(evconnlistener_get_fd(listener)));
	run_ready(base);
	CHECK_EQUAL(accepted, 3);
	for (i = 0; i < 3; i++)
		close(clients[i]);
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(without_callback, EVERY_BACKEND)
{
	struct evconnlistener *listener;
	int client;

	make_base();
	listener = bind_with(AF_INET, LEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	client = connect_to(evconnlistener_get_fd(listener));
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	run_ready(base);
	CHECK(!peer_is_gone(client));
	evconnlistener_set_cb(listener, report, (void *)"set later");
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	run_base_until(base, &accepted, 1);
	close(client);
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(callback_for_a_disabled_listener, ONE_BACKEND)
{
	struct evconnlistener *listener;
	int client;

	make_base();
	listener = bind_with(AF_INET, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_DISABLED, NULL, NULL);
	client = connect_to(evconnlistener_get_fd(listener));
	evconnlistener_set_cb(listener, report, (void *)"set while disabled");
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	run_base_until(base, &accepted, 1);
	close(client);
	evconnlistener_free(listener);
	event_base_free(base);
}

DIFFERENCE(callback_removed, EVERY_BACKEND,
	"a connection that arrives while the callback is NULL is closed")
{
	struct evconnlistener *listener;
	int client;

	make_base();
	listener = bind_with(AF_INET, LEV_OPT_CLOSE_ON_FREE, count_and_close, NULL);
	evconnlistener_set_cb(listener, NULL, NULL);
	client = connect_to(evconnlistener_get_fd(listener));
	run_ready(base);
	CHECK(!peer_is_gone(client));
	evconnlistener_set_cb(listener, report, (void *)"set again");
	run_base_until(base, &accepted, 1);
	close(client);
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(errno_of_a_failed_bind, ONE_BACKEND)
{
	union any_address address;
	int length = abstract_address("errno", &address);

	make_base();
	errno = 0;
	CHECK(!evconnlistener_new_bind(base, count_and_close, NULL, LEV_OPT_DEFERRED_ACCEPT, -1, &address.any, length));
	CHECK_EQUAL(errno, EOPNOTSUPP);
	CHECK(!evconnlistener_new_bind(base, count_and_close, NULL, LEV_OPT_CLOSE_ON_FREE, -1, NULL, 0));
	CHECK_EQUAL(errno, EAFNOSUPPORT);
	event_base_free(base);
}
