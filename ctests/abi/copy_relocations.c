/* compile: -fno-pic -no-pie */
/* An executable that reads and writes the library's exported variables directly: the linker puts
 * them into the executable then, and the library must use them there. */
#include "observe.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_struct.h>
#include <event2/event_compat.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <pthread.h>
#include <stdint.h>

/* Exported, though in no header. */
extern struct evthread_lock_callbacks evthread_lock_fns_;
extern struct evthread_condition_callbacks evthread_cond_fns_;
extern unsigned long (*evthread_id_fn_)(void);
extern int evthread_lock_debugging_enabled_;
extern uint32_t event_debug_logging_mask_;
extern int event_debug_mode_on_;
extern int event_debug_created_threadable_ctx_;
extern struct event_base *event_global_current_base_;
extern void *(*volatile evutil_memset_volatile_)(void *, int, size_t);
void evutil_memclear_(void *memory, size_t size);

/* Constants: of bufferevents 72 bytes, which begin with the name of the kind, and of backends 64. */
struct table {
	const char *name;
	char functions[64];
};
extern const struct table bufferevent_ops_socket, bufferevent_ops_pair, bufferevent_ops_filter;
extern const struct table epollops, pollops, selectops, nil_eventop;

/* Where the executable begins and ends in memory. */
extern char __executable_start, _end;

#define OWN (ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)

static int
in_the_executable(const void *variable)
{
	return (const char *)variable >= &__executable_start && (const char *)variable < &_end;
}

CASE(variables_are_in_the_executable, OWN)
{
	CHECK(in_the_executable(&evthread_lock_fns_));
	CHECK(in_the_executable(&evthread_cond_fns_));
	CHECK(in_the_executable(&evthread_id_fn_));
	CHECK(in_the_executable(&evthread_lock_debugging_enabled_));
	CHECK(in_the_executable(&event_debug_logging_mask_));
	CHECK(in_the_executable(&event_debug_mode_on_));
	CHECK(in_the_executable(&event_debug_created_threadable_ctx_));
	CHECK(in_the_executable(&event_global_current_base_));
	CHECK(in_the_executable((const void *)&evutil_memset_volatile_));
	CHECK(in_the_executable(&bufferevent_ops_socket));
	CHECK(in_the_executable(&bufferevent_ops_pair));
	CHECK(in_the_executable(&bufferevent_ops_filter));
	CHECK(in_the_executable(&epollops));
	CHECK(in_the_executable(&pollops));
	CHECK(in_the_executable(&selectops));
	CHECK(in_the_executable(&nil_eventop));
}

CASE(variables_begin_as_zero, OWN)
{
	CHECK(!evthread_lock_fns_.alloc && !evthread_lock_fns_.lock && !evthread_lock_fns_.lock_api_version);
	CHECK(!evthread_cond_fns_.alloc_condition && !evthread_cond_fns_.wait_condition);
	CHECK(!evthread_id_fn_);
	CHECK_EQUAL(evthread_lock_debugging_enabled_, 0);
	CHECK_EQUAL(event_debug_logging_mask_, 0);
	CHECK_EQUAL(event_debug_mode_on_, 0);
	CHECK_EQUAL(event_debug_created_threadable_ctx_, 0);
	CHECK(!event_global_current_base_);
}

CASE(library_writes_are_seen, OWN)
{
	struct event_base *base;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK(evthread_lock_fns_.alloc && evthread_lock_fns_.free && evthread_lock_fns_.lock && evthread_lock_fns_.unlock);
	CHECK_EQUAL(evthread_lock_fns_.lock_api_version, EVTHREAD_LOCK_API_VERSION);
	CHECK_EQUAL(evthread_lock_fns_.supported_locktypes, EVTHREAD_LOCKTYPE_RECURSIVE);
	CHECK(evthread_cond_fns_.alloc_condition && evthread_cond_fns_.wait_condition);
	CHECK_EQUAL(evthread_cond_fns_.condition_api_version, EVTHREAD_CONDITION_API_VERSION);
	CHECK(evthread_id_fn_ && evthread_id_fn_() == (unsigned long)pthread_self());
	event_enable_debug_logging(EVENT_DBG_ALL);
	CHECK_EQUAL(event_debug_logging_mask_, EVENT_DBG_ALL);
	event_enable_debug_logging(EVENT_DBG_NONE);
	CHECK_EQUAL(event_debug_logging_mask_, 0);
	event_enable_debug_mode();
	CHECK_EQUAL(event_debug_mode_on_, 1);
	base = event_init();
	CHECK(event_global_current_base_ == base);
	CHECK_EQUAL(event_debug_created_threadable_ctx_, 1);
	event_base_free(base);
	CHECK(!event_global_current_base_);
	libevent_global_shutdown();
	CHECK_EQUAL(event_debug_mode_on_, 0);
}

CASE(lock_debugging_is_seen, OWN)
{
	void *(*plain_alloc)(unsigned);

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	plain_alloc = evthread_lock_fns_.alloc;
	evthread_enable_lock_debugging();
	CHECK_EQUAL(evthread_lock_debugging_enabled_, 1);
	CHECK(evthread_lock_fns_.alloc && evthread_lock_fns_.alloc != plain_alloc);
}

static int debug_messages;

static void
count_debug_message(int severity, const char *message)
{
	(void)message;
	debug_messages += severity == EVENT_LOG_DEBUG;
}

static int
debug_messages_of_an_event(void)
{
	struct event_base *base = event_base_new();
	int ends[2];

	debug_messages = 0;
	make_pipe(ends);
	event_base_once(base, ends[1], EV_WRITE, ignore_event, NULL, NULL);
	event_base_dispatch(base);
	event_base_free(base);
	return debug_messages;
}

CASE(written_debug_mask_is_used, OWN)
{
	event_set_log_callback(count_debug_message);
	event_debug_logging_mask_ = 1;
	CHECK(debug_messages_of_an_event() > 0);
	event_debug_logging_mask_ = 0;
	CHECK_EQUAL(debug_messages_of_an_event(), 0);
}

static int allocated, freed, locked, unlocked, asked_for_id;
static int lock_object;

static void *
alloc_lock(unsigned kind)
{
	(void)kind;
	allocated++;
	return &lock_object;
}

static void
free_lock(void *lock, unsigned kind)
{
	(void)kind;
	CHECK(lock == &lock_object);
	freed++;
}

static int
lock_lock(unsigned mode, void *lock)
{
	CHECK(mode == 0 && lock == &lock_object);
	locked++;
	return 0;
}

static int
unlock_lock(unsigned mode, void *lock)
{
	CHECK(mode == 0 && lock == &lock_object);
	unlocked++;
	return 0;
}

static unsigned long
the_only_thread(void)
{
	asked_for_id++;
	return 1;
}

CASE(written_callbacks_are_used, OWN)
{
	static const struct evthread_lock_callbacks callbacks = {
		EVTHREAD_LOCK_API_VERSION, 0, alloc_lock, free_lock, lock_lock, unlock_lock};
	struct event_base *base;

	evthread_lock_fns_ = callbacks;
	evthread_id_fn_ = the_only_thread;
	base = event_base_new();
	CHECK_EQUAL(allocated, 1);
	event_base_once(base, -1, EV_TIMEOUT, ignore_event, NULL, NULL);
	event_base_dispatch(base);
	event_base_free(base);
	CHECK_EQUAL(freed, 1);
	CHECK(locked > 0 && locked == unlocked);
	CHECK(asked_for_id > 0);
}

CASE(written_current_base_is_used, OWN)
{
	struct event_base *base = event_base_new();
	struct event ev;

	event_global_current_base_ = base;
	event_set(&ev, -1, 0, ignore_event, NULL);
	CHECK(ev.ev_base == base);
	CHECK_EQUAL(event_dispatch(), 1);
	CHECK_STRING(event_get_method(), event_base_get_method(base));
	event_base_free(NULL);
	CHECK(!event_global_current_base_);
}

static int cleared;

static void *
count_clearing(void *memory, int byte, size_t size)
{
	cleared++;
	return memset(memory, byte, size);
}

CASE(written_function_is_used, OWN)
{
	char memory[4] = "abc";

	CHECK(evutil_memset_volatile_ == memset);
	evutil_memset_volatile_ = count_clearing;
	evutil_memclear_(memory, sizeof memory);
	CHECK_EQUAL(cleared, 1);
	CHECK(!memcmp(memory, "\0\0\0", 4));
}

static enum bufferevent_filter_result
pass_on(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	(void)limit, (void)mode, (void)arg;
	return evbuffer_add_buffer(to, from) == 0 ? BEV_OK : BEV_ERROR;
}

/* The library tells kinds of bufferevents by the addresses of their tables, which are ours here. */
CASE(kinds_are_known_by_the_copied_tables, OWN)
{
	struct event_base *base = event_base_new();
	struct bufferevent *socket = bufferevent_socket_new(base, -1, 0), *pair[2], *filter;

	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	filter = bufferevent_filter_new(socket, pass_on, pass_on, 0, NULL, NULL);
	CHECK(socket->be_ops == (const void *)&bufferevent_ops_socket);
	CHECK(pair[0]->be_ops == (const void *)&bufferevent_ops_pair);
	CHECK(filter->be_ops == (const void *)&bufferevent_ops_filter);
	CHECK(bufferevent_pair_get_partner(pair[0]) == pair[1]);
	CHECK(!bufferevent_pair_get_partner(socket));
	CHECK(bufferevent_get_underlying(filter) == socket);
	CHECK(!bufferevent_get_underlying(pair[0]));
	bufferevent_free(filter);
	bufferevent_free(socket);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_free(base);
}

CASE(copied_tables_have_their_content, OWN)
{
	printf("%s %s %s\n", bufferevent_ops_socket.name, bufferevent_ops_pair.name, bufferevent_ops_filter.name);
	printf("%s %s %s %s\n", epollops.name, pollops.name, selectops.name, nil_eventop.name);
}
