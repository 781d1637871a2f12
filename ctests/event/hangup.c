/* What events see when the peer closes, and on descriptors that cannot be waited for. */
#define _GNU_SOURCE
#include "trace.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const struct {
	const char *name;
	short interest;
} kinds[] = {{"read", EV_READ},
	     {"write", EV_WRITE},
	     {"read|write", EV_READ | EV_WRITE},
	     {"closed", EV_CLOSED},
	     {"read|closed", EV_READ | EV_CLOSED},
	     {"write|closed", EV_WRITE | EV_CLOSED},
	     {"read|write|closed", EV_READ | EV_WRITE | EV_CLOSED}};

/* Polls once with an event of each kind, alone on the descriptor. */
static void
poll_each_kind(int fd, const char *label)
{
	struct event_base *base = new_base();
	size_t i;
	printf("%s\n", label);
	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct event *ev;
		/* See the differences below. */
		if (kinds[i].interest == EV_CLOSED)
			continue;
		ev = named_event(base, fd, kinds[i].interest, "    called");
		printf("  interest %s\n", kinds[i].name);
		CHECK_EQUAL(event_add(ev, NULL), 0);
		poll_once(base);
		event_free(ev);
	}
	event_base_free(base);
}

CASE(pipe_of_a_writer_that_left, EVERY_BACKEND)
{
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	close(ends[1]);
	poll_each_kind(ends[0], "with a byte");
	take_byte(ends[0]);
	poll_each_kind(ends[0], "empty");
}

CASE(pipe_of_a_reader_that_left, EVERY_BACKEND)
{
	int ends[2];
	make_pipe(ends);
	close(ends[0]);
	poll_each_kind(ends[1], "written to");
}

CASE(socketpair_half_closed, EVERY_BACKEND)
{
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	CHECK(shutdown(ends[1], SHUT_WR) == 0);
	poll_each_kind(ends[0], "with a byte");
	take_byte(ends[0]);
	poll_each_kind(ends[0], "empty");
}

CASE(socketpair_closed, EVERY_BACKEND)
{
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	close(ends[1]);
	poll_each_kind(ends[0], "with a byte");
	take_byte(ends[0]);
	poll_each_kind(ends[0], "empty");
}

CASE(tcp_half_closed, EVERY_BACKEND)
{
	int ends[2];
	make_tcp_pair(ends);
	CHECK(shutdown(ends[1], SHUT_WR) == 0);
	poll_each_kind(ends[0], "half closed");
	CHECK(shutdown(ends[0], SHUT_WR) == 0);
	poll_each_kind(ends[0], "both halves closed");
}

CASE(tcp_closed, EVERY_BACKEND)
{
	int ends[2];
	make_tcp_pair(ends);
	close(ends[1]);
	poll_each_kind(ends[0], "closed");
}

CASE(tcp_reset, EVERY_BACKEND)
{
	struct linger abort_connection = {1, 0};
	int ends[2];
	make_tcp_pair(ends);
	CHECK(setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &abort_connection, sizeof abort_connection) == 0);
	close(ends[1]);
	poll_each_kind(ends[0], "reset");
}

CASE(tcp_connection_refused, EVERY_BACKEND)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(bind(listener, (struct sockaddr *)&address, length) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	CHECK(connect(fd, (struct sockaddr *)&address, length) == -1);
	poll_each_kind(fd, "refused");
}

CASE(tcp_not_yet_connected, EVERY_BACKEND)
{
	poll_each_kind(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "new socket");
}

/* All kinds at once on one descriptor. */
static void
poll_all_kinds(int fd, const char *label)
{
	struct event_base *base = new_base();
	struct event *events[7];
	int i;
	printf("%s\n", label);
	for (i = 0; i < 7; i++) {
		events[i] = added_event(base, fd, kinds[i].interest, kinds[i].name);
	}
	poll_once(base);
	for (i = 0; i < 7; i++)
		event_free(events[i]);
	event_base_free(base);
}

CASE(several_events_see_half_close, NOT_SELECT)
{
	int ends[2];
	make_socketpair(ends);
	CHECK(shutdown(ends[1], SHUT_WR) == 0);
	poll_all_kinds(ends[0], "half closed");
	close(ends[1]);
	poll_all_kinds(ends[0], "closed");
}

CASE(closed_alone_sees_half_close, NOT_SELECT)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	ev = added_event(base, ends[0], EV_CLOSED | EV_PERSIST, "closed");
	printf("readable\n");
	poll_once(base);
	printf("half closed\n");
	CHECK(shutdown(ends[1], SHUT_WR) == 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

CASE(closed_edge_triggered, EPOLL_ONLY)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_socketpair(ends);
	ev = added_event(base, ends[0], EV_READ | EV_CLOSED | EV_PERSIST | EV_ET, "edge");
	put_byte(ends[1]);
	poll_once(base);
	CHECK(shutdown(ends[1], SHUT_WR) == 0);
	poll_once(base);
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

CASE(closed_with_select_waits_for_ever, ONE_BACKEND)
{
	struct event_base *base;
	struct event *ev;
	int ends[2];
	setenv("EVENT_NOEPOLL", "", 1);
	setenv("EVENT_NOPOLL", "", 1);
	base = new_base();
	make_socketpair(ends);
	close(ends[1]);
	ev = added_event(base, ends[0], EV_CLOSED | EV_PERSIST, "closed");
	run_for(base, 20);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	event_free(ev);
	event_base_free(base);
}

static void
closed_is_delivered_for(int fd)
{
	struct event_base *base = new_base();
	struct event *ev = added_event(base, fd, EV_CLOSED, "closed");
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(event_pending(ev, EV_CLOSED, NULL), 0);
	CHECK_EQUAL(ev->ev_res, EV_CLOSED);
	event_free(ev);
	event_base_free(base);
}

DIFFERENCE(closed_alone_sees_a_reset, NOT_SELECT,
	   "an EV_CLOSED event does not notice a reset by the peer, and the loop spins")
{
	struct linger abort_connection = {1, 0};
	int ends[2];
	make_tcp_pair(ends);
	CHECK(setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &abort_connection, sizeof abort_connection) == 0);
	close(ends[1]);
	closed_is_delivered_for(ends[0]);
}

DIFFERENCE(closed_alone_sees_the_end_of_a_pipe, NOT_SELECT,
	   "an EV_CLOSED event does not notice the end of a pipe, and the loop spins")
{
	int ends[2];
	make_pipe(ends);
	close(ends[1]);
	closed_is_delivered_for(ends[0]);
}

DIFFERENCE(closed_alone_sees_the_reader_of_a_pipe_leave, NOT_SELECT,
	   "an EV_CLOSED event does not notice that a pipe's reader is gone, and the loop spins")
{
	int ends[2];
	make_pipe(ends);
	close(ends[0]);
	closed_is_delivered_for(ends[1]);
}

/* Descriptors that the kernel refuses. Their number is fixed because messages show it. */
static void
print_add(struct event *ev)
{
	int result;
	errno = 0;
	result = event_add(ev, NULL);
	printf("%s: add %d, %s", (char *)event_get_callback_arg(ev), result, result ? strerror(errno) : "fine");
	printf(", pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
}

static int
is_file(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISCHR(status.st_mode));
}

static void
wait_for_bad_descriptor(int fd)
{
	struct event_base *base = new_base();
	struct event reader, writer, both;
	if (is_file(fd) && getenv("EVENT_EPOLL_USE_CHANGELIST"))
		harness_skip("with a changelist, a file is refused only by ours: files_with_a_changelist");
	event_assign(&reader, base, fd, EV_READ, print_call, "reader");
	event_assign(&writer, base, fd, EV_WRITE, print_call, "writer");
	event_assign(&both, base, fd, EV_READ | EV_WRITE | EV_PERSIST, print_call, "both");
	log_to_stdout();
	print_add(&reader);
	print_add(&writer);
	print_add(&both);
	printf("loop %d\n", poll_once(base));
	printf("loop %d\n", poll_once(base));
	printf("del %d\n", event_del(&reader));
	printf("del %d\n", event_del(&writer));
	printf("del %d\n", event_del(&both));
	printf("loop %d\n", event_base_dispatch(base));
	event_base_free(base);
}

/* select() looks no further than the kernel's table of descriptors, and leaves the rest of its sets
 * unchanged. Opening the descriptor once extends the table. */
CASE(closed_descriptor, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	CHECK(dup2(STDOUT_FILENO, 100) == 100);
	close(100);
	wait_for_bad_descriptor(100);
}

CASE(regular_file, EVERY_BACKEND)
{
	char name[] = "file-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);
	CHECK(fd >= 0 && unlink(name) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	wait_for_bad_descriptor(renumber(fd, 100));
}

CASE(directory, EVERY_BACKEND)
{
	wait_for_bad_descriptor(renumber(open("/", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC), 100));
}

CASE(dev_null, EVERY_BACKEND)
{
	wait_for_bad_descriptor(renumber(open("/dev/null", O_RDWR | O_NONBLOCK | O_CLOEXEC), 100));
}

/* A descriptor that epoll might refuse is registered at once, although other changes wait for the next pass. */
DIFFERENCE(files_with_a_changelist, ONE_BACKEND,
	"With a changelist, events on regular files are accepted, and the loop then waits forever.")
{
	struct event_config *config = event_config_new();
	struct event_base *base;
	int fds[3], ends[2], i;

	event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	base = event_base_new_with_config(config);
	event_config_free(config);
	fds[0] = memfd_create("file", MFD_CLOEXEC);
	fds[1] = open("/", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	fds[2] = open("/dev/null", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	for (i = 0; i < 3; i++) {
		struct event *event = event_new(base, fds[i], EV_READ | EV_PERSIST, ignore_event, NULL);
		errno = 0;
		CHECK_EQUAL(event_add(event, &(struct timeval){100, 0}), -1);
		CHECK_EQUAL(errno, EPERM);
		CHECK_EQUAL(event_pending(event, EV_READ | EV_TIMEOUT, NULL), 0);
		event_free(event);
		close(fds[i]);
	}
	CHECK_EQUAL(event_base_dispatch(base), 1);
	/* The number now belongs to a pipe, which is watched as usual. */
	make_pipe(ends);
	CHECK_EQUAL(event_base_once(base, ends[0], EV_READ, ignore_event, NULL, NULL), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}
