/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rewriting one site of the running program: reads its code, asks site.c for a plan, writes the
 * trampoline and then the jump to it.
 *
 * Code is not changed in place. A copy of its page with the jump in it takes the page's place by
 * one store (mm_patch_page()), so a CPU executes either the old bytes or the new ones, and nobody
 * needs to be stopped: the instruction displaced does the same in both, and a CPU that still sees
 * the old page traps once more.
 *
 * If the plan displaces several instructions, a thread between them would go on inside the jump.
 * Then all CPUs that run applications are stopped for the store, and a thread whose saved program
 * counter lies there makes the site stay as it is.
 */
#include <asm/unistd.h>
#include <linux/elf.h>
#include <linux/mman.h>
#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "mm/vma.h"
#include "proc/program.h"
#include "proc/rewrite/ehframe.h"
#include "proc/rewrite/rewrite.h"
#include "proc/rewrite/site.h"
#include "proc/rewrite/state.h"

#define BLIND_BYTES 48
#define MAX_PHDRS 64
#define HOT 128		/* traps before a site is rewritten */
#define HEAT_TABLE 1024 /* sites whose traps are counted */

struct rewrite_stats rewrite_stats;

static bool read_user(const struct eh_reader *r, uint64_t addr, void *buf, size_t n)
{
	(void)r;
	return copy_from_user(buf, (const void __user *)addr, n) == 0;
}

/* The file mapping a site lies in. */
struct text {
	uint64_t start, end; /* of the area */
	uint64_t image;	     /* where the file's first byte is mapped, 0 if nowhere near */
};

/* Only private, read-only file mappings hold code that stays what it is. */
static bool find_text(struct mm *m, uint64_t site, struct text *t)
{
	rw_read_lock(&m->lock);
	struct vma *v = mm_find(m, site);
	bool ok = v && v->file && (v->prot & PROT_EXEC) && !(v->prot & PROT_WRITE) &&
		  !(v->flags & MAP_SHARED);
	if (ok) {
		struct inode *i = v->file->inode;
		t->start = v->start;
		t->end = v->end;
		t->image = 0;
		for (; v && v->file && v->file->inode == i; v = vma_prev(v)) {
			if (v->pgoff == 0) {
				t->image = v->start;
				break;
			}
		}
	}
	rw_read_unlock(&m->lock);
	return ok;
}

/* The unwind search table of the image, from its program headers in memory. */
static bool find_eh_frame_hdr(const struct text *t, uint64_t *hdr, uint64_t *size)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;
	uint64_t bias = 0, addr = 0;
	*size = 0;
	if (!t->image || !read_user(NULL, t->image, &h, sizeof h) ||
	    memcmp(h.e_ident, ELFMAG, 4) != 0 || h.e_phentsize != sizeof p ||
	    h.e_phnum > MAX_PHDRS || h.e_phoff > PAGE_SIZE)
		return false;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		if (!read_user(NULL, t->image + h.e_phoff + i * sizeof p, &p, sizeof p))
			return false;
		if (p.p_type == PT_LOAD && p.p_offset < PAGE_SIZE && !bias)
			bias = t->image - ALIGN_DOWN(p.p_vaddr, PAGE_SIZE) + 1; /* + 1: set */
		if (p.p_type == PT_GNU_EH_FRAME) {
			addr = p.p_vaddr;
			*size = p.p_memsz;
		}
	}
	*hdr = bias - 1 + addr;
	return bias && addr;
}

/* A copy of a function's code, or NULL. */
static uint8_t *read_function(const struct eh_function *f)
{
	uint64_t n = f->end - f->start;
	uint8_t *code = n && n <= SITE_MAX_FUNCTION ? kmalloc(n) : NULL;
	if (code && !read_user(NULL, f->start, code, n)) {
		kfree(code);
		return NULL;
	}
	return code;
}

/* Whether the functions that this one jumps out to (its cold parts among them) stay out of the
 * middle. */
static bool exits_safe(const struct site_plan *plan, uint64_t hdr, uint64_t size)
{
	const struct eh_reader r = {read_user, NULL};
	for (unsigned i = 0; i < plan->nexits; i++) {
		struct eh_function f;
		if (!eh_find_function(&r, hdr, size, plan->exits[i], &f))
			return false;
		uint8_t *code = read_function(&f);
		bool bad = !code || site_reaches(code, f.end - f.start, f.start, plan->start,
					plan->start + plan->displaced);
		kfree(code);
		if (bad)
			return false;
	}
	return true;
}

static const char *plan_by_function(const struct text *t, uint64_t site, struct site_plan *plan)
{
	const struct eh_reader r = {read_user, NULL};
	struct eh_function f;
	uint64_t hdr = 0, size = 0;
	if (!find_eh_frame_hdr(t, &hdr, &size) || !eh_find_function(&r, hdr, size, site, &f))
		return "no function bounds";
	uint8_t *code = read_function(&f);
	if (!code)
		return "the function is too large";
	const char *why = site_plan(code, f.end - f.start, f.start, site, f.has_landing_pads, plan);
	kfree(code);
	if (!why && plan->instructions > 1 && !exits_safe(plan, hdr, size))
		why = "a part of the function elsewhere may lead between";
	return why;
}

static const char *make_plan(const struct text *t, uint64_t site, struct site_plan *plan)
{
	const struct trapframe *f =
	    (const struct trapframe *)(this_cpu()->kstack_top - sizeof(struct trapframe));
	if (f->rax == __NR_rt_sigreturn)
		return "unwinders know the return from a signal by its bytes";
	const char *why = plan_by_function(t, site, plan);
	if (!why)
		return NULL;
	uint8_t before[BLIND_BYTES];
	size_t n = MIN(site - t->start, (uint64_t)sizeof before);
	if (!read_user(NULL, site - n, before, n))
		return "unreadable";
	/* A trapped call has saved these: rax, rdx, rsi, rdi, r8, r9, r10. */
	struct site_registers seen = {.known = 0x7c5};
	seen.r[0] = f->rax;
	seen.r[2] = f->rdx;
	seen.r[6] = f->rsi;
	seen.r[7] = f->rdi;
	seen.r[8] = f->r8;
	seen.r[9] = f->r9;
	seen.r[10] = f->r10;
	return site_plan_blind(before, n, site, &seen, plan);
}

struct patch_job {
	struct mm *mm;
	const struct site_plan *plan;
	const uint8_t *displaced;
	int32_t jump;
};

/* Whether any thread of the address space is stopped between the displaced instructions. No other
 * CPU runs an application, so every other thread's registers are on its kernel stack. */
static bool somebody_inside(const struct patch_job *j)
{
	struct thread *t;
	list_for_each_entry (t, &all_threads, all_link) {
		if (t == current_thread() || !t->program || t->program->mm != j->mm)
			continue;
		const struct trapframe *f =
		    (const struct trapframe *)(t->kstack_top - sizeof(struct trapframe));
		if (f->rip > j->plan->start && f->rip < j->plan->start + j->plan->displaced)
			return true;
	}
	return false;
}

static bool write_jump(void *page, void *arg)
{
	struct patch_job *j = arg;
	uint8_t *at = (uint8_t *)page + j->plan->start % PAGE_SIZE;
	size_t here = MIN((size_t)j->plan->displaced, PAGE_SIZE - j->plan->start % PAGE_SIZE);
	if (memcmp(at, j->displaced, here) != 0)
		return false;
	if (j->plan->instructions > 1 && somebody_inside(j))
		return false;
	at[0] = 0xe9;
	memcpy(at + 1, &j->jump, sizeof j->jump);
	return true;
}

static const char *rewrite(struct mm *m, struct rewrite_state *s, uint64_t site)
{
	uint8_t displaced[SITE_MAX_DISPLACED], code[SITE_MAX_TRAMPOLINE];
	struct site_plan plan;
	struct text t;
	uint64_t at, slot;
	void *where;
	if (!find_text(m, site, &t))
		return "not in a private, read-only file mapping";
	const char *why = make_plan(&t, site, &plan);
	if (why)
		return why;
	if (plan.start % PAGE_SIZE > PAGE_SIZE - 5)
		return "the jump would cross a page";
	if (!read_user(NULL, plan.start, displaced, plan.displaced))
		return "unreadable";
	struct trampoline_area *a =
	    trampoline_room(m, s, plan.start, SITE_MAX_TRAMPOLINE, &at, &where, &slot);
	if (!a)
		return "no room for a trampoline nearby";
	size_t n = site_emit(&plan, displaced, at, slot, code, sizeof code);
	memcpy(where, code, n);
	trampoline_commit(a, at + n);
	if (!n)
		return "something it refers to is out of reach of the trampoline";
	TRACE(syscall_trampoline, "site=%lx at=%lx n=%lx start=%lx mm=%lx", site, at, n, plan.start,
	    m);
	struct patch_job job = {m, &plan, displaced, (int32_t)(at - (plan.start + 5))};
	int err = mm_patch_page(m, plan.start, write_jump, &job, plan.instructions > 1);
	return err ? "the code changed meanwhile" : NULL;
}

/*
 * Rewriting a site costs a copy of its page, sometimes a stop of all CPUs, and the inspection of a
 * function: as much as a hundred traps or so. Most sites of a short-lived program trap a few times
 * only, so traps are counted first. The table is direct-mapped and lossy, and racing updates may
 * lose a count; both only delay the rewriting.
 */
static bool is_hot(const struct mm *m, uint64_t site)
{
	static struct {
		_Atomic uint64_t key;
		_Atomic unsigned count;
	} heat[HEAT_TABLE];
	uint64_t key = site ^ (uint64_t)(uintptr_t)m << 1;
	unsigned i = (unsigned)(key * 0x9e3779b97f4a7c15ull >> 54) % HEAT_TABLE;
	if (atomic_load_explicit(&heat[i].key, memory_order_relaxed) != key) {
		atomic_store_explicit(&heat[i].key, key, memory_order_relaxed);
		atomic_store_explicit(&heat[i].count, 1, memory_order_relaxed);
		return false;
	}
	unsigned n = atomic_load_explicit(&heat[i].count, memory_order_relaxed) + 1;
	atomic_store_explicit(&heat[i].count, n, memory_order_relaxed);
	return n >= HOT;
}

bool rewrite_site(uint64_t rip_after)
{
	struct program *p = current_program();
	uint64_t site = rip_after - 2;
	if (!p || !p->mm || site >= USER_END)
		return true;
	if (!is_hot(p->mm, site))
		return false;
	struct rewrite_state *s = rewrite_state_get(p->mm);
	if (!s)
		return false;
	mutex_lock(&s->lock);
	bool is_new = rewrite_remember(s, site);
	const char *why = is_new ? rewrite(p->mm, s, site) : NULL;
	mutex_unlock(&s->lock);
	if (!is_new)
		return true;
	atomic_fetch_add(&rewrite_stats.sites, 1);
	atomic_fetch_add(why ? &rewrite_stats.refused : &rewrite_stats.rewritten, 1);
	TRACE(syscall_rewrite, "site=%lx refused=%s", site, why);
	return true;
}
