/* A structure as another generator might have made it: with the public functions alone. */
#ifndef CTESTS_RPC_FOREIGN_H
#define CTESTS_RPC_FOREIGN_H

#include <event2/util.h>

struct evbuffer;
struct foreign {
	ev_uint32_t value;
	int set;
};

struct foreign *foreign_new(void);
void foreign_free(struct foreign *);
void foreign_marshal(struct evbuffer *, const struct foreign *);
int foreign_unmarshal(struct foreign *, struct evbuffer *);
int foreign_complete(struct foreign *);
void evtag_marshal_foreign(struct evbuffer *, ev_uint32_t, const struct foreign *);
int evtag_unmarshal_foreign(struct evbuffer *, ev_uint32_t, struct foreign *);

#endif
