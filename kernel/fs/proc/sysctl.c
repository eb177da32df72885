/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/sys: what the kernel's settings and limits are. Only what has an effect can be written. */
#include <asm/errno.h>
#include <linux/stat.h>
#include "core/log.h"
#include "core/random.h"
#include "core/version.h"
#include "fs/proc/proc.h"
#include "fs/proc/sysctl.h"
#include "lib/string.h"
#include "mm/page.h"
#include "net/inet/proc.h"

_Atomic int64_t sysctl_somaxconn = 4096;
_Atomic int64_t sysctl_mq_queues_max = 256, sysctl_mq_msg_max = 10, sysctl_mq_msgsize_max = 8192;
_Atomic int64_t sysctl_unix_max_dgram_qlen = 512;
_Atomic int64_t sysctl_inotify_max_watches = 1048576, sysctl_inotify_max_instances = 8192,
		sysctl_inotify_max_events = 16384;
_Atomic int64_t sysctl_shmmax = INT64_MAX / 2, sysctl_msgmax = 8192, sysctl_msgmnb = 16384;

_Atomic int64_t sysctl_rmem_max = 212992, sysctl_wmem_max = 212992;
_Atomic int64_t sysctl_rmem_default = 212992, sysctl_wmem_default = 212992;

static const struct pseudo_value rmem_max = {&sysctl_rmem_max, 2304, INT32_MAX / 2};
static const struct pseudo_value wmem_max = {&sysctl_wmem_max, 4608, INT32_MAX / 2};
static const struct pseudo_value rmem_default = {&sysctl_rmem_default, 2304, INT32_MAX / 2};
static const struct pseudo_value wmem_default = {&sysctl_wmem_default, 4608, INT32_MAX / 2};
static const struct pseudo_value somaxconn = {&sysctl_somaxconn, 0, 65535};
static const struct pseudo_value mq_queues_max = {&sysctl_mq_queues_max, 0, 65536};
static const struct pseudo_value mq_msg_max = {&sysctl_mq_msg_max, 1, 65536};
static const struct pseudo_value mq_msgsize_max = {&sysctl_mq_msgsize_max, 128, 16777216};
static const struct pseudo_value max_dgram_qlen = {&sysctl_unix_max_dgram_qlen, 0, INT32_MAX};
static const struct pseudo_value inotify_watches = {&sysctl_inotify_max_watches, 0, INT32_MAX};
static const struct pseudo_value inotify_instances = {&sysctl_inotify_max_instances, 0, INT32_MAX};
static const struct pseudo_value inotify_events = {&sysctl_inotify_max_events, 0, INT32_MAX};
static const struct pseudo_value shmmax = {&sysctl_shmmax, 0, INT64_MAX};
static const struct pseudo_value msgmax = {&sysctl_msgmax, 0, INT32_MAX};
static const struct pseudo_value msgmnb = {&sysctl_msgmnb, 0, INT32_MAX};

/* A random UUID (version 4) as text. */
static void put_uuid(struct seqbuf *s, const uint8_t id[16])
{
	for (int i = 0; i < 16; i++)
		seq_printf(s, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
		    i == 6   ? (id[i] & 15) | 64
		    : i == 8 ? (id[i] & 63) | 128
			     : id[i]);
	seq_putc(s, '\n');
}

static int show_uuid(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	uint8_t id[16];
	random_bytes(id, sizeof id);
	put_uuid(s, id);
	return 0;
}

static int show_boot_id(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	static struct mutex lock = MUTEX_INIT;
	static uint8_t id[16];
	static bool made;
	mutex_lock(&lock);
	if (!made)
		random_bytes(id, sizeof id);
	made = true;
	mutex_unlock(&lock);
	put_uuid(s, id);
	return 0;
}

static int show_printk(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_printf(s, "%d\t%d\t%d\t%d\n", log_console_level + 1, LOG_WARN, 1, LOG_ERR + 1);
	return 0;
}

static int show_file_max(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_printf(s, "%lu\n", memstats.total * 4 / 10);
	return 0;
}

static int show_threads_max(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	/* An eighth of memory in kernel stacks, as Linux sets it. */
	seq_printf(s, "%lu\n", memstats.total / (8 * KSTACK_SIZE / PAGE_SIZE));
	return 0;
}

static int show_name(struct seqbuf *s, enum hostname_kind kind)
{
	char name[HOSTNAME_SIZE];
	hostname_get(kind, name);
	seq_printf(s, "%s\n", name);
	return 0;
}

static int show_hostname(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return show_name(s, HOST_NAME);
}

static int show_domainname(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return show_name(s, DOMAIN_NAME);
}

static int store_hostname(const struct pseudo_key *k, char *text, size_t n)
{
	(void)k;
	return hostname_set(HOST_NAME, text, n);
}

static int store_domainname(const struct pseudo_key *k, char *text, size_t n)
{
	(void)k;
	return hostname_set(DOMAIN_NAME, text, n);
}

static const struct pseudo_entry random_dir[] = {
    {.name = "boot_id", .show = show_boot_id},
    {.name = "uuid", .show = show_uuid},
    {.name = "entropy_avail", .text = "256"},
    {.name = "poolsize", .text = "256"},
    {},
};

static const struct pseudo_entry kernel_dir[] = {
    {.name = "ostype", .text = KERNEL_SYSNAME},
    {.name = "osrelease", .text = KERNEL_RELEASE},
    {.name = "version", .text = KERNEL_VERSION},
    {.name = "hostname", .show = show_hostname, .store = store_hostname},
    {.name = "domainname", .show = show_domainname, .store = store_domainname},
    {.name = "random", .children = random_dir},
    {.name = "pid_max", .text = "4194304"},
    {.name = "threads-max", .show = show_threads_max},
    {.name = "ngroups_max", .text = "65536"},
    {.name = "cap_last_cap", .text = "40"},
    {.name = "shmmax", .value = &shmmax},
    {.name = "shmall", .text = "18446744073692774399"},
    {.name = "shmmni", .text = "4096"},
    {.name = "sem", .text = "32000\t1024000000\t500\t32000"},
    {.name = "msgmax", .value = &msgmax},
    {.name = "msgmnb", .value = &msgmnb},
    {.name = "msgmni", .text = "32000"},
    {.name = "core_pattern", .text = "core"},
    {.name = "core_uses_pid", .text = "0"},
    {.name = "printk", .show = show_printk},
    {.name = "randomize_va_space", .text = "2"},
    {.name = "overflowuid", .text = "65534"},
    {.name = "overflowgid", .text = "65534"},
    {.name = "tainted", .text = "0"},
    {.name = "panic", .text = "0"},
    {.name = "perf_event_paranoid", .text = "4"},
    {.name = "kptr_restrict", .text = "0"},
    {.name = "dmesg_restrict", .text = "0"},
    {.name = "sched_rr_timeslice_ms", .text = "100"},
    {.name = "numa_balancing", .text = "0"},
    {},
};

static const struct pseudo_entry vm_dir[] = {
    {.name = "overcommit_memory", .text = "1"},
    {.name = "overcommit_ratio", .text = "50"},
    {.name = "overcommit_kbytes", .text = "0"},
    {.name = "max_map_count", .text = "1048576"},
    {.name = "swappiness", .text = "0"},
    {.name = "mmap_min_addr", .text = "65536"},
    {.name = "nr_hugepages", .text = "0"},
    {.name = "page-cluster", .text = "0"},
    {},
};

static const struct pseudo_entry inotify_dir[] = {
    {.name = "max_user_watches", .value = &inotify_watches},
    {.name = "max_user_instances", .value = &inotify_instances},
    {.name = "max_queued_events", .value = &inotify_events},
    {},
};

static const struct pseudo_entry mqueue_dir[] = {
    {.name = "queues_max", .value = &mq_queues_max},
    {.name = "msg_max", .value = &mq_msg_max},
    {.name = "msgsize_max", .value = &mq_msgsize_max},
    {},
};

static const struct pseudo_entry epoll_dir[] = {
    {.name = "max_user_watches", .text = "2147483647"},
    {},
};

static const struct pseudo_entry fs_dir[] = {
    {.name = "file-max", .show = show_file_max},
    {.name = "nr_open", .text = "1048576"},
    {.name = "pipe-max-size", .text = "1048576"},
    {.name = "inotify", .children = inotify_dir},
    {.name = "mqueue", .children = mqueue_dir},
    {.name = "epoll", .children = epoll_dir},
    {},
};

static const struct pseudo_entry net_core_dir[] = {
    {.name = "somaxconn", .value = &somaxconn},
    {.name = "rmem_max", .value = &rmem_max},
    {.name = "wmem_max", .value = &wmem_max},
    {.name = "rmem_default", .value = &rmem_default},
    {.name = "wmem_default", .value = &wmem_default},
    {.name = "optmem_max", .text = "20480"},
    {.name = "busy_poll", .text = "0"},
    {.name = "busy_read", .text = "0"},
    {.name = "default_qdisc", .text = "noqueue"},
    {},
};

static const struct pseudo_entry net_unix_dir[] = {
    {.name = "max_dgram_qlen", .value = &max_dgram_qlen},
    {},
};

static const struct pseudo_entry net_dir[] = {
    {.name = "core", .children = net_core_dir},
    {.name = "unix", .children = net_unix_dir},
    {.name = "ipv4", .children = sysctl_ipv4_dir},
    {.name = "ipv6", .children = sysctl_ipv6_dir},
    {},
};

const struct pseudo_entry proc_sys_dir[] = {
    {.name = "kernel", .children = kernel_dir},
    {.name = "vm", .children = vm_dir},
    {.name = "fs", .children = fs_dir},
    {.name = "net", .children = net_dir},
    {},
};
