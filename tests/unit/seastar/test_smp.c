/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages between shards, sharded services, foreign pointers, threads outside. */
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <pthread.h>
#include <stdlib.h>

SS_CONT(double_it, int64_t v;)
{
	return ss_shard_id() == 1 ? ss_ok(self->v * 2) : ss_fail(-EINVAL);
}
SS_CONT(plus_one)
{
	return ss_ok(r.i + 1);
}
SS_CONT(slow_there)
{
	return ss_then(ss_sleep(SS_MSEC), plus_one);
}
SS_CONT(fail_there)
{
	return ss_fail_msg(-EIO, "there");
}

SS_TEST(submit)
{
	ss_future fs[500];
	ss_result res[500];
	ss_result r;

	SS_CHECK(ss_smp_count() == 2);
	SS_CHECK(SS_TRY(ss_smp_submit_to(1, double_it, 21)) == 42);
	SS_CHECK(SS_TRY(ss_smp_submit_to(1, slow_there)) == 1);
	r = ss_await(ss_smp_submit_to(1, fail_there));
	SS_CHECK(r.err == -EIO && r.msg);
	SS_CHECK(ss_await(ss_smp_submit_to(7, fail_there)).err == -EINVAL);
	/* More than the rings hold. */
	for (int i = 0; i < 500; i++)
		fs[i] = ss_smp_submit_to(1, double_it, i);
	SS_TRY(ss_when_all(fs, 500, res));
	for (int i = 0; i < 500; i++)
		SS_CHECK(!res[i].err && res[i].i == 2 * i);
	return 0;
}

SS_CONT_DECLARE(bounce, int64_t left;);
SS_CONT_DEFINE(bounce)
{
	if (!self->left)
		return ss_ok(99);
	return ss_smp_submit_to(!ss_shard_id(), bounce, self->left - 1);
}

SS_TEST(ping_pong)
{
	for (int i = 0; i < 300; i++)
		SS_CHECK(SS_TRY(ss_smp_submit_to(1, double_it, i)) == 2 * i);
	SS_CHECK(SS_TRY(ss_smp_submit_to(1, bounce, 60)) == 99);
	return 0;
}

struct counter {
	int64_t n;
	unsigned shard;
};
static ss_future counter_start(void *arg)
{
	struct counter *c = ss_zalloc(sizeof(*c));

	if (!c)
		return ss_fail(-ENOMEM);
	c->shard = ss_shard_id();
	c->n = *(int64_t *)arg;
	return ss_okp(c);
}
static ss_future counter_stop(void *p)
{
	struct counter *c = p;

	if (c->shard != ss_shard_id())
		return ss_fail(-EINVAL);
	ss_free(c);
	return ss_ok(0);
}
static ss_future broken_start(void *arg)
{
	return ss_shard_id() == 1 ? ss_fail(-ENOSPC) : counter_start(arg);
}
static const struct ss_service_ops ops = {counter_start, counter_stop};
static const struct ss_service_ops broken = {broken_start, counter_stop};

SS_CONT(bump, int64_t by;)
{
	struct counter *c = r.p;

	c->n += self->by;
	return c->shard == ss_shard_id() ? ss_ok(c->n) : ss_fail(-EINVAL);
}

SS_TEST(services)
{
	ss_sharded s = {0};
	int64_t init = 100;

	SS_TRY(ss_sharded_start(&s, &ops, &init));
	SS_CHECK(SS_TRY(ss_sharded_invoke_on(&s, 1, bump, 5)) == 105);
	SS_TRY(ss_sharded_invoke_on_all(&s, bump, 1));
	SS_CHECK(((struct counter *)ss_sharded_local(&s))->n == 101);
	SS_CHECK(SS_TRY(ss_sharded_sum(&s, bump, 0)) == 207);
	SS_TRY(ss_sharded_stop(&s));
	SS_CHECK(ss_await(ss_sharded_start(&s, &broken, &init)).err == -ENOSPC);
	SS_TRY(ss_sharded_stop(&s));
	return 0;
}

static _Atomic int destroyed_on;
static void destroy_here(void *p)
{
	destroyed_on = (int)ss_shard_id();
	ss_free(p);
}
SS_CONT(make_foreign, ss_foreign *out;)
{
	*self->out = ss_foreign_make(ss_alloc(64), destroy_here);
	return ss_ok(0);
}

SS_TEST(foreign)
{
	ss_foreign f;

	destroyed_on = -1;
	SS_TRY(ss_smp_submit_to(1, make_foreign, &f));
	SS_CHECK(f.owner == 1);
	ss_foreign_release(&f);
	SS_TRY(ss_smp_submit_to(1, plus_one));
	SS_TRY(ss_sleep(SS_MSEC));
	SS_CHECK(destroyed_on == 1);
	return 0;
}

static ss_promise outside_done;
static void outside_finished(void *arg)
{
	(void)arg;
	ss_promise_set(&outside_done, 1);
}
static void *outsider(void *arg)
{
	int64_t sum = 0;

	for (int i = 0; i < 200; i++) {
		struct double_it_cap cap = {i};
		ss_result r = ss_alien_submit_to(1, double_it, &cap);

		sum += r.err ? -1000000 : r.i;
	}
	*(int64_t *)arg = sum;
	ss_alien_run_on(0, outside_finished, NULL);
	return NULL;
}

SS_TEST(alien)
{
	pthread_t t;
	int64_t sum = 0;

	outside_done = SS_PROMISE_INIT;
	SS_REQUIRE(pthread_create(&t, NULL, outsider, &sum) == 0);
	SS_TRY(ss_promise_get_future(&outside_done));
	pthread_join(t, NULL);
	SS_CHECK(sum == 199 * 200);
	return 0;
}

SS_CONT(count_here, _Atomic int *n;)
{
	(*self->n)++;
	return ss_ok(0);
}

SS_TEST(all_shards)
{
	_Atomic int n = 0;

	SS_TRY(ss_smp_invoke_on_all(count_here, &n));
	SS_CHECK(n == 2);
	return 0;
}

static const struct ss_test tests[] = {
    {"submit", submit, "-c2"},
    {"ping_pong", ping_pong, "-c2"},
    {"services", services, "-c2"},
    {"foreign", foreign, "-c2"},
    {"alien", alien, "-c2"},
    {"all_shards", all_shards, "-c2"},
    {NULL},
};

int main(int argc, char **argv)
{
	return ss_test_main(argc, argv, tests);
}
