/* SPDX-License-Identifier: BSD-3-Clause */
/* Newer versions from the hub, for one package's requirements or for the local repository. */
#include "renew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compose.h"
#include "hub.h"
#include "hub_index.h"
#include "lock.h"
#include "repo.h"
#include "version.h"

static const char *shown(const char *version)
{
	return version ? version : "(no version)";
}

static bool same(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

static void report(struct cap *c, const struct cap_lock *before, const struct cap_lock *after)
{
	size_t changes = 0;
	for (size_t i = 0; i < after->count; i++) {
		const struct cap_lock_entry *n = &after->list[i];
		const struct cap_lock_entry *o = cap_lock_find(before, n->name);
		if (!o)
			cap_info(c, "%s %s (new)", n->name, shown(n->version));
		else if (!same(o->version, n->version))
			cap_info(c, "%s %s -> %s", n->name, shown(o->version), shown(n->version));
		else if (!same(o->sha256, n->sha256))
			cap_info(c, "%s %s (new packaging)", n->name, shown(n->version));
		else
			continue;
		changes++;
	}
	for (size_t i = 0; i < before->count; i++)
		if (!cap_lock_find(after, before->list[i].name)) {
			cap_info(c, "%s is not required any more", before->list[i].name);
			changes++;
		}
	if (!changes)
		cap_info(c, "Everything required is the newest that fits");
}

int cap_renew_requirements(struct cap *c, const char *dir, const struct strv *names)
{
	struct cap_lock before, after;
	struct cap_content content;
	struct cap_compose req = {
	    .dir = dir, .pull_missing = true, .renew = true, .renew_names = names};
	int result = cap_lock_read(c, dir, &before);
	if (result)
		return result;
	result = cap_assemble(c, &req, false, &content);
	for (size_t i = 0; !result && i < names->count; i++) {
		bool known = false;
		for (size_t k = 0; k < content.deps.count; k++)
			known |= !strcmp(content.deps.list[k].name, names->items[i]);
		if (!known)
			cap_warn(
			    c, "%s is not required by %s", names->items[i], content.package.name);
	}
	if (!result)
		cap_content_free(&content);
	if (!result && !(result = cap_lock_read(c, dir, &after))) {
		report(c, &before, &after);
		cap_lock_free(&after);
	}
	cap_lock_free(&before);
	return result;
}

static int renew_one(
    struct cap *c, const struct hub_index *index, const char *name, size_t *changes)
{
	struct cap_package p;
	int result = cap_repo_package(c, name, &p);
	if (result)
		return result;
	const struct hub_package *h = hub_index_find(index, name, "");
	int newer = h ? cap_version_compare(h->version ? h->version : "", shown(p.version)) : 0;
	if (h && !newer)
		newer = cap_version_compare(
		    h->packaging ? h->packaging : "", p.packaging ? p.packaging : "");
	if (newer > 0 && !(result = cap_hub_pull_entry(c, h))) {
		cap_info(c, "%s %s -> %s", name, shown(p.version), shown(h->version));
		++*changes;
	}
	cap_package_free(&p);
	return result;
}

int cap_renew_packages(struct cap *c, const struct strv *names)
{
	struct hub_index index;
	struct strv all = {0};
	size_t changes = 0;
	int result = cap_hub_load_index(c, &index);
	if (result == -ENOENT)
		return cap_fail(
		    c, ENOENT, "%s has no index that would tell versions", c->repo_url.value);
	if (result)
		return result;
	if (!names->count) {
		cap_repo_packages(c, &all);
		names = &all;
	}
	for (size_t i = 0; !result && i < names->count; i++)
		result = renew_one(c, &index, names->items[i], &changes);
	if (!result && !changes)
		cap_info(c, "No newer versions at %s", c->repo_url.value);
	strv_free(&all);
	hub_index_free(&index);
	return result;
}
