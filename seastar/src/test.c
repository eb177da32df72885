/* SPDX-License-Identifier: BSD-3-Clause */
/* The runner of asynchronous tests. */
#include "shard.h"

#include <seastar/app.h>
#include <seastar/test.h>

#include <stdio.h>
#include <stdlib.h>

#define MAX_ARGS 24

static _Atomic int failures;

struct run {
	const struct ss_test *test;
	uint64_t live_before;
};

bool ss_test_check(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		return true;
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

static ss_future start(const ss_config *config, void *arg)
{
	(void)config;
	return ss_async(body, .run = arg);
}

static bool run_one(const struct ss_test *t, bool preempt)
{
	char text[512], *argv[MAX_ARGS], *save = NULL;
	struct run run = {.test = t};
	struct ss_app app = {.name = t->name};
	int argc = 0, status;

	snprintf(text, sizeof(text), "test %s --overprovisioned -m256M%s",
	    t->args ? t->args : "-c1", preempt ? " --debug-preempt" : "");
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
	int n = 0, bad = 0;

	for (const struct ss_test *t = tests; t->name; t++) {
		for (int preempt = 0; preempt < (t->once ? 1 : 2); preempt++) {
			bool ok;

			if (!wanted(argc, argv, t->name))
				continue;
			ok = run_one(t, preempt);
			bad += !ok;
			printf("%s %d - %s%s\n", ok ? "ok" : "not ok", ++n, t->name,
			    preempt ? " (suspending always)" : "");
			fflush(stdout);
		}
	}
	printf("1..%d\n", n);
	return bad ? 1 : 0;
}
