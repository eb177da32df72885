/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads for blocking system calls, and the way to the disk. */
#ifndef SS_POOL_H
#define SS_POOL_H

#include "reactor.h"

#include <seastar/file.h>

/* One job; lives inside the object it works for until done() was called. */
struct ss_job {
	struct ss_job *next;
	unsigned shard;
	void (*run)(struct ss_job *j);	/* on a thread of the pool */
	void (*done)(struct ss_job *j); /* on the shard */
};

/* Returns 0, or -EAGAIN if no thread could be started. */
int ss_pool_submit(struct ss_job *j);
void ss_pool_stop(void);

/* io_sched.c: let io go to the disk when it is class c's turn. */
void ss_io_enqueue(struct ss_io *io, ss_io_class c);
/* The owner's done() calls this first. */
void ss_io_finished(struct ss_io *io);
void ss_io_fini(struct ss_reactor *re);

#endif
