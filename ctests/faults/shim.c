#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

const char *const fault_call_names[] = {
#define FAULT_NAME(name) #name,
	FAULT_CALLS(FAULT_NAME)
};

static struct fault_plan plan;
static atomic_int in_force;
static atomic_uint counted[FAULT_CALL_COUNT], total, made;

/* Where the code of the libraries under test lies. */
enum { MOST_RANGES = 32 };
static struct range {
	uintptr_t start, end;
	int is_ssl;
} ranges[MOST_RANGES];
static int range_count;

static int
note_ranges(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *name = strrchr(info->dlpi_name, '/');
	int i;
	(void)size;
	(void)arg;
	name = name ? name + 1 : info->dlpi_name;
	if (strncmp(name, "libevent", 8) && strncmp(name, "libssl", 6) && strncmp(name, "libcrypto", 9))
		return 0;
	for (i = 0; i < info->dlpi_phnum && range_count < MOST_RANGES; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
			continue;
		ranges[range_count].start = info->dlpi_addr + header->p_vaddr;
		ranges[range_count].end = ranges[range_count].start + header->p_memsz;
		ranges[range_count].is_ssl = name[3] != 'e';
		range_count++;
	}
	return 0;
}

static const struct range *
range_of(const void *caller)
{
	int i;
	for (i = 0; i < range_count; i++) {
		if ((uintptr_t)caller >= ranges[i].start && (uintptr_t)caller < ranges[i].end)
			return &ranges[i];
	}
	return NULL;
}

static int
is_under_test(const void *caller)
{
	return range_of(caller) != NULL;
}

void
faults_start(const struct fault_plan *wanted)
{
	int i;
	if (!range_count)
		dl_iterate_phdr(note_ranges, NULL);
	for (i = 0; i < FAULT_CALL_COUNT; i++)
		counted[i] = 0;
	total = made = 0;
	plan = *wanted;
	in_force = 1;
}

void
faults_stop(void)
{
	in_force = 0;
}

unsigned
faults_counted(enum fault_call call)
{
	return counted[call];
}

unsigned
faults_made(void)
{
	return made;
}

/* Counts a call; returns whether it has to fail, and then sets errno. */
static int
fails_now(enum fault_call call)
{
	unsigned number = ++counted[call];
	int fails;
	if (call != FAULT_malloc && ++total > plan.limit)
		_exit(FAULT_BUSY);
	if (call != plan.call)
		return 0;
	fails = (plan.mode == FAULT_ONCE && number == plan.number) ||
		(plan.mode == FAULT_EVERY && number % plan.number == 0) ||
		(plan.mode == FAULT_FROM && number >= plan.number);
	if (fails) {
		made++;
		errno = plan.error;
	}
	return fails;
}

static int
has_to_fail(enum fault_call call, const void *caller)
{
	if (!in_force || !is_under_test(caller))
		return 0;
	return fails_now(call);
}

int
faults_refuse_memory(void)
{
	return in_force && fails_now(FAULT_malloc);
}

static unsigned clock_from;
static long clock_ahead, clock_set;
static atomic_uint clock_readings;

void
faults_set_clocks(unsigned from, long ahead, long set)
{
	clock_from = from;
	clock_ahead = ahead;
	clock_set = set;
}

/* How far a clock is shifted. */
static long
off(clockid_t clock)
{
	if (!clock_from || !in_force || ++clock_readings < clock_from)
		return 0;
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ? clock_set : clock_ahead;
}

/* The longest vector that the kernel accepts. */
enum { MOST_PIECES = 1024 };

/* How many bytes a call that was asked for `size` may move. */
static size_t
allowed(enum fault_call call, const void *caller, size_t size)
{
	if (!in_force || plan.mode != FAULT_SHORT || plan.call != call || size <= plan.number || !is_under_test(caller))
		return size;
	made++;
	return plan.number;
}

/* The same for a vector, of which a copy is shortened. */
static int
allowed_vector(enum fault_call call, const void *caller, const struct iovec *vector, int count, struct iovec *cut)
{
	size_t left, size = 0;
	int i;
	if (count < 0 || count > MOST_PIECES)
		return count;
	for (i = 0; i < count; i++)
		size += vector[i].iov_len;
	left = allowed(call, caller, size);
	memcpy(cut, vector, count * sizeof *vector);
	for (i = 0; i < count && left < size; i++) {
		if (cut[i].iov_len >= left) {
			cut[i].iov_len = left;
			return i + 1;
		}
		left -= cut[i].iov_len;
		size -= cut[i].iov_len;
	}
	return count;
}

#define CALLER __builtin_return_address(0)
#define REAL(name) ((__typeof__(&name))real_##name())
#define RESOLVE(name)                                                                              \
	static void *real_##name(void)                                                             \
	{                                                                                          \
		static void *found;                                                                \
		if (!found)                                                                        \
			found = dlsym(RTLD_NEXT, #name);                                           \
		return found;                                                                      \
	}

/* A call that only fails, with -1 or another given result. */
#define WRAP(type, name, parameters, arguments, failure)                                           \
	RESOLVE(name)                                                                              \
	type name parameters                                                                       \
	{                                                                                          \
		if (has_to_fail(FAULT_##name, CALLER))                                             \
			return failure;                                                            \
		return REAL(name) arguments;                                                       \
	}

/* One that also moves bytes, whose number is the parameter `size`. */
#define WRAP_BYTES(name, parameters, arguments)                                                    \
	RESOLVE(name)                                                                              \
	ssize_t name parameters                                                                    \
	{                                                                                          \
		if (has_to_fail(FAULT_##name, CALLER))                                             \
			return -1;                                                                 \
		size = allowed(FAULT_##name, CALLER, size);                                        \
		return REAL(name) arguments;                                                       \
	}

#define WRAP_VECTOR(name)                                                                          \
	RESOLVE(name)                                                                              \
	ssize_t name(int fd, const struct iovec *vector, int count)                                \
	{                                                                                          \
		struct iovec cut[MOST_PIECES];                                                         \
		if (has_to_fail(FAULT_##name, CALLER))                                             \
			return -1;                                                                 \
		count = allowed_vector(FAULT_##name, CALLER, vector, count, cut);                  \
		return REAL(name)(fd, cut, count);                                                 \
	}

#define WRAP_MESSAGE(name, constness)                                                              \
	RESOLVE(name)                                                                              \
	ssize_t name(int fd, constness struct msghdr *message, int flags)                          \
	{                                                                                          \
		struct iovec cut[MOST_PIECES], *whole = message->msg_iov;                              \
		struct msghdr shorter = *message;                                                  \
		ssize_t moved;                                                                     \
		if (has_to_fail(FAULT_##name, CALLER))                                             \
			return -1;                                                                 \
		shorter.msg_iovlen = allowed_vector(FAULT_##name, CALLER, whole, (int)message->msg_iovlen, cut); \
		shorter.msg_iov = cut;                                                             \
		moved = REAL(name)(fd, &shorter, flags);                                           \
		give_back(constness, message, shorter);                                            \
		return moved;                                                                      \
	}
/* The kernel's information about a received message. */
#define give_back(constness, message, shorter) give_back_##constness(message, shorter)
#define give_back_const(message, shorter) (void)(shorter)
#define give_back_(message, shorter)                                                               \
	do {                                                                                       \
		(message)->msg_namelen = (shorter).msg_namelen;                                    \
		(message)->msg_controllen = (shorter).msg_controllen;                              \
		(message)->msg_flags = (shorter).msg_flags;                                        \
	} while (0)

WRAP(int, accept, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length), -1)
WRAP(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags), (fd, address, length, flags), -1)
WRAP(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length), -1)
WRAP(int, connect, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length), -1)
WRAP(int, epoll_create, (int size), (size), -1)
WRAP(int, epoll_create1, (int flags), (flags), -1)
WRAP(int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event), (epoll, operation, fd, event), -1)
WRAP(int, epoll_wait, (int epoll, struct epoll_event *events, int count, int timeout), (epoll, events, count, timeout), -1)
WRAP(int, eventfd, (unsigned value, int flags), (value, flags), -1)
WRAP(ssize_t, getrandom, (void *bytes, size_t size, unsigned flags), (bytes, size, flags), -1)
WRAP(int, getsockname, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length), -1)
WRAP(int, getsockopt, (int fd, int level, int option, void *value, socklen_t *length), (fd, level, option, value, length), -1)
WRAP(int, listen, (int fd, int backlog), (fd, backlog), -1)
WRAP(void *, mmap, (void *address, size_t size, int protection, int flags, int fd, off_t offset),
     (address, size, protection, flags, fd, offset), MAP_FAILED)
WRAP(int, pipe2, (int ends[2], int flags), (ends, flags), -1)
WRAP(int, poll, (struct pollfd *fds, nfds_t count, int timeout), (fds, count, timeout), -1)
WRAP(int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),
     (fd, messages, count, flags, timeout), -1)
WRAP(int, select, (int count, fd_set *read, fd_set *write, fd_set *other, struct timeval *timeout),
     (count, read, write, other, timeout), -1)
WRAP(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags), (fd, messages, count, flags), -1)
WRAP(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t length), (fd, level, option, value, length), -1)
WRAP(int, socket, (int family, int type, int protocol), (family, type, protocol), -1)
WRAP(int, socketpair, (int family, int type, int protocol, int ends[2]), (family, type, protocol, ends), -1)
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags), -1)
WRAP(int, timerfd_settime, (int fd, int flags, const struct itimerspec *time, struct itimerspec *old), (fd, flags, time, old), -1)

WRAP_BYTES(pread, (int fd, void *bytes, size_t size, off_t offset), (fd, bytes, size, offset))
WRAP_BYTES(read, (int fd, void *bytes, size_t size), (fd, bytes, size))
WRAP_BYTES(recv, (int fd, void *bytes, size_t size, int flags), (fd, bytes, size, flags))
WRAP_BYTES(recvfrom, (int fd, void *bytes, size_t size, int flags, struct sockaddr *from, socklen_t *length),
	   (fd, bytes, size, flags, from, length))
WRAP_BYTES(send, (int fd, const void *bytes, size_t size, int flags), (fd, bytes, size, flags))
WRAP_BYTES(sendfile, (int out, int in, off_t *offset, size_t size), (out, in, offset, size))
WRAP_BYTES(sendto, (int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length),
	   (fd, bytes, size, flags, to, length))
WRAP_BYTES(write, (int fd, const void *bytes, size_t size), (fd, bytes, size))
WRAP_VECTOR(readv)
WRAP_VECTOR(writev)
WRAP_MESSAGE(recvmsg, )
WRAP_MESSAGE(sendmsg, const)

/* The last argument of these is a word, if there is one at all. */
#define WRAP_VARIADIC(name, first_type)                                                            \
	RESOLVE(name)                                                                              \
	int name(first_type first, int_or_request(name) second, ...)                               \
	{                                                                                          \
		va_list more;                                                                      \
		long third;                                                                        \
		va_start(more, second);                                                            \
		third = va_arg(more, long);                                                        \
		va_end(more);                                                                      \
		if (has_to_fail(FAULT_##name, CALLER))                                             \
			return -1;                                                                 \
		return REAL(name)(first, second, third);                                           \
	}
#define int_or_request(name) int_or_request_##name
#define int_or_request_fcntl int
#define int_or_request_open int
#define int_or_request_ioctl unsigned long
WRAP_VARIADIC(fcntl, int)
WRAP_VARIADIC(ioctl, int)
WRAP_VARIADIC(open, const char *)

RESOLVE(clock_gettime)
int
clock_gettime(clockid_t clock, struct timespec *time)
{
	int result;
	if (has_to_fail(FAULT_clock_gettime, CALLER))
		return -1;
	result = REAL(clock_gettime)(clock, time);
	if (!result && is_under_test(CALLER))
		time->tv_sec += off(clock);
	return result;
}

RESOLVE(gettimeofday)
int
gettimeofday(struct timeval *time, void *zone)
{
	int result = REAL(gettimeofday)(time, zone);
	if (!result && is_under_test(CALLER))
		time->tv_sec += off(CLOCK_REALTIME);
	return result;
}

RESOLVE(time)
time_t
time(time_t *place)
{
	time_t now = REAL(time)(NULL);
	if (is_under_test(CALLER))
		now += off(CLOCK_REALTIME);
	if (place)
		*place = now;
	return now;
}

/* The names that code compiled for large files uses. */
void *
mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return has_to_fail(FAULT_mmap, CALLER) ? MAP_FAILED : REAL(mmap)(address, size, protection, flags, fd, offset);
}

int
open64(const char *name, int flags, ...)
{
	va_list more;
	long mode;
	va_start(more, flags);
	mode = va_arg(more, long);
	va_end(more);
	return has_to_fail(FAULT_open, CALLER) ? -1 : REAL(open)(name, flags, mode);
}

/* Memory. OpenSSL gets what it wants: once it has lacked some, it may refuse for ever. The C library
 * finds its own functions under these names even before there is dlsym(). */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

static int
lacks_memory(const void *caller)
{
	const struct range *range = in_force ? range_of(caller) : NULL;
	return range && !range->is_ssl && fails_now(FAULT_malloc);
}

void *
malloc(size_t size)
{
	return lacks_memory(CALLER) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return lacks_memory(CALLER) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *block, size_t size)
{
	return lacks_memory(CALLER) ? NULL : __libc_realloc(block, size);
}
