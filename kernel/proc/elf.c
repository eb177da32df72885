/* SPDX-License-Identifier: BSD-3-Clause */
/* ELF executables: validation of untrusted headers. */
#include "proc/elf.h"

#include <linux/elf.h>
#include <linux/mman.h>
#include "lib/string.h"
#include "mm/page.h"

#define MIN_LOAD_ADDR 0x10000ul
#define MAX_ALIGN (1ul << 30)

const char *elf_parse_header(
    const void *header, size_t n, uint64_t file_size, struct elf_image *out)
{
	Elf64_Ehdr h;
	memset(out, 0, sizeof *out);
	if (n < sizeof h) {
		if (n >= 4 && memcmp(header, ELFMAG, 4) == 0)
			return "the ELF header is cut short";
		return "not an ELF executable (too short)";
	}
	memcpy(&h, header, sizeof h);
	if (memcmp(h.e_ident, ELFMAG, 4) != 0)
		return "not an ELF executable";
	if (h.e_ident[EI_CLASS] != ELFCLASS64)
		return "not a 64-bit ELF file";
	if (h.e_ident[EI_DATA] != ELFDATA2LSB)
		return "not a little-endian ELF file";
	if (h.e_machine != EM_X86_64)
		return "built for another processor than x86-64";
	if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
		return "an ELF file, but neither an executable nor a shared object";
	if (h.e_phentsize != ELF_PHDR_SIZE)
		return "the program headers have an unknown size";
	if (h.e_phnum == 0)
		return "no program headers";
	if (h.e_phnum > ELF_MAX_PHDRS)
		return "too many program headers (more than 256)";
	if (h.e_phoff > file_size || h.e_phnum * (uint64_t)ELF_PHDR_SIZE > file_size - h.e_phoff)
		return "the program headers lie outside the file (truncated?)";
	out->dynamic = h.e_type == ET_DYN;
	out->entry = h.e_entry;
	out->phoff = h.e_phoff;
	out->phnum = h.e_phnum;
	out->align = PAGE_SIZE;
	return NULL;
}

static unsigned prot_of(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

static const char *add_segment(const Elf64_Phdr *p, uint64_t file_size, struct elf_image *out)
{
	if (p->p_memsz == 0)
		return p->p_filesz ? "a segment is larger in the file than in memory" : NULL;
	if (out->nsegments == ELF_MAX_SEGMENTS)
		return "too many segments to load (more than 64)";
	if (p->p_filesz > p->p_memsz)
		return "a segment is larger in the file than in memory";
	if (p->p_vaddr >= USER_END || p->p_memsz > USER_END - p->p_vaddr)
		return "a segment lies outside the address space";
	if (p->p_offset > file_size || p->p_filesz > file_size - p->p_offset)
		return "a segment lies outside the file (truncated?)";
	if (p->p_vaddr % PAGE_SIZE != p->p_offset % PAGE_SIZE)
		return "a segment's address and file offset do not agree modulo the page size";
	if (out->nsegments) {
		const struct elf_segment *prev = &out->segment[out->nsegments - 1];
		if (p->p_vaddr < prev->vaddr + prev->memsz)
			return "segments overlap or are not in ascending order";
	}
	if (p->p_align > PAGE_SIZE) {
		if (p->p_align & (p->p_align - 1))
			return "a segment's alignment is not a power of two";
		out->align = MAX(out->align, MIN((uint64_t)p->p_align, MAX_ALIGN));
	}
	out->segment[out->nsegments++] = (struct elf_segment){
	    .vaddr = p->p_vaddr,
	    .memsz = p->p_memsz,
	    .offset = p->p_offset,
	    .filesz = p->p_filesz,
	    .prot = prot_of(p->p_flags),
	};
	return NULL;
}

static const char *check_image(struct elf_image *out)
{
	if (out->nsegments == 0)
		return "no segments to load";
	const struct elf_segment *last = &out->segment[out->nsegments - 1];
	bool entry_ok = false;
	out->low = ALIGN_DOWN(out->segment[0].vaddr, PAGE_SIZE);
	out->high = ALIGN_UP(last->vaddr + last->memsz, PAGE_SIZE);
	if (!out->dynamic && out->low < MIN_LOAD_ADDR)
		return "a segment lies in the first 64 KiB of the address space";
	for (unsigned i = 0; i < out->nsegments; i++) {
		const struct elf_segment *s = &out->segment[i];
		if (!out->phdr_vaddr && out->phoff >= s->offset &&
		    out->phoff + out->phnum * (uint64_t)ELF_PHDR_SIZE <= s->offset + s->filesz)
			out->phdr_vaddr = s->vaddr + (out->phoff - s->offset);
		if ((s->prot & PROT_EXEC) && out->entry >= s->vaddr &&
		    out->entry - s->vaddr < s->memsz)
			entry_ok = true;
	}
	return entry_ok ? NULL : "the entry point lies in no executable segment";
}

const char *elf_parse_segments(const void *phdrs, uint64_t file_size, struct elf_image *out)
{
	for (unsigned i = 0; i < out->phnum; i++) {
		const char *why = NULL;
		Elf64_Phdr p;
		memcpy(&p, (const char *)phdrs + i * ELF_PHDR_SIZE, sizeof p);
		switch (p.p_type) {
		case PT_LOAD:
			why = add_segment(&p, file_size, out);
			break;
		case PT_INTERP:
			if (out->interp_size)
				why = "more than one interpreter";
			else if (p.p_filesz < 2 || p.p_filesz > ELF_MAX_INTERP)
				why = "the interpreter's path is empty or longer than 4095 bytes";
			else if (p.p_offset > file_size || p.p_filesz > file_size - p.p_offset)
				why = "the interpreter's path lies outside the file";
			out->interp_offset = p.p_offset;
			out->interp_size = p.p_filesz;
			break;
		case PT_GNU_STACK:
			out->exec_stack = p.p_flags & PF_X;
			break;
		}
		if (why)
			return why;
	}
	return check_image(out);
}

const char *elf_check_interp(const char *path, size_t n)
{
	if (n < 2 || path[n - 1] != 0)
		return "the interpreter's path is not terminated";
	return path[0] ? NULL : "the interpreter's path is empty";
}
