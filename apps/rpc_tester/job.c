/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser of jobs. */
#include "job.h"

#include <seastar/app.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE 512

static const struct {
	const char *name;
	enum verb verb;
} verbs[] = {{"echo", VERB_ECHO}, {"write", VERB_WRITE}, {"read", VERB_READ},
    {"oneway", VERB_ONE_WAY}, {"stream", VERB_STREAM}, {"stream_echo", VERB_STREAM_ECHO}};

const char *verb_name(enum verb v)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].verb == v)
			return verbs[i].name;
	return "?";
}

static bool parse_verb(const char *v, enum verb *out)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, v) == 0) {
			*out = verbs[i].verb;
			return true;
		}
	}
	return false;
}

static bool parse_count(const char *v, uint32_t lo, uint32_t hi, uint32_t *out)
{
	uint64_t n;

	if (ss_parse_size(v, &n) || n < lo || n > hi)
		return false;
	*out = (uint32_t)n;
	return true;
}

/* "10us", "5ms", "2s". */
static bool parse_time(const char *v, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)*v))
		return false;
	n = strtoul(v, &end, 10);
	for (size_t i = 0; i < 4; i++) {
		if (strcmp(end, units[i].name) == 0 && n <= 1000000000) {
			*ns = n * units[i].ns;
			return true;
		}
	}
	return false;
}

static bool parse_shares(const char *v, float *out)
{
	uint32_t n;

	if (!parse_count(v, 1, 100000, &n))
		return false;
	*out = (float)n;
	return true;
}

static bool parse_name(const char *v, char *out)
{
	size_t n = strlen(v);

	if (!n || n >= JOB_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)v[i]) && v[i] != '_' && v[i] != '-')
			return false;
	memcpy(out, v, n + 1);
	return true;
}

static bool set(struct job *j, const char *key, const char *v)
{
	if (strcmp(key, "name") == 0)
		return parse_name(v, j->name);
	if (strcmp(key, "verb") == 0)
		return parse_verb(v, &j->verb);
	if (strcmp(key, "parallelism") == 0)
		return parse_count(v, 1, 10000, &j->parallelism);
	if (strcmp(key, "payload") == 0)
		return parse_count(v, 0, 8u << 20, &j->payload);
	if (strcmp(key, "timeout") == 0)
		return parse_time(v, &j->timeout_ns);
	if (strcmp(key, "pause") == 0)
		return parse_time(v, &j->pause_ns);
	if (strcmp(key, "shares") == 0)
		return parse_shares(v, &j->shares);
	return false;
}

int job_parse(const char *text, struct job *out, char *error, size_t n)
{
	char line[LINE], *save = NULL;
	struct job j = {.verb = VERB_ECHO, .parallelism = 1, .payload = 64};

	if (strlen(text) >= sizeof(line)) {
		snprintf(error, n, "job is too long");
		return -1;
	}
	strcpy(line, text);
	for (char *w = strtok_r(line, " \t\r", &save); w; w = strtok_r(NULL, " \t\r", &save)) {
		char *v = strchr(w, '=');

		if (v)
			*v++ = '\0';
		if (!v || !set(&j, w, v)) {
			snprintf(
			    error, n, "job: bad setting \"%s%s%s\"", w, v ? "=" : "", v ? v : "");
			return -1;
		}
	}
	if (!j.name[0])
		strcpy(j.name, verb_name(j.verb));
	if (j.payload > 100000 && (j.verb == VERB_STREAM || j.verb == VERB_STREAM_ECHO)) {
		snprintf(
		    error, n, "job %s: messages of a stream have at most 100000 bytes", j.name);
		return -1;
	}
	*out = j;
	return 0;
}

int jobs_parse_file(
    const char *text, size_t len, struct job *jobs, unsigned max, char *error, size_t n)
{
	unsigned count = 0, number = 0;

	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t k = end ? (size_t)(end - text) : len;
		char line[LINE], why[200], *comment;

		number++;
		if (k >= sizeof(line)) {
			snprintf(error, n, "line %u is too long", number);
			return -1;
		}
		memcpy(line, text, k);
		line[k] = '\0';
		comment = strchr(line, '#');
		if (comment)
			*comment = '\0';
		if (line[strspn(line, " \t\r")]) {
			if (count == max) {
				snprintf(error, n, "more than %u jobs", max);
				return -1;
			}
			if (job_parse(line, &jobs[count++], why, sizeof(why))) {
				snprintf(error, n, "line %u: %s", number, why);
				return -1;
			}
		}
		k += end != NULL;
		text += k;
		len -= k;
	}
	return (int)count;
}
