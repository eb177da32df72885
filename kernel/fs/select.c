/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * poll(), ppoll(), select(), pselect6(): one waiting loop over an array of files. The loop first
 * looks without any registration; only when nothing is ready it hangs an entry on each object and
 * sleeps.
 */
#include <asm/posix_types.h>
#include <linux/eventpoll.h>
#include <linux/poll.h>
#include <linux/resource.h>
#include <linux/time_types.h>
#include "fs/vfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "sched/thread.h"
#include "sys/syscall.h"

#define FAST_ENTRIES 12
#define SELECT_MAX_FDS 65536

struct poller {
	struct thread *thread;
	_Atomic bool triggered;
};

struct poll_slot {
	struct poll_entry entry;
	struct poller *poller;
	struct file *file; /* NULL: bad or ignored descriptor */
	unsigned want, got;
};

static bool slot_notify(struct poll_entry *e, unsigned events)
{
	struct poll_slot *s = container_of(e, struct poll_slot, entry);
	if (events && !(events & s->want))
		return false;
	atomic_store(&s->poller->triggered, true);
	thread_wake(s->poller->thread);
	return true;
}

static unsigned scan(struct poll_slot *slots, size_t n)
{
	unsigned ready = 0;
	for (size_t i = 0; i < n; i++) {
		struct poll_slot *s = &slots[i];
		if (s->file)
			s->got = file_poll(s->file) & s->want;
		ready += s->got != 0;
	}
	return ready;
}

static void attach_all(struct poll_slot *slots, size_t n, struct poller *p)
{
	for (size_t i = 0; i < n; i++) {
		struct poll_slot *s = &slots[i];
		if (!s->file || !s->file->ops->poll_head)
			continue;
		s->poller = p;
		s->entry.fn = slot_notify;
		poll_attach(s->file->ops->poll_head(s->file), &s->entry);
	}
}

/* Number of slots with events, 0 at the deadline, -EINTR. Absolute deadline, NO_DEADLINE, or 0:
 * just look. */
static long poll_slots(struct poll_slot *slots, size_t n, int64_t deadline)
{
	long ready = scan(slots, n);
	if (ready || !deadline)
		return ready;
	struct poller p = {.thread = current_thread()};
	attach_all(slots, n, &p);
	for (;;) {
		atomic_store(&p.triggered, false);
		ready = scan(slots, n);
		if (ready || time_now() >= deadline)
			break;
		if (signal_pending()) {
			ready = -EINTR;
			break;
		}
		thread_prepare_wait();
		if (!atomic_load(&p.triggered) && !signal_pending())
			schedule_until(deadline);
		thread_end_wait();
	}
	for (size_t i = 0; i < n; i++)
		poll_detach(&slots[i].entry);
	return ready;
}

static void put_slots(struct poll_slot *slots, size_t n, struct poll_slot *fast)
{
	for (size_t i = 0; i < n; i++)
		if (slots[i].file)
			file_put(slots[i].file);
	if (slots != fast)
		kfree(slots);
}

/* Absolute deadline of a relative time; nanoseconds beyond the representable mean for ever. */
static int64_t deadline_in(int64_t ns)
{
	if (ns <= 0)
		return 0;
	int64_t now = time_now();
	return ns > INT64_MAX - now ? NO_DEADLINE : now + ns;
}

static int timespec_ns(const struct __kernel_timespec *ts, int64_t *ns)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	*ns = ts->tv_sec > INT64_MAX / NSEC_PER_SEC - 1 ? INT64_MAX
							: ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
	return 0;
}

static void fill_slot(struct poll_slot *s, const struct pollfd *p)
{
	if (p->fd < 0)
		return;
	struct file *f = fd_get(p->fd);
	s->want = (uint16_t)p->events | EPOLLERR | EPOLLHUP | POLLNVAL;
	if (is_err(f))
		s->got = POLLNVAL;
	else
		s->file = f;
}

static long do_poll(struct pollfd __user *ufds, unsigned n, int64_t deadline)
{
	if (n > current_program()->limits[RLIMIT_NOFILE].cur)
		return -EINVAL;
	struct poll_slot fast[FAST_ENTRIES], *slots = fast;
	struct pollfd fast_fds[FAST_ENTRIES], *fds = fast_fds;
	if (n > FAST_ENTRIES) {
		slots = kmalloc(n * (sizeof *slots + sizeof *fds));
		if (!slots)
			return -ENOMEM;
		fds = (struct pollfd *)(slots + n);
	}
	memset(slots, 0, n * sizeof *slots);
	long r = -EFAULT;
	if (copy_from_user(fds, ufds, n * sizeof *fds) == 0) {
		bool bad = false;
		for (unsigned i = 0; i < n; i++) {
			fill_slot(&slots[i], &fds[i]);
			bad |= slots[i].got != 0;
		}
		r = poll_slots(slots, n, bad ? 0 : deadline);
		for (unsigned i = 0; i < n; i++)
			fds[i].revents = (short)slots[i].got;
		/* Only the results go back: the rest of the array may be shared or read-only in
		 * spirit. */
		for (unsigned i = 0; i < n && r >= 0; i++)
			if (put_user(fds[i].revents, &ufds[i].revents) < 0)
				r = -EFAULT;
	}
	put_slots(slots, n, fast);
	return r;
}

SYSCALL(poll, struct pollfd __user *fds, unsigned n, int timeout_ms)
{
	int64_t deadline = timeout_ms < 0 ? NO_DEADLINE : deadline_in(timeout_ms * NSEC_PER_MSEC);
	long r = do_poll(fds, n, deadline);
	return r == -EINTR && timeout_ms < 0 ? -ERESTARTNOHAND : r;
}

/* Reads an optional timeout (NULL: for ever). 0 or -errno. */
static int read_timeout(const struct __kernel_timespec __user *uts, int64_t *deadline)
{
	*deadline = NO_DEADLINE;
	if (!uts)
		return 0;
	struct __kernel_timespec ts;
	int64_t ns;
	if (copy_from_user(&ts, uts, sizeof ts))
		return -EFAULT;
	if (timespec_ns(&ts, &ns))
		return -EINVAL;
	*deadline = deadline_in(ns);
	return 0;
}

/* ppoll() and pselect6() write back the time left. */
static void write_timeout(struct __kernel_timespec __user *uts, int64_t deadline)
{
	if (!uts || deadline == NO_DEADLINE)
		return;
	int64_t left = deadline ? deadline - time_now() : 0;
	if (left < 0)
		left = 0;
	struct __kernel_timespec ts = {left / NSEC_PER_SEC, left % NSEC_PER_SEC};
	copy_to_user_partial(uts, &ts, sizeof ts);
}

SYSCALL(ppoll, struct pollfd __user *fds, unsigned n, struct __kernel_timespec __user *uts,
    const void __user *mask, size_t mask_size)
{
	int64_t deadline;
	int err = read_timeout(uts, &deadline);
	if (!err && mask)
		err = signal_set_temporary_mask(mask, mask_size);
	if (err)
		return err;
	long r = do_poll(fds, n, deadline);
	write_timeout(uts, deadline);
	return r;
}

#define WANT_READ (EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLHUP | EPOLLERR)
#define WANT_WRITE (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND | EPOLLERR)
#define WANT_EXCEPT EPOLLPRI

/* The three bit sets, each of `words` 64-bit words, one after the other. */
struct select_sets {
	uint64_t *in[3];
	size_t words;
};

static bool set_has(const uint64_t *set, int fd)
{
	return set[fd / 64] >> (fd % 64) & 1;
}

static long select_slots(struct select_sets *s, int n, int64_t deadline)
{
	static const unsigned want[3] = {WANT_READ, WANT_WRITE, WANT_EXCEPT};
	struct poll_slot fast[FAST_ENTRIES], *slots = fast;
	size_t used = 0, cap = 0;
	for (size_t w = 0; w < s->words; w++)
		cap += popcount64(s->in[0][w] | s->in[1][w] | s->in[2][w]);
	if (cap > FAST_ENTRIES && !(slots = kmalloc(cap * sizeof *slots)))
		return -ENOMEM;
	memset(slots, 0, cap * sizeof *slots);
	long r = 0;
	for (int fd = 0; fd < n && used < cap; fd++) {
		unsigned w = 0;
		for (int k = 0; k < 3; k++)
			w |= set_has(s->in[k], fd) ? want[k] : 0;
		if (!w)
			continue;
		struct file *f = fd_get(fd);
		if (is_err(f)) {
			r = -EBADF;
			break;
		}
		slots[used++] = (struct poll_slot){.file = f, .want = w};
	}
	if (!r)
		r = poll_slots(slots, used, deadline);
	if (r >= 0) {
		r = 0;
		size_t i = 0;
		for (int fd = 0; fd < n && i < used; fd++) {
			bool any = false;
			for (int k = 0; k < 3; k++) {
				if (!set_has(s->in[k], fd))
					continue;
				any = true;
				if (slots[i].got & want[k])
					r++;
				else
					s->in[k][fd / 64] &= ~(1ull << (fd % 64));
			}
			i += any;
		}
	}
	put_slots(slots, used, fast);
	return r;
}

static long do_select(int n, void __user *const usets[3], int64_t deadline)
{
	if (n < 0)
		return -EINVAL;
	n = MIN(n, SELECT_MAX_FDS);
	size_t words = (n + 63) / 64, bytes = words * 8;
	uint64_t fast[3 * 4], *buf = fast;
	if (words > 4 && !(buf = kmalloc(3 * bytes)))
		return -ENOMEM;
	memset(buf, 0, 3 * bytes);
	struct select_sets s = {.words = words};
	long r = 0;
	for (int k = 0; k < 3; k++) {
		s.in[k] = buf + k * words;
		if (usets[k] && copy_from_user(s.in[k], usets[k], bytes))
			r = -EFAULT;
		/* Bits from n on in the last word are not ours to look at. */
		if (n % 64)
			s.in[k][words - 1] &= (1ull << (n % 64)) - 1;
	}
	if (!r)
		r = select_slots(&s, n, deadline);
	for (int k = 0; k < 3 && r >= 0; k++)
		if (usets[k] && copy_to_user(usets[k], s.in[k], bytes))
			r = -EFAULT;
	if (buf != fast)
		kfree(buf);
	return r;
}

SYSCALL(pselect6, int n, void __user *in, void __user *out, void __user *ex,
    struct __kernel_timespec __user *uts, const void __user *usig)
{
	struct {
		const void *mask;
		size_t size;
	} sig = {NULL, 0};
	int64_t deadline;
	int err = read_timeout(uts, &deadline);
	if (!err && usig && copy_from_user(&sig, usig, sizeof sig))
		err = -EFAULT;
	if (!err && sig.mask)
		err = signal_set_temporary_mask(sig.mask, sig.size);
	if (err)
		return err;
	void __user *const sets[3] = {in, out, ex};
	long r = do_select(n, sets, deadline);
	write_timeout(uts, deadline);
	return r == -EINTR && deadline == NO_DEADLINE ? -ERESTARTNOHAND : r;
}

SYSCALL(select, int n, void __user *in, void __user *out, void __user *ex,
    struct __kernel_old_timeval __user *utv)
{
	int64_t deadline = NO_DEADLINE;
	struct __kernel_old_timeval tv;
	if (utv) {
		if (copy_from_user(&tv, utv, sizeof tv))
			return -EFAULT;
		if (tv.tv_sec < 0 || tv.tv_usec < 0)
			return -EINVAL;
		int64_t sec = MIN(tv.tv_sec + tv.tv_usec / 1000000, (int64_t)4000000000);
		deadline = deadline_in(sec * NSEC_PER_SEC + tv.tv_usec % 1000000 * 1000);
	}
	void __user *const sets[3] = {in, out, ex};
	long r = do_select(n, sets, deadline);
	if (utv && deadline != NO_DEADLINE) {
		int64_t left = deadline ? MAX(deadline - time_now(), (int64_t)0) : 0;
		tv.tv_sec = left / NSEC_PER_SEC;
		tv.tv_usec = left % NSEC_PER_SEC / 1000;
		copy_to_user_partial(utv, &tv, sizeof tv);
	}
	return r == -EINTR && deadline == NO_DEADLINE ? -ERESTARTNOHAND : r;
}
