/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Choosing versions with libsolv.
 *
 * Every distinct requirement is a capability of its own, "need:REQUIREMENT", which each candidate
 * in its range provides. The solver needs no idea of our ranges then, and orders versions by rank
 * numbers that follow our own comparison. That only one version of a name can be chosen is its
 * rule.
 */
#include "solve.h"

#include <errno.h>
#include <solv/pool.h>
#include <solv/repo.h>
#include <solv/solver.h>
#include <solv/transaction.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"
#include "version.h"

struct problem_text {
	struct strv lines;
	bool unknown; /* a package nobody has */
};

struct solving {
	struct cap *c;
	const char *who;
	const struct cap_candidate *list;
	size_t count;
	Pool *pool;
	Id first; /* solvable of candidate 0; the application is the one before */
	struct strv needs;
};

static int compare_versions(const void *a, const void *b, void *list)
{
	const struct cap_candidate *l = list;
	const char *x = l[*(const size_t *)a].version, *y = l[*(const size_t *)b].version;
	return cap_version_prefer(x ? x : "", y ? y : "");
}

static Id need_id(struct solving *s, const char *requirement)
{
	char *text = xasprintf("need:%s", requirement);
	Id id = pool_str2id(s->pool, text, 1);
	free(text);
	return id;
}

static void add_needs(struct solving *s, const struct strv *require)
{
	for (size_t i = 0; require && i < require->count; i++)
		if (!strv_has(&s->needs, require->items[i]))
			strv_add(&s->needs, require->items[i]);
}

static Solvable *add_solvable(
    struct solving *s, Repo *repo, const char *name, size_t rank, const struct strv *require)
{
	char evr[24];
	Solvable *v = pool_id2solvable(s->pool, repo_add_solvable(repo));
	snprintf(evr, sizeof(evr), "%zu", rank + 1);
	v->name = pool_str2id(s->pool, name, 1);
	v->evr = pool_str2id(s->pool, evr, 1);
	v->arch = ARCH_NOARCH;
	v->provides =
	    repo_addid_dep(repo, v->provides, pool_rel2id(s->pool, v->name, v->evr, REL_EQ, 1), 0);
	for (size_t i = 0; require && i < require->count; i++)
	v->requires = repo_addid_dep(repo, v->requires, need_id(s, require->items[i]), 0);
	return v;
}

/* Tells the pool which candidates satisfy which requirement. */
static int add_capabilities(struct solving *s, Repo *repo)
{
	int result = 0;
	for (size_t n = 0; !result && n < s->needs.count; n++) {
		char *name, *range;
		result = cap_require_split(s->c, s->needs.items[n], &name, &range);
		for (size_t i = 0; !result && i < s->count; i++) {
			const struct cap_candidate *k = &s->list[i];
			if (strcmp(k->name, name))
				continue;
			int match = !*range	 ? 1
				    : k->version ? cap_version_matches(k->version, range)
						 : 0;
			if (match < 0)
				result = cap_fail(s->c, EBADMSG,
				    "unreadable version range in \"%s\"", s->needs.items[n]);
			Solvable *v = pool_id2solvable(s->pool, s->first + i);
			if (match > 0)
				v->provides = repo_addid_dep(
				    repo, v->provides, need_id(s, s->needs.items[n]), 0);
		}
		free(name);
		free(range);
	}
	return result;
}

static void describe(const struct solving *s, Id p, struct buf *out)
{
	if (p < s->first) {
		buf_puts(out, s->who);
		return;
	}
	const struct cap_candidate *k = &s->list[p - s->first];
	buf_printf(out, "%s%s%s", k->name, k->version ? " " : "", k->version ? k->version : "");
}

static void known_versions(
    const struct solving *s, const char *requirement, struct buf *out, bool *unknown)
{
	char *name, *range;
	struct strv versions = {0};
	if (cap_require_split(s->c, requirement, &name, &range))
		return;
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->list[i].name, name))
			strv_add(&versions, s->list[i].version ? s->list[i].version : "(none)");
	char *list = strv_join(&versions, ", ");
	*unknown |= !versions.count;
	if (versions.count)
		buf_printf(out, ", but there is only %s", list);
	else
		buf_printf(out, ", but no repository has %s", name);
	free(list);
	strv_free(&versions);
	free(name);
	free(range);
}

static void explain_rule(struct solving *s, Solver *solver, Id rule, struct problem_text *text)
{
	Id source, target, dep;
	struct buf line = {0};
	const char *need;
	switch (solver_ruleinfo(solver, rule, &source, &target, &dep)) {
	case SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP:
	case SOLVER_RULE_PKG_REQUIRES:
		need = pool_dep2str(s->pool, dep);
		need += has_prefix(need, "need:") ? 5 : 0;
		describe(s, source, &line);
		buf_printf(&line, " requires %s", need);
		if (!pool_whatprovides(s->pool, dep) || !*pool_whatprovides_ptr(s->pool, dep))
			known_versions(s, need, &line, &text->unknown);
		break;
	case SOLVER_RULE_PKG_SAME_NAME:
		buf_puts(&line, "an image has only one of ");
		describe(s, source, &line);
		buf_puts(&line, " and ");
		describe(s, target, &line);
		break;
	default:
		break;
	}
	if (line.len && !strv_has(&text->lines, line.data))
		strv_add(&text->lines, line.data);
	buf_free(&line);
}

static int explain(struct solving *s, Solver *solver, int problems)
{
	struct problem_text text = {0};
	for (Id p = 1; p <= problems; p++) {
		Queue rules;
		queue_init(&rules);
		solver_findallproblemrules(solver, p, &rules);
		for (int i = 0; i < rules.count; i++)
			explain_rule(s, solver, rules.elements[i], &text);
		queue_free(&rules);
	}
	char *list = strv_join(&text.lines, "; ");
	int result = cap_fail(s->c, text.unknown ? ENOENT : EBADMSG, "no versions fit together: %s",
	    *list ? list : "the requirements contradict each other");
	free(list);
	strv_free(&text.lines);
	return result;
}

static void take_result(struct solving *s, Solver *solver, struct strv *picks)
{
	Transaction *t = solver_create_transaction(solver);
	Queue q;
	queue_init(&q);
	transaction_installedresult(t, &q);
	for (int i = 0; i < q.count; i++)
		if (q.elements[i] >= s->first) {
			const struct cap_candidate *k = &s->list[q.elements[i] - s->first];
			strv_addf(picks, "%s %s", k->name, k->version ? k->version : "");
		}
	strv_sort(picks);
	queue_free(&q);
	transaction_free(t);
}

static int run_solver(struct solving *s, struct strv *picks)
{
	Queue job;
	queue_init(&job);
	queue_push2(&job, SOLVER_INSTALL | SOLVER_SOLVABLE, s->first - 1);
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].preferred)
			queue_push2(&job, SOLVER_FAVOR | SOLVER_SOLVABLE, s->first + i);
	Solver *solver = solver_create(s->pool);
	int problems = solver_solve(solver, &job), result = 0;
	if (problems)
		result = explain(s, solver, problems);
	else
		take_result(s, solver, picks);
	solver_free(solver);
	queue_free(&job);
	return result;
}

int cap_solve(struct cap *c, const char *who, const struct strv *require,
    const struct cap_candidate *candidates, size_t count, struct strv *picks)
{
	struct solving s = {
	    .c = c, .who = who, .list = candidates, .count = count, .pool = pool_create()};
	Repo *repo = repo_create(s.pool, "packages");
	size_t *order = xcalloc(count, sizeof(*order)), *rank = xcalloc(count, sizeof(*rank));
	for (size_t i = 0; i < count; i++)
		order[i] = i;
	qsort_r(order, count, sizeof(*order), compare_versions, (void *)candidates);
	for (size_t i = 0; i < count; i++)
		rank[order[i]] = i;
	add_needs(&s, require);
	char *application = xasprintf("application:%s", who);
	Solvable *app = add_solvable(&s, repo, application, 0, require);
	s.first = pool_solvable2id(s.pool, app) + 1;
	for (size_t i = 0; i < count; i++) {
		add_needs(&s, candidates[i].require);
		add_solvable(&s, repo, candidates[i].name, rank[i], candidates[i].require);
	}
	int result = add_capabilities(&s, repo);
	if (!result) {
		pool_createwhatprovides(s.pool);
		result = run_solver(&s, picks);
	}
	pool_free(s.pool);
	strv_free(&s.needs);
	free(application);
	free(order);
	free(rank);
	return result;
}
