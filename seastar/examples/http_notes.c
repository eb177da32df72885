/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * docs/seastar/http.md: a server of notes. GET /notes, GET, PUT and DELETE /notes/{name}, GET
 * /clock (a stream), /echo (WebSocket), /metrics. Changes need the token of --token.
 */
#include <seastar/http_server.h>
#include <seastar/metrics.h>
#include <seastar/seastar.h>
#include <seastar/websocket.h>

#include <stdio.h>
#include <string.h>

#define NOTES 100
#define NOTE_MAX 4096

static const struct ss_option options[] = {
    {"port", 'p', SS_OPT_INT, "8080", "TCP port on the loopback address", 1, 65535},
    {"token", 0, SS_OPT_STRING, "secret", "needed for changes"},
    {NULL},
};

struct note {
	char name[64];
	char *text;
};

/* All notes are shard 0's: the program runs with -c1. */
static struct note notes[NOTES];
static uint64_t changes;

static struct note *find(const char *name)
{
	for (int i = 0; i < NOTES; i++)
		if (notes[i].text && strcmp(notes[i].name, name) == 0)
			return &notes[i];
	return NULL;
}

static struct note *find_or_add(const char *name)
{
	struct note *n = find(name);

	for (int i = 0; !n && i < NOTES; i++)
		if (!notes[i].text)
			n = &notes[i];
	return n;
}

/* Middleware: called before every handler; 1 means it has replied. */
SS_CONT(replied)
{
	return ss_ok(1);
}

static ss_future authorize(ss_http_req *q, void *arg)
{
	char want[128];

	snprintf(want, sizeof(want), "Bearer %s", (const char *)arg);
	if (ss_str_is(q->head.method, "GET") || ss_str_is(q->head.method, "HEAD") ||
	    ss_str_is(ss_http_field_of(q, "Authorization"), want))
		return ss_ok(0);
	return ss_then(ss_http_reply_error(q, 401, "changes need the token"), replied);
}

/* Handlers that answer at once. */
static ss_future get_note(ss_http_req *q, void *arg)
{
	struct note *n = find(ss_http_param(q, "name"));

	(void)arg;
	if (!n)
		return ss_http_reply_error(q, 404, "no note '%s'", ss_http_param(q, "name"));
	return ss_http_reply_text(q, 200, n->text);
}

static ss_future delete_note(ss_http_req *q, void *arg)
{
	struct note *n = find(ss_http_param(q, "name"));

	(void)arg;
	if (!n)
		return ss_fail_msg(-ENOENT, "no such note"); /* becomes a 404 */
	ss_free(n->text);
	n->text = NULL;
	changes++;
	return ss_http_reply(q, 204, NULL, NULL, 0);
}

/* A handler that waits (for the body) is simplest as a fiber. */
SS_FIBER(put_fiber, ss_http_req *q;)
{
	const char *name = ss_http_param(self->q, "name");
	struct note *n = find_or_add(name);
	ss_str body;
	char *copy;
	bool made;

	SS_TRY(ss_http_body_read(self->q, NOTE_MAX, &body));
	if (!n || strlen(name) >= sizeof(n->name))
		return SS_TRY(ss_http_reply_error(self->q, 507, "no room for the note"));
	copy = ss_strdup(body.p);
	if (!copy)
		return -ENOMEM;
	made = !n->text;
	ss_free(n->text);
	n->text = copy;
	strcpy(n->name, name);
	changes++;
	return SS_TRY(ss_http_reply_text(self->q, made ? 201 : 200, "stored\n"));
}

static ss_future put_note(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(put_fiber, q);
}

/* A reply written piece by piece. */
SS_FIBER(list_fiber, ss_http_req *q;)
{
	SS_TRY(ss_http_stream(self->q, "text/plain", -1));
	for (int i = 0; i < NOTES; i++)
		if (notes[i].text)
			SS_TRY(ss_http_printf(
			    self->q, "%s: %zu bytes\n", notes[i].name, strlen(notes[i].text)));
	return 0;
}

static ss_future list_notes(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(list_fiber, q);
}

SS_FIBER(clock_fiber, ss_http_req *q; int64_t ticks;)
{
	SS_TRY(ss_http_stream(self->q, "text/event-stream", -1));
	for (int64_t i = 1; i <= self->ticks; i++) {
		SS_TRY(ss_http_printf(self->q, "data: tick %lld\n\n", (long long)i));
		SS_TRY(ss_sleep(50 * SS_MSEC));
	}
	return 0;
}

static ss_future clock_stream(ss_http_req *q, void *arg)
{
	int64_t ticks = 3;

	(void)arg;
	if (ss_http_arg_int(q, "ticks", 1, 100, &ticks) == -EINVAL)
		return ss_http_reply_error(q, 400, "ticks must be a number from 1 to 100");
	return ss_async(clock_fiber, q, ticks);
}

/* WebSocket */
SS_FIBER(echo_fiber, ss_http_req *q;)
{
	ss_auto_ws ws = SS_TRY_PTR(ss_ws_accept(self->q, NULL));
	ss_ws_message m;

	while (SS_TRY(ss_ws_receive(ws, &m)))
		SS_TRY(ss_ws_send(ws, m.text, m.data.p, m.data.n));
	return SS_TRY(ss_ws_close(ws, SS_WS_NORMAL, NULL));
}

static ss_future echo(ss_http_req *q, void *arg)
{
	(void)arg;
	return ss_async(echo_fiber, q);
}

static int set_up(ss_http_server *s, const char *token)
{
	int err = ss_http_use(s, authorize, (void *)(uintptr_t)token);

	err = err ? err : ss_http_route(s, "GET", "/notes", list_notes, NULL);
	err = err ? err : ss_http_route(s, "GET", "/notes/{name}", get_note, NULL);
	err = err ? err : ss_http_route(s, "PUT", "/notes/{name}", put_note, NULL);
	err = err ? err : ss_http_route(s, "DELETE", "/notes/{name}", delete_note, NULL);
	err = err ? err : ss_http_route(s, "GET", "/clock", clock_stream, NULL);
	err = err ? err : ss_http_route(s, "GET", "/echo", echo, NULL);
	return err ? err : ss_http_route(s, "GET", "/metrics", ss_metrics_handler, NULL);
}

SS_FIBER(serve, const ss_config *config;)
{
	ss_addr at = ss_addr_loopback((uint16_t)ss_config_int(self->config, "port"));
	ss_http_server *s = ss_http_server_new(NULL);
	ss_metrics metrics = {0};
	int64_t err = s ? set_up(s, ss_config_string(self->config, "token")) : -ENOMEM;
	ss_result r;

	if (!err)
		err = ss_metrics_counter(
		    &metrics, "notes_changes", "Notes stored or deleted", NULL, &changes);
	if (err)
		return err;
	r = ss_await(ss_http_server_listen(s, &at, NULL));
	if (!r.err) {
		printf("serving on port %lld\n", (long long)r.i);
		fflush(stdout);
		SS_TRY(ss_app_wait_stop());
	}
	ss_metrics_clear(&metrics);
	SS_TRY(ss_http_server_stop(s));
	for (int i = 0; i < NOTES; i++)
		ss_free(notes[i].text);
	ss_fiber_note_error(r);
	return r.err;
}

static ss_future run(const ss_config *config, void *arg)
{
	(void)arg;
	return ss_async(serve, config);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {.name = "http_notes", .options = options};

	return ss_app_run(argc, argv, &app, run, NULL);
}
