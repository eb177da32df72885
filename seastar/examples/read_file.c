/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 15 Threads of Seastar: reading a file in a fiber. */
#include <seastar/seastar.h>
#include <stdio.h>

static const struct ss_option options[] = {
    {"file", 0, SS_OPT_STRING, NULL, "file to read", .positional = true},
    {NULL},
};

SS_FIBER(read_file, const char *name;)
{
	ss_auto_file file = SS_TRY_PTR(ss_file_open(self->name, O_RDONLY, 0));
	char *buf = ss_file_buffer(file, 4096);
	ss_result r;

	if (!buf)
		return -ENOMEM;
	r = ss_await(ss_file_read(file, 0, buf, 4096));
	if (!r.err)
		printf("%.*s", (int)r.i, buf);
	ss_free(buf);
	return r.err;
}

static ss_future run(const ss_config *config, void *arg)
{
	const char *name = ss_config_string(config, "file");

	(void)arg;
	return name ? ss_async(read_file, name) : ss_fail_msg(-EINVAL, "no file given");
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {.name = "read_file", .options = options};

	return ss_app_run(argc, argv, &app, run, NULL);
}
