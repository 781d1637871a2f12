/* A server of one kind, as a program would write it, for the floods. It prints its port, and at each
 * SIGUSR1 how many bytes of the library's memory are in use and how many descriptors are open. */
#define _GNU_SOURCE
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <malloc.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct event_base *base;
static SSL_CTX *context;
static long in_use;

/* --- Memory, counted ---------------------------------------------------------------------------- */

static void *
counted_malloc(size_t size)
{
	void *block = malloc(size);
	in_use += block ? malloc_usable_size(block) : 0;
	return block;
}

static void
counted_free(void *block)
{
	in_use -= block ? malloc_usable_size(block) : 0;
	free(block);
}

static void *
counted_realloc(void *old, size_t size)
{
	size_t before = old ? malloc_usable_size(old) : 0;
	void *block = realloc(old, size);
	if (block)
		in_use += (long)malloc_usable_size(block) - (long)before;
	return block;
}

static void
tell_memory(evutil_socket_t number, short what, void *arg)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -3; /* . and .. and the directory's own */
	(void)number;
	(void)what;
	(void)arg;
	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	printf("%ld %d\n", in_use, count);
	fflush(stdout);
}

/* --- Echo, plain and over TLS ----------------------------------------------------------------------- */

static void
echo(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
	/* A peer that does not read is not read from. */
	if (evbuffer_get_length(bufferevent_get_output(bev)) > 65536)
		bufferevent_disable(bev, EV_READ);
}

static void
written(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_enable(bev, EV_READ);
}

static void
ended(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
		bufferevent_free(bev);
}

static void
accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct bufferevent *bev;
	(void)listener;
	(void)address;
	(void)length;
	(void)arg;
	if (context)
		bev = bufferevent_openssl_socket_new(base, fd, SSL_new(context), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	else
		bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!bev) {
		close(fd);
		return;
	}
	bufferevent_setcb(bev, echo, written, ended, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
make_context(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	context = SSL_CTX_new(TLS_server_method());
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	X509_sign(certificate, key, EVP_sha256());
	SSL_CTX_use_certificate(context, certificate);
	SSL_CTX_use_PrivateKey(context, key);
	/* Nothing of a connection stays when it is gone. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static int
port_of(evutil_socket_t fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	getsockname(fd, (struct sockaddr *)&address, &length);
	return ntohs(address.sin_port);
}

static int
serve_echo(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct evconnlistener *listener = evconnlistener_new_bind(base, accepted, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096,
								  (struct sockaddr *)&any, sizeof any);
	return listener ? port_of(evconnlistener_get_fd(listener)) : 0;
}

/* --- HTTP ------------------------------------------------------------------------------------------------ */

static void
answer(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();
	(void)arg;
	evbuffer_add_printf(body, "%0128d", 0);
	evhttp_send_reply(request, 200, "OK", body);
	evbuffer_free(body);
}

static int
serve_http(void)
{
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	evhttp_set_gencb(http, answer, NULL);
	evhttp_set_max_headers_size(http, 8192);
	evhttp_set_max_body_size(http, 65536);
	evhttp_set_timeout(http, 60);
	return bound ? port_of(evhttp_bound_socket_get_fd(bound)) : 0;
}

/* --- DNS --------------------------------------------------------------------------------------------------- */

static void
resolve(struct evdns_server_request *request, void *arg)
{
	static const unsigned char address[4] = {192, 0, 2, 1};
	int i;
	(void)arg;
	for (i = 0; i < request->nquestions; i++)
		evdns_server_request_add_a_reply(request, request->questions[i]->name, 1, address, 60);
	evdns_server_request_respond(request, 0);
}

static int
serve_dns(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) || !evdns_add_server_port_with_base(base, fd, 0, resolve, NULL))
		return 0;
	return port_of(fd);
}

/* --- Signals and children, beside the work ------------------------------------------------------------------ */

static void
reap(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	(void)arg;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void
ignore(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	(void)arg;
}

/* Makes children that end at once, and one that takes the base over and ends. */
static void
make_children(evutil_socket_t number, short what, void *arg)
{
	int i;
	(void)number;
	(void)what;
	(void)arg;
	for (i = 0; i < 100; i++) {
		if (!fork()) {
			if (i == 0 && event_reinit(base))
				_exit(1);
			_exit(0);
		}
	}
}

int
main(int count, char **words)
{
	static const struct {
		const char *name;
		int (*serve)(void);
	} kinds[] = {{"echo", serve_echo}, {"tls", serve_echo}, {"http", serve_http}, {"dns", serve_dns}};
	static const struct {
		int number;
		event_callback_fn callback;
	} watched[] = {{SIGUSR1, tell_memory}, {SIGCHLD, reap}, {SIGUSR2, ignore}, {SIGHUP, make_children}};
	int i, port = 0;
	event_set_mem_functions(counted_malloc, counted_realloc, counted_free);
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	if (count == 2 && !strcmp(words[1], "tls"))
		make_context();
	for (i = 0; i < 4 && count == 2; i++) {
		if (!strcmp(kinds[i].name, words[1]))
			port = kinds[i].serve();
	}
	for (i = 0; i < 4; i++)
		event_add(evsignal_new(base, watched[i].number, watched[i].callback, NULL), NULL);
	if (!port)
		return 1;
	printf("%d\n", port);
	fflush(stdout);
	event_base_dispatch(base);
	return 0;
}
