/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Solver cases as data files, one case each (solver/NAME.case):
 *   have NAME VERSION [: REQUIREMENT, ...]    in the local repository: kept when it fits
 *   hub NAME VERSION [: REQUIREMENT, ...]     could be fetched
 *   need REQUIREMENT                          of the application
 *   expect NAME VERSION                       one line for each chosen package, in order of names
 *   fails TEXT                                there is no solution, and the message contains TEXT
 * VERSION "-" is none. "#" starts a comment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../capstan/lib/solve.h"

struct scenario {
	struct cap_candidate list[64];
	struct strv require[64];
	size_t count;
	struct strv need, expect, fails;
};

static void split_list(char *text, struct strv *out)
{
	for (char *p = text; p && *p;) {
		p += strspn(p, " ,");
		size_t n = strcspn(p, ",");
		if (n)
			strv_take(out, xstrndup(p, n));
		p += n;
	}
}

static bool add_candidate(struct scenario *s, char *text, bool preferred)
{
	char name[64], version[64], *colon = strchr(text, ':');
	if (s->count == CAP_ARRAY_SIZE(s->list) ||
	    sscanf(text, "%63s %63[^: \n]", name, version) != 2)
		return false;
	if (colon)
		split_list(colon + 1, &s->require[s->count]);
	s->list[s->count] = (struct cap_candidate){.name = xstrdup(name),
	    .version = strcmp(version, "-") ? xstrdup(version) : NULL,
	    .require = &s->require[s->count],
	    .preferred = preferred};
	s->count++;
	return true;
}

static bool read_line(struct scenario *s, char *line)
{
	char *rest = line + strcspn(line, " ");
	line[strcspn(line, "#\n")] = 0;
	for (size_t n = strlen(line); n && line[n - 1] == ' ';)
		line[--n] = 0;
	if (!*line)
		return true;
	if (!*rest)
		return false;
	*rest++ = 0;
	if (!strcmp(line, "have") || !strcmp(line, "hub"))
		return add_candidate(s, rest, !strcmp(line, "have"));
	/* The solver writes a missing version as nothing after the name. */
	if (!strcmp(line, "expect") && has_suffix(rest, " -"))
		rest[strlen(rest) - 1] = 0;
	struct strv *list = !strcmp(line, "need")     ? &s->need
			    : !strcmp(line, "expect") ? &s->expect
			    : !strcmp(line, "fails")  ? &s->fails
						      : NULL;
	if (list)
		strv_add(list, rest);
	return list;
}

static bool load(const char *path, struct scenario *s)
{
	char line[512];
	FILE *f = fopen(path, "re");
	bool ok = f;
	for (int number = 1; ok && fgets(line, sizeof(line), f); number++)
		if (!(ok = read_line(s, line)))
			fprintf(stderr, "%s:%d: not understood\n", path, number);
	if (f)
		fclose(f);
	return ok && s->expect.count + s->fails.count > 0;
}

static void unload(struct scenario *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free((char *)s->list[i].name);
		free((char *)s->list[i].version);
		strv_free(&s->require[i]);
	}
	strv_free(&s->need);
	strv_free(&s->expect);
	strv_free(&s->fails);
}

static bool run_case(const char *path)
{
	struct scenario s = {0};
	struct cap c = {0};
	struct strv picks = {0};
	bool ok = load(path, &s);
	if (ok) {
		int result = cap_solve(&c, "app", &s.need, s.list, s.count, &picks);
		char *got = strv_join(&picks, "; "), *want = strv_join(&s.expect, "; ");
		ok = s.fails.count ? result != 0 : !result && !strcmp(got, want);
		for (size_t i = 0; ok && i < s.fails.count; i++)
			ok = strstr(c.last_error, s.fails.items[i]);
		if (!ok)
			printf("%s: got \"%s\"%s%s, want \"%s\"\n", path, got,
			    c.last_error ? ", " : "", c.last_error ? c.last_error : "",
			    s.fails.count ? s.fails.items[0] : want);
		free(got);
		free(want);
	}
	strv_free(&picks);
	unload(&s);
	free(c.last_error);
	printf("%s %s\n", ok ? "ok" : "FAILED", path);
	return ok;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;
	for (int i = 1; i < argc; i++)
		failed += !run_case(argv[i]);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
