/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 12.2 User-defined command-line options. */
#include <seastar/seastar.h>
#include <stdio.h>

static const struct ss_option options[] = {
    {"flag", 0, SS_OPT_FLAG, NULL, "some optional flag"},
    {"size", 's', SS_OPT_INT, "100", "size"},
    {"filename", 0, SS_OPT_LIST, NULL, "sstable files to verify", .positional = true},
    {NULL},
};

static ss_future run(const ss_config *args, void *arg)
{
	(void)arg;
	if (ss_config_flag(args, "flag"))
		printf("Flag is on\n");
	printf("Size is %d\n", (int)ss_config_int(args, "size"));
	for (size_t i = 0; i < ss_config_count(args, "filename"); i++)
		printf("%s\n", ss_config_item(args, "filename", i));
	return ss_ok(0);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {.name = "options", .options = options};

	return ss_app_run(argc, argv, &app, run, NULL);
}
