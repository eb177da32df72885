/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the bytes of files are, and reading them. */
#include "fs/erofs/internal.h"
#include "lib/lz4.h"

#define CHUNK_INDEXES 0x20u
#define MAX_DECODE (8u << 20) /* the most of one extent that is decoded at a time */

static int map_flat(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t at, struct erofs_extent *e)
{
	uint64_t bs = 1ull << fs->blkbits, start = (uint64_t)i->u << fs->blkbits;
	uint64_t tail = i->layout == EROFS_INLINE ? (i->size - 1) & ~(bs - 1) : i->size;
	*e = (struct erofs_extent){.kind = EROFS_RAW};
	if (at < tail) {
		e->pa = start;
		e->llen = tail;
	} else { /* behind the inode, within its block */
		e->la = tail;
		e->pa = i->body;
		e->llen = i->size - tail;
		if ((i->body & (bs - 1)) + e->llen > bs)
			return -EIO;
	}
	e->plen = e->llen;
	return 0;
}

static int map_chunk(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t at, struct erofs_extent *e)
{
	unsigned bits = fs->blkbits + (i->u & 0x1f);
	uint8_t b[8];
	if ((i->u & 0xffff & ~0x3fu) || bits > 40)
		return -EOPNOTSUPP;
	unsigned unit = i->u & CHUNK_INDEXES ? 8 : 4;
	uint64_t n = at >> bits;
	if (n > fs->io.size / unit)
		return -EIO;
	uint64_t table = (i->body + unit - 1) & ~(uint64_t)(unit - 1);
	int err = erofs_bytes(fs, table + n * unit, b, unit);
	if (err)
		return err;
	if (unit == 8 && le16(b + 2))
		return -EOPNOTSUPP; /* on another device */
	uint32_t block = le32(b + unit - 4);
	e->la = n << bits;
	e->llen = i->size - e->la < 1ull << bits ? i->size - e->la : 1ull << bits;
	e->kind = block == ~0u ? EROFS_HOLE : EROFS_RAW;
	e->pa = block == ~0u ? 0 : (uint64_t)block << fs->blkbits;
	e->plen = e->llen;
	return 0;
}

int erofs_map(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t at, struct erofs_extent *e)
{
	int err;
	if (at >= i->size)
		return -EINVAL;
	if (i->layout == EROFS_PLAIN || i->layout == EROFS_INLINE)
		err = map_flat(fs, i, at, e);
	else if (i->layout == EROFS_CHUNKS)
		err = map_chunk(fs, i, at, e);
	else
		err = erofs_z_map(fs, i, at, e);
	if (!err && (at < e->la || at - e->la >= e->llen))
		err = -EIO;
	return err;
}

/* Bytes [skip, skip + n) of what extent e decodes to. */
static int read_lz4(
    const struct erofs *fs, const struct erofs_extent *e, uint64_t skip, void *buf, size_t n)
{
	if (e->plen > 1u << 20 || skip + n > MAX_DECODE)
		return -EIO;
	uint8_t *in = fs->io.alloc(e->plen), *out = buf;
	if (!in)
		return -ENOMEM;
	int err = erofs_bytes(fs, e->pa, in, e->plen);
	if (!err && skip && !(out = fs->io.alloc(skip + n)))
		err = -ENOMEM;
	if (!err) {
		size_t pad = 0;
		if (fs->incompat & INCOMPAT_ZERO_PADDING)
			while (pad < e->plen && !in[pad])
				pad++;
		long got = lz4_decompress(in + pad, e->plen - pad, out, skip + n, 1);
		if (got != (long)(skip + n))
			err = -EIO;
		else if (skip)
			memcpy(buf, out + skip, n);
	}
	if (out && out != buf)
		fs->io.free(out);
	fs->io.free(in);
	return err;
}

/* Stored without compression, the part before the first block boundary of the file at the end. */
static int read_interlaced(
    const struct erofs *fs, const struct erofs_extent *e, uint64_t skip, uint8_t *buf, size_t n)
{
	uint64_t bs = 1ull << fs->blkbits;
	while (n) {
		uint64_t at = (e->la + skip) & (bs - 1);
		size_t part = bs - at < n ? (size_t)(bs - at) : n;
		int err = at + part > e->plen ? -EIO : erofs_bytes(fs, e->pa + at, buf, part);
		if (err)
			return err;
		buf += part;
		skip += part;
		n -= part;
	}
	return 0;
}

static int read_fragment(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t at, void *buf, size_t n)
{
	struct erofs_inode packed;
	if (i->nid == fs->packed_nid)
		return -EIO; /* would go round in circles */
	int err = erofs_get_inode(fs, fs->packed_nid, &packed);
	if (err)
		return err;
	if ((packed.layout == EROFS_Z_FULL || packed.layout == EROFS_Z_COMPACT) &&
	    (packed.z.advise & 0x20))
		return -EIO;
	if (at > packed.size || n > packed.size - at)
		return -EIO;
	return erofs_read(fs, &packed, at, buf, n);
}

static int read_extent(const struct erofs *fs, const struct erofs_inode *i,
    const struct erofs_extent *e, uint64_t skip, void *buf, size_t n)
{
	switch (e->kind) {
	case EROFS_HOLE:
		memset(buf, 0, n);
		return 0;
	case EROFS_RAW:
	case EROFS_SHIFTED:
		return skip + n > e->plen ? -EIO : erofs_bytes(fs, e->pa + skip, buf, n);
	case EROFS_INTERLACED:
		return read_interlaced(fs, e, skip, buf, n);
	case EROFS_FRAGMENT:
		return read_fragment(fs, i, e->pa + skip, buf, n);
	case EROFS_LZ4:
		return read_lz4(fs, e, skip, buf, n);
	}
	return -EIO;
}

int erofs_read(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t off, void *buf, size_t n)
{
	if (off > i->size || n > i->size - off)
		return -EINVAL;
	while (n) {
		struct erofs_extent e;
		int err = erofs_map(fs, i, off, &e);
		if (err)
			return err;
		uint64_t skip = off - e.la, left = e.llen - skip;
		size_t part = left < n ? (size_t)left : n;
		err = read_extent(fs, i, &e, skip, buf, part);
		if (err)
			return err;
		buf = (uint8_t *)buf + part;
		off += part;
		n -= part;
	}
	return 0;
}
