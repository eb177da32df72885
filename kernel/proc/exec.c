/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading executables: the new address space is built aside, so that a failure at any point leaves
 * the old one as it was.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/personality.h>
#include <linux/stat.h>
#include "arch/x86/trapframe.h"
#include "arch/x86/vdso/vdso.h"
#include "core/log.h"
#include "core/random.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/elf.h"
#include "proc/exec_internal.h"
#include "proc/program.h"

#define PIE_BASE 0x555555554000ul /* two thirds of the address space, where Linux starts */
#define PIE_RANDOM_PAGES 0xffffffful
#define BRK_RANDOM_PAGES 0x1ffful /* 32 MiB */
#define SCRIPT_LINE 256
#define SCRIPT_DEPTH 4
#define KERNEL_CODE_SELECTOR 0x10
#define KERNEL_DATA_SELECTOR 0x18
#define RFLAGS_START 0x202

static int fail(struct exec *x, int err, const char *file, const char *why)
{
	if (x->why[0])
		return err;
	if (strcmp(file, x->asked) == 0)
		snprintf(x->why, sizeof x->why, "%s: %s", file, why);
	else
		snprintf(x->why, sizeof x->why, "%s: its interpreter %s: %s", x->asked, file, why);
	return err;
}

/* Opens a file that is to be executed. Referenced file or err_ptr(). */
static struct file *open_executable(struct exec *x, int dirfd, const char *path, int flags)
{
	struct file *f = vfs_open(dirfd, path, O_RDONLY | flags, 0);
	int err = is_err(f) ? (int)ptr_err(f) : 0;
	const char *why = err == -ENOENT ? "no such file" : "cannot be opened";
	if (!err && (f->inode->mode & S_IFMT) != S_IFREG) {
		err = -EACCES;
		why = "not a regular file";
	}
	if (!err) {
		err = vfs_may(f->inode, 1);
		why = "not executable (permissions)";
	}
	if (err) {
		if (!is_err(f))
			file_put(f);
		fail(x, err, path, why);
		return err_ptr(err);
	}
	return f;
}

static long read_at(struct file *f, void *buf, size_t n, uint64_t offset)
{
	int64_t pos = (int64_t)offset;
	size_t done = 0;
	while (done < n) {
		long r = file_read(f, (char *)buf + done, n - done, &pos);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (long)done;
}

/* Reads and checks the headers of f. */
static int read_image(struct exec *x, struct file *f, const char *path, struct elf_image *img)
{
	char header[ELF_HEADER_SIZE];
	uint64_t size = f->inode->size;
	long n = read_at(f, header, sizeof header, 0);
	if (n < 0)
		return fail(x, (int)n, path, "cannot be read");
	const char *why = elf_parse_header(header, (size_t)n, size, img);
	if (why)
		return fail(x, -ENOEXEC, path, why);
	size_t bytes = img->phnum * (size_t)ELF_PHDR_SIZE;
	void *phdrs = kmalloc(bytes);
	if (!phdrs)
		return -ENOMEM;
	n = read_at(f, phdrs, bytes, img->phoff);
	if (n == (long)bytes)
		why = elf_parse_segments(phdrs, size, img);
	kfree(phdrs);
	if (n != (long)bytes)
		return fail(x, n < 0 ? (int)n : -EIO, path, "the program headers cannot be read");
	return why ? fail(x, -ENOEXEC, path, why) : 0;
}

/* The part of a segment behind its file contents is zero: the rest of the last file page, then
 * fresh pages. */
static int map_zeroes(struct mm *m, const struct elf_segment *s, uint64_t base)
{
	static const char zeroes[PAGE_SIZE];
	uint64_t start = base + s->vaddr + s->filesz,
		 end = ALIGN_UP(base + s->vaddr + s->memsz, PAGE_SIZE);
	uint64_t page = ALIGN_UP(start, PAGE_SIZE);
	if (s->filesz == 0)
		page = ALIGN_DOWN(start, PAGE_SIZE);
	else if (page > start && (s->prot & PROT_WRITE) &&
		 mm_access(m, start, (void *)(uintptr_t)zeroes, page - start, true) < 0)
		return -ENOMEM;
	if (page >= end)
		return 0;
	long at =
	    mm_map(m, page, end - page, s->prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
	return at < 0 ? (int)at : 0;
}

static int map_segment(struct mm *m, struct file *f, const struct elf_segment *s, uint64_t base)
{
	uint64_t start = ALIGN_DOWN(base + s->vaddr, PAGE_SIZE);
	uint64_t end = ALIGN_UP(base + s->vaddr + s->filesz, PAGE_SIZE);
	if (s->filesz) {
		long at = mm_map(m, start, end - start, s->prot, MAP_PRIVATE | MAP_FIXED, f,
		    ALIGN_DOWN(s->offset, PAGE_SIZE) >> PAGE_SHIFT);
		if (at < 0)
			return (int)at;
	}
	return s->memsz > s->filesz ? map_zeroes(m, s, base) : 0;
}

/* Where a position-independent image goes: the start of a free range of the right size and
 * alignment. */
static long choose_base(struct exec *x, const struct elf_image *img, bool executable)
{
	uint64_t span = img->high - img->low + img->align - PAGE_SIZE;
	uint64_t hint = 0;
	if (executable)
		hint = PIE_BASE +
		       (x->mm->fixed_layout ? 0 : (random_u64() & PIE_RANDOM_PAGES) << PAGE_SHIFT);
	long at = mm_map(
	    x->mm, hint, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, NULL, 0);
	if (at < 0)
		return at;
	int err = mm_unmap(x->mm, (uint64_t)at, span);
	return err ? err : (long)ALIGN_UP((uint64_t)at, img->align);
}

/* Maps an image; *base is what to add to its addresses. */
static int map_image(struct exec *x, struct file *f, const char *path, const struct elf_image *img,
    bool executable, uint64_t *base)
{
	*base = 0;
	if (img->dynamic) {
		long at = choose_base(x, img, executable);
		if (at < 0)
			return fail(x, (int)at, path, "no room in the address space");
		*base = (uint64_t)at - img->low;
	}
	for (unsigned i = 0; i < img->nsegments; i++) {
		int err = map_segment(x->mm, f, &img->segment[i], *base);
		if (err)
			return fail(x, err, path, "a segment cannot be mapped (memory?)");
	}
	TRACE(elf_load, "path=%s base=%#lx", path, *base);
	return 0;
}

static int load_interp(
    struct exec *x, struct file *f, const char *path, const struct elf_image *img)
{
	struct elf_image *in = kmalloc(sizeof *in);
	char *name = kmalloc(img->interp_size);
	struct file *interp = NULL;
	uint64_t base;
	int err = in && name ? 0 : -ENOMEM;
	if (!err &&
	    read_at(f, name, img->interp_size, img->interp_offset) != (long)img->interp_size)
		err = fail(x, -EIO, path, "the interpreter's path cannot be read");
	if (!err) {
		const char *why = elf_check_interp(name, img->interp_size);
		if (why)
			err = fail(x, -ENOEXEC, path, why);
	}
	if (!err) {
		interp = open_executable(x, AT_FDCWD, name, 0);
		if (is_err(interp)) {
			err = (int)ptr_err(interp);
			interp = NULL;
			snprintf(x->why, sizeof x->why, "%s: its interpreter %s cannot be opened",
			    path, name);
		}
	}
	if (!err)
		err = read_image(x, interp, name, in);
	if (err == -ENOEXEC)
		err = -ELIBBAD;
	if (!err)
		err = map_image(x, interp, name, in, false, &base);
	if (!err) {
		x->interp_base = base + (in->dynamic ? in->low : 0);
		x->start = base + in->entry;
	}
	if (interp)
		file_put(interp);
	kfree(name);
	kfree(in);
	return err;
}

static void note_layout(struct mm *m, const struct elf_image *img, uint64_t base)
{
	uint64_t end = base + img->high;
	m->code_start = m->data_start = UINT64_MAX;
	for (unsigned i = 0; i < img->nsegments; i++) {
		const struct elf_segment *s = &img->segment[i];
		uint64_t from = base + s->vaddr, to = from + s->filesz;
		if (s->prot & PROT_EXEC) {
			m->code_start = MIN(m->code_start, from);
			m->code_end = MAX(m->code_end, to);
		} else if (s->prot & PROT_WRITE) {
			m->data_start = MIN(m->data_start, from);
			m->data_end = MAX(m->data_end, to);
		}
	}
	if (m->data_start == UINT64_MAX)
		m->data_start = m->data_end = end;
	uint64_t random = m->fixed_layout ? 0 : (random_u64() & BRK_RANDOM_PAGES) << PAGE_SHIFT;
	/* The heap of a position-independent executable without interpreter would run into the
	 * libraries. */
	if (img->dynamic && !img->interp_size)
		end = PIE_BASE;
	m->brk_start = m->brk = ALIGN_UP(end, PAGE_SIZE) + random;
}

/* Builds x->mm from the ELF file f. */
static int load_elf(struct exec *x, struct file *f, const char *path, uint64_t *rsp)
{
	struct elf_image *img = kmalloc(sizeof *img);
	uint64_t base;
	if (!img)
		return -ENOMEM;
	int err = read_image(x, f, path, img);
	if (!err) {
		x->mm = mm_create();
		err = x->mm ? 0 : -ENOMEM;
	}
	if (!err) {
		x->mm->fixed_layout = x->program->personality & ADDR_NO_RANDOMIZE;
		x->exec_stack = img->exec_stack;
		exec_layout(x);
		/* A shared object run directly (a dynamic linker) goes where libraries go. */
		err = map_image(x, f, path, img, img->interp_size != 0, &base);
	}
	if (!err) {
		x->entry = x->start = base + img->entry;
		x->phdr = img->phdr_vaddr ? base + img->phdr_vaddr : 0;
		x->phnum = img->phnum;
		note_layout(x->mm, img, base);
		if (img->interp_size)
			err = load_interp(x, f, path, img);
	}
	kfree(img);
	if (!err)
		err = vdso_map(x->mm);
	if (!err) {
		err = exec_stack(x, rsp);
		if (err == -E2BIG)
			fail(x, err, path, "arguments and environment are too large");
	}
	return err;
}

/* Splits "#! interpreter [argument]" in place. 0 or -ENOEXEC. */
static int parse_script(char *line, size_t n, char **interp, char **arg)
{
	char *end = memchr(line, '\n', n), *p = line + 2;
	if (!end) {
		if (n >= SCRIPT_LINE - 1)
			return -ENOEXEC;
		end = line + n;
	}
	*end = 0;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = 0;
	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return -ENOEXEC;
	*interp = p;
	while (*p && *p != ' ' && *p != '\t')
		p++;
	if (*p)
		*p++ = 0;
	while (*p == ' ' || *p == '\t')
		p++;
	*arg = *p ? p : NULL;
	return 0;
}

static int load_file(
    struct exec *x, struct file *f, const char *path, unsigned depth, uint64_t *rsp);

/* Runs the script's interpreter instead, with the script as an argument. */
static int load_script(
    struct exec *x, const char *path, char *line, size_t n, unsigned depth, uint64_t *rsp)
{
	char *interp, *arg;
	size_t argc = 0, k = 0;
	if (depth >= SCRIPT_DEPTH)
		return fail(x, -ELOOP, path, "interpreters of interpreters are nested too deeply");
	if (parse_script(line, n, &interp, &arg))
		return fail(x, -ENOEXEC, path, "the #! line names no interpreter or is too long");
	while (x->argv[argc])
		argc++;
	char **argv = kmalloc((argc + 4) * sizeof *argv);
	if (!argv)
		return -ENOMEM;
	argv[k++] = interp;
	if (arg)
		argv[k++] = arg;
	argv[k++] = (char *)(uintptr_t)path;
	for (size_t i = 1; i < argc; i++)
		argv[k++] = x->argv[i];
	argv[k] = NULL;
	char *const *old = x->argv;
	x->argv = argv;
	x->path = interp;
	struct file *f = open_executable(x, AT_FDCWD, interp, 0);
	int err = is_err(f) ? (int)ptr_err(f) : load_file(x, f, interp, depth + 1, rsp);
	x->argv = old;
	kfree(argv);
	return err;
}

/* Takes over the reference to f. */
static int load_file(
    struct exec *x, struct file *f, const char *path, unsigned depth, uint64_t *rsp)
{
	char line[SCRIPT_LINE];
	long n = read_at(f, line, sizeof line - 1, 0);
	int err;
	if (n < 0) {
		err = fail(x, (int)n, path, "cannot be read");
	} else if (n >= 2 && line[0] == '#' && line[1] == '!') {
		line[n] = 0;
		err = load_script(x, path, line, (size_t)n, depth, rsp);
	} else {
		err = load_elf(x, f, path, rsp);
		if (!err) {
			x->mm->exe = f;
			return 0;
		}
	}
	file_put(f);
	return err;
}

static void set_frame(struct trapframe *frame, uint64_t rip, uint64_t rsp)
{
	memset(frame, 0, sizeof *frame);
	frame->rip = rip;
	frame->rsp = rsp;
	frame->rflags = RFLAGS_START;
	frame->cs = KERNEL_CODE_SELECTOR;
	frame->ss = KERNEL_DATA_SELECTOR;
}

int exec_build(struct program *p, struct file *f, const char *path, char *const argv[],
    char *const envp[], struct trapframe *frame, struct mm **mm, char why[160])
{
	static char *const no_strings[] = {NULL};
	struct exec x = {.program = p,
	    .argv = argv ? argv : no_strings,
	    .envp = envp ? envp : no_strings,
	    .path = path,
	    .asked = path};
	static char *const empty_name[] = {(char *)"", NULL};
	uint64_t rsp = 0;
	int err = 0;
	if (!x.argv[0])
		x.argv = empty_name;
	if (!f) {
		f = open_executable(&x, AT_FDCWD, path, 0);
		err = is_err(f) ? (int)ptr_err(f) : 0;
	} else {
		file_get(f);
	}
	if (!err)
		err = load_file(&x, f, path, 0, &rsp);
	if (err) {
		if (x.mm)
			mm_put(x.mm);
		strlcpy(why, x.why, 160);
		return err;
	}
	TRACE(app_main, "pid=%d path=%s", p->pid, path);
	set_frame(frame, x.start, rsp);
	*mm = x.mm;
	return 0;
}

struct file *exec_open(int dirfd, const char *path, int flags, char why[160])
{
	struct exec x = {.path = path, .asked = path};
	struct file *f = open_executable(&x, dirfd, path, flags);
	strlcpy(why, x.why, 160);
	return f;
}

void exec_note_path(struct program *p, struct mm *mm, const char *path)
{
	if (!mm->exe->dentry || dentry_path(mm->exe->dentry, p->exe_path, sizeof p->exe_path) < 0)
		strlcpy(p->exe_path, path, sizeof p->exe_path);
}

int exec_load(struct program *p, const char *path, char *const argv[], char *const envp[],
    struct trapframe *frame)
{
	struct mm *mm = NULL, *old = p->mm;
	char why[160];
	int err = exec_build(p, NULL, path, argv, envp, frame, &mm, why);
	if (err) {
		pr_err("cannot run %s (error %d)", why[0] ? why : path, -err);
		return err;
	}
	p->mm = mm;
	exec_note_path(p, mm, path);
	if (old)
		mm_put(old);
	return 0;
}
