/* Descriptor numbers that are closed and opened again, and duplicates of descriptors. */
#define _GNU_SOURCE
#include "trace.h"
#include "allocator.h"

#include <sys/resource.h>
#include <time.h>

CASE(deleted_then_closed_then_opened, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	int ends[2], round;
	for (round = 0; round < 4; round++) {
		struct event *ev;
		make_numbered_socketpair(ends, 100);
		put_byte(ends[1]);
		ev = added_event(base, 100, round % 2 ? EV_READ | EV_PERSIST : EV_READ, "reader");
		poll_once(base);
		event_free(ev);
		close(100);
		close(ends[1]);
	}
	event_base_free(base);
}

CASE(deleted_between_polls, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int first[2], second[2];
	make_numbered_socketpair(first, 100);
	ev = added_event(base, 100, EV_READ | EV_PERSIST, "reader");
	poll_once(base);
	CHECK_EQUAL(event_del(ev), 0);
	close(100);
	make_numbered_socketpair(second, 100);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	put_byte(second[1]);
	poll_once(base);
	take_byte(100);
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

CASE(closed_then_deleted, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader, *writer;
	int ends[2];
	make_numbered_socketpair(ends, 100);
	reader = added_event(base, 100, EV_READ | EV_PERSIST, "reader");
	poll_once(base);
	close(100);
	CHECK_EQUAL(event_del(reader), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	close(ends[1]);
	make_numbered_socketpair(ends, 100);
	put_byte(ends[1]);
	writer = named_event(base, 100, EV_WRITE, "writer");
	CHECK_EQUAL(event_add(reader, NULL), 0);
	CHECK_EQUAL(event_add(writer, NULL), 0);
	poll_once(base);
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}

/* Another event stays, so that the kernel is asked to change what it watches and refuses. */
CASE(closed_then_one_of_two_deleted, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader, *writer;
	int ends[2];
	log_to_stdout();
	make_numbered_socketpair(ends, 100);
	reader = added_event(base, 100, EV_READ | EV_PERSIST, "reader");
	writer = added_event(base, 100, EV_WRITE | EV_PERSIST, "writer");
	poll_once(base);
	close(100);
	printf("reader: %d\n", event_del(reader));
	printf("pending %s\n", flag_names(event_pending(reader, EV_READ, NULL)));
	printf("writer: %d\n", event_del(writer));
	printf("pending %s\n", flag_names(event_pending(writer, EV_WRITE, NULL)));
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}

/* A descriptor that was closed and reopened while its event stayed: adding another kind repairs it. */
CASE(reopened_under_an_event_that_stayed, EPOLL_ONLY)
{
	struct event_base *base = new_base();
	struct event *reader, *writer;
	int ends[2];
	make_numbered_socketpair(ends, 100);
	reader = added_event(base, 100, EV_READ | EV_PERSIST, "reader");
	poll_once(base);
	close(100);
	make_numbered_socketpair(ends, 100);
	put_byte(ends[1]);
	writer = added_event(base, 100, EV_WRITE | EV_PERSIST, "writer");
	poll_once(base);
	CHECK_EQUAL(event_del(writer), 0);
	poll_once(base);
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}

CASE(reopened_then_deleted_and_added, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader;
	int ends[2];
	make_numbered_socketpair(ends, 100);
	reader = added_event(base, 100, EV_READ | EV_PERSIST, "reader");
	poll_once(base);
	close(100);
	make_numbered_socketpair(ends, 100);
	put_byte(ends[1]);
	CHECK_EQUAL(event_del(reader), 0);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	poll_once(base);
	event_free(reader);
	event_base_free(base);
}

/* Replacing the file of a descriptor with dup3. */
CASE(replaced_between_deleting_and_adding, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int first[2], second[2], round;
	make_socketpair(first);
	make_socketpair(second);
	renumber(dup(first[0]), 100);
	put_byte(second[1]);
	ev = added_event(base, 100, EV_READ | EV_PERSIST, "reader");
	poll_once(base);
	/* The changelist passes the deletion to the kernel when the first file no longer has the number. */
	for (round = 0; round < (uses_changelist(base) ? 1 : 2); round++) {
		CHECK_EQUAL(event_del(ev), 0);
		CHECK(dup3(round ? first[0] : second[0], 100, O_CLOEXEC) == 100);
		CHECK_EQUAL(event_add(ev, NULL), 0);
		printf("round %d\n", round);
		poll_once(base);
	}
	event_free(ev);
	event_base_free(base);
}

/* One-shot events are not watched any more when their callback runs. */
static void
replace_descriptor(evutil_socket_t fd, short what, void *arg)
{
	int *ends = arg;
	printf("first: %s\n", flag_names(what));
	close(fd);
	make_numbered_socketpair(ends, 100);
}

CASE(closed_and_opened_in_a_one_shot_callback, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *first, *second;
	int ends[2], others[2];
	make_numbered_socketpair(ends, 100);
	put_byte(ends[1]);
	first = event_new(base, 100, EV_READ, replace_descriptor, others);
	CHECK_EQUAL(event_add(first, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	second = added_event(base, 100, EV_READ, "second");
	CHECK_EQUAL(poll_once(base), 0);
	printf("nothing of the first one is delivered\n");
	put_byte(others[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(first);
	event_free(second);
	event_base_free(base);
}

/* A duplicate keeps the open file alive after the watched number is closed in the callback. */
static void
close_keeping_a_duplicate(evutil_socket_t fd, short what, void *arg)
{
	int *kept = arg;
	printf("first: %s\n", flag_names(what));
	*kept = dup(fd);
	close(fd);
}

CASE(one_shot_closed_but_duplicated, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2], others[2], kept;
	make_socketpair(ends);
	make_socketpair(others);
	renumber(ends[0], 100);
	put_byte(ends[1]);
	ev = event_new(base, 100, EV_READ, close_keeping_a_duplicate, &kept);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	renumber(others[0], 100);
	event_free(ev);
	ev = added_event(base, 100, EV_READ, "second");
	printf("only the duplicate is readable\n");
	CHECK_EQUAL(poll_once(base), 0);
	put_byte(others[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

/* The batch of one wait was collected for the old file of a number. */
static int stale_socket[2];
static struct event *stale_reader, *fresh_reader;
static struct event_base *stale_base;

static void
print_fresh(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)arg;
	printf("fresh: %s\n", flag_names(what));
}

static void
reuse_number(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)arg;
	(void)what;
	event_free(stale_reader);
	close(101);
	make_numbered_socketpair(stale_socket, 101);
	fresh_reader = event_new(stale_base, 101, EV_READ | EV_PERSIST, print_fresh, NULL);
	CHECK_EQUAL(event_add(fresh_reader, NULL), 0);
	printf("reused\n");
}

CASE(readiness_of_a_previous_file_is_not_delivered, EVERY_BACKEND)
{
	struct event *first;
	int ends[2], others[2];
	stale_base = new_base();
	CHECK_EQUAL(event_base_priority_init(stale_base, 2), 0);
	make_socketpair(ends);
	make_numbered_socketpair(others, 101);
	put_byte(ends[1]);
	put_byte(others[1]);
	stale_reader = named_event_at(stale_base, 101, EV_READ | EV_PERSIST, "stale", 1);
	first = event_new(stale_base, ends[0], EV_READ, reuse_number, NULL);
	CHECK_EQUAL(event_priority_set(first, 0), 0);
	CHECK_EQUAL(event_add(first, NULL), 0);
	CHECK_EQUAL(event_add(stale_reader, NULL), 0);
	poll_once(stale_base);
	printf("written\n");
	put_byte(stale_socket[1]);
	poll_once(stale_base);
	event_free(first);
	event_free(fresh_reader);
	event_base_free(stale_base);
}

/* Duplicates. */
CASE(duplicates_are_watched_separately, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *original, *duplicate;
	int ends[2], copy;
	CHECK_EQUAL(event_base_priority_init(base, 2), 0);
	make_socketpair(ends);
	copy = dup(ends[0]);
	original = added_event_at(base, ends[0], EV_READ, "original", 0);
	duplicate = added_event_at(base, copy, EV_READ | EV_PERSIST, "duplicate", 1);
	put_byte(ends[1]);
	event_base_loop(base, EVLOOP_ONCE);
	printf("original deleted\n");
	CHECK_EQUAL(event_add(original, NULL), 0);
	CHECK_EQUAL(event_del(original), 0);
	poll_once(base);
	close(ends[0]);
	printf("original closed\n");
	poll_once(base);
	take_byte(copy);
	poll_once(base);
	event_free(original);
	event_free(duplicate);
	event_base_free(base);
}

CASE(read_and_write_on_duplicates, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader, *writer;
	int ends[2], copy;
	CHECK_EQUAL(event_base_priority_init(base, 2), 0);
	make_socketpair(ends);
	copy = dup(ends[0]);
	reader = added_event_at(base, ends[0], EV_READ | EV_PERSIST, "reader", 1);
	writer = added_event_at(base, copy, EV_WRITE | EV_PERSIST, "writer", 0);
	poll_once(base);
	CHECK_EQUAL(event_del(writer), 0);
	close(copy);
	put_byte(ends[1]);
	poll_once(base);
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}

/* The kernel still knows the number with this file, from before it was closed. */
CASE(a_duplicate_gets_the_number_back, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_socketpair(ends);
	renumber(dup(ends[0]), 100);
	ev = added_event(base, 100, EV_READ | EV_PERSIST, "reader");
	poll_once(base);
	close(100);
	CHECK_EQUAL(event_del(ev), 0);
	renumber(dup(ends[0]), 100);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	put_byte(ends[1]);
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

/* The descriptor is closed first, then the event is deleted; the file stays open elsewhere. */
DIFFERENCE(closed_before_deleting_but_duplicated, EPOLL_ONLY | SLOW,
	"closing a descriptor before its event is deleted, while a duplicate is open, makes "
	"the loop spin")
{
	struct event_base *base = new_base();
	struct timeval while_ = {0, 300 * 1000};
	struct event *ev;
	int ends[2], tries = 0;
	clock_t spent;
	make_socketpair(ends);
	renumber(dup(ends[0]), 100);
	put_byte(ends[1]);
	ev = added_event(base, 100, EV_READ | EV_PERSIST, "reader");
	close(100);
	CHECK_EQUAL(event_del(ev), 0);
	/* It may be more on a busy machine, but not each time. */
	do {
		event_base_loopexit(base, &while_);
		spent = clock();
		CHECK_EQUAL(event_base_dispatch(base), 0);
		spent = clock() - spent;
	} while (spent >= CLOCKS_PER_SEC / 50 && tries++ < 4);
	CHECK(spent < CLOCKS_PER_SEC / 50);
	event_free(ev);
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
}

static void
count_call(evutil_socket_t fd, short what, void *calls)
{
	(void)fd;
	(void)what;
	++*(int *)calls;
}

DIFFERENCE(a_closed_file_is_not_mistaken_for_the_next, EPOLL_ONLY,
	"a file that was closed before its event was deleted, and is open elsewhere, is reported "
	"to the events of the next file with that number")
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2], others[2], i, calls = 0;
	make_socketpair(ends);
	make_socketpair(others);
	renumber(dup(ends[0]), 100);
	ev = event_new(base, 100, EV_READ | EV_PERSIST, count_call, &calls);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	poll_once(base);
	close(100);
	CHECK_EQUAL(event_del(ev), 0);
	poll_once(base);
	renumber(others[0], 100);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	put_byte(ends[1]);
	for (i = 0; i < 40; i++)
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
	CHECK_EQUAL(calls, 0);
	put_byte(others[1]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
	CHECK_EQUAL(calls, 1);
	event_free(ev);
	event_base_free(base);
}

/* --- Memory --- */

static int
highest_descriptor(void)
{
	struct rlimit limit;
	CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
	CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return (int)limit.rlim_cur - 1;
}

/* The memory of a base for events on this many descriptors, the highest first. */
static size_t
memory_for(int highest, int count)
{
	static struct event events[1000];
	struct event_base *base = event_base_new();
	size_t before = allocator.held, taken;
	int ends[2], i;
	make_pipe(ends);
	for (i = 0; i < count; i++) {
		int fd = highest - i * 8;
		CHECK(dup2(ends[0], fd) == fd);
		CHECK_EQUAL(event_assign(&events[i], base, fd, EV_READ | EV_PERSIST, NULL, NULL), 0);
		CHECK_EQUAL(event_add(&events[i], NULL), 0);
	}
	taken = allocator.held - before;
	for (i = 0; i < count; i++) {
		CHECK_EQUAL(event_del(&events[i]), 0);
		close(highest - i * 8);
	}
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
	return taken;
}

DIFFERENCE(a_high_number_costs_little_memory, EPOLL_ONLY | OWN_DEBUG_MODE | OWN_LOCKS,
	"the memory of a base grows with the highest descriptor, however few are watched")
{
	int highest = highest_descriptor();
	if (highest < 1000)
		harness_skip("descriptors are limited to less than 1000");
	allocator_install();
	CHECK(memory_for(highest, 1) < 3 * (size_t)highest);
	CHECK(memory_for(highest, 100) < 3 * (size_t)highest + 100 * 250);
}

/* Each allocation on the way to a new descriptor refused: the event is not added, and can be later. */
CASE(no_memory_for_a_descriptor, EVERY_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	struct event_base *base;
	struct event event;
	int ends[2], fd, failures = 0;
	allocator_install();
	base = event_base_new();
	make_pipe(ends);
	put_byte(ends[1]);
	for (fd = 100; fd < 500; fd += 100) {
		int refused;
		renumber(dup(ends[0]), fd);
		CHECK_EQUAL(event_assign(&event, base, fd, EV_READ, ignore_event, NULL), 0);
		for (int at = 1;; at++) {
			allocator_fail_at(at);
			refused = event_add(&event, NULL) < 0;
			allocator_fail_at(0);
			CHECK_EQUAL(!event_pending(&event, EV_READ, NULL), refused);
			if (!refused)
				break;
			failures++;
			CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
		}
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
		CHECK(!event_pending(&event, EV_READ, NULL));
	}
	CHECK(failures > 0);
	event_base_free(base);
	CHECK_EQUAL(allocator.alive, 0);
}

/* --- What the kernel is told on balance, in changelist mode --- */

CASE(a_direction_that_comes_and_goes_between_waits, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader, *writer;
	int ends[2];
	make_socketpair(ends);
	reader = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader");
	writer = named_event(base, ends[0], EV_WRITE | EV_PERSIST, "writer");
	CHECK_EQUAL(event_add(reader, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_add(writer, NULL), 0);
	CHECK_EQUAL(event_del(writer), 0);
	poll_once(base);
	CHECK_EQUAL(event_add(writer, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_del(writer), 0);
	CHECK_EQUAL(event_add(writer, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_del(reader), 0);
	CHECK_EQUAL(event_del(writer), 0);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	poll_once(base);
	put_byte(ends[1]);
	poll_once(base);
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}
