/* Buffers used by several threads at once. */
#include "tools.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>

enum { ROUNDS = 20000, THREADS = 3 };

static struct evbuffer *shared, *pair[2];
static long told;

static struct evbuffer *
locked_buffer(void)
{
	struct evbuffer *buffer = new_buffer();
	CHECK_EQUAL(evbuffer_enable_locking(buffer, NULL), 0);
	return buffer;
}

static void
run_threads(void *(*work)(void *))
{
	pthread_t threads[THREADS];
	for (long i = 0; i < THREADS; i++)
		CHECK_EQUAL(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void
sum_changes(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *argument)
{
	(void)buffer;
	(void)argument;
	told += (long)info->n_added - (long)info->n_deleted;
}

static void *
add_numbers(void *index)
{
	for (int i = 0; i < ROUNDS; i++) {
		char text[40];
		int length = snprintf(text, sizeof text, "%ld:%d\n", (long)index, i);
		CHECK_EQUAL(evbuffer_add(shared, text, (size_t)length), 0);
	}
	return NULL;
}

CASE(additions_are_atomic, ONE_BACKEND)
{
	int next[THREADS] = {0};
	char *line;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	shared = locked_buffer();
	evbuffer_add_cb(shared, sum_changes, NULL);
	run_threads(add_numbers);
	CHECK_EQUAL(told, evbuffer_get_length(shared));
	while ((line = evbuffer_readln(shared, NULL, EVBUFFER_EOL_LF)) != NULL) {
		int thread, number;
		CHECK_EQUAL(sscanf(line, "%d:%d", &thread, &number), 2);
		CHECK_EQUAL(number, next[thread]++);
		free(line);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK_EQUAL(next[i], ROUNDS);
	evbuffer_free(shared);
}

/* Between the same two buffers in both directions. */
static void *
move_around(void *index)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct evbuffer *from = pair[((long)index + i) & 1], *to = pair[((long)index + i + 1) & 1];
		switch (i % 3) {
		case 0: evbuffer_add_buffer(to, from); break;
		case 1: evbuffer_remove_buffer(from, to, 100); break;
		default: evbuffer_prepend_buffer(to, from);
		}
	}
	return NULL;
}

CASE(moves_in_both_directions, ONE_BACKEND)
{
	static unsigned char data[10000];
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	pair[0] = locked_buffer();
	pair[1] = locked_buffer();
	for (int i = 0; i < 100; i++)
		evbuffer_add_reference(pair[i & 1], data, 100, NULL, NULL);
	run_threads(move_around);
	check_chains(pair[0]);
	check_chains(pair[1]);
	CHECK_EQUAL(evbuffer_get_length(pair[0]) + evbuffer_get_length(pair[1]), 10000);
	evbuffer_free(pair[0]);
	evbuffer_free(pair[1]);
}

/* Each thread takes views of the shared buffer and drops them in its own time. */
static void *
take_views(void *index)
{
	for (int i = 0; i < ROUNDS / 4; i++) {
		struct evbuffer *own = locked_buffer();
		char out[6];
		(void)index;
		CHECK_EQUAL(evbuffer_add_buffer_reference(own, shared), 0);
		CHECK_EQUAL(evbuffer_remove(own, out, 6), 6);
		CHECK(!memcmp(out, "shared", 6));
		evbuffer_free(own);
	}
	return NULL;
}

static struct cleanup_count cleaned;

CASE(views_in_many_threads, ONE_BACKEND)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	shared = locked_buffer();
	evbuffer_add(shared, "sha", 3);
	evbuffer_add_reference(shared, "red", 3, count_cleanup, &cleaned);
	evbuffer_add(shared, " text", 5);
	run_threads(take_views);
	CHECK_EQUAL(cleaned.calls, 0);
	check_text(shared, "shared text");
	evbuffer_free(shared);
	CHECK_EQUAL(cleaned.calls, 1);
}

static struct event_base *base;

static void
stop_at_the_end(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *argument)
{
	(void)argument;
	told += (long)info->n_added;
	evbuffer_drain(buffer, info->n_added);
	if (told == THREADS * ROUNDS)
		event_base_loopbreak(base);
}

static void *
add_bytes(void *index)
{
	(void)index;
	for (int i = 0; i < ROUNDS; i++)
		evbuffer_add(shared, "x", 1);
	return NULL;
}

CASE(deferred_callbacks_run_in_the_loop, ONE_BACKEND)
{
	pthread_t threads[THREADS];
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	base = event_base_new();
	shared = locked_buffer();
	evbuffer_add_cb(shared, stop_at_the_end, NULL);
	evbuffer_defer_callbacks(shared, base);
	for (long i = 0; i < THREADS; i++)
		CHECK_EQUAL(pthread_create(&threads[i], NULL, add_bytes, (void *)i), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQUAL(told, THREADS * ROUNDS);
	CHECK_EQUAL(evbuffer_get_length(shared), 0);
	evbuffer_free(shared);
	event_base_loop(base, EVLOOP_NONBLOCK); /* a last notification may be queued */
	event_base_free(base);
}
