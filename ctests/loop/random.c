/* Random activations, priorities, breaks and limits: the queues of active events on both libraries
 * have to do the same, step by step. */
#define _GNU_SOURCE
#include "trace.h"

enum { EVENTS = 12, PRIORITIES = 4 };

void event_active_later_(struct event *ev, int res);

static struct event_base *base;
static struct event events[EVENTS];
static unsigned state;
static int calls_left;

/* A random number below the limit. */
static int
below(int limit)
{
	state = state * 1103515245 + 12345;
	return (int)((state >> 16) % (unsigned)limit);
}

static void random_step(void);

static void
run_random(evutil_socket_t fd, short what, void *arg)
{
	struct event *ev = arg;
	int steps = below(4);
	(void)fd;
	printf("  call %d at %d: %s, flags 0x%02x\n", (int)(ev - events), event_get_priority(ev), flag_names(what),
	       ev->ev_evcallback.evcb_flags);
	if (--calls_left <= 0)
		CHECK_EQUAL(event_base_loopbreak(base), 0);
	while (steps-- > 0)
		random_step();
}

static void
run_once(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)arg;
	printf("  once: %s\n", flag_names(what));
	if (--calls_left <= 0)
		CHECK_EQUAL(event_base_loopbreak(base), 0);
}

static void
random_step(void)
{
	static const short results[] = {EV_READ, EV_WRITE, EV_TIMEOUT, EV_READ | EV_WRITE, 0};
	int which = below(EVENTS), operation = below(16);
	struct event *ev = &events[which];
	printf("    %d %d: ", operation, which);
	switch (operation) {
	case 0:
	case 1:
	case 2:
	case 3:
		event_active(ev, results[below(5)], 1);
		break;
	case 4:
	case 5:
		event_active_later_(ev, results[below(5)]);
		break;
	case 6:
		printf("del %d", event_del(ev));
		break;
	case 7:
	case 8:
		printf("priority %d", event_priority_set(ev, below(PRIORITIES)));
		break;
	case 9:
		printf("continue %d", event_base_loopcontinue(base));
		break;
	case 10:
		if (!below(3))
			printf("break %d", event_base_loopbreak(base));
		break;
	case 11:
		if (!below(3))
			printf("exit %d", event_base_loopexit(base, NULL));
		break;
	case 12:
		printf("once %d", event_base_once(base, -1, EV_TIMEOUT, run_once, NULL, NULL));
		break;
	case 13:
		printf("timeout %d", add_timed(ev, 3600000));
		break;
	case 14:
		printf("remove timer %d", event_remove_timer(ev));
		break;
	default:
		printf("number of priorities %d", event_base_priority_init(base, PRIORITIES));
		break;
	}
	printf(", flags 0x%02x\n", ev->ev_evcallback.evcb_flags);
}

static void
play(unsigned seed, int callbacks, int min_priority)
{
	static const int flags[] = {EVLOOP_ONCE, EVLOOP_NONBLOCK, EVLOOP_ONCE | EVLOOP_NONBLOCK};
	struct event_config *config = event_config_new();
	int i, step, chosen;
	state = seed;
	CHECK_EQUAL(event_config_set_max_dispatch_interval(config, NULL, callbacks, min_priority), 0);
	base = event_base_new_with_config(config);
	event_config_free(config);
	CHECK_EQUAL(event_base_priority_init(base, PRIORITIES), 0);
	for (i = 0; i < EVENTS; i++) {
		CHECK_EQUAL(event_assign(&events[i], base, -1, below(2) ? EV_PERSIST : 0, run_random, &events[i]), 0);
		CHECK_EQUAL(event_priority_set(&events[i], below(PRIORITIES)), 0);
	}
	for (step = 0; step < 100; step++) {
		random_step();
		if (below(3))
			continue;
		calls_left = 15;
		/* Without something active, a loop that blocks would wait for the timeouts. */
		chosen = event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE) ? flags[below(3)] : flags[2];
		printf("loop %d\n", chosen);
		i = event_base_loop(base, chosen);
		printf("loop %d: %d, exit %d, break %d, active %d, added %d\n", chosen, i, event_base_got_exit(base),
		       event_base_got_break(base), event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
		       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	}
	for (i = 0; i < EVENTS; i++)
		CHECK_EQUAL(event_del(&events[i]), 0);
	event_base_free(base);
}

static void
play_seeds(unsigned first, unsigned last, int callbacks, int min_priority)
{
	unsigned seed;
	for (seed = first; seed <= last; seed++) {
		printf("seed %u\n", seed);
		play(seed, callbacks, min_priority);
	}
}

CASE(without_limits, ONE_BACKEND)
{
	play_seeds(1, 20, -1, 0);
}

CASE(with_limits, ONE_BACKEND)
{
	play_seeds(101, 110, 1, 0);
	play_seeds(111, 120, 3, 0);
	play_seeds(121, 130, 2, 2);
}
