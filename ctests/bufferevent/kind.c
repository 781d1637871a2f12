/* A kind of bufferevent that the program brings itself, as the library for TLS does: with functions that
 * libevent exports without declaring them in a public header. */
#include "internal.h"

#include <event2/thread.h>

static struct traced side = {.name = "side", .drain = -1};

/* One of the new kind lies after something else in its memory. */
struct own {
	char before[64];
	struct private_part part;
};
static struct own *own;
static struct bufferevent *bev, *below;
static int answer;

static int
enable(struct bufferevent *self, short events)
{
	printf("enable %s\n", flag_names(events));
	CHECK(self == bev);
	return answer;
}

static int
disable(struct bufferevent *self, short events)
{
	printf("disable %s\n", flag_names(events));
	CHECK(self == bev);
	return answer;
}

static void
cut_links(struct bufferevent *self)
{
	printf("unlink, enabled %s\n", enabled_names(self));
}

static void
destruct(struct bufferevent *self)
{
	printf("destruct, %d bytes of input\n", (int)evbuffer_get_length(bufferevent_get_input(self)));
}

static int
adjust_timeouts(struct bufferevent *self)
{
	printf("timeouts %ld, %ld\n", (long)self->timeout_read.tv_sec, (long)self->timeout_write.tv_sec);
	return bufferevent_generic_adj_timeouts_(self);
}

static int
flush(struct bufferevent *self, short events, enum bufferevent_flush_mode mode)
{
	(void)self;
	printf("flush %s, mode %d\n", flag_names(events), mode);
	return 1;
}

static int
control(struct bufferevent *self, int what, union control_data *data)
{
	CHECK(self == bev);
	switch (what) {
	case SET_FD:
		printf("set descriptor %d\n", data->fd);
		return 0;
	case GET_FD:
		data->fd = 77;
		return 0;
	case GET_UNDERLYING:
		data->ptr = below;
		return below ? 0 : -1;
	default:
		return -1;
	}
}

static const struct kind kind = {"own", offsetof(struct own, part), enable, disable, cut_links, destruct, adjust_timeouts, flush, control};

static const struct kind least = {"least", offsetof(struct own, part), enable, disable, NULL, NULL, NULL, NULL, NULL};

static void
make(const struct kind *of, int options)
{
	make_base();
	own = calloc(1, sizeof *own);
	bev = &own->part.bev;
	CHECK_EQUAL(bufferevent_init_common_(bev, base, of, options), 0);
	bufferevent_init_generic_timeout_cbs_(bev);
	trace(bev, &side);
}

CASE(a_new_one, ONE_BACKEND)
{
	make(&kind, BEV_OPT_CLOSE_ON_FREE);
	CHECK(bev->be_ops == (const void *)&kind);
	CHECK(bufferevent_get_base(bev) == base);
	CHECK_EQUAL(own->part.references, 1);
	CHECK_EQUAL(bufferevent_get_options_(bev), BEV_OPT_CLOSE_ON_FREE);
	CHECK_EQUAL(bufferevent_get_enabled(bev), EV_WRITE);
	CHECK_EQUAL(bufferevent_get_max_single_read(bev), 16384);
	CHECK_EQUAL(bufferevent_get_max_single_write(bev), 16384);
	CHECK(!bev->timeout_read.tv_sec && !bev->timeout_write.tv_sec);
	CHECK(bufferevent_get_input(bev) && bufferevent_get_output(bev));
	CHECK(event_initialized(&bev->ev_read) && event_initialized(&bev->ev_write));
	CHECK_EQUAL(event_get_fd(&bev->ev_read), -1);
	CHECK_EQUAL(bufferevent_getfd(bev), 77);
	bufferevent_free(bev);
	finish();
}

CASE(buffers_that_are_there_are_used, ONE_BACKEND)
{
	struct evbuffer *input = evbuffer_new(), *output = evbuffer_new();
	make_base();
	own = calloc(1, sizeof *own);
	bev = &own->part.bev;
	bev->input = input;
	bev->output = output;
	CHECK_EQUAL(bufferevent_init_common_(bev, base, &kind, 0), 0);
	bufferevent_init_generic_timeout_cbs_(bev);
	CHECK(bufferevent_get_input(bev) == input);
	CHECK(bufferevent_get_output(bev) == output);
	bufferevent_free(bev);
	finish();
}

CASE(options_that_contradict_are_refused, ONE_BACKEND)
{
	make_base();
	own = calloc(1, sizeof *own);
	bev = &own->part.bev;
	CHECK_EQUAL(bufferevent_init_common_(bev, base, &kind, BEV_OPT_UNLOCK_CALLBACKS), -1);
	CHECK(!bev->input && !bev->output);
	free(own);
	event_base_free(base);
}

CASE(its_functions_are_called, EVERY_BACKEND)
{
	make(&kind, 0);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
	CHECK_EQUAL(bufferevent_disable(bev, EV_WRITE), 0);
	CHECK_EQUAL(bufferevent_setfd(bev, 5), 0);
	CHECK_EQUAL(bufferevent_flush(bev, EV_READ | EV_WRITE, BEV_FINISHED), 1);
	answer = -1;
	CHECK_EQUAL(bufferevent_enable(bev, EV_WRITE), -1);
	CHECK_EQUAL(bufferevent_disable(bev, EV_WRITE), -1);
	printf("enabled %s\n", enabled_names(bev));
	evbuffer_add(bufferevent_get_input(bev), "input", 5);
	bufferevent_free(bev);
	printf("freed\n");
	finish();
}

CASE(functions_that_it_lacks, EVERY_BACKEND)
{
	static const struct timeval hour = {3600, 0};
	make(&least, 0);
	CHECK_EQUAL(bufferevent_flush(bev, EV_READ, BEV_FLUSH), -1);
	CHECK_EQUAL(bufferevent_getfd(bev), -1);
	CHECK_EQUAL(bufferevent_setfd(bev, 5), -1);
	CHECK(!bufferevent_get_underlying(bev));
	CHECK_EQUAL(bufferevent_set_timeouts(bev, &hour, &hour), 0);
	bufferevent_free(bev);
	finish();
}

CASE(it_pauses_and_continues, EVERY_BACKEND)
{
	make(&kind, 0);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
	bufferevent_setwatermark(bev, EV_READ, 0, 4);
	evbuffer_add(bufferevent_get_input(bev), "input", 5);
	print_suspended("full", bev);
	evbuffer_drain(bufferevent_get_input(bev), 3);
	print_suspended("no longer", bev);
	LOCKED(bev, bufferevent_suspend_write_(bev, SUSPEND_BANDWIDTH));
	LOCKED(bev, bufferevent_suspend_write_(bev, SUSPEND_LOOKUP));
	LOCKED(bev, bufferevent_unsuspend_write_(bev, SUSPEND_LOOKUP));
	printf("one reason is left\n");
	LOCKED(bev, bufferevent_unsuspend_write_(bev, SUSPEND_BANDWIDTH));
	bufferevent_free(bev);
	finish();
}

/* The events of a kind without a descriptor are timers. */
static void
print_timers(const char *label)
{
	printf("%s: read %d, write %d\n", label, event_pending(&bev->ev_read, EV_TIMEOUT, NULL) != 0,
	       event_pending(&bev->ev_write, EV_TIMEOUT, NULL) != 0);
}

CASE(timers_run_while_there_is_something_to_wait_for, EVERY_BACKEND)
{
	static const struct timeval hour = {3600, 0};
	make(&kind, 0);
	CHECK_EQUAL(bufferevent_set_timeouts(bev, &hour, &hour), 0);
	print_timers("not enabled, no output");
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
	LOCKED(bev, CHECK_EQUAL(bufferevent_generic_adj_timeouts_(bev), 0));
	print_timers("enabled");
	evbuffer_add(bufferevent_get_output(bev), "output", 6);
	LOCKED(bev, CHECK_EQUAL(bufferevent_generic_adj_timeouts_(bev), 0));
	print_timers("with output");
	bufferevent_suspend_read_(bev, SUSPEND_BANDWIDTH);
	bufferevent_suspend_write_(bev, SUSPEND_BANDWIDTH);
	LOCKED(bev, CHECK_EQUAL(bufferevent_generic_adj_timeouts_(bev), 0));
	print_timers("suspended");
	bufferevent_unsuspend_read_(bev, SUSPEND_BANDWIDTH);
	LOCKED(bev, CHECK_EQUAL(bufferevent_generic_adj_timeouts_(bev), 0));
	print_timers("reading again");
	CHECK_EQUAL(bufferevent_set_timeouts(bev, NULL, NULL), 0);
	print_timers("without timeouts");
	bufferevent_free(bev);
	finish();
}

CASE(a_timer_ends_its_direction, EVERY_BACKEND)
{
	static const struct timeval soon = {0, 10000};
	make(&kind, 0);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
	CHECK_EQUAL(bufferevent_set_timeouts(bev, &soon, NULL), 0);
	run_until(&side.events, 1);
	evbuffer_add(bufferevent_get_output(bev), "output", 6);
	CHECK_EQUAL(bufferevent_set_timeouts(bev, NULL, &soon), 0);
	run_until(&side.events, 2);
	bufferevent_free(bev);
	finish();
}

/* One below. */
static int ends[2];

CASE(a_lock_is_shared_with_the_one_below, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	make(&kind, 0);
	make_socketpair(ends);
	below = make_bufferevent(ends[0], BEV_OPT_THREADSAFE | BEV_OPT_CLOSE_ON_FREE, NULL);
	CHECK_EQUAL(bufferevent_enable_locking_(bev, NULL), 0);
	CHECK(own->part.lock);
	CHECK(own->part.lock == ((struct private_part *)below)->lock);
	CHECK(bufferevent_get_underlying(bev) == below);
	bufferevent_free(bev);
	settle();
	printf("finalized\n");
	CHECK(!is_open(ends[0]));
	close(ends[1]);
	finish();
}

CASE(one_below_without_a_lock_gets_one, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	make(&kind, 0);
	make_socketpair(ends);
	below = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, NULL);
	CHECK_EQUAL(bufferevent_enable_locking_(bev, NULL), 0);
	CHECK(own->part.lock);
	CHECK(own->part.lock == ((struct private_part *)below)->lock);
	bufferevent_free(bev);
	settle();
	close(ends[1]);
	finish();
}
