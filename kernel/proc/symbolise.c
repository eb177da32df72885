/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names for addresses of a program, from the symbol tables of the ELF files that are mapped. The
 * files are not trusted: every offset read is bounded by the file's size, and tables are read in
 * pieces.
 */
#include "proc/symbolise.h"

#include <linux/elf.h>

#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define MAX_SECTIONS 200
#define MAX_SYMBOLS 400000
#define PIECE 64 /* table entries read at once */

struct place {
	struct file *file; /* referenced */
	uint64_t offset;   /* in the file */
};

struct best {
	uint64_t value, name; /* name: file offset of the string */
	bool found;
};

static bool read_exact(struct file *f, void *buf, size_t n, uint64_t at)
{
	int64_t pos = (int64_t)at;
	return at < (uint64_t)INT64_MAX - n && file_read(f, buf, n, &pos) == (long)n;
}

static bool find_place(struct mm *m, uint64_t addr, struct place *pl)
{
	rw_read_lock(&m->lock);
	struct vma *v = mm_find(m, addr);
	pl->file = v ? v->file : NULL;
	if (pl->file) {
		file_get(pl->file);
		pl->offset = (v->pgoff << PAGE_SHIFT) + (addr - v->start);
	}
	rw_read_unlock(&m->lock);
	return pl->file;
}

/* The address the file's own headers give to a file offset. */
static bool link_address(struct file *f, const Elf64_Ehdr *e, uint64_t offset, uint64_t *out)
{
	Elf64_Phdr ph;
	for (unsigned i = 0; i < e->e_phnum && i < 64; i++) {
		if (!read_exact(f, &ph, sizeof ph, e->e_phoff + i * sizeof ph))
			return false;
		if (ph.p_type == PT_LOAD && offset >= ph.p_offset &&
		    offset - ph.p_offset < ph.p_filesz) {
			*out = offset - ph.p_offset + ph.p_vaddr;
			return true;
		}
	}
	return false;
}

static void search_table(struct file *f, const Elf64_Shdr *sym, uint64_t strings, uint64_t addr,
    Elf64_Sym *piece, struct best *b)
{
	uint64_t n = MIN(sym->sh_size / sizeof *piece, (uint64_t)MAX_SYMBOLS);
	for (uint64_t i = 0; i < n; i += PIECE) {
		uint64_t k = MIN(n - i, (uint64_t)PIECE);
		if (!read_exact(f, piece, k * sizeof *piece, sym->sh_offset + i * sizeof *piece))
			return;
		for (uint64_t j = 0; j < k; j++) {
			const Elf64_Sym *s = &piece[j];
			if (ELF_ST_TYPE(s->st_info) != STT_FUNC || !s->st_shndx ||
			    s->st_value > addr || (s->st_size && addr - s->st_value >= s->st_size))
				continue;
			if (b->found && s->st_value <= b->value)
				continue;
			*b = (struct best){s->st_value, strings + s->st_name, true};
		}
	}
}

static void search_file(struct file *f, const Elf64_Ehdr *e, uint64_t addr, struct best *b)
{
	Elf64_Shdr sh, str;
	Elf64_Sym *piece = kmalloc(PIECE * sizeof *piece);
	for (unsigned i = 0; piece && i < e->e_shnum && i < MAX_SECTIONS; i++) {
		if (!read_exact(f, &sh, sizeof sh, e->e_shoff + i * sizeof sh))
			break;
		if (sh.sh_type != SHT_SYMTAB && sh.sh_type != SHT_DYNSYM)
			continue;
		if (sh.sh_link < e->e_shnum &&
		    read_exact(f, &str, sizeof str, e->e_shoff + sh.sh_link * sizeof str))
			search_table(f, &sh, str.sh_offset, addr, piece, b);
	}
	kfree(piece);
}

static void read_name(struct file *f, uint64_t at, char *buf, size_t size)
{
	int64_t pos = (int64_t)at;
	long n = file_read(f, buf, size - 1, &pos);
	buf[n > 0 ? n : 0] = 0;
	for (char *p = buf; *p; p++)
		if (*p < 32 || *p > 126)
			*p = '?';
}

void symbolise(struct mm *m, uint64_t addr, char *buf, size_t size)
{
	struct place pl;
	struct best b = {0};
	Elf64_Ehdr e;
	uint64_t linked = 0;
	char name[64];
	if (!find_place(m, addr, &pl)) {
		snprintf(buf, size, "(no file)");
		return;
	}
	const char *file = pl.file->dentry ? pl.file->dentry->name : "?";
	bool elf = read_exact(pl.file, &e, sizeof e, 0) && !memcmp(e.e_ident, "\177ELF\2", 5) &&
		   link_address(pl.file, &e, pl.offset, &linked);
	if (elf)
		search_file(pl.file, &e, linked, &b);
	if (b.found) {
		read_name(pl.file, b.name, name, sizeof name);
		snprintf(buf, size, "%s+0x%lx (%s+0x%lx)", name, linked - b.value, file, linked);
	} else {
		snprintf(buf, size, "(%s+0x%lx)", file, elf ? linked : pl.offset);
	}
	file_put(pl.file);
}
