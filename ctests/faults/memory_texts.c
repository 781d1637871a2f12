/* Headers, targets and tagged items while memory runs out. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/tag.h>
#include <sys/queue.h>

IN_MEMORY(texts)
{
	struct evkeyvalq headers;
	struct evhttp_uri *uri;
	char *text, joined[200];
	size_t length;
	int refused = 0, i;
	memset(&headers, 0, sizeof headers);
	TAILQ_INIT(&headers);
	for (i = 0; i < 20; i++) {
		char key[20];
		snprintf(key, sizeof key, "Key-%d", i);
		if (evhttp_add_header(&headers, key, "value")) {
			refused = 1;
			HOLDS(!evhttp_find_header(&headers, key), "a header is half there");
		} else {
			HOLDS(!strcmp(evhttp_find_header(&headers, key), "value"), "a header is not there");
		}
	}
	evhttp_clear_headers(&headers);
	if (evhttp_parse_query_str("a=1&b=%20&c=ddd+e&f=1111111111111111111111", &headers))
		refused = 1;
	else
		HOLDS(evhttp_find_header(&headers, "f"), "a part of a query is missing");
	evhttp_clear_headers(&headers);
	if (evhttp_parse_query("http://host/path?a=1&b=%20", &headers))
		refused = 1;
	evhttp_clear_headers(&headers);
	uri = evhttp_uri_parse_with_flags("http://user@host.example:80/path?query=1#fragment", 0);
	if (!uri)
		uri = evhttp_uri_new();
	if (uri) {
		refused |= evhttp_uri_set_scheme(uri, "https") != 0;
		refused |= evhttp_uri_set_userinfo(uri, "userinfo") != 0;
		refused |= evhttp_uri_set_host(uri, "[::1]") != 0;
		refused |= evhttp_uri_set_port(uri, 443) != 0;
		refused |= evhttp_uri_set_path(uri, "/a") != 0;
		refused |= evhttp_uri_set_query(uri, "x=y") != 0;
		refused |= evhttp_uri_set_fragment(uri, "frag") != 0;
		if (!evhttp_uri_join(uri, joined, sizeof joined))
			refused = 1;
		else if (!refused)
			HOLDS(!strcmp(joined, "https://userinfo@[::1]:443/a?x=y#frag"), joined);
		evhttp_uri_free(uri);
	} else {
		refused = 1;
	}
#define TEXT(call)                                                                                 \
	text = call;                                                                               \
	refused |= !text;                                                                          \
	if (text)                                                                                  \
		free_with_hooks(text);
	TEXT(evhttp_encode_uri("a b c d"))
	TEXT(evhttp_uriencode("a b\0c", 5, 1))
	TEXT(evhttp_decode_uri("a%20b"))
	TEXT(evhttp_uridecode("a%20b+", 1, &length))
	TEXT(evhttp_htmlescape("<a href=\"'&\">"))
	return refused ? REFUSED : DONE;
}

IN_MEMORY(tags)
{
	struct evbuffer *buffer = evbuffer_new(), *other = evbuffer_new();
	struct timeval now = {1, 2}, got;
	char bytes[5000], *text;
	ev_uint32_t number, tag;
	ev_uint64_t large;
	size_t before;
	int refused = 0;
	memset(bytes, 'x', sizeof bytes - 1);
	bytes[sizeof bytes - 1] = 0;
	if (buffer && other) {
		evtag_init();
		/* These cannot say that memory ran out: each is there, or nothing of it is. */
		before = 0;
#define PUT(call)                                                                                  \
	before = evbuffer_get_length(buffer);                                                      \
	call;                                                                                      \
	if (evbuffer_get_length(buffer) == before)                                                 \
		refused = 1;
		PUT(evtag_marshal(buffer, 1, bytes, 4000))
		PUT(evtag_marshal_int(buffer, 2, 77))
		PUT(evtag_marshal_int64(buffer, 3, 1ull << 40))
		PUT(evtag_marshal_string(buffer, 4, bytes))
		PUT(evtag_marshal_timeval(buffer, 5, &now))
		if (evbuffer_add(other, bytes, 3000))
			refused = 1;
		PUT(evtag_marshal_buffer(buffer, 6, other))
		evbuffer_drain(other, evbuffer_get_length(other));
		if (!refused) {
			refused |= evtag_unmarshal(buffer, &tag, other) != 4000;
			if (!refused)
				HOLDS(tag == 1 && evtag_unmarshal_int(buffer, 2, &number) > 0 && number == 77, "a number");
			if (!refused)
				HOLDS(evtag_unmarshal_int64(buffer, 3, &large) > 0 && large == 1ull << 40, "a large number");
			if (!refused && evtag_unmarshal_string(buffer, 4, &text) < 0)
				refused = 1;
			else if (!refused)
				free_with_hooks(text);
			if (!refused && evtag_unmarshal_timeval(buffer, 5, &got) < 0)
				refused = 1;
			if (!refused && evtag_unmarshal_fixed(buffer, 6, bytes, 3000) < 0)
				refused = 1;
		}
	} else {
		refused = 1;
	}
	if (buffer)
		evbuffer_free(buffer);
	if (other)
		evbuffer_free(other);
	return refused ? REFUSED : DONE;
}
