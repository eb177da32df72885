/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * First program of the Linux guest in the network benchmarks: loads the modules in /modules (in the
 * order of their names), mounts the usual file systems, gives eth0 the address of its first
 * argument, and becomes the program of the others.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	sleep(1);
	exit(1);
}

static void load_modules(void)
{
	struct dirent **list;
	char path[512];
	int n = scandir("/modules", &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/modules/%s", list[i]->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			perror(path);
		close(fd);
	}
}

static void interface_up(const char *name, const char *address)
{
	struct ifreq r = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&r.ifr_addr;
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(r.ifr_name, name);
	in->sin_family = AF_INET;
	inet_pton(AF_INET, address, &in->sin_addr);
	if (ioctl(s, SIOCSIFADDR, &r))
		fail(name);
	inet_pton(AF_INET, address[0] == '1' && address[1] == '2' ? "255.0.0.0" : "255.255.255.0",
	    &in->sin_addr);
	ioctl(s, SIOCSIFNETMASK, &r);
	if (ioctl(s, SIOCGIFFLAGS, &r))
		fail(name);
	r.ifr_flags |= IFF_UP;
	if (ioctl(s, SIOCSIFFLAGS, &r))
		fail(name);
	close(s);
}

int main(int argc, char **argv)
{
	struct rlimit files = {65536, 65536};

	if (argc < 3)
		return 2;
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	interface_up("lo", "127.0.0.1");
	if (strcmp(argv[1], "none"))
		interface_up("eth0", argv[1]);
	setrlimit(RLIMIT_NOFILE, &files);
	execv(argv[2], argv + 2);
	fail(argv[2]);
}
