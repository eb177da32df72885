/* SPDX-License-Identifier: BSD-3-Clause */
/* The classic BPF machine: an accumulator, an index register, 16 words of memory, forward jumps. */
#include "net/packet/bpf.h"
#include <asm/errno.h>

static bool load_ok(const struct sock_filter *i)
{
	switch (BPF_MODE(i->code)) {
	case BPF_IMM:
	case BPF_LEN:
		return BPF_SIZE(i->code) == BPF_W;
	case BPF_MEM:
		return BPF_SIZE(i->code) == BPF_W && i->k < BPF_MEMWORDS;
	case BPF_ABS:
	case BPF_IND:
		return BPF_CLASS(i->code) == BPF_LD && BPF_SIZE(i->code) != 0x18;
	case BPF_MSH:
		return BPF_CLASS(i->code) == BPF_LDX && BPF_SIZE(i->code) == BPF_B;
	}
	return false;
}

static bool alu_ok(const struct sock_filter *i)
{
	bool constant = BPF_SRC(i->code) == BPF_K;

	switch (BPF_OP(i->code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_OR:
	case BPF_AND:
	case BPF_XOR:
	case BPF_NEG:
		return true;
	case BPF_LSH:
	case BPF_RSH:
		return !constant || i->k < 32;
	case BPF_DIV:
	case BPF_MOD:
		return !constant || i->k;
	}
	return false;
}

static bool jump_ok(const struct sock_filter *i, unsigned at, unsigned n)
{
	unsigned left = n - at - 1; /* instructions behind this one */

	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return i->k < left;
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		return i->jt < left && i->jf < left;
	}
	return false;
}

int bpf_check(const struct sock_filter *prog, unsigned n)
{
	if (!n || n > BPF_MAXINSNS || BPF_CLASS(prog[n - 1].code) != BPF_RET)
		return -EINVAL;
	for (unsigned at = 0; at < n; at++) {
		const struct sock_filter *i = &prog[at];
		bool ok = i->code < 256;
		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
		case BPF_LDX:
			ok = ok && load_ok(i);
			break;
		case BPF_ST:
		case BPF_STX:
			ok = ok && i->k < BPF_MEMWORDS && i->code == BPF_CLASS(i->code);
			break;
		case BPF_ALU:
			ok = ok && alu_ok(i);
			break;
		case BPF_JMP:
			ok = ok && jump_ok(i, at, n);
			break;
		case BPF_RET:
			ok = ok && (BPF_RVAL(i->code) == BPF_K || BPF_RVAL(i->code) == BPF_A);
			break;
		case BPF_MISC:
			ok = ok &&
			     (BPF_MISCOP(i->code) == BPF_TAX || BPF_MISCOP(i->code) == BPF_TXA);
			break;
		}
		if (!ok)
			return -EINVAL;
	}
	return 0;
}

/* Values that are not bytes of the packet, at negative offsets. */
static bool load_ancillary(const struct bpf_packet *p, uint32_t k, uint32_t *v)
{
	switch (k - (uint32_t)SKF_AD_OFF) {
	case SKF_AD_PROTOCOL:
		*v = p->protocol;
		return true;
	case SKF_AD_PKTTYPE:
		*v = p->type;
		return true;
	case SKF_AD_IFINDEX:
		*v = p->ifindex;
		return true;
	case SKF_AD_HATYPE:
		*v = p->hatype;
		return true;
	case SKF_AD_MARK:
		*v = p->mark;
		return true;
	case SKF_AD_CPU:
		*v = p->cpu;
		return true;
	case SKF_AD_RANDOM:
		*v = p->random;
		return true;
	case SKF_AD_QUEUE:
	case SKF_AD_RXHASH:
	case SKF_AD_VLAN_TAG:
	case SKF_AD_VLAN_TAG_PRESENT:
	case SKF_AD_VLAN_TPID:
		*v = 0;
		return true;
	}
	return false;
}

static bool load(const struct bpf_packet *p, uint32_t k, unsigned size, uint32_t *v)
{
	uint8_t b[4];
	unsigned n = size == BPF_W ? 4 : size == BPF_H ? 2 : 1;

	if ((int32_t)k < 0) {
		if ((int32_t)k >= SKF_AD_OFF)
			return load_ancillary(p, k, v);
		if ((int32_t)k >= SKF_NET_OFF)
			k = k - (uint32_t)SKF_NET_OFF + p->net_off;
		else if ((int32_t)k >= SKF_LL_OFF)
			k = k - (uint32_t)SKF_LL_OFF;
		else
			return false;
	}
	if (!p->read(p, k, b, n))
		return false;
	*v = 0;
	for (unsigned i = 0; i < n; i++)
		*v = *v << 8 | b[i];
	return true;
}

/* False: division by zero, which ends the program. */
static bool compute(unsigned op, uint32_t *a, uint32_t v)
{
	switch (op) {
	case BPF_ADD:
		*a += v;
		break;
	case BPF_SUB:
		*a -= v;
		break;
	case BPF_MUL:
		*a *= v;
		break;
	case BPF_DIV:
	case BPF_MOD:
		if (!v)
			return false;
		*a = op == BPF_DIV ? *a / v : *a % v;
		break;
	case BPF_OR:
		*a |= v;
		break;
	case BPF_AND:
		*a &= v;
		break;
	case BPF_XOR:
		*a ^= v;
		break;
	case BPF_LSH:
		*a = v < 32 ? *a << v : 0;
		break;
	case BPF_RSH:
		*a = v < 32 ? *a >> v : 0;
		break;
	case BPF_NEG:
		*a = -*a;
		break;
	}
	return true;
}

static bool compare(unsigned op, uint32_t a, uint32_t v)
{
	switch (op) {
	case BPF_JEQ:
		return a == v;
	case BPF_JGT:
		return a > v;
	case BPF_JGE:
		return a >= v;
	default:
		return a & v;
	}
}

static bool load_index(
    const struct sock_filter *i, const struct bpf_packet *p, const uint32_t *m, uint32_t *x)
{
	uint32_t v = 0;

	switch (BPF_MODE(i->code)) {
	case BPF_IMM:
		*x = i->k;
		return true;
	case BPF_MEM:
		*x = m[i->k];
		return true;
	case BPF_LEN:
		*x = p->len;
		return true;
	}
	if (!load(p, i->k, BPF_B, &v)) /* BPF_MSH: bytes of an IPv4 header */
		return false;
	*x = (v & 15) * 4;
	return true;
}

uint32_t bpf_run(const struct sock_filter *prog, const struct bpf_packet *p)
{
	uint32_t a = 0, x = 0, m[BPF_MEMWORDS] = {0};

	for (const struct sock_filter *i = prog;; i++) {
		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
			if (BPF_MODE(i->code) == BPF_IMM)
				a = i->k;
			else if (BPF_MODE(i->code) == BPF_MEM)
				a = m[i->k];
			else if (BPF_MODE(i->code) == BPF_LEN)
				a = p->len;
			else if (!load(p, i->k + (BPF_MODE(i->code) == BPF_IND ? x : 0),
				     BPF_SIZE(i->code), &a))
				return 0;
			break;
		case BPF_LDX:
			if (!load_index(i, p, m, &x))
				return 0;
			break;
		case BPF_ST:
			m[i->k] = a;
			break;
		case BPF_STX:
			m[i->k] = x;
			break;
		case BPF_ALU:
			if (!compute(BPF_OP(i->code), &a, BPF_SRC(i->code) == BPF_X ? x : i->k))
				return 0;
			break;
		case BPF_JMP:
			if (BPF_OP(i->code) == BPF_JA)
				i += i->k;
			else
				i += compare(
					 BPF_OP(i->code), a, BPF_SRC(i->code) == BPF_X ? x : i->k)
					 ? i->jt
					 : i->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(i->code) == BPF_A ? a : i->k;
		case BPF_MISC:
			if (BPF_MISCOP(i->code) == BPF_TAX)
				x = a;
			else
				a = x;
			break;
		}
	}
}
