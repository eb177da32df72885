/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing an EROFS file system.
 *
 * Block 0 holds the superblock at byte 1024; inodes follow from byte 1152, in tree order. Data that
 * fits into a block together with its inode lies right behind it, and the two never cross a block
 * boundary; other data takes whole blocks, which start after the inodes, in the same order. So
 * every file's data is one contiguous run. A node number is the inode's byte offset divided by 32.
 */
#include "erofs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define BLOCK CAP_EROFS_BLOCK
#define SUPER_OFFSET 1024
#define SUPER_MAGIC 0xE0F5E1E2u
#define FIRST_INODE (SUPER_OFFSET + 128)
#define FEATURE_SB_CHECKSUM 1u
#define COMPACT_BYTES 32
#define EXTENDED_BYTES 64
#define LAYOUT_PLAIN 0
#define LAYOUT_INLINE 2
#define DIRENT_BYTES 12
#define NO_BLOCK UINT32_MAX
#define PROGRESS_STEP 512

struct superblock {
	uint32_t magic, checksum, feature_compat;
	uint8_t block_bits, extra_slots;
	uint16_t root_nid;
	uint64_t inodes, build_time;
	uint32_t build_time_nsec, blocks, meta_block, xattr_block;
	uint8_t uuid[16], volume_name[16];
	uint32_t feature_incompat;
	uint16_t compression, extra_devices, device_table;
	uint8_t reserved[38];
} __attribute__((packed));

struct compact_inode {
	uint16_t format, xattr_count, mode, nlink;
	uint32_t size, reserved, block, ino;
	uint16_t uid, gid;
	uint32_t reserved2;
} __attribute__((packed));

struct extended_inode {
	uint16_t format, xattr_count, mode, reserved;
	uint64_t size;
	uint32_t block, ino, uid, gid;
	uint64_t mtime;
	uint32_t mtime_nsec, nlink;
	uint8_t reserved2[16];
} __attribute__((packed));

struct dirent_disk {
	uint64_t nid;
	uint16_t name_offset;
	uint8_t type, reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct superblock) == 128, "superblock layout");
_Static_assert(sizeof(struct compact_inode) == COMPACT_BYTES, "compact inode layout");
_Static_assert(sizeof(struct extended_inode) == EXTENDED_BYTES, "extended inode layout");
_Static_assert(sizeof(struct dirent_disk) == DIRENT_BYTES, "directory entry layout");

/* The tree orders children by name; "." and ".." belong between them by the same order. */
struct entry_cursor {
	struct cap_node *dir, *next;
	int dots; /* how many of ".", ".." were given out */
};

static bool next_entry(struct entry_cursor *it, const char **name, struct cap_node **node)
{
	static const char *const dots[] = {".", ".."};
	if (it->dots < 2 && (!it->next || strcmp(dots[it->dots], it->next->name) < 0)) {
		*name = dots[it->dots];
		*node = it->dots++ ? it->dir->parent : it->dir;
		return true;
	}
	if (!it->next)
		return false;
	*name = it->next->name;
	*node = it->next;
	it->next = it->next->next;
	return true;
}

static uint64_t directory_size(struct cap_node *dir)
{
	struct entry_cursor it = {dir, dir->children, 0};
	struct cap_node *n;
	const char *name;
	uint64_t size = 0;
	while (next_entry(&it, &name, &n)) {
		size_t need = DIRENT_BYTES + strlen(name);
		if (size % BLOCK + need > BLOCK)
			size = (size + BLOCK - 1) / BLOCK * BLOCK;
		size += need;
	}
	return size;
}

static bool is_extended(const struct cap_node *n)
{
	return n->mtime || n->uid > 65535 || n->gid > 65535 || n->size > UINT32_MAX;
}

static uint32_t inode_bytes(const struct cap_node *n)
{
	return is_extended(n) ? EXTENDED_BYTES : COMPACT_BYTES;
}

/* Whether the node's data sits behind its inode. */
static bool is_inline(const struct cap_node *n)
{
	return n->size && inode_bytes(n) + n->size <= BLOCK;
}

static uint64_t data_blocks(const struct cap_node *n)
{
	return is_inline(n) ? 0 : (n->size + BLOCK - 1) / BLOCK;
}

uint64_t cap_erofs_data_offset(const struct cap_node *n)
{
	return is_inline(n) ? n->layout[0] + inode_bytes(n) : n->layout[1] * BLOCK;
}

struct plan {
	struct cap *c;
	uint64_t meta, block;
	uint64_t files, count;
	uint8_t *dst;
};

static int place_inode(struct cap_node *n, void *arg)
{
	struct plan *p = arg;
	if (S_ISDIR(n->mode))
		n->size = directory_size(n);
	if (S_ISLNK(n->mode) && inode_bytes(n) + n->size > BLOCK)
		return cap_fail(
		    p->c, ENAMETOOLONG, "the target of the link %s is too long", n->name);
	uint32_t need = inode_bytes(n) + (is_inline(n) ? n->size : 0);
	if (p->meta % BLOCK + need > BLOCK)
		p->meta = (p->meta + BLOCK - 1) / BLOCK * BLOCK;
	n->layout[0] = p->meta;
	p->meta = (p->meta + need + COMPACT_BYTES - 1) / COMPACT_BYTES * COMPACT_BYTES;
	return 0;
}

static int place_data(struct cap_node *n, void *arg)
{
	struct plan *p = arg;
	uint64_t blocks = data_blocks(n);
	n->layout[1] = blocks ? p->block : NO_BLOCK;
	p->block += blocks;
	return p->block < NO_BLOCK
		   ? 0
		   : cap_fail(p->c, EFBIG, "the files are too large for one file system (16 TiB)");
}

int cap_erofs_plan(struct cap *c, struct cap_tree *t, uint64_t *bytes)
{
	struct plan p = {.c = c, .meta = FIRST_INODE};
	cap_tree_sort(t);
	int result = cap_tree_walk(t, place_inode, &p);
	p.block = (p.meta + BLOCK - 1) / BLOCK;
	if (!result)
		result = cap_tree_walk(t, place_data, &p);
	*bytes = p.block * BLOCK;
	return result;
}

static uint64_t node_number(const struct cap_node *n)
{
	return n->layout[0] / COMPACT_BYTES;
}

static uint8_t entry_type(const struct cap_node *n)
{
	switch (n->mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	default:
		return 7;
	}
}

/* Writes one block of entries, as many as fit, and returns the bytes used. */
static size_t write_entries(struct entry_cursor *it, uint8_t *block)
{
	struct entry_cursor ahead = *it;
	struct cap_node *n;
	const char *name;
	size_t count = 0, used = 0;
	while (next_entry(&ahead, &name, &n) && used + DIRENT_BYTES + strlen(name) <= BLOCK) {
		used += DIRENT_BYTES + strlen(name);
		count++;
	}
	size_t at = count * DIRENT_BYTES;
	for (size_t i = 0; i < count; i++) {
		next_entry(it, &name, &n);
		struct dirent_disk d = {node_number(n), at, entry_type(n), 0};
		memcpy(block + i * DIRENT_BYTES, &d, sizeof(d));
		memcpy(block + at, name, strlen(name));
		at += strlen(name);
	}
	return used;
}

static void directory_data(struct cap_node *dir, uint8_t *out)
{
	struct entry_cursor it = {dir, dir->children, 0};
	for (uint64_t done = 0; done < dir->size; done += BLOCK)
		write_entries(&it, out + done);
}

static int write_data(struct plan *p, struct cap_node *n)
{
	uint8_t *at = p->dst + cap_erofs_data_offset(n);
	if (!n->size)
		return 0;
	if (S_ISREG(n->mode))
		return cap_node_copy(p->c, n, at);
	if (S_ISLNK(n->mode)) {
		memcpy(at, n->data, n->size);
	} else {
		uint8_t *scratch = xcalloc(1, (n->size + BLOCK - 1) / BLOCK * BLOCK);
		directory_data(n, scratch);
		memcpy(at, scratch, n->size);
		free(scratch);
	}
	return 0;
}

static uint32_t link_count(const struct cap_node *n)
{
	if (!S_ISDIR(n->mode))
		return 1;
	uint32_t count = 2;
	for (const struct cap_node *child = n->children; child; child = child->next)
		count += S_ISDIR(child->mode);
	return count;
}

static uint32_t device_number(const struct cap_node *n)
{
	uint32_t major = major(n->rdev), minor = minor(n->rdev);
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static int write_node(struct cap_node *n, void *arg)
{
	struct plan *p = arg;
	uint16_t layout = is_inline(n) ? LAYOUT_INLINE : LAYOUT_PLAIN;
	uint32_t block = n->layout[1];
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode))
		block = device_number(n);
	uint32_t ino = ++p->count;
	if (is_extended(n)) {
		struct extended_inode e = {.format = 1 | layout << 1,
		    .mode = n->mode,
		    .size = n->size,
		    .block = block,
		    .ino = ino,
		    .uid = n->uid,
		    .gid = n->gid,
		    .mtime = n->mtime,
		    .nlink = link_count(n)};
		memcpy(p->dst + n->layout[0], &e, sizeof(e));
	} else {
		struct compact_inode i = {.format = layout << 1,
		    .mode = n->mode,
		    .nlink = cap_min(link_count(n), 65535u),
		    .size = n->size,
		    .block = block,
		    .ino = ino,
		    .uid = n->uid,
		    .gid = n->gid};
		memcpy(p->dst + n->layout[0], &i, sizeof(i));
	}
	if (p->count % PROGRESS_STEP == 0 || p->count == p->files)
		cap_progress(p->c, "Uploading files", p->count, p->files);
	return write_data(p, n);
}

static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t len)
{
	while (len--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

int cap_erofs_write(struct cap *c, struct cap_tree *t, void *dst, uint64_t bytes)
{
	struct plan p = {.c = c, .dst = dst, .files = t->count + 1};
	int result = cap_tree_walk(t, write_node, &p);
	if (result)
		return result;
	struct superblock sb = {.magic = SUPER_MAGIC,
	    .feature_compat = FEATURE_SB_CHECKSUM,
	    .block_bits = 12,
	    .root_nid = node_number(&t->root),
	    .inodes = p.files,
	    .blocks = bytes / BLOCK};
	uint8_t *super = p.dst + SUPER_OFFSET;
	memcpy(super, &sb, sizeof(sb));
	sb.checksum = crc32c(~0u, super, BLOCK - SUPER_OFFSET);
	memcpy(super, &sb, sizeof(sb));
	return 0;
}
