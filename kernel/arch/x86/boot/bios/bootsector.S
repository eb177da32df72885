/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The boot sector: loaded by the BIOS at 0x7c00 in real mode, drive number in DL. Loads the second stage
 * (sectors 2 to 2 + stage2_sectors - 1) to 0x8000 and starts it. Messages go to the screen and to the first
 * serial port.
 */
	.section .bootsector, "ax"
	.code16
	.globl	bootsector
bootsector:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	sti
	ljmp	$0, $1f			/* some BIOSes come here as 0x07c0:0 */
1:	movb	%dl, boot_drive
	movb	$0x41, %ah		/* INT 13h extensions? */
	movw	$0x55aa, %bx
	int	$0x13
	movw	$no_extensions, %si
	jc	fail
	cmpw	$0xaa55, %bx
	jne	fail
	movw	$packet, %si
	movb	boot_drive, %dl
	movb	$0x42, %ah
	int	$0x13
	movw	$cannot_read, %si
	jc	fail
	cmpl	$0x72726143, stage2_magic	/* "Carr": the sectors hold our second stage */
	movw	$no_loader, %si
	jne	fail
	jmp	stage2_start16

fail:
	lodsb
	testb	%al, %al
	jz	2f
	pushw	%ax
	movw	$0x3fd, %dx		/* serial: wait a while for room */
	movw	$0xffff, %cx
1:	inb	%dx, %al
	testb	$0x20, %al
	loopz	1b
	popw	%ax
	movw	$0x3f8, %dx
	outb	%al, %dx
	movb	$0x0e, %ah		/* screen */
	movw	$7, %bx
	int	$0x10
	jmp	fail
2:	hlt
	jmp	2b

packet:
	.byte	16, 0
	.word	stage2_sectors
	.word	0x8000, 0		/* offset, segment */
	.quad	2
no_extensions:
	.asciz	"Carrara: the BIOS cannot read this disk by sector number\r\n"
cannot_read:
	.asciz	"Carrara: the disk cannot be read\r\n"
no_loader:
	.asciz	"Carrara: the boot loader on this disk is damaged\r\n"
	.globl	boot_drive
boot_drive:
	.byte	0
	.org	510
	.word	0xaa55
	.section .note.GNU-stack, "", @progbits
