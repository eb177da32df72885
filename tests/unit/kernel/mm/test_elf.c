/* SPDX-License-Identifier: BSD-3-Clause */
/* The ELF loader's validation: good files pass, each kind of bad one is refused with its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc/elf.h"

struct sample {
	Elf64_Ehdr h;
	Elf64_Phdr p[4];
	uint64_t size;
};

static struct sample good(void)
{
	struct sample s;
	memset(&s, 0, sizeof s);
	memcpy(s.h.e_ident, ELFMAG "\2\1\1", 7);
	s.h.e_type = ET_EXEC;
	s.h.e_machine = EM_X86_64;
	s.h.e_phoff = 64;
	s.h.e_phentsize = 56;
	s.h.e_phnum = 2;
	s.h.e_entry = 0x401000;
	s.p[0] = (Elf64_Phdr){.p_type = PT_LOAD,
	    .p_flags = PF_R | PF_X,
	    .p_vaddr = 0x400000,
	    .p_filesz = 0x2000,
	    .p_memsz = 0x2000};
	s.p[1] = (Elf64_Phdr){.p_type = PT_LOAD,
	    .p_flags = PF_R | PF_W,
	    .p_vaddr = 0x403000,
	    .p_offset = 0x2000,
	    .p_filesz = 0x100,
	    .p_memsz = 0x5000};
	s.size = 0x2100;
	return s;
}

static const char *parse(const struct sample *s, struct elf_image *img)
{
	const char *why = elf_parse_header(&s->h, sizeof s->h, s->size, img);
	return why ? why : elf_parse_segments(s->p, s->size, img);
}

static void accepts(void **state)
{
	struct sample s = good();
	struct elf_image img;
	(void)state;
	assert_null(parse(&s, &img));
	assert_int_equal(img.nsegments, 2);
	assert_int_equal(img.low, 0x400000);
	assert_int_equal(img.high, 0x408000);
	assert_int_equal(img.phdr_vaddr, 0x400040);
	assert_false(img.dynamic);
}

static void real_files(void **state)
{
	static const char *const path[] = {
	    "/bin/sh", "/lib64/ld-linux-x86-64.so.2", "/usr/bin/env"};
	static unsigned char buf[65536];
	(void)state;
	for (size_t i = 0; i < sizeof path / sizeof *path; i++) {
		struct elf_image img;
		FILE *f = fopen(path[i], "rb");
		if (!f)
			continue;
		size_t n = fread(buf, 1, sizeof buf, f);
		fseek(f, 0, SEEK_END);
		uint64_t size = (uint64_t)ftell(f);
		fclose(f);
		assert_null(elf_parse_header(buf, n, size, &img));
		assert_null(elf_parse_segments(buf + img.phoff, size, &img));
		assert_true(img.dynamic && img.phdr_vaddr);
	}
}

#define REFUSED(change)                           \
	do {                                      \
		struct sample s = good();         \
		struct elf_image img;             \
		change;                           \
		assert_non_null(parse(&s, &img)); \
	} while (0)

static void refuses(void **state)
{
	(void)state;
	REFUSED(s.h.e_ident[1] = 'X');
	REFUSED(s.h.e_ident[4] = 1);
	REFUSED(s.h.e_ident[5] = 2);
	REFUSED(s.h.e_machine = EM_AARCH64);
	REFUSED(s.h.e_type = ET_REL);
	REFUSED(s.h.e_phentsize = 32);
	REFUSED(s.h.e_phnum = 0);
	REFUSED(s.h.e_phnum = 60000);
	REFUSED(s.h.e_phoff = s.size - 56);
	REFUSED(s.h.e_phoff = UINT64_MAX - 8);
	REFUSED(s.p[0].p_filesz = 0x3000);
	REFUSED(s.p[0].p_offset = UINT64_MAX - 0xfff);
	REFUSED(s.size = 0x1fff);
	REFUSED(s.p[1].p_vaddr = 0x401000);
	REFUSED(s.p[1].p_vaddr = 0x403010);
	REFUSED(s.p[1].p_memsz = UINT64_MAX);
	REFUSED(s.p[1].p_vaddr = 0x7ffffffff000);
	REFUSED(s.p[1].p_align = 12288);
	REFUSED(s.h.e_entry = 0x403000);
	REFUSED(s.h.e_entry = 0);
	REFUSED(s.p[0].p_vaddr = 0x1000; s.h.e_entry = 0x1000);
	REFUSED(s.p[0].p_type = s.p[1].p_type = PT_NULL);
	REFUSED(s.p[2] = ((Elf64_Phdr){.p_type = PT_INTERP, .p_filesz = 1}); s.h.e_phnum = 3);
	REFUSED(s.p[2] = ((Elf64_Phdr){.p_type = PT_INTERP, .p_filesz = 5000}); s.h.e_phnum = 3);
	REFUSED(s.p[2] = ((Elf64_Phdr){.p_type = PT_INTERP, .p_filesz = 20, .p_offset = 0x20f8});
		s.h.e_phnum = 3);
	struct elf_image img;
	struct sample s = good();
	assert_non_null(elf_parse_header(&s.h, 20, 20, &img));
	assert_non_null(elf_check_interp("/lib/x", 6));
	assert_null(elf_check_interp("/lib/x", 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accepts),
	    cmocka_unit_test(real_files),
	    cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
