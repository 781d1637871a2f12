/* Moving and sharing data between buffers, and freezing. */
#include "tools.h"

#include <limits.h>
#include <unistd.h>

/* Buffers in different shapes with the same text. */
enum { SHAPES = 6 };

static struct evbuffer *
shaped(int shape, const char *text)
{
	struct evbuffer *buffer = new_buffer();
	size_t length = strlen(text);
	switch (shape) {
	case 0: /* as it comes */
		evbuffer_add(buffer, text, length);
		break;
	case 1: /* several chains */
		evbuffer_free(buffer);
		return split_buffer(text, length, length / 3, length / 3);
	case 2: /* with free chains behind */
		evbuffer_add(buffer, text, length);
		evbuffer_expand(buffer, 3000);
		evbuffer_expand(buffer, 9000);
		break;
	case 3: /* free chains only, when there is no text */
		evbuffer_expand(buffer, 10);
		if (length)
			add_chain(buffer, text);
		break;
	case 4: /* an empty chain in front */
		evbuffer_add(buffer, text, length);
		if (length) {
			struct evbuffer *empty = new_buffer();
			evbuffer_add(empty, "x", 1);
			evbuffer_expand(empty, 5000);
			evbuffer_prepend_buffer(buffer, empty);
			evbuffer_drain(buffer, 1);
			evbuffer_free(empty);
		}
		break;
	default: /* data in the middle of its chain */
		evbuffer_add(buffer, "12345678", 8);
		evbuffer_add(buffer, text, length);
		evbuffer_drain(buffer, 8);
	}
	return buffer;
}

static const char *const texts[] = {"", "a", "some text", "0123456789abcdefghijklmnopqrstuvwxyz"};
enum { TEXTS = 4 };

static void
in_every_combination(void (*check)(struct evbuffer *a, const char *at, struct evbuffer *b, const char *bt))
{
	for (int i = 0; i < SHAPES * TEXTS; i++) {
		for (int j = 0; j < SHAPES * TEXTS; j++) {
			const char *at = texts[i / SHAPES], *bt = texts[j / SHAPES];
			struct evbuffer *a = shaped(i % SHAPES, at), *b = shaped(j % SHAPES, bt);
			check(a, at, b, bt);
			check_chains(a);
			check_chains(b);
			/* Both must still be good for anything. */
			CHECK_EQUAL(evbuffer_add(a, "tail", 4), 0);
			CHECK_EQUAL(evbuffer_add(b, "tail", 4), 0);
			CHECK_EQUAL(evbuffer_prepend(a, "head", 4), 0);
			check_chains(a);
			check_chains(b);
			evbuffer_free(a);
			CHECK(evbuffer_pullup(b, -1));
			evbuffer_free(b);
		}
	}
}

static void
check_joined(struct evbuffer *buffer, const char *first, const char *second)
{
	char text[100];
	snprintf(text, sizeof text, "%s%s", first, second);
	check_text(buffer, text);
}

static void
check_add_buffer(struct evbuffer *a, const char *at, struct evbuffer *b, const char *bt)
{
	CHECK_EQUAL(evbuffer_add_buffer(a, b), 0);
	check_joined(a, at, bt);
	check_text(b, "");
}

CASE(appending_a_buffer, ONE_BACKEND) { in_every_combination(check_add_buffer); }

static void
check_prepend_buffer(struct evbuffer *a, const char *at, struct evbuffer *b, const char *bt)
{
	CHECK_EQUAL(evbuffer_prepend_buffer(a, b), 0);
	check_joined(a, bt, at);
	check_text(b, "");
}

CASE(prepending_a_buffer, ONE_BACKEND) { in_every_combination(check_prepend_buffer); }

static size_t amount;

static void
check_remove_buffer(struct evbuffer *a, const char *at, struct evbuffer *b, const char *bt)
{
	char moved[50];
	size_t expected = amount < strlen(bt) ? amount : strlen(bt);
	snprintf(moved, sizeof moved, "%.*s", (int)expected, bt);
	CHECK_EQUAL(evbuffer_remove_buffer(b, a, amount), expected);
	check_joined(a, at, moved);
	check_text(b, bt + expected);
}

CASE(moving_a_part, ONE_BACKEND)
{
	for (amount = 0; amount < 40; amount++)
		in_every_combination(check_remove_buffer);
	amount = (size_t)-1;
	in_every_combination(check_remove_buffer);
}

static void
check_add_buffer_reference(struct evbuffer *a, const char *at, struct evbuffer *b, const char *bt)
{
	CHECK_EQUAL(evbuffer_add_buffer_reference(a, b), 0);
	check_joined(a, at, bt);
	check_text(b, bt);
	/* Each goes its own way. */
	CHECK_EQUAL(evbuffer_add(b, "more", 4), 0);
	CHECK_EQUAL(evbuffer_prepend(b, "less", 4), 0);
	CHECK_EQUAL(evbuffer_drain(b, 5), 0);
	check_joined(a, at, bt);
	if (*bt)
		CHECK_EQUAL(evbuffer_add_buffer_reference(b, a), *at || *bt ? -1 : 0);
}

CASE(sharing_a_buffer, ONE_BACKEND) { in_every_combination(check_add_buffer_reference); }

CASE(a_buffer_with_itself, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	CHECK_EQUAL(evbuffer_add_buffer_reference(buffer, buffer), 0);
	evbuffer_add(buffer, "text", 4);
	CHECK_EQUAL(evbuffer_add_buffer(buffer, buffer), 0);
	CHECK_EQUAL(evbuffer_prepend_buffer(buffer, buffer), 0);
	CHECK_EQUAL(evbuffer_remove_buffer(buffer, buffer, 2), 0);
	CHECK_EQUAL(evbuffer_add_buffer_reference(buffer, buffer), -1);
	check_text(buffer, "text");
	evbuffer_free(buffer);
}

CASE(shared_data_outlives_its_buffer, ONE_BACKEND)
{
	struct cleanup_count count = {0, NULL, 0};
	struct evbuffer *source = new_buffer(), *first = new_buffer(), *second = new_buffer();
	evbuffer_add(source, "copied ", 7);
	evbuffer_add_reference(source, "referenced", 10, count_cleanup, &count);
	CHECK_EQUAL(evbuffer_add_buffer_reference(first, source), 0);
	CHECK_EQUAL(evbuffer_add_buffer_reference(second, source), 0);
	evbuffer_free(source);
	CHECK_EQUAL(count.calls, 0);
	check_text(first, "copied referenced");
	evbuffer_drain(first, 17);
	CHECK_EQUAL(count.calls, 0);
	check_text(second, "copied referenced");
	evbuffer_drain(second, 10);
	CHECK_EQUAL(count.calls, 0);
	evbuffer_free(second);
	CHECK_EQUAL(count.calls, 1);
	evbuffer_free(first);
}

CASE(shared_chains_count_their_views, ONE_BACKEND)
{
	struct evbuffer *source = new_buffer(), *first = new_buffer(), *second = new_buffer();
	evbuffer_add(source, "text", 4);
	evbuffer_add_buffer_reference(first, source);
	evbuffer_add_buffer_reference(second, source);
	CHECK_EQUAL(chains_of(source)->first->refcnt, 3);
	CHECK_EQUAL(chains_of(source)->first->flags, CHAIN_IMMUTABLE);
	CHECK_EQUAL(chains_of(first)->first->flags, CHAIN_IMMUTABLE | CHAIN_MULTICAST);
	CHECK_EQUAL(chains_of(first)->first->refcnt, 1);
	evbuffer_free(first);
	CHECK_EQUAL(chains_of(source)->first->refcnt, 2);
	evbuffer_drain(second, 4);
	CHECK_EQUAL(chains_of(source)->first->refcnt, 1);
	CHECK_EQUAL(chains_of(source)->first->flags, CHAIN_IMMUTABLE);
	evbuffer_free(source);
	evbuffer_free(second);
}

CASE(views_can_be_moved, ONE_BACKEND)
{
	struct evbuffer *source = new_buffer(), *view = new_buffer(), *target = new_buffer();
	evbuffer_add(source, "shared", 6);
	evbuffer_add(target, "the ", 4);
	evbuffer_add_buffer_reference(view, source);
	CHECK_EQUAL(evbuffer_remove_buffer(view, target, 2), 2);
	CHECK_EQUAL(evbuffer_add_buffer(target, view), 0);
	CHECK_EQUAL(evbuffer_add(target, " text", 5), 0);
	evbuffer_free(view);
	evbuffer_free(source);
	check_text(target, "the shared text");
	evbuffer_free(target);
}

CASE(sharing_into_a_buffer_with_free_chains_only, ONE_BACKEND)
{
	for (int reserved = 0; reserved < 3; reserved++) {
		struct evbuffer *source = new_buffer(), *target = new_buffer();
		struct evbuffer_iovec vec[2];
		evbuffer_add(source, "text", 4);
		if (reserved == 0)
			evbuffer_expand(target, 4000);
		else
			evbuffer_reserve_space(target, 4000, vec, reserved);
		CHECK_EQUAL(evbuffer_add_buffer_reference(target, source), 0);
		check_text(target, "text");
		evbuffer_free(source);
		evbuffer_add(target, "!", 1);
		check_text(target, "text!");
		evbuffer_free(target);
	}
}

/* What each function returns for a buffer that is frozen at one end. */

static void
try_bytes(struct evbuffer *buffer)
{
	struct evbuffer_iovec vec[2];
	struct evbuffer_iovec data = {"v", 1};
	struct evbuffer_ptr position;
	char out[10], *line;
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, 2, EVBUFFER_PTR_SET), 0);
	printf("drain 0 %d\n", evbuffer_drain(buffer, 0));
	printf("drain %d\n", evbuffer_drain(buffer, 1));
	printf("remove 0 %d\n", evbuffer_remove(buffer, out, 0));
	printf("remove %d\n", evbuffer_remove(buffer, out, 1));
	printf("copyout 0 %zd\n", evbuffer_copyout(buffer, out, 0));
	printf("copyout %zd\n", evbuffer_copyout(buffer, out, 1));
	evbuffer_ptr_set(buffer, &position, 1, EVBUFFER_PTR_SET);
	printf("copyout_from %zd\n", evbuffer_copyout_from(buffer, &position, out, 1));
	line = evbuffer_readln(buffer, NULL, EVBUFFER_EOL_LF);
	printf("readln %s\n", line ? line : "none");
	free(line);
	printf("prepend 0 %d\n", evbuffer_prepend(buffer, "p", 0));
	printf("prepend %d\n", evbuffer_prepend(buffer, "p", 1));
	printf("add 0 %d\n", evbuffer_add(buffer, "a", 0));
	printf("add %d\n", evbuffer_add(buffer, "a", 1));
	printf("printf %d\n", evbuffer_add_printf(buffer, "f"));
	printf("iovec %zu\n", evbuffer_add_iovec(buffer, &data, 1));
	printf("reference 0 %d\n", evbuffer_add_reference(buffer, "", 0, NULL, NULL));
	printf("reference %d\n", evbuffer_add_reference(buffer, "r", 1, NULL, NULL));
	printf("reserve %d\n", evbuffer_reserve_space(buffer, 1, vec, 1));
	printf("commit 0 %d\n", evbuffer_commit_space(buffer, vec, 0));
	printf("expand %d\n", evbuffer_expand(buffer, 5000));
	printf("pullup %d\n", evbuffer_pullup(buffer, 2) != NULL);
	printf("peek %d\n", evbuffer_peek(buffer, 1, NULL, NULL, 0));
	printf("search %ld\n", (long)evbuffer_search(buffer, "t", 1, NULL).pos);
}

static void
try_moves(struct evbuffer *buffer, struct evbuffer *other)
{
	CHECK_EQUAL(evbuffer_drain(other, evbuffer_get_length(other)), 0);
	printf("add_buffer of nothing %d %d\n", evbuffer_add_buffer(buffer, other), evbuffer_add_buffer(other, other));
	printf("remove_buffer of nothing %d\n", evbuffer_remove_buffer(other, buffer, 1));
	evbuffer_add(other, "other", 5);
	printf("add_buffer to it %d\n", evbuffer_add_buffer(buffer, other));
	evbuffer_drain(other, 10);
	evbuffer_add(other, "other", 5);
	printf("prepend_buffer to it %d\n", evbuffer_prepend_buffer(buffer, other));
	evbuffer_drain(other, 10);
	evbuffer_add(other, "other", 5);
	printf("remove_buffer to it %d\n", evbuffer_remove_buffer(other, buffer, 1));
	printf("add_buffer_reference to it %d\n", evbuffer_add_buffer_reference(buffer, other));
	evbuffer_drain(other, 10);
	printf("remove_buffer from it 0 %d\n", evbuffer_remove_buffer(buffer, other, 0));
	printf("remove_buffer from it %d\n", evbuffer_remove_buffer(buffer, other, 1));
	printf("prepend_buffer from it %d\n", evbuffer_prepend_buffer(other, buffer));
	evbuffer_add_buffer(buffer, other);
	printf("add_buffer from it %d\n", evbuffer_add_buffer(other, buffer));
}

static void
try_all(struct evbuffer *buffer, struct evbuffer *other)
{
	int pipes[2];
	try_bytes(buffer);
	try_moves(buffer, other);
	CHECK_EQUAL(pipe(pipes), 0);
	printf("write %d\n", evbuffer_write(buffer, pipes[1]));
	CHECK_EQUAL(write(pipes[1], "x", 1), 1);
	printf("read %d\n", evbuffer_read(buffer, pipes[0], 1));
}

static void
try_frozen(int front, int back, const char *text)
{
	struct evbuffer *buffer = new_buffer(), *other = new_buffer();
	evbuffer_add(buffer, text, strlen(text));
	if (front)
		CHECK_EQUAL(evbuffer_freeze(buffer, front), 0);
	if (back)
		CHECK_EQUAL(evbuffer_freeze(buffer, 0), 0);
	try_all(buffer, other);
	CHECK_EQUAL(evbuffer_unfreeze(buffer, 1), 0);
	CHECK_EQUAL(evbuffer_unfreeze(buffer, 0), 0);
	print_text("left", buffer);
	print_text("other", other);
	CHECK_EQUAL(evbuffer_add(buffer, "z", 1), 0);
	CHECK_EQUAL(evbuffer_drain(buffer, 1), 0);
	evbuffer_free(buffer);
	evbuffer_free(other);
}

CASE(not_frozen, ONE_BACKEND) { try_frozen(0, 0, "line\ntext"); }
CASE(frozen_at_the_front, ONE_BACKEND) { try_frozen(1, 0, "line\ntext"); }
CASE(frozen_at_the_back, ONE_BACKEND) { try_frozen(0, 1, "line\ntext"); }
CASE(frozen_at_both_ends, ONE_BACKEND) { try_frozen(-7, 1, "line\ntext"); }

CASE(freezing_does_not_nest, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	evbuffer_freeze(buffer, 0);
	evbuffer_freeze(buffer, 0);
	CHECK_EQUAL(evbuffer_add(buffer, "a", 1), -1);
	evbuffer_unfreeze(buffer, 1);
	CHECK_EQUAL(evbuffer_add(buffer, "a", 1), -1);
	evbuffer_unfreeze(buffer, 0);
	CHECK_EQUAL(evbuffer_add(buffer, "a", 1), 0);
	evbuffer_free(buffer);
}

/* A frozen source of an empty move, in which freezing is not looked at. */
CASE(empty_and_frozen, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer(), *other = new_buffer();
	char out[1];
	evbuffer_freeze(buffer, 1);
	evbuffer_freeze(buffer, 0);
	printf("%d %d %d %d\n", evbuffer_add_buffer(other, buffer), evbuffer_add_buffer(buffer, other),
		evbuffer_prepend_buffer(other, buffer), evbuffer_prepend_buffer(buffer, other));
	printf("%d %d\n", evbuffer_remove_buffer(buffer, other, 1), evbuffer_remove_buffer(other, buffer, 1));
	printf("%d\n", evbuffer_add_buffer_reference(buffer, other));
	printf("%d %d %zd\n", evbuffer_drain(buffer, 1), evbuffer_remove(buffer, out, 1),
		evbuffer_copyout(buffer, out, 1));
	printf("%d\n", evbuffer_prepend(buffer, "", 0));
	evbuffer_free(buffer);
	evbuffer_free(other);
}

DIFFERENCE(pullup_does_not_write_into_shared_chains, ONE_BACKEND,
	"evbuffer_pullup of a buffer that shares data overwrites data of the buffers that share it")
{
	struct evbuffer *source = new_buffer(), *a = new_buffer(), *b = new_buffer();
	evbuffer_add(source, "0123456789", 10);
	evbuffer_add_buffer_reference(a, source);
	evbuffer_add_buffer_reference(b, source);
	evbuffer_add(a, "AAA", 3);
	evbuffer_add(b, "BBB", 3);
	evbuffer_add(source, "SSS", 3);
	CHECK(!memcmp(evbuffer_pullup(a, -1), "0123456789AAA", 13));
	CHECK(!memcmp(evbuffer_pullup(b, -1), "0123456789BBB", 13));
	CHECK(!memcmp(evbuffer_pullup(source, -1), "0123456789SSS", 13));
	check_text(a, "0123456789AAA");
	evbuffer_free(a);
	evbuffer_free(b);
	evbuffer_free(source);
}

DIFFERENCE(a_view_in_its_own_source_is_freed, ONE_BACKEND,
	"a buffer that gets a shared view of its own data is never freed")
{
	struct cleanup_count count = {0, NULL, 0};
	struct evbuffer *source = new_buffer(), *view = new_buffer();
	evbuffer_add_reference(source, "shared", 6, count_cleanup, &count);
	CHECK_EQUAL(evbuffer_add_buffer_reference(view, source), 0);
	CHECK_EQUAL(evbuffer_add_buffer(source, view), 0);
	check_text(source, "sharedshared");
	evbuffer_free(view);
	evbuffer_free(source);
	CHECK_EQUAL(count.calls, 1);
}

DIFFERENCE(lengths_do_not_wrap, ONE_BACKEND,
	"the length of a buffer wraps around when very long memory is added by reference")
{
	static char data[16];
	struct cleanup_count count = {0, NULL, 0};
	struct evbuffer *buffer = new_buffer(), *other = new_buffer();
	struct evbuffer_iovec vec[2] = {{data, (size_t)-1}, {data, 2}};
	CHECK_EQUAL(evbuffer_add_reference(buffer, data, (size_t)-1, count_cleanup, &count), -1);
	CHECK_EQUAL(evbuffer_add_reference(buffer, data, SSIZE_MAX / 2, count_cleanup, &count), 0);
	CHECK_EQUAL(evbuffer_add_reference(buffer, data, SSIZE_MAX / 2, count_cleanup, &count), -1);
	CHECK_EQUAL(count.calls, 0);
	evbuffer_add_reference(other, data, SSIZE_MAX / 2, NULL, NULL);
	CHECK_EQUAL(evbuffer_add_buffer(buffer, other), -1);
	CHECK_EQUAL(evbuffer_prepend_buffer(buffer, other), -1);
	CHECK_EQUAL(evbuffer_add_buffer_reference(buffer, other), -1);
	CHECK_EQUAL(evbuffer_add_iovec(buffer, vec, 2), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), SSIZE_MAX / 2);
	evbuffer_drain(buffer, (size_t)-1);
	CHECK_EQUAL(count.calls, 1);
	CHECK_EQUAL(evbuffer_add_iovec(buffer, vec, 2), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	/* More than an int can hold. */
	CHECK_EQUAL(evbuffer_remove_buffer(other, buffer, (size_t)-1), INT_MAX);
	CHECK_EQUAL(evbuffer_get_length(buffer), SSIZE_MAX / 2);
	evbuffer_free(buffer);
	evbuffer_free(other);
}

DIFFERENCE(prepending_an_impossible_length_changes_nothing, ONE_BACKEND,
	"evbuffer_prepend with an impossible length copies data before it fails")
{
	struct evbuffer *buffer = new_buffer();
	evbuffer_add(buffer, "0123456789", 10);
	evbuffer_drain(buffer, 5);
	CHECK_EQUAL(evbuffer_prepend(buffer, "x", (size_t)-1 - 5), -1);
	CHECK_EQUAL(evbuffer_prepend(buffer, "x", SSIZE_MAX), -1);
	check_text(buffer, "56789");
	evbuffer_free(buffer);
}

/* Chains that go whole are not copied. */
CASE(whole_chains_keep_their_memory, ONE_BACKEND)
{
	static const char first[] = "0123456789", second[] = "abcdefghij";
	struct evbuffer *from = new_buffer(), *to = new_buffer();
	struct evbuffer_iovec pieces[3];

	CHECK_EQUAL(evbuffer_add_reference(from, first, 10, NULL, NULL), 0);
	CHECK_EQUAL(evbuffer_add_reference(from, second, 10, NULL, NULL), 0);
	CHECK_EQUAL(evbuffer_add(from, "the rest", 8), 0);
	CHECK_EQUAL(evbuffer_remove_buffer(from, to, 20), 20);
	CHECK(evbuffer_peek(to, -1, NULL, pieces, 3) >= 2);
	CHECK(pieces[0].iov_base == first && pieces[1].iov_base == second);
	check_text(to, "0123456789abcdefghij");
	check_text(from, "the rest");
	evbuffer_free(from);
	evbuffer_free(to);
}

/* Bytes that are moved one by one do not stay in a chain each. */
CASE(many_small_moves_make_few_chains, ONE_BACKEND)
{
	static char bytes[2000];
	struct evbuffer *from = new_buffer(), *to = new_buffer();

	CHECK_EQUAL(evbuffer_add(from, bytes, sizeof bytes), 0);
	for (int i = 0; i < 1000; i++)
		CHECK_EQUAL(evbuffer_remove_buffer(from, to, 1), 1);
	CHECK(evbuffer_peek(to, -1, NULL, NULL, 0) < 20);
	check_content(to, bytes, 1000);
	evbuffer_free(from);
	evbuffer_free(to);
}

/* A buffer made of pieces: what is moved into it one after the other is found in as many extents, also when each
 * piece is small. (Very many of them share chains: buffer/trickle.c.) */
static struct evbuffer *
in_pieces(int count)
{
	struct evbuffer *buffer = new_buffer(), *piece = new_buffer();

	for (int i = 0; i < count; i++) {
		evbuffer_add_printf(piece, "This is piece %d\n", i);
		if (i & 1)
			CHECK(evbuffer_remove_buffer(piece, buffer, 100) > 0);
		else
			CHECK_EQUAL(evbuffer_add_buffer(buffer, piece), 0);
		check_text(piece, "");
	}
	evbuffer_free(piece);
	return buffer;
}

CASE(moved_pieces_are_peeked_at_one_by_one, ONE_BACKEND)
{
	enum { PIECES = 20 };
	struct evbuffer_iovec vec[PIECES + 1];
	struct evbuffer *buffer = in_pieces(PIECES);
	struct evbuffer_ptr position;
	char text[30];

	CHECK_EQUAL(check_chains(buffer), PIECES);
	CHECK_EQUAL(evbuffer_peek(buffer, -1, NULL, NULL, 0), PIECES);
	CHECK_EQUAL(evbuffer_peek(buffer, -1, NULL, vec, PIECES + 1), PIECES);
	for (int i = 0; i < PIECES; i++) {
		CHECK_EQUAL(vec[i].iov_len, snprintf(text, sizeof text, "This is piece %d\n", i));
		CHECK(!memcmp(vec[i].iov_base, text, vec[i].iov_len));
	}
	CHECK_EQUAL(evbuffer_peek(buffer, 40, NULL, vec, 1), 3);
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &position, 15, EVBUFFER_PTR_SET), 0);
	CHECK_EQUAL(evbuffer_peek(buffer, 3, &position, vec, 2), 2);
	CHECK_EQUAL(vec[0].iov_len, 1);
	evbuffer_drain(buffer, 20);
	CHECK_EQUAL(check_chains(buffer), PIECES - 1);
	CHECK(evbuffer_pullup(buffer, 40) != NULL);
	CHECK_EQUAL(evbuffer_peek(buffer, 40, NULL, NULL, 0), 1);
	evbuffer_free(buffer);
}
