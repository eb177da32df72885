/* SPDX-License-Identifier: BSD-3-Clause */
/* Disk images: laying out loader, kernel, command line and root, as raw or qcow2, and reading. */
#ifndef CAPSTAN_IMAGE_H
#define CAPSTAN_IMAGE_H

#include <carrara/image.h>

#include "tree.h"

enum cap_format { CAP_FORMAT_RAW, CAP_FORMAT_QCOW2 };

/* What goes into an image besides its tree. */
struct cap_image_spec {
	enum cap_format format;
	uint64_t disk_bytes;	 /* size of the disk the guest sees; 0: as large as the content */
	const char *cmdline;	 /* boot command line, NULL for none */
	const char *loader;	 /* host file with boot sector and second stage, NULL for none */
	const char *kernel;	 /* host file with the LZ4 block, NULL for none */
	const char *description; /* see bootfile.h, NULL for none */
};

/* Paths of the kernel's build products; NULL where one does not exist. */
struct cap_kernel {
	char *elf;    /* for QEMU's -kernel */
	char *lz4;    /* for disk images */
	char *loader; /* for disk images */
};

/*
 * Finds the kernel: `path` when given, else $CARRARA_KERNEL, else beside the capstan program
 * (../kernel in a build directory, ../lib/carrara when installed). An error when path or the
 * variable names nothing; all NULL when there simply is none.
 */
int cap_kernel_find(struct cap *c, const char *path, struct cap_kernel *k);
void cap_kernel_free(struct cap_kernel *k);

/* Writes an image to an open, empty file. content_bytes (may be NULL) receives the used size. */
int cap_image_write_fd(struct cap *c, struct cap_tree *t, const struct cap_image_spec *spec, int fd,
    const char *name, uint64_t *content_bytes);
/* The same to a path: the old file stays until the new one is complete. */
int cap_image_write(
    struct cap *c, struct cap_tree *t, const struct cap_image_spec *spec, const char *path);

/* An image opened for reading. */
struct cap_image {
	int fd;
	enum cap_format format;
	uint64_t data_offset; /* of disk byte 0 in the file */
	uint64_t disk_bytes;
	struct carrara_image_header header; /* in host byte order */
	char *cmdline, *description;	    /* never NULL */
};

/* Opens and checks an image that capstan wrote. -EBADMSG when it is not one. */
int cap_image_open(struct cap *c, const char *path, struct cap_image *img);
void cap_image_close(struct cap_image *img);

#endif
