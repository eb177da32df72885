/* SPDX-License-Identifier: BSD-3-Clause */
/* Images in the formats of other hypervisors and clouds. */
#ifndef CAPSTAN_EXPORT_H
#define CAPSTAN_EXPORT_H

#include "cap.h"

/*
 * Converts an image with qemu-img: format qcow2, raw, vdi, vmdk, or raw.tar.gz (disk.raw in an
 * archive, as Google's cloud imports it). The file appears when it is complete.
 */
int cap_image_export(struct cap *c, const char *image, const char *format, const char *file);

#endif
