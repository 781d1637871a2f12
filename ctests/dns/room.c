/* Sockets that have no room, or refuse: the program's sendto() stands before libc's. */
#define _GNU_SOURCE
#include "tools.h"

#include <dlfcn.h>

static int refusals; /* so many calls more are refused, with this error */
static int refusal;
static int sent;     /* the number that were not */

ssize_t
sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *address, socklen_t address_length)
{
	static ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "sendto");
	/* The test's own server sends from its own socket. */
	if (fd != server.fd && fd != second.fd && refusals > 0) {
		refusals--;
		errno = refusal;
		return -1;
	}
	sent += fd != server.fd && fd != second.fd;
	return real(fd, bytes, length, flags, address, address_length);
}

/* Queries wait until there is room, and then all are sent, by the reference in any order. No trace of the
 * waiting is left. */
CASE(questions_wait_for_room, ONE_BACKEND)
{
	begin(answer_address);
	server.quiet = 1;
	refusals = 1;
	refusal = EAGAIN;
	for (int i = 0; i < 5; i++)
		CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test"));
	wait_for(&reported, 5);
	CHECK_EQUAL(server.queries, 5);
	/* The socket still has room, and nothing waits for that any more. */
	sent = 0;
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(sent, 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 0);
	resolve_ipv4("later.test", 0);
	end();
}

/* Neither the loop nor a look-up is lost where servers do not keep the loop running. */
CASE(the_loop_waits_for_room, ONE_BACKEND)
{
	base = new_base();
	start_server(&server, "server", answer_address);
	dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	CHECK_EQUAL(add_server(dns, &server), 0);
	server.quiet = 1;
	refusals = 1;
	refusal = EAGAIN;
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test"));
	wait_for(&reported, 1);
	stop_server(&server);
	printf("%d\n", event_base_dispatch(base));
	end();
}

/* Those that wait may end in every way. */
CASE(ends_without_room, ONE_BACKEND)
{
	struct evdns_request *request;

	begin(answer_address);
	server.quiet = 1;
	refusals = 1;
	refusal = EAGAIN;
	request = evdns_base_resolve_ipv4(dns, "cancelled.test", 0, on_result, "cancelled.test");
	evdns_cancel_request(dns, request);
	wait_for(&reported, 1);
	run_for(base, 10);
	resolve_ipv4("next.test", 0);
	refusals = 1;
	CHECK(evdns_base_resolve_ipv4(dns, "suspended.test", 0, on_result, "suspended.test"));
	CHECK_EQUAL(evdns_base_clear_nameservers_and_suspend(dns), 0);
	CHECK_EQUAL(add_server(dns, &server), 0);
	CHECK_EQUAL(evdns_base_resume(dns), 0);
	wait_for(&reported, 1);
	refusals = 1;
	CHECK(evdns_base_resolve_ipv4(dns, "freed.test", 0, on_result, "freed.test"));
	evdns_base_free(dns, 1);
	dns = NULL;
	wait_for(&reported, 1);
	end();
}

static void
print_failure(int warning, const char *message)
{
	const char *failed = strstr(message, " has failed");

	if (failed)
		printf("[%d] %s\n", warning, failed);
}

/* A query that the system refuses to send counts as sent, and is sent again after its timeout. */
CASE(refused_by_the_system, ONE_BACKEND)
{
	begin(answer_address);
	server.quiet = 1;
	evdns_set_log_fn(print_failure);
	set("timeout", "0.1");
	set("attempts", "20");
	refusals = 2;
	refusal = EACCES;
	resolve_ipv4("a.test", 0);
	set("attempts", "3");
	refusals = 3;
	refusal = ENETUNREACH;
	resolve_ipv4("b.test", 0);
	evdns_set_log_fn(NULL);
	end();
}

/* A signal does not matter. */
CASE(interrupted, ONE_BACKEND)
{
	begin(answer_address);
	set("timeout", "5");
	set("attempts", "2");
	resolve_ipv4("first.test", 0);
	refusals = 1;
	refusal = EINTR;
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test"));
	wait_for(&reported, 1);
	end();
}
