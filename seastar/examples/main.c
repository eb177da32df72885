/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: the main() the other examples are linked with: runs f() and ends when its future is
 * ready. */
#include <seastar/seastar.h>

ss_future f(void);

static ss_future run(const ss_config *config, void *arg)
{
	(void)config;
	(void)arg;
	return f();
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {.name = "tutorial"};

	return ss_app_run(argc, argv, &app, run, NULL);
}
