/* SPDX-License-Identifier: BSD-3-Clause */
/* The monitoring service's parsers and its calls over files of a made-up /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api.h"
#include "json.h"
#include "multipart.h"
#include "source.h"

static char root[] = "/tmp/httpserver-test-XXXXXX", files[64];

static void put(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof path, "%s%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0700);
		*p = '/';
	}
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char *contents(const char *name)
{
	return source_read(name, NULL);
}

/* A call's status; the body is kept until the next one. */
static struct text body;

static int call(const char *method, const char *path, ...)
{
	struct api_arg args[8];
	struct api_request q = {.method = method, .path = path, .args = args};
	struct api_reply r;
	va_list ap;
	const char *name;

	va_start(ap, path);
	while ((name = va_arg(ap, const char *)))
		args[q.nargs++] = (struct api_arg){name, va_arg(ap, const char *)};
	va_end(ap);
	api_reply_init(&r);
	api_handle(&q, &r);
	text_free(&body);
	body = r.body;
	if (r.fd >= 0)
		close(r.fd);
	return r.status;
}

#define BODY(text) assert_string_equal(body.p ? body.p : "", text)

static void test_json(void **state)
{
	const char *error,
	    *good = " {\"a\": [1, -2.5e3, \"x\\n\\u00e9\\ud83d\\ude00\", true, null], \"b\": {}} ";
	static const char *const bad[] = {"", "[", "[1,]", "{\"a\"}", "{a:1}", "\"\\u12\"",
	    "\"\\ud800\"", "\"\n\"", "[1] 2", "+1", "01x", "nul", "\"a"};

	(void)state;
	struct json *j = json_parse(good, strlen(good), &error);
	assert_non_null(j);
	const struct json *a = json_get(j, "a");
	assert_int_equal(a->type, JSON_ARRAY);
	assert_string_equal(a->first->next->text, "-2.5e3");
	assert_string_equal(a->first->next->next->text, "x\n\xc3\xa9\xf0\x9f\x98\x80");
	assert_string_equal(json_text(a->first->next->next->next), "true");
	assert_null(json_get(j, "c"));
	json_free(j);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_null(json_parse(bad[i], strlen(bad[i]), &error));
		assert_non_null(error);
	}
	char deep[200];
	memset(deep, '[', sizeof deep);
	assert_null(json_parse(deep, sizeof deep, &error));
}

static int collect(void *arg, const void *p, size_t n)
{
	text_add(arg, p, n);
	return 0;
}

/* However the bytes arrive, the file is the same. */
static void test_multipart(void **state)
{
	static const char type[] = "multipart/form-data; boundary=\"a b\"",
			  message[] =
			      "preamble\r\n--a b\r\nContent-Disposition: form-data; "
			      "name=\"x\"\r\n\r\nvalue\r\n--a b\r\n"
			      "content-disposition: form-data; name=\"f\"; "
			      "filename=\"dir/name\"\r\n\r\nline\r\n--a \r\n--a b--\r\nafter";

	(void)state;
	for (size_t part = 1; part < sizeof message; part++) {
		struct text got = {0};
		struct multipart *m = calloc(1, sizeof *m);
		assert_int_equal(multipart_init(m, type, strlen(type)), 0);
		m->data = collect;
		m->arg = &got;
		for (size_t at = 0; at < sizeof message - 1; at += part) {
			size_t n = sizeof message - 1 - at < part ? sizeof message - 1 - at : part;
			assert_int_equal(multipart_feed(m, message + at, n), 0);
		}
		assert_true(m->done);
		assert_string_equal(got.p, "line\r\n--a ");
		assert_string_equal(m->name, "dir/name");
		text_free(&got);
		free(m);
	}
	struct multipart m;
	assert_int_equal(multipart_init(&m, "text/plain", 10), -22);
	assert_int_equal(multipart_init(&m, "multipart/form-data", 19), -22);
}

static void test_threads(void **state)
{
	(void)state;
	put("/sys/kernel/threads",
	    "-2 0 1 5000000 0 5000000 7 0 1 0 16384 S idle/1\n"
	    "12 10 0 2500000000 2000000000 500000000 30 2 4 -5 16384 R a name\nbroken\n");
	assert_int_equal(call("GET", "/os/threads", NULL), 200);
	assert_non_null(strstr(body.p,
	    "{\"id\":12,\"pid\":10,\"cpu\":0,\"cpu_ms\":2500,\"user_ms\":2000,\"switches\":30,"
	    "\"migrations\":2,\"preemptions\":4,\"priority\":-5,\"stack_size\":16384,"
	    "\"status\":\"running\",\"name\":\"a name\"}],\"time_ms\":"));
	assert_non_null(strstr(body.p, "\"status\":\"waiting\",\"name\":\"idle/1\""));
}

static void test_trace(void **state)
{
	(void)state;
	put("/sys/kernel/tracing/events",
	    "0 sched_switch count,record,backtrace 12 to=%d from=%d\n"
	    "1 vfs_open - 0 path=%s\n2 vfs_open_ret count 3 result=%#lx\n");
	put("/sys/kernel/tracing/set_event", "");
	put("/sys/kernel/tracing/counts", "");
	assert_int_equal(call("GET", "/trace/event/sched_switch", NULL), 200);
	BODY("{\"name\":\"sched_switch\",\"id\":\"sched_switch\",\"enabled\":true,\"backtrace\":"
	     "true,\"counted\":true,"
	     "\"printed\":false}");
	assert_int_equal(call("GET", "/trace/count", NULL), 200);
	assert_non_null(strstr(body.p,
	    "[{\"name\":\"sched_switch\",\"count\":12},{\"name\":\"vfs_open_ret\",\"count\":3}]"));
	assert_int_equal(
	    call("POST", "/trace/status", "match", "vfs_*", "enabled", "yes", NULL), 200);
	char *written = contents("/sys/kernel/tracing/set_event");
	assert_string_equal(written, "vfs_* -backtrace +record");
	free(written);
	assert_int_equal(call("POST", "/trace/event/vfs_open", "backtrace", "1", NULL), 200);
	written = contents("/sys/kernel/tracing/set_event");
	assert_string_equal(written, "vfs_open +backtrace");
	free(written);
	assert_int_equal(call("POST", "/trace/status", "match", "a b", NULL), 400);
	assert_int_equal(
	    call("POST", "/trace/status", "enabled", "maybe", "match", "*", NULL), 400);
	assert_int_equal(call("POST", "/trace/event/vfs_*", NULL), 404);
	assert_int_equal(call("GET", "/trace/event/nothing", NULL), 404);
	assert_int_equal(call("GET", "/trace/status", "match", "x*", NULL), 404);
}

static void test_memory(void **state)
{
	(void)state;
	put("/proc/meminfo", "MemTotal:       1000 kB\nMemFree:         250 kB\n");
	assert_int_equal(call("GET", "/os/memory/total", NULL), 200);
	BODY("1024000");
	assert_int_equal(call("GET", "/os/memory/free/", NULL), 200);
	BODY("256000");
	put("/proc/meminfo", "nothing\n");
	assert_int_equal(call("GET", "/os/memory/total", NULL), 500);
}

static void test_console(void **state)
{
	(void)state;
	put("/sys/kernel/console", "100\nabc\ndef");
	assert_int_equal(call("GET", "/os/console", NULL), 200);
	BODY("{\"offset\":107,\"text\":\"abc\\ndef\"}");
	assert_int_equal(call("GET", "/os/console", "offset", "104", NULL), 200);
	BODY("{\"offset\":107,\"text\":\"def\"}");
	assert_int_equal(call("GET", "/os/console", "offset", "5", NULL), 200);
	BODY("{\"offset\":107,\"text\":\"abc\\ndef\"}");
	assert_int_equal(call("GET", "/os/console", "offset", "x", NULL), 400);
}

static void test_routing(void **state)
{
	(void)state;
	assert_int_equal(call("GET", "/os/", NULL), 404);
	assert_int_equal(call("DELETE", "/trace/status", NULL), 405);
	BODY("{\"message\":\"DELETE is not a method of /trace/status; there is GET, "
	     "POST\",\"code\":405}");
	assert_int_equal(call("GET", "/trace/event/a/b", NULL), 404);
	assert_int_equal(call("GET", "/env/HOME/", NULL), 404);
	assert_int_equal(call("PUT", "/app/", NULL), 400);
	BODY("{\"message\":\"parameter command is missing\",\"code\":400}");
	assert_int_equal(call("GET", "/file/x", "op", "FORMAT", NULL), 400);
}

static void test_files(void **state)
{
	(void)state;
	put("/files/a/b", "text");
	assert_int_equal(call("GET", "/file/a/b", NULL), 200);
	assert_int_equal(call("GET", "/file/a/../a/b", NULL), 400);
	assert_int_equal(call("GET", "/file//a//./b", NULL), 200);
	assert_int_equal(call("GET", "/file", "op", "LISTSTATUS", NULL), 200);
	assert_non_null(strstr(body.p, "\"pathSuffix\":\"a\""));
	assert_int_equal(call("PUT", "/file/c/d/e", "content", "x", NULL), 404);
	assert_int_equal(
	    call("PUT", "/file/c/d/e", "content", "x", "createParent", "true", NULL), 200);
	char *text = contents("/files/c/d/e");
	assert_string_equal(text, "x");
	free(text);
	assert_int_equal(
	    call("PUT", "/file/c/d/e", "content", "y", "overwrite", "false", NULL), 409);
	assert_int_equal(
	    call("PUT", "/file/c/d", "op", "setpermission", "permission", "9", NULL), 400);
	assert_int_equal(call("DELETE", "/file/c", "recursive", "true", NULL), 200);
	assert_int_equal(
	    call("DELETE", "/file/", "recursive", "true", NULL), 409); /* not the root itself */
	assert_int_equal(call("GET", "/file/c", "op", "GETFILESTATUS", NULL), 404);
	api_config.read_only = true;
	assert_int_equal(call("PUT", "/file/x", "content", "x", NULL), 403);
	api_config.read_only = false;
}

static void test_openapi(void **state)
{
	const char *error;

	(void)state;
	assert_int_equal(call("GET", "/openapi.json", NULL), 200);
	struct json *j = json_parse(body.p, body.n, &error);
	assert_non_null(j);
	const struct json *paths = json_get(j, "paths");
	for (unsigned i = 0; i < api_ncalls; i++) {
		char path[80], method[16];
		snprintf(path, sizeof path, "%s", api_calls[i].path);
		char *dots = strstr(path, "...");
		if (dots)
			memmove(dots, dots + 3, strlen(dots + 3) + 1);
		snprintf(method, sizeof method, "%s", api_calls[i].method);
		for (char *p = method; *p; p++)
			*p |= 32;
		assert_non_null(json_get(json_get(paths, path), method));
	}
	json_free(j);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	source_root = root;
	snprintf(files, sizeof files, "%s/files", root);
	api_config.file_root = files;
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	text_free(&body);
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_multipart),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_trace),
	    cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_console),
	    cmocka_unit_test(test_routing),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_openapi),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
