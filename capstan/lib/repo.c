/* SPDX-License-Identifier: BSD-3-Clause */
/* The local repository. */
#include "repo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "image.h"
#include "instance.h"
#include "pack.h"
#include "yamldoc.h"

char *cap_repo_path(struct cap *c, const char *name)
{
	return path_join(c->root, name);
}

int cap_repo_dir(struct cap *c, const char *name)
{
	char *path = cap_repo_path(c, name);
	int result = mkdir_all(path, 0755);
	if (result)
		cap_fail(c, -result, "cannot create %s: %s", path, strerror(-result));
	free(path);
	return result;
}

int cap_repo_lock(struct cap *c, const char *name)
{
	int result = cap_repo_dir(c, "lock");
	if (result)
		return result;
	char *relative = xasprintf("lock/%s", name), *path = cap_repo_path(c, relative);
	for (char *p = relative + 5, *q = path + strlen(path) - strlen(p); *p; p++, q++)
		if (*p == '/')
			*q = '_';
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		fd = cap_fail_errno(c, "cannot lock %s", path);
	else if (flock(fd, LOCK_EX)) {
		int error = cap_fail_errno(c, "cannot lock %s", path);
		close(fd);
		fd = error;
	}
	free(relative);
	free(path);
	return fd;
}

char *cap_timestamp(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t now = epoch && *epoch ? atoll(epoch) : time(NULL);
	struct tm tm;
	char text[32];
	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return xstrdup(text);
}

char *cap_repo_package_file(struct cap *c, const char *name)
{
	char *relative = xasprintf("packages/%s.mpm", name), *path = cap_repo_path(c, relative);
	free(relative);
	return path;
}

static char *manifest_file(struct cap *c, const char *name)
{
	char *relative = xasprintf("packages/%s.yaml", name), *path = cap_repo_path(c, relative);
	free(relative);
	return path;
}

int cap_repo_packages(struct cap *c, struct strv *names)
{
	char *path = cap_repo_path(c, "packages");
	DIR *d = opendir(path);
	int result = 0;
	if (!d && errno != ENOENT)
		result = cap_fail_errno(c, "cannot read %s", path);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!has_suffix(e->d_name, ".yaml"))
			continue;
		char *name = xstrndup(e->d_name, strlen(e->d_name) - 5);
		if (cap_name_valid(name) && cap_repo_has_package(c, name))
			strv_add(names, name);
		free(name);
	}
	if (d)
		closedir(d);
	strv_sort(names);
	free(path);
	return result;
}

bool cap_repo_has_package(struct cap *c, const char *name)
{
	char *mpm = cap_repo_package_file(c, name), *yaml = manifest_file(c, name);
	bool yes = path_exists(mpm) && path_exists(yaml);
	free(mpm);
	free(yaml);
	return yes;
}

int cap_repo_package(struct cap *c, const char *name, struct cap_package *p)
{
	*p = (struct cap_package){0};
	if (!cap_name_valid(name))
		return cap_fail(c, EINVAL, "\"%s\" is not a package name", name);
	if (!cap_repo_has_package(c, name)) {
		struct strv all = {0};
		cap_repo_packages(c, &all);
		const char *near =
		    all.count ? nearest_word(name, (const char *const *)all.items) : NULL;
		int result = cap_fail(c, ENOENT,
		    "package %s is not in the local repository%s%s%s; get it with "
		    "`capstan package pull %s` or use --pull-missing",
		    name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", name);
		strv_free(&all);
		return result;
	}
	char *path = manifest_file(c, name);
	struct buf text = {0};
	int result = file_read(path, CAP_MANIFEST_MAX, &text);
	if (result)
		result = cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result));
	else
		result = cap_package_parse(c, path, text.data, text.len, p);
	buf_free(&text);
	free(path);
	return result;
}

static int copy_file(struct cap *c, const char *from, const char *to)
{
	char *tmp = xasprintf("%s.%d.tmp", to, (int)getpid()), *chunk = xmalloc(1 << 20);
	int in = open(from, O_RDONLY | O_CLOEXEC), result = 0;
	int out = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (in < 0)
		result = cap_fail_errno(c, "cannot read %s", from);
	else if (out < 0)
		result = cap_fail_errno(c, "cannot create %s", tmp);
	for (ssize_t n; !result && (n = read(in, chunk, 1 << 20)) != 0;)
		if (n < 0 ? errno != EINTR : write_all(out, chunk, n))
			result = cap_fail_errno(c, "cannot copy %s", from);
	if (!result && (fsync(out) || rename(tmp, to)))
		result = cap_fail_errno(c, "cannot create %s", to);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	if (result)
		unlink(tmp);
	free(tmp);
	free(chunk);
	return result;
}

/* The manifest inside an archive. */
static int archive_manifest(struct cap *c, const char *mpm, struct buf *text)
{
	struct cap_pack pack;
	int result = cap_pack_open(c, mpm, &pack);
	if (result)
		return result;
	struct cap_node *n = cap_tree_lookup(&pack.tree, "/meta/package.yaml");
	result = n ? cap_node_read(c, n, CAP_MANIFEST_MAX, text)
		   : cap_fail(c, EBADMSG, "%s is not a package: it has no meta/package.yaml", mpm);
	cap_pack_close(&pack);
	return result;
}

int cap_repo_import(struct cap *c, const char *mpm, struct cap_package *p)
{
	struct buf text = {0};
	*p = (struct cap_package){0};
	char *full = path_absolute(mpm);
	int result = archive_manifest(c, full, &text);
	if (!result)
		result = cap_package_parse(c, path_base(mpm), text.data, text.len, p);
	if (!result)
		result = cap_repo_dir(c, "packages");
	int lock = result ? result : cap_repo_lock(c, "packages");
	if (!result && lock < 0)
		result = lock;
	if (!result) {
		char *file = cap_repo_package_file(c, p->name), *yaml = manifest_file(c, p->name);
		if (strcmp(file, full))
			result = copy_file(c, full, file);
		if (!result)
			result = file_write_atomic(yaml, text.data, text.len, 0644);
		if (result)
			cap_fail(c, -result, "cannot import %s: %s", mpm, strerror(-result));
		free(file);
		free(yaml);
	}
	if (lock >= 0)
		close(lock);
	buf_free(&text);
	free(full);
	if (result)
		cap_package_free(p);
	return result;
}

int cap_repo_remove_package(struct cap *c, const char *name)
{
	struct cap_package p;
	int result = cap_repo_package(c, name, &p);
	if (result)
		return result;
	char *file = cap_repo_package_file(c, name), *yaml = manifest_file(c, name);
	/* The manifest goes first: without it the package does not exist any more. */
	if (unlink(yaml) || unlink(file))
		result = cap_fail_errno(c, "cannot remove package %s", name);
	free(file);
	free(yaml);
	cap_package_free(&p);
	return result;
}

char *cap_repo_image_dir(struct cap *c, const char *name)
{
	char *relative = xasprintf("repository/%s", name), *path = cap_repo_path(c, relative);
	free(relative);
	return path;
}

static char *image_file(struct cap *c, const char *name)
{
	char *dir = cap_repo_image_dir(c, name);
	char *path = xasprintf("%s/%s.qemu", dir, path_base(name));
	free(dir);
	return path;
}

static void free_image_info(struct cap_image_info *i)
{
	free(i->name);
	free(i->path);
	free(i->description);
	free(i->version);
	free(i->created);
	free(i->format);
	free(i->cmdline);
	free(i->package);
}

void cap_image_info_free(struct cap_image_info *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free_image_info(&list[i]);
	free(list);
}

int cap_repo_write_index(struct cap *c, const char *name, const struct cap_image_info *info)
{
	struct {
		const char *key, *value;
	} fields[] = {{"format_version", "1"}, {"version", info->version},
	    {"created", info->created}, {"description", info->description},
	    {"package", info->package}, {"format", info->format}, {"cmdline", info->cmdline}};
	struct buf out = {0};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(fields); i++) {
		if (!fields[i].value)
			continue;
		buf_printf(&out, "%s: ", fields[i].key);
		cap_yaml_quote(&out, fields[i].value);
		buf_putc(&out, '\n');
	}
	char *dir = cap_repo_image_dir(c, name), *path = path_join(dir, "index.yaml");
	int result = file_write_atomic(path, out.data, out.len, 0644);
	if (result)
		cap_fail(c, -result, "cannot write %s: %s", path, strerror(-result));
	free(dir);
	free(path);
	buf_free(&out);
	return result;
}

/* Reads index.yaml as far as it is there; an image without one is still an image. */
static void read_index(struct cap *c, const char *name, struct cap_image_info *info)
{
	struct {
		const char *key;
		char **value;
	} fields[] = {{"version", &info->version}, {"created", &info->created},
	    {"description", &info->description}, {"package", &info->package},
	    {"format", &info->format}, {"cmdline", &info->cmdline}};
	char *dir = cap_repo_image_dir(c, name), *path = path_join(dir, "index.yaml");
	struct buf text = {0};
	struct cap_yaml_node *doc = NULL;
	bool quiet = c->quiet_errors;
	c->quiet_errors = true;
	if (!file_read(path, CAP_MANIFEST_MAX, &text) &&
	    !cap_yaml_parse(c, path, text.data, text.len, &doc))
		for (size_t i = 0; i < CAP_ARRAY_SIZE(fields); i++)
			cap_yaml_string(c, path, doc, fields[i].key, fields[i].value);
	c->quiet_errors = quiet;
	cap_yaml_free(doc);
	buf_free(&text);
	free(path);
	free(dir);
}

static void add_image(struct cap *c, const char *name, struct cap_image_info **list, size_t *count)
{
	char *path = image_file(c, name);
	struct stat st;
	if (stat(path, &st)) {
		free(path);
		return;
	}
	*list = xrealloc(*list, (*count + 1) * sizeof(**list));
	struct cap_image_info *info = &(*list)[(*count)++];
	*info = (struct cap_image_info){
	    .name = xstrdup(name), .path = path, .bytes = st.st_blocks * 512ull};
	read_index(c, name, info);
}

static int compare_images(const void *a, const void *b)
{
	const struct cap_image_info *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void scan_images(
    struct cap *c, const char *space, struct cap_image_info **list, size_t *count)
{
	char *relative = xasprintf("repository%s%s", *space ? "/" : "", space);
	char *path = cap_repo_path(c, relative);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!cap_name_valid(e->d_name))
			continue;
		char *name = *space ? xasprintf("%s/%s", space, e->d_name) : xstrdup(e->d_name);
		size_t before = *count;
		add_image(c, name, list, count);
		if (before == *count && !*space)
			scan_images(c, name, list, count);
		free(name);
	}
	if (d)
		closedir(d);
	free(path);
	free(relative);
}

int cap_repo_images(struct cap *c, struct cap_image_info **list, size_t *count)
{
	*list = NULL;
	*count = 0;
	scan_images(c, "", list, count);
	if (*count)
		qsort(*list, *count, sizeof(**list), compare_images);
	return 0;
}

char *cap_repo_image_file(struct cap *c, const char *name)
{
	if (cap_image_name_valid(name)) {
		char *path = image_file(c, name);
		if (path_exists(path))
			return path;
		free(path);
	}
	struct stat st;
	if (!stat(name, &st) && S_ISREG(st.st_mode))
		return path_absolute(name);
	struct cap_image_info *list;
	struct strv names = {0};
	size_t count;
	cap_repo_images(c, &list, &count);
	for (size_t i = 0; i < count; i++)
		strv_add(&names, list[i].name);
	const char *near = count ? nearest_word(name, (const char *const *)names.items) : NULL;
	cap_fail(c, ENOENT, "no image \"%s\"%s%s%s; `capstan images` lists them", name,
	    near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	strv_free(&names);
	cap_image_info_free(list, count);
	return NULL;
}

int cap_repo_remove_image(struct cap *c, const char *name)
{
	char *path = cap_image_name_valid(name) ? image_file(c, name) : NULL;
	if (!path || !path_exists(path)) {
		free(path);
		return cap_fail(c, ENOENT, "no image \"%s\"", name);
	}
	char *user = cap_instance_using(c, path);
	if (user) {
		int result = cap_fail(c, EBUSY, "image %s is in use by instance %s", name, user);
		free(user);
		free(path);
		return result;
	}
	char *dir = cap_repo_image_dir(c, name);
	int result = unlink(path) ? -errno : remove_all(dir);
	if (result)
		cap_fail(c, -result, "cannot remove image %s: %s", name, strerror(-result));
	free(path);
	free(dir);
	return result;
}

int cap_repo_import_image(
    struct cap *c, const char *name, const char *file, const char *description, const char *version)
{
	struct cap_image img;
	if (!cap_image_name_valid(name))
		return cap_fail(c, EINVAL, "\"%s\" is not an image name ([NAMESPACE/]NAME)", name);
	int result = cap_image_open(c, file, &img);
	if (result)
		return result;
	char *dir = cap_repo_image_dir(c, name), *path = image_file(c, name);
	char *created = cap_timestamp();
	struct cap_image_info info = {.description = (char *)description,
	    .version = (char *)version,
	    .created = created,
	    .cmdline = *img.cmdline ? img.cmdline : NULL,
	    .format = (char *)(img.format == CAP_FORMAT_QCOW2 ? "qcow2" : "raw")};
	if ((result = mkdir_all(dir, 0755)))
		cap_fail(c, -result, "cannot create %s: %s", dir, strerror(-result));
	if (!result)
		result = copy_file(c, file, path);
	if (!result)
		result = cap_repo_write_index(c, name, &info);
	free(created);
	free(dir);
	free(path);
	cap_image_close(&img);
	return result;
}
