/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PVH entry (Xen's direct boot protocol, used by `qemu -kernel`): 32-bit protected mode without
 * paging, EBX points to struct hvm_start_info. boot_start32 is common to all entries: ESI is the physical address
 * of the C function that fills bootinfo, EBX its argument.
 *
 * The first page tables map the first GiB three times with 2 MiB pages: where it is (identity), at the
 * direct map, and at KERNEL_BASE.
 */
#define PHYS(x) ((x) - 0xffffffff80000000)

	.section .note.Xen, "a", @note
	.long	4, 4, 18		/* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	PHYS(pvh_start)

	.section .text.boot, "ax"
	.code32
	.globl	pvh_start, boot_start32
pvh_start:
	movl	$PHYS(pvh_fill_bootinfo), %esi
boot_start32:
	cli
	cld
	rdtsc
	movl	%eax, PHYS(boot_tsc)
	movl	%edx, PHYS(boot_tsc) + 4
	movl	$PHYS(boot_pd), %edi
	movl	$0x83, %eax		/* present, writable, 2 MiB */
	movl	$512, %ecx
1:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	$PHYS(boot_pd) + 3, PHYS(boot_pdpt_low)
	movl	$PHYS(boot_pd) + 3, PHYS(boot_pdpt_kernel) + 510 * 8
	movl	$PHYS(boot_pdpt_low) + 3, PHYS(kernel_pml4)
	movl	$PHYS(boot_pdpt_low) + 3, PHYS(kernel_pml4) + 273 * 8
	movl	$PHYS(boot_pdpt_kernel) + 3, PHYS(kernel_pml4) + 511 * 8
	movl	$PHYS(kernel_pml4), %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx	/* EFER: SCE, LME, NXE */
	rdmsr
	orl	$0x901, %eax
	wrmsr
	movl	$0x80010033, %eax	/* PG, WP, NE, ET, MP, PE */
	movl	%eax, %cr0
	lgdt	PHYS(boot_gdtr)
	ljmp	$0x10, $PHYS(1f)
	.code64
1:	movabs	$start64, %rax
	jmp	*%rax

	.text
start64:
	movl	$0x18, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	leaq	boot_stack_top(%rip), %rsp
	xorl	%ebp, %ebp
	movl	%esi, %esi
	leaq	-0x80000000(%rsi), %r12	/* sign-extended: plus KERNEL_BASE */
	movl	%ebx, %ebx
	movq	%rbx, %r13
	call	percpu_init_boot
	movq	%r13, %rdi
	call	*%r12
	call	kernel_main
	ud2

	.data
	.balign	16
boot_gdt:
	.quad	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdtr:
	.word	31
	.long	PHYS(boot_gdt)
	.balign 8
	.globl boot_tsc
boot_tsc: .quad 0

	.bss
	.balign	4096
	.globl	kernel_pml4, boot_stack, boot_stack_top, boot_pdpt_kernel, boot_pdpt_low, boot_pd
kernel_pml4:		.skip 4096
boot_pdpt_low:		.skip 4096
boot_pdpt_kernel:	.skip 4096
boot_pd:		.skip 4096
boot_stack:		.skip 16384
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
