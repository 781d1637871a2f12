/* Connecting bufferevents by name. */
#include "connecting.h"


static int
port_of(const union any_address *address)
{
	return ntohs(address->in.sin_port);
}

CASE(by_name, EVERY_BACKEND)
{
	static const struct {
		const char *name;
		int listen, family;
	} names[] = {{"127.0.0.1", AF_INET, AF_INET},  {"127.0.0.1", AF_INET, AF_UNSPEC}, {"::1", AF_INET6, AF_INET6},
		     {"::1", AF_INET6, AF_UNSPEC}, {"localhost", AF_INET, AF_INET}};
	size_t i;

	make_base();
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		union any_address address;
		socklen_t length;
		int listener = listen_on(names[i].listen, &address, &length);
		struct bufferevent *bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);

		printf("%s\n", names[i].name);
		happened = 0;
		CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, names[i].family, names[i].name,
								port_of(&address)), 0);
		CHECK_EQUAL(happened, 0);
		run_until(&happened, 1);
		settle();
		report_error(bev);
		bufferevent_free(bev);
		close(listener);
	}
	finish();
}

CASE(by_refusing_name, EVERY_BACKEND)
{
	union any_address address;
	struct bufferevent *bev;

	make_base();
	refusing_address(AF_INET, &address);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_enable(bev, EV_READ);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, AF_INET, "127.0.0.1", port_of(&address)), 0);
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(happened, 1);
	report_error(bev);
	bufferevent_free(bev);
	finish();
}

CASE(refused_names, ONE_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, AF_UNIX, "127.0.0.1", 80), -1);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, AF_INET, "127.0.0.1", 0), -1);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, AF_INET, "127.0.0.1", 65536), -1);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, AF_INET, "127.0.0.1", -1), -1);
	settle();
	CHECK_EQUAL(happened, 0);
	bufferevent_free(bev);
	finish();
}

/* The event comes inside the call, unless callbacks are deferred. */
CASE(unknown_names, ONE_BACKEND)
{
	static const struct {
		const char *name;
		int family;
	} names[] = {{"::1", AF_INET}, {"127.0.0.1", AF_INET6}, {"1.2.3.4.5", AF_UNSPEC}, {"no such name", AF_UNSPEC}};
	size_t i;
	int deferred;

	make_base();
	for (deferred = 0; deferred < 2; deferred++)
		for (i = 0; i < sizeof names / sizeof names[0]; i++) {
			struct bufferevent *bev =
				make_bufferevent(-1, deferred ? BEV_OPT_DEFER_CALLBACKS : 0, &client);

			happened = 0;
			printf("%s\n", names[i].name);
			CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, names[i].family, names[i].name, 80), 0);
			CHECK_EQUAL(happened, !deferred);
			settle();
			CHECK_EQUAL(happened, 1);
			CHECK_EQUAL(client.last, BEV_EVENT_ERROR);
			printf("%s, enabled %s\n", bufferevent_socket_get_dns_error(bev) ? "an error" : "none",
			       enabled_names(bev));
			bufferevent_free(bev);
			settle();
		}
	finish();
}

CASE(free_for_an_unknown_name, ONE_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	client.then = free_it;
	bev = make_bufferevent(-1, 0, &client);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, AF_INET, "::1", 80), 0);
	CHECK_EQUAL(happened, 1);
	finish();
}

/* A timeout of the connection, set before the name is known. */
CASE(timeouts_by_name, ONE_BACKEND)
{
	struct timeval timeout = {0, 30000};
	union any_address address;
	socklen_t length;
	struct bufferevent *bev;

	make_base();
	full_listener(&address, &length);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &client);
	bufferevent_set_timeouts(bev, &timeout, &timeout);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, AF_INET, "127.0.0.1", port_of(&address)), 0);
	run_until(&happened, 1);
	CHECK_EQUAL(client.last, BEV_EVENT_TIMEOUT | BEV_EVENT_WRITING);
	bufferevent_free(bev);
	finish();
}
