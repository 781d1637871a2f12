/* URIs: parsed, changed, joined. */
#include "texts.h"

static void
print_uri(struct evhttp_uri *uri)
{
	char joined[1200];

	if (!uri) {
		printf(" refused\n");
		return;
	}
	print_text("scheme", evhttp_uri_get_scheme(uri));
	print_text("userinfo", evhttp_uri_get_userinfo(uri));
	print_text("host", evhttp_uri_get_host(uri));
	printf(" port=%d", evhttp_uri_get_port(uri));
	print_text("path", evhttp_uri_get_path(uri));
	print_text("query", evhttp_uri_get_query(uri));
	print_text("fragment", evhttp_uri_get_fragment(uri));
	print_text("joined", evhttp_uri_join(uri, joined, sizeof joined));
	putchar('\n');
}

static void
parse_and_print(const char *text)
{
	unsigned flags;

	for (flags = 0; flags <= EVHTTP_URI_NONCONFORMANT; flags++) {
		struct evhttp_uri *uri = evhttp_uri_parse_with_flags(text, flags);

		print_text(flags ? "anything" : "text", text);
		putchar(':');
		print_uri(uri);
		if (uri)
			evhttp_uri_free(uri);
	}
}

CASE(parsing, ONE_BACKEND)
{
	static const char *const texts[] = {"", "/", "//", "///", "///x", "a", "a:", "a:b", "a:/", "a://", "a:///", "http:x",
		"http:/", "http://", "http:///x", "http://h", "http://h/", "http://h?q", "http://h#f", "http://h:8?q",
		"http://h:8#f", "http://h/p?q#f", "http://h/p?q?q#f?f", "http://u@h", "http://u:p@h:1/", "http://@h",
		"http://u@", "http://@", "http://u@v@h/", "http://u%20@h", "http://u%2@h", "http://u[@h", "http://h:",
		"http://h:/", "http://:80/", "http://:", "http://h:0", "http://h:080", "http://h:65535", "http://h:65536",
		"http://h:99999", "http://h:99999999999999999999", "http://h:0000000000000000000000080", "http://h:80abc/",
		"http://h:-1", "http://h:+1", "http://a:b:80", "http://h%41", "http://h%2/", "http://h%zz", "http://h h/",
		"http://1.2.3.4:80/", "http://::1/", "http://[::1]/", "http://[::1]:80", "http://[::1]:", "http://[::1]:a",
		"http://[::1", "http://::1]", "http://[::1]x", "http://x[::1]", "http://[]/", "http://[::ffff:1.2.3.4]",
		"http://[1:2:3:4:5:6:7:8]", "http://[1:2:3:4:5:6:7:8:9]", "http://[::00001]", "http://[fe80::1%25eth0]/",
		"http://[fe80::1%eth0]/", "http://[v1.a]", "http://[v1.]", "http://[v.a]", "http://[vg.a]", "http://[V1.a]",
		"http://[v1f.a:b!]", "http://[v1f.%41]", "http://[v1]", "http://[[::1]]", "localhost:8080/x",
		"mailto:a@b", "A+-.1:x", "1a:b", ":x", "x:y:z", "x:?q", "x:#f", "a/b:c", "./a:b", "/a:b", "a?b:c", "a#b:c",
		"?", "#", "?#", "#?", "??", "##", "/#a#b", "/a b", "/a\tb", "/\x7f", "/\xe4", "/%", "/%4", "/%4g", "/%41",
		"/\"<>\\^`{|}[]", "/?\"", "/#\"", "/!$&'()*+,;=:@-._~", "/?/?:@!$&'()*+,;=", "/#/?:@!$&'()*+,;=", "a b:c",
		"a b?:c", "*", "h/../x/./y", NULL};

	for (int i = 0; texts[i]; i++)
		parse_and_print(texts[i]);
}

static const char *const pieces[] = {"http:", "a", "Z", "9", ":", "/", "//", "?", "#", "@", "[", "]", "::1", "[::1]", "%41",
	"%", "%4", "80", "65536", ".", "-", "+", "~", "!", "=", "&", " ", "\x01", "\xff", "|", "v1.", "h", "localhost", NULL};

CASE(generated_texts, ONE_BACKEND)
{
	for (int i = 0; i < 400; i++)
		parse_and_print(random_text(pieces, 8));
}

CASE(many_generated_texts, ONE_BACKEND)
{
	for (unsigned i = 0; i < 200000; i++) {
		struct evhttp_uri *uri = evhttp_uri_parse_with_flags(random_text(pieces, 10), i % 2);
		char joined[1200];

		if (uri) {
			digest_text(evhttp_uri_get_scheme(uri));
			digest_text(evhttp_uri_get_userinfo(uri));
			digest_text(evhttp_uri_get_host(uri));
			int port = evhttp_uri_get_port(uri);
			digest(&port, sizeof port);
			digest_text(evhttp_uri_get_path(uri));
			digest_text(evhttp_uri_get_query(uri));
			digest_text(evhttp_uri_get_fragment(uri));
			digest_text(evhttp_uri_join(uri, joined, sizeof joined));
			evhttp_uri_free(uri);
		}
		digest(uri ? "+" : "-", 1);
		print_digest(i, 10000);
	}
}

/* Every byte in every part. */
CASE(every_byte_everywhere, ONE_BACKEND)
{
	static const char *const frames[] = {"%c", "a%c", "a%c:b", "//u%c@h", "//h%c", "//h:%c", "//[%c]", "//[v1.%c]",
		"/%c", "/?%c", "/#%c", "/%%4%c", NULL};
	static const char *const names[] = {"scheme", "userinfo", "host", "path", "query", "fragment"};

	for (int i = 0; frames[i]; i++)
		for (unsigned flags = 0; flags < 2; flags++) {
			printf("%s %u: ", frames[i], flags);
			for (int byte = 1; byte < 256; byte++) {
				char text[20];
				struct evhttp_uri *uri;

				snprintf(text, sizeof text, frames[i], byte);
				uri = evhttp_uri_parse_with_flags(text, flags);
				putchar(uri ? '+' : '-');
				if (uri)
					evhttp_uri_free(uri);
			}
			putchar('\n');
		}
	for (int part = 0; part < 6; part++)
		for (unsigned flags = 0; flags < 2; flags++) {
			struct evhttp_uri *uri = evhttp_uri_new();
			int (*const set[])(struct evhttp_uri *, const char *) = {evhttp_uri_set_scheme, evhttp_uri_set_userinfo,
				evhttp_uri_set_host, evhttp_uri_set_path, evhttp_uri_set_query, evhttp_uri_set_fragment};

			evhttp_uri_set_flags(uri, flags);
			printf("set %s %u: ", names[part], flags);
			for (int byte = 1; byte < 256; byte++) {
				char text[] = {'a', (char)byte, 0};
				putchar(set[part](uri, text) == 0 ? '+' : '-');
			}
			putchar('\n');
			evhttp_uri_free(uri);
		}
}

CASE(changing_parts, ONE_BACKEND)
{
	struct evhttp_uri *uri = evhttp_uri_new();

	print_uri(uri);
	CHECK(!evhttp_uri_get_path(uri));
	CHECK_EQUAL(evhttp_uri_set_scheme(uri, ""), -1);
	CHECK_EQUAL(evhttp_uri_set_scheme(uri, "1a"), -1);
	CHECK_EQUAL(evhttp_uri_set_scheme(uri, "a+1"), 0);
	CHECK_EQUAL(evhttp_uri_set_host(uri, "[::1]x"), -1);
	CHECK_EQUAL(evhttp_uri_set_host(uri, "["), -1);
	CHECK_EQUAL(evhttp_uri_set_host(uri, "a:1"), -1);
	CHECK_EQUAL(evhttp_uri_set_host(uri, ""), 0);
	print_uri(uri);
	CHECK_EQUAL(evhttp_uri_set_host(uri, "[::1]"), 0);
	CHECK_EQUAL(evhttp_uri_set_userinfo(uri, "a@b"), -1);
	CHECK_EQUAL(evhttp_uri_set_userinfo(uri, "a:b"), 0);
	CHECK_EQUAL(evhttp_uri_set_port(uri, -2), -1);
	CHECK_EQUAL(evhttp_uri_set_port(uri, 0), 0);
	print_uri(uri);
	CHECK_EQUAL(evhttp_uri_set_port(uri, 123456), 0);
	CHECK_EQUAL(evhttp_uri_set_path(uri, "x"), 0);
	print_uri(uri);
	CHECK_EQUAL(evhttp_uri_set_path(uri, "/x"), 0);
	CHECK_EQUAL(evhttp_uri_set_path(uri, "/x?"), -1);
	CHECK_EQUAL(evhttp_uri_set_query(uri, ""), 0);
	CHECK_EQUAL(evhttp_uri_set_query(uri, "a#"), -1);
	CHECK_EQUAL(evhttp_uri_set_fragment(uri, "f?"), 0);
	print_uri(uri);
	CHECK_EQUAL(evhttp_uri_set_host(uri, NULL), 0);
	print_uri(uri);
	CHECK_EQUAL(evhttp_uri_set_scheme(uri, NULL), 0);
	CHECK_EQUAL(evhttp_uri_set_port(uri, -1), 0);
	CHECK_EQUAL(evhttp_uri_set_path(uri, NULL), 0);
	CHECK_EQUAL(evhttp_uri_set_query(uri, NULL), 0);
	CHECK_EQUAL(evhttp_uri_set_fragment(uri, NULL), 0);
	CHECK_EQUAL(evhttp_uri_set_userinfo(uri, NULL), 0);
	CHECK_EQUAL(evhttp_uri_set_path(uri, "a:b"), 0);
	print_uri(uri);
	evhttp_uri_free(uri);

	/* The flags decide what may be set, not what is there. */
	uri = evhttp_uri_parse_with_flags("/a b?c d#e#f", EVHTTP_URI_NONCONFORMANT);
	CHECK_EQUAL(evhttp_uri_set_path(uri, "/ ?"), -1);
	CHECK_EQUAL(evhttp_uri_set_query(uri, "x #"), -1);
	CHECK_EQUAL(evhttp_uri_set_query(uri, "x ?"), 0);
	evhttp_uri_set_flags(uri, 0);
	CHECK_EQUAL(evhttp_uri_set_path(uri, "/a b"), -1);
	print_uri(uri);
	evhttp_uri_free(uri);
}

DIFFERENCE(parts_change_to_their_own_text, ONE_BACKEND,
	"evhttp_uri_set_path() and similar functions free the old text before they copy the new one, which may be a part of it")
{
	struct evhttp_uri *uri = evhttp_uri_parse("http://u@a.host.of.some.length:1/path/of/some/length?query");
	char room[80];

	CHECK_EQUAL(evhttp_uri_set_path(uri, evhttp_uri_get_path(uri) + 5), 0);
	CHECK_EQUAL(evhttp_uri_set_path(uri, evhttp_uri_get_path(uri)), 0);
	CHECK_EQUAL(evhttp_uri_set_host(uri, evhttp_uri_get_host(uri) + 2), 0);
	CHECK_EQUAL(evhttp_uri_set_fragment(uri, evhttp_uri_get_query(uri)), 0);
	CHECK_STRING(evhttp_uri_join(uri, room, sizeof room), "http://u@host.of.some.length:1/of/some/length?query#query");
	evhttp_uri_free(uri);
}

CASE(joining_into_little_room, ONE_BACKEND)
{
	struct evhttp_uri *uri = evhttp_uri_parse("http://u@h:80/p?q#f");
	const char *whole = "http://u@h:80/p?q#f";
	char room[40];

	for (size_t limit = 0; limit <= sizeof room; limit++) {
		memset(room, 'z', sizeof room);
		if (evhttp_uri_join(uri, room, limit)) {
			CHECK(limit > strlen(whole));
			CHECK_STRING(room, whole);
			CHECK_EQUAL(room[strlen(whole) + 1], 'z');
		} else {
			CHECK(limit <= strlen(whole));
			for (size_t i = 0; i < sizeof room; i++)
				CHECK_EQUAL(room[i], 'z');
		}
	}
	CHECK(!evhttp_uri_join(NULL, room, sizeof room));
	CHECK(!evhttp_uri_join(uri, NULL, sizeof room));
	evhttp_uri_free(uri);
}

DIFFERENCE(joined_text_has_the_same_parts, ONE_BACKEND,
	"evhttp_uri_join() joins a URI without host whose path begins with two slashes into one with a host")
{
	struct evhttp_uri *uri = evhttp_uri_new();
	char room[40];

	CHECK_EQUAL(evhttp_uri_set_path(uri, "//evil/path"), 0);
	CHECK(!evhttp_uri_join(uri, room, sizeof room));
	CHECK_EQUAL(evhttp_uri_set_scheme(uri, "http"), 0);
	CHECK(!evhttp_uri_join(uri, room, sizeof room));
	CHECK_EQUAL(evhttp_uri_set_host(uri, "good"), 0);
	CHECK_STRING(evhttp_uri_join(uri, room, sizeof room), "http://good//evil/path");
	evhttp_uri_free(uri);
}

CASE(every_allocation_fails, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	const char *text = "http://u@h:80/p?q#f";
	struct evhttp_uri *uri;
	long n;

	allocator_install();
	for (n = 1;; n++) {
		CHECK(n < 20);
		allocator_fail_at(n);
		uri = evhttp_uri_parse(text);
		allocator_fail_at(0);
		if (uri)
			break;
		CHECK_EQUAL(allocator.alive, 0);
	}
	evhttp_uri_free(uri);
	CHECK_EQUAL(allocator.alive, 0);
	allocator_fail_at(1);
	CHECK(!evhttp_uri_new());
}

DIFFERENCE(a_part_stays_when_there_is_no_memory_for_another, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS,
	"evhttp_uri_set_path() and similar functions lose the old text when there is no memory for the new one")
{
	struct evhttp_uri *uri;
	char room[40];

	allocator_install();
	uri = evhttp_uri_parse("http://u@h:80/p?q#f");
	allocator.fail_on = 1;
	allocator_fail_at(1);
	CHECK_EQUAL(evhttp_uri_set_path(uri, "/new"), -1);
	CHECK_EQUAL(evhttp_uri_set_host(uri, "new"), -1);
	CHECK_STRING(evhttp_uri_join(uri, room, sizeof room), "http://u@h:80/p?q#f");
	allocator_fail_at(0);
	CHECK_EQUAL(evhttp_uri_set_path(uri, "/new"), 0);
	CHECK_EQUAL(evhttp_uri_set_host(uri, "new"), 0);
	CHECK_STRING(evhttp_uri_join(uri, room, sizeof room), "http://u@new:80/new?q#f");
	evhttp_uri_free(uri);
	CHECK_EQUAL(allocator.alive, 0);
}
