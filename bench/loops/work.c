/* The work that several event loops do for comparison; see work.h. Figures are the CPU time of the loop's
 * thread, in user and kernel mode, in nanoseconds per operation. */
#include "work.h"

#include <sys/resource.h>
#include <sys/wait.h>

enum { MOST_CHANNELS = 1000, MANY = 100000, EXPIRING = 20000 };

static struct channel channels[MOST_CHANNELS];
static long left;

static void
allow_descriptors(void)
{
	struct rlimit limit;

	BENCH_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	BENCH_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static double
cpu_of_run(long operations)
{
	double start = thread_cpu();

	loop.run();
	return (thread_cpu() - start) / (double)operations;
}

/* --- A chain of socket pairs, some of which have a byte; what is read from one goes into the next. --- */

static void
pass_on(struct channel *channel)
{
	char byte;

	BENCH_CHECK(read(channel->fd, &byte, 1) == 1);
	if (--left > 0)
		BENCH_CHECK(write(channel->next, &byte, 1) == 1);
	else if (left == 0)
		loop.stop();
}

static double
chain(int count, int active, long hops)
{
	int ends[MOST_CHANNELS][2];

	allow_descriptors();
	for (int i = 0; i < count; i++)
		BENCH_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends[i]) == 0);
	for (int i = 0; i < count; i++) {
		channels[i] = (struct channel){.fd = ends[i][0], .ready = pass_on, .next = ends[(i + 1) % count][1]};
		loop.watch(&channels[i]);
	}
	for (int i = 0; i < active; i++)
		BENCH_CHECK(write(ends[i * (count / active)][1], "x", 1) == 1);
	left = hops;
	return cpu_of_run(hops);
}

static double
chain_of_100(void)
{
	return chain(100, 1, 50000);
}

static double
chain_of_1000(void)
{
	return chain(1000, 1, 50000);
}

static double
chain_with_10_active(void)
{
	return chain(1000, 10, 100000);
}

static double
chain_with_100_active(void)
{
	return chain(1000, 100, 100000);
}

/* --- Timers: what a callback of the loop does with many of them. ------------------------------------ */

static struct timer timers[MANY];
static double figure;
static void (*phase)(void);

/* From 100 seconds to an hour, in random order. */
static unsigned
far_away(unsigned number)
{
	return 100000 + number * 2654435761u % 3500000u;
}

static void
measure_phase(struct channel *channel)
{
	double start = thread_cpu();

	phase();
	figure = (thread_cpu() - start) / MANY;
	loop.forget(channel);
	loop.stop();
}

/* Runs a phase in a callback of the loop, where loops need not read the clock. */
static void
run_phase(void (*wanted)(void))
{
	int ends[2];

	BENCH_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	BENCH_CHECK(write(ends[1], "x", 1) == 1);
	phase = wanted;
	channels[0] = (struct channel){.fd = ends[0], .ready = measure_phase};
	loop.watch(&channels[0]);
	loop.run();
}

static void
add_timers(void)
{
	for (unsigned i = 0; i < MANY; i++)
		loop.start_timer(&timers[i], far_away(i));
}

/* To other times; half of them are earlier. */
static void
change_timers(void)
{
	for (unsigned i = 0; i < MANY; i++)
		loop.start_timer(&timers[i], far_away(i + MANY));
}

/* As a server does with the timeout of a connection that has sent something. */
static void
put_off_timers(void)
{
	for (unsigned i = 0; i < MANY; i++)
		loop.start_timer(&timers[i], 3700000);
}

static void
delete_timers(void)
{
	for (unsigned i = 0; i < MANY; i++)
		loop.stop_timer(&timers[i]);
}

static void
make_timers(void)
{
	for (int i = 0; i < MANY; i++)
		loop.make_timer(&timers[i]);
}

static double
adding(void)
{
	make_timers();
	run_phase(add_timers);
	return figure;
}

static double
changing(void)
{
	adding();
	run_phase(change_timers);
	return figure;
}

static double
putting_off(void)
{
	adding();
	run_phase(put_off_timers);
	return figure;
}

static double
deleting(void)
{
	adding();
	run_phase(delete_timers);
	return figure;
}

void
timer_expired(void)
{
	if (--left == 0)
		loop.stop();
}

static double
expiring(void)
{
	for (int i = 0; i < EXPIRING; i++)
		loop.make_timer(&timers[i]);
	for (unsigned i = 0; i < EXPIRING; i++)
		loop.start_timer(&timers[i], 1 + i * 2654435761u % 50u);
	left = EXPIRING;
	return cpu_of_run(EXPIRING);
}

/* --- Echo: the loop serves many connections; the clients are in another process. --------------------- */

static void
send_back(struct channel *channel)
{
	char data[1024];
	ssize_t length = read(channel->fd, data, sizeof data);

	BENCH_CHECK(length >= 0);
	if (length > 0) {
		BENCH_CHECK(write(channel->fd, data, (size_t)length) == length);
		return;
	}
	loop.forget(channel);
	connection_ended();
}

void
connection_ended(void)
{
	if (--left == 0)
		loop.stop();
}

static double
echo(int count, long messages, int as_streams)
{
	struct clients clients = {.count = count, .messages = messages};
	int servers[MOST_CLIENTS], status;
	pid_t child;
	double cpu;

	for (int i = 0; i < count; i++) {
		int ends[2];

		make_connection(ends);
		clients.fds[i] = ends[0];
		servers[i] = ends[1];
	}
	child = start_clients(&clients, servers);
	for (int i = 0; i < count; i++) {
		channels[i] = (struct channel){.fd = servers[i], .ready = send_back};
		if (as_streams)
			loop.echo_stream(servers[i]);
		else
			loop.watch(&channels[i]);
	}
	left = count;
	cpu = cpu_of_run(messages);
	BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
	return cpu;
}

static double
echo_10(void)
{
	return echo(10, 20000, 0);
}

static double
echo_100(void)
{
	return echo(100, 40000, 0);
}

static double
echo_streams_10(void)
{
	return echo(10, 20000, 1);
}

static double
echo_streams_100(void)
{
	return echo(100, 40000, 1);
}

int
main(int argc, char **argv)
{
	static const struct benchmark watching[] = {
		{"chain of 100, 1 active", .measure = chain_of_100},
		{"chain of 1000, 1 active", .measure = chain_of_1000},
		{"chain of 1000, 10 active", .measure = chain_with_10_active},
		{"chain of 1000, 100 active", .measure = chain_with_100_active},
		{"echo, 10 connections", .measure = echo_10},
		{"echo, 100 connections", .measure = echo_100},
	}, streaming[] = {
		{"echo of streams, 10 connections", .measure = echo_streams_10},
		{"echo of streams, 100 connections", .measure = echo_streams_100},
	}, timing[] = {
		{"timer added, up to 100000", .measure = adding},
		{"timer changed, 100000", .measure = changing},
		{"timer put off, 100000", .measure = putting_off},
		{"timer deleted, 100000", .measure = deleting},
		{"timer expired, 20000", .measure = expiring},
	};

	loop.open();
	bench_main(argc, argv, watching, sizeof watching / sizeof watching[0]);
	if (loop.echo_stream)
		bench_main(argc, argv, streaming, sizeof streaming / sizeof streaming[0]);
	if (loop.make_timer)
		bench_main(argc, argv, timing, sizeof timing / sizeof timing[0]);
	return 0;
}
