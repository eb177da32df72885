/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading, writing, seeking, truncating, mapping and describing files. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static void reading_and_writing(void)
{
	char b[64] = {0};
	int fd = open("a", O_CREAT | O_EXCL | O_RDWR, 0640);
	CHECK(fd >= 0);
	CHECK_ERR(open("a", O_CREAT | O_EXCL | O_RDWR, 0640), EEXIST);
	CHECK(write(fd, "hello world", 11) == 11);
	CHECK(lseek(fd, 0, SEEK_CUR) == 11);
	CHECK(lseek(fd, -5, SEEK_END) == 6);
	CHECK(read(fd, b, 64) == 5 && !memcmp(b, "world", 5));
	CHECK(read(fd, b, 64) == 0);
	CHECK(pread(fd, b, 3, 1) == 3 && !memcmp(b, "ell", 3));
	CHECK(pwrite(fd, "J", 1, 0) == 1);
	CHECK(lseek(fd, 0, SEEK_CUR) == 11);
	CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERR(lseek(fd, 0, 99), EINVAL);
	CHECK_ERR(pread(fd, b, 1, -1), EINVAL);
	CHECK_ERR(syscall(SYS_pread64, fd, 1l, 10, 0), EFAULT);
	CHECK_ERR(read(99, b, 1), EBADF);
	char x[4], y[8];
	struct iovec v[2] = {{x, 4}, {y, 8}};
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(readv(fd, v, 2) == 11 && !memcmp(x, "Jell", 4) && !memcmp(y, "o world", 7));
	struct iovec w[2] = {{(char[]){"AB"}, 2}, {(char[]){"CD"}, 2}};
	CHECK(pwritev(fd, w, 2, 2) == 4);
	CHECK(preadv(fd, v, 1, 2) == 4 && !memcmp(x, "ABCD", 4));
	CHECK_ERR(syscall(SYS_readv, fd, v, 5000), EINVAL);
	close(fd);
	CHECK_ERR(close(fd), EBADF);

	fd = open("a", O_RDONLY);
	CHECK_ERR(write(fd, "x", 1), EBADF);
	close(fd);
	fd = open("a", O_WRONLY | O_APPEND);
	CHECK_ERR(read(fd, b, 1), EBADF);
	CHECK(write(fd, "!!", 2) == 2);
	CHECK(lseek(fd, 0, SEEK_CUR) == 13);
	close(fd);
	fd = open("a", O_RDWR | O_TRUNC);
	struct stat st;
	CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
	close(fd);
}

static void big_and_sparse(void)
{
	size_t n = 3 * 1024 * 1024 + 123;
	char *a = malloc(n), *b = malloc(n);
	for (size_t i = 0; i < n; i++)
		a[i] = (char)(i * 7 + i / 4096);
	int fd = open("big", O_CREAT | O_RDWR, 0600);
	CHECK(write(fd, a, n) == (ssize_t)n);
	CHECK(pread(fd, b, n, 0) == (ssize_t)n && !memcmp(a, b, n));
	CHECK(pread(fd, b, 100, 4090) == 100 && !memcmp(a + 4090, b, 100));
	CHECK(pread(fd, b, n, (off_t)n - 10) == 10);
	CHECK(ftruncate(fd, 5000) == 0);
	CHECK(ftruncate(fd, 10000) == 0);
	CHECK(pread(fd, b, n, 0) == 10000);
	int zero = 1;
	for (int i = 5000; i < 10000; i++)
		zero &= !b[i];
	CHECK(zero && !memcmp(a, b, 5000));
	close(fd);

	fd = open("sparse", O_CREAT | O_RDWR, 0600);
	CHECK(pwrite(fd, "end", 3, 1 << 20) == 3);
	struct stat st;
	CHECK(fstat(fd, &st) == 0 && st.st_size == (1 << 20) + 3);
	CHECK(st.st_blocks < 1024);
	CHECK(pread(fd, b, 4096, 8192) == 4096);
	zero = 1;
	for (int i = 0; i < 4096; i++)
		zero &= !b[i];
	CHECK(zero);
	off_t data = lseek(fd, 0, SEEK_DATA);
	CHECK(data > 0 && data <= 1 << 20);
	CHECK(lseek(fd, 0, SEEK_HOLE) == 0);
	CHECK_ERR(lseek(fd, 1 << 21, SEEK_DATA), ENXIO);
	CHECK(lseek(fd, 1 << 20, SEEK_HOLE) == (1 << 20) + 3);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 2) == 0) {
		CHECK(pread(fd, b, 3, 1 << 20) == 3 && !b[0] && !b[1] && b[2] == 'd');
	}
	CHECK(posix_fallocate(fd, 0, 3 << 20) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 3 << 20);
	CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
	close(fd);
	CHECK(truncate("sparse", 7) == 0);
	CHECK(stat("sparse", &st) == 0 && st.st_size == 7);
	CHECK_ERR(truncate("nothing", 7), ENOENT);
	CHECK_ERR(truncate(".", 7), EISDIR);
	free(a);
	free(b);
}

static void mapping(void)
{
	int fd = open("map", O_CREAT | O_RDWR, 0600);
	CHECK(ftruncate(fd, 8192) == 0);
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	strcpy(p + 4000, "through the mapping");
	char b[32];
	CHECK(pread(fd, b, 20, 4000) == 20 && !strcmp(b, "through the mapping"));
	CHECK(pwrite(fd, "T", 1, 4000) == 1);
	CHECK(p[4000] == 'T');
	char *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	q[0] = 'x';
	CHECK(p[0] == 0);
	CHECK(msync(p, 8192, MS_SYNC) == 0);
	/* A buffer that is a mapping of the file itself. */
	CHECK(pwrite(fd, p + 4000, 20, 0) == 20 && !memcmp(p, "Through", 7));
	munmap(p, 8192);
	munmap(q, 4096);
	close(fd);
}

static void descriptors(void)
{
	int fd = open("a", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	int d = dup(fd);
	CHECK(d > fd && fcntl(d, F_GETFD) == 0);
	CHECK(lseek(fd, 5, SEEK_SET) == 5 && lseek(d, 0, SEEK_CUR) == 5);
	CHECK(dup2(fd, 77) == 77 && dup2(fd, fd) == fd);
	CHECK_ERR(dup3(fd, fd, 0), EINVAL);
	CHECK(dup3(fd, 78, O_CLOEXEC) == 78 && fcntl(78, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(fd, F_DUPFD, 100) == 100 && fcntl(fd, F_DUPFD_CLOEXEC, 100) == 101);
	CHECK_ERR(dup2(fd, 1 << 30), EBADF);
	CHECK_ERR(fcntl(fd, F_DUPFD, -1), EINVAL);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK) == 0);
	CHECK((fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)) == (O_APPEND | O_NONBLOCK));
	CHECK(syscall(SYS_close_range, 77, 90, 0) == 0);
	CHECK_ERR(fcntl(77, F_GETFD), EBADF);
	CHECK(close(100) == 0 && close(101) == 0 && close(d) == 0);
	int p = open("a", O_PATH);
	char c;
	CHECK(p >= 0);
	CHECK_ERR(read(p, &c, 1), EBADF);
	struct stat st;
	CHECK(fstat(p, &st) == 0);
	close(p);
	CHECK_ERR(fsync(-1), EBADF);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
	int n = -1;
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && ioctl(fd, FIONREAD, &n) == 0 && n == 0);
	close(fd);
}

static void attributes(void)
{
	struct stat st;
	int fd = open("attr", O_CREAT | O_RDWR, 0666);
	CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1);
	CHECK(fchmod(fd, 0741) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0741);
	CHECK(chmod("attr", 0600) == 0 && stat("attr", &st) == 0 && (st.st_mode & 07777) == 0600);
	CHECK(chown("attr", getuid(), getgid()) == 0);
	struct timespec t[2] = {{1000, 5}, {2000, 6}};
	CHECK(futimens(fd, t) == 0 && fstat(fd, &st) == 0);
	CHECK(st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 6);
	t[0].tv_nsec = UTIME_OMIT;
	t[1].tv_nsec = UTIME_NOW;
	CHECK(utimensat(AT_FDCWD, "attr", t, 0) == 0 && stat("attr", &st) == 0);
	CHECK(st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec > 1000000);
	t[0].tv_nsec = 1000000000;
	CHECK_ERR(utimensat(AT_FDCWD, "attr", t, 0), EINVAL);
	time_t before = time(NULL) - 1;
	CHECK(write(fd, "x", 1) == 1 && fstat(fd, &st) == 0 && st.st_mtime >= before &&
	      st.st_ctime >= before);
	struct statx sx;
	CHECK(statx(AT_FDCWD, "attr", 0, STATX_ALL, &sx) == 0 && sx.stx_size == 1);
	CHECK(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) == 0 && sx.stx_ino == st.st_ino);
	CHECK(access("attr", R_OK | W_OK) == 0);
	CHECK_ERR(access("attr", X_OK), EACCES);
	CHECK_ERR(access("attr2", F_OK), ENOENT);
	CHECK(faccessat(AT_FDCWD, "attr", R_OK, AT_EACCESS) == 0);
	mode_t old = umask(027);
	CHECK(umask(old) == 027);
	struct statfs sf;
	CHECK(statfs(".", &sf) == 0 && sf.f_bsize >= 512 && sf.f_namelen >= 255);
	CHECK(fstatfs(fd, &sf) == 0);
	close(fd);
}

static void copying(void)
{
	char b[8192];
	int a = open("from", O_CREAT | O_RDWR, 0600), c = open("to", O_CREAT | O_RDWR, 0600);
	for (size_t i = 0; i < sizeof b; i++)
		b[i] = (char)(i % 251);
	CHECK(write(a, b, 8192) == 8192);
	off_t off = 100;
	CHECK(sendfile(c, a, &off, 5000) == 5000 && off == 5100);
	CHECK(lseek(c, 0, SEEK_CUR) == 5000);
	char d[8192];
	CHECK(pread(c, d, 8192, 0) == 5000 && !memcmp(d, b + 100, 5000));
	loff_t i = 0, o = 5000;
	CHECK(copy_file_range(a, &i, c, &o, 8192, 0) == 8192 && i == 8192 && o == 13192);
	CHECK(copy_file_range(a, &i, c, &o, 10, 0) == 0);
	CHECK(pread(c, d, 8192, 5000) == 8192 && !memcmp(d, b, 8192));
	int p[2];
	CHECK(pipe(p) == 0);
	i = 10;
	CHECK(splice(a, &i, p[1], NULL, 300, 0) == 300 && i == 310);
	CHECK(read(p[0], d, 8192) == 300 && !memcmp(d, b + 10, 300));
	CHECK(write(p[1], "into the file", 13) == 13);
	o = 0;
	CHECK(splice(p[0], NULL, c, &o, 13, 0) == 13 && o == 13);
	CHECK(pread(c, d, 13, 0) == 13 && !memcmp(d, "into the file", 13));
	CHECK_ERR(splice(a, NULL, c, NULL, 10, 0), EINVAL);
	CHECK_ERR(lseek(p[0], 0, SEEK_SET), ESPIPE);
	CHECK_ERR(pread(p[0], d, 1, 0), ESPIPE);
	close(p[0]);
	close(p[1]);
	close(a);
	close(c);
}

int main(void)
{
	char dir[] = "/tmp/fs-files-XXXXXX";
	CHECK(mkdtemp(dir) != NULL);
	CHECK(chdir(dir) == 0);
	reading_and_writing();
	big_and_sparse();
	mapping();
	descriptors();
	attributes();
	copying();
	static const char *const made[] = {"a", "big", "sparse", "map", "attr", "from", "to"};
	for (size_t i = 0; i < sizeof made / sizeof *made; i++)
		CHECK(unlink(made[i]) == 0);
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	return check_report();
}
