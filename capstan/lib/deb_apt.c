/* SPDX-License-Identifier: BSD-3-Clause */
/* What apt and dpkg know about packages, and fetching their archives. */
#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deb_internal.h"
#include "pack.h"

#define OUTPUT_MAX (64u << 20)

int deb_run(struct cap *c, const char *dir, const struct strv *args, struct buf *out, int *status)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		return cap_fail_errno(c, "cannot run %s", args->items[0]);
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(fds[1], STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		setenv("LC_ALL", "C", 1);
		if (!dir || !chdir(dir))
			execvp(args->items[0], args->items);
		_exit(127);
	}
	close(fds[1]);
	char chunk[65536];
	for (ssize_t n; pid > 0 && (n = read(fds[0], chunk, sizeof(chunk))) != 0;)
		if (n > 0 && out->len + n < OUTPUT_MAX)
			buf_add(out, chunk, n);
		else if (n < 0 && errno != EINTR)
			break;
	close(fds[0]);
	buf_add(out, "", 0);
	if (pid < 0 || waitpid(pid, status, 0) != pid)
		return cap_fail_errno(c, "cannot run %s", args->items[0]);
	*status = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128;
	if (*status == 127)
		return cap_fail(
		    c, ENOENT, "this needs %s, which is not on this host", args->items[0]);
	return 0;
}

/* A field of one control paragraph, its first line only; NULL when absent. */
static char *field(const char *paragraph, size_t len, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = paragraph, *end = paragraph + len; p < end;) {
		const char *newline = memchr(p, '\n', end - p);
		size_t line = newline ? (size_t)(newline - p) : (size_t)(end - p);
		if (line > n && !strncasecmp(p, name, n) && p[n] == ':') {
			size_t skip = n + 1 + strspn(p + n + 1, " ");
			return xstrndup(p + skip, line - cap_min(skip, line));
		}
		p += line + 1;
	}
	return NULL;
}

static bool is_base(const char *paragraph, size_t len)
{
	/* Helpers of package installation do not belong into an image either. */
	static const char *const helpers[] = {"debconf", "adduser", "ucf", "lsb-base", "dpkg",
	    "init-system-helpers", "sysvinit-utils", "perl", "perl-base", "systemd", "passwd",
	    "debianutils", "procps", "logrotate", "mime-support", "media-types",
	    "ca-certificates-java"};
	char *priority = field(paragraph, len, "Priority"),
	     *name = field(paragraph, len, "Package");
	char *essential = field(paragraph, len, "Essential");
	bool base = (essential && !strcmp(essential, "yes")) ||
		    (priority && (!strcmp(priority, "required") || !strcmp(priority, "important")));
	for (size_t i = 0; name && i < CAP_ARRAY_SIZE(helpers); i++)
		base |= !strcmp(name, helpers[i]);
	free(priority);
	free(name);
	free(essential);
	return base;
}

static struct deb_info *find_info(struct deb_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (!strcmp(set->list[i].name, name))
			return &set->list[i];
	return NULL;
}

static void take_paragraph(struct deb_set *set, const char *text, size_t len)
{
	char *name = field(text, len, "Package");
	if (!name || find_info(set, name)) {
		free(name);
		return;
	}
	char *pre = field(text, len, "Pre-Depends"), *depends = field(text, len, "Depends");
	char *status = field(text, len, "Status");
	set->list = xrealloc(set->list, (set->count + 1) * sizeof(*set->list));
	set->list[set->count++] = (struct deb_info){.name = name,
	    .version = field(text, len, "Version"),
	    .title = field(text, len, "Description"),
	    .section = field(text, len, "Section"),
	    .base = is_base(text, len),
	    .installed = status && has_suffix(status, " installed"),
	    .depends = xasprintf(
		"%s%s%s", pre ? pre : "", pre && depends ? ", " : "", depends ? depends : "")};
	free(pre);
	free(depends);
	free(status);
}

static void take_output(struct deb_set *set, const struct buf *out)
{
	for (const char *p = out->data; p && *p;) {
		const char *end = strstr(p, "\n\n");
		size_t len = end ? (size_t)(end - p + 1) : strlen(p);
		take_paragraph(set, p, len);
		p += len;
		p += strspn(p, "\n");
	}
}

/* Asks dpkg about installed packages first, then apt about the others. */
static int query(struct cap *c, const struct strv *names, struct deb_set *set)
{
	static const char *const tools[][3] = {
	    {"dpkg-query", "-s", NULL}, {"apt-cache", "show", "--no-all-versions"}};
	int result = 0;
	for (size_t t = 0; !result && t < CAP_ARRAY_SIZE(tools); t++) {
		struct strv args = {0};
		struct buf out = {0};
		int status;
		bool any = false;
		for (size_t i = 0; i < 3 && tools[t][i]; i++)
			strv_add(&args, tools[t][i]);
		for (size_t i = 0; i < names->count; i++)
			if (!find_info(set, names->items[i])) {
				strv_add(&args, names->items[i]);
				any = true;
			}
		if (any)
			result = deb_run(c, NULL, &args, &out, &status);
		size_t before = set->count;
		if (!result)
			take_output(set, &out);
		/* Known to dpkg but removed since: apt is asked about it, too. */
		for (size_t i = before; t == 0 && i < set->count;) {
			if (set->list[i].installed) {
				i++;
				continue;
			}
			struct deb_set one = {xmalloc(sizeof(struct deb_info)), 1};
			one.list[0] = set->list[i];
			set->list[i] = set->list[--set->count];
			deb_set_free(&one);
		}
		strv_free(&args);
		buf_free(&out);
	}
	return result;
}

/* The package's name at the start of an alternative like "libc6:any (>= 2.3)". */
static char *alternative_name(const char *text, size_t len)
{
	size_t skip = strspn(text, " ");
	text += skip;
	len -= cap_min(skip, len);
	return xstrndup(text, cap_min(strcspn(text, " :(,|"), len));
}

/* Adds what one package depends on: of alternatives the one that is known already, or the first. */
static void add_depends(const struct deb_set *set, const struct deb_info *info, struct strv *wanted)
{
	for (const char *p = info->depends; *p;) {
		size_t clause = strcspn(p, ","), at = 0;
		char *chosen = NULL;
		while (at < clause) {
			size_t n = cap_min(strcspn(p + at, "|"), clause - at);
			char *name = alternative_name(p + at, n);
			if (!chosen || find_info((struct deb_set *)set, name)) {
				free(chosen);
				chosen = name;
			} else {
				free(name);
			}
			at += n + 1;
		}
		if (chosen && *chosen && !find_info((struct deb_set *)set, chosen) &&
		    !strv_has(wanted, chosen))
			strv_add(wanted, chosen);
		free(chosen);
		p += clause + (p[clause] == ',');
	}
}

int deb_closure(struct cap *c, const struct strv *names, struct deb_set *set)
{
	struct strv wanted = {0}, asked = {0};
	size_t done = 0;
	*set = (struct deb_set){0};
	strv_add_all(&wanted, names);
	int result = 0;
	while (!result && wanted.count) {
		result = query(c, &wanted, set);
		strv_add_all(&asked, &wanted);
		strv_free(&wanted);
		for (; !result && done < set->count; done++)
			if (!set->list[done].base || strv_has(names, set->list[done].name))
				add_depends(set, &set->list[done], &wanted);
		/* Virtual packages have no paragraph; asking again would not end. */
		for (size_t i = 0; i < wanted.count;)
			if (strv_has(&asked, wanted.items[i]))
				strv_remove(&wanted, i);
			else
				i++;
	}
	for (size_t i = 0; !result && i < names->count; i++) {
		struct deb_info *info = find_info(set, names->items[i]);
		if (info)
			info->requested = true;
		else
			result = cap_fail(c, ENOENT,
			    "neither dpkg nor apt knows the package %s (is `apt-get "
			    "update` needed?)",
			    names->items[i]);
	}
	strv_free(&wanted);
	strv_free(&asked);
	if (result)
		deb_set_free(set);
	return result;
}

void deb_set_free(struct deb_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		free(set->list[i].name);
		free(set->list[i].version);
		free(set->list[i].title);
		free(set->list[i].depends);
		free(set->list[i].section);
	}
	free(set->list);
	*set = (struct deb_set){0};
}

/* A .deb is an ar archive; copies its data.tar.* to a file in memory. */
static int data_archive(struct cap *c, const char *path)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	int fd = memfd_create("deb-data", MFD_CLOEXEC), found = 0;
	archive_read_support_format_ar(a);
	if (archive_read_open_filename(a, path, 1 << 16) == ARCHIVE_OK)
		while (!found && archive_read_next_header(a, &e) == ARCHIVE_OK)
			if (has_prefix(archive_entry_pathname(e), "data.tar"))
				found = archive_read_data_into_fd(a, fd) == ARCHIVE_OK;
	archive_read_free(a);
	if (found && !lseek(fd, 0, SEEK_SET))
		return fd;
	close(fd);
	return cap_fail(c, EBADMSG, "%s is not a Debian package", path);
}

int deb_fetch(struct cap *c, const char *name, const char *dir, int fd, struct cap_tree *t)
{
	struct strv args = {0};
	struct buf out = {0};
	int status, result;
	cap_info(c, "Downloading %s...", name);
	strv_add(&args, "apt-get");
	strv_add(&args, "download");
	strv_add(&args, "-q");
	strv_add(&args, name);
	result = deb_run(c, dir, &args, &out, &status);
	if (!result && status)
		result = cap_fail(c, EIO, "apt-get could not download %s", name);
	char *prefix = xasprintf("%s_", name), *path = NULL;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && !path && (e = readdir(d));)
		if (has_prefix(e->d_name, prefix) && has_suffix(e->d_name, ".deb"))
			path = path_join(dir, e->d_name);
	if (d)
		closedir(d);
	if (!result && !path)
		result = cap_fail(c, EIO, "apt-get downloaded nothing for %s", name);
	int data = result ? result : data_archive(c, path);
	if (!result && data < 0)
		result = data;
	if (!result) {
		off_t end = lseek(fd, 0, SEEK_END);
		(void)end;
		result = cap_archive_read_fd(c, path_base(path), data, fd, t);
		close(data);
	}
	free(prefix);
	free(path);
	strv_free(&args);
	buf_free(&out);
	return result;
}
