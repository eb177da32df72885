/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of the shards: against a model with random sizes, frees on other shards, running out,
 * injected failures. Run without AddressSanitizer, which would replace the allocator.
 */
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
static const bool real = false;
#else
static const bool real = true;
#endif

struct item {
	unsigned char *p;
	size_t n;
	unsigned char fill;
};

static bool intact(const struct item *it)
{
	for (size_t i = 0; i<it->n; i += it->n> 256 ? 61 : 1)
		if (it->p[i] != it->fill)
			return false;
	return !it->n || it->p[it->n - 1] == it->fill;
}

static size_t random_size(unsigned *seed)
{
	switch (rand_r(seed) % 8) {
	case 0:
		return (size_t)rand_r(seed) % 300000;
	case 1:
		return (size_t)rand_r(seed) % 20000;
	default:
		return (size_t)rand_r(seed) % 700;
	}
}

SS_TEST(model)
{
	enum { N = 2000 };
	static struct item items[N];
	struct ss_mem_stats before, after;
	unsigned seed = 7;
	int wrong = 0;

	if (!real)
		return 0;
	memset(items, 0, sizeof(items));
	ss_mem_stats(&before);
	for (int round = 0; round < 200000; round++) {
		struct item *it = &items[rand_r(&seed) % N];
		size_t align = (size_t)1 << (rand_r(&seed) % 14);

		if (it->p) {
			wrong += !intact(it) || ss_alloc_size(it->p) < it->n;
			ss_free(it->p);
			it->p = NULL;
			continue;
		}
		it->n = random_size(&seed);
		it->fill = (unsigned char)round;
		it->p = round % 3 ? ss_alloc(it->n) : ss_alloc_aligned(align, it->n);
		if (!it->p)
			continue;
		wrong += ((uintptr_t)it->p & ((round % 3 ? 16 : align) - 1)) != 0;
		memset(it->p, it->fill, it->n);
	}
	for (int i = 0; i < N; i++) {
		wrong += items[i].p && !intact(&items[i]);
		ss_free(items[i].p);
	}
	ss_mem_stats(&after);
	SS_CHECK(wrong == 0);
	SS_CHECK(after.allocated == before.allocated);
	/* Pages merge again: all but a span kept per class is free. */
	SS_CHECK(before.free - after.free < 4 << 20);
	return 0;
}

SS_TEST(exhaustion)
{
	struct ss_mem_stats before, after;
	void **list = NULL, **p;
	uint64_t n = 0;

	if (!real)
		return 0;
	ss_mem_stats(&before);
	while ((p = ss_alloc(10000))) {
		*p = list;
		list = p;
		n++;
	}
	SS_CHECK(n > 100 && !ss_alloc(100000));
	while (list) {
		p = *list;
		ss_free(list);
		list = p;
	}
	ss_mem_stats(&after);
	SS_CHECK(after.failed > before.failed && after.allocated == before.allocated);
	p = ss_alloc(1 << 20);
	SS_CHECK(p);
	ss_free(p);
	return 0;
}

SS_TEST(reallocation)
{
	char *p = NULL;

	for (size_t n = 1; n < 200000; n = n * 3 / 2 + 1) {
		p = ss_realloc(p, n);
		SS_REQUIRE(p);
		memset(p + n / 2, (int)n, n - n / 2);
	}
	ss_free(p);
	return 0;
}

struct batch {
	void *p[1000];
};
SS_CONT(make_batch, struct batch *b;)
{
	for (int i = 0; i < 1000; i++)
		self->b->p[i] = ss_alloc((size_t)(i % 90) * 30 + 1);
	return ss_ok(0);
}
SS_CONT(remote_frees)
{
	struct ss_mem_stats st;

	ss_mem_stats(&st);
	return ss_ok((int64_t)st.remote_frees);
}

SS_TEST(freed_elsewhere)
{
	static struct batch b;

	if (!real)
		return 0;
	for (int round = 0; round < 50; round++) {
		SS_TRY(ss_smp_submit_to(1, make_batch, &b));
		for (int i = 0; i < 1000; i++)
			ss_free(b.p[i]);
	}
	SS_TRY(ss_sleep(SS_MSEC));
	SS_CHECK(SS_TRY(ss_smp_submit_to(1, remote_frees)) >= 50000);
	return 0;
}

/* Every allocation of a workload fails once: an error, never a crash, a hang or a leak. */
SS_CONT(plus, int64_t k;)
{
	return ss_ok(r.i + self->k);
}
SS_CONT(each)
{
	return ss_then(ss_yield(), plus, r.i);
}
SS_CONT(in_gate)
{
	return ss_then(ss_sleep(SS_USEC), plus, 1);
}
SS_FIBER(talker, ss_addr a; int *seen;)
{
	ss_auto_conn c = SS_TRY_PTR(ss_connect(&self->a));
	ss_conn_set_timeouts(c, 200 * SS_MSEC, 0);
	SS_TRY(ss_output_write(ss_conn_output(c), "hello", 5));
	SS_TRY(ss_output_drain(ss_conn_output(c)));
	SS_TRY(ss_input_fill(ss_conn_input(c)));
	++*self->seen;
	return SS_TRY(ss_output_close(ss_conn_output(c)));
}
SS_FIBER(answer, ss_conn *c;)
{
	ss_auto_conn c = self->c;
	ss_buf b;

	while (SS_TRY(ss_input_take(ss_conn_input(c), &b)) > 0) {
		SS_TRY(ss_output_write_buf(ss_conn_output(c), &b));
		SS_TRY(ss_output_flush(ss_conn_output(c)));
	}
	return 0;
}
static ss_future answer_start(ss_conn *c, void *arg)
{
	ss_future f = ss_async(answer, c);

	(void)arg;
	/* The fiber owns the connection once it exists. */
	if (ss_available(f))
		ss_conn_close(c);
	return f;
}

static int64_t workload(int *steps)
{
	ss_sem sem = {.count = 1};
	ss_gate gate = {0};
	ss_result all[2];
	ss_queue q;

	*steps = 0;
	SS_TRY(ss_then(ss_then(ss_sleep(SS_USEC), plus, 1), plus, 2));
	SS_TRY(ss_do_for_each(0, 3, each));
	SS_TRY(ss_parallel_for_each(0, 3, each));
	SS_TRY(ss_with_semaphore(&sem, 1, in_gate));
	SS_TRY(ss_with_gate(&gate, in_gate));
	SS_TRY(ss_when_all((ss_future[]){ss_yield(), ss_sleep(SS_USEC)}, 2, all));
	SS_TRY(ss_with_timeout(ss_sleep(SS_USEC), SS_SEC));
	SS_TRY(ss_finally(ss_then(ss_yield(), plus, 1), plus, 2));
	if (ss_queue_init(&q, 2))
		return -ENOMEM;
	ss_queue_destroy(&q);
	*steps = 1;
	return sem.count == 1 && gate.count == 0 ? 0 : -EINVAL;
}

SS_TEST(every_failure)
{
	uint64_t total, live = ss_cells_live();
	int steps, bad = 0;

	ss_log_set_level(SS_LOG_ERROR);
	ss_alloc_inject(UINT64_MAX, true);
	SS_CHECK(workload(&steps) == 0);
	total = ss_alloc_inject_seen();
	ss_alloc_inject_stop();
	SS_CHECK(total > 30);
	for (uint64_t i = 0; i < total; i++) {
		int64_t err;

		ss_alloc_inject(i, true);
		err = workload(&steps);
		ss_alloc_inject_stop();
		bad += err != 0 && err != -ENOMEM && err != -EINVAL;
		ss_await(ss_sleep(20 * SS_USEC));
	}
	SS_TRY(ss_sleep(SS_MSEC));
	SS_CHECK(bad == 0);
	SS_CHECK(ss_cells_live() <= live + 4);
	ss_log_set_level(SS_LOG_INFO);
	return 0;
}

SS_TEST(network_failures)
{
	ss_server s = {0};
	ss_addr any = ss_addr_loopback(0), a;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, NULL));
	int seen = 0, served;
	uint64_t live;

	ss_listener_addr(l, &a);
	ss_server_start(&s, l, answer_start, NULL);
	SS_TRY(ss_async(talker, a, &seen));
	SS_TRY(ss_sleep(SS_MSEC));
	live = ss_cells_live();
	ss_log_set_level(SS_LOG_ERROR);
	for (uint64_t i = 0; i < 60; i++) {
		ss_future f;

		ss_alloc_inject(i, true);
		f = ss_async(talker, a, &seen);
		ss_await(f);
		ss_alloc_inject_stop();
	}
	ss_log_set_level(SS_LOG_INFO);
	served = seen;
	SS_TRY(ss_async(talker, a, &seen));
	SS_CHECK(seen == served + 1);
	SS_TRY(ss_sleep(2 * SS_MSEC));
	SS_CHECK(ss_cells_live() <= live + 4);
	SS_TRY(ss_server_stop(&s));
	return 0;
}

static const struct ss_test tests[] = {
    {"model", model, .once = true},
    {"exhaustion", exhaustion, "-c1 -m64M", .once = true},
    {"freed_elsewhere", freed_elsewhere, "-c2", .once = true},
    {"reallocation", reallocation},
    {"every_failure", every_failure},
    {"network_failures", network_failures, .once = true},
    {NULL},
};

int main(int argc, char **argv)
{
	return ss_test_main(argc, argv, tests);
}
