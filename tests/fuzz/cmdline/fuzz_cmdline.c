/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the boot command line. Whatever it is, parsing ends with a result and frees
 * everything. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/cmdline.h"
#include "lib/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cmdline c;
	cmdline_init(&c);
	int err = cmdline_parse(&c, (const char *)data, n);
	if (err && !c.error[0])
		abort(); /* every refusal says why */
	for (unsigned i = 0; !err && i < c.ncommands; i++)
		if (!c.commands[i].argv.n || c.commands[i].argv.v[c.commands[i].argv.n])
			abort();
	if (!err)
		cmdline_parse(&c, (const char *)data, n);
	cmdline_free(&c);
	return 0;
}
