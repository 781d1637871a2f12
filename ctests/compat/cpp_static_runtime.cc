/* compile: -static-libgcc -static-libstdc++ */
// A program that contains its C++ runtime, as many from outside the distribution do: the
// unwinder is a part of the program then, out of the library's sight.
extern "C" {
#include "harness.h"
}

#include <cstdio>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdexcept>

namespace {

void
run(event_base *base)
{
	try {
		std::printf("loop: %d\n", event_base_dispatch(base));
	} catch (const std::runtime_error &error) {
		std::printf("caught: %s\n", error.what());
	}
}

CASE(exception_from_a_timer, EVERY_BACKEND)
{
	event_base *base = event_base_new();
	const timeval soon = {0, 1000};

	event *timer = evtimer_new(base, [](evutil_socket_t, short, void *) { throw std::runtime_error("timer"); }, nullptr);
	CHECK_EQUAL(event_add(timer, &soon), 0);
	run(base);
	event_free(timer);
	event_base_free(base);
}

CASE(exception_from_a_bufferevent, EVERY_BACKEND)
{
	event_base *base = event_base_new();
	bufferevent *pair[2];

	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	bufferevent_setcb(pair[1], [](bufferevent *, void *) { throw std::runtime_error("read"); }, nullptr, nullptr, nullptr);
	bufferevent_enable(pair[1], EV_READ);
	CHECK_EQUAL(bufferevent_write(pair[0], "x", 1), 0);
	run(base);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	event_base_free(base);
}

} // namespace
