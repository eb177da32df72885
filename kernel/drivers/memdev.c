/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices that are only software: null, zero, full, random, urandom, kmsg. */
#include "drivers/memdev.h"
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <linux/mman.h>
#include <linux/random.h>
#include "core/log.h"
#include "core/random.h"
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "mm/uaccess.h"
#include "sched/thread.h"

#define CHUNK 65536

static long null_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)f;
	(void)to;
	(void)pos;
	return 0;
}

static long null_write(struct file *f, struct iter *from, int64_t *pos)
{
	(void)f;
	(void)pos;
	size_t n = from->count;
	iter_advance(from, n);
	return n;
}

static long zero_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)f;
	(void)pos;
	long done = 0;
	while (to->count) {
		size_t n = MIN(to->count, (size_t)CHUNK), moved = iter_zero(to, n);
		done += moved;
		if (moved < n)
			return done ? done : -EFAULT;
		if (signal_pending())
			break;
		preempt_point();
	}
	return done;
}

static long full_write(struct file *f, struct iter *from, int64_t *pos)
{
	(void)f;
	(void)pos;
	return from->count ? -ENOSPC : 0;
}

/* A private mapping of /dev/zero is anonymous memory, a shared one a file without a name. */
static int zero_mmap(struct file *f, struct vma *v)
{
	struct file *memory = NULL;
	if (v->flags & MAP_SHARED) {
		struct inode *i = ramfs_unnamed(0600);
		if (is_err(i))
			return ptr_err(i);
		atomic_store(&i->size, (v->pgoff << PAGE_SHIFT) + (v->end - v->start));
		memory = file_new(i, NULL, i->fops, O_RDWR);
		inode_put(i);
		if (!memory)
			return -ENOMEM;
	}
	v->file = memory;
	v->ops = NULL;
	file_put(f);
	return 0;
}

static int64_t no_seek(struct file *f, int64_t off, int whence)
{
	(void)f;
	(void)off;
	(void)whence;
	return 0;
}

static long urandom_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)f;
	(void)pos;
	return random_read(to);
}

static long urandom_write(struct file *f, struct iter *from, int64_t *pos)
{
	(void)f;
	(void)pos;
	uint8_t buf[256];
	long done = 0;
	while (from->count) {
		size_t n = MIN(from->count, sizeof buf), moved = iter_from(from, buf, n);
		random_add(buf, moved);
		done += moved;
		if (moved < n)
			return done ? done : -EFAULT;
		preempt_point();
	}
	return done;
}

static long urandom_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	(void)f;
	int bits = 256;
	return cmd == RNDGETENTCNT ? put_user(bits, (int __user *)arg) : -ENOTTY;
}

static long kmsg_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)f;
	char buf[512];
	uint64_t at = pos ? (uint64_t)*pos : 0;
	size_t n = log_read(&at, buf, MIN(to->count, sizeof buf));
	if (iter_to(to, buf, n) != n)
		return -EFAULT;
	if (pos)
		*pos = (int64_t)at;
	return n;
}

static long kmsg_write(struct file *f, struct iter *from, int64_t *pos)
{
	(void)f;
	(void)pos;
	char line[512];
	size_t n = MIN(from->count, sizeof line - 1), total = from->count;
	if (iter_from(from, line, n) != n)
		return -EFAULT;
	iter_advance(from, from->count);
	while (n && line[n - 1] == '\n')
		n--;
	line[n] = '\0';
	/* "<4>text": the level, as syslog writes it. */
	uint64_t level = LOG_NOTICE;
	const char *text = line;
	if (line[0] == '<') {
		const char *end = parse_u64(line + 1, 10, &level);
		text = *end == '>' ? end + 1 : line;
	}
	klog((enum log_level)(level & 7), "%s", text);
	return total;
}

static const struct file_ops null_ops = {.read = null_read, .write = null_write, .seek = no_seek};
static const struct file_ops zero_ops = {
    .read = zero_read, .write = null_write, .seek = no_seek, .mmap = zero_mmap};
static const struct file_ops full_ops = {.read = zero_read, .write = full_write, .seek = no_seek};
static const struct file_ops urandom_ops = {
    .read = urandom_read, .write = urandom_write, .seek = no_seek, .ioctl = urandom_ioctl};
static const struct file_ops kmsg_ops = {.read = kmsg_read, .write = kmsg_write};

static struct char_device devices[] = {
    {.name = "null", .rdev = DEVICE(1, 3), .mode = 0666, .ops = &null_ops},
    {.name = "zero", .rdev = DEVICE(1, 5), .mode = 0666, .ops = &zero_ops},
    {.name = "full", .rdev = DEVICE(1, 7), .mode = 0666, .ops = &full_ops},
    {.name = "random", .rdev = DEVICE(1, 8), .mode = 0666, .ops = &urandom_ops},
    {.name = "urandom", .rdev = DEVICE(1, 9), .mode = 0666, .ops = &urandom_ops},
    {.name = "kmsg", .rdev = DEVICE(1, 11), .mode = 0644, .ops = &kmsg_ops},
};

void memdev_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		char_device_register(&devices[i]);
}
