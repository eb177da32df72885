/* SPDX-License-Identifier: BSD-3-Clause */
/* Command lines: words survive quoting and splitting; any text is split or refused. */
#include <stdlib.h>
#include <string.h>

#include "../../../capstan/lib/cmdline.h"
#include "../../../capstan/lib/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cap c = {0};
	struct strv words = {0}, back = {0}, env = {0};
	struct buf line = {0}, out = {0};
	char *text = xstrndup((const char *)data, size);
	strv_add(&env, "A=value one");
	strv_add(&env, "B=");
	/* The input, cut at bytes 1, as words: quoted and split they must come back. */
	for (char *p = text;; p++) {
		size_t n = strcspn(p, "\1");
		strv_take(&words, xstrndup(p, n));
		p += n;
		if (!*p)
			break;
	}
	for (size_t i = 0; i < words.count; i++)
		cap_cmdline_add(&line, words.items[i]);
	if (cap_cmdline_split(&c, "line", line.data, &back) || back.count != words.count)
		abort();
	for (size_t i = 0; i < words.count; i++)
		if (strcmp(words.items[i], back.items[i]))
			abort();
	cap_cmdline_expand(&c, "text", text, &env, &out);
	cap_version_matches("1.2.3", text);
	cap_version_compare(text, words.items[0]);
	strv_free(&words);
	strv_free(&back);
	strv_free(&env);
	buf_free(&line);
	buf_free(&out);
	free(text);
	free(c.last_error);
	return 0;
}
