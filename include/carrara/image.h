/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The disk image of a Carrara machine: what capstan writes and what the boot sector and the kernel
 * read. All numbers are little endian; an LBA counts sectors of 512 bytes from the start of the
 * disk.
 *
 *   LBA 0        boot sector
 *   LBA 1        struct carrara_image_header, the rest of the sector zero
 *   LBA 2 .. 63  second stage of the boot loader
 *   LBA 64 ..    kernel (one raw LZ4 block), then the boot command line, then the description for
 *                capstan (YAML: boot commands and options of the package), each from a new sector
 *   root_lba     root file system, on a multiple of 1 MiB
 *
 * An image for direct kernel boot may leave out the loader and the kernel: kernel_bytes is 0 then.
 */
#ifndef CARRARA_IMAGE_H
#define CARRARA_IMAGE_H

#include <stdint.h>

#define CARRARA_IMAGE_MAGIC "CARRARA1"
#define CARRARA_IMAGE_VERSION 1
#define CARRARA_IMAGE_HEADER_LBA 1
#define CARRARA_IMAGE_LOADER_SECTORS 64 /* boot sector, header and second stage together */
#define CARRARA_IMAGE_CMDLINE_MAX 65536 /* bytes, without a terminating zero */
#define CARRARA_IMAGE_DESCRIPTION_MAX 1048576
#define CARRARA_IMAGE_ROOT_ALIGN 1048576
#define CARRARA_SECTOR 512

/*
 * header_crc is the CRC-32 of IEEE 802.3 (as zlib computes it) over the 512 bytes of the sector
 * with the header_crc field itself taken as zero.
 */
struct carrara_image_header {
	char magic[8];		   /* CARRARA_IMAGE_MAGIC, no terminating zero */
	uint32_t version;	   /* CARRARA_IMAGE_VERSION */
	uint32_t header_crc;	   /* see above */
	uint64_t kernel_lba;	   /* compressed kernel */
	uint64_t kernel_bytes;	   /* its compressed size, 0 when the image carries none */
	uint64_t kernel_raw_bytes; /* its size after decompression */
	uint64_t cmdline_lba;	   /* boot command line, not terminated */
	uint64_t cmdline_bytes;	   /* at most CARRARA_IMAGE_CMDLINE_MAX; 0 when there is none */
	uint64_t root_lba;	   /* root file system */
	uint64_t root_bytes;	   /* its size */
	char root_fstype[16];	   /* "erofs", zero padded */
	uint64_t disk_bytes;	   /* size of the whole disk when the image was made */
	uint64_t description_lba;  /* for capstan; the machine does not read it */
	uint64_t
	    description_bytes; /* at most CARRARA_IMAGE_DESCRIPTION_MAX; 0 when there is none */
} __attribute__((packed));

_Static_assert(sizeof(struct carrara_image_header) <= CARRARA_SECTOR, "the header is one sector");

#endif
