/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics of two shards, their exports, and the log's rate limit. */
#include <seastar/metrics.h>
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What each shard registers. */
static struct service {
	ss_metrics group;
	uint64_t hits;
	int64_t size;
	ss_histogram latency;
} services[2];

static double twice(void *arg)
{
	return 2.5 * (double)*(uint64_t *)arg;
}

SS_CONT(begin)
{
	struct service *s = &services[ss_shard_id()];
	ss_label label[] = {{"cache", "a \"b\"\\\n"}, {"kind", "x"}, {NULL}};

	*s = (struct service){.hits = 10 * (ss_shard_id() + 1), .size = -5};
	SS_CHECK(ss_histogram_init(&s->latency, 1, 2, 3) == 0);
	for (int i = 1; i <= 9; i++)
		ss_histogram_add(&s->latency, i);
	SS_CHECK(ss_metrics_counter(&s->group, "test_hits", "Hits\nof it", label, &s->hits) == 0);
	SS_CHECK(ss_metrics_gauge(&s->group, "test_size", "Size", NULL, &s->size) == 0);
	SS_CHECK(ss_metrics_histogram(&s->group, "test_latency", "Time", NULL, &s->latency) == 0);
	SS_CHECK(ss_metrics_function(&s->group, SS_METRIC_GAUGE, "test_twice", "Function", NULL,
		     twice, &s->hits) == 0);
	SS_CHECK(ss_metrics_counter(&s->group, "test_hits", "", label, &s->hits) == -EEXIST);
	SS_CHECK(ss_metrics_gauge(&s->group, "test_hits", "", NULL, &s->size) == -EEXIST);
	SS_CHECK(ss_metrics_counter(&s->group, "1x", "", NULL, &s->hits) == -EINVAL);
	SS_CHECK(ss_metrics_counter(&s->group, "a-b", "", NULL, &s->hits) == -EINVAL);
	SS_CHECK(ss_metrics_counter(&s->group, "test_hits", "Hits\nof it", NULL, &s->hits) == 0);
	return ss_ok(0);
}

SS_CONT(end)
{
	ss_metrics_clear(&services[ss_shard_id()].group);
	return ss_ok(0);
}

static bool has(const ss_buf *b, const char *text)
{
	return memmem(b->data, b->len, text, strlen(text)) != NULL;
}

SS_TEST(exports)
{
	ss_buf b;

	SS_TRY(ss_smp_invoke_on_all(begin));
	SS_TRY(ss_metrics_collect(NULL, &b));
	SS_CHECK(has(&b, "# HELP test_hits Hits\\nof it\n# TYPE test_hits counter\ntest_hits 30\n"
			 "test_hits{cache=\"a \\\"b\\\"\\\\\\n\",kind=\"x\"} 30\n"));
	SS_CHECK(has(&b, "test_size -10\n") && has(&b, "test_twice 75\n"));
	SS_CHECK(has(&b, "# TYPE test_latency histogram\ntest_latency_bucket{le=\"1\"} 2\n"
			 "test_latency_bucket{le=\"2\"} 4\ntest_latency_bucket{le=\"4\"} 8\n"
			 "test_latency_bucket{le=\"+Inf\"} 18\ntest_latency_sum 90\n"
			 "test_latency_count 18\n"));
	/* The framework's own. */
	SS_CHECK(has(&b, "\nreactor_polls ") && has(&b, "\nmemory_total_bytes "));
	SS_CHECK(has(&b, "\nscheduler_shares{group=\""));
	SS_CHECK(has(&b, "\nio_queue_total_bytes{class=") && has(&b, "\nsmp_messages_sent "));
	ss_buf_release(&b);
	SS_TRY(
	    ss_metrics_collect(&(struct ss_metrics_export){.shards = true, .name = "test_"}, &b));
	SS_CHECK(has(&b, "test_hits{shard=\"0\"} 10\ntest_hits{shard=\"1\"} 20\n"));
	SS_CHECK(has(&b, "test_latency_bucket{shard=\"1\",le=\"+Inf\"} 9\n"));
	SS_CHECK(!has(&b, "reactor_"));
	ss_buf_release(&b);
	SS_TRY(ss_metrics_collect(&(struct ss_metrics_export){.json = true, .name = "test_"}, &b));
	SS_CHECK(
	    has(&b, "{\"name\": \"test_hits\", \"type\": \"counter\", \"help\": \"Hits\\nof it\", "
		    "\"samples\": [{\"labels\": {}, \"value\": 30}, {\"labels\": {\"cache\": "
		    "\"a \\\"b\\\"\\\\\\n\", \"kind\": \"x\"}, \"value\": 30}]},"));
	SS_CHECK(has(&b, "\"sum\": 90, \"buckets\": [{\"le\": 1, \"count\": 2}, "));
	SS_CHECK(has(&b, "{\"le\": null, \"count\": 10}]}]}"));
	ss_buf_release(&b);
	SS_TRY(ss_smp_invoke_on_all(end));
	SS_TRY(ss_metrics_collect(&(struct ss_metrics_export){.name = "test_"}, &b));
	SS_CHECK(b.len == 0);
	ss_buf_release(&b);
	return 0;
}

SS_TEST(quantiles)
{
	ss_histogram h;

	SS_CHECK(ss_histogram_init(&h, 0, 2, 3) == -EINVAL);
	SS_CHECK(ss_histogram_init(&h, 1, 1, 3) == -EINVAL);
	SS_CHECK(ss_histogram_init(&h, 1, 2, SS_HISTOGRAM_MAX + 1) == -EINVAL);
	SS_CHECK(ss_histogram_init(&h, 1, 2, 10) == 0);
	for (int i = 0; i < 100; i++)
		ss_histogram_add(&h, 3);
	SS_CHECK(ss_histogram_quantile(&h, 0.5) == 3 && ss_histogram_quantile(&h, 1) == 4);
	ss_histogram_add(&h, 1e9);
	SS_CHECK(h.count[10] == 1 && ss_histogram_quantile(&h, 1) == 512);
	return 0;
}

SS_TEST(log_limit)
{
	static ss_log_limit limit;
	char got[4096];
	int pipe_fd[2], saved = dup(STDERR_FILENO), written = 0;
	ssize_t n;

	limit = (ss_log_limit){.interval_ns = 50 * SS_MSEC, .burst = 3};
	SS_REQUIRE(pipe(pipe_fd) == 0);
	dup2(pipe_fd[1], STDERR_FILENO);
	for (int i = 0; i < 3; i++)
		written += ss_log_rate(&limit, SS_LOG_WARN, "line %d", i);
	for (int i = 0; i < 2; i++)
		SS_CHECK(!ss_log_rate(&limit, SS_LOG_TRACE, "not seen"));
	limit.until += 3600 * SS_SEC; /* however long this takes */
	for (int i = 0; i < 7; i++)
		SS_CHECK(!ss_log_rate(&limit, SS_LOG_WARN, "too much"));
	limit.until = 0;
	written += ss_log_rate(&limit, SS_LOG_ERROR, "later");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fd[1]);
	n = read(pipe_fd[0], got, sizeof(got) - 1);
	close(pipe_fd[0]);
	SS_REQUIRE(n > 0);
	got[n] = '\0';
	SS_CHECK(written == 4);
	SS_CHECK(strcmp(got, "WARNING: line 0\nWARNING: line 1\nWARNING: line 2\n"
			     "ERROR: later (7 like it were dropped)\n") == 0);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct ss_test tests[] = {
	    {"exports", exports, "-c2"},
	    {"quantiles", quantiles, .once = true},
	    {"log_limit", log_limit, .once = true},
	    {NULL},
	};

	return ss_test_main(argc, argv, tests);
}
