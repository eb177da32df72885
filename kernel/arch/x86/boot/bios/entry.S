/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The second stage's way into 32-bit protected mode and back to real mode for BIOS calls. Everything lies
 * below 64 KiB, so that the same addresses work in both; paging is off.
 */
	.section .stage2, "ax"
	.code16
	.globl	stage2_magic, stage2_start16
stage2_magic:
	.ascii	"Carr"
stage2_start16:
	cli
	lgdtl	gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$0x08, $1f
	.code32
1:	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	%ax, %fs
	movw	%ax, %gs
	movl	$0x7c00, %esp
	movl	$stage2_bss, %edi
	movl	$stage2_end, %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	cld
	rep stosb
	movzbl	boot_drive, %eax
	pushl	%eax
	call	stage2_main
2:	hlt
	jmp	2b

/* void bios_call(unsigned interrupt, struct bios_regs *regs) */
	.globl	bios_call
bios_call:
	pushl	%ebp
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	movl	20(%esp), %eax
	movb	%al, bios_vector
	movl	24(%esp), %esi
	movl	$bios_saved, %edi
	movl	$8, %ecx
	rep movsl
	movl	%esp, bios_esp
	ljmpl	$0x18, $1f
	.code16
1:	movw	$0x20, %ax		/* segments with 64 KiB limits, as real mode wants them */
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	%ax, %fs
	movw	%ax, %gs
	movl	%cr0, %eax
	andb	$0xfe, %al
	movl	%eax, %cr0
	ljmp	$0, $2f
2:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	%ax, %fs
	movw	%ax, %gs
	movl	$0x7000, %esp		/* apart from the C stack */
	movw	bios_saved + 28, %es
	movl	bios_saved, %eax
	movl	bios_saved + 4, %ebx
	movl	bios_saved + 8, %ecx
	movl	bios_saved + 12, %edx
	movl	bios_saved + 16, %esi
	movl	bios_saved + 20, %edi
	sti
	.byte	0xcd			/* int */
bios_vector:
	.byte	0
	cli
	cld
	movl	%eax, %cs:bios_saved
	movl	%ebx, %cs:bios_saved + 4
	movl	%ecx, %cs:bios_saved + 8
	movl	%edx, %cs:bios_saved + 12
	movl	%esi, %cs:bios_saved + 16
	movl	%edi, %cs:bios_saved + 20
	pushfl
	popl	%eax
	movl	%eax, %cs:bios_saved + 24
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	gdtr			/* a BIOS may load its own */
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$0x08, $3f
	.code32
3:	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	%ax, %fs
	movw	%ax, %gs
	movl	bios_esp, %esp
	movl	$bios_saved, %esi
	movl	24(%esp), %edi
	movl	$8, %ecx
	rep movsl
	popl	%edi
	popl	%esi
	popl	%ebx
	popl	%ebp
	ret

/* void enter_kernel(uint32_t entry, uint32_t start_info) */
	.globl	enter_kernel
enter_kernel:
	movl	4(%esp), %eax
	movl	8(%esp), %ebx
	jmp	*%eax

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 0x08: 32-bit code */
	.quad	0x00cf93000000ffff	/* 0x10: 32-bit data */
	.quad	0x00009b000000ffff	/* 0x18: 16-bit code */
	.quad	0x000093000000ffff	/* 0x20: 16-bit data */
gdtr:
	.word	. - gdt - 1
	.long	gdt
	.balign	4
bios_saved:
	.skip	32
bios_esp:
	.long	0
	.section .note.GNU-stack, "", @progbits
