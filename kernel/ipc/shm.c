/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System V shared memory. A segment is a file in memory without a name: the table holds one
 * reference to the file, each attached area another, so a removed segment goes with its last area.
 */
#include <asm/fcntl.h>
#include <linux/mman.h>
#include "fs/proc/sysctl.h"
#include "fs/special.h"
#include "ipc/sysv.h"
#include "lib/seqbuf.h"
#include "lib/string.h"
#include "mm/filemap.h"
#include "mm/mm.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "sched/timer.h"
#include "sys/syscall.h"

#define SHM_MODE_LOCKED 02000
#define SHM_MODE_DEST 01000

struct segment {
	struct ipc_object ipc;
	struct file *file;
	uint64_t size;
	_Atomic int attached;
	_Atomic int64_t attach_time, detach_time, change_time;
	_Atomic int creator, last_user;
};

static struct ipc_table table;
static struct vma_ops segment_vma_ops; /* filled from file_vma_ops by the first segment */

static int64_t now_seconds(void)
{
	return time_wall() / NSEC_PER_SEC;
}

static struct segment *segment_of(const struct vma *v)
{
	return v->file->private;
}

static void note_use(struct segment *s, _Atomic int64_t *when)
{
	struct program *p = current_program();
	atomic_store(when, now_seconds());
	if (p)
		atomic_store(&s->last_user, p->pid);
}

static void area_open(struct vma *v)
{
	struct segment *s = segment_of(v);
	atomic_fetch_add(&s->attached, 1);
	note_use(s, &s->attach_time);
}

static void area_close(struct vma *v)
{
	struct segment *s = segment_of(v);
	note_use(s, &s->detach_time);
	atomic_fetch_sub(&s->attached, 1);
}

static int segment_mmap(struct file *f, struct vma *v)
{
	(void)f;
	v->ops = &segment_vma_ops;
	return 0;
}

/* The last user of the file is gone: so is the segment. */
static void segment_release(struct file *f)
{
	kfree(f->private);
}

static const struct file_ops segment_ops = {.mmap = segment_mmap, .release = segment_release};

/* The table's reference went: the areas keep the file, and with it the memory, if there are any. */
static void segment_free(struct ipc_object *o)
{
	struct segment *s = container_of(o, struct segment, ipc);
	file_put(s->file);
}

static struct ipc_object *make_segment(void *arg)
{
	uint64_t size = *(uint64_t *)arg;
	if (!size || size > (uint64_t)atomic_load(&sysctl_shmmax) || size > INT64_MAX - PAGE_SIZE)
		return err_ptr(-EINVAL);
	struct segment *s = kzalloc(sizeof *s);
	if (!s)
		return err_ptr(-ENOMEM);
	struct inode *i = ramfs_unnamed(0600);
	if (is_err(i)) {
		kfree(s);
		return err_ptr(ptr_err(i));
	}
	atomic_store(&i->size, ALIGN_UP(size, PAGE_SIZE));
	struct dentry *d = dentry_anonymous("SYSV", i);
	if (d && !is_err(d)) {
		s->file = file_new(i, d, &segment_ops, O_RDWR);
		dentry_put(d);
	} else {
		inode_put(i);
	}
	if (!s->file) {
		kfree(s);
		return err_ptr(-ENOMEM);
	}
	segment_vma_ops = file_vma_ops;
	segment_vma_ops.open = area_open;
	segment_vma_ops.close = area_close;
	s->file->private = s;
	s->size = size;
	s->ipc.free = segment_free;
	atomic_store(&s->creator, current_program()->pid);
	atomic_store(&s->change_time, now_seconds());
	return &s->ipc;
}

static int segment_fits(struct ipc_object *o, void *arg)
{
	return *(uint64_t *)arg > container_of(o, struct segment, ipc)->size ? -EINVAL : 0;
}

SYSCALL(shmget, int key, size_t size, int flags)
{
	uint64_t n = size;
	if (flags & SHM_HUGETLB)
		return -ENOMEM; /* there are no reserved huge pages */
	return ipc_get(&table, key, flags, make_segment, segment_fits, &n);
}

SYSCALL(shmat, int id, uint64_t addr, int flags)
{
	if (addr & (PAGE_SIZE - 1)) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		addr &= PAGE_MASK;
	}
	if (!addr && flags & SHM_REMAP)
		return -EINVAL;
	struct ipc_object *o = ipc_find(&table, id);
	if (is_err(o))
		return ptr_err(o);
	struct segment *s = container_of(o, struct segment, ipc);
	long r = ipc_may(o, flags & SHM_RDONLY ? 4 : 6);
	if (!r) {
		unsigned prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
				(flags & SHM_EXEC ? PROT_EXEC : 0);
		unsigned how = MAP_SHARED;
		if (addr)
			how |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
		r = mm_map(current_program()->mm, addr, s->size, prot, how, s->file, 0);
		r = r == -EEXIST ? -EINVAL : r;
	}
	ipc_put(o);
	return r;
}

SYSCALL(shmdt, uint64_t addr)
{
	struct mm *m = current_program()->mm;
	if (addr & (PAGE_SIZE - 1))
		return -EINVAL;
	rw_read_lock(&m->lock);
	struct vma *v = mm_find(m, addr);
	bool ours = v && v->start == addr && v->file && v->file->ops == &segment_ops && !v->pgoff;
	struct file *f = ours ? v->file : NULL;
	uint64_t size = 0;
	if (f) {
		file_get(f);
		size = ALIGN_UP(segment_of(v)->size, PAGE_SIZE);
	}
	rw_read_unlock(&m->lock);
	if (!f)
		return -EINVAL;
	/* mprotect() may have cut the area: every piece of this attachment goes. */
	for (uint64_t at = addr; at < addr + size;) {
		uint64_t start = 0, end = 0;
		rw_read_lock(&m->lock);
		v = mm_find_next(m, at);
		if (v && v->start < addr + size) {
			end = v->end;
			if (v->file == f && v->start - addr == v->pgoff << PAGE_SHIFT)
				start = v->start;
		}
		rw_read_unlock(&m->lock);
		if (!end)
			break;
		if (start)
			mm_unmap(m, start, end - start);
		at = end;
	}
	file_put(f);
	return 0;
}

static void fill_stat(struct segment *s, struct shmid64_ds *d)
{
	memset(d, 0, sizeof *d);
	ipc_fill_perm(&s->ipc, &d->shm_perm);
	d->shm_perm.mode |= s->ipc.removed ? SHM_MODE_DEST : 0;
	d->shm_segsz = s->size;
	d->shm_atime = atomic_load(&s->attach_time);
	d->shm_dtime = atomic_load(&s->detach_time);
	d->shm_ctime = atomic_load(&s->change_time);
	d->shm_cpid = atomic_load(&s->creator);
	d->shm_lpid = atomic_load(&s->last_user);
	d->shm_nattch = (unsigned long)atomic_load(&s->attached);
}

static long stat_segment(struct segment *s, void __user *out, long r, bool check)
{
	struct shmid64_ds d;
	int err = check ? ipc_may(&s->ipc, 4) : 0;
	if (err)
		return err;
	fill_stat(s, &d);
	return copy_to_user(out, &d, sizeof d) ? -EFAULT : r;
}

static long set_segment(struct segment *s, const void __user *in)
{
	struct shmid64_ds d;
	int err = ipc_may_control(&s->ipc);
	if (err)
		return err;
	if (copy_from_user(&d, in, sizeof d))
		return -EFAULT;
	ipc_set_perm(&s->ipc, &d.shm_perm);
	atomic_store(&s->change_time, now_seconds());
	return 0;
}

static int highest_slot(void)
{
	int highest = 0;
	for (int i = 0; i < IPC_SLOTS; i++)
		if (table.slot[i])
			highest = i;
	return highest;
}

static long limits(void __user *out)
{
	struct shminfo64 i = {.shmmax = (unsigned long)atomic_load(&sysctl_shmmax),
	    .shmmin = 1,
	    .shmmni = IPC_SLOTS,
	    .shmseg = IPC_SLOTS,
	    .shmall = ~0ul >> 12};
	return copy_to_user(out, &i, sizeof i) ? -EFAULT : highest_slot();
}

static long usage(void __user *out)
{
	struct shm_info i = {.used_ids = (int)table.used};
	for (unsigned k = 0; k < IPC_SLOTS; k++) {
		struct ipc_object *o = ipc_at(&table, k);
		if (!o)
			continue;
		struct segment *s = container_of(o, struct segment, ipc);
		i.shm_tot += ALIGN_UP(s->size, PAGE_SIZE) / PAGE_SIZE;
		i.shm_rss += atomic_load(&s->file->inode->map.npages);
		ipc_put(o);
	}
	return copy_to_user(out, &i, sizeof i) ? -EFAULT : highest_slot();
}

SYSCALL(shmctl, int id, int cmd, void __user *arg)
{
	if (cmd == IPC_INFO)
		return limits(arg);
	if (cmd == SHM_INFO)
		return usage(arg);
	bool by_slot = cmd == SHM_STAT || cmd == SHM_STAT_ANY;
	struct ipc_object *o = by_slot ? ipc_at(&table, (unsigned)id) : ipc_find(&table, id);
	if (!o || is_err(o))
		return o ? ptr_err(o) : -EINVAL;
	struct segment *s = container_of(o, struct segment, ipc);
	long r;
	switch (cmd) {
	case IPC_STAT:
		r = stat_segment(s, arg, 0, true);
		break;
	case SHM_STAT:
	case SHM_STAT_ANY:
		r = stat_segment(s, arg, o->id, cmd == SHM_STAT);
		break;
	case IPC_SET:
		r = set_segment(s, arg);
		break;
	case IPC_RMID:
		r = ipc_may_control(o);
		if (!r)
			ipc_remove(&table, o);
		break;
	case SHM_LOCK:
	case SHM_UNLOCK:
		/* Nothing is ever swapped out, so the pages are as locked as they can be. */
		r = ipc_may_control(o);
		if (!r)
			o->mode = cmd == SHM_LOCK ? o->mode | SHM_MODE_LOCKED
						  : o->mode & ~SHM_MODE_LOCKED;
		break;
	default:
		r = -EINVAL;
	}
	ipc_put(o);
	return r;
}

int shm_show(struct seqbuf *out)
{
	seq_puts(out, "       key      shmid perms                  size  cpid  lpid nattch   uid  "
		      " gid  cuid  cgid      atime "
		      "     dtime      ctime                   rss                  swap\n");
	for (unsigned i = 0; i < IPC_SLOTS; i++) {
		struct ipc_object *o = ipc_at(&table, i);
		if (!o)
			continue;
		struct segment *s = container_of(o, struct segment, ipc);
		seq_printf(out,
		    "%10d %10d  %4o %21lu %5d %5d  %5d %5u %5u %5u %5u %10ld %10ld %10ld %21lu "
		    "%21u\n",
		    o->key, o->id, o->mode, s->size, s->creator, s->last_user, s->attached, o->uid,
		    o->gid, o->cuid, o->cgid, (long)s->attach_time, (long)s->detach_time,
		    (long)s->change_time, atomic_load(&s->file->inode->map.npages) * PAGE_SIZE, 0u);
		ipc_put(o);
	}
	return 0;
}
