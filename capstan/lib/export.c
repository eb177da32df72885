/* SPDX-License-Identifier: BSD-3-Clause */
/* Images in the formats of other hypervisors and clouds. */
#include "export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deb_internal.h"
#include "image.h"

static int run_tool(struct cap *c, const char *dir, const char *const *argv)
{
	struct strv args = {0};
	struct buf out = {0};
	int status;
	for (; *argv; argv++)
		strv_add(&args, *argv);
	int result = deb_run(c, dir, &args, &out, &status);
	if (!result && status)
		result = cap_fail(c, EIO, "%s failed with status %d", args.items[0], status);
	strv_free(&args);
	buf_free(&out);
	return result;
}

static int convert(
    struct cap *c, const char *image, const char *from, const char *to, const char *file)
{
	const char *const argv[] = {"qemu-img", "convert", "-f", from, "-O", to, image, file, NULL};
	return run_tool(c, NULL, argv);
}

/* A sparse tar of one file named disk.raw. */
static int google_archive(struct cap *c, const char *image, const char *from, const char *file)
{
	char dir[] = "/var/tmp/capstan-export-XXXXXX";
	if (!mkdtemp(dir))
		return cap_fail_errno(c, "cannot create a temporary directory");
	char *raw = path_join(dir, "disk.raw");
	const char *const argv[] = {"tar", "--format=oldgnu", "-Sczf", file, "disk.raw", NULL};
	int result = convert(c, image, from, "raw", raw);
	if (!result)
		result = run_tool(c, dir, argv);
	free(raw);
	remove_all(dir);
	return result;
}

int cap_image_export(struct cap *c, const char *image, const char *format, const char *file)
{
	static const char *const formats[] = {"qcow2", "raw", "vdi", "vmdk", "raw.tar.gz"};
	struct cap_image img;
	size_t i = 0;
	while (i < CAP_ARRAY_SIZE(formats) && strcmp(formats[i], format))
		i++;
	if (i == CAP_ARRAY_SIZE(formats))
		return cap_fail(c, EINVAL,
		    "unknown format \"%s\" (qcow2, raw, vdi, vmdk or raw.tar.gz)", format);
	int result = cap_image_open(c, image, &img);
	if (result)
		return result;
	const char *from = img.format == CAP_FORMAT_QCOW2 ? "qcow2" : "raw";
	if (!img.header.kernel_bytes)
		cap_warn(c, "the image has no kernel in it and cannot boot by itself");
	cap_image_close(&img);
	char *full = path_absolute(file), *tmp = xasprintf("%s.%d.tmp", full, (int)getpid());
	result = strcmp(format, "raw.tar.gz") ? convert(c, image, from, format, tmp)
					      : google_archive(c, image, from, tmp);
	if (!result && rename(tmp, full))
		result = cap_fail_errno(c, "cannot create %s", file);
	if (result)
		unlink(tmp);
	free(full);
	free(tmp);
	return result;
}
