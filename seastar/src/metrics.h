/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the metrics share. A collection asks every shard for a snapshot: its metrics
 * one after another in one block of memory, with copies of all texts. The shard that asked merges
 * the snapshots and formats the result.
 */
#ifndef SS_METRICS_INTERNAL_H
#define SS_METRICS_INTERNAL_H

#include "shard.h"

#include <seastar/metrics.h>

/* Bytes that grow; err is set for good when there is no memory. */
struct text {
	char *p;
	size_t n, room;
	int err;
};

void text_add(struct text *t, const void *data, size_t n);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One metric of a snapshot; followed by name, help, labels (name and value in turn), all
 * terminated, then `numbers` doubles: the value, or sum, bounds and counts of a histogram. */
struct record {
	uint32_t size; /* of all of it, a multiple of 8 */
	uint32_t text; /* bytes of the texts */
	uint16_t type;
	uint16_t n_labels;
	uint32_t numbers;
	char bytes[];
};

void snapshot_record(struct text *t, enum ss_metric_type type, const char *name, const char *help,
    const char *labels, size_t labels_len, unsigned n_labels, const double *v, unsigned n);

/* The framework's own metrics of the calling shard. */
void snapshot_core(struct text *t);

/* Merge snapshots and format them. */
void metrics_format(
    struct text *out, const struct text *shards, unsigned n, const struct ss_metrics_export *how);

#endif
