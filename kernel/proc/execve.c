/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * execve() and execveat(): a program becomes another one. Everything that can fail happens before
 * the old address space is given up; then the other threads end, and what execve() resets is reset.
 */
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/stat.h>
#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "core/log.h"
#include "core/trace.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/exec_internal.h"
#include "proc/futex.h"
#include "proc/lifecycle.h"
#include "proc/pidtimers.h"
#include "proc/signal_send.h"
#include "sched/sched_internal.h"
#include "sys/syscall.h"

#define MAX_VECTOR 65536
#define MAX_BYTES (6ul << 20)

/* A vector of strings copied from the application: one block of pointers, one of text. */
struct strings {
	char **vec;
	char *text;
};

static void strings_free(struct strings *s)
{
	kfree(s->vec);
	kfree(s->text);
}

static long count_strings(char __user *const __user *uvec)
{
	for (long n = 0; n < MAX_VECTOR; n++) {
		char __user *p;
		if (!uvec)
			return 0;
		if (get_user(p, uvec + n))
			return -EFAULT;
		if (!p)
			return n;
	}
	return -E2BIG;
}

static char *grow(char *text, size_t *size, size_t need)
{
	if (need <= *size)
		return text;
	size_t want = MAX(need, *size * 2);
	char *bigger = want <= MAX_BYTES ? krealloc(text, want) : NULL;
	if (bigger)
		*size = want;
	return bigger;
}

/* Copies the strings; offsets stand in vec until the text has its final place. */
static int copy_strings(struct strings *s, char __user *const __user *uvec)
{
	long n = count_strings(uvec);
	size_t size = 4096, used = 0;
	s->vec = NULL;
	s->text = NULL;
	if (n < 0)
		return (int)n;
	s->vec = kmalloc(((size_t)n + 1) * sizeof *s->vec);
	s->text = kmalloc(size);
	if (!s->vec || !s->text)
		return -ENOMEM;
	for (long i = 0; i < n; i++) {
		char __user *p;
		if (get_user(p, uvec + i) || !p)
			return -EFAULT;
		s->vec[i] = (char *)used;
		for (;;) { /* in ever larger steps */
			size_t room = MIN(size - used, (size_t)EXEC_MAX_STRING);
			long len = strncpy_from_user(s->text + used, p, room);
			if (len >= 0) {
				used += (size_t)len + 1;
				break;
			}
			if (len != -ENAMETOOLONG)
				return (int)len;
			if (room == EXEC_MAX_STRING)
				return -E2BIG;
			char *bigger = grow(s->text, &size, size + 1);
			if (!bigger)
				return -E2BIG;
			s->text = bigger;
		}
	}
	for (long i = 0; i < n; i++)
		s->vec[i] = s->text + (size_t)s->vec[i];
	s->vec[n] = NULL;
	return 0;
}

/* Ends all other threads of the program and waits for them. 0, or -ERESTARTNOINTR if another one is
 * faster. */
static int end_other_threads(struct program *p)
{
	struct thread *me = current_thread(), *t;
	mutex_lock(&p->lock);
	mutex_lock(&p->signals.lock);
	bool lost = p->exiting || p->exec_thread;
	if (!lost) {
		p->exec_thread = me;
		list_for_each_entry (t, &p->threads, program_link)
			if (t != me)
				signal_kick(t);
		waitq_wake_all(&p->stop_wait);
	}
	mutex_unlock(&p->signals.lock);
	while (!lost && p->nthreads > 1)
		waitq_wait(&p->exec_wait, &p->lock, NO_DEADLINE, 0);
	mutex_unlock(&p->lock);
	return lost ? -ERESTARTNOINTR : 0;
}

/* The new program starts with the identity its file's set-user-ID bits give it. */
static void take_identity(struct program *p, const struct inode *i)
{
	mutex_lock(&p->lock);
	if (!p->cred.no_new_privs) {
		if (i->mode & S_ISUID)
			p->cred.euid = i->uid;
		if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
			p->cred.egid = i->gid;
		if (p->cred.euid == 0)
			p->cred.cap_permitted = p->cred.cap_effective = p->cred.cap_bounding;
	}
	p->cred.suid = p->cred.fsuid = p->cred.euid;
	p->cred.sgid = p->cred.fsgid = p->cred.egid;
	mutex_unlock(&p->lock);
}

/* Descriptors: an own table, without those marked close-on-exec. */
static void take_descriptors(struct program *p)
{
	struct fd_table *own = fd_table_copy(p->fds);
	if (own) { /* without memory a shared table stays shared */
		struct fd_table *old = p->fds;
		mutex_lock(&p->lock);
		p->fds = own;
		mutex_unlock(&p->lock);
		fd_table_put(old);
	}
	fd_close_on_exec(p->fds);
}

/* Forgets what belonged to the old program's memory. */
static void reset_thread(struct thread *t, const char *path)
{
	const char *slash = strrchr(path, '/');
	t->clear_child_tid = NULL;
	t->robust_list = NULL;
	t->rseq = NULL;
	t->rseq_len = 0;
	t->rseq_event = false;
	t->fs_base = 0;
	wrmsr(MSR_FS_BASE, 0);
	strlcpy(t->name, slash ? slash + 1 : path, sizeof t->name);
	fpu_init_area(t->fpu);
	sched_fpu_reload();
}

static void replace_memory(struct program *p, struct mm *mm)
{
	mutex_lock(&p->lock);
	struct mm *old = p->mm;
	p->mm = mm;
	mm_activate(mm);
	mutex_unlock(&p->lock);
	mm_put(old);
}

/* Takes over f. */
static long do_exec(struct file *f, const char *path, char __user *const __user *uargv,
    char __user *const __user *uenvp)
{
	struct program *p = current_program();
	struct thread *t = current_thread();
	struct strings argv = {0}, envp = {0};
	struct trapframe frame;
	struct mm *mm = NULL;
	char why[160] = "";
	long err = copy_strings(&argv, uargv);
	if (!err)
		err = copy_strings(&envp, uenvp);
	if (!err)
		err = exec_build(p, f, path, argv.vec, envp.vec, &frame, &mm, why);
	if (why[0])
		pr_info("execve: %s (error %ld)", why, -err);
	if (!err && (err = end_other_threads(p)) != 0)
		mm_put(mm);
	if (!err) {
		futex_thread_exit(t);
		if (t->clear_child_tid && put_user(0u, (uint32_t __user *)t->clear_child_tid) == 0)
			futex_wake_user((uint32_t __user *)t->clear_child_tid, 1);
		take_identity(p, mm->exe->inode);
		replace_memory(p, mm);
		exec_note_path(p, mm, path);
		take_descriptors(p);
		signal_exec_reset(p);
		program_timers_exec(p);
		t->tid = p->pid;
		reset_thread(t, path);
		p->membarrier_state = NULL;
		mutex_lock(&p->lock);
		p->exec_thread = NULL;
		mutex_unlock(&p->lock);
		program_vfork_done(p);
		frame.vector = TF_SYSCALL;
		*syscall_frame() = frame;
		TRACE(program_exec, "pid %d entry %lx", p->pid, frame.rip);
	}
	strings_free(&argv);
	strings_free(&envp);
	file_put(f);
	return err;
}

/* Opens what dirfd and upath name; *path is the name to report. Referenced file or err_ptr(). */
static struct file *open_named(int dirfd, const char __user *upath, int flags, char *path)
{
	char why[160];
	long n = strncpy_from_user(path, upath, PATH_MAX);
	if (n < 0)
		return err_ptr(n);
	if (n == 0 && (flags & AT_EMPTY_PATH)) {
		struct file *f = fd_get(dirfd);
		int err = is_err(f) ? 0 : vfs_may(f->inode, 1);
		if (!is_err(f) && !err && (f->inode->mode & S_IFMT) != S_IFREG)
			err = -EACCES;
		if (err) {
			file_put(f);
			return err_ptr(err);
		}
		snprintf(path, PATH_MAX, "/dev/fd/%d", dirfd);
		return f;
	}
	if (n == 0)
		return err_ptr(-ENOENT);
	return exec_open(dirfd, path, flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0, why);
}

static long exec_at(int dirfd, const char __user *upath, char __user *const __user *uargv,
    char __user *const __user *uenvp, int flags)
{
	char *path = kmalloc(PATH_MAX);
	if (!path)
		return -ENOMEM;
	struct file *f = open_named(dirfd, upath, flags, path);
	long r = is_err(f) ? ptr_err(f) : do_exec(f, path, uargv, uenvp);
	kfree(path);
	return r;
}

SYSCALL(execve, const char __user *path, char __user *const __user *argv,
    char __user *const __user *envp)
{
	return exec_at(AT_FDCWD, path, argv, envp, 0);
}

SYSCALL(execveat, int dirfd, const char __user *path, char __user *const __user *argv,
    char __user *const __user *envp, int flags)
{
	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return exec_at(dirfd, path, argv, envp, flags);
}
