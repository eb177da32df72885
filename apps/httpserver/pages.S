/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of web/, byte for byte. */
	.macro	page name, file
	.globl	page_\name, page_\name\()_end
page_\name:
	.incbin	"\file"
page_\name\()_end:
	.endm

	.section .rodata
	page	dashboard_html, "web/dashboard.html"
	page	dashboard_js, "web/dashboard.js"
	page	dashboard_css, "web/dashboard.css"
	page	calls_html, "web/calls.html"
	page	calls_js, "web/calls.js"
	.section .note.GNU-stack, "", @progbits
