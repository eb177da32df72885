/* SPDX-License-Identifier: BSD-3-Clause */
/* `capstan run --host`: a program of this host in a machine of its own. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmdline.h"
#include "hosttree.h"
#include "watch.h"

#define ARGUMENT_FILE_MAX (256u << 20)
#define DEFAULT_MEMORY (1ull << 30)
#define DEFAULT_CPUS 2

static void option(struct buf *line, const char *name, const char *value)
{
	char *word = value ? xasprintf("--%s=%s", name, value) : xasprintf("--%s", name);
	cap_cmdline_add(line, word);
	free(word);
}

static void options(struct buf *line, const char *name, const struct strv *values)
{
	for (size_t i = 0; values && i < values->count; i++)
		option(line, name, values->items[i]);
}

void cap_run_options(const struct cap_run *r, struct buf *line)
{
	options(line, "env", r->env);
	if (r->cwd)
		option(line, "cwd", r->cwd);
	if (r->hostname)
		option(line, "hostname", r->hostname);
	if (r->user)
		option(line, "user", r->user);
	if (r->loglevel)
		option(line, "loglevel", r->loglevel);
	if (r->strace)
		option(line, "strace", NULL);
	options(line, "trace", r->trace);
	options(line, "mount", r->mounts);
	for (size_t i = 0; r->kernel_args && i < r->kernel_args->count; i++)
		cap_cmdline_add(line, r->kernel_args->items[i]);
}

int cap_run_machine(struct cap *c, const struct cap_run *r, struct cap_machine *m)
{
	uint64_t n;
	m->memory = DEFAULT_MEMORY;
	m->cpus = DEFAULT_CPUS;
	m->image_fd = -1;
	if (r->memory) {
		/* A bare number is megabytes, as for QEMU. */
		if (!parse_size(r->memory, &m->memory))
			return cap_fail(
			    c, EINVAL, "memory size \"%s\" is not like 512M or 2G", r->memory);
		if (r->memory[strspn(r->memory, "0123456789")] == 0)
			m->memory <<= 20;
	}
	if (r->cpus) {
		if (!parse_uint(r->cpus, 255, &n) || !n)
			return cap_fail(
			    c, EINVAL, "number of CPUs \"%s\" is not 1 to 255", r->cpus);
		m->cpus = n;
	}
	m->type = r->machine;
	m->net = r->net ? r->net : "nat";
	m->net_device = r->net_device;
	m->mac = r->mac;
	m->forwards = r->forwards;
	m->disks = r->disks;
	m->extra = r->qemu_args;
	m->gdb = r->gdb;
	return 0;
}

/* "HOST:GUEST" or just "HOST" for the same path on both sides. */
static int split_pair(struct cap *c, const char *what, const char *pair, char **host, char **guest)
{
	const char *colon = strrchr(pair, ':');
	*host = colon ? xstrndup(pair, colon - pair) : xstrdup(pair);
	*guest = colon ? path_clean(colon + 1) : path_absolute(pair);
	if (**host && (!colon || colon[1] == '/'))
		return 0;
	free(*host);
	free(*guest);
	*host = *guest = NULL;
	return cap_fail(c, EINVAL, "%s \"%s\" is not HOST:/GUEST", what, pair);
}

int cap_add_extra_files(struct cap *c, const struct cap_run *r, struct cap_tree *t)
{
	int result = 0;
	char *host, *guest;
	for (size_t i = 0; !result && r->files && i < r->files->count; i++) {
		struct stat st;
		result = split_pair(c, "--file", r->files->items[i], &host, &guest);
		char *real = result ? NULL : realpath(host, NULL);
		if (!result && !real)
			result = cap_fail_errno(c, "--file: cannot read %s", host);
		if (!result && !stat(real, &st) && S_ISDIR(st.st_mode))
			result = cap_fail(c, EINVAL, "--file: %s is a directory, use --dir", host);
		if (!result)
			result = cap_tree_add_host(c, t, real, guest);
		free(real);
		free(host);
		free(guest);
	}
	for (size_t i = 0; !result && r->dirs && i < r->dirs->count; i++) {
		result = split_pair(c, "--dir", r->dirs->items[i], &host, &guest);
		if (!result)
			result = cap_tree_add_host_dir(c, t, host, guest, NULL, NULL);
		free(host);
		free(guest);
	}
	return result;
}

static bool is_system_dir(const char *path)
{
	static const char *const dirs[] = {"/dev/", "/proc/", "/sys/"};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(dirs); i++)
		if (has_prefix(path, dirs[i]))
			return true;
	return false;
}

/*
 * An argument that names a regular file of this host is what the program will want to open: it goes
 * into the image at the same path. A relative one makes the guest start in the same directory.
 */
static int add_argument_file(struct cap_collector *col, const char *arg, bool *relative)
{
	struct stat st;
	const char *value = arg;
	if (arg[0] == '-' && strchr(arg, '='))
		value = strchr(arg, '=') + 1;
	if (!*value || stat(value, &st) || !S_ISREG(st.st_mode) || st.st_size > ARGUMENT_FILE_MAX)
		return 0;
	char *path = path_absolute(value);
	int result = 0;
	if (!is_system_dir(path) && !access(path, R_OK)) {
		cap_detail(col->c, "taking the file %s along", path);
		*relative |= value[0] != '/';
		result = cap_collect_path(col, path);
	}
	free(path);
	return result;
}

int cap_host_tree(struct cap *c, const struct cap_run *r, struct cap_tree *t, struct buf *cmdline)
{
	struct cap_collector col;
	bool relative = false;
	struct cap_run with_cwd = *r;
	char *cwd = NULL, *service = NULL, *program = cap_find_program(c, r->argv[0]);
	if (!program)
		return -ENOENT;
	cap_collector_init(&col, c, t);
	int result = cap_collect_path(&col, program);
	for (int i = 1; !result && !r->no_auto_files && i < r->argc; i++)
		result = add_argument_file(&col, r->argv[i], &relative);
	if (!result && r->watch) {
		service = cap_watch_program(c);
		result = service ? cap_collect_as(&col, service, CAP_WATCH_PROGRAM) : -ENOENT;
	}
	if (!result)
		result = cap_add_extra_files(c, r, t);
	if (!result)
		result = cap_collect_finish(&col);
	if (!result)
		result = cap_tree_add_base(c, t);
	if (!result && relative && !r->cwd) {
		with_cwd.cwd = cwd = path_absolute(".");
		result = cap_tree_mkdir(c, t, cwd, 0755);
	}
	if (!result) {
		cap_run_options(&with_cwd, cmdline);
		if (service) {
			cap_cmdline_add(cmdline, CAP_WATCH_PROGRAM);
			buf_puts(cmdline, " &");
		}
		cap_cmdline_add(cmdline, program);
		for (int i = 1; i < r->argc; i++)
			cap_cmdline_add(cmdline, r->argv[i]);
	}
	cap_collector_free(&col);
	free(cwd);
	free(service);
	free(program);
	return result;
}

static int temporary_image(struct cap *c, struct cap_tree *t, int *fd)
{
	struct cap_image_spec spec = {.format = CAP_FORMAT_RAW};
	*fd = memfd_create("carrara-image", MFD_CLOEXEC);
	if (*fd < 0)
		return cap_fail_errno(c, "cannot create a temporary image");
	return cap_image_write_fd(c, t, &spec, *fd, "the temporary image", NULL);
}

static int run_tree(struct cap *c, const struct cap_run *r, struct cap_tree *t, const char *cmdline,
    const char *kernel, int *status)
{
	struct cap_machine m = {.kernel = kernel, .cmdline = cmdline, .format = CAP_FORMAT_RAW};
	struct cap_outcome out;
	const struct cap_provider *p = cap_provider_find(c, r->hypervisor ? r->hypervisor : "qemu");
	if (!p)
		return -EINVAL;
	int result = cap_run_machine(c, r, &m), fd = -1;
	if (!r->net && !(r->forwards && r->forwards->count))
		m.net = "none";
	if (!result)
		result = temporary_image(c, t, &fd);
	if (!result) {
		struct cap_console console = {.interactive = true, .output = true, .log_fd = -1};
		m.image_fd = fd;
		m.name = path_base(r->argv[0]);
		cap_detail(c, "boot command: %s", cmdline);
		result = p->run(c, &m, &console, &out);
		*status = cap_outcome_status(&out);
		free(out.message);
	}
	if (fd >= 0)
		close(fd);
	return result;
}

int cap_run_host(struct cap *c, const struct cap_run *r, int *status)
{
	struct cap_kernel kernel;
	struct cap_tree tree;
	struct buf cmdline = {0};
	uint64_t start = monotonic_us();
	if (r->argc < 1)
		return cap_fail(
		    c, EINVAL, "--host needs a program: capstan run --host PROGRAM ARGS…");
	int result = cap_kernel_find(c, r->kernel, &kernel);
	if (result)
		return result;
	if (!kernel.elf)
		return cap_fail(
		    c, ENOENT, "no Carrara kernel found; name it with --kernel or $CARRARA_KERNEL");
	cap_tree_init(&tree);
	result = cap_host_tree(c, r, &tree, &cmdline);
	if (!result && cmdline.len > CARRARA_IMAGE_CMDLINE_MAX)
		result = cap_fail(c, EINVAL, "the command line is too long (%zu bytes, at most %d)",
		    cmdline.len, CARRARA_IMAGE_CMDLINE_MAX);
	cap_detail(c, "collected %zu files in %llu ms", tree.count,
	    (unsigned long long)(monotonic_us() - start) / 1000);
	if (!result)
		result = run_tree(c, r, &tree, cmdline.data, kernel.elf, status);
	cap_tree_free(&tree);
	buf_free(&cmdline);
	cap_kernel_free(&kernel);
	return result;
}
