/* What the benchmarks of remote calls share: a message of thirty entries, and the handler of calls. */
#ifndef BENCH_RPC_MESSAGE_H
#define BENCH_RPC_MESSAGE_H

#include <event2/rpc.h>
#include <event2/rpc_struct.h>

#include "rpc.gen.c"

EVRPC_HEADER(Call, thirty, inside)
EVRPC_GENERATE(Call, thirty, inside)

/* What such a message needs; all strings are as long as `text`. */
static struct thirty *
new_message(const char *text)
{
	struct thirty *message = thirty_new();
	struct inside *inside = NULL;
	const ev_uint8_t *bytes = (const ev_uint8_t *)"sixteen bytes!!";

	thirty_a0_assign(message, 0);
	thirty_a1_assign(message, 1);
	thirty_a2_assign(message, 200);
	thirty_a3_assign(message, 3000);
	thirty_a4_assign(message, 40000);
	thirty_a5_assign(message, 500000);
	thirty_a6_assign(message, 60000000);
	thirty_a7_assign(message, 0xffffffff);
	thirty_b0_assign(message, 0);
	thirty_b1_assign(message, 100);
	thirty_b2_assign(message, 20000);
	thirty_b3_assign(message, 3000000);
	thirty_b4_assign(message, 400000000000ull);
	thirty_b5_assign(message, ~0ull);
	thirty_c0_assign(message, text);
	thirty_c1_assign(message, text);
	thirty_c2_assign(message, text);
	thirty_c3_assign(message, text);
	thirty_c4_assign(message, text);
	thirty_c5_assign(message, text);
	thirty_d0_assign(message, bytes, 8);
	thirty_d1_assign(message, bytes, 16);
	thirty_e0_assign(message, bytes);
	thirty_e1_assign(message, bytes);
	thirty_h_get(message, &inside);
	inside_x_assign(inside, 7);
	inside_y_assign(inside, "inside");
	return message;
}

static void
handle(EVRPC_STRUCT(Call) *rpc, void *arg)
{
	(void)arg;
	inside_x_assign(rpc->reply, rpc->request->a0_data);
	inside_y_assign(rpc->reply, "reply");
	EVRPC_REQUEST_DONE(rpc);
}

#endif
