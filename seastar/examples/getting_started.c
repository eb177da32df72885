/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 2 Getting started. */
#include <seastar/seastar.h>
#include <stdio.h>

static ss_future hello(const ss_config *config, void *arg)
{
	(void)config;
	(void)arg;
	printf("Hello world\n");
	return ss_ok(0);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {.name = "getting-started"};

	return ss_app_run(argc, argv, &app, hello, NULL);
}
