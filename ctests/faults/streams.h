/* Two bufferevents of any kind that send each other a stream. */
#ifndef CTESTS_FAULTS_STREAMS_H
#define CTESTS_FAULTS_STREAMS_H

#include "scenarios.h"

enum { STREAM = 150000, PIECE = 30000 };

struct stream_end {
	struct bufferevent *bev;
	struct bufferevent *below; /* of a filter, when it is freed by itself */
	struct streams *all;
	int sends, receives; /* numbers of streams */
	size_t sent, arrived;
	int failed, connected;
};

struct streams {
	struct stream_end ends[2];
	int finished;
};

/* Whether both are done: everything has arrived, or one of them got an error or the end. */
void look_at_streams(struct streams *streams);

/* Gives an end its callbacks and its first output; false if it could not be made or enabled. */
int set_up_end(struct streams *streams, int number);

/* Runs the loop until both streams have arrived, or an end has failed. */
enum ending run_streams(struct event_base *base, struct streams *streams);

/* Frees both ends; if a filter was not made, the bufferevent that was to be below it. */
void free_streams(struct streams *streams);

#endif
