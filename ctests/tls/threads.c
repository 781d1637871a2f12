/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* TLS bufferevents that several threads use. */
#include "tls/tools.h"

#include <event2/thread.h>
#include <pthread.h>

enum { WRITERS = 3, PIECES = 300, PIECE = 1000 };

static struct end *written_to;
static int from_seven = 7;

/* Writes, and switches and asks meanwhile, which must not matter. */
static void *
write_pieces(void *arg)
{
	char piece[PIECE];
	int i;

	memset(piece, *(int *)arg, sizeof piece);
	for (i = 0; i < PIECES; i++) {
		CHECK_EQUAL(bufferevent_write(written_to->bev, piece, sizeof piece), 0);
		if (i % 10 == 0) {
			bufferevent_disable(written_to->bev, EV_WRITE);
			bufferevent_enable(written_to->bev, EV_WRITE);
			bufferevent_get_openssl_error(written_to->bev);
			bufferevent_openssl_get_allow_dirty_shutdown(written_to->bev);
		}
	}
	return NULL;
}

static void
from_threads(enum transport transport, int options)
{
	pthread_t threads[WRITERS];
	int i;

	options_now = options;
	connect_ends(transport);
	written_to = &client;
	server.wanted = WRITERS * PIECES * PIECE;
	for (i = 0; i < WRITERS; i++)
		CHECK_EQUAL(pthread_create(&threads[i], NULL, write_pieces, &from_seven), 0);
	run_until(&server.finished, 1);
	for (i = 0; i < WRITERS; i++)
		CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
	CHECK_EQUAL(server.got, WRITERS * PIECES * PIECE);
	print_end(&server);
	free_ends();
}

CASE(writers, EVERY_BACKEND | OWN_LOCKS)
{
	int transport;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	begin();
	for (transport = 0; transport < TRANSPORTS; transport++) {
		from_threads(transport, BEV_OPT_THREADSAFE);
		from_threads(transport, BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS);
		from_threads(transport, BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
	}
	end_all();
}

static void *
free_client(void *arg)
{
	struct bufferevent *bev = arg;

	usleep(1000);
	bufferevent_free(bev);
	return NULL;
}

/* Freed by another thread while the loop is at work on it. */
CASE(freed_by_another, EVERY_BACKEND | OWN_LOCKS)
{
	pthread_t thread;
	int i, transport;

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	begin();
	options_now = BEV_OPT_THREADSAFE;
	for (transport = 0; transport < TRANSPORTS; transport++)
		for (i = 0; i < 5; i++) {
			connect_ends(transport);
			write_pattern(&client, 1000000, i);
			CHECK_EQUAL(pthread_create(&thread, NULL, free_client, client.bev), 0);
			run_for(5);
			CHECK_EQUAL(pthread_join(thread, NULL), 0);
			client.bev = NULL;
			free_ends();
		}
	end_all();
}
