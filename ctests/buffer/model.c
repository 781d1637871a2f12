/* Long random sequences of operations on three buffers next to a model of them. A hash of all visible
 * results is printed, so it must also be the same on both libraries. 1,200,000 operations in all. */
#define _GNU_SOURCE /* memmem */
#include "model.h"

enum { OPERATIONS = 100000 };

static uint64_t state;

static unsigned
pick(unsigned bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return bound ? (unsigned)((state >> 11) % bound) : 0;
}

static void
run(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15u;
	model_start();
	for (int step = 0; step < OPERATIONS; step++)
		model_step(operations, COUNT(operations));
	model_end();
	printf("%016llx\n", (unsigned long long)hash);
}

CASE(seed_1, ONE_BACKEND) { run(1); }
CASE(seed_2, ONE_BACKEND) { run(2); }
CASE(seed_3, ONE_BACKEND) { run(3); }
CASE(seed_4, ONE_BACKEND) { run(4); }
CASE(seed_5, ONE_BACKEND) { run(5); }
CASE(seed_6, ONE_BACKEND) { run(6); }
CASE(seed_7, ONE_BACKEND) { run(7); }
CASE(seed_8, ONE_BACKEND) { run(8); }
CASE(seed_9, ONE_BACKEND) { run(9); }
CASE(seed_10, ONE_BACKEND) { run(10); }
CASE(seed_11, ONE_BACKEND) { run(11); }
CASE(seed_12, ONE_BACKEND) { run(12); }
