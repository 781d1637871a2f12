/* The free hook is never called with NULL, so that it may keep a header before each block. */
#include "observe.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdint.h>

enum { HEADER = 16 };
static int allocated, freed, nulls;

static void *
malloc_with_header(size_t size)
{
	char *block = malloc(size + HEADER);

	if (!block)
		return NULL;
	allocated++;
	memcpy(block, "header.", 8);
	return block + HEADER;
}

static void *
realloc_with_header(void *block, size_t size)
{
	char *moved;

	if (!block)
		return malloc_with_header(size);
	CHECK(!memcmp((char *)block - HEADER, "header.", 8));
	moved = realloc((char *)block - HEADER, size + HEADER);
	return moved ? moved + HEADER : NULL;
}

static void
free_with_header(void *block)
{
	if (!block) {
		nulls++;
		return;
	}
	CHECK(!memcmp((char *)block - HEADER, "header.", 8));
	memcpy((char *)block - HEADER, "freed..", 8);
	freed++;
	free((char *)block - HEADER);
}

static void
use_events(int threads)
{
	struct event_config *config = event_config_new();
	struct event_base *base;
	struct event *event, *signal;
	struct timeval soon = {0, 1000};
	int ends[2];

	event_config_avoid_method(config, "kqueue");
	base = event_base_new_with_config(config);
	event_config_free(config);
	event_base_priority_init(base, 3);
	event_base_init_common_timeout(base, &soon);
	if (!threads)
		event_base_once(base, -1, EV_TIMEOUT, ignore_event, NULL, &soon);
	event_base_loopexit(base, &(struct timeval){0, 20000});
	make_pipe(ends);
	event = event_new(base, ends[0], EV_READ, ignore_event, NULL);
	signal = evsignal_new(base, SIGUSR1, ignore_event, NULL);
	event_add(event, &soon);
	event_add(signal, NULL);
	raise(SIGUSR1);
	put_byte(ends[1]);
	event_base_dispatch(base);
	CHECK(event_reinit(base) == 0);
	event_free(signal);
	event_free(event);
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
	base = event_base_new();
	event_base_free(base);
}

static void
use_buffers(void)
{
	struct evbuffer *one = evbuffer_new(), *other = evbuffer_new();
	char *line;

	evbuffer_free(evbuffer_new());
	evbuffer_enable_locking(one, NULL);
	evbuffer_add_printf(one, "%s\nand %d more\n", "a line", 5);
	evbuffer_add_reference(one, "referenced", 10, NULL, NULL);
	evbuffer_add_buffer_reference(other, one);
	line = evbuffer_readln(one, NULL, EVBUFFER_EOL_LF);
	free_with_header(line);
	evbuffer_pullup(one, -1);
	evbuffer_prepend_buffer(one, other);
	evbuffer_expand(other, 5000);
	evbuffer_drain(one, evbuffer_get_length(one));
	evbuffer_free(one);
	evbuffer_free(other);
}

static void
use_bufferevents(int threads)
{
	struct event_base *base = event_base_new();
	struct ev_token_bucket_cfg *rate = ev_token_bucket_cfg_new(1000, 1000, 1000, 1000, NULL);
	struct bufferevent_rate_limit_group *group = bufferevent_rate_limit_group_new(base, rate);
	struct bufferevent *pair[2], *stream, *filter;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct evconnlistener *listener;
	struct evutil_addrinfo hints = {.ai_family = AF_INET}, *list;
	int ends[2];

	make_socketpair(ends);
	CHECK(bufferevent_pair_new(base, threads ? BEV_OPT_THREADSAFE : 0, pair) == 0);
	stream = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	filter = bufferevent_filter_new(stream, NULL, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	bufferevent_set_rate_limit(pair[0], rate);
	bufferevent_add_to_rate_limit_group(stream, group);
	bufferevent_enable(filter, EV_READ | EV_WRITE);
	bufferevent_write(filter, "text", 4);
	bufferevent_write(pair[0], "text", 4);
	CHECK(write(ends[1], "text", 4) == 4);
	event_base_loop(base, EVLOOP_NONBLOCK);
	bufferevent_free(bufferevent_socket_new(base, -1, 0));
	bufferevent_free(pair[0]);
	bufferevent_free(filter);
	bufferevent_free(pair[1]);
	close(ends[1]);
	event_base_loop(base, EVLOOP_NONBLOCK);
	bufferevent_rate_limit_group_free(group);
	ev_token_bucket_cfg_free(rate);
	listener = evconnlistener_new_bind(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | (threads ? LEV_OPT_THREADSAFE : 0), -1,
		(struct sockaddr *)&address, sizeof address);
	evconnlistener_free(listener);
	CHECK(evutil_getaddrinfo("127.0.0.1", "80", &hints, &list) == 0);
	evutil_freeaddrinfo(list);
	event_base_free(base);
}

static void
use_everything(int threads)
{
	use_events(threads);
	use_buffers();
	use_bufferevents(threads);
	libevent_global_shutdown();
	printf("NULL was freed %d times\n", nulls);
	CHECK(nulls == 0);
	CHECK(allocated == freed);
	CHECK(allocated > 50);
}

CASE(a_hook_that_keeps_a_header, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	event_set_mem_functions(malloc_with_header, realloc_with_header, free_with_header);
	use_everything(0);
}

CASE(a_hook_that_keeps_a_header_with_threads, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	event_set_mem_functions(malloc_with_header, realloc_with_header, free_with_header);
	CHECK(evthread_use_pthreads() == 0);
	use_everything(1);
}

CASE(a_hook_that_keeps_a_header_in_debug_mode, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	event_set_mem_functions(malloc_with_header, realloc_with_header, free_with_header);
	event_enable_debug_mode();
	use_everything(0);
}
