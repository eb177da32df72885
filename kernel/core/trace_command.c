/* SPDX-License-Identifier: BSD-3-Clause */
/* Switching tracepoints by text: what /sys/kernel/tracing/set_event and --trace understand. */
#include <asm/errno.h>
#include "core/trace.h"
#include "lib/string.h"

static uint32_t mode_of(const char *word)
{
	static const struct {
		const char *word;
		uint32_t mode;
	} words[] = {{"count", TRACE_COUNT}, {"record", TRACE_RECORD}, {"print", TRACE_PRINT},
	    {"backtrace", TRACE_RECORD | TRACE_BACKTRACE}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(word, words[i].word))
			return words[i].mode;
	return 0;
}

/* Cuts the next word off; NULL at the end. */
static char *next_word(char **text)
{
	char *p = *text;

	while (*p == ' ' || *p == ',' || *p == '\t')
		p++;
	if (!*p)
		return NULL;
	char *start = p;
	while (*p && *p != ' ' && *p != ',' && *p != '\t')
		p++;
	*text = p + (*p != 0);
	*p = 0;
	return start;
}

int trace_command(char *text)
{
	char *pattern = next_word(&text), *word;
	uint32_t set = 0, clear = 0;
	bool exact = false, change = false;

	if (!pattern)
		return -EINVAL;
	bool off = *pattern == '!';
	pattern += off;
	while ((word = next_word(&text))) {
		char sign = *word == '+' || *word == '-' ? *word : 0;
		uint32_t mode = mode_of(word + (sign != 0));
		if (!mode || off)
			return -EINVAL;
		if (sign ==
		    '-') /* without its records a chain has no place; records go without chain */
			clear |= mode == TRACE_RECORD ? TRACE_RECORD | TRACE_BACKTRACE
						      : mode & ~(uint32_t)TRACE_RECORD ?: mode;
		else
			set |= mode;
		exact |= !sign;
		change |= sign != 0;
	}
	if (!*pattern || (exact && change))
		return -EINVAL;
	if (!set && !clear && !off)
		set = TRACE_COUNT | TRACE_RECORD;
	int n = trace_change(pattern, change ? clear : TRACE_MODES, off ? 0 : set);
	return n > 0 ? 0 : n ? n : -ENOENT;
}
