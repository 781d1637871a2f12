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

/** Flag for evutil_configure_monotonic_time(): precise to the microsecond, slower to read. */
#define EV_MONOT_PRECISE 1

/**
 * Flag for evutil_configure_monotonic_time(): derived from the time of day, corrected if that is
 * set back. For tests.
 */
#define EV_MONOT_FALLBACK 2

/**
 * Writes a date like "Thu, 01 Jan 1970 00:00:00 GMT", with English names in every locale.
 *
 * `tm` is used as it is: no field is normalised or computed from others. NULL means now. At most
 * `datelen` bytes are written, including the terminator.
 *
 * Returns the length of the whole text, so a result of `datelen` or more means that it was
 * truncated; 0 if `datelen` is 0; or -1, with an empty string, if the month or the day of the week
 * is out of range.
 */
EVENT2_EXPORT_SYMBOL
int evutil_date_rfc1123(char *date, size_t datelen, const struct tm *tm);

/**
 * Makes a timer for evutil_gettime_monotonic().
 *
 * Free it with evutil_monotonic_timer_free(). Returns NULL when memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evutil_monotonic_timer *evutil_monotonic_timer_new(void);

/** Frees a timer. NULL is allowed. */
EVENT2_EXPORT_SYMBOL
void evutil_monotonic_timer_free(struct evutil_monotonic_timer *timer);

/**
 * Chooses the clock of a timer by `EV_MONOT_*` flags; 0 is a fast clock that advances in steps of
 * a few milliseconds. The timer is reset. Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int evutil_configure_monotonic_time(struct evutil_monotonic_timer *timer, int flags);

/**
 * Stores the time since a fixed but unspecified moment. It is independent of the system's clock
 * being set, and never goes back for the same timer.
 *
 * A timer may be used by one thread at a time. Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int evutil_gettime_monotonic(struct evutil_monotonic_timer *timer, struct timeval *tp);

/**
 * Makes two sockets that are connected to each other, like `socketpair()`.
 *
 * `type` may contain `SOCK_NONBLOCK` and `SOCK_CLOEXEC`. Returns 0; or -1, with the reason in
 * errno and `sv` unchanged.
 */
EVENT2_EXPORT_SYMBOL
int evutil_socketpair(int d, int type, int protocol, evutil_socket_t *sv);

/**
 * Makes a descriptor non-blocking.
 *
 * Returns 0; or -1, with a warning and the reason in errno.
 */
EVENT2_EXPORT_SYMBOL
int evutil_make_socket_nonblocking(evutil_socket_t sock);

/**
 * Lets a listening socket take over an address right after another program has closed it
 * (`SO_REUSEADDR`). Call it before binding.
 *
 * Returns 0, or -1 with the reason in errno.
 */
EVENT2_EXPORT_SYMBOL
int evutil_make_listen_socket_reuseable(evutil_socket_t sock);

/**
 * Allows several sockets of this user to listen on one port and share its connections
 * (`SO_REUSEPORT`). Call it for each of them, before binding.
 *
 * Returns 0, or -1 with the reason in errno.
 */
EVENT2_EXPORT_SYMBOL
int evutil_make_listen_socket_reuseable_port(evutil_socket_t sock);

/**
 * Restricts a listening IPv6 socket to IPv6, so that another socket can listen for IPv4 on the
 * same port. Call it before binding.
 *
 * Returns 0, or -1 with the reason in errno (`ENOPROTOOPT` for a socket that is not IPv6).
 */
EVENT2_EXPORT_SYMBOL
int evutil_make_listen_socket_ipv6only(evutil_socket_t sock);

/**
 * Closes a descriptor in programs that are started with `exec`.
 *
 * Returns 0; or -1, with a warning and the reason in errno.
 */
EVENT2_EXPORT_SYMBOL
int evutil_make_socket_closeonexec(evutil_socket_t sock);

/** Closes a socket. Returns 0, or -1 with the reason in errno. */
EVENT2_EXPORT_SYMBOL
int evutil_closesocket(evutil_socket_t sock);

/**
 * Makes a listening TCP socket report a connection only once data has arrived on it, or after a
 * second. For protocols in which the client speaks first.
 *
 * Returns 0, or -1 with the reason in errno.
 */
EVENT2_EXPORT_SYMBOL
int evutil_make_tcp_listen_socket_deferred(evutil_socket_t sock);

/**
 * Parses a 64-bit number like `strtoll()`: any base from 2 to 36, or 0 to derive it from the
 * prefix. If the number does not fit, `errno` is set to `ERANGE` and the result is the nearest
 * number that does.
 */
EVENT2_EXPORT_SYMBOL
ev_int64_t evutil_strtoll(const char *s, char **endptr, int base);

/**
 * Writes an address as text: dotted decimal for `AF_INET` (`src` is a `struct in_addr`), in the
 * style of RFC 5952 for `AF_INET6` (`struct in6_addr`).
 *
 * Returns `dst`; or NULL if the text and its terminator do not fit into `len` bytes or the family
 * is not supported. errno is not set.
 */
EVENT2_EXPORT_SYMBOL
const char *evutil_inet_ntop(int af, const void *src, char *dst, size_t len);

/**
 * Parses an IPv6 address that may be followed by `%` and a zone, which is an interface's name or
 * number; or any other address, like evutil_inet_pton().
 *
 * Stores the number of the interface, or 0 if there is none, in `*indexp`. Returns what
 * evutil_inet_pton() returns; also 0 if the zone is neither an interface nor a number.
 */
EVENT2_EXPORT_SYMBOL
int evutil_inet_pton_scope(int af, const char *src, void *dst, unsigned int *indexp);

/**
 * Parses an address: for `AF_INET` dotted decimal, in which leading zeros do not mean octal, into
 * a `struct in_addr`; for `AF_INET6` any form of RFC 4291, without a zone, into a `struct
 * in6_addr`.
 *
 * Returns 1 on success; 0, with `dst` unchanged, if the text is not such an address; or -1 if the
 * family is not supported. errno is not set.
 */
EVENT2_EXPORT_SYMBOL
int evutil_inet_pton(int af, const char *src, void *dst);

/**
 * Parses a numeric address with or without a port: `[v6]:port`, `[v6]`, `v6`, `v4:port` or `v4`.
 * IPv6 addresses may have a zone. Ports are from 1 to 65535; without one, the port is 0.
 *
 * `*outlen` is the size of `out` in bytes, and is set to the length of the address. Returns 0; or
 * -1, with nothing changed, if the text is not valid or `out` is too small.
 */
EVENT2_EXPORT_SYMBOL
int evutil_parse_sockaddr_port(const char *str, struct sockaddr *out, int *outlen);

/**
 * Compares two socket addresses by family, then address, then, if `include_port` is not 0, port.
 * Zones are not compared. Addresses other than IPv4 and IPv6 are equal only to themselves.
 *
 * Returns a number below, equal to or above 0. The order is consistent but has no meaning.
 */
EVENT2_EXPORT_SYMBOL
int evutil_sockaddr_cmp(const struct sockaddr *sa1, const struct sockaddr *sa2,
    int include_port);

/**
 * Compares two strings like `strcasecmp()`, but folds only ASCII letters, in every locale. Bytes
 * above 127 sort before all others. Returns -1, 0 or 1.
 */
EVENT2_EXPORT_SYMBOL
int evutil_ascii_strcasecmp(const char *str1, const char *str2);

/** Compares at most `n` bytes of two strings like evutil_ascii_strcasecmp(). */
EVENT2_EXPORT_SYMBOL
int evutil_ascii_strncasecmp(const char *str1, const char *str2, size_t n);

/**
 * Resolves a host and a service name with the system's `getaddrinfo()`, which blocks.
 *
 * NULL hints mean no restriction and no flags. The list in `*res` belongs to the caller, who frees
 * it with evutil_freeaddrinfo(). Thread-safe. Returns 0 or an `EVUTIL_EAI_*` code.
 */
EVENT2_EXPORT_SYMBOL
int evutil_getaddrinfo(const char *nodename, const char *servname,
    const struct evutil_addrinfo *hints_in, struct evutil_addrinfo **res);

/** Frees a list from evutil_getaddrinfo() or evdns_getaddrinfo(). NULL is allowed. */
EVENT2_EXPORT_SYMBOL
void evutil_freeaddrinfo(struct evutil_addrinfo *ai);

/** The English text for an `EVUTIL_EAI_*` code: a constant. */
EVENT2_EXPORT_SYMBOL
const char *evutil_gai_strerror(int err);

/**
 * Fills a buffer with cryptographically secure random bytes from the operating system.
 *
 * Thread-safe, even without lock callbacks; after a fork, parent and child get different bytes. If
 * the system has no random numbers at all, this is a fatal error.
 */
EVENT2_EXPORT_SYMBOL
void evutil_secure_rng_get_bytes(void *buf, size_t n);

/**
 * Initialises the random number generator. It needs no initialisation, so this has no effect.
 * Returns 0.
 */
EVENT2_EXPORT_SYMBOL
int evutil_secure_rng_init(void);

/**
 * Sets the device to read random bytes from: not supported, because the operating system is always
 * asked. Returns -1.
 */
EVENT2_EXPORT_SYMBOL
int evutil_secure_rng_set_urandom_device_file(char *_fname);

/**
 * Adds entropy to the random number generator: has no effect, because the operating system needs
 * none.
 */
EVENT2_EXPORT_SYMBOL
void evutil_secure_rng_add_bytes(const char *_dat, size_t _datlen);

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
