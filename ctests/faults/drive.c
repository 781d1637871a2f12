/* Runs the scenarios while chosen system calls fail or memory runs out; shim.h says how, scenarios.h what must hold.
 *
 *   drive --list [memory]                    the scenarios, or those for which only memory runs out
 *   drive SCENARIO short                     some plans over one; a line for each finding, then a sum
 *   drive SCENARIO calls                     the calls that it makes, and how many
 *   drive SCENARIO long CALL COUNT ERRNO|short PART PARTS
 *                                            all plans with one call and error, or with bytes that fall short,
 *                                            or a part of them
 *   drive SCENARIO systems|all-systems       the same on systems that are not ours, where all has to be done
 *   drive SCENARIO CALL ERRNO MODE NUMBER    one run, with its messages
 */
#define _GNU_SOURCE
#include "scenarios.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A run that waits for nothing ends after this many heartbeats; where every byte is a call, which takes a
 * second of CPU time, a busy machine allows far more. */
enum { SECONDS = 40, SHORT_SECONDS = 900, MOST_CALLS = 60000, HEARTBEATS = 60, LONG_HEARTBEATS = 400, SLOW_HEARTBEATS = 2400 };
/* If a call is made more often than this, between one and two times as many are made to fail one by one in
 * the long form. */
enum { MOST_PLACES = 40 };

static struct scenario *scenarios;
/* How long a run may take: longer when every byte is a call of its own. */
static int patience = HEARTBEATS;

void
scenario_register(struct scenario *scenario)
{
	scenario->next = scenarios;
	scenarios = scenario;
}

/* --- Memory, counted ------------------------------------------------------------------------- */

static long blocks;
/* FAULTS_NO_HOOKS: the library asks the C library, which the shim makes fail; nothing is counted then. */
static int without_hooks;

static void *
counted_malloc(size_t size)
{
	void *block = faults_refuse_memory() ? NULL : malloc(size);
	__atomic_add_fetch(&blocks, block != NULL, __ATOMIC_SEQ_CST);
	return block;
}

static void *
counted_realloc(void *old, size_t size)
{
	void *block = faults_refuse_memory() ? NULL : realloc(old, size);
	if (!old)
		__atomic_add_fetch(&blocks, block != NULL, __ATOMIC_SEQ_CST);
	return block;
}

static void
counted_free(void *block)
{
	__atomic_sub_fetch(&blocks, block != NULL, __ATOMIC_SEQ_CST);
	free(block);
}

void
free_with_hooks(void *block)
{
	if (without_hooks)
		free(block);
	else
		counted_free(block);
}

/* Lower ones are taken. */
static int first_descriptor;

static int
open_descriptors(void)
{
	int fd, count = 0;
	for (fd = first_descriptor; fd < first_descriptor + 200; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* --- What scenarios use ------------------------------------------------------------------------ */

struct base_options base_options;

struct event_base *
new_base(int threads)
{
	struct event_config *configuration = event_config_new();
	struct event_base *base;
	int i;
	if (!configuration)
		return NULL;
	for (i = 0; i < 2; i++) {
		if (base_options.avoid[i])
			event_config_avoid_method(configuration, base_options.avoid[i]);
	}
	event_config_set_flag(configuration, base_options.flags);
	if (threads && evthread_use_pthreads()) {
		event_config_free(configuration);
		return NULL;
	}
	base = event_base_new_with_config(configuration);
	event_config_free(configuration);
	return base;
}

static void
beat(evutil_socket_t fd, short what, void *beats)
{
	(void)fd;
	(void)what;
	++*(int *)beats;
}

enum ending
run_until(struct event_base *base, const int *finished)
{
	const struct timeval interval = {0, 50000};
	int beats = 0;
	enum ending ending = DONE;
	struct event *heart = event_new(base, -1, EV_PERSIST, beat, &beats);
	if (!heart)
		return REFUSED;
	if (event_add(heart, &interval))
		ending = REFUSED;
	while (ending == DONE && !*finished) {
		if (event_base_loop(base, EVLOOP_ONCE) < 0)
			ending = REFUSED;
		HOLDS(beats < patience, "neither done nor refused after a while");
	}
	event_free(heart);
	return ending;
}

static void
count_down(evutil_socket_t fd, short what, void *left)
{
	(void)fd;
	(void)what;
	--*(int *)left;
}

void
finish_base(struct event_base *base)
{
	const struct timeval at_once = {0, 1000};
	int left = 2, ends[2], tries;
	faults_stop();
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0, "a pipe");
	HOLDS(write(ends[1], "x", 1) == 1, "a byte");
	HOLDS(event_base_once(base, ends[0], EV_READ, count_down, &left, NULL) == 0, "the base takes no descriptor any more");
	HOLDS(event_base_once(base, -1, EV_TIMEOUT, count_down, &left, &at_once) == 0, "the base takes no timer any more");
	for (tries = 0; left && tries < 1000; tries++) {
		HOLDS(event_base_loop(base, EVLOOP_NONBLOCK) >= 0, "the loop fails though the system is in order");
		usleep(1000);
	}
	HOLDS(!left, "the base runs nothing any more");
	close(ends[0]);
	close(ends[1]);
	event_base_free(base);
}

unsigned char
byte_of_stream(int stream, size_t at)
{
	return (unsigned char)((at * 2654435761u + stream) >> 13);
}

void
take_stream(struct evbuffer *input, int stream, size_t *arrived)
{
	unsigned char bytes[4096];
	int count, i;
	while ((count = evbuffer_remove(input, bytes, sizeof bytes)) > 0) {
		for (i = 0; i < count; i++)
			HOLDS(bytes[i] == byte_of_stream(stream, *arrived + i), "bytes were lost, repeated or moved");
		*arrived += count;
	}
}

/* --- Plans -------------------------------------------------------------------------------------- */

struct result {
	int status; /* of wait */
	unsigned made;
	unsigned counted[FAULT_CALL_COUNT];
	char text[200];
};

static const struct {
	const char *name;
	int number;
} errors[] = {{"EINTR", EINTR},   {"EAGAIN", EAGAIN}, {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE}, {"ENFILE", ENFILE},
	      {"ENOBUFS", ENOBUFS}, {"EPERM", EPERM},   {"ENOSYS", ENOSYS}, {"EBADF", EBADF},   {"ECONNRESET", ECONNRESET},
	      {"EPIPE", EPIPE},     {"EIO", EIO}};
enum { ERRORS = sizeof errors / sizeof *errors, APART = 3 };
static const char *const mode_names[] = {"never", "once", "every", "from", "short"};

static int
moves_bytes(enum fault_call call)
{
	switch (call) {
	case FAULT_pread:
	case FAULT_read:
	case FAULT_readv:
	case FAULT_recv:
	case FAULT_recvfrom:
	case FAULT_recvmsg:
	case FAULT_send:
	case FAULT_sendfile:
	case FAULT_sendmsg:
	case FAULT_sendto:
	case FAULT_write:
	case FAULT_writev:
		return 1;
	default:
		return 0;
	}
}

/* In a system that always says "not now", nothing can be done or reported. */
static int
makes_sense(enum fault_mode mode, unsigned number, int error)
{
	int passes = error == EINTR || error == EAGAIN;
	return !(passes && (mode == FAULT_FROM || (mode == FAULT_EVERY && number == 1)));
}

/* --- Sandboxes ------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	long numbers[12]; /* of system calls, ended by a negative one */
} sandboxes[] = {{"no eventfd", {SYS_eventfd, SYS_eventfd2, -1}},
		 {"no timerfd", {SYS_timerfd_create, -1}},
		 {"no epoll_create1", {SYS_epoll_create1, -1}},
		 {"no epoll", {SYS_epoll_create1, SYS_epoll_create, -1}},
		 {"no accept4", {SYS_accept4, -1}},
		 {"no getrandom", {SYS_getrandom, -1}},
		 {"no sendfile", {SYS_sendfile, -1}},
		 {"no recvfrom and sendto", {SYS_recvfrom, SYS_sendto, -1}},
		 {"no recvmsg and sendmsg", {SYS_recvmsg, SYS_sendmsg, SYS_recvmmsg, SYS_sendmmsg, -1}},
		 {"no recvmmsg and sendmmsg", {SYS_recvmmsg, SYS_sendmmsg, -1}},
		 {"no pipe2", {SYS_pipe2, -1}},
		 {"no io_uring", {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, -1}},
		 {"an old kernel",
		  {SYS_eventfd2, SYS_timerfd_create, SYS_epoll_create1, SYS_accept4, SYS_getrandom, SYS_recvmmsg, SYS_sendmmsg, -1}}};
enum { SANDBOXES = sizeof sandboxes / sizeof *sandboxes };

/* From now on the kernel refuses these calls with an error. */
static void
refuse(const long *numbers, int error)
{
	struct sock_filter filter[32] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
	struct sock_fprog program = {.filter = filter, .len = 1};
	for (; *numbers >= 0; numbers++) {
		filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, *numbers, 0, 1);
		filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
	}
	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	HOLDS(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "a sandbox");
}

/* The sandbox of the following runs, if any. */
static const long *refused_calls;
static int refusal;

/* --- Other systems ----------------------------------------------------------------------------------- */

/* Each changes this process; returns why it cannot, or NULL. */

static const char *
limit_descriptors(rlim_t count)
{
	struct rlimit limit = {count, count};
	return setrlimit(RLIMIT_NOFILE, &limit) ? "the limit of descriptors cannot be changed" : NULL;
}

static const char *
few_descriptors(void)
{
	return limit_descriptors(64);
}

static const char *
many_descriptors(void)
{
	return limit_descriptors(20000);
}

/* All new descriptors have numbers above 65,536. */
static const char *
high_descriptors(void)
{
	enum { HIGH = 65600 };
	const char *problem = limit_descriptors(HIGH + 1000);
	int fd = 0;
	if (problem)
		return problem;
	while (fd >= 0 && fd < HIGH)
		fd = dup(2);
	close(fd);
	first_descriptor = HIGH;
	return fd < 0 ? "descriptors cannot be that high" : NULL;
}

/* Hides a directory behind an empty one. */
static const char *
hide(const char *directory)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", directory, "tmpfs", 0, NULL))
		return "directories cannot be hidden without privileges";
	return NULL;
}

static const char *
no_proc(void)
{
	return hide("/proc");
}

static const char *
no_etc(void)
{
	return hide("/etc");
}

static const char *
no_directory_for_files(void)
{
	return setenv("TMPDIR", "/nowhere", 1) ? "no memory" : NULL;
}

enum { HOUR = 3600, DAY = 24 * HOUR };

static const char *
time_set_back(void)
{
	faults_set_clocks(10, 0, -DAY);
	return NULL;
}

static const char *
time_set_forward(void)
{
	faults_set_clocks(10, 0, DAY);
	return NULL;
}

static const char *
time_ahead(void)
{
	faults_set_clocks(10, HOUR, HOUR);
	return NULL;
}

static const struct {
	const char *name;
	const char *(*prepare)(void);
	int timeouts; /* returned if the feature exists */
	int is_slow;
} systems[] = {{"64 descriptors", few_descriptors, 0, 0},
	       {"20,000 descriptors", many_descriptors, 0, 0},
	       {"descriptors above 65,536", high_descriptors, 0, 1},
	       {"no /proc", no_proc, 0, 0},
	       {"no /etc", no_etc, 0, 0},
	       {"no directory for files", no_directory_for_files, 0, 0},
	       {"the time of day set back", time_set_back, 0, 0},
	       {"the time of day set forward", time_set_forward, 0, 0},
	       {"an hour asleep", time_ahead, 1, 0}};
enum { SYSTEMS = sizeof systems / sizeof *systems };

/* The one of the following runs, if any. */
static const char *(*prepare)(void);

enum { CANNOT_BE = 98 };

/* On a busy machine a timeout of a scenario may pass. */
static int
works_again(const struct scenario *scenario)
{
	int tries = 5;
	while (tries-- > 0) {
		if (scenario->run() == DONE)
			return 1;
	}
	return 0;
}

static void
in_child(const struct scenario *scenario, const struct fault_plan *plan, int report)
{
	struct result result = {.status = 0};
	int before, i;
	enum ending ending;
	if (!without_hooks)
		event_set_mem_functions(counted_malloc, counted_realloc, counted_free);
	if (prepare) {
		const char *reason = prepare();
		if (reason) {
			puts(reason);
			fflush(stdout);
			_exit(CANNOT_BE);
		}
	}
	before = open_descriptors();
	patience = plan->mode == FAULT_SHORT ? SLOW_HEARTBEATS : scenario->in_memory ? LONG_HEARTBEATS : HEARTBEATS;
	alarm(plan->mode == FAULT_SHORT ? SHORT_SECONDS : SECONDS);
	if (refused_calls)
		refuse(refused_calls, refusal);
	faults_start(plan);
	ending = scenario->run();
	faults_stop();
	if (plan->call == FAULT_malloc && plan->mode != FAULT_NEVER)
		HOLDS(works_again(scenario), "it does not work again once there is memory");
	libevent_global_shutdown();
	HOLDS(blocks == 0, "memory was lost");
	HOLDS(open_descriptors() == before, "descriptors were lost");
	result.made = faults_made();
	for (i = 0; i < FAULT_CALL_COUNT; i++)
		result.counted[i] = faults_counted(i);
	if (write(report, &result, sizeof result) != sizeof result)
		_exit(BROKEN);
	_exit(ending);
}

/* --- Running -------------------------------------------------------------------------------------- */

/* Runs a scenario under a plan in a process of its own. */
static void
attempt(const struct scenario *scenario, const struct fault_plan *plan, int quiet, struct result *result)
{
	int report[2], text[2];
	ssize_t got;
	pid_t child;
	memset(result, 0, sizeof *result);
	fflush(NULL);
	if (pipe2(report, O_CLOEXEC) || pipe2(text, O_CLOEXEC) || (child = fork()) < 0)
		exit(1);
	if (!child) {
		close(report[0]);
		close(text[0]);
		dup2(text[1], 1);
		if (quiet)
			dup2(open("/dev/null", O_WRONLY), 2);
		in_child(scenario, plan, report[1]);
	}
	close(report[1]);
	close(text[1]);
	if (read(report[0], result, sizeof *result) < 0)
		exit(1);
	got = read(text[0], result->text, sizeof result->text - 1);
	result->text[got > 0 ? got : 0] = 0;
	result->text[strcspn(result->text, "\n")] = 0;
	close(report[0]);
	close(text[0]);
	waitpid(child, &result->status, 0);
}

/* What is wrong with a finished run; NULL if nothing is. */
static const char *
wrong(const struct result *result)
{
	static char text[300];
	if (WIFSIGNALED(result->status)) {
		snprintf(text, sizeof text, WTERMSIG(result->status) == SIGALRM ? "hangs" : "crashes: %s",
			 strsignal(WTERMSIG(result->status)));
		return text;
	}
	switch (WEXITSTATUS(result->status)) {
	case DONE:
	case REFUSED:
		return NULL;
	case FAULT_BUSY:
		return "spins";
	case BROKEN:
		return result->text;
	default:
		snprintf(text, sizeof text, "ends the process with %d", WEXITSTATUS(result->status));
		return text;
	}
}

struct sums {
	unsigned runs, faults, done, refused, findings;
	/* Faults by call and error; the last error is that bytes fall short. */
	unsigned made[FAULT_CALL_COUNT][ERRORS + 1];
};

/* This process carries out every PARTS-th plan, starting with number PART. */
static unsigned next_plan, part, parts = 1;

static void
run_plan(const struct scenario *scenario, const struct fault_plan *plan, struct sums *sums)
{
	struct result result;
	const char *problem;
	int i;
	if (next_plan++ % parts != part)
		return;
	for (i = 0; i < ERRORS && errors[i].number != plan->error; i++)
		;
	attempt(scenario, plan, 1, &result);
	problem = wrong(&result);
	sums->runs++;
	sums->faults += result.made;
	sums->made[plan->call][i] += result.made;
	sums->done += !problem && WEXITSTATUS(result.status) == DONE;
	sums->refused += !problem && WEXITSTATUS(result.status) == REFUSED;
	if (!problem)
		return;
	sums->findings++;
	printf("FOUND %s %s %s %s %u: %s\n", scenario->name, fault_call_names[plan->call],
	       i < ERRORS ? errors[i].name : "-", mode_names[plan->mode], plan->number, problem);
	fflush(stdout);
}

/* All plans in which one call fails with one error. */
static void
plans_of_error(const struct scenario *scenario, enum fault_call call, unsigned count, int error, unsigned most, struct sums *sums)
{
	struct fault_plan plan = {call, FAULT_ONCE, 1, error, MOST_CALLS};
	unsigned step = count > most && (call != FAULT_malloc || most < MOST_PLACES) ? count / most : 1;
	for (plan.number = 1; plan.number <= count; plan.number += step)
		run_plan(scenario, &plan, sums);
	for (plan.mode = FAULT_EVERY; plan.mode <= FAULT_FROM; plan.mode++) {
		/* All memory is gone, from each place on. */
		unsigned is_gone = call == FAULT_malloc && plan.mode == FAULT_FROM, last = is_gone ? count : 3;
		for (plan.number = 1; plan.number <= last && plan.number <= count; plan.number += is_gone ? step : 1) {
			if (makes_sense(plan.mode, plan.number, error))
				run_plan(scenario, &plan, sums);
		}
	}
}

static void
plans_of_shortness(const struct scenario *scenario, enum fault_call call, int is_long, struct sums *sums)
{
	static const unsigned few[] = {1, 64, 1023};
	struct fault_plan plan = {call, FAULT_SHORT, 1, 0, 40 * MOST_CALLS};
	unsigned i;
	for (i = 0; i < sizeof few / sizeof *few && !is_long; i++) {
		plan.number = few[i];
		run_plan(scenario, &plan, sums);
	}
	/* Every length up to a limit, then lengths at growing distances. */
	for (plan.number = 1; plan.number <= 16384 && is_long; plan.number += plan.number < 64 ? 1 : plan.number / 8)
		run_plan(scenario, &plan, sums);
}

/* Prints how many faults of each error were injected. */
static void
print_faults(enum fault_call call, const struct sums *sums)
{
	int i;
	printf("MADE %s", fault_call_names[call]);
	for (i = 0; i <= ERRORS; i++)
		printf(" %u", sums->made[call][i]);
	puts("");
}

static int
print_sums(const struct scenario *scenario, const struct sums *sums)
{
	printf("%s: %u runs, %u faults, %u done, %u refused, %u findings\n", scenario->name, sums->runs, sums->faults, sums->done,
	       sums->refused, sums->findings);
	return sums->findings != 0;
}

/* A run without faults. On a busy machine a timeout of the scenario may expire: then it is tried again. */
static void
attempt_all(const struct scenario *scenario, struct result *result)
{
	struct fault_plan nothing = {0, FAULT_NEVER, 0, 0, MOST_CALLS};
	int tries = 5;
	do {
		attempt(scenario, &nothing, 1, result);
	} while (--tries > 0 && WIFEXITED(result->status) && WEXITSTATUS(result->status) == REFUSED);
}

/* Counts the calls of a run without faults; returns whether it completed. */
static int
run_dry(const struct scenario *scenario, struct result *dry)
{
	attempt_all(scenario, dry);
	if (WIFEXITED(dry->status) && WEXITSTATUS(dry->status) == DONE)
		return 1;
	printf("FOUND %s without any fault: %s\n", scenario->name, wrong(dry) ? wrong(dry) : "refused");
	return 0;
}

/* A selection of errors, a different one for each call and scenario. */
static int
some_plans(const struct scenario *scenario)
{
	struct result dry;
	struct sums sums = {0};
	int call, i;
	if (!run_dry(scenario, &dry))
		return 1;
	for (call = 0; call < FAULT_CALL_COUNT; call++) {
		if (!dry.counted[call] || scenario->in_memory != (call == FAULT_malloc))
			continue;
		if (call == FAULT_malloc)
			plans_of_error(scenario, call, dry.counted[call], ENOMEM, 6, &sums);
		for (i = (call + scenario->name[0] + (int)strlen(scenario->name)) % APART; i < ERRORS && call != FAULT_malloc; i += APART)
			plans_of_error(scenario, call, dry.counted[call], errors[i].number, 6, &sums);
		if (moves_bytes(call))
			plans_of_shortness(scenario, call, 0, &sums);
		print_faults(call, &sums);
	}
	return print_sums(scenario, &sums);
}

/* A part of the plans with one call and error. */
static int
all_plans(const struct scenario *scenario, char **words)
{
	struct sums sums = {0};
	int call = 0, i = 0;
	while (call < FAULT_CALL_COUNT && strcmp(fault_call_names[call], words[0]))
		call++;
	while (i < ERRORS && strcmp(errors[i].name, words[2]))
		i++;
	if (call == FAULT_CALL_COUNT)
		return 2;
	part = atoi(words[3]);
	parts = atoi(words[4]);
	if (i < ERRORS)
		plans_of_error(scenario, call, atoi(words[1]), errors[i].number, MOST_PLACES, &sums);
	else if (moves_bytes(call))
		plans_of_shortness(scenario, call, 1, &sums);
	print_faults(call, &sums);
	return print_sums(scenario, &sums);
}

static int
list_calls(const struct scenario *scenario)
{
	struct result dry;
	int call;
	if (!run_dry(scenario, &dry))
		return 1;
	for (call = 0; call < FAULT_CALL_COUNT; call++) {
		if (dry.counted[call] && (!scenario->in_memory || call == FAULT_malloc))
			printf("%s %u\n", fault_call_names[call], dry.counted[call]);
	}
	return 0;
}

/* In a sandbox that allows what the reference needs, everything works. */
static void
all_sandboxes(const struct scenario *scenario, struct sums *sums)
{
	static const int refusals[] = {ENOSYS, EPERM};
	struct result result;
	int i, j;
	for (i = 0; i < SANDBOXES; i++) {
		for (j = 0; j < 2; j++) {
			refused_calls = sandboxes[i].numbers;
			refusal = refusals[j];
			attempt_all(scenario, &result);
			sums->runs++;
			if (WIFEXITED(result.status) && WEXITSTATUS(result.status) == DONE) {
				sums->done++;
				continue;
			}
			sums->findings++;
			printf("FOUND %s in a sandbox with %s (%s): %s\n", scenario->name, sandboxes[i].name, strerror(refusal),
			       wrong(&result) ? wrong(&result) : "refused");
		}
	}
	refused_calls = NULL;
}

static int
all_systems(const struct scenario *scenario, int is_long)
{
	struct result result;
	struct sums sums = {0};
	unsigned skipped = 0;
	int i, status;
	all_sandboxes(scenario, &sums);
	for (i = 0; i < SYSTEMS; i++) {
		if (systems[i].is_slow && !is_long)
			continue;
		prepare = systems[i].prepare;
		attempt_all(scenario, &result);
		status = WIFEXITED(result.status) ? WEXITSTATUS(result.status) : -1;
		if (status == CANNOT_BE) {
			printf("SKIPPED %s with %s: %s\n", scenario->name, systems[i].name, result.text);
			skipped++;
			continue;
		}
		sums.runs++;
		sums.done += status == DONE;
		if (status == DONE || (status == REFUSED && systems[i].timeouts))
			continue;
		sums.findings++;
		printf("FOUND %s with %s: %s\n", scenario->name, systems[i].name, wrong(&result) ? wrong(&result) : "refused");
	}
	printf("%s: %u systems, %u done, %u skipped, %u findings\n", scenario->name, sums.runs, sums.done, skipped, sums.findings);
	return sums.findings != 0;
}

static int
one_plan(const struct scenario *scenario, char **words)
{
	struct fault_plan plan = {0, FAULT_NEVER, atoi(words[3]), 0, 40 * MOST_CALLS};
	struct result result;
	int i;
	for (i = 0; i < FAULT_CALL_COUNT; i++) {
		if (!strcmp(fault_call_names[i], words[0]))
			plan.call = i;
	}
	for (i = 0; i < ERRORS; i++) {
		if (!strcmp(errors[i].name, words[1]))
			plan.error = errors[i].number;
	}
	for (i = 0; i <= FAULT_SHORT; i++) {
		if (!strcmp(mode_names[i], words[2]))
			plan.mode = i;
	}
	if (getenv("FAULTS_IN_PROCESS"))
		in_child(scenario, &plan, open("/dev/null", O_WRONLY));
	attempt(scenario, &plan, 0, &result);
	printf("%s, %u faults\n", wrong(&result) ? wrong(&result) : WEXITSTATUS(result.status) == DONE ? "done" : "refused", result.made);
	return wrong(&result) != NULL;
}

int
main(int count, char **words)
{
	struct scenario *scenario;
	struct rlimit no_core = {0, 0};
	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGPIPE, SIG_IGN);
	without_hooks = getenv("FAULTS_NO_HOOKS") != NULL;
	if (count >= 2 && !strcmp(words[1], "--list")) {
		for (scenario = scenarios; scenario; scenario = scenario->next) {
			if (count == 2 || scenario->in_memory)
				puts(scenario->name);
		}
		return 0;
	}
	for (scenario = scenarios; scenario && count > 1 && strcmp(scenario->name, words[1]); scenario = scenario->next)
		;
	if (scenario && count == 3 && strstr(words[2], "systems"))
		return all_systems(scenario, !strcmp(words[2], "all-systems"));
	if (scenario && count == 3)
		return !strcmp(words[2], "calls") ? list_calls(scenario) : some_plans(scenario);
	if (scenario && count == 8)
		return all_plans(scenario, words + 3);
	if (scenario && count == 6)
		return one_plan(scenario, words + 2);
	fputs("usage: drive --list | SCENARIO short|calls|systems|all-systems | SCENARIO long CALL COUNT ERRNO PART PARTS | SCENARIO CALL ERRNO MODE NUMBER\n", stderr);
	return 2;
}
