/* SPDX-License-Identifier: BSD-3-Clause */
/* /os: names, times, memory, logs, host name, boot command line, the end of the machine. */
#include "bootline.h"
#include "calls.h"
#include "source.h"

#include <errno.h>
#include <limits.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define SHUTDOWN_SECONDS 5 /* for programs to end by themselves */

void (*service_stop)(void);

static bool on_carrara(const struct utsname *u)
{
	return strstr(u->release, "carrara") != NULL;
}

void call_os_name(struct api_request *q, struct api_reply *r)
{
	struct utsname u;

	(void)q;
	uname(&u);
	api_string(r, on_carrara(&u) ? "Carrara" : u.sysname);
}

void call_os_version(struct api_request *q, struct api_reply *r)
{
	struct utsname u;

	(void)q;
	uname(&u);
	/* "#1 SMP Carrara 0.1.0": what stands behind the name. */
	const char *own = strstr(u.version, "Carrara ");
	api_string(r, own ? own + 8 : u.release);
}

void call_os_vendor(struct api_request *q, struct api_reply *r)
{
	struct utsname u;

	(void)q;
	uname(&u);
	api_string(r, on_carrara(&u) ? "Carrara project" : u.sysname);
}

void call_os_uptime(struct api_request *q, struct api_reply *r)
{
	char *text = source_read("/proc/uptime", NULL);

	(void)q;
	if (!text) {
		api_fail_errno(r, -errno, "/proc/uptime");
		return;
	}
	api_int(r, strtoll(text, NULL, 10));
	free(text);
}

void call_os_date(struct api_request *q, struct api_reply *r)
{
	char text[64];
	time_t now = time(NULL);
	struct tm tm;

	(void)q;
	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	api_string(r, text);
}

/* The kernel's log. Carrara's file can be read any number of times; Linux's hands each line out
 * once. */
static char *kernel_log(size_t *n)
{
	struct utsname u;

	uname(&u);
	if (*source_root || on_carrara(&u))
		return source_read("/proc/kmsg", n);
	int size = klogctl(10, NULL, 0); /* SYSLOG_ACTION_SIZE_BUFFER */
	char *text = size > 0 ? malloc((size_t)size + 1) : NULL;
	int got = text ? klogctl(3, text, size) : -1; /* SYSLOG_ACTION_READ_ALL */
	if (got < 0) {
		free(text);
		return NULL;
	}
	text[got] = 0;
	*n = (size_t)got;
	return text;
}

void call_os_dmesg(struct api_request *q, struct api_reply *r)
{
	size_t n = 0;
	char *text = kernel_log(&n);

	(void)q;
	if (!text) {
		api_fail_errno(r, -errno, "the kernel log");
		return;
	}
	json_string_n(&r->body, text, n);
	free(text);
}

/* {offset, text}: what the console showed from `offset` on; offset is where the next call goes on.
 */
void call_os_console(struct api_request *q, struct api_reply *r)
{
	size_t n = 0;
	int64_t from = api_arg_int(q, "offset", 0);
	char *file = source_read("/sys/kernel/console", &n), *text = file;

	if (!file) {
		api_fail(r, 501, "this system does not keep its console's output");
		return;
	}
	int64_t first = strtoll(source_line(&text), NULL, 10);
	size_t len = text ? n - (size_t)(text - file) : 0;
	int64_t end = first + (int64_t)len;
	if (from < first || from > end)
		from = first;
	text_puts(&r->body, "{");
	json_member_int(&r->body, "offset", end);
	json_member(&r->body, "text");
	json_string_n(&r->body, len ? text + (from - first) : "", (size_t)(end - from));
	text_puts(&r->body, "}");
	free(file);
}

void call_os_hostname(struct api_request *q, struct api_reply *r)
{
	char name[HOST_NAME_MAX + 1] = "";

	(void)q;
	gethostname(name, sizeof name);
	api_string(r, name);
}

void call_os_hostname_set(struct api_request *q, struct api_reply *r)
{
	const char *name = api_arg(q, "name");
	size_t n = strlen(name);

	if (!n || n > HOST_NAME_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != n) {
		api_fail(r, 400, "a host name has 1 to %d letters, digits, dots and hyphens",
		    HOST_NAME_MAX);
		return;
	}
	if (sethostname(name, n)) {
		api_fail_errno(r, -errno, "the host name");
		return;
	}
	api_string(r, name);
}

/* The command line the machine was booted with, or the stored one once it was changed. */
void call_os_cmdline(struct api_request *q, struct api_reply *r)
{
	char *text;

	(void)q;
	if (bootline_changed() && (text = bootline_read(NULL))) {
		api_string(r, text);
		free(text);
		return;
	}
	text = source_read("/proc/cmdline", NULL);
	if (!text) {
		api_fail_errno(r, -errno, "/proc/cmdline");
		return;
	}
	text[strcspn(text, "\n")] = 0;
	api_string(r, text);
	free(text);
}

void call_os_cmdline_set(struct api_request *q, struct api_reply *r)
{
	const char *why = NULL;
	int err = bootline_write(api_arg(q, "cmdline"), &why);

	if (err == -EINVAL || err == -EFBIG)
		api_fail(
		    r, err == -EFBIG ? 413 : 409, "the boot command line is not changed: %s", why);
	else if (err)
		api_fail_errno(r, err, why);
	else
		api_string(r, api_arg(q, "cmdline"));
}

static void memory(struct api_reply *r, const char *key)
{
	uint64_t kib = 0;
	char *text = source_read("/proc/meminfo", NULL);

	if (!text || !source_number(text, key, &kib))
		api_fail(r, 500, "/proc/meminfo does not say %s", key);
	else
		api_int(r, (int64_t)kib * 1024);
	free(text);
}

void call_os_memory_total(struct api_request *q, struct api_reply *r)
{
	(void)q;
	memory(r, "MemTotal");
}

void call_os_memory_free(struct api_request *q, struct api_reply *r)
{
	(void)q;
	memory(r, "MemFree");
}

void call_os_memory_balloon(struct api_request *q, struct api_reply *r)
{
	(void)q;
	api_int(r, 0); /* there is no balloon device */
}

/* ---- the end ---- */

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(0);
}

static void restart(void)
{
	sync();
	reboot(RB_AUTOBOOT);
	_exit(0);
}

/* Asks all programs to end and gives them some seconds. */
static void shut_down(void)
{
	signal(SIGTERM, SIG_IGN);
	for (int i = 0; i < SHUTDOWN_SECONDS * 10 && !kill(-1, i ? 0 : SIGTERM); i++)
		usleep(100000);
	power_off();
}

static void ending(struct api_reply *r, void (*how)(void))
{
	struct utsname u;

	uname(&u);
	if (!on_carrara(&u)) { /* somebody's workstation */
		api_fail(r, 501, "this is no machine of Carrara");
		return;
	}
	r->after = how;
	text_puts(&r->body, "\"OK\"");
}

void call_os_poweroff(struct api_request *q, struct api_reply *r)
{
	(void)q;
	ending(r, power_off);
}

void call_os_shutdown(struct api_request *q, struct api_reply *r)
{
	(void)q;
	ending(r, shut_down);
}

void call_os_reboot(struct api_request *q, struct api_reply *r)
{
	(void)q;
	ending(r, restart);
}

static void stop_service(void)
{
	if (service_stop)
		service_stop();
}

void call_stop(struct api_request *q, struct api_reply *r)
{
	(void)q;
	r->after = stop_service;
	text_puts(&r->body, "\"OK\"");
}
