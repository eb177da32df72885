/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that create, rename, remove, list and read the same few names at once, and open,
 * duplicate and close descriptors: nothing may come out that no order of the calls explains.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"

#define THREADS 4
#define ROUNDS 4000
static atomic_int odd; /* results nothing explains */
static int shared_fd;
static char *map;

static void unexpected(const char *what)
{
	if (atomic_fetch_add(&odd, 1) < 10)
		printf("unexpected: %s: %s\n", what, strerror(errno));
}

/* A file's contents are always its own name's letter, whatever it is called by now. */
static void one_round(unsigned *seed, int me)
{
	char a[40], b[40], buf[64];
	int k = rand_r(seed) % 6, l = rand_r(seed) % 6;
	snprintf(a, sizeof a, "d%d/f%d", k % 2, k);
	snprintf(b, sizeof b, "d%d/f%d", l % 2, l);
	switch (rand_r(seed) % 8) {
	case 0:
	case 1: {
		int fd = open(a, O_CREAT | O_RDWR, 0600);
		if (fd < 0) {
			unexpected("create");
			break;
		}
		if (write(fd, "xxxxxxxx", 8) != 8)
			unexpected("write");
		close(fd);
		break;
	}
	case 2:
		if (rename(a, b) && errno != ENOENT)
			unexpected("rename");
		break;
	case 3:
		if (unlink(a) && errno != ENOENT)
			unexpected("unlink");
		break;
	case 4: {
		int fd = open(a, O_RDONLY);
		if (fd < 0) {
			if (errno != ENOENT)
				unexpected("open");
			break;
		}
		ssize_t n = read(fd, buf, sizeof buf);
		if ((n != 0 && n != 8) || (n == 8 && memcmp(buf, "xxxxxxxx", 8)))
			unexpected("contents");
		int copy = dup(fd);
		close(fd);
		if (copy < 0 || lseek(copy, 0, SEEK_CUR) != n)
			unexpected("dup");
		close(copy);
		break;
	}
	case 5: {
		DIR *d = opendir("d0");
		struct dirent *e;
		while (d && (e = readdir(d)))
			if (e->d_name[0] != '.' && e->d_name[0] != 'f' && e->d_name[0] != 't')
				unexpected("name");
		if (d)
			closedir(d);
		break;
	}
	case 6: {
		struct stat st;
		snprintf(b, sizeof b, "d0/t%d", me);
		if (mkdir(b, 0700) || stat(b, &st) || !S_ISDIR(st.st_mode) || rmdir(b))
			unexpected("directory");
		break;
	}
	case 7: {
		/* Own 100 bytes of the shared file, by write and by mapping. */
		memset(buf, 'A' + me, 50);
		if (pwrite(shared_fd, buf, 50, me * 5000) != 50 || memcmp(map + me * 5000, buf, 50))
			unexpected("shared file");
		map[me * 5000 + 60] = (char)(k + 1);
		char c;
		if (pread(shared_fd, &c, 1, me * 5000 + 60) != 1 || c != k + 1)
			unexpected("shared mapping");
		break;
	}
	}
}

static void *work(void *arg)
{
	int me = (int)(long)arg;
	unsigned seed = (unsigned)me + 1;
	for (int i = 0; i < ROUNDS; i++)
		one_round(&seed, me);
	return NULL;
}

int main(void)
{
	char dir[] = "/tmp/fs-stress-XXXXXX", cmd[100];
	pthread_t t[THREADS];
	CHECK(mkdtemp(dir) != NULL && chdir(dir) == 0);
	CHECK(mkdir("d0", 0755) == 0 && mkdir("d1", 0755) == 0);
	shared_fd = open("shared", O_CREAT | O_RDWR, 0600);
	CHECK(ftruncate(shared_fd, THREADS * 5000) == 0);
	map = mmap(NULL, THREADS * 5000, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
	CHECK(map != MAP_FAILED);
	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, work, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(odd == 0);
	int fd = dup(shared_fd);
	CHECK(fd == shared_fd + 1); /* no descriptor leaked */

	for (int k = 0; k < 6; k++) {
		snprintf(cmd, sizeof cmd, "d%d/f%d", k % 2, k);
		unlink(cmd);
		for (int d = 0; d < 2; d++) {
			snprintf(cmd, sizeof cmd, "d%d/f%d", d, k);
			unlink(cmd);
		}
	}
	CHECK(rmdir("d0") == 0 && rmdir("d1") == 0 && unlink("shared") == 0 && rmdir(dir) == 0);
	return check_report();
}
