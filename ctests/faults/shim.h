/* System calls that fail or fall short when a test says so, and memory that runs out: malloc stands for
 * all that asks for some. The shim is preloaded; it counts the calls that the libraries under test make
 * (libevent's and OpenSSL's, not the test's own) and makes some of them fail. */
#ifndef CTESTS_FAULTS_SHIM_H
#define CTESTS_FAULTS_SHIM_H

#include <stddef.h>

#define FAULT_CALLS(each)                                                                          \
	each(accept) each(accept4) each(bind) each(clock_gettime) each(connect) each(epoll_create)  \
	each(epoll_create1) each(epoll_ctl) each(epoll_wait) each(eventfd) each(fcntl)              \
	each(getrandom) each(getsockname) each(getsockopt) each(ioctl) each(listen) each(mmap)      \
	each(open) each(pipe2) each(poll) each(pread) each(read) each(readv) each(recv)             \
	each(recvfrom) each(recvmmsg) each(recvmsg) each(select) each(send) each(sendfile)          \
	each(sendmmsg) each(sendmsg) each(sendto) each(setsockopt) each(socket) each(socketpair)    \
	each(timerfd_create) each(timerfd_settime) each(write) each(writev) each(malloc)

enum fault_call {
#define FAULT_ENUM(name) FAULT_##name,
	FAULT_CALLS(FAULT_ENUM)
#undef FAULT_ENUM
	FAULT_CALL_COUNT
};

enum fault_mode {
	FAULT_NEVER, /* only count */
	FAULT_ONCE,  /* call number `number`, counted from 1 */
	FAULT_EVERY, /* every call whose number is a multiple of it */
	FAULT_FROM,  /* that call and all later ones */
	FAULT_SHORT  /* reads and writes move at most `number` bytes */
};

struct fault_plan {
	enum fault_call call;
	enum fault_mode mode;
	unsigned number;
	int error;
	/* More calls of the libraries than this end the process with FAULT_BUSY: a loop that spins. */
	unsigned limit;
};

enum { FAULT_BUSY = 97 };

/* The current plan, and what has happened since it was set. */
void faults_start(const struct fault_plan *plan);
void faults_stop(void);
unsigned faults_counted(enum fault_call call);
/* From the call number `from` on that asks for the time, the clocks that never go back have gone ahead
 * by so many seconds, and the time of day has been set by so many. */
void faults_set_clocks(unsigned from, long ahead, long set);
unsigned faults_made(void);
/* Counts an allocation by the hooks of the program; whether it has to fail. */
int faults_refuse_memory(void);
extern const char *const fault_call_names[FAULT_CALL_COUNT];

#endif
