// C++ programs: exceptions that leave a callback pass through the loop, and the base still works;
// objects free their events in destructors that run inside callbacks.
extern "C" {
#include "harness.h"
}

#include <csignal>
#include <cstdlib>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

struct BaseDeleter {
	void operator()(event_base *base) const { event_base_free(base); }
};
using Base = std::unique_ptr<event_base, BaseDeleter>;

Base
make_base()
{
	return Base(event_base_new());
}

struct Pipe {
	int ends[2];
	Pipe() { CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0); }
	~Pipe()
	{
		close(ends[0]);
		close(ends[1]);
	}
	Pipe(const Pipe &) = delete;
	void put() { CHECK(write(ends[1], "x", 1) == 1); }
	void take()
	{
		char byte;
		CHECK(read(ends[0], &byte, 1) == 1);
	}
};

// An event with a function object; leaving the scope frees it, inside its own callback too.
class Watcher {
public:
	using Function = std::function<void(short)>;

	Watcher(event_base *base, evutil_socket_t fd, short events, Function function) : function_(std::move(function))
	{
		event_ = event_new(base, fd, events, &Watcher::call, this);
		if (!event_)
			throw std::bad_alloc();
	}
	~Watcher() { event_free(event_); }
	Watcher(const Watcher &) = delete;
	Watcher &operator=(const Watcher &) = delete;

	void add() { CHECK(event_add(event_, nullptr) == 0); }
	void add(long milliseconds)
	{
		timeval tv = {milliseconds / 1000, milliseconds % 1000 * 1000};
		CHECK(event_add(event_, &tv) == 0);
	}
	void activate(short what) { event_active(event_, what, 1); }
	event *get() { return event_; }

private:
	static void call(evutil_socket_t, short what, void *self)
	{
		// A copy, for the function may delete the watcher.
		Function function = static_cast<Watcher *>(self)->function_;
		function(what);
	}

	Function function_;
	event *event_;
};

// Runs the loop and prints how it was left.
template <typename Loop>
void
run(const char *name, Loop loop)
{
	try {
		printf("%s: loop returned %d\n", name, loop());
	} catch (const std::exception &problem) {
		printf("%s: exception %s\n", name, problem.what());
	}
}

[[noreturn]] void
fail(const char *what)
{
	throw std::runtime_error(what);
}

// The base works after an exception: descriptor, timer, activation, exit.
void
prove_that_the_base_works(event_base *base)
{
	Pipe pipe;
	int calls = 0;

	CHECK_EQUAL(event_base_got_break(base), 0);
	Watcher reader(base, pipe.ends[0], EV_READ, [&](short) { calls++; });
	Watcher timer(base, -1, 0, [&](short) { calls++; });
	Watcher user(base, -1, 0, [&](short) { calls++; });
	reader.add();
	timer.add(1);
	user.activate(EV_WRITE);
	pipe.put();
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(calls, 3);
	CHECK_EQUAL(event_base_loopexit(base, nullptr), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
	puts("the base works");
}

void
use_locks()
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
}

constexpr char defect[] = "after a C++ exception has left a callback, the loop cannot be entered again";

} // namespace

static void
throw_from_a_descriptor_event(short flags)
{
	Base base = make_base();
	Pipe pipe;
	{
		Watcher reader(base.get(), pipe.ends[0], EV_READ | flags, [&](short) {
			pipe.take();
			fail("from a descriptor event");
		});
		Watcher behind(base.get(), -1, 0, [](short) { puts("queued behind"); });
		reader.add();
		pipe.put();
		run("first", [&] { return event_base_loop(base.get(), EVLOOP_ONCE); });
		printf("still pending: %d\n", event_pending(reader.get(), EV_READ, nullptr) != 0);
		behind.activate(EV_READ);
		run("second", [&] { return event_base_loop(base.get(), EVLOOP_NONBLOCK); });
	}
	prove_that_the_base_works(base.get());
}

DIFFERENCE(exception_from_a_descriptor_event, EVERY_BACKEND, defect)
{
	throw_from_a_descriptor_event(0);
	throw_from_a_descriptor_event(EV_PERSIST);
}

DIFFERENCE(exception_with_locks, EVERY_BACKEND, defect)
{
	use_locks();
	throw_from_a_descriptor_event(0);
	throw_from_a_descriptor_event(EV_PERSIST);
}

CASE(exception_reaches_the_caller_of_the_loop, EVERY_BACKEND)
{
	Base base = make_base();
	Watcher timer(base.get(), -1, 0, [](short) { fail("from a timer"); });

	timer.add(1);
	run("timer", [&] { return event_base_dispatch(base.get()); });
}

static void
throw_from_each_kind()
{
	Base base = make_base();
	{
		Watcher timer(base.get(), -1, 0, [](short) { fail("from a timer"); });
		timer.add(1);
		run("timer", [&] { return event_base_dispatch(base.get()); });
	}
	{
		int left = 2;
		Watcher timer(base.get(), -1, EV_PERSIST, [&](short) {
			if (--left == 0)
				event_del(timer.get());
			fail("from a persistent timer");
		});
		timer.add(1);
		run("persistent timer", [&] { return event_base_dispatch(base.get()); });
		run("persistent timer", [&] { return event_base_dispatch(base.get()); });
	}
	{
		Watcher signals(base.get(), SIGUSR1, EV_SIGNAL | EV_PERSIST, [](short) { fail("from a signal"); });
		signals.add();
		raise(SIGUSR1);
		run("signal", [&] { return event_base_loop(base.get(), EVLOOP_ONCE); });
		raise(SIGUSR1);
		run("signal", [&] { return event_base_loop(base.get(), EVLOOP_ONCE); });
	}
	event_base_once(
		base.get(), -1, EV_TIMEOUT, [](evutil_socket_t, short, void *) { fail("from event_base_once"); }, nullptr,
		nullptr);
	run("once", [&] { return event_base_dispatch(base.get()); });
	event *finalized = event_new(base.get(), -1, 0, [](evutil_socket_t, short, void *) {}, nullptr);
	event_free_finalize(0, finalized, [](event *, void *) { fail("from a finalizer"); });
	run("finalizer", [&] { return event_base_dispatch(base.get()); });
	prove_that_the_base_works(base.get());
}

DIFFERENCE(exception_from_each_kind_of_event, EVERY_BACKEND, defect)
{
	throw_from_each_kind();
}

DIFFERENCE(exception_from_each_kind_of_event_with_locks, EVERY_BACKEND, defect)
{
	use_locks();
	throw_from_each_kind();
}

// The events queued behind one that throws are not lost.
DIFFERENCE(events_queued_after_the_exception_run_in_the_next_loop, EVERY_BACKEND, defect)
{
	Base base = make_base();
	std::vector<std::unique_ptr<Watcher>> watchers;
	std::string order;

	for (char name = 'a'; name < 'e'; name++) {
		watchers.push_back(std::make_unique<Watcher>(base.get(), -1, 0, [&order, name](short) {
			order += name;
			if (name == 'b')
				fail("from b");
		}));
		watchers.back()->activate(EV_READ);
	}
	run("first", [&] { return event_base_dispatch(base.get()); });
	CHECK_STRING(order.c_str(), "ab");
	CHECK_EQUAL(event_base_get_num_events(base.get(), EVENT_BASE_COUNT_ACTIVE), 2);
	run("second", [&] { return event_base_dispatch(base.get()); });
	CHECK_STRING(order.c_str(), "abcd");
	watchers.clear();
	prove_that_the_base_works(base.get());
}

DIFFERENCE(deletion_does_not_wait_for_a_callback_that_threw, ONE_BACKEND, defect)
{
	use_locks();
	Base base = make_base();
	auto timer = std::make_unique<Watcher>(base.get(), -1, EV_PERSIST, [](short) { fail("from a timer"); });

	timer->add(1);
	run("timer", [&] { return event_base_dispatch(base.get()); });
	CHECK(event_base_get_running_event(base.get()) == nullptr);
	CHECK_EQUAL(event_del_block(timer->get()), 0);
	timer.reset();
	prove_that_the_base_works(base.get());
}

// Base and event are destroyed by the exception itself.
CASE(unwinding_frees_events_and_base, EVERY_BACKEND)
{
	for (int i = 0; i < 3; i++) {
		try {
			Base base = make_base();
			Pipe pipe;
			Watcher reader(base.get(), pipe.ends[0], EV_READ | EV_PERSIST, [](short) { fail("while reading"); });
			Watcher timer(base.get(), -1, EV_PERSIST, [](short) {});
			reader.add();
			timer.add(60000);
			pipe.put();
			event_base_dispatch(base.get());
		} catch (const std::runtime_error &problem) {
			printf("caught: %s\n", problem.what());
		}
	}
}

// --- Objects that free in destructors -----------------------------------------------------------

CASE(watcher_destroyed_in_its_own_callback, EVERY_BACKEND)
{
	Base base = make_base();
	Pipe pipe;
	std::unique_ptr<Watcher> watcher;

	for (short flags : {0, EV_PERSIST}) {
		watcher = std::make_unique<Watcher>(base.get(), pipe.ends[0], EV_READ | flags, [&](short what) {
			printf("called: %d\n", what);
			pipe.take();
			watcher.reset();
		});
		watcher->add(60000);
		pipe.put();
		CHECK_EQUAL(event_base_dispatch(base.get()), 1);
		CHECK(!watcher);
	}
}

CASE(watchers_destroyed_in_the_callback_of_another, EVERY_BACKEND)
{
	Base base = make_base();
	std::vector<std::unique_ptr<Watcher>> watchers;
	int calls = 0;

	for (int i = 0; i < 20; i++) {
		watchers.push_back(std::make_unique<Watcher>(base.get(), -1, EV_PERSIST, [&](short) {
			calls++;
			watchers.clear();
		}));
		watchers.back()->add(60000);
		watchers.back()->activate(EV_READ);
	}
	CHECK_EQUAL(event_base_dispatch(base.get()), 1);
	CHECK_EQUAL(calls, 1);
}

CASE(connections_that_close_themselves, EVERY_BACKEND)
{
	struct Connection {
		Pipe pipe;
		std::unique_ptr<Watcher> reader;
	};
	Base base = make_base();
	std::vector<std::unique_ptr<Connection>> connections(50);
	int closed = 0;

	for (auto &connection : connections) {
		connection = std::make_unique<Connection>();
		auto *slot = &connection;
		connection->reader = std::make_unique<Watcher>(base.get(), connection->pipe.ends[0], EV_READ | EV_PERSIST,
							       [slot, &closed](short) {
								       closed++;
								       slot->reset();
							       });
		connection->reader->add();
		connection->pipe.put();
	}
	CHECK_EQUAL(event_base_dispatch(base.get()), 1);
	CHECK_EQUAL(closed, 50);
}

CASE(shared_owner_dies_with_the_last_callback, EVERY_BACKEND)
{
	Base base = make_base();
	std::string text;
	auto owner = std::shared_ptr<std::string>(new std::string("owner"), [&](std::string *value) {
		text += *value + " gone";
		delete value;
	});
	auto *context = new std::shared_ptr<std::string>(std::move(owner));

	event_base_once(
		base.get(), -1, EV_TIMEOUT,
		[](evutil_socket_t, short, void *argument) { delete static_cast<std::shared_ptr<std::string> *>(argument); },
		context, nullptr);
	CHECK_EQUAL(event_base_dispatch(base.get()), 1);
	CHECK_STRING(text.c_str(), "owner gone");
}

long blocks;

void *
counted_malloc(size_t size)
{
	blocks++;
	return malloc(size);
}

void *
counted_realloc(void *block, size_t size)
{
	blocks += !block;
	return realloc(block, size);
}

void
counted_free(void *block)
{
	blocks--;
	free(block);
}

CASE(exception_from_event_base_once_leaves_no_memory_behind, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	event_set_mem_functions(counted_malloc, counted_realloc, counted_free);
	{
		Base base = make_base();
		event_base_once(
			base.get(), -1, EV_TIMEOUT, [](evutil_socket_t, short, void *) { fail("from event_base_once"); }, nullptr,
			nullptr);
		run("once", [&] { return event_base_dispatch(base.get()); });
	}
	CHECK_EQUAL(blocks, 0);
}

// --- The headers in C++ -------------------------------------------------------------------------

class Embedding {
public:
	explicit Embedding(event_base *base) { event_assign(&event_, base, -1, EV_PERSIST, &Embedding::call, this); }
	~Embedding() { event_del(&event_); }
	void start() { event_active(&event_, EV_TIMEOUT, 1); }
	int calls() const { return calls_; }

private:
	static void call(evutil_socket_t, short, void *self) { static_cast<Embedding *>(self)->calls_++; }
	event event_{};
	int calls_ = 0;
};

CASE(event_embedded_in_a_class, EVERY_BACKEND)
{
	Base base = make_base();
	Embedding embedding(base.get());

	static_assert(sizeof(event) == 128, "layout of struct event");
	embedding.start();
	embedding.start();
	CHECK_EQUAL(event_base_dispatch(base.get()), 1);
	CHECK_EQUAL(embedding.calls(), 1);
}

CASE(macros_compile_in_cpp, ONE_BACKEND)
{
	Base base = make_base();
	event timer, signals;
	timeval minute = {60, 0};

	evtimer_assign(&timer, base.get(), [](evutil_socket_t, short, void *) {}, nullptr);
	evsignal_assign(&signals, base.get(), SIGUSR1, [](evutil_socket_t, short, void *) {}, nullptr);
	CHECK_EQUAL(evtimer_add(&timer, &minute), 0);
	CHECK_EQUAL(evsignal_add(&signals, &minute), 0);
	CHECK(evtimer_pending(&timer, &minute) && evtimer_initialized(&timer));
	CHECK(evsignal_pending(&signals, nullptr) && evsignal_initialized(&signals));
	CHECK_EQUAL(event_get_signal(&signals), SIGUSR1);
	CHECK_EQUAL(evtimer_del(&timer), 0);
	CHECK_EQUAL(evsignal_del(&signals), 0);
	event *own = event_new(base.get(), -1, 0, [](evutil_socket_t, short, void *) {}, event_self_cbarg());
	CHECK(event_get_callback_arg(own) == own);
	event_free(own);
}
