/* Listeners that several threads use: what waits for what, and when things end. */
#include "tools.h"

#include <event2/thread.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

/* Exported by the library. */
extern struct evthread_lock_callbacks evthread_lock_fns_;

static sem_t in_callback;
static int stopped, late;

static void
accept_slowly(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	late += __atomic_load_n(&stopped, __ATOMIC_SEQ_CST);
	count_and_close(self, fd, address, length, arg);
	sem_post(&in_callback);
	usleep(20000);
}

static void *
disable_elsewhere(void *arg)
{
	(void)arg;
	sem_wait(&in_callback);
	CHECK_EQUAL(evconnlistener_disable(listener), 0);
	__atomic_store_n(&stopped, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *
free_elsewhere(void *arg)
{
	(void)arg;
	sem_wait(&in_callback);
	evconnlistener_free(listener);
	__atomic_store_n(&stopped, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void
run_against(void *(*body)(void *))
{
	pthread_t thread;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	sem_init(&in_callback, 0, 0);
	make_listener(LEV_OPT_THREADSAFE | LEV_OPT_CLOSE_ON_FREE, accept_slowly);
	connect_clients();
	CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	pthread_join(thread, NULL);
	CHECK(accepted >= 1);
}

DIFFERENCE(disable_from_another_thread, ONE_BACKEND,
	"evconnlistener_disable in one thread during the callback in another one hangs both")
{
	run_against(disable_elsewhere);
	CHECK_EQUAL(late, 0);
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(free_from_another_thread, ONE_BACKEND)
{
	run_against(free_elsewhere);
	event_base_free(base);
}

static void *
run_base(void *arg)
{
	(void)arg;
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
	return NULL;
}

/* Enabling, freeing and new callbacks reach a loop that waits. */
CASE(calls_from_another_thread, EVERY_BACKEND)
{
	pthread_t thread;
	int client;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	sem_init(&in_callback, 0, 0);
	make_listener(LEV_OPT_THREADSAFE | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_DISABLED, accept_slowly);
	client = connect_to(evconnlistener_get_fd(listener));
	CHECK(pthread_create(&thread, NULL, run_base, NULL) == 0);
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	sem_wait(&in_callback);
	close(client);
	evconnlistener_set_cb(listener, accept_slowly, NULL);
	client = connect_to(evconnlistener_get_fd(listener));
	sem_wait(&in_callback);
	close(client);
	evconnlistener_free(listener);
	event_base_loopexit(base, NULL);
	pthread_join(thread, NULL);
	CHECK_EQUAL(accepted, 2);
	event_base_free(base);
}

static void
accept_and_see(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	count_and_close(self, fd, address, length, arg);
	if (__atomic_load_n(&stopped, __ATOMIC_SEQ_CST))
		late++;
}

/* Again and again: no callback begins after disabling has returned. */
DIFFERENCE(no_callback_after_disabling, ONE_BACKEND,
	"evconnlistener_disable in one thread during the callback in another one hangs both")
{
	pthread_t thread;
	int i, j, client[4];

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	make_listener(LEV_OPT_THREADSAFE | LEV_OPT_CLOSE_ON_FREE, accept_and_see);
	CHECK(pthread_create(&thread, NULL, run_base, NULL) == 0);
	for (i = 0; i < 500; i++) {
		for (j = 0; j < 4; j++)
			client[j] = connect_to(evconnlistener_get_fd(listener));
		CHECK_EQUAL(evconnlistener_disable(listener), 0);
		__atomic_store_n(&stopped, 1, __ATOMIC_SEQ_CST);
		sched_yield();
		for (j = 0; j < 4; j++)
			close(client[j]);
		__atomic_store_n(&stopped, 0, __ATOMIC_SEQ_CST);
		CHECK_EQUAL(evconnlistener_enable(listener), 0);
	}
	evconnlistener_free(listener);
	event_base_loopexit(base, NULL);
	pthread_join(thread, NULL);
	CHECK_EQUAL(late, 0);
	event_base_free(base);
}

/* --- What does not wait for a callback. --------------------------------------------------------- */

static sem_t done;
static int callback_over;

static int
wait_long(sem_t *semaphore)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 30;
	return sem_timedwait(semaphore, &end);
}

/* A callback that waits for a thread which uses the listener. */
static void
accept_and_wait(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	count_and_close(self, fd, address, length, arg);
	sem_post(&in_callback);
	CHECK(wait_long(&done) == 0);
	event_base_loopbreak(base);
}

static void *
use_and_free(void *arg)
{
	(void)arg;
	CHECK(wait_long(&in_callback) == 0);
	CHECK(evconnlistener_get_base(listener) == base);
	CHECK(is_open(evconnlistener_get_fd(listener)));
	CHECK_EQUAL(evconnlistener_enable(listener), 0);
	evconnlistener_set_cb(listener, count_and_close, NULL);
	evconnlistener_set_error_cb(listener, NULL);
	evconnlistener_free(listener);
	sem_post(&done);
	return NULL;
}

static void
use_during_callback(unsigned flags)
{
	pthread_t thread;
	int i;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	sem_init(&in_callback, 0, 0);
	sem_init(&done, 0, 0);
	make_listener(flags | LEV_OPT_CLOSE_ON_FREE, accept_and_wait);
	connect_clients();
	CHECK(pthread_create(&thread, NULL, use_and_free, NULL) == 0);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	pthread_join(thread, NULL);
	CHECK_EQUAL(accepted, 1);
	for (i = 0; i < 5; i++)
		CHECK(peer_is_gone(clients[i]));
	event_base_free(base);
}

CASE(a_thread_need_not_wait_for_the_callback, ONE_BACKEND)
{
	use_during_callback(LEV_OPT_THREADSAFE);
}

static void
accept_and_take_time(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	count_and_close(self, fd, address, length, arg);
	sem_post(&in_callback);
	usleep(20000);
	__atomic_store_n(&callback_over, 1, __ATOMIC_SEQ_CST);
}

static void *
disable_and_look(void *arg)
{
	(void)arg;
	CHECK(wait_long(&in_callback) == 0);
	CHECK_EQUAL(evconnlistener_disable(listener), 0);
	CHECK(__atomic_load_n(&callback_over, __ATOMIC_SEQ_CST));
	return NULL;
}

/* Disabling waits, with and without a lock. */
static void
disable_during_callback(unsigned flags)
{
	pthread_t thread;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	sem_init(&in_callback, 0, 0);
	make_listener(flags | LEV_OPT_CLOSE_ON_FREE, accept_and_take_time);
	close(connect_to(evconnlistener_get_fd(listener)));
	CHECK(pthread_create(&thread, NULL, disable_and_look, NULL) == 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	pthread_join(thread, NULL);
	evconnlistener_free(listener);
	event_base_free(base);
}

CASE(disabling_waits_for_the_callback, ONE_BACKEND | RACES)
{
	disable_during_callback(0);
}

DIFFERENCE(disabling_waits_for_the_callback_with_a_lock, ONE_BACKEND,
	   "evconnlistener_disable in one thread during the callback in another one hangs both")
{
	disable_during_callback(LEV_OPT_THREADSAFE);
}

/* --- Freeing at any moment. ------------------------------------------------------------------------- */

enum { ROUNDS = 300, CONNECTIONS = 3 };

/* What a listener's callbacks use; freed when none can be running any more. */
struct context {
	int calls;
	int over;
};

static void
accept_in_context(struct evconnlistener *self, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct context *context = arg;

	(void)self;
	(void)address;
	(void)length;
	CHECK(!__atomic_load_n(&context->over, __ATOMIC_SEQ_CST));
	__atomic_add_fetch(&context->calls, 1, __ATOMIC_SEQ_CST);
	close(fd);
}

static void
error_in_context(struct evconnlistener *self, void *arg)
{
	struct context *context = arg;

	(void)self;
	CHECK(!__atomic_load_n(&context->over, __ATOMIC_SEQ_CST));
	__atomic_add_fetch(&context->calls, 1, __ATOMIC_SEQ_CST);
}

static void
post(evutil_socket_t fd, short what, void *semaphore)
{
	(void)fd;
	(void)what;
	sem_post(semaphore);
}

/* Waits until the loop has ended the callback that it is in. */
static void
pass_by_the_loop(void)
{
	struct timeval now = {0, 0};

	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, post, &done, &now), 0);
	CHECK(wait_long(&done) == 0);
}

/* Before, while or after it delivers, depending on how long the round waits. */
static void
free_in_round(int round, unsigned flags)
{
	struct context *context = calloc(1, sizeof *context);
	union any_address address;
	int client[CONNECTIONS], length = abstract_address("round", &address), i, calls;

	listener = evconnlistener_new_bind(base, accept_in_context, context, flags | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_THREADSAFE,
					   -1, &address.any, length);
	CHECK(listener);
	for (i = 0; i < CONNECTIONS; i++)
		client[i] = connect_to(evconnlistener_get_fd(listener));
	if (flags & LEV_OPT_DISABLED)
		evconnlistener_enable(listener);
	for (i = 0; i < round % 20; i++)
		sched_yield();
	evconnlistener_free(listener);
	pass_by_the_loop();
	__atomic_store_n(&context->over, 1, __ATOMIC_SEQ_CST);
	calls = __atomic_load_n(&context->calls, __ATOMIC_SEQ_CST);
	CHECK(calls >= 0 && calls <= CONNECTIONS);
	free(context);
	/* Delivered ones were closed by the callback, the others with the listener. */
	for (i = 0; i < CONNECTIONS; i++) {
		CHECK(peer_is_gone(client[i]));
		close(client[i]);
	}
}

static void
fail_in_round(int round)
{
	struct context *context = calloc(1, sizeof *context);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), i;

	listener = evconnlistener_new(base, accept_in_context, context,
				      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_THREADSAFE | LEV_OPT_DISABLED, 0, fd);
	CHECK(listener);
	evconnlistener_set_error_cb(listener, error_in_context);
	evconnlistener_enable(listener);
	for (i = 0; i < round % 20; i++)
		sched_yield();
	evconnlistener_free(listener);
	pass_by_the_loop();
	__atomic_store_n(&context->over, 1, __ATOMIC_SEQ_CST);
	free(context);
	CHECK(!is_open(fd));
}

/* The lock that was made last, which the loop does not take before the main thread has it. */
static int (*real_lock)(unsigned mode, void *lock);
static void *(*real_alloc)(unsigned type);
static void *watched;
static int is_watching, is_freeing;
static pthread_t loop_thread;
static sem_t about_to_lock, locked_elsewhere;

static void *
note_alloc(unsigned type)
{
	return watched = real_alloc(type);
}

static int
watched_lock(unsigned mode, void *lock)
{
	int in_loop = __atomic_load_n(&is_watching, __ATOMIC_SEQ_CST) && pthread_equal(pthread_self(), loop_thread), result;

	if (in_loop && lock == watched) {
		__atomic_store_n(&is_watching, 0, __ATOMIC_SEQ_CST);
		sem_post(&about_to_lock);
		wait_long(&locked_elsewhere);
	}
	result = real_lock(mode, lock);
	if (!in_loop && is_freeing && lock == watched) {
		is_freeing = 0;
		sem_post(&locked_elsewhere);
	}
	return result;
}

static void
watch_locks(void)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	sem_init(&about_to_lock, 0, 0);
	sem_init(&locked_elsewhere, 0, 0);
	real_alloc = evthread_lock_fns_.alloc;
	real_lock = evthread_lock_fns_.lock;
	evthread_lock_fns_.alloc = note_alloc;
	evthread_lock_fns_.lock = watched_lock;
}

/* The callback of the event has begun, and that of the listener has not. */
static void
free_at_the_worst_moment(void)
{
	struct context context = {0, 0};
	union any_address address;
	int length = abstract_address("worst", &address), client;

	listener = evconnlistener_new_bind(base, accept_in_context, &context,
					   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_THREADSAFE | LEV_OPT_DISABLED, -1, &address.any, length);
	CHECK(listener);
	client = connect_to(evconnlistener_get_fd(listener));
	__atomic_store_n(&is_watching, 1, __ATOMIC_SEQ_CST);
	evconnlistener_enable(listener);
	CHECK(wait_long(&about_to_lock) == 0);
	is_freeing = 1;
	evconnlistener_free(listener);
	pass_by_the_loop();
	CHECK_EQUAL(context.calls, 0);
	CHECK(peer_is_gone(client));
	close(client);
}

static void
in_rounds(void (*play)(int round))
{
	int round;

	watch_locks();
	sem_init(&done, 0, 0);
	base = event_base_new();
	CHECK(pthread_create(&loop_thread, NULL, run_base, NULL) == 0);
	free_at_the_worst_moment();
	for (round = 0; round < ROUNDS; round++)
		play(round);
	event_base_loopexit(base, NULL);
	pthread_join(loop_thread, NULL);
	event_base_free(base);
}

#define HANGS "evconnlistener_free in another thread hangs when the loop is about to accept"

static void
free_while_delivering(int round)
{
	free_in_round(round, 0);
}

DIFFERENCE(freed_while_the_loop_delivers, EVERY_BACKEND | OWN_LOCKS, HANGS)
{
	in_rounds(free_while_delivering);
}

static void
free_after_enabling(int round)
{
	free_in_round(round, LEV_OPT_DISABLED);
}

DIFFERENCE(freed_after_enabling, ONE_BACKEND | OWN_LOCKS, HANGS)
{
	in_rounds(free_after_enabling);
}

DIFFERENCE(freed_while_accepting_fails, ONE_BACKEND | OWN_LOCKS, HANGS)
{
	in_rounds(fail_in_round);
}
