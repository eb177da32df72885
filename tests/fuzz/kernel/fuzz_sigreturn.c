/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: the return from a signal with a frame of the application's making. Either SIGSEGV is
 * sent, or the registers are the application's: its addresses, no privileged flags, vector state
 * that XRSTOR takes.
 */
#include <signal.h>
#include <stdlib.h>
#include "arch/x86/fpu.h"
#include "arch/x86/sigframe.h"
#include "arch/x86/trapframe.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "sys/syscall.h"
#include "user.h"

#define AREA 1088
#define FRAME_SIZE 440

/* Carry, parity, adjust, zero, sign, trap, direction, overflow, resume, alignment; interrupts stay
 * on. */
#define APPLICATION_FLAGS (0x50dd5ull | 0x202)

uint32_t fpu_area_size = AREA;
uint64_t fpu_features = 7;
const char syscall_jump_entry[1];
static struct trapframe frame;
static int forced;

long sys_rt_sigreturn(void);

struct trapframe *syscall_frame(void)
{
	return &frame;
}

void sched_fpu_flush(void)
{
}

void sched_fpu_reload(void)
{
}

void signal_force(int sig)
{
	forced = sig;
}

void signal_set_mask(sigset64 mask)
{
	(void)mask;
}

void fpu_init_area(void *area)
{
	memset(area, 0, fpu_area_size);
}

bool fpu_sanitise(void *area)
{
	uint64_t *header = (uint64_t *)((char *)area + 512);
	*(uint32_t *)((char *)area + 24) &= 0xffff;
	if (header[1])
		return false;
	header[0] &= fpu_features;
	memset(header + 2, 0, 48);
	return true;
}

void *kmalloc(size_t n)
{
	return aligned_alloc(64, ALIGN_UP(n, 64));
}

void kfree(void *p)
{
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct thread_signals signals;
	static struct thread thread;
	static _Alignas(64) uint8_t fpu[AREA];
	if (n < 8)
		return 0;
	char *memory = malloc(n);
	memcpy(memory, data, n);
	user_window(memory, n);
	memset(&signals, 0, sizeof signals);
	thread.signals = &signals;
	thread.fpu = fpu;
	host_thread = &thread;
	forced = 0;
	memset(&frame, 0, sizeof frame);
	frame.rip = 0x1000;
	frame.rsp = USER_WINDOW + data[0] % 16 * 8;
	sys_rt_sigreturn();
	if (forced) {
		if (forced != SIGSEGV || frame.rip != 0x1000)
			abort();
	} else if ((frame.rip >= USER_END && frame.rip != (uint64_t)syscall_jump_entry) ||
		   frame.rsp >= USER_END || frame.cs != 0x10 || frame.ss != 0x18 ||
		   (frame.rflags & ~APPLICATION_FLAGS) || !(frame.rflags & 0x200) || frame.vector ||
		   *(uint32_t *)(fpu + 24) >> 16) {
		abort();
	}
	free(memory);
	return 0;
}
