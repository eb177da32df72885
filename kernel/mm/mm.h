/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program's address space: areas in a balanced tree, and the page tables they fill on demand.
 * mm->lock: read to look areas up and to fault, write to change areas. Page-table entries are
 * installed with compare-and-exchange, so faults on different pages run in parallel; tables are
 * freed under write. Never held over I/O: a fault that must read a file drops it and looks again.
 */
#pragma once

#include "lib/rbtree.h"
#include "mm/page.h"
#include "sched/sync.h"

struct file;
struct mm;
struct vma;
struct trapframe;

struct vma_ops {
	/* Called after the area was linked, split or copied (fork), and before one is dropped. */
	void (*open)(struct vma *v);
	void (*close)(struct vma *v);
	/* Supplies the page for page offset `pgoff` of the object: referenced and up to date, or
	 * err_ptr(); ready to be changed if write (a shared area is about to be written). NULL ops
	 * or NULL fault: anonymous memory. Areas with a file: called without mm->lock, with a copy
	 * of the area that holds a file reference, and may sleep for I/O. Without a file: called
	 * with mm->lock held for reading, and must not touch application memory. -ENOMEM kills,
	 * other errors are SIGBUS. */
	struct page *(*fault)(struct vma *v, uint64_t pgoff, bool write);
	/* A shared writable page is about to become writable in a page table (0, or -errno →
	 * SIGBUS). */
	int (*make_writable)(struct vma *v, struct page *p);
	const char *(*name)(struct vma *v); /* for /proc/self/maps, or NULL */
};

struct vma {
	struct rb_node node;
	uint64_t start, end; /* page aligned */
	uint32_t prot;	     /* PROT_* */
	uint32_t
	    flags; /* MAP_SHARED, MAP_PRIVATE, MAP_GROWSDOWN, MAP_NORESERVE, MAP_LOCKED… | VMA_* */
	uint64_t pgoff;	   /* of start in the object, pages */
	struct file *file; /* referenced; NULL if anonymous */
	const struct vma_ops *ops;
	void *private;
	struct mm *mm;
	struct list mapping_link; /* in file->inode->map.vmas, or empty */
};

enum { VMA_STACK = 1u << 28, VMA_HEAP = 1u << 29, VMA_SPECIAL = 1u << 30, VMA_NOHUGE = 1u << 31 };

struct mm {
	struct rb_tree areas;
	struct rwlock lock;
	uint64_t *pml4; /* kernel address of the top table */
	uint64_t pml4_phys;
	atomic_int refs;
	uint64_t brk_start, brk, stack_top, mmap_base;
	uint64_t arg_start, arg_end, env_start, env_end, vdso, code_start, code_end, data_start,
	    data_end;
	_Atomic int64_t total_pages, locked_pages, rss_anon, rss_file, rss_shmem, peak_rss;
	_Atomic uint64_t cpu_mask; /* CPUs that have it loaded, for TLB shoot-down */
	struct file *exe;
	uint64_t auxv; /* address of the auxiliary vector on the stack, for /proc */
	unsigned area_count;
	unsigned future_flags;	       /* mlockall(MCL_FUTURE): MAP_LOCKED for new areas */
	uint64_t gap_top, gap_skipped; /* where the search for free space starts (mm/vma.c) */
	bool fixed_layout;	       /* personality ADDR_NO_RANDOMIZE: no address randomisation */
	struct rewrite_state *rewrite; /* proc/rewrite: sites and trampolines, or NULL */
	unsigned mempolicy;	       /* set_mempolicy(): mode, and nodes below */
	uint64_t mempolicy_nodes;
};

extern struct mm kernel_mm;

struct mm *mm_create(void);
/* fork(): a copy of m, private pages shared until either side writes. NULL without memory. */
struct mm *mm_copy(struct mm *m);
void mm_get(struct mm *m);
void mm_put(struct mm *m);	/* the last one unmaps everything */
void mm_activate(struct mm *m); /* loads its page tables on this CPU (no-op when loaded) */

/* Maps [addr, addr+len): addr 0 or a hint unless MAP_FIXED/MAP_FIXED_NOREPLACE in flags. Takes its
 * own reference to file. Returns the address or -errno with Linux's meaning. */
long mm_map(struct mm *m, uint64_t addr, uint64_t len, unsigned prot, unsigned flags,
    struct file *file, uint64_t pgoff);
/* The same with kernel-supplied ops (vdso, trampolines, SysV shared memory). */
long mm_map_ops(struct mm *m, uint64_t addr, uint64_t len, unsigned prot, unsigned flags,
    const struct vma_ops *ops, void *private, uint64_t pgoff);
int mm_unmap(struct mm *m, uint64_t addr, uint64_t len);
int mm_protect(struct mm *m, uint64_t addr, uint64_t len, unsigned prot);
/* The area that holds addr or NULL. lock held. */
struct vma *mm_find(struct mm *m, uint64_t addr);
/* The first area that ends above addr. lock held. */
struct vma *mm_find_next(struct mm *m, uint64_t addr);
/* Faults pages in as an access would; write breaks copy-on-write. 0, -EFAULT, -ENOMEM, … */
int mm_populate(struct mm *m, uint64_t addr, uint64_t len, bool write);
/* Page fault at addr: error is the CPU's code (1 present, 2 write, 16 fetch). 0 or the signal to
 * raise: a SIGSEGV/SIGBUS number with *si_code set. Interrupts on, may sleep. */
int mm_fault(struct mm *m, uint64_t addr, uint64_t error, int *si_code);
/* Removes all page-table entries of a file range in every mapping of it (truncate, hole punch). */
struct mapping;
void mm_zap_mapping(struct mapping *map, uint64_t first_page, uint64_t last_page);
/* Makes all mapped pages of a file range read-only, so that the next write to one is noticed:
 * write-back calls it after it cleared PG_DIRTY and before it reads the page. */
void mm_wrprotect_mapping(struct mapping *map, uint64_t first_page, uint64_t last_page);
/* Looks whether a page is mapped; used by mincore and the rewriter: physical address of its page |
 * 1 if writable; 0 if not. */
uint64_t mm_translate(struct mm *m, uint64_t addr);
/* Copies between the kernel and another program's memory, page by page (process_vm_readv,
 * /proc/PID/mem, crash reports). Bytes copied or -EFAULT. */
long mm_access(struct mm *m, uint64_t addr, void *buf, size_t n, bool write);
/* Replaces the page at addr of a private area by a copy that change() has changed, keeping the
 * protection: the system-call rewriter's way to write code. stop: change() runs and the page is
 * replaced while no other CPU executes an application (it must not sleep then). -EAGAIN if change()
 * refused, or -errno. */
int mm_patch_page(
    struct mm *m, uint64_t addr, bool (*change)(void *page, void *arg), void *arg, bool stop);
void mm_init(void);

/* TLB shoot-down on every CPU that has m loaded. Thread context. */
void tlb_flush_range(struct mm *m, uint64_t start, uint64_t end);
/* The same for all of m, when page tables themselves go: every CPU, idle ones too. */
void tlb_flush_tables(struct mm *m);
/* Makes every CPU that still has m loaded load kernel_mm instead. Thread context. */
void mm_unload(struct mm *m);
