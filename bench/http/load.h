/* Load on HTTP servers, for comparison. load.c sends it; each server has a file beside it that defines
 * `server`, in the way that its documentation suggests. */
#ifndef BENCH_HTTP_LOAD_H
#define BENCH_HTTP_LOAD_H

#define _GNU_SOURCE
#include "../bench.h"

#include <sys/types.h>
#include <unistd.h>

enum {
	SMALL = 128,      /* bytes of the reply to GET /small */
	LARGE = 1 << 20,  /* bytes of the replies to GET /reference and GET /file */
	CHUNK = 1024,     /* bytes of each chunk of the reply to POST /chunked */
	CHUNKS = 16
};

/* What a server can do besides GET /small. */
enum {
	REFERENCE = 1, /* GET /reference: LARGE bytes of memory */
	FILES = 2,     /* GET /file: LARGE bytes of a file */
	UPLOADS = 4,   /* POST /upload: takes a body, replies like /small */
	CHUNKED = 8,   /* POST /chunked: takes a chunked body, and replies with CHUNKS chunks */
	HEAP = 16,     /* GET /heap: replies with the bytes of heap in use, as a number */
	CLIENT = 32,   /* there is a client too */
	MANY = 64      /* a thousand connections at a time */
};

struct server {
	int abilities;
	/* Runs in a process of its own and never returns. Listens on a loopback port and reports
	 * it with ready(). */
	void (*serve)(void);
	/* Runs in a process of its own: makes this many requests for GET /small, over that many
	 * connections. */
	void (*request)(int port, int connections, long requests);
};

extern const struct server server;

void ready(int port);
/* A port that nobody listens on at the moment. */
int free_port(void);
/* A new file of LARGE bytes, without a name. */
int large_file(void);

#endif
