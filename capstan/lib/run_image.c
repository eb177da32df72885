/* SPDX-License-Identifier: BSD-3-Clause */
/* `capstan run IMAGE`: a composed image in a machine. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmdline.h"

/* The boot command: --execute wins over --boot, which wins over the one in the image. */
static void boot_command(const struct cap_run *r, const struct cap_image *img, struct buf *line)
{
	cap_run_options(r, line);
	if (r->execute) {
		buf_printf(line, "%s%s", line->len ? " " : "", r->execute);
	} else if (r->boot) {
		char *word = xasprintf("--boot=%s", r->boot);
		cap_cmdline_add(line, word);
		free(word);
	} else if (img->cmdline[0]) {
		buf_printf(line, "%s%s", line->len ? " " : "", img->cmdline);
	}
}

int cap_run_image(struct cap *c, const struct cap_run *r, int *status)
{
	struct cap_kernel kernel;
	struct cap_image img;
	struct cap_outcome out;
	struct buf line = {0};
	const char *image = r->image ? r->image : r->argc ? r->argv[0] : NULL;
	const struct cap_provider *p = cap_provider_find(c, r->hypervisor);
	if (!p)
		return -EINVAL;
	if (!image)
		return cap_fail(c, EINVAL, "which image? capstan run IMAGE, or -i IMAGE");
	int result = cap_kernel_find(c, r->kernel, &kernel);
	if (result)
		return result;
	result = cap_image_open(c, image, &img);
	if (result) {
		cap_kernel_free(&kernel);
		return result;
	}
	struct cap_machine m = {.image = image,
	    .format = img.format,
	    .kernel = kernel.elf,
	    .name = path_base(image),
	    .writable = r->persist};
	struct cap_console console = {.interactive = true, .output = true, .log_fd = -1};
	result = cap_run_machine(c, r, &m);
	boot_command(r, &img, &line);
	m.cmdline = line.data;
	if (!result && !m.kernel && !img.header.kernel_bytes)
		result =
		    cap_fail(c, ENOENT, "neither the image nor this host has a Carrara kernel");
	if (!result) {
		cap_detail(c, "boot command: %s", line.data ? line.data : "");
		result = p->run(c, &m, &console, &out);
		*status = cap_outcome_status(&out);
		free(out.message);
	}
	buf_free(&line);
	cap_image_close(&img);
	cap_kernel_free(&kernel);
	return result;
}
