/* Sockets, pipes, connecting, files. */
#include "allocator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

evutil_socket_t evutil_socket_(int domain, int type, int protocol);
evutil_socket_t evutil_accept4_(evutil_socket_t fd, struct sockaddr *addr, ev_socklen_t *addrlen, int flags);
int evutil_make_internal_pipe_(evutil_socket_t fd[2]);
evutil_socket_t evutil_eventfd_(unsigned initval, int flags);
int evutil_ersatz_socketpair_(int family, int type, int protocol, evutil_socket_t fd[]);
int evutil_socket_connect_(evutil_socket_t *fd_ptr, const struct sockaddr *sa, int socklen);
int evutil_socket_finished_connecting_(evutil_socket_t fd);
int evutil_read_file_(const char *filename, char **content_out, size_t *len_out, int is_binary);
int evutil_open_closeonexec_(const char *pathname, int flags, unsigned mode);
const char *evutil_getenv_(const char *name);

static void
print_flags(int fd)
{
	printf(" nonblock %d cloexec %d\n", !!(fcntl(fd, F_GETFL) & O_NONBLOCK), fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

CASE(socket_pairs, ONE_BACKEND)
{
	static const int flags[] = {0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC};
	int pair[2];
	char byte = 'x';
	for (int i = 0; i < 4; i++) {
		CHECK_EQUAL(evutil_socketpair(AF_UNIX, SOCK_STREAM | flags[i], 0, pair), 0);
		print_flags(pair[0]);
		print_flags(pair[1]);
		CHECK_EQUAL(write(pair[1], &byte, 1), 1);
		CHECK_EQUAL(read(pair[0], &byte, 1), 1);
		CHECK_EQUAL(evutil_closesocket(pair[0]), 0);
		CHECK_EQUAL(evutil_closesocket(pair[1]), 0);
	}
	CHECK_EQUAL(evutil_socketpair(AF_INET, SOCK_STREAM, 0, pair), -1);
	CHECK_EQUAL(errno, EOPNOTSUPP);
}

CASE(flags_are_added, ONE_BACKEND)
{
	int pair[2], status;
	CHECK(!evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	fcntl(pair[0], F_SETFL, O_APPEND);
	for (int i = 0; i < 2; i++) {
		CHECK_EQUAL(evutil_make_socket_nonblocking(pair[0]), 0);
		CHECK_EQUAL(evutil_make_socket_closeonexec(pair[0]), 0);
		print_flags(pair[0]);
	}
	status = fcntl(pair[0], F_GETFL);
	CHECK(status & O_APPEND);
}

CASE(errors_of_descriptors, ONE_BACKEND)
{
	log_to_stdout();
	errno = 0;
	CHECK_EQUAL(evutil_closesocket(-1), -1);
	CHECK_EQUAL(errno, EBADF);
	CHECK_EQUAL(evutil_make_socket_nonblocking(-1), -1);
	CHECK_EQUAL(evutil_make_socket_closeonexec(-1), -1);
	CHECK_EQUAL(evutil_make_socket_nonblocking(12345), -1);
	CHECK_EQUAL(evutil_make_listen_socket_reuseable(-1), -1);
	CHECK_EQUAL(errno, EBADF);
	CHECK_EQUAL(evutil_make_listen_socket_reuseable_port(-1), -1);
	CHECK_EQUAL(evutil_make_listen_socket_ipv6only(-1), -1);
	CHECK_EQUAL(evutil_make_tcp_listen_socket_deferred(-1), -1);
	CHECK_EQUAL(evutil_socket_finished_connecting_(-1), -1);
	CHECK_EQUAL(errno, EBADF);
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;
	CHECK(!getsockopt(fd, level, name, &value, &length));
	return value;
}

CASE(listener_options, ONE_BACKEND)
{
	int v4 = evutil_socket_(AF_INET, SOCK_STREAM, 0), v6 = evutil_socket_(AF_INET6, SOCK_STREAM, 0);
	CHECK(v4 >= 0);
	CHECK_EQUAL(evutil_make_listen_socket_reuseable(v4), 0);
	CHECK_EQUAL(evutil_make_listen_socket_reuseable_port(v4), 0);
	CHECK_EQUAL(evutil_make_tcp_listen_socket_deferred(v4), 0);
	printf("%d %d %d\n", option(v4, SOL_SOCKET, SO_REUSEADDR), option(v4, SOL_SOCKET, SO_REUSEPORT),
	    option(v4, IPPROTO_TCP, TCP_DEFER_ACCEPT));
	CHECK_EQUAL(evutil_make_listen_socket_ipv6only(v4), -1);
	CHECK_EQUAL(errno, ENOPROTOOPT);
	if (v6 >= 0) {
		CHECK_EQUAL(evutil_make_listen_socket_ipv6only(v6), 0);
		CHECK_EQUAL(option(v6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	}
}

CASE(sockets_with_flags, ONE_BACKEND)
{
	static const int flags[] = {0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC};
	for (int i = 0; i < 4; i++) {
		int fd = evutil_socket_(AF_UNIX, SOCK_DGRAM | flags[i], 0);
		CHECK(fd >= 0);
		print_flags(fd);
		close(fd);
	}
	CHECK_EQUAL(evutil_socket_(AF_INET, 77, 0), -1);
	CHECK_EQUAL(errno, EINVAL);
	CHECK_EQUAL(evutil_socket_(-5, SOCK_STREAM, 0), -1);
	CHECK_EQUAL(errno, EAFNOSUPPORT);
}

static int
listener(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	memset(address, 0, sizeof *address);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(!bind(fd, (struct sockaddr *)address, sizeof *address));
	CHECK(!listen(fd, 5));
	CHECK(!getsockname(fd, (struct sockaddr *)address, &length));
	return fd;
}

static void
wait_writable(int fd)
{
	struct pollfd wanted = {fd, POLLOUT, 0};
	CHECK_EQUAL(poll(&wanted, 1, 10000), 1);
}

CASE(connecting_and_accepting, ONE_BACKEND)
{
	static const int flags[] = {0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC};
	struct sockaddr_in address;
	int server = listener(&address);
	for (int i = 0; i < 4; i++) {
		struct sockaddr_storage peer;
		ev_socklen_t length = sizeof peer;
		int client = -1, accepted, result;
		result = evutil_socket_connect_(&client, (struct sockaddr *)&address, sizeof address);
		CHECK(result == 0 || result == 1);
		CHECK(client >= 0);
		CHECK(fcntl(client, F_GETFL) & O_NONBLOCK);
		wait_writable(client);
		CHECK_EQUAL(evutil_socket_finished_connecting_(client), 1);
		accepted = evutil_accept4_(server, (struct sockaddr *)&peer, &length, flags[i]);
		CHECK(accepted >= 0);
		CHECK_EQUAL(length, sizeof(struct sockaddr_in));
		print_flags(accepted);
		close(client);
		close(accepted);
	}
	close(server);
	CHECK_EQUAL(evutil_accept4_(server, NULL, NULL, 0), -1);
	CHECK_EQUAL(errno, EBADF);
}

CASE(connecting_a_blocking_socket, ONE_BACKEND)
{
	struct sockaddr_in address;
	int server = listener(&address), client = socket(AF_INET, SOCK_STREAM, 0), same = client;
	CHECK_EQUAL(evutil_socket_connect_(&client, (struct sockaddr *)&address, sizeof address), 1);
	CHECK_EQUAL(client, same);
	CHECK_EQUAL(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
	CHECK_EQUAL(evutil_socket_connect_(&client, (struct sockaddr *)&address, sizeof address), -1);
	CHECK_EQUAL(errno, EISCONN);
	CHECK_EQUAL(client, same);
	CHECK(fcntl(client, F_GETFD) >= 0);
	close(server);
}

CASE(connections_that_cannot_be_begun, ONE_BACKEND)
{
	struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
	int client = -1, before = open_descriptors();
	CHECK_EQUAL(evutil_socket_connect_(&client, (struct sockaddr *)&nowhere, sizeof nowhere), -1);
	CHECK_EQUAL(errno, ENOENT);
	CHECK_EQUAL(client, -1);
	CHECK_EQUAL(open_descriptors(), before);
}

CASE(refused_connections, ONE_BACKEND)
{
	struct sockaddr_in address;
	int client = socket(AF_INET, SOCK_STREAM, 0), result;
	close(listener(&address));
	CHECK_EQUAL(evutil_socket_connect_(&client, (struct sockaddr *)&address, sizeof address), 2);
	CHECK_EQUAL(errno, ECONNREFUSED);
	CHECK(fcntl(client, F_GETFD) >= 0);
	close(client);
	client = -1;
	result = evutil_socket_connect_(&client, (struct sockaddr *)&address, sizeof address);
	CHECK(client >= 0);
	if (result == 0) {
		wait_writable(client);
		CHECK_EQUAL(evutil_socket_finished_connecting_(client), -1);
		CHECK_EQUAL(errno, ECONNREFUSED);
		CHECK_EQUAL(evutil_socket_finished_connecting_(client), 1);
	} else
		CHECK_EQUAL(result, 2);
}

CASE(impossible_connections, ONE_BACKEND)
{
	struct sockaddr_un nowhere = {AF_UNIX, "/no/such/socket"};
	struct sockaddr unknown = {.sa_family = 250};
	int client = -1, before = dup(0), after;
	close(before);
	CHECK_EQUAL(evutil_socket_connect_(&client, (struct sockaddr *)&nowhere, sizeof nowhere), -1);
	CHECK_EQUAL(errno, ENOENT);
	CHECK_EQUAL(client, -1);
	CHECK_EQUAL(evutil_socket_connect_(&client, &unknown, sizeof unknown), -1);
	CHECK_EQUAL(errno, EAFNOSUPPORT);
	CHECK_EQUAL(client, -1);
	after = dup(0);
	CHECK_EQUAL(before, after);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQUAL(evutil_socket_connect_(&client, (struct sockaddr *)&nowhere, sizeof nowhere), -1);
	CHECK(client >= 0 && fcntl(client, F_GETFD) >= 0);
}

DIFFERENCE(sockets_made_to_connect_are_not_inherited, ONE_BACKEND,
    "a socket made by evutil_socket_connect_ is inherited by programs started with exec")
{
	struct sockaddr_in address;
	int server = listener(&address), client = -1;
	CHECK(evutil_socket_connect_(&client, (struct sockaddr *)&address, sizeof address) >= 0);
	CHECK(client >= 0);
	CHECK(fcntl(client, F_GETFD) & FD_CLOEXEC);
	close(server);
}

CASE(internal_pipes, ONE_BACKEND)
{
	int pipe[2];
	char byte = 'x';
	CHECK_EQUAL(evutil_make_internal_pipe_(pipe), 0);
	print_flags(pipe[0]);
	print_flags(pipe[1]);
	CHECK_EQUAL(read(pipe[0], &byte, 1), -1);
	CHECK_EQUAL(errno, EAGAIN);
	CHECK_EQUAL(write(pipe[1], &byte, 1), 1);
	CHECK_EQUAL(read(pipe[0], &byte, 1), 1);
}

CASE(event_descriptors, ONE_BACKEND)
{
	uint64_t value;
	int fd = evutil_eventfd_(3, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK(fd >= 0);
	print_flags(fd);
	CHECK_EQUAL(read(fd, &value, sizeof value), sizeof value);
	CHECK_EQUAL(value, 3);
	fd = evutil_eventfd_(0, 0);
	print_flags(fd);
}

CASE(no_descriptors_left, ONE_BACKEND)
{
	struct rlimit usual, limit;
	struct sockaddr_un nowhere = {AF_UNIX, "/no/such/socket"};
	int pair[2] = {-7, -7}, client = -1;
	if (under_valgrind())
		harness_skip("valgrind keeps descriptors of its own");
	log_to_stdout();
	CHECK(!getrlimit(RLIMIT_NOFILE, &usual));
	limit = (struct rlimit){0, usual.rlim_max};
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_EQUAL(evutil_make_internal_pipe_(pair), -1);
	CHECK_EQUAL(pair[0], -1);
	CHECK_EQUAL(pair[1], -1);
	CHECK_EQUAL(evutil_eventfd_(0, 0), -1);
	CHECK_EQUAL(errno, EMFILE);
	CHECK_EQUAL(evutil_socket_(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), -1);
	CHECK_EQUAL(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, pair), -1);
	CHECK_EQUAL(evutil_ersatz_socketpair_(AF_UNIX, SOCK_STREAM, 0, pair), -1);
	CHECK_EQUAL(evutil_socket_connect_(&client, (struct sockaddr *)&nowhere, sizeof nowhere), -1);
	CHECK_EQUAL(errno, EMFILE);
	CHECK(!setrlimit(RLIMIT_NOFILE, &usual));
}

/* What was made before descriptors ran out is closed. */
CASE(pairs_over_tcp_without_descriptors, ONE_BACKEND)
{
	struct rlimit usual, few;
	int pair[2], left, lowest, before;

	CHECK(!getrlimit(RLIMIT_NOFILE, &usual));
	for (left = 0; left < 3; left++) {
		lowest = dup(0);
		close(lowest);
		few = usual;
		few.rlim_cur = (rlim_t)lowest + (rlim_t)left;
		CHECK(!setrlimit(RLIMIT_NOFILE, &few));
		CHECK_EQUAL(evutil_ersatz_socketpair_(AF_UNIX, SOCK_STREAM, 0, pair), -1);
		CHECK_EQUAL(errno, EMFILE);
		CHECK(!setrlimit(RLIMIT_NOFILE, &usual));
		before = dup(0);
		close(before);
		CHECK_EQUAL(before, lowest);
	}
}

/* The library's way to accept, rather than libc's: as if somebody else had connected first. */
static int somebody_else;

int
accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	int accepted = (int)syscall(SYS_accept4, fd, address, length, flags);

	if (accepted >= 0 && somebody_else && address)
		((struct sockaddr_in *)address)->sin_port ^= 1;
	return accepted;
}

int
accept(int fd, struct sockaddr *address, socklen_t *length)
{
	return accept4(fd, address, length, 0);
}

CASE(pair_over_tcp_with_somebody_else, ONE_BACKEND)
{
	int pair[2] = {-7, -7}, before = dup(0), after;

	close(before);
	somebody_else = 1;
	CHECK_EQUAL(evutil_ersatz_socketpair_(AF_UNIX, SOCK_STREAM, 0, pair), -1);
	CHECK_EQUAL(errno, ECONNABORTED);
	after = dup(0);
	close(after);
	CHECK_EQUAL(before, after);
}

CASE(pairs_over_tcp, ONE_BACKEND)
{
	static const int families[] = {AF_INET, AF_UNIX};
	int pair[2] = {-7, -7}, before = dup(0), after;
	char byte = 'x';
	close(before);
	for (int i = 0; i < 2; i++) {
		struct sockaddr_in address;
		socklen_t length = sizeof address;
		CHECK_EQUAL(evutil_ersatz_socketpair_(families[i], SOCK_STREAM, 0, pair), 0);
		print_flags(pair[0]);
		print_flags(pair[1]);
		CHECK(!getpeername(pair[0], (struct sockaddr *)&address, &length));
		CHECK_EQUAL(address.sin_family, AF_INET);
		CHECK_EQUAL(address.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
		for (int side = 0; side < 2; side++) {
			CHECK_EQUAL(write(pair[side], &byte, 1), 1);
			CHECK_EQUAL(read(pair[!side], &byte, 1), 1);
		}
		close(pair[0]);
		close(pair[1]);
	}
	pair[0] = pair[1] = -7;
	CHECK_EQUAL(evutil_ersatz_socketpair_(AF_INET6, SOCK_STREAM, 0, pair), -1);
	CHECK_EQUAL(errno, EAFNOSUPPORT);
	CHECK_EQUAL(evutil_ersatz_socketpair_(AF_INET, SOCK_STREAM, IPPROTO_TCP, pair), -1);
	CHECK_EQUAL(errno, EAFNOSUPPORT);
	CHECK_EQUAL(evutil_ersatz_socketpair_(AF_INET, SOCK_STREAM, 0, NULL), -1);
	CHECK_EQUAL(errno, EINVAL);
	CHECK_EQUAL(evutil_ersatz_socketpair_(AF_INET, SOCK_DGRAM, 0, pair), -1);
	CHECK_EQUAL(errno, EOPNOTSUPP);
	CHECK_EQUAL(pair[0], -7);
	after = dup(0);
	CHECK_EQUAL(before, after);
}

static char path[64];

static void
write_file(const char *content, size_t length)
{
	int fd;
	strcpy(path, "/tmp/ctests-XXXXXX");
	fd = mkstemp(path);
	CHECK(fd >= 0);
	CHECK_EQUAL(write(fd, content, length), length);
	close(fd);
}

static void
print_file(const char *name)
{
	char *content = (char *)1;
	size_t length = 77;
	int result = evutil_read_file_(name, &content, &length, 1);
	printf("%d length %zu %s\n", result, length, content ? "content" : "none");
	if (result == 0) {
		CHECK_EQUAL(content[length], 0);
		free(content);
	} else {
		CHECK(content == NULL);
		CHECK_EQUAL(length, 0);
	}
}

/* Stands before the C library's function for the library under test too. */
static size_t largest_piece;

ssize_t
read(int fd, void *bytes, size_t length)
{
	return syscall(SYS_read, fd, bytes, largest_piece && length > largest_piece ? largest_piece : length);
}

CASE(files_that_come_in_pieces_are_read_whole, ONE_BACKEND)
{
	char *content;
	size_t length;
	write_file("one two three four five six", 27);
	largest_piece = 5;
	CHECK_EQUAL(evutil_read_file_(path, &content, &length, 1), 0);
	CHECK_EQUAL(length, 27);
	CHECK(!memcmp(content, "one two three four five six", 28));
	free(content);
	unlink(path);
}

CASE(files_are_read_whole, ONE_BACKEND)
{
	static char large[3 << 20];
	char *content;
	size_t length;
	write_file("", 0);
	print_file(path);
	unlink(path);
	write_file("one\0two\n", 8);
	print_file(path);
	CHECK_EQUAL(evutil_read_file_(path, &content, &length, 0), 0);
	CHECK(!memcmp(content, "one\0two\n", 9));
	free(content);
	unlink(path);
	for (size_t i = 0; i < sizeof large; i++)
		large[i] = (char)(i * 7 + i / 1000);
	write_file(large, sizeof large);
	CHECK_EQUAL(evutil_read_file_(path, &content, &length, 1), 0);
	CHECK_EQUAL(length, sizeof large);
	CHECK(!memcmp(content, large, sizeof large));
	free(content);
	unlink(path);
}

CASE(files_that_cannot_be_read, ONE_BACKEND)
{
	print_file("/no/such/file");
	print_file("");
	print_file("/tmp");
	print_file("/proc/self/status");
	print_file("/dev/null");
}

CASE(files_without_memory, ONE_BACKEND)
{
	char *content;
	size_t length;
	allocator_install();
	write_file("content", 7);
	allocator_fail_at(1);
	CHECK_EQUAL(evutil_read_file_(path, &content, &length, 1), -2);
	CHECK(content == NULL);
	CHECK_EQUAL(evutil_read_file_(path, &content, &length, 1), 0);
	CHECK_EQUAL(allocator.alive, 1);
	allocator_free(content);
	unlink(path);
}

CASE(opened_files_are_not_inherited, ONE_BACKEND)
{
	int fd;
	write_file("content", 7);
	fd = evutil_open_closeonexec_(path, O_RDWR | O_APPEND, 0);
	CHECK(fd >= 0);
	print_flags(fd);
	CHECK(fcntl(fd, F_GETFL) & O_APPEND);
	close(fd);
	unlink(path);
	fd = evutil_open_closeonexec_(path, O_WRONLY | O_CREAT | O_EXCL, 0640);
	CHECK(fd >= 0);
	CHECK_EQUAL(evutil_open_closeonexec_(path, O_WRONLY | O_CREAT | O_EXCL, 0640), -1);
	CHECK_EQUAL(errno, EEXIST);
	unlink(path);
	CHECK_EQUAL(evutil_open_closeonexec_(path, O_RDONLY, 0), -1);
	CHECK_EQUAL(errno, ENOENT);
}

CASE(environment_variables, ONE_BACKEND)
{
	setenv("CTESTS_VARIABLE", "value", 1);
	CHECK_STRING(evutil_getenv_("CTESTS_VARIABLE"), "value");
	setenv("CTESTS_VARIABLE", "", 1);
	CHECK_STRING(evutil_getenv_("CTESTS_VARIABLE"), "");
	unsetenv("CTESTS_VARIABLE");
	CHECK_STRING(evutil_getenv_("CTESTS_VARIABLE"), NULL);
}
