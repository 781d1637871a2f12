/* Programs with buffered connections as they were written for libevent 1.4: one header,
 * bufferevent_new, error callbacks that look at EVBUFFER_ bits, members of the structure. */
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/time.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <err.h>
#include <event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

static void
print_what(const char *who, short what)
{
	printf("%s:%s%s%s%s%s\n", who, what & EVBUFFER_READ ? " reading" : "",
	    what & EVBUFFER_WRITE ? " writing" : "", what & EVBUFFER_EOF ? " eof" : "",
	    what & EVBUFFER_ERROR ? " error" : "", what & EVBUFFER_TIMEOUT ? " timeout" : "");
}

/* A listening socket of a name that the system chooses. */
static int
listen_somewhere(struct sockaddr_un *address, socklen_t *length)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	CHECK(bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)) == 0);
	CHECK(listen(fd, 5) == 0);
	*length = sizeof(*address);
	CHECK(getsockname(fd, (struct sockaddr *)address, length) == 0);
	return fd;
}

/* --- An echo server --- */

struct client {
	int fd;
	struct bufferevent *buf_ev;
	TAILQ_ENTRY(client) entries;
};

static TAILQ_HEAD(, client) clients = TAILQ_HEAD_INITIALIZER(clients);
static struct event ev_accept;
static int clients_to_come;

static void
buffered_on_read(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(bev, bev->input);
}

static void
buffered_on_write(struct bufferevent *bev, void *arg)
{
	(void)bev;
	(void)arg;
}

static void
buffered_on_error(struct bufferevent *bev, short what, void *arg)
{
	struct client *client = arg;

	print_what("client", what);
	CHECK(client->buf_ev == bev);
	TAILQ_REMOVE(&clients, client, entries);
	bufferevent_free(client->buf_ev);
	close(client->fd);
	free(client);
}

static void
on_accept(int fd, short ev, void *arg)
{
	struct client *client = calloc(1, sizeof(*client));

	(void)ev;
	(void)arg;
	client->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
	CHECK(client->fd >= 0);
	client->buf_ev = bufferevent_new(client->fd, buffered_on_read, buffered_on_write, buffered_on_error, client);
	bufferevent_enable(client->buf_ev, EV_READ);
	TAILQ_INSERT_TAIL(&clients, client, entries);
	if (--clients_to_come == 0) {
		event_del(&ev_accept);
		close(fd);
	}
}

static void
speak(int fd, const char *words)
{
	char answer[64] = "";
	size_t length = strlen(words), got = 0;

	CHECK(write(fd, words, length) == (ssize_t)length);
	while (got < length) {
		ssize_t n = read(fd, answer + got, sizeof answer - 1 - got);
		if (n > 0)
			got += n;
		else
			event_loop(EVLOOP_ONCE);
	}
	printf("answer: %s\n", answer);
}

CASE(echo_server, EVERY_BACKEND)
{
	struct sockaddr_un address;
	socklen_t length;
	int listener = listen_somewhere(&address, &length), fds[3], i;

	event_init();
	clients_to_come = 3;
	event_set(&ev_accept, listener, EV_READ | EV_PERSIST, on_accept, NULL);
	event_add(&ev_accept, NULL);
	for (i = 0; i < 3; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(connect(fds[i], (struct sockaddr *)&address, length) == 0);
	}
	for (i = 0; i < 3; i++) {
		speak(fds[i], "hello");
		speak(fds[i], "hello again");
	}
	for (i = 0; i < 3; i++)
		close(fds[i]);
	event_dispatch();
	CHECK(TAILQ_EMPTY(&clients));
}

/* --- Two ends of a connection, both buffered --- */

static struct bufferevent *
connected(struct bufferevent **other, evbuffercb readcb, evbuffercb writecb, everrorcb errorcb, void *arg)
{
	struct bufferevent *bev;
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	bev = bufferevent_new(pair[0], readcb, writecb, errorcb, arg);
	*other = bufferevent_new(pair[1], NULL, NULL, errorcb, arg);
	CHECK(bev != NULL && *other != NULL);
	return bev;
}

static void
release(struct bufferevent *bev)
{
	int fd = EVENT_FD(&bev->ev_read);

	bufferevent_free(bev);
	close(fd);
}

static void
on_lines(struct bufferevent *bev, void *arg)
{
	char *line;

	while ((line = evbuffer_readline(EVBUFFER_INPUT(bev))) != NULL) {
		printf("line: %s\n", line);
		if (strcmp(line, "quit") == 0)
			event_loopbreak();
		free(line);
	}
	(void)arg;
}

static void
on_error(struct bufferevent *bev, short what, void *arg)
{
	print_what(arg, what);
	bufferevent_disable(bev, EV_READ | EV_WRITE);
}

CASE(lines_through_a_connection, EVERY_BACKEND)
{
	struct bufferevent *reader, *writer;

	event_init();
	reader = connected(&writer, on_lines, NULL, on_error, (void *)"end");
	bufferevent_enable(reader, EV_READ);
	bufferevent_write(writer, "first\nsec", 9);
	CHECK_EQUAL(EVBUFFER_LENGTH(EVBUFFER_OUTPUT(writer)), 9);
	event_loop(EVLOOP_ONCE);
	bufferevent_write(writer, "ond\r\nquit\n", 10);
	event_dispatch();
	CHECK_EQUAL(EVBUFFER_LENGTH(writer->output), 0);
	CHECK_EQUAL(EVBUFFER_LENGTH(reader->input), 0);
	release(reader);
	release(writer);
}

static void
on_read_of_ten(struct bufferevent *bev, void *arg)
{
	char text[11] = "";
	size_t n;

	(void)arg;
	printf("%zu bytes to read\n", EVBUFFER_LENGTH(bev->input));
	while ((n = bufferevent_read(bev, text, 10)) > 0)
		printf("%.*s\n", (int)n, text);
	event_loopbreak();
}

CASE(read_callback_waits_for_the_low_mark, EVERY_BACKEND)
{
	struct bufferevent *reader, *writer;
	int i;

	event_init();
	reader = connected(&writer, on_read_of_ten, NULL, on_error, (void *)"end");
	bufferevent_setwatermark(reader, EV_READ, 10, 100);
	CHECK_EQUAL(reader->wm_read.low, 10);
	CHECK_EQUAL(reader->wm_read.high, 100);
	bufferevent_enable(reader, EV_READ);
	for (i = 0; i < 3; i++) {
		bufferevent_write(writer, "four", 4);
		if (i < 2)
			while (EVBUFFER_LENGTH(reader->input) < (size_t)i * 4 + 4)
				event_loop(EVLOOP_ONCE);
	}
	event_dispatch();
	release(reader);
	release(writer);
}

static void
on_drained(struct bufferevent *bev, void *arg)
{
	int *times = arg;

	printf("drained, %zu left\n", EVBUFFER_LENGTH(EVBUFFER_OUTPUT(bev)));
	if (++*times < 3)
		bufferevent_write(bev, "more", 4);
	else
		event_loopbreak();
}

CASE(write_callback_when_all_is_written, EVERY_BACKEND)
{
	struct bufferevent *writer, *reader;
	int times = 0;

	event_init();
	writer = connected(&reader, NULL, on_drained, on_error, &times);
	bufferevent_write(writer, "some", 4);
	event_dispatch();
	CHECK_EQUAL(times, 3);
	release(reader);
	release(writer);
}

CASE(silence_ends_in_a_timeout, EVERY_BACKEND)
{
	struct bufferevent *reader, *writer;
	struct timeval tv = {0, 10000};

	event_init();
	reader = connected(&writer, on_lines, NULL, on_error, (void *)"reader");
	bufferevent_settimeout(reader, 3, 4);
	CHECK_EQUAL(reader->timeout_read.tv_sec, 3);
	CHECK_EQUAL(reader->timeout_write.tv_sec, 4);
	bufferevent_settimeout(reader, 0, 0);
	bufferevent_set_timeouts(reader, &tv, NULL);
	bufferevent_disable(writer, EV_WRITE);
	bufferevent_enable(reader, EV_READ);
	event_dispatch();
	release(reader);
	release(writer);
}

CASE(the_other_end_goes_away, EVERY_BACKEND)
{
	struct bufferevent *reader, *writer;

	event_init();
	reader = connected(&writer, on_lines, NULL, on_error, (void *)"reader");
	bufferevent_enable(reader, EV_READ);
	bufferevent_write(writer, "last words\nwithout end", 22);
	while (EVBUFFER_LENGTH(writer->output) > 0)
		event_loop(EVLOOP_ONCE);
	release(writer);
	event_dispatch();
	printf("unread: %.*s\n", (int)EVBUFFER_LENGTH(reader->input), (char *)EVBUFFER_DATA(reader->input));
	release(reader);
}

/* --- Members, and the rest of the old calls --- */

CASE(members_of_a_new_connection, ONE_BACKEND)
{
	struct event_base *first = event_init(), *second = event_base_new();
	struct bufferevent *bev = bufferevent_new(-1, on_lines, on_drained, on_error, &second);
	int pair[2];

	CHECK(bev->ev_base == NULL);
	CHECK(bev->ev_read.ev_base == first && bev->ev_write.ev_base == first);
	CHECK(bev->readcb == on_lines && bev->writecb == on_drained && bev->errorcb == on_error);
	CHECK(bev->cbarg == &second);
	CHECK(bev->input == EVBUFFER_INPUT(bev) && bev->output == EVBUFFER_OUTPUT(bev));
	CHECK_EQUAL(bev->enabled, EV_WRITE);
	CHECK_EQUAL(bev->wm_read.low, 0);
	CHECK_EQUAL(bev->wm_write.high, 0);
	CHECK(!timerisset(&bev->timeout_read) && !timerisset(&bev->timeout_write));
	CHECK_EQUAL(bufferevent_base_set(second, bev), 0);
	CHECK(bev->ev_base == second);
	bufferevent_setcb(bev, NULL, NULL, on_error, NULL);
	CHECK(bev->readcb == NULL && bev->errorcb == on_error && bev->cbarg == NULL);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	bufferevent_setfd(bev, pair[0]);
	CHECK_EQUAL(EVENT_FD(&bev->ev_read), pair[0]);
	CHECK_EQUAL(EVENT_FD(&bev->ev_write), pair[0]);
	CHECK_EQUAL(bufferevent_priority_set(bev, 0), 0);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
	CHECK_EQUAL(bev->enabled, EV_READ | EV_WRITE);
	CHECK(event_pending(&bev->ev_read, EV_READ, NULL));
	CHECK_EQUAL(bufferevent_disable(bev, EV_READ | EV_WRITE), 0);
	CHECK_EQUAL(bev->enabled, 0);
	CHECK(!event_pending(&bev->ev_read, EV_READ, NULL));
	bufferevent_free(bev);
	close(pair[0]);
	close(pair[1]);
	event_base_free(second);
	event_base_free(first);
}
