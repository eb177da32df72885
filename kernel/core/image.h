/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel reads of a disk image besides its root file system (include/carrara/image.h). */
#pragma once

/* The boot command line stored in the image on a disk: kmalloc'd in *text, its length; 0 if there
 * is none; -ENODEV, -EIO, -ENOMEM. */
long image_command_line(const char *disk, char **text);
