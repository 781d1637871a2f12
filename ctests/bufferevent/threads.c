/* Thread-safe bufferevents: other threads than the loop's use them. */
#include "tools.h"

#include <event2/thread.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { THREADS = 4, MESSAGES = 2000 };

static int ends[2];
static struct bufferevent *bev;

static void
make_threads(void)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	make_base();
}

static void *
run_base(void *run)
{
	CHECK_EQUAL(event_base_loop(run, EVLOOP_NO_EXIT_ON_EMPTY), 0);
	return NULL;
}

static pthread_t
start(void *(*body)(void *), void *arg)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, body, arg) == 0);
	return thread;
}

static void
stop_base(struct event_base *run, pthread_t thread)
{
	event_base_loopexit(run, NULL);
	pthread_join(thread, NULL);
}

static void *
write_messages(void *number)
{
	char message[8];
	int i;

	for (i = 0; i < MESSAGES; i++) {
		memset(message, 'a' + (int)(long)number, sizeof message);
		CHECK_EQUAL(bufferevent_write(bev, message, sizeof message), 0);
	}
	return NULL;
}

/* Messages of several threads arrive whole. */
static void
several_writers(int options)
{
	static char data[THREADS * MESSAGES * 8];
	pthread_t loop, writers[THREADS];
	int i, got = 0, count[THREADS] = {0}, flags;

	make_threads();
	make_connection(AF_INET, ends);
	flags = fcntl(ends[1], F_GETFL);
	fcntl(ends[1], F_SETFL, flags & ~O_NONBLOCK);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE | options);
	CHECK(bev);
	loop = start(run_base, base);
	for (i = 0; i < THREADS; i++)
		writers[i] = start(write_messages, (void *)(long)i);
	while (got < (int)sizeof data) {
		int now = (int)recv(ends[1], data + got, sizeof data - got, 0);
		CHECK(now > 0);
		got += now;
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(writers[i], NULL);
	for (i = 0; i < got; i += 8) {
		CHECK(!memcmp(data + i, data + i + 1, 7));
		count[data[i] - 'a']++;
	}
	for (i = 0; i < THREADS; i++)
		CHECK_EQUAL(count[i], MESSAGES);
	bufferevent_free(bev);
	stop_base(base, loop);
	finish();
	close(ends[1]);
}

CASE(several_threads_write, EVERY_BACKEND)
{
	several_writers(0);
}

CASE(several_threads_write_deferred, ONE_BACKEND)
{
	several_writers(BEV_OPT_DEFER_CALLBACKS);
}

CASE(several_threads_write_unlocked, ONE_BACKEND)
{
	several_writers(BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
}

static sem_t announced;

static void
announce_read(struct bufferevent *self, void *arg)
{
	(void)arg;
	evbuffer_drain(bufferevent_get_input(self), 100);
	sem_post(&announced);
}

static void
print_event(struct bufferevent *self, short what, void *arg)
{
	(void)self;
	(void)arg;
	printf("event %s\n", event_names(what));
	sem_post(&announced);
}

/* Each call from another thread reaches a loop that waits. */
CASE(calls_reach_a_waiting_loop, EVERY_BACKEND)
{
	struct timeval time = {0, 20000};
	pthread_t loop;
	char byte;
	int i;

	make_threads();
	sem_init(&announced, 0, 0);
	make_connection(0, ends);
	fcntl(ends[1], F_SETFL, 0);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
	bufferevent_setcb(bev, announce_read, NULL, print_event, NULL);
	loop = start(run_base, base);
	for (i = 0; i < 20; i++) {
		bufferevent_write(bev, "x", 1);
		CHECK(recv(ends[1], &byte, 1, 0) == 1);
	}
	send_all(ends[1], "y", 1);
	bufferevent_enable(bev, EV_READ);
	sem_wait(&announced);
	bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
	sem_wait(&announced);
	bufferevent_set_timeouts(bev, &time, NULL);
	sem_wait(&announced);
	bufferevent_enable(bev, EV_READ);
	shutdown(ends[1], SHUT_WR);
	sem_wait(&announced);
	bufferevent_free(bev);
	while (is_open(ends[0]))
		usleep(100);
	stop_base(base, loop);
	finish();
	close(ends[1]);
}

static void
slow_read(struct bufferevent *self, void *arg)
{
	(void)arg;
	evbuffer_drain(bufferevent_get_input(self), 100);
	sem_post(&announced);
	usleep(1000);
}

/* Another thread disables, changes and frees while callbacks run. */
CASE(changes_during_callbacks, ONE_BACKEND)
{
	pthread_t loop;
	int i;

	make_threads();
	sem_init(&announced, 0, 0);
	loop = start(run_base, base);
	for (i = 0; i < 30; i++) {
		make_connection(0, ends);
		bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE |
							    (i % 2 ? BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS : 0));
		bufferevent_setcb(bev, slow_read, NULL, NULL, NULL);
		bufferevent_enable(bev, EV_READ);
		send_all(ends[1], "x", 1);
		sem_wait(&announced);
		bufferevent_disable(bev, EV_READ);
		bufferevent_enable(bev, EV_READ);
		send_all(ends[1], "x", 1);
		sem_wait(&announced);
		bufferevent_setfd(bev, ends[0]);
		bufferevent_free(bev);
		close(ends[1]);
	}
	stop_base(base, loop);
	finish();
}

/* Two loops in two threads talk to each other. */
static struct event_base *bases[THREADS];
static int rounds[THREADS];
static sem_t done;

static void
echo(struct bufferevent *self, void *count)
{
	if (++*(int *)count < 500)
		bufferevent_write_buffer(self, bufferevent_get_input(self));
	else
		sem_post(&done);
}

CASE(loop_per_thread, EVERY_BACKEND)
{
	struct bufferevent *sides[THREADS];
	pthread_t loops[THREADS];
	int i;

	make_threads();
	sem_init(&done, 0, 0);
	for (i = 0; i < THREADS; i += 2) {
		int side;

		make_connection(AF_INET, ends);
		for (side = 0; side < 2; side++) {
			bases[i + side] = event_base_new();
			sides[i + side] = bufferevent_socket_new(bases[i + side], ends[side],
								 BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
			bufferevent_setcb(sides[i + side], echo, NULL, NULL, &rounds[i + side]);
			bufferevent_enable(sides[i + side], EV_READ);
		}
	}
	for (i = 0; i < THREADS; i++)
		loops[i] = start(run_base, bases[i]);
	for (i = 0; i < THREADS; i += 2)
		bufferevent_write(sides[i], "ball", 4);
	for (i = 0; i < THREADS; i += 2)
		sem_wait(&done);
	for (i = 0; i < THREADS; i++) {
		bufferevent_free(sides[i]);
		stop_base(bases[i], loops[i]);
		event_base_free(bases[i]);
	}
	finish();
}

/* Both halves of a pair are written to by threads. */
static struct bufferevent *pair[2];
static int read_by[2];

static void
count_read(struct bufferevent *self, void *count)
{
	int length = (int)evbuffer_get_length(bufferevent_get_input(self));

	evbuffer_drain(bufferevent_get_input(self), length);
	*(int *)count += length;
	if (read_by[0] == 8 * MESSAGES && read_by[1] == 8 * MESSAGES)
		sem_post(&done);
}

static void *
write_to_half(void *half)
{
	int i;

	for (i = 0; i < MESSAGES; i++)
		CHECK_EQUAL(bufferevent_write(half, "messages", 8), 0);
	return NULL;
}

CASE(pair_between_threads, ONE_BACKEND)
{
	pthread_t loop, writers[2];
	int i;

	make_threads();
	sem_init(&done, 0, 0);
	CHECK_EQUAL(bufferevent_pair_new(base, BEV_OPT_THREADSAFE, pair), 0);
	for (i = 0; i < 2; i++) {
		bufferevent_setcb(pair[i], count_read, NULL, NULL, &read_by[i]);
		bufferevent_enable(pair[i], EV_READ);
	}
	loop = start(run_base, base);
	for (i = 0; i < 2; i++)
		writers[i] = start(write_to_half, pair[i]);
	for (i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	sem_wait(&done);
	stop_base(base, loop);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	finish();
}

/* Members of a group live on loops of several threads. */
CASE(group_across_threads, ONE_BACKEND)
{
	struct timeval tick = {0, 5000};
	struct ev_token_bucket_cfg *cfg = ev_token_bucket_cfg_new(4000, 4000, 4000, 4000, &tick);
	struct bufferevent_rate_limit_group *group;
	struct bufferevent *members[THREADS];
	pthread_t loops[THREADS], main_loop;
	int peers[THREADS], i;
	static char data[20000];
	size_t got;
	ev_uint64_t written;

	make_threads();
	group = bufferevent_rate_limit_group_new(base, cfg);
	for (i = 0; i < THREADS; i++) {
		make_connection(0, ends);
		peers[i] = ends[1];
		fcntl(ends[1], F_SETFL, 0);
		bases[i] = event_base_new();
		members[i] = bufferevent_socket_new(bases[i], ends[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
		CHECK_EQUAL(bufferevent_add_to_rate_limit_group(members[i], group), 0);
		bufferevent_write(members[i], data, sizeof data);
		loops[i] = start(run_base, bases[i]);
	}
	main_loop = start(run_base, base);
	for (i = 0; i < THREADS; i++) {
		bufferevent_rate_limit_group_get_totals(group, NULL, &written);
		CHECK(written <= THREADS * sizeof data);
		for (got = 0; got < sizeof data;) {
			ssize_t now = recv(peers[i], data, sizeof data - got, 0);

			CHECK(now > 0);
			got += (size_t)now;
		}
		/* Waits for the callback that has counted it. */
		bufferevent_lock(members[i]);
		bufferevent_unlock(members[i]);
	}
	bufferevent_rate_limit_group_get_totals(group, NULL, &written);
	CHECK_EQUAL(written, THREADS * sizeof data);
	bufferevent_rate_limit_group_reset_totals(group);
	for (i = 0; i < THREADS; i++) {
		bufferevent_remove_from_rate_limit_group(members[i]);
		bufferevent_free(members[i]);
		stop_base(bases[i], loops[i]);
		event_base_free(bases[i]);
	}
	stop_base(base, main_loop);
	bufferevent_rate_limit_group_free(group);
	ev_token_bucket_cfg_free(cfg);
	finish();
}

/* With unlocked callbacks another thread uses the bufferevent while one runs. */
static sem_t proceed;

static void
wait_for_the_other(struct bufferevent *self, void *arg)
{
	(void)self;
	(void)arg;
	sem_post(&announced);
	sem_wait(&proceed);
	printf("callback ends\n");
}

static void *
use_meanwhile(void *arg)
{
	(void)arg;
	sem_wait(&announced);
	CHECK_EQUAL(bufferevent_write(bev, "x", 1), 0);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), 1);
	bufferevent_lock(bev);
	bufferevent_unlock(bev);
	printf("used meanwhile\n");
	sem_post(&proceed);
	return NULL;
}

CASE(unlocked_callbacks, ONE_BACKEND)
{
	pthread_t other;

	make_threads();
	sem_init(&announced, 0, 0);
	sem_init(&proceed, 0, 0);
	make_connection(0, ends);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS |
						    BEV_OPT_UNLOCK_CALLBACKS);
	bufferevent_setcb(bev, wait_for_the_other, NULL, NULL, NULL);
	bufferevent_enable(bev, EV_READ);
	bufferevent_disable(bev, EV_WRITE);
	send_all(ends[1], "x", 1);
	other = start(use_meanwhile, NULL);
	settle();
	pthread_join(other, NULL);
	bufferevent_free(bev);
	finish();
	close(ends[1]);
}

/* How many locks this thread holds. */
static __thread int held;
static int (*real_lock)(unsigned mode, void *lock);
static int (*real_unlock)(unsigned mode, void *lock);

static int
count_lock(unsigned mode, void *lock)
{
	int result = real_lock(mode, lock);

	held += result == 0;
	return result;
}

static int
count_unlock(unsigned mode, void *lock)
{
	held--;
	return real_unlock(mode, lock);
}

static int seen;

static void
show_event(struct bufferevent *self, short what, void *arg)
{
	(void)arg;
	printf("%s: %s\n", event_names(what), held ? "locked" : "unlocked");
	seen++;
	if (what & BEV_EVENT_CONNECTED)
		bufferevent_write(self, "x", 1);
}

static void
show_write(struct bufferevent *self, void *arg)
{
	(void)self;
	(void)arg;
	printf("write: %s\n", held ? "locked" : "unlocked");
	seen++;
}

static void
show_read(struct bufferevent *self, void *arg)
{
	(void)arg;
	printf("read: %s\n", held ? "locked" : "unlocked");
	evbuffer_drain(bufferevent_get_input(self), 1);
	seen++;
}

/* Exported by the library. */
extern struct evthread_lock_callbacks evthread_lock_fns_;
static void *(*real_alloc)(unsigned type);
static void (*real_free)(void *lock, unsigned type);
static int locks;

static void *
count_alloc(unsigned type)
{
	locks++;
	return real_alloc(type);
}

static void
count_free(void *lock, unsigned type)
{
	locks--;
	real_free(lock, type);
}

static void
show_locks(int options)
{
	union any_address address;
	socklen_t length;
	int listener = listen_on(AF_INET, &address, &length), server;

	seen = 0;
	bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE | options);
	bufferevent_setcb(bev, show_read, show_write, show_event, NULL);
	bufferevent_enable(bev, EV_READ);
	CHECK_EQUAL(bufferevent_socket_connect(bev, &address.any, length), 0);
	run_until(&seen, 2);
	server = accept(listener, NULL, NULL);
	send_all(server, "y", 1);
	run_until(&seen, 3);
	close(server);
	run_until(&seen, 4);
	bufferevent_free(bev);
	close(listener);
}

/* Callbacks for connecting, writing, reading and the end run with or without the lock, as the options say. */
CASE(locks_of_each_callback, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	real_lock = evthread_lock_fns_.lock;
	real_unlock = evthread_lock_fns_.unlock;
	evthread_lock_fns_.lock = count_lock;
	evthread_lock_fns_.unlock = count_unlock;
	make_base();
	show_locks(BEV_OPT_DEFER_CALLBACKS);
	show_locks(BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
	finish();
	CHECK_EQUAL(held, 0);
}

static struct bufferevent *above;

static void
put_filter_above(struct bufferevent *self, void *arg)
{
	(void)arg;
	above = bufferevent_filter_new(self, NULL, NULL, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE, NULL, NULL);
	CHECK(above);
}

/* As when TLS begins on a connection: the one below has no lock when its callback is called, and gets
 * one there. What is locked and unlocked then still matches. */
CASE(filter_made_in_a_callback, ONE_BACKEND | OWN_LOCKS)
{
	static const int options[] = {0, BEV_OPT_DEFER_CALLBACKS};
	size_t i;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	real_lock = evthread_lock_fns_.lock;
	real_unlock = evthread_lock_fns_.unlock;
	evthread_lock_fns_.lock = count_lock;
	evthread_lock_fns_.unlock = count_unlock;
	make_base();
	for (i = 0; i < sizeof options / sizeof *options; i++) {
		make_connection(AF_INET, ends);
		bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE | options[i]);
		bufferevent_setcb(bev, put_filter_above, NULL, NULL, NULL);
		bufferevent_enable(bev, EV_READ);
		send_all(ends[1], "x", 1);
		for (above = NULL; !above;)
			event_base_loop(base, EVLOOP_ONCE);
		CHECK_EQUAL(held, 0);
		bufferevent_free(above);
		event_base_loop(base, EVLOOP_NONBLOCK);
		CHECK_EQUAL(held, 0);
		close(ends[1]);
	}
	finish();
	CHECK_EQUAL(held, 0);
}

DIFFERENCE(refused_options_leave_no_lock, ONE_BACKEND | OWN_LOCKS,
	"bufferevent_socket_new that fails for its options leaks a lock")
{
	make_threads();
	real_alloc = evthread_lock_fns_.alloc;
	real_free = evthread_lock_fns_.free;
	evthread_lock_fns_.alloc = count_alloc;
	evthread_lock_fns_.free = count_free;
	CHECK(!bufferevent_socket_new(base, -1, BEV_OPT_THREADSAFE | BEV_OPT_UNLOCK_CALLBACKS));
	CHECK_EQUAL(locks, 0);
	finish();
}

/* The lock that is held by the thread of the case, and whether another one has come to wait for it. */
static __thread int notes_its_locks;
static void *last_locked;
static void *_Atomic held_lock;
static sem_t other_waits;

static int
note_lock(unsigned mode, void *lock)
{
	if (notes_its_locks)
		last_locked = lock;
	else if (lock == held_lock)
		sem_post(&other_waits);
	return real_lock(mode, lock);
}

/* The callback of a limit's timer waits for the lock of a bufferevent that its program moves to
 * another base and frees there: the loop of that one would not know of it. */
DIFFERENCE(moved_while_another_thread_is_on_its_way, ONE_BACKEND,
	"A bufferevent may be moved to another base, and freed, while the loop's thread is about to use it.")
{
	struct timeval tick = {0, 20000};
	struct ev_token_bucket_cfg *cfg = ev_token_bucket_cfg_new(3, 3, 3, 3, &tick);
	struct event_base *other;
	pthread_t thread;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	real_lock = evthread_lock_fns_.lock;
	evthread_lock_fns_.lock = note_lock;
	make_base();
	sem_init(&other_waits, 0, 0);
	other = event_base_new();
	make_connection(0, ends);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_THREADSAFE | BEV_OPT_CLOSE_ON_FREE);
	bufferevent_set_rate_limit(bev, cfg);
	bufferevent_disable(bev, EV_READ | EV_WRITE);
	bufferevent_decrement_read_limit(bev, 100);
	notes_its_locks = 1;
	bufferevent_lock(bev);
	held_lock = last_locked;
	thread = start(run_base, base);
	sem_wait(&other_waits); /* the tick has come */
	CHECK_EQUAL(bufferevent_base_set(other, bev), -1);
	CHECK(bufferevent_get_base(bev) == base);
	bufferevent_unlock(bev);
	/* In the end it is no longer queued. */
	bufferevent_set_rate_limit(bev, NULL);
	while (bufferevent_base_set(other, bev) == -1)
		usleep(1000);
	CHECK(bufferevent_get_base(bev) == other);
	bufferevent_free(bev);
	event_base_loop(other, EVLOOP_NONBLOCK);
	stop_base(base, thread);
	event_base_free(other);
	close(ends[1]);
	ev_token_bucket_cfg_free(cfg);
	finish();
}

/* A member that another thread holds when its group has bytes again is resumed later. */
static struct bufferevent *members[2];
static atomic_int holding_ends;

static void *
hold_a_member(void *arg)
{
	/* Long enough for the loop to run in the meantime. */
	struct timespec two_ticks = {0, 50000000}, moment = {0, 10000000};

	(void)arg;
	while (!holding_ends) {
		bufferevent_lock(members[0]);
		nanosleep(&two_ticks, NULL);
		bufferevent_unlock(members[0]);
		nanosleep(&moment, NULL);
	}
	return NULL;
}

static size_t arrived[2];

static void
count_arrived(struct bufferevent *member, void *count)
{
	struct evbuffer *input = bufferevent_get_input(member);

	*(size_t *)count += evbuffer_get_length(input);
	evbuffer_drain(input, evbuffer_get_length(input));
	if (arrived[0] + arrived[1] == 2 * 3000)
		event_base_loopbreak(base);
}

CASE(member_held_over_ticks_of_its_group, ONE_BACKEND)
{
	struct timeval tick = {0, 20000}, long_time = {10, 0};
	struct ev_token_bucket_cfg *cfg = ev_token_bucket_cfg_new(1000, 1000, 1000, 1000, &tick);
	struct bufferevent_rate_limit_group *group;
	static char block[3000];
	int sockets[2][2], i;
	pthread_t holder;

	make_threads();
	group = bufferevent_rate_limit_group_new(base, cfg);
	for (i = 0; i < 2; i++) {
		make_socketpair(sockets[i]);
		members[i] = bufferevent_socket_new(base, sockets[i][0], BEV_OPT_THREADSAFE | BEV_OPT_CLOSE_ON_FREE);
		bufferevent_setcb(members[i], count_arrived, NULL, NULL, &arrived[i]);
		bufferevent_add_to_rate_limit_group(members[i], group);
		send_all(sockets[i][1], block, sizeof block);
	}
	holder = start(hold_a_member, NULL);
	usleep(10000);
	for (i = 1; i >= 0; i--)
		bufferevent_enable(members[i], EV_READ);
	event_base_loopexit(base, &long_time);
	event_base_dispatch(base);
	holding_ends = 1;
	pthread_join(holder, NULL);
	CHECK_EQUAL(arrived[0], 3000);
	CHECK_EQUAL(arrived[1], 3000);
	for (i = 0; i < 2; i++) {
		bufferevent_remove_from_rate_limit_group(members[i]);
		bufferevent_free(members[i]);
		close(sockets[i][1]);
	}
	bufferevent_rate_limit_group_free(group);
	ev_token_bucket_cfg_free(cfg);
	finish();
}
