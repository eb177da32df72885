/* SPDX-License-Identifier: BSD-3-Clause */
/* Instances: records, locks, stopping, logs. */
#include "instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "manifest.h"
#include "repo.h"
#include "yamldoc.h"

#define STOP_WAIT_MS 8000
#define POLL_US 20000
#define SAME_NAME_MAX 1000

bool cap_instance_name_valid(const char *name)
{
	return cap_name_valid(name);
}

char *cap_instance_dir(struct cap *c, const char *name)
{
	char *relative = xasprintf("instances/qemu/%s", name), *path = cap_repo_path(c, relative);
	free(relative);
	return path;
}

char *cap_instance_file(struct cap *c, const char *name, const char *file)
{
	char *dir = cap_instance_dir(c, name), *path = path_join(dir, file);
	free(dir);
	return path;
}

/* Returns the locked descriptor, -EAGAIN when someone else holds it, or another error. */
static int try_claim(struct cap *c, const char *name)
{
	char *dir = cap_instance_dir(c, name), *path = path_join(dir, "lock");
	int result = mkdir_all(dir, 0755), fd = -1;
	if (result)
		result = cap_fail(c, -result, "cannot create %s: %s", dir, strerror(-result));
	else if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644)) < 0)
		result = cap_fail_errno(c, "cannot open %s", path);
	else if (flock(fd, LOCK_EX | LOCK_NB))
		result = errno == EWOULDBLOCK ? -EAGAIN : cap_fail_errno(c, "cannot lock %s", path);
	if (!result) {
		char *pid = xasprintf("%d\n", (int)getpid());
		if (ftruncate(fd, 0) || pwrite(fd, pid, strlen(pid), 0) < 0)
			result = cap_fail_errno(c, "cannot write %s", path);
		free(pid);
	}
	if (result && fd >= 0)
		close(fd);
	free(dir);
	free(path);
	return result ? result : fd;
}

int cap_instance_claim(struct cap *c, const char *name, bool exact, char **taken)
{
	*taken = NULL;
	if (!cap_instance_name_valid(name))
		return cap_fail(c, EINVAL, "\"%s\" is not an instance name", name);
	for (int i = 1; i < SAME_NAME_MAX; i++) {
		char *candidate = i == 1 ? xstrdup(name) : xasprintf("%s-%d", name, i);
		int fd = try_claim(c, candidate);
		if (fd >= 0) {
			*taken = candidate;
			return fd;
		}
		free(candidate);
		if (fd != -EAGAIN)
			return fd;
		if (exact)
			return cap_fail(c, EBUSY, "instance %s is running already", name);
	}
	return cap_fail(c, EBUSY, "too many instances named %s", name);
}

/* The pid in a held lock, or 0 when nobody holds it. */
static pid_t lock_holder(struct cap *c, const char *name)
{
	char *path = cap_instance_file(c, name, "lock"), text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	pid_t pid = 0;
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK &&
	    pread(fd, text, sizeof(text) - 1, 0) > 0)
		pid = atoi(text);
	if (fd >= 0)
		close(fd);
	free(path);
	return pid;
}

static void line(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "%s: ", key);
	cap_yaml_quote(out, value);
	buf_putc(out, '\n');
}

int cap_instance_record(struct cap *c, const struct cap_instance *in)
{
	struct buf out = {0};
	line(&out, "name", in->name);
	line(&out, "image", in->image);
	line(&out, "image_file", in->image_file);
	line(&out, "started", in->started);
	line(&out, "ended", in->ended);
	line(&out, "outcome", in->outcome);
	line(&out, "memory", in->memory);
	line(&out, "cpus", in->cpus);
	line(&out, "cmdline", in->cmdline);
	line(&out, "watch", in->watch);
	buf_printf(&out, "persistent: %s\n", in->persistent ? "true" : "false");
	char *path = cap_instance_file(c, in->name, "instance.yaml");
	int result = file_write_atomic(path, out.data, out.len, 0644);
	if (result)
		cap_fail(c, -result, "cannot write %s: %s", path, strerror(-result));
	buf_free(&out);
	free(path);
	return result;
}

int cap_instance_read(struct cap *c, const char *name, struct cap_instance *in)
{
	struct {
		const char *key;
		char **value;
	} fields[] = {{"image", &in->image}, {"image_file", &in->image_file},
	    {"started", &in->started}, {"ended", &in->ended}, {"outcome", &in->outcome},
	    {"memory", &in->memory}, {"cpus", &in->cpus}, {"cmdline", &in->cmdline}, {"watch", &in->watch}};
	struct buf text = {0};
	struct cap_yaml_node *doc = NULL;
	char *persistent = NULL;
	*in = (struct cap_instance){0};
	if (!cap_instance_name_valid(name))
		return cap_fail(c, EINVAL, "\"%s\" is not an instance name", name);
	char *path = cap_instance_file(c, name, "instance.yaml");
	int result = file_read(path, CAP_MANIFEST_MAX, &text);
	if (result == -ENOENT)
		cap_fail(c, ENOENT, "no instance \"%s\"; `capstan instances` lists them", name);
	else if (result)
		cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result));
	if (!result)
		result = cap_yaml_parse(c, path, text.data, text.len, &doc);
	for (size_t i = 0; !result && i < CAP_ARRAY_SIZE(fields); i++)
		result = cap_yaml_string(c, path, doc, fields[i].key, fields[i].value);
	if (!result)
		result = cap_yaml_string(c, path, doc, "persistent", &persistent);
	in->persistent = persistent && !strcmp(persistent, "true");
	in->name = xstrdup(name);
	in->pid = lock_holder(c, name);
	in->running = in->pid > 0;
	free(persistent);
	cap_yaml_free(doc);
	buf_free(&text);
	free(path);
	if (result)
		cap_instance_free(in);
	return result;
}

void cap_instance_free(struct cap_instance *in)
{
	free(in->name);
	free(in->image);
	free(in->image_file);
	free(in->started);
	free(in->ended);
	free(in->outcome);
	free(in->watch);
	free(in->memory);
	free(in->cpus);
	free(in->cmdline);
	*in = (struct cap_instance){0};
}

static int compare(const void *a, const void *b)
{
	const struct cap_instance *x = a, *y = b;
	return strcmp(x->name, y->name);
}

int cap_instance_list(struct cap *c, struct cap_instance **list, size_t *count)
{
	char *path = cap_repo_path(c, "instances/qemu");
	DIR *d = opendir(path);
	bool quiet = c->quiet_errors;
	*list = NULL;
	*count = 0;
	c->quiet_errors = true; /* an instance that is just being deleted is no error */
	for (struct dirent *e; d && (e = readdir(d));) {
		struct cap_instance in;
		if (!cap_instance_name_valid(e->d_name) || cap_instance_read(c, e->d_name, &in))
			continue;
		*list = xrealloc(*list, (*count + 1) * sizeof(**list));
		(*list)[(*count)++] = in;
	}
	c->quiet_errors = quiet;
	if (d)
		closedir(d);
	if (*count)
		qsort(*list, *count, sizeof(**list), compare);
	free(path);
	return 0;
}

void cap_instance_list_free(struct cap_instance *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cap_instance_free(&list[i]);
	free(list);
}

static bool wait_until_ended(struct cap *c, const char *name, unsigned ms)
{
	for (uint64_t end = monotonic_us() + ms * 1000ull; monotonic_us() < end; usleep(POLL_US))
		if (!lock_holder(c, name))
			return true;
	return false;
}

int cap_instance_stop(struct cap *c, const char *name, bool force)
{
	struct cap_instance in;
	int result = cap_instance_read(c, name, &in);
	if (result)
		return result;
	pid_t pid = in.pid;
	cap_instance_free(&in);
	if (!pid)
		return cap_fail(c, ESRCH, "instance %s is not running", name);
	/* The process behind the lock ends its machine in order at the first signal, at once at the
	 * second. */
	for (int i = 0; i < (force ? 2 : 1); i++)
		if (kill(pid, SIGTERM) && errno != ESRCH)
			return cap_fail_errno(c, "cannot stop instance %s", name);
		else
			usleep(POLL_US);
	if (wait_until_ended(c, name, STOP_WAIT_MS))
		return 0;
	kill(pid, SIGTERM);
	if (wait_until_ended(c, name, STOP_WAIT_MS))
		return 0;
	return cap_fail(c, ETIMEDOUT, "instance %s does not end (process %d)", name, (int)pid);
}

int cap_instance_delete(struct cap *c, const char *name)
{
	struct cap_instance in;
	int result = cap_instance_read(c, name, &in);
	if (result)
		return result;
	bool running = in.running;
	cap_instance_free(&in);
	if (running)
		return cap_fail(c, EBUSY, "instance %s is running; stop it first", name);
	char *dir = cap_instance_dir(c, name);
	result = remove_all(dir);
	if (result)
		cap_fail(c, -result, "cannot delete instance %s: %s", name, strerror(-result));
	free(dir);
	return result;
}

int cap_instance_logs(struct cap *c, const char *name, bool follow, int fd)
{
	struct cap_instance in;
	int result = cap_instance_read(c, name, &in);
	if (result)
		return result;
	cap_instance_free(&in);
	char *path = cap_instance_file(c, name, "console.log"), *chunk = xmalloc(65536);
	int log = open(path, O_RDONLY | O_CLOEXEC);
	if (log < 0)
		result = cap_fail_errno(c, "instance %s has no log", name);
	for (bool last = false; !result;) {
		ssize_t n = read(log, chunk, 65536);
		if (n > 0) {
			result = write_all(fd, chunk, n);
		} else if (!follow || last || n < 0) {
			break;
		} else {
			last = !lock_holder(c, name); /* one more look after it has ended */
			if (!last)
				usleep(POLL_US);
		}
	}
	if (log >= 0)
		close(log);
	free(chunk);
	free(path);
	return result;
}

char *cap_instance_using(struct cap *c, const char *image_file)
{
	struct cap_instance *list;
	size_t count;
	char *name = NULL;
	cap_instance_list(c, &list, &count);
	for (size_t i = 0; i < count && !name; i++)
		if (list[i].running && list[i].image_file &&
		    !strcmp(list[i].image_file, image_file))
			name = xstrdup(list[i].name);
	cap_instance_list_free(list, count);
	return name;
}
