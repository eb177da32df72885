/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies that may fault: size_t uaccess_copy(dst, src, n) and size_t uaccess_zero(dst, n) return the bytes
 * NOT done. A fault the kernel cannot resolve resumes at the fix-up that .extable names. Word moves first;
 * a fault there falls back to bytes, whose fault ends the copy exactly.
 */
	.macro	fixup from, to
	.pushsection .extable, "a"
	.quad	\from, \to
	.popsection
	.endm

	.text
	.globl	uaccess_copy, uaccess_zero, uaccess_cmpxchg32
	.balign	16
uaccess_copy:
	movq	%rdx, %rcx
	cmpq	$32, %rcx
	jb	3f
	cmpb	$0, memory_use_rep(%rip)
	jne	7f
1:	movq	(%rsi), %rax
11:	movq	8(%rsi), %r8
12:	movq	16(%rsi), %r9
13:	movq	24(%rsi), %r10
14:	movq	%rax, (%rdi)
15:	movq	%r8, 8(%rdi)
16:	movq	%r9, 16(%rdi)
17:	movq	%r10, 24(%rdi)
	addq	$32, %rsi
	addq	$32, %rdi
	subq	$32, %rcx
	cmpq	$32, %rcx
	jae	1b
3:	cmpq	$8, %rcx
	jb	4f
31:	movq	(%rsi), %rax
32:	movq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	subq	$8, %rcx
	jmp	3b
4:	testq	%rcx, %rcx
	je	6f
5:	movb	(%rsi), %al
51:	movb	%al, (%rdi)
	incq	%rsi
	incq	%rdi
	decq	%rcx
	jne	5b
6:	movq	%rcx, %rax
	ret
7:	rep movsb
	movq	%rcx, %rax
	ret
	fixup	1b, 5b
	fixup	11b, 5b
	fixup	12b, 5b
	fixup	13b, 5b
	fixup	14b, 5b
	fixup	15b, 5b
	fixup	16b, 5b
	fixup	17b, 5b
	fixup	31b, 5b
	fixup	32b, 5b
	fixup	5b, 6b
	fixup	51b, 6b
	fixup	7b, 6b

	.balign	16
uaccess_zero:
	movq	%rsi, %rcx
	xorl	%eax, %eax
1:	cmpq	$8, %rcx
	jb	3f
2:	movq	%rax, (%rdi)
	addq	$8, %rdi
	subq	$8, %rcx
	jmp	1b
3:	testq	%rcx, %rcx
	je	5f
4:	movb	%al, (%rdi)
	incq	%rdi
	decq	%rcx
	jne	4b
5:	movq	%rcx, %rax
	ret
	fixup	2b, 4b
	fixup	4b, 5b

/* int uaccess_cmpxchg32(uint32_t *p, uint32_t expect, uint32_t desired, uint32_t *seen): 0, or 1 on a fault */
	.balign	16
uaccess_cmpxchg32:
	movl	%esi, %eax
	xorl	%r8d, %r8d
1:	lock cmpxchgl %edx, (%rdi)
	movl	%eax, (%rcx)
2:	movl	%r8d, %eax
	ret
3:	movl	$1, %r8d
	jmp	2b
	fixup	1b, 3b
	.section .note.GNU-stack, "", @progbits
