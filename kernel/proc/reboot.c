/* SPDX-License-Identifier: BSD-3-Clause */
/* reboot(2): a program ends the machine. Data is written first; the host sees exit status 0. */
#include <linux/capability.h>
#include <linux/reboot.h>
#include "arch/x86/machine.h"
#include "drivers/console.h"
#include "drivers/virtio/ports.h"
#include "proc/program.h"
#include "sys/syscall.h"

long sys_sync(void); /* fs/ */

SYSCALL(reboot, uint32_t magic, uint32_t magic2, uint32_t cmd, void __user *arg)
{
	(void)arg;
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (magic != LINUX_REBOOT_MAGIC1 ||
	    (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
		magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
		return -EINVAL;
	switch (cmd) {
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0; /* there is no such key */
	case LINUX_REBOOT_CMD_RESTART:
		sys_sync();
		host_report("reboot");
		machine_reset();
	case LINUX_REBOOT_CMD_POWER_OFF:
	case LINUX_REBOOT_CMD_HALT:
		sys_sync();
		ports_flush();
		host_report("exit 0");
		machine_power_off();
	}
	return -EINVAL;
}
