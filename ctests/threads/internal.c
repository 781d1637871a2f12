/* Functions that libevent exports without declaring them in a public header: they make, replace and
 * free the locks of the process, one for debug mode's table and one for signals. */
#include "trace.h"

#include <event2/thread.h>
#include <signal.h>

int event_global_setup_locks_(int enable);
int evsig_global_setup_locks_(int enable);
void evsig_free_globals_(void);

/* Exported, though in no header. Written here, because installing callbacks with a function makes
 * the locks at once. */
extern struct evthread_lock_callbacks evthread_lock_fns_;

static int refuse_at, made;
static int locks[10], taken;

static void *
make_lock(unsigned type)
{
	if (++made == refuse_at) {
		printf("no lock of type %u\n", type);
		return NULL;
	}
	printf("lock %d of type %u\n", made, type);
	return &locks[made];
}

static void
free_lock(void *lock, unsigned type)
{
	printf("lock %d of type %u is freed\n", (int)((int *)lock - locks), type);
}

static int
take_lock(unsigned mode, void *lock)
{
	CHECK_EQUAL(mode, 0);
	CHECK_EQUAL(*(int *)lock, 0);
	*(int *)lock = 1;
	taken++;
	return 0;
}

static int
give_lock(unsigned mode, void *lock)
{
	CHECK_EQUAL(mode, 0);
	CHECK_EQUAL(*(int *)lock, 1);
	*(int *)lock = 0;
	return 0;
}

static void
begin(void)
{
	static const struct evthread_lock_callbacks callbacks = {
		EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, make_lock, free_lock, take_lock, give_lock};
	evthread_lock_fns_ = callbacks;
}

CASE(the_locks_of_the_process_are_made, ONE_BACKEND | OWN_LOCKS)
{
	begin();
	CHECK_EQUAL(event_global_setup_locks_(1), 0);
	printf("%d locks\n", made);
}

CASE(the_lock_of_signals_is_made_and_freed, ONE_BACKEND | OWN_LOCKS)
{
	begin();
	CHECK_EQUAL(evsig_global_setup_locks_(1), 0);
	CHECK_EQUAL(made, 1);
	evsig_free_globals_();
	printf("freed\n");
	evsig_free_globals_();
	CHECK_EQUAL(evsig_global_setup_locks_(1), 0);
	CHECK_EQUAL(made, 2);
}

CASE(the_lock_of_signals_is_taken, ONE_BACKEND | OWN_LOCKS)
{
	struct event_base *base = base_with_flags(EVENT_BASE_FLAG_NOLOCK);
	struct event *ev = named_event(base, SIGUSR1, EV_SIGNAL | EV_PERSIST, "signal");
	begin();
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(taken, 0);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(evsig_global_setup_locks_(1), 0);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK(taken > 0);
	CHECK_EQUAL(event_del(ev), 0);
	event_free(ev);
	event_base_free(base);
}

CASE(locks_that_cannot_be_made, ONE_BACKEND | OWN_LOCKS)
{
	log_to_stdout();
	begin();
	refuse_at = 1;
	CHECK_EQUAL(evsig_global_setup_locks_(1), -1);
	refuse_at = 2;
	CHECK_EQUAL(evsig_global_setup_locks_(1), -1);
	refuse_at = 0;
	CHECK_EQUAL(evsig_global_setup_locks_(1), 0);
}

CASE(the_second_lock_of_the_process_cannot_be_made, ONE_BACKEND | OWN_LOCKS)
{
	log_to_stdout();
	begin();
	refuse_at = 2;
	CHECK_EQUAL(event_global_setup_locks_(1), -1);
	printf("%d locks\n", made);
}

/* As lock debugging asks for them, where the program has no locks of its own. (Where it has, both
 * libraries free them: threads/debugging.c.) */
CASE(checking_locks_need_no_lock_of_the_program, ONE_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(event_global_setup_locks_(0), 0);
	begin();
	CHECK_EQUAL(made, 0);
}
