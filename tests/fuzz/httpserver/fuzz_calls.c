/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of the monitoring service from bytes: method, path, parameters and body, through
 * routing, checks and the calls themselves, below a directory of its own. Calls that start programs
 * or change the host are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"
#include "files.h"
#include "json.h"
#include "multipart.h"
#include "source.h"

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof path, "%s%s", dir, name);
	for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0700);
		*p = '/';
	}
	FILE *f = fopen(path, "w");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static void prepare(void)
{
	static char dir[] = "/tmp/fuzz-httpserver-XXXXXX", files[64];

	if (!mkdtemp(dir))
		abort();
	put(dir, "/sys/kernel/tracing/events",
	    "0 sched_switch count,record 12 to=%d from=%d\n1 vfs_open - 0 path=%s\n");
	put(dir, "/sys/kernel/tracing/set_event", "");
	put(dir, "/sys/kernel/tracing/sampler", "0\n");
	put(dir, "/sys/kernel/tracing/trace", "");
	put(dir, "/sys/kernel/threads", "2 2 0 100 50 50 3 1 0 0 16384 R a name\n");
	put(dir, "/sys/kernel/console", "0\nhello\n");
	put(dir, "/proc/meminfo", "MemTotal: 100 kB\nMemFree: 50 kB\n");
	put(dir, "/proc/stat", "cpu  1 2 3 4\ncpu0 1 2 3 4\nctxt 5\n");
	put(dir, "/files/deep/file", "contents");
	snprintf(files, sizeof files, "%s/files", dir);
	api_config.file_root = files;
	source_root = dir;
}

static bool harmless(const struct api_call *c)
{
	void (*const left_out[])(struct api_request *, struct api_reply *) = {call_app_start,
	    call_app_kill, call_os_hostname_set, call_os_poweroff, call_os_shutdown, call_os_reboot,
	    call_batch};

	for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
		if (c->fn == left_out[i])
			return false;
	return true;
}

/* The next zero-terminated piece. */
static const char *piece(const char **p, const char *end)
{
	const char *s = *p;
	size_t n = strnlen(s, (size_t)(end - s));

	*p = s + n < end ? s + n + 1 : end;
	return s;
}

static void request(const char *p, const char *end)
{
	struct api_arg args[8];
	struct api_request q = {.method = piece(&p, end), .path = piece(&p, end), .args = args};
	struct api_reply r;

	while (q.nargs < 8 && p < end) {
		args[q.nargs].name = piece(&p, end);
		args[q.nargs++].value = piece(&p, end);
	}
	q.body = p;
	q.body_len = (size_t)(end - p);
	api_reply_init(&r);
	if (api_find(&q, &r) && harmless(q.call))
		api_run(&q, &r);
	if (r.status >= 400 && !memchr(r.body.p, '}', r.body.n))
		abort(); /* an error without its JSON */
	if (r.fd >= 0)
		close(r.fd);
	api_reply_free(&r);
}

static int ignore(void *arg, const void *p, size_t n)
{
	*(size_t *)arg += n;
	return p ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	static struct multipart m;
	const char *error;
	size_t total = 0;

	if (!ready)
		prepare();
	ready = true;
	if (!size)
		return 0;
	char *copy = malloc(size); /* one zero byte behind what is used */
	memcpy(copy, data + 1, size - 1);
	copy[size - 1] = 0;
	switch (data[0] % 4) {
	case 0:
		json_free(json_parse(copy, size - 1, &error));
		break;
	case 1:
		m.data = ignore;
		if (!multipart_init(&m, "multipart/form-data; boundary=x", 31)) {
			m.data = ignore;
			m.arg = &total;
			size_t half = size / 2;
			if (!multipart_feed(&m, copy, half))
				multipart_feed(&m, copy + half, size - 1 - half);
			if (total > size)
				abort();
		}
		break;
	default:
		request(copy, copy + size - 1);
	}
	free(copy);
	return 0;
}
