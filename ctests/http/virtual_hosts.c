/* Virtual hosts: which patterns match, which settings apply, and who owns them. */
#include "tools.h"

#include <sys/resource.h>

static void
say_name(struct evhttp_request *req, void *name)
{
	see("%s; ", (const char *)name);
	evhttp_send_reply(req, 200, NULL, NULL);
}

static struct evhttp *
named_server(const char *name)
{
	struct evhttp *server = evhttp_new(NULL);

	evhttp_set_gencb(server, say_name, (void *)name);
	return server;
}

static struct evhttp *
add(struct evhttp *to, const char *pattern)
{
	struct evhttp *server = named_server(pattern);

	CHECK_EQUAL(evhttp_add_virtual_host(to, pattern, server), 0);
	return server;
}

static const char *
found(const char *host)
{
	char request[400];

	snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	return outcome(request, strlen(request), WHOLE);
}

static void
print_found(const char *const *hosts)
{
	for (; *hosts; hosts++)
		printf("%s: %s\n", *hosts, found(*hosts));
}

static void
start(void)
{
	start_server();
	evhttp_set_gencb(http, say_name, "root");
}

CASE(patterns, ONE_BACKEND)
{
	static const char *const hosts[] = {"plain", "PLAIN", "plain:80", "plain.", "xplain", "a.foo.com", ".foo.com", "foo.com",
		"a.b.foo.com", "a.foo.comx", "a-b-c", "a--c", "a-c", "A-x-y-C", "a-b-cd", "a-c-c", "q.mark", "qxmark", "[x]", "x",
		"first.two", "second.two", "", NULL};

	start();
	add(http, "plain");
	add(http, "*.foo.com");
	add(http, "a-*-c");
	add(http, "q?mark");
	add(http, "[x]");
	add(http, "f*.two");
	add(http, "*.two");
	print_found(hosts);
	stop_server();
}

/* The first one that matches is entered, then the first match in it, and so on. Aliases come before patterns. */
CASE(hosts_in_hosts, ONE_BACKEND)
{
	static const char *const hosts[] = {"x.org", "y.org", "x.y.org", "x.y.z.org", "none", "alias", "ALIAS:80", "deep", NULL};
	struct evhttp *outer, *inner;

	start();
	outer = add(http, "*.org");
	add(http, "x.*");
	inner = add(outer, "x.*.org");
	add(outer, "*.y.org");
	add(inner, "*.z.org");
	CHECK_EQUAL(evhttp_add_server_alias(outer, "alias"), 0);
	CHECK_EQUAL(evhttp_add_server_alias(outer, "alias"), 0);
	CHECK_EQUAL(evhttp_add_server_alias(inner, "deep"), 0);
	print_found(hosts);
	CHECK_EQUAL(evhttp_remove_server_alias(outer, "Alias"), 0);
	printf("%s\n", found("alias"));
	CHECK_EQUAL(evhttp_remove_server_alias(outer, "alias"), 0);
	printf("%s\n", found("alias"));
	CHECK_EQUAL(evhttp_remove_server_alias(http, "deep"), -1);
	stop_server();
}

/* A virtual host has handlers. All else is that of the server that was connected to. */
static struct bufferevent *
never_made(struct event_base *its_base, void *arg)
{
	(void)its_base;
	(void)arg;
	CHECK(0);
}

CASE(only_handlers_count, ONE_BACKEND)
{
	struct evhttp *host;
	const char *text;

	start();
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
	host = add(http, "host");
	evhttp_set_allowed_methods(host, EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(host, 1);
	evhttp_set_max_body_size(host, 1);
	evhttp_set_timeout(host, 1);
	evhttp_set_default_content_type(host, "host/type");
	evhttp_set_bevcb(host, never_made, NULL);
	text = "POST / HTTP/1.1\r\nHost: host\r\nContent-Length: 5\r\n\r\nabcde";
	CHECK_STRING(outcome(text, strlen(text), WHOLE), "host; -> 200 open");
	CHECK(strstr(answer.text, "\r\nContent-Type: text/html; charset=ISO-8859-1\r\n"));
	text = "PATCH / HTTP/1.1\r\nHost: host\r\n\r\n";
	CHECK_STRING(outcome(text, strlen(text), WHOLE), "-> 501 end");
	/* Without a handler for the path it is not looked for elsewhere. */
	evhttp_set_cb(http, "/", say_name, "path of the root");
	evhttp_set_gencb(host, NULL, NULL);
	CHECK_STRING(found("host"), "-> 404 end");
	CHECK_STRING(found("other"), "path of the root; -> 200 open");
	stop_server();
}

CASE(whose_they_are, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	struct evhttp *outer, *inner, *other;

	allocator_install();
	start();
	outer = add(http, "outer");
	inner = add(outer, "inner*x");
	other = named_server("other");
	CHECK_EQUAL(evhttp_add_virtual_host(other, "inner", inner), -1);
	CHECK_EQUAL(evhttp_add_virtual_host(other, "root", http), -1);
	CHECK_EQUAL(evhttp_remove_virtual_host(outer, inner), 0);
	CHECK_EQUAL(evhttp_add_virtual_host(other, "inner", inner), 0);
	CHECK_EQUAL(evhttp_remove_virtual_host(http, outer), 0);
	evhttp_free(outer);
	CHECK_STRING(found("outer"), "root; -> 200 open");
	evhttp_free(other);
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}

DIFFERENCE(removed_from_another, ONE_BACKEND, "removing a virtual host from a server that does not have it corrupts the lists of both")
{
	struct evhttp *outer, *inner;

	start();
	outer = add(http, "outer.*");
	inner = add(outer, "*.inner");
	CHECK_EQUAL(evhttp_remove_virtual_host(http, inner), -1);
	CHECK_STRING(found("outer.x.inner"), "*.inner; -> 200 open");
	CHECK_EQUAL(evhttp_remove_virtual_host(outer, inner), 0);
	CHECK_STRING(found("outer.x.inner"), "outer.*; -> 200 open");
	evhttp_free(inner);
	stop_server();
}

/* A name that nearly matches in very many ways. */
DIFFERENCE(many_stars, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS,
	"a request whose host nearly matches a pattern with many stars keeps a server busy for hours")
{
	struct rlimit seconds = {2, 2};
	char host[201];

	CHECK(setrlimit(RLIMIT_CPU, &seconds) == 0);
	start();
	add(http, "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b");
	memset(host, 'a', sizeof host - 1);
	host[sizeof host - 1] = 0;
	CHECK_STRING(found(host), "root; -> 200 open");
	host[sizeof host - 2] = 'b';
	CHECK_STRING(found(host), "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b; -> 200 open");
	stop_server();
}
