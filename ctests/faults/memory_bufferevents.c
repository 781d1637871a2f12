/* Bufferevents with limits, filters and everything else that can be set, while memory runs out. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <event2/dns.h>

static enum bufferevent_filter_result
pass_on(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	size_t before = evbuffer_get_length(from);
	(void)mode;
	(void)arg;
	if (!before)
		return BEV_NEED_MORE;
	return evbuffer_remove_buffer(from, to, limit < 0 ? before : (size_t)limit) > 0 ? BEV_OK : BEV_ERROR;
}

struct talk {
	struct bufferevent *ends[2];
	size_t sent[2], got[2];
	int failed, finished;
};

enum { SAID = 20000 };

static void
hear(struct bufferevent *bev, void *arg)
{
	struct talk *talk = arg;
	int end = bev == talk->ends[1];
	take_stream(bufferevent_get_input(bev), end, &talk->got[end]);
	talk->finished = talk->failed || (talk->got[0] == SAID && talk->got[1] == SAID);
}

static void
hear_event(struct bufferevent *bev, short what, void *arg)
{
	struct talk *talk = arg;
	(void)bev;
	if (!(what & BEV_EVENT_CONNECTED))
		talk->failed = talk->finished = 1;
}

static void
accept_it(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct talk *talk = arg;
	(void)address;
	(void)length;
	if (talk->ends[1] || !(talk->ends[1] = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE)))
		evutil_closesocket(fd);
	talk->finished = 1;
	talk->failed |= !talk->ends[1];
}

static int
say_all(struct talk *talk, int end, struct evbuffer *room)
{
	unsigned char bytes[SAID];
	const struct timeval limit = {5, 0};
	struct bufferevent *bev = talk->ends[end];
	int i;
	for (i = 0; i < SAID; i++)
		bytes[i] = byte_of_stream(!end, i);
	bufferevent_setcb(bev, hear, NULL, hear_event, talk);
	if (bufferevent_set_timeouts(bev, &limit, &limit) || bufferevent_enable(bev, EV_READ | EV_WRITE))
		return 0;
	bufferevent_setwatermark(bev, EV_READ, 100, 1 << 20);
	bufferevent_setwatermark(bev, EV_READ, 0, 1 << 19);
	if (bufferevent_write(bev, bytes, SAID / 2) || evbuffer_add(room, bytes + SAID / 2, SAID / 2))
		return 0;
	if (bufferevent_write_buffer(bev, room)) {
		evbuffer_drain(room, SAID / 2);
		return 0;
	}
	bufferevent_trigger(bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
	bufferevent_flush(bev, EV_WRITE, BEV_FLUSH);
	return 1;
}

/* Two bufferevents of a connection by name, with limits of their own and of a group; and filters upon them. */
IN_MEMORY(bufferevents_with_all)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval tick = {0, 5000};
	struct talk talk = {.failed = 0};
	struct event_base *base = new_base(1);
	struct evconnlistener *listener = NULL;
	struct evdns_base *resolver = NULL;
	struct bufferevent_rate_limit_group *group = NULL;
	struct ev_token_bucket_cfg *limits = NULL;
	struct evbuffer *room = evbuffer_new();
	socklen_t length = sizeof any;
	enum ending ending = REFUSED;
	int good, i, j;
	if (!base) {
		if (room)
			evbuffer_free(room);
		return REFUSED;
	}
	listener = evconnlistener_new_bind(base, accept_it, &talk, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_THREADSAFE | LEV_OPT_REUSEABLE, -1,
					   (struct sockaddr *)&any, sizeof any);
	limits = ev_token_bucket_cfg_new(100000, 200000, 100000, 200000, &tick);
	resolver = evdns_base_new(base, 0);
	good = listener && limits && resolver && room;
	if (good) {
		HOLDS(!getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&any, &length), "an address");
		group = bufferevent_rate_limit_group_new(base, limits);
		talk.ends[0] = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
		good = group && talk.ends[0];
	}
	if (good) {
		bufferevent_setcb(talk.ends[0], NULL, NULL, hear_event, &talk);
		good = !bufferevent_socket_connect_hostname(talk.ends[0], resolver, AF_INET, "127.0.0.1", ntohs(any.sin_port));
		if (good)
			good = run_until(base, &talk.finished) == DONE && !talk.failed;
	}
	for (i = 0; i < 2 && good; i++) {
		if (bufferevent_set_rate_limit(talk.ends[i], limits) || bufferevent_add_to_rate_limit_group(talk.ends[i], group) ||
		    bufferevent_set_max_single_read(talk.ends[i], 5000))
			good = 0;
	}
	for (i = 0; i < 2 && good; i++) {
		for (j = 0; j < 2 && good; j++) {
			struct bufferevent *above = bufferevent_filter_new(talk.ends[i], pass_on, pass_on,
				BEV_OPT_CLOSE_ON_FREE | (j ? BEV_OPT_DEFER_CALLBACKS : 0), NULL, NULL);
			good = above != NULL;
			if (above)
				talk.ends[i] = above;
		}
	}
	talk.finished = 0;
	for (i = 0; i < 2 && good; i++)
		good = say_all(&talk, i, room);
	if (good && run_until(base, &talk.finished) == DONE && !talk.failed)
		ending = DONE;
	/* Nobody comes any more. */
	if (listener)
		evconnlistener_free(listener);
	for (i = 0; i < 2; i++) {
		if (talk.ends[i])
			bufferevent_free(talk.ends[i]);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	/* Bufferevents are freed by the loop when their callbacks are deferred. */
	faults_stop();
	event_base_loop(base, EVLOOP_NONBLOCK);
	if (group)
		bufferevent_rate_limit_group_free(group);
	if (limits)
		ev_token_bucket_cfg_free(limits);
	if (resolver)
		evdns_base_free(resolver, 0);
	if (room)
		evbuffer_free(room);
	finish_base(base);
	return ending;
}
