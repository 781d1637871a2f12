/* Coverage-guided: the input is a URI, a query, or text to encode. A URI that was parsed and joined must parse into the
 * same parts, and encoded text must decode to itself. */
#define _GNU_SOURCE
#include "http/tools.h"
#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_same_parts(struct evhttp_uri *one, struct evhttp_uri *other)
{
	CHECK_STRING(evhttp_uri_get_scheme(one), evhttp_uri_get_scheme(other));
	CHECK_STRING(evhttp_uri_get_userinfo(one), evhttp_uri_get_userinfo(other));
	CHECK_STRING(evhttp_uri_get_host(one), evhttp_uri_get_host(other));
	CHECK_EQUAL(evhttp_uri_get_port(one), evhttp_uri_get_port(other));
	CHECK_STRING(evhttp_uri_get_path(one), evhttp_uri_get_path(other));
	CHECK_STRING(evhttp_uri_get_query(one), evhttp_uri_get_query(other));
	CHECK_STRING(evhttp_uri_get_fragment(one), evhttp_uri_get_fragment(other));
}

static void
check_uri(const char *text, unsigned flags)
{
	struct evhttp_uri *uri = evhttp_uri_parse_with_flags(text, flags), *again;
	char joined[4096];

	if (!uri)
		return;
	CHECK(evhttp_uri_join(uri, joined, sizeof joined));
	CHECK(strlen(joined) <= strlen(text));
	again = evhttp_uri_parse_with_flags(joined, flags);
	CHECK(again);
	check_same_parts(uri, again);
	/* Each part may be set to what it is. */
	CHECK_EQUAL(evhttp_uri_set_path(again, evhttp_uri_get_path(uri)), 0);
	CHECK_EQUAL(evhttp_uri_set_host(again, evhttp_uri_get_host(uri)), 0);
	CHECK_EQUAL(evhttp_uri_set_query(again, evhttp_uri_get_query(again)), 0);
	check_same_parts(uri, again);
	evhttp_uri_free(again);
	evhttp_uri_free(uri);
}

static void
check_query(const char *text)
{
	struct evkeyvalq list;
	struct evkeyval *pair;

	if (evhttp_parse_query_str(text, &list) != 0)
		CHECK(!list.tqh_first);
	for (pair = list.tqh_first; pair; pair = pair->next.tqe_next)
		CHECK(pair->key[0] && evhttp_find_header(&list, pair->key));
	evhttp_clear_headers(&list);
	evhttp_parse_query(text, &list);
	evhttp_clear_headers(&list);
}

static void
check_encoding(const char *bytes, size_t length, int plus)
{
	char *encoded = evhttp_uriencode(bytes, (ev_ssize_t)length, plus);
	size_t again;
	char *decoded = evhttp_uridecode(encoded, plus, &again);

	CHECK_EQUAL(again, length);
	CHECK(memcmp(decoded, bytes, length) == 0);
	free(decoded);
	free(encoded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = 0;
	check_uri(text, 0);
	check_uri(text, EVHTTP_URI_NONCONFORMANT);
	check_query(text);
	check_encoding(text, size, 0);
	check_encoding(text, size, 1);
	free(evhttp_decode_uri(text));
	free(evhttp_htmlescape(text));
	free(text);
	return 0;
}
