/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The report of a program's fatal signal: what happened, registers, the call chain as far as it can
 * be found, threads and memory. Programs are rarely built with frame pointers, so after the chain
 * of frame pointers the stack is searched for addresses behind call instructions; those are marked
 * with '?'.
 */
#include "proc/crash_program.h"

#include <linux/signal.h>
#include <linux/mman.h>

#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "core/crash.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "proc/signal_names.h"
#include "proc/symbolise.h"

#define MAX_FRAMES 24
#define SEARCH_BYTES 2048

static bool read_word(uint64_t at, uint64_t *v)
{
	return mm_access(current_program()->mm, at, v, sizeof *v, false) == sizeof *v;
}

static bool is_code(uint64_t addr)
{
	struct mm *m = current_program()->mm;
	rw_read_lock(&m->lock);
	struct vma *v = mm_find(m, addr);
	bool code = v && (v->prot & PROT_EXEC);
	rw_read_unlock(&m->lock);
	return code;
}

/* Could the instruction before `addr` be a call? */
static bool behind_call(uint64_t addr)
{
	uint8_t b[7];
	if (!is_code(addr) ||
	    mm_access(current_program()->mm, addr - sizeof b, b, sizeof b, false) != sizeof b)
		return false;
	if (b[2] == 0xe8)
		return true;		  /* call rel32 */
	for (unsigned n = 2; n <= 7; n++) /* call through a register or memory: ff /2 */
		if (b[7 - n] == 0xff && (b[8 - n] >> 3 & 7) == 2)
			return true;
	return false;
}

static void print_address(unsigned index, uint64_t addr, bool sure)
{
	char where[160];
	symbolise(current_program()->mm, addr, where, sizeof where);
	report("  #%-2u 0x%016lx%s %s", index, addr, sure ? " " : "?", where);
}

/* Follows frame pointers; returns how many frames were printed and where the last one was. */
static unsigned walk_frames(unsigned n, uint64_t rbp, uint64_t rsp, uint64_t *top)
{
	uint64_t next, ret;
	while (n < MAX_FRAMES && rbp >= rsp && rbp - rsp < 8 << 20 && !(rbp & 7)) {
		if (!read_word(rbp, &next) || !read_word(rbp + 8, &ret) || !is_code(ret))
			break;
		print_address(n++, ret, true);
		*top = rbp + 16;
		if (next <= rbp)
			break;
		rbp = next;
	}
	return n;
}

static void search_stack(unsigned n, uint64_t from)
{
	uint64_t v;
	for (uint64_t at = ALIGN_UP(from, 8); at < from + SEARCH_BYTES && n < MAX_FRAMES; at += 8) {
		if (!read_word(at, &v))
			return;
		if (behind_call(v))
			print_address(n++, v, false);
	}
}

static const char *segv_reason(int code)
{
	switch (code) {
	case SEGV_MAPERR:
		return "nothing is mapped there";
	case SEGV_ACCERR:
		return "the mapping does not allow it";
	}
	return "not a valid address";
}

static void print_reason(const struct trapframe *f, int sig, const struct ksiginfo *info)
{
	struct thread *t = current_thread();
	struct program *p = t->program;
	report("%s: %s (%s), program %d, thread %d \"%s\"", p->exe_path, signal_name(sig),
	    signal_description(sig), p->pid, t->tid, t->name);
	if (info->code == SI_USER || info->code == SI_TKILL || info->code == SI_QUEUE)
		report("  sent by program %d", info->pid);
	else if (sig == SIGSEGV && f->vector == 14)
		report("  %s address 0x%lx: %s",
		    f->error & 16  ? "jump to"
		    : f->error & 2 ? "write to"
				   : "read of",
		    info->addr, segv_reason(info->code));
	else if (sig == SIGSEGV || sig == SIGBUS)
		report("  address 0x%lx: %s", info->addr, segv_reason(info->code));
}

static void print_registers(const struct trapframe *f)
{
	report("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
	report("  rsi %016lx  rdi %016lx  rbp %016lx  rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
	report("  r8  %016lx  r9  %016lx  r10 %016lx  r11 %016lx", f->r8, f->r9, f->r10, f->r11);
	report("  r12 %016lx  r13 %016lx  r14 %016lx  r15 %016lx", f->r12, f->r13, f->r14, f->r15);
	report("  rip %016lx  flags %lx  fs base %016lx  exception %ld error %lx", f->rip,
	    f->rflags, current_thread()->fs_base, f->vector < 32 ? (long)f->vector : -1,
	    f->vector < 32 ? f->error : 0);
}

void crash_report_program(const struct trapframe *f, int sig, const struct ksiginfo *info)
{
	uint64_t top = f->rsp, ret;
	unsigned n = 0;
	print_reason(f, sig, info);
	print_registers(f);
	report("call chain (? found on the stack, may be old):");
	print_address(n++, f->rip, true);
	/* A jump to nowhere: who called is on the stack. */
	if (!is_code(f->rip) && read_word(f->rsp, &ret) && is_code(ret))
		print_address(n++, ret, true);
	/* A function that calls nobody may have no frame of its own: who called it is on top. */
	else if (f->rbp > f->rsp && read_word(f->rsp, &ret) && behind_call(ret))
		print_address(n++, ret, false);
	n = walk_frames(n, f->rbp, f->rsp, &top);
	search_stack(n, top);
	report_threads();
	report_memory();
}
