/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * devfs: /dev is a file system in memory that is filled from a table of registered devices, when it
 * is mounted and whenever a device comes later. Applications may add files of their own. Device
 * nodes anywhere open the driver registered for their number.
 */
#include <asm/fcntl.h>
#include <linux/stat.h>
#include "drivers/block.h"
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

struct dev_entry {
	struct list link;
	uint32_t mode;
	uint64_t rdev;
	const char *target; /* of a symbolic link */
	char name[];
};

static struct mutex dev_lock = MUTEX_INIT;
static struct list dev_entries = LIST_INIT(dev_entries);
static struct list char_devices = LIST_INIT(char_devices);
static struct super *dev_super; /* one instance, however often it is mounted */

static const char *const default_links[][2] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};
static const char *const default_dirs[] = {"pts", "shm", "mqueue"};

/* The directory `name` in dir, made if missing. Consumes the reference to dir. */
static struct inode *enter_dir(struct inode *dir, const char *name, size_t len)
{
	rw_write_lock(&dir->lock);
	struct inode *sub = dir->ops->lookup(dir, name, len);
	if (!sub)
		sub = dir->ops->create(dir, name, len, S_IFDIR | 0755, 0);
	rw_write_unlock(&dir->lock);
	inode_put(dir);
	return sub;
}

static int make_node(struct super *s, const struct dev_entry *e)
{
	struct inode *dir = s->root->inode;
	const char *name = e->name, *slash;
	inode_get(dir);
	while ((slash = strchr(name, '/'))) {
		dir = enter_dir(dir, name, slash - name);
		if (is_err(dir))
			return ptr_err(dir);
		name = slash + 1;
	}
	if (S_ISDIR(e->mode)) {
		dir = enter_dir(dir, name, strlen(name));
		if (is_err(dir))
			return ptr_err(dir);
		inode_put(dir);
		return 0;
	}
	rw_write_lock(&dir->lock);
	struct inode *i = dir->ops->lookup(dir, name, strlen(name));
	if (!i)
		i = e->target ? dir->ops->symlink(dir, name, strlen(name), e->target)
			      : dir->ops->create(dir, name, strlen(name), e->mode, e->rdev);
	rw_write_unlock(&dir->lock);
	inode_put(dir);
	if (is_err(i))
		return ptr_err(i);
	inode_put(i);
	return 0;
}

static int add_entry(const char *name, uint32_t mode, uint64_t rdev, const char *target)
{
	size_t len = strlen(name);
	struct dev_entry *e = kmalloc(sizeof *e + len + 1);
	if (!e)
		return -ENOMEM;
	*e = (struct dev_entry){.mode = mode, .rdev = rdev, .target = target};
	memcpy(e->name, name, len + 1);
	mutex_lock(&dev_lock);
	list_append(&dev_entries, &e->link);
	int err = dev_super ? make_node(dev_super, e) : 0;
	mutex_unlock(&dev_lock);
	return err;
}

int devfs_add(const char *name, uint32_t mode, uint64_t rdev)
{
	return add_entry(name, mode, rdev, NULL);
}

void char_device_register(struct char_device *d)
{
	mutex_lock(&dev_lock);
	list_append(&char_devices, &d->link);
	mutex_unlock(&dev_lock);
	if (d->name)
		devfs_add(d->name, S_IFCHR | d->mode, d->rdev);
}

int chrdev_open(struct inode *i, struct file *f)
{
	struct char_device *d, *found = NULL;
	mutex_lock(&dev_lock);
	list_for_each_entry (d, &char_devices, link)
		if (i->rdev >= d->rdev && i->rdev < d->rdev + MAX(d->count, 1u))
			found = d;
	mutex_unlock(&dev_lock);
	if (!found)
		return -ENXIO;
	f->ops = found->ops;
	f->private = found->private;
	return found->open ? found->open(i, f) : 0;
}

static struct super *devfs_mount(const char *source, unsigned flags, const char *options);
static struct fs_type devfs_type = {.name = "devtmpfs", .nodev = true, .mount = devfs_mount};

static struct super *devfs_mount(const char *source, unsigned flags, const char *options)
{
	(void)source;
	(void)flags;
	(void)options;
	mutex_lock(&dev_lock);
	struct super *s = dev_super ? dev_super : ramfs_super_new();
	if (!is_err(s) && !dev_super) {
		dev_super = s;
		s->type = &devfs_type;
		struct dev_entry *e;
		list_for_each_entry (e, &dev_entries, link)
			make_node(s, e);
	}
	mutex_unlock(&dev_lock);
	return s;
}

static void add_disk(struct block_device *d)
{
	devfs_add(d->name, S_IFBLK | 0660, d->rdev);
}

static struct block_observer disk_observer = {.fn = add_disk};

void devfs_init(void)
{
	block_observe(&disk_observer);
	fs_register(&devfs_type);
	for (size_t i = 0; i < ARRAY_SIZE(default_dirs); i++)
		add_entry(default_dirs[i], S_IFDIR | 0755, 0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(default_links); i++)
		add_entry(default_links[i][0], S_IFLNK | 0777, 0, default_links[i][1]);
}
