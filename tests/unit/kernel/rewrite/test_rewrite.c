/* SPDX-License-Identifier: BSD-3-Clause */
/* The instruction decoder against objdump, and the planning and emission of rewritten sites. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object.h"
#include "proc/rewrite/ehframe.h"
#include "proc/rewrite/insn.h"
#include "proc/rewrite/site.h"

static const char *const libc_path = "/lib/x86_64-linux-gnu/libc.so.6";
static const char *const ld_path = "/lib64/ld-linux-x86-64.so.2";
static const char *const musl_path = "/lib/ld-musl-x86_64.so.1";

static bool read_object(const struct eh_reader *r, uint64_t addr, void *buf, size_t n)
{
	const uint8_t *p = object_at(r->context, addr, n);
	if (p)
		memcpy(buf, p, n);
	return p;
}

struct counts {
	unsigned instructions, wrong, sites, planned, single, blind;
};

/* Judges one SYSCALL. */
static void judge(struct object *o, uint64_t site, struct counts *c)
{
	struct eh_reader r = {read_object, o};
	struct eh_function f;
	struct site_plan plan;
	const char *why = "no function bounds";
	c->sites++;
	if (o->eh_frame_hdr &&
	    eh_find_function(&r, o->eh_frame_hdr, o->eh_frame_hdr_size, site, &f)) {
		const uint8_t *code = object_at(o, f.start, f.end - f.start);
		assert_non_null(code);
		why = site_plan(code, f.end - f.start, f.start, site, f.has_landing_pads, &plan);
		if (!why) {
			uint8_t buf[SITE_MAX_TRAMPOLINE];
			const uint8_t *displaced = object_at(o, plan.start, plan.displaced);
			uint64_t at = o->base + o->size + 4096;
			assert_true(plan.displaced >= 5 && plan.start + plan.displaced == site);
			assert_true(
			    site_emit(&plan, displaced, at, at + 128, buf, sizeof buf) > 13);
			c->planned++;
			c->single += plan.instructions == 1;
		}
	}
	const uint8_t *before = object_at(o, site - 48, 48);
	uint32_t imm;
	assert_non_null(before);
	memcpy(&imm, before + 44, 4);
	/* Registers that agree with whatever the bytes say: only the decoding decides. */
	struct site_registers seen = {.known = 0xffff};
	for (int i = 0; i < 16; i++)
		seen.r[i] = before[42] == 0xc7 ? (uint64_t)(int64_t)(int32_t)imm : imm;
	const char *blind = site_plan_blind(before, 48, site, &seen, &plan);
	c->blind += !blind;
	/* What is accepted without function bounds must be what function bounds say. */
	if (!blind && !why) {
		struct site_plan full;
		const uint8_t *code = object_at(o, f.start, f.end - f.start);
		assert_null(
		    site_plan(code, f.end - f.start, f.start, site, f.has_landing_pads, &full));
		assert_int_equal(full.start, plan.start);
	}
}

/* Compares every instruction objdump lists; judges every SYSCALL. */
static void compare(const char *path, struct counts *c)
{
	char command[256], line[512];
	struct object o;
	uint64_t last = 0;
	bool last_skipped = true;
	memset(c, 0, sizeof *c);
	if (!object_load(path, &o))
		return;
	snprintf(command, sizeof command, "objdump -d -w --no-show-raw-insn %s", path);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		char *tab = strchr(line, '\t');
		if (!tab || line[0] != ' ') {
			last_skipped = true; /* a label or the end of a section */
			continue;
		}
		uint64_t at = strtoull(line, NULL, 16);
		if (!last_skipped) {
			struct insn i;
			const uint8_t *p = object_at(&o, last, at - last);
			assert_non_null(p);
			unsigned len = insn_decode(p, at - last, &i);
			c->instructions++;
			if (len != at - last && c->wrong++ < 5)
				fprintf(stderr, "%s %#lx: length %u, objdump says %lu\n", path,
				    last, len, at - last);
		}
		last = at;
		/* objdump folds fwait into the next instruction and marks what it cannot read. */
		const uint8_t *p = object_at(&o, at, 1);
		last_skipped = strstr(tab, "(bad)") || !p || *p == 0x9b || strstr(tab, "data16") ||
			       strstr(tab, "rex");
		if (strncmp(tab + 1, "syscall", 7) == 0)
			judge(&o, at, c);
	}
	pclose(f);
	object_free(&o);
	fprintf(stderr,
	    "%s: %u instructions, %u sites, %u planned (%u single), %u without bounds\n", path,
	    c->instructions, c->sites, c->planned, c->single, c->blind);
}

static void decoder_agrees_glibc(void **state)
{
	struct counts c;
	(void)state;
	compare(libc_path, &c);
	assert_true(c.instructions > 100000);
	assert_int_equal(c.wrong, 0);
	assert_true(c.sites > 300);
	assert_true(c.planned * 100 >= c.sites * 90);
	compare(ld_path, &c);
	assert_int_equal(c.wrong, 0);
	assert_true(c.sites > 20);
	assert_true(c.planned * 100 >= c.sites * 85);
}

static void decoder_agrees_musl(void **state)
{
	struct counts c;
	(void)state;
	compare(musl_path, &c);
	if (!c.instructions)
		skip();
	assert_int_equal(c.wrong, 0);
	assert_true(c.blind > 10);
}

static void lengths(void **state)
{
	static const struct {
		const char *bytes;
		unsigned n, length;
		enum insn_kind kind;
	} cases[] = {
	    {"\x90", 1, 1, INSN_PLAIN},
	    {"\x0f\x05", 2, 2, INSN_SYSCALL},
	    {"\x0f", 1, 0, INSN_PLAIN},
	    {"\xb8\x01\x00\x00\x00", 5, 5, INSN_PLAIN},
	    {"\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10, 10, INSN_PLAIN},
	    {"\x66\xb8\x01\x00", 4, 4, INSN_PLAIN},
	    {"\xe8\x00\x00\x00\x00", 5, 5, INSN_CALL},
	    {"\x66\xe8\x00\x00\x00\x00", 6, 0, INSN_PLAIN},
	    {"\x74\x05", 2, 2, INSN_BRANCH},
	    {"\x0f\x84\x00\x00\x00\x00", 6, 6, INSN_BRANCH},
	    {"\xe3\x05", 2, 2, INSN_LOOP},
	    {"\xff\xe0", 2, 2, INSN_INDIRECT},
	    {"\x3e\xff\xe0", 3, 3, INSN_INDIRECT},
	    {"\xff\xd0", 2, 2, INSN_CALL},
	    {"\xc3", 1, 1, INSN_RETURN},
	    {"\x80\x3d\x01\x02\x03\x04\x00", 7, 7, INSN_PLAIN},
	    {"\xf7\x05\x01\x02\x03\x04\x01\x00\x00\x00", 10, 10, INSN_PLAIN},
	    {"\x64\x48\x8b\x04\x25\x28\x00\x00\x00", 9, 9, INSN_PLAIN},
	    {"\xc5\xf8\x77", 3, 3, INSN_PLAIN},
	    {"\xc4\xe3\x7d\x18\xc0\x01", 6, 6, INSN_PLAIN},
	    {"\x62\xf1\x7c\x48\x10\x00", 6, 6, INSN_PLAIN},
	    {"\xc7\xf8\x00\x00\x00\x00", 6, 6, INSN_STOP}, /* xbegin */
	    {"\xc7\xf9\x00\x00\x00\x00", 6, 0, INSN_PLAIN},
	    {"\x06", 1, 0, INSN_PLAIN},
	    {"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90", 16, 0, INSN_PLAIN},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct insn in;
		unsigned len = insn_decode((const uint8_t *)cases[i].bytes, cases[i].n, &in);
		assert_int_equal(len, cases[i].length);
		if (len)
			assert_int_equal(in.kind, cases[i].kind);
	}
}

/* cmpb $0,x(%rip); je 1f; xor %eax,%eax; syscall; ret; 1: mov $-1,%eax; ret */
static const uint8_t read_like[] = {0x80, 0x3d, 0xf9, 0x0f, 0, 0, 0, 0x74, 0x05, 0x31, 0xc0, 0x0f,
    0x05, 0xc3, 0xb8, 0xff, 0xff, 0xff, 0xff, 0xc3};

static void several_instructions(void **state)
{
	struct site_plan p;
	(void)state;
	assert_null(site_plan(read_like, sizeof read_like, 0x1000, 0x100b, false, &p));
	assert_int_equal(p.start, 0x1000);
	assert_int_equal(p.displaced, 11);
	assert_int_equal(p.instructions, 3);
	assert_non_null(site_plan(read_like, sizeof read_like, 0x1000, 0x100b, true, &p));
}

static void refusals(void **state)
{
	struct site_plan p;
	/* jmp to the xor: a boundary inside; a call in the way; an indirect jump; the musl pattern.
	 */
	static const uint8_t inner[] = {0x89, 0xc7, 0x89, 0xc6, 0x31, 0xc0, 0x0f, 0x05, 0xeb, 0xfa};
	static const uint8_t call[] = {0xff, 0xd0, 0x31, 0xc0, 0x0f, 0x05, 0xc3};
	static const uint8_t table[] = {0x89, 0xc7, 0x89, 0xc6, 0x31, 0xc0, 0x0f, 0x05, 0xff, 0xe0};
	static const uint8_t musl[] = {0x4c, 0x89, 0x5c, 0x24, 0x08, 0x0f, 0x05, 0xc3};
	static const uint8_t none[] = {0x31, 0xc0, 0x0f, 0x05, 0xc3};
	static const uint8_t endbr[] = {0x89, 0xc7, 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x05, 0xc3};
	(void)state;
	assert_non_null(site_plan(inner, sizeof inner, 0x1000, 0x1006, false, &p));
	assert_non_null(site_plan(call, sizeof call, 0x1000, 0x1004, false, &p));
	assert_non_null(site_plan(table, sizeof table, 0x1000, 0x1006, false, &p));
	assert_non_null(site_plan(musl, sizeof musl, 0x1000, 0x1005, false, &p));
	assert_non_null(site_plan(none, sizeof none, 0x1000, 0x1002, false, &p));
	assert_non_null(site_plan(endbr, sizeof endbr, 0x1000, 0x1006, false, &p));
	assert_non_null(
	    site_plan(none, sizeof none, 0x1000, 0x1001, false, &p)); /* no SYSCALL there */
	assert_true(site_reaches(inner, sizeof inner, 0x1000, 0x1000, 0x1006));
	assert_false(site_reaches(inner, sizeof inner, 0x1000, 0x1004, 0x1006));
}

static void blind_needs_the_number(void **state)
{
	static const uint8_t code[] = {
	    0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10, 0xb8, 0x27, 0, 0, 0};
	/* movl $0x27,-0x48(%rsp): ends like mov $0x27,%eax */
	static const uint8_t trap[] = {
	    0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10, 0xc7, 0x44, 0x24, 0xb8, 0x27, 0, 0, 0};
	/* xor %eax,%eax; mov $-100,%rdi and mov $0x27,%r8d */
	static const uint8_t wide[] = {
	    0x55, 0x48, 0x89, 0xe5, 0x31, 0xc0, 0x48, 0xc7, 0xc7, 0x9c, 0xff, 0xff, 0xff};
	static const uint8_t r8d[] = {
	    0x55, 0x48, 0x89, 0xe5, 0x31, 0xc0, 0x41, 0xb8, 0x27, 0, 0, 0};
	struct site_registers seen = {
	    .r = {0x27, [7] = (uint64_t)-100, [8] = 0x27}, .known = 1 | 1 << 7 | 1 << 8};
	struct site_plan p;
	(void)state;
	assert_null(site_plan_blind(code, sizeof code, 0x5000, &seen, &p));
	assert_int_equal(p.start, 0x5000 - 5);
	assert_non_null(site_plan_blind(trap, sizeof trap, 0x5000, &seen, &p));
	assert_null(site_plan_blind(wide, sizeof wide, 0x5000, &seen, &p));
	assert_int_equal(p.start, 0x5000 - 7);
	assert_null(site_plan_blind(r8d, sizeof r8d, 0x5000, &seen, &p));
	assert_int_equal(p.start, 0x5000 - 6);
	seen.r[0] = 0x28; /* another number, another value, an unknown register */
	assert_non_null(site_plan_blind(code, sizeof code, 0x5000, &seen, &p));
	seen.r[7] = 100;
	assert_non_null(site_plan_blind(wide, sizeof wide, 0x5000, &seen, &p));
	seen.known = 1;
	assert_non_null(site_plan_blind(r8d, sizeof r8d, 0x5000, &seen, &p));
}

/* Where a rewritten site jumps to in the test: makes the real call and returns by rcx. */
void test_entry(void);
asm(".text\n.globl test_entry\ntest_entry: pushq %rcx; syscall; popq %rcx; jmp *%rcx\n");

/* Runs read_like's code in place and displaced: results must be the same. */
static void emitted_code_runs(void **state)
{
	uint8_t *m = mmap(
	    NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* getpid instead of read: mov $39,%al; nop behind xor keeps the shape. */
	static const uint8_t code[] = {0x80, 0x3d, 0xf9, 0x0f, 0, 0,
	    0,					 /* cmpb $0, 0x1000(rip) → m+0x1000 */
	    0x75, 0x08,				 /* jne 1f */
	    0x89, 0xc7,				 /* mov %eax,%edi */
	    0xb0, 0x27,				 /* mov $39,%al */
	    0x0f, 0x05, 0xc3, 0x90,		 /* syscall; ret; nop */
	    0xb8, 0xf9, 0xff, 0xff, 0xff, 0xc3}; /* 1: mov $-7,%eax; ret */
	struct site_plan p;
	(void)state;
	assert_true(m != MAP_FAILED);
	memcpy(m, code, sizeof code);
	assert_null(site_plan(m, sizeof code, (uint64_t)m, (uint64_t)m + 13, false, &p));
	assert_int_equal(p.instructions, 4 - 1 + (p.displaced > 6));
	uint64_t at = (uint64_t)m + 0x400, slot = (uint64_t)m + 0x800;
	*(void (**)(void))slot = test_entry;
	uint8_t buf[SITE_MAX_TRAMPOLINE];
	size_t n = site_emit(&p, m + (p.start - (uint64_t)m), at, slot, buf, sizeof buf);
	assert_true(n > 0);
	memcpy((void *)at, buf, n);
	int32_t rel = (int32_t)(at - (p.start + 5));
	uint8_t *jump = (uint8_t *)p.start;
	jump[0] = 0xe9;
	memcpy(jump + 1, &rel, 4);
	/* The function reads eax, so it is called with eax cleared, through an assembler thunk. */
	long result;
	asm volatile("call *%1"
		     : "=a"(result)
		     : "r"(m), "0"(0L)
		     : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	assert_int_equal((int)result, getpid());
	m[0x1000] = 1;
	asm volatile("call *%1"
		     : "=a"(result)
		     : "r"(m), "0"(0L)
		     : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	assert_int_equal((int)result, -7);
	munmap(m, 8192);
}

/* __restore_rt's unwind entry starts one byte before its code: it must not be taken for a function.
 */
static void signal_return_refused(void **state)
{
	static const uint8_t pattern[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	struct object o;
	struct eh_function f;
	(void)state;
	if (!object_load(libc_path, &o))
		skip();
	struct eh_reader r = {read_object, &o};
	uint8_t *at = memmem(o.image, o.size, pattern, sizeof pattern);
	assert_non_null(at);
	uint64_t site = o.base + (uint64_t)(at - o.image) + 7;
	assert_false(eh_find_function(&r, o.eh_frame_hdr, o.eh_frame_hdr_size, site, &f));
	object_free(&o);
}

static void unwind_tables_distrusted(void **state)
{
	struct object o;
	struct eh_function f;
	(void)state;
	if (!object_load(libc_path, &o))
		skip();
	struct eh_reader r = {read_object, &o};
	const uint64_t size = o.eh_frame_hdr_size;
	assert_false(eh_find_function(&r, o.eh_frame_hdr, 8, o.base + 0x30000, &f));
	assert_false(eh_find_function(&r, o.base + o.size, size, o.base + 0x30000, &f));
	assert_false(eh_find_function(&r, o.eh_frame_hdr, size, o.base + (1ull << 40), &f));
	uint8_t *hdr = o.image + (o.eh_frame_hdr - o.base);
	for (size_t i = 0; i < size && i < 4096; i += 3) /* garbage never makes it read wildly */
		hdr[i] ^= 0x5a;
	for (uint64_t pc = o.base; pc < o.base + o.size; pc += 997)
		eh_find_function(&r, o.eh_frame_hdr, size, pc, &f);
	object_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(several_instructions),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(blind_needs_the_number),
	    cmocka_unit_test(emitted_code_runs),
	    cmocka_unit_test(signal_return_refused),
	    cmocka_unit_test(unwind_tables_distrusted),
	    cmocka_unit_test(decoder_agrees_glibc),
	    cmocka_unit_test(decoder_agrees_musl),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
