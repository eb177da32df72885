/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzer: the command line, sizes, addresses and the properties file from arbitrary bytes. */
#include <seastar/app.h>
#include <seastar/file.h>
#include <seastar/net.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct ss_option options[] = {
    {"flag", 'f', SS_OPT_FLAG, NULL, ""},
    {"size", 's', SS_OPT_INT, "100", "", -5, 1000},
    {"bytes", 'b', SS_OPT_SIZE, NULL, ""},
    {"rate", 'r', SS_OPT_DOUBLE, "0.5", ""},
    {"name", 0, SS_OPT_STRING, NULL, ""},
    {"files", 0, SS_OPT_LIST, NULL, "", .positional = true},
    {NULL},
};

static void command_line(char *text, size_t n)
{
	static const struct ss_app app = {.name = "fuzz", .options = options};
	char *argv[18] = {text}, error[64];
	ss_config *c;
	int argc = 1;

	for (char *p = text; argc < 17 && p < text + n; p += strlen(p) + 1)
		argv[argc++] = p;
	if (ss_config_parse(argc, argv, &app, &c, error, sizeof(error))) {
		if (c || strlen(error) >= sizeof(error))
			abort();
		return;
	}
	if (ss_config_int(c, "size") < -5 || ss_config_int(c, "size") > 1000)
		abort();
	for (size_t i = 0; i < ss_config_count(c, "files"); i++)
		if (!ss_config_item(c, "files", i))
			abort();
	ss_config_free(c);
}

static void address(const char *text)
{
	ss_addr a, b;
	char out[160];

	if (ss_addr_parse(&a, text, 1))
		return;
	/* What was understood can be shown and understood again. */
	ss_addr_format(&a, out, sizeof(out));
	if (a.sa.sa_family != AF_UNIX && (ss_addr_parse(&b, out, 0) || a.len != b.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1), error[64];
	struct ss_io_properties p;
	uint64_t size;

	if (!text)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	ss_parse_size(text, &size);
	address(text);
	ss_io_properties_parse(text, n, &p, error, sizeof(error));
	command_line(text, n);
	free(text);
	return 0;
}
