/* SPDX-License-Identifier: BSD-3-Clause */
/* Resolving requirements depth first. */
#include "deps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hub.h"
#include "hub_index.h"
#include "lock.h"
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

/* Whether the digest of the archive that is here is the wanted one; NULL wants none. */
static int check_digest(struct cap *c, const char *name, const char *sha256, bool *same)
{
	char digest[65], *file = cap_repo_package_file(c, name);
	*same = true;
	int result = sha256 ? sha256_file(file, digest) : 0;
	if (result)
		cap_fail(c, -result, "cannot read %s: %s", file, strerror(-result));
	else if (sha256)
		*same = !strcmp(digest, sha256);
	free(file);
	return result;
}

static const char *shown(const char *version)
{
	return version && *version ? version : "(no version)";
}

/* What was resolved has to be what is locked, as far as it is. */
static int check_lock(
    struct cap *c, const char *who, const struct cap_lock *lock, const struct cap_deps *deps)
{
	static const char advice[] =
	    "--pull-missing fetches the locked one, `capstan package update` chooses anew";
	for (size_t i = 0; i < deps->count; i++) {
		const struct cap_package *p = &deps->list[i];
		const struct cap_lock_entry *e = cap_lock_find(lock, p->name);
		bool same;
		if (!e)
			continue;
		if (strcmp(e->version ? e->version : "", p->version ? p->version : ""))
			return cap_fail(c, EBADMSG,
			    "meta/lock.yaml of %s has %s %s, but %s is in the local repository; %s",
			    who, p->name, shown(e->version), shown(p->version), advice);
		int result = check_digest(c, p->name, e->sha256, &same);
		if (!result && !same)
			result = cap_fail(c, EBADMSG,
			    "%s %s in the local repository is not the one that meta/lock.yaml of "
			    "%s has (other content); %s",
			    p->name, shown(p->version), who, advice);
		if (result)
			return result;
	}
	return 0;
}

static int resolve_locked(struct cap *c, const struct cap_deps_request *rq,
    const struct cap_lock *lock, bool pull_each, struct cap_deps *deps)
{
	int result = resolve_local(c, rq->who, rq->require, pull_each, deps);
	if (!result && (result = check_lock(c, rq->who, lock, deps)))
		cap_deps_free(deps);
	return result;
}

struct choice {
	struct cap *c;
	const struct cap_deps_request *rq;
	const struct hub_index *index;
	const struct cap_lock *lock;
	struct cap_deps locals;
};

static bool is_renewed(const struct cap_deps_request *rq, const char *name)
{
	return rq->renew &&
	       (!rq->renew_names || !rq->renew_names->count || strv_has(rq->renew_names, name));
}

/* The locked version is chosen when it fits, without a lock the one that is here. */
static bool is_preferred(const struct choice *ch, const char *name, const char *version, bool local)
{
	const struct cap_lock_entry *e = cap_lock_find(ch->lock, name);
	if (is_renewed(ch->rq, name))
		return false;
	return e ? !strcmp(e->version ? e->version : "", version ? version : "") : local;
}

/* Local packages and the hub's, as candidates. Their strings belong to locals and index. */
static struct cap_candidate *gather(struct choice *ch, size_t *count)
{
	struct strv names = {0};
	struct cap_deps *locals = &ch->locals;
	cap_repo_packages(ch->c, &names);
	locals->list = xcalloc(names.count, sizeof(*locals->list));
	for (size_t i = 0; i < names.count; i++)
		if (!cap_repo_package(ch->c, names.items[i], &locals->list[locals->count]))
			locals->count++;
	strv_free(&names);
	struct cap_candidate *list = xcalloc(locals->count + ch->index->count, sizeof(*list));
	*count = 0;
	for (size_t i = 0; i < locals->count; i++) {
		const struct cap_package *p = &locals->list[i];
		list[(*count)++] = (struct cap_candidate){.name = p->name,
		    .version = p->version,
		    .require = &p->require,
		    .preferred = is_preferred(ch, p->name, p->version, true)};
	}
	for (size_t i = 0; i < ch->index->count; i++) {
		const struct hub_package *p = &ch->index->list[i];
		list[(*count)++] = (struct cap_candidate){.name = p->name,
		    .version = p->version,
		    .require = &p->require,
		    .preferred = is_preferred(ch, p->name, p->version, false)};
	}
	return list;
}

/* The entry of a version with this content; with sha256 NULL the newest packaging of it. */
static const struct hub_package *entry_of(
    const struct hub_index *index, const char *name, const char *version, const char *sha256)
{
	const struct hub_package *best = NULL;
	for (size_t i = 0; i < index->count; i++) {
		const struct hub_package *p = &index->list[i];
		if (strcmp(p->name, name) || strcmp(p->version ? p->version : "", version))
			continue;
		if (sha256 && strcmp(p->sha256, sha256))
			continue;
		if (!best || cap_version_compare(p->packaging ? p->packaging : "",
				 best->packaging ? best->packaging : "") > 0)
			best = p;
	}
	return best;
}

/* The content that a chosen version must have, or NULL. */
static const char *locked_content(struct choice *ch, const char *name, const char *version)
{
	const struct cap_lock_entry *e = cap_lock_find(ch->lock, name);
	if (!e || is_renewed(ch->rq, name) || strcmp(e->version ? e->version : "", version))
		return NULL;
	return e->sha256;
}

/* Fetches one chosen version, unless it is here with the locked content. */
static int bring(struct choice *ch, const char *name, const char *version)
{
	const struct cap_package *p = resolved(&ch->locals, name);
	const char *sha256 = locked_content(ch, name, version);
	bool here = p && !strcmp(p->version ? p->version : "", version);
	int result = here ? check_digest(ch->c, name, sha256, &here) : 0;
	if (result || here)
		return result;
	const struct hub_package *h = entry_of(ch->index, name, version, sha256);
	return h ? cap_hub_pull_entry(ch->c, h)
		 : cap_fail(ch->c, ENOENT,
		       "%s has no %s %s with the content that meta/lock.yaml names; `capstan "
		       "package update` chooses anew",
		       ch->c->repo_url.value, name, shown(version));
}

/* Brings the local repository to one version of each package that satisfies everything. */
static int solve_and_pull(struct choice *ch)
{
	struct strv picks = {0};
	size_t count;
	struct cap_candidate *list = gather(ch, &count);
	int result = cap_solve(ch->c, ch->rq->who, ch->rq->require, list, count, &picks);
	for (size_t i = 0; !result && i < picks.count; i++) {
		char *name = xstrndup(picks.items[i], strcspn(picks.items[i], " "));
		result = bring(ch, name, picks.items[i] + strlen(name) + 1);
		free(name);
	}
	free(list);
	strv_free(&picks);
	cap_deps_free(&ch->locals);
	return result;
}

/* The entries of a lock that still bind: not renewed, and in range of what is required now. */
static void drop_loose(
    const struct cap_deps_request *rq, const struct cap_deps *deps, struct cap_lock *lock)
{
	for (size_t i = lock->count; i-- > 0;) {
		const struct cap_package *p = resolved(deps, lock->list[i].name);
		bool fits = p && !strcmp(p->version ? p->version : "",
				     lock->list[i].version ? lock->list[i].version : "");
		if (!fits || is_renewed(rq, lock->list[i].name))
			cap_lock_remove(lock, lock->list[i].name);
	}
}

/* Locks what was resolved: content of what the hub has, the version of what was made here. */
static int write_lock(struct cap *c, const struct cap_deps_request *rq,
    const struct hub_index *index, const struct cap_deps *deps, bool had_lock)
{
	struct cap_lock lock = {0};
	bool from_hub = false;
	int result = 0;
	for (size_t i = 0; !result && i < deps->count; i++) {
		const struct cap_package *p = &deps->list[i];
		char digest[65], *file = cap_repo_package_file(c, p->name);
		result = sha256_file(file, digest);
		if (result)
			cap_fail(c, -result, "cannot read %s: %s", file, strerror(-result));
		bool known =
		    !result && entry_of(index, p->name, p->version ? p->version : "", digest);
		from_hub |= known;
		cap_lock_add(&lock, p->name, p->version, known ? digest : NULL);
		free(file);
	}
	if (!result && rq->dir && (from_hub || had_lock))
		result = cap_lock_write(c, rq->dir, &lock);
	cap_lock_free(&lock);
	return result;
}

static int resolve_from_hub(
    struct cap *c, const struct cap_deps_request *rq, struct cap_lock *lock, struct cap_deps *deps)
{
	struct hub_index index;
	bool had_lock = lock->count;
	int result = cap_hub_load_index(c, &index);
	if (result == -ENOENT)
		return resolve_locked(c, rq, lock, true, deps);
	if (result)
		return result;
	struct choice ch = {.c = c, .rq = rq, .index = &index, .lock = lock};
	result = solve_and_pull(&ch);
	if (!result)
		result = resolve_local(c, rq->who, rq->require, false, deps);
	if (!result) {
		drop_loose(rq, deps, lock);
		result = check_lock(c, rq->who, lock, deps);
		if (!result)
			result = write_lock(c, rq, &index, deps, had_lock);
		if (result)
			cap_deps_free(deps);
	}
	hub_index_free(&index);
	return result;
}

int cap_deps_resolve(struct cap *c, const struct cap_deps_request *rq, struct cap_deps *deps)
{
	struct cap_lock lock = {0};
	*deps = (struct cap_deps){0};
	int result = rq->dir ? cap_lock_read(c, rq->dir, &lock) : 0;
	if (result)
		return result;
	bool quiet = c->quiet_errors;
	c->quiet_errors = quiet || rq->pull_missing;
	/* The hub is asked only when something is missing. */
	result = rq->renew ? -ENOENT : resolve_locked(c, rq, &lock, false, deps);
	c->quiet_errors = quiet;
	if (result && (rq->pull_missing || rq->renew))
		result = resolve_from_hub(c, rq, &lock, deps);
	cap_lock_free(&lock);
	return result;
}

void cap_deps_free(struct cap_deps *deps)
{
	for (size_t i = 0; i < deps->count; i++)
		cap_package_free(&deps->list[i]);
	free(deps->list);
	*deps = (struct cap_deps){0};
}
