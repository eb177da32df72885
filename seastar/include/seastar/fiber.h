/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Fibers: functions with a stack of their own that may wait for futures in the middle.
 *
 * A fiber runs on the shard that started it and gives way only where it waits. It must not make
 * system calls that block.
 */
#ifndef SEASTAR_FIBER_H
#define SEASTAR_FIBER_H

#include <seastar/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Largest capture struct of a fiber, in bytes. */
#define SS_FIBER_CAPTURE_MAX 160

/**
 * Define a fiber: `SS_FIBER(name, captures...) { body }`. The body sees its captures as `self` and
 * returns a value that is not negative, or a negative errno.
 */
#define SS_FIBER(name, ...)                                                                     \
	struct name##_cap {                                                                     \
		__VA_ARGS__                                                                     \
	};                                                                                      \
	_Static_assert(sizeof(struct name##_cap) <= SS_FIBER_CAPTURE_MAX, "too many captures"); \
	static int64_t name##_body(struct name##_cap *self);                                    \
	static int64_t name(void *self_)                                                        \
	{                                                                                       \
		return name##_body(self_);                                                      \
	}                                                                                       \
	static int64_t name##_body(__attribute__((unused)) struct name##_cap *self)

/** Start a fiber; the future resolves with what its function returns. */
#define ss_async(name, ...) ss_async_(name, SS_CAP_(name, __VA_ARGS__))

/** The function behind ss_async(). */
SS_MUST_USE ss_future ss_async_(int64_t (*fn)(void *), const void *cap, size_t size);

/** The part of ss_await() that may have to wait. */
ss_result ss_await_(ss_future f);

/** Wait for @p f (consumed) in a fiber and return its result, which may be an error. */
static inline ss_result ss_await(ss_future f)
{
	if (__builtin_expect(f.r.err != SS_PENDING && ss_slice_goes_on_(ss_turn_self), 1))
		return f.r;
	return ss_await_(f);
}

/** True inside a fiber, where ss_await() may be called. */
bool ss_in_fiber(void);

/** Remember the text of an error the running fiber is about to return. */
void ss_fiber_note_error(ss_result r);

/**
 * Wait for @p f in a fiber: the value on success; an error is returned from the enclosing
 * function, which must return a type that holds a negative errno.
 */
#define SS_TRY(f)                                            \
	({                                                   \
		ss_result ss_try_ = ss_await(f);             \
		if (__builtin_expect(ss_try_.err != 0, 0)) { \
			ss_fiber_note_error(ss_try_);        \
			return ss_try_.err;                  \
		}                                            \
		ss_try_.i;                                   \
	})

/** SS_TRY() for futures with a pointer value. */
#define SS_TRY_PTR(f) ((void *)(intptr_t)SS_TRY(f))

#ifdef __cplusplus
}
#endif
#endif
