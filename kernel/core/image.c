/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the boot command line of a disk image. */
#include "core/image.h"
#include <asm/errno.h>
#include "carrara/image.h"
#include "drivers/block.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

long image_command_line(const char *disk, char **text)
{
	struct block_device *d = block_find(disk);
	char *sector = kmalloc(PAGE_SIZE);
	long n = -ENODEV;

	*text = NULL;
	if (!sector)
		return -ENOMEM;
	if (!d || block_read(d, CARRARA_IMAGE_HEADER_LBA, sector, 1))
		goto out;
	struct carrara_image_header h;
	memcpy(&h, sector, sizeof h);
	n = 0;
	if (memcmp(h.magic, CARRARA_IMAGE_MAGIC, sizeof h.magic) ||
	    h.version != CARRARA_IMAGE_VERSION)
		goto out;
	unsigned sectors = (unsigned)((h.cmdline_bytes + SECTOR_SIZE - 1) / SECTOR_SIZE);
	if (!h.cmdline_bytes || h.cmdline_bytes > CARRARA_IMAGE_CMDLINE_MAX ||
	    h.cmdline_lba >= d->sectors || sectors > d->sectors - h.cmdline_lba)
		goto out;
	*text = kmalloc(MAX((size_t)sectors * SECTOR_SIZE, PAGE_SIZE));
	n = *text ? block_read(d, h.cmdline_lba, *text, sectors) : -ENOMEM;
	if (n)
		kfree(*text);
	else
		n = (long)h.cmdline_bytes;
out:
	kfree(sector);
	return n;
}
