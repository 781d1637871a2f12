/* A timer, a lock and a message: something of the core and of the pthreads library. */
#include <event2/event.h>
#include <event2/thread.h>
#include <stdio.h>

static void
fired(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	++*(int *)arg;
}

int
main(void)
{
	struct timeval soon = {0, 1000};
	struct event_base *base;
	int count = 0;

	if (evthread_use_pthreads() != 0)
		return 1;
	base = event_base_new();
	if (!base || event_base_once(base, -1, EV_TIMEOUT, fired, &count, &soon) != 0)
		return 1;
	event_base_dispatch(base);
	event_base_free(base);
	printf("%s %d\n", event_get_version(), count);
	return 0;
}
