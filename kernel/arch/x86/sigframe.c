/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signal frames. Below the red zone (or at the top of the alternate stack) lies, from high to low
 * addresses: the XSAVE area with its end mark, siginfo, ucontext, and the address of the restorer
 * as return address. Nothing in a frame that comes back is trusted: flags are masked, the selectors
 * are the kernel's, addresses must be the application's and the vector state is checked.
 */
#include "arch/x86/sigframe.h"

#include <linux/signal.h>

#include "arch/x86/fpu.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "proc/signal_send.h"
#include "sched/sched_internal.h"
#include "sys/syscall.h"

#define RED_ZONE 128
#define FLAGS_FROM_FRAME 0x50dd5ull /* AC RF OF DF TF SF ZF AF PF CF */
#define FLAGS_FIXED 0x202ull	    /* IF and the bit that is always one */
#define FLAGS_CLEARED 0x10500ull    /* RF DF TF at a handler's start */
#define SELECTOR_CS 0x33	    /* what applications expect to read */
#define SELECTOR_SS 0x2b
#define KERNEL_CS 0x10
#define KERNEL_SS 0x18

enum { UC_FP_XSTATE = 1, UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4 };

struct stack_abi {
	uint64_t sp;
	int flags, pad;
	uint64_t size;
};

/* struct sigcontext of the ABI. */
struct context {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip,
	    rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trapno, oldmask, cr2, fpstate, reserved[8];
};

struct frame {
	uint64_t restorer;
	uint64_t uc_flags, uc_link;
	struct stack_abi uc_stack;
	struct context c;
	uint64_t uc_sigmask;
	struct ksiginfo info;
};
_Static_assert(sizeof(struct context) == 256, "struct sigcontext");
_Static_assert(offsetof(struct frame, info) == 312, "struct rt_sigframe");

/* At byte 464 of an FXSAVE image: tells that XSAVE state follows. */
#define MAGIC_OFFSET 464
#define MAGIC1 0x46505853u
#define MAGIC2 0x46505845u
struct xstate_mark {
	uint32_t magic1, extended_size;
	uint64_t features;
	uint32_t xstate_size, pad[7];
};
_Static_assert(MAGIC_OFFSET + sizeof(struct xstate_mark) == 512, "software reserved bytes");

uint64_t sigframe_size(void)
{
	return sizeof(struct frame) + fpu_area_size + 4 + 64 + 16 + RED_ZONE;
}

static bool on_altstack(const struct thread_signals *s, uint64_t sp)
{
	return !(s->altstack_flags & SS_DISABLE) && sp > s->altstack_sp &&
	       sp - s->altstack_sp <= s->altstack_size;
}

/* Where the frame ends; 0 if it would run out of the alternate stack it is on. */
static uint64_t choose_stack(const struct trapframe *f, uint64_t flags)
{
	struct thread_signals *s = current_thread()->signals;
	bool nested = on_altstack(s, f->rsp);
	uint64_t sp = f->rsp - RED_ZONE;
	if ((flags & SA_ONSTACK) && !nested && !(s->altstack_flags & SS_DISABLE))
		return s->altstack_sp + s->altstack_size;
	if (nested && !(s->altstack_flags & (int)SS_AUTODISARM) &&
	    !on_altstack(s, sp - sigframe_size()))
		return 0;
	return sp;
}

static int put_fpu(uint64_t at)
{
	struct thread *t = current_thread();
	struct xstate_mark mark = {0};
	uint32_t magic2 = MAGIC2;
	sched_fpu_flush();
	if (copy_to_user((void __user *)at, t->fpu, fpu_area_size))
		return -EFAULT;
	if (fpu_features) {
		mark.magic1 = MAGIC1;
		mark.extended_size = fpu_area_size + 4;
		mark.features = fpu_features;
		mark.xstate_size = fpu_area_size;
		if (put_user(magic2, (uint32_t __user *)(at + fpu_area_size)))
			return -EFAULT;
	}
	return copy_to_user((void __user *)(at + MAGIC_OFFSET), &mark, sizeof mark);
}

static void fill_context(struct context *c, const struct trapframe *f, const struct ksiginfo *info)
{
	*c = (struct context){.r8 = f->r8,
	    .r9 = f->r9,
	    .r10 = f->r10,
	    .r11 = f->r11,
	    .r12 = f->r12,
	    .r13 = f->r13,
	    .r14 = f->r14,
	    .r15 = f->r15,
	    .rdi = f->rdi,
	    .rsi = f->rsi,
	    .rbp = f->rbp,
	    .rbx = f->rbx,
	    .rdx = f->rdx,
	    .rax = f->rax,
	    .rcx = f->rcx,
	    .rsp = f->rsp,
	    .rip = f->rip,
	    .rflags = f->rflags,
	    .cs = SELECTOR_CS,
	    .ss = SELECTOR_SS};
	if (f->vector < 32) {
		c->trapno = f->vector;
		c->error = f->error | (f->vector == 14 ? 4 : 0); /* as from user mode */
		c->cr2 = f->vector == 14 ? info->addr : 0;
	}
}

static void fill_altstack(struct stack_abi *st)
{
	struct thread_signals *s = current_thread()->signals;
	*st = (struct stack_abi){
	    .sp = s->altstack_sp, .flags = s->altstack_flags, .size = s->altstack_size};
	if (s->altstack_flags & (int)SS_AUTODISARM) {
		s->altstack_flags = SS_DISABLE;
		s->altstack_sp = s->altstack_size = 0;
	}
}

int sigframe_push(struct trapframe *f, const struct ksiginfo *info, const struct ksigaction *action,
    sigset64 mask)
{
	struct frame fr = {.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS};
	uint64_t sp = choose_stack(f, action->flags);
	if (!sp || !(action->flags & SA_RESTORER) || (uint64_t)action->handler >= USER_END)
		return -EFAULT;
	uint64_t fpu = ALIGN_DOWN(sp - fpu_area_size - 4, 64);
	uint64_t at = ALIGN_DOWN(fpu - sizeof fr, 16) - 8;
	if (!user_range_ok((void __user *)at, sp - at) || put_fpu(fpu))
		return -EFAULT;
	if (fpu_features)
		fr.uc_flags |= UC_FP_XSTATE;
	fr.restorer = (uint64_t)action->restorer;
	fill_altstack(&fr.uc_stack);
	fill_context(&fr.c, f, info);
	fr.c.fpstate = fpu;
	fr.c.oldmask = mask;
	fr.uc_sigmask = mask;
	fr.info = *info;
	if (copy_to_user((void __user *)at, &fr, sizeof fr))
		return -EFAULT;
	f->rdi = (uint64_t)info->signo;
	f->rsi = at + offsetof(struct frame, info);
	f->rdx = at + offsetof(struct frame, uc_flags);
	f->rax = 0;
	f->rip = (uint64_t)action->handler;
	f->rsp = at;
	f->rflags = (f->rflags & ~FLAGS_CLEARED) | FLAGS_FIXED;
	return 0;
}

/* ---- and back ---- */

/* How much of the vector state a frame holds: all, or the first 512 bytes. */
static size_t saved_size(uint64_t at)
{
	struct xstate_mark mark;
	uint32_t magic2;
	if (!fpu_features ||
	    copy_from_user(&mark, (void __user *)(at + MAGIC_OFFSET), sizeof mark) ||
	    mark.magic1 != MAGIC1 || mark.xstate_size != fpu_area_size)
		return 512;
	if (get_user(magic2, (uint32_t __user *)(at + fpu_area_size)) || magic2 != MAGIC2)
		return 512;
	return fpu_area_size;
}

static int restore_fpu(uint64_t at)
{
	void *block = kmalloc(fpu_area_size);
	int err = block ? 0 : -ENOMEM;
	if (!err)
		fpu_init_area(block);
	if (!err && at) {
		size_t n = saved_size(at);
		err = copy_from_user(block, (void __user *)at, n);
		if (!err && n < fpu_area_size) {
			uint64_t x87_and_sse = 3;
			memcpy((char *)block + 512, &x87_and_sse, 8);
		}
		if (!err && !fpu_sanitise(block))
			err = -EINVAL;
	}
	if (!err) {
		/* No sleep between the copy and the load: a switch would save the old registers
		 * over it. */
		memcpy(current_thread()->fpu, block, fpu_area_size);
		sched_fpu_reload();
	}
	kfree(block);
	return err;
}

static void restore_context(struct trapframe *f, const struct context *c)
{
	f->r8 = c->r8;
	f->r9 = c->r9;
	f->r10 = c->r10;
	f->r11 = c->r11;
	f->r12 = c->r12;
	f->r13 = c->r13;
	f->r14 = c->r14;
	f->r15 = c->r15;
	f->rdi = c->rdi;
	f->rsi = c->rsi;
	f->rbp = c->rbp;
	f->rbx = c->rbx;
	f->rdx = c->rdx;
	f->rax = c->rax;
	f->rcx = c->rcx;
	f->rsp = c->rsp;
	f->rip = c->rip;
	f->rflags = (c->rflags & FLAGS_FROM_FRAME) | FLAGS_FIXED;
	f->cs = KERNEL_CS;
	f->ss = KERNEL_SS;
	f->vector = 0; /* no system call any more: nothing to restart */
}

static void restore_altstack(const struct stack_abi *st, uint64_t sp)
{
	struct thread_signals *s = current_thread()->signals;
	if (on_altstack(s, sp))
		return;
	s->altstack_sp = st->sp;
	s->altstack_size = st->size;
	s->altstack_flags = st->flags & (int)(SS_DISABLE | SS_AUTODISARM);
}

/* Application code, or the door of rewritten system calls, where a signal may have come just before
 * the kernel was entered (trap_dispatch() sets such frames to its first instruction). */
static bool resumable(uint64_t rip)
{
	extern const char syscall_jump_entry[];
	return rip < USER_END || rip == (uint64_t)syscall_jump_entry;
}

SYSCALL(rt_sigreturn, void)
{
	struct trapframe *f = syscall_frame();
	struct frame fr;
	uint64_t at = f->rsp - 8;
	f->vector = 0;
	if (copy_from_user(&fr, (void __user *)at, sizeof fr) || !resumable(fr.c.rip) ||
	    fr.c.rsp >= USER_END || restore_fpu(fr.c.fpstate)) {
		signal_force(SIGSEGV);
		return (long)f->rax;
	}
	signal_set_mask(fr.uc_sigmask);
	restore_context(f, &fr.c);
	restore_altstack(&fr.uc_stack, fr.c.rsp);
	return (long)f->rax;
}
