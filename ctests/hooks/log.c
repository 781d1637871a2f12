/* The log and fatal callbacks. */
#include "observe.h"

#include <errno.h>
#include <event2/event_compat.h>
#include <event2/event_struct.h>

static struct event_base *base;

static void
warn(void)
{
	struct event zeroed;
	memset(&zeroed, 0, sizeof zeroed);
	event_del(&zeroed);
}

CASE(warning_reaches_the_callback, ONE_BACKEND | OWN_DEBUG_MODE)
{
	log_to_stdout();
	warn();
}

static void
print_otherwise(int severity, const char *message)
{
	printf("second callback, severity %d: %s\n", severity, message);
}

CASE(callback_is_replaced_at_once, ONE_BACKEND | OWN_DEBUG_MODE)
{
	log_to_stdout();
	warn();
	event_set_log_callback(print_otherwise);
	warn();
}

/* Prints what body writes to stderr. */
static void
print_stderr(void (*body)(void))
{
	char text[2000];
	int ends[2], saved = dup(2);
	ssize_t length;

	make_pipe(ends);
	CHECK(dup2(ends[1], 2) == 2);
	body();
	fflush(stderr);
	dup2(saved, 2);
	length = read(ends[0], text, sizeof text - 1);
	printf("%.*s", length > 0 ? (int)length : 0, text);
	puts(length > 0 ? "" : "nothing on stderr");
}

CASE(default_destination_is_stderr, ONE_BACKEND | OWN_DEBUG_MODE)
{
	print_stderr(warn);
	log_to_stdout();
	print_stderr(warn);
	event_set_log_callback(NULL);
	print_stderr(warn);
}

static void
show_method(void)
{
	event_base_free(event_base_new());
}

CASE(method_is_shown, EVERY_BACKEND)
{
	struct event_config *config = event_config_new();

	setenv("EVENT_SHOW_METHOD", "", 1);
	log_to_stdout();
	event_base_free(event_base_new());
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	event_base_free(event_base_new_with_config(config));
	event_config_free(config);
	event_set_log_callback(NULL);
	print_stderr(show_method);
	unsetenv("EVENT_SHOW_METHOD");
	print_stderr(show_method);
}

static int debug_messages;

static void
count_debug_messages(int severity, const char *message)
{
	CHECK_EQUAL(severity, EVENT_LOG_DEBUG);
	CHECK(strlen(message) > 0 && message[strlen(message) - 1] != '\n');
	debug_messages++;
}

static void
something_to_debug(void)
{
	struct event *ev;
	int ends[2];

	make_pipe(ends);
	base = event_base_new();
	ev = event_new(base, ends[0], EV_READ, ignore_event, NULL);
	event_add(ev, NULL);
	put_byte(ends[1]);
	event_base_dispatch(base);
	event_free(ev);
	event_base_free(base);
}

CASE(debug_messages_are_off_until_enabled, EVERY_BACKEND)
{
	event_set_log_callback(count_debug_messages);
	something_to_debug();
	CHECK_EQUAL(debug_messages, 0);
	event_enable_debug_logging(EVENT_DBG_ALL);
	something_to_debug();
	CHECK(debug_messages > 0);
	event_enable_debug_logging(EVENT_DBG_NONE);
	debug_messages = 0;
	something_to_debug();
	CHECK_EQUAL(debug_messages, 0);
	event_enable_debug_logging(1);
	something_to_debug();
	CHECK(debug_messages > 0);
}

CASE(severities_have_their_numbers, ONE_BACKEND)
{
	printf("%d %d %d %d\n", EVENT_LOG_DEBUG, EVENT_LOG_MSG, EVENT_LOG_WARN, EVENT_LOG_ERR);
	printf("%d %d %d %d\n", _EVENT_LOG_DEBUG, _EVENT_LOG_MSG, _EVENT_LOG_WARN, _EVENT_LOG_ERR);
	printf("%#x %#x\n", EVENT_DBG_ALL, EVENT_DBG_NONE);
}

static int depth;

static void
log_in_the_callback(int severity, const char *message)
{
	printf("%*s[%d] %s\n", depth * 2, "", severity, message);
	if (depth++ < 2)
		warn();
	depth--;
}

CASE(callback_may_log, ONE_BACKEND | OWN_DEBUG_MODE)
{
	event_set_log_callback(log_in_the_callback);
	warn();
}

CASE(failed_add_leaves_errno, EPOLL_ONLY | OWN_DEBUG_MODE | ONE_BACKEND)
{
	struct event *ev;

	log_without_addresses();
	base = event_base_new();
	ev = event_new(base, 900, EV_READ, ignore_event, NULL);
	CHECK_EQUAL(event_add(ev, NULL), -1);
	CHECK_EQUAL(errno, EBADF);
	event_free(ev);
	event_base_free(base);
}

static void
clobber_errno(int severity, const char *message)
{
	(void)severity;
	(void)message;
	errno = 0;
}

DIFFERENCE(logging_preserves_errno, ONE_BACKEND | OWN_DEBUG_MODE,
	"a log callback that changes errno changes what the caller sees")
{
	struct event *ev;

	event_set_log_callback(clobber_errno);
	base = event_base_new();
	ev = evsignal_new(base, 9, ignore_event, NULL);
	CHECK_EQUAL(event_add(ev, NULL), -1);
	CHECK_EQUAL(errno, EINVAL);
	event_free(ev);
	event_base_free(base);
}

/* --- Messages of the area --- */

CASE(messages_of_wrong_calls, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct event *ev;
	struct event zeroed;

	log_without_addresses();
	memset(&zeroed, 0, sizeof zeroed);
	base = event_base_new();
	printf("add %d\n", event_add(&zeroed, NULL));
	printf("del %d\n", event_del(&zeroed));
	printf("pending %d\n", event_pending(&zeroed, EV_READ, NULL));
	printf("remove_timer %d\n", event_remove_timer(&zeroed));
	event_active(&zeroed, EV_READ, 1);
	ev = event_new(base, 1, EV_SIGNAL | EV_READ, ignore_event, NULL);
	printf("event_new %d\n", ev != NULL);
	printf("assign %d\n", event_assign(&zeroed, base, 1, EV_SIGNAL | EV_WRITE, ignore_event, NULL));
	printf("assign %d\n", event_assign(&zeroed, base, 1, EV_SIGNAL | EV_CLOSED, ignore_event, NULL));
	printf("priority_init %d %d %d\n", event_base_priority_init(base, 0), event_base_priority_init(base, -1),
	       event_base_priority_init(base, 256));
	printf("priority_set %d\n", event_priority_set(&zeroed, 1));
	printf("priority_set %d\n", event_priority_set(&zeroed, -1));
	printf("once %d\n", event_base_once(base, 1, EV_SIGNAL, ignore_event, NULL, NULL));
	printf("once %d\n", event_base_once(base, 1, EV_READ | EV_PERSIST, ignore_event, NULL, NULL));
	printf("once %d\n", event_base_once(base, 1, 0, ignore_event, NULL, NULL));
	printf("once %d\n", event_base_once(NULL, 1, EV_TIMEOUT, ignore_event, NULL, NULL));
	event_base_free(base);
	puts("free of no base");
	event_base_free(NULL);
}

CASE(no_backend_left, ONE_BACKEND)
{
	struct event_config *config = event_config_new();

	log_to_stdout();
	event_config_avoid_method(config, "epoll");
	event_config_avoid_method(config, "poll");
	event_config_avoid_method(config, "select");
	printf("base %d\n", event_base_new_with_config(config) != NULL);
	event_config_free(config);
}

static int
event_init_fails_body(void)
{
	setenv("EVENT_NOEPOLL", "1", 1);
	setenv("EVENT_NOPOLL", "1", 1);
	setenv("EVENT_NOSELECT", "1", 1);
	log_to_stdout();
	event_init();
	puts("not noticed");
	return 0;
}

static void
print_code(int code)
{
	printf("fatal callback %#x\n", (unsigned)code);
}

static int
event_init_fails_with_callback_body(void)
{
	event_set_fatal_callback(print_code);
	return event_init_fails_body();
}

static int
fatal_callback_removed_body(void)
{
	event_set_fatal_callback(print_code);
	event_set_fatal_callback(NULL);
	return event_init_fails_body();
}

CASE(fatal_error_of_event_init, ONE_BACKEND)
{
	in_child(event_init_fails_body);
	in_child(event_init_fails_with_callback_body);
	in_child(fatal_callback_removed_body);
}

/* The wording of a failed assertion may differ. */
static void
print_severity(int severity, const char *message)
{
	(void)message;
	printf("message of severity %d\n", severity);
}

static int
event_set_fails_body(void)
{
	struct event ev;

	event_set_log_callback(print_severity);
	base = event_init();
	event_set(&ev, 1, EV_SIGNAL | EV_READ, ignore_event, NULL);
	puts("not noticed");
	return 0;
}

CASE(event_set_that_fails_is_fatal, ONE_BACKEND)
{
	in_child(event_set_fails_body);
}

static int
get_method_of_null_body(void)
{
	event_set_log_callback(print_severity);
	event_set_fatal_callback(print_code);
	event_base_get_method(NULL);
	puts("not noticed");
	return 0;
}

CASE(get_method_of_null_is_fatal, ONE_BACKEND)
{
	in_child(get_method_of_null_body);
}
