#include "streams.h"

void
look_at_streams(struct streams *streams)
{
	struct stream_end *ends = streams->ends;
	streams->finished = ends[0].failed || ends[1].failed || (ends[0].arrived == STREAM && ends[1].arrived == STREAM);
}

static void
stream_reads(struct bufferevent *bev, void *arg)
{
	struct stream_end *end = arg;
	take_stream(bufferevent_get_input(bev), end->receives, &end->arrived);
	look_at_streams(end->all);
}

static void
stream_writes(struct bufferevent *bev, void *arg)
{
	struct stream_end *end = arg;
	unsigned char bytes[PIECE];
	size_t count = STREAM - end->sent < PIECE ? STREAM - end->sent : PIECE, i;
	for (i = 0; i < count; i++)
		bytes[i] = byte_of_stream(end->sends, end->sent + i);
	/* Counted before, because a filter may call this function from within. */
	end->sent += count;
	if (bufferevent_write(bev, bytes, count)) {
		end->failed = 1;
		look_at_streams(end->all);
	}
}

static void
stream_event(struct bufferevent *bev, short what, void *arg)
{
	struct stream_end *end = arg;
	if (what & BEV_EVENT_CONNECTED) {
		end->connected = 1;
		return;
	}
	take_stream(bufferevent_get_input(bev), end->receives, &end->arrived);
	end->failed = 1;
	look_at_streams(end->all);
}

int
set_up_end(struct streams *streams, int number)
{
	struct stream_end *end = &streams->ends[number];
	end->all = streams;
	end->sends = number;
	end->receives = !number;
	if (!end->bev)
		return 0;
	bufferevent_setcb(end->bev, stream_reads, stream_writes, stream_event, end);
	stream_writes(end->bev, end);
	return bufferevent_enable(end->bev, EV_READ | EV_WRITE) == 0;
}

enum ending
run_streams(struct event_base *base, struct streams *streams)
{
	enum ending ending = REFUSED;
	if (streams->ends[0].bev && streams->ends[1].bev) {
		ending = run_until(base, &streams->finished);
		if (streams->ends[0].failed || streams->ends[1].failed)
			ending = REFUSED;
	}
	return ending;
}

void
free_streams(struct streams *streams)
{
	int i;
	for (i = 0; i < 2; i++) {
		if (streams->ends[i].bev)
			bufferevent_free(streams->ends[i].bev);
		else if (streams->ends[i].below)
			bufferevent_free(streams->ends[i].below);
	}
}

