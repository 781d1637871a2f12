// Leaving a callback: by an exception that the caller of the loop catches, and by the end of the
// thread. The base works on afterwards.
#include <event2/event.h>
#include <cstdio>
#include <pthread.h>
#include <stdexcept>

static event_base *base;

static void throws(evutil_socket_t, short, void *)
{
	throw std::runtime_error("thrown");
}

static void ends_thread(evutil_socket_t, short, void *)
{
	pthread_exit(nullptr);
}

static void prints(evutil_socket_t, short, void *text)
{
	std::printf("%s ", static_cast<const char *>(text));
}

static void loop_with(event_callback_fn callback, const char *text)
{
	timeval soon = {0, 1000};

	event_base_once(base, -1, EV_TIMEOUT, callback, const_cast<char *>(text), &soon);
	event_base_dispatch(base);
}

static void *thread(void *)
{
	loop_with(ends_thread, nullptr);
	std::printf("not reached ");
	return nullptr;
}

int main()
{
	pthread_t started;

	base = event_base_new();
	try {
		loop_with(throws, nullptr);
		std::printf("not reached ");
	} catch (const std::exception &exception) {
		loop_with(prints, exception.what());
	}
	pthread_create(&started, nullptr, thread, nullptr);
	pthread_join(started, nullptr);
	loop_with(prints, "ended");
	event_base_free(base);
}
