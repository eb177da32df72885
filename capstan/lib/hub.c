/* SPDX-License-Identifier: BSD-3-Clause */
/* Pulling from remote repositories. */
#include "hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http.h"
#include "manifest.h"
#include "repo.h"
#include "version.h"

static char *hub_url(struct cap *c, const char *fmt, const char *name)
{
	struct buf url = {0};
	char *path = xasprintf(fmt, name);
	buf_printf(&url, "%s/", c->repo_url.value);
	cap_url_encode(&url, path);
	free(path);
	return buf_take(&url);
}

static int check_range(
    struct cap *c, const struct cap_package *p, const char *name, const char *range)
{
	if (strcmp(p->name, name))
		return cap_fail(c, EBADMSG, "%s: the hub's manifest of %s names %s",
		    c->repo_url.value, name, p->name);
	if (*range && (!p->version || cap_version_matches(p->version, range) <= 0))
		return cap_fail(c, EBADMSG, "%s has %s in version %s, not %s", c->repo_url.value,
		    name, p->version ? p->version : "(none)", range);
	return 0;
}

int cap_hub_pull_package(struct cap *c, const char *name, const char *range)
{
	struct buf text = {0};
	struct cap_package p = {0}, imported = {0};
	char *yaml_url = hub_url(c, "packages/%s.yaml", name);
	char *mpm_url = hub_url(c, "packages/%s.mpm", name);
	char *relative = xasprintf("cache/%s.mpm.download", name);
	char *file = cap_repo_path(c, relative);
	int result = cap_repo_dir(c, "cache");
	if (!result)
		result = cap_http_get(c, yaml_url, CAP_MANIFEST_MAX, &text);
	if (result == -ENOENT)
		cap_fail(c, ENOENT, "%s has no package %s", c->repo_url.value, name);
	if (!result)
		result = cap_package_parse(c, yaml_url, text.data, text.len, &p);
	if (!result)
		result = check_range(c, &p, name, range);
	if (!result) {
		cap_info(c, "Pulling %s %s...", name, p.version ? p.version : "");
		result = cap_http_download(c, mpm_url, file, "Pulling");
	}
	if (!result)
		result = cap_repo_import(c, file, &imported);
	unlink(file);
	cap_package_free(&p);
	cap_package_free(&imported);
	buf_free(&text);
	free(yaml_url);
	free(mpm_url);
	free(relative);
	free(file);
	return result;
}
