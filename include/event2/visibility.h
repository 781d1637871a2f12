/* event2/visibility.h: how the functions of the library are declared.
 *
 * Both macros are empty for programs. They make a function visible while one of the library's
 * own shared objects is built.
 */
#ifndef EVENT2_VISIBILITY_H_INCLUDED_
#define EVENT2_VISIBILITY_H_INCLUDED_

#include <event2/event-config.h>

#if defined(event_shared_EXPORTS) || defined(event_core_shared_EXPORTS) || \
    defined(event_extra_shared_EXPORTS) || defined(event_pthreads_shared_EXPORTS) || \
    defined(event_openssl_shared_EXPORTS)
#define EVENT2_EXPORT_SYMBOL __attribute__((visibility("default")))
#else
#define EVENT2_EXPORT_SYMBOL
#endif

/* The same for what the core library exports. */
#ifndef EVENT2_CORE_EXPORT_SYMBOL
#define EVENT2_CORE_EXPORT_SYMBOL EVENT2_EXPORT_SYMBOL
#endif

#endif
