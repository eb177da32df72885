/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Futures, promises and continuations.
 *
 * A future is a 16-byte value. A ready one (a result or an error) costs no memory; a pending one
 * points to a pooled state. Every function here must be called on a shard's thread.
 *
 * A future has one owner. Passing it to a function of this library hands it over; the result of
 * that function is the new future. Dropping one on purpose is written ss_detach().
 */
#ifndef SEASTAR_FUTURE_H
#define SEASTAR_FUTURE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Warn when the future that a function returns is dropped by accident. */
#define SS_MUST_USE __attribute__((warn_unused_result))

/** Value of ss_result.err while the result is not known yet. */
#define SS_PENDING 1

typedef struct ss_state ss_state; /**< Opaque state behind a pending future. */

/** The outcome of an operation: a value, or an error with an optional explanation. */
typedef struct ss_result {
	union {
		int64_t i;	 /**< Integer value, when err is 0. */
		void *p;	 /**< Pointer value, when err is 0. */
		const char *msg; /**< Static text about the error or NULL, when err is negative. */
		ss_state *s;	 /**< State, when err is SS_PENDING. */
	};
	int err; /**< 0, a negative errno, or SS_PENDING. */
} ss_result;

/** A result that may come later. */
typedef struct ss_future {
	ss_result r; /**< The result, or the state that will get it. */
} ss_future;

/** A continuation as the library calls it: @p self is the capture struct. */
typedef ss_future (*ss_cont_fn)(void *self, ss_result r);

/** A ready future with the integer @p i. */
static inline ss_future ss_ok(int64_t i)
{
	return (ss_future){.r = {.i = i, .err = 0}};
}

/** A ready future with the pointer @p p. */
static inline ss_future ss_okp(void *p)
{
	return (ss_future){.r = {.p = p, .err = 0}};
}

/** A failed future; @p err is a negative errno. */
static inline ss_future ss_fail(int err)
{
	return (ss_future){.r = {.msg = NULL, .err = err}};
}

/** A failed future with an explanation; @p msg must be a string that is never freed. */
static inline ss_future ss_fail_msg(int err, const char *msg)
{
	return (ss_future){.r = {.msg = msg, .err = err}};
}

/** A ready future that holds the known result @p r (err must not be SS_PENDING). */
static inline ss_future ss_ready(ss_result r)
{
	return (ss_future){.r = r};
}

/** What ss_repeat() bodies return to run again. */
#define SS_AGAIN ss_ok(0)
/** What ss_repeat() bodies return to end the loop. */
#define SS_STOP ss_ok(1)

/**
 * Define a continuation: `SS_CONT(name, captures...) { body }`. The captures are the members of a
 * generated struct that the body sees as `self`; the result of the preceding future is `r`. The
 * body returns a future.
 */
#define SS_CONT(name, ...)                  \
	SS_CONT_DECLARE(name, __VA_ARGS__); \
	SS_CONT_DEFINE(name)

/** Declare a continuation and its captures, for bodies that refer to each other. */
#define SS_CONT_DECLARE(name, ...)                                          \
	struct name##_cap {                                                 \
		__VA_ARGS__                                                 \
	};                                                                  \
	static ss_future name##_body(struct name##_cap *self, ss_result r); \
	static ss_future name(void *self_, ss_result r_)

/** Define the body of a continuation declared with SS_CONT_DECLARE(). */
#define SS_CONT_DEFINE(name)                             \
	static ss_future name(void *self_, ss_result r_) \
	{                                                \
		return name##_body(self_, r_);           \
	}                                                \
	static ss_future name##_body(                    \
	    __attribute__((unused)) struct name##_cap *self, __attribute__((unused)) ss_result r)

/** Capture struct of @p name filled with the given initialisers: pointer and size. */
#define SS_CAP_(name, ...) &(struct name##_cap){__VA_ARGS__}, sizeof(struct name##_cap)

/** When a continuation runs, seen from the result before it. */
enum ss_cont_kind {
	SS_KIND_THEN,	 /**< Only after success; an error skips it. */
	SS_KIND_WRAPPED, /**< Always; its result replaces the one before. */
	SS_KIND_FINALLY, /**< Always; the result before it stays, unless it fails itself. */
	SS_KIND_ERROR,	 /**< Only after an error. */
};

/** Run @p name after @p f succeeded; an error of @p f skips it. Returns the chained future. */
#define ss_then(f, name, ...) ss_chain_((f), name, SS_CAP_(name, __VA_ARGS__), SS_KIND_THEN)
/** Run @p name after @p f whatever its result; `r` may hold an error. */
#define ss_then_wrapped(f, name, ...) \
	ss_chain_((f), name, SS_CAP_(name, __VA_ARGS__), SS_KIND_WRAPPED)
/** Run @p name after @p f whatever its result, and keep that result unless @p name fails. */
#define ss_finally(f, name, ...) ss_chain_((f), name, SS_CAP_(name, __VA_ARGS__), SS_KIND_FINALLY)
/** Run @p name only if @p f failed; its result replaces the error. */
#define ss_handle_error(f, name, ...) \
	ss_chain_((f), name, SS_CAP_(name, __VA_ARGS__), SS_KIND_ERROR)
/** Call @p name now with no preceding result, as a continuation of a ready future. */
#define ss_invoke(name, ...) name(&(struct name##_cap){__VA_ARGS__}, (ss_result){.err = 0})

/**
 * The function behind ss_then() and its siblings.
 * @param f     the future to wait for; consumed.
 * @param fn    continuation.
 * @param cap   captures; copied when the continuation has to wait.
 * @param size  bytes in @p cap.
 * @param kind  when to run it.
 * @return the future of the chain. If memory for an ss_then() continuation is missing, the chain
 *         fails with -ENOMEM after @p f is done; the other kinds use a reserve.
 */
SS_MUST_USE ss_future ss_chain(
    ss_future f, ss_cont_fn fn, const void *cap, size_t size, enum ss_cont_kind kind);

/** The head of a shard, as the functions that are inlined see it. Not for applications. */
struct ss_turn {
	uint32_t tick;	     /**< Advances when a time slice is over; set by a signal handler. */
	uint32_t slice_tick; /**< Its value when the slice began. */
	uint32_t depth;	     /**< Nested continuations of ready futures. */
};
/** The head of the calling thread's shard; NULL on other threads. */
extern __thread struct ss_turn *ss_turn_self __attribute__((tls_model("initial-exec")));

#define SS_MAX_DEPTH_ 48 /**< Deepest nesting of continuations of ready futures. */

/** True if the running time slice goes on. */
static inline bool ss_slice_goes_on_(const struct ss_turn *t)
{
	return __atomic_load_n(&t->tick, __ATOMIC_RELAXED) == t->slice_tick;
}

/** The part of ss_finally() after the continuation, whose future @p f is, ran. */
SS_MUST_USE ss_future ss_finally_end_(ss_future f, ss_result before);

/** ss_chain() with its usual case inlined: the result is known and the slice goes on. */
SS_MUST_USE static inline ss_future ss_chain_(
    ss_future f, ss_cont_fn fn, const void *cap, size_t size, enum ss_cont_kind kind)
{
	struct ss_turn *t = ss_turn_self;
	ss_future g;

	if (__builtin_expect(
		f.r.err == SS_PENDING || !ss_slice_goes_on_(t) || t->depth >= SS_MAX_DEPTH_, 0))
		return ss_chain(f, fn, cap, size, kind);
	if ((kind == SS_KIND_THEN && f.r.err) || (kind == SS_KIND_ERROR && !f.r.err))
		return f;
	t->depth++;
	g = fn((void *)(uintptr_t)cap, f.r);
	t->depth--;
	return kind == SS_KIND_FINALLY ? ss_finally_end_(g, f.r) : g;
}

/** True when the result of @p f is known. Does not consume it. */
bool ss_available(ss_future f);

/**
 * Take the result of a future that is available.
 * @param f    the future; consumed if the function returns true.
 * @param out  gets the result.
 * @return false, with nothing done, while @p f is pending.
 */
bool ss_take(ss_future f, ss_result *out);

/** The part of ss_detach() for what is not a plain success. */
void ss_detach_(ss_future f);

/** Drop a future on purpose. A failure nobody handled is logged when it happens. */
static inline void ss_detach(ss_future f)
{
	if (__builtin_expect(f.r.err != 0, 0))
		ss_detach_(f);
}

/** Drop a future on purpose, and any failure with it. */
void ss_ignore(ss_future f);

/** A future that is ready after the tasks scheduled so far had their turn. */
SS_MUST_USE ss_future ss_yield(void);

/** True when the running task should return to the reactor: its time slice is over. */
bool ss_need_preempt(void);

/**
 * The producing end of a future. Zero-initialised it is ready to use (or SS_PROMISE_INIT). May
 * be resolved before or after its future is asked for. Not movable once the future was taken by
 * value of its address; the address itself is not kept by the library.
 */
typedef struct ss_promise {
	ss_state *s; /**< State of the future handed out, or NULL. */
	ss_result r; /**< Result set before the future was asked for. */
	bool set;    /**< Resolved. */
} ss_promise;

/** Initialiser of a promise. */
#define SS_PROMISE_INIT ((ss_promise){.s = NULL})

/** The future of @p p; at most once per promise. Fails with -ENOMEM if there is no memory. */
SS_MUST_USE ss_future ss_promise_get_future(ss_promise *p);

/** Resolve @p p with an integer. A second resolution is ignored. */
void ss_promise_set(ss_promise *p, int64_t i);

/** Resolve @p p with a pointer. */
void ss_promise_set_ptr(ss_promise *p, void *ptr);

/** Resolve @p p with an error; @p err is a negative errno, @p msg static text or NULL. */
void ss_promise_fail(ss_promise *p, int err, const char *msg);

/** Resolve @p p with a result. */
void ss_promise_set_result(ss_promise *p, ss_result r);

/** End of life of a promise: if it was never resolved, its future fails with -ECANCELED. */
void ss_promise_drop(ss_promise *p);

/** One result, any number of futures for it. Must not move after ss_shared_init(). */
typedef struct ss_shared {
	struct ss_waitn *head; /**< Futures handed out and not resolved. */
	struct ss_waitn *tail; /**< The last of them. */
	ss_result r;	       /**< Result once known. */
	void *watch;	       /**< The wait for the original future. */
} ss_shared;

/** Share @p f (consumed). Returns 0 or -ENOMEM (then @p f is detached). */
int ss_shared_init(ss_shared *sh, ss_future f);

/** A shared future that ss_shared_resolve() will resolve. */
void ss_shared_init_promise(ss_shared *sh);

/** Resolve every future of @p sh, and those asked for later. */
void ss_shared_resolve(ss_shared *sh, ss_result r);

/** Another future of the shared result. */
SS_MUST_USE ss_future ss_shared_get(ss_shared *sh);

/**
 * Wait for all of @p fs.
 * @param fs       futures; consumed. The array itself is only read during the call.
 * @param n        how many.
 * @param results  gets the outcome of each, must live until the returned future is ready; or NULL.
 * @return ready with 0 when all are done; with @p results NULL it fails with the first error.
 */
SS_MUST_USE ss_future ss_when_all(const ss_future *fs, size_t n, ss_result *results);

/** Wait for all the futures given as arguments; fails with the first error after all are done. */
#define ss_when_all_of(...)                     \
	ss_when_all((ss_future[]){__VA_ARGS__}, \
	    sizeof((ss_future[]){__VA_ARGS__}) / sizeof(ss_future), NULL)

/**
 * Wait for the first of @p fs.
 * @param fs  futures; they stay the caller's, who may wait again for those not done. The array
 *            must live until the returned future is ready and must not be touched before.
 * @param n   how many, at least 1.
 * @return the index of a future that is available.
 */
SS_MUST_USE ss_future ss_when_any(ss_future *fs, size_t n);

/**
 * The result of @p f, or -ETIMEDOUT if it takes longer than @p ns nanoseconds. The operation
 * behind @p f is not stopped; its late result is dropped.
 */
SS_MUST_USE ss_future ss_with_timeout(ss_future f, uint64_t ns);

/** The result of @p f, or the error of @p as if that is aborted first. */
struct ss_abort;
/** See ss_with_timeout(); the event is a request on @p as. */
SS_MUST_USE ss_future ss_with_abort(ss_future f, struct ss_abort *as);

/** How many failures were dropped by ss_detach() on this shard. */
uint64_t ss_ignored_failures(void);

#ifdef __cplusplus
}
#endif
#endif
