/* SPDX-License-Identifier: BSD-3-Clause */
/* The properties file of iotune: lines "name: value". */
#include <seastar/app.h>
#include <seastar/file.h>

#include <stdio.h>
#include <string.h>

static uint64_t *field(struct ss_io_properties *p, const char *name)
{
	if (strcmp(name, "read_iops") == 0)
		return &p->read_iops;
	if (strcmp(name, "read_bandwidth") == 0)
		return &p->read_bandwidth;
	if (strcmp(name, "write_iops") == 0)
		return &p->write_iops;
	if (strcmp(name, "write_bandwidth") == 0)
		return &p->write_bandwidth;
	return NULL;
}

static char *trim(char *s)
{
	size_t n;

	while (*s == ' ' || *s == '\t')
		s++;
	n = strlen(s);
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
		s[--n] = '\0';
	return s;
}

static int parse_line(struct ss_io_properties *p, char *line, unsigned no, char *error, size_t size)
{
	char *hash = strchr(line, '#'), *colon, *name, *value;
	uint64_t v, *at;

	if (hash)
		*hash = '\0';
	line = trim(line);
	if (!*line)
		return 0;
	colon = strchr(line, ':');
	if (!colon) {
		snprintf(error, size, "line %u: ':' expected", no);
		return -EINVAL;
	}
	*colon = '\0';
	name = trim(line);
	value = trim(colon + 1);
	if (ss_parse_size(value, &v)) {
		snprintf(error, size, "line %u: bad value of %s", no, name);
		return -EINVAL;
	}
	if (strcmp(name, "depth") == 0 && v >= 1 && v <= 65536) {
		p->depth = (unsigned)v;
		return 0;
	}
	at = field(p, name);
	if (!at) {
		snprintf(error, size, "line %u: unknown property or bad value: %s", no, name);
		return -EINVAL;
	}
	*at = v;
	return 0;
}

int ss_io_properties_parse(
    const char *text, size_t n, struct ss_io_properties *out, char *error, size_t error_size)
{
	const char *end = text + n;
	char line[256];

	*out = (struct ss_io_properties){0};
	for (unsigned no = 1; text < end; no++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((nl ? nl : end) - text);

		if (len >= sizeof(line) || memchr(text, '\0', len)) {
			snprintf(error, error_size, "line %u: too long or not text", no);
			return -EINVAL;
		}
		memcpy(line, text, len);
		line[len] = '\0';
		if (parse_line(out, line, no, error, error_size))
			return -EINVAL;
		text = nl ? nl + 1 : end;
	}
	return 0;
}
