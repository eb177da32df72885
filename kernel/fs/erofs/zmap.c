/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Maps of compressed files.
 *
 * A file is cut into logical clusters ("lclusters") of 2^lcbits bytes. For each, an index entry
 * says whether a compressed extent begins in it (HEAD, PLAIN when stored) and at which offset, or
 * how far back the one begins that covers it (NONHEAD). The full form has 8 bytes for each entry;
 * the compact form packs 2 entries into 8 bytes or 16 into 32, with one block address for the whole
 * pack.
 */
#include "fs/erofs/internal.h"

enum { PLAIN, HEAD1, NONHEAD, HEAD2 };

#define ADVISE_2B 0x01u
#define ADVISE_BIG1 0x02u
#define ADVISE_BIG2 0x04u
#define ADVISE_INLINE 0x08u
#define ADVISE_INTERLACED 0x10u
#define ADVISE_FRAGMENT 0x20u
#define CBLKCNT 0x800u /* the entry holds a count of compressed blocks instead of a distance */

struct lcluster {
	unsigned type;
	uint32_t ofs;	 /* of the extent's start in the lcluster, for heads */
	uint32_t back;	 /* NONHEAD: distance to the head */
	uint32_t blocks; /* NONHEAD: compressed blocks of the extent if noted here */
	uint32_t block;	 /* heads: where the compressed data starts */
	uint64_t next;	 /* byte offset behind this entry, or its pack */
};

static int load_full(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t lcn, struct lcluster *l)
{
	uint8_t b[8];
	uint64_t at = ((i->body + 7) & ~7ull) + 16 + lcn * 8;
	int err = erofs_bytes(fs, at, b, 8);
	if (err)
		return err;
	*l = (struct lcluster){.type = b[0] & 3, .ofs = le16(b + 2), .next = at + 8};
	if (l->type == NONHEAD) {
		uint16_t d = le16(b + 4);
		l->back = d & CBLKCNT ? 1 : d;
		l->blocks = d & CBLKCNT ? d & (CBLKCNT - 1) : 0;
		if (l->blocks && !(i->z.advise & (ADVISE_BIG1 | ADVISE_BIG2)))
			return -EIO;
	} else {
		l->block = le32(b + 4);
		if (l->ofs >= 1u << i->z.lcbits)
			return -EIO;
	}
	return 0;
}

/* A pack of compact entries. */
struct pack {
	uint8_t b[36]; /* 32, and some to read over the end */
	unsigned bits, lobits;
};

static uint32_t entry(const struct pack *p, int k, unsigned *type)
{
	unsigned at = p->bits * (unsigned)k;
	uint32_t v = (uint32_t)(le64(p->b + at / 8) >> (at & 7));
	*type = v >> p->lobits & 3;
	return v & ((1u << p->lobits) - 1);
}

/* Compressed blocks of the extents that begin in the pack before entry k. */
static int blocks_before(const struct pack *p, int k, bool big, uint32_t *blocks)
{
	uint32_t n = big ? 0 : 1;
	while (k > 0) {
		unsigned type;
		uint32_t lo = entry(p, --k, &type);
		if (!big) {
			if (type == NONHEAD)
				k -= (int)lo;
			if (k >= 0)
				n++;
			continue;
		}
		if (type != NONHEAD) {
			n++;
		} else if (lo & CBLKCNT) {
			k--;
			n += lo & (CBLKCNT - 1);
		} else if (lo <= 1) {
			return -EIO;
		} else {
			k -= (int)lo - 2;
		}
	}
	*blocks = n;
	return 0;
}

static int decode_compact(const struct erofs_inode *i, const struct pack *p, unsigned count,
    unsigned k, struct lcluster *l)
{
	bool big = i->z.advise & ADVISE_BIG1;
	uint32_t lo = entry(p, (int)k, &l->type), n;
	if (l->type != NONHEAD) {
		l->ofs = lo;
		if (lo >= 1u << i->z.lcbits)
			return -EIO;
		int err = blocks_before(p, (int)k, big, &n);
		if (!err)
			l->block = le32(p->b + (p->bits * count + 7) / 8) + n;
		return err;
	}
	if (lo & CBLKCNT) {
		if (!big)
			return -EIO;
		l->blocks = lo & (CBLKCNT - 1);
		l->back = 1;
	} else if (k + 1 < count) {
		l->back = lo;
	} else { /* the last one of a pack counts forwards; the one before says how far back */
		unsigned type;
		lo = entry(p, (int)k - 1, &type);
		if (type != NONHEAD)
			lo = 0;
		else if (lo & CBLKCNT)
			lo = 1;
		l->back = lo + 1;
	}
	return 0;
}

static int load_compact(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t lcn, struct lcluster *l)
{
	uint64_t base = ((i->body + 7) & ~7ull) + 8;
	uint64_t total = ((i->size - 1) >> i->z.lcbits) + 1;
	uint64_t first4 = (32 - base % 32) / 4 % 8, run2 = 0;
	unsigned shift = 2;
	if ((i->z.advise & ADVISE_2B) && first4 < total)
		run2 = (total - first4) & ~15ull;
	uint64_t at = base;
	if (lcn >= first4) {
		at += first4 * 4;
		lcn -= first4;
		if (lcn < run2) {
			shift = 1;
		} else {
			at += run2 * 2;
			lcn -= run2;
		}
	}
	at += lcn << shift;

	struct pack p = {.lobits = i->z.lcbits > 12 ? i->z.lcbits : 12};
	unsigned count;
	if (shift == 2 && i->z.lcbits <= 14)
		count = 2;
	else if (shift == 1 && i->z.lcbits <= 12)
		count = 16;
	else
		return -EOPNOTSUPP;
	unsigned size = count << shift;
	p.bits = (size - 4) * 8 / count;
	uint64_t start = at & ~(uint64_t)(size - 1);
	int err = erofs_bytes(fs, start, p.b, size);
	if (err)
		return err;
	/* The address stands behind the entries, in the pack's last 4 bytes. */
	*l = (struct lcluster){.next = start + size};
	return decode_compact(i, &p, count, (unsigned)(at - start) >> shift, l);
}

static int load(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t lcn, struct lcluster *l)
{
	if (lcn > (i->size - 1) >> i->z.lcbits)
		return -EIO;
	return i->layout == EROFS_Z_FULL ? load_full(fs, i, lcn, l) : load_compact(fs, i, lcn, l);
}

/* The head of the extent that covers byte `at`: its lcluster's number and entry. `last` gets what
 * was known of the entry of at's own lcluster. */
static int find_head(const struct erofs *fs, const struct erofs_inode *i, uint64_t at,
    uint64_t *head, struct lcluster *h, struct lcluster *last)
{
	uint64_t lcn = at >> i->z.lcbits;
	int err = load(fs, i, lcn, h);
	if (err)
		return err;
	*last = *h;
	uint64_t back = 0;
	if (h->type == NONHEAD)
		back = h->back;
	else if ((at & ((1u << i->z.lcbits) - 1)) < h->ofs)
		back = 1;
	else {
		*head = lcn;
		return 0;
	}
	for (;;) {
		if (!back || back > lcn)
			return -EIO;
		lcn -= back;
		err = load(fs, i, lcn, h);
		if (err)
			return err;
		if (h->type != NONHEAD) {
			*head = lcn;
			return 0;
		}
		back = h->back;
	}
}

int erofs_z_init(const struct erofs *fs, struct erofs_inode *i)
{
	uint8_t b[8];
	uint64_t at = (i->body + 7) & ~7ull;
	int err = erofs_bytes(fs, at, b, 8);
	if (err)
		return err;
	if (b[7] & 0x80) { /* the whole file is a fragment */
		i->z.whole_fragment = true;
		i->z.fragment = le64(b) & ~(1ull << 63);
		i->z.advise = ADVISE_FRAGMENT;
		return 0;
	}
	i->z.advise = le16(b + 4);
	i->z.algorithm[0] = b[6] & 15;
	i->z.algorithm[1] = b[6] >> 4;
	i->z.lcbits = (uint8_t)(fs->blkbits + (b[7] & 7));
	if (b[7] & 0x78)
		return -EOPNOTSUPP;
	bool big1 = i->z.advise & ADVISE_BIG1, big2 = i->z.advise & ADVISE_BIG2;
	if (i->layout == EROFS_Z_COMPACT && big1 != big2)
		return -EIO;
	if (!(i->z.advise & (ADVISE_INLINE | ADVISE_FRAGMENT)))
		return 0;

	i->z.tail_head = UINT64_MAX;
	struct lcluster h, last;
	uint64_t head;
	err = find_head(fs, i, i->size - 1, &head, &h, &last);
	if (err)
		return err;
	i->z.tail_head = head;
	if (i->z.advise & ADVISE_INLINE) {
		i->z.idata_size = le16(b + 2);
		i->z.idata = last.next;
		uint64_t bs = 1ull << fs->blkbits;
		if (!i->z.idata_size || (i->z.idata & (bs - 1)) + i->z.idata_size > bs)
			return -EIO;
	} else {
		i->z.fragment = le32(b);
		if (i->layout == EROFS_Z_FULL)
			i->z.fragment |= (uint64_t)h.block << 32;
	}
	return 0;
}

/* Where the extent with this head ends in the file: at the next head. */
static int extent_end(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t head, uint64_t *end)
{
	uint64_t last = (i->size - 1) >> i->z.lcbits;
	for (uint64_t lcn = head + 1; lcn <= last; lcn++) {
		struct lcluster l;
		int err = load(fs, i, lcn, &l);
		if (err)
			return err;
		if (l.type != NONHEAD) {
			*end = (lcn << i->z.lcbits) + l.ofs;
			if (*end > i->size)
				*end = i->size;
			return 0;
		}
		if (lcn - head > 4096)
			return -EIO; /* longer than any compressor makes them */
	}
	*end = i->size;
	return 0;
}

/* Size of the compressed data of the extent with this head. */
static int compressed_size(const struct erofs *fs, const struct erofs_inode *i, uint64_t head,
    unsigned type, uint64_t *size)
{
	bool big = type == HEAD1   ? i->z.advise & ADVISE_BIG1
		   : type == HEAD2 ? i->z.advise & ADVISE_BIG2
				   : 0;
	*size = 1ull << i->z.lcbits;
	if (!big || head + 1 > (i->size - 1) >> i->z.lcbits)
		return 0;
	struct lcluster l;
	int err = load(fs, i, head + 1, &l);
	if (err || l.type != NONHEAD)
		return err;
	if (l.back != 1 || !l.blocks)
		return -EIO;
	*size = (uint64_t)l.blocks << fs->blkbits;
	return 0;
}

int erofs_z_map(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t at, struct erofs_extent *e)
{
	if (i->z.whole_fragment) {
		*e = (struct erofs_extent){
		    .kind = EROFS_FRAGMENT, .llen = i->size, .pa = i->z.fragment};
		return 0;
	}
	struct lcluster h, last;
	uint64_t head, end;
	int err = find_head(fs, i, at, &head, &h, &last);
	if (!err)
		err = extent_end(fs, i, head, &end);
	if (err)
		return err;
	e->la = (head << i->z.lcbits) + h.ofs;
	if (end <= e->la)
		return -EIO;
	e->llen = end - e->la;
	bool tail = (i->z.advise & (ADVISE_INLINE | ADVISE_FRAGMENT)) && head == i->z.tail_head;
	if (tail && (i->z.advise & ADVISE_FRAGMENT)) {
		e->kind = EROFS_FRAGMENT;
		e->pa = i->z.fragment;
		e->plen = e->llen;
		return 0;
	}
	if (tail) {
		e->pa = i->z.idata;
		e->plen = i->z.idata_size;
	} else {
		e->pa = (uint64_t)h.block << fs->blkbits;
		err = compressed_size(fs, i, head, h.type, &e->plen);
		if (err)
			return err;
	}
	if (h.type == PLAIN) {
		e->kind = i->z.advise & ADVISE_INTERLACED ? EROFS_INTERLACED : EROFS_SHIFTED;
		return e->llen > e->plen ? -EIO : 0;
	}
	e->kind = EROFS_LZ4;
	return i->z.algorithm[h.type == HEAD2] ? -EOPNOTSUPP : 0;
}
