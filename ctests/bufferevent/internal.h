/* What bufferevents export for kinds in other libraries, without declaring it in a public header. */
#ifndef CTESTS_BUFFEREVENT_INTERNAL_H
#define CTESTS_BUFFEREVENT_INTERNAL_H

#include "tools.h"

#include <event2/bufferevent_struct.h>
#include <event2/event_struct.h>

enum { SET_FD, GET_FD, GET_UNDERLYING, CANCEL_ALL };

union control_data {
	void *ptr;
	evutil_socket_t fd;
};

/* struct bufferevent_ops: what makes a kind. */
struct kind {
	const char *type;
	off_t mem_offset;
	int (*enable)(struct bufferevent *, short);
	int (*disable)(struct bufferevent *, short);
	void (*unlink)(struct bufferevent *);
	void (*destruct)(struct bufferevent *);
	int (*adjust_timeouts)(struct bufferevent *);
	int (*flush)(struct bufferevent *, short, enum bufferevent_flush_mode);
	int (*control)(struct bufferevent *, int, union control_data *);
};
extern const struct kind bufferevent_ops_socket, bufferevent_ops_pair, bufferevent_ops_filter;

/* Of struct bufferevent_private what kinds in other libraries read, and more room than it takes. */
struct private_part {
	struct bufferevent bev;
	unsigned char first_part[12];
	ev_uint16_t read_suspended, write_suspended;
	unsigned char second_part[48];
	int options, references;
	void *lock;
	unsigned char rest[600];
};

enum { SUSPEND_WATERMARK = 0x01, SUSPEND_BANDWIDTH = 0x02, SUSPEND_GROUP = 0x04, SUSPEND_LOOKUP = 0x08 };

int bufferevent_init_common_(void *bev, struct event_base *, const struct kind *, enum bufferevent_options);
int bufferevent_enable_locking_(struct bufferevent *, void *lock);
void bufferevent_incref_and_lock_(struct bufferevent *);
int bufferevent_decref_and_unlock_(struct bufferevent *);
void bufferevent_suspend_read_(struct bufferevent *, ev_uint16_t reasons);
void bufferevent_unsuspend_read_(struct bufferevent *, ev_uint16_t reasons);
void bufferevent_suspend_write_(struct bufferevent *, ev_uint16_t reasons);
void bufferevent_unsuspend_write_(struct bufferevent *, ev_uint16_t reasons);
int bufferevent_disable_hard_(struct bufferevent *, short events);
void bufferevent_run_readcb_(struct bufferevent *, int options);
void bufferevent_run_writecb_(struct bufferevent *, int options);
void bufferevent_run_eventcb_(struct bufferevent *, short what, int options);
int bufferevent_add_event_(struct event *, const struct timeval *);
void bufferevent_init_generic_timeout_cbs_(struct bufferevent *);
int bufferevent_generic_adj_timeouts_(struct bufferevent *);
int bufferevent_generic_adj_existing_timeouts_(struct bufferevent *);
enum bufferevent_options bufferevent_get_options_(struct bufferevent *);
const struct sockaddr *bufferevent_socket_get_conn_address_(struct bufferevent *);
int bufferevent_socket_set_conn_address_(struct bufferevent *, struct sockaddr *, size_t length);
void bufferevent_socket_set_conn_address_fd_(struct bufferevent *, evutil_socket_t);
int bufferevent_ratelim_init_(void *bev);
ev_ssize_t bufferevent_get_read_max_(void *bev);
ev_ssize_t bufferevent_get_write_max_(void *bev);
int bufferevent_decrement_read_buckets_(void *bev, ev_ssize_t bytes);
int bufferevent_decrement_write_buckets_(void *bev, ev_ssize_t bytes);
int bufferevent_remove_from_rate_limit_group_internal_(struct bufferevent *, int unsuspend);
void evbuffer_set_parent_(struct evbuffer *, struct bufferevent *parent);

/* Does something with the lock of a bufferevent held. */
#define LOCKED(bev, call)                                                                          \
	do {                                                                                       \
		bufferevent_lock(bev);                                                             \
		call;                                                                              \
		bufferevent_unlock(bev);                                                           \
	} while (0)

/* The reasons why a direction is suspended, as a kind sees them. */
OBSERVE_ void
print_suspended(const char *label, struct bufferevent *bev)
{
	struct private_part *part = (struct private_part *)bev;
	printf("%s: read 0x%02x, write 0x%02x, waits for reading %d, writing %d\n", label, part->read_suspended,
	       part->write_suspended, event_pending(&bev->ev_read, EV_READ, NULL) != 0,
	       event_pending(&bev->ev_write, EV_WRITE, NULL) != 0);
}

#endif
