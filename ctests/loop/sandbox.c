/* Sandboxes that allow what a program on the reference needs, and refuse newer calls. */
#include "addresses.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <event2/util.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void
refuse(int call, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		harness_skip("the system has no seccomp filters");
}

static struct event_base *base;
static int accepted, got, signals, woken, ponged;

static void
count(evutil_socket_t fd, short what, void *counter)
{
	(void)fd;
	(void)what;
	++*(int *)counter;
}

static void
answer(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	got += (int)evbuffer_get_length(input);
	evbuffer_drain(input, evbuffer_get_length(input));
	bufferevent_write(bev, "pong", 4);
}

static void
stop(struct bufferevent *bev, void *arg)
{
	char text[8];

	(void)arg;
	ponged += bufferevent_read(bev, text, sizeof text) == 4 && !memcmp(text, "pong", 4);
	if (ponged == 3)
		event_base_loopbreak(base);
	else
		bufferevent_write(bev, "ping", 4);
}

static void
serve(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)listener;
	(void)address;
	(void)length;
	accepted++;
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	bufferevent_setcb(bev, answer, NULL, NULL, NULL);
	bufferevent_enable(bev, EV_READ);
	*(struct bufferevent **)arg = bev;
}

static void *
activate(void *event)
{
	usleep(20000);
	event_active(event, EV_READ, 1);
	return NULL;
}

/* A server, a client, a signal, and a call from another thread. */
static void
use(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof address;
	struct evconnlistener *listener;
	struct bufferevent *client, *served = NULL;
	struct event *signal, *wake;
	pthread_t thread;

	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	CHECK(base);
	signal = evsignal_new(base, SIGUSR1, count, &signals);
	CHECK(event_add(signal, NULL) == 0);
	raise(SIGUSR1);
	listener = evconnlistener_new_bind(base, serve, &served, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1,
		(struct sockaddr *)&address, sizeof address);
	CHECK(listener);
	CHECK(getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length) == 0);
	client = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
	bufferevent_setcb(client, stop, NULL, NULL, NULL);
	bufferevent_enable(client, EV_READ | EV_WRITE);
	bufferevent_write(client, "ping", 4);
	CHECK(bufferevent_socket_connect(client, (struct sockaddr *)&address, sizeof address) == 0);
	event_base_loopexit(base, &(struct timeval){10, 0});
	CHECK(event_base_dispatch(base) == 0);
	printf("%s: %d accepted, %d got, %d answers, %d signals\n", event_base_get_method(base), accepted, got, ponged, signals);
	wake = event_new(base, -1, 0, count, &woken);
	CHECK(pthread_create(&thread, NULL, activate, wake) == 0);
	while (!woken)
		CHECK(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) == 0);
	pthread_join(thread, NULL);
	event_free(wake);
	event_free(signal);
	bufferevent_free(client);
	if (served)
		bufferevent_free(served);
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(receiving_is_refused, EVERY_BACKEND)
{
	refuse(SYS_recvfrom, EPERM);
	use();
}

CASE(sending_is_refused, EVERY_BACKEND)
{
	refuse(SYS_sendto, EPERM);
	use();
}

CASE(receiving_and_sending_are_missing, EVERY_BACKEND)
{
	refuse(SYS_recvfrom, ENOSYS);
	refuse(SYS_sendto, ENOSYS);
	use();
}

CASE(accept4_is_missing, EVERY_BACKEND)
{
	refuse(SYS_accept4, ENOSYS);
	use();
}

DIFFERENCE(accept4_is_refused, EVERY_BACKEND, "No connection is accepted where accept4 is refused and accept allowed.")
{
	refuse(SYS_accept4, EPERM);
	use();
	CHECK(accepted == 1);
}

CASE(pipe2_is_missing, EVERY_BACKEND)
{
	refuse(SYS_pipe2, ENOSYS);
	use();
}

CASE(pipe2_is_refused, EVERY_BACKEND)
{
	refuse(SYS_pipe2, EPERM);
	use();
}

CASE(pipe2_and_eventfd_are_missing, EVERY_BACKEND)
{
	refuse(SYS_pipe2, ENOSYS);
	refuse(SYS_eventfd2, ENOSYS);
	use();
}

CASE(epoll_create1_is_missing, EVERY_BACKEND)
{
	refuse(SYS_epoll_create1, ENOSYS);
	use();
}

CASE(epoll_create1_is_refused, EVERY_BACKEND)
{
	refuse(SYS_epoll_create1, EPERM);
	use();
}

/* Other reasons for the same error do not count as a refusal. */
CASE(what_is_no_refusal, ONE_BACKEND)
{
	struct evbuffer *buffer = evbuffer_new();
	int ends[2];

	make_pipe(ends);
	errno = 0;
	printf("%d\n", evbuffer_read(buffer, ends[0], 10));
	CHECK_EQUAL(errno, EAGAIN);
	evbuffer_add(buffer, "text", 4);
	printf("%d\n", evbuffer_write(buffer, ends[0]));
	CHECK_EQUAL(errno, EBADF);
	evbuffer_free(buffer);
}
