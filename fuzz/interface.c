/* The whole interface of the core in random order, checked against a model. The input chooses a sequence
 * of calls; the model knows which events are pending, what their callbacks may get, and which bytes are in
 * which buffer.
 *
 * As a stand-alone program (-DALONE) it runs random seeds and prints what it observed, which must be the
 * same on both libraries: `fuzz/compare` checks that. In this mode nothing depends on the order in which
 * simultaneously ready descriptors are reported. */
#define _GNU_SOURCE
#include "checks.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint8_t *input;
static size_t left;

static unsigned
pick(unsigned bound)
{
	unsigned value = left ? (left--, *input++) : 0;
	return value % bound;
}

/* --- What was seen -------------------------------------------------------------------------------- */

static int telling;

static void __attribute__((format(printf, 1, 2)))
report(const char *format, ...)
{
	va_list arguments;
	if (!telling)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
}

/* --- Events --------------------------------------------------------------------------------------- */

enum { MOST_RUNS = 50, EVENTS = 10, PIPES = 3, PRIORITIES = 3, HOUR = 3600 };
enum kind { READER, WRITER, TIMER, ON_SIGNAL, BY_HAND, KINDS };
/* What a callback does. The last ones make the order of callbacks matter. */
enum action { NOTHING, DELETE_ITSELF, ADD_AGAIN, ACTIVATE_ITSELF_ONCE, TAKE_BYTE, ANY_ORDER, DELETE_NEXT = ANY_ORDER, FREE_ITSELF,
	      FREE_NEXT, BREAK, CONTINUE, ACTIVATE_NEXT, ACTIONS };

static struct slot {
	struct event *event;
	enum kind kind;
	int pipe, persistent, edge;
	enum action action;
	/* What event_pending() tells. */
	int waits, has_timer;
	short active;
	/* A persistent event restarts its last timeout, if it had one. */
	int has_interval;
	int runs; /* since that was told */
} slots[EVENTS];

/* On the reference the descriptor of an event that comes once is not watched any more when its timeout has
 * passed; on ours when its callback runs, so that it is told of both. */
static int watched_until_told;

static struct event_base *base;
static int pipes[PIPES][2];
static size_t bytes_in_pipe[PIPES];
static int once_pending, once_ran, raised;

static short
wanted(const struct slot *slot)
{
	static const short of_kind[KINDS] = {EV_READ, EV_WRITE, 0, EV_SIGNAL, 0};
	return of_kind[slot->kind];
}

static int
pending(const struct slot *slot)
{
	return (slot->waits ? wanted(slot) : 0) | (slot->has_timer ? EV_TIMEOUT : 0) | slot->active;
}

static void
check_slot(const struct slot *slot)
{
	const short all = EV_READ | EV_WRITE | EV_TIMEOUT | EV_SIGNAL;
	if (slot->event)
		CHECK_EQUAL(event_pending(slot->event, all, NULL), pending(slot));
}

static void
check_all_slots(void)
{
	int i, count = 0;
	for (i = 0; i < EVENTS; i++) {
		check_slot(&slots[i]);
		count += slots[i].event && slots[i].active;
	}
	CHECK(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE) >= count);
}

static void
forget(struct slot *slot)
{
	slot->waits = slot->has_timer = 0;
	slot->active = 0;
}

/* The timeout of an event that has no interval is over. */
static void
pass_timeout(struct slot *slot)
{
	int stays = watched_until_told && !slot->persistent && (slot->kind == READER || slot->kind == WRITER);
	slot->has_timer = 0;
	slot->active = 0;
	if (!stays)
		slot->waits = 0;
}

static void
free_slot(struct slot *slot)
{
	if (slot->event)
		event_free(slot->event);
	memset(slot, 0, sizeof *slot);
}

static void
add_slot(struct slot *slot, int timeout)
{
	static const struct timeval times[] = {{0, 0}, {HOUR, 0}};
	CHECK_EQUAL(event_add(slot->event, timeout ? &times[timeout - 1] : NULL), 0);
	slot->waits = wanted(slot) != 0;
	slot->has_timer |= timeout != 0;
	if (timeout)
		slot->has_interval = timeout == 2 && slot->kind != ON_SIGNAL;
	/* A timeout that was about to be delivered is put off, with whatever was to be delivered with it. */
	if (timeout && slot->active & EV_TIMEOUT)
		slot->active = 0;
}

static void
act(struct slot *slot)
{
	struct slot *next = &slots[(slot - slots + 1) % EVENTS];
	enum action action = slot->action;
	char byte;
	switch (action) {
	case DELETE_ITSELF:
		CHECK_EQUAL(event_del(slot->event), 0);
		forget(slot);
		break;
	case ADD_AGAIN:
		if (slot->kind != TIMER && slot->kind != BY_HAND)
			add_slot(slot, 0);
		break;
	case ACTIVATE_ITSELF_ONCE:
		slot->action = NOTHING;
		event_active(slot->event, EV_READ, 1);
		slot->active = EV_READ;
		break;
	case TAKE_BYTE:
		if (slot->kind == READER && read(pipes[slot->pipe][0], &byte, 1) == 1)
			bytes_in_pipe[slot->pipe]--;
		break;
	case DELETE_NEXT:
		if (next->event) {
			CHECK_EQUAL(event_del(next->event), 0);
			forget(next);
		}
		break;
	case FREE_ITSELF:
		free_slot(slot);
		break;
	case FREE_NEXT:
		free_slot(next);
		break;
	case BREAK:
		event_base_loopbreak(base);
		break;
	case CONTINUE:
		event_base_loopcontinue(base);
		break;
	case ACTIVATE_NEXT:
		if (next->event && next->kind != ON_SIGNAL && !next->active) {
			next->action = NOTHING;
			event_active(next->event, EV_WRITE, 1);
			next->active = EV_WRITE;
		}
		break;
	default:
		break;
	}
}

static void
run_slot(evutil_socket_t fd, short what, void *arg)
{
	struct slot *slot = arg;
	CHECK(slot->event);
	CHECK_EQUAL(fd, event_get_fd(slot->event));
	CHECK(event_base_get_running_event(base) == slot->event);
	/* It gets what it waits for, or what it was activated with. */
	CHECK(what);
	CHECK_EQUAL(what & ~EV_ET & ~(wanted(slot) | (slot->has_timer ? EV_TIMEOUT : 0) | slot->active), 0);
	slot->active = 0;
	if (!slot->persistent) {
		forget(slot);
	} else if (slot->has_interval) {
		slot->waits = wanted(slot) != 0;
		slot->has_timer = 1;
	} else if (what & EV_TIMEOUT && slot->has_timer) {
		pass_timeout(slot);
	}
	slot->runs++;
	check_slot(slot);
	act(slot);
	/* Without waiting, a loop goes on as long as something is ready. */
	if (slot->event && slot->runs >= MOST_RUNS) {
		CHECK_EQUAL(event_del(slot->event), 0);
		forget(slot);
		/* From here on it can matter how many passes there were. */
		report(" many passes");
	}
}

static void
make_event(struct slot *slot)
{
	short events;
	int fd = -1;
	free_slot(slot);
	slot->kind = (enum kind)pick(KINDS);
	slot->pipe = (int)pick(PIPES);
	slot->persistent = (int)pick(2);
	slot->action = (enum action)pick(telling ? ANY_ORDER : ACTIONS);
	events = wanted(slot) | (slot->persistent ? EV_PERSIST : 0);
	if (slot->kind == READER || slot->kind == WRITER)
		fd = pipes[slot->pipe][slot->kind == WRITER];
	if (slot->kind == ON_SIGNAL)
		fd = SIGUSR1;
	slot->event = event_new(base, fd, events, run_slot, slot);
	CHECK(slot->event);
	CHECK_EQUAL(event_priority_set(slot->event, (int)pick(PRIORITIES)), 0);
}

static void
run_once(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	CHECK(arg == &once_pending && what == EV_TIMEOUT);
	once_ran++;
}

/* Tells the model what the kernel or the clock activates. */
static void
note_activated(void)
{
	int i;
	for (i = 0; i < EVENTS; i++) {
		struct slot *slot = &slots[i];
		int flags, is_active, is_over;
		if (!slot->event)
			continue;
		flags = slot->event->ev_evcallback.evcb_flags;
		is_active = flags & (EVLIST_ACTIVE | EVLIST_ACTIVE_LATER);
		/* Nothing is lost, and what came is what it waited for. A timeout that has passed ends it. */
		is_over = is_active && slot->has_timer && !slot->has_interval && slot->event->ev_res & EV_TIMEOUT;
		CHECK(is_active || !slot->active);
		CHECK(is_over || !slot->waits == !(flags & EVLIST_INSERTED));
		CHECK(is_over || !slot->has_timer == !(flags & EVLIST_TIMEOUT));
		CHECK(!is_active || !(slot->event->ev_res & ~(slot->active | wanted(slot) | EV_TIMEOUT)));
		if (is_over)
			pass_timeout(slot);
		slot->active = is_active ? slot->event->ev_res : 0;
	}
}

static void
run_loop(int flags)
{
	int i, result = event_base_loop(base, flags | EVLOOP_NONBLOCK);
	CHECK(result >= 0);
	note_activated();
	report(" loop %d", result);
	for (i = 0; i < EVENTS; i++) {
		/* Told is whether it ran, as passes may be divided differently. */
		if (slots[i].runs)
			report(" %d", i);
		slots[i].runs = 0;
	}
	if (once_ran)
		report(" once");
	/* A loop that was left at once may not have looked. */
	if (!event_base_got_exit(base) && !event_base_got_break(base))
		raised = 0;
	once_pending -= once_ran;
	CHECK(once_pending >= 0);
	once_ran = 0;
}

static void
operate_event(void)
{
	struct slot *slot = &slots[pick(EVENTS)];
	unsigned operation = pick(8);
	if (!slot->event || operation == 0) {
		make_event(slot);
		return;
	}
	switch (operation) {
	case 1:
	case 2:
		if (slot->kind == TIMER || slot->kind == BY_HAND)
			add_slot(slot, 1 + (int)pick(2));
		else if (telling && slot->persistent)
			add_slot(slot, 2 * (int)pick(2)); /* zero would differ */
		else
			add_slot(slot, (int)pick(3));
		break;
	case 3:
		CHECK_EQUAL(event_del(slot->event), 0);
		forget(slot);
		break;
	case 4:
		if (slot->kind != ON_SIGNAL) {
			event_active(slot->event, EV_READ, 1);
			slot->active |= EV_READ;
		}
		break;
	case 5:
		CHECK_EQUAL(event_remove_timer(slot->event), 0);
		if (slot->has_timer)
			slot->has_timer = slot->has_interval = 0;
		break;
	case 6:
		report(" priority %d", event_priority_set(slot->event, (int)pick(PRIORITIES + 1)));
		break;
	default:
		free_slot(slot);
	}
	check_slot(slot);
}

static void
operate_base(void)
{
	static const struct timeval at_once = {0, 0};
	unsigned number = pick(PIPES);
	char byte;
	switch (pick(9)) {
	case 0:
	case 1:
		if (bytes_in_pipe[number] < 100 && write(pipes[number][1], "x", 1) == 1)
			bytes_in_pipe[number]++;
		break;
	case 2:
		if (read(pipes[number][0], &byte, 1) == 1)
			bytes_in_pipe[number]--;
		break;
	case 3:
		if (event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED) > 0) {
			int i, watched = 0;
			for (i = 0; i < EVENTS; i++) {
				watched |= slots[i].event && slots[i].kind == ON_SIGNAL && slots[i].waits;
				raised |= slots[i].event && slots[i].kind == ON_SIGNAL && slots[i].active;
			}
			/* More than one at a time are told by as many calls, one after the other. */
			if (watched && !raised) {
				raise(SIGUSR1);
				raised = 1;
			}
		}
		break;
	case 4:
		CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, run_once, &once_pending, &at_once), 0);
		once_pending++;
		break;
	case 5:
		report(" exit %d", event_base_loopexit(base, NULL));
		break;
	case 6:
		CHECK_EQUAL(event_reinit(base), 0);
		break;
	case 7:
		run_loop(EVLOOP_ONCE);
		break;
	default:
		run_loop(0);
	}
}

/* --- Buffers ---------------------------------------------------------------------------------------- */

enum { BUFFERS = 3, ROOM = 1 << 16 };

static struct {
	struct evbuffer *buffer;
	unsigned char bytes[ROOM];
	size_t length;
} buffers[BUFFERS];

static void
operate_buffer(void)
{
	static unsigned char bytes[5000];
	unsigned one = pick(BUFFERS), other = (one + 1) % BUFFERS;
	struct evbuffer *buffer = buffers[one].buffer;
	size_t length = pick(2) ? pick(64) : pick(256) * 17, i;
	for (i = 0; i < length; i++)
		bytes[i] = (unsigned char)(one * 31 + i * 7 + left);
	if (buffers[one].length + length > ROOM || buffers[one].length + buffers[other].length > ROOM)
		length = 0;
	switch (pick(8)) {
	case 0:
	case 1:
		CHECK_EQUAL(evbuffer_add(buffer, bytes, length), 0);
		memcpy(buffers[one].bytes + buffers[one].length, bytes, length);
		buffers[one].length += length;
		break;
	case 2:
		CHECK_EQUAL(evbuffer_prepend(buffer, bytes, length), 0);
		memmove(buffers[one].bytes + length, buffers[one].bytes, buffers[one].length);
		memcpy(buffers[one].bytes, bytes, length);
		buffers[one].length += length;
		break;
	case 3:
		length = length < buffers[one].length ? length : buffers[one].length;
		CHECK_EQUAL(evbuffer_remove(buffer, bytes, length), length);
		CHECK(!memcmp(bytes, buffers[one].bytes, length));
		memmove(buffers[one].bytes, buffers[one].bytes + length, buffers[one].length -= length);
		break;
	case 4:
		if (buffers[one].length + buffers[other].length <= ROOM) {
			CHECK_EQUAL(evbuffer_add_buffer(buffer, buffers[other].buffer), 0);
			memcpy(buffers[one].bytes + buffers[one].length, buffers[other].bytes, buffers[other].length);
			buffers[one].length += buffers[other].length;
			buffers[other].length = 0;
		}
		break;
	case 5:
		length = length < buffers[one].length ? length : buffers[one].length;
		CHECK(!length || !memcmp(evbuffer_pullup(buffer, (ev_ssize_t)length), buffers[one].bytes, length));
		break;
	case 6:
		if (buffers[one].length + length <= ROOM && length) {
			struct evbuffer_iovec vector;
			CHECK_EQUAL(evbuffer_reserve_space(buffer, (ev_ssize_t)length, &vector, 1), 1);
			memcpy(vector.iov_base, bytes, length);
			vector.iov_len = length;
			CHECK_EQUAL(evbuffer_commit_space(buffer, &vector, 1), 0);
			memcpy(buffers[one].bytes + buffers[one].length, bytes, length);
			buffers[one].length += length;
		}
		break;
	default: {
		struct evbuffer_ptr found = evbuffer_search(buffer, "\7\16\25", 3, NULL);
		unsigned char *place = memmem(buffers[one].bytes, buffers[one].length, "\7\16\25", 3);
		CHECK_EQUAL(found.pos, place ? place - buffers[one].bytes : -1);
	}
	}
	CHECK_EQUAL(evbuffer_get_length(buffer), buffers[one].length);
	CHECK_EQUAL(evbuffer_get_length(buffers[other].buffer), buffers[other].length);
	report(" %zu", buffers[one].length);
}

/* --- Bufferevents --------------------------------------------------------------------------------- */

enum { LINKS = 3 };
enum { PAIR, SOCKETS, FILTERS };

/* Two ends; what one writes comes out at the other. */
static struct link {
	struct bufferevent *ends[2];
	size_t written[2], got[2]; /* by the end that writes, by the one that reads */
} links[LINKS];

static enum bufferevent_filter_result
pass(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	(void)limit;
	(void)mode;
	(void)arg;
	return evbuffer_get_length(from) && !evbuffer_add_buffer(to, from) ? BEV_OK : BEV_NEED_MORE;
}

static unsigned char
byte_at(const struct link *link, int end, size_t at)
{
	return (unsigned char)((at * 2654435761u + (unsigned)(link - links) * 2 + (unsigned)end) >> 11);
}

static void
read_link(struct bufferevent *bev, void *arg)
{
	struct link *link = arg;
	int end = bev == link->ends[1];
	unsigned char bytes[1000];
	size_t count, i;
	while ((count = bufferevent_read(bev, bytes, sizeof bytes)) > 0) {
		for (i = 0; i < count; i++)
			CHECK_EQUAL(bytes[i], byte_at(link, !end, link->got[end] + i));
		link->got[end] += count;
		CHECK(link->got[end] <= link->written[!end]);
	}
}

static void
link_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	(void)arg;
	CHECK(!"nothing ends");
}

static void
free_link(struct link *link)
{
	int i;
	for (i = 0; i < 2; i++) {
		if (link->ends[i])
			bufferevent_free(link->ends[i]);
	}
	memset(link, 0, sizeof *link);
}

static void
make_link(struct link *link)
{
	int fds[2], i, kind = (int)pick(3), options = BEV_OPT_CLOSE_ON_FREE | (pick(2) ? BEV_OPT_DEFER_CALLBACKS : 0);
	free_link(link);
	if (kind == PAIR) {
		CHECK_EQUAL(bufferevent_pair_new(base, options, link->ends), 0);
	} else {
		CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
		for (i = 0; i < 2; i++) {
			link->ends[i] = bufferevent_socket_new(base, fds[i], kind == FILTERS ? BEV_OPT_CLOSE_ON_FREE : options);
			if (kind == FILTERS)
				link->ends[i] = bufferevent_filter_new(link->ends[i], pass, pass, options, NULL, NULL);
			CHECK(link->ends[i]);
		}
	}
	for (i = 0; i < 2; i++) {
		bufferevent_setcb(link->ends[i], read_link, NULL, link_event, link);
		CHECK_EQUAL(bufferevent_enable(link->ends[i], EV_READ | EV_WRITE), 0);
	}
}

static void
operate_link(void)
{
	struct link *link = &links[pick(LINKS)];
	int end = (int)pick(2);
	unsigned char bytes[256 * 8];
	size_t count = pick(256) * 8, i;
	unsigned operation = pick(7);
	if (!link->ends[0] || operation == 0) {
		make_link(link);
		return;
	}
	switch (operation) {
	case 1:
		CHECK_EQUAL(bufferevent_disable(link->ends[end], EV_READ), 0);
		break;
	case 2:
		CHECK_EQUAL(bufferevent_enable(link->ends[end], EV_READ), 0);
		break;
	case 3:
		report(" priority %d", bufferevent_priority_set(link->ends[end], (int)pick(PRIORITIES)));
		break;
	case 4:
		if (pick(4) == 0)
			free_link(link);
		break;
	default:
		if (link->written[end] - link->got[!end] > 20000)
			break;
		for (i = 0; i < count; i++)
			bytes[i] = byte_at(link, end, link->written[end] + i);
		link->written[end] += count;
		CHECK_EQUAL(bufferevent_write(link->ends[end], bytes, count), 0);
	}
}

/* Whatever was written comes out, once all want it. */
static void
settle_links(void)
{
	int i, end, tries, waiting = 1;
	for (i = 0; i < LINKS; i++) {
		for (end = 0; end < 2 && links[i].ends[0]; end++) {
			CHECK_EQUAL(bufferevent_enable(links[i].ends[end], EV_READ), 0);
			bufferevent_priority_set(links[i].ends[end], 0);
		}
	}
	for (tries = 0; waiting && tries < 1000; tries++) {
		run_loop(0);
		for (i = waiting = 0; i < LINKS; i++)
			waiting |= links[i].ends[0] && (links[i].written[0] != links[i].got[1] || links[i].written[1] != links[i].got[0]);
	}
	CHECK(!waiting);
}

/* --- All of it ------------------------------------------------------------------------------------------ */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void
note_whether_watched(evutil_socket_t fd, short what, void *reader)
{
	(void)fd;
	(void)what;
	watched_until_told = event_pending(reader, EV_READ, NULL) != 0;
}

static void
ignore(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* Both are due; the first one runs before the second. */
static void
learn_what_is_watched(void)
{
	static const struct timeval zero = {0, 0};
	struct event_base *other = event_base_new();
	int ends[2];
	struct event *reader, *observer;
	CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	CHECK_EQUAL(event_base_priority_init(other, 2), 0);
	reader = event_new(other, ends[0], EV_READ, ignore, NULL);
	observer = event_new(other, -1, 0, note_whether_watched, reader);
	CHECK_EQUAL(event_priority_set(observer, 0) | event_priority_set(reader, 1), 0);
	CHECK_EQUAL(event_add(reader, &zero) | event_add(observer, &zero), 0);
	event_base_loop(other, EVLOOP_NONBLOCK);
	event_free(reader);
	event_free(observer);
	event_base_free(other);
	close(ends[0]);
	close(ends[1]);
}

static void
begin(void)
{
	struct event_config *configuration = event_config_new();
	unsigned method = pick(4);
	int i;
	if (method == 1)
		event_config_set_flag(configuration, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	if (method >= 2)
		event_config_avoid_method(configuration, "epoll");
	if (method == 3)
		event_config_avoid_method(configuration, "poll");
	base = event_base_new_with_config(configuration);
	event_config_free(configuration);
	CHECK(base);
	CHECK_EQUAL(event_base_priority_init(base, PRIORITIES), 0);
	for (i = 0; i < PIPES; i++)
		CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pipes[i]), 0);
	for (i = 0; i < BUFFERS; i++)
		CHECK((buffers[i].buffer = evbuffer_new()));
	memset(bytes_in_pipe, 0, sizeof bytes_in_pipe);
	once_pending = once_ran = raised = 0;
}

static void
end(void)
{
	int i;
	/* How many passes that takes does not matter. */
	telling = 0;
	for (i = 0; i < EVENTS; i++)
		free_slot(&slots[i]);
	settle_links();
	for (i = 0; i < LINKS; i++)
		free_link(&links[i]);
	for (i = 0; i < BUFFERS; i++) {
		CHECK_EQUAL(evbuffer_get_length(buffers[i].buffer), buffers[i].length);
		evbuffer_free(buffers[i].buffer);
		buffers[i].length = 0;
	}
	for (i = 0; i < PIPES; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	event_base_free(base);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	signal(SIGUSR1, SIG_IGN);
	learn_what_is_watched();
	input = bytes;
	left = size;
	begin();
	while (left) {
		switch (pick(8)) {
		case 0:
		case 1:
		case 2:
			operate_event();
			break;
		case 3:
		case 4:
			operate_base();
			break;
		case 5:
			operate_buffer();
			break;
		default:
			operate_link();
		}
		check_all_slots();
	}
	end();
	return 0;
}

#ifdef ALONE
enum { LENGTH = 600 };

/* interface FIRST COUNT: a line for each seed. */
int
main(int count, char **words)
{
	uint8_t bytes[LENGTH];
	unsigned seed, first = count > 1 ? (unsigned)atoi(words[1]) : 1, number = count > 2 ? (unsigned)atoi(words[2]) : 1;
	int status, i;
	signal(SIGPIPE, SIG_IGN);
	for (seed = first; seed < first + number; seed++) {
		uint64_t state = seed * 0x9e3779b97f4a7c15ull;
		for (i = 0; i < LENGTH; i++) {
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			bytes[i] = (uint8_t)(state >> 56);
		}
		printf("seed %u:", seed);
		fflush(stdout);
		if (fork() == 0) {
			alarm(20);
			/* Every other seed is checked against the model alone. */
			telling = seed % 2;
			LLVMFuzzerTestOneInput(bytes, LENGTH);
			fflush(stdout);
			_exit(0);
		}
		wait(&status);
		if (status)
			printf(" ended with signal %d", WTERMSIG(status));
		puts("");
	}
	return 0;
}
#endif
