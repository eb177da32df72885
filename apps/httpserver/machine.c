/* SPDX-License-Identifier: BSD-3-Clause */
/* /hardware and /fs/df: what the machine is made of. */
#include "machine.h"
#include "calls.h"
#include "source.h"

#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

void call_cpu_flags(struct api_request *q, struct api_reply *r)
{
	char *text = source_read("/proc/cpuinfo", NULL),
	     *line = text ? strstr(text, "\nflags") : NULL;
	char *value = line ? strchr(line, ':') : NULL;

	(void)q;
	if (value) {
		value += strspn(value, ": ");
		value[strcspn(value, "\n")] = 0;
		api_string(r, value);
	} else {
		api_fail(r, 500, "/proc/cpuinfo does not say the processors' flags");
	}
	free(text);
}

void call_cpu_count(struct api_request *q, struct api_reply *r)
{
	(void)q;
	api_int(r, sysconf(_SC_NPROCESSORS_ONLN));
}

void call_firmware(struct api_request *q, struct api_reply *r)
{
	char *text = source_read("/sys/class/dmi/id/bios_vendor", NULL);

	(void)q;
	if (text)
		text[strcspn(text, "\n")] = 0;
	api_string(r, text ? text : "");
	free(text);
}

void call_hypervisor(struct api_request *q, struct api_reply *r)
{
	static const struct {
		const char *signature, *name;
	} known[] = {{"KVMKVMKVM", "KVM"}, {"TCGTCGTCGTCG", "QEMU TCG"}, {"VMwareVMware", "VMware"},
	    {"Microsoft Hv", "Hyper-V"}, {"XenVMMXenVMM", "Xen"}, {"VBoxVBoxVBox", "VirtualBox"}};
	unsigned a, b, c, d;
	char signature[13] = "";

	(void)q;
	if (__get_cpuid(1, &a, &b, &c, &d) && c >> 31) {
		__cpuid(0x40000000, a, b, c, d);
		memcpy(signature, &b, 4);
		memcpy(signature + 4, &c, 4);
		memcpy(signature + 8, &d, 4);
	}
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (!strcmp(signature, known[i].signature)) {
			api_string(r, known[i].name);
			return;
		}
	api_string(r, *signature ? signature : "none");
}

/* \ooo in /proc/mounts stands for a blank and the like. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = 0;
}

int mounts_walk(void (*fn)(void *arg, const struct mount_info *m), void *arg)
{
	char *text = source_read("/proc/mounts", NULL), *rest = text, *line;

	if (!text)
		return -errno;
	while ((line = source_line(&rest))) {
		char *source = source_word(&line), *mount = source_word(&line),
		     *type = source_word(&line);
		struct statvfs s;
		if (!source || !mount || !type)
			continue;
		unescape(source);
		unescape(mount);
		if (statvfs(mount, &s) || !s.f_blocks)
			continue; /* /proc and the like */
		fn(arg, &(struct mount_info){.filesystem = source,
			    .mount = mount,
			    .type = type,
			    .blocks = s.f_blocks,
			    .free_blocks = s.f_bfree,
			    .files = s.f_files,
			    .free_files = s.f_ffree,
			    .block_size = s.f_frsize});
	}
	free(text);
	return 0;
}

struct df {
	struct text *body;
	const char *only;
	bool found;
};

static void put_mount(void *arg, const struct mount_info *m)
{
	struct df *df = arg;
	struct text *b = df->body;

	if (df->only && (strcmp(df->only, m->mount) || df->found))
		return;
	df->found = true;
	json_next(b);
	text_puts(b, "{");
	json_member_string(b, "filesystem", m->filesystem);
	json_member_string(b, "mount", m->mount);
	json_member_string(b, "type", m->type);
	json_member_int(b, "btotal", (int64_t)m->blocks);
	json_member_int(b, "bfree", (int64_t)m->free_blocks);
	json_member_int(b, "ftotal", (int64_t)m->files);
	json_member_int(b, "ffree", (int64_t)m->free_files);
	json_member_int(b, "blocksize", (int64_t)m->block_size);
	text_puts(b, "}");
}

void call_df(struct api_request *q, struct api_reply *r)
{
	struct df df = {.body = &r->body};

	(void)q;
	text_puts(&r->body, "[");
	int err = mounts_walk(put_mount, &df);
	if (err)
		api_fail_errno(r, err, "/proc/mounts");
	else
		text_puts(&r->body, "]");
}

/* The mount point, with or without its slash; "/" as "//" or "%2F". */
void call_df_one(struct api_request *q, struct api_reply *r)
{
	char mount[512];

	snprintf(mount, sizeof mount, "%s%s", *q->rest == '/' ? "" : "/", q->rest);
	struct df df = {.body = &r->body, .only = mount};
	text_puts(&r->body, "[");
	int err = mounts_walk(put_mount, &df);
	if (err)
		api_fail_errno(r, err, "/proc/mounts");
	else if (!df.found)
		api_fail(r, 404, "nothing is mounted at %.100s", mount);
	else
		text_puts(&r->body, "]");
}
