/* Programs with buffers as they were written for libevent 1.4: one header, buffers read and written
 * from plain events, their members by macros, one callback a buffer. */
#include <sys/types.h>
#include <sys/time.h>
#include <sys/socket.h>
#include <err.h>
#include <event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

/* --- A server of lines: an event for reading, one for writing, a buffer for each --- */

struct session {
	int fd;
	struct event ev_read;
	struct event ev_write;
	struct evbuffer *in;
	struct evbuffer *out;
	int lines;
};

static void
session_reply(struct session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	evbuffer_add_vprintf(s->out, fmt, ap);
	va_end(ap);
	event_add(&s->ev_write, NULL);
}

static void
session_on_write(int fd, short event, void *arg)
{
	struct session *s = arg;

	(void)event;
	if (evbuffer_write(s->out, fd) == -1)
		err(1, "write");
	if (EVBUFFER_LENGTH(s->out) != 0)
		event_add(&s->ev_write, NULL);
}

static void
session_on_read(int fd, short event, void *arg)
{
	struct session *s = arg;
	char *line;
	int n = evbuffer_read(s->in, fd, -1);

	(void)event;
	if (n <= 0) {
		printf("peer is gone, %u bytes unread: %.*s\n", (unsigned)EVBUFFER_LENGTH(s->in),
		    (int)EVBUFFER_LENGTH(s->in), EVBUFFER_LENGTH(s->in) ? (char *)EVBUFFER_DATA(s->in) : "");
		event_del(&s->ev_read);
		return;
	}
	while ((line = evbuffer_readline(s->in)) != NULL) {
		session_reply(s, "%d: %s (%zu)\r\n", ++s->lines, line, strlen(line));
		free(line);
	}
}

static void
ask(int fd, const char *words)
{
	char answer[200];
	int n;

	CHECK(write(fd, words, strlen(words)) == (ssize_t)strlen(words));
	event_loop(EVLOOP_ONCE);
	while ((n = read(fd, answer, sizeof(answer) - 1)) < 0 && event_loop(EVLOOP_NONBLOCK) == 0)
		;
	CHECK(n > 0);
	answer[n] = '\0';
	printf("%s", answer);
}

CASE(server_of_lines, EVERY_BACKEND)
{
	struct session s;
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	memset(&s, 0, sizeof(s));
	event_init();
	s.fd = pair[0];
	s.in = evbuffer_new();
	s.out = evbuffer_new();
	event_set(&s.ev_read, s.fd, EV_READ | EV_PERSIST, session_on_read, &s);
	event_set(&s.ev_write, s.fd, EV_WRITE, session_on_write, &s);
	event_add(&s.ev_read, NULL);
	ask(pair[1], "hello\r\n");
	ask(pair[1], "one\ntwo\nthree\nhalf of");
	ask(pair[1], " a line\n\r\n");
	CHECK(write(pair[1], "no end", 6) == 6);
	close(pair[1]);
	event_dispatch();
	evbuffer_free(s.in);
	evbuffer_free(s.out);
	close(pair[0]);
}

/* --- A parser that works in the buffer's memory --- */

static int
parse_header(struct evbuffer *buf)
{
	char *data = (char *)EVBUFFER_DATA(buf), *colon;
	size_t left = EVBUFFER_LENGTH(buf), i;

	for (i = 0; i + 1 < left; i++)
		if (data[i] == '\r' && data[i + 1] == '\n')
			break;
	if (i + 1 >= left)
		return -1;
	data[i] = '\0';
	if ((colon = strchr(data, ':')) != NULL) {
		*colon++ = '\0';
		printf("[%s] = [%s]\n", data, colon + strspn(colon, " "));
	} else
		printf("end of headers: [%s]\n", data);
	evbuffer_drain(buf, i + 2);
	return i == 0;
}

CASE(headers_parsed_in_place, ONE_BACKEND)
{
	static const char text[] = "Host: example.com\r\nAccept: */*\r\nX-Empty:\r\n\r\nbody";
	struct evbuffer *buf = evbuffer_new();
	size_t i;
	int done = -1;

	for (i = 0; i < sizeof(text) - 1; i++) {
		evbuffer_add(buf, text + i, 1);
		if (done != 1)
			done = parse_header(buf);
	}
	CHECK_EQUAL(done, 1);
	CHECK_EQUAL(EVBUFFER_LENGTH(buf), 4);
	CHECK(memcmp(EVBUFFER_DATA(buf), "body", 4) == 0);
	evbuffer_free(buf);
}

CASE(members_of_an_empty_buffer, ONE_BACKEND)
{
	struct evbuffer *buf = evbuffer_new();

	CHECK(buf);
	CHECK_EQUAL(EVBUFFER_LENGTH(buf), 0);
	CHECK(EVBUFFER_DATA(buf) == NULL);
	CHECK(evbuffer_readline(buf) == NULL);
	CHECK(evbuffer_find(buf, (const unsigned char *)"x", 1) == NULL);
	evbuffer_free(buf);
}

/* --- Lines --- */

static const char *const texts[] = {
    "one\n", "one\r", "one\r\n", "one\n\r", "\n", "\r\n\r\nnext\n", "one\n\n\ntwo\r\r\nrest", "no end", "",
    "first\nsecond\r\nthird\rfourth\n\rfifth",
};

CASE(every_kind_of_line_end, ONE_BACKEND)
{
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct evbuffer *buf = evbuffer_new();
		char *line;
		evbuffer_add(buf, texts[i], strlen(texts[i]));
		printf("text %zu:", i);
		while ((line = evbuffer_readline(buf)) != NULL) {
			printf(" \"%s\"", line);
			free(line);
		}
		printf(" and %zu bytes\n", EVBUFFER_LENGTH(buf));
		evbuffer_free(buf);
	}
}

/* --- Finding --- */

CASE(find_gives_a_pointer_into_the_data, ONE_BACKEND)
{
	struct evbuffer *buf = evbuffer_new(), *more = evbuffer_new();
	u_char *found;

	evbuffer_add_printf(buf, "GET %s HTTP/%d.%d", "/path", 1, 0);
	evbuffer_add_printf(more, "\r\n\r\n");
	CHECK_EQUAL(evbuffer_add_buffer(buf, more), 0);
	CHECK_EQUAL(EVBUFFER_LENGTH(more), 0);
	found = evbuffer_find(buf, (u_char *)"\r\n\r\n", 4);
	CHECK(found != NULL);
	CHECK_EQUAL(found - EVBUFFER_DATA(buf), 18);
	CHECK(evbuffer_find(buf, (u_char *)"HTTP/2", 6) == NULL);
	evbuffer_free(more);
	evbuffer_free(buf);
}

/* --- The one callback --- */

static void
print_change(struct evbuffer *buf, size_t old, size_t now, void *arg)
{
	printf("%s: %zu -> %zu, length %zu\n", (char *)arg, old, now, EVBUFFER_LENGTH(buf));
}

/* A high mark: the buffer never keeps more than ten bytes. */
static void
keep_ten(struct evbuffer *buf, size_t old, size_t now, void *arg)
{
	print_change(buf, old, now, arg);
	if (now > 10) {
		evbuffer_setcb(buf, NULL, NULL);
		evbuffer_drain(buf, now - 10);
		evbuffer_setcb(buf, keep_ten, arg);
	}
}

CASE(one_callback_a_buffer, ONE_BACKEND)
{
	struct evbuffer *buf = evbuffer_new(), *other = evbuffer_new();
	char byte;

	evbuffer_setcb(buf, print_change, (void *)"first");
	evbuffer_add(buf, "abc", 3);
	evbuffer_remove(buf, &byte, 1);
	evbuffer_setcb(buf, print_change, (void *)"second");
	evbuffer_add(buf, "defg", 4);
	evbuffer_add_buffer(other, buf);
	evbuffer_add_buffer(buf, other);
	evbuffer_drain(buf, 100);
	evbuffer_drain(buf, 100);
	evbuffer_setcb(buf, NULL, NULL);
	evbuffer_add(buf, "hij", 3);
	evbuffer_setcb(buf, keep_ten, (void *)"mark");
	evbuffer_add(buf, "0123456789", 10);
	evbuffer_add(buf, "0123456789abcdef", 16);
	CHECK_EQUAL(EVBUFFER_LENGTH(buf), 10);
	CHECK(memcmp(EVBUFFER_DATA(buf), "6789abcdef", 10) == 0);
	evbuffer_setcb(buf, NULL, NULL);
	evbuffer_free(buf);
	evbuffer_free(other);
}

/* --- Tagged items --- */

CASE(tagged_items_of_one_header, ONE_BACKEND)
{
	struct evbuffer *buf = evbuffer_new();
	struct timeval tv = {10, 20};
	ev_uint32_t tag, number;
	char *name;

	evtag_init();
	evtag_marshal_int(buf, 1, 42);
	evtag_marshal_string(buf, 2, "name");
	evtag_marshal_timeval(buf, 3, &tv);
	encode_int(buf, 7);
	while (EVBUFFER_LENGTH(buf) > 1) {
		CHECK(evtag_peek(buf, &tag) != -1);
		switch (tag) {
		case 1:
			CHECK(evtag_unmarshal_int(buf, tag, &number) != -1);
			printf("number %u\n", number);
			break;
		case 2:
			CHECK(evtag_unmarshal_string(buf, tag, &name) != -1);
			printf("name %s\n", name);
			free(name);
			break;
		default:
			CHECK(evtag_consume(buf) != -1);
			printf("unknown tag %u\n", tag);
		}
	}
	CHECK(*EVBUFFER_DATA(buf) == 7);
	evbuffer_free(buf);
}
