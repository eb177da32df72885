/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * .capstanignore: one pattern a line, as in .gitignore without its rarer parts. A pattern with a
 * slash before its end is anchored at the directory, another one matches at any depth; a trailing
 * slash matches directories only; "!" takes a later match back; "#" starts a comment.
 */
#include "ignore.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define IGNORE_MAX (1 << 20)

int cap_ignore_read(struct cap *c, const char *dir, struct cap_ignore *ig)
{
	char *path = path_join(dir, ".capstanignore");
	struct buf text = {0};
	int result = file_read(path, IGNORE_MAX, &text);
	if (result && result != -ENOENT && result != -ENOTDIR)
		result = cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result));
	else if (!result) {
		char *save = NULL;
		for (char *line = strtok_r(text.data, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save)) {
			size_t n = strlen(line);
			while (n && strchr(" \t\r", line[n - 1]))
				line[--n] = 0;
			if (n && line[0] != '#')
				strv_add(&ig->patterns, line);
		}
	} else {
		result = 0;
	}
	buf_free(&text);
	free(path);
	return result;
}

void cap_ignore_free(struct cap_ignore *ig)
{
	strv_free(&ig->patterns);
}

static bool always_left_out(const struct cap_ignore *ig, const char *relative)
{
	static const char *const names[] = {".git", "mpm-pkg", ".capstanignore", "capstan.lock"};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(names); i++)
		if (!strcmp(relative, names[i]))
			return true;
	if (ig->keep_meta)
		return !strchr(relative, '/') && has_suffix(relative, ".mpm");
	return !strcmp(relative, "meta");
}

static bool pattern_matches(const char *pattern, const char *relative, bool is_dir)
{
	char *p = xstrdup(pattern[0] == '/' ? pattern + 1 : pattern);
	size_t n = strlen(p);
	bool match = true;
	if (n && p[n - 1] == '/') {
		p[n - 1] = 0;
		match = is_dir;
	}
	bool anchored = pattern[0] == '/' || strchr(p, '/');
	if (match)
		match = !fnmatch(p, anchored ? relative : path_base(relative), FNM_PATHNAME);
	free(p);
	return match;
}

bool cap_ignore_skip(void *arg, const char *relative, bool is_dir)
{
	const struct cap_ignore *ig = arg;
	if (always_left_out(ig, relative))
		return true;
	bool skip = false;
	for (size_t i = 0; i < ig->patterns.count; i++) {
		const char *pattern = ig->patterns.items[i];
		bool back = pattern[0] == '!';
		if (pattern_matches(pattern + back, relative, is_dir))
			skip = !back;
	}
	return skip;
}
