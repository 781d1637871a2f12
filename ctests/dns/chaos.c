/* Servers behind a bad network: packets are lost, doubled, delayed, reordered, cut and changed, and
 * others send forged ones. Each look-up ends once, with the true answer or an error. */
#include "tools.h"

enum { LOOK_UPS = 2000, AT_A_TIME = 50 };

static unsigned seed = 7;
static int forger;
static int started, ended, right, wrong, failed, calls_of[LOOK_UPS];

static int
chance(int percent)
{
	return rand_r(&seed) % 100 < percent;
}

struct delayed {
	struct event *timer;
	struct server *from;
	struct query query;
	struct message message;
};

static void
send_late(evutil_socket_t fd, short what, void *arg)
{
	struct delayed *delayed = arg;

	(void)fd, (void)what;
	send_message(delayed->from, &delayed->query, &delayed->message);
	event_free(delayed->timer);
	free(delayed);
}

static void
true_answer(struct message *message, const struct query *query)
{
	int number = atoi(query->name + 1);
	uint8_t address[4] = {10, 0, (uint8_t)(number >> 8), (uint8_t)number};

	begin_answer(message, query, 0, 1, 0);
	put_record(message, TYPE_A, 60, address, 4);
}

/* From another port, or with another id or name: none of it is to be believed. */
static void
forge(struct server *from, const struct query *query, struct message *message)
{
	true_answer(message, query);
	message->bytes[message->length - 4] = 66;
	switch (rand_r(&seed) % 3) {
	case 0:
		sendto(forger, message->bytes, message->length, 0, (const struct sockaddr *)&query->from, query->from_length);
		return;
	case 1:
		message->bytes[rand_r(&seed) % 2] ^= 0x55;
		break;
	case 2:
		message->bytes[14] = '?';
		break;
	}
	send_message(from, query, message);
}

static void
answer_badly(struct server *from, const struct query *query)
{
	struct delayed *delayed;
	static struct message message;

	if (query->stream >= 0) {
		true_answer(&message, query);
		send_message(from, query, &message);
		return;
	}
	if (chance(30))
		forge(from, query, &message);
	if (chance(15))
		return;
	true_answer(&message, query);
	if (chance(5)) {
		message.length = 12 + (size_t)rand_r(&seed) % (message.length - 12);
	} else if (chance(5)) {
		begin_answer(&message, query, FLAG_TC, 0, 0);
	} else if (chance(5)) {
		begin_answer(&message, query, chance(50) ? 2 : 5, 0, 0);
	} else if (chance(30)) {
		struct timeval later = {0, rand_r(&seed) % 60000};

		delayed = malloc(sizeof *delayed);
		delayed->from = from;
		delayed->query = *query;
		delayed->message = message;
		delayed->timer = evtimer_new(base, send_late, delayed);
		evtimer_add(delayed->timer, &later);
		if (chance(50))
			return;
	}
	send_message(from, query, &message);
	if (chance(10))
		send_message(from, query, &message);
}

static void next_look_up(void);

static void
check_result(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	int number = (int)((int *)arg - calls_of);
	uint8_t address[4] = {10, 0, (uint8_t)(number >> 8), (uint8_t)number};

	(void)ttl;
	++*(int *)arg;
	ended++;
	if (result != DNS_ERR_NONE)
		failed++;
	else if (type == DNS_IPv4_A && count == 1 && !memcmp(addresses, address, 4))
		right++;
	else
		wrong++;
	next_look_up();
}

static void
next_look_up(void)
{
	char name[40];

	if (started == LOOK_UPS)
		return;
	snprintf(name, sizeof name, "n%d.example.com", started);
	CHECK(evdns_base_resolve_ipv4(dns, name, 0, check_result, &calls_of[started]));
	started++;
}

DIFFERENCE(only_true_answers_or_errors, ONE_BACKEND | SLOW, "forged answers from others on the network are accepted")
{
	long long deadline = milliseconds() + 60000;
	int port = 0;

	begin(answer_badly);
	start_server(&second, "second", answer_badly);
	CHECK_EQUAL(add_server(dns, &second), 0);
	server.quiet = second.quiet = 1;
	forger = bound_socket(SOCK_DGRAM, &port);
	event_set_log_callback(ignore_message);
	set("timeout", "0.05");
	set("attempts", "6");
	set("initial-probe-timeout", "0.05");
	while (started < AT_A_TIME)
		next_look_up();
	while (ended < LOOK_UPS) {
		CHECK(milliseconds() < deadline);
		event_base_loop(base, EVLOOP_ONCE);
	}
	run_for(base, 100);
	for (int i = 0; i < LOOK_UPS; i++)
		CHECK_EQUAL(calls_of[i], 1);
	CHECK_EQUAL(wrong, 0);
	/* There are enough attempts to find almost every name. */
	CHECK(right > LOOK_UPS * 8 / 10);
	end();
	close(forger);
}
