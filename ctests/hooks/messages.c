/* Messages, fatal errors and their callbacks. */
#include "harness.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void event_err(int eval, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));
void event_errx(int eval, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));
void event_sock_err(int eval, evutil_socket_t sock, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
void event_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void event_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void event_sock_warn(evutil_socket_t sock, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void event_msgx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void event_debugx_(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void event_logv_(int severity, const char *errstr, const char *fmt, va_list ap);
extern ev_uint32_t event_debug_logging_mask_;

static void
logv(int severity, const char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	event_logv_(severity, error, format, arguments);
	va_end(arguments);
}

/* Runs a function in a child with stderr on stdout; prints how it ended. */
static void
in_child(void (*function)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		dup2(1, 2);
		function();
		printf("returned\n");
		exit(0);
	}
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status))
		printf("signal %d\n", WTERMSIG(status));
	else
		printf("exit %d\n", WEXITSTATUS(status));
}

static void
every_function(void)
{
	errno = ENOENT;
	event_warn("warn %d", 1);
	errno = EINTR;
	event_sock_warn(5, "sock_warn %s", "two");
	event_warnx("warnx %c", '3');
	event_msgx("msgx %x", 4);
	event_debugx_("debugx %f", 5.5);
	for (int severity = -1; severity < 6; severity++) {
		logv(severity, NULL, "logv %d", severity);
		logv(severity, "reason", "logv %d", severity);
	}
}

CASE(messages_on_stderr, ONE_BACKEND)
{
	in_child(every_function);
	event_enable_debug_logging(EVENT_DBG_ALL);
	in_child(every_function);
}

CASE(messages_through_the_callback, ONE_BACKEND)
{
	log_to_stdout();
	every_function();
	CHECK_EQUAL(event_debug_logging_mask_, 0);
	event_enable_debug_logging(0x100);
	CHECK_EQUAL(event_debug_logging_mask_, 0x100);
	every_function();
	event_enable_debug_logging(EVENT_DBG_NONE);
	event_debugx_("not seen");
	event_set_log_callback(NULL);
	in_child(every_function);
}

static void
print_length(int severity, const char *message)
{
	size_t length = strlen(message);
	printf("%d: %zu ends \"%s\"\n", severity, length, message + (length > 8 ? length - 8 : 0));
}

CASE(long_messages_are_cut, ONE_BACKEND)
{
	static char text[3000];
	event_set_log_callback(print_length);
	memset(text, 'm', sizeof text - 1);
	for (int length = 1000; length < 1030; length++) {
		printf("%d\n", length);
		event_warnx("%.*s", length, text);
		errno = ENOENT;
		event_warn("%.*s", length, text);
		logv(1, "", "%.*s", length, text);
	}
	event_msgx("%s", text);
	logv(2, text, "short");
	logv(2, text, "%s", text);
}

CASE(messages_without_a_format, ONE_BACKEND)
{
	const char *none = NULL;
	log_to_stdout();
	logv(2, NULL, none);
	logv(2, "reason", none);
	errno = ENOENT;
	event_warn(none, 0);
	event_msgx(none, 0);
	event_warnx("%s", "");
}

static int depth;

static void
log_again(int severity, const char *message)
{
	printf("%*s%d %s\n", 2 * depth, "", severity, message);
	if (depth++ < 3)
		event_warnx("again %d", depth);
	depth--;
}

CASE(a_callback_may_log, ONE_BACKEND)
{
	event_set_log_callback(log_again);
	event_msgx("first");
}

static void
set_errno(int severity, const char *message)
{
	(void)severity, (void)message;
	errno = EXDEV;
}

DIFFERENCE(errno_survives_a_message, ONE_BACKEND,
	"a log callback that changes errno changes what the caller sees")
{
	event_set_log_callback(set_errno);
	CHECK_EQUAL(evutil_make_socket_nonblocking(-1), -1);
	CHECK_EQUAL(errno, EBADF);
	errno = ENOENT;
	event_warnx("message");
	CHECK_EQUAL(errno, ENOENT);
}

static void
fail_err(void)
{
	errno = ENOENT;
	event_err(3, "err %d", 1);
}

static void
fail_errx(void)
{
	event_errx(4, "errx %d", 2);
}

static void
fail_sock_err(void)
{
	errno = ENOTCONN;
	event_sock_err(5, 0, "sock_err %d", 3);
}

static void
fail_internally(void)
{
	event_errx((int)0xdeaddead, "internal");
}

static void
print_and_return(int code)
{
	printf("fatal callback %d\n", code);
}

static void
print_and_exit(int code)
{
	printf("fatal callback %d\n", code);
	exit(55);
}

static jmp_buf out;

static void
jump(int code)
{
	longjmp(out, code);
}

static void
fail_and_continue(void)
{
	for (volatile int code = 1; code < 4; code++) {
		int jumped = setjmp(out);
		if (!jumped)
			event_errx(code, "code %d", code);
		printf("jumped with %d\n", jumped);
	}
}

static void
at_exit(void)
{
	printf("exit handler\n");
}

static void
every_failure(void)
{
	in_child(fail_err);
	in_child(fail_errx);
	in_child(fail_sock_err);
	in_child(fail_internally);
}

CASE(fatal_errors, ONE_BACKEND)
{
	atexit(at_exit);
	every_failure();
	log_to_stdout();
	every_failure();
	event_set_fatal_callback(print_and_return);
	every_failure();
	event_set_fatal_callback(print_and_exit);
	every_failure();
	event_set_fatal_callback(NULL);
	every_failure();
}

CASE(a_fatal_callback_may_jump_away, ONE_BACKEND)
{
	log_to_stdout();
	event_set_fatal_callback(jump);
	in_child(fail_and_continue);
}
