/* SPDX-License-Identifier: BSD-3-Clause */
/* Tar archives to and from trees, through libarchive. Every name is checked before it is used. */
#include "pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define READ_BLOCK (1 << 18)
#define ENTRIES_MAX 2000000
/* An archive may unpack to this many times its size, and always to BOMB_FLOOR bytes. */
#define BOMB_RATIO 400
#define BOMB_FLOOR (256ull << 20)

struct extraction {
	struct cap *c;
	const char *name;
	struct archive *archive;
	struct cap_tree *tree;
	int contents_fd;
	uint64_t offset, limit, entries;
};

/* "./a/b" → "/a/b"; NULL (with an error event) for names that must not be. */
static char *entry_path(struct extraction *x, const char *raw)
{
	if (!raw || !*raw) {
		cap_fail(x->c, EBADMSG, "%s: an entry without a usable name", x->name);
		return NULL;
	}
	if (raw[0] == '/') {
		cap_fail(x->c, EBADMSG, "%s: refused the absolute path %s", x->name, raw);
		return NULL;
	}
	for (const char *p = raw; *p; p += strspn(p, "/")) {
		size_t n = strcspn(p, "/");
		if (n == 2 && !strncmp(p, "..", 2)) {
			cap_fail(x->c, EBADMSG, "%s: refused the path %s, which leaves the package",
			    x->name, raw);
			return NULL;
		}
		p += n;
	}
	return path_clean(raw);
}

static int copy_contents(struct extraction *x, struct cap_node *n, const char *path)
{
	const void *block;
	size_t len;
	la_int64_t at;
	uint64_t done = 0;
	int status;
	n->source = CAP_SRC_RANGE;
	n->fd = x->contents_fd;
	n->offset = x->offset;
	while ((status = archive_read_data_block(x->archive, &block, &len, &at)) == ARCHIVE_OK) {
		if ((uint64_t)at + len > n->size)
			return cap_fail(
			    x->c, EBADMSG, "%s: %s has more data than announced", x->name, path);
		for (size_t put = 0; put < len;) {
			ssize_t w = pwrite(x->contents_fd, (const char *)block + put, len - put,
			    x->offset + at + put);
			if (w < 0 && errno == EINTR)
				continue;
			if (w < 0)
				return cap_fail_errno(x->c, "cannot unpack %s", x->name);
			put += w;
		}
		done = at + len;
	}
	if (status != ARCHIVE_EOF)
		return cap_fail(
		    x->c, EBADMSG, "%s: %s: %s", x->name, path, archive_error_string(x->archive));
	if (done < n->size && ftruncate(x->contents_fd, x->offset + n->size))
		return cap_fail_errno(x->c, "cannot unpack %s", x->name);
	x->offset += n->size;
	return 0;
}

/* A hard link shares its earlier target's data. */
static int add_hard_link(struct extraction *x, const char *path, const char *target)
{
	char *clean = entry_path(x, target);
	if (!clean)
		return -EBADMSG;
	struct cap_node *from = cap_tree_lookup(x->tree, clean), *to;
	int result = 0;
	if (!from || !S_ISREG(from->mode)) {
		result = cap_fail(x->c, EBADMSG,
		    "%s: %s is a hard link to %s, which is no earlier file", x->name, path, clean);
	} else if (strcmp(clean, path)) {
		struct stat st = {.st_mode = from->mode,
		    .st_uid = from->uid,
		    .st_gid = from->gid,
		    .st_size = from->size,
		    .st_mtime = from->mtime};
		int fd = from->fd;
		uint64_t offset = from->offset;
		enum cap_source source = from->source;
		result = cap_tree_add(x->c, x->tree, path, &st, &to);
		if (!result) {
			to->source = source;
			to->fd = fd;
			to->offset = offset;
		}
	}
	free(clean);
	return result;
}

static int add_entry(struct extraction *x, struct archive_entry *e)
{
	char *path = entry_path(x, archive_entry_pathname(e));
	struct cap_node *n;
	if (!path)
		return -EBADMSG;
	struct stat st = {.st_mode = archive_entry_mode(e),
	    .st_uid = archive_entry_uid(e),
	    .st_gid = archive_entry_gid(e),
	    .st_size = archive_entry_size(e),
	    .st_mtime = archive_entry_mtime(e)};
	const char *hard = archive_entry_hardlink(e), *soft = archive_entry_symlink(e);
	int result = 0;
	if (hard) {
		result = add_hard_link(x, path, hard);
	} else if (S_ISLNK(st.st_mode)) {
		if (!soft || !*soft || strlen(soft) > 4000)
			result =
			    cap_fail(x->c, EBADMSG, "%s: %s is a link to nothing", x->name, path);
		else
			result = cap_tree_add_link(x->c, x->tree, path, soft);
	} else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISFIFO(st.st_mode)) {
		if (st.st_size < 0 ||
		    (S_ISREG(st.st_mode) &&
			(uint64_t)st.st_size > x->limit - cap_min(x->limit, x->offset)))
			result = cap_fail(x->c, EBADMSG,
			    "%s: unpacks to far more than its own size; refused as an archive bomb",
			    x->name);
		else
			result = cap_tree_add(x->c, x->tree, path, &st, &n);
		if (!result && S_ISREG(st.st_mode))
			result = copy_contents(x, n, path);
	} else {
		result = cap_fail(x->c, EBADMSG,
		    "%s: refused %s: device nodes do not belong in packages", x->name, path);
	}
	free(path);
	return result;
}

int cap_archive_read_fd(
    struct cap *c, const char *name, int archive_fd, int contents_fd, struct cap_tree *t)
{
	struct extraction x = {.c = c, .name = name, .tree = t, .contents_fd = contents_fd};
	struct stat st;
	struct archive_entry *e;
	int result = 0, status = ARCHIVE_FATAL;
	if (fstat(archive_fd, &st))
		return cap_fail_errno(c, "cannot read %s", name);
	x.limit = cap_max(BOMB_FLOOR, (uint64_t)st.st_size * BOMB_RATIO);
	x.archive = archive_read_new();
	archive_read_support_format_tar(x.archive);
	archive_read_support_filter_gzip(x.archive);
	archive_read_support_filter_zstd(x.archive);
	archive_read_support_filter_xz(x.archive);
	if (archive_read_open_fd(x.archive, archive_fd, READ_BLOCK) != ARCHIVE_OK)
		result = cap_fail(c, EBADMSG, "%s is not a tar archive: %s", name,
		    archive_error_string(x.archive));
	while (!result && (status = archive_read_next_header(x.archive, &e)) >= ARCHIVE_WARN &&
	       status != ARCHIVE_EOF) {
		if (++x.entries > ENTRIES_MAX)
			result =
			    cap_fail(c, EBADMSG, "%s: more than %d entries", name, ENTRIES_MAX);
		else
			result = add_entry(&x, e);
	}
	if (!result && status != ARCHIVE_EOF)
		result = cap_fail(c, EBADMSG, "%s is damaged or truncated: %s", name,
		    archive_error_string(x.archive));
	archive_read_free(x.archive);
	return result;
}

/* Writing */

struct creation {
	struct cap *c;
	struct archive *archive;
	const char *path;
	int64_t clamp; /* $SOURCE_DATE_EPOCH or -1 */
};

static int put_data(struct creation *w, struct cap_node *n)
{
	struct buf data = {0};
	int result = cap_node_read(w->c, n, SIZE_MAX - 1, &data);
	for (size_t done = 0; !result && done < data.len;) {
		la_ssize_t k = archive_write_data(w->archive, data.data + done, data.len - done);
		if (k <= 0)
			result = cap_fail(w->c, EIO, "cannot write %s: %s", w->path,
			    archive_error_string(w->archive));
		else
			done += k;
	}
	buf_free(&data);
	return result;
}

static int put_node(struct cap_node *n, void *arg)
{
	struct creation *w = arg;
	if (n->parent == n)
		return 0;
	struct archive_entry *e = archive_entry_new();
	char *path = cap_node_path(n);
	archive_entry_set_pathname(e, path + 1);
	archive_entry_set_mode(e, n->mode);
	archive_entry_set_uid(e, n->uid);
	archive_entry_set_gid(e, n->gid);
	archive_entry_set_mtime(e, w->clamp >= 0 && n->mtime > w->clamp ? w->clamp : n->mtime, 0);
	if (S_ISREG(n->mode))
		archive_entry_set_size(e, n->size);
	if (S_ISLNK(n->mode))
		archive_entry_set_symlink(e, n->data);
	int result = 0;
	if (archive_write_header(w->archive, e) < ARCHIVE_WARN)
		result = cap_fail(
		    w->c, EIO, "cannot write %s: %s", w->path, archive_error_string(w->archive));
	if (!result && S_ISREG(n->mode) && n->size)
		result = put_data(w, n);
	archive_entry_free(e);
	free(path);
	return result;
}

static void choose_filter(struct archive *a, enum cap_compression compression)
{
	if (compression == CAP_COMPRESS_GZIP) {
		archive_write_add_filter_gzip(a);
		archive_write_set_options(a, "gzip:!timestamp,gzip:compression-level=6");
	} else if (compression == CAP_COMPRESS_ZSTD) {
		archive_write_add_filter_zstd(a);
	}
}

int cap_archive_write(
    struct cap *c, struct cap_tree *t, const char *path, enum cap_compression compression)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	char *tmp = xasprintf("%s.%d.tmp", path, (int)getpid());
	struct creation w = {.c = c,
	    .archive = archive_write_new(),
	    .path = path,
	    .clamp = epoch && *epoch ? atoll(epoch) : -1};
	choose_filter(w.archive, compression);
	archive_write_set_format_pax_restricted(w.archive);
	int result = 0;
	if (archive_write_open_filename(w.archive, tmp) != ARCHIVE_OK)
		result =
		    cap_fail(c, EIO, "cannot create %s: %s", path, archive_error_string(w.archive));
	cap_tree_sort(t);
	if (!result)
		result = cap_tree_walk(t, put_node, &w);
	if (!result && archive_write_close(w.archive) != ARCHIVE_OK)
		result =
		    cap_fail(c, EIO, "cannot write %s: %s", path, archive_error_string(w.archive));
	archive_write_free(w.archive);
	if (!result && rename(tmp, path))
		result = cap_fail_errno(c, "cannot create %s", path);
	if (result)
		unlink(tmp);
	free(tmp);
	return result;
}

/* Exporting to a host directory: parents are always directories this function made. */

struct export
{
	struct cap *c;
	const char *dir;
	uint64_t done, total;
};

static int export_file(struct export *x, struct cap_node *n, const char *path)
{
	char *data = xmalloc(n->size);
	int result = cap_node_copy(x->c, n, data);
	int fd =
	    result ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (!result && fd < 0)
		result = cap_fail_errno(x->c, "cannot create %s", path);
	if (!result && (write_all(fd, data, n->size) || fchmod(fd, n->mode & 07777)))
		result = cap_fail_errno(x->c, "cannot write %s", path);
	if (fd >= 0)
		close(fd);
	free(data);
	return result;
}

static int export_node(struct cap_node *n, void *arg)
{
	struct export *x = arg;
	int result = 0;
	if (n->parent == n)
		return 0;
	char *inner = cap_node_path(n), *path = xasprintf("%s%s", x->dir, inner);
	if (S_ISDIR(n->mode)	? mkdir(path, (n->mode & 07777) | 0700)
	    : S_ISLNK(n->mode)	? symlink(n->data, path)
	    : S_ISFIFO(n->mode) ? mkfifo(path, n->mode & 07777)
				: 0)
		result = cap_fail_errno(x->c, "cannot create %s", path);
	else if (S_ISREG(n->mode))
		result = export_file(x, n, path);
	else if (S_ISCHR(n->mode) || S_ISBLK(n->mode))
		cap_warn(x->c, "left out the device %s", inner);
	if (++x->done % 256 == 0 || x->done == x->total)
		cap_progress(x->c, "Collecting files", x->done, x->total);
	free(inner);
	free(path);
	return result;
}

int cap_tree_export(struct cap *c, struct cap_tree *t, const char *dir)
{
	struct export x = {.c = c, .dir = dir, .total = t->count};
	int result = mkdir_all(dir, 0755);
	if (result)
		return cap_fail(c, -result, "cannot create %s: %s", dir, strerror(-result));
	cap_tree_sort(t);
	return cap_tree_walk(t, export_node, &x);
}
