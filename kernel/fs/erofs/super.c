/* SPDX-License-Identifier: BSD-3-Clause */
/* Superblock, inodes, directories. */
#include "fs/erofs/internal.h"

#define MAGIC 0xE0F5E1E2u
#define SUPER_OFFSET 1024u
#define COMPAT_CHECKSUM 1u
#define DIRENT 12u
#define S_TYPE 0170000u

/* CRC-32C (Castagnoli), as the superblock's checksum uses it: no final inversion. */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
	while (n--) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
	}
	return crc;
}

static int check_sum(const struct erofs *fs, uint32_t expect)
{
	size_t n = (1u << fs->blkbits) > SUPER_OFFSET ? (1u << fs->blkbits) - SUPER_OFFSET
						      : 1u << fs->blkbits;
	uint8_t *b = fs->io.alloc(n);
	if (!b)
		return -ENOMEM;
	int err = erofs_bytes(fs, SUPER_OFFSET, b, n);
	if (!err) {
		memset(b + 4, 0, 4);
		if (crc32c(~0u, b, n) != expect)
			err = -EIO;
	}
	fs->io.free(b);
	return err;
}

int erofs_open(struct erofs *fs, const struct erofs_io *io)
{
	uint8_t sb[128];
	*fs = (struct erofs){.io = *io};
	if (io->size < SUPER_OFFSET + sizeof sb)
		return -EINVAL;
	int err = erofs_bytes(fs, SUPER_OFFSET, sb, sizeof sb);
	if (err)
		return err;
	if (le32(sb) != MAGIC)
		return -EINVAL;
	fs->blkbits = sb[12];
	if (fs->blkbits < 9 || fs->blkbits > 12)
		return -EOPNOTSUPP;
	fs->incompat = le32(sb + 80);
	fs->root_nid = le16(sb + 14);
	fs->inodes = le64(sb + 16);
	fs->build_time = (int64_t)le64(sb + 24);
	fs->build_nsec = le32(sb + 32);
	fs->blocks = le32(sb + 36);
	fs->meta = (uint64_t)le32(sb + 40) << fs->blkbits;
	fs->xattrs = (uint64_t)le32(sb + 44) << fs->blkbits;
	fs->packed_nid = le64(sb + 96);
	memcpy(fs->uuid, sb + 48, 16);
	if ((fs->incompat & ~INCOMPAT_KNOWN) || le16(sb + 86) /* other devices */ ||
	    sb[90] /* large directory blocks */)
		return -EOPNOTSUPP;
	if (fs->build_nsec >= 1000000000u || fs->meta >= io->size)
		return -EIO;
	return le32(sb + 8) & COMPAT_CHECKSUM ? check_sum(fs, le32(sb + 4)) : 0;
}

/* ---- Inodes ---- */

static int sane(const struct erofs *fs, const struct erofs_inode *i)
{
	static const uint16_t types[] = {
	    0100000, 0040000, 0120000, 0020000, 0060000, 0010000, 0140000};
	bool known = false;
	for (size_t k = 0; k < sizeof types / sizeof *types; k++)
		known |= (i->mode & S_TYPE) == types[k];
	if (!known || i->size > INT64_MAX || i->mtime_nsec >= 1000000000u)
		return -EIO;
	if (i->layout == EROFS_PLAIN || i->layout == EROFS_INLINE) {
		uint64_t blocks = (i->size >> fs->blkbits) + (i->layout == EROFS_PLAIN);
		bool data = (i->mode & S_TYPE) == 0100000 || (i->mode & S_TYPE) == 0040000 ||
			    (i->mode & S_TYPE) == 0120000;
		if (data && i->size && blocks > (fs->io.size >> fs->blkbits) + 1)
			return -EIO;
	}
	return 0;
}

int erofs_get_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *i)
{
	uint8_t b[64];
	if (nid > (fs->io.size >> 5))
		return -EIO;
	uint64_t at = fs->meta + (nid << 5);
	int err = erofs_bytes(fs, at, b, 32);
	if (err)
		return err;
	unsigned format = le16(b);
	if (format & ~0xfu)
		return -EOPNOTSUPP;
	*i = (struct erofs_inode){.nid = nid, .mode = le16(b + 4), .layout = format >> 1};
	if (i->layout > EROFS_CHUNKS)
		return -EOPNOTSUPP;
	uint64_t isize = 32;
	if (format & 1) {
		err = erofs_bytes(fs, at + 32, b + 32, 32);
		if (err)
			return err;
		isize = 64;
		i->size = le64(b + 8);
		i->u = le32(b + 16);
		i->uid = le32(b + 24);
		i->gid = le32(b + 28);
		i->mtime = (int64_t)le64(b + 32);
		i->mtime_nsec = le32(b + 40);
		i->nlink = le32(b + 44);
	} else {
		i->nlink = le16(b + 6);
		i->size = le32(b + 8);
		i->u = le32(b + 16);
		i->uid = le16(b + 24);
		i->gid = le16(b + 26);
		i->mtime = fs->build_time;
		i->mtime_nsec = fs->build_nsec;
	}
	unsigned xcount = le16(b + 2);
	i->xattr = at + isize;
	i->xattr_size = xcount ? 12 + (xcount - 1) * 4 : 0;
	i->body = i->xattr + i->xattr_size;
	uint32_t type = i->mode & S_TYPE;
	if (type == 0020000 || type == 0060000)
		i->rdev = i->u;
	err = sane(fs, i);
	if (!err && i->size && (i->layout == EROFS_Z_FULL || i->layout == EROFS_Z_COMPACT))
		err = type == 0100000 ? erofs_z_init(fs, i) : -EIO;
	return err;
}

/* ---- Directories: blocks of sorted entries, each with the names behind the entries ---- */

struct block {
	uint8_t *b;
	unsigned size, count; /* bytes in use, entries */
};

static int load_block(
    const struct erofs *fs, const struct erofs_inode *dir, uint64_t n, struct block *k)
{
	uint64_t off = n << fs->blkbits, left = dir->size - off;
	k->size = left < (1u << fs->blkbits) ? (unsigned)left : 1u << fs->blkbits;
	int err = erofs_read(fs, dir, off, k->b, k->size);
	if (err)
		return err;
	if (k->size < DIRENT)
		return -EIO;
	unsigned first = le16(k->b + 8);
	if (first < DIRENT || first % DIRENT || first >= k->size)
		return -EIO;
	k->count = first / DIRENT;
	return 0;
}

/* Entry e's name; -EIO if it does not lie behind the entries. */
static int entry_name(const struct block *k, unsigned e, const char **name, size_t *len)
{
	const uint8_t *d = k->b + e * DIRENT;
	unsigned from = le16(d + 8), to = e + 1 < k->count ? le16(d + DIRENT + 8) : k->size;
	if (from < k->count * DIRENT || from >= to || to > k->size)
		return -EIO;
	*name = (const char *)k->b + from;
	*len = strnlen(*name, to - from);
	return *len && *len <= 255 ? 0 : -EIO;
}

/* How name sorts against entry e: <0, 0, >0 in *order. */
static int compare(const struct block *k, unsigned e, const char *name, size_t len, int *order)
{
	const char *n;
	size_t l;
	int err = entry_name(k, e, &n, &l);
	if (err)
		return err;
	*order = memcmp(name, n, len < l ? len : l);
	if (!*order)
		*order = len < l ? -1 : len > l;
	return 0;
}

static int search_block(
    const struct block *k, const char *name, size_t len, uint64_t *nid, int *order)
{
	unsigned lo = 0, hi = k->count;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		int err = compare(k, mid, name, len, order);
		if (err)
			return err;
		if (!*order) {
			*nid = le64(k->b + mid * DIRENT);
			return 0;
		}
		if (*order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	*order = !lo		  ? -1
		 : lo == k->count ? 1
				  : 0; /* before the block, behind it, or in it but missing */
	return -ENOENT;
}

int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name,
    size_t len, uint64_t *nid)
{
	struct block k = {.b = fs->io.alloc(1u << fs->blkbits)};
	if (!k.b)
		return -ENOMEM;
	uint64_t lo = 0, hi = (dir->size + (1u << fs->blkbits) - 1) >> fs->blkbits;
	int err = -ENOENT;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		int order = 0;
		err = load_block(fs, dir, mid, &k);
		if (err)
			break;
		err = search_block(&k, name, len, nid, &order);
		if (err != -ENOENT || !order)
			break;
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	fs->io.free(k.b);
	return err;
}

int erofs_readdir(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *pos,
    bool (*emit)(
	void *ctx, const char *name, size_t len, uint64_t nid, unsigned type, uint64_t next),
    void *ctx)
{
	/* A position is the offset of the entry. */
	struct block k = {.b = fs->io.alloc(1u << fs->blkbits)};
	if (!k.b)
		return -ENOMEM;
	int err = 0;
	bool more = true;
	while (!err && more && *pos < dir->size) {
		uint64_t n = *pos >> fs->blkbits;
		err = load_block(fs, dir, n, &k);
		unsigned e = (unsigned)(*pos & ((1u << fs->blkbits) - 1)) / DIRENT;
		for (; !err && more && e < k.count; e++) {
			const char *name;
			size_t len;
			err = entry_name(&k, e, &name, &len);
			if (err)
				break;
			uint64_t next = (n << fs->blkbits) + (e + 1) * DIRENT;
			if (e + 1 == k.count)
				next = (n + 1) << fs->blkbits;
			const uint8_t *d = k.b + e * DIRENT;
			more = emit(ctx, name, len, le64(d), d[10], next);
			if (more)
				*pos = next;
		}
		if (!err && more && *pos >> fs->blkbits == n)
			*pos = (n + 1) << fs->blkbits;
	}
	fs->io.free(k.b);
	return err;
}
