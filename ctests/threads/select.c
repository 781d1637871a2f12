/* What other threads do between the moment when select's sets are made and the wait itself. */
#include "observe.h"

#include <dlfcn.h>
#include <event2/thread.h>
#include <pthread.h>
#include <sys/select.h>

static struct event_base *base;
static struct event *withdrawn;
static int armed;

static void *
delete_and_close(void *arg)
{
	int fd = event_get_fd(withdrawn);

	(void)arg;
	CHECK_EQUAL(event_del(withdrawn), 0);
	close(fd);
	return NULL;
}

/* Takes the place of the C library's for the libraries too. */
int
select(int count, fd_set *readers, fd_set *writers, fd_set *others, struct timeval *limit)
{
	int (*real_select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
	pthread_t thread;

	if (armed) {
		armed = 0;
		CHECK(pthread_create(&thread, NULL, delete_and_close, NULL) == 0);
		pthread_join(thread, NULL);
	}
	*(void **)&real_select = dlsym(RTLD_NEXT, "select");
	return real_select(count, readers, writers, others, limit);
}

static void
make_base(void)
{
	struct event_config *config = event_config_new();

	CHECK_EQUAL(evthread_use_pthreads(), 0);
	event_config_avoid_method(config, "epoll");
	event_config_avoid_method(config, "poll");
	base = event_base_new_with_config(config);
	CHECK(base);
	CHECK_STRING(event_base_get_method(base), "select");
	event_config_free(config);
}

DIFFERENCE(withdrawn_and_closed_before_the_wait, ONE_BACKEND,
	"with select, a descriptor that another thread deletes and closes ends the loop")
{
	const struct timeval soon = {0, 1000};
	int ends[2];

	make_base();
	make_pipe(ends);
	withdrawn = event_new(base, ends[0], EV_READ | EV_PERSIST, ignore_event, NULL);
	CHECK_EQUAL(event_add(withdrawn, NULL), 0);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, ignore_event, NULL, &soon), 0);
	armed = 1;
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(armed, 0);
	event_free(withdrawn);
	event_base_free(base);
	close(ends[1]);
}

CASE(closed_without_being_withdrawn, ONE_BACKEND)
{
	int ends[2];

	make_base();
	make_pipe(ends);
	log_to_stdout();
	withdrawn = event_new(base, ends[0], EV_READ, ignore_event, NULL);
	CHECK_EQUAL(event_add(withdrawn, NULL), 0);
	close(ends[0]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), -1);
	event_free(withdrawn);
	event_base_free(base);
	close(ends[1]);
}
