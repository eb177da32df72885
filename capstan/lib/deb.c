/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `capstan package from-deb`: named packages come whole, what they depend on as far as it is
 * needed.
 *
 * Files of installed packages are taken from the host; others are unpacked from downloaded archives
 * into a tree each, which are then searched for the libraries the taken files need.
 */
#include "deb.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "deb_internal.h"
#include "elffile.h"
#include "hosttree.h"
#include "pack.h"

#define ELF_MAX (512u << 20)

struct fetched {
	struct cap_tree tree;
	int fd;
};

struct from_deb {
	struct cap *c;
	struct cap_tree tree;
	struct cap_collector col;
	struct deb_set set;
	struct fetched *fetched; /* by index in set; fd -1 when not fetched */
	char dir[32];		 /* for downloads */
	struct strv missing;
};

/* Documentation, translations and the host's service files are not for a guest. */
static bool unwanted(const char *path)
{
	static const char *const patterns[] = {"/usr/share/doc*", "/usr/share/man/*",
	    "/usr/share/locale/*", "/usr/share/lintian*", "/usr/share/info/*", "/usr/share/bug*",
	    "/usr/share/bash-completion*", "/usr/share/zsh*", "/usr/share/fish*",
	    "/usr/share/applications*", "/usr/share/icons*", "/usr/share/pixmaps*", "/lib/systemd*",
	    "/usr/lib/systemd*", "/etc/init.d*", "/etc/logrotate.d*", "/etc/cron*", "/etc/rc?.d*",
	    "/etc/default*", "/etc/apparmor.d*", "/etc/ufw*", "/usr/include/*", "*.a",
	    "/usr/src/*"};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(patterns); i++)
		if (!fnmatch(patterns[i], path, 0))
			return true;
	return false;
}

static bool skip_unwanted(void *arg, const char *relative, bool is_dir)
{
	(void)arg, (void)is_dir;
	char *path = xasprintf("/%s", relative);
	bool skip = unwanted(path);
	free(path);
	return skip;
}

/* Files of an installed package that are on the host. */
static int installed_files(struct from_deb *f, const struct deb_info *info, struct strv *files)
{
	struct strv args = {0};
	struct buf out = {0};
	int status;
	strv_add(&args, "dpkg-query");
	strv_add(&args, "-L");
	strv_add(&args, info->name);
	int result = deb_run(f->c, NULL, &args, &out, &status);
	char *save = NULL;
	for (char *line = strtok_r(out.data, "\n", &save); !result && line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct stat st;
		if (line[0] == '/' && line[1] && line[1] != '.' && !unwanted(line) &&
		    !lstat(line, &st))
			strv_add(files, line);
	}
	strv_free(&args);
	buf_free(&out);
	return result;
}

/* A package of libraries alone: only those that somebody needs are taken. */
static bool is_library_file(const char *path)
{
	const char *base = path_base(path);
	return has_prefix(base, "lib") && strstr(base, ".so") && strstr(path, "/lib/");
}

/* Plug-ins and tables beside libraries stay out, but languages keep their modules in such packages.
 */
static bool is_library_package(const struct deb_info *info)
{
	return info->section && !strcmp(info->section, "libs") &&
	       !has_prefix(info->name, "libperl") && !has_prefix(info->name, "libpython");
}

static bool only_libraries(const struct deb_info *info, const struct strv *files)
{
	if (is_library_package(info))
		return true;
	for (size_t i = 0; i < files->count; i++) {
		struct stat st;
		if (!lstat(files->items[i], &st) && !S_ISDIR(st.st_mode) &&
		    !is_library_file(files->items[i]))
			return false;
	}
	return true;
}

/* Scripts beside a program (examples, tools for the administrator) do not bring their interpreter.
 */
static bool is_side_script(const char *path)
{
	char start[2] = "", *dir = path_dir(path);
	const char *base = path_base(dir);
	bool command = !strcmp(base, "bin") || !strcmp(base, "sbin");
	int fd = command ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	bool script = fd >= 0 && read(fd, start, 2) == 2 && !memcmp(start, "#!", 2);
	if (fd >= 0)
		close(fd);
	free(dir);
	return script;
}

static int take_installed(struct from_deb *f, const struct deb_info *info)
{
	struct strv files = {0};
	int result = installed_files(f, info, &files);
	if (!result && (info->requested || !only_libraries(info, &files)))
		for (size_t i = 0; !result && i < files.count; i++) {
			struct stat st;
			if (lstat(files.items[i], &st))
				continue;
			/* Plug-ins may find their libraries in ways of their own: none is required.
			 */
			f->col.optional = true;
			if (S_ISDIR(st.st_mode))
				result = cap_tree_mkdir(
				    f->c, &f->tree, files.items[i], st.st_mode & 07777);
			else if (S_ISLNK(st.st_mode) || !access(files.items[i], R_OK))
				result =
				    access(files.items[i], F_OK) || is_side_script(files.items[i])
					? cap_tree_add_host(
					      f->c, &f->tree, files.items[i], files.items[i])
					: cap_collect_path(&f->col, files.items[i]);
		}
	f->col.optional = false;
	strv_free(&files);
	return result;
}

static int not_library(struct cap_node *n, void *arg)
{
	(void)arg;
	if (S_ISDIR(n->mode))
		return 0;
	char *path = cap_node_path(n);
	int other = !unwanted(path) && !is_library_file(path);
	free(path);
	return other;
}

static int take_downloaded(struct from_deb *f, const struct deb_info *info, struct fetched *x)
{
	cap_tree_init(&x->tree);
	x->fd = memfd_create("deb", MFD_CLOEXEC);
	int result = deb_fetch(f->c, info->name, f->dir, x->fd, &x->tree);
	if (!result && (info->requested || (!is_library_package(info) &&
					       cap_tree_walk(&x->tree, not_library, NULL))))
		result = cap_tree_merge(f->c, &f->tree, &x->tree, skip_unwanted, NULL);
	return result;
}

static struct cap_node *library_in(struct cap_tree *t, const char *name)
{
	static const char *const dirs[] = {"/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu",
	    "/usr/lib", "/lib", "/usr/lib64", "/lib64"};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(dirs); i++) {
		char *path = path_join(dirs[i], name);
		struct cap_node *n = cap_tree_lookup(t, path);
		free(path);
		if (n)
			return n;
	}
	return NULL;
}

/* Copies a node of a downloaded package, and what it links to, into the new package. */
static int take_node(struct from_deb *f, struct cap_tree *from, struct cap_node *n)
{
	for (int links = 0; n && links < 8; links++) {
		char *path = cap_node_path(n);
		struct stat st = {.st_mode = n->mode, .st_mtime = n->mtime, .st_size = n->size};
		struct cap_node *copy;
		int result = S_ISLNK(n->mode) ? cap_tree_add_link(f->c, &f->tree, path, n->data)
					      : cap_tree_add(f->c, &f->tree, path, &st, &copy);
		free(path);
		if (result || !S_ISLNK(n->mode)) {
			if (!result && S_ISREG(n->mode)) {
				copy->source = n->source;
				copy->fd = n->fd;
				copy->offset = n->offset;
			}
			return result;
		}
		char *dir = cap_node_path(n->parent), *target = path_join(dir, n->data);
		n = cap_tree_lookup(from, target);
		free(dir);
		free(target);
	}
	return 0;
}

static int find_needed(struct from_deb *f, const char *name, const char *user)
{
	static const char *const dirs[] = {
	    "/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/lib64", "/usr/lib"};
	if (library_in(&f->tree, name))
		return 0;
	for (size_t i = 0; i < f->set.count; i++)
		if (f->fetched[i].fd >= 0) {
			struct cap_node *n = library_in(&f->fetched[i].tree, name);
			if (n)
				return take_node(f, &f->fetched[i].tree, n);
		}
	for (size_t i = 0; i < CAP_ARRAY_SIZE(dirs); i++) {
		char *path = path_join(dirs[i], name);
		int there = path_exists(path), result = there ? cap_collect_path(&f->col, path) : 0;
		free(path);
		if (there)
			return result ? result : cap_collect_finish(&f->col);
	}
	strv_addf(&f->missing, "%s (needed by %s)", name, user);
	return 0;
}

struct scan {
	struct from_deb *f;
	struct strv needed, users;
};

/* The interpreter of a command that is a script comes from this host, as Debian's base system. */
static int script_interpreter(struct from_deb *f, struct cap_node *n)
{
	char line[128] = "";
	const char *dir = n->parent ? n->parent->name : NULL;
	if (!(n->mode & 0111) || !dir || (strcmp(dir, "bin") && strcmp(dir, "sbin")) ||
	    pread(n->fd, line, cap_min(n->size, sizeof(line) - 1), n->offset) < 3 ||
	    strncmp(line, "#!", 2))
		return 0;
	char *path = line + 2 + strspn(line + 2, " \t");
	path[strcspn(path, " \t\n")] = 0;
	if (path[0] != '/' || cap_tree_resolve(&f->tree, path) || !path_exists(path))
		return 0;
	int result = cap_collect_path(&f->col, path);
	return result ? result : cap_collect_finish(&f->col);
}

static int scan_node(struct cap_node *n, void *arg)
{
	struct scan *s = arg;
	struct buf data = {0};
	struct cap_elf elf;
	const char *why;
	char magic[4];
	if (!S_ISREG(n->mode) || n->source != CAP_SRC_RANGE || n->size > ELF_MAX)
		return 0;
	if (n->size < 64 || pread(n->fd, magic, 4, n->offset) != 4 || memcmp(magic, "\177ELF", 4))
		return script_interpreter(s->f, n);
	int result = cap_node_read(s->f->c, n, ELF_MAX, &data);
	if (!result && cap_elf_parse(data.data, data.len, &elf, &why) == CAP_ELF_OK) {
		for (size_t i = 0; i < elf.needed.count; i++) {
			if (strv_has(&s->needed, elf.needed.items[i]))
				continue;
			strv_add(&s->needed, elf.needed.items[i]);
			strv_take(&s->users, cap_node_path(n));
		}
		if (elf.interpreter && path_exists(elf.interpreter))
			result = cap_collect_path(&s->f->col, elf.interpreter);
		cap_elf_free(&elf);
	}
	buf_free(&data);
	return result;
}

/* Goes over the downloaded files until they have every library they need. */
static int complete(struct from_deb *f)
{
	int result = cap_collect_finish(&f->col);
	for (size_t before = 0; !result && before != f->tree.count;) {
		struct scan s = {.f = f};
		before = f->tree.count;
		strv_free(&f->missing);
		result = cap_tree_walk(&f->tree, scan_node, &s);
		for (size_t i = 0; !result && i < s.needed.count; i++)
			result = find_needed(f, s.needed.items[i], s.users.items[i]);
		strv_free(&s.needed);
		strv_free(&s.users);
	}
	for (size_t i = 0; i < f->missing.count; i++)
		cap_detail(f->c, "not found: %s", f->missing.items[i]);
	return result;
}

/* Debian's "5:7.0.15-1~deb12u1" is version 7.0.15 of the software. */
static char *software_version(const char *version)
{
	const char *colon = strchr(version, ':');
	version = colon ? colon + 1 : version;
	return xstrndup(version, strcspn(version, "-+~"));
}

/* Debian 12 has its programs below /usr; packages that still name /bin or /lib mean the same. */
static int add_merged_usr(struct from_deb *f)
{
	static const char *const dirs[] = {"bin", "sbin", "lib", "lib64"};
	int result = 0;
	for (size_t i = 0; !result && i < CAP_ARRAY_SIZE(dirs); i++) {
		char *link = xasprintf("/%s", dirs[i]), *target = xasprintf("usr/%s", dirs[i]);
		char *dir = xasprintf("/%s", target);
		result = cap_tree_mkdir(f->c, &f->tree, dir, 0755);
		if (!result)
			result = cap_tree_add_link(f->c, &f->tree, link, target);
		free(link);
		free(target);
		free(dir);
	}
	return result;
}

static int collect(struct from_deb *f, const struct strv *names)
{
	int result = deb_closure(f->c, names, &f->set);
	if (!result)
		result = add_merged_usr(f);
	if (result)
		return result;
	f->fetched = xcalloc(f->set.count, sizeof(*f->fetched));
	for (size_t i = 0; i < f->set.count; i++)
		f->fetched[i].fd = -1;
	for (size_t i = 0; !result && i < f->set.count; i++) {
		const struct deb_info *info = &f->set.list[i];
		if (info->base && !info->requested)
			continue;
		result = info->installed ? take_installed(f, info)
					 : take_downloaded(f, info, &f->fetched[i]);
	}
	return result ? result : complete(f);
}

int cap_package_from_deb(struct cap *c, const struct strv *names, const struct cap_made *made)
{
	struct from_deb f = {.c = c};
	strcpy(f.dir, "/tmp/capstan-deb-XXXXXX");
	if (!mkdtemp(f.dir))
		return cap_fail_errno(c, "cannot create a directory for downloads");
	chmod(f.dir, 0755); /* apt downloads as another user */
	cap_tree_init(&f.tree);
	cap_collector_init(&f.col, c, &f.tree);
	int result = collect(&f, names);
	for (size_t i = 0; !result && i < f.set.count; i++) {
		const struct deb_info *info = &f.set.list[i];
		if (strcmp(info->name, names->items[0]))
			continue;
		char *version = software_version(info->version ? info->version : "0");
		result = cap_made_publish(c, &f.tree, made, info->name, info->title, version);
		free(version);
	}
	for (size_t i = 0; f.fetched && i < f.set.count; i++)
		if (f.fetched[i].fd >= 0) {
			cap_tree_free(&f.fetched[i].tree);
			close(f.fetched[i].fd);
		}
	free(f.fetched);
	deb_set_free(&f.set);
	cap_collector_free(&f.col);
	cap_tree_free(&f.tree);
	strv_free(&f.missing);
	remove_all(f.dir);
	return result;
}
