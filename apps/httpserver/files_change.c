/* SPDX-License-Identifier: BSD-3-Clause */
/* PUT, POST and DELETE /file. */
#include "calls.h"
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_DEPTH 64

static void done(struct api_reply *r, int err, const char *path)
{
	if (err)
		api_fail_errno(r, err, *path ? path : "/");
	else
		text_puts(&r->body, "{\"boolean\":true}");
}

/* The octal permissions of a request; false: they are none. */
static bool permission_of(
    struct api_request *q, struct api_reply *r, mode_t otherwise, mode_t *mode)
{
	const char *text = api_arg(q, "permission");
	char *end = (char *)"";
	unsigned long v = text ? strtoul(text, &end, 8) : otherwise;

	*mode = (mode_t)v;
	if (!text || (*text >= '0' && *text <= '7' && !*end && v <= 07777))
		return true;
	api_fail(r, 400, "permission %.20s is no octal number up to 7777", text);
	return false;
}

static int make_directory(struct api_request *q, mode_t mode)
{
	struct place p;
	struct stat st;
	int err = api_arg_flag(q, "createParent", true) ? file_make_parents(q->rest) : 0;

	if (!err)
		err = place_open(q->rest, &p);
	if (err)
		return err;
	if (mkdirat(p.dir, p.name, mode)) {
		err = -errno;
		if (err == -EEXIST && !fstatat(p.dir, p.name, &st, 0) && S_ISDIR(st.st_mode))
			err = 0;
	} else if (fchmodat(p.dir, p.name, mode, 0)) {
		err = -errno;
	}
	place_close(&p);
	return err;
}

static int rename_to(struct api_request *q, const char *destination)
{
	struct place from, to;
	struct stat st;
	int err = api_arg_flag(q, "createParent", false) ? file_make_parents(destination) : 0;

	if (!err)
		err = place_open(q->rest, &from);
	if (err)
		return err;
	err = place_open(destination, &to);
	if (!err) {
		if (!api_arg_flag(q, "overwrite", false) &&
		    !fstatat(to.dir, to.name, &st, AT_SYMLINK_NOFOLLOW))
			err = -EEXIST;
		else if (renameat(from.dir, from.name, to.dir, to.name))
			err = -errno;
		place_close(&to);
	}
	place_close(&from);
	return err;
}

static int copy_to(struct api_request *q, const char *destination)
{
	struct upload u;
	struct stat st;
	int from = file_open(q->rest, O_RDONLY | O_NONBLOCK, 0);

	if (from < 0)
		return from;
	int err = fstat(from, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -EISDIR;
	if (!err)
		err = upload_begin(&u, destination, api_arg_flag(q, "overwrite", false),
		    api_arg_flag(q, "createParent", false), st.st_mode & 07777);
	if (!err)
		err = upload_end(&u, file_copy_contents(from, u.fd));
	close(from);
	return err;
}

static int set_permission(const char *path, mode_t mode)
{
	struct place p;
	int err = place_open(path, &p);

	if (err)
		return err;
	if (fchmodat(p.dir, p.name, mode, 0))
		err = -errno;
	place_close(&p);
	return err;
}

static int create(struct api_request *q, mode_t mode)
{
	const char *content = api_arg(q, "content");
	struct upload u;
	int err = upload_begin(&u, q->rest, api_arg_flag(q, "overwrite", true),
	    api_arg_flag(q, "createParent", false), mode);

	if (err)
		return err;
	if (content)
		err = upload_write(&u, content, strlen(content));
	else if (q->body)
		err = upload_write(&u, q->body, q->body_len);
	return upload_end(&u, err);
}

void call_file_put(struct api_request *q, struct api_reply *r)
{
	const char *op = api_arg(q, "op"), *destination = api_arg(q, "destination");
	bool directory = op && !strcasecmp(op, "MKDIRS");
	mode_t mode;

	if (!op)
		op = "CREATE";
	if ((!strcasecmp(op, "RENAME") || !strcasecmp(op, "COPY")) && !destination) {
		api_fail(r, 400, "parameter destination is missing");
		return;
	}
	if (!strcasecmp(op, "SETPERMISSION") && !api_arg(q, "permission")) {
		api_fail(r, 400, "parameter permission is missing");
		return;
	}
	if (!permission_of(q, r, directory ? 0755 : 0644, &mode))
		return;
	if (directory)
		done(r, make_directory(q, mode), q->rest);
	else if (!strcasecmp(op, "RENAME"))
		done(r, rename_to(q, destination), q->rest);
	else if (!strcasecmp(op, "COPY"))
		done(r, copy_to(q, destination), q->rest);
	else if (!strcasecmp(op, "SETPERMISSION"))
		done(r, set_permission(q->rest, mode), q->rest);
	else
		done(r, create(q, mode), q->rest);
}

/* Without a server in front (a batch, tests) the body is the file. */
void call_file_post(struct api_request *q, struct api_reply *r)
{
	mode_t mode;

	if (permission_of(q, r, 0644, &mode))
		done(r, create(q, mode), q->rest);
}

/* Removes what is in a directory; its descriptor is taken over. */
static int empty_directory(int fd, unsigned depth)
{
	struct dirent *e;
	struct stat st;
	int err = depth > MAX_DEPTH ? -ELOOP : 0;
	DIR *dir = fdopendir(fd);

	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW)) {
			err = -errno;
			break;
		}
		if (S_ISDIR(st.st_mode)) {
			int sub =
			    openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			err = sub < 0 ? -errno : empty_directory(sub, depth + 1);
		}
		if (!err && unlinkat(fd, e->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0))
			err = -errno;
	}
	closedir(dir);
	return err;
}

void call_file_delete(struct api_request *q, struct api_reply *r)
{
	struct place p;
	struct stat st;
	int err = place_open(q->rest, &p);

	if (err) {
		api_fail_errno(r, err, q->rest);
		return;
	}
	if (fstatat(p.dir, p.name, &st, AT_SYMLINK_NOFOLLOW))
		err = -errno;
	else if (!strcmp(p.name, "."))
		err = -EBUSY;
	if (!err && S_ISDIR(st.st_mode) && api_arg_flag(q, "recursive", false)) {
		int fd = openat(p.dir, p.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		err = fd < 0 ? -errno : empty_directory(fd, 0);
	}
	if (!err && unlinkat(p.dir, p.name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0))
		err = -errno;
	place_close(&p);
	done(r, err, q->rest);
}
