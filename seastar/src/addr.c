/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses: making, parsing and showing them. */
#include <seastar/net.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ss_addr ss_addr_any(uint16_t port)
{
	ss_addr a = {.len = sizeof(struct sockaddr_in)};

	a.in.sin_family = AF_INET;
	a.in.sin_port = htons(port);
	return a;
}

ss_addr ss_addr_loopback(uint16_t port)
{
	ss_addr a = ss_addr_any(port);

	a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

int ss_addr_unix(ss_addr *a, const char *path)
{
	size_t n = strlen(path);

	memset(a, 0, sizeof(*a));
	if (!n || n >= sizeof(a->un.sun_path))
		return -ENAMETOOLONG;
	a->un.sun_family = AF_UNIX;
	memcpy(a->un.sun_path, path, n + 1);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 0;
}

static int parse_port(const char *text, uint16_t *out)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtoul(text, &end, 10);
	if (*end || v > 65535)
		return -EINVAL;
	*out = (uint16_t)v;
	return 0;
}

static int parse_ip(ss_addr *a, const char *host, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, host, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(port);
		a->len = sizeof(a->in);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons(port);
		a->len = sizeof(a->in6);
		return 0;
	}
	return -EINVAL;
}

int ss_addr_parse(ss_addr *a, const char *text, uint16_t port)
{
	char host[64];
	const char *end, *colon;
	size_t n;

	if (strncmp(text, "unix:", 5) == 0)
		return ss_addr_unix(a, text + 5) ? -EINVAL : 0;
	colon = strchr(text, ':');
	if (*text == '[') {
		text++;
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
	} else {
		end = text + strlen(text);
		colon = NULL;
	}
	n = (size_t)(end - text);
	if (n >= sizeof(host) || (colon && parse_port(colon + 1, &port)))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	return parse_ip(a, host, port);
}

char *ss_addr_format(const ss_addr *a, char *out, size_t n)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	switch (a->sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof(ip));
		snprintf(out, n, "%s:%u", ip, ntohs(a->in.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof(ip));
		snprintf(out, n, "[%s]:%u", ip, ntohs(a->in6.sin6_port));
		break;
	case AF_UNIX:
		snprintf(out, n, "unix:%s",
		    a->len > offsetof(struct sockaddr_un, sun_path) ? a->un.sun_path : "");
		break;
	default:
		snprintf(out, n, "?");
	}
	return out;
}

uint16_t ss_addr_port(const ss_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohs(a->in.sin_port);
	return a->sa.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}
