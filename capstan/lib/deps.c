/* SPDX-License-Identifier: BSD-3-Clause */
/* Resolving requirements depth first. */
#include "deps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hub.h"
#include "hub_index.h"
#include "repo.h"
#include "solve.h"
#include "version.h"

struct resolution {
	struct cap *c;
	struct cap_deps *deps;
	struct strv path; /* packages being resolved, outermost first */
	bool pull_each;	  /* fetch what is missing as it is met */
};

static int check_version(
    struct cap *c, const char *who, const struct cap_package *p, const char *range)
{
	if (!*range)
		return 0;
	if (!p->version)
		return cap_fail(c, EBADMSG, "%s requires %s %s, but that package has no version",
		    who, p->name, range);
	int match = cap_version_matches(p->version, range);
	if (match < 0)
		return cap_fail(c, EBADMSG,
		    "%s requires %s with the unreadable version range \"%s\"", who, p->name, range);
	return match ? 0
		     : cap_fail(c, EBADMSG,
			   "%s requires %s %s, but version %s is in the local repository", who,
			   p->name, range, p->version);
}

static int load(struct resolution *r, const char *who, const char *name, const char *range,
    struct cap_package *p)
{
	bool quiet = r->c->quiet_errors;
	r->c->quiet_errors = quiet || r->pull_each;
	int result = cap_repo_package(r->c, name, p);
	if (!result && (result = check_version(r->c, who, p, range)))
		cap_package_free(p);
	r->c->quiet_errors = quiet;
	/* A bucket has one version of each package: there is nothing to choose. */
	if (!result || !r->pull_each)
		return result;
	result = cap_hub_pull_package(r->c, name, range);
	if (!result)
		result = cap_repo_package(r->c, name, p);
	if (!result && (result = check_version(r->c, who, p, range)))
		cap_package_free(p);
	return result;
}

static int cycle(struct resolution *r, const char *name)
{
	struct strv shown = {0};
	bool in_cycle = false;
	for (size_t i = 0; i < r->path.count; i++) {
		in_cycle |= !strcmp(r->path.items[i], name);
		if (in_cycle)
			strv_add(&shown, r->path.items[i]);
	}
	strv_add(&shown, name);
	char *list = strv_join(&shown, " -> ");
	int result = cap_fail(r->c, EBADMSG, "packages require each other in a circle: %s", list);
	free(list);
	strv_free(&shown);
	return result;
}

static const struct cap_package *resolved(const struct cap_deps *deps, const char *name)
{
	for (size_t i = 0; i < deps->count; i++)
		if (!strcmp(deps->list[i].name, name))
			return &deps->list[i];
	return NULL;
}

static int resolve_list(struct resolution *r, const char *who, const struct strv *require);

static int resolve_one(struct resolution *r, const char *who, const char *name, const char *range)
{
	const struct cap_package *known = resolved(r->deps, name);
	struct cap_package p;
	if (known)
		return check_version(r->c, who, known, range);
	if (strv_has(&r->path, name))
		return cycle(r, name);
	int result = load(r, who, name, range, &p);
	if (result)
		return result;
	strv_add(&r->path, name);
	result = resolve_list(r, p.name, &p.require);
	strv_remove(&r->path, r->path.count - 1);
	if (result) {
		cap_package_free(&p);
		return result;
	}
	struct cap_deps *d = r->deps;
	d->list = xrealloc(d->list, (d->count + 1) * sizeof(*d->list));
	d->list[d->count++] = p;
	return 0;
}

static int resolve_list(struct resolution *r, const char *who, const struct strv *require)
{
	int result = 0;
	for (size_t i = 0; !result && i < require->count; i++) {
		char *name, *range;
		result = cap_require_split(r->c, require->items[i], &name, &range);
		if (!result)
			result = resolve_one(r, who, name, range);
		free(name);
		free(range);
	}
	return result;
}

static int resolve_local(struct cap *c, const char *who, const struct strv *require, bool pull_each,
    struct cap_deps *deps)
{
	struct resolution r = {.c = c, .deps = deps, .pull_each = pull_each};
	*deps = (struct cap_deps){0};
	strv_add(&r.path, who);
	int result = resolve_list(&r, who, require);
	strv_free(&r.path);
	if (result)
		cap_deps_free(deps);
	return result;
}

/* Local packages and the hub's, as candidates. Their strings belong to locals and index. */
static struct cap_candidate *gather(
    struct cap *c, struct cap_deps *locals, const struct hub_index *index, size_t *count)
{
	struct strv names = {0};
	cap_repo_packages(c, &names);
	locals->list = xcalloc(names.count, sizeof(*locals->list));
	for (size_t i = 0; i < names.count; i++)
		if (!cap_repo_package(c, names.items[i], &locals->list[locals->count]))
			locals->count++;
	strv_free(&names);
	struct cap_candidate *list = xcalloc(locals->count + index->count, sizeof(*list));
	*count = 0;
	for (size_t i = 0; i < locals->count; i++)
		list[(*count)++] = (struct cap_candidate){.name = locals->list[i].name,
		    .version = locals->list[i].version,
		    .require = &locals->list[i].require,
		    .preferred = true};
	for (size_t i = 0; i < index->count; i++)
		list[(*count)++] = (struct cap_candidate){.name = index->list[i].name,
		    .version = index->list[i].version,
		    .require = &index->list[i].require};
	return list;
}

static bool have_version(const struct cap_deps *locals, const char *name, const char *version)
{
	const struct cap_package *p = resolved(locals, name);
	return p && !strcmp(p->version ? p->version : "", version);
}

/* Brings the local repository to one version of each package that satisfies everything. */
static int solve_and_pull(
    struct cap *c, const char *who, const struct strv *require, const struct hub_index *index)
{
	struct cap_deps locals = {0};
	struct strv picks = {0};
	size_t count;
	struct cap_candidate *list = gather(c, &locals, index, &count);
	int result = cap_solve(c, who, require, list, count, &picks);
	for (size_t i = 0; !result && i < picks.count; i++) {
		char *name = xstrndup(picks.items[i], strcspn(picks.items[i], " "));
		const char *version = picks.items[i] + strlen(name) + 1;
		if (!have_version(&locals, name, version)) {
			char *range = *version ? xasprintf("=%s", version) : xstrdup("");
			result = cap_hub_pull_package(c, name, range);
			free(range);
		}
		free(name);
	}
	free(list);
	strv_free(&picks);
	cap_deps_free(&locals);
	return result;
}

int cap_deps_resolve(struct cap *c, const char *who, const struct strv *require, bool pull_missing,
    struct cap_deps *deps)
{
	struct hub_index index;
	if (!pull_missing)
		return resolve_local(c, who, require, false, deps);
	bool quiet = c->quiet_errors;
	c->quiet_errors = true;
	int result = resolve_local(c, who, require, false, deps);
	c->quiet_errors = quiet;
	if (!result)
		return 0; /* nothing is missing: the hub is not asked */
	result = cap_hub_load_index(c, &index);
	if (result == -ENOENT)
		return resolve_local(c, who, require, true, deps);
	if (result)
		return result;
	result = solve_and_pull(c, who, require, &index);
	hub_index_free(&index);
	return result ? result : resolve_local(c, who, require, false, deps);
}

void cap_deps_free(struct cap_deps *deps)
{
	for (size_t i = 0; i < deps->count; i++)
		cap_package_free(&deps->list[i]);
	free(deps->list);
	*deps = (struct cap_deps){0};
}
