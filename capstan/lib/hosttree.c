/* SPDX-License-Identifier: BSD-3-Clause */
/* Collecting a program of this host with all it needs into a tree. */
#include "hosttree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elffile.h"

#define CONF_MAX (1 << 20)
#define CONF_DEPTH 8
#define SHEBANG_MAX 256

/* Directories that a well-known program expects besides its libraries; globs, first match order. */
static const struct well_known {
	const char *program; /* pattern for the base name of the real file */
	const char *dirs[12];
} well_known[] = {
    {"python3*", {"/usr/lib/python3", "/usr/lib/python3.[0-9]*", "/etc/python3.[0-9]*",
		     "/usr/local/lib/python3.[0-9]*"}},
    {"perl*",
	{"/usr/share/perl", "/usr/share/perl5", "/usr/lib/x86_64-linux-gnu/perl",
	    "/usr/lib/x86_64-linux-gnu/perl-base", "/usr/lib/x86_64-linux-gnu/perl5", "/etc/perl"}},
    {"node", {"/usr/share/nodejs", "/usr/lib/x86_64-linux-gnu/nodejs"}},
    {"nodejs", {"/usr/share/nodejs", "/usr/lib/x86_64-linux-gnu/nodejs"}},
    {"lua5*", {"/usr/share/lua", "/usr/lib/x86_64-linux-gnu/lua"}},
    {"ruby*", {"/usr/lib/ruby", "/usr/lib/x86_64-linux-gnu/ruby"}},
    {"tclsh*", {"/usr/share/tcltk", "/usr/lib/tcltk"}},
    {"php*", {"/usr/lib/php", "/usr/share/php", "/etc/php"}},
    {"beam.smp", {"/usr/lib/erlang"}},
    {"openssl", {"/etc/ssl", "/usr/lib/ssl", "/usr/lib/x86_64-linux-gnu/ossl-modules"}},
    {"curl", {"/etc/ssl"}},
    {"wget", {"/etc/ssl"}},
    {"nginx", {"/etc/nginx", "/usr/share/nginx", "/usr/lib/nginx"}},
    {"redis-*", {"/etc/redis"}},
    {"haproxy", {"/etc/haproxy"}},
    {"mosquitto", {"/etc/mosquitto"}},
};

/* Never wanted in a guest, whatever directory they are in. */
static const char *const unwanted[] = {"python3.*/test", "python3.*/config-*", "python3.*/idlelib",
    "python3.*/tkinter", "python3.*/turtledemo", "python3.*/ensurepip", "python3.*/lib2to3/tests",
    "*/jvm/*/jmods", "*/jvm/*/lib/src.zip", "*/jvm/*/lib/ct.sym", "*/jvm/*/include", "*/jvm/*/demo",
    "*/jvm/*/man", "*.a", "*/ssl/private"};

static int compare_paths(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Remembers a path; false when it was known already. */
static bool remember(struct cap_collector *col, const char *path)
{
	char *copy = xstrdup(path);
	char **found = tsearch(copy, &col->seen, compare_paths);
	if (*found == copy)
		return true;
	free(copy);
	return false;
}

static void read_conf(struct strv *dirs, const char *path, int depth)
{
	struct buf text = {0};
	char *save = NULL;
	if (depth > CONF_DEPTH || file_read(path, CONF_MAX, &text)) {
		buf_free(&text);
		return;
	}
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, "#")] = 0;
		line += strspn(line, " \t");
		for (size_t n = strlen(line); n && isspace((unsigned char)line[n - 1]);)
			line[--n] = 0;
		if (has_prefix(line, "include ") || has_prefix(line, "include\t")) {
			glob_t g;
			const char *pattern = line + 8 + strspn(line + 8, " \t");
			if (!glob(pattern, 0, NULL, &g))
				for (size_t i = 0; i < g.gl_pathc; i++)
					read_conf(dirs, g.gl_pathv[i], depth + 1);
			globfree(&g);
		} else if (line[0] == '/') {
			strv_add(dirs, line);
		}
	}
	buf_free(&text);
}

void cap_collector_init(struct cap_collector *col, struct cap *c, struct cap_tree *tree)
{
	static const char *const musl[] = {"/lib/x86_64-linux-musl", "/usr/lib/x86_64-linux-musl",
	    "/lib", "/usr/local/lib", "/usr/lib"};
	*col = (struct cap_collector){.c = c, .tree = tree};
	read_conf(&col->library_dirs, "/etc/ld.so.conf", 0);
	for (size_t i = 0; i < CAP_ARRAY_SIZE(musl); i++)
		strv_add(&col->musl_dirs, musl[i]);
}

void cap_collector_free(struct cap_collector *col)
{
	strv_free(&col->queue);
	strv_free(&col->library_dirs);
	strv_free(&col->musl_dirs);
	strv_free(&col->missing);
	tdestroy(col->seen, free);
	*col = (struct cap_collector){0};
}

static void queue_file(struct cap_collector *col, const char *path)
{
	strv_addf(&col->queue, "%c%s", col->optional ? '?' : '!', path);
}

int cap_collect_path(struct cap_collector *col, const char *host)
{
	char *path = path_absolute(host);
	struct buf at = {0};
	int result = 0, links = 0;
	/* Walks the components; at a link adds it and goes on with what it names. */
	for (char *rest = path; !result && *rest;) {
		size_t n = strcspn(rest + 1, "/") + 1;
		buf_add(&at, rest, n);
		rest += n;
		struct stat st;
		if (lstat(at.data, &st)) {
			result = cap_fail_errno(col->c, "cannot read %s", host);
		} else if (S_ISLNK(st.st_mode)) {
			char target[4096];
			ssize_t len = readlink(at.data, target, sizeof(target) - 1);
			if (len < 0 || ++links > 40) {
				result =
				    cap_fail(col->c, ELOOP, "cannot follow the link %s", at.data);
				break;
			}
			target[len] = 0;
			if (!cap_tree_lookup(col->tree, at.data))
				result = cap_tree_add_link(col->c, col->tree, at.data, target);
			char *dir = path_dir(at.data), *base = path_join(dir, target);
			char *full = xasprintf("%s%s", base, rest), *clean = path_clean(full);
			free(dir);
			free(base);
			free(full);
			free(path);
			path = rest = clean;
			at.len = 0;
		} else if (!*rest && remember(col, at.data)) {
			result = cap_tree_add_host(col->c, col->tree, at.data, at.data);
			if (!result && S_ISREG(st.st_mode))
				queue_file(col, at.data);
		}
	}
	free(path);
	buf_free(&at);
	return result;
}

static bool is_unwanted(const char *path)
{
	for (size_t i = 0; i < CAP_ARRAY_SIZE(unwanted); i++) {
		char *pattern = xasprintf("*%s%s", unwanted[i][0] == '*' ? "" : "/", unwanted[i]);
		bool match = !fnmatch(pattern, path, 0);
		free(pattern);
		if (match)
			return true;
	}
	return false;
}

/* Only ELF objects inside a directory need examining; scripts there run by chance only. */
static bool is_elf(const char *path)
{
	char magic[4] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool yes = fd >= 0 && read(fd, magic, 4) == 4 && !memcmp(magic, "\177ELF", 4);
	if (fd >= 0)
		close(fd);
	return yes;
}

static int collect_entry(struct cap_collector *col, const char *top, const char *path);

static int collect_children(struct cap_collector *col, const char *top, const char *dir)
{
	DIR *d = opendir(dir);
	if (!d) {
		cap_detail(col->c, "left out %s: %s", dir, strerror(errno));
		return 0;
	}
	int result = 0;
	for (struct dirent *e; !result && (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		char *path = path_join(dir, e->d_name);
		if (!is_unwanted(path))
			result = collect_entry(col, top, path);
		free(path);
	}
	closedir(d);
	return result;
}

static bool is_below(const char *path, const char *top)
{
	return has_prefix(path, top) && (path[strlen(top)] == '/' || !path[strlen(top)]);
}

static int collect_entry(struct cap_collector *col, const char *top, const char *path)
{
	struct stat st;
	if (lstat(path, &st))
		return cap_fail_errno(col->c, "cannot read %s", path);
	if (!S_ISLNK(st.st_mode) && !remember(col, path))
		return 0;
	if (S_ISREG(st.st_mode) && access(path, R_OK)) {
		cap_detail(col->c, "left out %s: %s", path, strerror(errno));
		return 0;
	}
	int result = cap_tree_add_host(col->c, col->tree, path, path);
	if (result)
		return result;
	if (S_ISDIR(st.st_mode))
		return collect_children(col, top, path);
	if (S_ISREG(st.st_mode) && is_elf(path)) {
		bool before = col->optional;
		col->optional = true;
		queue_file(col, path);
		col->optional = before;
	}
	if (!S_ISLNK(st.st_mode))
		return 0;
	char *real = realpath(path, NULL);
	if (real && !is_below(real, top)) {
		struct stat target;
		if (stat(real, &target) == 0 && S_ISDIR(target.st_mode))
			result = cap_collect_dir(col, path);
		else
			result = cap_collect_path(col, path);
	}
	free(real);
	return result;
}

int cap_collect_as(struct cap_collector *col, const char *host, const char *guest)
{
	char *real = realpath(host, NULL);
	if (!real)
		return cap_fail_errno(col->c, "cannot read %s", host);
	int result = cap_tree_add_host(col->c, col->tree, real, guest);
	if (!result)
		queue_file(col, real);
	free(real);
	return result;
}

int cap_collect_dir(struct cap_collector *col, const char *host)
{
	int result = cap_collect_path(col, host);
	char *real = realpath(host, NULL);
	if (!result && real)
		result = collect_children(col, real, real);
	free(real);
	return result;
}

/* Replaces $ORIGIN (and ${ORIGIN}, $LIB) in one search directory. */
static char *expand_dir(const char *dir, size_t len, const char *origin)
{
	static const struct {
		const char *name;
		const char *value;
	} words[] = {{"$ORIGIN", NULL}, {"${ORIGIN}", NULL}, {"$LIB", "lib/x86_64-linux-gnu"},
	    {"${LIB}", "lib/x86_64-linux-gnu"}, {"$PLATFORM", "x86_64"}, {"${PLATFORM}", "x86_64"}};
	struct buf out = {0};
	buf_add(&out, "", 0);
	for (size_t i = 0; i < len;) {
		size_t w = 0;
		while (w < CAP_ARRAY_SIZE(words) &&
		       !(strlen(words[w].name) <= len - i &&
			   !strncmp(dir + i, words[w].name, strlen(words[w].name))))
			w++;
		if (w == CAP_ARRAY_SIZE(words)) {
			buf_putc(&out, dir[i++]);
			continue;
		}
		buf_puts(&out, words[w].value ? words[w].value : origin);
		i += strlen(words[w].name);
	}
	return buf_take(&out);
}

/* A file that is a usable library, as ld.so judges: others are passed over in the search. */
static bool usable_library(const char *path)
{
	struct cap_elf elf;
	const char *why;
	bool ok = cap_elf_read(path, &elf, &why) == CAP_ELF_OK;
	if (ok)
		cap_elf_free(&elf);
	return ok;
}

static char *search_list(const char *list, const char *origin, const char *name)
{
	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, ":");
		char *dir = expand_dir(p, n, origin), *path = path_join(dir, name);
		free(dir);
		if (n && usable_library(path))
			return path;
		free(path);
		p += n + (p[n] == ':');
	}
	return NULL;
}

static char *search_dirs(const struct strv *dirs, const char *name)
{
	for (size_t i = 0; i < dirs->count; i++) {
		char *path = path_join(dirs->items[i], name);
		if (usable_library(path))
			return path;
		free(path);
	}
	return NULL;
}

static char *find_library(
    struct cap_collector *col, const struct cap_elf *elf, const char *origin, const char *name)
{
	static const char defaults[] = "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64:"
				       "/usr/lib64:/lib:/usr/lib";
	char *path = NULL;
	if (strchr(name, '/')) {
		char *full = path_join(origin, name);
		if (usable_library(full))
			return full;
		free(full);
		return NULL;
	}
	if (!elf->runpath)
		path = search_list(elf->rpath, origin, name);
	if (!path)
		path = search_list(getenv("LD_LIBRARY_PATH"), origin, name);
	if (!path)
		path = search_list(elf->runpath, origin, name);
	if (path)
		return path;
	if (col->musl)
		return search_dirs(&col->musl_dirs, name);
	path = search_list(defaults, origin, name);
	if (!path && (path = search_dirs(&col->library_dirs, name)))
		col->needs_cache = true;
	return path;
}

static int examine_elf(struct cap_collector *col, const char *file, const struct cap_elf *elf)
{
	int result = 0;
	if (elf->interpreter) {
		col->musl = strstr(path_base(elf->interpreter), "musl");
		result = cap_collect_path(col, elf->interpreter);
	}
	char *real = realpath(file, NULL), *origin = path_dir(real ? real : file);
	for (size_t i = 0; !result && i < elf->needed.count; i++) {
		const char *name = elf->needed.items[i];
		/* musl's loader is libc itself under another name. */
		if (col->musl && has_prefix(name, "libc.musl-"))
			continue;
		char *path = find_library(col, elf, origin, name);
		if (path)
			result = cap_collect_path(col, path);
		else if (col->optional)
			cap_detail(col->c, "%s needs %s, which is not on this host", file, name);
		else
			strv_addf(&col->missing, "%s (needed by %s)", name, file);
		free(path);
	}
	free(real);
	free(origin);
	return result;
}

/* "#!interpreter argument": adds the interpreter, and what `env NAME` would start. */
static int examine_script(struct cap_collector *col, const char *file)
{
	char line[SHEBANG_MAX];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	if (fd >= 0)
		close(fd);
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return 0;
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	char *save = NULL, *interpreter = strtok_r(line + 2, " \t\r", &save);
	if (!interpreter)
		return 0;
	if (col->optional && !path_exists(interpreter)) {
		cap_detail(col->c, "%s needs %s, which is not on this host", file, interpreter);
		return 0;
	}
	int result = cap_collect_path(col, interpreter);
	char *word = strtok_r(NULL, " \t\r", &save);
	if (result || strcmp(path_base(interpreter), "env"))
		return result;
	while (word && (word[0] == '-' || strchr(word, '=')))
		word = strtok_r(NULL, " \t\r", &save);
	bool quiet = col->c->quiet_errors;
	col->c->quiet_errors = quiet || col->optional;
	char *program = word ? cap_find_program(col->c, word) : NULL;
	col->c->quiet_errors = quiet;
	if (program)
		result = cap_collect_path(col, program);
	else if (word && !col->optional)
		result = -ENOENT;
	free(program);
	return result;
}

static int add_pattern(struct cap_collector *col, const char *pattern)
{
	glob_t g;
	int result = 0;
	if (!glob(pattern, 0, NULL, &g))
		for (size_t i = 0; !result && i < g.gl_pathc; i++)
			if (path_is_dir(g.gl_pathv[i]))
				result = cap_collect_dir(col, g.gl_pathv[i]);
	globfree(&g);
	return result;
}

/* A JVM's home is the directory above the bin directory its real file lies in. */
static int add_java_home(struct cap_collector *col, const char *file)
{
	char *bin = path_dir(file), *home = path_dir(bin);
	int result = 0;
	char *modules = path_join(home, "lib/modules");
	if (!strcmp(path_base(bin), "bin") && path_exists(modules))
		result = cap_collect_dir(col, home);
	free(modules);
	free(bin);
	free(home);
	return result;
}

static int add_well_known(struct cap_collector *col, const char *file)
{
	int result = 0;
	const char *base = path_base(file);
	for (size_t i = 0; !result && i < CAP_ARRAY_SIZE(well_known); i++)
		if (!fnmatch(well_known[i].program, base, 0))
			for (size_t j = 0; !result && well_known[i].dirs[j]; j++)
				result = add_pattern(col, well_known[i].dirs[j]);
	if (!result && !strcmp(base, "java"))
		result = add_java_home(col, file);
	return result;
}

static int examine(struct cap_collector *col, const char *file)
{
	struct cap_elf elf;
	const char *why;
	int result = 0;
	switch (cap_elf_read(file, &elf, &why)) {
	case CAP_ELF_OK:
		result = examine_elf(col, file, &elf);
		if (!result && (elf.interpreter || !elf.is_shared))
			result = add_well_known(col, file);
		cap_elf_free(&elf);
		return result;
	case CAP_ELF_NOT:
		return examine_script(col, file);
	case CAP_ELF_FOREIGN:
	case CAP_ELF_BROKEN:
		cap_warn(col->c, "%s cannot be run: %s", file, why);
	}
	return 0;
}

int cap_collect_finish(struct cap_collector *col)
{
	int result = 0;
	while (!result && col->next < col->queue.count) {
		char *file = xstrdup(col->queue.items[col->next++]);
		col->optional = file[0] == '?';
		result = examine(col, file + 1);
		free(file);
	}
	col->optional = false;
	if (!result && col->needs_cache && path_exists("/etc/ld.so.cache"))
		result = cap_collect_path(col, "/etc/ld.so.cache");
	if (!result && col->missing.count) {
		char *list = strv_join(&col->missing, ", ");
		result = cap_fail(col->c, ENOENT, "libraries not found on this host: %s", list);
		free(list);
	}
	return result;
}

int cap_tree_add_base(struct cap *c, struct cap_tree *t)
{
	static const struct {
		const char *path, *text;
	} files[] = {
	    /* The users and groups with fixed numbers in Debian, as far as services use them. */
	    {"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
			    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
			    "mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n"
			    "proxy:x:13:13:proxy:/bin:/usr/sbin/nologin\n"
			    "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
			    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
	    {"/etc/group", "root:x:0:\ndaemon:x:1:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\n"
			   "proxy:x:13:\nwww-data:x:33:\nutmp:x:43:\nusers:x:100:\n"
			   "nogroup:x:65534:\n"},
	    {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
				   "networks: files\nprotocols: files\nservices: files\n"},
	    {"/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"},
	    {"/etc/hostname", "carrara\n"},
	};
	static const struct {
		const char *path;
		uint32_t mode;
	} dirs[] = {{"/dev", 0755}, {"/proc", 0755}, {"/sys", 0755}, {"/run", 0755},
	    {"/tmp", 01777}, {"/var/tmp", 01777}, {"/var/run", 0755}, {"/var/log", 0755},
	    {"/var/lib", 0755}, {"/root", 0700}, {"/etc", 0755}, {"/home", 0755}};
	int result = 0;
	for (size_t i = 0; !result && i < CAP_ARRAY_SIZE(dirs); i++)
		result = cap_tree_mkdir(c, t, dirs[i].path, dirs[i].mode);
	for (size_t i = 0; !result && i < CAP_ARRAY_SIZE(files); i++)
		if (!cap_tree_resolve(t, files[i].path))
			result = cap_tree_add_mem(
			    c, t, files[i].path, 0644, files[i].text, strlen(files[i].text));
	return result;
}

char *cap_find_program(struct cap *c, const char *name)
{
	struct stat st;
	if (strchr(name, '/')) {
		if (stat(name, &st)) {
			cap_fail_errno(c, "cannot run %s", name);
			return NULL;
		}
		if (S_ISDIR(st.st_mode) || access(name, X_OK)) {
			cap_fail(c, EACCES, "cannot run %s: it is not an executable file", name);
			return NULL;
		}
		return path_absolute(name);
	}
	const char *list = getenv("PATH");
	for (const char *p = list ? list : "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"; *p;) {
		size_t n = strcspn(p, ":");
		char *dir = xstrndup(p, n), *path = path_join(dir, name);
		free(dir);
		if (n && !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK)) {
			char *full = path_absolute(path);
			free(path);
			return full;
		}
		free(path);
		p += n + (p[n] == ':');
	}
	cap_fail(c, ENOENT, "no program named %s is in $PATH", name);
	return NULL;
}
