/* SPDX-License-Identifier: BSD-3-Clause */
/* The framework's own metrics: reactor, memory, messages, network, scheduling groups, I/O classes.
 */
#include "metrics.h"

#include "reactor.h"

#include <stdio.h>

static void put(
    struct text *t, enum ss_metric_type type, const char *name, const char *help, double v)
{
	snapshot_record(t, type, name, help, "", 0, 0, &v, 1);
}

static void put_labelled(struct text *t, enum ss_metric_type type, const char *name,
    const char *help, const char *label, const char *value, double v)
{
	char labels[96];
	int n = snprintf(labels, sizeof(labels), "%s%c%s", label, 0, value);

	if (n >= (int)sizeof(labels))
		n = (int)sizeof(labels) - 1;
	snapshot_record(t, type, name, help, labels, (size_t)n + 1, 1, &v, 1);
}

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void reactor(struct text *t, const struct ss_shard *sh)
{
	uint64_t wall = ss_now() - sh->start_ns, cpu, busy = wall - sh->idle_ns;
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	cpu = (uint64_t)ts.tv_sec * SS_SEC + (uint64_t)ts.tv_nsec;
	put(t, SS_METRIC_COUNTER, "reactor_polls", "Turns of the loop",
	    (double)atomic_load_explicit(&sh->turns, memory_order_relaxed));
	put(t, SS_METRIC_COUNTER, "reactor_tasks_processed", "Tasks run", (double)sh->tasks_run);
	put(t, SS_METRIC_COUNTER, "reactor_sleeps", "Times the loop went to sleep",
	    (double)sh->sleeps);
	put(t, SS_METRIC_COUNTER, "reactor_stalls", "Tasks that blocked the loop for too long",
	    (double)atomic_load_explicit(&sh->stalls, memory_order_relaxed));
	put(t, SS_METRIC_COUNTER, "reactor_cpu_seconds", "CPU time of the shard's thread",
	    seconds(cpu));
	put(t, SS_METRIC_COUNTER, "reactor_idle_seconds", "Time asleep", seconds(sh->idle_ns));
	put(t, SS_METRIC_COUNTER, "reactor_steal_seconds", "Time awake in which others had the CPU",
	    busy > cpu ? seconds(busy - cpu) : 0);
	put(t, SS_METRIC_GAUGE, "reactor_utilization", "Share of the time awake",
	    wall ? (double)busy / (double)wall : 0);
	put(t, SS_METRIC_COUNTER, "reactor_ignored_failures", "Failures of futures nobody handled",
	    (double)sh->ignored_failures);
	put(t, SS_METRIC_GAUGE, "reactor_cells", "Small objects of the framework in use",
	    (double)sh->cells_live);
}

static void memory(struct text *t)
{
	struct ss_mem_stats m;

	ss_mem_stats(&m);
	put(t, SS_METRIC_GAUGE, "memory_total_bytes", "Memory of the shard", (double)m.total);
	put(t, SS_METRIC_GAUGE, "memory_free_bytes", "Memory in free pages", (double)m.free);
	put(t, SS_METRIC_GAUGE, "memory_allocated_bytes", "Memory handed out", (double)m.allocated);
	put(t, SS_METRIC_COUNTER, "memory_mallocs", "Allocations", (double)m.allocs);
	put(t, SS_METRIC_COUNTER, "memory_frees", "Objects freed", (double)m.frees);
	put(t, SS_METRIC_COUNTER, "memory_cross_cpu_frees", "Objects freed on another shard",
	    (double)m.remote_frees);
	put(t, SS_METRIC_COUNTER, "memory_failed", "Allocations that found no memory",
	    (double)m.failed);
}

static void messages(struct text *t, const struct ss_shard *sh)
{
	put(t, SS_METRIC_COUNTER, "smp_messages_sent", "Messages sent to other shards",
	    (double)sh->smp_sent);
	put(t, SS_METRIC_COUNTER, "network_bytes_received", "Bytes received by connections",
	    (double)sh->net_rx);
	put(t, SS_METRIC_COUNTER, "network_bytes_sent", "Bytes sent by connections",
	    (double)sh->net_tx);
	put(t, SS_METRIC_GAUGE, "network_connections", "Connections that are open",
	    (double)sh->net_conns);
}

static void scheduling(struct text *t)
{
	struct ss_sched_stats s;

	for (ss_sched_group g = 0; g < SS_MAX_GROUPS; g++) {
		if (!ss_sched_group_stats(g, &s))
			continue;
		put_labelled(t, SS_METRIC_COUNTER, "scheduler_runtime_seconds",
		    "CPU time of a scheduling group", "group", s.name, seconds(s.runtime_ns));
		put_labelled(t, SS_METRIC_COUNTER, "scheduler_tasks_processed",
		    "Tasks of a scheduling group", "group", s.name, (double)s.tasks);
		put_labelled(t, SS_METRIC_GAUGE, "scheduler_shares", "Weight of a scheduling group",
		    "group", s.name, (double)s.shares);
	}
}

static void io_queues(struct text *t)
{
	struct ss_io_stats s;

	for (ss_io_class c = 0; ss_io_class_stats(c, &s); c++) {
		put_labelled(t, SS_METRIC_COUNTER, "io_queue_total_operations",
		    "Requests of an I/O class", "class", s.name, (double)s.requests);
		put_labelled(t, SS_METRIC_COUNTER, "io_queue_total_bytes",
		    "Bytes moved by an I/O class", "class", s.name, (double)s.bytes);
		put_labelled(t, SS_METRIC_COUNTER, "io_queue_delay_seconds",
		    "Time requests waited for the scheduler", "class", s.name,
		    seconds(s.queued_ns));
		put_labelled(t, SS_METRIC_COUNTER, "io_queue_disk_seconds",
		    "Time requests spent on the device", "class", s.name, seconds(s.device_ns));
	}
}

void snapshot_core(struct text *t)
{
	const struct ss_shard *sh = ss_self;

	reactor(t, sh);
	memory(t);
	messages(t, sh);
	scheduling(t);
	io_queues(t);
}
