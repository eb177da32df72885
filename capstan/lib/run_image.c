/* SPDX-License-Identifier: BSD-3-Clause */
/* `capstan run IMAGE`: a composed image in a machine. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootfile.h"
#include "cmdline.h"
#include "compose.h"
#include "repo.h"

/*
 * The boot command without options of this run: --execute, then --boot, then what the image has.
 * *expand says whether ${…} in it is to be replaced here.
 */
static int choose_command(struct cap *c, const struct cap_run *r, const struct cap_image *img,
    const struct cap_boot *boot, struct buf *line)
{
	buf_add(line, "", 0);
	if (r->execute) {
		buf_puts(line, r->execute);
		return 0;
	}
	if (r->boot) {
		const char *command = cap_boot_command(boot, r->boot);
		if (command) {
			buf_puts(line, command);
			return 0;
		}
		if (boot->names.count) {
			char *list = strv_join(&boot->names, ", ");
			int result = cap_fail(c, EINVAL,
			    "the image has no configuration \"%s\" (there is: %s)", r->boot, list);
			free(list);
			return result;
		}
		/* An image without a description: the guest knows its own /run files. */
		char *word = xasprintf("--boot=%s", r->boot);
		cap_cmdline_add(line, word);
		free(word);
		return 0;
	}
	buf_puts(line, boot->fallback ? boot->fallback : img->cmdline);
	return 0;
}

/* Options first, then the command with the values of this run put in. */
static int command_line(struct cap *c, const struct cap_run *r, const struct cap_image *img,
    const struct cap_boot *boot, const struct strv *env, struct buf *out)
{
	struct buf command = {0};
	struct cap_run with_env = *r;
	with_env.env = env;
	int result = choose_command(c, r, img, boot, &command);
	if (!result) {
		cap_run_options(&with_env, out);
		result = cap_cmdline_expand(c, "boot command", command.data, env, out);
	}
	if (!result && !command.len)
		result =
		    cap_fail(c, EBADMSG, "the image has no boot command; give one with --execute");
	buf_free(&command);
	return result;
}

static int start(struct cap *c, const struct cap_run *r, const char *path, struct cap_image *img,
    const struct cap_kernel *kernel, int *status)
{
	struct cap_boot boot;
	struct strv env = {0};
	struct buf line = {0};
	struct cap_outcome out = {0};
	struct cap_machine m;
	const struct cap_provider *p = cap_provider_find(c, r->hypervisor);
	if (!p)
		return -EINVAL;
	int result = cap_boot_read(c, path, &boot);
	if (!result)
		result = cap_boot_options(c, &boot, r->options, &env);
	if (r->env)
		strv_add_all(&env, r->env);
	if (!result)
		result = command_line(c, r, img, &boot, &env, &line);
	if (!result)
		result = cap_run_machine(c, r, &m);
	if (!result && !kernel->elf && !img->header.kernel_bytes)
		result =
		    cap_fail(c, ENOENT, "neither the image nor this host has a Carrara kernel");
	if (!result) {
		struct cap_console console = {.interactive = true, .output = true, .log_fd = -1};
		m.image = path;
		m.format = img->format;
		m.kernel = kernel->elf;
		m.cmdline = line.data;
		m.name = r->instance ? r->instance : path_base(path);
		m.writable = r->persist;
		cap_detail(c, "boot command: %s", line.data ? line.data : "");
		result = p->run(c, &m, &console, &out);
		*status = cap_outcome_status(&out);
		free(out.message);
	}
	cap_boot_free(&boot);
	strv_free(&env);
	buf_free(&line);
	return result;
}

int cap_run_image(struct cap *c, const struct cap_run *r, int *status)
{
	struct cap_kernel kernel;
	struct cap_image img;
	const char *image = r->image ? r->image : r->argc ? r->argv[0] : NULL;
	if (!image)
		return cap_fail(c, EINVAL, "which image? capstan run IMAGE, or -i IMAGE");
	char *path = cap_repo_image_file(c, image);
	if (!path)
		return -ENOENT;
	int result = cap_kernel_find(c, r->kernel, &kernel);
	if (!result) {
		result = cap_image_open(c, path, &img);
		if (!result) {
			result = start(c, r, path, &img, &kernel, status);
			cap_image_close(&img);
		}
		cap_kernel_free(&kernel);
	}
	free(path);
	return result;
}
