/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * CPU scheduling groups: kinds of work that share a shard's CPU by weight. A task inherits the
 * group of the task that made it.
 */
#ifndef SEASTAR_SCHED_H
#define SEASTAR_SCHED_H

#include <seastar/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A group, known by its number; 0 is the one everything starts in. The same on every shard. */
typedef unsigned ss_sched_group;

/**
 * Create a group on every shard.
 * @param name    copied, at most 23 characters kept.
 * @param shares  weight against the other groups (the default group has 1000); 1 to 100000.
 * @return the group number as `r.i`; -ENOSPC if there are too many.
 */
SS_MUST_USE ss_future ss_sched_group_create(const char *name, float shares);

/** As ss_sched_group_create(), inside @p parent: the two share the parent's CPU by weight. */
SS_MUST_USE ss_future ss_sched_group_create_in(
    ss_sched_group parent, const char *name, float shares);

/** Change the weight of @p g on this shard. */
void ss_sched_group_set_shares(ss_sched_group g, float shares);

/** Remove a group from every shard. It must have no tasks. */
SS_MUST_USE ss_future ss_sched_group_destroy(ss_sched_group g);

/** The group of the running task. */
ss_sched_group ss_sched_group_current(void);

/** Run @p name as a task of group @p g. */
#define ss_with_sched_group(g, name, ...) \
	ss_with_sched_group_((g), name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_with_sched_group(). */
SS_MUST_USE ss_future ss_with_sched_group_(
    ss_sched_group g, ss_cont_fn fn, const void *cap, size_t size);

/** What a group used on this shard. */
struct ss_sched_stats {
	const char *name;    /**< Of the group. */
	float shares;	     /**< Weight. */
	uint64_t runtime_ns; /**< CPU time of its tasks. */
	uint64_t tasks;	     /**< Tasks run. */
};

/** Statistics of @p g; false if there is no such group. */
bool ss_sched_group_stats(ss_sched_group g, struct ss_sched_stats *out);

#ifdef __cplusplus
}
#endif
#endif
