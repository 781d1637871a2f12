/* The functions of the stack unwinder, for the shared library alone.
 *
 * A C++ exception, or the end of a thread, that leaves a callback passes through our frames. The
 * unwinder then hands a description of each frame to them, which only that same copy of the
 * unwinder can read: one of our own, linked in, would not do. Needing libgcc_s by name would load
 * it into every program. So the copy that the process has is looked up when it is at work. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unwind.h>

static _Unwind_Reason_Code
stop(struct _Unwind_Context *frame, void *arg)
{
	(void)frame;
	(void)arg;
	return _URC_END_OF_STACK;
}

/* A private copy: threads are ended with it, and it works together with one that is linked into a
 * program. */
static void *
load(void)
{
	void *library = dlopen("libgcc_s.so.1", RTLD_NOW);
	_Unwind_Reason_Code (*backtrace)(_Unwind_Trace_Fn, void *);

	if (!library || !(backtrace = dlsym(library, "_Unwind_Backtrace")))
		abort();
	/* It sets itself up when it unwinds for the first time. */
	backtrace(stop, NULL);
	return library;
}

static void *
find(const char *name)
{
	void *function = dlsym(RTLD_DEFAULT, name);

	if (!function)
		function = dlsym(load(), name);
	if (!function)
		abort();
	return function;
}

/* Defines a function of the unwinder that calls the process's. */
#define FORWARD(result, name, parameters, arguments)                                               \
	result name parameters                                                                     \
	{                                                                                          \
		static void *function;                                                             \
		if (!__atomic_load_n(&function, __ATOMIC_ACQUIRE))                                 \
			__atomic_store_n(&function, find(#name), __ATOMIC_RELEASE);                \
		return ((result(*) parameters)function)arguments;                                  \
	}

typedef struct _Unwind_Context context;
typedef struct _Unwind_Exception exception;

FORWARD(_Unwind_Reason_Code, _Unwind_RaiseException, (exception *thrown), (thrown))
FORWARD(_Unwind_Reason_Code, _Unwind_Backtrace, (_Unwind_Trace_Fn each, void *arg), (each, arg))
FORWARD(void *, _Unwind_GetLanguageSpecificData, (context *frame), (frame))
FORWARD(_Unwind_Ptr, _Unwind_GetRegionStart, (context *frame), (frame))
FORWARD(_Unwind_Ptr, _Unwind_GetIP, (context *frame), (frame))
FORWARD(_Unwind_Ptr, _Unwind_GetIPInfo, (context *frame, int *before), (frame, before))
FORWARD(_Unwind_Ptr, _Unwind_GetTextRelBase, (context *frame), (frame))
FORWARD(_Unwind_Ptr, _Unwind_GetDataRelBase, (context *frame), (frame))
FORWARD(void, _Unwind_SetGR, (context *frame, int index, _Unwind_Word value), (frame, index, value))
FORWARD(void, _Unwind_SetIP, (context *frame, _Unwind_Ptr place), (frame, place))

void
_Unwind_Resume(exception *thrown)
{
	((void (*)(exception *))find("_Unwind_Resume"))(thrown);
	abort();
}
