/* SPDX-License-Identifier: BSD-3-Clause */
/* Instruction decoder: one character per opcode says what follows it. */
#include "proc/rewrite/insn.h"

#include "lib/string.h"

/*
 * . nothing      M ModRM        b imm8           w imm16      z imm32 (imm16 after 66)
 * m ModRM+imm8   Z ModRM+immz   v imm of b8-bf   o moffs      e imm16+imm8 (enter)
 * 3 group 3 byte 4 group 3 word r rel8   R rel32  x invalid or prefix (handled before)
 */
static const char map_one[] = "MMMMbzxxMMMMbzxx"  /* 00 */
			      "MMMMbzxxMMMMbzxx"  /* 10 */
			      "MMMMbzxxMMMMbzxx"  /* 20 */
			      "MMMMbzxxMMMMbzxx"  /* 30 */
			      "xxxxxxxxxxxxxxxx"  /* 40: REX */
			      "................"  /* 50 */
			      "xxxMxxxxzZbm...."  /* 60 */
			      "rrrrrrrrrrrrrrrr"  /* 70 */
			      "mZxmMMMMMMMMMMMM"  /* 80 */
			      "..........x....."  /* 90 */
			      "oooo....bz......"  /* a0 */
			      "bbbbbbbbvvvvvvvv"  /* b0 */
			      "mmw.xxmZe.w..bx."  /* c0 */
			      "MMMMxxx.MMMMMMMM"  /* d0 */
			      "rrrrbbbbRRxr...."  /* e0 */
			      "x.xx..34......MM"; /* f0 */

static const char map_0f[] = "MMMMx.....x.xM.m"	 /* 00 */
			     "MMMMMMMMMMMMMMMM"	 /* 10 */
			     "MMMMxxxxMMMMMMMM"	 /* 20 */
			     "......x.xxxxxxxx"	 /* 30 */
			     "MMMMMMMMMMMMMMMM"	 /* 40 */
			     "MMMMMMMMMMMMMMMM"	 /* 50 */
			     "MMMMMMMMMMMMMMMM"	 /* 60 */
			     "mmmmMMM.MMxxMMMM"	 /* 70 */
			     "RRRRRRRRRRRRRRRR"	 /* 80 */
			     "MMMMMMMMMMMMMMMM"	 /* 90 */
			     "...MmMxx...MmMMM"	 /* a0 */
			     "MMMMMMMMMMmMMMMM"	 /* b0 */
			     "MMmMmmmM........"	 /* c0 */
			     "MMMMMMMMMMMMMMMM"	 /* d0 */
			     "MMMMMMMMMMMMMMMM"	 /* e0 */
			     "MMMMMMMMMMMMMMMM"; /* f0 */

enum { REX_W = 8 };

struct decoder {
	const uint8_t *p;
	size_t n, at;
	bool opsize, addrsize, repne, rep, bad;
	uint8_t rex, modrm;
	struct insn *out;
};

static uint8_t next_byte(struct decoder *d)
{
	if (d->at >= d->n || d->at >= INSN_MAX) {
		d->bad = true;
		return 0;
	}
	return d->p[d->at++];
}

static void skip(struct decoder *d, unsigned n)
{
	d->at += n;
	if (d->at > d->n || d->at > INSN_MAX)
		d->bad = true;
}

static int64_t signed_at(const struct decoder *d, size_t at, unsigned n)
{
	int32_t v;
	if (n == 1)
		return (int8_t)d->p[at];
	memcpy(&v, d->p + at, 4);
	return v;
}

/* ModRM, SIB and displacement. */
static void operand(struct decoder *d)
{
	d->modrm = next_byte(d);
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7, disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	if (mod == 3)
		return;
	if (rm == 4) {
		uint8_t sib = next_byte(d);
		if (mod == 0 && (sib & 7) == 5)
			disp = 4;
	} else if (mod == 0 && rm == 5) {
		disp = 4;
		d->out->rip_disp = (uint8_t)d->at;
	}
	skip(d, disp);
}

static void relative(struct decoder *d, unsigned n, enum insn_kind kind)
{
	size_t at = d->at;
	skip(d, n);
	if (d->bad)
		return;
	d->out->kind = kind;
	d->out->has_target = true;
	d->out->target_offset = (int64_t)d->at + signed_at(d, at, n);
}

/* What follows an opcode, by its character. */
static void tail(struct decoder *d, char c)
{
	unsigned immz = d->opsize && !(d->rex & REX_W) ? 2 : 4;
	switch (c) {
	case '.':
		break;
	case 'M':
		operand(d);
		break;
	case 'm':
		operand(d);
		skip(d, 1);
		break;
	case 'Z':
		operand(d);
		skip(d, immz);
		break;
	case 'b':
		skip(d, 1);
		break;
	case 'w':
		skip(d, 2);
		break;
	case 'e':
		skip(d, 3);
		break;
	case 'z':
		skip(d, immz);
		break;
	case 'v':
		skip(d, d->rex & REX_W ? 8 : immz);
		break;
	case 'o':
		skip(d, d->addrsize ? 4 : 8);
		break;
	case '3':
	case '4':
		operand(d);
		if ((d->modrm >> 3 & 7) < 2)
			skip(d, c == '3' ? 1 : immz);
		break;
	default:
		d->bad = true;
	}
}

/* c7 f8: xbegin, which continues at its target when it aborts; c6 f8: xabort. The rest of the group
 * is invalid. */
static void transaction(struct decoder *d, uint8_t op)
{
	if (d->modrm != 0xf8 || d->opsize || d->bad) {
		d->bad = true;
		return;
	}
	d->out->kind = INSN_STOP;
	if (op == 0xc7) {
		d->out->has_target = true;
		d->out->target_offset = (int64_t)d->at + signed_at(d, d->at - 4, 4);
	}
}

static void one_byte(struct decoder *d, uint8_t op)
{
	struct insn *o = d->out;
	char c = map_one[op];
	if (c == 'r') {
		relative(d, 1, op == 0xeb ? INSN_JUMP : op >= 0xe0 ? INSN_LOOP : INSN_BRANCH);
		o->condition = op & 15;
		return;
	}
	if (c == 'R') {
		if (d->opsize) /* processors disagree about 66 e8 */
			d->bad = true;
		relative(d, 4, op == 0xe8 ? INSN_CALL : INSN_JUMP);
		return;
	}
	tail(d, c);
	unsigned reg = d->modrm >> 3 & 7;
	if (op == 0xc2 || op == 0xc3 || op == 0xca || op == 0xcb || op == 0xcf)
		o->kind = INSN_RETURN;
	else if (op == 0xcc || op == 0xcd || op == 0xf4 || op == 0xf1)
		o->kind = INSN_STOP;
	else if (op == 0xff && (reg == 2 || reg == 3))
		o->kind = INSN_CALL;
	else if (op == 0xff && (reg == 4 || reg == 5))
		o->kind = INSN_INDIRECT;
	else if ((op == 0xff && reg == 7) || (op == 0xfe && reg > 1) || (op == 0x8f && reg))
		d->bad = true;
	else if ((op == 0xc7 || op == 0xc6) && reg)
		transaction(d, op);
}

static void two_byte(struct decoder *d)
{
	struct insn *o = d->out;
	uint8_t op = next_byte(d);
	if (op == 0x38) {
		next_byte(d);
		tail(d, 'M');
		return;
	}
	if (op == 0x3a) {
		next_byte(d);
		tail(d, 'm');
		return;
	}
	char c = map_0f[op];
	if (c == 'R') {
		if (d->opsize)
			d->bad = true;
		relative(d, 4, INSN_BRANCH);
		o->condition = op & 15;
		return;
	}
	tail(d, c);
	if (op == 0x05)
		o->kind = INSN_SYSCALL;
	else if (op == 0x07 || op == 0x34 || op == 0x35 || op == 0x0b || op == 0xb9 || op == 0xff)
		o->kind = INSN_STOP;
	else if (op >= 0x20 && op <= 0x23 && d->modrm < 0xc0)
		d->bad = true;
	else if ((op == 0x78 || op == 0x79) && (d->opsize || d->repne))
		d->bad = true;
	o->endbr = op == 0x1e && d->rep && d->modrm == 0xfa;
}

/* VEX and EVEX: map 1 shares the immediates of 0f, map 2 has none, map 3 always one. */
static void vector(struct decoder *d, unsigned map)
{
	uint8_t op = next_byte(d);
	if (map == 1 && (map_0f[op] == 'm' || map_0f[op] == 'M' || op == 0x77))
		tail(d, map_0f[op]);
	else if (map == 2 || map == 5 || map == 6)
		tail(d, 'M');
	else if (map == 3)
		tail(d, 'm');
	else
		d->bad = true;
}

static void extended(struct decoder *d, uint8_t op)
{
	uint8_t first = next_byte(d);
	if (d->rex || d->opsize || d->rep || d->repne) {
		d->bad = true;
		return;
	}
	if (op == 0xc5) {
		vector(d, 1);
	} else if (op == 0xc4) {
		next_byte(d);
		vector(d, (first & 0x1f) <= 3 ? first & 0x1f : 0);
	} else {
		uint8_t second = next_byte(d);
		next_byte(d);
		if ((first & 0x08) || !(second & 0x04))
			d->bad = true;
		vector(d, first & 7);
	}
}

/* Legacy prefixes and REX; returns the opcode byte. */
static uint8_t prefixes(struct decoder *d)
{
	for (;;) {
		uint8_t b = next_byte(d);
		if (d->bad)
			return 0;
		switch (b) {
		case 0x66:
			d->opsize = true;
			break;
		case 0x67:
			d->addrsize = true;
			break;
		case 0xf2:
			d->repne = true;
			break;
		case 0xf3:
			d->rep = true;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
		case 0xf0:
			break;
		default:
			if ((b & 0xf0) != 0x40)
				return b;
			d->rex = b;
			b = next_byte(d);
			/* A prefix after REX makes the REX meaningless; compilers do not write
			 * that. */
			if ((b & 0xf0) == 0x40 || b == 0x66 || b == 0x67 || b == 0xf2 ||
			    b == 0xf3 || b == 0xf0)
				d->bad = true;
			return b;
		}
	}
}

unsigned insn_decode(const uint8_t *p, size_t n, struct insn *out)
{
	struct decoder d = {.p = p, .n = n, .out = out};
	memset(out, 0, sizeof *out);
	uint8_t op = prefixes(&d);
	if (d.bad)
		return 0;
	if (op == 0x0f)
		two_byte(&d);
	else if (op == 0xc4 || op == 0xc5 || op == 0x62)
		extended(&d, op);
	else
		one_byte(&d, op);
	if (d.bad)
		return 0;
	return out->length = (uint8_t)d.at;
}
