// C++ programs: exceptions that leave the callbacks of bufferevents and listeners pass through the
// loop; the object whose callback threw, and all others, still work.
extern "C" {
#include "harness.h"
}

#include <cerrno>
#include <csignal>
#include <cstring>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct BaseDeleter {
	void operator()(event_base *base) const { event_base_free(base); }
};
using Base = std::unique_ptr<event_base, BaseDeleter>;

struct Connection {
	int ends[2];
	Connection() { CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0); }
	~Connection()
	{
		close(ends[0]);
		close(ends[1]);
	}
	Connection(const Connection &) = delete;
	void send(const char *text) { CHECK(::send(ends[1], text, std::strlen(text), 0) > 0); }
};

// A bufferevent with function objects.
class Stream {
public:
	std::function<void()> on_read, on_write;
	std::function<void(short)> on_event;

	explicit Stream(bufferevent *bev) : bev_(bev)
	{
		CHECK(bev);
		bufferevent_setcb(bev, &Stream::read, &Stream::write, &Stream::event, this);
	}
	~Stream() { bufferevent_free(bev_); }
	Stream(const Stream &) = delete;
	bufferevent *get() { return bev_; }
	std::string take()
	{
		evbuffer *input = bufferevent_get_input(bev_);
		std::string text(evbuffer_get_length(input), 0);
		evbuffer_remove(input, &text[0], text.size());
		return text;
	}
	void put(const char *text) { CHECK(bufferevent_write(bev_, text, std::strlen(text)) == 0); }

private:
	static void read(bufferevent *, void *self)
	{
		if (static_cast<Stream *>(self)->on_read)
			static_cast<Stream *>(self)->on_read();
	}
	static void write(bufferevent *, void *self)
	{
		if (static_cast<Stream *>(self)->on_write)
			static_cast<Stream *>(self)->on_write();
	}
	static void event(bufferevent *, short what, void *self)
	{
		if (static_cast<Stream *>(self)->on_event)
			static_cast<Stream *>(self)->on_event(what);
	}
	bufferevent *bev_;
};

void
settle(event_base *base)
{
	for (int i = 0; i < 6; i++)
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
}

// Runs the loop until it throws, and returns what was thrown. 2.1 leaves its loop marked as running
// when an exception passes: a loop that an exception has left is not entered again here.
std::string
thrown_by(event_base *base)
{
	try {
		settle(base);
	} catch (const std::runtime_error &error) {
		return error.what();
	}
	return "nothing";
}

[[noreturn]] void
fail(const char *what)
{
	throw std::runtime_error(what);
}

} // namespace

extern "C" {

CASE(thrown_by_read, EVERY_BACKEND)
{
	Base base(event_base_new());
	Connection connection;
	Stream stream(bufferevent_socket_new(base.get(), connection.ends[0], 0));
	stream.on_read = [] { fail("read"); };
	bufferevent_enable(stream.get(), EV_READ);
	connection.send("hello");
	std::string what = thrown_by(base.get());
	CHECK_STRING(what.c_str(), "read");
	CHECK_STRING(stream.take().c_str(), "hello");
}

CASE(thrown_by_write, EVERY_BACKEND)
{
	Base base(event_base_new());
	Connection connection;
	Stream stream(bufferevent_socket_new(base.get(), connection.ends[0], 0));
	stream.on_write = [] { fail("write"); };
	stream.put("hello");
	std::string what = thrown_by(base.get());
	CHECK_STRING(what.c_str(), "write");
}

CASE(thrown_by_event, EVERY_BACKEND)
{
	Base base(event_base_new());
	Connection connection;
	Stream stream(bufferevent_socket_new(base.get(), connection.ends[0], 0));
	stream.on_event = [](short) { fail("event"); };
	bufferevent_enable(stream.get(), EV_READ);
	shutdown(connection.ends[1], SHUT_WR);
	std::string what = thrown_by(base.get());
	CHECK_STRING(what.c_str(), "event");
}

// Outside the loop: a trigger calls at once.
CASE(thrown_by_trigger, ONE_BACKEND)
{
	Base base(event_base_new());
	Stream stream(bufferevent_socket_new(base.get(), -1, 0));
	stream.on_read = [] { fail("trigger"); };
	for (int i = 0; i < 3; i++) {
		try {
			bufferevent_trigger(stream.get(), EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
			CHECK(false);
		} catch (const std::runtime_error &error) {
			CHECK_STRING(error.what(), "trigger");
		}
	}
	settle(base.get());
}

static void
works_on(int options)
{
	Base base(event_base_new());
	Connection one, two;
	int thrown = 0;
	{
		Stream first(bufferevent_socket_new(base.get(), one.ends[0], options));
		Stream second(bufferevent_socket_new(base.get(), two.ends[0], options));
		std::string got;
		first.on_read = [&] {
			first.take();
			fail("read");
		};
		first.on_write = [] { fail("write"); };
		second.on_read = [&] { got += second.take(); };
		bufferevent_enable(first.get(), EV_READ);
		bufferevent_enable(second.get(), EV_READ);
		for (int i = 0; i < 20; i++) {
			one.send("x");
			two.send("y");
			first.put("z");
			for (int j = 0; j < 6; j++)
				thrown += thrown_by(base.get()) != "nothing";
		}
		CHECK_STRING(got.c_str(), "yyyyyyyyyyyyyyyyyyyy");
		CHECK(thrown >= 20);
		// Its lock is free.
		bufferevent_lock(first.get());
		bufferevent_unlock(first.get());
	}
	settle(base.get());
}

DIFFERENCE(works_on_after_exceptions, EVERY_BACKEND,
	"after a C++ exception has left a bufferevent callback, the loop cannot be entered again")
{
	works_on(0);
}

DIFFERENCE(works_on_after_deferred_exceptions, ONE_BACKEND,
	"after a C++ exception has left a bufferevent callback, the loop cannot be entered again")
{
	works_on(BEV_OPT_DEFER_CALLBACKS);
}

DIFFERENCE(works_on_with_locks, ONE_BACKEND,
	"after a C++ exception has left a bufferevent callback, the loop cannot be entered again")
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	works_on(BEV_OPT_THREADSAFE);
	works_on(BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS);
	works_on(BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
}

// A bufferevent that an exception has left is destroyed when it is freed: its descriptor is closed.
DIFFERENCE(freed_after_an_exception, EVERY_BACKEND,
	"a C++ exception that leaves a bufferevent callback leaks the bufferevent")
{
	Base base(event_base_new());
	int ends[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	{
		Stream stream(bufferevent_socket_new(base.get(), ends[0], BEV_OPT_CLOSE_ON_FREE));
		stream.on_read = [] { fail("read"); };
		bufferevent_enable(stream.get(), EV_READ);
		CHECK(send(ends[1], "x", 1, 0) == 1);
		std::string what = thrown_by(base.get());
		CHECK_STRING(what.c_str(), "read");
	}
	settle(base.get());
	CHECK(fcntl(ends[0], F_GETFD) < 0);
	close(ends[1]);
}

// Streams are freed by destructors while the exception unwinds out of their own callback.
DIFFERENCE(freed_in_the_throwing_callback, EVERY_BACKEND,
	"a C++ exception that leaves a bufferevent callback leaks the bufferevent")
{
	Base base(event_base_new());
	int ends[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	std::unique_ptr<Stream> stream(new Stream(bufferevent_socket_new(base.get(), ends[0], BEV_OPT_CLOSE_ON_FREE)));
	std::function<void()> reset = [&] {
		stream.reset();
		fail("gone");
	};
	stream->on_read = [&reset] {
		std::function<void()> copy = reset;
		copy();
	};
	bufferevent_enable(stream->get(), EV_READ);
	CHECK(send(ends[1], "x", 1, 0) == 1);
	std::string what = thrown_by(base.get());
	CHECK_STRING(what.c_str(), "gone");
	settle(base.get());
	CHECK(fcntl(ends[0], F_GETFD) < 0);
	close(ends[1]);
}

static int accepted;

static void
accept_and_throw(evconnlistener *, evutil_socket_t fd, sockaddr *, int, void *)
{
	close(fd);
	accepted++;
	fail("accept");
}

DIFFERENCE(thrown_by_listener, EVERY_BACKEND,
	"after a C++ exception has left a bufferevent callback, the loop cannot be entered again")
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	Base base(event_base_new());
	sockaddr_in address = {};
	socklen_t length = sizeof address;
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	evconnlistener *listener =
		evconnlistener_new_bind(base.get(), accept_and_throw, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_THREADSAFE, -1,
					reinterpret_cast<sockaddr *>(&address), sizeof address);
	CHECK(listener);
	int fd = evconnlistener_get_fd(listener);
	CHECK(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length) == 0);
	int clients[3];
	for (int &client : clients) {
		client = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(connect(client, reinterpret_cast<sockaddr *>(&address), length) == 0);
	}
	for (int i = 0; i < 3; i++)
		CHECK(thrown_by(base.get()) == "accept");
	CHECK_EQUAL(accepted, 3);
	evconnlistener_free(listener);
	CHECK(fcntl(fd, F_GETFD) < 0);
	for (int client : clients)
		close(client);
}

// Exceptions from the callbacks of buffers, in the middle of a read, a write or a transfer: the ends
// that are the bufferevent's own are closed to the program again.
static bool throwing;

static void
throw_on_change(evbuffer *, const evbuffer_cb_info *info, void *what)
{
	if (throwing && info->n_added + info->n_deleted > 0) {
		throwing = false;
		fail(static_cast<const char *>(what));
	}
}

static bool
frozen(bufferevent *bev)
{
	return evbuffer_add(bufferevent_get_input(bev), "x", 1) == -1 && evbuffer_prepend(bufferevent_get_output(bev), "x", 1) == -1;
}

#define STAYS_OPEN "An exception from a buffer callback leaves ends of a bufferevent's buffers unfrozen that should be frozen."

DIFFERENCE(thrown_by_input_while_reading, EVERY_BACKEND, STAYS_OPEN)
{
	Base base(event_base_new());
	Connection connection;
	Stream stream(bufferevent_socket_new(base.get(), connection.ends[0], 0));
	bufferevent_enable(stream.get(), EV_READ);
	evbuffer_add_cb(bufferevent_get_input(stream.get()), throw_on_change, const_cast<char *>("input"));
	throwing = true;
	connection.send("hello");
	CHECK_STRING(thrown_by(base.get()).c_str(), "input");
	stream.put("something");
	CHECK(frozen(stream.get()));
	CHECK_STRING(stream.take().c_str(), "hello");
	connection.send("again");
	settle(base.get());
	CHECK_STRING(stream.take().c_str(), "again");
}

DIFFERENCE(thrown_by_output_while_writing, EVERY_BACKEND, STAYS_OPEN)
{
	Base base(event_base_new());
	Connection connection;
	Stream stream(bufferevent_socket_new(base.get(), connection.ends[0], 0));
	stream.put("hello");
	evbuffer_add_cb(bufferevent_get_output(stream.get()), throw_on_change, const_cast<char *>("output"));
	throwing = true;
	CHECK_STRING(thrown_by(base.get()).c_str(), "output");
	stream.put("again");
	CHECK(frozen(stream.get()));
	settle(base.get());
	char text[20] = "";
	CHECK(recv(connection.ends[1], text, sizeof text, 0) == 10);
	CHECK_STRING(text, "helloagain");
}

DIFFERENCE(thrown_by_either_end_of_a_pair, ONE_BACKEND, STAYS_OPEN)
{
	for (int end = 0; end < 2; end++) {
		Base base(event_base_new());
		bufferevent *pair[2];
		CHECK(bufferevent_pair_new(base.get(), 0, pair) == 0);
		Stream one(pair[0]), other(pair[1]);
		bufferevent_enable(pair[1], EV_READ);
		evbuffer_add_cb(end ? bufferevent_get_input(pair[1]) : bufferevent_get_output(pair[0]), throw_on_change,
		    const_cast<char *>("pair"));
		throwing = true;
		std::string what = "nothing";
		try {
			one.put("hello");
		} catch (const std::runtime_error &error) {
			what = error.what();
		}
		CHECK_STRING(what.c_str(), "pair");
		CHECK(frozen(pair[0]) && frozen(pair[1]));
		one.put("again");
		settle(base.get());
		CHECK_STRING(other.take().c_str(), "helloagain");
	}
}

} // extern "C"
