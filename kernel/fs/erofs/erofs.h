/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EROFS, the read-only file system of our images, as a library: pure C that builds in the kernel,
 * in host tools and under the fuzzer. It has no state but what the caller keeps and reaches the
 * image through one function. Nothing in an image is trusted: every field is checked before it is
 * used, and a bad one gives -EIO.
 *
 * Supported: compact and extended inodes, plain, inline and chunk-based data, LZ4-compressed data
 * (full and compact indexes, big physical clusters, inline tails, fragments, dedupe), extended
 * attributes, superblock checksum. Not supported (-EOPNOTSUPP at open or read): other compressors,
 * several devices, long attribute prefixes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct erofs_io {
	/* Reads n bytes at byte offset off of the image: 0 or -errno. Always within `size`. */
	int (*read)(void *ctx, uint64_t off, void *buf, size_t n);
	void *(*alloc)(size_t n); /* NULL without memory */
	void (*free)(void *p);
	void *ctx;
	uint64_t size; /* of the image, bytes */
};

struct erofs {
	struct erofs_io io;
	unsigned blkbits;
	uint32_t incompat;
	uint64_t root_nid, packed_nid, inodes, blocks;
	uint64_t meta, xattrs; /* byte offsets */
	int64_t build_time;
	uint32_t build_nsec;
	uint8_t uuid[16];
};

enum erofs_layout { EROFS_PLAIN, EROFS_Z_FULL, EROFS_INLINE, EROFS_Z_COMPACT, EROFS_CHUNKS };

struct erofs_inode {
	uint64_t nid, size;
	uint32_t mode, uid, gid, nlink, rdev;
	int64_t mtime;
	uint32_t mtime_nsec;
	/* private: */
	enum erofs_layout layout;
	uint64_t body;	/* byte offset of what follows inode and attributes */
	uint64_t xattr; /* byte offset of the attributes */
	uint32_t xattr_size;
	uint32_t u; /* block address, chunk format */
	struct {    /* compressed files */
		uint16_t advise;
		uint8_t algorithm[2], lcbits;
		uint32_t idata_size;
		uint64_t idata, fragment,
		    tail_head; /* tail_head: lcluster of the last extent's head */
		bool whole_fragment;
	} z;
};

enum erofs_kind {
	EROFS_RAW,
	EROFS_HOLE,
	EROFS_LZ4,
	EROFS_SHIFTED,
	EROFS_INTERLACED,
	EROFS_FRAGMENT
};

/* A piece of a file: bytes [la, la + llen) are made from bytes [pa, pa + plen) of the image. */
struct erofs_extent {
	enum erofs_kind kind;
	uint64_t la, llen, pa, plen;
};

/* Checks the superblock. 0, -EINVAL (no EROFS), -EIO (damaged), -EOPNOTSUPP (needs what is not
 * here). */
int erofs_open(struct erofs *fs, const struct erofs_io *io);
/* Reads inode number nid. */
int erofs_get_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *i);
/* Number of the inode called name in directory dir: 0, -ENOENT, -EIO. */
int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name,
    size_t len, uint64_t *nid);
/* Lists dir from *pos (0 the start) on; emit returns false to stop before the entry. type: 1 file,
 * 2 directory, 3 character device, 4 block device, 5 FIFO, 6 socket, 7 link. */
int erofs_readdir(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *pos,
    bool (*emit)(
	void *ctx, const char *name, size_t len, uint64_t nid, unsigned type, uint64_t next),
    void *ctx);
/* The extent that holds byte `at` (< size) of a file. */
int erofs_map(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t at, struct erofs_extent *e);
/* Reads n bytes at off, all of them within the file; works for every layout. 0 or -errno. */
int erofs_read(
    const struct erofs *fs, const struct erofs_inode *i, uint64_t off, void *buf, size_t n);
/* Value of an extended attribute with its full name ("user.x"): its size, copied if n is big
 * enough; -ENODATA, -ERANGE; n 0 asks for the size only. */
long erofs_getxattr(
    const struct erofs *fs, const struct erofs_inode *i, const char *name, void *buf, size_t n);
/* All names, each terminated. Bytes, or -ERANGE. n 0 asks for the size. */
long erofs_listxattr(const struct erofs *fs, const struct erofs_inode *i, char *buf, size_t n);
