/* A loop that is to run only once also ends when all it did was serve a request. */
#define _GNU_SOURCE
#include "tools.h"

#include <sys/socket.h>

enum { REQUESTS = 5 };

/* Nothing that comes later would end a call of the loop that waits on: the alarm ends the test. */
CASE(a_loop_that_runs_once_serves_requests, EVERY_BACKEND)
{
	static const char request[] = "GET /path HTTP/1.1\r\nHost: localhost\r\n\r\n";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char reply[1000];

	alarm(30);
	start_server();
	CHECK(connect(fd, (struct sockaddr *)&server_address, server_address_length) == 0);
	for (int i = 1; i <= REQUESTS; i++) {
		unsigned long before = progress;

		CHECK(write(fd, request, sizeof request - 1) == sizeof request - 1);
		while (progress == before)
			CHECK(event_base_loop(base, EVLOOP_ONCE) == 0);
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) == 0);
		CHECK(read(fd, reply, sizeof reply) > 0 && !strncmp(reply, "HTTP/1.1 200 OK", 15));
		printf("%s\n", seen);
	}
	close(fd);
	stop_server();
}
