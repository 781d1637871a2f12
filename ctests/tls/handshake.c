/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* The handshake: versions and keys, what is sent and when, what delays it, and how it fails. */
#include "tls/tools.h"

/* --- It succeeds ----------------------------------------------------------------------------------- */

static const char *
established(const struct end *end)
{
	static char text[100];

	snprintf(text, sizeof text, "%s, %s", SSL_get_version(end->ssl), SSL_get_cipher_name(end->ssl));
	return text;
}

static void
every_kind(int version, enum key_kind kind)
{
	int transport;

	context = make_context_for(version, kind, "test", -3600, 3600);
	make_base();
	for (transport = 0; transport < TRANSPORTS; transport++) {
		make_ends(transport);
		run_until(&client.connected, 1);
		run_until(&server.connected, 1);
		printf("%s: %s\n", transports[transport], established(&client));
		settle();
		CHECK_EQUAL(client.connected + server.connected, 2);
		CHECK_EQUAL(client.ended + server.ended, 0);
		free_ends();
	}
	end_all();
}

CASE(versions_and_keys, EVERY_BACKEND)
{
	every_kind(TLS1_2_VERSION, ECDSA_KEY);
	every_kind(TLS1_2_VERSION, RSA_KEY);
	every_kind(TLS1_3_VERSION, ECDSA_KEY);
	every_kind(TLS1_3_VERSION, RSA_KEY);
}

/* It begins without enabling reading, or writing something. */
static void
without_enabling(void)
{
	int fds[2];

	make_connection(AF_INET, fds);
	make_end_with(&client, "client", NULL, fds[0], SSL_new(context), BUFFEREVENT_SSL_CONNECTING);
	make_end_with(&server, "server", NULL, fds[1], SSL_new(context), BUFFEREVENT_SSL_ACCEPTING);
	client.trace = server.trace = 1;
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	printf("enabled: %s\n", enabled_names(client.bev));
	CHECK_EQUAL(bufferevent_write(client.bev, "x", 1), 0);
	settle();
	CHECK_EQUAL(server.reads, 0);
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	server.wanted = 1;
	run_until(&server.finished, 1);
}

CASE(nothing_is_enabled, EVERY_BACKEND)
{
	for_versions(without_enabling);
}

/* What is written before is sent behind. */
static void
written_before(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		make_ends(transport);
		client.wanted = server.wanted = 30000;
		write_pattern(&client, 30000, 1);
		write_pattern(&server, 30000, 2);
		CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(client.bev)), 30000);
		run_until(&client.finished, 1);
		run_until(&server.finished, 1);
		print_end(&client);
		print_end(&server);
		free_ends();
	}
}

CASE(written_before_it, EVERY_BACKEND)
{
	for_versions(written_before);
}

static void
hold(int transport)
{
	make_ends(transport);
	/* The server waits for the client's first words. */
	CHECK_EQUAL(bufferevent_disable(client.bev, EV_READ | EV_WRITE), 0);
	settle();
	CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ | EV_WRITE), 0);
	settle();
	CHECK_EQUAL(bufferevent_enable(client.bev, EV_READ | EV_WRITE), 0);
	settle();
	printf("%s: held: %d %d\n", transports[transport], client.connected, server.connected);
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	free_ends();
}

CASE(disabling_holds_it, EVERY_BACKEND)
{
	begin();
	hold(PAIR_OF_SOCKETS);
	hold(TCP);
	end_all();
}

/* A proxy that does not want to read yet. */
static void
reading_disabled_from_the_start(void)
{
	int transport, fds[2];

	for (transport = PAIR_OF_SOCKETS; transport <= TCP; transport++) {
		make_connection(transport == TCP ? AF_INET : 0, fds);
		make_end_with(&client, "client", NULL, fds[0], SSL_new(context), BUFFEREVENT_SSL_CONNECTING);
		make_end_with(&server, "server", NULL, fds[1], SSL_new(context), BUFFEREVENT_SSL_ACCEPTING);
		CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
		CHECK_EQUAL(bufferevent_disable(client.bev, EV_READ), 0);
		run_until(&client.connected, 1);
		run_until(&server.connected, 1);
		printf("%s\n", enabled_names(server.bev));
		free_ends();
	}
}

CASE(reading_is_disabled_before_it, EVERY_BACKEND)
{
	for_versions(reading_disabled_from_the_start);
}

static void
order_of_first_data(void)
{
	make_ends(FILTER_ON_PAIR);
	server.trace = 1;
	CHECK_EQUAL(bufferevent_write(client.bev, "first", 5), 0);
	server.wanted = 5;
	run_until(&server.finished, 1);
	CHECK_EQUAL(server.connected, 1);
	free_ends();
}

static int connected_before_read;

static void
look_at_order(struct end *end, const char *callback)
{
	if (!strcmp(callback, "read"))
		connected_before_read &= end->connected;
}

DIFFERENCE(connected_comes_before_data, EVERY_BACKEND,
	   "a TLS filter reports data that arrived with the end of the handshake before the end of the handshake")
{
	int transport, version;

	connected_before_read = 1;
	for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		make_context(version);
		make_base();
		for (transport = 0; transport < TRANSPORTS; transport++) {
			make_ends(transport);
			server.then = look_at_order;
			CHECK_EQUAL(bufferevent_write(client.bev, "first", 5), 0);
			server.wanted = 5;
			run_until(&server.finished, 1);
			CHECK_EQUAL(connected_before_read, 1);
			free_ends();
		}
		end_all();
	}
}

CASE(order_with_deferred_callbacks, EVERY_BACKEND)
{
	options_now = BEV_OPT_DEFER_CALLBACKS;
	for_versions(order_of_first_data);
}

/* An earlier session is resumed. */
static void
resume_session(void)
{
	SSL_SESSION *session;
	SSL *ssl;
	int fds[2];

	connect_ends(TCP);
	client.wanted = 1;
	CHECK_EQUAL(bufferevent_write(server.bev, "x", 1), 0);
	run_until(&client.finished, 1);
	session = SSL_get1_session(client.ssl);
	CHECK(session);
	CHECK_EQUAL(SSL_shutdown(client.ssl), 0);
	free_ends();
	make_connection(AF_INET, fds);
	ssl = SSL_new(context);
	CHECK_EQUAL(SSL_set_session(ssl, session), 1);
	make_end_with(&client, "client", NULL, fds[0], ssl, BUFFEREVENT_SSL_CONNECTING);
	make_end(&server, "server", NULL, fds[1], BUFFEREVENT_SSL_ACCEPTING);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	printf("reused: %d %d\n", SSL_session_reused(client.ssl), SSL_session_reused(server.ssl));
	SSL_SESSION_free(session);
	free_ends();
}

static const unsigned char session_name[] = "test";

static void
with_session_name(void)
{
	SSL_CTX_set_session_id_context(context, session_name, sizeof session_name);
	resume_session();
}

CASE(session_is_resumed, EVERY_BACKEND)
{
	for_versions(with_session_name);
}

/* --- Certificates ----------------------------------------------------------------------------------- */

/* A client that verifies, and a server that does if it wants a certificate, of these contexts. */
static void
verify(enum transport transport, SSL_CTX *client_context, SSL_CTX *server_context, const char *name, int both)
{
	struct bufferevent *below[2] = {NULL, NULL};
	SSL *ssl[2] = {SSL_new(client_context), SSL_new(server_context)};
	int i, fds[2];

	make_connection(AF_INET, fds);
	for (i = 0; i < 2 && transport == FILTER_ON_TCP; i++)
		CHECK((below[i] = bufferevent_socket_new(base, fds[i], BEV_OPT_CLOSE_ON_FREE)));
	SSL_set_verify(ssl[0], SSL_VERIFY_PEER, NULL);
	CHECK_EQUAL(SSL_set1_host(ssl[0], name), 1);
	if (both)
		SSL_set_verify(ssl[1], SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	make_end_with(&client, "client", below[0], fds[0], ssl[0], BUFFEREVENT_SSL_CONNECTING);
	make_end_with(&server, "server", below[1], fds[1], ssl[1], BUFFEREVENT_SSL_ACCEPTING);
	for (i = 0; i < 2; i++)
		bufferevent_enable(i ? client.bev : server.bev, EV_READ | EV_WRITE);
	for (i = 0; i < 60 && !(server.ended || server.connected) ; i++)
		run_for(5);
	run_for(20);
	printf("%s: client connected %d, ended %d, verified %ld; server connected %d, ended %d\n", transports[transport],
	       client.connected, !!client.ended, SSL_get_verify_result(ssl[0]), server.connected, !!server.ended);
	/* Of a filter the second event has some, too. */
	if (transport == TCP) {
		print_errors(&client);
		print_errors(&server);
	}
	free_ends();
}

static void
certificates_of(int version)
{
	SSL_CTX *expired = make_context_for(version, ECDSA_KEY, "test", -7200, -3600);
	SSL_CTX *other = make_context_for(version, ECDSA_KEY, "other", -3600, 3600);
	SSL_CTX *without = SSL_CTX_new(TLS_method());
	int transport;

	SSL_CTX_set_max_proto_version(without, version);
	CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(without), SSL_CTX_get0_certificate(context)) == 1);
	for (transport = TCP; transport <= FILTER_ON_TCP; transport += 2) {
		puts("the right one");
		verify(transport, context, context, "test", 0);
		puts("both the right ones");
		verify(transport, context, context, "test", 1);
		puts("the wrong name");
		verify(transport, context, context, "toast", 0);
		puts("an expired one");
		verify(transport, expired, expired, "test", 0);
		puts("an unknown one");
		verify(transport, context, other, "other", 0);
		puts("none from the client");
		verify(transport, without, context, "test", 1);
		puts("an unknown one from the client");
		CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(other), SSL_CTX_get0_certificate(context)) == 1 || 1);
		verify(transport, other, context, "test", 1);
	}
	SSL_CTX_free(expired);
	SSL_CTX_free(other);
	SSL_CTX_free(without);
}

CASE(certificates, ONE_BACKEND)
{
	make_base();
	context = make_context_for(TLS1_2_VERSION, ECDSA_KEY, "test", -3600, 3600);
	certificates_of(TLS1_2_VERSION);
	SSL_CTX_free(context);
	context = make_context_for(TLS1_3_VERSION, ECDSA_KEY, "test", -3600, 3600);
	certificates_of(TLS1_3_VERSION);
	end_all();
}

/* --- Early data ------------------------------------------------------------------------------------- */

static void
show_early_data(const char *who, SSL *ssl)
{
	int status = SSL_get_early_data_status(ssl);

	printf("%s: early data %s\n", who, status == SSL_EARLY_DATA_NOT_SENT ? "not sent"
					  : status == SSL_EARLY_DATA_REJECTED ? "refused" : "taken");
}

/* A session with which early data could be sent. */
static SSL_SESSION *
session_for_early_data(void)
{
	SSL_SESSION *session;

	connect_ends(TCP);
	client.wanted = 1;
	CHECK_EQUAL(bufferevent_write(server.bev, "x", 1), 0);
	run_until(&client.finished, 1);
	session = SSL_get1_session(client.ssl);
	CHECK(session && SSL_SESSION_get_max_early_data(session) > 0);
	/* Sessions that did not end properly are not resumed. */
	SSL_shutdown(client.ssl);
	SSL_shutdown(server.ssl);
	free_ends();
	return session;
}

/* A client of the program sends early data to a server: its handshake goes on without that. */
static void
send_early_data(SSL_SESSION *session, int filter)
{
	struct bufferevent *below = NULL;
	SSL *ssl = SSL_new(context);
	size_t written;
	int fds[2], i;

	make_connection(AF_INET, fds);
	CHECK_EQUAL(evutil_make_socket_nonblocking(fds[0]), 0);
	if (filter)
		CHECK((below = bufferevent_socket_new(base, fds[1], BEV_OPT_CLOSE_ON_FREE)));
	make_end(&server, "server", below, fds[1], BUFFEREVENT_SSL_ACCEPTING);
	server.trace = 1;
	CHECK_EQUAL(SSL_set_fd(ssl, fds[0]), 1);
	CHECK_EQUAL(SSL_set_session(ssl, session), 1);
	SSL_set_connect_state(ssl);
	CHECK_EQUAL(SSL_write_early_data(ssl, "early", 5, &written), 1);
	for (i = 0; i < 1000 && SSL_do_handshake(ssl) != 1; i++)
		settle();
	CHECK_EQUAL(SSL_write(ssl, "late", 4), 4);
	server.wanted = 4;
	run_until(&server.finished, 1);
	show_early_data("client", ssl);
	show_early_data("server", server.ssl);
	CHECK_EQUAL(server.got, 4);
	SSL_free(ssl);
	close(fds[0]);
	free_ends();
}

/* A client with such a session sends none by itself. */
static void
resume_without_early_data(SSL_SESSION *session)
{
	SSL *ssl = SSL_new(context);
	int fds[2];

	make_connection(AF_INET, fds);
	CHECK_EQUAL(SSL_set_session(ssl, session), 1);
	make_end_with(&client, "client", NULL, fds[0], ssl, BUFFEREVENT_SSL_CONNECTING);
	make_end(&server, "server", NULL, fds[1], BUFFEREVENT_SSL_ACCEPTING);
	CHECK_EQUAL(bufferevent_write(client.bev, "late", 4), 0);
	server.wanted = 4;
	run_until(&server.finished, 1);
	printf("reused: %d\n", SSL_session_reused(client.ssl));
	show_early_data("client", client.ssl);
	show_early_data("server", server.ssl);
	free_ends();
}

CASE(early_data_is_left_alone, EVERY_BACKEND)
{
	SSL_SESSION *session;

	make_context(TLS1_3_VERSION);
	SSL_CTX_set_session_id_context(context, session_name, sizeof session_name);
	SSL_CTX_set_max_early_data(context, 16384);
	make_base();
	session = session_for_early_data();
	resume_without_early_data(session);
	SSL_SESSION_free(session);
	session = session_for_early_data();
	send_early_data(session, 0);
	SSL_SESSION_free(session);
	session = session_for_early_data();
	send_early_data(session, 1);
	SSL_SESSION_free(session);
	end_all();
}

/* --- It fails --------------------------------------------------------------------------------------- */

static void
fail_with(SSL_CTX *client_context, SSL_CTX *server_context)
{
	int fds[2];

	make_connection(AF_INET, fds);
	make_end_with(&client, "client", NULL, fds[0], SSL_new(client_context), BUFFEREVENT_SSL_CONNECTING);
	make_end_with(&server, "server", NULL, fds[1], SSL_new(server_context), BUFFEREVENT_SSL_ACCEPTING);
	server.trace = client.trace = 1;
	run_until(&server.ended, 1);
	run_until(&client.ended, 1);
	settle();
	CHECK_EQUAL(client.connected + server.connected, 0);
	free_ends();
}

CASE(nothing_in_common, EVERY_BACKEND)
{
	SSL_CTX *old = make_context_for(TLS1_2_VERSION, ECDSA_KEY, "test", -3600, 3600);
	SSL_CTX *other = make_context_for(TLS1_2_VERSION, ECDSA_KEY, "test", -3600, 3600);

	make_base();
	context = make_context_for(TLS1_3_VERSION, ECDSA_KEY, "test", -3600, 3600);
	puts("versions");
	fail_with(old, context);
	fail_with(context, old);
	puts("ciphers");
	CHECK_EQUAL(SSL_CTX_set_cipher_list(old, "ECDHE-ECDSA-AES128-GCM-SHA256"), 1);
	CHECK_EQUAL(SSL_CTX_set_cipher_list(other, "ECDHE-ECDSA-AES256-GCM-SHA384"), 1);
	fail_with(old, other);
	SSL_CTX_free(old);
	SSL_CTX_free(other);
	end_all();
}

/* Bytes that are no handshake come to an end of some kind. */
static void
feed(enum bufferevent_ssl_state state, int filter, const char *bytes, size_t length)
{
	struct bufferevent *below = NULL;
	char answer[100];
	int fds[2];

	make_connection(AF_INET, fds);
	if (filter)
		CHECK((below = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE)));
	make_end(&server, "end", below, fds[0], state);
	server.trace = 1;
	send_all(fds[1], bytes, length);
	run_until(&server.ended, 1);
	settle();
	if (state == BUFFEREVENT_SSL_ACCEPTING)
		printf("answer: %d bytes\n", received(fds[1], answer, sizeof answer));
	CHECK_EQUAL(server.connected, 0);
	close(fds[1]);
	free_ends();
}

/* After a handshake that has failed, the same bufferevents can begin another one. */
static void
try_again(void)
{
	int fds[2];

	make_connection(AF_INET, fds);
	make_end(&server, "server", NULL, fds[0], BUFFEREVENT_SSL_ACCEPTING);
	send_all(fds[1], "no handshake", 12);
	run_until(&server.ended, 1);
	close(fds[0]);
	close(fds[1]);
	make_connection(AF_INET, fds);
	CHECK_EQUAL(bufferevent_setfd(server.bev, fds[0]), 0);
	make_end(&client, "client", NULL, fds[1], BUFFEREVENT_SSL_CONNECTING);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	CHECK_EQUAL(server.ended, 1);
	free_ends();
}

CASE(again_after_failing, EVERY_BACKEND)
{
	for_versions(try_again);
}

/* Functions of the program in which OpenSSL waits for something: nobody will tell that it is there. */
static int
no_certificate_yet(SSL *ssl, void *arg)
{
	(void)ssl, (void)arg;
	return -1;
}

static int
no_decision_yet(SSL *ssl, int *alert, void *arg)
{
	(void)ssl, (void)alert, (void)arg;
	return SSL_CLIENT_HELLO_RETRY;
}

static void
wait_for_the_program(void)
{
	int fds[2], filter;

	for (filter = 0; filter < 2; filter++) {
		struct bufferevent *below = NULL;

		make_connection(AF_INET, fds);
		if (filter)
			CHECK((below = bufferevent_socket_new(base, fds[1], BEV_OPT_CLOSE_ON_FREE)));
		make_end(&client, "client", NULL, fds[0], BUFFEREVENT_SSL_CONNECTING);
		make_end(&server, "server", below, fds[1], BUFFEREVENT_SSL_ACCEPTING);
		server.trace = 1;
		run_until(&server.ended, 1);
		settle();
		free_ends();
	}
}

CASE(waiting_for_the_program, EVERY_BACKEND)
{
	log_to_stdout();
	begin();
	SSL_CTX_set_cert_cb(context, no_certificate_yet, NULL);
	wait_for_the_program();
	SSL_CTX_set_cert_cb(context, NULL, NULL);
	SSL_CTX_set_client_hello_cb(context, no_decision_yet, NULL);
	wait_for_the_program();
	end_all();
}

CASE(plain_text, EVERY_BACKEND)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: test\r\n\r\n", answer[] = "HTTP/1.1 200 OK\r\n\r\n";
	static const char rubbish[] = "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4";
	int filter;

	begin();
	for (filter = 0; filter < 2; filter++) {
		printf("filter %d\n", filter);
		feed(BUFFEREVENT_SSL_ACCEPTING, filter, request, sizeof request - 1);
		feed(BUFFEREVENT_SSL_ACCEPTING, filter, answer, sizeof answer - 1);
		feed(BUFFEREVENT_SSL_ACCEPTING, filter, rubbish, sizeof rubbish - 1);
		feed(BUFFEREVENT_SSL_CONNECTING, filter, request, sizeof request - 1);
		feed(BUFFEREVENT_SSL_CONNECTING, filter, answer, sizeof answer - 1);
		feed(BUFFEREVENT_SSL_CONNECTING, filter, rubbish, sizeof rubbish - 1);
	}
	end_all();
}

/* --- Once more in a session --------------------------------------------------------------------------- */

static void
once_more(void)
{
	int transport, result;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		SSL_CTX_clear_options(context, SSL_OP_NO_RENEGOTIATION);
		connect_ends(transport);
		server.trace = 1;
		result = bufferevent_ssl_renegotiate(server.bev);
		printf("%s: %s\n", transports[transport], result < 0 ? "failed" : "begun");
		/* A filter begins when something happens. */
		if (transport < FILTER_ON_SOCKET)
			CHECK_EQUAL(server.connected, 1);
		server.trace = 0;
		client.wanted = server.wanted = 5000;
		write_pattern(&client, 5000, 1);
		write_pattern(&server, 5000, 2);
		run_until(&client.finished, 1);
		run_until(&server.finished, 1);
		CHECK_EQUAL(server.connected, 1);
		print_end(&client);
		print_end(&server);
		free_ends();
	}
}

CASE(renegotiation, EVERY_BACKEND)
{
	for_versions(once_more);
}

/* The client has something to write when the peer asks for another handshake, and must read first. */
static void
once_more_while_writing(void)
{
	int transport;

	for (transport = 0; transport < FILTER_ON_SOCKET; transport++) {
		SSL_CTX_clear_options(context, SSL_OP_NO_RENEGOTIATION);
		connect_ends(transport);
		CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ | EV_WRITE), 0);
		CHECK_EQUAL(SSL_renegotiate(server.ssl), 1);
		SSL_do_handshake(server.ssl);
		ERR_clear_error();
		/* It is asked, and answers; nobody hears it. */
		settle();
		write_pattern(&client, 5000, 1);
		settle();
		server.wanted = 5000;
		CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ | EV_WRITE), 0);
		run_until(&server.finished, 1);
		print_end(&server);
		free_ends();
	}
}

CASE(renegotiation_while_writing, EVERY_BACKEND)
{
	make_context(TLS1_2_VERSION);
	make_base();
	once_more_while_writing();
	end_all();
}

/* TLS 1.3 has no such thing: it fails at once, and leaves no error for others. */
CASE(renegotiation_leaves_no_error, ONE_BACKEND)
{
	make_context(TLS1_3_VERSION);
	make_base();
	connect_ends(TCP);
	CHECK_EQUAL(bufferevent_ssl_renegotiate(server.bev), 1);
	CHECK_EQUAL(server.connected, 1);
	CHECK_EQUAL(ERR_peek_error(), 0);
	end_all();
}

CASE(renegotiation_of_others, ONE_BACKEND)
{
	struct bufferevent *plain;

	make_base();
	CHECK((plain = bufferevent_socket_new(base, -1, 0)));
	CHECK_EQUAL(bufferevent_ssl_renegotiate(plain), -1);
	CHECK(bufferevent_openssl_get_ssl(plain) == NULL);
	CHECK_EQUAL(bufferevent_get_openssl_error(plain), 0);
	CHECK_EQUAL(bufferevent_openssl_get_allow_dirty_shutdown(plain), -1);
	bufferevent_openssl_set_allow_dirty_shutdown(plain, 1);
	bufferevent_free(plain);
	finish();
}

/* New keys in a TLS 1.3 session go unnoticed. */
CASE(key_update, EVERY_BACKEND)
{
	int i, transport;

	make_context(TLS1_3_VERSION);
	make_base();
	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		server.echo = 1;
		for (i = 1; i <= 8; i++) {
			CHECK_EQUAL(SSL_key_update(i % 2 ? client.ssl : server.ssl,
						   i % 3 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
			client.finished = 0;
			client.wanted = i * 3000;
			write_pattern(&client, 3000, i);
			run_until(&client.finished, 1);
		}
		print_end(&client);
		free_ends();
	}
	end_all();
}
