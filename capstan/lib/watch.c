/* SPDX-License-Identifier: BSD-3-Clause */
/* Adding the monitoring service to a machine. */
#include "watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmdline.h"

#define PORTS_TRIED 1000

char *cap_watch_program(struct cap *c)
{
	static const char *const places[] = {
	    "../apps/httpserver/httpserver", "../libexec/carrara/httpserver", "httpserver"};
	const char *given = getenv("CARRARA_HTTPSERVER");
	char self[4096], *found = NULL;
	if (given && *given) {
		if (!access(given, X_OK))
			return path_absolute(given);
		cap_fail(c, ENOENT, "$CARRARA_HTTPSERVER names %s, which is no program", given);
		return NULL;
	}
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = 0;
	char *dir = path_dir(self);
	for (size_t i = 0; i < CAP_ARRAY_SIZE(places) && !found; i++) {
		char *place = path_join(dir, places[i]), *clean = path_clean(place);
		if (!access(clean, X_OK))
			found = xstrdup(clean);
		free(place);
		free(clean);
	}
	free(dir);
	if (!found)
		cap_fail(c, ENOENT,
		    "the monitoring service httpserver is not beside capstan; name it with "
		    "$CARRARA_HTTPSERVER");
	return found;
}

unsigned cap_watch_free_port(struct cap *c)
{
	for (unsigned port = CAP_WATCH_PORT; port < CAP_WATCH_PORT + PORTS_TRIED; port++) {
		struct sockaddr_in a = {.sin_family = AF_INET,
		    .sin_port = htons(port),
		    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		bool free_port = fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof(a));
		if (fd >= 0)
			close(fd);
		if (free_port)
			return port;
	}
	cap_fail(
	    c, EADDRINUSE, "no free port from %d on for the monitoring service", CAP_WATCH_PORT);
	return 0;
}

int cap_watch_prefix(struct cap *c, const char *service, const struct buf *line, struct buf *out)
{
	struct strv words = {0};
	int result = cap_cmdline_split(c, "boot command", line->data, &words);
	size_t program = cap_cmdline_program(&words);
	for (size_t i = 0; !result && i < words.count; i++) {
		if (i == program) {
			cap_cmdline_add(out, service);
			buf_puts(out, " &");
		}
		if (!strcmp(words.items[i], "&"))
			buf_puts(out, " &");
		else
			cap_cmdline_add(out, words.items[i]);
	}
	strv_free(&words);
	return result;
}
