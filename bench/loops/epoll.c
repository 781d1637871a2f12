/* The work on plain epoll: a loop written for this one program. */
#include "work.h"

#include <sys/epoll.h>

static int epoll;
static int stopped;

static void
open_loop(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	BENCH_CHECK(epoll >= 0);
}

static void
watch(struct channel *channel)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = channel};

	BENCH_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, channel->fd, &event) == 0);
}

static void
forget(struct channel *channel)
{
	BENCH_CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, channel->fd, NULL) == 0);
}

static void
run(void)
{
	struct epoll_event ready[128];

	stopped = 0;
	while (!stopped) {
		int count = epoll_wait(epoll, ready, 128, -1);

		BENCH_CHECK(count > 0);
		for (int i = 0; i < count; i++) {
			struct channel *channel = ready[i].data.ptr;
			channel->ready(channel);
		}
	}
}

static void
stop(void)
{
	stopped = 1;
}

const struct loop loop = {open_loop, watch, forget, run, stop, NULL, NULL, NULL, NULL};
