/* SPDX-License-Identifier: BSD-3-Clause */
/* memfd_create(): files in memory without a name, and their seals. */
#include <asm/fcntl.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "sys/syscall.h"

#define NAME_SIZE 250
#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

static const char sealable; /* inode->object of files that may be sealed */

/* Whether somebody could still write through a mapping. */
static bool mapped_writable(struct inode *i)
{
	bool found = false;
	struct vma *v;
	mutex_lock(&i->map.vmas_lock);
	list_for_each_entry (v, &i->map.vmas, mapping_link)
		found |= v->flags & MAP_SHARED && v->prot & PROT_WRITE;
	mutex_unlock(&i->map.vmas_lock);
	return found;
}

static long add_seals(struct file *f, unsigned long seals)
{
	struct inode *i = f->inode;
	if (!(f->mode & FMODE_WRITE))
		return -EPERM;
	if (seals & ~(unsigned long)ALL_SEALS)
		return -EINVAL;
	if (atomic_load(&i->seals) & F_SEAL_SEAL)
		return -EPERM;
	if (seals & F_SEAL_WRITE && mapped_writable(i))
		return -EBUSY;
	atomic_fetch_or(&i->seals, (uint32_t)seals);
	return 0;
}

long memfd_fcntl(struct file *f, unsigned cmd, unsigned long arg)
{
	if (!f->inode || f->inode->object != &sealable)
		return -EINVAL;
	if (cmd == F_GET_SEALS)
		return atomic_load(&f->inode->seals);
	return cmd == F_ADD_SEALS ? add_seals(f, arg) : -EINVAL;
}

SYSCALL(memfd_create, const char __user *uname, unsigned flags)
{
	char name[NAME_SIZE + sizeof "memfd:"] = "memfd:"; /* shown as "/memfd:NAME (deleted)" */
	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING))
		return -EINVAL;
	long len = strncpy_from_user(name + 6, uname, NAME_SIZE);
	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	struct inode *i = ramfs_unnamed(0777);
	if (is_err(i))
		return ptr_err(i);
	i->object = (void *)&sealable;
	atomic_store(&i->seals, flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL);
	struct dentry *d = dentry_anonymous(name, i);
	if (!d || is_err(d)) {
		inode_put(i);
		return -ENOMEM;
	}
	struct file *f = file_new(i, d, i->fops, O_RDWR | O_LARGEFILE);
	dentry_put(d);
	return fd_install_new(f, flags & MFD_CLOEXEC);
}
