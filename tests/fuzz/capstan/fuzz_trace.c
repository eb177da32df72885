/* SPDX-License-Identifier: BSD-3-Clause */
/* Dumps of trace records: parsing, and every output made of them. */
#include "../../../capstan/lib/tracefile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cap c;
	struct cap_trace t;
	struct buf in = {0}, out = {0};

	if (cap_open(&c, "/nonexistent", NULL, NULL, NULL))
		return 0;
	/* Most inputs should get past the beginning. */
	buf_add(&in, TRACE_DUMP_MAGIC, 8);
	buf_add(&in, data, size);
	if (!cap_trace_parse(&c, "fuzz", &in, &t)) {
		cap_trace_text(&t, &out);
		cap_trace_folded(&t, NULL, &out);
		cap_trace_chrome(&t, &out);
		cap_trace_free(&t);
	}
	buf_free(&in);
	buf_free(&out);
	cap_close(&c);
	return 0;
}
