/* Addresses of sockets of any family. */
#ifndef CTESTS_ADDRESSES_H
#define CTESTS_ADDRESSES_H

#include "observe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

union any_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

/* This machine in a family, without a port; the length. A unix socket gets an abstract name. */
OBSERVE_ int
loopback_address(int family, union any_address *address)
{
	memset(address, 0, sizeof *address);
	address->any.sa_family = family;
	if (family == AF_UNIX)
		return sizeof address->any.sa_family;
	if (family == AF_INET) {
		address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof address->in;
	}
	address->in6.sin6_addr = in6addr_loopback;
	return sizeof address->in6;
}

#endif
