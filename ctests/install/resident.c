/* Says whether a program that only has a base and a timer has little of the library in its memory:
 * half of what it would be if the functions lay in any order. */
#include <event2/event.h>

#include <stdio.h>
#include <string.h>

enum { LITTLE = 400 };

static void
ignore(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* How many kB of the library's files are mapped and there. */
static int
resident(void)
{
	char line[4096], access[5];
	int kilobytes, sum = 0, of_the_library = 0;
	FILE *maps = fopen("/proc/self/smaps", "r");

	while (maps && fgets(line, sizeof line, maps)) {
		/* A mapping's first line begins with its addresses and ends with the file's name. */
		if (sscanf(line, "%*x-%*x %4s", access) == 1)
			of_the_library = strstr(line, "/libevent") != NULL;
		else if (of_the_library && sscanf(line, "Rss: %d kB", &kilobytes) == 1)
			sum += kilobytes;
	}
	if (maps)
		fclose(maps);
	return sum;
}

int
main(void)
{
	struct event_base *base = event_base_new();
	struct event *timer = event_new(base, -1, 0, ignore, NULL);
	struct timeval soon = {0, 1};
	int kilobytes;

	if (event_add(timer, &soon) || event_base_dispatch(base) < 0)
		return 1;
	kilobytes = resident();
	if (kilobytes > 0 && kilobytes < LITTLE)
		puts("little");
	else
		printf("%d kB\n", kilobytes);
	event_free(timer);
	event_base_free(base);
	return 0;
}
