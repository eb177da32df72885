/* SPDX-License-Identifier: BSD-3-Clause */
/* What a repository answers: a hub's index as JSON, and a bucket's listing as XML. */
#include <stdlib.h>
#include <string.h>

#include "../../../capstan/lib/hub_bucket.h"
#include "../../../capstan/lib/hub_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted is written and read back as the same. */
static void index_round_trip(struct cap *c, const char *text, size_t size)
{
	struct hub_index index, again;
	if (hub_index_parse(c, "index", text, size, &index))
		return;
	char *json = hub_index_format(&index);
	if (hub_index_parse(c, "again", json, strlen(json), &again) || again.count != index.count ||
	    again.image_count != index.image_count)
		abort();
	hub_index_find(&again, "a", "^1.0");
	hub_index_find_image(&again, "a/b");
	hub_index_free(&again);
	hub_index_free(&index);
	free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cap c = {0};
	struct strv keys = {0};
	char *marker, *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = 0;
	index_round_trip(&c, text, size);
	cap_bucket_parse(&c, "bucket", text, &keys, &marker);
	strv_free(&keys);
	free(marker);
	free(text);
	free(c.last_error);
	return 0;
}
