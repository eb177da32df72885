/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Static tracepoints. TRACE(name, "format", args…) declares and passes one: while it is off the
 * cost is one 5-byte NOP that is patched into a jump when a mode is switched on. Up to six
 * arguments of integer or pointer type; the format gives their types, and the argument of a %s is a
 * string in kernel memory that is copied. The same name may stand in several places and is switched
 * as one. Any context.
 */
#pragma once

#include "arch/x86/percpu.h"
#include "lib/util.h"

/* What happens at a tracepoint; TRACE_BACKTRACE adds the call chain to what is recorded. */
enum { TRACE_COUNT = 1, TRACE_RECORD = 2, TRACE_PRINT = 4, TRACE_BACKTRACE = 8, TRACE_MODES = 15 };

struct tracepoint {
	const char *name;
	const char *format;
	uint32_t modes;	  /* TRACE_* bits in force */
	uint16_t id;	  /* index in the sorted table of names, given at boot */
	uint16_t strings; /* bit for each argument that is a %s, given at boot */
};

__attribute__((cold)) void trace_hit(struct tracepoint *tp, unsigned n, const uint64_t *args);
/* Takes the modes `clear` from all tracepoints whose name matches the pattern ('*' and '?') and
 * gives them the modes `set`; returns how many names match, or -ENOMEM. Thread context. */
int trace_change(const char *pattern, uint32_t clear, uint32_t set);
/* The same as text: "PATTERN[ MODE]…", with MODE count, record, print or backtrace, which sets
 * exactly these; +MODE and -MODE change one and leave the others; "!PATTERN" switches off; a
 * pattern alone means count and record. Words end at blanks or commas. Changes the text. 0,
 * -EINVAL, -ENOENT if nothing matches, -ENOMEM. */
int trace_command(char *text);
/* Hits of all tracepoints of tp's name since boot, summed over CPUs. */
uint64_t trace_count(const struct tracepoint *tp);
void trace_init(void);

#define TRACE_ARGS_(...) ((const uint64_t[]){0, ##__VA_ARGS__})
#define TRACE_U64_0_()
#define TRACE_U64_1_(a) , (uint64_t)(uintptr_t)(a)
#define TRACE_U64_2_(a, ...) , (uint64_t)(uintptr_t)(a)TRACE_U64_1_(__VA_ARGS__)
#define TRACE_U64_3_(a, ...) , (uint64_t)(uintptr_t)(a)TRACE_U64_2_(__VA_ARGS__)
#define TRACE_U64_4_(a, ...) , (uint64_t)(uintptr_t)(a)TRACE_U64_3_(__VA_ARGS__)
#define TRACE_U64_5_(a, ...) , (uint64_t)(uintptr_t)(a)TRACE_U64_4_(__VA_ARGS__)
#define TRACE_U64_6_(a, ...) , (uint64_t)(uintptr_t)(a)TRACE_U64_5_(__VA_ARGS__)
#define TRACE_PICK_(_0, _1, _2, _3, _4, _5, _6, f, ...) f
#define TRACE_LIST_(...)                                                                       \
	TRACE_PICK_(_0, ##__VA_ARGS__, TRACE_U64_6_, TRACE_U64_5_, TRACE_U64_4_, TRACE_U64_3_, \
	    TRACE_U64_2_, TRACE_U64_1_, TRACE_U64_0_)                                          \
	(__VA_ARGS__)

#ifdef CARRARA_HOST
#define TRACE(name, fmt, ...) \
	do {                  \
	} while (0)
#else
/* One instruction on this CPU's own counter, so an interrupt may count in between. A switched-on
 * tracepoint always counts; TRACE_COUNT says whether somebody wants to see it. */
static inline void trace_count_one(uint32_t id)
{
	uint64_t *counts = this_cpu()->trace_counts;

	if (likely(counts))
		asm volatile("incq %0" : "+m"(counts[id]));
}
#define TRACE(tname, fmt, ...)                                                            \
	do {                                                                              \
		__label__ hit_;                                                           \
		static struct tracepoint tp_ __attribute__((                              \
		    section(".tracepoints"), used, aligned(8))) = {#tname, fmt, 0, 0, 0}; \
		asm goto("1: .byte 0x0f,0x1f,0x44,0x00,0x00\n"                            \
			 ".pushsection .trace_sites,\"aw\"\n"                             \
			 ".quad 1b, %l[hit_], %c0\n"                                      \
			 ".popsection"                                                    \
			 :                                                                \
			 : "i"(&tp_)                                                      \
			 :                                                                \
			 : hit_);                                                         \
		if (0) {                                                                  \
		hit_:;                                                                    \
			trace_count_one(tp_.id);                                          \
			if (tp_.modes & (TRACE_RECORD | TRACE_PRINT)) {                   \
				const uint64_t a_[] = {0 TRACE_LIST_(__VA_ARGS__)};       \
				trace_hit(&tp_, ARRAY_SIZE(a_) - 1, a_ + 1);              \
			}                                                                 \
		}                                                                         \
	} while (0)
#endif
