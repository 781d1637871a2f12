/* A server of one kind, as a program would write it, for the floods. It prints its port, and at each
 * SIGUSR1 how many bytes and blocks of the library's memory are in use, how many descriptors are open,
 * and how many of its children failed. */
#define _GNU_SOURCE
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/listener.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct event_base *base;
static SSL_CTX *context;

/* --- Memory, counted ---------------------------------------------------------------------------- */

/* Each block of the library is preceded by its size. */
struct block {
	size_t size;
	max_align_t data[];
};

static size_t bytes_in_use, blocks_in_use;
static int failed_children;

static void *
enter(struct block *block, size_t size)
{
	if (!block)
		return NULL;
	block->size = size;
	bytes_in_use += size;
	blocks_in_use++;
	return block->data;
}

static struct block *
take_out(void *data)
{
	struct block *block = (struct block *)((char *)data - offsetof(struct block, data));
	bytes_in_use -= block->size;
	blocks_in_use--;
	return block;
}

static void *
counted_malloc(size_t size)
{
	return enter(malloc(sizeof(struct block) + size), size);
}

static void
counted_free(void *data)
{
	free(take_out(data));
}

static void *
counted_realloc(void *data, size_t size)
{
	struct block *old = data ? take_out(data) : NULL, *block = realloc(old, sizeof *block + size);
	if (!block && old)
		enter(old, old->size);
	return enter(block, size);
}

static void
print_memory(evutil_socket_t number, short what, void *arg)
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
	printf("%zu %zu %d %d\n", bytes_in_use, blocks_in_use, count, failed_children);
	fflush(stdout);
}

/* --- Children ------------------------------------------------------------------------------------ */

static int children, living_children, requests_before_fork;

static int
count_event(const struct event_base *of, const struct event *event, void *count)
{
	(void)of;
	(void)event;
	++*(int *)count;
	return 0;
}

/* A child reinitialises the base and finds all events in it. Its loop is not run: the connections belong
 * to the parent. */
static void
fork_child(void)
{
	int before = 0, after = 0;
	pid_t child = fork();
	if (child) {
		living_children += child > 0;
		return;
	}
	event_base_foreach_event(base, count_event, &before);
	if (event_reinit(base))
		_exit(1);
	event_base_foreach_event(base, count_event, &after);
	_exit(before != after);
}

/* Called in every request. */
static void
note_request(void)
{
	if (requests_before_fork && !--requests_before_fork)
		fork_child();
}

/* --- Echo, plain and over TLS ----------------------------------------------------------------------- */

static void
echo(struct bufferevent *bev, void *arg)
{
	(void)arg;
	note_request();
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
	/* A peer that does not read is not read from either. */
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
	/* Frees everything that belongs to a connection. */
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
	note_request();
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
	note_request();
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

/* --- Signals and the loop's tables --------------------------------------------------------------------------- */

static void
reap(evutil_socket_t number, short what, void *arg)
{
	int status;
	(void)number;
	(void)what;
	(void)arg;
	while (waitpid(-1, &status, WNOHANG) > 0) {
		living_children--;
		failed_children += status != 0;
	}
}

static void
ignore(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	(void)arg;
}

/* Makes children that exit at once, when the last ones have exited. */
static void
make_children(evutil_socket_t number, short what, void *arg)
{
	int i, wanted = living_children ? 0 : children;
	(void)number;
	(void)what;
	(void)arg;
	for (i = 0; i < wanted; i++) {
		pid_t child = fork();
		if (!child)
			_exit(0);
		living_children += child > 0;
	}
}

/* Makes a child now, and one within a request that comes later. */
static void
make_forks(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	(void)arg;
	requests_before_fork = 1 + rand() % 20;
	fork_child();
}

static void
take_report(evutil_socket_t fd, short what, void *left)
{
	(void)fd;
	(void)what;
	--*(int *)left;
}

/* A base keeps the tables that its highest descriptor, most timers and most reports at once asked for.
 * Asks for the most that this process may ever need, so that whatever grows later is not a table. */
static void
fill_tables(void)
{
	const struct timeval long_time = {3600, 0};
	struct rlimit limit;
	struct event *events;
	int ends[2], fd, i, count = 0, left;
	getrlimit(RLIMIT_NOFILE, &limit);
	events = malloc(limit.rlim_cur * sizeof *events);
	if (!events || pipe(ends) || write(ends[1], "x", 1) != 1)
		exit(1);
	for (; (fd = dup(ends[0])) >= 0; count++) {
		event_assign(&events[count], base, fd, EV_READ, take_report, &left);
		if (event_add(&events[count], &long_time))
			exit(1);
	}
	left = count;
	while (left)
		event_base_loop(base, EVLOOP_ONCE);
	for (i = 0; i < count; i++)
		close(event_get_fd(&events[i]));
	close(ends[0]);
	close(ends[1]);
	free(events);
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
	} watched[] = {{SIGUSR1, print_memory}, {SIGCHLD, reap}, {SIGUSR2, ignore}, {SIGHUP, make_children}, {SIGWINCH, make_forks}};
	int i, port = 0;
	event_set_mem_functions(counted_malloc, counted_realloc, counted_free);
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	fill_tables();
	if (count == 3 && !strcmp(words[1], "tls"))
		make_context();
	for (i = 0; i < 4 && count == 3; i++) {
		if (!strcmp(kinds[i].name, words[1]))
			port = kinds[i].serve();
	}
	children = count == 3 ? atoi(words[2]) : 0;
	for (i = 0; i < 5; i++)
		event_add(evsignal_new(base, watched[i].number, watched[i].callback, NULL), NULL);
	if (!port)
		return 1;
	printf("%d\n", port);
	fflush(stdout);
	event_base_dispatch(base);
	return 0;
}
