/* SPDX-License-Identifier: BSD-3-Clause */
/* Strings, buffers, paths and files. */
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <openssl/evp.h>

static void __attribute__((noreturn)) out_of_memory(void)
{
	static const char msg[] = "capstan: out of memory\n";
	ssize_t n = write(STDERR_FILENO, msg, sizeof(msg) - 1);
	(void)n;
	_exit(1);
}

void *xmalloc(size_t size)
{
	return xrealloc(NULL, size);
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);
	if (!q)
		out_of_memory();
	return q;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t len)
{
	char *p = xmalloc(len + 1);
	memcpy(p, s, len);
	p[len] = 0;
	return p;
}

static char *format_new(const char *fmt, va_list ap)
{
	char *out;
	if (vasprintf(&out, fmt, ap) < 0)
		out_of_memory();
	return out;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *out = format_new(fmt, ap);
	va_end(ap);
	return out;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (b->len + len + 1 > b->size) {
		b->size = cap_max(b->size * 2, b->len + len + 64);
		b->data = xrealloc(b->data, b->size);
	}
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_putc(struct buf *b, char ch)
{
	buf_add(b, &ch, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *s = format_new(fmt, ap);
	va_end(ap);
	buf_puts(b, s);
	free(s);
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

char *buf_take(struct buf *b)
{
	char *s = b->data ? b->data : xstrdup("");
	*b = (struct buf){0};
	return s;
}

void strv_take(struct strv *v, char *s)
{
	if (v->count + 2 > v->size) {
		v->size = cap_max(v->size * 2, (size_t)8);
		v->items = xrealloc(v->items, v->size * sizeof(char *));
	}
	v->items[v->count++] = s;
	v->items[v->count] = NULL;
}

void strv_add(struct strv *v, const char *s)
{
	strv_take(v, xstrdup(s));
}

void strv_addf(struct strv *v, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	strv_take(v, format_new(fmt, ap));
	va_end(ap);
}

void strv_add_all(struct strv *v, const struct strv *from)
{
	for (size_t i = 0; i < from->count; i++)
		strv_add(v, from->items[i]);
}

bool strv_has(const struct strv *v, const char *s)
{
	for (size_t i = 0; i < v->count; i++)
		if (!strcmp(v->items[i], s))
			return true;
	return false;
}

void strv_remove(struct strv *v, size_t index)
{
	free(v->items[index]);
	memmove(v->items + index, v->items + index + 1, (v->count - index) * sizeof(char *));
	v->count--;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *v)
{
	if (v->count)
		qsort(v->items, v->count, sizeof(char *), compare_strings);
}

void strv_free(struct strv *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct strv){0};
}

char *strv_join(const struct strv *v, const char *separator)
{
	struct buf b = {0};
	for (size_t i = 0; i < v->count; i++) {
		if (i)
			buf_puts(&b, separator);
		buf_puts(&b, v->items[i]);
	}
	return buf_take(&b);
}

bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && !strcmp(s + n - m, suffix);
}

char *path_join(const char *dir, const char *name)
{
	if (name[0] == '/' || !dir[0])
		return xstrdup(name);
	return xasprintf("%s%s%s", dir, has_suffix(dir, "/") ? "" : "/", name);
}

char *path_clean(const char *path)
{
	struct buf b = {0};
	while (*path) {
		size_t n = strcspn(path, "/");
		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (b.len && b.data[--b.len] != '/')
				;
			if (b.data)
				b.data[b.len] = 0;
		} else if (n && !(n == 1 && path[0] == '.')) {
			buf_putc(&b, '/');
			buf_add(&b, path, n);
		}
		path += n;
		path += strspn(path, "/");
	}
	if (!b.len)
		buf_putc(&b, '/');
	return buf_take(&b);
}

char *path_absolute(const char *path)
{
	if (path[0] == '/')
		return path_clean(path);
	char *cwd = getcwd(NULL, 0);
	char *joined = path_join(cwd ? cwd : "/", path), *clean = path_clean(joined);
	free(cwd);
	free(joined);
	return clean;
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

char *path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, slash - path);
}

int file_read(const char *path, size_t max, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	char chunk[65536];
	int result = 0;
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			result = -errno;
		if (n <= 0)
			break;
		if (out->len + n > max) {
			result = -EFBIG;
			break;
		}
		buf_add(out, chunk, n);
	}
	close(fd);
	if (!result)
		buf_add(out, "", 0);
	return result;
}

int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= n;
	}
	return 0;
}

char *file_first_line(const char *path)
{
	struct buf text = {0};
	if (file_read(path, 4096, &text)) {
		buf_free(&text);
		return NULL;
	}
	char *line = buf_take(&text); /* "" of an empty file */
	line[strcspn(line, "\r\n")] = 0;
	return line;
}

int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode)
{
	char *tmp = xasprintf("%s.%d.tmp", path, (int)getpid());
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	int result = fd < 0 ? -errno : write_all(fd, data, len);
	if (fd >= 0 && !result && fsync(fd))
		result = -errno;
	if (fd >= 0)
		close(fd);
	if (!result && rename(tmp, path))
		result = -errno;
	if (result && fd >= 0)
		unlink(tmp);
	free(tmp);
	return result;
}

int mkdir_all(const char *path, mode_t mode)
{
	char *copy = xstrdup(path);
	int result = 0;
	for (char *p = copy + 1; !result && *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(copy, mode) && errno != EEXIST)
			result = -errno;
		*p = '/';
	}
	if (!result && mkdir(copy, mode) && errno != EEXIST)
		result = -errno;
	if (!result && !path_is_dir(copy))
		result = -ENOTDIR;
	free(copy);
	return result;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int remove_all(const char *path)
{
	struct stat st;
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	return nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) ? -errno : 0;
}

bool path_exists(const char *path)
{
	return !access(path, F_OK);
}

bool path_is_dir(const char *path)
{
	struct stat st;
	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

bool parse_uint(const char *s, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
			return false;
	}
	*value = v;
	return v <= max;
}

bool parse_size(const char *s, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	size_t digits = strspn(s, "0123456789");
	char *number = xstrndup(s, digits);
	bool ok = parse_uint(number, INT64_MAX, bytes);
	free(number);
	if (!ok)
		return false;
	s += digits;
	if (!*s)
		return true;
	const char *at = strchr(suffixes, toupper((unsigned char)*s));
	if (!at)
		return false;
	int shift = 10 * (at - suffixes + 1);
	if (*bytes > (uint64_t)INT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return !s[1] || !strcasecmp(s + 1, "B") || !strcasecmp(s + 1, "iB");
}

char *format_size(uint64_t bytes, char out[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = bytes;
	size_t u = 0;
	for (; v >= 1024 && u + 1 < CAP_ARRAY_SIZE(units); u++)
		v /= 1024;
	snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return out;
}

static void hex(const unsigned char *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", data[i]);
}

void sha256_hex(const void *data, size_t len, char out[65])
{
	unsigned char digest[32];
	if (EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL) != 1)
		out_of_memory();
	hex(digest, sizeof(digest), out);
}

int sha256_file(const char *path, char out[65])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = 0;
	if (fd < 0)
		return -errno;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		out_of_memory();
	char *chunk = xmalloc(1 << 18);
	ssize_t n;
	while ((n = read(fd, chunk, 1 << 18)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			result = -errno;
			break;
		}
		EVP_DigestUpdate(ctx, chunk, n);
	}
	unsigned char digest[32];
	EVP_DigestFinal_ex(ctx, digest, NULL);
	EVP_MD_CTX_free(ctx);
	free(chunk);
	close(fd);
	hex(digest, sizeof(digest), out);
	return result;
}

int edit_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	if (n > 64 || m > 64)
		return INT_MAX;
	int row[65];
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		int diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			int up = row[j];
			row[j] =
			    cap_min(cap_min(up, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = up;
		}
	}
	return row[m];
}

const char *nearest_word(const char *s, const char *const *words)
{
	const char *best = NULL;
	int length = strlen(s), best_distance = length < 4 ? 2 : length / 3 + 2;
	for (; *words; words++) {
		int d = edit_distance(s, *words);
		if (d < best_distance) {
			best = *words;
			best_distance = d;
		}
	}
	return best;
}

uint64_t monotonic_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}
