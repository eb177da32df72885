/* SPDX-License-Identifier: BSD-3-Clause */
/* procfs: its root directory and its mount. */
#include <asm/errno.h>
#include <linux/stat.h>
#include "fs/proc/proc.h"
#include "fs/special.h"
#include "lib/string.h"
#include "proc/program.h"

static int next_pid(const struct pseudo_key *k, int from)
{
	(void)k;
	int best = -1;
	struct program *p;
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link)
		if (p->pid >= from && (best < 0 || p->pid < best))
			best = p->pid;
	mutex_unlock(&programs_lock);
	return best;
}

static void own_pid(const struct pseudo_key *k, struct inode *i)
{
	struct program *p = proc_program(k);
	if (!p)
		return;
	i->uid = p->cred.euid;
	i->gid = p->cred.egid;
	program_put(p);
}

static int link_self(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	struct program *p = current_program();
	if (!p)
		return -ENOENT;
	seq_printf(s, "%d", p->pid);
	return 0;
}

static int link_thread_self(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	struct program *p = current_program();
	if (!p)
		return -ENOENT;
	seq_printf(s, "%d/task/%d", p->pid, current_thread()->tid);
	return 0;
}

static int link_mounts(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_puts(s, "self/mounts");
	return 0;
}

static int link_net(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_puts(s, "self/net");
	return 0;
}

static int show_devices(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_puts(s,
	    "Character devices:\n  1 mem\n  4 /dev/vc/0\n  4 ttyS\n  5 /dev/tty\n"
	    "  5 /dev/console\n  5 /dev/ptmx\n136 pts\n229 hvc\n\nBlock devices:\n254 virtblk\n");
	return 0;
}

static const struct pseudo_entry root_entries[] = {
    {.name = "self", .link = link_self},
    {.name = "thread-self", .link = link_thread_self},
    {.name = "mounts", .link = link_mounts},
    {.name = "net", .link = link_net},
    {.name = "sys", .children = proc_sys_dir},
    {.name = "sysvipc", .children = proc_sysvipc_dir},
    {.name = "meminfo", .show = proc_show_meminfo},
    {.name = "cpuinfo", .show = proc_show_cpuinfo},
    {.name = "stat", .show = proc_show_stat},
    {.name = "vmstat", .show = proc_show_vmstat},
    {.name = "uptime", .show = proc_show_uptime},
    {.name = "loadavg", .show = proc_show_loadavg},
    {.name = "version", .show = proc_show_version},
    {.name = "filesystems", .show = proc_show_filesystems},
    {.name = "cmdline", .show = proc_show_cmdline},
    {.name = "interrupts", .show = proc_show_interrupts},
    {.name = "kmsg", .mode = S_IFREG | 0400, .show = proc_show_kmsg},
    {.name = "partitions", .show = proc_show_partitions},
    {.name = "diskstats", .show = proc_show_diskstats},
    {.name = "devices", .show = show_devices},
    {.name = "swaps", .text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"},
    {.name = "cgroups", .text = "#subsys_name\thierarchy\tnum_cgroups\tenabled"},
    {.name = "", .next = next_pid, .slot = KEY_PID, .children = proc_program_dir, .own = own_pid},
    {},
};

static const struct pseudo_entry root = {.name = "/", .children = root_entries};

static struct super *proc_mount(const char *source, unsigned flags, const char *options);
static struct fs_type proc_type = {.name = "proc", .nodev = true, .mount = proc_mount};

static struct super *proc_mount(const char *source, unsigned flags, const char *options)
{
	(void)source;
	(void)options;
	return pseudo_mount(&proc_type, &root, flags);
}

void procfs_init(void)
{
	fs_register(&proc_type);
	proc_load_start();
}
