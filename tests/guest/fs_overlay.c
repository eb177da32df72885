/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory of the image, changed: every kind of change to something below the writable layer.
 * `fs_overlay
 * --prepare DIR` makes the directory (when the image is built, or by the program itself on a host).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"

#define BIG (1024 * 1024 + 77)

static char pattern(size_t i)
{
	return (char)("abcdefg"[i % 7] + i / 40000 % 3);
}

static int make(const char *dir, const char *name, size_t n)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	if (!f)
		return 1;
	for (size_t i = 0; i < n; i++)
		fputc(pattern(i), f);
	return fclose(f);
}

static int prepare(const char *dir)
{
	static const char *const subs[] = {"", "/sub", "/full", "/full/deeper", "/gone"};
	char path[300], name[40];
	for (size_t i = 0; i < sizeof subs / sizeof *subs; i++) {
		snprintf(path, sizeof path, "%s%s", dir, subs[i]);
		if (mkdir(path, 0755))
			return 1;
	}
	int bad = make(dir, "big", BIG) | make(dir, "mapped", 20000) | make(dir, "short", 10) |
		  make(dir, "removed", 5) | make(dir, "attr", 5) |
		  make(dir, "full/deeper/file", 100) | make(dir, "cut", 10000) |
		  make(dir, "read", 300000);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "sub/n%d", i);
		bad |= make(dir, name, (size_t)i);
	}
	snprintf(path, sizeof path, "%s/link", dir);
	return bad | symlink("short", path);
}

static int same(const char *b, size_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (b[i] != pattern(from + i))
			return 0;
	return 1;
}

static void reading(void)
{
	static char b[BIG + 10];
	int fd = open("read", O_RDONLY);
	CHECK(read(fd, b, sizeof b) == 300000 && same(b, 0, 300000));
	CHECK(pread(fd, b, 10000, 123456) == 10000 && same(b, 123456, 10000));
	char *p = mmap(NULL, 300000, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && same(p, 0, 300000) && !p[300000]);
	munmap(p, 300000);
	close(fd);
	fd = open("link", O_RDONLY);
	CHECK(read(fd, b, 100) == 10 && same(b, 0, 10));
	close(fd);
	fd = open("full/deeper/file", O_RDONLY);
	CHECK(read(fd, b, 1000) == 100 && same(b, 0, 100));
	close(fd);
}

static void writing(void)
{
	static char b[BIG + 10];
	int old = open("big", O_RDONLY), fd = open("big", O_RDWR);
	CHECK(old >= 0 && fd >= 0);
	char *map = mmap(NULL, BIG, PROT_READ, MAP_SHARED, old, 0);
	CHECK(map != MAP_FAILED && same(map, 0, BIG));
	CHECK(pwrite(fd, "CHANGED", 7, 500000) == 7);
	CHECK(pread(fd, b, BIG, 0) == BIG && same(b, 0, 500000) &&
	      same(b + 500007, 500007, BIG - 500007));
	CHECK(!memcmp(b + 500000, "CHANGED", 7));
	/* Who had it open or mapped before sees the change. */
	CHECK(pread(old, b, 7, 500000) == 7 && !memcmp(b, "CHANGED", 7));
	CHECK(!memcmp(map + 500000, "CHANGED", 7) && same(map, 0, 500000));
	CHECK(lseek(fd, 0, SEEK_END) == BIG && write(fd, "tail", 4) == 4);
	CHECK(pread(old, b, 10, BIG - 2) == 6 && same(b, BIG - 2, 2) && !memcmp(b + 2, "tail", 4));
	munmap(map, BIG);
	close(fd);
	close(old);
	struct stat st;
	CHECK(stat("big", &st) == 0 && st.st_size == BIG + 4);

	fd = open("mapped", O_RDWR);
	map = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map[9000] == pattern(9000));
	map[9000] = '!';
	map[17000] = '?';
	CHECK(pread(fd, b, 20000, 0) == 20000 && b[9000] == '!' && b[17000] == '?' &&
	      same(b, 0, 9000) && same(b + 9001, 9001, 7999));
	munmap(map, 20000);
	map = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	map[0] = '#';
	CHECK(pread(fd, b, 1, 0) == 1 && b[0] == pattern(0));
	munmap(map, 20000);
	close(fd);

	CHECK(truncate("cut", 4100) == 0);
	CHECK(truncate("cut", 9000) == 0);
	fd = open("cut", O_RDONLY);
	CHECK(read(fd, b, BIG) == 9000 && same(b, 0, 4100));
	int zero = 1;
	for (int i = 4100; i < 9000; i++)
		zero &= !b[i];
	CHECK(zero);
	close(fd);
	fd = open("short", O_WRONLY | O_TRUNC);
	CHECK(write(fd, "new", 3) == 3);
	close(fd);
	fd = open("link", O_RDONLY);
	CHECK(read(fd, b, 100) == 3 && !memcmp(b, "new", 3));
	close(fd);
}

static int listed(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;
	while ((e = readdir(d)))
		n += name ? !strcmp(e->d_name, name) : 1;
	closedir(d);
	return n;
}

static void naming(void)
{
	struct stat st;
	CHECK(listed("sub", NULL) == 42);
	CHECK(unlink("removed") == 0 && listed(".", "removed") == 0);
	CHECK_ERR(stat("removed", &st), ENOENT);
	int fd = open("removed", O_CREAT | O_EXCL | O_RDWR, 0600);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0 && listed(".", "removed") == 1);
	close(fd);
	CHECK(rename("sub/n7", "sub/m7") == 0 && listed("sub", NULL) == 42 &&
	      listed("sub", "n7") == 0);
	CHECK(stat("sub/m7", &st) == 0 && st.st_size == 7);
	CHECK(link("sub/n8", "eight") == 0 && stat("eight", &st) == 0 && st.st_size == 8 &&
	      st.st_nlink == 2);
	CHECK(unlink("sub/n8") == 0 && stat("eight", &st) == 0 && st.st_nlink == 1);
	CHECK_ERR(rmdir("sub"), ENOTEMPTY);
	CHECK(rename("full", "moved") == 0 && stat("moved/deeper/file", &st) == 0 &&
	      st.st_size == 100);
	CHECK_ERR(stat("full", &st), ENOENT);
	CHECK(mkdir("full", 0755) == 0 && listed("full", NULL) == 2);
	CHECK(rmdir("gone") == 0 && mkdir("gone", 0700) == 0 && listed(".", "gone") == 1);
	char name[40];
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "sub/n%d", i);
		if (i != 7 && i != 8 && unlink(name))
			CHECK(0 && "unlink");
	}
	CHECK(listed("sub", NULL) == 3 && unlink("sub/m7") == 0 && rmdir("sub") == 0);
	CHECK(chmod("attr", 0604) == 0 && stat("attr", &st) == 0 && (st.st_mode & 0777) == 0604);
	struct timespec t[2] = {{1, 0}, {2, 0}};
	CHECK(utimensat(AT_FDCWD, "attr", t, 0) == 0 && stat("attr", &st) == 0 && st.st_mtime == 2);
	CHECK(unlink("link") == 0 && symlink("attr", "link") == 0 && stat("link", &st) == 0 &&
	      st.st_size == 5);
}

int main(int argc, char **argv)
{
	char made[] = "/tmp/fs-overlay-XXXXXX", dir[100] = "/prepared", cmd[200];
	struct stat st;
	if (argc == 3 && !strcmp(argv[1], "--prepare"))
		return prepare(argv[2]);
	int host = stat(dir, &st) != 0;
	if (host) {
		CHECK(mkdtemp(made) != NULL);
		snprintf(dir, sizeof dir, "%s/tree", made);
		CHECK(prepare(dir) == 0);
	}
	CHECK(chdir(dir) == 0);
	reading();
	writing();
	naming();
	if (host) {
		snprintf(cmd, sizeof cmd, "rm -rf %s", made);
		CHECK(chdir("/") == 0 && system(cmd) == 0);
	}
	return check_report();
}
