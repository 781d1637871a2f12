/* Lists of headers: finding, adding, removing, and what they must not contain. */
#include "allocator.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <sys/queue.h>

static struct evkeyvalq list;

static void
print_list(void)
{
	struct evkeyval *pair;

	for (pair = list.tqh_first; pair; pair = pair->next.tqe_next)
		printf(" %s=[%s]", pair->key, pair->value);
	putchar('\n');
}

static int
add(const char *key, const char *value)
{
	return evhttp_add_header(&list, key, value);
}

CASE(in_order_and_in_any_case, ONE_BACKEND)
{
	TAILQ_INIT(&list);
	CHECK(!evhttp_find_header(&list, "A"));
	CHECK_EQUAL(evhttp_remove_header(&list, "A"), -1);
	CHECK_EQUAL(add("Content-Type", "text/plain"), 0);
	CHECK_EQUAL(add("X-One", "1"), 0);
	CHECK_EQUAL(add("x-one", "2"), 0);
	CHECK_EQUAL(add("X-Empty", ""), 0);
	CHECK_EQUAL(add("a b:c(\x01\xff)", " \x02\xff: "), 0);
	print_list();
	CHECK_STRING(evhttp_find_header(&list, "CONTENT-type"), "text/plain");
	CHECK_STRING(evhttp_find_header(&list, "x-One"), "1");
	CHECK_STRING(evhttp_find_header(&list, "x-empty"), "");
	CHECK(!evhttp_find_header(&list, "X-On"));
	CHECK(!evhttp_find_header(&list, "X-One "));
	CHECK(!evhttp_find_header(&list, ""));
	CHECK_EQUAL(evhttp_remove_header(&list, "X-ONE"), 0);
	print_list();
	CHECK_STRING(evhttp_find_header(&list, "X-One"), "2");
	CHECK_EQUAL(evhttp_remove_header(&list, "X-One"), 0);
	CHECK_EQUAL(evhttp_remove_header(&list, "X-One"), -1);
	print_list();
	evhttp_clear_headers(&list);
	CHECK(!list.tqh_first && list.tqh_last == &list.tqh_first);
	evhttp_clear_headers(&list);
	CHECK_EQUAL(add("again", "1"), 0);
	print_list();
	evhttp_clear_headers(&list);
}

CASE(line_ends_are_refused, ONE_BACKEND)
{
	static const char *const bad[] = {"\r", "\n", "\r\n", "a\r", "a\n", "a\r\n", "\ra", "a\rb", "a\nb", "a\r\nb",
		"a\r\r\n b", "a\r\n\r\nb", "a\n\nb", "a\r\n \r\nb", "a\r\nX-Evil: 1", "a\n\rb", NULL};
	static const char *const names[] = {"\r", "\n", "a\r", "a\n", "a\r\n", "a\r\n b", "a\n b", "a\nb", "a\r b", NULL};
	int i;

	TAILQ_INIT(&list);
	for (i = 0; bad[i]; i++)
		CHECK_EQUAL(add("name", bad[i]), -1);
	for (i = 0; names[i]; i++)
		CHECK_EQUAL(add(names[i], "value"), -1);
	CHECK(!list.tqh_first);
}

DIFFERENCE(folded_values_are_unfolded, ONE_BACKEND,
	"evhttp_add_header() refuses a value that is folded over two lines, which it accepted before")
{
	TAILQ_INIT(&list);
	CHECK_EQUAL(add("A", "one\r\n two"), 0);
	CHECK_EQUAL(add("B", "one\n\t two\r\n   three"), 0);
	CHECK_EQUAL(add("C", "\r\n one \r\n "), 0);
	CHECK_STRING(evhttp_find_header(&list, "A"), "one two");
	CHECK_STRING(evhttp_find_header(&list, "B"), "one two three");
	CHECK_STRING(evhttp_find_header(&list, "C"), " one  ");
	CHECK_EQUAL(add("D", "one\r \n two"), -1);
	CHECK_EQUAL(add("D", "one\r two"), -1);
	evhttp_clear_headers(&list);
}

DIFFERENCE(a_name_is_not_empty, ONE_BACKEND, "evhttp_add_header() accepts a header without a name")
{
	TAILQ_INIT(&list);
	CHECK_EQUAL(add("", "value"), -1);
	CHECK(!list.tqh_first);
}

/* Programs walk through lists, move pairs between them and exchange strings. */
CASE(programs_change_lists_themselves, ONE_BACKEND)
{
	struct evkeyvalq other;
	struct evkeyval *pair;

	TAILQ_INIT(&list);
	TAILQ_INIT(&other);
	CHECK_EQUAL(add("a", "1"), 0);
	CHECK_EQUAL(add("b", "2"), 0);
	CHECK_EQUAL(add("c", "3"), 0);
	pair = TAILQ_FIRST(&list);
	free(pair->value);
	pair->value = strdup("changed");
	pair = TAILQ_NEXT(pair, next);
	TAILQ_REMOVE(&list, pair, next);
	TAILQ_INSERT_HEAD(&other, pair, next);
	print_list();
	CHECK_STRING(evhttp_find_header(&other, "B"), "2");
	TAILQ_CONCAT(&list, &other, next);
	print_list();
	pair = TAILQ_LAST(&list, evkeyvalq);
	TAILQ_REMOVE(&list, pair, next);
	free(pair->key);
	free(pair->value);
	free(pair);
	print_list();
	evhttp_clear_headers(&list);
	evhttp_clear_headers(&other);
}

/* With its own allocator a program sees that each string is a block. */
CASE(every_allocation_fails, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	long alive, n;
	int result;

	allocator_install();
	TAILQ_INIT(&list);
	CHECK_EQUAL(add("before", "0"), 0);
	alive = allocator.alive;
	CHECK_EQUAL(alive, 3);
	for (n = 1;; n++) {
		CHECK(n < 10);
		allocator_fail_at(n);
		result = add("name", "value");
		allocator_fail_at(0);
		if (result == 0)
			break;
		CHECK_EQUAL(result, -1);
		CHECK_EQUAL(allocator.alive, alive);
		print_list();
	}
	print_list();
	CHECK_EQUAL(evhttp_remove_header(&list, "name"), 0);
	CHECK_EQUAL(allocator.alive, alive);
	evhttp_clear_headers(&list);
	CHECK_EQUAL(allocator.alive, 0);
}
