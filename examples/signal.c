/* Signals as events: SIGUSR1 is counted, SIGINT and SIGTERM end the loop.
 *
 *     gcc signal.c -o signal $(pkg-config --cflags --libs libevent)
 *     ./signal
 *
 * The callbacks of signals run in the loop like all others, so they may do anything. The restrictions on
 * signal handlers apply only to the library's own handler.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
counted(evutil_socket_t number, short what, void *arg)
{
	int *count = arg;

	(void)number;
	(void)what;
	printf("SIGUSR1 for the %d. time\n", ++*count);
	fflush(stdout);
}

static void
ended(evutil_socket_t number, short what, void *arg)
{
	(void)what;
	printf("signal %d: ending\n", (int)number);
	event_base_loopexit(arg, NULL);
}

int
main(void)
{
	struct event_base *base = event_base_new();
	struct event *user, *interrupt, *terminate;
	int count = 0;

	if (!base)
		return EXIT_FAILURE;
	user = evsignal_new(base, SIGUSR1, counted, &count);
	interrupt = evsignal_new(base, SIGINT, ended, base);
	terminate = evsignal_new(base, SIGTERM, ended, base);
	if (!user || !interrupt || !terminate || event_add(user, NULL) < 0 || event_add(interrupt, NULL) < 0 ||
	    event_add(terminate, NULL) < 0)
		return EXIT_FAILURE;
	printf("process %d waits for signals\n", (int)getpid());
	fflush(stdout);
	event_base_dispatch(base);

	event_free(user);
	event_free(interrupt);
	event_free(terminate);
	event_base_free(base);
	return EXIT_SUCCESS;
}
