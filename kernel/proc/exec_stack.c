/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The initial stack. From the top down: the executable's name, environment strings, argument
 * strings (in the order Linux puts them, which setproctitle() implementations rely on), the
 * platform name, 16 random bytes, the auxiliary vector, envp, argv, argc.
 */
#include "proc/exec_internal.h"

#include <asm/errno.h>
#include <linux/auxvec.h>
#include <linux/mman.h>
#include "arch/x86/cpu.h"
#include "core/random.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/limits.h"
#include "proc/program.h"

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN 28
#endif
#define RSEQ_FEATURE_SIZE 20
#define RSEQ_ALIGN 32
#define HWCAP2_FSGSBASE 2
#define CR4_FSGSBASE 0x10000

#define STACK_INITIAL (33 * PAGE_SIZE)
#define STACK_RANDOM_PAGES 0x3ffffful /* 16 GiB */
#define MMAP_RANDOM_PAGES 0xffffffful /* 1 TiB */
#define GAP_MIN (128ul << 20)
#define GAP_MAX (USER_END / 6 * 5)
#define AUX_MAX 32

void exec_layout(struct exec *x)
{
	struct mm *m = x->mm;
	bool fixed = m->fixed_layout;
	uint64_t stack_random = fixed ? 0 : (random_u64() & STACK_RANDOM_PAGES) << PAGE_SHIFT;
	uint64_t mmap_random = fixed ? 0 : (random_u64() & MMAP_RANDOM_PAGES) << PAGE_SHIFT;
	uint64_t limit = x->program->limits[RLIMIT_STACK].cur;
	uint64_t gap = limit == UINT64_MAX ? GAP_MAX : MAX(GAP_MIN, MIN(limit, GAP_MAX));
	m->stack_top = USER_END - stack_random;
	m->mmap_base = ALIGN_DOWN(
	    USER_END - gap - (STACK_RANDOM_PAGES << PAGE_SHIFT) - (1 << 20) - mmap_random,
	    PAGE_SIZE);
}

struct writer {
	struct exec *x;
	uint64_t at; /* next byte to write goes below it */
	uint64_t floor;
	int err;
};

static void push(struct writer *w, const void *data, size_t n)
{
	if (w->err)
		return;
	if (w->at - w->floor < n) {
		w->err = -E2BIG;
		return;
	}
	w->at -= n;
	if (mm_access(w->x->mm, w->at, (void *)(uintptr_t)data, n, true) != (long)n)
		w->err = -ENOMEM;
}

/* Pushes the strings of a vector, last first; addresses go to out[]. */
static void push_strings(struct writer *w, char *const *vec, size_t n, uint64_t *out)
{
	while (n-- && !w->err) {
		size_t len = strlen(vec[n]) + 1;
		if (len > EXEC_MAX_STRING) {
			w->err = -E2BIG;
			return;
		}
		push(w, vec[n], len);
		out[n] = w->at;
	}
}

static size_t count(char *const *vec)
{
	size_t n = 0;
	while (vec && vec[n])
		n++;
	return n;
}

static size_t fill_auxv(
    struct exec *x, uint64_t *aux, uint64_t execfn, uint64_t random, uint64_t platform)
{
	const struct credentials *c = &x->program->cred;
	uint32_t features[4], xsave[4];
	cpuid(1, 0, features);
	cpuid(0xd, 0, xsave);
	const uint64_t values[][2] = {
	    {AT_SYSINFO_EHDR, x->mm->vdso},
	    {AT_MINSIGSTKSZ, 1024 + 128 + ALIGN_UP((uint64_t)xsave[1], 64)},
	    {AT_HWCAP, features[3]},
	    {AT_PAGESZ, PAGE_SIZE},
	    {AT_CLKTCK, 100},
	    {AT_PHDR, x->phdr},
	    {AT_PHENT, 56},
	    {AT_PHNUM, x->phnum},
	    {AT_BASE, x->interp_base},
	    {AT_FLAGS, 0},
	    {AT_ENTRY, x->entry},
	    {AT_UID, c->uid},
	    {AT_EUID, c->euid},
	    {AT_GID, c->gid},
	    {AT_EGID, c->egid},
	    {AT_SECURE, c->uid != c->euid || c->gid != c->egid},
	    {AT_RANDOM, random},
	    {AT_HWCAP2, read_cr4() & CR4_FSGSBASE ? HWCAP2_FSGSBASE : 0},
	    {AT_EXECFN, execfn},
	    {AT_PLATFORM, platform},
	    {AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE},
	    {AT_RSEQ_ALIGN, RSEQ_ALIGN},
	};
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (values[i][0] == AT_SYSINFO_EHDR && !values[i][1])
			continue;
		aux[n++] = values[i][0];
		aux[n++] = values[i][1];
	}
	aux[n++] = AT_NULL;
	aux[n++] = 0;
	return n;
}

static int map_stack(struct exec *x, uint64_t size)
{
	unsigned prot = PROT_READ | PROT_WRITE | (x->exec_stack ? PROT_EXEC : 0);
	long at = mm_map(x->mm, x->mm->stack_top - size, size, prot,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_GROWSDOWN | VMA_STACK, NULL, 0);
	return at < 0 ? (int)at : 0;
}

/* Strings below the top; the vector of pointers, built in kernel memory, below them. */
static int write_stack(struct exec *x, struct writer *w, uint64_t *vec, size_t argc, size_t envc)
{
	uint64_t random_at, platform, execfn, zero = 0, bytes[2] = {random_u64(), random_u64()};
	uint64_t *argv = vec + 1, *envp = argv + argc + 1, *aux = envp + envc + 1;
	push(w, &zero, sizeof zero);
	push(w, x->path, strlen(x->path) + 1);
	execfn = w->at;
	x->mm->env_end = w->at;
	push_strings(w, x->envp, envc, envp);
	x->mm->env_start = x->mm->arg_end = w->at;
	push_strings(w, x->argv, argc, argv);
	x->mm->arg_start = w->at;
	push(w, "x86_64", 7);
	platform = w->at;
	push(w, bytes, sizeof bytes);
	random_at = w->at;
	if (w->err)
		return w->err;
	vec[0] = argc;
	argv[argc] = envp[envc] = 0;
	size_t n = 1 + argc + 1 + envc + 1 + fill_auxv(x, aux, execfn, random_at, platform);
	w->at = ALIGN_DOWN(w->at - n * sizeof *vec, 16ul) + n * sizeof *vec;
	push(w, vec, n * sizeof *vec);
	x->mm->auxv = w->at + (size_t)((char *)aux - (char *)vec);
	return w->err;
}

int exec_stack(struct exec *x, uint64_t *rsp)
{
	size_t argc = count(x->argv), envc = count(x->envp), total = 0;
	for (size_t i = 0; i < argc; i++)
		total += strlen(x->argv[i]) + 1;
	for (size_t i = 0; i < envc; i++)
		total += strlen(x->envp[i]) + 1;
	uint64_t need =
	    total + strlen(x->path) + (argc + envc + 4 + 2 * AUX_MAX) * sizeof(uint64_t) + 256;
	uint64_t limit = x->program->limits[RLIMIT_STACK].cur;
	if (need > MAX(limit / 4, 128ul * 1024))
		return -E2BIG;
	uint64_t size = ALIGN_UP(need, PAGE_SIZE) + STACK_INITIAL;
	uint64_t *vec = kmalloc((argc + envc + 3 + 2 * AUX_MAX) * sizeof *vec);
	if (!vec)
		return -ENOMEM;
	int err = map_stack(x, size);
	struct writer w = {x, x->mm->stack_top, x->mm->stack_top - size, 0};
	if (!err)
		err = write_stack(x, &w, vec, argc, envc);
	kfree(vec);
	*rsp = w.at;
	return err;
}
