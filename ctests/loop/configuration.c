/* How a base is made: methods, features, flags, environment; and what is left when it is freed. */
#define _GNU_SOURCE
#include "trace.h"

#include <event2/thread.h>
#include <sys/resource.h>

static const char *const methods[] = {"epoll", "poll", "select"};

static void
print_base(const char *label, const struct event_config *config)
{
	struct event_base *base = event_base_new_with_config(config);
	if (!base) {
		printf("%s: NULL\n", label);
		return;
	}
	printf("%s: %s, features 0x%x\n", label, event_base_get_method(base), event_base_get_features(base));
	event_base_free(base);
}

static void
print_base_with_flags(const char *label, int flags)
{
	struct event_config *config = event_config_new();
	CHECK_EQUAL(event_config_set_flag(config, flags), 0);
	print_base(label, config);
	event_config_free(config);
}

CASE(new_base_as_configured, EVERY_BACKEND)
{
	struct event_base *base = event_base_new();
	CHECK(base);
	printf("%s, features 0x%x\n", event_base_get_method(base), event_base_get_features(base));
	CHECK_EQUAL(event_base_get_npriorities(base), 1);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE | EVENT_BASE_COUNT_VIRTUAL |
							EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE | EVENT_BASE_COUNT_VIRTUAL |
							EVENT_BASE_COUNT_ADDED, 0), 0);
	CHECK_EQUAL(event_base_got_exit(base), 0);
	CHECK_EQUAL(event_base_got_break(base), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(null_config_is_the_default, EVERY_BACKEND)
{
	struct event_config *config = event_config_new();
	print_base("NULL", NULL);
	print_base("default", config);
	event_config_free(config);
}

/* Every set of required features against every set of avoided methods. */
CASE(features_and_avoided_methods, ONE_BACKEND)
{
	int avoided, features, i;
	log_to_stdout();
	for (avoided = 0; avoided < 8; avoided++) {
		for (features = 0; features < 16; features++) {
			char label[40];
			struct event_config *config = event_config_new();
			for (i = 0; i < 3; i++)
				if (avoided >> i & 1)
					CHECK_EQUAL(event_config_avoid_method(config, methods[i]), 0);
			CHECK_EQUAL(event_config_require_features(config, features), 0);
			snprintf(label, sizeof label, "avoided %d, required 0x%x", avoided, features);
			print_base(label, config);
			event_config_free(config);
		}
	}
}

CASE(required_features_are_replaced, ONE_BACKEND)
{
	struct event_config *config = event_config_new();
	CHECK_EQUAL(event_config_require_features(config, EV_FEATURE_ET), 0);
	CHECK_EQUAL(event_config_require_features(config, EV_FEATURE_FDS), 0);
	print_base("fds after et", config);
	CHECK_EQUAL(event_config_require_features(config, 0), 0);
	print_base("nothing after fds", config);
	CHECK_EQUAL(event_config_require_features(config, 0x100), 0);
	print_base("unknown feature", config);
	event_config_free(config);
}

CASE(avoided_names_match_exactly, ONE_BACKEND)
{
	static const char *const names[] = {"EPOLL", "epol", "epolll", "epoll ", "", "kqueue", "devpoll",
					    "epoll (with changelist)"};
	struct event_config *config = event_config_new();
	char name[] = "poll";
	size_t i;
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		CHECK_EQUAL(event_config_avoid_method(config, names[i]), 0);
	print_base("other names", config);
	CHECK_EQUAL(event_config_avoid_method(config, "epoll"), 0);
	CHECK_EQUAL(event_config_avoid_method(config, "epoll"), 0);
	print_base("epoll, twice", config);
	CHECK_EQUAL(event_config_avoid_method(config, name), 0);
	memset(name, 'x', 4);
	print_base("poll, the name was copied", config);
	event_config_free(config);
}

CASE(configuration_of_nothing, ONE_BACKEND)
{
	struct event_config *config = event_config_new();
	CHECK_EQUAL(event_config_set_flag(NULL, EVENT_BASE_FLAG_NOLOCK), -1);
	CHECK_EQUAL(event_config_require_features(NULL, EV_FEATURE_ET), -1);
	CHECK_EQUAL(event_config_set_num_cpus_hint(NULL, 2), -1);
	CHECK_EQUAL(event_config_avoid_method(config, NULL), -1);
	print_base("after refusals", config);
	event_config_free(config);
}

DIFFERENCE(null_config_is_refused, ONE_BACKEND, "NULL configurations crash")
{
	struct timeval tv = {0, 0};
	CHECK_EQUAL(event_config_avoid_method(NULL, "epoll"), -1);
	CHECK_EQUAL(event_config_set_max_dispatch_interval(NULL, &tv, 1, 0), -1);
	event_config_free(NULL);
}

CASE(cpu_hint_and_odd_flags_do_nothing, ONE_BACKEND)
{
	struct event_config *config = event_config_new();
	CHECK_EQUAL(event_config_set_num_cpus_hint(config, 64), 0);
	CHECK_EQUAL(event_config_set_num_cpus_hint(config, -1), 0);
	CHECK_EQUAL(event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP), 0);
	CHECK_EQUAL(event_config_set_flag(config, 0x40000000), 0);
	print_base("odd flags", config);
	event_config_free(config);
}

CASE(flags_add_up, ONE_BACKEND)
{
	struct event_config *config = event_config_new();
	CHECK_EQUAL(event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST), 0);
	CHECK_EQUAL(event_config_set_flag(config, 0), 0);
	CHECK_EQUAL(event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME), 0);
	print_base("changelist stays", config);
	CHECK_EQUAL(event_config_avoid_method(config, "epoll"), 0);
	print_base("without epoll", config);
	event_config_free(config);
}

CASE(a_config_makes_several_bases, EVERY_BACKEND)
{
	struct event_config *config = event_config_new();
	struct event_base *bases[3];
	int i;
	for (i = 0; i < 3; i++) {
		bases[i] = event_base_new_with_config(config);
		CHECK(bases[i]);
	}
	CHECK_EQUAL(event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME), 0);
	event_config_free(config);
	for (i = 0; i < 3; i++) {
		CHECK_EQUAL(event_base_once(bases[i], -1, EV_TIMEOUT, print_call, "once", NULL), 0);
		CHECK_EQUAL(event_base_dispatch(bases[i]), 1);
		event_base_free(bases[i]);
	}
}

/* Every combination of flags gives a base on which a timer and a pipe work. */
CASE(every_flag_combination_works, EVERY_BACKEND)
{
	int flags;
	for (flags = 0; flags < 0x40; flags++) {
		int ends[2];
		struct event_base *base = base_with_flags(flags);
		struct event *reader, *timer = named_event(base, -1, 0, "timer");
		make_pipe(ends);
		put_byte(ends[1]);
		reader = named_event(base, ends[0], EV_READ, "reader");
		printf("0x%02x: %s\n", flags, event_base_get_method(base));
		CHECK_EQUAL(event_add(reader, NULL), 0);
		CHECK_EQUAL(add_timed(timer, 1), 0);
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
		CHECK_EQUAL(event_base_dispatch(base), 1);
		event_free(reader);
		event_free(timer);
		event_base_free(base);
		close(ends[0]);
		close(ends[1]);
	}
}

/* The environment. The existence of a variable counts, not its value. */
CASE(environment_disables_methods, ONE_BACKEND)
{
	static const char *const names[] = {"EVENT_NOEPOLL", "EVENT_NOPOLL", "EVENT_NOSELECT"};
	static const char *const values[] = {"", "0", "1"};
	int disabled, i;
	log_to_stdout();
	for (disabled = 0; disabled < 8; disabled++) {
		char label[40];
		for (i = 0; i < 3; i++) {
			if (disabled >> i & 1)
				setenv(names[i], values[i], 1);
			else
				unsetenv(names[i]);
		}
		snprintf(label, sizeof label, "disabled %d", disabled);
		print_base(label, NULL);
		print_base_with_flags("  environment ignored", EVENT_BASE_FLAG_IGNORE_ENV);
	}
}

CASE(environment_selects_the_changelist, ONE_BACKEND)
{
	setenv("EVENT_EPOLL_USE_CHANGELIST", "", 1);
	print_base("empty", NULL);
	setenv("EVENT_EPOLL_USE_CHANGELIST", "no", 1);
	print_base("no", NULL);
	print_base_with_flags("ignored", EVENT_BASE_FLAG_IGNORE_ENV);
	print_base_with_flags("ignored, with the flag",
			      EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	setenv("EVENT_NOEPOLL", "1", 1);
	print_base("no epoll", NULL);
}

CASE(environment_shows_the_method, EVERY_BACKEND)
{
	log_to_stdout();
	setenv("EVENT_SHOW_METHOD", "", 1);
	print_base("shown", NULL);
	print_base_with_flags("shown although ignored", EVENT_BASE_FLAG_IGNORE_ENV);
	unsetenv("EVENT_SHOW_METHOD");
	print_base("not shown", NULL);
}

CASE(environment_asks_for_precise_timers, EVERY_BACKEND)
{
	struct timeval tv = {0, 200}, start, end;
	struct event_base *base;
	setenv("EVENT_PRECISE_TIMER", "0", 1);
	base = new_base();
	CHECK_EQUAL(event_gettime_monotonic(base, &start), 0);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "200 microseconds", &tv), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_gettime_monotonic(base, &end), 0);
	evutil_timersub(&end, &start, &end);
	CHECK(end.tv_sec == 0 ? end.tv_usec >= 200 : 1);
	event_base_free(base);
}

CASE(names_that_are_not_variables, ONE_BACKEND)
{
	log_to_stdout();
	setenv("EVENT_DEBUG_MODE", "1", 1);
	setenv("EVENT_DEBUG_LOGGING_ALL", "1", 1);
	setenv("EVENT_NOKQUEUE", "1", 1);
	setenv("EVENT_NODEVPOLL", "1", 1);
	print_base("unaffected", NULL);
}

CASE(supported_methods, EVERY_BACKEND)
{
	const char **names = event_get_supported_methods();
	for (; *names; names++)
		printf("%s\n", *names);
}

DIFFERENCE(supported_methods_stay_valid, ONE_BACKEND,
	"event_get_supported_methods frees the array that the previous call returned")
{
	const char **first = event_get_supported_methods();
	void *blocks[50];
	size_t i;
	/* The first array is a block of this size in the reference: give a freed one to someone else. */
	event_get_supported_methods();
	for (i = 0; i < 50; i++) {
		blocks[i] = malloc(4 * sizeof(char *));
		memset(blocks[i], 0, 4 * sizeof(char *));
	}
	CHECK_STRING(first[0], "epoll");
	CHECK_STRING(first[1], "poll");
	CHECK_STRING(first[2], "select");
	CHECK(!first[3]);
	for (i = 0; i < 50; i++)
		free(blocks[i]);
}

CASE(a_freed_base_leaves_no_descriptor, EVERY_BACKEND)
{
	int before = open_descriptors(), flags;
	for (flags = 0; flags < 0x40; flags++) {
		struct event_base *base = base_with_flags(flags);
		struct event *signal_event = added_event(base, 10, EV_SIGNAL | EV_PERSIST, "signal");
		CHECK_EQUAL(event_del(signal_event), 0);
		event_free(signal_event);
		event_base_free(base);
		CHECK_EQUAL(open_descriptors(), before);
	}
}

CASE(descriptors_of_a_base_close_on_exec, EVERY_BACKEND)
{
	bool mine[1024] = {false};
	int fd;
	struct event_base *base;
	for (fd = 0; fd < 1024; fd++)
		mine[fd] = fcntl(fd, F_GETFD) >= 0;
	base = base_with_flags(EVENT_BASE_FLAG_PRECISE_TIMER);
	for (fd = 0; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);
		CHECK(mine[fd] || flags < 0 || flags & FD_CLOEXEC);
	}
	event_base_free(base);
}

DIFFERENCE(base_without_descriptors_left, EVERY_BACKEND,
	   "event_base_new ends the process when there are no descriptors left")
{
	struct rlimit limit = {(rlim_t)open_descriptors(), (rlim_t)open_descriptors()};
	struct event_base *base;
	int spare, made = 0;
	log_to_stdout();
	for (spare = 0; spare < 6; spare++) {
		CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
		limit.rlim_cur = (rlim_t)(open_descriptors() + spare);
		CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		base = event_base_new();
		if (!base)
			continue;
		made++;
		CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "works", NULL), 0);
		CHECK_EQUAL(event_base_dispatch(base), 1);
		event_base_free(base);
	}
	CHECK(made > 0);
}

/* Freeing. */
CASE(freeing_no_base, ONE_BACKEND)
{
	log_to_stdout();
	event_base_free(NULL);
	event_base_free_nofinalize(NULL);
}

CASE(freeing_with_events_pending, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event events[6];
	int ends[2], i;
	make_socketpair(ends);
	put_byte(ends[1]);
	event_assign(&events[0], base, ends[0], EV_READ, print_call, "read");
	event_assign(&events[1], base, ends[0], EV_WRITE | EV_PERSIST, print_call, "write");
	event_assign(&events[2], base, -1, 0, print_call, "timer");
	event_assign(&events[3], base, 10, EV_SIGNAL | EV_PERSIST, print_call, "signal");
	event_assign(&events[4], base, -1, 0, print_call, "active");
	event_assign(&events[5], base, -1, EV_PERSIST, print_call, "common timeout");
	for (i = 0; i < 4; i++)
		CHECK_EQUAL(add_timed(&events[i], 10000), 0);
	event_active(&events[4], EV_READ, 1);
	{
		struct timeval tv = {5, 0};
		const struct timeval *common = event_base_init_common_timeout(base, &tv);
		CHECK_EQUAL(event_add(&events[5], common), 0);
	}
	CHECK_EQUAL(event_base_once(base, ends[0], EV_READ, print_call, "once", NULL), 0);
	for (i = 0; i < 6; i++)
		printf("%d: 0x%02x\n", i, events[i].ev_evcallback.evcb_flags);
	event_base_free(base);
	for (i = 0; i < 6; i++)
		printf("%d: 0x%02x\n", i, events[i].ev_evcallback.evcb_flags);
	CHECK(fcntl(ends[0], F_GETFD) >= 0);
	close(ends[0]);
	close(ends[1]);
}

static void
free_events_after_their_base(void)
{
	struct event_base *base = new_base();
	struct event *idle, *pending, *active;
	int ends[2];
	make_pipe(ends);
	idle = named_event(base, ends[0], EV_READ, "idle");
	pending = named_event(base, ends[0], EV_READ | EV_PERSIST, "pending");
	active = named_event(base, -1, 0, "active");
	CHECK_EQUAL(add_timed(pending, 1000), 0);
	event_active(active, EV_TIMEOUT, 1);
	event_base_free(base);
	event_free(idle);
	event_free(pending);
	event_free(active);
	close(ends[0]);
	close(ends[1]);
}

CASE(events_are_freed_after_their_base, EVERY_BACKEND | OWN_LOCKS)
{
	free_events_after_their_base();
}

DIFFERENCE(events_are_freed_after_their_base_and_its_lock, ONE_BACKEND | OWN_LOCKS,
	   "event_free after event_base_free uses the lock of the freed base")
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	evthread_enable_lock_debugging();
	free_events_after_their_base();
}

CASE(events_move_to_another_base, EVERY_BACKEND)
{
	struct event_base *first = new_base(), *second = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	ev = added_event(first, ends[0], EV_READ | EV_PERSIST, "moved");
	CHECK_EQUAL(event_base_set(second, ev), -1);
	poll_once(first);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_base_set(second, ev), 0);
	CHECK(event_get_base(ev) == second);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	event_base_free(first);
	poll_once(second);
	event_free(ev);
	event_base_free(second);
}

CASE(several_bases_are_independent, EVERY_BACKEND)
{
	struct event_base *first = new_base(), *second = new_base();
	struct event *on_first, *on_second;
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	on_first = added_event(first, ends[0], EV_READ | EV_PERSIST, "first");
	on_second = added_event(second, ends[0], EV_READ | EV_PERSIST, "second");
	poll_once(first);
	poll_once(second);
	CHECK_EQUAL(event_del(on_first), 0);
	poll_once(second);
	event_free(on_first);
	event_base_free(first);
	poll_once(second);
	event_free(on_second);
	event_base_free(second);
}

/* Priorities. */
CASE(numbers_of_priorities, ONE_BACKEND)
{
	static const int numbers[] = {0, -1, 1, 2, 255, 256, 257, 1000000, 3, 3};
	struct event_base *base = new_base();
	size_t i;
	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		printf("%d: %d, then %d\n", numbers[i], event_base_priority_init(base, numbers[i]),
		       event_base_get_npriorities(base));
	event_base_free(base);
}

CASE(default_priority_is_the_middle, ONE_BACKEND)
{
	struct event_base *base = new_base();
	int number;
	for (number = 1; number < 12; number++) {
		struct event *ev;
		CHECK_EQUAL(event_base_priority_init(base, number), 0);
		ev = named_event(base, -1, 0, "");
		printf("%d: %d\n", number, event_get_priority(ev));
		event_free(ev);
	}
	event_base_free(base);
}

CASE(priorities_are_fixed_while_something_is_active, ONE_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "active");
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_base_priority_init(base, 4), -1);
	CHECK_EQUAL(event_base_get_npriorities(base), 1);
	poll_once(base);
	CHECK_EQUAL(event_base_priority_init(base, 4), 0);
	CHECK_EQUAL(event_base_get_npriorities(base), 4);
	event_active(ev, EV_READ, 1);
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

CASE(priorities_change_while_events_are_pending, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	ev = added_event(base, ends[0], EV_READ | EV_PERSIST, "pending");
	CHECK_EQUAL(event_base_priority_init(base, 8), 0);
	CHECK_EQUAL(event_get_priority(ev), 0);
	poll_once(base);
	CHECK_EQUAL(event_priority_set(ev, 7), 0);
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

DIFFERENCE(fewer_priorities_than_events_have, EVERY_BACKEND,
	   "activating an event of a priority that the base no longer has ends the process")
{
	struct event_base *base = new_base();
	struct event *ev, *other;
	CHECK_EQUAL(event_base_priority_init(base, 8), 0);
	ev = named_event_at(base, -1, 0, "seven", 7);
	CHECK_EQUAL(event_base_priority_init(base, 2), 0);
	other = named_event_at(base, -1, 0, "one", 1);
	event_active(ev, EV_READ, 1);
	event_active(other, EV_READ, 1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	CHECK_EQUAL(add_timed(ev, 0), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_free(other);
	event_base_free(base);
}

DIFFERENCE(internal_event_that_is_only_active, EVERY_BACKEND,
	   "event_base_free ends the process when an internal event is active")
{
	struct event_base *base = new_base();
	struct event ev;
	event_assign(&ev, base, -1, 0, print_call, "internal");
	ev.ev_evcallback.evcb_flags |= EVLIST_INTERNAL;
	event_active(&ev, EV_READ, 1);
	event_base_free(base);
	CHECK_EQUAL(ev.ev_evcallback.evcb_flags & (EVLIST_ACTIVE | EVLIST_INSERTED | EVLIST_TIMEOUT), 0);
}
