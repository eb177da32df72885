/* SPDX-License-Identifier: BSD-3-Clause */
/* The handler of /metrics. */
#include "server.h"

#include <seastar/metrics.h>

SS_CONT(collected, ss_http_req *q; ss_buf * text; bool json;)
{
	return ss_http_reply_buf(self->q, 200,
	    self->json ? "application/json" : "text/plain; version=0.0.4; charset=utf-8",
	    self->text);
}

ss_future ss_metrics_handler(ss_http_req *q, void *arg)
{
	const char *format = ss_http_query(q, "format");
	struct ss_metrics_export how = {
	    .json = format ? strcmp(format, "json") == 0
			   : ss_http_has_token(ss_http_field_of(q, "Accept"), "application/json"),
	    .shards = ss_http_arg_flag(q, "shards", false),
	    .name = ss_http_query(q, "name"),
	};
	ss_buf *text = ss_http_alloc(q, sizeof(*text));

	(void)arg;
	if (!text)
		return ss_fail(-ENOMEM);
	return ss_then(ss_metrics_collect(&how, text), collected, q, text, how.json);
}
