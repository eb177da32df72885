/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NUMA memory policy. Where a page lies is answered truthfully from the machine's memory map;
 * policies are kept and reported, and placement follows them as far as the page allocator can (one
 * pool today, so every policy is satisfied on a machine with one node).
 */
#include <linux/mempolicy.h>
#include "arch/x86/machine.h"
#include "arch/x86/pagetable.h"
#include "arch/x86/percpu.h"
#include "lib/string.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define MODE_FLAGS (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING)
#define MAX_NODE_BITS (4096ul * 8)

static uint64_t online_nodes(void)
{
	unsigned n = machine.nnodes ? machine.nnodes : 1;
	return n >= 64 ? UINT64_MAX : (1ull << n) - 1;
}

static unsigned node_of(uint64_t phys)
{
	for (unsigned i = 0; i < machine.nnode_memory; i++)
		if (phys - machine.node_memory[i].start < machine.node_memory[i].size)
			return machine.node_memory[i].node;
	return 0;
}

/* Reads a node mask of maxnode - 1 bits (Linux's off-by-one is part of the ABI). */
static int read_mask(const uint64_t __user *mask, unsigned long maxnode, uint64_t *out)
{
	*out = 0;
	if (!mask || maxnode <= 1)
		return 0;
	unsigned long bits = maxnode - 1;
	if (bits > MAX_NODE_BITS)
		return -EINVAL;
	for (unsigned long i = 0; i < (bits + 63) / 64; i++) {
		uint64_t word;
		if (get_user(word, mask + i))
			return -EFAULT;
		if (i == bits / 64)
			word &= (1ull << bits % 64) - 1;
		if (i == 0)
			*out = word;
		else if (word)
			return -EINVAL;
	}
	return 0;
}

static int write_mask(uint64_t __user *mask, unsigned long maxnode, uint64_t value)
{
	if (maxnode > MAX_NODE_BITS + 1)
		return -EINVAL;
	for (unsigned long i = 0; i < (maxnode + 62) / 64; i++) {
		if (put_user(i ? 0 : value, mask + i))
			return -EFAULT;
	}
	return 0;
}

/* Checks mode and nodes; *mode loses nothing. 0 or -errno. */
static int check_policy(unsigned mode, uint64_t nodes)
{
	unsigned kind = mode & ~(unsigned)MODE_FLAGS;
	if (kind >= MPOL_MAX)
		return -EINVAL;
	if ((mode & MPOL_F_STATIC_NODES) && (mode & MPOL_F_RELATIVE_NODES))
		return -EINVAL;
	if (kind == MPOL_DEFAULT || kind == MPOL_LOCAL)
		return nodes ? -EINVAL : 0;
	if (nodes && !(nodes & online_nodes()))
		return -EINVAL;
	if (!nodes && kind != MPOL_PREFERRED)
		return -EINVAL;
	return 0;
}

SYSCALL(set_mempolicy, int mode, const uint64_t __user *mask, unsigned long maxnode)
{
	struct mm *m = current_program()->mm;
	uint64_t nodes;
	int err = read_mask(mask, maxnode, &nodes);
	if (!err)
		err = check_policy((unsigned)mode, nodes);
	if (err)
		return err;
	m->mempolicy = (unsigned)mode;
	m->mempolicy_nodes = nodes & online_nodes();
	return 0;
}

SYSCALL(mbind, uint64_t addr, uint64_t len, unsigned long mode, const uint64_t __user *mask,
    unsigned long maxnode, unsigned flags)
{
	uint64_t nodes, end = addr + ALIGN_UP(len, PAGE_SIZE);
	struct mm *m = current_program()->mm;
	if (addr % PAGE_SIZE || (flags & ~(unsigned)MPOL_MF_VALID) || end < addr)
		return -EINVAL;
	int err = read_mask(mask, maxnode, &nodes);
	if (!err)
		err = check_policy((unsigned)mode, nodes);
	if (err || !len)
		return err;
	rw_read_lock(&m->lock);
	for (uint64_t a = addr; a < end && !err;) {
		struct vma *v = mm_find(m, a);
		err = v ? 0 : -EFAULT;
		a = v ? v->end : end;
	}
	rw_read_unlock(&m->lock);
	return err;
}

SYSCALL(get_mempolicy, int __user *mode, uint64_t __user *mask, unsigned long maxnode,
    uint64_t addr, unsigned long flags)
{
	struct mm *m = current_program()->mm;
	int value = (int)m->mempolicy;
	uint64_t nodes = m->mempolicy_nodes;
	if (flags & ~(unsigned long)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (flags & MPOL_F_MEMS_ALLOWED) {
		if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
			return -EINVAL;
		value = 0;
		nodes = online_nodes();
	} else if (flags & MPOL_F_ADDR) {
		if (mm_populate(m, addr, 1, false))
			return -EFAULT;
		if (flags & MPOL_F_NODE)
			value = (int)node_of(mm_translate(m, addr) & PTE_PHYS);
	} else if (flags & MPOL_F_NODE) {
		if ((value & ~MODE_FLAGS) != MPOL_INTERLEAVE)
			return -EINVAL;
		value = nodes ? __builtin_ctzll(nodes) : 0;
	} else if (addr) {
		return -EINVAL;
	}
	if (mode && put_user(value, mode))
		return -EFAULT;
	return mask ? write_mask(mask, maxnode, nodes) : 0;
}

/* Whether pid (0: the caller) exists; programs other than the caller are not reached into. */
static long check_pid(int pid)
{
	if (pid == 0 || pid == current_program()->pid)
		return 0;
	struct program *p = program_find(pid);
	if (!p)
		return -ESRCH;
	program_put(p);
	return -EPERM;
}

SYSCALL(migrate_pages, int pid, unsigned long maxnode, const uint64_t __user *from,
    const uint64_t __user *to)
{
	uint64_t a, b;
	long err = check_pid(pid);
	if (!err)
		err = read_mask(from, maxnode, &a);
	if (!err)
		err = read_mask(to, maxnode, &b);
	if (err)
		return err;
	if (b & ~online_nodes())
		return -EINVAL;
	return a == b || online_nodes() == 1 ? 0 : -EPERM; /* pages do not move between nodes */
}

SYSCALL(move_pages, int pid, unsigned long n, const uint64_t __user *pages, const int __user *nodes,
    int __user *status, int flags)
{
	struct mm *m = current_program()->mm;
	long err = check_pid(pid);
	if (err)
		return err;
	if (flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	for (unsigned long i = 0; i < n; i++) {
		uint64_t addr;
		int want = -1, is;
		if (get_user(addr, pages + i) || (nodes && get_user(want, nodes + i)))
			return -EFAULT;
		uint64_t at = addr < USER_END ? mm_translate(m, addr) : 0;
		is = at ? (int)node_of(at & PTE_PHYS) : -ENOENT;
		if (nodes && (want < 0 || want >= 64 || !(online_nodes() >> want & 1)))
			return -ENODEV;
		if (nodes && is >= 0 && is != want)
			is = -EBUSY;
		if (put_user(is, status + i))
			return -EFAULT;
	}
	return 0;
}
