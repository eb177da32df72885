/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A small runner for asynchronous tests. A test is a fiber; each runs in a program of its own
 * (started and stopped inside the process), once normally and once suspending at every occasion;
 * if it asks for that also over and over with one allocation failing, for each of them. Output is
 * TAP.
 */
#ifndef SEASTAR_TEST_H
#define SEASTAR_TEST_H

#include <seastar/fiber.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One test. */
struct ss_test {
	const char *name;	   /**< Shown in the output. */
	int64_t (*fn)(void *self); /**< Fiber; a negative value fails the test. */
	const char *args;	   /**< Options of the program, separated by blanks; NULL: "-c1". */
	bool leaks_ok;		   /**< Futures may be left behind. */
	bool once;		   /**< Not in the mode that always suspends. */
	/**
	 * Run it once more for every allocation it makes on its shard, which then fails. Its checks
	 * and its result do not matter in these runs, but it has to end and leave nothing behind,
	 * so it must clean up on every way out.
	 */
	bool each_allocation;
};

/** Define a test: `SS_TEST(name) { body }`, a fiber without captures. */
#define SS_TEST(name) SS_FIBER(name, )

/** Fail the running test if @p cond is false, and go on. */
#define SS_CHECK(cond) ss_test_check((cond), #cond, __FILE__, __LINE__)

/** Fail and leave the running test if @p cond is false. */
#define SS_REQUIRE(cond)                                               \
	do {                                                           \
		if (!ss_test_check((cond), #cond, __FILE__, __LINE__)) \
			return -EINVAL;                                \
	} while (0)

/** The function behind SS_CHECK(): returns @p ok. */
bool ss_test_check(bool ok, const char *what, const char *file, int line);

/**
 * Run @p tests (ended by a NULL name). Arguments: names of tests to run (default: all).
 * @return exit status for main().
 */
int ss_test_main(int argc, char **argv, const struct ss_test *tests);

#ifdef __cplusplus
}
#endif
#endif
