/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PVH entry (Xen's direct boot protocol, used by `qemu -kernel`): 32-bit protected mode without paging, EBX
 * points to struct hvm_start_info. Goes on in long mode at start64.
 */
	.section .note.Xen, "a", @note
	.long	4, 4, 18		/* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	pvh_start - 0xffffffff80000000

	.section .text.boot, "ax"
	.code32
	.globl	pvh_start
pvh_start:
	hlt
	jmp	pvh_start
	.section .note.GNU-stack, "", @progbits
