/* SPDX-License-Identifier: BSD-3-Clause */
/* mlock and friends. Nothing is ever swapped out, so locking means: present now, and kept by
 * MADV_DONTNEED. */
#include <linux/mman.h>
#include "mm/limits.h"
#include "mm/ops.h"
#include "mm/vma.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define MLOCK_ONFAULT_FLAG 1u

static int set_locked(struct mm *m, uint64_t start, uint64_t end, bool lock, bool holes_ok)
{
	struct list dead = LIST_INIT(dead);
	int err = m->area_count < MAX_AREAS - 2 ? vma_isolate(m, start, end) : -ENOMEM;
	uint64_t at = start;
	while (!err && at < end) {
		struct vma *v = mm_find_next(m, at);
		if (!v || v->start >= end || (v->start > at && !holes_ok)) {
			err = holes_ok ? 0 : -ENOMEM;
			break;
		}
		at = v->end;
		if (v->flags & VMA_SPECIAL || !!(v->flags & MAP_LOCKED) == lock)
			continue;
		int64_t pages = (int64_t)(vma_len(v) >> PAGE_SHIFT);
		if (lock && !mm_may_lock(m, (uint64_t)pages)) {
			err = -ENOMEM;
			break;
		}
		v->flags = lock ? v->flags | MAP_LOCKED : v->flags & ~(unsigned)MAP_LOCKED;
		atomic_fetch_add(&m->locked_pages, lock ? pages : -pages);
		vma_merge(v, &dead);
	}
	rw_write_unlock(&m->lock);
	mm_free_dead(&dead);
	return err;
}

static bool normalise(uint64_t *addr, uint64_t len, uint64_t *end)
{
	if (*addr > USER_END || len > USER_END - *addr)
		return false;
	*end = ALIGN_UP(*addr + len, PAGE_SIZE);
	*addr = ALIGN_DOWN(*addr, PAGE_SIZE);
	return true;
}

/* Faults in what may be accessed; areas without access are skipped, as on Linux. */
static int fault_all(struct mm *m, uint64_t start, uint64_t end)
{
	for (uint64_t a = start; a < end;) {
		rw_read_lock(&m->lock);
		struct vma *v = mm_find_next(m, a);
		uint64_t from = v ? MAX(a, v->start) : end, to = v ? MIN(end, v->end) : end;
		unsigned prot = v && !(v->flags & VMA_SPECIAL) ? v->prot : PROT_NONE;
		bool write = (prot & PROT_WRITE) && !(v->flags & MAP_SHARED);
		rw_read_unlock(&m->lock);
		if (prot && from < to) {
			int err = mm_populate(m, from, to - from, write);
			if (err)
				return err == -EFAULT ? -ENOMEM : err;
		}
		a = to;
	}
	return 0;
}

SYSCALL(mlock2, uint64_t addr, uint64_t len, unsigned flags)
{
	struct mm *m = current_program()->mm;
	uint64_t end;
	if (flags & ~MLOCK_ONFAULT_FLAG)
		return -EINVAL;
	if (!normalise(&addr, len, &end))
		return -ENOMEM;
	if (mm_limit(RLIMIT_MEMLOCK) == 0 && !mm_may_lock(m, 1))
		return -EPERM;
	rw_write_lock(&m->lock);
	int err = set_locked(m, addr, end, true, false);
	if (!err && !(flags & MLOCK_ONFAULT_FLAG))
		err = fault_all(m, addr, end);
	return err;
}

SYSCALL(mlock, uint64_t addr, uint64_t len)
{
	return sys_mlock2(addr, len, 0);
}

SYSCALL(munlock, uint64_t addr, uint64_t len)
{
	struct mm *m = current_program()->mm;
	uint64_t end;
	if (!normalise(&addr, len, &end))
		return -ENOMEM;
	rw_write_lock(&m->lock);
	return set_locked(m, addr, end, false, false);
}

SYSCALL(mlockall, int flags)
{
	struct mm *m = current_program()->mm;
	if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	if ((flags & MCL_CURRENT) && !mm_may_lock(m, (uint64_t)atomic_load(&m->total_pages)))
		return mm_limit(RLIMIT_MEMLOCK) ? -ENOMEM : -EPERM;
	rw_write_lock(&m->lock);
	m->future_flags = flags & MCL_FUTURE ? MAP_LOCKED : 0;
	if (!(flags & MCL_CURRENT)) {
		rw_write_unlock(&m->lock);
		return 0;
	}
	int err = set_locked(m, MIN_ADDR, USER_END, true, true);
	if (!err && !(flags & MCL_ONFAULT))
		fault_all(m, MIN_ADDR, USER_END);
	return err;
}

SYSCALL(munlockall, void)
{
	struct mm *m = current_program()->mm;
	rw_write_lock(&m->lock);
	m->future_flags = 0;
	return set_locked(m, MIN_ADDR, USER_END, false, true);
}
