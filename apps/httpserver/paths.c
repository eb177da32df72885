/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths of the /file calls, and files written whole or not at all. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Empty segments and "." go, ".." is refused. Without slash in front; "." for the root. */
static int clean(const char *path, char out[PATH_MAX])
{
	size_t n = 0;

	while (*path) {
		size_t len = strcspn(path, "/");
		if (len == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (len > NAME_MAX || n + len + 2 > PATH_MAX)
			return -ENAMETOOLONG;
		if (len && !(len == 1 && *path == '.')) {
			if (n)
				out[n++] = '/';
			memcpy(out + n, path, len);
			n += len;
		}
		path += len;
		path += *path == '/';
	}
	if (!n)
		out[n++] = '.';
	out[n] = 0;
	return 0;
}

/* openat() below the root that is shown. */
static int open_below(const char *relative, int flags, mode_t mode)
{
	int root = open(api_config.file_root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (root < 0)
		return -errno;
	if (!strcmp(api_config.file_root, "/")) {
		fd = openat(root, relative, flags | O_CLOEXEC, mode);
	} else {
		struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
		    .mode = flags & O_CREAT ? mode : 0,
		    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
		fd = (int)syscall(SYS_openat2, root, relative, &how, sizeof how);
	}
	int err = fd < 0 ? -errno : 0;
	close(root);
	return err ? err : fd;
}

int file_open(const char *path, int flags, mode_t mode)
{
	char relative[PATH_MAX];
	int err = clean(path, relative);

	return err ? err : open_below(relative, flags, mode);
}

int place_open(const char *path, struct place *p)
{
	char relative[PATH_MAX];
	int err = clean(path, relative);

	if (err)
		return err;
	char *slash = strrchr(relative, '/');
	const char *name = slash ? slash + 1 : relative; /* at most NAME_MAX long: clean() */
	memcpy(p->name, name, strnlen(name, NAME_MAX) + 1);
	if (slash)
		*slash = 0;
	p->dir = open_below(slash ? relative : ".", O_PATH | O_DIRECTORY, 0);
	return p->dir < 0 ? p->dir : 0;
}

void place_close(struct place *p)
{
	close(p->dir);
}

int file_stat(const char *path, struct stat *st, bool follow)
{
	struct place p;
	int err;

	if (follow) {
		int fd = file_open(path, O_PATH, 0);
		if (fd < 0)
			return fd;
		err = fstat(fd, st) ? -errno : 0;
		close(fd);
		return err;
	}
	err = place_open(path, &p);
	if (err)
		return err;
	err = fstatat(p.dir, p.name, st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
	place_close(&p);
	return err;
}

int file_make_parents(const char *path)
{
	char relative[PATH_MAX];
	int err = clean(path, relative);

	for (char *slash = relative; !err && (slash = strchr(slash, '/')); slash++) {
		struct place p;
		*slash = 0;
		err = place_open(relative, &p);
		if (!err) {
			if (mkdirat(p.dir, p.name, 0755) && errno != EEXIST)
				err = -errno;
			place_close(&p);
		}
		*slash = '/';
	}
	return err;
}

int file_copy_contents(int from, int to)
{
	char buf[32768];
	ssize_t n;

	while ((n = read(from, buf, sizeof buf)) > 0)
		for (ssize_t done = 0, w; done < n; done += w)
			if ((w = write(to, buf + done, (size_t)(n - done))) < 0)
				return -errno;
	return n < 0 ? -errno : 0;
}

int upload_begin(struct upload *u, const char *path, bool overwrite, bool make_parents, mode_t mode)
{
	static unsigned counter;
	struct stat st;
	int err = make_parents ? file_make_parents(path) : 0;

	if (!err)
		err = place_open(path, &u->place);
	if (err)
		return err;
	if (!fstatat(u->place.dir, u->place.name, &st, 0))
		err = S_ISDIR(st.st_mode) ? -EISDIR : overwrite ? 0 : -EEXIST;
	snprintf(u->temporary, sizeof u->temporary, ".%.200s.%d.%u", u->place.name, getpid(),
	    __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED));
	if (!err) {
		u->fd = openat(
		    u->place.dir, u->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		err = u->fd < 0 ? -errno : 0;
	}
	if (err)
		place_close(&u->place);
	return err;
}

int upload_write(struct upload *u, const void *p, size_t n)
{
	while (n) {
		ssize_t w = write(u->fd, p, n);
		if (w < 0)
			return -errno;
		p = (const char *)p + w;
		n -= (size_t)w;
	}
	return 0;
}

int upload_end(struct upload *u, int err)
{
	if (close(u->fd) && !err)
		err = -errno;
	if (!err && renameat(u->place.dir, u->temporary, u->place.dir, u->place.name))
		err = -errno;
	if (err)
		unlinkat(u->place.dir, u->temporary, 0);
	place_close(&u->place);
	return err;
}
