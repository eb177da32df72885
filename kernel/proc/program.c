/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs: making them, finding them, starting their first thread, waiting for their end.
 *
 * Locks: programs_lock protects the list of all programs, parent-child relations and exit states. A
 * program's list of threads changes with both its lock and its signals.lock held, so either is
 * enough to walk it. Order: programs_lock, program lock, signals.lock.
 */
#include "proc/program.h"

#include <linux/fcntl.h>
#include <linux/resource.h>

#include "arch/x86/trapframe.h"
#include "core/log.h"
#include "drivers/console.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/lifecycle.h"
#include "sys/syscall.h"

#define PID_MAX 4194304
#define FIRST_PID 2

struct list all_programs = LIST_INIT(all_programs);
struct mutex programs_lock;

int tid_alloc(void)
{
	static _Atomic int next = FIRST_PID + 1;
	for (;;) {
		int tid = atomic_fetch_add(&next, 1);
		if (tid < PID_MAX)
			return tid;
		/* Once around: ids in use are skipped from now on. */
		int full = tid + 1;
		atomic_compare_exchange_strong(&next, &full, FIRST_PID + 1);
		tid = atomic_fetch_add(&next, 1);
		struct thread *t = thread_find(tid);
		if (!t && tid < PID_MAX)
			return tid;
		if (t)
			thread_put(t);
	}
}

static void default_limits(struct rlimit_pair *l)
{
	const uint64_t inf = UINT64_MAX;
	for (int i = 0; i < RLIM_COUNT; i++)
		l[i] = (struct rlimit_pair){inf, inf};
	l[RLIMIT_STACK].cur = 8 << 20;
	l[RLIMIT_CORE].cur = 0;
	l[RLIMIT_NPROC] = (struct rlimit_pair){32768, 32768};
	l[RLIMIT_NOFILE] = (struct rlimit_pair){65536, 1048576};
	l[RLIMIT_MEMLOCK] = (struct rlimit_pair){inf, inf};
	l[RLIMIT_SIGPENDING] = (struct rlimit_pair){32768, 32768};
	l[RLIMIT_MSGQUEUE] = (struct rlimit_pair){819200, 819200};
	l[RLIMIT_NICE] = (struct rlimit_pair){0, 0};
	l[RLIMIT_RTPRIO] = (struct rlimit_pair){99, 99};
}

static struct program *program_alloc(void)
{
	struct program *p = kzalloc(sizeof *p);
	if (!p)
		return NULL;
	atomic_init(&p->refs, 1);
	list_init(&p->threads);
	list_init(&p->posix_timers);
	list_init(&p->sysv_shm);
	list_init(&p->sysv_sem_undo);
	list_init(&p->link);
	waitq_init(&p->exit_wait);
	waitq_init(&p->exec_wait);
	p->exec_thread = NULL;
	waitq_init(&p->child_wait);
	poll_head_init(&p->exit_poll);
	p->start_time = time_now();
	p->exit_signal = SIGNAL_CHILD;
	signal_program_init(p);
	mm_get(&kernel_mm);
	p->mm = &kernel_mm;
	return p;
}

static void program_link(struct program *p)
{
	mutex_lock(&programs_lock);
	list_append(&all_programs, &p->link);
	mutex_unlock(&programs_lock);
}

/* The file calls work on the current program's tables: p lends itself to the calling kernel thread.
 */
static struct program *borrow(struct program *p)
{
	struct program *old = current_thread()->program;
	current_thread()->program = p;
	return old;
}

#define CONSOLE "/dev/console"

static const char *standard_file[3] = {CONSOLE, CONSOLE, CONSOLE};

void program_set_standard(unsigned fd, const char *path)
{
	standard_file[fd] = path;
}

static struct file *open_standard(const char *path, const char *mark)
{
	struct file *f = vfs_open(AT_FDCWD, path, O_RDWR, 0);
	if (is_err(f)) {
		pr_err("cannot open %s: %s", path, errno_name(-(int)ptr_err(f)));
		return f;
	}
	if (mark) {
		struct file *marked = console_marked(f, mark);
		file_put(f);
		f = marked;
	}
	return f;
}

/* Descriptors 0, 1 and 2; those with the same path are one open file. */
static int open_standards(struct program *p, const char *mark)
{
	struct program *old = borrow(p);
	struct file *file[3] = {NULL, NULL, NULL};
	int err = 0;
	for (int i = 0; i < 3 && !err; i++) {
		const char *path = mark ? CONSOLE : standard_file[i];
		for (int k = 0; k < i && !file[i]; k++)
			if (mark || !strcmp(path, standard_file[k])) {
				file[i] = file[k];
				file_get(file[i]);
			}
		if (!file[i])
			file[i] = open_standard(path, mark);
		int fd = is_err(file[i]) ? (int)ptr_err(file[i]) : fd_install(file[i], 0, false);
		if (fd < 0 && !is_err(file[i]))
			file_put(file[i]);
		err = fd < 0 ? fd : 0;
	}
	borrow(old);
	return err;
}

struct program *program_create(const char *mark)
{
	static _Atomic bool have_first;
	struct program *p = program_alloc();
	if (!p)
		return NULL;
	p->pid = atomic_exchange(&have_first, true) ? tid_alloc() : FIRST_PID;
	p->pgid = p->sid = p->pid;
	p->ppid = 1;
	p->umask = 022;
	p->dumpable = true;
	p->timer_slack = 50000;
	p->cred.cap_permitted = p->cred.cap_effective = p->cred.cap_bounding = CAP_ALL;
	default_limits(p->limits);
	p->root = path_lookup(AT_FDCWD, "/", WALK_KERNEL);
	if (is_err(p->root)) {
		p->root = NULL;
		program_discard(p);
		return NULL;
	}
	dentry_get(p->root);
	p->cwd = p->root;
	p->fds = fd_table_new();
	if (!p->fds || open_standards(p, mark)) {
		program_discard(p);
		return NULL;
	}
	program_link(p);
	return p;
}

static int copy_groups(struct credentials *to)
{
	if (!to->ngroups)
		return 0;
	uint32_t *g = kmalloc(to->ngroups * sizeof *g);
	if (!g)
		return -ENOMEM;
	memcpy(g, to->groups, to->ngroups * sizeof *g);
	to->groups = g;
	return 0;
}

struct program *program_copy(struct program *from)
{
	struct program *p = program_alloc();
	if (!p)
		return NULL;
	mutex_lock(&from->lock);
	p->pid = tid_alloc();
	p->ppid = from->pid;
	p->forked = true;
	p->pgid = from->pgid;
	p->sid = from->sid;
	p->umask = from->umask;
	p->dumpable = from->dumpable;
	p->timer_slack = from->timer_slack;
	p->personality = from->personality;
	p->oom_score_adj = from->oom_score_adj;
	p->thp_disable = from->thp_disable;
	p->cred = from->cred;
	memcpy(p->limits, from->limits, sizeof p->limits);
	strlcpy(p->exe_path, from->exe_path, sizeof p->exe_path);
	memcpy(p->signals.action, from->signals.action, sizeof p->signals.action);
	p->root = from->root;
	p->cwd = from->cwd;
	dentry_get(p->root);
	dentry_get(p->cwd);
	int err = copy_groups(&p->cred);
	if (err)
		p->cred.groups = NULL;
	mutex_unlock(&from->lock);
	if (err) {
		program_discard(p);
		return NULL;
	}
	program_link(p);
	return p;
}

void program_get(struct program *p)
{
	atomic_fetch_add(&p->refs, 1);
}

void program_put(struct program *p)
{
	if (atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	TRACE(app_destroy, "pid=%d", p->pid);
	kfree(p->cred.groups);
	signal_program_free(p);
	poll_head_destroy(&p->exit_poll);
	kfree(p);
}

void program_discard(struct program *p)
{
	mutex_lock(&programs_lock);
	list_remove(&p->link);
	mutex_unlock(&programs_lock);
	mm_put(p->mm);
	if (p->fds)
		fd_table_put(p->fds);
	if (p->cwd)
		dentry_put(p->cwd);
	if (p->root)
		dentry_put(p->root);
	program_put(p);
}

struct program *program_find(int pid)
{
	struct program *p, *found = NULL;
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link) {
		if (p->pid == pid) {
			found = p;
			program_get(p);
			break;
		}
	}
	mutex_unlock(&programs_lock);
	return found;
}

int program_add_thread(struct program *p, struct thread *t)
{
	int err = 0;
	mutex_lock(&p->lock);
	mutex_lock(&p->signals.lock);
	if (p->exiting || p->exec_thread)
		err = -ERESTARTNOINTR;
	else if (p->nthreads >= p->limits[RLIMIT_NPROC].cur)
		err = -EAGAIN;
	if (!err) {
		t->program = p;
		list_append(&p->threads, &t->program_link);
		p->nthreads++;
		program_get(p);
	}
	mutex_unlock(&p->signals.lock);
	mutex_unlock(&p->lock);
	return err;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

int program_exec(struct program *p, const char *path, char *const argv[], char *const envp[])
{
	struct trapframe frame = {0};
	struct program *old = borrow(p);
	int err = exec_load(p, path, argv, envp, &frame);
	borrow(old);
	if (err)
		return err;
	struct thread *t = thread_create_user(p, &frame);
	if (!t)
		return -ENOMEM;
	t->tid = p->pid;
	strlcpy(t->name, base_name(path), sizeof t->name);
	err = signal_thread_init(t, NULL);
	if (!err)
		err = program_add_thread(p, t);
	if (err) {
		thread_put(t);
		return err;
	}
	thread_start(t);
	return 0;
}

int program_wait(struct program *p)
{
	TRACE(app_join, "pid=%d", p->pid);
	mutex_lock(&programs_lock);
	while (!p->dead)
		waitq_wait(&p->exit_wait, &programs_lock, NO_DEADLINE, 0);
	int code = p->exit_code;
	mutex_unlock(&programs_lock);
	TRACE(app_join_ret, "code=%#x", code);
	return code;
}

int64_t thread_cpu_ns(const struct thread *t)
{
	int64_t ns = t->run_ns;
	if (atomic_load(&t->state) == THREAD_RUNNING) {
		int64_t d = time_now() - t->run_start;
		ns += d > 0 ? d : 0;
	}
	return ns;
}

void thread_cpu_split(const struct thread *t, int64_t *user, int64_t *kernel)
{
	int64_t total = thread_cpu_ns(t), k = t->kernel_ns;
	if (t->in_kernel)
		k += total - t->cpu_mark;
	k = MAX(MIN(k, total), (int64_t)0);
	*kernel = k;
	*user = total - k;
}

void program_cpu_split(struct program *p, int64_t *user, int64_t *kernel)
{
	struct thread *t;
	int64_t u, k;
	mutex_lock(&p->signals.lock);
	*user = atomic_load(&p->dead_user_ns);
	*kernel = atomic_load(&p->dead_kernel_ns);
	list_for_each_entry (t, &p->threads, program_link) {
		thread_cpu_split(t, &u, &k);
		*user += u;
		*kernel += k;
	}
	mutex_unlock(&p->signals.lock);
}

int64_t program_cpu_ns(struct program *p)
{
	int64_t u, k;
	program_cpu_split(p, &u, &k);
	return u + k;
}
