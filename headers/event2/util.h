/* event2/util.h: types and small functions for the other headers and for portable programs.
 *
 * The functions may be called from any thread. Except for random numbers and evutil_getaddrinfo(),
 * they keep no state.
 */
#ifndef EVENT2_UTIL_H_INCLUDED_
#define EVENT2_UTIL_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Integer types of known size, and their limits. They are macros because programs test for them
 * with #ifdef. */
#define ev_uint64_t uint64_t
#define ev_int64_t int64_t
#define ev_uint32_t uint32_t
#define ev_int32_t int32_t
#define ev_uint16_t uint16_t
#define ev_int16_t int16_t
#define ev_uint8_t uint8_t
#define ev_int8_t int8_t
#define ev_uintptr_t uintptr_t
#define ev_intptr_t intptr_t
#define EV_UINT64_MAX UINT64_MAX
#define EV_INT64_MAX INT64_MAX
#define EV_INT64_MIN INT64_MIN
#define EV_UINT32_MAX UINT32_MAX
#define EV_INT32_MAX INT32_MAX
#define EV_INT32_MIN INT32_MIN
#define EV_UINT16_MAX UINT16_MAX
#define EV_INT16_MAX INT16_MAX
#define EV_INT16_MIN INT16_MIN
#define EV_UINT8_MAX UINT8_MAX
#define EV_INT8_MAX INT8_MAX
#define EV_INT8_MIN INT8_MIN
#define EV_SIZE_MAX EV_UINT64_MAX
#define EV_SSIZE_MAX EV_INT64_MAX
#define EV_SSIZE_MIN EV_INT64_MIN

/** A signed size. */
#define ev_ssize_t ssize_t
/** An offset in a file: always 64 bits, whatever the size of the program's off_t. */
#define ev_off_t ev_int64_t
/** The length of a socket address. */
#define ev_socklen_t socklen_t
/** A socket or another descriptor. */
#define evutil_socket_t int

/* Errors of socket functions. */
/** Not a socket. */
#define EVUTIL_INVALID_SOCKET -1
/** The error of the last socket call in this thread. */
#define EVUTIL_SOCKET_ERROR() (errno)
/** The error of the last call on one socket. */
#define evutil_socket_geterror(socket) (errno)
/** Sets what EVUTIL_SOCKET_ERROR() reports. */
#define EVUTIL_SET_SOCKET_ERROR(error) do { errno = (error); } while (0)
/** The text for an error; do not free it. */
#define evutil_socket_error_to_string(error) (strerror(error))
/** Closes a socket. */
#define EVUTIL_CLOSESOCKET(socket) evutil_closesocket(socket)

/* Arithmetic with `struct timeval`. Arguments are pointers and may be evaluated more than once. */
/** *sum = *a + *b */
#define evutil_timeradd(a, b, sum) timeradd((a), (b), (sum))
/** *difference = *a - *b */
#define evutil_timersub(a, b, difference) timersub((a), (b), (difference))
/** Sets a time to zero. */
#define evutil_timerclear(time) timerclear(time)
/** Whether a time is not zero. */
#define evutil_timerisset(time) timerisset(time)
/** Compares two times with any of the operators < <= == != >= > */
#define evutil_timercmp(a, b, operator_) \
    ((a)->tv_sec == (b)->tv_sec ? (a)->tv_usec operator_ (b)->tv_usec \
                    : (a)->tv_sec operator_ (b)->tv_sec)
/** The time of day. */
#define evutil_gettimeofday(time, zone) gettimeofday((time), (zone))

/** The offset of a member in a structure, in bytes. */
#define evutil_offsetof(type, member) offsetof(type, member)

/* Looking up names: the system's getaddrinfo(). */
#define evutil_addrinfo addrinfo
/* The system's header may have been included in a mode that hides this. */
struct addrinfo;

/* Error codes, for evutil_gai_strerror(). If the system's header was included in a mode that hides
 * its names for them, these have values that are never returned. */
/** The host has no address in the requested family. */
#ifdef EAI_ADDRFAMILY
#define EVUTIL_EAI_ADDRFAMILY EAI_ADDRFAMILY
#else
#define EVUTIL_EAI_ADDRFAMILY -901
#endif
/** The name server did not answer; trying again later may help. */
#ifdef EAI_AGAIN
#define EVUTIL_EAI_AGAIN EAI_AGAIN
#else
#define EVUTIL_EAI_AGAIN -902
#endif
/** Unknown or contradictory flags in the hints. */
#ifdef EAI_BADFLAGS
#define EVUTIL_EAI_BADFLAGS EAI_BADFLAGS
#else
#define EVUTIL_EAI_BADFLAGS -903
#endif
/** The name server refused to answer. */
#ifdef EAI_FAIL
#define EVUTIL_EAI_FAIL EAI_FAIL
#else
#define EVUTIL_EAI_FAIL -904
#endif
/** The address family is not supported. */
#ifdef EAI_FAMILY
#define EVUTIL_EAI_FAMILY EAI_FAMILY
#else
#define EVUTIL_EAI_FAMILY -905
#endif
/** Out of memory. */
#ifdef EAI_MEMORY
#define EVUTIL_EAI_MEMORY EAI_MEMORY
#else
#define EVUTIL_EAI_MEMORY -906
#endif
/** The name exists but has no address. */
#ifdef EAI_NODATA
#define EVUTIL_EAI_NODATA EAI_NODATA
#else
#define EVUTIL_EAI_NODATA -907
#endif
/** The name does not exist, or neither a host nor a service was given. */
#ifdef EAI_NONAME
#define EVUTIL_EAI_NONAME EAI_NONAME
#else
#define EVUTIL_EAI_NONAME -908
#endif
/** The service is unknown for the socket type. */
#ifdef EAI_SERVICE
#define EVUTIL_EAI_SERVICE EAI_SERVICE
#else
#define EVUTIL_EAI_SERVICE -909
#endif
/** The socket type is not supported. */
#ifdef EAI_SOCKTYPE
#define EVUTIL_EAI_SOCKTYPE EAI_SOCKTYPE
#else
#define EVUTIL_EAI_SOCKTYPE -910
#endif
/** A system error; errno says which. */
#ifdef EAI_SYSTEM
#define EVUTIL_EAI_SYSTEM EAI_SYSTEM
#else
#define EVUTIL_EAI_SYSTEM -911
#endif
/** The request was cancelled. */
#define EVUTIL_EAI_CANCEL -90001

/* Flags of the hints. */
/** Addresses for bind(): no host means any address. */
#define EVUTIL_AI_PASSIVE AI_PASSIVE
/** Fill in the canonical name. */
#define EVUTIL_AI_CANONNAME AI_CANONNAME
/** The host is an address; do not look it up. */
#define EVUTIL_AI_NUMERICHOST AI_NUMERICHOST
/** The service is a port number; do not look it up. */
#define EVUTIL_AI_NUMERICSERV AI_NUMERICSERV
/** IPv4 addresses mapped into IPv6 where there are no others. */
#define EVUTIL_AI_V4MAPPED AI_V4MAPPED
/** With V4MAPPED: mapped addresses besides the others. */
#define EVUTIL_AI_ALL AI_ALL
/** Only families that an interface of this machine has. */
#define EVUTIL_AI_ADDRCONFIG AI_ADDRCONFIG

struct event_base;
struct sockaddr;

/** A clock for measuring durations, which never jumps. */
struct evutil_monotonic_timer;

/* generated from src/c_api/util.rs */

/**
 * Formats like snprintf().
 *
 * Writes at most `size` bytes, the terminating NUL included; a `size` of 0 writes nothing and
 * returns 0. Otherwise returns the length of the whole text without the NUL, which is `size` or
 * more if it was truncated, or a negative number if the format is invalid.
 */
EVENT2_EXPORT_SYMBOL
int evutil_snprintf(char *buffer, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Like evutil_snprintf(), with the arguments of vsnprintf(). */
EVENT2_EXPORT_SYMBOL
int evutil_vsnprintf(char *buffer, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#ifdef __cplusplus
}
#endif

#endif
