/* The loop, signals, other threads, connections and files while system calls fail. */
#define _GNU_SOURCE
#include "streams.h"

#include <pthread.h>
#include <sys/mman.h>

/* --- Descriptors and timers ----------------------------------------------------------------------- */

struct counts {
	int reads, timeouts, wanted, finished;
	int pipe[2];
};

static void
count_event(evutil_socket_t fd, short what, void *arg)
{
	struct counts *counts = arg;
	char byte;
	if (what & EV_READ) {
		HOLDS(read(fd, &byte, 1) == 1, "an event for a descriptor that has nothing");
		counts->reads++;
		HOLDS(write(counts->pipe[1], "x", 1) == 1, "a byte");
	}
	if (what & EV_TIMEOUT)
		counts->timeouts++;
	counts->finished = counts->reads >= counts->wanted && counts->timeouts >= 3;
}

SCENARIO(loop)
{
	const struct timeval soon = {0, 2000};
	struct counts counts = {.wanted = 5};
	struct event_base *base = new_base(0);
	struct event *reader, *timer;
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, counts.pipe) == 0 && write(counts.pipe[1], "x", 1) == 1, "a pipe");
	reader = event_new(base, counts.pipe[0], EV_READ | EV_PERSIST, count_event, &counts);
	timer = event_new(base, -1, EV_PERSIST, count_event, &counts);
	if (reader && timer && !event_add(reader, NULL) && !event_add(timer, &soon))
		ending = run_until(base, &counts.finished);
	if (reader)
		event_free(reader);
	if (timer)
		event_free(timer);
	close(counts.pipe[0]);
	close(counts.pipe[1]);
	finish_base(base);
	return ending;
}

/* --- Signals ------------------------------------------------------------------------------------------ */

static void
count_signal(evutil_socket_t fd, short what, void *arg)
{
	struct counts *counts = arg;
	(void)fd;
	(void)what;
	if (++counts->reads >= counts->wanted)
		counts->finished = 1;
	else
		raise(SIGUSR1);
}

SCENARIO(signals)
{
	struct counts counts = {.wanted = 3};
	struct event_base *base = new_base(0);
	struct event *watcher;
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	watcher = evsignal_new(base, SIGUSR1, count_signal, &counts);
	if (watcher && !event_add(watcher, NULL)) {
		raise(SIGUSR1);
		ending = run_until(base, &counts.finished);
	}
	if (watcher)
		event_free(watcher);
	finish_base(base);
	return ending;
}

/* --- Another thread ------------------------------------------------------------------------------------- */

static void
set_finished(evutil_socket_t fd, short what, void *finished)
{
	(void)fd;
	(void)what;
	*(int *)finished = 1;
}

static void *
activate(void *event)
{
	usleep(5000);
	event_active(event, EV_READ, 0);
	return NULL;
}

SCENARIO(wakeup)
{
	int finished = 0;
	struct event_base *base = new_base(1);
	struct event *told;
	enum ending ending = REFUSED;
	pthread_t thread;
	if (!base)
		return REFUSED;
	told = event_new(base, -1, 0, set_finished, &finished);
	if (told && !pthread_create(&thread, NULL, activate, told)) {
		ending = run_until(base, &finished);
		pthread_join(thread, NULL);
	}
	if (told)
		event_free(told);
	finish_base(base);
	return ending;
}

/* --- Other methods and modes of a base ------------------------------------------------------------ */

static const struct base_options by_poll = {{"epoll"}, 0}, by_select = {{"epoll", "poll"}, 0},
				 by_changelist = {{NULL}, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST},
				 precisely = {{NULL}, EVENT_BASE_FLAG_PRECISE_TIMER};

#define WITH(options, id, scenario)                                                                \
	SCENARIO(id)                                                                               \
	{                                                                                          \
		base_options = options;                                                            \
		return scenario();                                                                 \
	}

WITH(by_poll, loop_by_poll, loop)
WITH(by_select, loop_by_select, loop)
WITH(precisely, loop_precise, loop)
WITH(by_poll, signals_by_poll, signals)
WITH(by_select, wakeup_by_select, wakeup)

/* The base is reinitialised as in a child after fork(). */
SCENARIO(reinit)
{
	struct counts counts = {.wanted = 5};
	struct event_base *base = new_base(1);
	struct event *reader, *watcher;
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, counts.pipe) == 0 && write(counts.pipe[1], "x", 1) == 1, "a pipe");
	reader = event_new(base, counts.pipe[0], EV_READ | EV_PERSIST, count_event, &counts);
	watcher = evsignal_new(base, SIGUSR1, count_signal, &counts);
	if (reader && watcher && !event_add(reader, NULL) && !event_add(watcher, NULL) && !event_reinit(base)) {
		counts.timeouts = 3;
		ending = run_until(base, &counts.finished);
	}
	faults_stop();
	HOLDS(event_reinit(base) == 0, "the base cannot be taken over any more");
	if (reader)
		event_free(reader);
	if (watcher)
		event_free(watcher);
	close(counts.pipe[0]);
	close(counts.pipe[1]);
	finish_base(base);
	return ending;
}

/* --- Random numbers -------------------------------------------------------------------------------- */

/* They cannot report failure, so they must not fail. */
SCENARIO(random_bytes)
{
	static const unsigned char nothing[32];
	unsigned char bytes[2][32] = {{0}};
	int ready = evutil_secure_rng_init();
	evutil_secure_rng_get_bytes(bytes[0], sizeof bytes[0]);
	evutil_secure_rng_get_bytes(bytes[1], sizeof bytes[1]);
	HOLDS(memcmp(bytes[0], bytes[1], sizeof bytes[0]) && memcmp(bytes[0], nothing, sizeof nothing), "bytes are not random");
	return ready ? REFUSED : DONE;
}

/* --- Bufferevents ------------------------------------------------------------------------------ */

SCENARIO(sockets)
{
	struct streams streams = {0};
	struct event_base *base = new_base(0);
	enum ending ending = REFUSED;
	int ends[2], i, ready = 1;
	if (!base)
		return REFUSED;
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
	for (i = 0; i < 2; i++) {
		streams.ends[i].bev = bufferevent_socket_new(base, ends[i], BEV_OPT_CLOSE_ON_FREE);
		if (!streams.ends[i].bev)
			close(ends[i]);
		ready &= set_up_end(&streams, i);
	}
	if (ready)
		ending = run_streams(base, &streams);
	free_streams(&streams);
	finish_base(base);
	return ending;
}

WITH(by_changelist, sockets_by_changelist, sockets)
WITH(by_poll, sockets_by_poll, sockets)
WITH(by_select, sockets_by_select, sockets)

static enum bufferevent_filter_result
pass_on(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	size_t before = evbuffer_get_length(from);
	(void)mode;
	(void)arg;
	if (!before)
		return BEV_NEED_MORE;
	if (evbuffer_remove_buffer(from, to, limit < 0 ? before : (size_t)limit) <= 0)
		return BEV_ERROR;
	return BEV_OK;
}

SCENARIO(filters)
{
	struct streams streams = {0};
	struct event_base *base = new_base(0);
	enum ending ending = REFUSED;
	int ends[2], i, ready = 1;
	if (!base)
		return REFUSED;
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
	for (i = 0; i < 2; i++) {
		struct stream_end *end = &streams.ends[i];
		end->below = bufferevent_socket_new(base, ends[i], BEV_OPT_CLOSE_ON_FREE);
		if (!end->below)
			close(ends[i]);
		else
			end->bev = bufferevent_filter_new(end->below, pass_on, pass_on, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
		ready &= set_up_end(&streams, i);
	}
	if (ready)
		ending = run_streams(base, &streams);
	free_streams(&streams);
	finish_base(base);
	return ending;
}

SCENARIO(pairs)
{
	struct streams streams = {0};
	struct bufferevent *pair[2] = {NULL, NULL};
	struct event_base *base = new_base(0);
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	if (!bufferevent_pair_new(base, 0, pair)) {
		streams.ends[0].bev = pair[0];
		streams.ends[1].bev = pair[1];
		if (set_up_end(&streams, 0) & set_up_end(&streams, 1))
			ending = run_streams(base, &streams);
	}
	free_streams(&streams);
	finish_base(base);
	return ending;
}

/* --- Connecting and accepting -------------------------------------------------------------------------------- */

static void
accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct streams *streams = arg;
	struct stream_end *end = &streams->ends[1];
	(void)address;
	(void)length;
	HOLDS(!end->bev, "one connection is accepted twice");
	end->bev = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!end->bev)
		close(fd);
	if (!set_up_end(streams, 1)) {
		end->failed = 1;
		look_at_streams(streams);
	}
}

static void
accept_failed(struct evconnlistener *listener, void *arg)
{
	struct streams *streams = arg;
	(void)listener;
	streams->ends[1].failed = 1;
	look_at_streams(streams);
}

static enum ending
connect_streams(struct event_base *base, struct evconnlistener *listener, struct streams *streams)
{
	struct stream_end *end = &streams->ends[0];
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length))
		return REFUSED;
	evconnlistener_set_error_cb(listener, accept_failed);
	end->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!set_up_end(streams, 0))
		return REFUSED;
	if (bufferevent_socket_connect(end->bev, (struct sockaddr *)&address, length))
		return REFUSED;
	if (run_until(base, &streams->finished) != DONE || streams->ends[0].failed || streams->ends[1].failed)
		return REFUSED;
	HOLDS(end->connected, "data came without CONNECTED");
	return DONE;
}

SCENARIO(connections)
{
	struct streams streams = {0};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct event_base *base = new_base(0);
	struct evconnlistener *listener;
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	listener = evconnlistener_new_bind(base, accepted, &streams, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 8,
					   (struct sockaddr *)&any, sizeof any);
	if (listener) {
		ending = connect_streams(base, listener, &streams);
		evconnlistener_free(listener);
	}
	free_streams(&streams);
	finish_base(base);
	return ending;
}

/* --- Files ---------------------------------------------------------------------------------------------------------- */

/* A file with a stream in it. */
static int
stream_file(void)
{
	unsigned char bytes[STREAM];
	size_t i;
	int fd = memfd_create("stream", MFD_CLOEXEC);
	for (i = 0; i < sizeof bytes; i++)
		bytes[i] = byte_of_stream(7, i);
	HOLDS(fd >= 0 && write(fd, bytes, sizeof bytes) == sizeof bytes, "a file");
	return fd;
}

/* Takes what has arrived; 0 at the end. */
static void
drain_end(int fd, size_t *arrived)
{
	unsigned char bytes[4096];
	ssize_t count, i;
	while ((count = read(fd, bytes, sizeof bytes)) > 0) {
		for (i = 0; i < count; i++)
			HOLDS(bytes[i] == byte_of_stream(7, *arrived + i), "bytes of a file were lost, repeated or moved");
		*arrived += count;
	}
}

/* Writes a buffer that contains a file to a socket, until all is written or a write fails. */
static enum ending
send_file(unsigned flags)
{
	struct evbuffer *buffer = evbuffer_new();
	struct evbuffer_file_segment *segment;
	size_t arrived = 0, before;
	int ends[2], file = stream_file(), count = 0, tries;
	enum ending ending = REFUSED;
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
	segment = buffer ? evbuffer_file_segment_new(file, 0, STREAM, flags | EVBUF_FS_CLOSE_ON_FREE) : NULL;
	if (!segment) {
		close(file);
	} else {
		if (flags & EVBUF_FS_DISABLE_SENDFILE)
			evbuffer_clear_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
		else
			evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
		if (!evbuffer_add_file_segment(buffer, segment, 0, STREAM)) {
			for (tries = 0; evbuffer_get_length(buffer) && tries < 200000; tries++) {
				before = evbuffer_get_length(buffer);
				count = evbuffer_write(buffer, ends[1]);
				HOLDS(count <= 0 || before - evbuffer_get_length(buffer) == (size_t)count, "a write drains what it says");
				if (count < 0 && errno != EAGAIN && errno != EINTR)
					break;
				drain_end(ends[0], &arrived);
			}
			drain_end(ends[0], &arrived);
			HOLDS(arrived + evbuffer_get_length(buffer) == STREAM, "bytes of a file were lost");
			ending = arrived == STREAM ? DONE : REFUSED;
		}
		evbuffer_file_segment_free(segment);
	}
	if (buffer)
		evbuffer_free(buffer);
	close(ends[0]);
	close(ends[1]);
	return ending;
}

SCENARIO(files_sent)
{
	return send_file(0);
}

SCENARIO(files_mapped)
{
	return send_file(EVBUF_FS_DISABLE_SENDFILE);
}

SCENARIO(files_read)
{
	return send_file(EVBUF_FS_DISABLE_SENDFILE | EVBUF_FS_DISABLE_MMAP);
}
