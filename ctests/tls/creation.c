/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Making TLS bufferevents: what is refused, and who owns the SSL, the descriptor and the bufferevent below. */
#include "tls/tools.h"

#include <event2/bufferevent_struct.h>
#include <event2/thread.h>


enum { STATES = 3 };

static int freed; /* SSLs */

static void
on_free(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	freed += data != NULL;
}

/* An SSL that counts when it is freed. */
static SSL *
counted_ssl(void)
{
	static int index = -1;
	SSL *ssl = SSL_new(context);

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_free);
	CHECK(ssl);
	CHECK_EQUAL(SSL_set_ex_data(ssl, index, &freed), 1);
	return ssl;
}

static void
look(struct bufferevent *bev)
{
	printf("enabled %s, pending %x %x\n", enabled_names(bev),
	       event_pending(&bev->ev_read, EV_READ | EV_WRITE | EV_TIMEOUT, NULL),
	       event_pending(&bev->ev_write, EV_READ | EV_WRITE | EV_TIMEOUT, NULL));
}

CASE(on_a_socket, EVERY_BACKEND)
{
	int close_it, fds[2], state;
	struct bufferevent *bev;
	SSL *ssl;

	begin();
	for (close_it = 0; close_it < 2; close_it++)
		for (state = 0; state < STATES; state++) {
			make_connection(0, fds);
			ssl = counted_ssl();
			bev = bufferevent_openssl_socket_new(base, fds[0], ssl, state, close_it ? BEV_OPT_CLOSE_ON_FREE : 0);
			CHECK(bev);
			CHECK_EQUAL(bufferevent_getfd(bev), fds[0]);
			CHECK_EQUAL(SSL_get_fd(ssl), fds[0]);
			CHECK(bufferevent_get_underlying(bev) == NULL);
			CHECK(bufferevent_openssl_get_ssl(bev) == ssl);
			CHECK(bufferevent_get_base(bev) == base);
			CHECK_EQUAL(bufferevent_openssl_get_allow_dirty_shutdown(bev), 0);
			CHECK_EQUAL(bufferevent_get_max_single_read(bev), 16384);
			CHECK_EQUAL(bufferevent_get_max_single_write(bev), 16384);
			printf("state %d, close %d: enabled %s\n", state, close_it, enabled_names(bev));
			/* Both buffers are open at the ends that others keep to themselves. */
			CHECK_EQUAL(evbuffer_add(bufferevent_get_input(bev), "abc", 3), 0);
			CHECK_EQUAL(evbuffer_prepend(bufferevent_get_output(bev), "abc", 3), 0);
			CHECK_EQUAL(evbuffer_drain(bufferevent_get_output(bev), 3), 0);
			CHECK_EQUAL(bufferevent_flush(bev, EV_WRITE, BEV_FLUSH), 0);
			CHECK_EQUAL(bufferevent_base_set(base, bev), -1);
			freed = 0;
			bufferevent_free(bev);
			/* The descriptor is there until the loop has run. */
			CHECK(is_open(fds[0]));
			settle();
			CHECK_EQUAL(freed, close_it);
			CHECK_EQUAL(is_open(fds[0]), !close_it);
			if (!close_it) {
				SSL_free(ssl);
				CHECK(is_open(fds[0]));
				close(fds[0]);
			}
			close(fds[1]);
		}
	end_all();
}

/* Exported, though in no header: the table of a kind begins with its name, and its address tells the kind. */
extern const struct {
	const char *type;
	void *rest[8];
} bufferevent_ops_openssl;

CASE(both_ways_are_of_one_kind, ONE_BACKEND)
{
	struct bufferevent *bevs[2], *below;
	int i;

	begin();
	CHECK((below = bufferevent_socket_new(base, -1, 0)));
	bevs[0] = bufferevent_openssl_socket_new(base, -1, SSL_new(context), BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	bevs[1] = bufferevent_openssl_filter_new(base, below, SSL_new(context), BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	printf("the kind is called %s\n", bufferevent_ops_openssl.type);
	for (i = 0; i < 2; i++) {
		CHECK(bevs[i]);
		CHECK(bevs[i]->be_ops == (const void *)&bufferevent_ops_openssl);
		bufferevent_free(bevs[i]);
	}
	settle();
	end_all();
}

CASE(on_another, EVERY_BACKEND)
{
	struct bufferevent *bev, *below;
	int close_it, fds[2], state;
	SSL *ssl;

	begin();
	for (close_it = 0; close_it < 2; close_it++)
		for (state = 0; state < STATES; state++) {
			make_connection(0, fds);
			ssl = counted_ssl();
			CHECK((below = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE)));
			bufferevent_setwatermark(below, EV_READ, 100, 200);
			bev = bufferevent_openssl_filter_new(base, below, ssl, state, close_it ? BEV_OPT_CLOSE_ON_FREE : 0);
			CHECK(bev);
			CHECK_EQUAL(bufferevent_getfd(bev), fds[0]);
			CHECK_EQUAL(SSL_get_fd(ssl), -1);
			CHECK(bufferevent_get_underlying(bev) == below);
			printf("state %d, close %d: enabled %s, below %s\n", state, close_it, enabled_names(bev),
			       enabled_names(below));
			CHECK_EQUAL(below->wm_read.low + below->wm_read.high, 0);
			printf("BIO: type %d, %s, close %d, pending %d %d\n", BIO_method_type(SSL_get_wbio(ssl)),
			       BIO_method_name(SSL_get_wbio(ssl)), (int)BIO_get_close(SSL_get_wbio(ssl)),
			       (int)BIO_pending(SSL_get_rbio(ssl)), (int)BIO_eof(SSL_get_rbio(ssl)));
			freed = 0;
			bufferevent_free(bev);
			settle();
			CHECK_EQUAL(freed, close_it);
			CHECK_EQUAL(is_open(fds[0]), !close_it);
			if (!close_it) {
				bufferevent_data_cb read, write;
				bufferevent_event_cb event;

				bufferevent_getcb(below, &read, &write, &event, NULL);
				CHECK(!read && !write && !event);
				SSL_free(ssl);
				bufferevent_free(below);
				settle();
			}
			close(fds[1]);
		}
	end_all();
}

CASE(descriptor_of_the_ssl, EVERY_BACKEND)
{
	struct bufferevent *bev;
	int fds[2], others[2];
	SSL *ssl;

	begin();
	make_connection(0, fds);
	make_connection(0, others);
	/* One that it has, with or without naming it. */
	ssl = counted_ssl();
	CHECK_EQUAL(SSL_set_fd(ssl, fds[0]), 1);
	CHECK((bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_OPEN, 0)));
	CHECK_EQUAL(bufferevent_getfd(bev), fds[0]);
	bufferevent_free(bev);
	settle();
	CHECK((bev = bufferevent_openssl_socket_new(base, fds[0], ssl, BUFFEREVENT_SSL_OPEN, 0)));
	CHECK_EQUAL(bufferevent_getfd(bev), fds[0]);
	bufferevent_free(bev);
	settle();
	/* Two that do not agree. */
	freed = 0;
	CHECK(!bufferevent_openssl_socket_new(base, others[0], ssl, BUFFEREVENT_SSL_OPEN, 0));
	CHECK_EQUAL(freed, 0);
	CHECK(!bufferevent_openssl_socket_new(base, others[0], ssl, BUFFEREVENT_SSL_OPEN, BEV_OPT_CLOSE_ON_FREE));
	CHECK_EQUAL(freed, 1);
	CHECK(is_open(fds[0]) && is_open(others[0]));
	/* A BIO that would close it does not. */
	ssl = counted_ssl();
	SSL_set_bio(ssl, BIO_new_socket(fds[0], BIO_CLOSE), NULL);
	SSL_set0_wbio(ssl, SSL_get_rbio(ssl));
	BIO_up_ref(SSL_get_rbio(ssl));
	CHECK((bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, 0)));
	bufferevent_free(bev);
	settle();
	SSL_free(ssl);
	CHECK(is_open(fds[0]));
	/* None yet. */
	ssl = counted_ssl();
	CHECK((bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE)));
	CHECK_EQUAL(bufferevent_getfd(bev), -1);
	look(bev);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ | EV_WRITE), 0);
	settle();
	bufferevent_free(bev);
	close(fds[0]);
	close(fds[1]);
	close(others[0]);
	close(others[1]);
	end_all();
}

DIFFERENCE(memory_bio_is_no_descriptor, ONE_BACKEND,
	   "a TLS bufferevent mistakes an SSL on memory BIOs for one on descriptor 0, and closes that")
{
	struct bufferevent *bev;
	SSL *ssl;

	begin();
	ssl = counted_ssl();
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	CHECK((bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)));
	CHECK_EQUAL(bufferevent_getfd(bev), -1);
	bufferevent_free(bev);
	settle();
	CHECK(is_open(0));
	end_all();
}

static void
refuse(struct bufferevent *below, int fd, enum bufferevent_ssl_state state, int options)
{
	int close_it;

	for (close_it = 0; close_it < 2; close_it++) {
		SSL *ssl = counted_ssl();
		int all = options | (close_it ? BEV_OPT_CLOSE_ON_FREE : 0);

		freed = 0;
		CHECK(!(below ? bufferevent_openssl_filter_new(base, below, ssl, state, all)
			      : bufferevent_openssl_socket_new(base, fd, ssl, state, all)));
		settle();
		CHECK_EQUAL(freed, close_it);
		CHECK(is_open(fd));
		if (!close_it)
			SSL_free(ssl);
	}
}

DIFFERENCE(refused, EVERY_BACKEND,
	   "invalid options or an invalid state for a TLS bufferevent crash the program")
{
	struct bufferevent *below;
	int fds[2], filter;

	begin();
	make_connection(0, fds);
	CHECK((below = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE)));
	for (filter = 0; filter < 2; filter++) {
		refuse(filter ? below : NULL, fds[0], BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_UNLOCK_CALLBACKS);
		refuse(filter ? below : NULL, fds[0], (enum bufferevent_ssl_state)3, 0);
		refuse(filter ? below : NULL, fds[0], (enum bufferevent_ssl_state)-1, 0);
	}
	/* It is as good as before. */
	CHECK(bufferevent_get_underlying(below) == NULL);
	CHECK_EQUAL(bufferevent_write(below, "x", 1), 0);
	settle();
	CHECK_EQUAL(received(fds[1], (char[2]){0}, 2), 1);
	bufferevent_free(below);
	close(fds[1]);
	end_all();
}

CASE(on_nothing, ONE_BACKEND)
{
	SSL *ssl;

	begin();
	ssl = counted_ssl();
	CHECK(!bufferevent_openssl_filter_new(base, NULL, ssl, BUFFEREVENT_SSL_OPEN, 0));
	CHECK_EQUAL(freed, 0);
	CHECK(!bufferevent_openssl_filter_new(base, NULL, ssl, BUFFEREVENT_SSL_OPEN, BEV_OPT_CLOSE_ON_FREE));
	CHECK_EQUAL(freed, 1);
	end_all();
}

/* The program has freed what is below already: that is said, and nothing else happens. */
CASE(freed_below_before, EVERY_BACKEND)
{
	struct bufferevent *bev, *below;
	int fds[2];

	log_to_stdout();
	begin();
	make_connection(0, fds);
	CHECK((below = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE)));
	CHECK((bev = bufferevent_openssl_filter_new(base, below, counted_ssl(), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)));
	bufferevent_free(below);
	settle();
	bufferevent_free(bev);
	settle();
	CHECK_EQUAL(freed, 1);
	CHECK(!is_open(fds[0]));
	close(fds[1]);
	end_all();
}

CASE(one_lock, ONE_BACKEND | OWN_LOCKS)
{
	struct bufferevent *bev, *below;
	int fds[2];

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	begin();
	make_connection(0, fds);
	CHECK((below = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE)));
	CHECK((bev = bufferevent_openssl_filter_new(base, below, counted_ssl(), BUFFEREVENT_SSL_ACCEPTING,
						    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE)));
	bufferevent_lock(bev);
	bufferevent_lock(below);
	bufferevent_unlock(below);
	bufferevent_unlock(bev);
	bufferevent_free(bev);
	settle();
	CHECK_EQUAL(freed, 1);
	close(fds[1]);
	end_all();
}

CASE(mode_of_the_ssl, ONE_BACKEND)
{
	struct bufferevent *bev;
	int fds[2];
	SSL *ssl;

	begin();
	make_connection(0, fds);
	ssl = counted_ssl();
	SSL_set_mode(ssl, SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS);
	CHECK((bev = bufferevent_openssl_socket_new(base, fds[0], ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)));
	printf("%lx\n", SSL_get_mode(ssl));
	bufferevent_free(bev);
	close(fds[1]);
	end_all();
}

static void
note_priority(struct end *end, const char *callback)
{
	(void)callback;
	printf("%s: priority %d %d\n", end->name, bufferevent_get_priority(end->bev),
	       event_get_priority(&end->bev->ev_write));
}

DIFFERENCE(priority_is_kept, EVERY_BACKEND,
	   "the priority of a TLS bufferevent is reset when its handshake ends or it gets another descriptor")
{
	int fds[2];

	begin();
	CHECK_EQUAL(event_base_priority_init(base, 5), 0);
	connect_ends(TCP);
	free_ends();
	make_ends(TCP);
	CHECK_EQUAL(bufferevent_priority_set(client.bev, 0), 0);
	client.then = note_priority;
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	CHECK_EQUAL(bufferevent_get_priority(client.bev), 0);
	close(bufferevent_getfd(client.bev));
	make_connection(0, fds);
	CHECK_EQUAL(bufferevent_setfd(client.bev, fds[0]), 0);
	CHECK_EQUAL(bufferevent_get_priority(client.bev), 0);
	CHECK_EQUAL(event_get_priority(&client.bev->ev_write), 0);
	close(fds[1]);
	end_all();
}
