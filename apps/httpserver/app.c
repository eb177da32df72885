/* SPDX-License-Identifier: BSD-3-Clause */
/* /app: programs are started, watched, fed and ended. */
#include "calls.h"
#include "jobs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 256
#define OUTPUT_PIECE (64u << 10)

/* Cuts a command into words in place: blanks separate, '…' and "…" and backslash quote. Words, or
 * -1. */
static int split(char *s, char **words)
{
	int n = 0;
	char *to = s;

	for (;;) {
		while (*s == ' ' || *s == '\t' || *s == '\n')
			s++;
		if (!*s)
			break;
		if (n == MAX_WORDS)
			return -1;
		words[n++] = to;
		char quote = 0;
		for (; *s && (quote || (*s != ' ' && *s != '\t' && *s != '\n')); s++) {
			if (quote ? *s == quote : *s == '\'' || *s == '"')
				quote = quote ? 0 : *s;
			else if (*s == '\\' && quote != '\'' && s[1])
				*to++ = *++s;
			else
				*to++ = *s;
		}
		if (quote)
			return -1;
		bool more = *s != 0;
		*to++ = 0;
		s += more;
	}
	words[n] = NULL;
	return n;
}

void call_app_start(struct api_request *q, struct api_reply *r)
{
	char *words[MAX_WORDS + 1], *command = strdup(api_arg(q, "command"));
	int n = command ? split(command, words) : -1;

	if (n <= 0) {
		api_fail(r, command ? 400 : 507,
		    "the command is empty, has an open quote or more than %d words", MAX_WORDS);
	} else {
		int pid = jobs_start(words, api_arg(q, "cwd"), api_arg_flag(q, "input", false));
		if (pid == -EBUSY)
			api_fail(r, 429, "%d programs are running", JOBS_MAX);
		else if (pid < 0)
			api_fail_errno(r, pid, words[0]);
		else
			api_int(r, pid);
	}
	free(command);
}

/* The job an argument names. */
static bool job_of(struct api_request *q, struct api_reply *r, struct job_status *s)
{
	int64_t tid = *q->rest ? strtoll(q->rest, NULL, 10) : api_arg_int(q, "tid", 0);

	if (tid > 0 && tid < INT32_MAX && jobs_status((int)tid, s))
		return true;
	api_fail(r, 404, "no program %lld was started here", (long long)tid);
	return false;
}

void call_app_finished(struct api_request *q, struct api_reply *r)
{
	struct job_status s;

	if (job_of(q, r, &s))
		text_puts(&r->body, s.finished ? "true" : "false");
}

static void put_job(void *arg, const struct job_status *s)
{
	struct text *b = arg;

	json_next(b);
	text_puts(b, "{");
	json_member_int(b, "tid", s->pid);
	json_member_string(b, "command", s->command);
	json_member_bool(b, "finished", s->finished);
	json_member_int(b, "exit_code", s->exit_code);
	json_member_int(b, "signal", s->signal);
	json_member_int(b, "output", (int64_t)s->output);
	json_member_int(b, "start_ms", s->start_ms);
	json_member_int(b, "end_ms", s->end_ms);
	text_puts(b, "}");
}

void call_app_list(struct api_request *q, struct api_reply *r)
{
	(void)q;
	text_puts(&r->body, "[");
	jobs_walk(put_job, &r->body);
	text_puts(&r->body, "]");
}

void call_app_status(struct api_request *q, struct api_reply *r)
{
	struct job_status s;

	if (job_of(q, r, &s))
		put_job(&r->body, &s);
}

/* {offset, text, finished}: output from `offset` on; the next call goes on at the offset it gets.
 */
void call_app_output(struct api_request *q, struct api_reply *r)
{
	struct job_status s;
	struct text out = {0};
	int64_t asked = api_arg_int(q, "offset", 0);
	uint64_t from = asked > 0 ? (uint64_t)asked : 0;

	if (!job_of(q, r, &s))
		return;
	jobs_output(s.pid, &from, OUTPUT_PIECE, &out);
	if (api_arg_flag(q, "raw", false)) {
		r->type = TYPE_BINARY;
		text_add(&r->body, out.p ? out.p : "", out.n);
	} else {
		text_puts(&r->body, "{");
		json_member_int(&r->body, "offset", (int64_t)(from + out.n));
		json_member(&r->body, "text");
		json_string_n(&r->body, out.p ? out.p : "", out.n);
		json_member_bool(&r->body, "finished", s.finished && from + out.n >= s.output);
		json_member_int(&r->body, "exit_code", s.exit_code);
		json_member_int(&r->body, "signal", s.signal);
		text_puts(&r->body, "}");
	}
	text_free(&out);
}

void call_app_input(struct api_request *q, struct api_reply *r)
{
	struct job_status s;

	if (!job_of(q, r, &s))
		return;
	long n = jobs_input(s.pid, q->body, q->body_len, api_arg_flag(q, "end", false));
	if (n < 0)
		api_fail(r, 409, "program %d does not read: %s", s.pid, strerror((int)-n));
	else
		api_int(r, n);
}

void call_app_kill(struct api_request *q, struct api_reply *r)
{
	struct job_status s;
	int64_t signo = api_arg_int(q, "signal", SIGTERM);

	if (!job_of(q, r, &s))
		return;
	if (signo < 1 || signo >= NSIG)
		api_fail(r, 400, "%lld is no signal", (long long)signo);
	else if (s.finished || kill(s.pid, (int)signo))
		api_fail(r, 409, "program %d has ended", s.pid);
	else
		text_puts(&r->body, "\"OK\"");
}
