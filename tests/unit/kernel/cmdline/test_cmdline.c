/* SPDX-License-Identifier: BSD-3-Clause */
/* The boot command line parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#include "core/cmdline.h"
#include "lib/string.h"

static int parse(struct cmdline *c, const char *text)
{
	/* An exact copy without a terminator, so that ASan sees every read beyond the end. */
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);
	memcpy(copy, text, n);
	cmdline_init(c);
	int err = cmdline_parse(c, copy, n);
	free(copy);
	return err;
}

static void expect_argv(const char *text, unsigned argc, const char *const *argv)
{
	struct cmdline c;
	assert_int_equal(parse(&c, text), 0);
	assert_int_equal(c.ncommands, 1);
	assert_int_equal(c.commands[0].argv.n, argc);
	for (unsigned i = 0; i < argc; i++)
		assert_string_equal(c.commands[0].argv.v[i], argv[i]);
	assert_null(c.commands[0].argv.v[argc]);
	cmdline_free(&c);
}
#define ARGV(text, ...)                                                           \
	expect_argv(text, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
	    (const char *[]){__VA_ARGS__})

static void expect_error(const char *text, const char *part)
{
	struct cmdline c;
	assert_int_equal(parse(&c, text), -EINVAL);
	if (!strstr(c.error, part))
		fail_msg("%s: \"%s\" does not name \"%s\"", text, c.error, part);
	cmdline_free(&c);
}

static void words_and_quotes(void **state)
{
	(void)state;
	ARGV("/bin/true", "/bin/true");
	ARGV("  /bin/echo\ta \n b  ", "/bin/echo", "a", "b");
	ARGV("/bin/echo 'a  b' \"c d\" e\\ f", "/bin/echo", "a  b", "c d", "e f");
	ARGV("/bin/echo a'b'\"c\"d", "/bin/echo", "abcd");
	ARGV("/bin/echo '' \"\"", "/bin/echo", "", "");
	ARGV("/bin/echo '\\n' \"\\n\" \"\\\"\\\\\" \\\\", "/bin/echo", "\\n", "\\n", "\"\\", "\\");
	ARGV("/bin/echo \\", "/bin/echo", "\\");
	ARGV("/bin/ls --all --env=X=1", "/bin/ls", "--all", "--env=X=1");
	ARGV("-- --odd", "--odd");
	ARGV("/bin/echo '&' \\&", "/bin/echo", "&", "&");
}

static void variables(void **state)
{
	(void)state;
	ARGV("--env=A=1 --env=B=x${A}y /bin/echo ${A} ${B} \"${A} ${B}\" '${A}' ${C}z ${C:-d e}",
	    "/bin/echo", "1", "x1y", "1 x1y", "${A}", "z", "d e");
	ARGV("--env=A= /bin/echo ${A:-empty} $A $", "/bin/echo", "empty", "$A", "$");
	expect_error("/bin/echo ${A", "${A");
	expect_error("/bin/echo ${}", "${}");
	expect_error("/bin/echo ${A:-x", "${A:-x");
	expect_error("/bin/echo \"${A", "${A");
}

static void options(void **state)
{
	struct cmdline c;
	(void)state;
	assert_int_equal(
	    parse(&c, "--env=A=1 --env=B=2 --env=A=3 --cwd=/tmp --hostname=web --strace "
		      "--loglevel=7 --ip=dhcp --user=33:44 --trace=vfs_* --trace=sched_* "
		      "--mount=ramfs:none:/tmp --root=vdb --boot=default --stdio=in,both "
		      "--tty-size=40x132"),
	    0);
	assert_int_equal(c.env.n, 2);
	assert_string_equal(cmdline_getenv(&c, "A", 1), "3");
	assert_string_equal(cmdline_getenv(&c, "B", 1), "2");
	assert_null(cmdline_getenv(&c, "AB", 2));
	assert_string_equal(c.cwd, "/tmp");
	assert_string_equal(c.hostname, "web");
	assert_true(c.strace);
	assert_int_equal(c.loglevel, 7);
	assert_int_equal(c.stdio[0], 1);
	assert_int_equal(c.stdio[1], 2);
	assert_int_equal(c.stdio[2], 2);
	assert_int_equal(c.tty_rows, 40);
	assert_int_equal(c.tty_columns, 132);
	assert_string_equal(c.ip, "dhcp");
	assert_int_equal(c.uid, 33);
	assert_int_equal(c.gid, 44);
	assert_int_equal(c.trace.n, 2);
	assert_string_equal(c.trace.v[1], "sched_*");
	assert_string_equal(c.mounts.v[0], "ramfs:none:/tmp");
	assert_string_equal(c.root, "vdb");
	assert_string_equal(c.boot, "default");
	assert_int_equal(c.ncommands, 0);
	/* What --boot names is parsed into the same structure. */
	static const char more[] = "--env=C=4 /bin/sh ${A}${C}";
	assert_int_equal(cmdline_parse(&c, more, sizeof more - 1), 0);
	assert_string_equal(c.commands[0].argv.v[1], "34");
	cmdline_free(&c);
}

static void virtio_devices(void **state)
{
	struct cmdline c;
	(void)state;
	assert_int_equal(parse(&c, "virtio_mmio.device=512@0xfeb00e00:12 /bin/echo a "
				   "virtio_mmio.device=512@0xfeb00c00:11 b"),
	    0);
	assert_int_equal(c.devices.n, 2);
	assert_string_equal(c.devices.v[0], "512@0xfeb00e00:12");
	assert_int_equal(c.commands[0].argv.n, 3);
	assert_string_equal(c.commands[0].argv.v[2], "b");
	cmdline_free(&c);
}

static void background(void **state)
{
	struct cmdline c;
	(void)state;
	assert_int_equal(parse(&c, "/bin/agent -p 1 & /bin/server --port 2"), 0);
	assert_int_equal(c.ncommands, 2);
	assert_true(c.commands[0].background);
	assert_int_equal(c.commands[0].argv.n, 3);
	assert_false(c.commands[1].background);
	assert_string_equal(c.commands[1].argv.v[1], "--port");
	cmdline_free(&c);
	expect_error("& /bin/true", "&");
}

static void errors(void **state)
{
	(void)state;
	expect_error("--colour=red /bin/true", "--colour=red");
	expect_error("--env=novalue /bin/true", "novalue");
	expect_error("--env==x /bin/true", "=x");
	expect_error("--cwd=relative /bin/true", "relative");
	expect_error("--cwd /bin/true", "--cwd");
	expect_error("--hostname= /bin/true", "hostname");
	expect_error("--loglevel=8 /bin/true", "--loglevel=8");
	expect_error("--loglevel=-1 /bin/true", "--loglevel=-1");
	expect_error("--loglevel=3x /bin/true", "--loglevel=3x");
	expect_error("--user=root /bin/true", "root");
	expect_error("--user=0:99999999999 /bin/true", "99999999999");
	expect_error("--mount=ramfs /bin/true", "ramfs");
	expect_error("--mount=ramfs:none:tmp /bin/true", "ramfs:none:tmp");
	expect_error("--strace=yes /bin/true", "--strace");
	expect_error("--stdio=in,outer /bin/true", "--stdio");
	expect_error("--stdio= /bin/true", "--stdio");
	expect_error("--tty-size=24 /bin/true", "--tty-size");
	expect_error("--tty-size=24x80x /bin/true", "--tty-size");
	expect_error("--tty-size=24x65536 /bin/true", "--tty-size");
	expect_error("--boot=../x", "../x");
	expect_error("/bin/echo 'open", "'open");
	expect_error("/bin/echo \"open", "\"open");
	expect_error("''", "empty");
}

static void nothing(void **state)
{
	struct cmdline c;
	(void)state;
	assert_int_equal(parse(&c, ""), 0);
	assert_int_equal(c.ncommands, 0);
	cmdline_free(&c);
	assert_int_equal(parse(&c, " \n"), 0);
	assert_int_equal(c.ncommands, 0);
	cmdline_free(&c);
}

static void too_long(void **state)
{
	struct cmdline c;
	(void)state;
	char *text = malloc(70001);
	memset(text, 'a', 70000);
	text[70000] = 0;
	assert_int_equal(parse(&c, text), -EINVAL);
	cmdline_free(&c);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_and_quotes),
	    cmocka_unit_test(variables),
	    cmocka_unit_test(options),
	    cmocka_unit_test(virtio_devices),
	    cmocka_unit_test(background),
	    cmocka_unit_test(errors),
	    cmocka_unit_test(nothing),
	    cmocka_unit_test(too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
