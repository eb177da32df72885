/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The EROFS library against images that mkfs.erofs makes of a tree with all the awkward sizes:
 * everything in the image must read back as it is in the tree, whatever way it is stored.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "image.h"

static char top[] = "/tmp/erofs-test-XXXXXX";
static char tree[64], image_path[64];

static void fill(const char *name, size_t n, int kind)
{
	char path[400];
	snprintf(path, sizeof path, "%s/%s", tree, name);
	unsigned char *b = malloc(n + 1);
	uint32_t x = 12345;
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		if (kind == 0) /* cannot be compressed */
			b[i] = (unsigned char)(x >> 24);
		else if (kind == 1) /* text */
			b[i] =
			    (unsigned char)"the quick brown fox jumps over "[(i + (i >> 9)) % 31];
		else if (kind == 2) /* zeroes with some noise */
			b[i] = i % 5000 < 20 ? (unsigned char)(x >> 24) : 0;
		else /* runs */
			b[i] = (unsigned char)(i >> 7);
	}
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(b, 1, n, f), n);
	fclose(f);
	free(b);
}

static int make_tree(void **state)
{
	(void)state;
	static const size_t sizes[] = {
	    0, 1, 100, 4000, 4095, 4096, 4097, 8191, 8192, 65536, 70001, 300000, 1500000};
	char path[400], name[64];
	if (!mkdtemp(top))
		return -1;
	snprintf(tree, sizeof tree, "%s/tree", top);
	snprintf(image_path, sizeof image_path, "%s/image", top);
	mkdir(tree, 0755);
	for (size_t k = 0; k < 4; k++)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			snprintf(name, sizeof name, "f%zu-%zu", k, sizes[i]);
			fill(name, sizes[i], (int)k);
		}
	snprintf(path, sizeof path, "%s/many", tree);
	mkdir(path, 0711);
	for (int i = 0; i < 700; i++) {
		snprintf(name, sizeof name, "many/a-rather-long-name-%d", i * 37 % 700);
		fill(name, (size_t)i % 50, 1);
	}
	snprintf(path, sizeof path, "%s/link", tree);
	if (symlink("many/../f1-4096", path))
		return -1;
	snprintf(path, sizeof path, "%s/fifo", tree);
	mkfifo(path, 0600);
	snprintf(path, sizeof path, "%s/empty", tree);
	return mkdir(path, 0700);
}

static int remove_tree(void **state)
{
	char cmd[100];
	(void)state;
	snprintf(cmd, sizeof cmd, "rm -rf %s", top);
	return system(cmd);
}

static struct image load(const char *options)
{
	char cmd[400];
	struct stat st;
	snprintf(cmd, sizeof cmd, "rm -f %s; mkfs.erofs -T7 %s %s %s >/dev/null 2>&1", image_path,
	    options, image_path, tree);
	if (system(cmd))
		fail_msg("failed: %s", cmd);
	int fd = open(image_path, O_RDONLY);
	assert_true(fd >= 0);
	fstat(fd, &st);
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(p != MAP_FAILED);
	close(fd);
	return (struct image){p, (size_t)st.st_size};
}

static void compare_file(const struct erofs *fs, const struct erofs_inode *i, const char *path)
{
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	unsigned char *want = malloc(i->size + 1), *got = malloc(i->size + 1);
	assert_int_equal(read(fd, want, i->size + 1), i->size);
	close(fd);
	assert_int_equal(erofs_read(fs, i, 0, got, i->size), 0);
	if (memcmp(want, got, i->size))
		fail_msg("%s reads differently", path);
	/* Pieces that start and end anywhere. */
	for (uint64_t off = 1; off + 10 < i->size; off += 997 * 131) {
		size_t n = i->size - off < 5003 ? (size_t)(i->size - off) : 5003;
		memset(got, 0xee, n);
		assert_int_equal(erofs_read(fs, i, off, got, n), 0);
		if (memcmp(want + off, got, n))
			fail_msg(
			    "%s: %zu bytes at %lu read differently", path, n, (unsigned long)off);
	}
	free(want);
	free(got);
}

struct walk {
	const struct erofs *fs;
	const char *dir;
	const struct erofs_inode *self;
	unsigned entries, stop_after;
};

static void compare_inode(const struct erofs *fs, uint64_t nid, const char *path);

static bool visit(
    void *ctx, const char *name, size_t len, uint64_t nid, unsigned type, uint64_t next)
{
	struct walk *w = ctx;
	char path[600], text[256];
	(void)next;
	if (w->stop_after && w->stop_after-- == 1)
		return false;
	w->entries++;
	memcpy(text, name, len);
	text[len] = 0;
	if (!strcmp(text, ".") || !strcmp(text, ".."))
		return true;
	snprintf(path, sizeof path, "%s/%s", w->dir, text);
	uint64_t found = 0;
	assert_int_equal(erofs_lookup(w->fs, w->self, name, len, &found), 0);
	assert_int_equal(found, nid);
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	static const mode_t of_type[] = {
	    0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};
	assert_true(type < 8 && of_type[type] == (st.st_mode & S_IFMT));
	compare_inode(w->fs, nid, path);
	return true;
}

static unsigned count_entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void compare_inode(const struct erofs *fs, uint64_t nid, const char *path)
{
	struct erofs_inode i;
	struct stat st;
	assert_int_equal(erofs_get_inode(fs, nid, &i), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(i.mode, st.st_mode);
	assert_int_equal(i.mtime, 7);
	if (S_ISREG(st.st_mode)) {
		assert_int_equal(i.size, st.st_size);
		compare_file(fs, &i, path);
	} else if (S_ISLNK(st.st_mode)) {
		char a[256], b[256];
		assert_int_equal(readlink(path, a, sizeof a), i.size);
		assert_int_equal(erofs_read(fs, &i, 0, b, i.size), 0);
		assert_memory_equal(a, b, i.size);
	} else if (S_ISDIR(st.st_mode)) {
		struct walk w = {fs, path, &i, 0, 0};
		uint64_t pos = 0, n;
		assert_int_equal(erofs_readdir(fs, &i, &pos, visit, &w), 0);
		assert_int_equal(w.entries, count_entries(path));
		assert_int_equal(erofs_lookup(fs, &i, "no such name", 12, &n), -ENOENT);
		assert_int_equal(erofs_lookup(fs, &i, "\1", 1, &n), -ENOENT);
		assert_int_equal(erofs_lookup(fs, &i, "\xff", 1, &n), -ENOENT);
		/* Interrupted and continued, a listing is the same one. */
		unsigned all = w.entries;
		pos = 0;
		w.entries = 0;
		for (int rounds = 0; w.entries < all && rounds < 5; rounds++) {
			w.stop_after = all / 3 + 2;
			assert_int_equal(erofs_readdir(fs, &i, &pos, visit, &w), 0);
		}
		assert_int_equal(w.entries, all);
	}
}

static void check(const char *options)
{
	struct image m = load(options);
	struct erofs_io io = image_io(&m);
	struct erofs fs;
	assert_int_equal(erofs_open(&fs, &io), 0);
	compare_inode(&fs, fs.root_nid, tree);
	munmap((void *)m.data, m.size);
}

#define IMAGE_TEST(name, options)      \
	static void name(void **state) \
	{                              \
		(void)state;           \
		check(options);        \
	}
IMAGE_TEST(plain, "")
IMAGE_TEST(no_inline, "-Enoinline_data")
IMAGE_TEST(chunks, "--chunksize=8192")
IMAGE_TEST(lz4, "-zlz4")
IMAGE_TEST(lz4_full_index, "-zlz4 -Elegacy-compress")
IMAGE_TEST(lz4_big, "-zlz4 -C65536")
IMAGE_TEST(lz4hc_tails, "-zlz4hc -Eztailpacking")
IMAGE_TEST(lz4hc_big_tails, "-zlz4hc -C16384 -Eztailpacking")
IMAGE_TEST(lz4hc_fragments, "-zlz4hc -C65536 -Efragments")
IMAGE_TEST(lz4hc_all, "-zlz4hc -C65536 -Eztailpacking,fragments,dedupe")
IMAGE_TEST(lz4hc_all_fragments, "-zlz4hc -Eall-fragments")

static void damaged(void **state)
{
	(void)state;
	struct image m = load("");
	unsigned char *copy = malloc(m.size);
	memcpy(copy, m.data, m.size);
	struct image c = {copy, m.size};
	struct erofs_io io = image_io(&c);
	struct erofs fs;
	assert_int_equal(erofs_open(&fs, &io), 0);
	copy[1024 + 100] ^= 1; /* under the checksum, otherwise unused */
	assert_int_equal(erofs_open(&fs, &io), -EIO);
	copy[1024] ^= 1;
	assert_int_equal(erofs_open(&fs, &io), -EINVAL);
	c.size = io.size = 1000;
	assert_int_equal(erofs_open(&fs, &io), -EINVAL);
	free(copy);
	munmap((void *)m.data, m.size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain),
	    cmocka_unit_test(no_inline),
	    cmocka_unit_test(chunks),
	    cmocka_unit_test(lz4),
	    cmocka_unit_test(lz4_full_index),
	    cmocka_unit_test(lz4_big),
	    cmocka_unit_test(lz4hc_tails),
	    cmocka_unit_test(lz4hc_big_tails),
	    cmocka_unit_test(lz4hc_fragments),
	    cmocka_unit_test(lz4hc_all),
	    cmocka_unit_test(lz4hc_all_fragments),
	    cmocka_unit_test(damaged),
	};
	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
