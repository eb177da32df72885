/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Loops over futures. Bodies are continuations (SS_CONT). The capture struct is copied once and
 * lives as long as the loop: `self` is the same object in every iteration.
 */
#ifndef SEASTAR_LOOP_H
#define SEASTAR_LOOP_H

#include <seastar/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Run @p name until it yields SS_STOP (any value but 0) or fails. */
#define ss_repeat(name, ...) ss_repeat_(name, SS_CAP_(name, __VA_ARGS__), false)
/** Run @p name until it fails; the loop's future never succeeds. */
#define ss_keep_doing(name, ...) ss_repeat_(name, SS_CAP_(name, __VA_ARGS__), true)
/** Run @p name for each integer of [lo, hi) in turn, as `r.i`; stops at the first error. */
#define ss_do_for_each(lo, hi, name, ...) \
	ss_for_each_((lo), (hi), 1, name, SS_CAP_(name, __VA_ARGS__))
/** Run @p name for all integers of [lo, hi) at once; fails with the first error after all ended. */
#define ss_parallel_for_each(lo, hi, name, ...) \
	ss_for_each_((lo), (hi), 0, name, SS_CAP_(name, __VA_ARGS__))
/** As ss_parallel_for_each(), at most @p max at a time; starts no more after an error. */
#define ss_max_concurrent_for_each(lo, hi, max, name, ...) \
	ss_for_each_((lo), (hi), (max), name, SS_CAP_(name, __VA_ARGS__))

/**
 * Give an object to a chain of continuations: allocates a @p type, sets it to @p init, runs
 * @p name with its address in `r.p`, and after the future of @p name is ready calls @p dtor on it
 * (`void (*)(type *)` cast to `void (*)(void *)`, or NULL) and frees it.
 */
#define ss_do_with(type, init, dtor, name, ...) \
	ss_do_with_(sizeof(type), &(type[1]){init}, (dtor), name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_repeat() and ss_keep_doing(). */
SS_MUST_USE ss_future ss_repeat_(ss_cont_fn fn, const void *cap, size_t size, bool forever);

/** The function behind the for-each loops; @p max 0 means no limit. */
SS_MUST_USE ss_future ss_for_each_(
    int64_t lo, int64_t hi, uint64_t max, ss_cont_fn fn, const void *cap, size_t size);

/** The function behind ss_do_with(). */
SS_MUST_USE ss_future ss_do_with_(size_t object_size, const void *init, void (*dtor)(void *),
    ss_cont_fn fn, const void *cap, size_t size);

#ifdef __cplusplus
}
#endif
#endif
