/* SPDX-License-Identifier: BSD-3-Clause */
/* `capstan package validate`: everything that can be checked about a package without running it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compose.h"
#include "elffile.h"
#include "ignore.h"
#include "package.h"
#include "repo.h"

struct validation {
	struct cap *c;
	struct cap_tree *tree; /* the package with its dependencies when those are there */
	struct cap_tree *own;
	const char *dir; /* of the package */
	int errors, warnings, objects;
	struct strv missing; /* libraries, each once */
};

static void error(struct validation *v, const char *fmt, const char *a, const char *b)
{
	char *text = xasprintf("%s%s%s", a, fmt, b);
	cap_fail(v->c, EBADMSG, "%s", text);
	free(text);
	v->errors++;
}

static int find_base_name(struct cap_node *n, void *arg)
{
	return !strcmp(n->name, *(const char **)arg) && !S_ISDIR(n->mode);
}

/* Debian names the package that would bring a library: ask dpkg where it is installed. */
static char *provider(const char *library)
{
	char *command = xasprintf("dpkg-query -S '*/%s' 2>/dev/null", library);
	char line[512] = "";
	FILE *p = strpbrk(library, "'\\*?[") ? NULL : popen(command, "re");
	if (p && !fgets(line, sizeof(line), p))
		line[0] = 0;
	if (p)
		pclose(p);
	free(command);
	line[strcspn(line, ":\n")] = 0;
	return *line ? xstrdup(line) : NULL;
}

static void check_needed(struct validation *v, const char *path, const struct cap_elf *elf)
{
	for (size_t i = 0; i < elf->needed.count; i++) {
		const char *name = path_base(elf->needed.items[i]);
		if (cap_tree_walk(v->tree, find_base_name, &name) || strv_has(&v->missing, name))
			continue;
		strv_add(&v->missing, name);
		char *from = provider(name);
		char *text = xasprintf("%s, which is in no required package%s%s%s", name,
		    from ? " (Debian's package " : "", from ? from : "", from ? " has it)" : "");
		error(v, " needs ", path, text);
		free(from);
		free(text);
	}
	if (elf->interpreter && !cap_tree_resolve(v->tree, elf->interpreter))
		error(v, " needs the interpreter ", path, elf->interpreter);
}

static int check_object(struct cap_node *n, void *arg)
{
	struct validation *v = arg;
	struct cap_elf elf;
	struct buf data = {0};
	const char *why;
	if (!S_ISREG(n->mode) || n->source != CAP_SRC_FILE || n->size < 64)
		return 0;
	char *path = cap_node_path(n);
	switch (cap_elf_read(n->path, &elf, &why)) {
	case CAP_ELF_OK:
		v->objects++;
		check_needed(v, path, &elf);
		cap_elf_free(&elf);
		break;
	case CAP_ELF_BROKEN:
		error(v, " cannot be loaded: ", path, why);
		break;
	case CAP_ELF_FOREIGN:
		cap_warn(v->c, "%s cannot be run here: %s", path, why);
		v->warnings++;
		break;
	case CAP_ELF_NOT:
		break;
	}
	buf_free(&data);
	free(path);
	return 0;
}

static void check_hooks(struct validation *v, const char *dir)
{
	static const char *const hooks[] = {"build", "run", "test"};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(hooks); i++) {
		char *relative = xasprintf("meta/hooks/%s", hooks[i]),
		     *path = path_join(dir, relative);
		if (path_exists(path) && access(path, X_OK))
			error(v, " is not executable", relative, "");
		free(relative);
		free(path);
	}
}

/* Configurations must at least make a command, unless a base fills them in. */
static void check_configs(struct validation *v, const char *name)
{
	struct cap_runconf rc;
	bool found;
	if (cap_tree_runconf(v->c, v->own, name, &rc, &found)) {
		v->errors++;
		return;
	}
	for (size_t i = 0; found && i < rc.count; i++) {
		struct buf line = {0};
		if (!rc.configs[i].base &&
		    cap_config_boot(v->c, "meta/run.yaml", &rc.configs[i], &line))
			v->errors++;
		buf_free(&line);
	}
	if (found)
		cap_runconf_free(&rc);
}

static void check_options(struct validation *v)
{
	struct cap_node *n = cap_tree_lookup(v->own, "/meta/opts");
	struct buf text = {0};
	struct cap_option *list;
	size_t count;
	if (!n || !S_ISREG(n->mode))
		return;
	if (cap_node_read(v->c, n, CAP_MANIFEST_MAX, &text) ||
	    cap_options_parse(v->c, "meta/opts", text.data, text.len, &list, &count))
		v->errors++;
	else
		cap_options_free(list, count);
	buf_free(&text);
}

/* Adds the required packages below the package itself, as far as they are there. */
static void add_required(struct validation *v, const struct cap_package *p, struct cap_pack **packs,
    struct cap_deps *deps)
{
	struct cap_deps_request rq = {.who = p->name, .require = &p->require, .dir = v->dir};
	if (cap_deps_resolve(v->c, &rq, deps)) {
		v->errors++;
		return;
	}
	*packs = xcalloc(deps->count, sizeof(**packs));
	for (size_t i = 0; i < deps->count; i++) {
		char *file = cap_repo_package_file(v->c, deps->list[i].name);
		if (cap_pack_open(v->c, file, &(*packs)[i]) ||
		    cap_tree_merge(v->c, v->tree, &(*packs)[i].tree, NULL, NULL))
			v->errors++;
		free(file);
	}
}

static int validate(struct validation *v, const char *dir, const struct cap_package *p)
{
	struct cap_ignore ignore = {.keep_meta = true};
	struct cap_deps deps = {0};
	struct cap_pack *packs = NULL;
	int result = cap_ignore_read(v->c, dir, &ignore);
	add_required(v, p, &packs, &deps);
	if (!result)
		result = cap_tree_add_host_dir(v->c, v->own, dir, "/", cap_ignore_skip, &ignore);
	if (!result)
		result = cap_tree_merge(v->c, v->tree, v->own, NULL, NULL);
	if (!result) {
		cap_tree_walk(v->own, check_object, v);
		check_configs(v, p->name);
		check_options(v);
		check_hooks(v, dir);
	}
	for (size_t i = 0; packs && i < deps.count; i++)
		cap_pack_close(&packs[i]);
	free(packs);
	cap_deps_free(&deps);
	cap_ignore_free(&ignore);
	return result;
}

int cap_package_validate(struct cap *c, const char *dir)
{
	struct cap_package p;
	struct cap_tree tree, own;
	struct validation v = {.c = c, .tree = &tree, .own = &own, .dir = dir};
	int result = cap_package_read(c, dir, &p);
	if (result)
		return result;
	cap_tree_init(&tree);
	cap_tree_init(&own);
	result = validate(&v, dir, &p);
	if (!result && v.errors)
		result = cap_fail(c, EBADMSG, "package %s is not valid: %d error%s", p.name,
		    v.errors, v.errors == 1 ? "" : "s");
	else if (!result)
		cap_info(c, "Package %s is valid (%zu files, %d ELF objects)", p.name, own.count,
		    v.objects);
	cap_tree_free(&own);
	cap_tree_free(&tree);
	strv_free(&v.missing);
	cap_package_free(&p);
	return result;
}
