/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What bench/kernel/boot.py boots, in Carrara and as init in Linux: says that it has reached
 * main(), then how much memory there is and how much is free, and ends the machine.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

static long meminfo(const char *text, const char *name)
{
	const char *line = strstr(text, name);
	long kib = 0;
	if (line)
		sscanf(line + strlen(name), ": %ld", &kib);
	return kib;
}

int main(void)
{
	static const char here[] = "main() reached\n";
	static char text[8192];
	if (write(1, here, sizeof here - 1) < 0)
		return 1;
	if (getpid() == 1)
		mount("proc", "/proc", "proc", 0, NULL);
	int fd = open("/proc/meminfo", O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		return 2;
	printf("memory %ld free %ld\n", meminfo(text, "MemTotal"), meminfo(text, "MemFree"));
	fflush(stdout);
	if (getpid() == 1) {
		reboot(RB_POWER_OFF);
		pause();
	}
	return 0;
}
