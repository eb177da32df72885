/* SPDX-License-Identifier: BSD-3-Clause */
/* Brings up the file systems that are not on a disk and mounts them at boot. */
#include "fs/special.h"
#include <asm/errno.h>
#include "core/log.h"
#include "core/random.h"
#include "drivers/memdev.h"
#include "drivers/rng.h"
#include "drivers/tty.h"
#include "net/unix.h"

void special_init(void)
{
	devfs_init();
	procfs_init();
	sysfs_init();
	memdev_init();
	console_tty_init();
	pty_init();
	unix_init();
}

static const struct {
	const char *fstype, *target, *options;
	bool make; /* the parent is ours and in memory: make the directory */
} boot_mounts[] = {
    {"proc", "/proc", "", false},
    {"sysfs", "/sys", "", false},
    {"devtmpfs", "/dev", "mode=755", false},
    {"devpts", "/dev/pts", "", true},
    {"tmpfs", "/dev/shm", "mode=1777", true},
};

int special_mount_all(void)
{
	int first_error = 0;
	uint8_t seed[64];
	random_add(seed, hwrng_read(seed, sizeof seed));
	for (size_t i = 0; i < ARRAY_SIZE(boot_mounts); i++) {
		const char *target = boot_mounts[i].target;
		if (boot_mounts[i].make)
			vfs_mkdir(-1, target, 0755);
		struct dentry *d = path_lookup(-1, target, WALK_KERNEL | WALK_DIRECTORY);
		if (is_err(d))
			continue; /* the image has no such directory and wants none */
		dentry_put(d);
		int err = vfs_mount(boot_mounts[i].fstype, target, boot_mounts[i].fstype, 0,
		    boot_mounts[i].options);
		if (err) {
			pr_err("mounting %s on %s failed: error %d", boot_mounts[i].fstype, target,
			    -err);
			first_error = first_error ? first_error : err;
		}
	}
	return first_error;
}
