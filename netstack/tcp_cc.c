/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Congestion control: NewReno (RFC 5681) and Cubic (RFC 9438) in integer arithmetic. Windows are
 * bytes.
 */
#include "tcp_internal.h"

static bool slow_start(struct ns_tcp *c, uint32_t *acked)
{
	uint32_t n;

	if (c->cwnd >= c->ssthresh)
		return false;
	n = NS_MIN(*acked, c->ssthresh - c->cwnd);
	c->cwnd += n;
	*acked -= n;
	return *acked == 0;
}

/* One segment more for every `per` bytes acknowledged. */
static void additive(struct ns_tcp *c, uint32_t per, uint32_t acked)
{
	c->ca_acked += acked;
	while (c->ca_acked >= per) {
		c->ca_acked -= per;
		c->cwnd += c->mss;
	}
}

/* ---- NewReno ---- */

static void reno_init(struct ns_tcp *c)
{
	c->ca_acked = 0;
}

static void reno_on_ack(struct ns_tcp *c, uint32_t acked, uint64_t rtt, uint64_t now)
{
	(void)rtt;
	(void)now;
	if (!slow_start(c, &acked))
		additive(c, NS_MAX(c->cwnd, (uint32_t)c->mss), acked);
}

static uint32_t reno_ssthresh(struct ns_tcp *c, uint64_t now)
{
	(void)now;
	return NS_MAX(NS_MIN(c->cwnd, NS_MAX(tcp_pipe(c), c->cwnd / 2)) / 2, 2u * c->mss);
}

static void reno_on_timeout(struct ns_tcp *c, uint64_t now)
{
	(void)c;
	(void)now;
}

static void reno_undo(struct ns_tcp *c)
{
	(void)c;
}

const struct ns_cc_ops ns_cc_newreno = {.name = "reno",
    .init = reno_init,
    .on_ack = reno_on_ack,
    .ssthresh = reno_ssthresh,
    .on_timeout = reno_on_timeout,
    .undo = reno_undo};

/* ---- Cubic ---- */

/* beta 0.7, C 0.4 segments/s^3 */
#define BETA_NUM 7u
#define BETA_DEN 10u

static uint32_t cube_root(uint64_t x)
{
	uint64_t y = 0;

	for (int s = 63; s >= 0; s -= 3) {
		uint64_t b;

		y *= 2;
		b = 3 * y * (y + 1) + 1;
		if (x >> s >= b) {
			x -= b << s;
			y++;
		}
	}
	return (uint32_t)y;
}

static void cubic_reset(struct ns_tcp *c)
{
	memset(&c->cubic, 0, sizeof c->cubic);
	c->cubic.round_end = c->snd_nxt;
}

/* W(t) = C (t - K)^3 + w_max; K is where the curve is back at w_max. In ms and bytes:
 * K^3 [s^3] = (w_max - cwnd) / mss / 0.4. */
static void start_epoch(struct ns_tcp *c, uint64_t now)
{
	c->cubic.epoch_ns = now;
	c->cubic.w_est = c->cwnd;
	c->cubic.acked_frac = 0;
	if (c->cwnd < c->cubic.w_last_max) {
		uint64_t d = (uint64_t)(c->cubic.w_last_max - c->cwnd) * 10 / 4; /* / 0.4 */

		/* seconds^3 to ms^3: 1e9 */
		c->cubic.k_ms = cube_root(d * 1000000ull / c->mss * 1000);
		c->cubic.origin = c->cubic.w_last_max;
	} else {
		c->cubic.k_ms = 0;
		c->cubic.origin = c->cwnd;
	}
}

/* The curve's value one round trip from now, in bytes. */
static uint32_t cubic_target(const struct ns_tcp *c, uint64_t now)
{
	uint64_t t = (now - c->cubic.epoch_ns + c->rack.min_rtt_ns) / NS_MS;
	uint64_t d = t > c->cubic.k_ms ? t - c->cubic.k_ms : c->cubic.k_ms - t;
	uint64_t delta;

	d = NS_MIN(d, 100000ull); /* 100 s: beyond any use, keeps d^3 in range */
	/* 0.4 * d^3 [s^3] segments = d_ms^3 * 4 * mss / 1e10 bytes */
	delta = d * d * d / 1000 * 4 * c->mss / 10000000ull;
	delta = NS_MIN(delta, 1ull << 30);
	if (t < c->cubic.k_ms)
		return c->cubic.origin > delta ? c->cubic.origin - (uint32_t)delta : c->mss;
	return (uint32_t)NS_MIN(c->cubic.origin + delta, 1ull << 31);
}

/* Leave slow start when round trips grow (HyStart, delay part). */
static void hystart(struct ns_tcp *c, uint64_t rtt)
{
	uint64_t thresh;

	if (!rtt || c->cwnd < 16u * c->mss)
		return;
	if (!seq_lt(c->snd_una, c->cubic.round_end)) {
		c->cubic.round_end = c->snd_nxt;
		c->cubic.last_round_min_rtt = c->cubic.round_min_rtt;
		c->cubic.round_min_rtt = 0;
		c->cubic.rtt_samples = 0;
	}
	if (!c->cubic.round_min_rtt || rtt < c->cubic.round_min_rtt)
		c->cubic.round_min_rtt = rtt;
	if (++c->cubic.rtt_samples < 8 || !c->cubic.last_round_min_rtt)
		return;
	thresh = c->cubic.last_round_min_rtt / 8;
	thresh = NS_MAX(NS_MIN(thresh, 16 * NS_MS), 4 * NS_MS);
	if (c->cubic.round_min_rtt >= c->cubic.last_round_min_rtt + thresh)
		c->ssthresh = c->cwnd;
}

static void cubic_on_ack(struct ns_tcp *c, uint32_t acked, uint64_t rtt, uint64_t now)
{
	uint32_t target, per;

	if (c->cwnd < c->ssthresh) {
		hystart(c, rtt);
		if (slow_start(c, &acked))
			return;
	}
	if (!c->cubic.epoch_ns)
		start_epoch(c, now);
	target = NS_MIN(cubic_target(c, now), c->cwnd + c->cwnd / 2);
	if (target > c->cwnd)
		per = (uint32_t)NS_MAX(
		    (uint64_t)c->cwnd * c->mss / (target - c->cwnd), (uint64_t)c->mss);
	else
		per = 100 * NS_MIN(c->cwnd, UINT32_MAX / 100); /* nearly flat */
	/* What Reno with the same average would have: alpha = 3 (1 - beta) / (1 + beta) = 9/17. */
	c->cubic.acked_frac += acked;
	while (c->cubic.acked_frac >= c->cubic.w_est / 9 * 17) {
		c->cubic.acked_frac -= c->cubic.w_est / 9 * 17;
		c->cubic.w_est += c->mss;
		if (c->cubic.w_est < 9)
			break;
	}
	if (c->cubic.w_est > c->cwnd) {
		uint32_t reno_per = (uint32_t)NS_MAX(
		    (uint64_t)c->cwnd * c->mss / (c->cubic.w_est - c->cwnd), (uint64_t)c->mss);

		per = NS_MIN(per, reno_per);
	}
	additive(c, per, acked);
}

static uint32_t cubic_ssthresh(struct ns_tcp *c, uint64_t now)
{
	(void)now;
	c->cubic.epoch_ns = 0;
	c->cubic.w_max = c->cwnd;
	/* Fast convergence: leave room for newcomers. */
	if (c->cwnd < c->cubic.w_last_max)
		c->cubic.w_last_max =
		    (uint32_t)((uint64_t)c->cwnd * (BETA_DEN + BETA_NUM) / (2 * BETA_DEN));
	else
		c->cubic.w_last_max = c->cwnd;
	return NS_MAX((uint32_t)((uint64_t)c->cwnd * BETA_NUM / BETA_DEN), 2u * c->mss);
}

static void cubic_on_timeout(struct ns_tcp *c, uint64_t now)
{
	(void)now;
	c->cubic.epoch_ns = 0;
	c->cubic.round_end = c->snd_nxt;
	c->cubic.round_min_rtt = c->cubic.last_round_min_rtt = 0;
}

static void cubic_undo(struct ns_tcp *c)
{
	c->cubic.epoch_ns = 0;
	c->cubic.w_last_max = NS_MAX(c->cubic.w_last_max, c->cubic.w_max);
}

const struct ns_cc_ops ns_cc_cubic = {.name = "cubic",
    .init = cubic_reset,
    .on_ack = cubic_on_ack,
    .ssthresh = cubic_ssthresh,
    .on_timeout = cubic_on_timeout,
    .undo = cubic_undo};

const struct ns_cc_ops *ns_cc_find(const char *name)
{
	static const struct ns_cc_ops *const all[] = {&ns_cc_cubic, &ns_cc_newreno};

	for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i]->name, name))
			return all[i];
	return NULL;
}
