/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the other processors start: real mode, at a page below 1 MiB that smp.c copied this code to. They go to
 * long mode with the boot page tables, draw a number each and continue on the stack prepared for it. All
 * may run here at the same time.
 */
#define AP_PAGE 0x8000
#define LOW(x) (AP_PAGE + (x) - ap_trampoline)

	.section .rodata
	.globl	ap_trampoline, ap_trampoline_end
	.balign	16
	.code16
ap_trampoline:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	LOW(ap_gdtr)
	movl	$(kernel_pml4 - 0xffffffff80000000), %eax
	movl	%eax, %cr3
	movl	$0x6a0, %eax		/* PGE, PAE, OSFXSR, OSXMMEXCPT */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x901, %eax
	wrmsr
	movl	$0x80010033, %eax
	movl	%eax, %cr0
	ljmpl	$0x10, $LOW(ap_long)
	.balign 8
ap_gdt:	.quad	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
ap_gdtr:
	.word	31
	.long	LOW(ap_gdt)
	.code64
ap_long:
	movq	$ap_start64, %rax
	jmp	*%rax
ap_trampoline_end:

	.text
ap_start64:
	movl	$0x18, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	movl	$1, %eax
	lock xaddl %eax, ap_next_id(%rip)
	cmpl	$64, %eax
	jae	1f
	movq	ap_stacks(, %rax, 8), %rsp
	testq	%rsp, %rsp
	je	1f
	movl	%eax, %edi
	xorl	%ebp, %ebp
	call	ap_main
1:	cli				/* came too late, or nobody expects it */
	hlt
	jmp	1b
	.section .note.GNU-stack, "", @progbits
