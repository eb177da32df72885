/* SPDX-License-Identifier: BSD-3-Clause */
/* The built vDSO inside the kernel: writable here (its slots are filled at boot), read-only for applications. */
	.section .data.vdso_image, "aw"
	.balign	4096
	.globl	vdso_image, vdso_image_end
vdso_image:
	.incbin	VDSO_OBJECT
vdso_image_end:
	.balign	4096
	.section .note.GNU-stack, "", @progbits
