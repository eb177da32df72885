/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Shards talking to each other: run something elsewhere, services with one instance per shard,
 * pointers that know where they belong, and calls from threads outside.
 */
#ifndef SEASTAR_SMP_H
#define SEASTAR_SMP_H

#include <seastar/future.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SS_MAX_SHARDS 256 /**< Most shards of a program. */

/** How many shards there are. */
unsigned ss_smp_count(void);

/** The number of the calling shard, from 0. */
unsigned ss_shard_id(void);

/** True on threads of the reactor. */
bool ss_on_shard(void);

/**
 * Run continuation @p name on shard @p shard; the future gets its result or error. The captures
 * are copied to the other shard bit by bit: what they point to is only safe to touch there if
 * nobody does so here until the future is ready.
 */
#define ss_smp_submit_to(shard, name, ...) ss_smp_submit_((shard), name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_smp_submit_to(). */
SS_MUST_USE ss_future ss_smp_submit_(unsigned shard, ss_cont_fn fn, const void *cap, size_t size);

/** Run @p name on every shard (each with a copy of the captures); first error after all ended. */
#define ss_smp_invoke_on_all(name, ...) ss_smp_invoke_all_(name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_smp_invoke_on_all(). */
SS_MUST_USE ss_future ss_smp_invoke_all_(ss_cont_fn fn, const void *cap, size_t size);

/** A service with one instance per shard. Zero-initialise; must not move between start and stop. */
typedef struct ss_sharded {
	void *instance[SS_MAX_SHARDS];	  /**< Instance of each shard. */
	const struct ss_service_ops *ops; /**< How to make and end one. */
	void *arg;			  /**< For the service's functions. */
	bool started;			  /**< Between start and stop. */
} ss_sharded;

/** Functions of a sharded service; each is called on the shard of the instance. */
struct ss_service_ops {
	ss_future (*start)(void *arg);	   /**< Make an instance: resolves with its pointer. */
	ss_future (*stop)(void *instance); /**< End and free it. May be NULL. */
};

/** Start an instance on every shard; if one fails, those started are stopped again. */
SS_MUST_USE ss_future ss_sharded_start(ss_sharded *s, const struct ss_service_ops *ops, void *arg);

/** Stop all instances. */
SS_MUST_USE ss_future ss_sharded_stop(ss_sharded *s);

/** The instance of the calling shard. */
static inline void *ss_sharded_local(ss_sharded *s)
{
	return s->instance[ss_shard_id()];
}

/** Run @p name on shard @p shard with that shard's instance as `r.p`. */
#define ss_sharded_invoke_on(s, shard, name, ...) \
	ss_sharded_invoke_on_((s), (shard), name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_sharded_invoke_on(). */
SS_MUST_USE ss_future ss_sharded_invoke_on_(
    ss_sharded *s, unsigned shard, ss_cont_fn fn, const void *cap, size_t size);

/** Run @p name on every shard with its instance as `r.p`. */
#define ss_sharded_invoke_on_all(s, name, ...) \
	ss_sharded_invoke_all_((s), name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_sharded_invoke_on_all(). */
SS_MUST_USE ss_future ss_sharded_invoke_all_(
    ss_sharded *s, ss_cont_fn fn, const void *cap, size_t size);

/** Run @p name on every shard with its instance as `r.p`; the future gets the sum of the values. */
#define ss_sharded_sum(s, name, ...) ss_sharded_sum_((s), name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_sharded_sum(). */
SS_MUST_USE ss_future ss_sharded_sum_(ss_sharded *s, ss_cont_fn fn, const void *cap, size_t size);

/** A pointer to something of another shard. */
typedef struct ss_foreign {
	void *p;		 /**< The object; only to be used on its owner. */
	void (*destroy)(void *); /**< Called on the owner. */
	unsigned owner;		 /**< Shard the object belongs to. */
} ss_foreign;

/** Wrap an object of the calling shard. */
static inline ss_foreign ss_foreign_make(void *p, void (*destroy)(void *))
{
	return (ss_foreign){.p = p, .destroy = destroy, .owner = ss_shard_id()};
}

/** Destroy the object on its owner, from whatever shard. */
void ss_foreign_release(ss_foreign *f);

/**
 * From a thread that is no shard: run @p fn(@p arg) on shard @p shard. Does not wait.
 * @return 0, -ENOMEM, or -ESHUTDOWN if the reactor is not running.
 */
int ss_alien_run_on(unsigned shard, void (*fn)(void *arg), void *arg);

/**
 * From a thread that is no shard: run the continuation @p fn with @p cap (used in place) on shard
 * @p shard and block until its future is ready.
 */
ss_result ss_alien_submit_to(unsigned shard, ss_cont_fn fn, void *cap);

#ifdef __cplusplus
}
#endif
#endif
