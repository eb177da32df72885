/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Micro-benchmarks of a kernel, as an ordinary static Linux program: the same binary runs in Carrara and,
 * as init, in a Linux guest. Prints "name nanoseconds-per-operation" lines. Under QEMU's -icount
 * shift=0 a nanosecond is an instruction, so one round is enough; otherwise the best of ROUNDS counts.
 *
 *   micro [-q] [NAME…]     -q: fewer operations, for -icount
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5

static long scale = 1;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void multiply(long n)
{
	uint64_t x = (uint64_t)n | 1;

	for (long i = 0; i < n * 1000; i++)
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	__asm__ volatile("" : : "r"(x));
}

static void null_call(long n)
{
	while (n--)
		syscall(SYS_getppid);
}

static void read_zero(long n)
{
	static int fd = -1;
	char c;

	if (fd < 0 && (fd = open("/dev/zero", O_RDONLY)) < 0)
		die("/dev/zero");
	while (n--)
		if (read(fd, &c, 1) != 1)
			die("read");
}

static void clock_read(long n)
{
	struct timespec t;

	while (n--)
		clock_gettime(CLOCK_MONOTONIC, &t);
}

static int to_peer[2], from_peer[2];
static long peer_rounds;

static void *pipe_peer(void *arg)
{
	char c;

	for (long i = 0; i < peer_rounds; i++)
		if (read(to_peer[0], &c, 1) != 1 || write(from_peer[1], &c, 1) != 1)
			die("pipe peer");
	return arg;
}

static void pipe_round_trip(long n)
{
	pthread_t th;
	char c = 0;

	if (pipe(to_peer) || pipe(from_peer))
		die("pipe");
	peer_rounds = n;
	pthread_create(&th, NULL, pipe_peer, NULL);
	while (n--)
		if (write(to_peer[1], &c, 1) != 1 || read(from_peer[0], &c, 1) != 1)
			die("pipe");
	pthread_join(th, NULL);
	for (int i = 0; i < 2; i++) {
		close(to_peer[i]);
		close(from_peer[i]);
	}
}

static int word __attribute__((aligned(64)));

static void wait_for(int v)
{
	int seen;

	while ((seen = __atomic_load_n(&word, __ATOMIC_ACQUIRE)) != v)
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void set_to(int v)
{
	__atomic_store_n(&word, v, __ATOMIC_RELEASE);
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *futex_peer(void *arg)
{
	for (long i = 0; i < peer_rounds; i++) {
		wait_for(1);
		set_to(0);
	}
	return arg;
}

static void futex_round_trip(long n)
{
	pthread_t th;

	word = 0;
	peer_rounds = n;
	pthread_create(&th, NULL, futex_peer, NULL);
	while (n--) {
		set_to(1);
		wait_for(0);
	}
	pthread_join(th, NULL);
}

static volatile int yield_stop;

static void *yield_peer(void *arg)
{
	while (!yield_stop)
		sched_yield();
	return arg;
}

/* Two threads yield to each other: an operation is one yield of this thread, that is two switches. */
static void yield_pair(long n)
{
	pthread_t th;

	yield_stop = 0;
	pthread_create(&th, NULL, yield_peer, NULL);
	while (n--)
		sched_yield();
	yield_stop = 1;
	pthread_join(th, NULL);
}

static void *nothing(void *arg)
{
	return arg;
}

static void thread_life(long n)
{
	while (n--) {
		pthread_t th;
		if (pthread_create(&th, NULL, nothing, NULL))
			die("pthread_create");
		pthread_join(th, NULL);
	}
}

static void map_touch(long n, size_t size)
{
	while (n--) {
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			die("mmap");
		for (size_t i = 0; i < size; i += 4096)
			p[i] = 1;
		munmap(p, size);
	}
}

static void map_4k(long n)
{
	map_touch(n, 4096);
}

static void map_2m(long n)
{
	map_touch(n, 2 << 20);
}

static char *big;

static void cached_read(long n, size_t size)
{
	static int fd = -1;

	if (fd < 0) {
		fd = open("/tmp/bench.data", O_RDWR | O_CREAT, 0600);
		if (fd < 0 || write(fd, big, 4 << 20) != 4 << 20)
			die("/tmp/bench.data");
	}
	for (long i = 0; i < n; i++)
		if (pread(fd, big, size, (long)((size_t)i * size % (4 << 20))) != (ssize_t)size)
			die("pread");
}

static void read_4k(long n)
{
	cached_read(n, 4096);
}

static void read_1m(long n)
{
	cached_read(n, 1 << 20);
}

static void copy_1m(long n)
{
	while (n--) {
		memcpy(big, big + (2 << 20), 1 << 20);
		__asm__ volatile("" : : "r"(big) : "memory");
	}
}

static const struct {
	const char *name;
	void (*run)(long n);
	long n;
} benches[] = {
    {"control_1000_multiplications", multiply, 2000},
    {"getppid", null_call, 100000},
    {"read_dev_zero", read_zero, 100000},
    {"clock_gettime", clock_read, 100000},
    {"pipe_round_trip", pipe_round_trip, 5000},
    {"futex_round_trip", futex_round_trip, 5000},
    {"sched_yield_pair", yield_pair, 10000},
    {"thread_create_join", thread_life, 1000},
    {"mmap_touch_4k", map_4k, 5000},
    {"mmap_touch_2m", map_2m, 40},
    {"page_cache_read_4k", read_4k, 5000},
    {"page_cache_read_1m", read_1m, 20},
    {"memcpy_1m", copy_1m, 40},
};

static int wanted(const char *name, char **names)
{
	if (!*names)
		return 1;
	for (; *names; names++)
		if (strstr(name, *names))
			return 1;
	return 0;
}

static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		die("sched_setaffinity");
}

int main(int argc, char **argv)
{
	int rounds = ROUNDS, is_init = getpid() == 1;

	if (is_init) { /* Linux: the program is init */
		mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
		mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	}
	if (argc > 1 && !strcmp(argv[1], "-q")) {
		rounds = 1;
		scale = 4;
		argv++;
	}
	pin();
	big = malloc(4 << 20);
	memset(big, 1, 4 << 20);
	for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) {
		if (!wanted(benches[i].name, argv + 1))
			continue;
		long n = benches[i].n / scale;
		double best = 1e30;
		benches[i].run(n / 10 + 1); /* first touch, rewriting, caches */
		for (int r = 0; r < rounds; r++) {
			int64_t t = now();
			benches[i].run(n);
			double per = (double)(now() - t) / (double)n;
			if (per < best)
				best = per;
		}
		printf("bench %s %.1f\n", benches[i].name, best);
		fflush(stdout);
	}
	puts("bench end 0");
	fflush(stdout);
	if (is_init) {
		reboot(RB_POWER_OFF);
		pause();
	}
	return 0;
}
