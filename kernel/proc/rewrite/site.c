/* SPDX-License-Identifier: BSD-3-Clause */
/* Analysis of one SYSCALL site, and its trampoline. */
#include "proc/rewrite/site.h"

#include "lib/string.h"
#include "proc/rewrite/insn.h"

#define JUMP_SIZE 5
#define MAX_BACK 16 /* instructions remembered before the site */

/* musl's cancellation point compares the program counter with labels around it; it must keep
 * trapping. */
static const uint8_t musl_cancel_point[] = {0x4c, 0x89, 0x5c, 0x24, 0x08, 0x0f, 0x05, 0xc3};

static bool movable(const struct insn *i)
{
	return i->kind == INSN_PLAIN || i->kind == INSN_BRANCH;
}

/* Addresses of the last instructions before the site, by a sweep from the function's start. */
struct sweep {
	uint64_t at[MAX_BACK];
	struct insn insn[MAX_BACK];
	unsigned n; /* in all; entry k is at index k % MAX_BACK */
};

static bool sweep_to(const uint8_t *code, size_t n, uint64_t start, uint64_t site, struct sweep *s)
{
	size_t at = 0;
	s->n = 0;
	while (start + at < site) {
		struct insn *i = &s->insn[s->n % MAX_BACK];
		s->at[s->n % MAX_BACK] = start + at;
		unsigned len = insn_decode(code + at, n - at, i);
		if (!len)
			return false;
		at += len;
		s->n++;
	}
	return start + at == site;
}

static const char *choose(const struct sweep *s, uint64_t site, struct site_plan *out)
{
	for (unsigned k = 1; k <= s->n && k < MAX_BACK; k++) {
		unsigned i = (s->n - k) % MAX_BACK;
		if (!movable(&s->insn[i]))
			return "a jump, call or system call is in the way";
		uint64_t bytes = site - s->at[i];
		if (k > 1 && s->insn[(s->n - k + 1) % MAX_BACK].endbr)
			return "an indirect jump may lead between";
		if (bytes > SITE_MAX_DISPLACED)
			break;
		if (bytes >= JUMP_SIZE) {
			out->start = s->at[i];
			out->displaced = (unsigned)bytes;
			out->instructions = k;
			return NULL;
		}
	}
	return "too few bytes before it";
}

/* Branches that lead to (low, high), and direct jumps out of [start, start + n) into exits. */
static const char *scan(const uint8_t *code, size_t n, uint64_t start, uint64_t low, uint64_t high,
    struct site_plan *out)
{
	for (size_t at = 0; at < n;) {
		struct insn i;
		unsigned len = insn_decode(code + at, n - at, &i);
		if (!len)
			return "an instruction of the function is unknown";
		uint64_t target = start + at + (uint64_t)i.target_offset;
		if (i.has_target && target > low && target < high)
			return "a branch leads between the displaced instructions";
		if (out && i.kind == INSN_INDIRECT)
			return "the function has an indirect jump";
		bool leaves = i.has_target && i.kind != INSN_CALL && target - start >= n;
		if (out && leaves) {
			unsigned k = 0;
			while (k < out->nexits && out->exits[k] != target)
				k++;
			if (k == SITE_MAX_EXITS)
				return "the function has too many exits";
			out->exits[k] = target;
			out->nexits = MAX(out->nexits, k + 1);
		}
		at += len;
	}
	return NULL;
}

const char *site_plan(const uint8_t *code, size_t n, uint64_t start, uint64_t site,
    bool landing_pads, struct site_plan *out)
{
	struct sweep s;
	memset(out, 0, sizeof *out);
	if (site < start || site - start > n || n - (site - start) < 2 || n > SITE_MAX_FUNCTION)
		return "not inside the function";
	const uint8_t *here = code + (site - start);
	if (here[0] != 0x0f || here[1] != 0x05)
		return "not a SYSCALL";
	if (site - start >= 5 && n - (site - start) >= 3 &&
	    memcmp(here - 5, musl_cancel_point, sizeof musl_cancel_point) == 0)
		return "a cancellation point that compares addresses";
	if (!sweep_to(code, n, start, site, &s))
		return "decoding from the function's start does not arrive at it";
	const char *why = choose(&s, site, out);
	if (why || out->instructions == 1)
		return why;
	if (landing_pads)
		return "an exception may continue between";
	return scan(code, n, start, out->start, site, out);
}

bool site_reaches(const uint8_t *code, size_t n, uint64_t start, uint64_t low, uint64_t high)
{
	return scan(code, n, start, low, high, NULL) != NULL;
}

/* Length of the move of a constant to a register that the n bytes end with, if the register has
 * that value; `prefix`: in the form with that many bytes before the constant. 0 if it is none. */
static unsigned constant_move(
    const uint8_t *before, size_t n, unsigned prefix, const struct site_registers *seen)
{
	uint32_t imm;
	unsigned reg, len = prefix + 4;
	uint64_t value;
	if (n < len)
		return 0;
	const uint8_t *p = before + n - len;
	memcpy(&imm, p + prefix, 4);
	value = imm;
	if (prefix == 1 && (p[0] & 0xf8) == 0xb8) { /* mov $imm,%eax … */
		reg = p[0] & 7;
	} else if (prefix == 2 && p[0] == 0x41 && (p[1] & 0xf8) == 0xb8) { /* %r8d … */
		reg = 8 + (p[1] & 7);
	} else if (prefix == 3 && (p[0] & 0xfe) == 0x48 && p[1] == 0xc7 &&
		   (p[2] & 0xf8) == 0xc0) { /* mov $imm,%rax … */
		reg = (p[0] & 1) * 8 + (p[2] & 7);
		value = (uint64_t)(int64_t)(int32_t)imm;
	} else {
		return 0;
	}
	return (seen->known >> reg & 1) && seen->r[reg] == value ? len : 0;
}

/* Decoding falls into step after a few instructions wherever it starts. Every start that arrives at
 * the end must do so over the last `len` bytes as one instruction. */
static bool decodes_to(const uint8_t *before, size_t n, unsigned len)
{
	unsigned agree = 0;
	for (size_t from = 0; from + len < n; from++) {
		struct insn i;
		size_t at = from, last = from;
		while (at < n) {
			unsigned step = insn_decode(before + at, n - at, &i);
			if (!step)
				break;
			last = at;
			at += step;
		}
		if (at != n)
			continue;
		if (last != n - len && n - from > 24)
			return false;
		agree += last == n - len;
	}
	return agree || n == len;
}

const char *site_plan_blind(const uint8_t *before, size_t n, uint64_t site,
    const struct site_registers *seen, struct site_plan *out)
{
	bool constant = false;
	memset(out, 0, sizeof *out);
	for (unsigned prefix = 3; prefix; prefix--) {
		unsigned len = constant_move(before, n, prefix, seen);
		constant |= len != 0;
		if (!len || !decodes_to(before, n, len))
			continue;
		out->start = site - len;
		out->displaced = len;
		out->instructions = 1;
		return NULL;
	}
	return constant ? "the instructions before it are ambiguous"
			: "no constant is moved to a register before it, or it holds another";
}

static bool near_offset(uint64_t from, uint64_t to, int32_t *rel)
{
	int64_t d = (int64_t)(to - from);
	*rel = (int32_t)d;
	return d == *rel;
}

/* Appends one displaced instruction, adjusted to its new address; returns the new length or 0. */
static size_t move(const uint8_t *p, const struct insn *i, uint64_t old, uint64_t at, uint8_t *buf)
{
	int32_t rel;
	if (i->kind == INSN_BRANCH) {
		if (!near_offset(at + 6, old + (uint64_t)i->target_offset, &rel))
			return 0;
		buf[0] = 0x0f;
		buf[1] = 0x80 | i->condition;
		memcpy(buf + 2, &rel, 4);
		return 6;
	}
	memcpy(buf, p, i->length);
	if (i->rip_disp) {
		int32_t disp;
		memcpy(&disp, p + i->rip_disp, 4);
		uint64_t target = old + i->length + (uint64_t)(int64_t)disp;
		if (!near_offset(at + i->length, target, &rel))
			return 0;
		memcpy(buf + i->rip_disp, &rel, 4);
	}
	return i->length;
}

size_t site_emit(const struct site_plan *plan, const uint8_t *displaced, uint64_t at, uint64_t slot,
    uint8_t *buf, size_t max)
{
	uint64_t after = plan->start + plan->displaced + 2;
	size_t n = 0;
	int32_t rel;
	for (unsigned done = 0; done < plan->displaced;) {
		struct insn i;
		unsigned len = insn_decode(displaced + done, plan->displaced - done, &i);
		if (!len || !movable(&i) || n + INSN_MAX > max)
			return 0;
		size_t put = move(displaced + done, &i, plan->start + done, at + n, buf + n);
		if (!put)
			return 0;
		n += put;
		done += len;
	}
	if (n + 13 > max || !near_offset(at + n + 7, after, &rel))
		return 0;
	memcpy(buf + n, "\x48\x8d\x0d", 3); /* lea rel(%rip),%rcx */
	memcpy(buf + n + 3, &rel, 4);
	n += 7;
	if (!near_offset(at + n + 6, slot, &rel))
		return 0;
	memcpy(buf + n, "\xff\x25", 2); /* jmp *rel(%rip) */
	memcpy(buf + n + 2, &rel, 4);
	return n + 6;
}
