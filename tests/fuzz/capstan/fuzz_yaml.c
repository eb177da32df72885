/* SPDX-License-Identifier: BSD-3-Clause */
/* package.yaml, run.yaml, lock.yaml and meta/opts: any text is parsed or refused, and what is
 * parsed works. */
#include <stdlib.h>

#include "../../../capstan/lib/compose.h"
#include "../../../capstan/lib/lock.h"
#include "../../../capstan/lib/yamldoc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_run(struct cap *c, const char *text, size_t size)
{
	struct cap_runconf rc;
	if (cap_runconf_parse(c, "run.yaml", text, size, &rc))
		return;
	for (size_t i = 0; i < rc.count; i++) {
		struct buf line = {0};
		for (size_t k = 0; k < rc.count; k++)
			if (k != i)
				cap_config_inherit(&rc.configs[i], &rc.configs[k]);
		cap_config_boot(c, "run.yaml", &rc.configs[i], &line);
		buf_free(&line);
	}
	cap_runconf_free(&rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cap c = {0};
	struct cap_package p, again;
	struct cap_option *options;
	struct cap_lock lock;
	size_t count;
	const char *text = (const char *)data;
	if (!cap_package_parse(&c, "package.yaml", text, size, &p)) {
		/* What is written must be read back as the same. */
		struct buf out = {0};
		cap_package_format(&p, &out);
		if (cap_package_parse(&c, "again", out.data, out.len, &again) ||
		    again.require.count != p.require.count)
			abort();
		cap_package_free(&again);
		cap_package_free(&p);
		buf_free(&out);
	}
	try_run(&c, text, size);
	if (!cap_options_parse(&c, "opts", text, size, &options, &count))
		cap_options_free(options, count);
	if (!cap_lock_parse(&c, "lock.yaml", text, size, &lock))
		cap_lock_free(&lock);
	free(c.last_error);
	return 0;
}
