/* SPDX-License-Identifier: BSD-3-Clause */
/* The runner of asynchronous tests. */
#include "shard.h"

#include <seastar/app.h>
#include <seastar/test.h>

#include <stdio.h>
#include <stdlib.h>

#define MAX_ARGS 24

#define HANG (30 * SS_SEC) /* for one run with a failing allocation */

enum mode { NORMAL, SUSPENDING, EACH_ALLOCATION };

static _Atomic int failures;
static _Atomic bool lenient; /* failed checks are expected */

struct run {
	const struct ss_test *test;
	enum mode mode;
};

bool ss_test_check(bool ok, const char *what, const char *file, int line)
{
	if (ok || atomic_load(&lenient))
		return ok;
	atomic_fetch_add(&failures, 1);
	printf("# %s:%d: check failed: %s\n", file, line, what);
	fflush(stdout);
	return false;
}

/* What the test started in the background may need a few turns to end. */
SS_FIBER(body, struct run *run;)
{
	const struct ss_test *t = self->run->test;
	char none[SS_FIBER_CAPTURE_MAX] = {0};
	ss_result r;
	uint64_t before = ss_cells_live() + 2;

	r = ss_await(ss_async_(t->fn, none, 0));
	if (r.err) {
		printf("# %s ended with %s\n", t->name, r.msg ? r.msg : strerror(-r.err));
		atomic_fetch_add(&failures, 1);
	}
	for (int i = 0; i < 200 && ss_cells_live() > before; i++)
		ss_await(ss_sleep(SS_MSEC / 2));
	if (!t->leaks_ok && ss_cells_live() > before) {
		printf("# %s left %lld objects behind\n", t->name,
		    (long long)(ss_cells_live() - before));
		atomic_fetch_add(&failures, 1);
	}
	return 0;
}

struct watchdog {
	ss_timer timer;
	const char *name;
	uint64_t n;
};

static void hangs(ss_timer *t)
{
	struct watchdog *w = ss_container_of(t, struct watchdog, timer);

	printf("# %s hangs when allocation %llu fails\n", w->name, (unsigned long long)w->n);
	fflush(stdout);
	abort();
}

/* What is in use now, so that leaks show: small objects and allocations. */
static void in_use(uint64_t *cells, uint64_t *allocs)
{
	struct ss_mem_stats m;

	ss_mem_stats(&m);
	*cells = ss_cells_live();
	*allocs = m.allocs - m.frees;
}

/* Wait until no more is in use than before; false if that does not happen. */
static bool settles(uint64_t cells, uint64_t allocs)
{
	for (int i = 0; i < 1000; i++) {
		uint64_t c, a;

		in_use(&c, &a);
		if (c <= cells && a <= allocs)
			return true;
		ss_await(ss_sleep(SS_MSEC / 2));
	}
	return false;
}

/* Run the test with allocation n failing. Returns false if it made fewer. */
static bool run_failing(const struct ss_test *t, uint64_t n, struct watchdog *w)
{
	char none[SS_FIBER_CAPTURE_MAX] = {0};
	uint64_t failed;

	w->n = n;
	ss_timer_arm(&w->timer, HANG);
	atomic_store(&lenient, true);
	ss_alloc_inject(n, true);
	ss_await(ss_async_(t->fn, none, 0));
	failed = ss_alloc_inject_stop();
	atomic_store(&lenient, false);
	return failed != 0;
}

SS_FIBER(failing_body, const struct ss_test *t;)
{
	const struct ss_test *t = self->t;
	char none[SS_FIBER_CAPTURE_MAX] = {0};
	struct watchdog w = {.name = t->name};
	uint64_t cells, allocs, n = 0;
	bool more = true;

	ss_timer_init(&w.timer, hangs);
	/* Pools fill in the first runs. */
	for (int i = 0; i < 3; i++) {
		if (ss_await(ss_async_(t->fn, none, 0)).err)
			return -EINVAL;
		ss_await(ss_sleep(5 * SS_MSEC));
	}
	in_use(&cells, &allocs);
	for (; more; n++) {
		more = run_failing(t, n, &w);
		if (!settles(cells, allocs)) {
			printf("# %s leaks when allocation %llu fails\n", t->name,
			    (unsigned long long)n);
			atomic_fetch_add(&failures, 1);
			in_use(&cells, &allocs);
		}
	}
	ss_timer_cancel(&w.timer);
	printf("# %s: %llu allocations failed, one after another\n", t->name,
	    (unsigned long long)n - 1);
	if (n < 2) {
		printf("# %s makes no allocations\n", t->name);
		atomic_fetch_add(&failures, 1);
	}
	return 0;
}

static ss_future start(const ss_config *config, void *arg)
{
	struct run *run = arg;

	(void)config;
	if (run->mode == EACH_ALLOCATION)
		return ss_async(failing_body, run->test);
	return ss_async(body, .run = run);
}

static bool run_one(const struct ss_test *t, enum mode mode)
{
	char text[512], *argv[MAX_ARGS], *save = NULL;
	struct run run = {.test = t, .mode = mode};
	struct ss_app app = {.name = t->name};
	int argc = 0, status;

	snprintf(text, sizeof(text), "test %s --overprovisioned -m256M%s",
	    t->args ? t->args : "-c1", mode == SUSPENDING ? " --debug-preempt" : "");
	for (char *a = strtok_r(text, " ", &save); a && argc < MAX_ARGS - 1;
	     a = strtok_r(NULL, " ", &save))
		argv[argc++] = a;
	argv[argc] = NULL;
	atomic_store(&failures, 0);
	status = ss_app_run(argc, argv, &app, start, &run);
	return !status && !atomic_load(&failures);
}

static bool wanted(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

int ss_test_main(int argc, char **argv, const struct ss_test *tests)
{
	static const char *const suffix[] = {
	    "", " (suspending always)", " (each allocation failing)"};
	int n = 0, bad = 0;

	for (const struct ss_test *t = tests; t->name; t++) {
		for (int mode = NORMAL; mode <= EACH_ALLOCATION; mode++) {
			bool ok;

			if (!wanted(argc, argv, t->name) || (mode == SUSPENDING && t->once) ||
			    (mode == EACH_ALLOCATION && !t->each_allocation))
				continue;
			ok = run_one(t, (enum mode)mode);
			bad += !ok;
			printf("%s %d - %s%s\n", ok ? "ok" : "not ok", ++n, t->name, suffix[mode]);
			fflush(stdout);
		}
	}
	printf("1..%d\n", n);
	return bad ? 1 : 0;
}
