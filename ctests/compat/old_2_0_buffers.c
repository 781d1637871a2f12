/* Programs with buffers as they were written for libevent 2.0: the headers of the event2 directory,
 * without <event.h>, and the names that 2.1 changed. */
#include <event2/event-config.h>
#ifdef _EVENT_HAVE_SYS_UIO_H
#include <sys/uio.h>
#endif
#include <event2/buffer.h>
#include <event2/buffer_compat.h>
#include <event2/tag.h>
#include <event2/tag_compat.h>
#include <event2/util.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

/* --- Lines and searches --- */

CASE(head_of_a_request, ONE_BACKEND)
{
	struct evbuffer *buf = evbuffer_new();
	struct evbuffer_ptr end, colon;
	char *line;
	size_t length;

	evbuffer_add_printf(buf, "POST /%d HTTP/1.1\r\nHost: %s\r\nContent-Length: %u\n\r\n", 7, "example.com", 4u);
	evbuffer_add(buf, "body", 4);
	end = evbuffer_search(buf, "\n\r\n", 3, NULL);
	CHECK_EQUAL(end.pos, 54);
	end = evbuffer_search_eol(buf, NULL, &length, EVBUFFER_EOL_CRLF_STRICT);
	CHECK(end.pos == 16 && length == 2);
	CHECK_EQUAL(evbuffer_ptr_set(buf, &end, 2, EVBUFFER_PTR_ADD), 0);
	colon = evbuffer_search(buf, ":", 1, &end);
	CHECK_EQUAL(colon.pos, 22);
	colon = evbuffer_search_range(buf, ":", 1, &end, &colon);
	CHECK_EQUAL(colon.pos, -1);
	while ((line = evbuffer_readln(buf, &length, EVBUFFER_EOL_CRLF)) != NULL) {
		printf("%zu: %s\n", length, line);
		free(line);
		if (length == 0)
			break;
	}
	CHECK_EQUAL(evbuffer_get_length(buf), 4);
	CHECK(memcmp(evbuffer_pullup(buf, 4), "body", 4) == 0);
	evbuffer_free(buf);
}

/* --- Memory of the buffer written and read in place --- */

CASE(space_filled_in_place, ONE_BACKEND)
{
	struct evbuffer *buf = evbuffer_new();
	struct evbuffer_iovec v[2], *peeked;
	int n, i;
	size_t filled = 0;

	evbuffer_add(buf, "start ", 6);
	n = evbuffer_reserve_space(buf, 5000, v, 2);
	CHECK(n > 0);
	for (i = 0; i < n && filled < 5000; i++) {
		if (v[i].iov_len > 5000 - filled)
			v[i].iov_len = 5000 - filled;
		memset(v[i].iov_base, 'a' + i, v[i].iov_len);
		filled += v[i].iov_len;
	}
	CHECK_EQUAL(evbuffer_commit_space(buf, v, i), 0);
	CHECK_EQUAL(evbuffer_get_length(buf), 5006);
	n = evbuffer_peek(buf, -1, NULL, NULL, 0);
	peeked = malloc(sizeof(struct evbuffer_iovec) * n);
	CHECK_EQUAL(evbuffer_peek(buf, -1, NULL, peeked, n), n);
	for (filled = 0, i = 0; i < n; i++)
		filled += peeked[i].iov_len;
	CHECK_EQUAL(filled, 5006);
	CHECK(memcmp(peeked[0].iov_base, "start ", 6) == 0);
	free(peeked);
	evbuffer_free(buf);
}

/* --- Callbacks --- */

static void
print_info(struct evbuffer *buf, const struct evbuffer_cb_info *info, void *arg)
{
	printf("%s: %zu + %zu - %zu = %zu\n", (char *)arg, info->orig_size, info->n_added, info->n_deleted,
	    evbuffer_get_length(buf));
}

static void
print_sizes(struct evbuffer *buf, size_t old_len, size_t new_len, void *arg)
{
	(void)buf;
	printf("%s: %zu -> %zu\n", (char *)arg, old_len, new_len);
}

CASE(several_callbacks_and_the_old_one, ONE_BACKEND)
{
	struct evbuffer *buf = evbuffer_new();
	evbuffer_cb_func function = print_info;
	evbuffer_cb old_function = print_sizes;
	struct evbuffer_cb_entry *one = evbuffer_add_cb(buf, function, (void *)"one");
	struct evbuffer_cb_entry *two = evbuffer_add_cb(buf, function, (void *)"two");

	evbuffer_add(buf, "abc", 3);
	evbuffer_cb_clear_flags(buf, one, EVBUFFER_CB_ENABLED);
	evbuffer_add(buf, "de", 2);
	evbuffer_cb_set_flags(buf, one, EVBUFFER_CB_ENABLED);
	CHECK_EQUAL(evbuffer_remove_cb_entry(buf, two), 0);
	CHECK_EQUAL(evbuffer_remove_cb(buf, function, (void *)"nobody"), -1);
	evbuffer_prepend(buf, "<", 1);
	evbuffer_setcb(buf, old_function, (void *)"old");
	evbuffer_drain(buf, 4);
	evbuffer_free(buf);
}

/* --- Memory and files of the program --- */

static void
released(const void *data, size_t length, void *arg)
{
	printf("released \"%.*s\" of %s\n", (int)length, (const char *)data, (char *)arg);
}

CASE(reference_and_file_copied_to_a_pipe, ONE_BACKEND)
{
	struct evbuffer *buf = evbuffer_new();
	FILE *file = tmpfile();
	char out[64] = "";
	int fds[2];

	CHECK(file && fputs("0123456789", file) >= 0 && fflush(file) == 0);
	CHECK(pipe(fds) == 0);
	CHECK_EQUAL(evbuffer_add_reference(buf, "constant ", 9, released, (void *)"the program"), 0);
	CHECK_EQUAL(evbuffer_add_file(buf, dup(fileno(file)), 2, 6), 0);
	fclose(file);
	while (evbuffer_get_length(buf) > 0)
		CHECK(evbuffer_write(buf, fds[1]) > 0);
	CHECK_EQUAL(read(fds[0], out, sizeof(out) - 1), 15);
	printf("%s\n", out);
	close(fds[0]);
	close(fds[1]);
	evbuffer_free(buf);
}

/* --- Ends that are frozen, as those of a connection's buffers --- */

CASE(frozen_ends, ONE_BACKEND)
{
	struct evbuffer *buf = evbuffer_new(), *other = evbuffer_new();

	evbuffer_add(buf, "abc", 3);
	CHECK_EQUAL(evbuffer_freeze(buf, 0), 0);
	CHECK_EQUAL(evbuffer_add(buf, "d", 1), -1);
	CHECK_EQUAL(evbuffer_drain(buf, 1), 0);
	CHECK_EQUAL(evbuffer_freeze(buf, 1), 0);
	CHECK_EQUAL(evbuffer_add_buffer(other, buf), -1);
	CHECK_EQUAL(evbuffer_unfreeze(buf, 1), 0);
	CHECK_EQUAL(evbuffer_remove_buffer(buf, other, 1), 1);
	CHECK_EQUAL(evbuffer_get_length(buf), 1);
	evbuffer_free(buf);
	evbuffer_free(other);
}

/* --- Names that 2.1 kept for 2.0 --- */

CASE(configuration_of_buffers, ONE_BACKEND)
{
#ifdef _EVENT_HAVE_SYS_UIO_H
	struct iovec native = {(void *)"x", 1};
	struct evbuffer_iovec *same = &native;
	CHECK_EQUAL(same->iov_len, 1);
#else
	harness_fail(__FILE__, __LINE__, "programs can see that there is readv");
#endif
	CHECK_EQUAL(_EVENT_SIZEOF_SIZE_T, sizeof(size_t));
	CHECK_EQUAL(_EVENT_SIZEOF_LONG, sizeof(long));
	CHECK_EQUAL(sizeof(ev_ssize_t), sizeof(size_t));
	CHECK_EQUAL(EVBUFFER_FLAG_DRAINS_TO_FD, 1);
	CHECK_EQUAL(EVBUFFER_CB_ENABLED, 1);
}
