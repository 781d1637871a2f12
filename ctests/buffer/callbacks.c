/* What callbacks receive, in which order, and what they may do; deferred callbacks. */
#include "tools.h"

#include <event2/buffer_compat.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <unistd.h>

static void
print_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	check_chains(buffer);
	printf("%s: %zu +%zu -%zu, now %zu\n", (const char *)name, info->orig_size, info->n_added,
		info->n_deleted, evbuffer_get_length(buffer));
}

static void
print_legacy(struct evbuffer *buffer, size_t before, size_t after, void *name)
{
	printf("%s: %zu -> %zu, now %zu\n", (const char *)name, before, after, evbuffer_get_length(buffer));
}

static struct evbuffer *
watched(const char *name)
{
	struct evbuffer *buffer = new_buffer();
	CHECK(evbuffer_add_cb(buffer, print_change, (void *)name));
	return buffer;
}

CASE(every_change_is_reported, ONE_BACKEND)
{
	struct evbuffer *a = watched("a"), *b = watched("b");
	struct evbuffer_iovec vec[2];
	struct evbuffer_ptr position;
	char out[10];
	int pipes[2];
	CHECK_EQUAL(pipe(pipes), 0);
	puts("add"), evbuffer_add(a, "0123456789", 10);
	puts("add 0"), evbuffer_add(a, "", 0);
	puts("prepend"), evbuffer_prepend(a, "abc", 3);
	puts("prepend 0"), evbuffer_prepend(a, "", 0);
	puts("printf"), evbuffer_add_printf(a, "%d\n", 42);
	puts("reference"), evbuffer_add_reference(a, "ref\r\n", 5, NULL, NULL);
	puts("reference 0"), evbuffer_add_reference(a, "", 0, NULL, NULL);
	vec[0].iov_base = "one", vec[0].iov_len = 3;
	puts("iovec"), evbuffer_add_iovec(a, vec, 1);
	puts("reserve"), evbuffer_reserve_space(a, 5, vec, 2);
	memcpy(vec[0].iov_base, "space", 5);
	vec[0].iov_len = 5;
	puts("commit"), evbuffer_commit_space(a, vec, 1);
	puts("commit 0"), evbuffer_commit_space(a, vec, 0);
	puts("expand"), evbuffer_expand(a, 4000);
	puts("pullup"), evbuffer_pullup(a, -1);
	puts("peek"), evbuffer_peek(a, -1, NULL, NULL, 0);
	puts("copyout"), evbuffer_copyout(a, out, 5);
	puts("search"), evbuffer_search(a, "3", 1, NULL);
	puts("position"), evbuffer_ptr_set(a, &position, 4, EVBUFFER_PTR_SET);
	puts("readln"), free(evbuffer_readln(a, NULL, EVBUFFER_EOL_CRLF));
	puts("readln"), free(evbuffer_readln(a, NULL, EVBUFFER_EOL_CRLF));
	puts("readln, none"), free(evbuffer_readln(a, NULL, EVBUFFER_EOL_CRLF));
	puts("drain"), evbuffer_drain(a, 1);
	puts("drain 0"), evbuffer_drain(a, 0);
	puts("remove"), evbuffer_remove(a, out, 2);
	puts("remove_buffer, part"), evbuffer_remove_buffer(a, b, 2);
	puts("remove_buffer, all"), evbuffer_remove_buffer(a, b, 200);
	puts("add_buffer"), evbuffer_add_buffer(a, b);
	puts("add_buffer, nothing"), evbuffer_add_buffer(a, b);
	puts("prepend_buffer"), evbuffer_prepend_buffer(b, a);
	puts("add_buffer_reference"), evbuffer_add_buffer_reference(a, b);
	puts("write"), evbuffer_write(b, pipes[1]);
	puts("read"), evbuffer_read(b, pipes[0], -1);
	puts("freeze"), evbuffer_freeze(a, 1);
	puts("drain, frozen"), evbuffer_drain(a, 1);
	puts("end"), evbuffer_free(a), evbuffer_free(b);
}

CASE(the_line_end_is_told_separately, ONE_BACKEND)
{
	struct evbuffer *buffer = watched("a");
	evbuffer_add(buffer, "line\r\n\nrest\n", 12);
	for (int i = 0; i < 3; i++)
		free(evbuffer_readln(buffer, NULL, EVBUFFER_EOL_CRLF));
	evbuffer_free(buffer);
}

CASE(newest_first, ONE_BACKEND)
{
	struct evbuffer *buffer = watched("oldest");
	struct evbuffer_cb_entry *middle = evbuffer_add_cb(buffer, print_change, "middle");
	evbuffer_add_cb(buffer, print_change, "newest");
	evbuffer_add(buffer, "a", 1);
	CHECK_EQUAL(evbuffer_cb_clear_flags(buffer, middle, EVBUFFER_CB_ENABLED), 0);
	evbuffer_add(buffer, "b", 1);
	CHECK_EQUAL(evbuffer_cb_set_flags(buffer, middle, EVBUFFER_CB_ENABLED), 0);
	evbuffer_add(buffer, "c", 1);
	CHECK_EQUAL(evbuffer_remove_cb_entry(buffer, middle), 0);
	evbuffer_add(buffer, "d", 1);
	evbuffer_free(buffer);
}

CASE(removing_by_function_and_argument, ONE_BACKEND)
{
	struct evbuffer *buffer = watched("a");
	evbuffer_add_cb(buffer, print_change, "b");
	evbuffer_add_cb(buffer, print_change, "a");
	CHECK_EQUAL(evbuffer_remove_cb(buffer, print_change, "none"), -1);
	CHECK_EQUAL(evbuffer_remove_cb(buffer, NULL, "b"), -1);
	CHECK_EQUAL(evbuffer_remove_cb(buffer, print_change, "a"), 0);
	evbuffer_add(buffer, "x", 1);
	CHECK_EQUAL(evbuffer_remove_cb(buffer, print_change, "a"), 0);
	CHECK_EQUAL(evbuffer_remove_cb(buffer, print_change, "a"), -1);
	evbuffer_add(buffer, "y", 1);
	evbuffer_free(buffer);
}

CASE(the_callback_of_1_4, ONE_BACKEND)
{
	struct evbuffer *buffer = watched("new");
	CHECK_EQUAL(evbuffer_setcb(buffer, print_legacy, "old"), 0);
	evbuffer_add(buffer, "abc", 3);
	evbuffer_add_cb(buffer, print_change, "new");
	evbuffer_drain(buffer, 2);
	CHECK_EQUAL(evbuffer_setcb(buffer, print_legacy, "other"), 0);
	evbuffer_add(buffer, "abc", 3);
	CHECK_EQUAL(evbuffer_remove_cb(buffer, (evbuffer_cb_func)(void (*)(void))print_legacy, "other"), 0);
	evbuffer_add(buffer, "abc", 3);
	CHECK_EQUAL(evbuffer_setcb(buffer, print_legacy, "last"), 0);
	CHECK_EQUAL(evbuffer_setcb(buffer, NULL, NULL), 0);
	evbuffer_add(buffer, "abc", 3);
	evbuffer_free(buffer);
}

static struct evbuffer_cb_entry *own_entry, *other_entry;
static struct evbuffer *another;
static int depth;

static void
remove_itself(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	print_change(buffer, info, name);
	evbuffer_remove_cb_entry(buffer, own_entry);
}

CASE(a_callback_removes_itself, ONE_BACKEND)
{
	struct evbuffer *buffer = watched("older");
	own_entry = evbuffer_add_cb(buffer, remove_itself, "itself");
	evbuffer_add_cb(buffer, print_change, "newer");
	evbuffer_add(buffer, "a", 1);
	evbuffer_add(buffer, "b", 1);
	evbuffer_free(buffer);
}

static void
add_another(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	print_change(buffer, info, name);
	evbuffer_add_cb(buffer, print_change, "added");
}

CASE(a_callback_adds_one, ONE_BACKEND)
{
	struct evbuffer *buffer = watched("older");
	evbuffer_add_cb(buffer, add_another, "adding");
	evbuffer_add(buffer, "a", 1);
	evbuffer_add(buffer, "b", 1);
	evbuffer_free(buffer);
}

static void
drain_when_long(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	print_change(buffer, info, name);
	if (evbuffer_get_length(buffer) >= 5 && depth++ < 3)
		evbuffer_drain(buffer, 3);
}

CASE(a_callback_changes_its_buffer, ONE_BACKEND)
{
	struct evbuffer *buffer = watched("oldest");
	evbuffer_add_cb(buffer, drain_when_long, "draining");
	evbuffer_add_cb(buffer, print_change, "newest");
	evbuffer_add(buffer, "0123456789", 10);
	print_text("left", buffer);
	evbuffer_free(buffer);
}

static void
move_on(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	print_change(buffer, info, name);
	if (info->n_added)
		evbuffer_add_buffer(another, buffer);
}

CASE(a_callback_moves_data_on, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	another = watched("target");
	evbuffer_add_cb(buffer, move_on, "moving");
	evbuffer_add(buffer, "first ", 6);
	evbuffer_add_reference(buffer, "second ", 7, NULL, NULL);
	evbuffer_add_printf(buffer, "third");
	print_text("target", another);
	evbuffer_free(buffer);
	evbuffer_free(another);
}

static void
toggle_other(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	print_change(buffer, info, name);
	evbuffer_cb_clear_flags(buffer, other_entry, EVBUFFER_CB_ENABLED);
}

CASE(a_callback_disables_the_next, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	other_entry = evbuffer_add_cb(buffer, print_change, "disabled");
	evbuffer_add_cb(buffer, toggle_other, "disabling");
	evbuffer_add(buffer, "a", 1);
	evbuffer_free(buffer);
}

static void
take_the_line_end(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	print_change(buffer, info, name);
	if (info->n_deleted == 4)
		evbuffer_drain(buffer, 1);
}

CASE(a_callback_drains_while_a_line_is_read, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	evbuffer_add_cb(buffer, take_the_line_end, "draining");
	evbuffer_add(buffer, "line\r\nabcdef\n", 13);
	free(evbuffer_readln(buffer, NULL, EVBUFFER_EOL_CRLF));
	print_text("left", buffer);
	evbuffer_free(buffer);
}

static void
run_deferred(struct evbuffer *buffer, struct event_base *base)
{
	print_text("before the loop", buffer);
	event_base_loop(base, EVLOOP_NONBLOCK);
	print_text("after the loop", buffer);
}

CASE(deferred_callbacks_get_all_changes_at_once, ONE_BACKEND)
{
	struct event_base *base = event_base_new();
	struct evbuffer *buffer = watched("older");
	evbuffer_add_cb(buffer, print_change, "newer");
	CHECK_EQUAL(evbuffer_defer_callbacks(buffer, base), 0);
	evbuffer_add(buffer, "0123456789", 10);
	evbuffer_drain(buffer, 3);
	evbuffer_add(buffer, "ab", 2);
	run_deferred(buffer, base);
	run_deferred(buffer, base);
	evbuffer_drain(buffer, 100);
	run_deferred(buffer, base);
	evbuffer_free(buffer);
	event_base_free(base);
}

CASE(some_callbacks_are_not_deferred, ONE_BACKEND)
{
	struct event_base *base = event_base_new();
	struct evbuffer *buffer = watched("deferred");
	struct evbuffer_cb_entry *entry = evbuffer_add_cb(buffer, print_change, "at once");
	CHECK_EQUAL(evbuffer_cb_set_flags(buffer, entry, 2), 0);
	CHECK_EQUAL(evbuffer_defer_callbacks(buffer, base), 0);
	evbuffer_add(buffer, "abc", 3);
	evbuffer_add(buffer, "de", 2);
	run_deferred(buffer, base);
	evbuffer_add(buffer, "f", 1);
	run_deferred(buffer, base);
	evbuffer_free(buffer);
	event_base_free(base);
}

CASE(a_buffer_lives_for_its_deferred_callback, ONE_BACKEND)
{
	struct event_base *base = event_base_new();
	struct cleanup_count count = {0, NULL, 0};
	struct evbuffer *buffer = watched("deferred");
	CHECK_EQUAL(evbuffer_defer_callbacks(buffer, base), 0);
	evbuffer_add_reference(buffer, "reference", 9, count_cleanup, &count);
	evbuffer_free(buffer);
	CHECK_EQUAL(count.calls, 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(count.calls, 1);
	event_base_free(base);
}

static void
free_it(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	print_change(buffer, info, name);
	evbuffer_free(buffer);
}

CASE(a_deferred_callback_frees_its_buffer, ONE_BACKEND)
{
	struct event_base *base = event_base_new();
	struct evbuffer *buffer = new_buffer();
	evbuffer_add_cb(buffer, free_it, "freeing");
	CHECK_EQUAL(evbuffer_defer_callbacks(buffer, base), 0);
	evbuffer_add(buffer, "abc", 3);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_free(base);
}

static void
print_event(evutil_socket_t fd, short what, void *name)
{
	(void)fd;
	(void)what;
	puts(name);
}

CASE(the_priority_of_deferred_callbacks, ONE_BACKEND)
{
	for (int priorities = 1; priorities <= 5; priorities++) {
		struct event_base *base = event_base_new();
		struct evbuffer *buffer = watched("deferred");
		struct event *events[5];
		char names[5][20];
		event_base_priority_init(base, priorities);
		evbuffer_defer_callbacks(buffer, base);
		printf("%d priorities\n", priorities);
		evbuffer_add(buffer, "abc", 3);
		for (int i = priorities - 1; i >= 0; i--) {
			snprintf(names[i], sizeof names[i], "priority %d", i);
			events[i] = event_new(base, -1, 0, print_event, names[i]);
			event_priority_set(events[i], i);
			event_active(events[i], EV_TIMEOUT, 1);
		}
		event_base_loop(base, 0);
		for (int i = 0; i < priorities; i++)
			event_free(events[i]);
		evbuffer_free(buffer);
		event_base_free(base);
	}
}

CASE(many_deferred_callbacks, ONE_BACKEND)
{
	struct event_base *base = event_base_new();
	struct evbuffer *buffers[50];
	static char names[50][8];
	for (int i = 0; i < 50; i++) {
		snprintf(names[i], sizeof names[i], "%d", i);
		buffers[i] = watched(names[i]);
		evbuffer_defer_callbacks(buffers[i], base);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 49; i >= 0; i--)
			evbuffer_add(buffers[i], "x", 1);
		for (int pass = 0; pass < 3; pass++) {
			printf("pass %d\n", pass);
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
	}
	for (int i = 0; i < 50; i++)
		evbuffer_free(buffers[i]);
	event_base_free(base);
}

CASE(cleanups_come_before_callbacks, ONE_BACKEND)
{
	struct evbuffer *buffer = watched("changed"), *other = watched("other");
	evbuffer_add_reference(buffer, "one", 3, print_cleanup, "one");
	evbuffer_add_reference(buffer, "two", 3, print_cleanup, "two");
	evbuffer_drain(buffer, 4);
	evbuffer_add_buffer(other, buffer);
	puts("moved");
	evbuffer_add_reference(buffer, "", 0, print_cleanup, "nothing");
	evbuffer_add(buffer, "text", 4);
	evbuffer_pullup(other, 1);
	evbuffer_drain(other, 2);
	evbuffer_add_reference(other, "three", 5, print_cleanup, "three");
	evbuffer_add(other, "end", 3);
	puts("pullup");
	evbuffer_pullup(other, -1);
	puts("free");
	evbuffer_free(other);
	evbuffer_free(buffer);
}

CASE(locking, ONE_BACKEND)
{
	struct evbuffer *buffer = watched("a"), *other = new_buffer();
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	CHECK_EQUAL(evbuffer_enable_locking(buffer, NULL), 0);
	CHECK_EQUAL(evbuffer_enable_locking(buffer, NULL), -1);
	CHECK_EQUAL(evbuffer_enable_locking(other, NULL), 0);
	evbuffer_lock(buffer);
	evbuffer_lock(buffer);
	evbuffer_add(buffer, "text", 4);
	evbuffer_unlock(buffer);
	evbuffer_add_buffer(other, buffer);
	evbuffer_unlock(buffer);
	evbuffer_add_buffer_reference(buffer, other);
	evbuffer_remove_buffer(other, buffer, 2);
	print_text("a", buffer);
	evbuffer_free(other);
	evbuffer_free(buffer);
}

CASE(locking_needs_threads, ONE_BACKEND | OWN_LOCKS)
{
	struct evbuffer *buffer = new_buffer();
	CHECK_EQUAL(evbuffer_enable_locking(buffer, NULL), -1);
	evbuffer_lock(buffer);
	evbuffer_unlock(buffer);
	evbuffer_free(buffer);
}

/* Freed memory belongs to somebody else now. */
static void
overwrite_freed_memory(void)
{
	void *blocks[40];
	for (size_t i = 0; i < 40; i++) {
		size_t size = 24 + 16 * (i % 20);
		blocks[i] = malloc(size);
		memset(blocks[i], 0x55, size);
	}
	for (size_t i = 0; i < 40; i++)
		free(blocks[i]);
}

static void
remove_other(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	(void)info;
	(void)name;
	if (other_entry)
		evbuffer_remove_cb_entry(buffer, other_entry);
	other_entry = NULL;
	overwrite_freed_memory();
}

DIFFERENCE(a_callback_removes_the_next, ONE_BACKEND,
	"a buffer callback that removes the callback after it makes the library use freed memory")
{
	struct evbuffer *buffer = watched("last");
	other_entry = evbuffer_add_cb(buffer, print_change, "removed");
	evbuffer_add_cb(buffer, remove_other, NULL);
	evbuffer_add(buffer, "abc", 3);
	evbuffer_free(buffer);
}

/* A callback's own change is reported in a nested round, in which a callback is removed that the
 * outer round has yet to call. */
static void
add_within(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	print_change(buffer, info, name);
	if (evbuffer_get_length(buffer) == 3)
		evbuffer_add(buffer, "de", 2);
}

static void
remove_other_within(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	print_change(buffer, info, name);
	if (evbuffer_get_length(buffer) == 5)
		remove_other(buffer, info, name);
}

DIFFERENCE(a_nested_callback_removes_the_next, ONE_BACKEND,
	"a buffer callback that runs because another one changed the buffer, and removes the one after that, makes the library use freed memory")
{
	struct evbuffer *buffer = watched("last");
	other_entry = evbuffer_add_cb(buffer, print_change, "removed");
	evbuffer_add_cb(buffer, add_within, "adds");
	evbuffer_add_cb(buffer, remove_other_within, "removes");
	evbuffer_add(buffer, "abc", 3);
	CHECK(!other_entry);
	evbuffer_free(buffer);
}

static void
free_and_overwrite(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *argument)
{
	(void)info;
	++*(int *)argument;
	evbuffer_free(buffer);
	overwrite_freed_memory();
}

DIFFERENCE(a_callback_frees_its_buffer, ONE_BACKEND,
	"a buffer callback that frees its buffer makes the library use freed memory")
{
	int calls = 0;
	struct evbuffer *buffer, *other;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	for (int what = 0; what < 7; what++) {
		char *line;
		buffer = new_buffer();
		other = new_buffer();
		evbuffer_enable_locking(buffer, NULL);
		evbuffer_add(buffer, "line\nrest", 9);
		evbuffer_add(other, "other", 5);
		evbuffer_add_cb(buffer, free_and_overwrite, &calls);
		switch (what) {
		case 0: evbuffer_add(buffer, "x", 1); break;
		case 1: evbuffer_drain(buffer, 3); break;
		case 2: evbuffer_prepend(buffer, "x", 1); break;
		case 3: evbuffer_add_printf(buffer, "%d", 1); break;
		case 4: evbuffer_add_buffer(other, buffer); break;
		case 5: evbuffer_add_buffer(buffer, other); break;
		case 6:
			line = evbuffer_readln(buffer, NULL, EVBUFFER_EOL_LF);
			CHECK_STRING(line, "line");
			free(line);
			break;
		}
		CHECK_EQUAL(calls, what + 1);
		check_chains(other);
		evbuffer_free(other);
	}
}

static void
append_in_cleanup(const void *data, size_t length, void *buffer)
{
	(void)data;
	(void)length;
	evbuffer_add(buffer, "added", 5);
}

DIFFERENCE(a_cleanup_changes_its_buffer, ONE_BACKEND,
	"data that the cleanup function of referenced memory adds to the buffer is lost, or corrupts it")
{
	struct evbuffer *buffer = new_buffer();
	evbuffer_add_reference(buffer, "abc", 3, append_in_cleanup, buffer);
	evbuffer_drain(buffer, 3);
	check_text(buffer, "added");
	evbuffer_drain(buffer, 5);
	evbuffer_add_reference(buffer, "abc", 3, append_in_cleanup, buffer);
	evbuffer_add(buffer, "def", 3);
	evbuffer_drain(buffer, 4);
	check_text(buffer, "efadded");
	evbuffer_drain(buffer, 10);
	evbuffer_add(buffer, "x", 1);
	evbuffer_add_reference(buffer, "abc", 3, append_in_cleanup, buffer);
	evbuffer_add(buffer, "def", 3);
	CHECK(!memcmp(evbuffer_pullup(buffer, -1), "xabcdef", 7));
	check_text(buffer, "xabcdefadded");
	evbuffer_free(buffer);
}

static struct evbuffer *source_of_move;

static void
check_source(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *expected)
{
	(void)buffer;
	(void)info;
	check_text(source_of_move, expected);
}

DIFFERENCE(a_partial_move_is_finished_when_callbacks_run, ONE_BACKEND,
	"when part of a buffer is moved, callbacks of the target see the source in a corrupt state")
{
	struct evbuffer *target = new_buffer();
	source_of_move = split_buffer("0123456789", 10, 3, 3);
	evbuffer_add_cb(target, check_source, "456789");
	CHECK_EQUAL(evbuffer_remove_buffer(source_of_move, target, 4), 4);
	evbuffer_free(source_of_move);
	evbuffer_free(target);
}
