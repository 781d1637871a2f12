/* Long random sequences of operations on a few events, from outside and from callbacks. Both
 * libraries get the same sequence and have to do the same, step by step. */
#define _GNU_SOURCE
#include "trace.h"

enum { DESCRIPTORS = 3, PER_DESCRIPTOR = 4, EVENTS = DESCRIPTORS * PER_DESCRIPTOR };

static struct event_base *base;
static struct event events[EVENTS];
static int ends[DESCRIPTORS][2];
static unsigned state;
static int calls_left, interests_allowed;
static bool reopening;

/* A random number below the limit. */
static int
below(int limit)
{
	state = state * 1103515245 + 12345;
	return (int)((state >> 16) % (unsigned)limit);
}

static short
random_interest(void)
{
	static const short kinds[] = {EV_READ, EV_WRITE, EV_READ | EV_WRITE, EV_READ, EV_CLOSED, EV_READ | EV_CLOSED};
	return (short)(kinds[below(interests_allowed)] | (below(2) ? EV_PERSIST : 0));
}

static int
flags_of(int which)
{
	return events[which].ev_evcallback.evcb_flags;
}

/* Gives the number of a descriptor to a new socket. The old one stays open and ready under another
 * number that nobody watches. */
static void
reopen(int descriptor)
{
	int fresh[2], which;
	for (which = descriptor * PER_DESCRIPTOR; which < (descriptor + 1) * PER_DESCRIPTOR; which++)
		CHECK_EQUAL(event_del(&events[which]), 0);
	CHECK(dup(ends[descriptor][0]) >= 0);
	put_byte(ends[descriptor][1]);
	make_socketpair(fresh);
	CHECK(dup3(fresh[0], ends[descriptor][0], O_CLOEXEC) == ends[descriptor][0]);
	close(fresh[0]);
	ends[descriptor][1] = fresh[1];
}

static void random_step(bool in_callback);

static void
run_random(evutil_socket_t fd, short what, void *arg)
{
	int which = (int)((struct event *)arg - events), steps = below(3);
	(void)fd;
	printf("  call %d: %s, flags 0x%02x\n", which, flag_names(what), flags_of(which));
	if (--calls_left <= 0)
		CHECK_EQUAL(event_base_loopbreak(base), 0);
	while (steps-- > 0)
		random_step(true);
}

static void
assign_random(int which)
{
	int descriptor = which / PER_DESCRIPTOR;
	CHECK_EQUAL(event_assign(&events[which], base, ends[descriptor][0], random_interest(), run_random,
				 &events[which]), 0);
	/* One priority for each descriptor: the order among descriptors is up to the kernel. */
	CHECK_EQUAL(event_priority_set(&events[which], descriptor), 0);
}

static void
random_step(bool in_callback)
{
	static const short results[] = {EV_READ, EV_WRITE, EV_TIMEOUT, EV_READ | EV_WRITE};
	int which = below(EVENTS), operation = below(in_callback ? 9 : 11), descriptor = which / PER_DESCRIPTOR;
	char bytes[16];
	printf("%s%d %d: ", in_callback ? "    " : "", operation, which);
	switch (operation) {
	case 0:
	case 1:
		/* Of these the reference forgets the registration; see the differences. */
		if ((flags_of(which) & (EVLIST_ACTIVE | EVLIST_INSERTED)) == EVLIST_ACTIVE)
			break;
		printf("add %d", event_add(&events[which], NULL));
		break;
	case 2:
		if ((flags_of(which) & (EVLIST_ACTIVE | EVLIST_INSERTED)) == EVLIST_ACTIVE)
			break;
		printf("add with a timeout %d", add_timed(&events[which], 3600000));
		break;
	case 3:
		printf("del %d", event_del(&events[which]));
		break;
	case 4:
		event_active(&events[which], results[below(4)], 1);
		printf("active");
		break;
	case 5:
		printf("remove timer %d", event_remove_timer(&events[which]));
		break;
	case 6:
		CHECK_EQUAL(event_del(&events[which]), 0);
		assign_random(which);
		printf("assign %s", flag_names(event_get_events(&events[which])));
		break;
	case 7:
		printf("write %d", (int)write(ends[descriptor][1], "x", 1));
		break;
	case 8:
		if (!reopening || below(4))
			break;
		reopen(descriptor);
		printf("reopened");
		break;
	default:
		printf("read %d", (int)read(ends[descriptor][0], bytes, sizeof bytes));
		break;
	}
	printf(", flags 0x%02x, pending %s\n", flags_of(which), flag_names(event_pending(&events[which], 0x7fff, NULL)));
}

static void
play(unsigned seed)
{
	int i, step;
	state = seed;
	base = new_base();
	CHECK_EQUAL(event_base_priority_init(base, DESCRIPTORS), 0);
	for (i = 0; i < DESCRIPTORS; i++)
		make_socketpair(ends[i]);
	for (i = 0; i < EVENTS; i++)
		assign_random(i);
	for (step = 0; step < 150; step++) {
		random_step(false);
		if (below(3))
			continue;
		calls_left = 12;
		printf("loop\n");
		i = poll_once(base);
		printf("loop %d, active %d, added %d\n", i, event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
		       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	}
	for (i = 0; i < EVENTS; i++)
		CHECK_EQUAL(event_del(&events[i]), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
	for (i = 0; i < DESCRIPTORS; i++) {
		close(ends[i][0]);
		close(ends[i][1]);
	}
}

static void
play_seeds(unsigned first, unsigned last)
{
	unsigned seed;
	for (seed = first; seed <= last; seed++) {
		printf("seed %u\n", seed);
		play(seed);
	}
}

CASE(reading_and_writing, EVERY_BACKEND)
{
	interests_allowed = 3;
	play_seeds(1, 20);
}

CASE(reading_only, EVERY_BACKEND)
{
	interests_allowed = 1;
	play_seeds(101, 120);
}

CASE(with_closed, NOT_SELECT)
{
	interests_allowed = 6;
	play_seeds(201, 220);
}

/* With the changelist the kernel would learn of a deletion after the number was reused. */
CASE(reopening_descriptors, EVERY_BACKEND)
{
	if (getenv("EVENT_EPOLL_USE_CHANGELIST"))
		harness_skip("not safe with duplicates and the changelist");
	interests_allowed = 2;
	reopening = true;
	play_seeds(301, 320);
}
