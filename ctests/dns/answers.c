/* What answers mean: addresses, names, their absence, errors; and messages that are not answers. */
#include "tools.h"

static struct message message;

/* These answer a query if they know the label. */

static int
answer_with_addresses(const char *label, const struct query *query)
{
	if (!strcmp(label, "several")) {
		begin_answer(&message, query, 0, 3, 0);
		put_a(&message, 300, "192.0.2.3");
		put_a(&message, 20, "192.0.2.1");
		put_a(&message, 100, "192.0.2.2");
	} else if (!strcmp(label, "joined")) {
		begin_answer(&message, query, 0, 1, 0);
		put_record(&message, TYPE_A, 9, "\1\2\3\4\5\6\7\10", 8);
	} else if (!strcmp(label, "odd")) {
		begin_answer(&message, query, 0, 2, 0);
		put_a(&message, 9, "192.0.2.1");
		put_record(&message, TYPE_A, 9, "\1\2\3", 3);
	} else if (!strcmp(label, "nothing")) {
		begin_answer(&message, query, 0, 1, 0);
		put_record(&message, TYPE_A, 9, "", 0);
	} else if (!strcmp(label, "forty")) {
		begin_answer(&message, query, 0, 40, 0);
		for (int i = 0; i < 40; i++) {
			char address[20];

			snprintf(address, sizeof address, "192.0.2.%d", i);
			put_a(&message, 60, address);
		}
	} else if (!strcmp(label, "wrong")) {
		/* The address of the other family. */
		begin_answer(&message, query, 0, 1, 0);
		if (query->type == TYPE_A)
			put_aaaa(&message, 60, "2001:db8::1");
		else
			put_a(&message, 60, "192.0.2.9");
	} else {
		return 0;
	}
	return 1;
}

static int
answer_with_absence(const char *label, const struct query *query)
{
	if (!strcmp(label, "none")) {
		begin_answer(&message, query, 0, 0, 0);
	} else if (!strcmp(label, "none-soa")) {
		begin_answer(&message, query, 0, 0, 1);
		put_soa(&message, 42, 3600);
	} else if (!strcmp(label, "minimum")) {
		begin_answer(&message, query, 3, 0, 1);
		put_soa(&message, 3600, 42);
	} else if (!strcmp(label, "absent")) {
		begin_answer(&message, query, 3, 0, 0);
	} else if (!strcmp(label, "absent-alias")) {
		begin_answer(&message, query, 3, 1, 0);
		put_a(&message, 77, "192.0.2.9");
	} else if (!strncmp(label, "code-", 5)) {
		begin_answer(&message, query, atoi(label + 5), 0, 0);
	} else {
		return 0;
	}
	return 1;
}

static int
answer_with_names(const char *label, const struct query *query)
{
	if (!strcmp(label, "alias")) {
		begin_answer(&message, query, 0, 2, 0);
		put_name_record(&message, TYPE_CNAME, 1, "real.example.com");
		put_a(&message, 60, "192.0.2.9");
	} else if (!strcmp(label, "host")) {
		begin_answer(&message, query, 0, 2, 0);
		put_name_record(&message, TYPE_PTR, 70, "first.example.com");
		put_name_record(&message, TYPE_PTR, 60, "second.example.com");
	} else if (query->type == TYPE_PTR) {
		begin_answer(&message, query, 0, 1, 0);
		put_name_record(&message, TYPE_PTR, 70, "host.Example.COM");
	} else {
		return 0;
	}
	return 1;
}

static void
put_raw_address(void)
{
	put16(&message, TYPE_A);
	put16(&message, 1);
	put32(&message, 60);
	put16(&message, 4);
	put(&message, "\1\2\3\4", 4);
}

static int
answer_in_odd_form(const char *label, const struct query *query)
{
	if (!strcmp(label, "lower")) {
		begin_answer(&message, query, 0, 1, 0);
		for (size_t i = 12; i < message.length; i++)
			if (message.bytes[i] >= 'A' && message.bytes[i] <= 'Z')
				message.bytes[i] += 32;
		put_a(&message, 60, "192.0.2.7");
	} else if (!strcmp(label, "unasked")) {
		/* No question in it. */
		begin_answer(&message, query, 0, 1, 0);
		message.length = 12;
		message.bytes[5] = 0;
		put_name(&message, query->name);
		put_raw_address();
	} else if (!strcmp(label, "twice")) {
		/* The record of the alias names itself by a pointer to a name that ends in a pointer. */
		size_t alias;

		begin_answer(&message, query, 0, 3, 0);
		put_name_record(&message, TYPE_CNAME, 1, "");
		message.length -= 3;
		alias = message.length + 2;
		put(&message, "\0\7\4real\300\22", 9);
		put16(&message, 0xc000 | (unsigned)alias);
		put_raw_address();
		put_a(&message, 60, "192.0.2.8");
	} else if (!strcmp(label, "cut")) {
		begin_answer(&message, query, 0, 2, 0);
		put_a(&message, 60, "192.0.2.7");
	} else {
		return 0;
	}
	return 1;
}

/* What the server answers, chosen by the first label of the name. */
static void
answer_by_name(struct server *from, const struct query *query)
{
	char label[64];

	snprintf(label, sizeof label, "%.*s", (int)strcspn(query->name, "."), query->name);
	if (!strcmp(label, "one")) {
		answer_address(from, query);
		return;
	}
	if (!answer_with_addresses(label, query) && !answer_with_absence(label, query) &&
	    !answer_with_names(label, query) && !answer_in_odd_form(label, query))
		harness_fail(__FILE__, __LINE__, query->name);
	send_message(from, query, &message);
}

CASE(addresses, ONE_BACKEND)
{
	begin(answer_by_name);
	resolve_ipv4("one.example.com", 0);
	resolve_ipv6("one.example.com", 0);
	resolve_ipv4("several.example.com", 0);
	resolve_ipv4("joined.example.com", 0);
	resolve_ipv4("nothing.example.com", 0);
	resolve_ipv4("forty.example.com", 0);
	resolve_ipv4("alias.example.com", 0);
	resolve_ipv4("twice.example.com", 0);
	resolve_ipv4("lower.example.com", 0);
	end();
}

CASE(absence, ONE_BACKEND)
{
	begin(answer_by_name);
	resolve_ipv4("wrong.example.com", 0);
	resolve_ipv6("wrong.example.com", 0);
	resolve_ipv4("none.example.com", 0);
	resolve_ipv4("none-soa.example.com", 0);
	resolve_ipv4("absent.example.com", 0);
	resolve_ipv4("minimum.example.com", 0);
	resolve_ipv4("absent-alias.example.com", 0);
	end();
}

CASE(errors, ONE_BACKEND)
{
	begin(answer_by_name);
	resolve_ipv4("code-1.example.com", 0);
	resolve_ipv4("code-4.example.com", 0);
	resolve_ipv4("code-5.example.com", 0);
	resolve_ipv4("code-6.example.com", 0);
	resolve_ipv4("code-11.example.com", 0);
	/* Asked three times at once, then it counts as silent. */
	resolve_ipv4("code-2.example.com", 0);
	resolve_ipv4("odd.example.com", 0);
	resolve_ipv4("cut.example.com", 0);
	resolve_ipv4("unasked.example.com", 0);
	end();
}

CASE(case_counts_without_random_case, ONE_BACKEND)
{
	begin(answer_by_name);
	set("randomize-case", "0");
	resolve_ipv4("LOWER.example.com", 0);
	resolve_ipv4("lower.example.com", 0);
	end();
}

CASE(names_of_addresses, ONE_BACKEND)
{
	struct in_addr v4;
	struct in6_addr v6;

	begin(answer_by_name);
	inet_pton(AF_INET, "192.0.2.130", &v4);
	inet_pton(AF_INET6, "2001:db8::12:ab", &v6);
	CHECK(evdns_base_resolve_reverse(dns, &v4, 0, on_result, "v4"));
	wait_for(&reported, 1);
	CHECK(evdns_base_resolve_reverse_ipv6(dns, &v6, 0, on_result, "v6"));
	wait_for(&reported, 1);
	end();
}

/* Names that are queried as they are, and those that cannot be queried. */
CASE(names, ONE_BACKEND)
{
	char label[70], name[400];

	begin(answer_address);
	memset(label, 'x', sizeof label);
	resolve_ipv4("", 0);
	resolve_ipv4("a", 0);
	resolve_ipv4("abs.example.com.", 0);
	resolve_ipv4("with space.\344", 0);
	snprintf(name, sizeof name, "%.63s.example.com", label);
	resolve_ipv4(name, 0);
	snprintf(name, sizeof name, "%.64s.example.com", label);
	CHECK(!evdns_base_resolve_ipv4(dns, name, 0, on_result, name));
	snprintf(name, sizeof name, "%.63s.%.63s.%.63s.%.61s", label, label, label, label);
	resolve_ipv4(name, 0);
	snprintf(name, sizeof name, "%.63s.%.63s.%.63s.%.63s.x", label, label, label, label);
	CHECK(!evdns_base_resolve_ipv4(dns, name, 0, on_result, name));
	CHECK_EQUAL(server.queries, 6);
	end();
}

DIFFERENCE(names_that_are_none, ONE_BACKEND, "names with empty labels, or too long for a message, are sent as malformed questions")
{
	char label[70], name[400];

	begin(NULL);
	memset(label, 'x', sizeof label);
	CHECK(!evdns_base_resolve_ipv4(dns, "a..b", 0, on_result, ""));
	CHECK(!evdns_base_resolve_ipv4(dns, ".a", 0, on_result, ""));
	snprintf(name, sizeof name, "%.63s.%.63s.%.63s.%.62s", label, label, label, label);
	CHECK(!evdns_base_resolve_ipv4(dns, name, 0, on_result, ""));
	poll_once(base);
	CHECK_EQUAL(server.queries, 0);
	end();
}

static int calls;

static void
check_long_name(int result, char type, int count, int ttl, void *addresses, void *wanted)
{
	(void)ttl;
	calls++;
	CHECK_EQUAL(result, DNS_ERR_NONE);
	CHECK_EQUAL(type, DNS_PTR);
	CHECK_EQUAL(count, 1);
	CHECK_STRING(*(char **)addresses, wanted);
}

static char long_name[250];

static void
answer_long_name(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 1, 0);
	put_name_record(&message, TYPE_PTR, 60, long_name);
	send_message(from, query, &message);
}

DIFFERENCE(long_host_names, ONE_BACKEND, "a host name of more than 63 characters makes the answer to a reverse look-up unreadable")
{
	struct in_addr in = {htonl(INADDR_LOOPBACK)};

	memset(long_name, 'x', sizeof long_name - 1);
	for (size_t i = 50; i < sizeof long_name; i += 50)
		long_name[i] = '.';
	begin(answer_long_name);
	CHECK(evdns_base_resolve_reverse(dns, &in, 0, check_long_name, long_name));
	wait_for(&calls, 1);
	end();
}

static void
check_ttl(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)type, (void)count, (void)addresses, (void)arg;
	calls++;
	CHECK_EQUAL(result, DNS_ERR_NONE);
	CHECK(ttl >= 0);
}

static void
answer_huge_ttl(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 1, 0);
	put_a(&message, 0x80000001, "192.0.2.1");
	send_message(from, query, &message);
}

DIFFERENCE(ttl_is_not_negative, ONE_BACKEND, "a TTL of more than 2^31 seconds is reported as a negative number")
{
	begin(answer_huge_ttl);
	CHECK(evdns_base_resolve_ipv4(dns, "example.com", 0, check_ttl, NULL));
	wait_for(&calls, 1);
	end();
}

CASE(texts_of_errors, ONE_BACKEND)
{
	for (int code = -1; code < 80; code++)
		if (strcmp(evdns_err_to_string(code), "[Unknown error code]"))
			printf("%d: %s\n", code, evdns_err_to_string(code));
	printf("%s\n", evdns_err_to_string(1000));
}

/* Messages that cannot be the answer change nothing, and neither do bits that do not matter. */
static void
answer_after_others(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 1, 0);
	put_a(&message, 60, "192.0.2.66");
	for (size_t length = 0; length < 12; length++)
		send_bytes(from, query, message.bytes, length);
	/* Another id. */
	message.bytes[1] ^= 1;
	send_message(from, query, &message);
	message.bytes[1] ^= 1;
	/* Not an answer. */
	message.bytes[2] ^= 0x80;
	send_message(from, query, &message);
	/* Another operation, not recursive, authoritative. */
	begin_answer(&message, query, 0, 1, 0);
	put_a(&message, 60, "192.0.2.1");
	message.bytes[2] = 0x84 | 5 << 3;
	message.bytes[3] = 0;
	send_message(from, query, &message);
}

CASE(what_is_no_answer, ONE_BACKEND)
{
	begin(answer_after_others);
	set("attempts", "1");
	resolve_ipv4("a.test", 0);
	end();
}

/* Every query has letters in random case. */
static int upper, lower;

static void
count_letters(struct server *from, const struct query *query)
{
	for (size_t i = 12; i < query->question_end; i++) {
		upper += query->raw[i] >= 'A' && query->raw[i] <= 'Z';
		lower += query->raw[i] >= 'a' && query->raw[i] <= 'z';
	}
	answer_address(from, query);
}

CASE(letters_of_questions, ONE_BACKEND)
{
	struct in_addr in = {htonl(INADDR_LOOPBACK)};

	begin(count_letters);
	server.quiet = 1;
	/* Of so many letters some are of either kind. */
	resolve_ipv4("abcdefghijklmnopqrstuvwxyz-and-ABCDEFGHIJKLMNOPQRSTUVWXYZ.test", 0);
	CHECK(upper > 0 && lower > 0);
	upper = lower = 0;
	for (int i = 0; i < 10; i++) {
		CHECK(evdns_base_resolve_reverse(dns, &in, 0, on_result, "reverse"));
		wait_for(&reported, 1);
	}
	CHECK(upper > 0 && lower > 0);
	set("randomize-case", "0");
	upper = lower = 0;
	resolve_ipv4("abcdefghijklmnopqrstuvwxyz.test", 0);
	CHECK_EQUAL(upper, 0);
	resolve_ipv4("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0);
	CHECK_EQUAL(upper, 26);
	end();
}

/* Addresses are no names to search. */
CASE(names_of_addresses_are_not_searched, ONE_BACKEND)
{
	struct in6_addr in = IN6ADDR_LOOPBACK_INIT;

	begin(answer_by_name);
	evdns_base_search_add(dns, "domain.test");
	evdns_base_search_ndots_set(dns, 50);
	CHECK(evdns_base_resolve_reverse_ipv6(dns, &in, 0, on_result, "reverse"));
	wait_for(&reported, 1);
	end();
}
