/* Encoding and decoding of text for URIs, escaping for HTML, the parameters of queries. */
#include "texts.h"

int evhttp_decode_uri_internal(const char *uri, size_t length, char *ret, int decode_plus);

static void
print_bytes(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		printf(bytes[i] > 32 && bytes[i] < 127 ? "%c" : "\\x%02x", (unsigned char)bytes[i]);
	printf(" (%zu)\n", length);
}

static char *
checked_free(char *text)
{
	CHECK(text);
	printf("%s\n", text);
	free(text);
	return NULL;
}

CASE(encoding, ONE_BACKEND)
{
	char all[256];

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	checked_free(evhttp_uriencode(all, sizeof all, 0));
	checked_free(evhttp_uriencode(all, sizeof all, 1));
	checked_free(evhttp_encode_uri("/a b+c%41"));
	checked_free(evhttp_uriencode("a b", -1, -1));
	checked_free(evhttp_uriencode("a b", -7, 2));
	checked_free(evhttp_uriencode("a b", 2, 1));
	checked_free(evhttp_uriencode("a b", 0, 1));
	checked_free(evhttp_encode_uri(""));
}

static const char *const encoded[] = {"%41", "%", "%4", "%%41", "%zz", "%4g", "a+b?c+d", "?+?+", "%3f+?+", "%00x", "%2B+", "",
	"%C3%a4", "\xff+\x01", "100%", NULL};

CASE(decoding, ONE_BACKEND)
{
	for (int i = 0; encoded[i]; i++) {
		for (int plus = -1; plus <= 2; plus++) {
			size_t length = 999;
			char *text = evhttp_uridecode(encoded[i], plus, &length);

			CHECK(text && text[length] == 0);
			printf("%s %d: ", encoded[i], plus);
			print_bytes(text, length);
			free(text);
			free(evhttp_uridecode(encoded[i], plus, NULL));
		}
		checked_free(evhttp_decode_uri(encoded[i]));
	}
}

CASE(the_length_stops_the_decoder, ONE_BACKEND)
{
	for (int i = 0; encoded[i]; i++)
		for (size_t length = 0; length <= strlen(encoded[i]); length++)
			for (int plus = -2; plus <= 2; plus++) {
				char apart[20], in_place[20];
				int result;

				memset(apart, 'z', sizeof apart);
				result = evhttp_decode_uri_internal(encoded[i], length, apart, plus);
				CHECK(result >= 0 && (size_t)result <= length);
				CHECK_EQUAL(apart[result], 0);
				CHECK_EQUAL(apart[length + 1], 'z');
				strcpy(in_place, encoded[i]);
				CHECK_EQUAL(evhttp_decode_uri_internal(in_place, length, in_place, plus), result);
				CHECK(memcmp(apart, in_place, (size_t)result + 1) == 0);
				print_bytes(apart, (size_t)result);
			}
}

CASE(html, ONE_BACKEND)
{
	char all[256];

	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = 0;
	checked_free(evhttp_htmlescape(all));
	checked_free(evhttp_htmlescape(""));
	checked_free(evhttp_htmlescape("<a href=\"x\">'&amp;'</a>"));
	CHECK(!evhttp_htmlescape(NULL));
}

static void
print_parameters(const char *what, const char *text, int result, struct evkeyvalq *list)
{
	struct evkeyval *pair;

	print_text(what, text);
	printf(": %d", result);
	for (pair = list->tqh_first; pair; pair = pair->next.tqe_next) {
		print_text("name", pair->key);
		print_text("value", pair->value);
	}
	putchar('\n');
	CHECK(result == 0 || !list->tqh_first);
	evhttp_clear_headers(list);
	evhttp_clear_headers(list);
}

static void
parse_and_print(const char *text)
{
	struct evkeyvalq list;

	memset(&list, 'z', sizeof list);
	print_parameters("string", text, evhttp_parse_query_str(text, &list), &list);
	if (!text)
		return;
	memset(&list, 'z', sizeof list);
	print_parameters("uri", text, evhttp_parse_query(text, &list), &list);
}

CASE(queries, ONE_BACKEND)
{
	static const char *const texts[] = {"", "a", "a=", "=", "=x", "a=1", "a=1&", "a=1&&", "&", "&&", "&a=1", "a=1&b", "a=1&b=",
		"a==", "a=b=c", "a=1&a=2", "A=1&a=2", "a=1;b=2", "a+b=c+d", "%61=%62", "a=%00x", "a%00b=1", "a=%0d%0a", "a=\r\n",
		"a b=c d", "a[]=1", "q=%zz%4", "http://h/p?a=1", "/p?a=1", "/p?a=1#b=2", "/p", "/p?", "/p?a", "/p?&", "/p?a=1&",
		"/p?a b=1", "/p?a[]=1", "/p?a=%41%2B+", "?a=1", "p?a=1?b=2", "//h?a=1", "1:2?a=1", "#?a=1", "/%?a=1", NULL};

	for (int i = 0; texts[i]; i++)
		parse_and_print(texts[i]);
	parse_and_print(NULL);
}

static const char *const pieces[] = {"a", "b", "=", "&", "+", "%41", "%", "%2", "?", "/", "#", ";", "%00", " ", "a=1&", NULL};

CASE(generated_queries, ONE_BACKEND)
{
	for (int i = 0; i < 500; i++)
		parse_and_print(random_text(pieces, 9));
}

CASE(many_generated_texts, ONE_BACKEND)
{
	for (unsigned i = 0; i < 60000; i++) {
		const char *text = random_text(pieces, 12);
		struct evkeyvalq list;
		struct evkeyval *pair;
		char *made[6];
		size_t length;

		for (int from_uri = 0; from_uri < 2; from_uri++) {
			digest((from_uri ? evhttp_parse_query : evhttp_parse_query_str)(text, &list) ? "-" : "+", 1);
			for (pair = list.tqh_first; pair; pair = pair->next.tqe_next) {
				digest_text(pair->key);
				digest_text(pair->value);
			}
			evhttp_clear_headers(&list);
		}
		made[0] = evhttp_uridecode(text, 0, &length);
		digest(made[0], length + 1);
		made[1] = evhttp_uridecode(text, 1, &length);
		digest(made[1], length + 1);
		made[2] = evhttp_decode_uri(text);
		made[3] = evhttp_encode_uri(text);
		made[4] = evhttp_uriencode(text, (int)random_below(strlen(text) + 1), 1);
		made[5] = evhttp_htmlescape(text);
		for (int j = 0; j < 6; j++) {
			digest_text(made[j]);
			free(made[j]);
		}
		print_digest(i, 5000);
	}
}

CASE(what_was_encoded_is_decoded, ONE_BACKEND)
{
	for (int i = 0; i < 5000; i++) {
		char bytes[50], *there, *back;
		size_t size = random_below(sizeof bytes), length;
		int plus = i % 2;

		for (size_t j = 0; j < size; j++)
			bytes[j] = (char)random_below(256);
		there = evhttp_uriencode(bytes, (ev_ssize_t)size, plus);
		back = evhttp_uridecode(there, plus, &length);
		CHECK_EQUAL(length, size);
		CHECK(memcmp(back, bytes, size) == 0);
		free(there);
		free(back);
	}
}

CASE(every_allocation_fails, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	struct evkeyvalq list;
	int result;
	long n;

	allocator_install();
	for (n = 1;; n++) {
		CHECK(n < 100);
		allocator_fail_at(n);
		result = evhttp_parse_query("http://h/p?a=1&b=2&c=3", &list);
		allocator_fail_at(0);
		if (result == 0)
			break;
		CHECK_EQUAL(result, -1);
		CHECK(!list.tqh_first);
		CHECK_EQUAL(allocator.alive, 0);
	}
	CHECK_STRING(evhttp_find_header(&list, "c"), "3");
	evhttp_clear_headers(&list);
	CHECK_EQUAL(allocator.alive, 0);
	allocator.fail_on = 1;
	allocator_fail_at(1);
	CHECK(!evhttp_encode_uri("a"));
	CHECK(!evhttp_uriencode("a", 1, 1));
	CHECK(!evhttp_decode_uri("a"));
	CHECK(!evhttp_uridecode("a", 1, NULL));
	CHECK(!evhttp_htmlescape("a"));
	CHECK_EQUAL(allocator.alive, 0);
}
