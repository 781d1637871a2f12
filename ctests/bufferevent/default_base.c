/* Objects that were made without naming a base are freed with the base of event_init(). */
#include "observe.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_compat.h>
#include <event2/event_struct.h>
#include <event2/listener.h>

static int context_freed;

static void
count_context(void *context)
{
	(void)context;
	context_freed++;
}

static enum bufferevent_filter_result
pass(struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *context)
{
	(void)limit;
	(void)mode;
	(void)context;
	return evbuffer_add_buffer(target, source) == 0 ? BEV_OK : BEV_ERROR;
}

static struct bufferevent *
stream(int options)
{
	int ends[2];

	make_socketpair(ends);
	close(ends[1]);
	return bufferevent_socket_new(NULL, ends[0], options | BEV_OPT_CLOSE_ON_FREE);
}

/* Everything that can be freed just before its base is. */
static void
free_everything(int options)
{
	struct event_base *base = event_init();
	struct bufferevent *pair[2], *below, *filter, *upper;

	CHECK(base);
	bufferevent_free(stream(options));
	CHECK(bufferevent_pair_new(NULL, options | BEV_OPT_CLOSE_ON_FREE, pair) == 0);
	bufferevent_write(pair[0], "text", 4);
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	CHECK(bufferevent_pair_new(NULL, options, pair) == 0);
	filter = bufferevent_filter_new(pair[0], pass, pass, options | BEV_OPT_CLOSE_ON_FREE, count_context, NULL);
	bufferevent_free(pair[1]);
	bufferevent_free(filter);
	filter = bufferevent_filter_new(stream(options), NULL, NULL, options | BEV_OPT_CLOSE_ON_FREE, count_context, NULL);
	upper = bufferevent_filter_new(filter, pass, NULL, options | BEV_OPT_CLOSE_ON_FREE, count_context, NULL);
	bufferevent_enable(upper, EV_READ | EV_WRITE);
	bufferevent_write(upper, "text", 4);
	bufferevent_free(upper);
	below = stream(options);
	filter = bufferevent_filter_new(below, NULL, pass, options, count_context, NULL);
	bufferevent_free(filter);
	bufferevent_free(below);
	event_base_free(base);
	printf("contexts freed: %d\n", context_freed);
}

CASE(freed_just_before_the_base, EVERY_BACKEND)
{
	free_everything(0);
}

DIFFERENCE(freed_just_before_the_base_with_deferred_callbacks, ONE_BACKEND,
	"event_base_free loses bufferevents that were freed while a deferred callback of theirs waited")
{
	free_everything(BEV_OPT_DEFER_CALLBACKS);
	CHECK_EQUAL(context_freed, 4);
}

CASE(freed_together_without_naming_the_base, ONE_BACKEND)
{
	CHECK(event_init());
	bufferevent_free(bufferevent_filter_new(stream(0), NULL, NULL, BEV_OPT_CLOSE_ON_FREE, count_context, NULL));
	event_base_free(NULL);
	printf("contexts freed: %d\n", context_freed);
}

/* A finalizer of the default base uses the default base. */
static void
use_the_default_base(struct event *event, void *arg)
{
	static struct event again;
	struct bufferevent *bev = stream(0);

	(void)event;
	(void)arg;
	CHECK(bev != NULL);
	event_set(&again, -1, 0, ignore_event, NULL);
	printf("base of event_set: %s\n", again.ev_base ? "there" : "none");
	bufferevent_free(bufferevent_filter_new(bev, NULL, NULL, BEV_OPT_CLOSE_ON_FREE, count_context, NULL));
}

CASE(finalizers_find_the_default_base, ONE_BACKEND | OWN_DEBUG_MODE)
{
	struct event_base *base = event_init();
	struct event *event = event_new(base, -1, 0, ignore_event, NULL);

	event_free_finalize(0, event, use_the_default_base);
	event_base_free(base);
	printf("contexts freed: %d\n", context_freed);
}
