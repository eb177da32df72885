/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /os/threads: Carrara lists all threads in one file; on Linux (for tests) the same is gathered
 * from /proc.
 */
#include "threads.h"
#include "calls.h"
#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_NS (1000000000ll / 100)

static const char *status_name(char letter)
{
	switch (letter) {
	case 'R':
		return "running";
	case 'q':
		return "queued";
	case 'X':
	case 'Z':
		return "terminated";
	case 'T':
	case 't':
		return "stopped";
	default:
		return "waiting";
	}
}

/* A line of /sys/kernel/threads. */
static bool parse_line(const char *line, struct thread_info *t)
{
	int name = 0;
	char letter;

	*t = (struct thread_info){0};
	if (sscanf(line, "%d %d %u %lld %lld %lld %llu %llu %llu %d %u %c %n", &t->id, &t->pid,
		&t->cpu, &t->run_ns, &t->user_ns, &t->kernel_ns, &t->switches, &t->migrations,
		&t->preemptions, &t->priority, &t->stack_size, &letter, &name) < 12 ||
	    !name)
		return false;
	t->status = status_name(letter);
	snprintf(t->name, sizeof t->name, "%s", line + name);
	return true;
}

/* /proc/PID/task/TID of Linux. */
static bool read_task(int pid, int tid, struct thread_info *t)
{
	char path[64], letter;
	unsigned long long user, kernel, voluntary = 0, forced = 0;
	long long run = 0;
	uint64_t value;

	*t = (struct thread_info){.id = tid, .pid = pid};
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
	char *stat = source_read(path, NULL), *open, *close;
	if (!stat || !(open = strchr(stat, '(')) || !(close = strrchr(stat, ')'))) {
		free(stat);
		return false;
	}
	*close = 0;
	snprintf(t->name, sizeof t->name, "%s", open + 1);
	bool ok = sscanf(close + 2,
		      "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %d %*d %*d %*d "
		      "%*u %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %u",
		      &letter, &user, &kernel, &t->priority, &t->cpu) == 5;
	free(stat);
	if (!ok)
		return false;
	t->status = status_name(letter);
	t->user_ns = (long long)user * TICK_NS;
	t->kernel_ns = (long long)kernel * TICK_NS;
	t->run_ns = t->user_ns + t->kernel_ns;
	snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", pid, tid);
	char *sched = source_read(path, NULL);
	if (sched && (run = strtoll(sched, NULL, 10)) > t->run_ns)
		t->run_ns = run;
	free(sched);
	snprintf(path, sizeof path, "/proc/%d/task/%d/status", pid, tid);
	char *status = source_read(path, NULL);
	if (status && source_number(status, "voluntary_ctxt_switches", &value))
		voluntary = value;
	if (status && source_number(status, "nonvoluntary_ctxt_switches", &value))
		forced = value;
	free(status);
	t->switches = voluntary + forced;
	t->preemptions = forced;
	return true;
}

static void walk_tasks(int pid, void (*fn)(void *, const struct thread_info *), void *arg)
{
	char path[300];
	struct dirent *e;
	struct thread_info t;

	snprintf(path, sizeof path, "%s/proc/%d/task", source_root, pid);
	DIR *dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' &&
		    read_task(pid, atoi(e->d_name), &t))
			fn(arg, &t);
	if (dir)
		closedir(dir);
}

int threads_walk(void (*fn)(void *arg, const struct thread_info *t), void *arg)
{
	char *text = source_read("/sys/kernel/threads", NULL), *rest = text, *line, path[300];
	struct thread_info t;
	struct dirent *e;

	if (text) {
		while ((line = source_line(&rest)))
			if (parse_line(line, &t))
				fn(arg, &t);
		free(text);
		return 0;
	}
	snprintf(path, sizeof path, "%s/proc", source_root);
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	while ((e = readdir(dir)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			walk_tasks(atoi(e->d_name), fn, arg);
	closedir(dir);
	return 0;
}

static void put_thread(void *arg, const struct thread_info *t)
{
	struct text *b = arg;

	json_next(b);
	text_puts(b, "{");
	json_member_int(b, "id", t->id);
	json_member_int(b, "pid", t->pid);
	json_member_int(b, "cpu", t->cpu);
	json_member_int(b, "cpu_ms", t->run_ns / 1000000);
	json_member_int(b, "user_ms", t->user_ns / 1000000);
	json_member_int(b, "switches", (int64_t)t->switches);
	json_member_int(b, "migrations", (int64_t)t->migrations);
	json_member_int(b, "preemptions", (int64_t)t->preemptions);
	json_member_int(b, "priority", t->priority);
	json_member_int(b, "stack_size", t->stack_size);
	json_member_string(b, "status", t->status);
	json_member_string(b, "name", t->name);
	text_puts(b, "}");
}

void call_os_threads(struct api_request *q, struct api_reply *r)
{
	(void)q;
	text_puts(&r->body, "{\"list\":[");
	int err = threads_walk(put_thread, &r->body);
	if (err) {
		api_fail_errno(r, err, "/proc");
		return;
	}
	text_puts(&r->body, "]");
	json_member_int(&r->body, "time_ms", api_time_ms());
	text_puts(&r->body, "}");
}
