/* SPDX-License-Identifier: BSD-3-Clause */
/* A tap device for one machine on a bridge of the host, for who may make one. */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int join(const char *bridge, const char *tap)
{
	struct ifreq r = {0};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", bridge);
	r.ifr_ifindex = (int)if_nametoindex(tap);
	int result = ioctl(s, SIOCBRADDIF, &r) ? -errno : 0;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", tap);
	if (!result && !ioctl(s, SIOCGIFFLAGS, &r)) {
		r.ifr_flags |= IFF_UP;
		result = ioctl(s, SIOCSIFFLAGS, &r) ? -errno : 0;
	}
	close(s);
	return result;
}

int cap_bridge_tap(struct cap *c, const char *bridge)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	strcpy(r.ifr_name, "carrara%d");
	int err = ioctl(fd, TUNSETIFF, &r) ? -errno : join(bridge, r.ifr_name);
	if (err) {
		cap_detail(c, "no tap device of my own on %s (%s); asking QEMU's helper", bridge,
		    strerror(-err));
		close(fd);
		return -1;
	}
	cap_detail(c, "tap device %s on bridge %s", r.ifr_name, bridge);
	return fd;
}
