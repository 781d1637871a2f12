/* Several threads use one base, a resolver, a server and thread-safe bufferevents of every kind at once, and
 * add and free everything at random moments.
 *
 *   mixture SEED SECONDS [throw] [cancel]
 *
 * Callbacks throw exceptions, or the thread that runs the loop is cancelled, at random moments: it must not
 * hold a lock then, and the loop goes on in it or in another. Locks are taken through a layer that ends the
 * process when two are taken in different orders, or one is lost; lock debugging is on above it. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <event2/thread.h>

#include <arpa/inet.h>
#include <atomic>
#include <map>
#include <mutex>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <random>
#include <set>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

[[noreturn]] void
broken(const char *what)
{
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

void
must(bool holds, const char *what)
{
	if (!holds)
		broken(what);
}

/* --- Locks that know their order ---------------------------------------------------------------- */

struct Lock {
	pthread_mutex_t mutex;
};

std::mutex order_mutex;
std::map<const Lock *, std::set<const Lock *>> taken_before; /* for each lock: those held when it was taken */
std::atomic<long> locks, orders;
thread_local std::vector<const Lock *> held;

void
note_order(const Lock *lock)
{
	std::lock_guard<std::mutex> guard(order_mutex);
	for (const Lock *before : held) {
		if (before == lock)
			return;
	}
	for (const Lock *before : held) {
		auto known = taken_before.find(before);
		must(known == taken_before.end() || !known->second.count(lock), "two locks are taken in different orders");
		orders += taken_before[lock].insert(before).second;
	}
}

void *
lock_alloc(unsigned type)
{
	Lock *lock = new Lock;
	pthread_mutexattr_t recursive;
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, type & EVTHREAD_LOCKTYPE_RECURSIVE ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
	pthread_mutex_init(&lock->mutex, &recursive);
	pthread_mutexattr_destroy(&recursive);
	locks++;
	return lock;
}

void
lock_free(void *memory, unsigned)
{
	Lock *lock = static_cast<Lock *>(memory);
	{
		std::lock_guard<std::mutex> guard(order_mutex);
		taken_before.erase(lock);
		for (auto &one : taken_before)
			one.second.erase(lock);
	}
	must(pthread_mutex_destroy(&lock->mutex) == 0, "a lock is freed that is held");
	locks--;
	delete lock;
}

int
lock_take(unsigned mode, void *memory)
{
	Lock *lock = static_cast<Lock *>(memory);
	if (mode & EVTHREAD_TRY) {
		if (pthread_mutex_trylock(&lock->mutex))
			return 1;
	} else {
		note_order(lock);
		pthread_mutex_lock(&lock->mutex);
	}
	held.push_back(lock);
	return 0;
}

int
lock_release(unsigned, void *memory)
{
	Lock *lock = static_cast<Lock *>(memory);
	size_t i = held.size();
	while (i > 0 && held[i - 1] != lock)
		i--;
	must(i > 0, "a lock is released that is not held");
	held.erase(held.begin() + i - 1);
	return pthread_mutex_unlock(&lock->mutex);
}

void *
condition_alloc(unsigned)
{
	pthread_cond_t *condition = new pthread_cond_t;
	pthread_cond_init(condition, nullptr);
	return condition;
}

void
condition_free(void *condition)
{
	pthread_cond_destroy(static_cast<pthread_cond_t *>(condition));
	delete static_cast<pthread_cond_t *>(condition);
}

int
condition_signal(void *memory, int broadcast)
{
	pthread_cond_t *condition = static_cast<pthread_cond_t *>(memory);
	return broadcast ? pthread_cond_broadcast(condition) : pthread_cond_signal(condition);
}

int
condition_wait(void *memory, void *lock, const timeval *limit)
{
	pthread_cond_t *condition = static_cast<pthread_cond_t *>(memory);
	timespec until;
	if (!limit)
		return pthread_cond_wait(condition, &static_cast<Lock *>(lock)->mutex);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += limit->tv_sec;
	until.tv_nsec += limit->tv_usec * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	return pthread_cond_timedwait(condition, &static_cast<Lock *>(lock)->mutex, &until) ? 1 : 0;
}

unsigned long
own_id()
{
	return static_cast<unsigned long>(pthread_self());
}

void
use_locks()
{
	static const evthread_lock_callbacks lock_callbacks = {EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE,
							       lock_alloc, lock_free, lock_take, lock_release};
	static const evthread_condition_callbacks condition_callbacks = {EVTHREAD_CONDITION_API_VERSION, condition_alloc,
									 condition_free, condition_signal, condition_wait};
	must(!evthread_set_lock_callbacks(&lock_callbacks) && !evthread_set_condition_callbacks(&condition_callbacks), "locks");
	evthread_set_id_callback(own_id);
	evthread_enable_lock_debugging();
}

/* --- What is used ------------------------------------------------------------------------------------- */

enum { WORKERS = 4, KEPT = 6 };

event_base *base;
evdns_base *resolver;
evhttp *http;
bufferevent_rate_limit_group *group;
SSL_CTX *context;
sockaddr_in listening;
unsigned short http_port;
std::atomic<bool> over;
std::atomic<long> callbacks, looked_up, look_ups, answered, asked, thrown, cancelled, steps;
bool throws, cancels;

struct Thrown {};

thread_local bool runs_the_loop;

/* Called in callbacks: in those that the loop runs, the exception passes through the library. */
void
perhaps_throw()
{
	thread_local std::minstd_rand random(4711);
	callbacks++;
	if (throws && runs_the_loop && random() % 50 == 0) {
		thrown++;
		throw Thrown();
	}
}

void
echo(bufferevent *bev, void *)
{
	evbuffer *input = bufferevent_get_input(bev);
	if (evbuffer_get_length(bufferevent_get_output(bev)) < 20000)
		bufferevent_write_buffer(bev, input);
	else
		evbuffer_drain(input, evbuffer_get_length(input));
	perhaps_throw();
}

void
ended(bufferevent *, short, void *)
{
	perhaps_throw();
}

void
serve(bufferevent *bev, short what, void *)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_free(bev);
}

void
accepted(evconnlistener *, int fd, sockaddr *, int, void *)
{
	bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
	bufferevent_setcb(bev, echo, nullptr, serve, nullptr);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

void
resolve(evdns_server_request *request, void *)
{
	for (int i = 0; i < request->nquestions; i++)
		evdns_server_request_add_a_reply(request, request->questions[i]->name, 1, "\300\0\2\1", 60);
	evdns_server_request_respond(request, 0);
}

void
resolved(int, char, int, int, void *, void *)
{
	looked_up++;
	perhaps_throw();
}

void
answer(evhttp_request *request, void *)
{
	evbuffer *body = evbuffer_new();
	evbuffer_add(body, "text", 4);
	evhttp_send_reply(request, 200, "OK", body);
	evbuffer_free(body);
}

evhttp_connection *connection;

void
on_answer(evhttp_request *, void *)
{
	answered++;
}

/* Runs in the loop, because HTTP has no locks. */
void
ask(int, short, void *)
{
	evhttp_request *request;
	if (!connection)
		connection = evhttp_connection_base_new(base, nullptr, "127.0.0.1", http_port);
	request = evhttp_request_new(on_answer, nullptr);
	asked++;
	if (evhttp_make_request(connection, request, EVHTTP_REQ_GET, "/"))
		answered++;
}

void
run_event(int, short, void *)
{
	perhaps_throw();
}

std::atomic<long> made, noticed;

void
notice(int, short, void *)
{
	noticed++;
}

/* --- The threads that use it ------------------------------------------------------------------------ */

struct Worker {
	std::minstd_rand random;
	std::vector<bufferevent *> bevs;
	std::vector<event *> events;

	explicit Worker(unsigned seed) : random(seed) {}

	unsigned pick(unsigned below)
	{
		return random() % below;
	}

	void keep(bufferevent *bev)
	{
		must(bev, "a bufferevent");
		bufferevent_setcb(bev, echo, pick(2) ? echo_written : nullptr, ended, nullptr);
		bufferevent_enable(bev, EV_READ | EV_WRITE);
		bevs.push_back(bev);
	}

	static void echo_written(bufferevent *, void *)
	{
		perhaps_throw();
	}

	static bufferevent_filter_result pass(evbuffer *from, evbuffer *to, ev_ssize_t, bufferevent_flush_mode, void *)
	{
		return evbuffer_get_length(from) && !evbuffer_add_buffer(to, from) ? BEV_OK : BEV_NEED_MORE;
	}

	int options()
	{
		static const int further[] = {0, BEV_OPT_DEFER_CALLBACKS, BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS};
		return BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE | further[pick(3)];
	}

	void make_two()
	{
		static const timeval at_once = {0, 0};
		int fds[2], further = options();
		unsigned kind = pick(6);
		/* The loop closes what was freed, and has to keep up. */
		if (made - noticed > 50) {
			usleep(1000);
			return;
		}
		made++;
		event_base_once(base, -1, EV_TIMEOUT, notice, nullptr, &at_once);
		if (kind == 0) {
			bufferevent *pair[2];
			must(!bufferevent_pair_new(base, further, pair), "a pair");
			keep(pair[0]);
			keep(pair[1]);
			return;
		}
		if (kind == 1) {
			keep(bufferevent_socket_new(base, -1, further));
			bufferevent_socket_connect(bevs.back(), reinterpret_cast<sockaddr *>(&listening), sizeof listening);
			return;
		}
		must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), "sockets");
		for (int i = 0; i < 2; i++) {
			bufferevent_ssl_state state = i ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING;
			bufferevent *below = nullptr;
			if (kind != 3)
				below = bufferevent_socket_new(base, fds[i], kind == 2 ? further : BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
			if (kind == 2)
				keep(below);
			else if (kind == 3)
				keep(bufferevent_openssl_socket_new(base, fds[i], SSL_new(context), state, further));
			else if (kind == 4)
				keep(bufferevent_openssl_filter_new(base, below, SSL_new(context), state, further));
			else
				keep(bufferevent_filter_new(below, pass, pass, further, nullptr, nullptr));
		}
	}

	void use(bufferevent *bev)
	{
		char text[3000];
		timeval soon = {0, 1000 + static_cast<int>(pick(5000))};
		memset(text, 'x', sizeof text);
		switch (pick(9)) {
		case 0:
			bufferevent_disable(bev, pick(2) ? EV_READ : EV_WRITE);
			break;
		case 1:
			bufferevent_set_timeouts(bev, &soon, pick(2) ? &soon : nullptr);
			bufferevent_enable(bev, EV_READ | EV_WRITE);
			break;
		case 2:
			bufferevent_setwatermark(bev, EV_READ, pick(100), pick(2) ? 0 : 5000);
			break;
		case 3:
			bufferevent_trigger(bev, EV_READ | EV_WRITE, pick(2) ? BEV_TRIG_IGNORE_WATERMARKS : BEV_TRIG_DEFER_CALLBACKS);
			break;
		case 4:
			bufferevent_lock(bev);
			evbuffer_drain(bufferevent_get_input(bev), pick(1000));
			bufferevent_unlock(bev);
			break;
		case 5:
			bufferevent_add_to_rate_limit_group(bev, group);
			break;
		case 6:
			bufferevent_remove_from_rate_limit_group(bev);
			break;
		case 7:
			bufferevent_flush(bev, EV_WRITE, BEV_FLUSH);
			break;
		default:
			bufferevent_write(bev, text, 1 + pick(sizeof text));
			bufferevent_enable(bev, EV_READ | EV_WRITE);
		}
	}

	void use_events()
	{
		timeval soon = {0, static_cast<int>(pick(3000))};
		if (events.size() < KEPT) {
			events.push_back(event_new(base, -1, pick(2) ? EV_PERSIST : 0, run_event, nullptr));
			event_add(events.back(), &soon);
			return;
		}
		size_t place = pick(KEPT);
		switch (pick(4)) {
		case 0:
			event_active(events[place], EV_TIMEOUT, 1);
			break;
		case 1:
			event_add(events[place], &soon);
			break;
		case 2:
			event_del(events[place]);
			break;
		default:
			event_free(events[place]);
			events.erase(events.begin() + place);
		}
	}

	void step()
	{
		steps++;
		switch (pick(12)) {
		case 0:
			if (look_ups - looked_up < 20) {
				look_ups++;
				/* If no request was returned, the callback has run. */
				evdns_base_resolve_ipv4(resolver, "name.test", DNS_QUERY_NO_SEARCH, resolved, nullptr);
			}
			break;
		case 1:
			if (asked - answered < 4) {
				timeval at_once = {0, 0};
				event_base_once(base, -1, EV_TIMEOUT, ask, nullptr, &at_once);
			}
			break;
		case 2:
		case 3:
			if (bevs.size() < KEPT) {
				make_two();
			} else {
				size_t place = pick(bevs.size());
				bufferevent_free(bevs[place]);
				bevs.erase(bevs.begin() + place);
			}
			break;
		case 4:
		case 5:
			use_events();
			break;
		case 6:
			if (pick(10) == 0)
				event_base_loopbreak(base);
			break;
		default:
			if (!bevs.empty())
				use(bevs[pick(bevs.size())]);
		}
	}

	void end()
	{
		for (bufferevent *bev : bevs)
			bufferevent_free(bev);
		for (event *one : events)
			event_free(one);
	}
};

void *
work(void *memory)
{
	Worker *worker = static_cast<Worker *>(memory);
	while (!over) {
		worker->step();
		must(held.empty(), "a function has returned with a lock");
		if (worker->pick(50) == 0)
			usleep(500);
	}
	worker->end();
	return nullptr;
}

/* --- The thread that runs the loop ------------------------------------------------------------------- */

void
has_no_lock(void *)
{
	must(held.empty(), "a cancelled thread holds a lock");
}

std::atomic<bool> stopped;

void *
run_loop(void *)
{
	runs_the_loop = true;
	pthread_cleanup_push(has_no_lock, nullptr);
	while (!stopped) {
		try {
			must(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY) >= 0, "the loop fails");
		} catch (const Thrown &) {
			must(held.empty(), "an exception has left a lock held");
		}
	}
	pthread_cleanup_pop(0);
	return nullptr;
}

/* --- All of it ------------------------------------------------------------------------------------------ */

void
make_context()
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	context = SSL_CTX_new(TLS_method());
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	must(X509_sign(certificate, key, EVP_sha256()) > 0 && SSL_CTX_use_certificate(context, certificate) == 1 &&
		     SSL_CTX_use_PrivateKey(context, key) == 1,
	     "a certificate");
	X509_free(certificate);
	EVP_PKEY_free(key);
}

sockaddr_in
address_of(int fd)
{
	sockaddr_in address;
	socklen_t length = sizeof address;
	must(!getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length), "an address");
	return address;
}

void
run_for(unsigned seed, unsigned seconds)
{
	std::minstd_rand random(seed);
	std::vector<Worker> workers;
	pthread_t loop, threads[WORKERS];
	for (unsigned i = 0; i < WORKERS; i++)
		workers.emplace_back(seed * WORKERS + i + 1);
	must(!pthread_create(&loop, nullptr, run_loop, nullptr), "a thread");
	for (int i = 0; i < WORKERS; i++)
		must(!pthread_create(&threads[i], nullptr, work, &workers[i]), "a thread");
	for (unsigned left = seconds * 1000; left > 0;) {
		unsigned pause = cancels ? 1 + random() % 30 : 100;
		usleep(pause * 1000);
		left -= pause < left ? pause : left;
		if (cancels) {
			void *result;
			pthread_cancel(loop);
			pthread_join(loop, &result);
			cancelled += result == PTHREAD_CANCELED;
			must(!pthread_create(&loop, nullptr, run_loop, nullptr), "a thread");
		}
	}
	over = true;
	for (pthread_t thread : threads)
		pthread_join(thread, nullptr);
	/* What is under way ends. */
	for (int tries = 0; !cancels && (looked_up < look_ups || answered < asked) && tries < 3000; tries++)
		usleep(10000);
	stopped = true;
	event_base_loopbreak(base);
	pthread_join(loop, nullptr);
}

} // namespace

int
main(int count, char **words)
{
	sockaddr_in any = {};
	evconnlistener *listener;
	evdns_server_port *port;
	ev_token_bucket_cfg *limits;
	timeval second = {1, 0};
	int fd;
	if (count < 3)
		return 2;
	for (int i = 3; i < count; i++) {
		throws |= !strcmp(words[i], "throw");
		cancels |= !strcmp(words[i], "cancel");
	}
	alarm(atoi(words[2]) + 120);
	signal(SIGPIPE, SIG_IGN);
	use_locks();
	make_context();
	base = event_base_new();
	evthread_make_base_notifiable(base);
	any.sin_family = AF_INET;
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = evconnlistener_new_bind(base, accepted, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_THREADSAFE, 64,
					   reinterpret_cast<sockaddr *>(&any), sizeof any);
	listening = address_of(evconnlistener_get_fd(listener));
	http = evhttp_new(base);
	http_port = ntohs(address_of(evhttp_bound_socket_get_fd(evhttp_bind_socket_with_handle(http, "127.0.0.1", 0))).sin_port);
	evhttp_set_gencb(http, answer, nullptr);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(!bind(fd, reinterpret_cast<sockaddr *>(&any), sizeof any), "a socket");
	any = address_of(fd);
	port = evdns_add_server_port_with_base(base, fd, 0, resolve, nullptr);
	resolver = evdns_base_new(base, 0);
	evdns_base_nameserver_sockaddr_add(resolver, reinterpret_cast<sockaddr *>(&any), sizeof any, 0);
	limits = ev_token_bucket_cfg_new(1000000, 2000000, 1000000, 2000000, &second);
	group = bufferevent_rate_limit_group_new(base, limits);
	run_for(atoi(words[1]), atoi(words[2]));
	/* A cancelled thread may have been in a callback that was to start one. */
	must(cancels || looked_up == look_ups, "look-ups have no end");
	must(cancels || answered == asked, "requests have no end");
	if (connection)
		evhttp_connection_free(connection);
	evhttp_free(http);
	evdns_base_free(resolver, 0);
	evdns_close_server_port(port);
	evconnlistener_free(listener);
	event_base_loop(base, EVLOOP_NONBLOCK);
	bufferevent_rate_limit_group_free(group);
	ev_token_bucket_cfg_free(limits);
	event_base_free(base);
	SSL_CTX_free(context);
	printf("%ld steps, %ld callbacks, %ld look-ups, %ld requests, %ld exceptions, %ld cancelled, %ld orders of locks\n", steps.load(),
	       callbacks.load(), look_ups.load(), asked.load(), thrown.load(), cancelled.load(), orders.load());
	return 0;
}
