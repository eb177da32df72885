/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptions of jobs: what rpc_tester's client does. */
#ifndef RPC_TESTER_JOB_H
#define RPC_TESTER_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOBS_MAX 32
#define JOB_NAME_MAX 24

enum verb {
	VERB_ECHO = 1,	  /* the payload there and back */
	VERB_WRITE,	  /* the payload there */
	VERB_READ,	  /* the payload back */
	VERB_ONE_WAY,	  /* the payload there, no answer */
	VERB_STREAM,	  /* payloads there, in one stream */
	VERB_STREAM_ECHO, /* payloads there and back, in one stream */
};

struct job {
	char name[JOB_NAME_MAX];
	enum verb verb;
	uint32_t parallelism; /* calls at a time on each shard */
	uint32_t payload;     /* bytes */
	uint64_t timeout_ns;  /* of a call; 0: none */
	uint64_t pause_ns;    /* between two calls of one place */
	float shares;	      /* of a scheduling group of its own; 0: none */
};

const char *verb_name(enum verb v);

/*
 * Parse "name=a verb=echo parallelism=4 payload=1k timeout=100ms pause=1ms shares=200"; what is
 * not given has its default. Returns 0, or -1 with a message.
 */
int job_parse(const char *text, struct job *out, char *error, size_t n);

/* A file with one job a line; # begins a comment. Returns how many, or -1 with a message. */
int jobs_parse_file(
    const char *text, size_t len, struct job *jobs, unsigned max, char *error, size_t n);

#endif
