/* Programs as they were written for libevent 1.4: one header, one current base, events in globals
 * and in structures of the program, set by event_set. */
#include <sys/types.h>
#include <sys/time.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

/* --- A reader of a fifo: one event, which adds itself again --- */

static struct event fifo_event;
static int fifo_reads;

static void
fifo_read(int fd, short event, void *arg)
{
	struct event *ev = arg;
	char buf[255];
	int len;

	printf("fifo_read called with event: %d\n", event);
	len = read(fd, buf, sizeof(buf) - 1);
	if (len <= 0) {
		printf("%s\n", len == 0 ? "Connection closed" : "read error");
		return;
	}
	buf[len] = '\0';
	printf("Read: %s\n", buf);
	fifo_reads++;
	event_add(ev, NULL);
}

CASE(fifo_reader_adds_itself_again, EVERY_BACKEND)
{
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	event_init();
	event_set(&fifo_event, pair[0], EV_READ, fifo_read, &fifo_event);
	event_add(&fifo_event, NULL);
	CHECK(write(pair[1], "one", 3) == 3);
	event_loop(EVLOOP_ONCE);
	CHECK(write(pair[1], "two", 3) == 3);
	event_loop(EVLOOP_ONCE);
	close(pair[1]);
	printf("event_dispatch: %d\n", event_dispatch());
	CHECK_EQUAL(fifo_reads, 2);
}

/* --- A clock: a timer that starts itself again --- */

static int ticks;

static void
timeout_cb(int fd, short event, void *arg)
{
	struct timeval tv;
	struct event *timeout = arg;

	printf("tick %d: fd %d, event %d\n", ++ticks, fd, event);
	if (ticks == 3)
		return;
	evutil_timerclear(&tv);
	tv.tv_usec = 2000;
	event_add(timeout, &tv);
}

CASE(clock_with_evtimer_set, EVERY_BACKEND)
{
	struct event timeout;
	struct timeval tv;

	event_init();
	evtimer_set(&timeout, timeout_cb, &timeout);
	evutil_timerclear(&tv);
	tv.tv_usec = 1000;
	event_add(&timeout, &tv);
	CHECK(evtimer_initialized(&timeout));
	CHECK(evtimer_pending(&timeout, NULL));
	CHECK_EQUAL(event_dispatch(), 1);
	CHECK(!evtimer_pending(&timeout, NULL));
	CHECK_EQUAL(ticks, 3);
}

CASE(clock_with_timeout_set, EVERY_BACKEND)
{
	struct event timeout;
	struct timeval tv = {0, 1000};

	event_init();
	timeout_set(&timeout, timeout_cb, &timeout);
	CHECK(timeout_initialized(&timeout));
	timeout_add(&timeout, &tv);
	CHECK(timeout_pending(&timeout, NULL));
	timeout_del(&timeout);
	CHECK(!timeout_pending(&timeout, NULL));
	timeout_add(&timeout, &tv);
	event_dispatch();
	CHECK_EQUAL(ticks, 3);
}

/* --- A signal counter that ends itself --- */

static int called;

static void
signal_cb(int fd, short event, void *arg)
{
	struct event *signal = arg;

	printf("%s: got signal %d\n", event & EV_SIGNAL ? "signal" : "other", EVENT_SIGNAL(signal));
	CHECK_EQUAL(fd, EVENT_SIGNAL(signal));
	if (called >= 2)
		event_del(signal);
	called++;
}

CASE(signal_event_deletes_itself_after_three, EVERY_BACKEND)
{
	struct event signal_int;

	event_init();
	event_set(&signal_int, SIGINT, EV_SIGNAL | EV_PERSIST, signal_cb, &signal_int);
	event_add(&signal_int, NULL);
	raise(SIGINT);
	event_loop(EVLOOP_ONCE);
	raise(SIGINT);
	raise(SIGINT);
	raise(SIGINT);
	CHECK_EQUAL(event_dispatch(), 1);
	CHECK_EQUAL(called, 3);
}

CASE(signal_macros, EVERY_BACKEND)
{
	struct event ev;

	event_init();
	signal_set(&ev, SIGUSR1, signal_cb, &ev);
	CHECK(signal_initialized(&ev));
	CHECK_EQUAL(signal_add(&ev, NULL), 0);
	CHECK(signal_pending(&ev, NULL));
	called = 2;
	raise(SIGUSR1);
	event_dispatch();
	CHECK(!signal_pending(&ev, NULL));
	CHECK_EQUAL(signal_del(&ev), 0);
	CHECK_EQUAL(called, 3);
}

/* --- A server: a structure for each client, with the events in it --- */

struct client {
	int fd;
	struct event ev_read;
	struct event ev_write;
	char buf[64];
	size_t used;
	struct client *next;
};

static struct event accept_event;
static struct client *clients;
static int clients_served;

static void
client_free(struct client *client)
{
	struct client **link = &clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	event_del(&client->ev_read);
	event_del(&client->ev_write);
	close(client->fd);
	free(client);
}

static void
on_write(int fd, short ev, void *arg)
{
	struct client *client = arg;

	CHECK(ev == EV_WRITE);
	CHECK(write(fd, client->buf, client->used) == (ssize_t)client->used);
	client->used = 0;
	event_add(&client->ev_read, NULL);
}

static void
on_read(int fd, short ev, void *arg)
{
	struct client *client = arg;
	int len;

	CHECK(ev == EV_READ);
	len = read(fd, client->buf, sizeof(client->buf));
	if (len <= 0) {
		client_free(client);
		if (++clients_served == 3)
			event_del(&accept_event);
		return;
	}
	client->used = len;
	event_del(&client->ev_read);
	event_add(&client->ev_write, NULL);
}

static void
on_accept(int fd, short ev, void *arg)
{
	struct client *client;
	int client_fd = accept(fd, NULL, NULL);

	(void)ev;
	(void)arg;
	CHECK(client_fd >= 0);
	fcntl(client_fd, F_SETFL, O_NONBLOCK);
	client = calloc(1, sizeof(*client));
	client->fd = client_fd;
	client->next = clients;
	clients = client;
	event_set(&client->ev_read, client_fd, EV_READ | EV_PERSIST, on_read, client);
	event_set(&client->ev_write, client_fd, EV_WRITE, on_write, client);
	event_add(&client->ev_read, NULL);
}

static void
speak(int fd, const char *words)
{
	char answer[64] = "";
	size_t length = strlen(words);

	CHECK(write(fd, words, length) == (ssize_t)length);
	while (read(fd, answer, sizeof answer - 1) < 0 && errno == EAGAIN)
		event_loop(EVLOOP_ONCE);
	printf("answer: %s\n", answer);
}

CASE(echo_server_with_events_in_its_clients, EVERY_BACKEND)
{
	struct sockaddr_un address;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), fds[3], i;
	socklen_t length = sizeof(sa_family_t);

	memset(&address, 0, sizeof(address));
	address.sun_family = AF_UNIX;
	CHECK(bind(listener, (struct sockaddr *)&address, length) == 0);
	CHECK(listen(listener, 5) == 0);
	length = sizeof(address);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	event_init();
	event_set(&accept_event, listener, EV_READ | EV_PERSIST, on_accept, NULL);
	event_add(&accept_event, NULL);
	for (i = 0; i < 3; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(connect(fds[i], (struct sockaddr *)&address, length) == 0);
	}
	for (i = 0; i < 3; i++) {
		speak(fds[i], "hello");
		speak(fds[i], "again");
	}
	for (i = 0; i < 3; i++)
		close(fds[i]);
	CHECK_EQUAL(event_dispatch(), 1);
	CHECK(clients == NULL);
}

/* --- The rest of the old calls --- */

static void
print_once(int fd, short event, void *arg)
{
	printf("%s: fd %d, event %d\n", (char *)arg, fd < 0 ? fd : 0, event);
}

CASE(event_once_and_loopexit, EVERY_BACKEND)
{
	struct timeval tv = {0, 5000}, soon = {0, 1000};
	int pair[2];

	event_init();
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	CHECK_EQUAL(event_once(-1, EV_TIMEOUT, print_once, (void *)"timer", &soon), 0);
	CHECK_EQUAL(event_once(pair[0], EV_WRITE, print_once, (void *)"writer", NULL), 0);
	CHECK_EQUAL(event_once(pair[0], EV_READ, print_once, (void *)"reader that waits", NULL), 0);
	CHECK_EQUAL(event_loopexit(&tv), 0);
	CHECK_EQUAL(event_dispatch(), 0);
}

static void
break_the_loop(int fd, short event, void *arg)
{
	print_once(fd, event, arg);
	CHECK_EQUAL(event_loopbreak(), 0);
}

CASE(event_loopbreak_in_a_callback, EVERY_BACKEND)
{
	struct event ev, other;

	event_init();
	event_set(&ev, -1, 0, break_the_loop, (void *)"breaks");
	event_set(&other, -1, 0, print_once, (void *)"stays queued");
	event_active(&ev, EV_TIMEOUT, 1);
	event_active(&other, EV_TIMEOUT, 1);
	CHECK_EQUAL(event_dispatch(), 0);
	puts("next loop");
	CHECK_EQUAL(event_loop(EVLOOP_NONBLOCK), 1);
}

CASE(event_priorities_of_the_current_base, ONE_BACKEND)
{
	struct event low, high;

	event_init();
	CHECK_EQUAL(event_priority_init(2), 0);
	event_set(&low, -1, 0, print_once, (void *)"low");
	event_set(&high, -1, 0, print_once, (void *)"high");
	CHECK_EQUAL(event_priority_set(&low, 1), 0);
	CHECK_EQUAL(event_priority_set(&high, 0), 0);
	event_active(&low, EV_READ, 1);
	event_active(&high, EV_READ, 1);
	CHECK_EQUAL(event_dispatch(), 1);
}

CASE(event_init_twice_makes_two_bases, ONE_BACKEND)
{
	struct event_base *first = event_init(), *second;
	struct event on_first, on_second;

	event_set(&on_first, -1, 0, print_once, (void *)"first base");
	second = event_init();
	CHECK(first != second);
	event_set(&on_second, -1, 0, print_once, (void *)"second base");
	CHECK(on_first.ev_base == first && on_second.ev_base == second);
	event_active(&on_first, EV_READ, 1);
	event_active(&on_second, EV_READ, 1);
	event_dispatch();
	event_base_dispatch(first);
	CHECK_EQUAL(event_base_set(first, &on_second), 0);
	event_active(&on_second, EV_READ, 1);
	event_base_loop(first, EVLOOP_ONCE);
	event_base_free(NULL);
	event_base_free(first);
}

CASE(event_set_before_event_init, ONE_BACKEND)
{
	struct event_base *base;
	struct event ev;

	event_set(&ev, -1, 0, print_once, (void *)"set before");
	CHECK(ev.ev_base == NULL);
	base = event_init();
	CHECK_EQUAL(event_base_set(base, &ev), 0);
	event_active(&ev, EV_READ, 1);
	event_dispatch();
	printf("method %s the base's\n", strcmp(event_get_method(), event_base_get_method(base)) ? "is not" : "is");
}

CASE(version_and_method, EVERY_BACKEND)
{
	event_init();
	printf("%s, %#x, %s\n", event_get_version(), event_get_version_number(), event_get_method());
}

/* A connection moves an event to another interest the way memcached did. */
CASE(event_is_set_again_on_its_base, EVERY_BACKEND)
{
	struct event_base *base;
	struct event ev;
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	event_init();
	event_set(&ev, pair[0], EV_READ | EV_PERSIST, print_once, (void *)"first interest");
	event_add(&ev, NULL);
	base = ev.ev_base;
	CHECK(event_del(&ev) == 0);
	event_set(&ev, pair[0], EV_WRITE, print_once, (void *)"second interest");
	CHECK(event_base_set(base, &ev) == 0);
	CHECK(event_add(&ev, 0) == 0);
	CHECK_EQUAL(EVENT_FD(&ev), pair[0]);
	CHECK_EQUAL(event_dispatch(), 1);
}
