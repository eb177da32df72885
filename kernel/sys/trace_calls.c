/* SPDX-License-Identifier: BSD-3-Clause */
/* The wrappers of traced system calls, made from trace_calls.def. */
#include "sys/trace_calls.h"

#include <asm/unistd_64.h>

#include "core/trace.h"
#include "core/tracebuf.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "sys/dispatch.h"

#define MAX_ERRNO 4095

struct path_copy {
	char text[64];
};

/* The beginning of a string of the application. */
static const char *copy_path(struct path_copy *c, uint64_t from)
{
	size_t left =
	    copy_from_user_partial(c->text, (const void __user *)from, sizeof c->text - 1);

	c->text[sizeof c->text - 1 - left] = 0;
	return left == sizeof c->text - 1 ? "(bad address)" : c->text;
}
#define PATH(argument) copy_path(&(struct path_copy){}, argument)

#define POINT(call, name, format, ...)                                              \
	long sys_##call(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t) \
	    __attribute__((weak));                                                  \
	static long trace_##call(                                                   \
	    uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) \
	{                                                                           \
		TRACE(name, format, __VA_ARGS__);                                   \
		long result = sys_##call(a, b, c, d, e, f);                         \
		if (unlikely((uint64_t)result > (uint64_t)-MAX_ERRNO - 1))          \
			TRACE(name##_err, "error=%ld", -result);                    \
		else                                                                \
			TRACE(name##_ret, "result=%#lx", result);                   \
		return result;                                                      \
	}
#include "sys/trace_calls.def"
#undef POINT

static const struct wrapper {
	const void *fn;
	const char *name;
} wrappers[SYSCALL_COUNT] = {
#define POINT(call, name, format, ...) [__NR_##call] = {(const void *)trace_##call, #name},
#include "sys/trace_calls.def"
#undef POINT
};

const void *trace_call(unsigned nr)
{
	return nr < SYSCALL_COUNT ? wrappers[nr].fn : NULL;
}

bool trace_call_on(unsigned nr)
{
	char name[48];

	if (nr >= SYSCALL_COUNT || !wrappers[nr].name)
		return false;
	static const char *const suffix[] = {"", "_ret", "_err"};
	for (unsigned i = 0; i < ARRAY_SIZE(suffix); i++) {
		snprintf(name, sizeof name, "%s%s", wrappers[nr].name, suffix[i]);
		if (trace_on(name))
			return true;
	}
	return false;
}
