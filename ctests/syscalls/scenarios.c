/* What a loop does again and again, for counting its system calls: `scenarios NAME ROUNDS`. The counted
 * part is between two calls of getppid. */
#define _GNU_SOURCE
#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct event_base *base;
static int rounds, left;

static void
mark(void)
{
	getppid();
}

static void
make_pipe(int ends[2])
{
	int failed = pipe2(ends, O_NONBLOCK | O_CLOEXEC);
	assert(!failed);
	(void)failed;
}

static void
put(int fd)
{
	ssize_t written = write(fd, "x", 1);
	assert(written == 1);
	(void)written;
}

static void
take(int fd)
{
	char byte;
	ssize_t taken = read(fd, &byte, 1);
	assert(taken == 1);
	(void)taken;
}

static struct event *
add_reader(int fd, int what, event_callback_fn callback, void *arg)
{
	struct event *ev = event_new(base, fd, (short)what, callback, arg);
	assert(ev && event_add(ev, NULL) == 0);
	return ev;
}

static void
nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* A persistent event that is ready in every round. */
static void
answer(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	take(fd);
	if (--left)
		put(*(int *)arg);
	else
		event_base_loopbreak(base);
}

static void
persistent(void)
{
	int ends[2];
	make_pipe(ends);
	add_reader(ends[0], EV_READ | EV_PERSIST, answer, &ends[1]);
	put(ends[1]);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	left = rounds;
	put(ends[1]);
	mark();
	event_base_dispatch(base);
	mark();
}

/* The same with a timeout that never expires. */
static void
persistent_with_timeout(void)
{
	struct timeval tv = {3600, 0};
	int ends[2];
	make_pipe(ends);
	event_add(add_reader(ends[0], EV_READ | EV_PERSIST, answer, &ends[1]), &tv);
	left = rounds;
	put(ends[1]);
	mark();
	event_base_dispatch(base);
	mark();
}

/* Twenty descriptors ready at once, in every round. */
enum { BATCH = 20 };
static int batch[BATCH][2];

static void
take_one_of_batch(evutil_socket_t fd, short what, void *arg)
{
	int i;
	(void)what;
	(void)arg;
	take(fd);
	if (--left % BATCH)
		return;
	for (i = 0; i < BATCH && left; i++)
		put(batch[i][1]);
	if (!left)
		event_base_loopbreak(base);
}

static void
batches(void)
{
	int i;
	for (i = 0; i < BATCH; i++) {
		make_pipe(batch[i]);
		add_reader(batch[i][0], EV_READ | EV_PERSIST, take_one_of_batch, NULL);
		put(batch[i][1]);
	}
	left = rounds * BATCH;
	mark();
	event_base_dispatch(base);
	mark();
}

/* A one-shot event that its callback adds again. */
static struct event *one_shot;

static void
answer_and_add(evutil_socket_t fd, short what, void *arg)
{
	answer(fd, what, arg);
	event_add(one_shot, NULL);
}

static void
one_shot_added_again(void)
{
	int ends[2];
	make_pipe(ends);
	one_shot = add_reader(ends[0], EV_READ, answer_and_add, &ends[1]);
	left = rounds;
	put(ends[1]);
	mark();
	event_base_dispatch(base);
	mark();
}

/* The same with a list of changes: the kernel has an entry for the descriptor, silent or not, so that
 * it need not be asked what the descriptor is. */
static void
added_again_by_changelist(void)
{
	event_base_free(base);
	setenv("EVENT_EPOLL_USE_CHANGELIST", "1", 1);
	base = event_base_new();
	one_shot_added_again();
}

/* One-shot events that run once. */
static void
take_last(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	take(fd);
}

static void
one_shot_not_added_again(void)
{
	int i;
	for (i = 0; i < rounds; i++) {
		int ends[2];
		make_pipe(ends);
		add_reader(ends[0], EV_READ, take_last, NULL);
		put(ends[1]);
	}
	mark();
	event_base_dispatch(base);
	mark();
}

/* A one-shot event has run and the other end has hung up; a timer ends the loop. */
static void
wait_for_a_timer(void)
{
	struct timeval tv = {0, 50000};
	event_base_loopexit(base, &tv);
	mark();
	event_base_dispatch(base);
	mark();
}

static void
hung_up_after_one_shot(void)
{
	int ends[2];
	make_pipe(ends);
	add_reader(ends[0], EV_READ, take_last, NULL);
	put(ends[1]);
	event_base_loop(base, EVLOOP_ONCE);
	close(ends[1]);
	wait_for_a_timer();
}

static void
hung_up_after_timeout(void)
{
	struct timeval tv = {0, 1000};
	int ends[2];
	make_pipe(ends);
	event_add(event_new(base, ends[0], EV_READ, nothing, NULL), &tv);
	event_base_loop(base, EVLOOP_ONCE);
	close(ends[1]);
	wait_for_a_timer();
}

/* Passes in which nothing happens. */
static void
idle_turns(void)
{
	struct timeval tv = {3600, 0};
	int ends[2], i;
	make_pipe(ends);
	event_add(add_reader(ends[0], EV_READ | EV_PERSIST, nothing, NULL), &tv);
	event_base_loop(base, EVLOOP_NONBLOCK);
	mark();
	for (i = 0; i < rounds; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	mark();
}

/* Timers that are due. */
static void
add_timer_again(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = {0, 0};
	(void)fd;
	(void)what;
	if (--left)
		event_add(*(struct event **)arg, &tv);
}

static void
due_timers(void)
{
	struct timeval tv = {0, 0};
	struct event *timer = event_new(base, -1, 0, add_timer_again, &timer);
	event_add(timer, &tv);
	left = rounds;
	mark();
	event_base_dispatch(base);
	mark();
}

/* Timers that are added, changed and deleted. */
static void
changed_timers(void)
{
	struct event *timer = event_new(base, -1, 0, nothing, NULL);
	int i;
	mark();
	for (i = 0; i < rounds; i++) {
		struct timeval tv = {100 + i, 0};
		event_add(timer, &tv);
		tv.tv_sec++;
		event_add(timer, &tv);
		event_del(timer);
	}
	mark();
}

/* A second event of the same kind on a descriptor. */
static void
second_reader(void)
{
	struct event *second;
	int ends[2], i;
	make_pipe(ends);
	add_reader(ends[0], EV_READ | EV_PERSIST, nothing, NULL);
	second = event_new(base, ends[0], EV_READ | EV_PERSIST, nothing, NULL);
	mark();
	for (i = 0; i < rounds; i++) {
		event_add(second, NULL);
		event_del(second);
	}
	mark();
}

/* The only event on a descriptor, added and deleted. */
static void
add_and_delete(void)
{
	struct event *reader;
	int ends[2], i;
	make_pipe(ends);
	reader = event_new(base, ends[0], EV_READ | EV_PERSIST, nothing, NULL);
	mark();
	for (i = 0; i < rounds; i++) {
		event_add(reader, NULL);
		event_del(reader);
	}
	mark();
}

/* Events that the program activates. */
static void
activate_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	if (--left)
		event_active(*(struct event **)arg, EV_READ, 1);
}

static void
activated(void)
{
	struct event *user = event_new(base, -1, 0, activate_again, &user);
	event_active(user, EV_READ, 1);
	left = rounds;
	mark();
	event_base_dispatch(base);
	mark();
}

/* Interest that comes and goes between two waits: with a list of changes, the kernel never learns of it. */
static void
changes_that_cancel_out(void)
{
	struct event *writer;
	int ends[2], i;
	event_base_free(base);
	setenv("EVENT_EPOLL_USE_CHANGELIST", "1", 1);
	base = event_base_new();
	make_pipe(ends);
	add_reader(ends[0], EV_READ | EV_PERSIST, nothing, NULL);
	writer = event_new(base, ends[0], EV_WRITE | EV_PERSIST, nothing, NULL);
	event_base_loop(base, EVLOOP_NONBLOCK);
	mark();
	for (i = 0; i < rounds; i++) {
		event_add(writer, NULL);
		event_del(writer);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	mark();
}

/* Another thread makes an event active and, when it has run, does so again. */
static atomic_int runs;

static void
count_run(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	atomic_fetch_add(&runs, 1);
}

static void *
run_loop(void *arg)
{
	(void)arg;
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void
wait_for_runs(int count)
{
	struct timespec a_while = {0, 200000};
	while (atomic_load(&runs) < count)
		nanosleep(&a_while, NULL);
	/* Now the loop goes to sleep. */
	nanosleep(&a_while, NULL);
}

static void
woken_by_a_thread(void)
{
	struct event *called = event_new(base, -1, 0, count_run, NULL);
	pthread_t thread;
	int i, failed = pthread_create(&thread, NULL, run_loop, NULL);
	assert(!failed);
	(void)failed;
	event_active(called, EV_READ, 1);
	wait_for_runs(1);
	mark();
	for (i = 2; i < rounds + 2; i++) {
		event_active(called, EV_READ, 1);
		wait_for_runs(i);
	}
	mark();
	event_base_loopbreak(base);
	pthread_join(thread, NULL);
}

/* A base that comes and goes. */
static void
new_and_free(void)
{
	int i;
	event_base_free(event_base_new());
	mark();
	for (i = 0; i < rounds; i++)
		event_base_free(event_base_new());
	mark();
}

/* A byte that two bufferevents send each other. */
static void
send_back(struct bufferevent *bev, void *arg)
{
	(void)arg;
	if (--left)
		bufferevent_write_buffer(bev, bufferevent_get_input(bev));
	else
		event_base_loopbreak(base);
}

static void
bufferevent_echo(void)
{
	struct bufferevent *bev[2];
	int ends[2], i, failed = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
	assert(!failed);
	(void)failed;
	for (i = 0; i < 2; i++) {
		bev[i] = bufferevent_socket_new(base, ends[i], 0);
		bufferevent_setcb(bev[i], send_back, NULL, NULL, NULL);
		bufferevent_enable(bev[i], EV_READ);
	}
	bufferevent_write(bev[0], "x", 1);
	left = 10;
	event_base_dispatch(base);
	bufferevent_write_buffer(bev[0], bufferevent_get_input(bev[0]));
	bufferevent_write_buffer(bev[1], bufferevent_get_input(bev[1]));
	left = rounds;
	mark();
	event_base_dispatch(base);
	mark();
}

/* A request that arrives together with its connection, and ends it. */
static void
leave_loop(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	(void)arg;
	event_base_loopbreak(base);
}

static void
reply_and_close(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), leave_loop, NULL);
	evhttp_send_reply(request, 200, "OK", NULL);
}

static void
ask_once(const struct sockaddr_in *address)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	char reply[400];
	int client = socket(AF_INET, SOCK_STREAM, 0), done = connect(client, (const void *)address, sizeof *address) == 0;
	done = done && write(client, request, sizeof request - 1) > 0;
	done = done && event_base_dispatch(base) == 0;
	done = done && read(client, reply, sizeof reply) > 0;
	assert(done);
	(void)done;
	close(client);
}

static void
http_connections(void)
{
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int i, failed = getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
	assert(!failed);
	(void)failed;
	evhttp_set_gencb(http, reply_and_close, NULL);
	for (i = 0; i < 10; i++)
		ask_once(&address);
	mark();
	for (i = 0; i < rounds; i++)
		ask_once(&address);
	mark();
}

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {{"persistent", persistent},
		 {"persistent_with_timeout", persistent_with_timeout},
		 {"batches", batches},
		 {"one_shot_added_again", one_shot_added_again},
		 {"added_again_by_changelist", added_again_by_changelist},
		 {"one_shot_not_added_again", one_shot_not_added_again},
		 {"hung_up_after_one_shot", hung_up_after_one_shot},
		 {"hung_up_after_timeout", hung_up_after_timeout},
		 {"idle_turns", idle_turns},
		 {"due_timers", due_timers},
		 {"changed_timers", changed_timers},
		 {"second_reader", second_reader},
		 {"add_and_delete", add_and_delete},
		 {"changes_that_cancel_out", changes_that_cancel_out},
		 {"activated", activated},
		 {"woken_by_a_thread", woken_by_a_thread},
		 {"new_and_free", new_and_free},
		 {"bufferevent_echo", bufferevent_echo},
		 {"http_connections", http_connections}};

int
main(int argc, char **argv)
{
	size_t i;
	assert(argc == 3);
	rounds = atoi(argv[2]);
	if (!strcmp(argv[1], "woken_by_a_thread"))
		evthread_use_pthreads();
	base = event_base_new();
	assert(base);
	for (i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
		if (strcmp(scenarios[i].name, argv[1]))
			continue;
		scenarios[i].run();
		return 0;
	}
	return 2;
}
