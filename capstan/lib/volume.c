/* SPDX-License-Identifier: BSD-3-Clause */
/* Volumes. */
#include "volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manifest.h"
#include "qcow2.h"
#include "repo.h"

static const char *const formats[] = {"raw", "qcow2"};

static char *volume_path(struct cap *c, const char *name, const char *format)
{
	char *relative = xasprintf("volumes/%s.%s", name, format),
	     *path = cap_repo_path(c, relative);
	free(relative);
	return path;
}

/* Path of an existing volume, NULL when there is none. */
static char *find_volume(struct cap *c, const char *name, const char **format)
{
	for (size_t i = 0; cap_name_valid(name) && i < CAP_ARRAY_SIZE(formats); i++) {
		char *path = volume_path(c, name, formats[i]);
		if (path_exists(path)) {
			*format = formats[i];
			return path;
		}
		free(path);
	}
	return NULL;
}

static int write_empty(int fd, uint64_t bytes, const char *format)
{
	if (!strcmp(format, "raw"))
		return ftruncate(fd, bytes) ? -errno : 0;
	uint64_t len = cap_qcow2_header_bytes(bytes, 0);
	uint8_t *header = xcalloc(1, len);
	cap_qcow2_write_header(header, bytes, 0);
	int result = write_all(fd, header, len);
	free(header);
	return result;
}

int cap_volume_create(struct cap *c, const char *name, const char *size, const char *format)
{
	const char *known;
	uint64_t bytes;
	if (!cap_name_valid(name))
		return cap_fail(c, EINVAL, "\"%s\" is not a volume name", name);
	if (!parse_size(size, &bytes) || bytes < 512)
		return cap_fail(c, EINVAL, "size \"%s\" is not like 64M or 10G", size);
	if (strcmp(format, "raw") && strcmp(format, "qcow2"))
		return cap_fail(c, EINVAL, "unknown volume format \"%s\" (raw or qcow2)", format);
	int result = cap_repo_dir(c, "volumes");
	if (result)
		return result;
	char *old = find_volume(c, name, &known), *path = volume_path(c, name, format);
	int fd = -1;
	if (old)
		result = cap_fail(c, EEXIST, "volume %s exists already", name);
	else if ((fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) < 0)
		result = cap_fail_errno(c, "cannot create %s", path);
	else if ((result = write_empty(fd, (bytes + 511) / 512 * 512, format))) {
		cap_fail(c, -result, "cannot create %s: %s", path, strerror(-result));
		unlink(path);
	}
	if (fd >= 0)
		close(fd);
	free(old);
	free(path);
	return result;
}

static int lock_volume(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return error;
}

int cap_volume_claim(struct cap *c, const char *name, char **path)
{
	const char *format;
	*path = find_volume(c, name, &format);
	if (!*path)
		return cap_fail(c, ENOENT,
		    "no volume \"%s\"; create it with `capstan volume create %s -s 1G`", name,
		    name);
	int fd = lock_volume(*path);
	if (fd >= 0)
		return fd;
	cap_fail(c, -fd,
	    fd == -EBUSY ? "volume %s is in use by another machine" : "cannot open volume %s",
	    name);
	free(*path);
	*path = NULL;
	return fd;
}

int cap_volume_delete(struct cap *c, const char *name)
{
	char *path;
	int fd = cap_volume_claim(c, name, &path);
	if (fd < 0)
		return fd;
	int result = unlink(path) ? cap_fail_errno(c, "cannot delete volume %s", name) : 0;
	close(fd);
	free(path);
	return result;
}

static uint64_t disk_size(const char *path, const char *format)
{
	struct stat st;
	uint64_t bytes = 0;
	if (!strcmp(format, "raw"))
		return stat(path, &st) ? 0 : st.st_size;
	uint8_t header[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && pread(fd, header, sizeof(header), 0) == sizeof(header))
		for (int i = 24; i < 32; i++)
			bytes = bytes << 8 | header[i];
	if (fd >= 0)
		close(fd);
	return bytes;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct cap_volume *)a)->name, ((const struct cap_volume *)b)->name);
}

int cap_volume_list(struct cap *c, struct cap_volume **list, size_t *count)
{
	char *dir = cap_repo_path(c, "volumes");
	DIR *d = opendir(dir);
	*list = NULL;
	*count = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		const char *dot = strrchr(e->d_name, '.');
		for (size_t i = 0; dot && i < CAP_ARRAY_SIZE(formats); i++) {
			if (strcmp(dot + 1, formats[i]))
				continue;
			*list = xrealloc(*list, (*count + 1) * sizeof(**list));
			struct cap_volume *v = &(*list)[(*count)++];
			*v = (struct cap_volume){.name = xstrndup(e->d_name, dot - e->d_name),
			    .path = path_join(dir, e->d_name),
			    .format = formats[i]};
			v->bytes = disk_size(v->path, v->format);
			int fd = lock_volume(v->path);
			v->in_use = fd == -EBUSY;
			if (fd >= 0)
				close(fd);
		}
	}
	if (d)
		closedir(d);
	if (*count)
		qsort(*list, *count, sizeof(**list), compare);
	free(dir);
	return 0;
}

void cap_volume_list_free(struct cap_volume *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].name);
		free(list[i].path);
	}
	free(list);
}
