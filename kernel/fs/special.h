/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the VFS core and the files that are not on a disk (pipes, devices, memfds, epoll) ask of
 * each other. The first part is implemented beside the objects and called by the core; the second
 * part is implemented by ramfs and used by the objects.
 */
#pragma once

#include <asm/errno.h>
#include "fs/vfs.h"

/*
 * vfs_open() calls these for the special kinds of inodes after inode_ops.open (and answers -ENXIO
 * for sockets). They set f->ops, f->private and may sleep. 0 or -errno.
 */
int fifo_open(
    struct inode *i, struct file *f); /* S_ISFIFO: waits for the other end unless O_NONBLOCK */
void fifo_evict(struct inode *i);     /* last reference of an S_ISFIFO inode: before it is freed */
int chrdev_open(
    struct inode *i, struct file *f); /* S_ISCHR: the driver of i->rdev, -ENXIO without one */

/* file_put() calls this when the last reference is gone, before ops->release: leaves every epoll
 * set. */
void epoll_file_gone(struct file *f);

/* fcntl() F_SETPIPE_SZ and F_GETPIPE_SZ: bytes, -EBADF if f is no pipe. */
long pipe_fcntl(struct file *f, unsigned cmd, unsigned long arg);
bool file_is_pipe(const struct file *f);
/* tee(): what one pipe holds, up to n bytes, also becomes readable from the other. */
long pipe_tee(struct file *from, struct file *to, size_t n, bool nonblock);
/* fcntl() F_ADD_SEALS and F_GET_SEALS; -EINVAL if f's inode cannot be sealed. */
long memfd_fcntl(struct file *f, unsigned cmd, unsigned long arg);

/* Puts name (may contain '/', the directories are made) into /dev, now or when it is mounted; mode
 * with S_IFCHR or S_IFBLK. 0 or -errno. Thread context. */
int devfs_add(const char *name, uint32_t mode, uint64_t rdev);

/* Registers the file system type devtmpfs. */
void devfs_init(void);
/* Register proc and sysfs. */
void procfs_init(void);
void sysfs_init(void);
/* Registers devfs, procfs, sysfs, devpts, mqueue and the devices null … tty. After vfs_init(). */
void special_init(void);
/* Boot, devices are up: mounts /proc, /sys, /dev and what belongs below where the directories
 * exist. Stirs the host's random numbers into the pool. 0 or the first -errno. */
int special_mount_all(void);

/*
 * By ramfs. A new file system in memory, not mounted anywhere (devfs fills one); and a regular file
 * of an internal one with no name, for memfd_create(), SysV shared memory and message queues:
 * referenced inode or err_ptr(). Its i->fops are ramfs' own.
 */
struct super *ramfs_super_new(void);
struct inode *ramfs_unnamed(uint32_t mode);

/* The device number of struct stat for majors and minors below 256. */
#define DEVICE(major, minor) ((uint64_t)(major) << 8 | (minor))

/* Gives a new file (NULL: there was no memory for it) the lowest free descriptor; drops it on
 * failure. */
static inline int fd_install_new(struct file *f, bool cloexec)
{
	if (!f)
		return -ENOMEM;
	int fd = fd_install(f, 0, cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}
