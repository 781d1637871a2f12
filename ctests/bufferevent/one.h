/* What the tests of one bufferevent share: it, the two ends of its connection, and the end of a case. */
#ifndef CTESTS_BUFFEREVENT_ONE_H
#define CTESTS_BUFFEREVENT_ONE_H

#include "tools.h"

/* Each program says what its callbacks do. */
static struct traced side;
static int ends[2];
static struct bufferevent *bev;
static struct ev_token_bucket_cfg *cfg __attribute__((unused)); /* freed in the end */

/* A bufferevent on one end of a new connection, which has passed no data yet. */
OBSERVE_ void
connect_bufferevent(int options)
{
	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], options | BEV_OPT_CLOSE_ON_FREE, &side);
}

/* One that has passed data, so that it is known to be connected, and does not own its end. */
OBSERVE_ void
use_connection(int options)
{
	make_base();
	bev = make_used_connection(ends, options, &side);
}

OBSERVE_ void
end(void)
{
	bufferevent_free(bev);
	close(ends[1]);
	finish();
	if (cfg)
		ev_token_bucket_cfg_free(cfg);
}

OBSERVE_ void
end_of_used_connection(void)
{
	bufferevent_free(bev);
	close(ends[0]);
	close(ends[1]);
	finish();
}

#endif
