/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Damaged EROFS images: the input is a list of changes (three bytes where, one byte what) to one of
 * a few small images made at the start. Whatever they say, walking and reading the whole image must
 * end without touching memory it should not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "image.h"

#define IMAGES 5
#define BUDGET 400 /* inodes read for one input */

static struct {
	unsigned char *data, *work;
	size_t size;
} base[IMAGES];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void put(const char *dir, const char *name, size_t n, int noise)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	if (!f)
		abort();
	uint32_t x = 1;
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		fputc(noise ? (int)(x >> 24) : "abcabcabd"[(i + i / 700) % 9], f);
	}
	fclose(f);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const options[IMAGES] = {"", "-zlz4", "-zlz4hc -C16384 -Eztailpacking",
	    "-zlz4 -Elegacy-compress", "-zlz4hc -C65536 -Efragments,dedupe"};
	char top[] = "/tmp/fuzz-erofs-XXXXXX", tree[64], cmd[400];
	(void)argc, (void)argv;
	if (!mkdtemp(top))
		abort();
	snprintf(tree, sizeof tree, "%s/tree", top);
	mkdir(tree, 0755);
	put(tree, "empty", 0, 0);
	put(tree, "small", 50, 0);
	put(tree, "text", 40000, 0);
	put(tree, "noise", 9000, 1);
	snprintf(cmd, sizeof cmd, "mkdir %s/sub; ln -s text %s/link; touch %s/sub/a %s/sub/b", tree,
	    tree, tree, tree);
	if (system(cmd))
		abort();
	for (int i = 0; i < IMAGES; i++) {
		char image[80];
		struct stat st;
		snprintf(image, sizeof image, "%s/image", top);
		snprintf(cmd, sizeof cmd,
		    "rm -f %s; mkfs.erofs -T0 -Uclear %s %s %s >/dev/null 2>&1 || mkfs.erofs -T0 "
		    "%s %s %s >/dev/null 2>&1",
		    image, options[i], image, tree, options[i], image, tree);
		if (system(cmd) || stat(image, &st))
			abort();
		base[i].size = (size_t)st.st_size;
		base[i].data = malloc(base[i].size);
		base[i].work = malloc(base[i].size);
		FILE *f = fopen(image, "r");
		if (!f || fread(base[i].data, 1, base[i].size, f) != base[i].size)
			abort();
		fclose(f);
		base[i].data[1024 + 8] &=
		    (unsigned char)~1; /* no checksum, or nothing would get past it */
	}
	snprintf(cmd, sizeof cmd, "rm -rf %s", top);
	return system(cmd);
}

struct visit {
	struct erofs fs;
	unsigned left;
	uint64_t todo[64];
	unsigned ntodo;
};

static bool note(
    void *ctx, const char *name, size_t len, uint64_t nid, unsigned type, uint64_t next)
{
	struct visit *v = ctx;
	(void)type, (void)next;
	if (len < 1 || len > 255 || memchr(name, 0, len))
		abort();
	if (v->ntodo < 64)
		v->todo[v->ntodo++] = nid;
	return v->left && v->left--;
}

static void read_inode(struct visit *v, uint64_t nid)
{
	static char buf[65536];
	struct erofs_inode i;
	uint64_t pos = 0, found;
	if (erofs_get_inode(&v->fs, nid, &i))
		return;
	erofs_listxattr(&v->fs, &i, buf, sizeof buf);
	erofs_getxattr(&v->fs, &i, "user.x", buf, 100);
	if ((i.mode & 0170000) == 0040000) {
		erofs_readdir(&v->fs, &i, &pos, note, v);
		erofs_lookup(&v->fs, &i, "small", 5, &found);
		return;
	}
	for (uint64_t off = 0, step = 0; off < i.size && step < 4; off += 30000, step++) {
		size_t n = i.size - off < 30000 ? (size_t)(i.size - off) : 30000;
		erofs_read(&v->fs, &i, off, buf, n);
	}
	if (i.size > 10)
		erofs_read(&v->fs, &i, i.size - 10, buf, 10);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	unsigned which = data[0] % IMAGES;
	struct image m = {base[which].work, base[which].size};
	memcpy(base[which].work, base[which].data, m.size);
	for (size_t k = 1; k + 4 <= n; k += 4) {
		size_t off =
		    (data[k] | (size_t)data[k + 1] << 8 | (size_t)data[k + 2] << 16) % m.size;
		base[which].work[off] = data[k + 3];
	}
	struct erofs_io io = image_io(&m);
	struct visit v = {.left = BUDGET};
	if (erofs_open(&v.fs, &io))
		return 0;
	read_inode(&v, v.fs.root_nid);
	for (unsigned k = 0; k < v.ntodo && v.left; k++) {
		v.left--;
		read_inode(&v, v.todo[k]);
	}
	return 0;
}
