/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ways into the kernel and out of it.
 *
 * Interrupts and exceptions. The application runs in ring 0 and uses the red zone below its stack
 * pointer, so every vector switches to an IST stack. IST stacks are not re-entrant: the stub saves the
 * registers there with interrupts off, then moves the frame to where the thread can sleep: below the
 * interrupted stack pointer if that lies in the thread's kernel stack ("from the kernel"), else to the
 * top of the kernel stack ("from the application").
 *
 * System calls. Two doors, one room: the SYSCALL instruction (syscall_trap_entry, interrupts off at
 * first) and the jump of a rewritten site (syscall_jump_entry). Both have the number in rax, the return
 * address in rcx, arguments in rdi, rsi, rdx, r10, r8, r9. They build a struct trapframe at the top of
 * the kernel stack, filling only what the fast path needs; C functions preserve rbx, rbp, r12-r15. A call
 * goes the slow way when cpu->work is set, when its table entry says it needs the whole frame, or when
 * the number is out of range.
 *
 * Leaving. Between the last look at cpu->work and the jump to the application an interrupt may set
 * work. The stretch from .Lexit_check on only reads the frame, so trap.c restarts it: an interrupt
 * "from the kernel" that hits [syscall_exit_check, syscall_exit_end) returns to syscall_exit_check.
 */
	.set	TF_R15, 0
	.set	TF_R14, 8
	.set	TF_R13, 16
	.set	TF_R12, 24
	.set	TF_RBP, 32
	.set	TF_RBX, 40
	.set	TF_R11, 48
	.set	TF_R10, 56
	.set	TF_R9, 64
	.set	TF_R8, 72
	.set	TF_RAX, 80
	.set	TF_RCX, 88
	.set	TF_RDX, 96
	.set	TF_RSI, 104
	.set	TF_RDI, 112
	.set	TF_VECTOR, 120
	.set	TF_ERROR, 128
	.set	TF_RIP, 136
	.set	TF_CS, 144
	.set	TF_RFLAGS, 152
	.set	TF_RSP, 160
	.set	TF_SS, 168
	.set	TF_SIZE, 176

	.set	CPU_CURRENT, 8
	.set	CPU_KSTACK_TOP, 16
	.set	CPU_SCRATCH, 24
	.set	CPU_WORK, 32
	.set	KSTACK_SIZE, 16384
	.set	SYSCALL_VECTOR, 256
	.set	SYSCALL_COUNT, 464

	.text
	.globl	trap_stubs, trap_return, syscall_trap_entry, syscall_jump_entry
	.globl	syscall_exit_check, syscall_exit_end, syscall_exit_jump, syscall_full_frame
	.globl	thread_switch, thread_start_user, thread_start_kernel, nmi_stub

/* 256 stubs of 16 bytes each. */
	.balign	16
trap_stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	.if	(vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21)
	.else
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.endr

	.macro	save_all
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	.endm

	.macro	restore_all
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	.endm

trap_common:
	save_all
	cld
	movq	TF_RSP(%rsp), %rax
	movq	%gs:CPU_KSTACK_TOP, %rdx
	movq	%rdx, %rcx
	subq	%rax, %rcx
	xorl	%esi, %esi
	cmpq	$KSTACK_SIZE, %rcx
	jbe	1f
	movq	%rdx, %rax		/* from the application */
	movl	$1, %esi
1:	andq	$-16, %rax
	movq	%rsp, %rdi
	movq	%rax, %rsp
	.set	off, TF_SIZE
	.rept	TF_SIZE / 8
	.set	off, off - 8
	pushq	off(%rdi)
	.endr
	movq	%rsp, %rdi
	movq	%rsp, %rbp		/* keeps the chain of frame pointers readable */
	subq	$8, %rsp
	pushq	TF_RIP(%rdi)
	pushq	TF_RBP(%rdi)
	movq	%rsp, %rbp
	subq	$8, %rsp
	andq	$-16, %rsp
	movq	%rdi, %rbx
	call	trap_dispatch		/* (frame, from_application) */
	movq	%rbx, %rsp
trap_return:
	restore_all
	addq	$16, %rsp
	iretq

/* NMI and machine check: no move of the frame, no sleep, back from the same IST stack. */
	.balign 16
nmi_stub:
	pushq	$0
	pushq	$2
	save_all
	cld
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	andq	$-16, %rsp
	call	trap_nmi
	movq	%rbx, %rsp
	jmp	trap_return

	.macro	save_fast
	movq	%rcx, TF_RIP(%rsp)
	movq	%rdi, TF_RDI(%rsp)
	movq	%rsi, TF_RSI(%rsp)
	movq	%rdx, TF_RDX(%rsp)
	movq	%r10, TF_R10(%rsp)
	movq	%r8, TF_R8(%rsp)
	movq	%r9, TF_R9(%rsp)
	movq	%rax, TF_ERROR(%rsp)
	.endm

/* Completes the frame for the slow path; rax must be stored by the caller. */
	.macro	save_rest
	movq	%rbx, TF_RBX(%rsp)
	movq	%rbp, TF_RBP(%rsp)
	movq	%r12, TF_R12(%rsp)
	movq	%r13, TF_R13(%rsp)
	movq	%r14, TF_R14(%rsp)
	movq	%r15, TF_R15(%rsp)
	movq	$0x10, TF_CS(%rsp)
	movq	$0x18, TF_SS(%rsp)
	movq	$SYSCALL_VECTOR, TF_VECTOR(%rsp)
	movq	TF_RIP(%rsp), %rcx
	movq	%rcx, TF_RCX(%rsp)
	movq	TF_RFLAGS(%rsp), %rcx
	movq	%rcx, TF_R11(%rsp)
	.endm

	.balign	64
syscall_trap_entry:
	movq	%rsp, %gs:CPU_SCRATCH
	movq	%gs:CPU_KSTACK_TOP, %rsp
	subq	$TF_SIZE, %rsp
	movq	%r11, TF_RFLAGS(%rsp)
	save_fast
	movq	%gs:CPU_SCRATCH, %r11
	movq	%r11, TF_RSP(%rsp)
	sti
	/* Need this site not be considered for rewriting any more? A direct-mapped table of answers. */
	movl	%ecx, %r11d
	andl	$0x3ff, %r11d
	cmpq	%rcx, syscall_sites_done(, %r11, 8)
	jne	.Lnew_site
.Lsite_done:
	cmpl	$0, %gs:CPU_WORK
	jne	.Lslow
	cmpq	$SYSCALL_COUNT, %rax
	jae	.Lslow
	movq	%r10, %rcx
	call	*syscall_table(, %rax, 8)
	jmp	syscall_exit_check
.Lnew_site:
	movq	%rax, TF_RAX(%rsp)
	movq	%rcx, %rdi
	call	rewrite_site
	testb	%al, %al
	jz	1f
	movq	TF_RIP(%rsp), %rcx
	movl	%ecx, %r11d
	andl	$0x3ff, %r11d
	movq	%rcx, syscall_sites_done(, %r11, 8)
1:	movq	TF_RAX(%rsp), %rax
	movq	TF_RDI(%rsp), %rdi
	movq	TF_RSI(%rsp), %rsi
	movq	TF_RDX(%rsp), %rdx
	movq	TF_R10(%rsp), %r10
	movq	TF_R8(%rsp), %r8
	movq	TF_R9(%rsp), %r9
	jmp	.Lsite_done

	.balign	64
syscall_jump_entry:			/* an interrupt before the next label is "from the application" */
	movq	%rsp, %r11
	movq	%gs:CPU_KSTACK_TOP, %rsp
	.globl	syscall_jump_switched
syscall_jump_switched:
	subq	$TF_SIZE, %rsp
	movq	%r11, TF_RSP(%rsp)
	movq	$0x202, TF_RFLAGS(%rsp)
	save_fast
	cmpl	$0, %gs:CPU_WORK
	jne	.Lslow
	cmpq	$SYSCALL_COUNT, %rax
	jae	.Lslow
	movq	%r10, %rcx
	call	*syscall_table(, %rax, 8)

syscall_exit_check:
	cmpl	$0, %gs:CPU_WORK
	jne	.Lslow_exit
	movq	TF_RDI(%rsp), %rdi
	movq	TF_RSI(%rsp), %rsi
	movq	TF_RDX(%rsp), %rdx
	movq	TF_R10(%rsp), %r10
	movq	TF_R8(%rsp), %r8
	movq	TF_R9(%rsp), %r9
	movq	TF_RIP(%rsp), %rcx
	movq	TF_RFLAGS(%rsp), %r11
	movq	TF_RSP(%rsp), %rsp
syscall_exit_end:
syscall_exit_jump:
	jmp	*%rcx

/* Table entry of calls that need the whole frame: drops the return address and goes the slow way. */
syscall_full_frame:
	addq	$8, %rsp
	movq	TF_ERROR(%rsp), %rax
.Lslow:
	save_rest
	movq	$-38, TF_RAX(%rsp)
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	xorl	%ebp, %ebp
	call	syscall_slow_entry
	movq	%rbx, %rsp
	jmp	trap_return
.Lslow_exit:
	save_rest
	movq	%rax, TF_RAX(%rsp)
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	call	trap_exit_to_application
	movq	%rbx, %rsp
	jmp	trap_return

/*
 * void thread_switch(uint64_t *save_rsp, uint64_t load_rsp): what a C function must preserve, on the stack
 * of who leaves. Returns in the thread whose stack pointer was loaded.
 */
	.balign	16
thread_switch:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

/* First instruction of an application's thread: its frame lies right above. */
thread_start_user:
	call	sched_thread_started
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	call	trap_exit_to_application
	movq	%rbx, %rsp
	jmp	trap_return

/* First instruction of a kernel thread: function in r12, argument in r13. */
thread_start_kernel:
	call	sched_thread_started
	movq	%r13, %rdi
	xorl	%ebp, %ebp
	call	*%r12
	call	thread_exit
	ud2

	.bss
	.balign	64
	.globl	syscall_sites_done
syscall_sites_done:
	.skip	1024 * 8
	.section .note.GNU-stack, "", @progbits
