/* Walks the chains of a buffer as validation programs do that know the private structures, and
 * checks what always holds. The part of the structures below is the same in every 2.1 library. */
#ifndef CTESTS_BUFFER_CHAINS_H
#define CTESTS_BUFFER_CHAINS_H

#include "harness.h"
#include <event2/buffer.h>
#include <stdint.h>

enum {
	CHAIN_FILESEGMENT = 0x01,
	CHAIN_SENDFILE = 0x02,
	CHAIN_REFERENCE = 0x04,
	CHAIN_IMMUTABLE = 0x08,
	CHAIN_PINNED_R = 0x10,
	CHAIN_PINNED_W = 0x20,
	CHAIN_DANGLING = 0x40,
	CHAIN_MULTICAST = 0x80
};

struct chain {
	struct chain *next;
	size_t buffer_len;
	int64_t misalign;
	size_t off;
	unsigned flags;
	int refcnt;
	unsigned char *buffer;
};

struct chains {
	struct chain *first, *last, **last_with_datap;
	size_t total_len;
};

static inline struct chains *
chains_of(struct evbuffer *buffer)
{
	return (struct chains *)buffer;
}

static inline void
check_chain(const struct chain *chain)
{
	CHECK(chain->misalign >= 0);
	CHECK((size_t)chain->misalign + chain->off <= chain->buffer_len);
	CHECK(chain->refcnt >= 1);
	CHECK(!(chain->flags & CHAIN_DANGLING));
}

/* Returns the number of chains. */
static inline int
check_chains(struct evbuffer *buffer)
{
	struct chains *chains = chains_of(buffer);
	struct chain **slot, *chain;
	size_t sum = 0;
	int count = 0, slot_found = 0, data_after = 0;

	if (!chains->first) {
		CHECK(!chains->last);
		CHECK(chains->last_with_datap == &chains->first);
		CHECK_EQUAL(chains->total_len, 0);
		return 0;
	}
	CHECK(chains->last && !chains->last->next);
	for (slot = &chains->first; (chain = *slot) != NULL; slot = &chain->next) {
		check_chain(chain);
		sum += chain->off;
		count++;
		if (slot_found && chain->off)
			data_after = 1;
		if (slot == chains->last_with_datap) {
			slot_found = 1;
			CHECK(chain->off || slot == &chains->first);
		}
		if (!chain->next)
			CHECK(chain == chains->last);
	}
	CHECK(slot_found);
	CHECK(!data_after);
	CHECK_EQUAL(sum, chains->total_len);
	CHECK_EQUAL(sum, evbuffer_get_length(buffer));
	return count;
}

#endif
