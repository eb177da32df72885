/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET /metrics: everything that is a number, in Prometheus' text format. What node_exporter knows
 * too has the names it has there, so that its dashboards fit; the rest begins with carrara_.
 */
#include "calls.h"
#include "machine.h"
#include "network.h"
#include "source.h"
#include "threads.h"
#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

static void head(struct text *b, const char *name, const char *type, const char *help)
{
	text_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and newline are escaped. */
static void label(struct text *b, const char *name, const char *value, bool last)
{
	text_printf(b, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			text_add(b, "\\", 1);
		if (*value == '\n')
			text_puts(b, "\\n");
		else
			text_add(b, value, 1);
	}
	text_puts(b, last ? "\"" : "\",");
}

static void cpu(struct text *b)
{
	static const char *const modes[] = {
	    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"};
	char *text = source_read("/proc/stat", NULL), *rest = text, *line;
	uint64_t switches = 0, interrupts = 0, running = 0, boot = 0;

	if (!text)
		return;
	source_number(text, "ctxt", &switches);
	source_number(text, "intr", &interrupts);
	source_number(text, "procs_running", &running);
	source_number(text, "btime", &boot);
	head(b, "node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.");
	while ((line = source_line(&rest))) {
		char *name = source_word(&line), *value;
		if (!name || strncmp(name, "cpu", 3) || !name[3])
			continue;
		for (unsigned i = 0; i < 8 && (value = source_word(&line)); i++)
			text_printf(b, "node_cpu_seconds_total{cpu=\"%s\",mode=\"%s\"} %.2f\n",
			    name + 3, modes[i], (double)strtoull(value, NULL, 10) / 100);
	}
	head(b, "node_context_switches_total", "counter", "Context switches.");
	text_printf(b, "node_context_switches_total %" PRIu64 "\n", switches);
	head(b, "node_intr_total", "counter", "Interrupts serviced.");
	text_printf(b, "node_intr_total %" PRIu64 "\n", interrupts);
	head(b, "node_procs_running", "gauge", "Threads that run or want to.");
	text_printf(b, "node_procs_running %" PRIu64 "\n", running);
	head(b, "node_boot_time_seconds", "gauge", "Time of the start, in seconds since 1970.");
	text_printf(b, "node_boot_time_seconds %" PRIu64 "\n", boot);
	free(text);
}

static void times(struct text *b)
{
	char *up = source_read("/proc/uptime", NULL), *load = source_read("/proc/loadavg", NULL);
	double l[3];

	head(b, "node_time_seconds", "gauge", "The clock, in seconds since 1970.");
	text_printf(b, "node_time_seconds %.3f\n", (double)api_time_ms() / 1000);
	if (up) {
		head(b, "carrara_uptime_seconds", "gauge", "Seconds since the start.");
		text_printf(b, "carrara_uptime_seconds %.2f\n", strtod(up, NULL));
	}
	if (load && sscanf(load, "%lf %lf %lf", &l[0], &l[1], &l[2]) == 3) {
		static const char *const names[] = {"node_load1", "node_load5", "node_load15"};
		for (int i = 0; i < 3; i++) {
			head(b, names[i], "gauge", "Load average.");
			text_printf(b, "%s %.2f\n", names[i], l[i]);
		}
	}
	free(up);
	free(load);
}

/* "Active(anon):  12 kB" becomes node_memory_Active_anon_bytes. */
static void memory(struct text *b)
{
	char *text = source_read("/proc/meminfo", NULL), *rest = text, *line, name[64];

	while (text && (line = source_line(&rest))) {
		char *key = source_word(&line), *value = source_word(&line),
		     *unit = source_word(&line);
		unsigned n = 0;
		if (!key || !value)
			continue;
		for (; *key && *key != ':' && n < sizeof name - 1; key++)
			if (*key != ')')
				name[n++] = *key == '(' || *key == '-' ? '_' : *key;
		name[n] = 0;
		const char *suffix = unit ? "_bytes" : "";
		text_printf(b, "# TYPE node_memory_%s%s gauge\nnode_memory_%s%s %" PRIu64 "\n",
		    name, suffix, name, suffix,
		    (uint64_t)strtoull(value, NULL, 10) * (unit ? 1024 : 1));
	}
	free(text);
}

static void disks(struct text *b)
{
	static const struct {
		const char *name, *help;
		unsigned column, unit;
	} values[] = {
	    {"node_disk_reads_completed_total", "Reads completed.", 0, 1},
	    {"node_disk_read_bytes_total", "Bytes read.", 2, 512},
	    {"node_disk_writes_completed_total", "Writes completed.", 4, 1},
	    {"node_disk_written_bytes_total", "Bytes written.", 6, 512},
	};
	for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
		char *text = source_read("/proc/diskstats", NULL), *rest = text, *line, name[32];
		unsigned long long v[7];
		head(b, values[i].name, "counter", values[i].help);
		while (text && (line = source_line(&rest)))
			if (sscanf(line, "%*u %*u %31s %llu %llu %llu %llu %llu %llu %llu", name,
				&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6]) == 8)
				text_printf(b, "%s{device=\"%s\"} %llu\n", values[i].name, name,
				    v[values[i].column] * values[i].unit);
		free(text);
	}
	char *text = source_read("/proc/diskstats", NULL), *rest = text, *line, name[32];
	unsigned long long v;
	head(b, "node_disk_io_now", "gauge", "Requests in progress.");
	while (text && (line = source_line(&rest)))
		if (sscanf(line, "%*u %*u %31s %*u %*u %*u %*u %*u %*u %*u %*u %llu", name, &v) ==
		    2)
			text_printf(b, "node_disk_io_now{device=\"%s\"} %llu\n", name, v);
	free(text);
}

struct series {
	struct text *b;
	unsigned index;
};

static void put_mount(void *arg, const struct mount_info *m)
{
	static const char *const names[] = {"node_filesystem_size_bytes",
	    "node_filesystem_free_bytes", "node_filesystem_files", "node_filesystem_files_free"};
	struct series *s = arg;
	uint64_t v[] = {
	    m->blocks * m->block_size, m->free_blocks * m->block_size, m->files, m->free_files};

	text_printf(s->b, "%s{", names[s->index]);
	label(s->b, "device", m->filesystem, false);
	label(s->b, "fstype", m->type, false);
	label(s->b, "mountpoint", m->mount, true);
	text_printf(s->b, "} %" PRIu64 "\n", v[s->index]);
}

static void filesystems(struct text *b)
{
	static const char *const types[] = {"node_filesystem_size_bytes",
	    "node_filesystem_free_bytes", "node_filesystem_files", "node_filesystem_files_free"};

	for (unsigned i = 0; i < 4; i++) {
		struct series s = {b, i};
		text_printf(b, "# TYPE %s gauge\n", types[i]);
		mounts_walk(put_mount, &s);
	}
}

static const char *const interface_names[] = {"receive_bytes", "receive_packets", "receive_errs",
    "receive_drop", "transmit_bytes", "transmit_packets", "transmit_errs", "transmit_drop"};

static void put_interface(void *arg, const struct interface_info *i)
{
	struct series *s = arg;
	uint64_t v[] = {i->rx_bytes, i->rx_packets, i->rx_errors, i->rx_dropped, i->tx_bytes,
	    i->tx_packets, i->tx_errors, i->tx_dropped};

	text_printf(s->b, "node_network_%s_total{device=\"%s\"} %" PRIu64 "\n",
	    interface_names[s->index], i->name, v[s->index]);
}

static void interfaces(struct text *b)
{
	for (unsigned i = 0; i < 8; i++) {
		struct series s = {b, i};
		text_printf(b, "# TYPE node_network_%s_total counter\n", interface_names[i]);
		interfaces_walk(put_interface, &s);
	}
}

static void put_thread(void *arg, const struct thread_info *t)
{
	static const char *const names[] = {"carrara_thread_cpu_seconds_total",
	    "carrara_thread_switches_total", "carrara_thread_migrations_total",
	    "carrara_thread_preemptions_total"};
	struct series *s = arg;
	double v[] = {(double)t->run_ns / 1e9, (double)t->switches, (double)t->migrations,
	    (double)t->preemptions};

	text_printf(s->b, "%s{tid=\"%d\",pid=\"%d\",", names[s->index], t->id, t->pid);
	label(s->b, "name", t->name, true);
	text_printf(s->b, s->index ? "} %.0f\n" : "} %.3f\n", v[s->index]);
}

static void threads(struct text *b)
{
	static const char *const heads[][2] = {
	    {"carrara_thread_cpu_seconds_total",
		"CPU time of each thread; kernel threads have pid 0."},
	    {"carrara_thread_switches_total", "Context switches to each thread."},
	    {"carrara_thread_migrations_total", "Moves of each thread to another CPU."},
	    {"carrara_thread_preemptions_total", "Times each thread had to give up its CPU."}};

	for (unsigned i = 0; i < 4; i++) {
		struct series s = {b, i};
		head(b, heads[i][0], "counter", heads[i][1]);
		threads_walk(put_thread, &s);
	}
}

static void put_event(void *arg, const struct trace_event *e)
{
	struct text *b = arg;

	if (e->counted)
		text_printf(
		    b, "carrara_trace_count_total{name=\"%s\"} %" PRIu64 "\n", e->name, e->count);
}

void call_metrics(struct api_request *q, struct api_reply *r)
{
	struct text *b = &r->body;
	struct utsname u;

	(void)q;
	r->type = "text/plain; version=0.0.4; charset=utf-8";
	uname(&u);
	head(b, "node_uname_info", "gauge", "The system's names.");
	text_puts(b, "node_uname_info{");
	label(b, "sysname", u.sysname, false);
	label(b, "release", u.release, false);
	label(b, "version", u.version, false);
	label(b, "machine", u.machine, false);
	label(b, "nodename", u.nodename, true);
	text_puts(b, "} 1\n");
	cpu(b);
	times(b);
	memory(b);
	disks(b);
	filesystems(b);
	interfaces(b);
	threads(b);
	head(
	    b, "carrara_trace_count_total", "counter", "Hits of the tracepoints that are counted.");
	trace_walk(put_event, b);
}
