/* SPDX-License-Identifier: BSD-3-Clause */
/* Start of the file system part: a root in memory, so that there always is one, and the known
 * types. */
#include "fs/erofs_mount.h"
#include "fs/ramfs.h"

static struct fs_type ramfs_type;

void vfs_init(void)
{
	dcache_init();
	fs_register(&tmpfs_type);
	ramfs_type = (struct fs_type){.name = "ramfs", .nodev = true, .mount = tmpfs_type.mount};
	fs_register(&ramfs_type);
	fs_register(&erofs_type);
	struct super *s = ramfs_super_new();
	if (is_err(s) || vfs_mount_root(s))
		panic("no memory for the root file system");
	static const char *const dirs[] = {
	    "/dev", "/proc", "/sys", "/tmp", "/run", "/root", "/etc"};
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		vfs_mkdir(AT_FDCWD, dirs[i], i == 4 ? 01777 : 0755);
	writeback_start();
}
