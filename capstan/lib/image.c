/* SPDX-License-Identifier: BSD-3-Clause */
/* Disk images: laying out loader, kernel, command line and root file system; reading them back. */
#include "image.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "erofs.h"
#include "qcow2.h"

#define KERNEL_MAX (64u << 20)
#define LOADER_MAX (CARRARA_IMAGE_LOADER_SECTORS * CARRARA_SECTOR)
#define READ_AHEAD (4 * CAP_QCOW2_CLUSTER)

static char *existing(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	if (path_exists(path))
		return path;
	free(path);
	return NULL;
}

static void kernel_from_dir(struct cap_kernel *k, const char *dir)
{
	k->elf = existing(dir, "carrara.elf");
	k->lz4 = existing(dir, "carrara.img.lz4");
	k->loader = existing(dir, "boot/bios.bin");
	if (!k->loader)
		k->loader = existing(dir, "bios.bin");
}

int cap_kernel_find(struct cap *c, const char *path, struct cap_kernel *k)
{
	*k = (struct cap_kernel){0};
	bool by_option = path;
	if (!path)
		path = getenv("CARRARA_KERNEL");
	if (path && *path) {
		if (path_is_dir(path)) {
			kernel_from_dir(k, path);
		} else {
			char *dir = path_dir(path);
			kernel_from_dir(k, dir);
			free(dir);
			free(k->elf);
			k->elf = path_exists(path) ? xstrdup(path) : NULL;
		}
		if (!k->elf)
			return cap_fail(c, ENOENT, "no kernel at %s (given by %s)", path,
			    by_option ? "--kernel" : "$CARRARA_KERNEL");
		return 0;
	}
	static const char *const places[] = {"../kernel", "../lib/carrara"};
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return 0;
	self[n] = 0;
	char *dir = path_dir(self);
	for (size_t i = 0; i < CAP_ARRAY_SIZE(places) && !k->elf; i++) {
		char *place = path_join(dir, places[i]), *clean = path_clean(place);
		cap_kernel_free(k);
		kernel_from_dir(k, clean);
		free(place);
		free(clean);
	}
	free(dir);
	return 0;
}

void cap_kernel_free(struct cap_kernel *k)
{
	free(k->elf);
	free(k->lz4);
	free(k->loader);
	*k = (struct cap_kernel){0};
}

/* The parts of an image and where they go. */
struct parts {
	struct buf loader, kernel;
	struct carrara_image_header header;
	uint64_t root_offset, root_bytes, content_bytes, disk_bytes;
};

static int load_part(struct cap *c, const char *path, size_t max, struct buf *out)
{
	if (!path)
		return 0;
	int result = file_read(path, max, out);
	if (result == -EFBIG)
		return cap_fail(c, EBADMSG, "%s is too large (at most %zu bytes)", path, max);
	return result ? cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result)) : 0;
}

/* A raw LZ4 block does not say how much it holds, so it is decompressed once to find out. */
static int kernel_raw_size(struct cap *c, const struct buf *kernel, uint64_t *bytes)
{
	char *raw = xmalloc(KERNEL_MAX);
	int n = LZ4_decompress_safe(kernel->data, raw, kernel->len, KERNEL_MAX);
	free(raw);
	if (n <= 0)
		return cap_fail(c, EBADMSG, "the compressed kernel is damaged (not one LZ4 block)");
	*bytes = n;
	return 0;
}

static uint64_t sectors(uint64_t bytes)
{
	return (bytes + CARRARA_SECTOR - 1) / CARRARA_SECTOR;
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static int plan_image(
    struct cap *c, struct cap_tree *t, const struct cap_image_spec *spec, struct parts *p)
{
	struct carrara_image_header *h = &p->header;
	uint64_t lba = CARRARA_IMAGE_LOADER_SECTORS, raw_bytes = 0;
	int result = load_part(c, spec->loader, LOADER_MAX, &p->loader);
	if (!result)
		result = load_part(c, spec->kernel, KERNEL_MAX, &p->kernel);
	if (!result && p->kernel.len)
		result = kernel_raw_size(c, &p->kernel, &raw_bytes);
	if (!result)
		result = cap_erofs_plan(c, t, &p->root_bytes);
	if (result)
		return result;
	size_t cmdline_bytes = spec->cmdline ? strlen(spec->cmdline) : 0;
	if (cmdline_bytes > CARRARA_IMAGE_CMDLINE_MAX)
		return cap_fail(c, EBADMSG, "the boot command line is %zu bytes long (at most %d)",
		    cmdline_bytes, CARRARA_IMAGE_CMDLINE_MAX);
	size_t description_bytes = spec->description ? strlen(spec->description) : 0;
	if (description_bytes > CARRARA_IMAGE_DESCRIPTION_MAX)
		return cap_fail(c, EBADMSG,
		    "boot commands and options together are %zu bytes long (at most %d)",
		    description_bytes, CARRARA_IMAGE_DESCRIPTION_MAX);
	memcpy(h->magic, CARRARA_IMAGE_MAGIC, sizeof(h->magic));
	strcpy(h->root_fstype, "erofs");
	h->version = CARRARA_IMAGE_VERSION;
	h->kernel_bytes = p->kernel.len;
	h->kernel_raw_bytes = raw_bytes;
	h->kernel_lba = p->kernel.len ? lba : 0;
	lba += sectors(p->kernel.len);
	h->cmdline_bytes = cmdline_bytes;
	h->cmdline_lba = cmdline_bytes ? lba : 0;
	lba += sectors(cmdline_bytes);
	h->description_bytes = description_bytes;
	h->description_lba = description_bytes ? lba : 0;
	lba += sectors(description_bytes);
	p->root_offset = round_up(lba * CARRARA_SECTOR, CARRARA_IMAGE_ROOT_ALIGN);
	h->root_lba = p->root_offset / CARRARA_SECTOR;
	h->root_bytes = p->root_bytes;
	p->content_bytes = p->root_offset + p->root_bytes;
	p->disk_bytes = round_up(cap_max(spec->disk_bytes, p->content_bytes), CARRARA_SECTOR);
	h->disk_bytes = p->disk_bytes;
	if (spec->disk_bytes && spec->disk_bytes < p->content_bytes) {
		char want[32], have[32];
		return cap_fail(c, EBADMSG, "the image needs %s, more than the given size of %s",
		    format_size(p->content_bytes, want), format_size(spec->disk_bytes, have));
	}
	return 0;
}

static void swap_header(struct carrara_image_header *h)
{
	h->version = htole32(h->version);
	h->header_crc = htole32(h->header_crc);
	h->kernel_lba = htole64(h->kernel_lba);
	h->kernel_bytes = htole64(h->kernel_bytes);
	h->kernel_raw_bytes = htole64(h->kernel_raw_bytes);
	h->cmdline_lba = htole64(h->cmdline_lba);
	h->cmdline_bytes = htole64(h->cmdline_bytes);
	h->root_lba = htole64(h->root_lba);
	h->root_bytes = htole64(h->root_bytes);
	h->disk_bytes = htole64(h->disk_bytes);
	h->description_lba = htole64(h->description_lba);
	h->description_bytes = htole64(h->description_bytes);
}

/* CRC of the header sector with the CRC field as zero. */
static uint32_t sector_crc(const uint8_t *sector)
{
	uint8_t copy[CARRARA_SECTOR];
	memcpy(copy, sector, sizeof(copy));
	memset(copy + offsetof(struct carrara_image_header, header_crc), 0, 4);
	return crc32(0, copy, sizeof(copy));
}

static int fill(struct cap *c, struct cap_tree *t, const struct cap_image_spec *spec,
    const struct parts *p, uint8_t *disk)
{
	uint8_t *sector = disk + CARRARA_IMAGE_HEADER_LBA * CARRARA_SECTOR;
	struct carrara_image_header h = p->header;
	if (p->loader.len)
		memcpy(disk, p->loader.data, p->loader.len);
	memset(sector, 0, CARRARA_SECTOR);
	swap_header(&h);
	memcpy(sector, &h, sizeof(h));
	h.header_crc = htole32(sector_crc(sector));
	memcpy(sector, &h, sizeof(h));
	if (p->kernel.len)
		memcpy(disk + p->header.kernel_lba * CARRARA_SECTOR, p->kernel.data, p->kernel.len);
	if (p->header.cmdline_bytes)
		memcpy(disk + p->header.cmdline_lba * CARRARA_SECTOR, spec->cmdline,
		    p->header.cmdline_bytes);
	if (p->header.description_bytes)
		memcpy(disk + p->header.description_lba * CARRARA_SECTOR, spec->description,
		    p->header.description_bytes);
	return cap_erofs_write(c, t, disk + p->root_offset, p->root_bytes);
}

static int write_parts(struct cap *c, struct cap_tree *t, const struct cap_image_spec *spec,
    const struct parts *p, int fd, const char *name)
{
	bool qcow2 = spec->format == CAP_FORMAT_QCOW2;
	uint64_t front = qcow2 ? cap_qcow2_header_bytes(p->disk_bytes, p->content_bytes) : 0;
	uint64_t used = front + p->content_bytes;
	if (qcow2)
		used = round_up(used, CAP_QCOW2_CLUSTER);
	/* Reserving the space first turns a full disk into an error here instead of a SIGBUS. */
	int error = posix_fallocate(fd, 0, used);
	if (error)
		return cap_fail(c, error, "cannot reserve space for %s: %s", name, strerror(error));
	if (!qcow2 && p->disk_bytes > used && ftruncate(fd, p->disk_bytes))
		return cap_fail_errno(c, "cannot size %s", name);
	uint8_t *map = mmap(NULL, used, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return cap_fail_errno(c, "cannot map %s", name);
	if (qcow2)
		cap_qcow2_write_header(map, p->disk_bytes, p->content_bytes);
	int result = fill(c, t, spec, p, map + front);
	munmap(map, used);
	return result;
}

int cap_image_write_fd(struct cap *c, struct cap_tree *t, const struct cap_image_spec *spec, int fd,
    const char *name, uint64_t *content_bytes)
{
	struct parts p = {0};
	int result = plan_image(c, t, spec, &p);
	if (!result)
		result = write_parts(c, t, spec, &p, fd, name);
	if (content_bytes)
		*content_bytes = p.content_bytes;
	buf_free(&p.loader);
	buf_free(&p.kernel);
	return result;
}

int cap_image_write(
    struct cap *c, struct cap_tree *t, const struct cap_image_spec *spec, const char *path)
{
	char *tmp = xasprintf("%s.%d.tmp", path, (int)getpid());
	int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int result = fd < 0 ? cap_fail_errno(c, "cannot create %s", tmp)
			    : cap_image_write_fd(c, t, spec, fd, path, NULL);
	if (fd >= 0)
		close(fd);
	if (!result && rename(tmp, path))
		result = cap_fail_errno(c, "cannot create %s", path);
	if (result && fd >= 0)
		unlink(tmp);
	free(tmp);
	return result;
}

static int read_exactly(int fd, void *dst, size_t len, uint64_t offset)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(fd, (char *)dst + done, len - done, offset + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		done += n;
	}
	return 0;
}

static int read_header(struct cap *c, const char *path, struct cap_image *img)
{
	uint8_t sector[CARRARA_SECTOR];
	uint64_t at = img->data_offset + CARRARA_IMAGE_HEADER_LBA * CARRARA_SECTOR;
	struct carrara_image_header *h = &img->header;
	if (read_exactly(img->fd, sector, sizeof(sector), at) ||
	    memcmp(sector, CARRARA_IMAGE_MAGIC, sizeof(h->magic)))
		return cap_fail(c, EBADMSG, "%s is not a Carrara image", path);
	memcpy(h, sector, sizeof(*h));
	swap_header(h);
	if (h->header_crc != sector_crc(sector))
		return cap_fail(
		    c, EBADMSG, "%s: the image header is damaged (wrong checksum)", path);
	if (h->version != CARRARA_IMAGE_VERSION)
		return cap_fail(
		    c, EBADMSG, "%s: image version %u is not supported", path, h->version);
	if (h->cmdline_bytes > CARRARA_IMAGE_CMDLINE_MAX || h->cmdline_lba > UINT32_MAX ||
	    h->description_bytes > CARRARA_IMAGE_DESCRIPTION_MAX || h->description_lba > UINT32_MAX)
		return cap_fail(c, EBADMSG, "%s: the image header makes no sense", path);
	img->cmdline = xcalloc(1, h->cmdline_bytes + 1);
	img->description = xcalloc(1, h->description_bytes + 1);
	int result = read_exactly(img->fd, img->cmdline, h->cmdline_bytes,
	    img->data_offset + h->cmdline_lba * CARRARA_SECTOR);
	if (!result)
		result = read_exactly(img->fd, img->description, h->description_bytes,
		    img->data_offset + h->description_lba * CARRARA_SECTOR);
	return result ? cap_fail(c, EBADMSG, "%s is truncated", path) : 0;
}

int cap_image_open(struct cap *c, const char *path, struct cap_image *img)
{
	*img = (struct cap_image){.fd = open(path, O_RDONLY | O_CLOEXEC)};
	if (img->fd < 0)
		return cap_fail_errno(c, "cannot open the image %s", path);
	uint8_t *start = xmalloc(READ_AHEAD);
	ssize_t n = pread(img->fd, start, READ_AHEAD, 0);
	if (n > 0 && cap_qcow2_read_header(start, n, &img->data_offset, &img->disk_bytes)) {
		img->format = CAP_FORMAT_QCOW2;
	} else {
		off_t end = lseek(img->fd, 0, SEEK_END);
		img->disk_bytes = end > 0 ? end : 0;
	}
	free(start);
	int result = read_header(c, path, img);
	if (result)
		cap_image_close(img);
	return result;
}

void cap_image_close(struct cap_image *img)
{
	if (img->fd >= 0)
		close(img->fd);
	free(img->cmdline);
	free(img->description);
	*img = (struct cap_image){.fd = -1};
}
