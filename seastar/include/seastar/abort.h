/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Abort sources: one request to stop, any number of operations that listen to it.
 */
#ifndef SEASTAR_ABORT_H
#define SEASTAR_ABORT_H

#include <seastar/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A listener. Owned by the caller; must not move while subscribed. */
typedef struct ss_abort_sub {
	struct ss_abort_sub *next;	    /**< List of the source. */
	struct ss_abort_sub *prev;	    /**< List of the source. */
	struct ss_abort *source;	    /**< Where it is subscribed, or NULL. */
	void (*fn)(struct ss_abort_sub *s); /**< Called once on a request, already unsubscribed. */
} ss_abort_sub;

/** A source. Zero-initialised it is ready to use. */
typedef struct ss_abort {
	ss_abort_sub *head; /**< Listeners. */
	ss_abort_sub *tail; /**< Last listener. */
	int err;	    /**< 0, or the error of the request. */
} ss_abort;

/** Request the stop: every listener is called. @p err is a negative errno, 0 for -ECANCELED. */
void ss_abort_request(ss_abort *as, int err);

/** 0, or the error the source was aborted with. */
static inline int ss_abort_check(const ss_abort *as)
{
	return as->err;
}

/**
 * Call @p fn on a request.
 * @return 0, or the error of a request made already (then nothing is subscribed).
 */
int ss_abort_subscribe(ss_abort *as, ss_abort_sub *sub, void (*fn)(ss_abort_sub *s));

/** Stop listening. Does nothing if not subscribed. */
void ss_abort_unsubscribe(ss_abort_sub *sub);

/** True while somebody listens. */
static inline bool ss_abort_has_listeners(const ss_abort *as)
{
	return as->head != NULL;
}

#ifdef __cplusplus
}
#endif
#endif
