/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: directories, links, renames, listing, path walk, extended attributes. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "check.h"

static void touch(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0644);
	CHECK(fd >= 0);
	CHECK(write(fd, name, strlen(name)) == (ssize_t)strlen(name));
	close(fd);
}

static int holds(const char *path, const char *what)
{
	char b[100] = {0};
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, b, sizeof b - 1);
	close(fd);
	return n == (ssize_t)strlen(what) && !strcmp(b, what);
}

static ino_t ino(const char *path)
{
	struct stat st;
	return lstat(path, &st) ? 0 : st.st_ino;
}

static void directories(void)
{
	struct stat st;
	CHECK(mkdir("d", 0755) == 0);
	CHECK_ERR(mkdir("d", 0755), EEXIST);
	CHECK(stat("d", &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0755);
	CHECK(mkdir("d/e/", 0700) == 0);
	CHECK_ERR(mkdir("x/y", 0700), ENOENT);
	touch("d/f");
	CHECK_ERR(mkdir("d/f/g", 0700), ENOTDIR);
	CHECK_ERR(rmdir("d"), ENOTEMPTY);
	CHECK_ERR(rmdir("d/f"), ENOTDIR);
	CHECK_ERR(unlink("d/e"), EISDIR);
	CHECK_ERR(rmdir("d/."), EINVAL);
	CHECK_ERR(open("d/f/", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("d", O_WRONLY), EISDIR);
	CHECK_ERR(open("d/f", O_DIRECTORY | O_RDONLY), ENOTDIR);
	CHECK_ERR(open("d/nothing/x", O_RDONLY), ENOENT);
	CHECK(rmdir("d/e") == 0);
	CHECK_ERR(rmdir("d/e"), ENOENT);
	CHECK(unlink("d/f") == 0 && rmdir("d") == 0);
	CHECK_ERR(mkdir("/", 0755), EEXIST);

	int fd = open(".", O_RDONLY | O_DIRECTORY);
	CHECK(mkdirat(fd, "at", 0700) == 0);
	int g = openat(fd, "at/file", O_CREAT | O_RDWR, 0600);
	CHECK(g >= 0);
	CHECK(fstatat(fd, "at/file", &st, 0) == 0 && S_ISREG(st.st_mode));
	CHECK(unlinkat(fd, "at/file", 0) == 0);
	CHECK(write(g, "still there", 11) == 11 && fstat(g, &st) == 0 && st.st_nlink == 0);
	close(g);
	CHECK_ERR(unlinkat(fd, "at", 0), EISDIR);
	CHECK(unlinkat(fd, "at", AT_REMOVEDIR) == 0);
	char c;
	CHECK_ERR(read(fd, &c, 1), EISDIR);
	close(fd);

	/* A removed directory that somebody stands in. */
	char cwd[300], here[300];
	CHECK(getcwd(here, sizeof here) != NULL);
	CHECK(mkdir("gone", 0700) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0);
	CHECK_ERR(open("new", O_CREAT | O_RDWR, 0600), ENOENT);
	CHECK(getcwd(cwd, sizeof cwd) == NULL && errno == ENOENT);
	CHECK(chdir(here) == 0 && getcwd(cwd, sizeof cwd) && !strcmp(cwd, here));
	CHECK(getcwd(cwd, 2) == NULL);
}

static void listing(void)
{
	char name[40], seen[1000] = {0};
	CHECK(mkdir("many", 0755) == 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "many/entry-number-%d", i);
		int fd = open(name, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			CHECK(0 && "create");
		close(fd);
	}
	DIR *d = opendir("many");
	struct dirent *e;
	int dots = 0, n = 0, twice = 0, type = 1;
	/* Removing what was listed must not lose or repeat the rest. */
	while ((e = readdir(d))) {
		int k;
		if (e->d_name[0] == '.') {
			dots++;
			continue;
		}
		if (sscanf(e->d_name, "entry-number-%d", &k) != 1 || k < 0 || k >= 1000)
			continue;
		twice += seen[k];
		seen[k] = 1;
		n++;
		type &= e->d_type == DT_REG || e->d_type == DT_UNKNOWN;
		snprintf(name, sizeof name, "many/entry-number-%d", k);
		if (unlink(name))
			CHECK(0 && "unlink");
	}
	CHECK(n == 1000 && twice == 0 && dots == 2 && type);
	rewinddir(d);
	n = 0;
	while (readdir(d))
		n++;
	CHECK(n == 2);
	closedir(d);
	CHECK(rmdir("many") == 0);
}

static void links(void)
{
	struct stat st;
	char b[100];
	touch("one");
	CHECK(link("one", "two") == 0 && stat("one", &st) == 0 && st.st_nlink == 2);
	CHECK(ino("one") == ino("two"));
	CHECK_ERR(link("one", "two"), EEXIST);
	CHECK_ERR(link("nothing", "three"), ENOENT);
	CHECK_ERR(link(".", "three"), EPERM);
	CHECK(
	    unlink("one") == 0 && stat("two", &st) == 0 && st.st_nlink == 1 && holds("two", "one"));
	CHECK(symlink("two", "sym") == 0);
	CHECK_ERR(symlink("two", "sym"), EEXIST);
	CHECK(readlink("sym", b, sizeof b) == 3 && !memcmp(b, "two", 3));
	CHECK(readlink("sym", b, 2) == 2);
	CHECK_ERR(readlink("two", b, 10), EINVAL);
	CHECK(lstat("sym", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 3);
	CHECK(stat("sym", &st) == 0 && S_ISREG(st.st_mode));
	CHECK(holds("sym", "one"));
	CHECK_ERR(open("sym", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK(symlink("loop", "loop") == 0);
	CHECK_ERR(open("loop", O_RDONLY), ELOOP);
	CHECK(symlink("made-through-link", "dangling") == 0);
	CHECK_ERR(stat("dangling", &st), ENOENT);
	int fd = open("dangling", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && stat("made-through-link", &st) == 0);
	close(fd);
	CHECK_ERR(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
	CHECK(mkdir("dir", 0755) == 0 && symlink("dir", "dirlink") == 0);
	touch("dir/in");
	CHECK(holds("dirlink/in", "dir/in") && holds("dirlink/../dir/./in", "dir/in"));
	CHECK(symlink("../two", "dir/up") == 0 && holds("dirlink/up", "one"));
	CHECK(lstat("dirlink/", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK_ERR(rmdir("dirlink"), ENOTDIR);
	CHECK(unlink("dirlink") == 0 && unlink("dir/in") == 0 && unlink("dir/up") == 0 &&
	      rmdir("dir") == 0);
	char deep[400], *p = deep;
	CHECK(symlink(".", "here") == 0);
	for (int i = 0; i < 30; i++)
		p += sprintf(p, "here/");
	strcpy(p, "two");
	CHECK(holds(deep, "one"));
	for (int i = 0; i < 12; i++)
		p += sprintf(p, "here/");
	strcpy(p, "two");
	CHECK_ERR(open(deep, O_RDONLY), ELOOP);
	CHECK(
	    unlink("here") == 0 && unlink("two") == 0 && unlink("sym") == 0 && unlink("loop") == 0);
	CHECK(unlink("dangling") == 0 && unlink("made-through-link") == 0);
	char longname[300];
	memset(longname, 'x', 299);
	longname[299] = 0;
	CHECK_ERR(open(longname, O_RDONLY), ENAMETOOLONG);
	longname[255] = 0;
	CHECK((fd = open(longname, O_CREAT | O_RDWR, 0600)) >= 0 && close(fd) == 0 &&
	      unlink(longname) == 0);
	CHECK_ERR(open("", O_RDONLY), ENOENT);
	CHECK_ERR(syscall(SYS_openat, AT_FDCWD, 0l, O_RDONLY), EFAULT);
	CHECK_ERR(syscall(SYS_openat, AT_FDCWD, 1l, O_RDONLY), EFAULT);
}

static int exchange(const char *a, const char *b, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

static void renames(void)
{
	touch("r1");
	touch("r2");
	ino_t i1 = ino("r1"), i2 = ino("r2");
	CHECK(rename("r1", "r3") == 0 && ino("r3") == i1 && ino("r1") == 0);
	CHECK(rename("r3", "r2") == 0 && ino("r2") == i1 && holds("r2", "r1"));
	CHECK_ERR(rename("r3", "r2"), ENOENT);
	CHECK(mkdir("rd", 0755) == 0 && mkdir("rd/sub", 0755) == 0);
	CHECK(rename("r2", "rd/moved") == 0 && holds("rd/moved", "r1"));
	CHECK_ERR(rename("rd", "rd/sub/x"), EINVAL);
	CHECK_ERR(rename("rd/moved", "rd/sub"), EISDIR);
	CHECK_ERR(rename("rd/sub", "rd/moved"), ENOTDIR);
	CHECK(mkdir("re", 0755) == 0);
	CHECK_ERR(rename("rd/sub", "rd"), ENOTEMPTY);
	CHECK(rename("rd/sub", "re") == 0);
	CHECK(rename("re", "rd/back") == 0 && rename("rd", "rf") == 0 && holds("rf/moved", "r1"));
	touch("rf/back/deep");
	CHECK(holds("rf/back/deep", "rf/back/deep"));
	touch("other");
	CHECK_ERR(exchange("other", "rf/moved", 1), EEXIST);
	if (exchange("other", "rf/moved", 2) == 0) {
		CHECK(holds("other", "r1") && holds("rf/moved", "other"));
		CHECK(exchange("other", "rf/back", 2) == 0);
		CHECK(holds("other/deep", "rf/back/deep") && holds("rf/back", "r1"));
		CHECK(exchange("other", "rf/back", 2) == 0);
	}
	CHECK_ERR(exchange("other", "rf/moved", 3), EINVAL);
	CHECK(link("other", "same") == 0 && rename("other", "same") == 0 &&
	      ino("other") == ino("same"));
	CHECK(unlink("same") == 0 && unlink("other") == 0);
	CHECK(unlink("rf/back/deep") == 0 && rmdir("rf/back") == 0 && unlink("rf/moved") == 0);
	CHECK(rmdir("rf") == 0);
	(void)i2;
}

static int open_how(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags, .resolve = resolve};
	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static void resolving(void)
{
	CHECK(mkdir("jail", 0755) == 0);
	touch("outside");
	touch("jail/inside");
	CHECK(
	    symlink("../outside", "jail/escape") == 0 && symlink("/inside", "jail/absolute") == 0);
	int dir = open("jail", O_PATH | O_DIRECTORY), fd;
	CHECK(dir >= 0);
	CHECK((fd = open_how(dir, "inside", O_RDONLY, RESOLVE_BENEATH)) >= 0 && close(fd) == 0);
	CHECK_ERR(open_how(dir, "../outside", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	CHECK_ERR(open_how(dir, "escape", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	CHECK_ERR(open_how(dir, "escape", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
	CHECK((fd = open_how(dir, "absolute", O_RDONLY, RESOLVE_IN_ROOT)) >= 0 && close(fd) == 0);
	CHECK(
	    (fd = open_how(dir, "../../inside", O_RDONLY, RESOLVE_IN_ROOT)) >= 0 && close(fd) == 0);
	CHECK_ERR(open_how(dir, "inside", O_RDONLY, 1 << 20), EINVAL);
	close(dir);
	CHECK(unlink("jail/escape") == 0 && unlink("jail/absolute") == 0 &&
	      unlink("jail/inside") == 0);
	CHECK(rmdir("jail") == 0 && unlink("outside") == 0);
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd >= 0) {
		struct stat st;
		CHECK(write(fd, "nameless", 8) == 8 && fstat(fd, &st) == 0 && st.st_nlink == 0);
		close(fd);
	}
}

static void attributes(void)
{
	char b[200];
	touch("x");
	if (setxattr("x", "user.color", "green", 5, 0) == 0) {
		CHECK(getxattr("x", "user.color", b, sizeof b) == 5 && !memcmp(b, "green", 5));
		CHECK(getxattr("x", "user.color", NULL, 0) == 5);
		CHECK_ERR(getxattr("x", "user.color", b, 3), ERANGE);
		CHECK_ERR(getxattr("x", "user.size", b, 3), ENODATA);
		CHECK_ERR(setxattr("x", "user.color", "red", 3, XATTR_CREATE), EEXIST);
		CHECK_ERR(setxattr("x", "user.size", "red", 3, XATTR_REPLACE), ENODATA);
		CHECK(setxattr("x", "user.color", "red", 3, XATTR_REPLACE) == 0);
		CHECK(setxattr("x", "user.b", "", 0, 0) == 0);
		CHECK(listxattr("x", b, sizeof b) >= 18);
		CHECK(removexattr("x", "user.color") == 0);
		CHECK_ERR(removexattr("x", "user.color"), ENODATA);
	}
	CHECK_ERR(getxattr("x", "nonsense", b, 3), EOPNOTSUPP);
	CHECK(unlink("x") == 0);
}

int main(void)
{
	char dir[] = "/tmp/fs-names-XXXXXX";
	CHECK(mkdtemp(dir) != NULL);
	CHECK(chdir(dir) == 0);
	directories();
	listing();
	links();
	renames();
	resolving();
	attributes();
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	return check_report();
}
