/* Addresses as text and back. */
#include "harness.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/util.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

const char *evutil_format_sockaddr_port_(const struct sockaddr *sa, char *out, size_t outlen);
int evutil_sockaddr_is_loopback_(const struct sockaddr *sa);
int evutil_v4addr_is_local_(const struct in_addr *in);
int evutil_v6addr_is_local_(const struct in6_addr *in);

/* Numbers that are the same on every run. */
static unsigned
number(void)
{
	static unsigned long long state = 1;
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state >> 33);
}

static void
print_bytes(const unsigned char *bytes, int count)
{
	for (int i = 0; i < count; i++)
		printf("%02x", bytes[i]);
}

static void
print_pton(int family, const char *text)
{
	unsigned char address[16];
	int result;
	memset(address, 0xaa, sizeof address);
	result = evutil_inet_pton(family, text, address);
	printf("%s \"%s\" %d ", family == AF_INET ? "v4" : "v6", text, result);
	print_bytes(address, 16);
	printf("\n");
}

static const char *const good_ipv4[] = {"0.0.0.0", "1.2.3.4", "255.255.255.255", "01.002.0003.4",
	"127.0.0.1", "000.0.0.00000", "10.200.030.04", NULL};

static const char *const bad_ipv4[] = {"", ".", "...", "1", "1.2", "1.2.3", "1.2.3.", "1.2.3.4.",
	"1.2.3.4.5", ".1.2.3.4", "1..2.3", "256.1.1.1", "1.256.1.1", "1.1.1.256", "1.2.3.4 ", "1.2.3.4\n",
	"1.2.3.4x", "0x1.2.3.4", "1.2.3.0x4", "a.b.c.d", "1,2,3,4", "1.2.3.999999", "::1", "1.2.3.4:80",
	"1.2.3.4/8", "localhost", "\xff.1.1.1", NULL};

static const char *const good_ipv6[] = {"::", "::1", "1::", "::1:2", "1:2::", "1:2:3:4:5:6:7:8",
	"1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "::1.2.3.4",
	"::ffff:1.2.3.4", "::ffff:01.2.3.4", "1:2:3:4:5::1.2.3.4", "::2:3:4:5:6:1.2.3.4", "fe80::1",
	"FE80::ABCD:ef01", "0:0:0:0:0:0:0:0", "0000:0001:0002:0003:0004:0005:0006:0007", "ffff::ffff",
	"1::2:3:0:0:4", NULL};

static const char *const bad_ipv6[] = {"", ":", ":::", "1", "1:", ":1", "1:2:3:4:5:6:7",
	"1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "1::1::1", "::1::", "1:::2", "::12345", "12345::", "::g",
	"::1%lo", "::1 ", " ::1", "::1.2.3", "::1.2.3.4.5", "::256.1.1.1", "1.2.3.4", "1.2.3.4::",
	"1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:1", "[::1]", "::-1", "::+1", "1:2:3:4:5:6:1.2.3.4:8",
	"1:2:3:4:5:6::1.2.3.4", "::1/128", "\xff::", NULL};

CASE(pton_tables, ONE_BACKEND)
{
	unsigned char address[16];
	for (int i = 0; good_ipv4[i]; i++) {
		print_pton(AF_INET, good_ipv4[i]);
		CHECK_EQUAL(evutil_inet_pton(AF_INET, good_ipv4[i], address), 1);
	}
	for (int i = 0; bad_ipv4[i]; i++) {
		print_pton(AF_INET, bad_ipv4[i]);
		CHECK_EQUAL(evutil_inet_pton(AF_INET, bad_ipv4[i], address), 0);
	}
	for (int i = 0; good_ipv6[i]; i++) {
		print_pton(AF_INET6, good_ipv6[i]);
		CHECK_EQUAL(evutil_inet_pton(AF_INET6, good_ipv6[i], address), 1);
	}
	for (int i = 0; bad_ipv6[i]; i++) {
		print_pton(AF_INET6, bad_ipv6[i]);
		CHECK_EQUAL(evutil_inet_pton(AF_INET6, bad_ipv6[i], address), 0);
	}
}

CASE(unknown_families, ONE_BACKEND)
{
	char text[64] = "kept";
	unsigned index = 5;
	CHECK_EQUAL(evutil_inet_pton(AF_UNIX, "1.2.3.4", text), -1);
	CHECK_EQUAL(evutil_inet_pton(AF_UNSPEC, "::1", text), -1);
	CHECK(evutil_inet_ntop(AF_UNIX, text, text, sizeof text) == NULL);
	CHECK_EQUAL(evutil_inet_pton_scope(AF_UNIX, "::1%1", text, &index), -1);
	CHECK_EQUAL(index, 0);
	CHECK_STRING(text, "kept");
}

/* Texts made of the characters of addresses. Left out are those that the reference takes by
 * accident: signs, blanks, prefixes and numbers that wrap. */
CASE(pton_of_generated_texts, ONE_BACKEND)
{
	static const char *const parts[] = {
		":", "::", ".", "0", "1", "12", "123", "1234", "255", "256", "0001", "f", "fFe", "abcd", "%"};
	int accepted = 0;
	for (int round = 0; round < 60000; round++) {
		char text[128] = "";
		unsigned char v4[16], v6[16];
		int r4, r6, count = 1 + number() % 16;
		for (int i = 0; i < count; i++) {
			strcat(text, parts[number() % 15]);
			if (number() % 2)
				strcat(text, number() % 4 ? ":" : ".");
		}
		/* A colon after the last of eight groups is such an accident. */
		if (text[strlen(text) - 1] == ':' && !(strlen(text) > 1 && text[strlen(text) - 2] == ':'))
			continue;
		memset(v4, 0, sizeof v4);
		memset(v6, 0, sizeof v6);
		r4 = evutil_inet_pton(AF_INET, text, v4);
		r6 = evutil_inet_pton(AF_INET6, text, v6);
		if (r4 || r6) {
			accepted++;
			printf("%s %d %d ", text, r4, r6);
			print_bytes(v4, 4);
			print_bytes(v6, 16);
			printf("\n");
		}
	}
	CHECK(accepted > 100);
}

CASE(ntop_and_back, ONE_BACKEND)
{
	for (int round = 0; round < 20000; round++) {
		unsigned char address[16], back[16];
		char text[64];
		unsigned zeros = number();
		for (int i = 0; i < 16; i++)
			address[i] = zeros >> i / 2 & 1 ? 0 : number() % 3 ? number() : number() % 2;
		if (round % 5 == 0)
			memset(address, 0, 10), address[10] = address[11] = round % 2 ? 0xff : 0;
		CHECK(evutil_inet_ntop(AF_INET6, address, text, sizeof text) == text);
		printf("%s\n", text);
		CHECK_EQUAL(evutil_inet_pton(AF_INET6, text, back), 1);
		CHECK(!memcmp(address, back, 16));
		CHECK(evutil_inet_ntop(AF_INET, address, text, sizeof text) == text);
		CHECK_EQUAL(evutil_inet_pton(AF_INET, text, back), 1);
		CHECK(!memcmp(address, back, 4));
	}
}

CASE(ntop_needs_room, ONE_BACKEND)
{
	struct in_addr v4;
	struct in6_addr v6;
	char text[64];
	inet_pton(AF_INET, "123.123.123.123", &v4);
	inet_pton(AF_INET6, "1234:1234:1234:1234:1234:1234:1234:1234", &v6);
	for (size_t room = 0; room < 16; room++)
		CHECK(evutil_inet_ntop(AF_INET, &v4, text, room) == NULL);
	CHECK(evutil_inet_ntop(AF_INET, &v4, text, 16) == text);
	CHECK_STRING(text, "123.123.123.123");
	for (size_t room = 0; room < 39; room++)
		CHECK(evutil_inet_ntop(AF_INET6, &v6, text, room) == NULL);
	CHECK(evutil_inet_ntop(AF_INET6, &v6, text, 40) == text);
	CHECK_STRING(text, "1234:1234:1234:1234:1234:1234:1234:1234");
}

DIFFERENCE(ntop_needs_room_for_the_terminator, ONE_BACKEND,
    "evutil_inet_ntop truncates an IPv6 address that is slightly too long and reports success")
{
	struct in6_addr v6;
	char text[64];
	inet_pton(AF_INET6, "1234:1234:1234:1234:1234:1234:1234:1234", &v6);
	CHECK(evutil_inet_ntop(AF_INET6, &v6, text, 39) == NULL);
	CHECK(evutil_inet_ntop(AF_INET6, &v6, text, 40) == text);
	CHECK(evutil_inet_ntop(AF_INET6, &in6addr_loopback, text, 3) == NULL);
	CHECK_STRING(evutil_inet_ntop(AF_INET6, &in6addr_loopback, text, 4), "::1");
}

DIFFERENCE(ipv4_is_strict, ONE_BACKEND,
	"evutil_inet_pton accepts IPv4 addresses with spaces, signs and numbers that overflow")
{
	static const char *const texts[] = {
		" 1.2.3.4", "1. 2.3.4", "+1.2.3.4", "-0.1.2.3", "4294967297.0.0.1", "1.2.3.+4", NULL};
	unsigned char address[4];
	CHECK_EQUAL(evutil_inet_pton(AF_INET, "1.2.3.4", address), 1);
	for (int i = 0; texts[i]; i++)
		CHECK_EQUAL(evutil_inet_pton(AF_INET, texts[i], address), 0);
}

DIFFERENCE(ipv6_is_strict, ONE_BACKEND,
	"evutil_inet_pton accepts IPv6 addresses with a colon at the end and with 0x")
{
	static const char *const texts[] = {"1:2:3:4:5:6:7:8:", "::1:", "::0x1", "0x1::", NULL};
	unsigned char address[16];
	CHECK_EQUAL(evutil_inet_pton(AF_INET6, "1:2:3:4:5:6:7:8", address), 1);
	for (int i = 0; texts[i]; i++)
		CHECK_EQUAL(evutil_inet_pton(AF_INET6, texts[i], address), 0);
}

CASE(zones, ONE_BACKEND)
{
	static const char *const texts[] = {"::1", "::1%", "fe80::1%1", "fe80::1%7", "fe80::1%4294967295",
		"fe80::1%007", "fe80::1%lo", "fe80::1%no-such-if", "fe80::1%1x", "fe80::1%lo%lo", "x%3", "%3",
		"fe80::1%0x1", "1.2.3.4%1", "fe80::1%an-interface-with-a-very-long-name", NULL};
	for (int i = 0; texts[i]; i++) {
		unsigned char address[16];
		unsigned index = 99;
		int result;
		memset(address, 0xaa, sizeof address);
		result = evutil_inet_pton_scope(AF_INET6, texts[i], address, &index);
		printf("\"%s\" %d %u ", texts[i], result, index);
		print_bytes(address, 16);
		printf("\n");
	}
	for (int i = 0; good_ipv4[i]; i++) {
		unsigned char address[4];
		unsigned index = 99;
		CHECK_EQUAL(evutil_inet_pton_scope(AF_INET, good_ipv4[i], address, &index), 1);
		CHECK_EQUAL(index, 0);
	}
}

DIFFERENCE(zones_are_strict, ONE_BACKEND,
	"IPv6 zones with signs, spaces and numbers that overflow are accepted")
{
	static const char *const texts[] = {"fe80::1%-1", "fe80::1% 7", "fe80::1%4294967297", "fe80::1%+1", NULL};
	unsigned char address[16];
	unsigned index;
	CHECK_EQUAL(evutil_inet_pton_scope(AF_INET6, "fe80::1%7", address, &index), 1);
	CHECK_EQUAL(index, 7);
	for (int i = 0; texts[i]; i++)
		CHECK_EQUAL(evutil_inet_pton_scope(AF_INET6, texts[i], address, &index), 0);
}

static void *
shifted_malloc(size_t size)
{
	char *block = malloc(size + 16);
	return block ? block + 16 : NULL;
}

static void
shifted_free(void *block)
{
	if (block)
		free((char *)block - 16);
}

DIFFERENCE(zones_with_another_allocator, ONE_BACKEND,
    "parsing an address with a zone frees memory of the program's allocator with free()")
{
	unsigned char address[16];
	unsigned index;
	event_set_mem_functions(shifted_malloc, NULL, shifted_free);
	CHECK_EQUAL(evutil_inet_pton_scope(AF_INET6, "fe80::1%7", address, &index), 1);
	CHECK_EQUAL(index, 7);
}

static void
print_parsed(const char *text)
{
	struct sockaddr_storage address;
	char printed[64];
	int length = sizeof address;
	int result;
	memset(&address, 0, sizeof address);
	result = evutil_parse_sockaddr_port(text, (struct sockaddr *)&address, &length);
	printf("\"%s\" %d", text, result);
	if (result == 0) {
		printf(" %d %s", length,
		    evutil_format_sockaddr_port_((struct sockaddr *)&address, printed, sizeof printed));
		if (address.ss_family == AF_INET6)
			printf(" zone %u", ((struct sockaddr_in6 *)&address)->sin6_scope_id);
	} else {
		CHECK_EQUAL(length, sizeof address);
		CHECK_EQUAL(address.ss_family, 0);
	}
	printf("\n");
}

CASE(sockaddr_texts, ONE_BACKEND)
{
	static const char *const texts[] = {"1.2.3.4", "1.2.3.4:1", "1.2.3.4:80", "1.2.3.4:65535", "1.2.3.4:080",
		"[::1]", "[::1]:80", "::1", "::1:80", "::", "[::]:1", "1:2:3:4:5:6:7:8", "[fe80::1%1]:80",
		"fe80::1%1", "[fe80::1%lo]", "[::ffff:1.2.3.4]:443", "::ffff:1.2.3.4", "",  ":", ":80", "[", "]", "[]",
		"[]:80", "[::1", "[::1]:", "[::1]:0", "[::1]:65536", "[1.2.3.4]:80", "[1.2.3.4]", "1.2.3.4:",
		"1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:x", "1.2.3.4:-1", "localhost", "localhost:80", "1.2.3:80",
		"::1]:80", "[::g]:80", "[[::1]]:80", "1.2.3.4:80:90", "fe80::1%nope", "[fe80::1%nope]:1",
		"256.1.1.1:80", "1.2.3.4:99999", NULL};
	for (int i = 0; texts[i]; i++)
		print_parsed(texts[i]);
}

/* Whether the reference takes a text by accident: an IPv6 address that ends in a colon, or
 * something else than a colon after a bracket. */
static int
accident(const char *text)
{
	const char *end = strchr(text, ']');
	if (end && end[1] && end[1] != ':')
		return 1;
	if (!end)
		end = text + strlen(text);
	return end - text >= 2 && end[-1] == ':' && end[-2] != ':';
}

/* Hosts in all forms, good and bad, with all sorts of port. */
CASE(generated_sockaddr_texts, ONE_BACKEND)
{
	static const char *const hosts[] = {"1.2.3.4", "01.2.3.255", "1.2.3", "1.2.3.256", "::", "::1", "fe80::1%1",
		"1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1::2::3", "", "name", "::1%", "%1", "[::1]", "]", "["};
	static const char *const ports[] = {"", ":", ":0", ":00", ":1", ":00080", ":65535", ":65536",
		":x", ":-1", "::", ":]", "]", "]:", "]:0", "]:443", "]:65536", "]:-1", "]:[", "]:]"};
	for (size_t h = 0; h < sizeof hosts / sizeof *hosts; h++)
		for (size_t p = 0; p < sizeof ports / sizeof *ports; p++)
			for (int bracket = 0; bracket < 2; bracket++) {
				char text[100];
				snprintf(text, sizeof text, "%s%s%s", bracket ? "[" : "", hosts[h], ports[p]);
				if (!accident(text))
					print_parsed(text);
			}
}

CASE(sockaddr_texts_have_a_longest_address, ONE_BACKEND)
{
	for (int zeros = 110; zeros < 140; zeros++) {
		char text[300];
		memset(text, '0', zeros);
		strcpy(text + zeros, "1.2.3.4:80");
		print_parsed(text);
	}
}

CASE(sockaddr_needs_room, ONE_BACKEND)
{
	for (int room = -1; room <= 40; room++) {
		union {
			struct sockaddr any;
			char bytes[64];
		} out;
		int length = room;
		printf("%d: %d", room, evutil_parse_sockaddr_port("1.2.3.4:5", &out.any, &length));
		printf(" %d", length);
		length = room;
		printf(", %d", evutil_parse_sockaddr_port("[::5]:5", &out.any, &length));
		printf(" %d\n", length);
	}
}

DIFFERENCE(sockaddr_texts_are_strict, ONE_BACKEND,
    "evutil_parse_sockaddr_port accepts spaces, signs, text after the address, and ports that overflow")
{
	static const char *const texts[] = {"[::1]x", "[::1]x:80", "[::1] ", "1.2.3.4: 80", "1.2.3.4:+80",
		"1.2.3.4:80x", "1.2.3.4:4294967376", "[::1]:80 ", "[::1]:80:", "[::1]:80:90", "[::1:]", "::1:", NULL};
	for (int i = 0; texts[i]; i++) {
		struct sockaddr_storage address;
		int length = sizeof address;
		CHECK_EQUAL(evutil_parse_sockaddr_port(texts[i], (struct sockaddr *)&address, &length), -1);
	}
}

DIFFERENCE(sockaddr_only_the_structure_is_written, ONE_BACKEND,
	"evutil_parse_sockaddr_port overwrites the caller's whole buffer, not only the address")
{
	char out[64];
	int length = sizeof out;
	memset(out, 'x', sizeof out);
	CHECK_EQUAL(evutil_parse_sockaddr_port("1.2.3.4:5", (struct sockaddr *)out, &length), 0);
	CHECK_EQUAL(length, 16);
	CHECK_EQUAL(out[16], 'x');
	CHECK_EQUAL(out[63], 'x');
}

static int
sign(int value)
{
	return (value > 0) - (value < 0);
}

CASE(sockaddr_order, ONE_BACKEND)
{
	static const char *const texts[] = {"0.0.0.0:1", "1.2.3.4:1", "1.2.3.4:2", "1.2.3.4:256", "4.3.2.1:1",
		"255.255.255.255:1", "[::1]:1", "[::1]:256", "[::1]:255", "[::2]:1", "[1::1]:1", "[ff::]:1",
		"[fe80::1%1]:1", "[fe80::1%2]:1", "[::ffff:1.2.3.4]:1", NULL};
	struct sockaddr_storage addresses[20];
	int count = 0;
	memset(addresses, 0, sizeof addresses);
	for (; texts[count]; count++) {
		int length = sizeof addresses[0];
		CHECK(!evutil_parse_sockaddr_port(texts[count], (struct sockaddr *)&addresses[count], &length));
	}
	for (int i = 0; i < count; i++)
		for (int j = 0; j < count; j++) {
			struct sockaddr *a = (struct sockaddr *)&addresses[i], *b = (struct sockaddr *)&addresses[j];
			int with = evutil_sockaddr_cmp(a, b, 1), without = evutil_sockaddr_cmp(a, b, 0);
			printf("%s %s %d %d\n", texts[i], texts[j], sign(with), sign(without));
			CHECK_EQUAL(sign(evutil_sockaddr_cmp(b, a, 1)), -sign(with));
		}
}

CASE(sockaddr_of_other_families, ONE_BACKEND)
{
	struct sockaddr_un one = {AF_UNIX, "/one"}, two = {AF_UNIX, "/two"};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	char text[64];
	CHECK(evutil_sockaddr_cmp((struct sockaddr *)&one, (struct sockaddr *)&two, 0) != 0);
	CHECK(evutil_sockaddr_cmp((struct sockaddr *)&one, (struct sockaddr *)&v4, 0) < 0);
	CHECK(evutil_sockaddr_cmp((struct sockaddr *)&v4, (struct sockaddr *)&one, 0) > 0);
	CHECK_EQUAL(evutil_sockaddr_is_loopback_((struct sockaddr *)&one), 0);
	printf("%s\n", evutil_format_sockaddr_port_((struct sockaddr *)&one, text, sizeof text));
}

DIFFERENCE(an_address_equals_itself, ONE_BACKEND,
    "evutil_sockaddr_cmp says that an address which is neither IPv4 nor IPv6 differs from itself")
{
	struct sockaddr_un one = {AF_UNIX, "/one"};
	struct sockaddr_in other = {.sin_family = AF_INET};
	CHECK_EQUAL(evutil_sockaddr_cmp((struct sockaddr *)&one, (struct sockaddr *)&one, 0), 0);
	CHECK(evutil_sockaddr_cmp((struct sockaddr *)&one, (struct sockaddr *)&other, 0) != 0);
}

CASE(formatting_is_cut_to_the_room, ONE_BACKEND)
{
	struct sockaddr_storage address;
	int length = sizeof address;
	evutil_parse_sockaddr_port("[1234:5678::abcd]:65535", (struct sockaddr *)&address, &length);
	for (size_t room = 1; room < 30; room++) {
		char text[64];
		memset(text, '!', sizeof text);
		text[63] = 0;
		CHECK(evutil_format_sockaddr_port_((struct sockaddr *)&address, text, room) == text);
		printf("%zu %s\n", room, text);
	}
}

CASE(local_and_loopback, ONE_BACKEND)
{
	static const char *const texts[] = {"0.0.0.0", "0.0.0.1", "10.0.0.1", "126.255.255.255", "127.0.0.0",
		"127.255.255.255", "128.0.0.1", "169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0",
		"172.16.0.1", "192.168.0.1", "223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0",
		"255.255.255.255", "::", "::1", "::2", "::ffff:127.0.0.1", "0:0:0:1::", "fbff::", "fc00::", "fdff::",
		"fe00::", "fe7f::", "fe80::", "febf::", "fec0::", "feff::", "ff00::", "ffff::", "2001:db8::1", NULL};
	for (int i = 0; texts[i]; i++) {
		struct sockaddr_storage address;
		struct sockaddr *any = (struct sockaddr *)&address;
		int length = sizeof address, local;
		CHECK(!evutil_parse_sockaddr_port(texts[i], any, &length));
		if (any->sa_family == AF_INET)
			local = evutil_v4addr_is_local_(&((struct sockaddr_in *)any)->sin_addr);
		else
			local = evutil_v6addr_is_local_(&((struct sockaddr_in6 *)any)->sin6_addr);
		printf("%s local %d loopback %d\n", texts[i], local, evutil_sockaddr_is_loopback_(any));
	}
}
