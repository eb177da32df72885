/* SPDX-License-Identifier: BSD-3-Clause */
/* Changing the command line in the image: its text lies in sectors of its own before the root file
 * system. */
#include "bootline.h"
#include "source.h"

#include <carrara/image.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISK "/dev/vda"

static bool changed;

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* Reads and checks the header; the sector is what it stands in. 0 or a negative errno with *why. */
static int read_header(int fd, uint8_t sector[CARRARA_SECTOR], const char **why)
{
	struct carrara_image_header h;

	if (pread(fd, sector, CARRARA_SECTOR, CARRARA_IMAGE_HEADER_LBA * CARRARA_SECTOR) !=
	    CARRARA_SECTOR) {
		*why = "the disk cannot be read";
		return -EINVAL;
	}
	memcpy(&h, sector, sizeof h);
	uint8_t copy[CARRARA_SECTOR];
	memcpy(copy, sector, sizeof copy);
	memset(copy + offsetof(struct carrara_image_header, header_crc), 0, 4);
	if (memcmp(h.magic, CARRARA_IMAGE_MAGIC, 8) ||
	    h.header_crc != crc32_of(copy, sizeof copy) ||
	    h.cmdline_bytes > CARRARA_IMAGE_CMDLINE_MAX ||
	    h.cmdline_lba < CARRARA_IMAGE_LOADER_SECTORS || h.cmdline_lba >= h.root_lba) {
		*why = "the disk has no header of an image";
		return -EINVAL;
	}
	return 0;
}

static int open_disk(int flags, uint8_t sector[CARRARA_SECTOR], const char **why)
{
	char path[256];

	snprintf(path, sizeof path, "%s" DISK, source_root);
	int fd = open(path, flags | O_CLOEXEC);
	if (fd < 0) {
		*why = DISK;
		return -errno;
	}
	int err = read_header(fd, sector, why);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

char *bootline_read(const char **why)
{
	uint8_t sector[CARRARA_SECTOR];
	struct carrara_image_header h;
	const char *unused;
	int fd = open_disk(O_RDONLY, sector, why ? why : &unused);

	if (fd < 0)
		return NULL;
	memcpy(&h, sector, sizeof h);
	char *text = malloc(h.cmdline_bytes + 1);
	if (text && pread(fd, text, h.cmdline_bytes, (off_t)h.cmdline_lba * CARRARA_SECTOR) ==
			(ssize_t)h.cmdline_bytes) {
		text[h.cmdline_bytes] = 0;
	} else {
		free(text);
		text = NULL;
	}
	close(fd);
	return text;
}

/* The text first, then the header that says how long it is: a header is one sector, written at
 * once. */
static int store(int fd, uint8_t sector[CARRARA_SECTOR], const char *text, const char **why)
{
	struct carrara_image_header h;
	size_t n = strlen(text);

	memcpy(&h, sector, sizeof h);
	uint64_t room = (h.root_lba - h.cmdline_lba) * CARRARA_SECTOR;
	if (n > room || n > CARRARA_IMAGE_CMDLINE_MAX) {
		*why = "it is longer than the room in the image";
		return -EFBIG;
	}
	h.cmdline_bytes = n;
	h.header_crc = 0;
	memcpy(sector, &h, sizeof h);
	h.header_crc = crc32_of(sector, CARRARA_SECTOR);
	memcpy(sector, &h, sizeof h);
	*why = "the disk cannot be written";
	if (pwrite(fd, text, n, (off_t)h.cmdline_lba * CARRARA_SECTOR) != (ssize_t)n || fsync(fd) ||
	    pwrite(fd, sector, CARRARA_SECTOR, CARRARA_IMAGE_HEADER_LBA * CARRARA_SECTOR) !=
		CARRARA_SECTOR ||
	    fsync(fd))
		return errno ? -errno : -EIO;
	return 0;
}

int bootline_write(const char *text, const char **why)
{
	uint8_t sector[CARRARA_SECTOR];
	int fd = open_disk(O_RDWR, sector, why);

	if (fd < 0)
		return fd;
	int err = store(fd, sector, text, why);
	close(fd);
	changed |= !err;
	return err;
}

bool bootline_changed(void)
{
	return changed;
}
