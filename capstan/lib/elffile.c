/* SPDX-License-Identifier: BSD-3-Clause */
/* What a loadable ELF file needs. Every offset of the file is checked before it is followed. */
#include "elffile.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DYNAMIC_MAX 4096 /* entries; real files have about 30 */

struct reader {
	const uint8_t *data;
	size_t size;
	Elf64_Ehdr eh;
};

static const void *range(const struct reader *r, uint64_t offset, uint64_t len)
{
	return offset <= r->size && len <= r->size - offset ? r->data + offset : NULL;
}

static bool program_header(const struct reader *r, size_t i, Elf64_Phdr *out)
{
	const void *p = range(r, r->eh.e_phoff + i * sizeof(*out), sizeof(*out));
	if (p)
		memcpy(out, p, sizeof(*out));
	return p;
}

/* Translates a virtual address to the bytes of the file that are loaded there. */
static const char *loaded(const struct reader *r, uint64_t address, size_t *available)
{
	Elf64_Phdr ph;
	for (size_t i = 0; i < r->eh.e_phnum && program_header(r, i, &ph); i++) {
		if (ph.p_type != PT_LOAD || address < ph.p_vaddr ||
		    address - ph.p_vaddr >= ph.p_filesz)
			continue;
		uint64_t skip = address - ph.p_vaddr;
		if (!range(r, ph.p_offset, ph.p_filesz))
			return NULL;
		*available = ph.p_filesz - skip;
		return (const char *)r->data + ph.p_offset + skip;
	}
	return NULL;
}

static char *copy_string(const char *table, size_t size, uint64_t offset)
{
	if (!table || offset >= size || !memchr(table + offset, 0, size - offset))
		return NULL;
	return xstrdup(table + offset);
}

static const char *read_dynamic(const struct reader *r, const Elf64_Phdr *ph, struct cap_elf *elf)
{
	const uint8_t *base = range(r, ph->p_offset, ph->p_filesz);
	size_t count = ph->p_filesz / sizeof(Elf64_Dyn), strings_size = 0;
	const char *strings = NULL;
	if (!base)
		return "the dynamic section lies outside the file";
	count = cap_min(count, (size_t)DYNAMIC_MAX);
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < count; i++) {
			Elf64_Dyn d;
			memcpy(&d, base + i * sizeof(d), sizeof(d));
			if (d.d_tag == DT_NULL)
				break;
			if (pass == 0) {
				if (d.d_tag == DT_STRTAB &&
				    !(strings = loaded(r, d.d_un.d_ptr, &strings_size)))
					return "the dynamic string table lies outside the file";
				continue;
			}
			if (d.d_tag != DT_NEEDED && d.d_tag != DT_SONAME && d.d_tag != DT_RPATH &&
			    d.d_tag != DT_RUNPATH)
				continue;
			char *s = copy_string(strings, strings_size, d.d_un.d_val);
			if (!s)
				return "a dynamic entry names a string outside the table";
			char **slot = d.d_tag == DT_SONAME  ? &elf->soname
				      : d.d_tag == DT_RPATH ? &elf->rpath
							    : &elf->runpath;
			if (d.d_tag == DT_NEEDED) {
				strv_take(&elf->needed, s);
			} else {
				free(*slot);
				*slot = s;
			}
		}
	elf->is_dynamic = true;
	return NULL;
}

static const char *read_segments(const struct reader *r, struct cap_elf *elf)
{
	Elf64_Phdr ph;
	bool loads = false;
	for (size_t i = 0; i < r->eh.e_phnum; i++) {
		if (!program_header(r, i, &ph))
			return "the program headers lie outside the file";
		if (ph.p_type == PT_LOAD) {
			loads = true;
			if (!range(r, ph.p_offset, ph.p_filesz))
				return "a segment lies outside the file (truncated?)";
			if (ph.p_filesz > ph.p_memsz)
				return "a segment is larger in the file than in memory";
		}
		if (ph.p_type == PT_INTERP) {
			const char *s = range(r, ph.p_offset, ph.p_filesz);
			if (!s || !ph.p_filesz || s[ph.p_filesz - 1])
				return "the interpreter's name is damaged";
			free(elf->interpreter);
			elf->interpreter = xstrdup(s);
		}
		if (ph.p_type == PT_DYNAMIC) {
			const char *why = read_dynamic(r, &ph, elf);
			if (why)
				return why;
		}
	}
	return loads ? NULL : "it has no loadable segment";
}

enum cap_elf_result cap_elf_parse(
    const void *data, size_t size, struct cap_elf *elf, const char **why)
{
	struct reader r = {.data = data, .size = size};
	*elf = (struct cap_elf){0};
	*why = NULL;
	if (size < SELFMAG || memcmp(data, ELFMAG, SELFMAG))
		return CAP_ELF_NOT;
	if (size < sizeof(r.eh)) {
		*why = "the ELF header is truncated";
		return CAP_ELF_BROKEN;
	}
	memcpy(&r.eh, data, sizeof(r.eh));
	if (r.eh.e_ident[EI_CLASS] != ELFCLASS64 || r.eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    r.eh.e_machine != EM_X86_64)
		*why = "it is not for x86-64";
	else if (r.eh.e_type != ET_EXEC && r.eh.e_type != ET_DYN)
		*why = "it is neither an executable nor a shared object";
	if (*why)
		return CAP_ELF_FOREIGN;
	elf->is_shared = r.eh.e_type == ET_DYN;
	if (r.eh.e_phentsize != sizeof(Elf64_Phdr))
		*why = "its program headers have a wrong size";
	else
		*why = read_segments(&r, elf);
	if (!*why)
		return CAP_ELF_OK;
	cap_elf_free(elf);
	return CAP_ELF_BROKEN;
}

enum cap_elf_result cap_elf_read(const char *path, struct cap_elf *elf, const char **why)
{
	struct stat st;
	*elf = (struct cap_elf){0};
	*why = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return CAP_ELF_NOT;
	char magic[SELFMAG];
	enum cap_elf_result result = CAP_ELF_NOT;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && pread(fd, magic, SELFMAG, 0) == SELFMAG &&
	    !memcmp(magic, ELFMAG, SELFMAG)) {
		void *map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map != MAP_FAILED) {
			result = cap_elf_parse(map, st.st_size, elf, why);
			munmap(map, st.st_size);
		}
	}
	close(fd);
	return result;
}

void cap_elf_free(struct cap_elf *elf)
{
	free(elf->interpreter);
	free(elf->soname);
	free(elf->rpath);
	free(elf->runpath);
	strv_free(&elf->needed);
	*elf = (struct cap_elf){0};
}
