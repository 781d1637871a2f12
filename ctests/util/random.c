/* Random numbers. */
#include "harness.h"

#include <errno.h>
#include <event2/util.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct evutil_weakrand_state {
	ev_uint32_t seed;
};
ev_uint32_t evutil_weakrand_seed_(struct evutil_weakrand_state *state, ev_uint32_t seed);
ev_int32_t evutil_weakrand_(struct evutil_weakrand_state *seed);
ev_int32_t evutil_weakrand_range_(struct evutil_weakrand_state *seed, ev_int32_t top);
int evutil_secure_rng_global_setup_locks_(const int enable_locks);
void evutil_free_secure_rng_globals_(void);
int evutil_global_setup_locks_(const int enable_locks);
void evutil_free_globals_(void);

CASE(set_up, ONE_BACKEND)
{
	char device[] = "/dev/urandom", missing[] = "/no/such/file";
	CHECK_EQUAL(evutil_secure_rng_set_urandom_device_file(device), -1);
	CHECK_EQUAL(evutil_secure_rng_set_urandom_device_file(missing), -1);
	CHECK_EQUAL(evutil_secure_rng_set_urandom_device_file(NULL), -1);
	CHECK_EQUAL(evutil_secure_rng_init(), 0);
	CHECK_EQUAL(evutil_secure_rng_init(), 0);
	evutil_secure_rng_add_bytes("not very random", 15);
	evutil_secure_rng_add_bytes(NULL, 0);
	CHECK_EQUAL(evutil_secure_rng_global_setup_locks_(1), 0);
	CHECK_EQUAL(evutil_global_setup_locks_(1), 0);
	evutil_free_secure_rng_globals_();
	evutil_free_globals_();
	evutil_secure_rng_get_bytes(NULL, 0);
}

/* From now on the kernel has no such call. */
static void
refuse_calls(const long *numbers, int count)
{
	struct sock_filter filter[16] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
	struct sock_fprog program = {.filter = filter, .len = 1};
	int i;
	for (i = 0; i < count; i++) {
		filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], 0, 1);
		filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	}
	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		harness_skip("the system has no seccomp filters");
}

/* Bytes that could be guessed are worse than none: a process that can get no others ends. */
CASE(without_any_source_the_process_ends, ONE_BACKEND)
{
	static const long calls[] = {SYS_getrandom, SYS_open, SYS_openat};
	unsigned char bytes[16] = {0};
	int status;
	pid_t child;

	evutil_secure_rng_get_bytes(bytes, sizeof bytes);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		fclose(stderr);
		refuse_calls(calls, 3);
		evutil_secure_rng_get_bytes(bytes, sizeof bytes);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		harness_skip("the system has no seccomp filters");
	CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

CASE(only_the_bytes_asked_for_are_written, ONE_BACKEND)
{
	int written;
	for (int size = 0; size < 700; size++) {
		unsigned char bytes[702];
		memset(bytes, 0x55, sizeof bytes);
		evutil_secure_rng_get_bytes(bytes + 1, size);
		CHECK_EQUAL(bytes[0], 0x55);
		CHECK_EQUAL(bytes[size + 1], 0x55);
		for (written = 0; written < size && bytes[written + 1] == 0x55; written++)
			;
		CHECK(size < 32 || written < 32); /* 32 equal bytes do not happen */
	}
}

CASE(every_byte_value_comes_about_as_often, ONE_BACKEND)
{
	static unsigned counts[256];
	for (int round = 0; round < 4000; round++) {
		unsigned char bytes[100];
		int size = 1 + round % 100;
		evutil_secure_rng_get_bytes(bytes, size);
		for (int i = 0; i < size; i++)
			counts[bytes[i]]++;
	}
	/* 202,000 bytes: 789 of each on average, with a deviation of 28. */
	for (int i = 0; i < 256; i++)
		CHECK(counts[i] > 450 && counts[i] < 1150);
}

CASE(numbers_do_not_repeat, ONE_BACKEND)
{
	static ev_uint64_t seen[2000];
	for (int i = 0; i < 2000; i++) {
		evutil_secure_rng_get_bytes(&seen[i], sizeof seen[i]);
		for (int j = 0; j < i; j++)
			CHECK(seen[i] != seen[j]);
	}
}

CASE(parent_and_child_differ, ONE_BACKEND)
{
	for (int used = 0; used < 3; used++) {
		ev_uint64_t parent[4], child[4];
		int ends[2], status;
		CHECK(!pipe(ends));
		for (int i = 0; i < used; i++)
			evutil_secure_rng_get_bytes(parent, sizeof parent);
		if (fork() == 0) {
			evutil_secure_rng_get_bytes(child, sizeof child);
			_exit(write(ends[1], child, sizeof child) != sizeof child);
		}
		evutil_secure_rng_get_bytes(parent, sizeof parent);
		CHECK_EQUAL(read(ends[0], child, sizeof child), sizeof child);
		CHECK(wait(&status) > 0 && status == 0);
		for (int i = 0; i < 4; i++)
			for (int j = 0; j < 4; j++)
				CHECK(parent[i] != child[j]);
	}
}

#define EACH 3000
static ev_uint64_t numbers[4][EACH];

static void *
fill(void *arg)
{
	ev_uint64_t *mine = arg;
	for (int i = 0; i < EACH; i++)
		evutil_secure_rng_get_bytes(&mine[i], sizeof mine[i]);
	return NULL;
}

static int
by_value(const void *a, const void *b)
{
	ev_uint64_t first = *(const ev_uint64_t *)a, second = *(const ev_uint64_t *)b;
	return (first > second) - (first < second);
}

CASE(threads_need_no_set_up, ONE_BACKEND)
{
	pthread_t threads[4];
	ev_uint64_t *all = numbers[0];
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, fill, numbers[i]));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	qsort(all, 4 * EACH, sizeof *all, by_value);
	for (int i = 1; i < 4 * EACH; i++)
		CHECK(all[i] != all[i - 1]);
}

CASE(weak_numbers, ONE_BACKEND)
{
	static const ev_int32_t tops[] = {1, 2, 3, 10, 1000, 65537, 0x3fffffff, 0x7fffffff};
	static const ev_uint32_t seeds[] = {1, 5, 0x7fffffff, 0x80000000, 0xffffffff};
	struct evutil_weakrand_state state;
	ev_uint32_t seed;
	for (int i = 0; i < 5; i++) {
		printf("%u:", evutil_weakrand_seed_(&state, seeds[i]));
		for (int j = 0; j < 5; j++)
			printf(" %d", evutil_weakrand_(&state));
		for (int j = 0; j < 8; j++)
			for (int k = 0; k < 3; k++)
				printf(" %d", evutil_weakrand_range_(&state, tops[j]));
		printf(" %u\n", state.seed);
	}
	seed = evutil_weakrand_seed_(&state, 0);
	CHECK(seed == state.seed);
}

DIFFERENCE(a_weak_number_below_nothing, ONE_BACKEND,
	"evutil_weakrand_range_ divides by zero for an empty range")
{
	struct evutil_weakrand_state state = {1};
	CHECK_EQUAL(evutil_weakrand_range_(&state, 0), 0);
	CHECK_EQUAL(evutil_weakrand_range_(&state, -1), 0);
}
