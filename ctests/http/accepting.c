/* What a server accepts in unusual situations: peers without a name, sockets that cannot be listened on, lack of memory;
 * and who owns the descriptors. */
#include "client_tools.h"

#include <dlfcn.h>
#include <event2/listener.h>
#include <netdb.h>
#include <sys/syscall.h>

/* What the system returns as the address of the next peer. */
static struct sockaddr_storage strange;
static socklen_t strange_length;

int
accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	int accepted = (int)syscall(SYS_accept4, fd, address, length, flags);

	if (accepted >= 0 && strange_length && address && *length) {
		memcpy(address, &strange, strange_length);
		*length = strange_length;
	}
	return accepted;
}

int
accept(int fd, struct sockaddr *address, socklen_t *length)
{
	return accept4(fd, address, length, 0);
}

static int names_fail;

int
getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
	    socklen_t service_size, int flags)
{
	int (*real)(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int);

	if (names_fail)
		return EAI_FAIL;
	*(void **)&real = dlsym(RTLD_NEXT, "getnameinfo");
	return real(address, length, host, host_size, service, service_size, flags);
}

/* How often a descriptor was closed that was not open. */
static int closed_in_vain;

int
close(int fd)
{
	int (*real)(int), result;

	*(void **)&real = dlsym(RTLD_NEXT, "close");
	result = real(fd);
	if (result < 0)
		closed_in_vain++;
	return result;
}

static void
note_name(struct evhttp_request *req, void *arg)
{
	char *address;
	ev_uint16_t port;

	(void)arg;
	evhttp_connection_get_peer(evhttp_request_get_connection(req), &address, &port);
	CHECK_STRING(req->remote_host, address);
	CHECK_EQUAL(req->remote_port, port);
	see("%s %d family %d; ", address, port, evhttp_connection_get_addr(evhttp_request_get_connection(req))->sa_family);
	evhttp_send_reply(req, 200, NULL, NULL);
}

static const char *
ask(void)
{
	return outcome("GET / HTTP/1.1\r\n\r\n", 18, WHOLE);
}

static void
come_from_v6(const char *address, unsigned scope)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(4321), .sin6_scope_id = scope};

	CHECK_EQUAL(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
	memcpy(&strange, &v6, strange_length = sizeof v6);
}

static void
start_naming_server(void)
{
	start_server();
	evhttp_set_gencb(http, note_name, NULL);
}

CASE(names_of_peers, ONE_BACKEND)
{
	static const char *const addresses[] = {"::1", "::ffff:1.2.3.4", "::1.2.3.4", "2001:db8:0:0:1:0:0:1", "fe80::1"};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x01020304)};

	start_naming_server();
	printf("%s\n", ask());
	memcpy(&strange, &v4, strange_length = sizeof v4);
	printf("%s\n", ask());
	for (int i = 0; i < 5; i++) {
		come_from_v6(addresses[i], 0);
		printf("%s\n", ask());
	}
	/* The first interface is the loopback; there is none with the other number. */
	come_from_v6("fe80::1", 1);
	printf("%s\n", ask());
	come_from_v6("fe80::1", 54321);
	printf("%s\n", ask());
	stop_server();
}

/* Of a family that has no text form. */
DIFFERENCE(peers_of_another_family, ONE_BACKEND, "a peer whose address has no text form ends the process of a server")
{
	start_naming_server();
	strange.ss_family = AF_APPLETALK;
	strange_length = 16;
	CHECK_STRING(ask(), "-> end");
	strange.ss_family = AF_UNSPEC;
	CHECK_STRING(ask(), "-> end");
	strange_length = 0;
	CHECK_STRING(ask(), "localhost 0 family 1; -> 200 open");
	stop_server();
}

DIFFERENCE(names_that_are_not_found, ONE_BACKEND,
	"a server's process ends when the system fails to write a peer's address as text")
{
	start_naming_server();
	names_fail = 1;
	come_from_v6("::1", 0);
	CHECK_STRING(ask(), "::1 4321 family 10; -> 200 open");
	come_from_v6("fe80::1", 1);
	CHECK_STRING(ask(), "fe80::1 4321 family 10; -> 200 open");
	stop_server();
}

/* Not every descriptor can be listened on, which the system says where it can be waited for only with epoll. */
DIFFERENCE(a_file_is_no_listener, ONE_BACKEND, "listening on a descriptor that is a file succeeds")
{
	int fd;

	start_server();
	fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	errno = 0;
	CHECK_EQUAL(evhttp_accept_socket(http, fd), -1);
	CHECK_EQUAL(errno, EPERM);
	CHECK(evhttp_accept_socket_with_handle(http, fd) == NULL);
	CHECK_EQUAL(write(fd, "x", 1), 1);
	CHECK_STRING(ask(), "GET /; -> 200 open");
	stop_server();
	CHECK(is_open(fd));
	close(fd);
}

/* --- No memory --- */

#define ALONE ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS

/* A listener that a server cannot take for lack of memory stays its owner's. */
DIFFERENCE(refused_listener_stays_its_owners, ALONE,
	"when there is no memory to enable a listener, a server reports success and never accepts a connection")
{
	struct evhttp_bound_socket *bound = NULL;
	struct evconnlistener *listener;
	int fd, number;

	allocator_install();
	base = event_base_new();
	http = evhttp_new(base);
	fd = listening_socket();
	listener = evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd);
	for (number = 1; !bound; number++) {
		allocator_fail_at(number);
		bound = evhttp_bind_listener(http, listener);
		allocator_fail_at(0);
		CHECK_EQUAL(evconnlistener_get_fd(listener), fd);
		CHECK(is_open(fd));
	}
	CHECK(number > 2);
	evhttp_set_gencb(http, note_name, NULL);
	CHECK_STRING(ask(), "localhost 0 family 1; -> 200 open");
	evhttp_free(http);
	CHECK(!is_open(fd));
	event_base_free(base);
	CHECK_EQUAL(allocator.alive, 0);
}

DIFFERENCE(refused_address_leaves_nothing_open, ALONE, "a socket stays open when a server cannot listen on it for lack of memory")
{
	struct evhttp_bound_socket *bound = NULL;
	int before, number;

	allocator_install();
	base = event_base_new();
	http = evhttp_new(base);
	before = open_descriptors();
	for (number = 1; !bound; number++) {
		allocator_fail_at(number);
		bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
		allocator_fail_at(0);
		CHECK_EQUAL(open_descriptors(), before + (bound != NULL));
	}
	CHECK(number > 3);
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}

static int with_options;

static struct bufferevent *
make_bufferevent(struct event_base *its_base, void *arg)
{
	(void)arg;
	return bufferevent_socket_new(its_base, -1, with_options);
}

/* A connection for which there is no memory is closed, once. */
static void
check_accepting(void)
{
	int number, before = open_descriptors();

	for (number = 1;; number++) {
		int fd = connect_raw();

		memset(&answer, 0, sizeof answer);
		seen[0] = 0;
		allocator_fail_at(number);
		settle(fd);
		if (!allocator.failed) {
			allocator_fail_at(0);
			close(fd);
			settle(-1);
			break;
		}
		allocator_fail_at(0);
		if (!answer.ended) {
			/* It was not needed. */
			send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
			settle(fd);
			CHECK(strstr(answer.text, " 200 OK"));
		}
		close(fd);
		settle(-1);
		CHECK_EQUAL(closed_in_vain, 0);
		CHECK_EQUAL(open_descriptors(), before);
	}
	CHECK(number > 2);
	CHECK_STRING(ask(), "GET /; -> 200 open");
	CHECK_EQUAL(closed_in_vain, 0);
	CHECK_EQUAL(open_descriptors(), before);
}

DIFFERENCE(refused_connection_is_closed_once, ALONE,
	"without memory for a connection, its descriptor is closed twice, which may close another file, or never")
{
	allocator_install();
	start_server();
	check_accepting();
	evhttp_set_bevcb(http, make_bufferevent, NULL);
	check_accepting();
	with_options = BEV_OPT_CLOSE_ON_FREE;
	check_accepting();
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}
