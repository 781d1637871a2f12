/* Parts of the library that make few system calls, while memory runs out. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <event2/buffer_compat.h>
#include <event2/event_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/http.h>
#include <event2/tag.h>
#include <sys/mman.h>
#include <sys/queue.h>

/* --- Bases ---------------------------------------------------------------------------------------- */

static void
count(evutil_socket_t fd, short what, void *counter)
{
	(void)fd;
	(void)what;
	++*(int *)counter;
}

static int
count_listed(const struct event_base *base, const struct event *event, void *counter)
{
	(void)base;
	(void)event;
	++*(int *)counter;
	return 0;
}

enum { COMMON = 6, PRIORITIES = 8 };

static enum ending
use_base(int flags, int threads)
{
	static const char *const unknown[] = {"devpoll", "kqueue", "nothing"};
	struct event_config *configuration = event_config_new();
	struct timeval interval = {5, 0}, at_once = {0, 0};
	struct event *events[COMMON * 4] = {NULL};
	struct event_base *base;
	int refused = 0, ran = 0, once = 0, listed = 0, added = 0, i;
	FILE *nowhere;
	if (!configuration)
		return REFUSED;
	for (i = 0; i < 3; i++)
		refused |= event_config_avoid_method(configuration, unknown[i]) != 0;
	refused |= event_config_set_flag(configuration, flags) != 0;
	refused |= event_config_set_max_dispatch_interval(configuration, &interval, 3, 1) != 0;
	refused |= event_config_set_num_cpus_hint(configuration, 2) != 0;
	refused |= threads && evthread_use_pthreads();
	base = event_base_new_with_config(configuration);
	event_config_free(configuration);
	if (!base)
		return REFUSED;
	refused |= event_base_priority_init(base, PRIORITIES) != 0;
	for (i = 0; i < COMMON * 4; i++) {
		const struct timeval duration = {0, 1000 * (i % COMMON + 1)}, *common = event_base_init_common_timeout(base, &duration);
		int is_signal = i % 4 == 3;
		if (!common)
			refused = 1;
		events[i] = event_new(base, is_signal ? SIGUSR1 : -1, is_signal ? EV_SIGNAL | EV_PERSIST : EV_PERSIST, count, &ran);
		if (!events[i]) {
			refused = 1;
			continue;
		}
		event_priority_set(events[i], i % event_base_get_npriorities(base));
		if (event_add(events[i], common ? common : &duration)) {
			HOLDS(!event_pending(events[i], EV_TIMEOUT | EV_SIGNAL, NULL), "what was not added is pending");
			refused = 1;
		} else {
			added++;
		}
	}
	HOLDS(event_base_foreach_event(base, count_listed, &listed) == 0, "listing");
	HOLDS(listed >= added, "what was added is not listed");
	nowhere = fopen("/dev/null", "w");
	event_base_dump_events(base, nowhere);
	fclose(nowhere);
	if (event_base_once(base, -1, EV_TIMEOUT, count, &once, &at_once))
		refused = 1;
	else
		listed = -1;
	refused |= event_base_once(base, -1, EV_TIMEOUT, count, &once, &interval) != 0;
	for (i = 0; i < 3; i++) {
		raise(SIGUSR2);
		refused |= event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0;
	}
	HOLDS(listed != -1 || once == 1, "a timeout that was taken did not run");
	refused |= event_base_loopexit(base, NULL) != 0;
	for (i = 0; i < COMMON * 4; i++) {
		if (events[i])
			event_free(events[i]);
	}
	finish_base(base);
	return refused ? REFUSED : DONE;
}

IN_MEMORY(bases)
{
	signal(SIGUSR2, SIG_IGN);
	return use_base(0, 0);
}

IN_MEMORY(bases_without_locks)
{
	signal(SIGUSR2, SIG_IGN);
	return use_base(EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_NO_CACHE_TIME | EVENT_BASE_FLAG_PRECISE_TIMER, 1);
}

IN_MEMORY(bases_with_locks)
{
	signal(SIGUSR2, SIG_IGN);
	return use_base(EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_STARTUP_IOCP, 1);
}

IN_MEMORY(bases_with_lock_debugging)
{
	static int debugging;
	signal(SIGUSR2, SIG_IGN);
	if (!debugging++)
		evthread_enable_lock_debugging();
	return use_base(0, 1);
}

IN_MEMORY(debug_mode)
{
	static int debugging;
	struct event events[200];
	struct event_base *base;
	int i, ran = 0, refused = 0;
	if (!debugging++)
		event_enable_debug_mode();
	if (!(base = new_base(0)))
		return REFUSED;
	for (i = 0; i < 200; i++) {
		refused |= event_assign(&events[i], base, -1, EV_PERSIST, count, &ran) != 0;
		event_active(&events[i], EV_READ, 1);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	for (i = 0; i < 200; i++) {
		event_del(&events[i]);
		event_debug_unassign(&events[i]);
	}
	HOLDS(refused || ran == 200, "not all ran");
	refused |= ran != 200;
	finish_base(base);
	return refused ? REFUSED : DONE;
}

enum { MANY = 300 };

IN_MEMORY(many_descriptors)
{
	struct event_base *base = new_base(0);
	struct event *events[MANY] = {NULL};
	int pipes[MANY][2], i, ran = 0, added = 0, refused = 0;
	if (!base)
		return REFUSED;
	for (i = 0; i < MANY; i++) {
		HOLDS(pipe2(pipes[i], O_NONBLOCK | O_CLOEXEC) == 0 && write(pipes[i][1], "x", 1) == 1, "a pipe");
		events[i] = event_new(base, pipes[i][0], EV_READ | (i % 2 ? EV_PERSIST : 0) | (i % 3 ? 0 : EV_CLOSED), count, &ran);
		if (!events[i] || event_add(events[i], NULL))
			refused = 1;
		else
			added++;
	}
	for (i = 0; i < 50 && ran < added; i++)
		refused |= event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0;
	HOLDS(refused || ran >= added, "not all ran");
	for (i = 0; i < MANY; i++) {
		if (events[i])
			event_free(events[i]);
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	finish_base(base);
	return refused ? REFUSED : DONE;
}

/* --- Buffers --------------------------------------------------------------------------------------- */

static void
follow(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *length)
{
	(void)buffer;
	HOLDS(*(size_t *)length == info->orig_size, "a callback was left out");
	*(size_t *)length += info->n_added - info->n_deleted;
}

static void
ignore_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)buffer;
	(void)info;
	(void)arg;
}

static int references;

static void
cleanup(const void *data, size_t length, void *arg)
{
	(void)data;
	(void)length;
	(void)arg;
	references--;
}

static void
cleanup_segment(struct evbuffer_file_segment const *segment, int flags, void *arg)
{
	(void)segment;
	(void)flags;
	(void)arg;
	references--;
}

/* What a buffer should hold. */
static unsigned char model[1 << 20];
static size_t held;

static void
add_model(const void *bytes, size_t length)
{
	memcpy(model + held, bytes, length);
	held += length;
}

static void
take_model(size_t length)
{
	memmove(model, model + length, held -= length);
}

static void
compare(struct evbuffer *buffer)
{
	static unsigned char bytes[1 << 20];
	HOLDS(evbuffer_get_length(buffer) == held, "the length is wrong");
	HOLDS(evbuffer_copyout(buffer, bytes, held) == (ev_ssize_t)held, "not all comes out");
	HOLDS(!memcmp(bytes, model, held), "the bytes are wrong");
}

static int refusals;

/* Whether a call did what it should; compares in each case. */
static int
did(struct evbuffer *buffer, int worked, const void *bytes, size_t length)
{
	if (worked)
		add_model(bytes, length);
	else
		refusals++;
	compare(buffer);
	return worked;
}

static enum ending
use_buffers(struct event_base *base, int threads)
{
	static unsigned char bytes[20000], referenced[5000];
	struct evbuffer *buffer = evbuffer_new(), *other = evbuffer_new();
	struct evbuffer_iovec vectors[4] = {{bytes, 3000}, {bytes + 3000, 1}, {bytes + 3001, 5000}, {bytes + 8001, 100}};
	struct evbuffer_file_segment *segment;
	struct evbuffer_cb_entry *entry;
	struct evbuffer_ptr place;
	size_t length = 0, n;
	char *line;
	int file, copy, i, flags, ends[2];
	held = 0;
	refusals = 0;
	references = 0;
	for (i = 0; i < 20000; i++)
		bytes[i] = i % 97 == 96 ? '\n' : 'a' + i % 23;
	if (!buffer || !other) {
		if (buffer)
			evbuffer_free(buffer);
		if (other)
			evbuffer_free(other);
		return REFUSED;
	}
	if (threads) {
		refusals += evbuffer_enable_locking(buffer, NULL) != 0;
		refusals += evbuffer_enable_locking(other, NULL) != 0;
	}
	if (base)
		refusals += evbuffer_defer_callbacks(buffer, base) != 0;
	entry = evbuffer_add_cb(buffer, base ? ignore_change : follow, &length);
	refusals += !entry;
	refusals += !evbuffer_add_cb(other, ignore_change, NULL);
	did(buffer, !evbuffer_add(buffer, bytes, 100), bytes, 100);
	did(buffer, !evbuffer_add(buffer, bytes, 20000), bytes, 20000);
	did(buffer, evbuffer_add_iovec(buffer, vectors, 4) == 8101, bytes, 8101);
	references++;
	if (!did(buffer, !evbuffer_add_reference(buffer, referenced, 5000, cleanup, NULL), referenced, 5000))
		references--;
	did(buffer, evbuffer_add_printf(buffer, "%.*s", 5000, (char *)bytes) == 5000, bytes, 5000);
	did(buffer, !evbuffer_expand(buffer, 30000), "", 0);
	n = evbuffer_reserve_space(buffer, 9000, vectors, 2);
	if ((int)n > 0) {
		size_t left = 9000;
		for (i = 0; i < (int)n; i++) {
			vectors[i].iov_len = vectors[i].iov_len < left ? vectors[i].iov_len : left;
			memset(vectors[i].iov_base, 'r', vectors[i].iov_len);
			left -= vectors[i].iov_len;
		}
		memset(bytes, 'r', 9000);
		did(buffer, !evbuffer_commit_space(buffer, vectors, (int)n), bytes, 9000);
	} else {
		did(buffer, 0, "", 0);
	}
	/* Files, in each way. */
	file = memfd_create("file", MFD_CLOEXEC);
	HOLDS(file >= 0 && write(file, bytes, 20000) == 20000, "a file");
	for (flags = 0; flags < 4; flags++) {
		copy = dup(file);
		segment = evbuffer_file_segment_new(copy, 10, 15000, EVBUF_FS_CLOSE_ON_FREE |
			(flags & 1 ? EVBUF_FS_DISABLE_MMAP : 0) | (flags & 2 ? EVBUF_FS_DISABLE_SENDFILE : 0));
		if (!segment) {
			close(copy); /* it was not taken over */
			did(buffer, 0, "", 0);
			continue;
		}
		references++;
		evbuffer_file_segment_add_cleanup_cb(segment, cleanup_segment, NULL);
		if (did(buffer, !evbuffer_add_file_segment(buffer, segment, 5, 9000), bytes + 15, 9000))
			evbuffer_file_segment_free(segment);
	}
	evbuffer_set_flags(other, EVBUFFER_FLAG_DRAINS_TO_FD);
	i = dup(file);
	if (evbuffer_add_file(other, i, 0, 5000)) {
		close(i);
		refusals++;
	} else {
		HOLDS(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), "sockets");
		refusals += evbuffer_write(other, ends[0]) < 0;
		refusals += evbuffer_read(other, ends[1], -1) < 0;
		close(ends[0]);
		close(ends[1]);
	}
	close(file);
	/* Views, lines, pullups, searching, what goes to another buffer. */
	evbuffer_drain(other, evbuffer_get_length(other));
	if (evbuffer_add(other, bytes, 7000))
		refusals++;
	else
		did(buffer, !evbuffer_add_buffer_reference(buffer, other), bytes, 7000);
	evbuffer_drain(other, evbuffer_get_length(other));
	for (i = 0; i < 5; i++) {
		n = 0;
		line = evbuffer_readln(buffer, &n, EVBUFFER_EOL_LF);
		if (!line) {
			refusals++;
		} else {
			HOLDS(!memcmp(line, model, n) && model[n] == '\n', "a wrong line");
			take_model(n + 1);
			free_with_hooks(line);
		}
		compare(buffer);
	}
	n = held / 2;
	if (!evbuffer_pullup(buffer, (ev_ssize_t)n))
		refusals++;
	compare(buffer);
	evbuffer_ptr_set(buffer, &place, 1000 < held ? 1000 : 0, EVBUFFER_PTR_SET);
	evbuffer_search(buffer, "rrrr", 4, &place);
	HOLDS(evbuffer_peek(buffer, -1, NULL, NULL, 0) >= 0, "peeking");
	n = 3333 < held ? 3333 : held;
	i = evbuffer_remove_buffer(buffer, other, n);
	HOLDS(i == (int)evbuffer_get_length(other) || (i < 0 && !evbuffer_get_length(other)), "what was moved is not what is said");
	if (i < (int)n)
		refusals++;
	if (i > 0)
		take_model(i);
	compare(buffer);
	n = evbuffer_get_length(other);
	if (evbuffer_add_buffer(other, buffer)) {
		refusals++;
		compare(buffer);
	} else {
		HOLDS(!evbuffer_get_length(buffer), "moved bytes stayed");
		if (evbuffer_add_buffer(buffer, other))
			HOLDS(0, "adding to an empty buffer needs memory");
		evbuffer_drain(buffer, n);
		compare(buffer);
	}
	memset(bytes, 'p', 6000);
	if (evbuffer_prepend(buffer, bytes, 6000)) {
		refusals++;
	} else {
		memmove(model + 6000, model, held);
		memcpy(model, bytes, 6000);
		held += 6000;
	}
	compare(buffer);
	if (!evbuffer_prepend_buffer(buffer, other)) {
		evbuffer_drain(buffer, evbuffer_get_length(buffer) - held);
		compare(buffer);
	}
	HOLDS(base || !entry || length == held, "callbacks counted wrongly");
	if (base)
		event_base_loop(base, EVLOOP_NONBLOCK);
	evbuffer_free(other);
	evbuffer_free(buffer);
	HOLDS(!references, "a cleanup was forgotten, or called twice");
	return refusals ? REFUSED : DONE;
}

IN_MEMORY(buffers)
{
	return use_buffers(NULL, 0);
}

IN_MEMORY(buffers_deferred)
{
	struct event_base *base = new_base(1);
	enum ending ending;
	if (!base)
		return REFUSED;
	ending = use_buffers(base, 1);
	finish_base(base);
	return ending;
}

/* --- Texts ---------------------------------------------------------------------------------------- */

IN_MEMORY(texts)
{
	struct evkeyvalq headers;
	struct evhttp_uri *uri;
	char *text, joined[200];
	size_t length;
	int refused = 0, i;
	memset(&headers, 0, sizeof headers);
	TAILQ_INIT(&headers);
	for (i = 0; i < 20; i++) {
		char key[20];
		snprintf(key, sizeof key, "Key-%d", i);
		if (evhttp_add_header(&headers, key, "value")) {
			refused = 1;
			HOLDS(!evhttp_find_header(&headers, key), "a header is half there");
		} else {
			HOLDS(!strcmp(evhttp_find_header(&headers, key), "value"), "a header is not there");
		}
	}
	evhttp_clear_headers(&headers);
	if (evhttp_parse_query_str("a=1&b=%20&c=ddd+e&f=1111111111111111111111", &headers))
		refused = 1;
	else
		HOLDS(evhttp_find_header(&headers, "f"), "a part of a query is missing");
	evhttp_clear_headers(&headers);
	if (evhttp_parse_query("http://host/path?a=1&b=%20", &headers))
		refused = 1;
	evhttp_clear_headers(&headers);
	uri = evhttp_uri_parse_with_flags("http://user@host.example:80/path?query=1#fragment", 0);
	if (!uri)
		uri = evhttp_uri_new();
	if (uri) {
		refused |= evhttp_uri_set_scheme(uri, "https") != 0;
		refused |= evhttp_uri_set_userinfo(uri, "userinfo") != 0;
		refused |= evhttp_uri_set_host(uri, "[::1]") != 0;
		refused |= evhttp_uri_set_port(uri, 443) != 0;
		refused |= evhttp_uri_set_path(uri, "/a") != 0;
		refused |= evhttp_uri_set_query(uri, "x=y") != 0;
		refused |= evhttp_uri_set_fragment(uri, "frag") != 0;
		if (!evhttp_uri_join(uri, joined, sizeof joined))
			refused = 1;
		else if (!refused)
			HOLDS(!strcmp(joined, "https://userinfo@[::1]:443/a?x=y#frag"), joined);
		evhttp_uri_free(uri);
	} else {
		refused = 1;
	}
#define TEXT(call)                                                                                 \
	text = call;                                                                               \
	refused |= !text;                                                                          \
	if (text)                                                                                  \
		free_with_hooks(text);
	TEXT(evhttp_encode_uri("a b c d"))
	TEXT(evhttp_uriencode("a b\0c", 5, 1))
	TEXT(evhttp_decode_uri("a%20b"))
	TEXT(evhttp_uridecode("a%20b+", 1, &length))
	TEXT(evhttp_htmlescape("<a href=\"'&\">"))
	return refused ? REFUSED : DONE;
}

IN_MEMORY(tags)
{
	struct evbuffer *buffer = evbuffer_new(), *other = evbuffer_new();
	struct timeval now = {1, 2}, got;
	char bytes[5000], *text;
	ev_uint32_t number, tag;
	ev_uint64_t large;
	size_t before;
	int refused = 0;
	memset(bytes, 'x', sizeof bytes - 1);
	bytes[sizeof bytes - 1] = 0;
	if (buffer && other) {
		evtag_init();
		/* These cannot say that memory ran out: each is there, or nothing of it is. */
		before = 0;
#define PUT(call)                                                                                  \
	before = evbuffer_get_length(buffer);                                                      \
	call;                                                                                      \
	if (evbuffer_get_length(buffer) == before)                                                 \
		refused = 1;
		PUT(evtag_marshal(buffer, 1, bytes, 4000))
		PUT(evtag_marshal_int(buffer, 2, 77))
		PUT(evtag_marshal_int64(buffer, 3, 1ull << 40))
		PUT(evtag_marshal_string(buffer, 4, bytes))
		PUT(evtag_marshal_timeval(buffer, 5, &now))
		if (evbuffer_add(other, bytes, 3000))
			refused = 1;
		PUT(evtag_marshal_buffer(buffer, 6, other))
		evbuffer_drain(other, evbuffer_get_length(other));
		if (!refused) {
			refused |= evtag_unmarshal(buffer, &tag, other) != 4000;
			if (!refused)
				HOLDS(tag == 1 && evtag_unmarshal_int(buffer, 2, &number) > 0 && number == 77, "a number");
			if (!refused)
				HOLDS(evtag_unmarshal_int64(buffer, 3, &large) > 0 && large == 1ull << 40, "a large number");
			if (!refused && evtag_unmarshal_string(buffer, 4, &text) < 0)
				refused = 1;
			else if (!refused)
				free_with_hooks(text);
			if (!refused && evtag_unmarshal_timeval(buffer, 5, &got) < 0)
				refused = 1;
			if (!refused && evtag_unmarshal_fixed(buffer, 6, bytes, 3000) < 0)
				refused = 1;
		}
	} else {
		refused = 1;
	}
	if (buffer)
		evbuffer_free(buffer);
	if (other)
		evbuffer_free(other);
	return refused ? REFUSED : DONE;
}
