/* SPDX-License-Identifier: BSD-3-Clause */
/* sysfs: processors, memory nodes, disks, huge pages, clock source, tracepoints. */
#include <asm/errno.h>
#include <linux/stat.h>
#include "arch/x86/clock.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "arch/x86/smbios.h"
#include "arch/x86/topology.h"
#include "drivers/block.h"
#include "fs/pseudo.h"
#include "fs/special.h"
#include "fs/tracing.h"
#include "lib/string.h"
#include "mm/page.h"
#include "net/inet/proc.h"
#include "sched/timer.h"

/* Slots of the key. */
enum { KEY_CPU, KEY_CACHE, KEY_NODE, KEY_DISK };

/* ---- processors ---- */

static int show_online(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_cpulist(s, topology_online());
	seq_putc(s, '\n');
	return 0;
}

static int next_cpu(const struct pseudo_key *k, int from)
{
	(void)k;
	return (unsigned)from < ncpus ? from : -1;
}

static struct cpu_place place(const struct pseudo_key *k)
{
	return topology_place((unsigned)k->n[KEY_CPU]);
}

static int put_mask(struct seqbuf *s, uint64_t mask)
{
	seq_cpumask(s, mask, ncpus);
	seq_putc(s, '\n');
	return 0;
}

static int put_list(struct seqbuf *s, uint64_t mask)
{
	seq_cpulist(s, mask);
	seq_putc(s, '\n');
	return 0;
}

static int show_core_id(struct seqbuf *s, const struct pseudo_key *k)
{
	seq_printf(s, "%u\n", place(k).core);
	return 0;
}

static int show_package_id(struct seqbuf *s, const struct pseudo_key *k)
{
	seq_printf(s, "%u\n", place(k).package);
	return 0;
}

static int show_package_mask(struct seqbuf *s, const struct pseudo_key *k)
{
	return put_mask(s, place(k).core_siblings);
}

static int show_package_list(struct seqbuf *s, const struct pseudo_key *k)
{
	return put_list(s, place(k).core_siblings);
}

static int show_core_mask(struct seqbuf *s, const struct pseudo_key *k)
{
	return put_mask(s, place(k).thread_siblings);
}

static int show_core_list(struct seqbuf *s, const struct pseudo_key *k)
{
	return put_list(s, place(k).thread_siblings);
}

static const struct pseudo_entry topology_dir[] = {
    {.name = "core_id", .show = show_core_id},
    {.name = "physical_package_id", .show = show_package_id},
    {.name = "die_id", .text = "0"},
    {.name = "core_siblings", .show = show_package_mask},
    {.name = "core_siblings_list", .show = show_package_list},
    {.name = "package_cpus", .show = show_package_mask},
    {.name = "package_cpus_list", .show = show_package_list},
    {.name = "die_cpus", .show = show_package_mask},
    {.name = "die_cpus_list", .show = show_package_list},
    {.name = "thread_siblings", .show = show_core_mask},
    {.name = "thread_siblings_list", .show = show_core_list},
    {.name = "core_cpus", .show = show_core_mask},
    {.name = "core_cpus_list", .show = show_core_list},
    {},
};

static int next_cache(const struct pseudo_key *k, int from)
{
	struct cache_info c;
	return topology_cache((unsigned)k->n[KEY_CPU], (unsigned)from, &c) ? from : -1;
}

static struct cache_info cache(const struct pseudo_key *k)
{
	struct cache_info c = {0};
	topology_cache((unsigned)k->n[KEY_CPU], (unsigned)k->n[KEY_CACHE], &c);
	return c;
}

static int show_cache_size(struct seqbuf *s, const struct pseudo_key *k)
{
	seq_printf(s, "%luK\n", cache(k).size / 1024);
	return 0;
}

static int show_cache_type(struct seqbuf *s, const struct pseudo_key *k)
{
	static const char *const names[] = {"Unknown", "Data", "Instruction", "Unified"};
	unsigned type = cache(k).type;
	seq_printf(s, "%s\n", names[type < ARRAY_SIZE(names) ? type : 0]);
	return 0;
}

static int show_cache_mask(struct seqbuf *s, const struct pseudo_key *k)
{
	return put_mask(s, cache(k).shared);
}

static int show_cache_list(struct seqbuf *s, const struct pseudo_key *k)
{
	return put_list(s, cache(k).shared);
}

#define CACHE_NUMBER(field)                                                         \
	static int show_cache_##field(struct seqbuf *s, const struct pseudo_key *k) \
	{                                                                           \
		seq_printf(s, "%u\n", cache(k).field);                              \
		return 0;                                                           \
	}
CACHE_NUMBER(level)
CACHE_NUMBER(id)
CACHE_NUMBER(line)
CACHE_NUMBER(sets)
CACHE_NUMBER(ways)
CACHE_NUMBER(partitions)

static const struct pseudo_entry cache_index_dir[] = {
    {.name = "level", .show = show_cache_level},
    {.name = "type", .show = show_cache_type},
    {.name = "id", .show = show_cache_id},
    {.name = "size", .show = show_cache_size},
    {.name = "coherency_line_size", .show = show_cache_line},
    {.name = "number_of_sets", .show = show_cache_sets},
    {.name = "ways_of_associativity", .show = show_cache_ways},
    {.name = "physical_line_partition", .show = show_cache_partitions},
    {.name = "shared_cpu_map", .show = show_cache_mask},
    {.name = "shared_cpu_list", .show = show_cache_list},
    {},
};

static const struct pseudo_entry cache_dir[] = {
    {.name = "index", .next = next_cache, .slot = KEY_CACHE, .children = cache_index_dir},
    {},
};

/* ---- memory nodes ---- */

static unsigned node_count(void)
{
	return machine.nnodes ? machine.nnodes : 1;
}

static int next_node(const struct pseudo_key *k, int from)
{
	(void)k;
	return (unsigned)from < node_count() ? from : -1;
}

static uint64_t node_cpus(unsigned node)
{
	uint64_t mask = 0;
	for (unsigned i = 0; i < ncpus; i++)
		if (topology_node(i) == node)
			mask |= 1ull << i;
	return mask;
}

static int show_nodes(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return put_list(s, (1ull << node_count()) - 1);
}

static int show_node_cpumap(struct seqbuf *s, const struct pseudo_key *k)
{
	return put_mask(s, node_cpus((unsigned)k->n[KEY_NODE]));
}

static int show_node_cpulist(struct seqbuf *s, const struct pseudo_key *k)
{
	return put_list(s, node_cpus((unsigned)k->n[KEY_NODE]));
}

static int show_distance(struct seqbuf *s, const struct pseudo_key *k)
{
	for (unsigned i = 0; i < node_count(); i++)
		seq_printf(s, "%s%u", i ? " " : "", i == (unsigned)k->n[KEY_NODE] ? 10 : 20);
	seq_putc(s, '\n');
	return 0;
}

/* Pages of RAM of a node, of those known in all. */
static uint64_t node_pages(unsigned node)
{
	if (node_count() == 1)
		return memstats.total;
	uint64_t n = 0;
	for (unsigned i = 0; i < machine.nnode_memory; i++)
		if (machine.node_memory[i].node == node)
			n += machine.node_memory[i].size >> PAGE_SHIFT;
	return n;
}

static int show_node_meminfo(struct seqbuf *s, const struct pseudo_key *k)
{
	unsigned node = (unsigned)k->n[KEY_NODE];
	uint64_t total = node_pages(node);
	/* Free pages are counted for the machine only; with several nodes each gets its share by
	 * size. */
	uint64_t free = memstats.total ? pages_free() * total / memstats.total : 0;
	free = MIN(free, total);
	seq_printf(s,
	    "Node %u MemTotal:       %8lu kB\nNode %u MemFree:        %8lu kB\nNode %u MemUsed:    "
	    "    %8lu kB\n",
	    node, total * 4, node, free * 4, node, (total - free) * 4);
	if (node_count() == 1)
		seq_printf(s, "Node %u FilePages:      %8ld kB\nNode %u AnonPages:      %8ld kB\n",
		    node, (long)atomic_load(&memstats.cached) * 4, node,
		    (long)atomic_load(&memstats.anon) * 4);
	seq_printf(s,
	    "Node %u HugePages_Total:     0\nNode %u HugePages_Free:      0\nNode %u "
	    "HugePages_Surp:      0\n",
	    node, node, node);
	return 0;
}

static int next_node_cpu(const struct pseudo_key *k, int from)
{
	for (unsigned i = (unsigned)from; i < ncpus; i++)
		if (topology_node(i) == (unsigned)k->n[KEY_NODE])
			return (int)i;
	return -1;
}

static int link_node_cpu(struct seqbuf *s, const struct pseudo_key *k)
{
	seq_printf(s, "../../cpu/cpu%d", k->n[KEY_CPU]);
	return 0;
}

static int next_cpu_node(const struct pseudo_key *k, int from)
{
	int node = (int)topology_node((unsigned)k->n[KEY_CPU]);
	return from <= node ? node : -1;
}

static int link_cpu_node(struct seqbuf *s, const struct pseudo_key *k)
{
	seq_printf(s, "../../node/node%d", k->n[KEY_NODE]);
	return 0;
}

static const struct pseudo_entry huge_2m_dir[] = {
    {.name = "nr_hugepages", .text = "0"},
    {.name = "free_hugepages", .text = "0"},
    {.name = "surplus_hugepages", .text = "0"},
    {},
};

static const struct pseudo_entry huge_dir[] = {
    {.name = "hugepages-2048kB", .children = huge_2m_dir},
    {},
};

static const struct pseudo_entry node_dir[] = {
    {.name = "meminfo", .show = show_node_meminfo},
    {.name = "cpumap", .show = show_node_cpumap},
    {.name = "cpulist", .show = show_node_cpulist},
    {.name = "distance", .show = show_distance},
    {.name = "hugepages", .children = huge_dir},
    {.name = "cpu", .next = next_node_cpu, .slot = KEY_CPU, .link = link_node_cpu},
    {},
};

static const struct pseudo_entry nodes_dir[] = {
    {.name = "online", .show = show_nodes},
    {.name = "possible", .show = show_nodes},
    {.name = "has_cpu", .show = show_nodes},
    {.name = "has_memory", .show = show_nodes},
    {.name = "has_normal_memory", .show = show_nodes},
    {.name = "node", .next = next_node, .slot = KEY_NODE, .children = node_dir},
    {},
};

static const struct pseudo_entry cpu_dir[] = {
    {.name = "topology", .children = topology_dir},
    {.name = "cache", .children = cache_dir},
    {.name = "node", .next = next_cpu_node, .slot = KEY_NODE, .link = link_cpu_node},
    {},
};

static const struct pseudo_entry cpus_dir[] = {
    {.name = "online", .show = show_online},
    {.name = "possible", .show = show_online},
    {.name = "present", .show = show_online},
    {.name = "offline", .text = ""},
    {.name = "isolated", .text = ""},
    {.name = "kernel_max", .text = "63"},
    {.name = "cpu", .next = next_cpu, .slot = KEY_CPU, .children = cpu_dir},
    {},
};

/* ---- clock source ---- */

static int show_clocksource(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_printf(s, "%s\n", clock_source_name());
	return 0;
}

static const struct pseudo_entry clocksource0_dir[] = {
    {.name = "current_clocksource", .show = show_clocksource},
    {.name = "available_clocksource", .show = show_clocksource},
    {},
};
static const struct pseudo_entry clocksource_dir[] = {
    {.name = "clocksource0", .children = clocksource0_dir},
    {},
};

/* ---- disks ---- */

static int next_disk(const struct pseudo_key *k, int from)
{
	(void)k;
	return block_nth((unsigned)from) ? from : -1;
}

static int label_disk(const struct pseudo_key *k, int n, char *buf, size_t size)
{
	(void)k;
	struct block_device *d = block_nth((unsigned)n);
	return d ? snprintf(buf, size, "%s", d->name) : -1;
}

static int label_devno(const struct pseudo_key *k, int n, char *buf, size_t size)
{
	(void)k;
	struct block_device *d = block_nth((unsigned)n);
	return d ? snprintf(buf, size, "%u:%u", (unsigned)(d->rdev >> 8), (unsigned)(d->rdev & 255))
		 : -1;
}

static struct block_device *disk(const struct pseudo_key *k)
{
	return block_nth((unsigned)k->n[KEY_DISK]);
}

static int link_disk_short(struct seqbuf *s, const struct pseudo_key *k)
{
	seq_printf(s, "../devices/virtual/block/%s", disk(k)->name);
	return 0;
}

static int link_disk(struct seqbuf *s, const struct pseudo_key *k)
{
	seq_printf(s, "../../devices/virtual/block/%s", disk(k)->name);
	return 0;
}

#define DISK_SHOW(name, fmt, ...)                                                 \
	static int show_disk_##name(struct seqbuf *s, const struct pseudo_key *k) \
	{                                                                         \
		struct block_device *d = disk(k);                                 \
		seq_printf(s, fmt "\n", __VA_ARGS__);                             \
		return 0;                                                         \
	}
DISK_SHOW(dev, "%u:%u", (unsigned)(d->rdev >> 8), (unsigned)(d->rdev & 255))
DISK_SHOW(size, "%lu", d->sectors)
DISK_SHOW(ro, "%d", d->read_only)
DISK_SHOW(rotational, "%d", d->rotational)
DISK_SHOW(logical, "%u", d->logical_size)
DISK_SHOW(physical, "%u", d->physical_size)
DISK_SHOW(max_kb, "%lu", (uint64_t)d->max_segments * d->max_segment_size / 1024)
DISK_SHOW(segments, "%u", d->max_segments)
DISK_SHOW(segment_size, "%u", d->max_segment_size)
DISK_SHOW(write_cache, "%s", d->has_flush ? "write back" : "write through")
DISK_SHOW(discard, "%u", d->has_discard ? d->logical_size : 0u)
DISK_SHOW(serial, "%s", d->serial)
DISK_SHOW(stat, "%8lu 0 %8lu 0 %8lu 0 %8lu 0 %8lu 0 0", atomic_load(&d->reads),
    atomic_load(&d->read_sectors), atomic_load(&d->writes), atomic_load(&d->write_sectors),
    atomic_load(&d->in_flight))
DISK_SHOW(uevent, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=disk", (unsigned)(d->rdev >> 8),
    (unsigned)(d->rdev & 255), d->name)

static const struct pseudo_entry queue_dir[] = {
    {.name = "rotational", .show = show_disk_rotational},
    {.name = "logical_block_size", .show = show_disk_logical},
    {.name = "hw_sector_size", .show = show_disk_logical},
    {.name = "physical_block_size", .show = show_disk_physical},
    {.name = "minimum_io_size", .show = show_disk_physical},
    {.name = "optimal_io_size", .text = "0"},
    {.name = "max_hw_sectors_kb", .show = show_disk_max_kb},
    {.name = "max_sectors_kb", .show = show_disk_max_kb},
    {.name = "max_segments", .show = show_disk_segments},
    {.name = "max_segment_size", .show = show_disk_segment_size},
    {.name = "write_cache", .show = show_disk_write_cache},
    {.name = "discard_granularity", .show = show_disk_discard},
    {.name = "scheduler", .text = "[none]"},
    {},
};

static const struct pseudo_entry disk_dir[] = {
    {.name = "dev", .show = show_disk_dev},
    {.name = "size", .show = show_disk_size},
    {.name = "ro", .show = show_disk_ro},
    {.name = "removable", .text = "0"},
    {.name = "stat", .show = show_disk_stat},
    {.name = "serial", .show = show_disk_serial},
    {.name = "uevent", .show = show_disk_uevent},
    {.name = "queue", .children = queue_dir},
    {},
};

static const struct pseudo_entry disks_dir[] = {
    {.name = "", .next = next_disk, .label = label_disk, .slot = KEY_DISK, .children = disk_dir},
    {},
};
static const struct pseudo_entry block_links_dir[] = {
    {.name = "", .next = next_disk, .label = label_disk, .slot = KEY_DISK, .link = link_disk_short},
    {},
};
static const struct pseudo_entry class_block_dir[] = {
    {.name = "", .next = next_disk, .label = label_disk, .slot = KEY_DISK, .link = link_disk},
    {},
};
static const struct pseudo_entry dev_block_dir[] = {
    {.name = "", .next = next_disk, .label = label_devno, .slot = KEY_DISK, .link = link_disk},
    {},
};

/* ---- the rest of the tree ---- */

static const struct pseudo_entry thp_dir[] = {
    {.name = "enabled", .text = "[always] madvise never"},
    {.name = "defrag", .text = "always defer defer+madvise [madvise] never"},
    {.name = "shmem_enabled", .text = "always within_size advise [never] deny force"},
    {.name = "hpage_pmd_size", .text = "2097152"},
    {.name = "use_zero_page", .text = "0"},
    {},
};

static const struct pseudo_entry mm_dir[] = {
    {.name = "hugepages", .children = huge_dir},
    {.name = "transparent_hugepage", .children = thp_dir},
    {},
};

static const struct pseudo_entry empty_dir[] = {{}};

static const struct pseudo_entry kernel_dir[] = {
    {.name = "mm", .children = mm_dir},
    {.name = "tracing", .mode = S_IFDIR | 0700, .children = tracing_dir},
    {.name = "threads", .show = tracing_show_threads},
    {.name = "console", .mode = S_IFREG | 0400, .show = tracing_show_console},
    {.name = "debug", .mode = S_IFDIR | 0700, .children = empty_dir},
    {},
};

static const struct pseudo_entry system_dir[] = {
    {.name = "cpu", .children = cpus_dir},
    {.name = "node", .children = nodes_dir},
    {.name = "clocksource", .children = clocksource_dir},
    {},
};

static const struct pseudo_entry virtual_dir[] = {
    {.name = "block", .children = disks_dir},
    {},
};

static const struct pseudo_entry devices_dir[] = {
    {.name = "system", .children = system_dir},
    {.name = "virtual", .children = virtual_dir},
    {},
};

/* ---- firmware ---- */

static int show_bios_vendor(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	char text[64];
	smbios_vendor(text, sizeof text);
	seq_printf(s, "%s\n", text);
	return 0;
}

static const struct pseudo_entry dmi_id_dir[] = {
    {.name = "bios_vendor", .show = show_bios_vendor},
    {},
};
static const struct pseudo_entry dmi_dir[] = {
    {.name = "id", .children = dmi_id_dir},
    {},
};

static const struct pseudo_entry class_dir[] = {
    {.name = "dmi", .children = dmi_dir},
    {.name = "block", .children = class_block_dir},
    {.name = "net", .children = sysfs_net_dir},
    {},
};

static const struct pseudo_entry dev_dir[] = {
    {.name = "block", .children = dev_block_dir},
    {.name = "char", .children = empty_dir},
    {},
};

static const struct pseudo_entry fs_dir[] = {
    {.name = "cgroup", .children = empty_dir},
    {},
};

static const struct pseudo_entry root_entries[] = {
    {.name = "devices", .children = devices_dir},
    {.name = "class", .children = class_dir},
    {.name = "block", .children = block_links_dir},
    {.name = "bus", .children = empty_dir},
    {.name = "dev", .children = dev_dir},
    {.name = "fs", .children = fs_dir},
    {.name = "kernel", .children = kernel_dir},
    {.name = "module", .children = empty_dir},
    {},
};

static const struct pseudo_entry root = {.name = "/", .children = root_entries};

static struct super *sysfs_mount(const char *source, unsigned flags, const char *options);
static struct fs_type sysfs_type = {.name = "sysfs", .nodev = true, .mount = sysfs_mount};

static struct super *sysfs_mount(const char *source, unsigned flags, const char *options)
{
	(void)source;
	(void)options;
	return pseudo_mount(&sysfs_type, &root, flags);
}

void sysfs_init(void)
{
	fs_register(&sysfs_type);
}
