/* A timer that ticks, and one that ends the program.
 *
 *     gcc timer.c -o timer $(pkg-config --cflags --libs libevent)
 *     ./timer
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	int *ticks = arg;

	(void)fd;
	(void)what;
	printf("tick %d\n", ++*ticks);
}

static void
enough(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	/* Active callbacks still run; event_base_loopbreak() would not wait for them. */
	event_base_loopexit(arg, NULL);
}

int
main(void)
{
	struct event_base *base = event_base_new();
	struct timeval tenth = {0, 100000}, half = {0, 550000};
	int ticks = 0;
	/* EV_PERSIST: added once, it repeats. */
	struct event *ticker, *end;

	if (!base)
		return EXIT_FAILURE;
	ticker = event_new(base, -1, EV_PERSIST, tick, &ticks);
	end = evtimer_new(base, enough, base);
	if (!ticker || !end || event_add(ticker, &tenth) < 0 || event_add(end, &half) < 0)
		return EXIT_FAILURE;
	event_base_dispatch(base);

	/* Free events first, then their base. */
	event_free(ticker);
	event_free(end);
	event_base_free(base);
	return ticks ? EXIT_SUCCESS : EXIT_FAILURE;
}
