/* SPDX-License-Identifier: BSD-3-Clause */
/* `capstan run IMAGE`: a composed image in a machine. */
#include "run.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bootfile.h"
#include "cmdline.h"
#include "compose.h"
#include "instance.h"
#include "package.h"
#include "repo.h"
#include "volume.h"
#include "watch.h"

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
	if (!result && r->watch) {
		struct buf plain = *out;
		*out = (struct buf){0};
		result = cap_watch_prefix(c, CAP_WATCH_PROGRAM, &plain, out);
		buf_free(&plain);
	}
	if (!result && !command.len)
		result =
		    cap_fail(c, EBADMSG, "the image has no boot command; give one with --execute");
	buf_free(&command);
	return result;
}

/* One run of an image while it is being prepared. */
struct launch {
	struct cap *c;
	const struct cap_run *r;
	const char *path; /* of the image */
	struct cap_image img;
	struct cap_kernel kernel;
	struct cap_machine machine;
	struct cap_instance record;
	struct strv disks;
	struct buf line;
	int lock;      /* of the instance */
	int locks[16]; /* of volumes */
	size_t lock_count;
	char *overlay;
	int log_fd;
	int ready_pipe; /* write end, to the waiting parent of a detached run; -1 */
};

static int add_volumes(struct launch *l)
{
	const struct cap_run *r = l->r;
	for (size_t i = 0; r->disks && i < r->disks->count; i++)
		strv_add(&l->disks, r->disks->items[i]);
	for (size_t i = 0; r->volumes && i < r->volumes->count; i++) {
		char *path;
		if (l->lock_count == CAP_ARRAY_SIZE(l->locks))
			return cap_fail(
			    l->c, EINVAL, "at most %zu volumes", CAP_ARRAY_SIZE(l->locks));
		int fd = cap_volume_claim(l->c, r->volumes->items[i], &path);
		if (fd < 0)
			return fd;
		l->locks[l->lock_count++] = fd;
		strv_take(&l->disks, path);
	}
	return 0;
}

/* A persistent instance writes to a layer of its own over the image. */
static int prepare_overlay(struct launch *l, const char *name)
{
	struct cap *c = l->c;
	l->overlay = cap_instance_file(c, name, "disk.qcow2");
	l->machine.image = l->overlay;
	l->machine.writable = true;
	const char *format = l->img.format == CAP_FORMAT_QCOW2 ? "qcow2" : "raw";
	l->machine.format = CAP_FORMAT_QCOW2;
	if (path_exists(l->overlay))
		return 0;
	const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b",
	    l->path, l->overlay, NULL};
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	int status;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return cap_fail_errno(c, "cannot run qemu-img");
	return status ? cap_fail(c, EIO, "qemu-img could not create %s", l->overlay) : 0;
}

static int claim_instance(struct launch *l, const char *image)
{
	const struct cap_run *r = l->r;
	/* An image's name makes the instance's; -i IMAGE NAME gives it apart. */
	bool exact = r->image && r->argc;
	char *wanted = xstrdup(exact ? r->argv[0] : path_base(image)), *taken;
	if (has_suffix(wanted, ".qemu") || has_suffix(wanted, ".raw"))
		*strrchr(wanted, '.') = 0;
	for (char *p = wanted; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-+", *p))
			*p = '_';
	l->lock = cap_instance_claim(l->c, wanted, exact, &taken);
	free(wanted);
	if (l->lock < 0)
		return l->lock;
	struct cap_instance *in = &l->record;
	*in = (struct cap_instance){.name = taken,
	    .image = xstrdup(image),
	    .image_file = xstrdup(l->path),
	    .started = cap_timestamp(),
	    .memory = xstrdup(r->memory ? r->memory : "1G"),
	    .cpus = xstrdup(r->cpus ? r->cpus : "2"),
	    .cmdline = xstrdup(l->line.data),
	    .watch = r->watch ? xstrdup(r->watch) : NULL,
	    .persistent = r->persist};
	char *log = cap_instance_file(l->c, taken, "console.log");
	l->log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int result = l->log_fd < 0 ? cap_fail_errno(l->c, "cannot create %s", log) : 0;
	free(log);
	l->machine.name = taken;
	return result ? result : cap_instance_record(l->c, in);
}

static int prepare(struct launch *l, const char *image)
{
	struct cap *c = l->c;
	struct cap_boot boot;
	struct strv env = {0};
	int result = cap_run_machine(c, l->r, &l->machine);
	if (!result)
		result = cap_boot_parse(c, l->path, l->img.description, &boot);
	if (result)
		return result;
	result = cap_boot_options(c, &boot, l->r->options, &env);
	if (l->r->env)
		strv_add_all(&env, l->r->env);
	if (!result)
		result = command_line(c, l->r, &l->img, &boot, &env, &l->line);
	cap_boot_free(&boot);
	strv_free(&env);
	if (!result && !l->kernel.elf && !l->img.header.kernel_bytes)
		result =
		    cap_fail(c, ENOENT, "neither the image nor this host has a Carrara kernel");
	l->machine.image = l->path;
	l->machine.format = l->img.format;
	l->machine.kernel = l->kernel.elf;
	l->machine.cmdline = l->line.data;
	if (!result)
		result = add_volumes(l);
	l->machine.disks = &l->disks;
	if (!result)
		result = claim_instance(l, image);
	if (!result && l->r->persist)
		result = prepare_overlay(l, l->record.name);
	if (!result) {
		cap_info(c, "Created instance: %s", l->record.name);
		cap_info(c, "Setting cmdline: %s", l->line.data);
	}
	return result;
}

static void describe_outcome(struct cap_instance *in, const struct cap_outcome *o, int result)
{
	in->ended = cap_timestamp();
	if (result)
		in->outcome = xstrdup("failed to run");
	else if (o->end == CAP_END_EXIT)
		in->outcome = xasprintf("exit %d", o->code);
	else if (o->end == CAP_END_SIGNAL)
		in->outcome = xasprintf("signal %d", o->code);
	else if (o->end == CAP_END_PANIC)
		in->outcome = xasprintf("kernel panic: %s", o->message);
	else
		in->outcome = xstrdup("stopped");
}

static void detached_started(void *arg)
{
	struct launch *l = arg;
	if (write(l->ready_pipe, "k", 1) != 1)
		cap_detail(l->c, "nobody waits for this machine");
	close(l->ready_pipe);
	l->ready_pipe = -1;
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

static int run_launch(struct launch *l, int *status)
{
	const struct cap_provider *p = cap_provider_find(l->c, l->r->hypervisor);
	struct cap_outcome out = {0};
	bool detached = l->ready_pipe >= 0;
	if (!p)
		return -EINVAL;
	struct cap_console console = {.interactive = !detached,
	    .output = !detached,
	    .log_fd = l->log_fd,
	    .started = detached ? detached_started : NULL,
	    .started_arg = l};
	int result = p->run(l->c, &l->machine, &console, &out);
	*status = cap_outcome_status(&out);
	describe_outcome(&l->record, &out, result);
	cap_instance_record(l->c, &l->record);
	free(out.message);
	return result;
}

/*
 * The child keeps the locks and runs the machine; this process waits until the machine is up. The
 * lock's owner is recorded anew, because the child is the one to signal.
 */
static int run_detached(struct launch *l, int *status)
{
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC))
		return cap_fail_errno(l->c, "cannot start in the background");
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(pipe_fds[0]);
		setsid();
		l->ready_pipe = pipe_fds[1];
		char *text = xasprintf("%d\n", (int)getpid());
		if (pwrite(l->lock, text, strlen(text), 0) < 0)
			_exit(1);
		free(text);
		_exit(run_launch(l, status) ? 1 : 0);
	}
	close(pipe_fds[1]);
	char byte;
	ssize_t n = pid < 0 ? -1 : read(pipe_fds[0], &byte, 1);
	close(pipe_fds[0]);
	if (n == 1)
		return 0;
	return cap_fail(l->c, EIO, "instance %s did not start", l->record.name);
}

static void launch_free(struct launch *l)
{
	for (size_t i = 0; i < l->lock_count; i++)
		close(l->locks[i]);
	if (l->lock >= 0)
		close(l->lock);
	if (l->log_fd >= 0)
		close(l->log_fd);
	cap_instance_free(&l->record);
	strv_free(&l->disks);
	buf_free(&l->line);
	free(l->overlay);
	cap_image_close(&l->img);
	cap_kernel_free(&l->kernel);
}

/* `capstan run NAME` of an instance that was kept runs it again, from its own image. */
static char *image_of_instance(struct cap *c, const char *name)
{
	struct cap_instance in;
	bool quiet = c->quiet_errors;
	char *image = NULL;
	c->quiet_errors = true;
	if (!cap_instance_read(c, name, &in)) {
		if (in.image_file && path_exists(in.image_file))
			image = xstrdup(in.image_file);
		cap_instance_free(&in);
	}
	c->quiet_errors = quiet;
	return image;
}

/* The package that an image of the repository was composed from; the caller frees it. NULL: none.
 */
static char *package_of_image(struct cap *c, const char *path)
{
	struct cap_image_info *list;
	size_t count;
	char *package = NULL;
	cap_repo_images(c, &list, &count);
	for (size_t i = 0; i < count && !package; i++)
		if (!strcmp(list[i].path, path) && list[i].package)
			package = xstrdup(list[i].package);
	cap_image_info_free(list, count);
	return package;
}

/*
 * meta/hooks/run prepares the host (data, other services) before the machine starts. Only the hook
 * of the package in the working directory runs: code of others has no business on this host.
 */
static int run_hook(struct launch *l)
{
	struct cap_package p;
	struct strv env = {0};
	bool ran;
	int status, result = 0;
	if (!path_exists("meta/hooks/run") || cap_package_read(l->c, ".", &p))
		return 0;
	char *package = package_of_image(l->c, l->path);
	strv_addf(&env, "CAPSTAN_IMAGE=%s", l->path);
	strv_addf(&env, "CAPSTAN_INSTANCE=%s", l->record.name);
	if (package && !strcmp(package, p.name)) {
		cap_info(l->c, "Running meta/hooks/run");
		result = cap_run_hook(l->c, ".", "run", &env, &ran, &status);
		if (!result && status)
			result = cap_fail(l->c, EIO,
			    "meta/hooks/run failed with status %d; the machine was not started",
			    status);
		if (result) {
			describe_outcome(&l->record, &(struct cap_outcome){0}, result);
			cap_instance_record(l->c, &l->record);
		}
	}
	strv_free(&env);
	free(package);
	cap_package_free(&p);
	return result;
}

int cap_run_image(struct cap *c, const struct cap_run *r, int *status)
{
	struct launch l = {
	    .c = c, .r = r, .lock = -1, .log_fd = -1, .ready_pipe = -1, .img = {.fd = -1}};
	const char *image = r->image ? r->image : r->argc ? r->argv[0] : NULL;
	if (!image)
		return cap_fail(c, EINVAL, "which image? capstan run IMAGE, or -i IMAGE");
	if (!cap_provider_find(c, r->hypervisor))
		return -EINVAL;
	char *path = r->image ? NULL : image_of_instance(c, image);
	if (!path)
		path = cap_repo_image_file(c, image);
	if (!path)
		return -ENOENT;
	l.path = path;
	int result = cap_kernel_find(c, r->kernel, &l.kernel);
	if (!result)
		result = cap_image_open(c, path, &l.img);
	if (!result)
		result = prepare(&l, image);
	if (!result)
		result = run_hook(&l);
	if (!result)
		result = r->detach ? run_detached(&l, status) : run_launch(&l, status);
	launch_free(&l);
	free(path);
	return result;
}
