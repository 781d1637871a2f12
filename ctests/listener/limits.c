/* Listeners under many connections, without descriptors, and without memory. */
#include "allocator.h"
#include "tools.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

static void
make_listener_in(int family, evconnlistener_cb callback)
{
	union any_address address;
	int length = family == AF_UNIX ? abstract_address("limits", &address) : loopback_address(family, &address);

	base = event_base_new();
	listener = evconnlistener_new_bind(base, callback, NULL, LEV_OPT_CLOSE_ON_FREE, 1024, &address.any, length);
	CHECK(listener);
}

/* Reads the number that the client sent and checks that each comes once. */
static unsigned char seen[5000];

static void
read_number(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	int number = -1;

	CHECK(recv(fd, &number, sizeof number, 0) == sizeof number);
	CHECK(number >= 0 && number < 5000 && !seen[number]);
	seen[number] = 1;
	CHECK(send(fd, &number, sizeof number, MSG_NOSIGNAL) == sizeof number);
	count_and_close(self, fd, address, length, arg);
}

static void
burst(int family)
{
	enum { BATCH = 250 };
	int clients[BATCH], sent, i, answer, fd;

	make_listener_in(family, read_number);
	fd = evconnlistener_get_fd(listener);
	for (sent = 0; sent < 5000; sent += BATCH) {
		for (i = 0; i < BATCH; i++) {
			int number = sent + i;
			clients[i] = connect_to(fd);
			CHECK(send(clients[i], &number, sizeof number, 0) == sizeof number);
		}
		run_base_until(base, &accepted, sent + BATCH);
		CHECK_EQUAL(accepted, sent + BATCH);
		for (i = 0; i < BATCH; i++) {
			CHECK(recv(clients[i], &answer, sizeof answer, 0) == sizeof answer);
			CHECK_EQUAL(answer, sent + i);
			close(clients[i]);
		}
	}
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(burst_ipv4, ONE_BACKEND)
{
	burst(AF_INET);
}

CASE(burst_ipv6, ONE_BACKEND)
{
	burst(AF_INET6);
}

CASE(burst_unix, EVERY_BACKEND)
{
	burst(AF_UNIX);
}

/* --- Descriptors. -------------------------------------------------------------------------------- */

enum { WAITING = 4 };
static int waiting[WAITING];
static int kept[64], kept_count;
static int errors;

static void
keep(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	(void)self;
	(void)address;
	(void)length;
	(void)arg;
	CHECK(kept_count < 64);
	kept[kept_count++] = fd;
	accepted++;
}

/* Leaves the process `left` descriptors. */
static void
use_up_descriptors(int left)
{
	struct rlimit limit;
	int lowest = 0;

	if (under_valgrind())
		harness_skip("valgrind keeps descriptors of its own");

	while (fcntl(lowest, F_GETFD) >= 0)
		lowest++;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = lowest + left;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void
connect_waiting(void)
{
	int i;

	for (i = 0; i < WAITING; i++)
		waiting[i] = connect_to(evconnlistener_get_fd(listener));
}

static void
print_error(struct evconnlistener *self, void *arg)
{
	(void)self;
	(void)arg;
	if (!errors++)
		printf("error: %s\n", strerror(errno));
}

static void
run_for(int duration)
{
	struct timeval time = {0, duration * 1000};

	event_base_loopexit(base, &time);
	CHECK_EQUAL(event_base_dispatch(base), 0);
}

DIFFERENCE(recovers_from_lack_of_descriptors, EVERY_BACKEND,
	"the loop spins as long as accept fails, for example when no descriptors are left")
{
	long long begun;
	int before;

	make_listener_in(AF_UNIX, keep);
	evconnlistener_set_error_cb(listener, print_error);
	connect_waiting();
	use_up_descriptors(2);
	begun = milliseconds();
	run_for(300);
	CHECK_EQUAL(accepted, 2);
	CHECK(errors >= 1 && errors <= most_attempts(milliseconds() - begun));
	printf("accepted %d\n", accepted);
	/* One descriptor after the other becomes free. */
	close(kept[0]);
	run_base_until(base, &accepted, 3);
	close(kept[1]);
	close(kept[2]);
	run_base_until(base, &accepted, 4);
	printf("accepted %d\n", accepted);
	close(waiting[0]);
	/* All is well again: no pause is left. */
	before = errors;
	close(kept[3]);
	waiting[0] = connect_to(evconnlistener_get_fd(listener));
	run_base_until(base, &accepted, 5);
	CHECK_EQUAL(errors, before);
	evconnlistener_free(listener);
	event_base_free(base);
}

static int messages;

static void
count_messages(int severity, const char *message)
{
	if (!messages++)
		printf("[%d] %s\n", severity, message);
}

DIFFERENCE(one_warning_for_lack_of_descriptors, ONE_BACKEND,
	"a lack of descriptors is logged in each pass of the loop")
{
	make_listener_in(AF_UNIX, keep);
	event_set_log_callback(count_messages);
	connect_waiting();
	use_up_descriptors(0);
	run_for(200);
	CHECK_EQUAL(messages, 1);
	use_up_descriptors(10); /* a leak checker needs some at the end */
}

/* Once it has accepted again, the next lack is another one. */
DIFFERENCE(a_warning_for_each_lack_of_descriptors, ONE_BACKEND,
	"a lack of descriptors is logged in each pass of the loop")
{
	make_listener_in(AF_UNIX, keep);
	event_set_log_callback(count_messages);
	connect_waiting();
	use_up_descriptors(0);
	run_for(50);
	CHECK_EQUAL(messages, 1);
	use_up_descriptors(WAITING + 10);
	run_base_until(base, &accepted, WAITING);
	connect_waiting();
	use_up_descriptors(0);
	run_for(50);
	CHECK_EQUAL(messages, 2);
	use_up_descriptors(10);
}

static struct event *enable_again;

static void
disable_for_a_while(struct evconnlistener *self, void *arg)
{
	struct timeval time = {0, 10000};

	(void)arg;
	if (!errors++)
		printf("error: %s\n", strerror(errno));
	CHECK_EQUAL(evconnlistener_disable(self), 0);
	CHECK_EQUAL(event_add(enable_again, &time), 0);
}

static void
close_kept_and_enable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	while (kept_count)
		close(kept[--kept_count]);
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
}

/* What programs do about it themselves. */
CASE(programs_that_pause_themselves, EVERY_BACKEND)
{
	make_listener_in(AF_UNIX, keep);
	enable_again = evtimer_new(base, close_kept_and_enable, NULL);
	evconnlistener_set_error_cb(listener, disable_for_a_while);
	connect_waiting();
	use_up_descriptors(1);
	run_base_until(base, &accepted, 4);
	/* If no connection waits any more, an attempt to accept would fail as well. */
	CHECK(errors == 3 || errors == 4);
	event_free(enable_again);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void
leave_loop(struct evconnlistener *self, void *arg)
{
	(void)self;
	(void)arg;
	printf("error: %s\n", strerror(errno));
	event_base_loopbreak(base);
}

CASE(loop_left_for_lack_of_descriptors, EVERY_BACKEND)
{
	make_listener_in(AF_UNIX, keep);
	evconnlistener_set_error_cb(listener, leave_loop);
	connect_waiting();
	use_up_descriptors(0);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	evconnlistener_free(listener);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(disabled_without_descriptors, EVERY_BACKEND)
{
	make_listener_in(AF_UNIX, keep);
	evconnlistener_set_error_cb(listener, print_error);
	connect_waiting();
	use_up_descriptors(0);
	CHECK(event_base_loop(base, EVLOOP_ONCE) >= 0);
	CHECK(errors > 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	CHECK_EQUAL(evconnlistener_disable(listener), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	close(waiting[0]);
	close(waiting[1]);
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	CHECK(event_base_loop(base, EVLOOP_ONCE) >= 0);
	CHECK_EQUAL(accepted, 2);
	evconnlistener_free(listener);
	event_base_free(base);
}

/* --- Memory. ------------------------------------------------------------------------------------ */

DIFFERENCE(socket_that_cannot_be_watched, EPOLL_ONLY,
	"A listener is made on a descriptor that epoll refuses, and never accepts anything.")
{
	int fd = memfd_create("no socket", MFD_CLOEXEC);

	base = event_base_new();
	CHECK(fd >= 0);
	CHECK(!evconnlistener_new(base, keep, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd));
	/* It is still the caller's. */
	CHECK_EQUAL(close(fd), 0);
	event_base_free(base);
}

CASE(new_without_memory, ONE_BACKEND | OWN_DEBUG_MODE)
{
	union any_address address;
	int length = loopback_address(AF_INET, &address), before, n;
	long alive;

	allocator_install();
	base = event_base_new();
	/* The base has what it needs for one more descriptor. */
	listener = evconnlistener_new_bind(base, keep, NULL, LEV_OPT_CLOSE_ON_FREE, -1, &address.any, length);
	CHECK(listener);
	evconnlistener_free(listener);
	alive = allocator.alive;
	before = open_descriptors();
	for (n = 1;; n++) {
		allocator_fail_at(n);
		listener = evconnlistener_new_bind(base, keep, NULL, LEV_OPT_CLOSE_ON_FREE, -1, &address.any, length);
		if (!allocator.failed)
			break;
		if (listener)
			evconnlistener_free(listener);
		CHECK_EQUAL(allocator.alive, alive);
		CHECK_EQUAL(open_descriptors(), before);
	}
	allocator_fail_at(0);
	CHECK(listener);
	evconnlistener_free(listener);
	CHECK_EQUAL(allocator.alive, alive);
	event_base_free(base);
}
