/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stress: many threads at once on files, memory, fork, futexes, signals, timers, pipes, sockets,
 * vector registers and the clock, each checking its own data. `stress [SECONDS [THREADS [leaks]]]`;
 * with `leaks` the machine is ours alone and its memory figures after the run must be those of a
 * quarter of the run. A thread that makes no progress for STALL seconds is reported as hanging and
 * ends the program.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STALL 60
#define MAX_THREADS 256
#define RING 64

struct worker {
	const struct kind *kind;
	struct worker *peer; /* for kinds that work in pairs: the other one */
	pthread_t thread;
	unsigned index;
	uint64_t random;
	_Atomic uint64_t rounds;
	_Atomic int tid;
	atomic_bool ended;
	/* signals */
	_Atomic uint64_t received, sum;
	uint64_t sent, sent_sum;
	_Atomic uint64_t ticks;
	/* pairs: made by the even one */
	int fd[2];
	_Atomic uint32_t word;
};

struct kind {
	const char *name;
	void (*run)(struct worker *);
	bool paired;
};

static atomic_bool stopping;
static struct worker workers[MAX_THREADS];
static unsigned nworkers;
static __thread struct worker *self;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

static uint32_t rnd(struct worker *w, uint32_t below)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((w->random >> 33) % below);
}

static bool go_on(struct worker *w)
{
	atomic_fetch_add_explicit(&w->rounds, 1, memory_order_relaxed);
	return !atomic_load_explicit(&stopping, memory_order_relaxed);
}

static void fill(uint64_t *p, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes / 8; i++)
		p[i] = mix(seed + i);
}

static bool same(const uint64_t *p, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes / 8; i++)
		if (p[i] != mix(seed + i)) {
			printf("word %zu of %zu at %p: %#lx, not %#lx\n", i, bytes / 8,
			    (void *)(p + i), p[i], mix(seed + i));
			return false;
		}
	return true;
}

static bool zero(const uint64_t *p, size_t bytes)
{
	for (size_t i = 0; i < bytes / 8; i++)
		if (p[i])
			return false;
	return true;
}

/* --- memory --- */

static void memory(struct worker *w)
{
	while (go_on(w)) {
		size_t pages = 1 + rnd(w, rnd(w, 8) ? 40 : 1100), n = pages * 4096;
		uint64_t seed = mix(w->random);
		char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (!CHECK(p != MAP_FAILED))
			return;
		fill((uint64_t *)p, n, seed);
		size_t cut = rnd(w, (uint32_t)pages) * 4096ul;
		switch (rnd(w, 5)) {
		case 0: /* read-only and back */
			CHECK(mprotect(p, n, PROT_READ) == 0 && same((uint64_t *)p, n, seed));
			CHECK(mprotect(p + cut, n - cut, PROT_READ | PROT_WRITE) == 0);
			fill((uint64_t *)(p + cut), n - cut, seed);
			CHECK(same((uint64_t *)(p + cut), n - cut, seed));
			break;
		case 1: /* given back: zeroes */
			CHECK(madvise(p + cut, n - cut, MADV_DONTNEED) == 0);
			CHECK(
			    same((uint64_t *)p, cut, seed) && zero((uint64_t *)(p + cut), n - cut));
			break;
		case 2: /* cut off at the end */
			if (cut && cut < n) {
				CHECK(munmap(p + cut, n - cut) == 0);
				n = cut;
			}
			CHECK(same((uint64_t *)p, n, seed));
			break;
		case 3: { /* moved and grown */
			char *q = mremap(p, n, n + 8192, MREMAP_MAYMOVE);
			if (CHECK(q != MAP_FAILED)) {
				p = q;
				CHECK(same((uint64_t *)p, n, seed));
				CHECK(zero((uint64_t *)(p + n), 8192));
				n += 8192;
			}
			break;
		}
		case 4: /* a hole in the middle, filled again */
			CHECK(mmap(p + cut, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + cut);
			CHECK(zero((uint64_t *)(p + cut), 4096) && same((uint64_t *)p, cut, seed));
			break;
		}
		CHECK(munmap(p, n) == 0);
	}
}

/* Looks at a program's descriptors while it ends. */
static void look_at_descriptors(pid_t pid)
{
	char path[64], target[64];
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, i % 3);
		ssize_t n = readlink(path, target, sizeof target);
		if (n < 0)
			CHECK(errno == ENOENT || errno == EACCES || errno == ESRCH);
	}
}

/* A child sees its parent's memory of the moment of the fork; neither sees the other's writes after
 * it. */
static void forks(struct worker *w)
{
	size_t n = 24 * 4096;
	uint64_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *shared =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!CHECK(p != MAP_FAILED && shared != MAP_FAILED))
		return;
	while (go_on(w)) {
		uint64_t seed = mix(w->random++);
		fill(p, n, seed);
		*shared = 0;
		pid_t child = fork();
		if (child == 0) {
			bool good = same(p, n, seed);
			fill(p, n, seed + 99);
			good &= same(p, n, seed + 99);
			*shared = seed;
			_exit(good ? 42 : 1);
		}
		if (!CHECK(child > 0))
			break;
		fill(p, n / 2, seed + 7);
		look_at_descriptors(child);
		int status;
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
		CHECK(*shared == seed && same(p, n / 2, seed + 7));
		struct timespec pause = {0, 20000000};
		nanosleep(&pause, NULL);
	}
	munmap(p, n);
	munmap(shared, 4096);
}

/* --- files --- */

static void files(struct worker *w)
{
	char name[64], other[72];
	uint64_t buf[1024], back[1024];
	snprintf(name, sizeof name, "/tmp/stress.%d.%u", getpid(), w->index);
	snprintf(other, sizeof other, "%s.new", name);
	while (go_on(w)) {
		int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (!CHECK(fd >= 0))
			return;
		unsigned blocks = 1 + rnd(w, 12);
		uint64_t seed = mix(w->random);
		for (unsigned i = 0; i < blocks; i++) {
			fill(buf, sizeof buf, seed + i);
			CHECK(write(fd, buf, sizeof buf) == sizeof buf);
		}
		CHECK(rename(name, other) == 0);
		CHECK_ERR(access(name, F_OK), ENOENT);
		unsigned which = rnd(w, blocks);
		CHECK(pread(fd, back, sizeof back, (off_t)(which * sizeof back)) == sizeof back);
		CHECK(same(back, sizeof back, seed + which));
		uint64_t *m = mmap(NULL, sizeof buf, PROT_READ | PROT_WRITE,
		    rnd(w, 2) ? MAP_SHARED : MAP_PRIVATE, fd, (off_t)(which * sizeof buf));
		if (CHECK(m != MAP_FAILED)) {
			CHECK(same(m, sizeof buf, seed + which));
			m[3] = 3;
			munmap(m, sizeof buf);
		}
		struct stat st;
		CHECK(ftruncate(fd, (off_t)(which * sizeof buf + 100)) == 0);
		CHECK(fstat(fd, &st) == 0 && st.st_size == (off_t)(which * sizeof buf + 100));
		CHECK(pread(fd, back, sizeof back, (off_t)(which * sizeof back)) == 100);
		CHECK(close(fd) == 0 && unlink(other) == 0);
	}
}

/* Many threads, one file, each with its own stripe of it. */
static void stripes(struct worker *w)
{
	char name[64];
	uint64_t buf[96], back[96];
	snprintf(name, sizeof name, "/tmp/stress.%d.shared", getpid());
	int fd = open(name, O_RDWR | O_CREAT, 0600);
	if (!CHECK(fd >= 0))
		return;
	while (go_on(w)) {
		uint64_t seed = mix(w->random++);
		off_t at = (off_t)((rnd(w, 16) * (uint64_t)MAX_THREADS + w->index) * sizeof buf);
		fill(buf, sizeof buf, seed);
		CHECK(pwrite(fd, buf, sizeof buf, at) == sizeof buf);
		sched_yield();
		CHECK(pread(fd, back, sizeof back, at) == sizeof back &&
		      same(back, sizeof back, seed));
	}
	close(fd);
}

/* --- locks --- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, pi_mutex;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static uint64_t guarded[2], pi_guarded[2], rw_guarded[2];
static _Atomic uint64_t additions, pi_additions;

static void locks(struct worker *w)
{
	while (go_on(w)) {
		switch (rnd(w, 3)) {
		case 0:
			pthread_mutex_lock(&mutex);
			guarded[0]++;
			if (!rnd(w, 50))
				sched_yield();
			CHECK(++guarded[1] == guarded[0]);
			pthread_mutex_unlock(&mutex);
			atomic_fetch_add(&additions, 1);
			break;
		case 1:
			CHECK(pthread_mutex_lock(&pi_mutex) == 0);
			pi_guarded[0]++;
			if (!rnd(w, 50))
				sched_yield();
			CHECK(++pi_guarded[1] == pi_guarded[0]);
			CHECK(pthread_mutex_unlock(&pi_mutex) == 0);
			atomic_fetch_add(&pi_additions, 1);
			break;
		case 2:
			if (rnd(w, 4)) {
				pthread_rwlock_rdlock(&rwlock);
				CHECK(rw_guarded[0] == rw_guarded[1]);
			} else {
				pthread_rwlock_wrlock(&rwlock);
				rw_guarded[0]++;
				if (!rnd(w, 50))
					sched_yield();
				rw_guarded[1]++;
			}
			pthread_rwlock_unlock(&rwlock);
			break;
		}
	}
}

/* A bounded queue with condition variables: what goes in comes out, once. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled, emptied;
	uint64_t slot[RING];
	unsigned head, tail;
	uint64_t in, out, producers;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
    .filled = PTHREAD_COND_INITIALIZER,
    .emptied = PTHREAD_COND_INITIALIZER};

static void producer(struct worker *w)
{
	while (go_on(w)) {
		uint64_t v = mix(w->random++) | 1;
		pthread_mutex_lock(&queue.lock);
		while (queue.head - queue.tail == RING)
			pthread_cond_wait(&queue.emptied, &queue.lock);
		queue.slot[queue.head++ % RING] = v;
		queue.in += v;
		pthread_cond_signal(&queue.filled);
		pthread_mutex_unlock(&queue.lock);
	}
	pthread_mutex_lock(&queue.lock);
	queue.producers--;
	pthread_cond_broadcast(&queue.filled);
	pthread_mutex_unlock(&queue.lock);
}

static void consumer(struct worker *w)
{
	for (;;) {
		go_on(w);
		pthread_mutex_lock(&queue.lock);
		while (queue.head == queue.tail && queue.producers) {
			struct timespec until;
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += 5000000;
			if (until.tv_nsec >= 1000000000) {
				until.tv_nsec -= 1000000000;
				until.tv_sec++;
			}
			pthread_cond_timedwait(&queue.filled, &queue.lock, &until);
			go_on(w);
		}
		bool over = queue.head == queue.tail;
		if (!over) {
			queue.out += queue.slot[queue.tail++ % RING];
			pthread_cond_signal(&queue.emptied);
		}
		pthread_mutex_unlock(&queue.lock);
		if (over)
			return;
	}
}

static void queue_worker(struct worker *w)
{
	(w->index & 1 ? producer : consumer)(w);
}

static long futex(_Atomic uint32_t *word, int op, uint32_t v, const struct timespec *t)
{
	return syscall(SYS_futex, word, op, v, t, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Two threads take turns; the word of the even one counts them. */
static void turns(struct worker *w)
{
	unsigned me = w->index & 1;
	_Atomic uint32_t *word = me ? &w->peer->word : &w->word;
	for (;;) {
		uint32_t v = atomic_load(word);
		if (v & 1u << 31)
			return;
		if ((v & 1) != me) {
			struct timespec limit = {10, 0};
			futex(word, FUTEX_WAIT_PRIVATE, v, rnd(w, 2) ? NULL : &limit);
			continue;
		}
		bool more = go_on(w);
		atomic_store(word, more ? (v + 1) & ~(1u << 31) : 1u << 31);
		futex(word, FUTEX_WAKE_PRIVATE, 1, NULL);
	}
}

/* --- pipes and sockets --- */

static bool transfer(int fd, void *buf, size_t n, bool in)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = in ? read(fd, (char *)buf + done, n - done)
			       : write(fd, (char *)buf + done, n - done);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		done += (size_t)k;
	}
	return true;
}

/* The even one writes records of changing length with their seed in front, the odd one checks them.
 */
static void stream(struct worker *w)
{
	static __thread uint64_t buf[2048];
	if (!(w->index & 1)) {
		while (go_on(w)) {
			uint64_t n = 2 + rnd(w, 2046);
			buf[0] = n;
			buf[1] = mix(w->random);
			fill(buf + 2, (n - 2) * 8, buf[1]);
			if (!CHECK(transfer(w->fd[1], buf, n * 8, false)))
				break;
		}
		close(w->fd[1]);
		w->fd[1] = -1;
		return;
	}
	int fd = w->peer->fd[0];
	for (;;) {
		go_on(w);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (rnd(w, 2))
			while (poll(&p, 1, -1) < 0 && errno == EINTR)
				;
		if (!transfer(fd, buf, 16, true))
			break;
		if (!CHECK(buf[0] >= 2 && buf[0] <= 2048) ||
		    !CHECK(transfer(fd, buf + 2, (buf[0] - 2) * 8, true)))
			break;
		CHECK(same(buf + 2, (buf[0] - 2) * 8, buf[1]));
	}
	close(fd);
}

/* The sum of what is added to an eventfd is what comes out, seen through epoll. */
static void events(struct worker *w)
{
	int ev = eventfd(0, EFD_NONBLOCK), ep = epoll_create1(0), pair[2];
	CHECK(ev >= 0 && ep >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.fd = ev};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) == 0);
	e = (struct epoll_event){.events = EPOLLIN, .data.fd = pair[1]};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, pair[1], &e) == 0);
	while (go_on(w)) {
		uint64_t v = 1 + rnd(w, 1000), got = 0, packet = 0;
		CHECK(write(ev, &v, 8) == 8 && send(pair[0], &v, 8, 0) == 8);
		while (!got || !packet) {
			struct epoll_event out[4];
			int n = epoll_wait(ep, out, 4, 20000);
			if (n < 0 && errno == EINTR)
				continue;
			if (!CHECK(n > 0))
				return;
			for (int i = 0; i < n; i++) {
				if (out[i].data.fd == ev)
					CHECK(read(ev, &got, 8) == 8);
				else
					CHECK(recv(pair[1], &packet, 8, 0) == 8);
			}
		}
		CHECK(got == v && packet == v);
	}
	close(ev);
	close(ep);
	close(pair[0]);
	close(pair[1]);
}

/* --- signals and time --- */

static void on_queued(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	atomic_fetch_add(&self->sum, (uint64_t)info->si_value.sival_int);
	atomic_fetch_add(&self->received, 1);
}

static void on_tick(int sig)
{
	(void)sig;
	volatile double x = (double)atomic_load(&self->ticks); /* handlers use vector registers */
	x = x * 1.5 + 2;
	atomic_fetch_add(&self->ticks, 1);
}

/* Real-time signals to the peer are neither lost nor doubled. */
static void signals(struct worker *w)
{
	while (!atomic_load(&w->peer->tid))
		sched_yield();
	while (go_on(w)) {
		siginfo_t info = {0};
		info.si_code = SI_QUEUE;
		info.si_pid = getpid();
		info.si_value.sival_int = (int)rnd(w, 1000);
		if (syscall(SYS_rt_tgsigqueueinfo, getpid(), atomic_load(&w->peer->tid),
			SIGRTMIN + 1, &info) == 0) {
			w->sent++;
			w->sent_sum += (uint64_t)info.si_value.sival_int;
		} else {
			CHECK(errno == EAGAIN);
			sched_yield();
		}
		if (!rnd(w, 8))
			syscall(SYS_tgkill, getpid(), atomic_load(&w->peer->tid), SIGUSR1);
		if (!rnd(w, 16)) {
			struct timespec pause = {0, 200000};
			nanosleep(&pause, NULL);
		}
	}
	/* What the peer sent must arrive; it has stopped when its flag says so. */
	atomic_store(&w->ended, true);
	double limit = check_seconds() + STALL;
	while (!atomic_load(&w->peer->ended) ||
	       atomic_load(&w->received) != __atomic_load_n(&w->peer->sent, __ATOMIC_ACQUIRE)) {
		struct timespec pause = {0, 1000000};
		nanosleep(&pause, NULL);
		if (check_seconds() > limit)
			break;
	}
	CHECK(atomic_load(&w->received) == w->peer->sent &&
	      atomic_load(&w->sum) == w->peer->sent_sum);
}

/* A periodic timer of its own interrupts a computation whose result is known. */
static void timers(struct worker *w)
{
	struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2};
	e._sigev_un._tid = (int)syscall(SYS_gettid);
	while (go_on(w)) {
		timer_t t;
		uint64_t before = atomic_load(&w->ticks);
		if (!CHECK(timer_create(rnd(w, 2) ? CLOCK_MONOTONIC : CLOCK_REALTIME, &e, &t) == 0))
			return;
		struct itimerspec every = {{0, 3000000}, {0, 1000000}};
		CHECK(timer_settime(t, 0, &every, NULL) == 0);
		double limit = check_seconds() + STALL;
		while (atomic_load(&w->ticks) < before + 3 && check_seconds() < limit) {
			double x = 1;
			for (int i = 0; i < 2000; i++)
				x = x * 1.000001 + 0.5;
			CHECK(x > 1000.0 && x < 1002.1);
			if (!rnd(w, 20))
				sched_yield();
		}
		CHECK(atomic_load(&w->ticks) >= before + 3);
		CHECK(timer_delete(t) == 0);
	}
}

/* Vector registers keep their values over preemption, faults, signals and calls. */
static void vectors(struct worker *w)
{
	uint64_t v[4] __attribute__((aligned(32)));
	while (go_on(w)) {
		for (int i = 0; i < 4; i++)
			v[i] = mix(w->random++);
		long spins = 1000 + (long)rnd(w, 30000), call = rnd(w, 4) ? -1 : SYS_sched_yield;
		uint64_t different;
		asm volatile(
		    "movdqa %[a], %%xmm6\n\tmovdqa 16%[a], %%xmm13\n\t"
		    "1: test %[call], %[call]\n\tjs 2f\n\t"
		    "mov %[call], %%rax\n\tsyscall\n\t"
		    "sub $500, %[spins]\n\t"
		    "2: dec %[spins]\n\tjg 1b\n\t"
		    "pxor %[a], %%xmm6\n\tpxor 16%[a], %%xmm13\n\tpor %%xmm13, %%xmm6\n\t"
		    "movhlps %%xmm6, %%xmm13\n\tpor %%xmm13, %%xmm6\n\tmovq %%xmm6, %[different]"
		    : [spins] "+r"(spins), [different] "=r"(different)
		    : [a] "o"(v), [call] "r"(call)
		    : "rax", "xmm6", "xmm13", "memory", "cc", "rcx", "r11");
		CHECK(different == 0);
	}
}

/* The clock never goes back, whoever reads it; sleeping takes at least its time. */
static void clock_worker(struct worker *w)
{
	static _Atomic uint64_t latest;
	while (go_on(w)) {
		for (int i = 0; i < 200; i++) {
			uint64_t seen = atomic_load(&latest);
			struct timespec ts;
			clock_gettime(CLOCK_MONOTONIC, &ts);
			uint64_t now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
			CHECK(now >= seen);
			while (seen < now && !atomic_compare_exchange_weak(&latest, &seen, now))
				;
		}
		double start = check_seconds();
		struct timespec pause = {0, (long)rnd(w, 3000000)};
		struct timespec left = pause;
		while (nanosleep(&left, &left) < 0)
			CHECK(errno == EINTR);
		CHECK(check_seconds() - start >= (double)pause.tv_nsec / 1e9);
	}
}

/* --- threads --- */

static void *short_life(void *arg)
{
	char stack[2048];
	memset(stack, (int)(uintptr_t)arg, sizeof stack);
	sched_yield();
	return (void *)((uintptr_t)arg + (uintptr_t)stack[100]);
}

static void threads(struct worker *w)
{
	while (go_on(w)) {
		pthread_t t[3];
		unsigned n = 1 + rnd(w, 3);
		for (unsigned i = 0; i < n; i++)
			if (!CHECK(pthread_create(
				       &t[i], NULL, short_life, (void *)(uintptr_t)(i + 1)) == 0))
				n = i;
		for (unsigned i = 0; i < n; i++) {
			void *result;
			CHECK(pthread_join(t[i], &result) == 0 && (uintptr_t)result == 2 * (i + 1));
		}
		cpu_set_t set;
		CPU_ZERO(&set);
		long cpus = sysconf(_SC_NPROCESSORS_CONF);
		CPU_SET(rnd(w, (uint32_t)cpus), &set);
		if (sched_setaffinity(0, sizeof set, &set) == 0)
			CHECK(CPU_ISSET(sched_getcpu(), &set));
		for (long i = 0; i < cpus; i++)
			CPU_SET(i, &set);
		sched_setaffinity(0, sizeof set, &set);
	}
}

/* --- all together --- */

static const struct kind kinds[] = {
    {"memory", memory, false},
    {"memory", memory, false},
    {"files", files, false},
    {"files", files, false},
    {"signals", signals, true},
    {"stream", stream, true},
    {"turns", turns, true},
    {"queue", queue_worker, true},
    {"stripes", stripes, false},
    {"locks", locks, false},
    {"events", events, false},
    {"timers", timers, false},
    {"vectors", vectors, false},
    {"clock", clock_worker, false},
    {"threads", threads, false},
    {"forks", forks, false},
};

static void *work(void *arg)
{
	struct worker *w = self = arg;
	atomic_store(&w->tid, (int)syscall(SYS_gettid));
	w->kind->run(w);
	if (w->kind->run != signals)
		atomic_store(&w->ended, true);
	return NULL;
}

static void prepare(struct worker *w)
{
	if (w->kind->paired)
		w->peer = workers + (w->index ^ 1);
	if (w->kind->run == stream && !(w->index & 1)) {
		if (w->index & 2)
			CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, w->fd) == 0);
		else
			CHECK(pipe(w->fd) == 0);
	}
	if (w->kind->run == queue_worker && w->index & 1)
		queue.producers++;
}

/* Starts all threads and waits; returns false if one of them hangs. */
static bool phase(double seconds)
{
	atomic_store(&stopping, false);
	unsigned n = 0;
	memset(workers, 0, sizeof workers);
	for (unsigned k = 0; n < nworkers; k = (k + 1) % (sizeof kinds / sizeof *kinds)) {
		bool paired = kinds[k].paired;
		if (paired && (n & 1 || n + 2 > nworkers))
			continue;
		for (unsigned i = 0; i < 1u + paired; i++, n++)
			workers[n] =
			    (struct worker){.kind = kinds + k, .index = n, .random = mix(n + 77)};
	}
	for (unsigned i = 0; i < n; i++)
		prepare(workers + i);
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	for (unsigned i = 0; i < n; i++)
		CHECK(pthread_create(&workers[i].thread, &attr, work, workers + i) == 0);
	uint64_t rounds[MAX_THREADS] = {0};
	double since[MAX_THREADS], start = check_seconds();
	for (unsigned i = 0; i < n; i++)
		since[i] = start;
	for (unsigned alive = n; alive;) {
		struct timespec pause = {0, 100000000};
		nanosleep(&pause, NULL);
		double now = check_seconds();
		if (now - start >= seconds)
			atomic_store(&stopping, true);
		alive = 0;
		for (unsigned i = 0; i < n; i++) {
			if (atomic_load(&workers[i].ended))
				continue;
			alive++;
			uint64_t r = atomic_load(&workers[i].rounds);
			if (r != rounds[i]) {
				rounds[i] = r;
				since[i] = now;
			} else if (now - since[i] > STALL) {
				printf("thread %u (%s, tid %d) hangs after %lu rounds\n", i,
				    workers[i].kind->name, workers[i].tid, r);
				return false;
			}
		}
	}
	for (unsigned i = 0; i < n; i++)
		CHECK(pthread_join(workers[i].thread, NULL) == 0);
	CHECK(guarded[0] == atomic_load(&additions) && pi_guarded[0] == atomic_load(&pi_additions));
	CHECK(queue.in == queue.out);
	return true;
}

/* Kilobytes in use that are not the page cache's. */
static long memory_used(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char name[64];
	long value, total = 0, unused = 0;
	while (f && fscanf(f, "%63[^:]: %ld%*[^\n]\n", name, &value) == 2) {
		if (!strcmp(name, "MemTotal"))
			total = value;
		else if (!strcmp(name, "MemFree") || !strcmp(name, "Cached") ||
			 !strcmp(name, "Buffers"))
			unused += value;
	}
	if (f)
		fclose(f);
	return total - unused;
}

static void print_rounds(void)
{
	for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		uint64_t sum = 0;
		unsigned n = 0;
		for (unsigned i = 0; i < nworkers; i++)
			if (workers[i].kind == kinds + k) {
				sum += atomic_load(&workers[i].rounds);
				n++;
			}
		printf("%-8s %u threads, %lu rounds\n", kinds[k].name, n, sum);
	}
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 2;
	nworkers = argc > 2 ? (unsigned)atoi(argv[2]) : 32;
	bool leaks = argc > 3 && !strcmp(argv[3], "leaks");
	if (nworkers < 2 || nworkers > MAX_THREADS)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&pi_mutex, &a);
	struct sigaction queued = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigaction tick = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
	sigaction(SIGRTMIN + 1, &queued, NULL);
	sigaction(SIGUSR1, &tick, NULL);
	sigaction(SIGUSR2, &tick, NULL);
	long before = 0, after;
	bool ok = !leaks || phase(seconds / 4);
	if (ok && leaks) {
		sleep(1);
		before = memory_used();
	}
	ok = ok && phase(leaks ? seconds * 3 / 4 : seconds);
	CHECK(ok);
	char name[64];
	snprintf(name, sizeof name, "/tmp/stress.%d.shared", getpid());
	unlink(name);
	if (ok && leaks) {
		print_rounds();
		sleep(1);
		after = memory_used();
		printf("memory in use: %ld KiB before, %ld KiB after\n", before, after);
		CHECK(after < before + 2048);
	}
	fflush(stdout);
	int status = check_report();
	if (!ok)
		_exit(status); /* the threads that hang are still there */
	return status;
}
