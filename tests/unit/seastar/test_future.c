/* SPDX-License-Identifier: BSD-3-Clause */
/* Futures, promises, continuations and combinators. */
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <string.h>

static int log_n;
static int64_t log_v[64];

static void note(int64_t v)
{
	if (log_n < 64)
		log_v[log_n++] = v;
}

SS_CONT(add, int64_t k;)
{
	return ss_ok(r.i + self->k);
}
SS_CONT(add_slow, int64_t k;)
{
	return ss_then(ss_yield(), add, self->k + r.i);
}
SS_CONT(fail_with, int err;)
{
	return ss_fail(self->err);
}
SS_CONT(note_result, int64_t tag;)
{
	note(self->tag);
	note(r.err ? r.err : r.i);
	return ss_ok(77);
}
SS_CONT(note_slow, int64_t tag;)
{
	note(self->tag);
	return ss_then(ss_yield(), add, 5);
}

SS_TEST(ready_chain)
{
	SS_CHECK(sizeof(ss_future) == 16);
	SS_CHECK(SS_TRY(ss_then(ss_then(ss_ok(1), add, 2), add, 3)) == 6);
	SS_CHECK(ss_await(ss_then(ss_fail(-EIO), add, 2)).err == -EIO);
	SS_CHECK(ss_await(ss_then(ss_ok(1), fail_with, -EPERM)).err == -EPERM);
	return 0;
}

SS_TEST(pending_chain)
{
	SS_CHECK(SS_TRY(ss_then(ss_then(ss_yield(), add, 2), add, 3)) == 5);
	SS_CHECK(SS_TRY(ss_then(ss_then(ss_yield(), add_slow, 2), add_slow, 3)) == 5);
	SS_CHECK(ss_await(ss_then(ss_then(ss_yield(), fail_with, -EIO), add_slow, 3)).err == -EIO);
	return 0;
}

SS_TEST(finally_keeps_result)
{
	log_n = 0;
	SS_CHECK(SS_TRY(ss_finally(ss_ok(9), note_result, 1)) == 9);
	SS_CHECK(SS_TRY(ss_finally(ss_then(ss_yield(), add, 9), note_slow, 2)) == 9);
	SS_CHECK(ss_await(ss_finally(ss_fail(-EIO), note_slow, 3)).err == -EIO);
	SS_CHECK(ss_await(ss_finally(ss_ok(1), fail_with, -EPERM)).err == -EPERM);
	SS_CHECK(ss_await(ss_finally(ss_fail(-EIO), fail_with, -EPERM)).err == -EIO);
	SS_CHECK(log_n == 4 && log_v[0] == 1 && log_v[1] == 9 && log_v[2] == 2 && log_v[3] == 3);
	return 0;
}

SS_TEST(wrapped_and_handled)
{
	log_n = 0;
	SS_CHECK(SS_TRY(ss_then_wrapped(ss_fail(-EIO), note_result, 4)) == 77);
	SS_CHECK(SS_TRY(ss_handle_error(ss_fail(-EIO), note_result, 5)) == 77);
	SS_CHECK(SS_TRY(ss_handle_error(ss_ok(3), note_result, 6)) == 3);
	SS_CHECK(SS_TRY(ss_handle_error(ss_then(ss_yield(), add, 3), note_result, 6)) == 3);
	SS_CHECK(log_n == 4 && log_v[1] == -EIO && log_v[3] == -EIO);
	return 0;
}

SS_TEST(error_text)
{
	ss_result r = ss_await(ss_then(ss_fail_msg(-EIO, "the disk"), add, 1));

	SS_CHECK(r.err == -EIO && strcmp(r.msg, "the disk") == 0);
	return 0;
}

SS_TEST(promises)
{
	ss_promise a = SS_PROMISE_INIT, b = SS_PROMISE_INIT, c = SS_PROMISE_INIT;
	ss_future f;

	ss_promise_set(&a, 4);
	SS_CHECK(SS_TRY(ss_promise_get_future(&a)) == 4);
	f = ss_then(ss_promise_get_future(&b), add, 1);
	SS_CHECK(!ss_available(f));
	ss_promise_set(&b, 10);
	ss_promise_set(&b, 11);
	SS_CHECK(SS_TRY(f) == 11);
	f = ss_promise_get_future(&c);
	ss_promise_drop(&c);
	SS_CHECK(ss_await(f).err == -ECANCELED);
	return 0;
}

static int64_t countdown;
SS_CONT_DECLARE(tail_call, int unused;);
SS_CONT_DEFINE(tail_call)
{
	if (--countdown == 0)
		return ss_ok(123);
	return ss_then(ss_yield(), tail_call, 0);
}

/* A recursion through futures must use constant memory. */
SS_TEST(tail_recursion)
{
	uint64_t before = ss_cells_live(), peak;
	ss_future f;

	countdown = 3000;
	f = ss_then(ss_yield(), tail_call, 0);
	for (int i = 0; i < 100; i++)
		SS_TRY(ss_yield());
	peak = ss_cells_live();
	SS_CHECK(peak - before < 20);
	SS_CHECK(SS_TRY(f) == 123);
	countdown = 100000;
	SS_CHECK(SS_TRY(ss_invoke(tail_call, 0)) == 123);
	return 0;
}

SS_CONT_DECLARE(deep, int64_t left;);
SS_CONT_DEFINE(deep)
{
	if (!self->left)
		return ss_ok(5);
	return ss_then(ss_ok(0), deep, self->left - 1);
}

/* Ready continuations nested without end must not use the stack without end. */
SS_TEST(ready_recursion)
{
	SS_CHECK(SS_TRY(ss_invoke(deep, 100000)) == 5);
	return 0;
}

SS_TEST(all)
{
	ss_result res[3];
	ss_future fs[3] = {
	    ss_ok(1), ss_then(ss_yield(), add, 2), ss_then(ss_yield(), fail_with, -EIO)};

	SS_TRY(ss_when_all(fs, 3, res));
	SS_CHECK(res[0].i == 1 && res[1].i == 2 && res[2].err == -EIO);
	SS_CHECK(ss_await(ss_when_all_of(ss_ok(1), ss_fail(-EPERM), ss_fail(-EIO))).err == -EPERM);
	SS_CHECK(ss_await(ss_when_all_of(ss_yield(), ss_sleep(SS_MSEC))).err == 0);
	SS_CHECK(
	    ss_await(ss_when_all_of(ss_then(ss_sleep(SS_MSEC), fail_with, -EIO), ss_ok(0))).err ==
	    -EIO);
	return 0;
}

SS_TEST(any)
{
	ss_future fs[3] = {ss_sleep(40 * SS_MSEC), ss_then(ss_sleep(2 * SS_MSEC), add, 8),
	    ss_then(ss_sleep(20 * SS_MSEC), add, 9)};

	SS_CHECK(SS_TRY(ss_when_any(fs, 3)) == 1);
	SS_CHECK(SS_TRY(fs[1]) == 8);
	fs[1] = fs[2];
	SS_CHECK(SS_TRY(ss_when_any(fs, 2)) == 1);
	SS_CHECK(SS_TRY(fs[1]) == 9);
	SS_CHECK(ss_await(fs[0]).err == 0);
	fs[0] = ss_yield();
	fs[1] = ss_yield();
	SS_TRY(ss_when_any(fs, 2));
	SS_TRY(fs[0]);
	SS_TRY(fs[1]);
	return 0;
}

SS_TEST(timeouts)
{
	ss_promise p = SS_PROMISE_INIT;
	ss_abort as = {0};
	ss_future f;

	SS_CHECK(ss_await(ss_with_timeout(ss_promise_get_future(&p), SS_MSEC)).err == -ETIMEDOUT);
	ss_promise_set(&p, 1);
	SS_CHECK(ss_await(ss_with_timeout(ss_sleep(SS_MSEC), SS_SEC)).err == 0);
	SS_CHECK(SS_TRY(ss_with_timeout(ss_ok(3), 0)) == 3);
	f = ss_with_abort(ss_sleep(3 * SS_MSEC), &as);
	ss_abort_request(&as, -EINTR);
	SS_CHECK(ss_await(f).err == -EINTR);
	SS_CHECK(ss_await(ss_with_abort(ss_sleep(SS_MSEC), &as)).err == -EINTR);
	return 0;
}

SS_TEST(shared)
{
	ss_shared sh, sh2;
	ss_future a, b;

	SS_REQUIRE(ss_shared_init(&sh, ss_then(ss_sleep(SS_MSEC), add, 6)) == 0);
	a = ss_shared_get(&sh);
	b = ss_then(ss_shared_get(&sh), add, 1);
	SS_CHECK(SS_TRY(b) == 7);
	SS_CHECK(SS_TRY(a) == 6);
	SS_CHECK(SS_TRY(ss_shared_get(&sh)) == 6);
	ss_shared_init_promise(&sh2);
	a = ss_shared_get(&sh2);
	ss_shared_resolve(&sh2, (ss_result){.err = -EIO});
	SS_CHECK(ss_await(a).err == -EIO);
	return 0;
}

SS_TEST(ignored)
{
	uint64_t before = ss_ignored_failures();

	ss_log_set_level(SS_LOG_ERROR);
	ss_detach(ss_fail(-EIO));
	ss_detach(ss_then(ss_yield(), fail_with, -EIO));
	ss_detach(ss_ok(1));
	ss_ignore(ss_then(ss_yield(), fail_with, -EIO));
	SS_TRY(ss_sleep(SS_MSEC));
	ss_log_set_level(SS_LOG_INFO);
	SS_CHECK(ss_ignored_failures() == before + 2);
	return 0;
}

/* Loops */

SS_CONT(count_to, int64_t *n; int64_t limit; bool slow;)
{
	if (++*self->n >= self->limit)
		return SS_STOP;
	return self->slow ? ss_yield() : SS_AGAIN;
}
SS_CONT(sum_in, int64_t *sum; bool slow;)
{
	*self->sum += r.i;
	return self->slow ? ss_yield() : ss_ok(0);
}
SS_CONT(fail_at, int64_t at; int64_t * seen;)
{
	++*self->seen;
	return r.i == self->at ? ss_fail(-EIO) : ss_yield();
}
static int64_t running, peak;
SS_CONT(one_less)
{
	running--;
	return ss_ok(0);
}
SS_CONT(limited)
{
	if (++running > peak)
		peak = running;
	return ss_then(ss_sleep(SS_USEC * (uint64_t)(r.i % 5)), one_less);
}
static bool destroyed;
static void destroy(void *p)
{
	destroyed = *(int64_t *)p == 42;
}
SS_CONT(with_object)
{
	int64_t *p = r.p;

	*p += 2;
	return ss_then(ss_yield(), add, *p);
}

SS_TEST(loops)
{
	int64_t n = 0, sum = 0, seen = 0;

	SS_TRY(ss_repeat(count_to, &n, 10000, false));
	SS_CHECK(n == 10000);
	n = 0;
	SS_TRY(ss_repeat(count_to, &n, 1000, true));
	SS_CHECK(n == 1000);
	SS_TRY(ss_do_for_each(0, 100, sum_in, &sum, false));
	SS_TRY(ss_do_for_each(0, 100, sum_in, &sum, true));
	SS_TRY(ss_parallel_for_each(0, 100, sum_in, &sum, true));
	SS_TRY(ss_do_for_each(5, 5, sum_in, &sum, true));
	SS_CHECK(sum == 3 * 4950);
	SS_CHECK(ss_await(ss_do_for_each(0, 100, fail_at, 10, &seen)).err == -EIO);
	SS_CHECK(seen == 11);
	seen = 0;
	SS_CHECK(ss_await(ss_parallel_for_each(0, 100, fail_at, 10, &seen)).err == -EIO);
	SS_CHECK(seen == 100);
	SS_CHECK(ss_await(ss_keep_doing(fail_with, -EPIPE)).err == -EPIPE);
	running = peak = 0;
	SS_TRY(ss_max_concurrent_for_each(0, 200, 7, limited));
	SS_CHECK(running == 0 && peak > 1 && peak <= 7);
	SS_CHECK(SS_TRY(ss_do_with(int64_t, 40, destroy, with_object)) == 42 && destroyed);
	return 0;
}

static const struct ss_test tests[] = {
    {"ready_chain", ready_chain},
    {"pending_chain", pending_chain},
    {"finally_keeps_result", finally_keeps_result},
    {"wrapped_and_handled", wrapped_and_handled},
    {"error_text", error_text},
    {"promises", promises},
    {"tail_recursion", tail_recursion},
    {"ready_recursion", ready_recursion},
    {"all", all},
    {"any", any},
    {"timeouts", timeouts},
    {"shared", shared},
    {"ignored", ignored},
    {"loops", loops},
    {NULL},
};

int main(int argc, char **argv)
{
	return ss_test_main(argc, argv, tests);
}
