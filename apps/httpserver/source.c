/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading /proc and /sys. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE (16u << 20)

const char *source_root = "";

static int open_source(const char *path, int flags)
{
	char full[512];

	if ((size_t)snprintf(full, sizeof full, "%s%s", source_root, path) >= sizeof full) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(full, flags | O_CLOEXEC);
}

char *source_read(const char *path, size_t *n)
{
	size_t len = 0, room = 4096;
	int fd = open_source(path, O_RDONLY | O_NONBLOCK);
	char *p = fd >= 0 ? malloc(room) : NULL;

	while (p) {
		ssize_t got = read(fd, p + len, room - 1 - len);
		if (got <= 0) {
			if (got == 0 || len)
				break;
			free(p);
			p = NULL;
			break;
		}
		len += (size_t)got;
		if (len + 1 < room)
			continue;
		char *more = room < MAX_FILE ? realloc(p, room *= 2) : NULL;
		if (!more) {
			free(p);
			errno = ENOMEM;
		}
		p = more;
	}
	int err = errno;
	if (fd >= 0)
		close(fd);
	errno = err;
	if (p)
		p[len] = 0;
	if (n)
		*n = len;
	return p;
}

int source_write(const char *path, const char *text)
{
	int fd = open_source(path, O_WRONLY | O_TRUNC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

bool source_exists(const char *path)
{
	int fd = open_source(path, O_PATH);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool source_number(const char *text, const char *key, uint64_t *out)
{
	size_t n = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, key, n) && (p[n] == ':' || p[n] == ' ')) {
			*out = strtoull(p + n + 1, NULL, 10);
			return true;
		}
	}
	return false;
}

char *source_line(char **text)
{
	char *line = *text;

	if (!line || !*line)
		return NULL;
	char *end = strchr(line, '\n');
	if (end)
		*end = 0;
	*text = end ? end + 1 : NULL;
	return line;
}

char *source_word(char **text)
{
	char *p = *text;

	if (!p)
		return NULL;
	p += strspn(p, " \t");
	if (!*p)
		return NULL;
	char *end = p + strcspn(p, " \t");
	*text = *end ? end + 1 : NULL;
	*end = 0;
	return p;
}
