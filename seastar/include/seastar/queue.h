/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Bounded queue and pipe between producers and consumers of one shard.
 */
#ifndef SEASTAR_QUEUE_H
#define SEASTAR_QUEUE_H

#include <seastar/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bounded first-in, first-out queue of pointers. */
typedef struct ss_queue {
	void **ring;	  /**< Items. */
	size_t capacity;  /**< Most items. */
	size_t first;	  /**< Index of the oldest. */
	size_t size;	  /**< Items inside. */
	ss_waitq pushers; /**< Who waits for room. */
	ss_waitq poppers; /**< Who waits for an item. */
	int aborted;	  /**< 0, or the error of every operation from now on. */
} ss_queue;

/** Prepare a queue for @p capacity items (at least 1). Returns 0 or -ENOMEM. */
int ss_queue_init(ss_queue *q, size_t capacity);

/** Free the queue's memory. Items left inside stay the caller's; nobody may be waiting. */
void ss_queue_destroy(ss_queue *q);

/** Add an item if there is room: 0, -EAGAIN if full, or the error of ss_queue_abort(). */
int ss_queue_try_push(ss_queue *q, void *item);

/** Add an item, waiting for room. On failure the item stays the caller's. */
SS_MUST_USE ss_future ss_queue_push(ss_queue *q, void *item);

/** Remove the oldest item: true with *@p out set, or false if the queue is empty. */
bool ss_queue_try_pop(ss_queue *q, void **out);

/** Remove the oldest item, waiting for one. */
SS_MUST_USE ss_future ss_queue_pop(ss_queue *q);

/** Fail every waiting and later operation with @p err (negative errno). */
void ss_queue_abort(ss_queue *q, int err);

typedef struct ss_pipe_reader ss_pipe_reader; /**< Reading end of a pipe. */
typedef struct ss_pipe_writer ss_pipe_writer; /**< Writing end of a pipe. */

/**
 * A pipe of pointers with room for @p capacity of them. One reader, one writer, each with at most
 * one operation at a time; each end is closed on its own.
 * @param capacity  items of room.
 * @param rd    gets the reading end.
 * @param wr    gets the writing end.
 * @param drop  called for each item nobody will read; may be NULL.
 * @return 0 or -ENOMEM.
 */
int ss_pipe(size_t capacity, void (*drop)(void *item), ss_pipe_reader **rd, ss_pipe_writer **wr);

/** Write @p item (not NULL), waiting for room; -EPIPE if the reader is gone (item stays yours). */
SS_MUST_USE ss_future ss_pipe_write(ss_pipe_writer *w, void *item);

/** Read the next item; NULL at the end, when the writer is gone and the pipe is empty. */
SS_MUST_USE ss_future ss_pipe_read(ss_pipe_reader *r);

/** Put back an item just read; the next read returns it. At most one at a time. */
void ss_pipe_unread(ss_pipe_reader *r, void *item);

/** Close the reading end: a write that waits, and later ones, fail with -EPIPE. */
void ss_pipe_close_reader(ss_pipe_reader *r);

/** Close the writing end: the reader gets what is left, then NULL. */
void ss_pipe_close_writer(ss_pipe_writer *w);

#ifdef __cplusplus
}
#endif
#endif
