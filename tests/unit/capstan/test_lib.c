/* SPDX-License-Identifier: BSD-3-Clause */
/* The library's pure parts: versions, command lines, paths, trees, qcow2, ELF, quoting. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../capstan/lib/cmdline.h"
#include "../../../capstan/lib/elffile.h"
#include "../../../capstan/lib/erofs.h"
#include "../../../capstan/lib/ignore.h"
#include "../../../capstan/lib/manifest.h"
#include "../../../capstan/lib/machine.h"
#include "../../../capstan/lib/qcow2.h"
#include "../../../capstan/lib/version.h"
#include "../../../capstan/lib/yamldoc.h"

static void versions_are_ordered(void **state)
{
	static const char *const order[] = {"0.9", "1.0-alpha", "1.0-alpha.1", "1.0-alpha.beta",
	    "1.0-beta.2", "1.0-beta.11", "1.0-rc.1", "1.0", "1.0.1", "1.2", "1.10", "2", "10.0.0"};
	(void)state;
	for (size_t i = 0; i < CAP_ARRAY_SIZE(order); i++)
		for (size_t k = 0; k < CAP_ARRAY_SIZE(order); k++) {
			int r = cap_version_compare(order[i], order[k]);
			assert_int_equal((r > 0) - (r < 0), (i > k) - (i < k));
		}
	assert_int_equal(cap_version_compare("1.0", "1.0.0"), 0);
	assert_int_equal(cap_version_compare("v1.0", "1.0+build5"), 0);
	assert_int_equal(cap_version_compare("1.007", "1.7"), 0);
}

static void ranges_admit_what_they_say(void **state)
{
	static const struct {
		const char *version, *range;
		int expect;
	} cases[] = {{"1.2.3", "", 1}, {"1.2.3", "*", 1}, {"1.2.3", "1.2", 1}, {"1.20", "1.2", 0},
	    {"1.2.3", "^1.2", 1}, {"2.0.0", "^1.2", 0}, {"2.0.0-rc1", "^1.2", 0},
	    {"2.0.0-rc1", "<2", 0}, {"2.0.0-rc1", "<2.0.0-rc2", 1}, {"1.9-rc1", "<2", 1},
	    {"0.3.1", "^0.2", 0}, {"0.2.9", "^0.2.3", 1}, {"1.3.0", "~1.2.3", 0},
	    {"1.2.9", "~1.2.3", 1}, {"1.9", "~1", 1}, {"1.2.3", ">=1.2 <1.3", 1},
	    {"1.2.3", ">=1.2, !=1.2.3", 0}, {"3.1", "1.x || >=3", 1}, {"1.5", "1.x", 1},
	    {"2.0", "1.x", 0}, {"1.2.3", "=1.2.3", 1}, {"1.2.3", "== 1.2", 0}, {"1.2", ">>1", -1},
	    {"1.2", "^", -1}, {"1.2", "1.2 ||", 1}, {"1", "~=1", -1}};
	(void)state;
	for (size_t i = 0; i < CAP_ARRAY_SIZE(cases); i++) {
		int r = cap_version_matches(cases[i].version, cases[i].range);
		if ((r > 0) - (r < 0) != cases[i].expect)
			fail_msg("%s in \"%s\": %d", cases[i].version, cases[i].range, r);
	}
}

static void command_lines_round_trip(void **state)
{
	static const char *const words[] = {"/bin/x", "", "a b", "it's", "\"q\"", "back\\slash",
	    "$HOME", "${X}", "a'b\"c\\d$e", "&", "tab\tnew\nline", "ü"};
	struct cap c = {0};
	struct buf line = {0};
	struct strv back = {0};
	(void)state;
	for (size_t i = 0; i < CAP_ARRAY_SIZE(words); i++)
		cap_cmdline_add(&line, words[i]);
	assert_int_equal(cap_cmdline_split(&c, "t", line.data, &back), 0);
	assert_int_equal(back.count, CAP_ARRAY_SIZE(words));
	for (size_t i = 0; i < back.count; i++)
		assert_string_equal(back.items[i], words[i]);
	strv_free(&back);
	assert_int_equal(cap_cmdline_split(&c, "t", "a 'b", &back), -EBADMSG);
	assert_non_null(strstr(c.last_error, "not closed"));
	strv_free(&back);
	buf_free(&line);
	free(c.last_error);
}

static void commands_are_expanded(void **state)
{
	struct cap c = {0};
	struct strv env = {0};
	struct buf out = {0};
	(void)state;
	strv_add(&env, "A=1 2");
	strv_add(&env, "E=");
	assert_int_equal(cap_cmdline_expand(&c, "t",
			     "--env=A=old --env=B=b x ${A} \"${E:-e f}\" ${N}${N:-n}", &env, &out),
	    0);
	assert_string_equal(out.data, "--env=B=b x '1 2' 'e f' n");
	strv_free(&env);
	buf_free(&out);
}

static void paths_are_cleaned(void **state)
{
	static const char *const cases[][2] = {{"/", "/"}, {"", "/"}, {"/a//b/./c/", "/a/b/c"},
	    {"/a/../../b", "/b"}, {"a/b/..", "/a"}, {"/..", "/"}, {"/a/b/../../..", "/"}};
	(void)state;
	for (size_t i = 0; i < CAP_ARRAY_SIZE(cases); i++) {
		char *p = path_clean(cases[i][0]);
		assert_string_equal(p, cases[i][1]);
		free(p);
	}
}

static void sizes_are_parsed(void **state)
{
	uint64_t n;
	(void)state;
	assert_true(parse_size("200MB", &n) && n == 200ull << 20);
	assert_true(parse_size("10G", &n) && n == 10ull << 30);
	assert_true(parse_size("5kib", &n) && n == 5ull << 10);
	assert_true(parse_size("7", &n) && n == 7);
	assert_false(parse_size("", &n) || parse_size("M", &n) || parse_size("-1", &n) ||
		     parse_size("1X", &n) || parse_size("99999999999999999999", &n) ||
		     parse_size("9999999999T", &n) || parse_size("1Gx", &n));
}

static void trees_merge_and_follow_links(void **state)
{
	struct cap c = {0};
	struct cap_tree t;
	(void)state;
	cap_tree_init(&t);
	assert_int_equal(cap_tree_add_link(&c, &t, "/lib", "usr/lib"), 0);
	assert_int_equal(cap_tree_mkdir(&c, &t, "/usr/lib", 0755), 0);
	assert_int_equal(cap_tree_add_mem(&c, &t, "/lib/x", 0644, "one", 3), 0);
	assert_non_null(cap_tree_lookup(&t, "/usr/lib/x"));
	assert_int_equal(cap_tree_add_mem(&c, &t, "/usr/lib/x", 0600, "two!", 4), 0);
	assert_int_equal(cap_tree_resolve(&t, "/lib/x")->size, 4);
	/* A directory over the link merges into what the link names. */
	struct stat dir = {.st_mode = S_IFDIR | 0755};
	assert_int_equal(cap_tree_add(&c, &t, "/lib", &dir, NULL), 0);
	assert_true(S_ISLNK(cap_tree_lookup(&t, "/lib")->mode));
	assert_int_equal(cap_tree_add_link(&c, &t, "/loop", "loop"), 0);
	assert_int_equal(cap_tree_add_mem(&c, &t, "/loop/x", 0644, "", 0), -ELOOP);
	assert_int_equal(cap_tree_add_mem(&c, &t, "/usr/lib/x/y", 0644, "", 0), -ENOTDIR);
	/* A link to a missing directory makes that directory. */
	assert_int_equal(cap_tree_add_link(&c, &t, "/later", "var/later"), 0);
	assert_int_equal(cap_tree_add_mem(&c, &t, "/later/f", 0644, "f", 1), 0);
	assert_non_null(cap_tree_lookup(&t, "/var/later/f"));
	assert_int_equal(cap_tree_add_link(&c, &t, "/up", "../../../.."), 0);
	assert_ptr_equal(cap_tree_resolve(&t, "/up"), &t.root);
	cap_tree_free(&t);
	free(c.last_error);
}

static void erofs_layout_is_deterministic(void **state)
{
	struct cap c = {0};
	uint8_t *images[2];
	uint64_t bytes[2];
	(void)state;
	for (int pass = 0; pass < 2; pass++) {
		struct cap_tree t;
		cap_tree_init(&t);
		for (int i = 0; i < 300; i++) { /* in opposite orders */
			char path[64], data[64];
			int n = pass ? 299 - i : i;
			snprintf(path, sizeof(path), "/d%d/file%d", n % 7, n);
			snprintf(data, sizeof(data), "content %d", n);
			assert_int_equal(
			    cap_tree_add_mem(&c, &t, path, 0644, data, strlen(data)), 0);
		}
		assert_int_equal(cap_erofs_plan(&c, &t, &bytes[pass]), 0);
		images[pass] = calloc(1, bytes[pass]);
		assert_int_equal(cap_erofs_write(&c, &t, images[pass], bytes[pass]), 0);
		cap_tree_free(&t);
	}
	assert_int_equal(bytes[0], bytes[1]);
	assert_memory_equal(images[0], images[1], bytes[0]);
	free(images[0]);
	free(images[1]);
}

static void qcow2_headers_are_read_back(void **state)
{
	static const uint64_t sizes[][2] = {
	    {1 << 20, 1 << 20}, {10ull << 30, 65537}, {10ull << 30, 3ull << 30}, {1ull << 40, 0}};
	(void)state;
	for (size_t i = 0; i < CAP_ARRAY_SIZE(sizes); i++) {
		uint64_t len = cap_qcow2_header_bytes(sizes[i][0], sizes[i][1]), offset, disk;
		uint8_t *h = calloc(1, len);
		cap_qcow2_write_header(h, sizes[i][0], sizes[i][1]);
		if (sizes[i][1]) {
			assert_true(cap_qcow2_read_header(h, len, &offset, &disk));
			assert_int_equal(offset, len);
			assert_int_equal(disk, sizes[i][0]);
		}
		free(h);
	}
}

static void elf_files_are_understood(void **state)
{
	struct cap_elf elf;
	const char *why;
	(void)state;
	assert_int_equal(cap_elf_read("/bin/sh", &elf, &why), CAP_ELF_OK);
	assert_true(elf.is_dynamic && strv_has(&elf.needed, "libc.so.6"));
	assert_string_equal(elf.interpreter, "/lib64/ld-linux-x86-64.so.2");
	cap_elf_free(&elf);
	assert_int_equal(cap_elf_read("/etc/passwd", &elf, &why), CAP_ELF_NOT);
	struct buf data = {0};
	assert_int_equal(file_read("/bin/sh", 1 << 24, &data), 0);
	/* Truncated anywhere, it is refused or understood, never read beyond. */
	for (size_t n = 0; n < data.len; n += 97) {
		char *part = malloc(n + 1);
		memcpy(part, data.data, n);
		if (cap_elf_parse(part, n, &elf, &why) == CAP_ELF_OK)
			cap_elf_free(&elf);
		free(part);
	}
	data.data[18] = 40; /* EM_ARM */
	assert_int_equal(cap_elf_parse(data.data, data.len, &elf, &why), CAP_ELF_FOREIGN);
	buf_free(&data);
}

static void yaml_scalars_survive_quoting(void **state)
{
	static const char *const words[] = {"plain", "two words", "", "true", "null", "a: b", "#x",
	    "\"q\"", "line\nbreak", "- x", "1.0", "back\\slash", "ends ", "ü", "*x", "\x01"};
	struct cap c = {0};
	(void)state;
	for (size_t i = 0; i < CAP_ARRAY_SIZE(words); i++) {
		struct buf out = {0};
		struct cap_yaml_node *doc;
		char *back;
		buf_puts(&out, "key: ");
		cap_yaml_quote(&out, words[i]);
		buf_putc(&out, '\n');
		assert_int_equal(cap_yaml_parse(&c, "t", out.data, out.len, &doc), 0);
		assert_int_equal(cap_yaml_string(&c, "t", doc, "key", &back), 0);
		assert_non_null(back);
		assert_string_equal(back, words[i]);
		free(back);
		cap_yaml_free(doc);
		buf_free(&out);
	}
}

static void ignore_patterns_match(void **state)
{
	struct cap_ignore ig = {0};
	(void)state;
	strv_add(&ig.patterns, "*.o");
	strv_add(&ig.patterns, "!keep.o");
	strv_add(&ig.patterns, "build/");
	strv_add(&ig.patterns, "/top");
	strv_add(&ig.patterns, "a/*.txt");
	assert_true(cap_ignore_skip(&ig, "x/y.o", false));
	assert_false(cap_ignore_skip(&ig, "keep.o", false));
	assert_true(cap_ignore_skip(&ig, "sub/build", true));
	assert_false(cap_ignore_skip(&ig, "build", false));
	assert_true(cap_ignore_skip(&ig, "top", false));
	assert_false(cap_ignore_skip(&ig, "sub/top", false));
	assert_true(cap_ignore_skip(&ig, "a/x.txt", false));
	assert_false(cap_ignore_skip(&ig, "a/b/x.txt", false));
	assert_true(cap_ignore_skip(&ig, "meta", true) && cap_ignore_skip(&ig, ".git", true));
	cap_ignore_free(&ig);
}

static void requirements_are_split(void **state)
{
	static const char *const cases[][3] = {{"name", "name", ""}, {"name-1.2", "name-1.2", ""},
	    {"name >=1 <2", "name", ">=1 <2"}, {"name>=1", "name", ">=1"},
	    {"name@^1.2", "name", "^1.2"}, {"a.b.c 1.x", "a.b.c", "1.x"}};
	struct cap c = {0};
	char *name, *range;
	(void)state;
	for (size_t i = 0; i < CAP_ARRAY_SIZE(cases); i++) {
		assert_int_equal(cap_require_split(&c, cases[i][0], &name, &range), 0);
		assert_string_equal(name, cases[i][1]);
		assert_string_equal(range, cases[i][2]);
		free(name);
		free(range);
	}
	assert_int_equal(cap_require_split(&c, ">=1", &name, &range), -EBADMSG);
	free(c.last_error);
}

static void outcomes_become_exit_statuses(void **state)
{
	(void)state;
	assert_int_equal(cap_outcome_status(&(struct cap_outcome){CAP_END_EXIT, 300, NULL}), 44);
	assert_int_equal(cap_outcome_status(&(struct cap_outcome){CAP_END_SIGNAL, 11, NULL}), 139);
	assert_int_equal(cap_outcome_status(&(struct cap_outcome){CAP_END_PANIC, 0, NULL}), 70);
	assert_int_equal(
	    cap_outcome_status(&(struct cap_outcome){CAP_END_STOPPED, 143, NULL}), 143);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(versions_are_ordered),
	    cmocka_unit_test(ranges_admit_what_they_say),
	    cmocka_unit_test(command_lines_round_trip),
	    cmocka_unit_test(commands_are_expanded),
	    cmocka_unit_test(paths_are_cleaned),
	    cmocka_unit_test(sizes_are_parsed),
	    cmocka_unit_test(trees_merge_and_follow_links),
	    cmocka_unit_test(erofs_layout_is_deterministic),
	    cmocka_unit_test(qcow2_headers_are_read_back),
	    cmocka_unit_test(elf_files_are_understood),
	    cmocka_unit_test(yaml_scalars_survive_quoting),
	    cmocka_unit_test(ignore_patterns_match),
	    cmocka_unit_test(requirements_are_split),
	    cmocka_unit_test(outcomes_become_exit_statuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
