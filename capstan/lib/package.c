/* SPDX-License-Identifier: BSD-3-Clause */
/* Working on one package's directory: init, hooks, build, describe. */
#include "package.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compose.h"
#include "ignore.h"
#include "repo.h"
#include "run.h"

int cap_package_init(
    struct cap *c, const char *dir, const struct cap_package *p, const char *runtime)
{
	const struct cap_runtime *rt = NULL;
	struct buf text = {0};
	if (!cap_name_valid(p->name))
		return cap_fail(c, EINVAL,
		    "\"%s\" is not a package name "
		    "(letters, digits, \".\", \"-\", \"_\", \"+\")",
		    p->name);
	if (runtime && !(rt = cap_runtime_find(c, runtime)))
		return -EINVAL;
	char *meta = path_join(dir, "meta"), *full = path_absolute(meta);
	char *manifest = path_join(meta, "package.yaml"), *run = path_join(meta, "run.yaml");
	int result = 0;
	if (path_exists(manifest))
		result = cap_fail(c, EEXIST, "%s exists already", manifest);
	else
		cap_info(c, "Initializing package in %s", full);
	if (!result && (result = mkdir_all(meta, 0755)))
		cap_fail(c, -result, "cannot create %s: %s", meta, strerror(-result));
	cap_package_format(p, &text);
	if (!result && (result = file_write_atomic(manifest, text.data, text.len, 0644)))
		cap_fail(c, -result, "cannot write %s: %s", manifest, strerror(-result));
	buf_free(&text);
	if (!result && rt && !path_exists(run)) {
		cap_runtime_stub(rt, true, false, &text);
		if ((result = file_write_atomic(run, text.data, text.len, 0644)))
			cap_fail(c, -result, "cannot write %s: %s", run, strerror(-result));
		buf_free(&text);
	}
	free(meta);
	free(full);
	free(manifest);
	free(run);
	return result;
}

int cap_run_hook(struct cap *c, const char *dir, const char *name, const struct strv *env,
    bool *ran, int *status)
{
	char *relative = xasprintf("meta/hooks/%s", name), *hook = path_join(dir, relative);
	*ran = false;
	*status = 0;
	int result = 0;
	if (path_exists(hook)) {
		*ran = true;
		if (access(hook, X_OK))
			result = cap_fail(c, EBADMSG, "%s is not executable", hook);
		char *full = path_absolute(hook);
		pid_t pid = result ? -1 : fork();
		if (pid == 0) {
			for (size_t i = 0; env && i < env->count; i++)
				putenv(env->items[i]);
			if (chdir(dir))
				_exit(126);
			execl(full, full, NULL);
			_exit(127);
		}
		if (!result && (pid < 0 || waitpid(pid, status, 0) != pid))
			result = cap_fail_errno(c, "cannot run %s", hook);
		*status = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
		free(full);
	}
	free(relative);
	free(hook);
	return result;
}

static int hook_or_fail(struct cap *c, const char *dir, const char *name)
{
	bool ran;
	int status, result = cap_run_hook(c, dir, name, NULL, &ran, &status);
	if (!result && status)
		result = cap_fail(c, EIO, "meta/hooks/%s failed with status %d", name, status);
	return result;
}

int cap_package_build(struct cap *c, const char *dir, char **file)
{
	struct cap_package p;
	struct cap_ignore ignore = {.keep_meta = true};
	struct cap_tree tree;
	*file = NULL;
	int result = cap_package_read(c, dir, &p);
	if (result)
		return result;
	cap_tree_init(&tree);
	result = hook_or_fail(c, dir, "build");
	if (!result)
		result = cap_ignore_read(c, dir, &ignore);
	if (!result)
		result = cap_tree_add_host_dir(c, &tree, dir, "/", cap_ignore_skip, &ignore);
	if (!result) {
		char *name = xasprintf("%s.mpm", p.name);
		*file = path_join(dir, name);
		free(name);
		result = cap_archive_write(c, &tree, *file, CAP_COMPRESS_GZIP);
	}
	cap_ignore_free(&ignore);
	cap_tree_free(&tree);
	cap_package_free(&p);
	return result;
}

int cap_package_test(struct cap *c, const char *dir, bool pull_missing, int *status)
{
	char image[] = "/tmp/capstan-test-XXXXXX";
	int fd = mkstemp(image);
	if (fd < 0)
		return cap_fail_errno(c, "cannot create a temporary image");
	close(fd);
	struct cap_compose req = {.dir = dir,
	    .output = image,
	    .format = "raw",
	    .size = "10G",
	    .pull_missing = pull_missing};
	struct strv env = {0};
	bool ran = false;
	int result = cap_compose(c, &req);
	strv_addf(&env, "CAPSTAN_IMAGE=%s", image);
	if (!result)
		result = cap_run_hook(c, dir, "test", &env, &ran, status);
	if (!result && !ran) {
		struct cap_run run = {.image = image, .hypervisor = "qemu", .net = "none"};
		cap_info(c, "No meta/hooks/test: booting the image");
		result = cap_run_image(c, &run, status);
	}
	if (!result)
		cap_info(c, "Test %s (status %d)", *status ? "failed" : "passed", *status);
	unlink(image);
	strv_free(&env);
	return result;
}

static const char *or_dash(const char *s)
{
	return s ? s : "-";
}

static void add_text(
    struct cap *c, struct cap_tree *t, const char *path, const char *title, struct buf *out)
{
	struct cap_node *n = cap_tree_lookup(t, path);
	struct buf text = {0};
	if (n && S_ISREG(n->mode) && !cap_node_read(c, n, CAP_MANIFEST_MAX, &text))
		buf_printf(out, "\n%s:\n%s%s", title, text.data,
		    text.len && text.data[text.len - 1] != '\n' ? "\n" : "");
	buf_free(&text);
}

static int list_file(struct cap_node *n, void *arg)
{
	if (!S_ISDIR(n->mode)) {
		char *path = cap_node_path(n);
		strv_take(arg, path);
	}
	return 0;
}

static void describe_configs(
    struct cap *c, struct cap_tree *t, const char *name, struct buf *out, json_t *json)
{
	struct cap_runconf rc;
	bool found;
	if (cap_tree_runconf(c, t, name, &rc, &found) || !found)
		return;
	if (!json)
		buf_printf(out, "\nRUNTIME: %s\nCONFIGURATIONS:\n", rc.runtime->name);
	json_t *sets = json_object();
	for (size_t i = 0; i < rc.count; i++) {
		struct buf line = {0};
		buf_add(&line, "", 0);
		bool quiet = c->quiet_errors;
		c->quiet_errors = true;
		bool ok = !cap_config_boot(c, name, &rc.configs[i], &line);
		c->quiet_errors = quiet;
		bool is_default = rc.default_name && !strcmp(rc.default_name, rc.configs[i].name);
		if (!json)
			buf_printf(out, "  %s%s: %s\n", rc.configs[i].name,
			    is_default ? " (default)" : "",
			    ok ? line.data : "(to be completed by the user)");
		json_object_set_new(sets, rc.configs[i].name, json_string(ok ? line.data : ""));
		buf_free(&line);
	}
	if (json) {
		json_object_set_new(json, "runtime", json_string(rc.runtime->name));
		json_object_set(json, "configurations", sets);
	}
	json_decref(sets);
	cap_runconf_free(&rc);
}

static json_t *json_strings(const struct strv *v)
{
	json_t *list = json_array();
	for (size_t i = 0; i < v->count; i++)
		json_array_append_new(list, json_string(v->items[i]));
	return list;
}

static void describe(struct cap *c, const struct cap_package *p, struct cap_tree *t, bool content,
    bool as_json, struct buf *out)
{
	json_t *json = as_json ? json_object() : NULL;
	struct {
		const char *label, *value;
	} fields[] = {{"name", p->name}, {"title", p->title}, {"author", p->author},
	    {"version", p->version}, {"packaging", p->packaging}, {"created", p->created},
	    {"platform", p->platform}};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(fields); i++) {
		if (json)
			json_object_set_new(json, fields[i].label,
			    fields[i].value ? json_string(fields[i].value) : json_null());
		else
			buf_printf(out, "%-10s %s\n", fields[i].label, or_dash(fields[i].value));
	}
	if (json) {
		json_object_set_new(json, "require", json_strings(&p->require));
	} else {
		char *require = strv_join(&p->require, ", ");
		buf_printf(out, "%-10s %s\n", "require", *require ? require : "-");
		free(require);
	}
	describe_configs(c, t, p->name, out, json);
	struct strv files = {0};
	cap_tree_sort(t);
	if (content)
		cap_tree_walk(t, list_file, &files);
	if (!json) {
		add_text(c, t, "/meta/opts", "OPTIONS", out);
		add_text(c, t, "/meta/doc.yaml", "DOCUMENTATION", out);
		add_text(c, t, "/meta/README.md", "README", out);
		if (content)
			buf_puts(out, "\nCONTENT:\n");
		for (size_t i = 0; i < files.count; i++)
			buf_printf(out, "%s\n", files.items[i]);
	} else {
		if (content)
			json_object_set_new(json, "content", json_strings(&files));
		char *text = json_dumps(json, JSON_INDENT(2));
		buf_printf(out, "%s\n", text ? text : "{}");
		free(text);
		json_decref(json);
	}
	strv_free(&files);
}

int cap_package_describe(struct cap *c, const char *name, bool content, bool json, struct buf *out)
{
	struct cap_package p;
	struct cap_pack pack;
	int result = cap_repo_package(c, name, &p);
	if (result)
		return result;
	char *file = cap_repo_package_file(c, name);
	result = cap_pack_open(c, file, &pack);
	if (!result) {
		describe(c, &p, &pack.tree, content, json, out);
		cap_pack_close(&pack);
	}
	free(file);
	cap_package_free(&p);
	return result;
}
