/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The qcow2 container around an image: all metadata first, then the content as one contiguous run
 * of clusters, so that the content is written and read exactly as in a raw image.
 */
#ifndef CAPSTAN_QCOW2_H
#define CAPSTAN_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAP_QCOW2_CLUSTER 65536

/* Bytes of metadata in front of the content. */
uint64_t cap_qcow2_header_bytes(uint64_t disk_bytes, uint64_t content_bytes);
/* Writes the metadata into dst (zeroed, of the size above). */
void cap_qcow2_write_header(uint8_t *dst, uint64_t disk_bytes, uint64_t content_bytes);
/*
 * Reads the start of a file (len bytes). Returns true when it is a qcow2 file written as above and
 * stores where its content starts and how large its disk is.
 */
bool cap_qcow2_read_header(
    const uint8_t *data, size_t len, uint64_t *data_offset, uint64_t *disk_bytes);

#endif
