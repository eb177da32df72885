/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's command line for a machine. */
#include "machine.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MICROVM_SLOTS 8
#define MEMORY_MIN (8u << 20) /* the least in which a program of a few pages runs */
#define MICROVM                                                           \
	"microvm,x-option-roms=off,pit=off,pic=off,isa-serial=on,rtc=on," \
	"auto-kernel-cmdline=on,ioapic2=off,acpi="

bool cap_kvm_works(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;
	while (f && !found && getline(&line, &size, f) > 0)
		found = has_prefix(line, "flags") && (strstr(line, " vmx") || strstr(line, " svm"));
	free(line);
	if (f)
		fclose(f);
	return found;
}

const char *cap_qemu_program(void)
{
	const char *program = getenv("CAPSTAN_QEMU");
	return program && *program ? program : "qemu-system-x86_64";
}

/* A comma inside an option value is written twice. */
static char *escape(const char *value)
{
	struct buf b = {0};
	buf_add(&b, "", 0);
	for (; *value; value++) {
		buf_putc(&b, *value);
		if (*value == ',')
			buf_putc(&b, ',');
	}
	return buf_take(&b);
}

static bool parse_port(const char *s, size_t len)
{
	char *text = xstrndup(s, len);
	uint64_t port;
	bool ok = parse_uint(text, 65535, &port) && port > 0;
	free(text);
	return ok;
}

/* Tries a port that QEMU is to listen on, because QEMU would not say what is wrong with it. */
static int try_port(struct cap *c, const char *address, const char *port, bool tcp)
{
	int fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	if (*address)
		inet_pton(AF_INET, address, &sin.sin_addr);
	if (fd < 0)
		return 0;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	int result = 0;
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) || (tcp && listen(fd, 1)))
		result = cap_fail(c, errno, "cannot forward %s port %.*s%s%s: %s",
		    tcp ? "TCP" : "UDP", (int)strspn(port, "0123456789"), port,
		    *address ? " of " : "", address, strerror(errno));
	close(fd);
	return result;
}

/* "8080:80", "8080:80/udp", "127.0.0.1:8080:80" → "hostfwd=tcp:127.0.0.1:8080-:80". */
static int forward(struct cap *c, const char *rule, struct buf *out)
{
	const char *protocol = "tcp", *slash = strchr(rule, '/');
	size_t len = slash ? (size_t)(slash - rule) : strlen(rule);
	if (slash)
		protocol = slash + 1;
	const char *guest = memrchr(rule, ':', len);
	const char *host = guest ? memrchr(rule, ':', guest - rule) : NULL;
	char *address = host ? xstrndup(rule, host - rule) : xstrdup("");
	host = host ? host + 1 : rule;
	struct in_addr ip;
	bool ok = guest && parse_port(host, guest - host) &&
		  parse_port(guest + 1, rule + len - guest - 1) &&
		  (!strcmp(protocol, "tcp") || !strcmp(protocol, "udp")) &&
		  (!*address || inet_pton(AF_INET, address, &ip) == 1);
	if (ok)
		buf_printf(out, ",hostfwd=%s:%s:%.*s-:%.*s", protocol, address, (int)(guest - host),
		    host, (int)(rule + len - guest - 1), guest + 1);
	int result =
	    ok ? try_port(c, address, host, !strcmp(protocol, "tcp"))
	       : cap_fail(c, EINVAL,
		     "port forwarding rule \"%s\" is not [ADDRESS:]HOST:GUEST[/tcp|/udp]", rule);
	free(address);
	return result;
}

/* A locally administered address that stays the same for a name. */
static void derive_mac(const char *name, char out[18])
{
	char digest[65];
	sha256_hex(name ? name : "", name ? strlen(name) : 0, digest);
	snprintf(out, 18, "52:54:00:%.2s:%.2s:%.2s", digest, digest + 2, digest + 4);
}

static bool valid_mac(const char *mac)
{
	if (strlen(mac) != 17)
		return false;
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? mac[i] != ':' : !isxdigit((unsigned char)mac[i]))
			return false;
	return true;
}

static int add_net(
    struct cap *c, const struct cap_machine *m, int tap, const char *suffix, struct strv *args)
{
	struct buf dev = {0};
	char mac[18];
	int result = 0;
	if (m->forwards && m->forwards->count && strcmp(m->net, "nat"))
		return cap_fail(c, EINVAL, "-f needs -n nat, not -n %s", m->net);
	if (!strcmp(m->net, "none"))
		return 0;
	if (m->mac && !valid_mac(m->mac))
		return cap_fail(c, EINVAL, "\"%s\" is not a MAC address", m->mac);
	if (!strcmp(m->net, "nat")) {
		buf_puts(&dev, "user,id=net0");
		for (size_t i = 0; m->forwards && !result && i < m->forwards->count; i++)
			result = forward(c, m->forwards->items[i], &dev);
	} else if (!strcmp(m->net, "bridge")) {
		const char *bridge = m->net_device ? m->net_device : "virbr0";
		char *path = xasprintf("/sys/class/net/%s/bridge", bridge);
		if (strchr(bridge, '/') || !path_exists(path))
			result = cap_fail(c, EINVAL,
			    "this host has no bridge named \"%s\"; -b names another one", bridge);
		free(path);
		if (tap >= 0)
			buf_printf(&dev, "tap,id=net0,fd=%d", tap);
		else
			buf_printf(&dev, "bridge,id=net0,br=%s", bridge);
	} else if (!strcmp(m->net, "tap") || !strcmp(m->net, "vhost")) {
		buf_printf(&dev, "tap,id=net0,ifname=%s,script=no,downscript=no%s",
		    m->net_device ? m->net_device : "tap0",
		    strcmp(m->net, "vhost") ? "" : ",vhost=on");
	} else {
		result = cap_fail(c, EINVAL,
		    "unknown networking \"%s\" (none, nat, bridge, tap or vhost)", m->net);
	}
	if (!result) {
		derive_mac(m->name, mac);
		strv_add(args, "-netdev");
		strv_add(args, dev.data);
		strv_add(args, "-device");
		strv_addf(args, "virtio-net-%s,netdev=net0,mac=%s", suffix, m->mac ? m->mac : mac);
	}
	buf_free(&dev);
	return result;
}

static bool file_is_qcow2(const char *path)
{
	char magic[4] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool yes = fd >= 0 && read(fd, magic, 4) == 4 && !memcmp(magic, "QFI\xfb", 4);
	if (fd >= 0)
		close(fd);
	return yes;
}

static void add_drive(struct strv *args, int index, const char *suffix, const char *path,
    enum cap_format format, bool readonly, const char *aio)
{
	char *file = escape(path);
	strv_add(args, "-drive");
	strv_addf(args, "if=none,id=disk%d,file=%s,format=%s,cache=unsafe,aio=%s%s", index, file,
	    format == CAP_FORMAT_QCOW2 ? "qcow2" : "raw", aio, readonly ? ",readonly=on" : "");
	strv_add(args, "-device");
	strv_addf(args, "virtio-blk-%s,drive=disk%d", suffix, index);
	free(file);
}

static int add_disks(
    struct cap *c, const struct cap_machine *m, const char *suffix, struct strv *args)
{
	char *fd_path = m->image ? NULL : xasprintf("/proc/self/fd/%d", m->image_fd);
	int index = 0;
	if (m->image || m->image_fd >= 0)
		add_drive(args, index++, suffix, m->image ? m->image : fd_path, m->format,
		    !m->writable, c->aio.value);
	free(fd_path);
	for (size_t i = 0; m->disks && i < m->disks->count; i++) {
		const char *path = m->disks->items[i];
		if (access(path, R_OK))
			return cap_fail_errno(c, "cannot open the disk %s", path);
		bool readonly = access(path, W_OK);
		add_drive(args, index++, suffix, path,
		    file_is_qcow2(path) ? CAP_FORMAT_QCOW2 : CAP_FORMAT_RAW, readonly,
		    c->aio.value);
	}
	return 0;
}

static bool has_ports(const struct cap_qemu_fds *fds)
{
	for (int i = 0; i < CAP_PORTS; i++)
		if (fds->port[i] >= 0)
			return true;
	return false;
}

static void add_ports(const struct cap_qemu_fds *fds, const char *suffix, struct strv *args)
{
	static const char *const names[CAP_PORTS] = {NULL, "stdin", "stdout", "stderr", "control"};
	if (!has_ports(fds))
		return;
	strv_add(args, "-device");
	strv_addf(args, "virtio-serial-%s,max_ports=%d", suffix, CAP_PORTS);
	for (int i = 1; i < CAP_PORTS; i++) {
		if (fds->port[i] < 0)
			continue;
		strv_add(args, "-chardev");
		strv_addf(args, "socket,id=port%d,fd=%d", i, fds->port[i]);
		strv_add(args, "-device");
		strv_addf(
		    args, "virtserialport,nr=%d,chardev=port%d,name=carrara.%s", i, i, names[i]);
	}
}

static int choose_type(struct cap *c, const struct cap_machine *m, bool ports, const char **type)
{
	size_t devices = 2 + (m->disks ? m->disks->count : 0) + !!strcmp(m->net, "none") + ports;
	*type = m->type;
	if (!*type) {
		bool fits = m->kernel && devices <= MICROVM_SLOTS && !m->gdb;
		*type = fits ? "microvm" : "q35";
		return 0;
	}
	if (strcmp(*type, "microvm") && strcmp(*type, "q35") && strcmp(*type, "pc"))
		return cap_fail(c, EINVAL, "unknown machine \"%s\" (microvm, q35 or pc)", *type);
	if (!strcmp(*type, "microvm") && !m->kernel)
		return cap_fail(
		    c, EINVAL, "microvm needs a kernel file; it cannot boot from a disk");
	return 0;
}

static void add_machine(
    struct cap *c, const struct cap_machine *m, const char *type, struct strv *args)
{
	bool kvm = !strcmp(c->kvm.value, "true") && cap_kvm_works();
	strv_add(args, "-M");
	/* Other CPUs are found by ACPI's tables; for one CPU reading them would only cost time. */
	if (strcmp(type, "microvm"))
		strv_add(args, type);
	else
		strv_add(args, m->cpus > 1 ? MICROVM "on" : MICROVM "off");
	strv_add(args, "-accel");
	strv_add(args, kvm ? "kvm" : "tcg,thread=multi");
	strv_add(args, "-cpu");
	strv_add(args, kvm ? "host" : "max");
	strv_add(args, "-m");
	strv_addf(args, "%lluK", (unsigned long long)m->memory / 1024);
	strv_add(args, "-smp");
	strv_addf(args, "%u", m->cpus);
	cap_detail(c, "machine %s, accelerator %s", type, kvm ? "KVM" : "TCG (software)");
}

int cap_qemu_args(
    struct cap *c, const struct cap_machine *m, const struct cap_qemu_fds *fds, struct strv *args)
{
	static const char *const base[] = {
	    "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"};
	const char *type;
	if (m->memory < MEMORY_MIN || m->cpus < 1 || m->cpus > 255)
		return cap_fail(
		    c, EINVAL, "a machine needs at least 8 MiB of memory and 1 to 255 CPUs");
	int result = choose_type(c, m, has_ports(fds), &type);
	if (result)
		return result;
	const char *suffix = strcmp(type, "microvm") ? "pci" : "device";
	strv_add(args, cap_qemu_program());
	for (size_t i = 0; i < CAP_ARRAY_SIZE(base); i++)
		strv_add(args, base[i]);
	if (m->name) {
		char *name = escape(m->name);
		strv_add(args, "-name");
		strv_add(args, name);
		free(name);
	}
	add_machine(c, m, type, args);
	if (!strcmp(suffix, "device")) {
		strv_add(args, "-global");
		strv_add(args, "virtio-mmio.force-legacy=false");
	}
	if (m->kernel) {
		strv_add(args, "-kernel");
		strv_add(args, m->kernel);
		if (m->cmdline && *m->cmdline) {
			strv_add(args, "-append");
			strv_add(args, m->cmdline);
		}
	}
	strv_add(args, "-chardev");
	strv_addf(args, "socket,id=console,fd=%d", fds->console);
	strv_add(args, "-serial");
	strv_add(args, "chardev:console");
	strv_add(args, "-chardev");
	strv_addf(args, "file,id=status,path=/proc/self/fd/%d", fds->status);
	strv_add(args, "-device");
	strv_add(args, "isa-debugcon,iobase=0xe9,chardev=status");
	if (fds->qmp >= 0) {
		strv_add(args, "-chardev");
		strv_addf(args, "socket,id=qmp,fd=%d", fds->qmp);
		strv_add(args, "-mon");
		strv_add(args, "chardev=qmp,mode=control");
	}
	result = add_disks(c, m, suffix, args);
	strv_add(args, "-device");
	strv_addf(args, "virtio-rng-%s", suffix);
	if (!result)
		result = add_net(c, m, fds->net, suffix, args);
	add_ports(fds, suffix, args);
	if (m->gdb) {
		strv_add(args, "-s");
		strv_add(args, "-S");
	}
	if (m->extra)
		strv_add_all(args, m->extra);
	return result;
}

int cap_outcome_status(const struct cap_outcome *o)
{
	switch (o->end) {
	case CAP_END_EXIT:
		return o->code & 255;
	case CAP_END_SIGNAL:
		return 128 + (o->code & 127);
	case CAP_END_STOPPED:
		return o->code;
	case CAP_END_PANIC:
		return 70;
	default:
		return 1;
	}
}

const struct cap_provider *cap_provider_find(struct cap *c, const char *name)
{
	static const struct {
		const char *name, *format, *extension;
	} remote[] = {
	    {"vbox", "vdi", "vdi"}, {"vmw", "vmdk", "vmdk"}, {"gce", "raw.tar.gz", "tar.gz"}};
	if (!strcmp(name, cap_qemu.name))
		return &cap_qemu;
	for (size_t i = 0; i < CAP_ARRAY_SIZE(remote); i++)
		if (!strcmp(name, remote[i].name)) {
			cap_fail(c, EINVAL,
			    "%s does not run on this host; write an image for it with "
			    "`capstan export -f %s IMAGE FILE.%s` and start that there",
			    name, remote[i].format, remote[i].extension);
			return NULL;
		}
	cap_fail(c, EINVAL, "unknown hypervisor \"%s\" (qemu, vbox, vmw or gce)", name);
	return NULL;
}
