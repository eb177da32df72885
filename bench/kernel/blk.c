/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Disk throughput of a guest, for bench/kernel/blk.py: the same static program in Carrara and, as
 * init with the virtio modules in /m, in Linux. `blk DISK` writes over DISK. Prints "bench NAME
 * VALUE": MB/s for the sequential tests, operations of 4 KiB per second for the random ones; _32 is
 * with 32 threads.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#define DEPTH 32
#define SMALL 4096
#define LARGE (128 << 10)
#define SECONDS 1.0

static const char *disk;
static uint64_t disk_size;
static int direct_fd;
static atomic_bool stop;

struct job {
	pthread_t thread;
	uint64_t seed, done;
	int write;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *aligned(size_t n)
{
	void *p = NULL;
	if (posix_memalign(&p, 4096, n))
		die("memory");
	memset(p, 0x5a, n);
	return p;
}

static void *random_job(void *arg)
{
	struct job *j = arg;
	char *buf = aligned(SMALL);
	while (!atomic_load(&stop)) {
		j->seed = j->seed * 6364136223846793005ull + 1442695040888963407ull;
		off_t at = (off_t)((j->seed >> 33) % (disk_size / SMALL) * SMALL);
		ssize_t n =
		    j->write ? pwrite(direct_fd, buf, SMALL, at) : pread(direct_fd, buf, SMALL, at);
		if (n != SMALL)
			die("random I/O");
		j->done++;
	}
	free(buf);
	return NULL;
}

static void random_io(const char *name, int write, int depth)
{
	static struct job job[DEPTH];
	atomic_store(&stop, 0);
	double start = now();
	for (int i = 0; i < depth; i++) {
		job[i] = (struct job){.seed = (uint64_t)i * 77 + 5, .write = write};
		if (pthread_create(&job[i].thread, NULL, random_job, &job[i]))
			die("pthread_create");
	}
	while (now() - start < SECONDS) {
		struct timespec pause = {0, 10000000};
		nanosleep(&pause, NULL);
	}
	atomic_store(&stop, 1);
	uint64_t done = 0;
	for (int i = 0; i < depth; i++) {
		pthread_join(job[i].thread, NULL);
		done += job[i].done;
	}
	printf("bench %s %.1f\n", name, (double)done / (now() - start));
	fflush(stdout);
}

static void sequential(const char *name, int fd, int write)
{
	char *buf = aligned(LARGE);
	double start = now();
	uint64_t done = 0;
	while (now() - start < SECONDS || !write) {
		off_t at = (off_t)(done % disk_size);
		ssize_t n = write ? pwrite(fd, buf, LARGE, at) : pread(fd, buf, LARGE, at);
		if (n != LARGE)
			die("sequential I/O");
		done += LARGE;
		if (!write && (done >= disk_size))
			break;
	}
	printf("bench %s %.1f\n", name, (double)done / 1e6 / (now() - start));
	fflush(stdout);
	free(buf);
}

static void load_modules(void)
{
	char path[32];
	for (int i = 0; i < 16; i++) {
		snprintf(path, sizeof path, "/m/%d", i);
		int fd = open(path, O_RDONLY);
		if (fd < 0)
			return;
		if (syscall(SYS_finit_module, fd, "", 0))
			perror(path);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	int is_init = getpid() == 1;
	disk = argc > 1 ? argv[argc - 1] : "/dev/vda";
	if (is_init) {
		mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
		load_modules();
	}
	int cached_fd = -1;
	for (int i = 0; i < 200 && (cached_fd = open(disk, O_RDWR)) < 0; i++)
		usleep(10000);
	direct_fd = open(disk, O_RDWR | O_DIRECT);
	if (cached_fd < 0 || direct_fd < 0 || ioctl(cached_fd, BLKGETSIZE64, &disk_size))
		die(disk);
	sequential("seq_read_cache_MBps", cached_fd, 0);
	sequential("seq_read_direct_MBps", direct_fd, 0);
	sequential("seq_write_direct_MBps", direct_fd, 1);
	random_io("rand_read_1", 0, 1);
	random_io("rand_read_32", 0, DEPTH);
	random_io("rand_write_1", 1, 1);
	random_io("rand_write_32", 1, DEPTH);
	puts("bench end 0");
	fflush(stdout);
	if (is_init) {
		reboot(RB_POWER_OFF);
		pause();
	}
	return 0;
}
