/* Functions that libevent exports without declaring them in a public header: what kinds of bufferevents in
 * other libraries are built on. Here they are used on the existing kinds. */
#include "internal.h"
#include "one.h"

#include <dlfcn.h>
#include <event2/thread.h>

static struct traced side = {.name = "side", .drain = -1};

_Static_assert(offsetof(struct private_part, read_suspended) == 404, "as kinds know it");
_Static_assert(offsetof(struct private_part, options) == 456, "as kinds know it");
_Static_assert(offsetof(struct private_part, lock) == 464, "as kinds know it");

static void
begin(int options)
{
	make_base();
	make_socketpair(ends);
	bev = make_bufferevent(ends[0], options | BEV_OPT_CLOSE_ON_FREE, &side);
}

/* The tables. */
static void
print_kind(const struct kind *kind)
{
	printf("%s: unlink %d, timeouts %d, flush %d, control %d\n", kind->type, !!kind->unlink, !!kind->adjust_timeouts,
	       !!kind->flush, !!kind->control);
	CHECK(kind->enable && kind->disable);
}

static enum bufferevent_filter_result
pass_on(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	(void)limit;
	(void)mode;
	(void)arg;
	return evbuffer_add_buffer(to, from) == 0 ? BEV_OK : BEV_ERROR;
}

CASE(kinds_are_identified_by_their_tables, ONE_BACKEND)
{
	struct bufferevent *pair[2], *filter;
	begin(0);
	CHECK_EQUAL(sizeof(struct kind), 72);
	print_kind(&bufferevent_ops_socket);
	print_kind(&bufferevent_ops_pair);
	print_kind(&bufferevent_ops_filter);
	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	filter = bufferevent_filter_new(pair[0], pass_on, pass_on, 0, NULL, NULL);
	CHECK(bev->be_ops == (const void *)&bufferevent_ops_socket);
	CHECK(pair[0]->be_ops == (const void *)&bufferevent_ops_pair);
	CHECK(pair[1]->be_ops == (const void *)&bufferevent_ops_pair);
	CHECK(filter->be_ops == (const void *)&bufferevent_ops_filter);
	bufferevent_free(filter);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	end();
}

CASE(the_tables_answer_for_their_bufferevents, ONE_BACKEND)
{
	struct bufferevent *pair[2], *filter;
	union control_data data;
	begin(0);
	CHECK_EQUAL(bufferevent_ops_socket.control(bev, GET_FD, &data), 0);
	CHECK_EQUAL(data.fd, ends[0]);
	CHECK_EQUAL(bufferevent_ops_socket.control(bev, GET_UNDERLYING, &data), -1);
	CHECK_EQUAL(bufferevent_ops_socket.control(bev, 4, &data), -1);
	CHECK_EQUAL(bufferevent_ops_socket.flush(bev, EV_READ, BEV_FLUSH), 0);
	CHECK_EQUAL(bufferevent_ops_socket.enable(bev, EV_READ), 0);
	CHECK(event_pending(&bev->ev_read, EV_READ, NULL));
	CHECK_EQUAL(bufferevent_get_enabled(bev), EV_WRITE);
	CHECK_EQUAL(bufferevent_ops_socket.disable(bev, EV_READ), 0);
	CHECK(!event_pending(&bev->ev_read, EV_READ, NULL));
	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	CHECK_EQUAL(bufferevent_ops_pair.flush(pair[0], EV_WRITE, BEV_NORMAL), 0);
	filter = bufferevent_filter_new(bev, pass_on, pass_on, 0, NULL, NULL);
	CHECK_EQUAL(bufferevent_ops_filter.control(filter, GET_UNDERLYING, &data), 0);
	CHECK(data.ptr == bev);
	CHECK_EQUAL(bufferevent_ops_filter.control(filter, GET_FD, &data), 0);
	CHECK_EQUAL(data.fd, ends[0]);
	bufferevent_free(filter);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	end();
}

/* References and locks. */
CASE(a_reference_keeps_a_freed_one, EVERY_BACKEND)
{
	begin(0);
	bufferevent_incref_and_lock_(bev);
	bufferevent_free(bev);
	settle();
	CHECK(is_open(ends[0]));
	CHECK_EQUAL(bufferevent_decref_and_unlock_(bev), 1);
	settle();
	CHECK(!is_open(ends[0]));
	close(ends[1]);
	finish();
}

CASE(a_reference_that_is_not_the_last, EVERY_BACKEND)
{
	begin(0);
	bufferevent_incref_and_lock_(bev);
	CHECK_EQUAL(bufferevent_decref_and_unlock_(bev), 0);
	settle();
	CHECK(is_open(ends[0]));
	end();
}

static int held;

static int
count_held(unsigned mode, void *lock)
{
	(void)mode;
	(void)lock;
	held++;
	return 0;
}

static int
count_given(unsigned mode, void *lock)
{
	(void)mode;
	(void)lock;
	held--;
	return 0;
}

static int made, freed;

static void *
make_lock(unsigned type)
{
	(void)type;
	made++;
	return malloc(1);
}

static void
free_lock(void *lock, unsigned type)
{
	(void)type;
	freed++;
	free(lock);
}

static void
use_counting_locks(void)
{
	static const struct evthread_lock_callbacks callbacks = {
		EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, make_lock, free_lock, count_held, count_given};
	CHECK_EQUAL(evthread_set_lock_callbacks(&callbacks), 0);
}

CASE(a_lock_of_its_own, ONE_BACKEND | OWN_LOCKS)
{
	int before;
	use_counting_locks();
	begin(0);
	before = made;
	CHECK_EQUAL(bufferevent_enable_locking_(bev, NULL), 0);
	CHECK_EQUAL(made, before + 1);
	CHECK(((struct private_part *)bev)->lock);
	CHECK_EQUAL(bufferevent_enable_locking_(bev, NULL), -1);
	CHECK_EQUAL(held, 0);
	bufferevent_incref_and_lock_(bev);
	CHECK_EQUAL(held, 1);
	evbuffer_lock(bufferevent_get_input(bev));
	CHECK_EQUAL(held, 2);
	evbuffer_unlock(bufferevent_get_input(bev));
	bufferevent_decref_and_unlock_(bev);
	CHECK_EQUAL(held, 0);
	before = freed;
	bufferevent_free(bev);
	settle();
	CHECK_EQUAL(freed, before + 1);
	close(ends[1]);
	finish();
}

CASE(a_lock_of_the_program, ONE_BACKEND | OWN_LOCKS)
{
	int before, own;
	use_counting_locks();
	begin(0);
	before = made;
	CHECK_EQUAL(bufferevent_enable_locking_(bev, &own), 0);
	CHECK_EQUAL(made, before);
	CHECK(((struct private_part *)bev)->lock == &own);
	before = freed;
	bufferevent_free(bev);
	settle();
	CHECK_EQUAL(freed, before);
	close(ends[1]);
	finish();
}

CASE(no_lock_can_be_made, ONE_BACKEND | OWN_LOCKS)
{
	begin(0);
	CHECK_EQUAL(bufferevent_enable_locking_(bev, NULL), -1);
	CHECK(!((struct private_part *)bev)->lock);
	end();
}

CASE(the_options_of_construction, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	begin(BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS);
	CHECK_EQUAL(bufferevent_get_options_(bev), BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS);
	CHECK_EQUAL(((struct private_part *)bev)->options, bufferevent_get_options_(bev));
	end();
}

/* Suspending. */
CASE(a_direction_is_suspended_while_there_is_a_reason, EVERY_BACKEND)
{
	begin(0);
	bufferevent_enable(bev, EV_READ);
	print_suspended("enabled", bev);
	bufferevent_suspend_read_(bev, SUSPEND_LOOKUP);
	print_suspended("suspended", bev);
	bufferevent_suspend_read_(bev, SUSPEND_BANDWIDTH | SUSPEND_LOOKUP);
	send_all(ends[1], "data", 4);
	settle();
	bufferevent_unsuspend_read_(bev, SUSPEND_LOOKUP);
	settle();
	print_suspended("one reason is left", bev);
	bufferevent_unsuspend_read_(bev, SUSPEND_BANDWIDTH);
	settle();
	print_suspended("none is left", bev);
	CHECK_EQUAL(bufferevent_get_enabled(bev), EV_READ | EV_WRITE);
	end();
}

CASE(writing_is_suspended_while_there_is_a_reason, EVERY_BACKEND)
{
	char data[10];
	begin(0);
	bufferevent_suspend_write_(bev, SUSPEND_GROUP);
	CHECK_EQUAL(bufferevent_write(bev, "data", 4), 0);
	settle();
	print_suspended("suspended", bev);
	CHECK_EQUAL(received(ends[1], data, sizeof data), 0);
	bufferevent_suspend_write_(bev, SUSPEND_BANDWIDTH);
	bufferevent_unsuspend_write_(bev, SUSPEND_GROUP);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 0);
	bufferevent_unsuspend_write_(bev, SUSPEND_BANDWIDTH);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 4);
	print_suspended("none is left", bev);
	end();
}

CASE(a_disabled_direction_is_not_started, EVERY_BACKEND)
{
	begin(0);
	bufferevent_disable(bev, EV_READ | EV_WRITE);
	bufferevent_suspend_read_(bev, SUSPEND_LOOKUP);
	bufferevent_suspend_write_(bev, SUSPEND_LOOKUP);
	bufferevent_unsuspend_read_(bev, SUSPEND_LOOKUP);
	bufferevent_unsuspend_write_(bev, SUSPEND_LOOKUP);
	print_suspended("disabled", bev);
	bufferevent_suspend_read_(bev, SUSPEND_LOOKUP);
	bufferevent_enable(bev, EV_READ);
	print_suspended("enabled while suspended", bev);
	bufferevent_unsuspend_read_(bev, SUSPEND_LOOKUP);
	print_suspended("enabled", bev);
	end();
}

/* Calling the program. */
CASE(callbacks_are_run_whatever_the_watermarks, EVERY_BACKEND)
{
	begin(0);
	bufferevent_setwatermark(bev, EV_READ, 100, 0);
	LOCKED(bev, bufferevent_run_readcb_(bev, 0));
	LOCKED(bev, bufferevent_run_writecb_(bev, 0));
	LOCKED(bev, bufferevent_run_eventcb_(bev, BEV_EVENT_EOF | BEV_EVENT_READING, 0));
	printf("returned\n");
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	LOCKED(bev, bufferevent_run_readcb_(bev, 0));
	LOCKED(bev, bufferevent_run_writecb_(bev, 0));
	LOCKED(bev, bufferevent_run_eventcb_(bev, BEV_EVENT_EOF, 0));
	end();
}

static void
run_all_three(int options)
{
	bufferevent_incref_and_lock_(bev);
	errno = ECONNABORTED;
	bufferevent_run_eventcb_(bev, BEV_EVENT_ERROR, options);
	errno = 0;
	bufferevent_run_eventcb_(bev, BEV_EVENT_CONNECTED, options);
	bufferevent_run_writecb_(bev, options);
	bufferevent_run_writecb_(bev, options);
	bufferevent_run_readcb_(bev, options);
	bufferevent_decref_and_unlock_(bev);
	printf("returned\n");
	settle();
}

CASE(callbacks_are_put_off_on_request, EVERY_BACKEND)
{
	begin(0);
	run_all_three(BEV_TRIG_DEFER_CALLBACKS);
	end();
}

CASE(callbacks_are_put_off_by_an_option, EVERY_BACKEND)
{
	begin(BEV_OPT_DEFER_CALLBACKS);
	run_all_three(0);
	end();
}

CASE(callbacks_put_off_keep_a_freed_one, EVERY_BACKEND)
{
	begin(0);
	LOCKED(bev, bufferevent_run_readcb_(bev, BEV_TRIG_DEFER_CALLBACKS));
	bufferevent_free(bev);
	settle();
	CHECK(!is_open(ends[0]));
	close(ends[1]);
	finish();
}

/* Events and timeouts. */
CASE(a_time_of_zero_is_no_timeout, EVERY_BACKEND)
{
	static const struct timeval zero, hour = {3600, 0};
	begin(0);
	CHECK_EQUAL(bufferevent_add_event_(&bev->ev_read, &zero), 0);
	CHECK(event_pending(&bev->ev_read, EV_READ, NULL));
	CHECK(!event_pending(&bev->ev_read, EV_TIMEOUT, NULL));
	CHECK_EQUAL(bufferevent_add_event_(&bev->ev_read, &hour), 0);
	CHECK(event_pending(&bev->ev_read, EV_TIMEOUT, NULL));
	end();
}

CASE(waiting_events_get_the_timeouts_of_now, EVERY_BACKEND)
{
	begin(0);
	bufferevent_disable(bev, EV_WRITE);
	bufferevent_enable(bev, EV_READ);
	bev->timeout_read.tv_sec = bev->timeout_write.tv_sec = 3600;
	LOCKED(bev, CHECK_EQUAL(bufferevent_generic_adj_existing_timeouts_(bev), 0));
	CHECK(event_pending(&bev->ev_read, EV_TIMEOUT, NULL));
	CHECK(!event_pending(&bev->ev_write, EV_TIMEOUT, NULL));
	bev->timeout_read.tv_sec = 0;
	LOCKED(bev, CHECK_EQUAL(bufferevent_generic_adj_existing_timeouts_(bev), 0));
	CHECK(event_pending(&bev->ev_read, EV_READ, NULL));
	CHECK(!event_pending(&bev->ev_read, EV_TIMEOUT, NULL));
	end();
}

/* Connecting. */
static void
start_connecting(void)
{
	union any_address address;
	socklen_t length;
	int listener;
	make_base();
	listener = listen_on(AF_INET, &address, &length);
	bev = make_bufferevent(-1, BEV_OPT_CLOSE_ON_FREE, &side);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
	CHECK(event_pending(&bev->ev_write, EV_WRITE, NULL));
	close(listener);
}

CASE(disabling_leaves_a_connection_in_the_making, EVERY_BACKEND)
{
	start_connecting();
	CHECK_EQUAL(bufferevent_disable(bev, EV_WRITE), 0);
	print_suspended("disabled", bev);
	bufferevent_free(bev);
	finish();
}

CASE(disabling_hard_does_not, EVERY_BACKEND)
{
	start_connecting();
	CHECK_EQUAL(bufferevent_disable_hard_(bev, EV_WRITE), 0);
	print_suspended("disabled", bev);
	CHECK_EQUAL(bufferevent_get_enabled(bev), 0);
	settle();
	bufferevent_free(bev);
	finish();
}

static void
print_address(const char *label)
{
	const struct sockaddr *address = bufferevent_socket_get_conn_address_(bev);
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	if (address->sa_family == AF_INET)
		printf("%s: 0x%08x\n", label, (unsigned)ntohl(in->sin_addr.s_addr));
	else
		printf("%s: family %d\n", label, address->sa_family);
}

CASE(the_address_of_a_peer, ONE_BACKEND)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr_in6 other = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const struct sockaddr_in6 *found;
	begin(0);
	print_address("at first");
	address.sin_addr.s_addr = htonl(0x01020304);
	bufferevent_socket_set_conn_address_(bev, (struct sockaddr *)&address, sizeof address);
	print_address("set");
	bufferevent_socket_set_conn_address_(bev, (struct sockaddr *)&other, sizeof other);
	found = (const struct sockaddr_in6 *)bufferevent_socket_get_conn_address_(bev);
	CHECK_EQUAL(found->sin6_family, AF_INET6);
	CHECK(!memcmp(&found->sin6_addr, &other.sin6_addr, sizeof other.sin6_addr));
	end();
}

CASE(the_address_of_the_peer_of_a_socket, ONE_BACKEND)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int tcp[2];
	begin(0);
	make_connection(AF_INET, tcp);
	bufferevent_socket_set_conn_address_fd_(bev, tcp[0]);
	print_address("none is replaced");
	address.sin_addr.s_addr = htonl(0x01020304);
	bufferevent_socket_set_conn_address_(bev, (struct sockaddr *)&address, sizeof address);
	bufferevent_socket_set_conn_address_fd_(bev, tcp[0]);
	print_address("one is replaced");
	bufferevent_socket_set_conn_address_(bev, (struct sockaddr *)&address, sizeof address);
	bufferevent_socket_set_conn_address_fd_(bev, -1);
	print_address("without a peer it stays");
	end();
}

/* Before its security update the reference has no result and ends the process here. Then it is not
 * called; that one has other libraries' functions but not those of the update. */
static int
is_before_the_security_update(void)
{
	return dlsym(RTLD_DEFAULT, "evhttp_new") && !dlsym(RTLD_DEFAULT, "evhttp_str_is_chunked_");
}

CASE(addresses_of_every_length, ONE_BACKEND)
{
	union any_address address = {.un = {.sun_family = AF_UNIX, .sun_path = "/a/long/path/to/a/socket/of/the/program"}};
	char too_long[sizeof(struct sockaddr_storage) + 1] = {0};
	const struct sockaddr_un *found;
	if (is_before_the_security_update())
		return;
	begin(0);
	CHECK_EQUAL(bufferevent_socket_set_conn_address_(bev, &address.any, sizeof address.un), 0);
	found = (const struct sockaddr_un *)bufferevent_socket_get_conn_address_(bev);
	CHECK_STRING(found->sun_path, address.un.sun_path);
	CHECK_EQUAL(bufferevent_socket_set_conn_address_(bev, (struct sockaddr *)too_long, sizeof too_long), EVUTIL_EAI_FAIL);
	CHECK_STRING(found->sun_path, address.un.sun_path);
	end();
}

/* Buffers. */
static int changes;

static void
count_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)buffer;
	(void)info;
	(void)arg;
	changes++;
}

CASE(a_buffer_with_a_queued_notification_keeps_its_parent, EVERY_BACKEND)
{
	struct evbuffer *buffer = evbuffer_new();
	struct private_part *part;
	begin(0);
	part = (struct private_part *)bev;
	evbuffer_set_parent_(buffer, bev);
	CHECK(evbuffer_add_cb(buffer, count_change, NULL));
	CHECK_EQUAL(evbuffer_defer_callbacks(buffer, base), 0);
	evbuffer_add(buffer, "data", 4);
	CHECK_EQUAL(part->references, 2);
	bufferevent_free(bev);
	CHECK_EQUAL(part->references, 1);
	CHECK_EQUAL(changes, 0);
	settle();
	CHECK_EQUAL(changes, 1);
	CHECK(!is_open(ends[0]));
	evbuffer_set_parent_(buffer, NULL);
	evbuffer_add(buffer, "data", 4);
	settle();
	CHECK_EQUAL(changes, 2);
	evbuffer_free(buffer);
	close(ends[1]);
	finish();
}
