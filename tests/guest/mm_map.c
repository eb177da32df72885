/* SPDX-License-Identifier: BSD-3-Clause */
/* mmap, munmap, mprotect, brk, mremap, madvise, mincore, mlock: semantics that programs rely on. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PAGE 4096ul
#define HUGE (2ul << 20)

static sigjmp_buf back;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	fault_signal = sig;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(back, 1);
}

/* Whether touching p faults; fault_signal and the rest say how. */
static int faults(volatile char *p, int write)
{
	fault_signal = 0;
	if (sigsetjmp(back, 1))
		return 1;
	if (write)
		*p = 1;
	else
		(void)*p;
	return 0;
}

static char *map(size_t n, int prot, int flags)
{
	return mmap(NULL, n, prot, MAP_ANONYMOUS | flags, -1, 0);
}

static void anonymous(void)
{
	char *p = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	CHECK(p != MAP_FAILED);
	CHECK(p[0] == 0 && p[3 * PAGE - 1] == 0);
	memset(p, 7, 3 * PAGE);
	CHECK(munmap(p + PAGE, PAGE) == 0);
	CHECK(p[0] == 7 && p[2 * PAGE] == 7);
	CHECK(faults(p + PAGE, 0) && fault_signal == SIGSEGV && fault_code == SEGV_MAPERR);
	CHECK(fault_address == p + PAGE);
	CHECK(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      p + PAGE);
	CHECK(!faults(p + PAGE, 0));
	CHECK(faults(p + PAGE, 1) && fault_code == SEGV_ACCERR);
	CHECK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
		  MAP_FAILED &&
	      errno == EEXIST);
	CHECK(munmap(p, 3 * PAGE) == 0);
	CHECK_ERR(munmap(p + 1, PAGE), EINVAL);
	CHECK_ERR(munmap(p, 0), EINVAL);
	CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
	char *low = map(PAGE, PROT_READ, MAP_PRIVATE | MAP_32BIT);
	CHECK(low != MAP_FAILED && (uintptr_t)low < 1ul << 31);
	munmap(low, PAGE);
}

static void protection(void)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	memset(p, 1, 4 * PAGE);
	CHECK(mprotect(p + PAGE, PAGE, PROT_NONE) == 0);
	CHECK(faults(p + PAGE, 0) && fault_code == SEGV_ACCERR);
	CHECK(!faults(p, 1) && !faults(p + 2 * PAGE, 1));
	CHECK(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
	CHECK(p[PAGE] == 1);
	CHECK(faults(p + PAGE, 1));
	CHECK(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK(!faults(p + PAGE, 1));
	CHECK_ERR(mprotect(p + 1, PAGE, PROT_READ), EINVAL);
	munmap(p + 2 * PAGE, PAGE);
	CHECK_ERR(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
	munmap(p, 4 * PAGE);
	/* Code written at run time. */
	unsigned char *code = (unsigned char *)map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42,%eax; ret */
	CHECK(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK(((int (*)(void))(uintptr_t)code)() == 42);
	munmap(code, PAGE);
}

static void huge(void)
{
	char *p = map(4 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	char *a = (char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	for (size_t i = 0; i < 2 * HUGE; i += PAGE)
		a[i] = (char)(i / PAGE);
	CHECK(munmap(a + 5 * PAGE, PAGE) == 0);
	CHECK(mprotect(a + 9 * PAGE, PAGE, PROT_READ) == 0);
	int same = 1;
	for (size_t i = 0; i < 2 * HUGE; i += PAGE)
		same &= i == 5 * PAGE || a[i] == (char)(i / PAGE);
	CHECK(same);
	CHECK(faults(a + 5 * PAGE, 0) && faults(a + 9 * PAGE, 1) && !faults(a + 10 * PAGE, 1));
	CHECK(madvise(a + HUGE + 3 * PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(a[HUGE + 3 * PAGE] == 0 && a[HUGE + 4 * PAGE] == 0);
	CHECK(a[HUGE + 2 * PAGE] == (char)(HUGE / PAGE + 2) &&
	      a[HUGE + 5 * PAGE] == (char)(HUGE / PAGE + 5));
	munmap(p, 4 * HUGE);
}

static void heap(void)
{
	char *start = sbrk(0);
	CHECK(sbrk(10 * PAGE) == start);
	CHECK(sbrk(0) == start + 10 * PAGE);
	memset(start, 3, 10 * PAGE);
	CHECK(sbrk(-5 * (long)PAGE) != (void *)-1);
	CHECK(start[4 * PAGE] == 3);
	CHECK(sbrk(5 * PAGE) != (void *)-1);
	CHECK(start[9 * PAGE + 4000] == 0); /* comes back as zeroes */
}

static void remap(void)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE), *q;
	for (int i = 0; i < 4; i++)
		p[i * PAGE] = (char)(i + 1);
	q = mremap(p, 4 * PAGE, 2 * PAGE, 0);
	CHECK(q == p && faults(p + 2 * PAGE, 0));
	q = mremap(p, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(
	    q != MAP_FAILED && q[0] == 1 && q[PAGE] == 2 && q[2 * PAGE] == 0 && q[63 * PAGE] == 0);
	char *target = map(64 * PAGE, PROT_NONE, MAP_PRIVATE);
	p = mremap(q, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	CHECK(p == target && p[0] == 1 && p[PAGE] == 2);
	CHECK(faults(q, 0));
	q = mremap(p, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	CHECK(q != MAP_FAILED && q[0] == 1 && p[0] == 0);
	CHECK(mremap(p, 64 * PAGE, PAGE, MREMAP_FIXED, q) == MAP_FAILED && errno == EINVAL);
	munmap(p, 64 * PAGE);
	munmap(q, 64 * PAGE);
	CHECK(mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
	/* Moving large memory keeps every byte. */
	p = map(3 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	for (size_t i = 0; i < 3 * HUGE; i += PAGE)
		*(size_t *)(p + i) = i;
	map(PAGE, PROT_READ, MAP_PRIVATE);
	q = mremap(p, 3 * HUGE, 5 * HUGE, MREMAP_MAYMOVE);
	int same = q != MAP_FAILED;
	for (size_t i = 0; same && i < 3 * HUGE; i += PAGE)
		same &= *(size_t *)(q + i) == i;
	CHECK(same);
	munmap(q, 5 * HUGE);
}

static void advice(void)
{
	unsigned char vec[4];
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	memset(p, 9, 4 * PAGE);
	CHECK(mincore(p, 4 * PAGE, vec) == 0 && (vec[0] & 1) && (vec[3] & 1));
	CHECK(madvise(p, 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(mincore(p, 4 * PAGE, vec) == 0 && !(vec[0] & 1) && (vec[2] & 1));
	CHECK(p[0] == 0 && p[2 * PAGE] == 9);
	CHECK(madvise(p, 4 * PAGE, MADV_POPULATE_WRITE) == 0);
	CHECK(mincore(p, 4 * PAGE, vec) == 0 && (vec[0] & vec[1] & vec[2] & vec[3] & 1));
	CHECK_ERR(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERR(madvise(p, PAGE, 12345), EINVAL);
	CHECK(mlock(p, PAGE) == 0);
	CHECK_ERR(madvise(p, PAGE, MADV_DONTNEED), EINVAL);
	CHECK(munlock(p, PAGE) == 0);
	CHECK(madvise(p, PAGE, MADV_HUGEPAGE) == 0 || errno == EINVAL);
	munmap(p, 4 * PAGE);
	CHECK_ERR(mincore(p, PAGE, vec), ENOMEM);
	CHECK_ERR(madvise(p, PAGE, MADV_DONTNEED), ENOMEM);
	p = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE);
	CHECK(mincore(p, 2 * PAGE, vec) == 0 && (vec[0] & vec[1] & 1));
	munmap(p, 2 * PAGE);
}

static int deep(int n)
{
	volatile char frame[1024];
	frame[0] = (char)n;
	return n ? deep(n - 1) + frame[0] - frame[0] : 1;
}

static void stack(void)
{
	CHECK(deep(4000) == 1); /* about 4 MiB: grows on demand */
}

static void limits(void)
{
	struct rlimit old, small;
	CHECK(getrlimit(RLIMIT_AS, &old) == 0);
	small = old;
	small.rlim_cur = 64ul << 20;
	CHECK(setrlimit(RLIMIT_AS, &small) == 0);
	CHECK(map(1ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM);
	CHECK(setrlimit(RLIMIT_AS, &old) == 0);
	char *p = map(64ul << 30, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
	CHECK(p != MAP_FAILED); /* address space alone costs nothing */
	munmap(p, 64ul << 30);
	CHECK(map(1ul << 46, PROT_READ | PROT_WRITE, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM);
}

static void many_areas(void)
{
	enum { N = 2000 };
	static char *p[N];
	int ok = 1;
	for (int i = 0; i < N; i++) {
		p[i] = map(PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE);
		ok &= p[i] != MAP_FAILED;
	}
	for (int i = 0; i < N; i += 2)
		p[i][5] = (char)i;
	for (int i = 0; i < N; i += 2)
		ok &= p[i][5] == (char)i;
	for (int i = 0; i < N; i++)
		ok &= munmap(p[i], PAGE) == 0;
	CHECK(ok);
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	anonymous();
	protection();
	huge();
	heap();
	remap();
	advice();
	stack();
	limits();
	many_areas();
	return check_report();
}
