/* SPDX-License-Identifier: BSD-3-Clause */
/* File systems, devices, the programs of the boot command: the second half of the start. */
#include <linux/fcntl.h>
#include "core/start.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "core/bootinfo.h"
#include "core/cmdline.h"
#include "core/image.h"
#include "core/log.h"
#include "core/random.h"
#include "core/trace.h"
#include "core/tracebuf.h"
#include "core/version.h"
#include "drivers/block.h"
#include "drivers/console.h"
#include "drivers/drivers.h"
#include "drivers/tty.h"
#include "drivers/virtio/ports.h"
#include "fs/special.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "mm/pagecache.h"
#include "net/inet/config.h"
#include "net/inet/inet.h"
#include "proc/program.h"
#include "sys/strace.h"

#define EX_USAGE 64
#define EX_NOINPUT 66
#define ROOT_DISK "vda"
#define TERMINAL_PORT "/dev/vport0p4"

static struct cmdline cmdline;
long sys_sync(void); /* fs/ */

/* Ends the machine with an exit status for the host. */
static NORETURN void finish(int status)
{
	host_report("exit %d", status);
	console_flush();
	machine_power_off();
}

/* A start that cannot go on: one line that says why, and a status. */
static NORETURN void give_up(int status, const char *what, const char *detail)
{
	pr_err("%s%s%s", what, *detail ? ": " : "", detail);
	finish(status);
}

static void parse(const char *text, size_t n, const char *where)
{
	int err = cmdline_parse(&cmdline, text, n);

	if (err == -ENOMEM)
		give_up(EX_USAGE, where, "no memory for the command line");
	if (err)
		give_up(EX_USAGE, where, cmdline.error);
}

static void start_subsystems(void)
{
	mm_init();
	pagecache_init();
	vfs_init();
	random_init();
	special_init();
	serial_init_input();
	for (unsigned i = 0; i < cmdline.devices.n; i++)
		if (virtio_mmio_add(cmdline.devices.v[i]))
			pr_warn("ignoring virtio_mmio.device=%s", cmdline.devices.v[i]);
	inet_init();
	drivers_init();
}

static void mount_root(void)
{
	const char *disk = cmdline.root ? cmdline.root : ROOT_DISK;
	int err = vfs_mount_boot_root(disk);

	if (err == -ENODEV)
		give_up(EX_NOINPUT, "no root file system: there is no disk", disk);
	if (err)
		give_up(EX_NOINPUT, "no root file system: cannot mount disk", disk);
	special_mount_all();
	for (unsigned i = 0; i < cmdline.mounts.n; i++) {
		char *fstype, *source, *target;
		if (cmdline_split_mount(cmdline.mounts.v[i], &fstype, &source, &target))
			give_up(EX_USAGE, "--mount wants FSTYPE:SOURCE:TARGET, not",
			    cmdline.mounts.v[i]);
		err = vfs_mount(source, target, fstype, 0, "");
		if (err) {
			pr_err(
			    "cannot mount %s (%s) at %s: error %d", source, fstype, target, -err);
			finish(EX_NOINPUT);
		}
	}
}

/* A boot command may stand in the image (behind its header) or in /run/NAME. */
static void add_stored_command(void)
{
	if (!cmdline.ncommands && !cmdline.boot) {
		char *text;
		long n = image_command_line(cmdline.root ? cmdline.root : ROOT_DISK, &text);
		if (n > 0) {
			parse(text, (size_t)n, "command line of the image");
			kfree(text);
		}
	}
	if (cmdline.ncommands)
		return;
	char path[300];
	snprintf(path, sizeof path, "/run/%s", cmdline.boot ? cmdline.boot : "default");
	char *text = kmalloc(BOOT_MAX_CMDLINE);
	struct file *f = text ? vfs_open(AT_FDCWD, path, O_RDONLY, 0) : err_ptr(-ENOMEM);
	if (is_err(f)) {
		if (cmdline.boot)
			give_up(EX_USAGE, "no such boot command", path);
		give_up(EX_USAGE, "nothing to run: the command line names no program", "");
	}
	int64_t pos = 0;
	long n = file_read(f, text, BOOT_MAX_CMDLINE, &pos);
	file_put(f);
	if (n < 0)
		give_up(EX_NOINPUT, "cannot read", path);
	parse(text, (size_t)n, path);
	kfree(text);
	if (!cmdline.ncommands)
		give_up(EX_USAGE, "no command in", path);
}

static void set_directory(struct program *p)
{
	if (!cmdline.cwd)
		return;
	struct dentry *d = path_lookup(AT_FDCWD, cmdline.cwd, WALK_DIRECTORY | WALK_KERNEL);
	if (is_err(d))
		give_up(EX_USAGE, "--cwd: no such directory", cmdline.cwd);
	dentry_put(p->cwd);
	p->cwd = d;
}

/* The path of a program's name: as it stands with a slash in it, else the first that PATH finds. 0
 * or -ENOENT. */
static int find_program(const char *name, char *path, size_t size)
{
	const char *dir = cmdline_getenv(&cmdline, "PATH", 4);

	if (strchr(name, '/')) {
		strlcpy(path, name, size);
		return 0;
	}
	while (dir && *dir) {
		const char *end = strchr(dir, ':');
		size_t n = end ? (size_t)(end - dir) : strlen(dir);
		snprintf(path, size, "%.*s/%s", (int)n, dir, name);
		struct dentry *d = path_lookup(AT_FDCWD, path, WALK_KERNEL);
		if (!is_err(d)) {
			dentry_put(d);
			return 0;
		}
		dir += n + (end != NULL);
	}
	return -ENOENT;
}

static struct program *start_program(struct boot_command *c)
{
	static char *const no_environment[] = {NULL};
	const char *base = strrchr(c->argv.v[0], '/');
	struct program *p = program_create(!c->background ? NULL : base ? base + 1 : c->argv.v[0]);

	if (!p)
		give_up(EX_NOINPUT, "no memory for the program", c->argv.v[0]);
	set_directory(p);
	p->cred.uid = p->cred.euid = p->cred.suid = p->cred.fsuid = cmdline.uid;
	p->cred.gid = p->cred.egid = p->cred.sgid = p->cred.fsgid = cmdline.gid;
	if (cmdline.uid)
		p->cred.cap_permitted = p->cred.cap_effective = 0;
	char path[512];
	int err = find_program(c->argv.v[0], path, sizeof path);
	if (err)
		pr_err("%s: no such program in PATH of the image", c->argv.v[0]);
	else
		err = program_exec(
		    p, path, c->argv.v, cmdline.env.n ? cmdline.env.v : no_environment);
	if (err) {
		finish(err == -ENOENT ? 127 : 126);
	}
	return p;
}

/* wait()'s encoding to what the host is told. */
static NORETURN void finish_with(int code)
{
	if (code & 0x7f) {
		host_report("signal %d", code & 0x7f);
		console_flush();
		machine_power_off();
	}
	finish(code >> 8 & 0xff);
}

/* Runs the commands; the last one that is not in the background is the one the machine lives for.
 */
static NORETURN void run_commands(void)
{
	struct program *last = NULL;

	for (unsigned i = 0; i < cmdline.ncommands; i++) {
		struct program *p = start_program(&cmdline.commands[i]);
		if (!cmdline.commands[i].background || !last)
			last = p;
		if (!cmdline.commands[i].background && i + 1 < cmdline.ncommands)
			program_wait(p);
	}
	host_report("ready");
	int code = program_wait(last);
	ports_flush();
	net_shutdown();
	sys_sync();
	finish_with(code);
}

/* The host says on a port when its terminal's size changes: lines "size ROWSxCOLUMNS". */
static void follow_terminal(void *unused)
{
	struct file *f = vfs_open(AT_FDCWD, TERMINAL_PORT, O_RDONLY, 0);
	char line[64];
	size_t have = 0;
	int64_t pos = 0;
	long n;

	(void)unused;
	while (!is_err(f) && (n = file_read(f, line + have, sizeof line - 1 - have, &pos)) > 0) {
		have += (size_t)n;
		line[have] = 0;
		for (char *end; (end = strchr(line, '\n'));) {
			uint16_t rows, columns;
			*end = 0;
			if (!strncmp(line, "size ", 5) &&
			    cmdline_parse_size(line + 5, &rows, &columns))
				console_tty_resize(rows, columns);
			have -= (size_t)(end + 1 - line);
			memmove(line, end + 1, have + 1);
		}
		if (have == sizeof line - 1)
			have = 0; /* not a line of ours */
	}
	if (!is_err(f))
		file_put(f);
}

/* What the host's end of the standard descriptors is: ports instead of the console where it is no
 * terminal, else a terminal of some size. */
static void set_stdio(void)
{
	static char path[3][24];

	for (unsigned fd = 0; fd < 3; fd++) {
		if (!cmdline.stdio[fd])
			continue;
		snprintf(path[fd], sizeof path[fd], "/dev/vport0p%u", cmdline.stdio[fd]);
		program_set_standard(fd, path[fd]);
	}
	if (cmdline.tty_rows || cmdline.tty_columns) {
		console_tty_resize(cmdline.tty_rows, cmdline.tty_columns);
		kthread_create("terminal", follow_terminal, NULL);
	}
}

static void apply_options(void)
{
	if (cmdline.loglevel >= 0)
		log_console_level = cmdline.loglevel;
	if (cmdline.hostname)
		hostname_set(HOST_NAME, cmdline.hostname, strlen(cmdline.hostname));
	if (cmdline.strace)
		syscall_trace_set(true, false);
}

/* --trace=PATTERN[,MODE]…: a pattern alone is counted and printed. */
static void apply_trace(void)
{
	for (unsigned i = 0; i < cmdline.trace.n; i++) {
		char *text = cmdline.trace.v[i];
		int err = strchr(text, ',')
			      ? trace_command(text)
			      : trace_change(text, TRACE_MODES, TRACE_COUNT | TRACE_PRINT);
		if (err == -EINVAL)
			pr_warn("--trace=%s: modes are count, record, print and backtrace", text);
		else if (err < 0 || (!err && !strchr(text, ',') && !trace_on(text)))
			pr_warn("--trace=%s matches no tracepoint", text);
	}
}

void start_system(void)
{
	cmdline_init(&cmdline);
	cmdline_setenv(
	    &cmdline, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	cmdline_setenv(&cmdline, "HOME=/root");
	cmdline_setenv(&cmdline, "TERM=linux");
	parse(bootinfo.cmdline, bootinfo.cmdline_size, "command line");
	apply_options();
	apply_trace();
	start_subsystems();
	mount_root();
	add_stored_command();
	if (net_configure(cmdline.ip))
		finish(EX_USAGE);
	set_stdio();
	run_commands();
}
