/* Helpers to make and observe descriptors, child processes, and the library's messages without the parts
 * that change from run to run. */
#ifndef CTESTS_OBSERVE_H
#define CTESTS_OBSERVE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "harness.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBSERVE_ static __attribute__((unused))

OBSERVE_ int
under_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");
	return preloaded && strstr(preloaded, "vgpreload");
}

/* A pipe with both ends non-blocking, as debug mode asks of every descriptor. */
OBSERVE_ void
make_pipe(int ends[2])
{
	CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
}

OBSERVE_ void
make_socketpair(int ends[2])
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
}

OBSERVE_ void
put_byte(int fd)
{
	CHECK(write(fd, "x", 1) == 1);
}

OBSERVE_ void
take_byte(int fd)
{
	char byte;
	CHECK(read(fd, &byte, 1) == 1);
}

OBSERVE_ int
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* How many descriptors of the test are open. */
OBSERVE_ int
open_descriptors(void)
{
	int count = 0, fd;

	for (fd = 0; fd < 1024; fd++)
		count += is_open(fd);
	return count;
}

/* The callback of events that should print nothing. */
OBSERVE_ void
ignore_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

struct bit_name {
	int bit;
	const char *name;
};

/* Writes the names of the bits of a number; the last name has no bit. */
OBSERVE_ const char *
bit_names(int number, const struct bit_name *names, char text[100])
{
	text[0] = 0;
	for (; names->bit; names++) {
		if (!(number & names->bit))
			continue;
		if (text[0])
			strcat(text, "|");
		strcat(text, names->name);
	}
	return text[0] ? text : "none";
}

/* The names of the flags of a callback or of an interest mask. */
OBSERVE_ const char *
flag_names(int what)
{
	static const struct bit_name names[] = {{EV_TIMEOUT, "timeout"}, {EV_READ, "read"}, {EV_WRITE, "write"},
						{EV_SIGNAL, "signal"}, {EV_PERSIST, "persist"}, {EV_ET, "et"},
						{EV_FINALIZE, "finalize"}, {EV_CLOSED, "closed"}, {0, NULL}};
	static char text[100];

	return bit_names(what, names, text);
}

/* Copies a message without what changes from run to run: long hexadecimal numbers become ADDRESS,
 * numbers of descriptors N, and the source position that failed assertions begin with is left out. */
OBSERVE_ void
strip_message(const char *message, char *out, size_t size)
{
	const char *from = strstr(message, ": Assertion ");
	size_t used = 0, length;

	from = from ? from + 2 : message;
	while (*from && used + 8 < size) {
		length = strncmp(from, "0x", 2) ? 0 : strspn(from + 2, "0123456789abcdef");
		if (length >= 6) {
			memcpy(out + used, "ADDRESS", 7);
			used += 7;
			from += 2 + length;
		} else if (!strncmp(from, "on fd ", 6)) {
			memcpy(out + used, "on fd N", 7);
			used += 7;
			from += 6 + strspn(from + 6, "0123456789");
		} else {
			out[used++] = *from++;
		}
	}
	out[used] = 0;
}

/* Volatile, because messages can come from a signal handler. */
static volatile int messages_logged __attribute__((unused));

OBSERVE_ void
print_stripped_message(int severity, const char *message)
{
	char text[1100];
	messages_logged++;
	strip_message(message, text, sizeof text);
	printf("[%d] %s\n", severity, text);
}

/* Like log_to_stdout(), for messages with addresses in them. */
OBSERVE_ void
log_without_addresses(void)
{
	event_set_log_callback(print_stripped_message);
}

/* Starts body in a child process, which exits with what body returns. */
OBSERVE_ pid_t
start_child(int (*body)(void))
{
	pid_t child;

	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		int status = body();
		fflush(stdout);
		_exit(status);
	}
	return child;
}

/* Waits for a child process and prints how it ended. */
OBSERVE_ void
report_child(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status))
		printf("child: exit %d\n", WEXITSTATUS(status));
	else
		printf("child: signal %d\n", WTERMSIG(status));
}

OBSERVE_ void
in_child(int (*body)(void))
{
	report_child(start_child(body));
}

/* The epoll instance of the only base of the process. */
OBSERVE_ int
epoll_descriptor(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[64];
	int found = -1;
	CHECK(directory);
	while (found < 0 && (entry = readdir(directory))) {
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
		target[length < 0 ? 0 : length] = 0;
		if (!strcmp(target, "anon_inode:[eventpoll]"))
			found = atoi(entry->d_name);
	}
	closedir(directory);
	CHECK(found >= 0);
	return found;
}

/* Runs the loop until *count is at least wanted, at most 30 seconds, or longer under valgrind. */
OBSERVE_ void
run_base_until(struct event_base *base, const int *count, int wanted)
{
	long long end = milliseconds() + (under_valgrind() ? 100000 : 30000);
	struct timeval step = {0, 20000};

	while (*count < wanted && milliseconds() < end) {
		CHECK(event_base_loopexit(base, &step) == 0);
		CHECK(event_base_loop(base, EVLOOP_ONCE) >= 0);
	}
	CHECK(*count >= wanted);
}

#endif
