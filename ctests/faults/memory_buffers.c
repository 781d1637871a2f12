/* What buffers can do while memory runs out: each call does all of it, or nothing and says so. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <sys/mman.h>

enum { DATA = 20000 };

/* What is added, and what is referred to. */
static unsigned char data[DATA], referenced[5000];

/* The buffer under test, another one, and what the first should hold. */
static struct evbuffer *buffer, *other;
static unsigned char model[1 << 20];
static size_t held;
/* Calls that were refused; references to data and files that were given and not taken back. */
static int refusals, references;

static void
compare(void)
{
	static unsigned char bytes[sizeof model];
	HOLDS(evbuffer_get_length(buffer) == held, "the length is wrong");
	HOLDS(evbuffer_copyout(buffer, bytes, held) == (ev_ssize_t)held && !memcmp(bytes, model, held), "the bytes are wrong");
}

/* A call that is to add these bytes worked, or did nothing. */
static int
added(int worked, const void *bytes, size_t length)
{
	if (worked) {
		memcpy(model + held, bytes, length);
		held += length;
	}
	refusals += !worked;
	compare();
	return worked;
}

static void
taken(size_t length)
{
	memmove(model, model + length, held -= length);
	compare();
}

/* --- What the library calls ------------------------------------------------------------------------- */

static void
follow(struct evbuffer *changed, const struct evbuffer_cb_info *info, void *length)
{
	(void)changed;
	HOLDS(*(size_t *)length == info->orig_size, "a callback was left out");
	*(size_t *)length += info->n_added - info->n_deleted;
}

static void
ignore_change(struct evbuffer *changed, const struct evbuffer_cb_info *info, void *arg)
{
	(void)changed;
	(void)info;
	(void)arg;
}

static void
take_back(const void *bytes, size_t length, void *arg)
{
	(void)bytes;
	(void)length;
	(void)arg;
	references--;
}

static void
take_back_file(const struct evbuffer_file_segment *segment, int flags, void *arg)
{
	(void)segment;
	(void)flags;
	(void)arg;
	references--;
}

/* --- Steps ------------------------------------------------------------------------------------------- */

static void
add_bytes(void)
{
	struct evbuffer_iovec vectors[] = {{data, 3000}, {data + 3000, 1}, {data + 3001, 5000}, {data + 8001, 100}};
	added(!evbuffer_add(buffer, data, 100), data, 100);
	added(!evbuffer_add(buffer, data, DATA), data, DATA);
	added(evbuffer_add_iovec(buffer, vectors, 4) == 8101, data, 8101);
	references++;
	if (!added(!evbuffer_add_reference(buffer, referenced, sizeof referenced, take_back, NULL), referenced, sizeof referenced))
		references--;
	added(evbuffer_add_printf(buffer, "%.*s", 5000, (char *)data) == 5000, data, 5000);
	added(!evbuffer_expand(buffer, 30000), "", 0);
}

static void
add_reserved(void)
{
	struct evbuffer_iovec vectors[2];
	size_t left = 9000;
	int count = evbuffer_reserve_space(buffer, 9000, vectors, 2), i;
	for (i = 0; i < count; i++) {
		vectors[i].iov_len = vectors[i].iov_len < left ? vectors[i].iov_len : left;
		memcpy(vectors[i].iov_base, data + 9000 - left, vectors[i].iov_len);
		left -= vectors[i].iov_len;
	}
	added(count > 0 && !evbuffer_commit_space(buffer, vectors, count), data, 9000);
}

/* Parts of a file that is mapped or read, sent or not. */
static void
add_files(int file)
{
	struct evbuffer_file_segment *segment;
	int flags, copy;
	for (flags = 0; flags < 4; flags++) {
		copy = fcntl(file, F_DUPFD_CLOEXEC, 0);
		segment = evbuffer_file_segment_new(copy, 10, 15000, EVBUF_FS_CLOSE_ON_FREE | (flags & 1 ? EVBUF_FS_DISABLE_MMAP : 0) |
							     (flags & 2 ? EVBUF_FS_DISABLE_SENDFILE : 0));
		if (!segment) {
			close(copy);
			refusals++;
			continue;
		}
		references++;
		evbuffer_file_segment_add_cleanup_cb(segment, take_back_file, NULL);
		/* A refusal takes the reference of the caller. */
		if (added(!evbuffer_add_file_segment(buffer, segment, 5, 9000), data + 15, 9000))
			evbuffer_file_segment_free(segment);
	}
}

static void
send_file(int file)
{
	int ends[2];
	evbuffer_set_flags(other, EVBUFFER_FLAG_DRAINS_TO_FD);
	if (evbuffer_add_file(other, fcntl(file, F_DUPFD_CLOEXEC, 0), 0, 5000)) {
		refusals++;
		return;
	}
	HOLDS(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), "sockets");
	refusals += evbuffer_write(other, ends[0]) < 0;
	refusals += evbuffer_read(other, ends[1], -1) < 0;
	close(ends[0]);
	close(ends[1]);
	evbuffer_drain(other, evbuffer_get_length(other));
}

static void
add_views(void)
{
	if (evbuffer_add(other, data, 7000))
		refusals++;
	else
		added(!evbuffer_add_buffer_reference(buffer, other), data, 7000);
	evbuffer_drain(other, evbuffer_get_length(other));
}

static void
take_lines(void)
{
	size_t length = 0;
	char *line;
	int i;
	for (i = 0; i < 5; i++) {
		line = evbuffer_readln(buffer, &length, EVBUFFER_EOL_LF);
		if (line) {
			HOLDS(!memcmp(line, model, length) && model[length] == '\n', "a wrong line");
			taken(length + 1);
			free_with_hooks(line);
		} else {
			refusals++;
			compare();
		}
	}
}

static void
look(void)
{
	refusals += !evbuffer_pullup(buffer, (ev_ssize_t)held / 2);
	compare();
	evbuffer_search(buffer, "rrrr", 4, NULL);
	HOLDS(evbuffer_peek(buffer, -1, NULL, NULL, 0) >= 0, "the chains cannot be counted");
}

/* What was moved elsewhere has left, and nothing else has. */
static void
move(void)
{
	size_t wanted = held < 3333 ? held : 3333;
	int moved = evbuffer_remove_buffer(buffer, other, wanted);
	HOLDS(moved == (int)evbuffer_get_length(other) || (moved < 0 && !evbuffer_get_length(other)), "what was moved is not what is said");
	refusals += moved < (int)wanted;
	taken(moved > 0 ? moved : 0);
	if (evbuffer_prepend_buffer(buffer, other)) {
		refusals++;
	} else {
		moved = moved > 0 ? moved : 0;
		memmove(model + moved, model, held);
		held += evbuffer_copyout(buffer, model, moved);
	}
	compare();
}

static void
put_in_front(void)
{
	if (evbuffer_prepend(buffer, data, 6000)) {
		refusals++;
	} else {
		memmove(model + 6000, model, held);
		memcpy(model, data, 6000);
		held += 6000;
	}
	compare();
}

/* --- All of them ------------------------------------------------------------------------------------ */

static void
use_buffers(int deferred)
{
	static size_t length;
	struct evbuffer_cb_entry *entry;
	int file = memfd_create("file", MFD_CLOEXEC);
	HOLDS(file >= 0 && write(file, data, DATA) == DATA, "a file");
	length = 0;
	entry = evbuffer_add_cb(buffer, deferred ? ignore_change : follow, &length);
	refusals += !entry;
	refusals += !evbuffer_add_cb(other, ignore_change, NULL);
	add_bytes();
	add_reserved();
	add_files(file);
	send_file(file);
	add_views();
	take_lines();
	look();
	move();
	put_in_front();
	HOLDS(deferred || !entry || length == held, "callbacks counted wrongly");
	close(file);
}

/* With locks and deferred callbacks if there is a base. */
static enum ending
run_buffers(struct event_base *base)
{
	int i;
	for (i = 0; i < DATA; i++)
		data[i] = i % 97 == 96 ? '\n' : 'a' + i % 23;
	held = 0;
	refusals = references = 0;
	buffer = evbuffer_new();
	other = evbuffer_new();
	refusals += !buffer || !other;
	if (!refusals && base) {
		refusals += evbuffer_enable_locking(buffer, NULL) != 0;
		refusals += evbuffer_enable_locking(other, NULL) != 0;
		refusals += evbuffer_defer_callbacks(buffer, base) != 0;
	}
	if (buffer && other)
		use_buffers(base != NULL);
	if (base)
		event_base_loop(base, EVLOOP_NONBLOCK);
	if (buffer)
		evbuffer_free(buffer);
	if (other)
		evbuffer_free(other);
	HOLDS(!references, "a cleanup was forgotten, or called twice");
	return refusals ? REFUSED : DONE;
}

IN_MEMORY(buffers)
{
	return run_buffers(NULL);
}

IN_MEMORY(buffers_deferred)
{
	struct event_base *base = new_base(1);
	enum ending ending;
	if (!base)
		return REFUSED;
	ending = run_buffers(base);
	finish_base(base);
	return ending;
}
