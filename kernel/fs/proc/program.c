/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/PID: the directories of programs and their threads. */
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <linux/stat.h>
#include "fs/proc/proc.h"
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "proc/program.h"

#define ARGUMENTS_MAX (2u << 20)

struct program *proc_program(const struct pseudo_key *k)
{
	return program_find(k->n[KEY_PID]);
}

struct thread *proc_thread(struct program *p, const struct pseudo_key *k)
{
	struct thread *t, *found = NULL;
	mutex_lock(&p->lock);
	list_for_each_entry (t, &p->threads, program_link) {
		if (k->n[KEY_TID] ? t->tid == k->n[KEY_TID] : t->tid == p->pid || !found) {
			found = t;
			if (k->n[KEY_TID] || t->tid == p->pid)
				break;
		}
	}
	if (found)
		thread_get(found);
	mutex_unlock(&p->lock);
	return found;
}

struct mm *proc_mm(struct program *p)
{
	mutex_lock(&p->lock);
	struct mm *m = p->mm != &kernel_mm ? p->mm : NULL; /* a dead program's is the kernel's */
	if (m)
		mm_get(m);
	mutex_unlock(&p->lock);
	return m;
}

/* ---- text of memory: cmdline, environ ---- */

static int show_memory(struct seqbuf *s, const struct pseudo_key *k, bool environ)
{
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	struct mm *m = proc_mm(p);
	if (m) {
		uint64_t a = environ ? m->env_start : m->arg_start,
			 end = environ ? m->env_end : m->arg_end;
		char buf[256];
		end = MIN(end, a + ARGUMENTS_MAX);
		while (a < end) {
			size_t n = MIN(end - a, sizeof buf);
			long got = mm_access(m, a, buf, n, false);
			if (got <= 0)
				break;
			seq_write(s, buf, got);
			a += got;
		}
		mm_put(m);
	}
	program_put(p);
	return 0;
}

static int show_cmdline(struct seqbuf *s, const struct pseudo_key *k)
{
	return show_memory(s, k, false);
}

static int show_environ(struct seqbuf *s, const struct pseudo_key *k)
{
	return show_memory(s, k, true);
}

/* ---- links ---- */

enum which { LINK_EXE, LINK_CWD, LINK_ROOT };

static struct dentry *program_dentry(struct program *p, enum which which)
{
	struct dentry *d = NULL;
	if (which == LINK_EXE) {
		struct mm *m = proc_mm(p);
		if (!m)
			return NULL;
		d = m->exe ? m->exe->dentry : NULL;
		if (d)
			dentry_get(d);
		mm_put(m);
		return d;
	}
	mutex_lock(&p->lock);
	d = which == LINK_CWD ? p->cwd : p->root;
	if (d)
		dentry_get(d);
	mutex_unlock(&p->lock);
	return d;
}

static int follow(const struct pseudo_key *k, struct dentry **out, enum which which)
{
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	*out = program_dentry(p, which);
	program_put(p);
	return *out ? 0 : -ENOENT;
}

static int follow_exe(const struct pseudo_key *k, struct dentry **out)
{
	return follow(k, out, LINK_EXE);
}

static int follow_cwd(const struct pseudo_key *k, struct dentry **out)
{
	return follow(k, out, LINK_CWD);
}

static int follow_root(const struct pseudo_key *k, struct dentry **out)
{
	return follow(k, out, LINK_ROOT);
}

static int put_dentry_path(struct seqbuf *s, struct dentry *d)
{
	char *path = kmalloc(4096);
	int r = path ? dentry_path(d, path, 4096) : -ENOMEM;
	if (r >= 0)
		seq_puts(s, path);
	kfree(path);
	return MIN(r, 0);
}

static int link_text(struct seqbuf *s, const struct pseudo_key *k, enum which which)
{
	struct dentry *d;
	int r = follow(k, &d, which);
	if (r)
		return r;
	r = put_dentry_path(s, d);
	dentry_put(d);
	return r;
}

static int link_exe(struct seqbuf *s, const struct pseudo_key *k)
{
	return link_text(s, k, LINK_EXE);
}

static int link_cwd(struct seqbuf *s, const struct pseudo_key *k)
{
	return link_text(s, k, LINK_CWD);
}

static int link_root(struct seqbuf *s, const struct pseudo_key *k)
{
	return link_text(s, k, LINK_ROOT);
}

/* ---- descriptors ---- */

/* The first used descriptor >= fd with its file, or -1. */
static int next_file(const struct pseudo_key *k, int fd, struct file **f)
{
	struct program *p = proc_program(k);
	if (!p)
		return -1;
	mutex_lock(&p->lock);
	struct fd_table *t = p->fds;
	if (t)
		fd_table_get(t);
	mutex_unlock(&p->lock);
	int r = -1;
	if (t) {
		r = fd_next(t, fd, f);
		fd_table_put(t);
	}
	program_put(p);
	return r;
}

static struct file *key_file(const struct pseudo_key *k)
{
	struct file *f;
	int fd = next_file(k, k->n[KEY_FD], &f);
	if (fd < 0)
		return NULL;
	if (fd != k->n[KEY_FD]) {
		file_put(f);
		return NULL;
	}
	return f;
}

static int next_fd(const struct pseudo_key *k, int from)
{
	struct file *f;
	int fd = next_file(k, from, &f);
	if (fd >= 0)
		file_put(f);
	return fd;
}

static int follow_fd(const struct pseudo_key *k, struct dentry **out)
{
	struct file *f = key_file(k);
	if (!f)
		return -ENOENT;
	*out = f->dentry;
	if (*out)
		dentry_get(*out);
	file_put(f);
	return *out ? 0 : -ENXIO;
}

static int link_fd(struct seqbuf *s, const struct pseudo_key *k)
{
	struct file *f = key_file(k);
	if (!f)
		return -ENOENT;
	int r = -ENOENT;
	if (f->dentry)
		r = put_dentry_path(s, f->dentry);
	file_put(f);
	return r;
}

static void own_fd(const struct pseudo_key *k, struct inode *i)
{
	struct file *f = key_file(k);
	if (!f)
		return;
	i->mode = S_IFLNK | (f->mode & FMODE_READ ? 0500 : 0) | (f->mode & FMODE_WRITE ? 0300 : 0);
	file_put(f);
}

static int show_fdinfo(struct seqbuf *s, const struct pseudo_key *k)
{
	struct file *f = key_file(k);
	if (!f)
		return -ENOENT;
	seq_printf(s, "pos:\t%ld\nflags:\t0%o\nmnt_id:\t20\nino:\t%lu\n",
	    f->mode & FMODE_STREAM ? 0l : (long)f->pos, atomic_load(&f->flags),
	    f->inode ? f->inode->ino : 0ul);
	if (f->ops && f->ops->show_fdinfo) {
		char buf[512] = "";
		f->ops->show_fdinfo(f, buf, sizeof buf);
		seq_puts(s, buf);
	}
	file_put(f);
	return 0;
}

/* ---- small texts ---- */

static int show_comm(struct seqbuf *s, const struct pseudo_key *k)
{
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	struct thread *t = proc_thread(p, k);
	if (t) {
		seq_printf(s, "%s\n", t->name);
		thread_put(t);
	}
	program_put(p);
	return t ? 0 : -ESRCH;
}

static int store_comm(const struct pseudo_key *k, char *text, size_t n)
{
	(void)n;
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	struct thread *t = proc_thread(p, k);
	if (t) {
		strlcpy(t->name, text, sizeof t->name);
		thread_put(t);
	}
	program_put(p);
	return t ? 0 : -ESRCH;
}

static int show_oom_score_adj(struct seqbuf *s, const struct pseudo_key *k)
{
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	seq_printf(s, "%d\n", (int)p->oom_score_adj);
	program_put(p);
	return 0;
}

static int store_oom_score_adj(const struct pseudo_key *k, char *text, size_t n)
{
	(void)n;
	uint64_t v;
	bool negative = *text == '-';
	const char *end = parse_u64(text + negative, 10, &v);
	if (end == text + negative || *end || v > 1000)
		return -EINVAL;
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	p->oom_score_adj = (uint32_t)(negative ? -(int)v : (int)v);
	program_put(p);
	return 0;
}

/* Share of memory in thousandths plus the adjustment, as Linux scores victims. */
static int show_oom_score(struct seqbuf *s, const struct pseudo_key *k)
{
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	struct mm *m = proc_mm(p);
	int64_t pages = 0;
	if (m) {
		pages = atomic_load(&m->rss_anon) + atomic_load(&m->rss_file) +
			atomic_load(&m->rss_shmem);
		mm_put(m);
	}
	int64_t score = pages * 1000 / (int64_t)MAX(memstats.total, 1ul) + (int)p->oom_score_adj;
	seq_printf(s, "%ld\n", (long)MAX(score, (int64_t)0));
	program_put(p);
	return 0;
}

static int show_personality(struct seqbuf *s, const struct pseudo_key *k)
{
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	seq_printf(s, "%08x\n", p->personality);
	program_put(p);
	return 0;
}

static int show_schedstat(struct seqbuf *s, const struct pseudo_key *k)
{
	struct program *p = proc_program(k);
	struct thread *t = p ? proc_thread(p, k) : NULL;
	if (t) {
		seq_printf(s, "%ld 0 %lu\n", (long)t->run_ns, t->switches);
		thread_put(t);
	}
	if (p)
		program_put(p);
	return t ? 0 : -ESRCH;
}

/* The system call a thread is in; "running" outside one. */
static int show_syscall(struct seqbuf *s, const struct pseudo_key *k)
{
	struct program *p = proc_program(k);
	struct thread *t = p ? proc_thread(p, k) : NULL;
	if (t) {
		if (t->syscall_nr < 0)
			seq_puts(s, "running\n");
		else
			seq_printf(s, "%ld\n", t->syscall_nr);
		thread_put(t);
	}
	if (p)
		program_put(p);
	return t ? 0 : -ESRCH;
}

/* ---- mem: the program's memory by address ---- */

static long mem_move(struct file *f, struct iter *it, int64_t *pos, bool write)
{
	char buf[512];
	struct program *p = proc_program(pseudo_key_of(f->inode));
	if (!p)
		return -ESRCH;
	struct mm *m = proc_mm(p);
	long done = 0;
	while (m && it->count) {
		size_t n = MIN(it->count, sizeof buf);
		if (write && (n = iter_from(it, buf, n)) == 0)
			break;
		long got = mm_access(m, (uint64_t)*pos, buf, n, write);
		if (got <= 0) {
			done = done ? done : -EIO;
			break;
		}
		if (!write && iter_to(it, buf, got) != (size_t)got) {
			done = done ? done : -EFAULT;
			break;
		}
		*pos += got;
		done += got;
	}
	if (m)
		mm_put(m);
	program_put(p);
	return done;
}

static long mem_read(struct file *f, struct iter *to, int64_t *pos)
{
	return mem_move(f, to, pos, false);
}

static long mem_write(struct file *f, struct iter *from, int64_t *pos)
{
	return mem_move(f, from, pos, true);
}

static int64_t mem_seek(struct file *f, int64_t off, int whence)
{
	if (whence != 0 && whence != 1)
		return -EINVAL;
	return f->pos = whence ? f->pos + off : off;
}

static const struct file_ops mem_ops = {.read = mem_read, .write = mem_write, .seek = mem_seek};

/* pagemap: one 64-bit word a page; bit 63 present, bits 0-54 the frame, bit 61 file page. */
static long pagemap_read(struct file *f, struct iter *to, int64_t *pos)
{
	if (*pos % 8 || to->count % 8)
		return -EINVAL;
	struct program *p = proc_program(pseudo_key_of(f->inode));
	if (!p)
		return -ESRCH;
	struct mm *m = proc_mm(p);
	long done = 0;
	while (m && to->count) {
		uint64_t a = (uint64_t)*pos / 8 * PAGE_SIZE, word = 0;
		if (a >= USER_END)
			break;
		rw_read_lock(&m->lock);
		uint64_t t = mm_translate(m, a);
		if (t) {
			struct page *page = phys_page(t & PAGE_MASK);
			bool file =
			    page < page_array + page_count && atomic_load(&page->flags) & PG_CACHE;
			word = 1ull << 63 | (uint64_t)file << 61 |
			       (t >> PAGE_SHIFT & ((1ull << 55) - 1));
		}
		rw_read_unlock(&m->lock);
		if (iter_to(to, &word, 8) != 8) {
			done = done ? done : -EFAULT;
			break;
		}
		*pos += 8;
		done += 8;
		preempt_point();
	}
	if (m)
		mm_put(m);
	program_put(p);
	return done;
}

static const struct file_ops pagemap_ops = {.read = pagemap_read, .seek = mem_seek};

static int show_auxv(struct seqbuf *s, const struct pseudo_key *k)
{
	/* The loader records where on the stack the vector is. */
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	struct mm *m = proc_mm(p);
	if (m) {
		uint64_t pair[2];
		for (uint64_t a = m->auxv;
		     m->auxv && mm_access(m, a, pair, sizeof pair, false) == sizeof pair;
		     a += sizeof pair) {
			seq_write(s, pair, sizeof pair);
			if (!pair[0])
				break;
		}
		mm_put(m);
	}
	program_put(p);
	return 0;
}

/* ---- directories ---- */

static void own_program(const struct pseudo_key *k, struct inode *i)
{
	struct program *p = proc_program(k);
	if (!p)
		return;
	i->uid = p->cred.euid;
	i->gid = p->cred.egid;
	program_put(p);
}

static const struct pseudo_entry fd_dir[] = {
    {.name = "",
	.next = next_fd,
	.slot = KEY_FD,
	.link = link_fd,
	.follow = follow_fd,
	.own = own_fd},
    {},
};

static const struct pseudo_entry fdinfo_dir[] = {
    {.name = "", .next = next_fd, .slot = KEY_FD, .show = show_fdinfo},
    {},
};

static int next_tid(const struct pseudo_key *k, int from)
{
	struct program *p = proc_program(k);
	if (!p)
		return -1;
	int best = -1;
	struct thread *t;
	mutex_lock(&p->lock);
	list_for_each_entry (t, &p->threads, program_link)
		if (t->tid >= from && (best < 0 || t->tid < best))
			best = t->tid;
	mutex_unlock(&p->lock);
	program_put(p);
	return best;
}

/* What program and thread directories have in common. */
#define COMMON_ENTRIES                                                                             \
	{.name = "stat", .show = proc_show_pid_stat}, {.name = "statm", .show = proc_show_statm},  \
	    {.name = "status", .show = proc_show_status},                                          \
	    {.name = "cmdline", .show = show_cmdline},                                             \
	    {.name = "environ", .mode = S_IFREG | 0400, .show = show_environ},                     \
	    {.name = "auxv", .mode = S_IFREG | 0400, .show = show_auxv},                           \
	    {.name = "exe", .link = link_exe, .follow = follow_exe},                               \
	    {.name = "cwd", .link = link_cwd, .follow = follow_cwd},                               \
	    {.name = "root", .link = link_root, .follow = follow_root},                            \
	    {.name = "fd", .mode = S_IFDIR | 0500, .children = fd_dir},                            \
	    {.name = "fdinfo", .children = fdinfo_dir}, {.name = "maps", .show = proc_show_maps},  \
	    {.name = "smaps", .show = proc_show_smaps},                                            \
	    {.name = "smaps_rollup", .show = proc_show_smaps_rollup},                              \
	    {.name = "numa_maps", .show = proc_show_numa_maps},                                    \
	    {.name = "mounts", .show = proc_show_mounts},                                          \
	    {.name = "mountinfo", .show = proc_show_mountinfo},                                    \
	    {.name = "limits", .show = proc_show_limits}, {.name = "io", .show = proc_show_io},    \
	    {.name = "cgroup", .text = "0::/"},                                                    \
	    {.name = "comm", .show = show_comm, .store = store_comm},                              \
	    {.name = "mem", .mode = S_IFREG | 0600, .fops = &mem_ops},                             \
	    {.name = "pagemap", .mode = S_IFREG | 0400, .fops = &pagemap_ops},                     \
	    {.name = "oom_score", .show = show_oom_score},                                         \
	    {.name = "oom_score_adj", .show = show_oom_score_adj, .store = store_oom_score_adj},   \
	    {.name = "personality", .show = show_personality},                                     \
	    {.name = "schedstat", .show = show_schedstat},                                         \
	    {.name = "syscall", .show = show_syscall}, {.name = "loginuid", .text = "4294967295"}, \
	    {.name = "sessionid", .text = "4294967295"},                                           \
	    {.name = "uid_map", .text = "         0          0 4294967295"},                       \
	    {.name = "gid_map", .text = "         0          0 4294967295"},                       \
	    {.name = "setgroups", .text = "allow"},                                                \
	    {.name = "coredump_filter", .text = "00000033"},                                       \
	{                                                                                          \
		.name = "net", .children = proc_net_dir                                            \
	}

static const struct pseudo_entry thread_dir[] = {COMMON_ENTRIES, {}};

static const struct pseudo_entry task_dir[] = {
    {.name = "", .next = next_tid, .slot = KEY_TID, .children = thread_dir, .own = own_program},
    {},
};

const struct pseudo_entry proc_program_dir[] = {
    COMMON_ENTRIES,
    {.name = "task", .children = task_dir, .own = own_program},
    {},
};
