/* SPDX-License-Identifier: BSD-3-Clause */
/* The boot command line stored in the image this machine runs from (include/carrara/image.h). */
#ifndef HTTPSERVER_BOOTLINE_H
#define HTTPSERVER_BOOTLINE_H

#include <stdbool.h>

/* Terminated, to be freed; NULL with *why (if not NULL) if there is none. */
char *bootline_read(const char **why);
/* Stores another one. 0; -EINVAL: the disk has no header; -EFBIG: no room; else a negative errno.
 * *why is set on failure. */
int bootline_write(const char *text, const char **why);
/* Was it changed by bootline_write()? */
bool bootline_changed(void);

#endif
