/* SPDX-License-Identifier: BSD-3-Clause */
/* Strings, buffers, paths and files: the helpers every part of capstan uses. */
#ifndef CAPSTAN_UTIL_H
#define CAPSTAN_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define cap_min(a, b) ((a) < (b) ? (a) : (b))
#define cap_max(a, b) ((a) > (b) ? (a) : (b))
#define CAP_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Allocation that ends the process with a message when memory runs out. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A growing byte string; data is zero terminated whenever it is not NULL. */
struct buf {
	char *data;
	size_t len, size;
};
void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char ch);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_free(struct buf *b);
/* Takes the string out of b (never NULL); the caller frees it. */
char *buf_take(struct buf *b);

/* A list of strings that owns them; items is NULL terminated whenever it is not NULL. */
struct strv {
	char **items;
	size_t count, size;
};
void strv_add(struct strv *v, const char *s);
void strv_addf(struct strv *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strv_take(struct strv *v, char *s); /* v owns s afterwards */
void strv_add_all(struct strv *v, const struct strv *from);
bool strv_has(const struct strv *v, const char *s);
void strv_remove(struct strv *v, size_t index);
void strv_sort(struct strv *v);
void strv_free(struct strv *v);
char *strv_join(const struct strv *v, const char *separator);

bool has_prefix(const char *s, const char *prefix);
bool has_suffix(const char *s, const char *suffix);

/* "a/b"; a path that is absolute already replaces dir. */
char *path_join(const char *dir, const char *name);
/* Absolute form of path against the working directory, with ".", ".." and "//" taken out. */
char *path_absolute(const char *path);
/* Cleans an absolute guest path: one leading slash, no ".", "..", "//" or trailing slash. */
char *path_clean(const char *path);
const char *path_base(const char *path);
char *path_dir(const char *path);

/* Reads a whole file of at most max bytes. Returns 0 or a negative errno (-EFBIG). */
int file_read(const char *path, size_t max, struct buf *out);
/* The first line of a small file (at most 4 KiB), without its end; NULL when it cannot be read. */
char *file_first_line(const char *path);
/* Writes a file so that a reader or a crash sees the old or the new content, never a part. */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode);
int mkdir_all(const char *path, mode_t mode);
/* Removes a file or a directory tree without following links. 0 when it does not exist. */
int remove_all(const char *path);
int write_all(int fd, const void *data, size_t len);
bool path_exists(const char *path);
bool path_is_dir(const char *path);

/* Parses "64M", "10G", "512" (bytes without a suffix), "1GB", "200MB". Returns false when wrong. */
bool parse_size(const char *s, uint64_t *bytes);
bool parse_uint(const char *s, uint64_t max, uint64_t *value);
/* "1.5 MiB" in a static buffer per call site size; out must hold 32 bytes. */
char *format_size(uint64_t bytes, char out[32]);

/* Lower-case hexadecimal SHA-256 in out (65 bytes). */
void sha256_hex(const void *data, size_t len, char out[65]);
/* Of a whole file. Returns 0 or a negative errno. */
int sha256_file(const char *path, char out[65]);

/* Distance of two words by single-character edits, for "did you mean". */
int edit_distance(const char *a, const char *b);
/* The word of words (NULL terminated) nearest to s, or NULL when none is near. */
const char *nearest_word(const char *s, const char *const *words);

uint64_t monotonic_us(void);

#endif
