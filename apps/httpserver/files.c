/* SPDX-License-Identifier: BSD-3-Clause */
/* GET /file: contents and properties, the latter in the shape of WebHDFS. */
#include "files.h"
#include "calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_DEPTH 64
#define MAX_ENTRIES 200000

static int64_t ms(struct timespec t)
{
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static void put_owner(struct text *b, const char *member, unsigned id)
{
	char number[16];

	snprintf(number, sizeof number, "%u", id);
	json_member_string(b, member, id ? number : "root");
}

static void put_status(
    struct text *b, int dir, const char *name, const char *suffix, const struct stat *st)
{
	char target[PATH_MAX], permission[8];
	ssize_t n = S_ISLNK(st->st_mode) ? readlinkat(dir, name, target, sizeof target - 1) : -1;

	snprintf(permission, sizeof permission, "%o", st->st_mode & 07777);
	text_puts(b, "{");
	json_member_int(b, "accessTime", ms(st->st_atim));
	json_member_int(b, "blockSize", st->st_blksize);
	put_owner(b, "group", st->st_gid);
	json_member_int(b, "length", S_ISDIR(st->st_mode) ? 0 : st->st_size);
	json_member_int(b, "modificationTime", ms(st->st_mtim));
	put_owner(b, "owner", st->st_uid);
	json_member_string(b, "pathSuffix", suffix);
	json_member_string(b, "permission", permission);
	json_member_int(b, "replication", 1);
	if (n >= 0) {
		target[n] = 0;
		json_member_string(b, "symlink", target);
	}
	json_member_string(b, "type",
	    S_ISDIR(st->st_mode)   ? "DIRECTORY"
	    : S_ISLNK(st->st_mode) ? "SYMLINK"
				   : "FILE");
	text_puts(b, "}");
}

static void file_status(struct api_reply *r, const char *path)
{
	struct place p;
	struct stat st;
	int err = place_open(path, &p);

	if (err) {
		api_fail_errno(r, err, path);
		return;
	}
	if (fstatat(p.dir, p.name, &st, AT_SYMLINK_NOFOLLOW)) {
		api_fail_errno(r, -errno, path);
	} else {
		text_puts(&r->body, "{\"FileStatus\":");
		put_status(&r->body, p.dir, p.name, "", &st);
		text_puts(&r->body, "}");
	}
	place_close(&p);
}

static void list_status(struct api_reply *r, const char *path)
{
	struct dirent *e;
	struct stat st;
	int fd = file_open(path, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (fd == -ENOTDIR) { /* a file is a list of one */
		struct place p;
		int err = place_open(path, &p);
		if (err || fstatat(p.dir, p.name, &st, AT_SYMLINK_NOFOLLOW)) {
			api_fail_errno(r, err ? err : -errno, path);
			return;
		}
		text_puts(&r->body, "{\"FileStatuses\":{\"FileStatus\":[");
		put_status(&r->body, p.dir, p.name, "", &st);
		text_puts(&r->body, "]}}");
		place_close(&p);
		return;
	}
	if (!dir) {
		api_fail_errno(r, fd < 0 ? fd : -errno, path);
		if (fd >= 0)
			close(fd);
		return;
	}
	text_puts(&r->body, "{\"FileStatuses\":{\"FileStatus\":[");
	while ((e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		json_next(&r->body);
		put_status(&r->body, fd, e->d_name, e->d_name, &st);
	}
	text_puts(&r->body, "]}}");
	closedir(dir);
}

struct summary {
	int64_t directories, files, bytes, used, entries;
};

/* Adds up a directory (its descriptor is taken over), without following links. */
static int add_directory(int fd, struct summary *s, unsigned depth)
{
	struct dirent *e;
	struct stat st;
	int err = 0;
	DIR *dir = fdopendir(fd);

	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	s->directories++;
	while (!err && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (++s->entries > MAX_ENTRIES || depth > MAX_DEPTH) {
			err = -E2BIG;
		} else if (S_ISDIR(st.st_mode)) {
			int sub =
			    openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub >= 0)
				err = add_directory(sub, s, depth + 1);
		} else {
			s->files++;
			s->bytes += st.st_size;
			s->used += st.st_blocks * 512;
		}
	}
	closedir(dir);
	return err;
}

static void content_summary(struct api_reply *r, const char *path)
{
	struct summary s = {0};
	struct stat st;
	int err = file_stat(path, &st, true);

	if (!err && S_ISDIR(st.st_mode)) {
		int fd = file_open(path, O_RDONLY | O_DIRECTORY, 0);
		err = fd < 0 ? fd : add_directory(fd, &s, 0);
	} else if (!err) {
		s = (struct summary){.files = 1, .bytes = st.st_size, .used = st.st_blocks * 512};
	}
	if (err == -E2BIG) {
		api_fail(r, 507, "%.100s has more than %d entries or %d levels", path, MAX_ENTRIES,
		    MAX_DEPTH);
		return;
	}
	if (err) {
		api_fail_errno(r, err, path);
		return;
	}
	text_puts(&r->body, "{\"ContentSummary\":{");
	json_member_int(&r->body, "directoryCount", s.directories);
	json_member_int(&r->body, "fileCount", s.files);
	json_member_int(&r->body, "length", s.bytes);
	json_member_int(&r->body, "quota", -1);
	json_member_int(&r->body, "spaceConsumed", s.used);
	json_member_int(&r->body, "spaceQuota", -1);
	text_puts(&r->body, "}}");
}

static int open_regular(const char *path, struct stat *st)
{
	int fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0)
		return fd;
	if (!fstat(fd, st) && S_ISREG(st->st_mode))
		return fd;
	int err =
	    S_ISDIR(st->st_mode) ? -EISDIR : -EACCES; /* devices and the like are not read here */
	close(fd);
	return err;
}

static void file_checksum(struct api_reply *r, const char *path)
{
	unsigned char buf[16384], digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned len = 0;
	int64_t total = 0;
	ssize_t n;
	struct stat st;
	int fd = open_regular(path, &st);
	EVP_MD_CTX *ctx = fd >= 0 ? EVP_MD_CTX_new() : NULL;

	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL)) {
		api_fail_errno(r, fd < 0 ? fd : -ENOMEM, path);
	} else {
		while ((n = read(fd, buf, sizeof buf)) > 0) {
			EVP_DigestUpdate(ctx, buf, (size_t)n);
			total += n;
		}
		EVP_DigestFinal_ex(ctx, digest, &len);
		for (unsigned i = 0; i < len; i++)
			snprintf(hex + 2 * i, 3, "%02x", digest[i]);
		text_puts(&r->body, "{\"FileChecksum\":{");
		json_member_string(&r->body, "algorithm", "SHA-256");
		json_member_string(&r->body, "bytes", hex);
		json_member_int(&r->body, "length", total);
		text_puts(&r->body, "}}");
	}
	EVP_MD_CTX_free(ctx);
	if (fd >= 0)
		close(fd);
}

/* The contents go from the file to the client piece by piece; a batch wants them as a string. */
static void contents(struct api_request *q, struct api_reply *r)
{
	struct stat st;
	int64_t offset = api_arg_int(q, "offset", 0), length = api_arg_int(q, "length", -1);
	int fd = open_regular(q->rest, &st);
	char buf[16384];
	ssize_t n;

	if (fd < 0) {
		api_fail_errno(r, fd, *q->rest ? q->rest : "/");
		return;
	}
	if (offset < 0 || length < -1) {
		api_fail(r, 400, "offset and length are not below zero");
		close(fd);
		return;
	}
	r->type = TYPE_BINARY;
	r->fd = fd;
	r->offset = offset;
	r->length = length;
	/* A file without a size may be one of /proc: it is read to its end. */
	if (st.st_size && offset >= st.st_size)
		r->length = 0;
	else if (st.st_size && (length < 0 || length > st.st_size - offset))
		r->length = st.st_size - offset;
	if (!q->in_batch)
		return;
	struct text raw = {0};
	for (int64_t left = r->length; left && (n = pread(fd, buf, sizeof buf, offset)) > 0;
	     offset += n) {
		if (left > 0 && n > left)
			n = (ssize_t)left;
		text_add(&raw, buf, (size_t)n);
		left -= left > 0 ? n : 0;
	}
	r->type = TYPE_JSON;
	json_string_n(&r->body, raw.p ? raw.p : "", raw.n);
	r->body.failed |= raw.failed;
	text_free(&raw);
	close(fd);
	r->fd = -1;
}

void call_file_get(struct api_request *q, struct api_reply *r)
{
	const char *op = api_arg(q, "op");

	if (!op || !strcasecmp(op, "GET") || !strcasecmp(op, "OPEN"))
		contents(q, r);
	else if (!strcasecmp(op, "LISTSTATUS"))
		list_status(r, q->rest);
	else if (!strcasecmp(op, "GETFILESTATUS"))
		file_status(r, q->rest);
	else if (!strcasecmp(op, "GETCONTENTSUMMARY"))
		content_summary(r, q->rest);
	else
		file_checksum(r, q->rest);
}
