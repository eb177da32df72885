/* SPDX-License-Identifier: BSD-3-Clause */
/* Resolving requirements depth first. */
#include "deps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hub.h"
#include "repo.h"
#include "version.h"

struct resolution {
	struct cap *c;
	struct cap_deps *deps;
	struct strv path; /* packages being resolved, outermost first */
	bool pull;
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

/* Loads a package that satisfies the range, pulling it when that is allowed. */
static int load(struct resolution *r, const char *who, const char *name, const char *range,
    struct cap_package *p)
{
	bool quiet = r->c->quiet_errors;
	r->c->quiet_errors = quiet || r->pull;
	int result = cap_repo_package(r->c, name, p);
	if (!result && (result = check_version(r->c, who, p, range)))
		cap_package_free(p);
	r->c->quiet_errors = quiet;
	if (!result || !r->pull)
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

int cap_deps_resolve(struct cap *c, const char *who, const struct strv *require, bool pull_missing,
    struct cap_deps *deps)
{
	struct resolution r = {.c = c, .deps = deps, .pull = pull_missing};
	*deps = (struct cap_deps){0};
	strv_add(&r.path, who);
	int result = resolve_list(&r, who, require);
	strv_free(&r.path);
	if (result)
		cap_deps_free(deps);
	return result;
}

void cap_deps_free(struct cap_deps *deps)
{
	for (size_t i = 0; i < deps->count; i++)
		cap_package_free(&deps->list[i]);
	free(deps->list);
	*deps = (struct cap_deps){0};
}
