/* SPDX-License-Identifier: BSD-3-Clause */
/* File systems, devices, the program: the second half of the start. */
#include "core/start.h"
#include "arch/x86/machine.h"
#include "core/bootinfo.h"
#include "core/log.h"
#include "drivers/console.h"

void start_system(void)
{
	pr_err("up, command line: %s", bootinfo.cmdline);
	host_report("exit 0");
	console_flush();
	machine_power_off();
}
