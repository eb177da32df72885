/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The task queues of a shard. Each scheduling group has a queue and a virtual run time (its CPU
 * time divided by its weight); the group that is furthest behind goes next. A group that comes back
 * from idling starts at the least virtual time of those running, so it can't claim the past.
 */
#include "shard.h"

#define DEFAULT_SHARES 1000
#define SLICE_TASKS 256 /* without a ticker */

void ss_groups_init(struct ss_shard *sh)
{
	for (unsigned i = 0; i < SS_MAX_GROUPS; i++)
		sh->groups[i].tail = &sh->groups[i].head;
	sh->groups[0].used = true;
	sh->groups[0].shares = DEFAULT_SHARES;
	strcpy(sh->groups[0].name, "main");
}

void ss_group_activate(struct ss_shard *sh, struct ss_group *g)
{
	g->active = true;
	sh->n_active++;
	if (g->vruntime < sh->min_vruntime)
		g->vruntime = sh->min_vruntime;
}

/* The weight of a group is its part of its parent's weight. */
static float weight(struct ss_shard *sh, struct ss_group *g)
{
	float w = g->shares;
	unsigned up = g->parent;

	while (up) {
		float siblings = 0;

		for (unsigned i = 1; i < SS_MAX_GROUPS; i++)
			if (sh->groups[i].active && sh->groups[i].parent == up)
				siblings += sh->groups[i].shares;
		w = w / (siblings > g->shares ? siblings : g->shares) * sh->groups[up].shares;
		g = &sh->groups[up];
		up = g->parent;
	}
	return w;
}

static struct ss_group *pick(struct ss_shard *sh)
{
	struct ss_group *best = NULL;
	unsigned left = sh->n_active;

	if (ss_likely(left == 1 && sh->groups[0].active))
		return &sh->groups[0];
	for (unsigned i = 0; left; i++) {
		struct ss_group *g = &sh->groups[i];

		if (!g->active)
			continue;
		left--;
		if (!best || g->vruntime < best->vruntime)
			best = g;
	}
	return best;
}

static void run_group(struct ss_shard *sh, struct ss_group *g)
{
	uint64_t n = 0;

	sh->group = (uint16_t)(g - sh->groups);
	do {
		ss_task *t = g->head;

		g->head = t->next;
		if (!g->head)
			g->tail = &g->head;
		n++;
		atomic_store_explicit(&sh->task_serial,
		    atomic_load_explicit(&sh->task_serial, memory_order_relaxed) + 1,
		    memory_order_relaxed);
		t->run(t);
	} while (g->head && !ss_preempt(sh) && !(sh->no_ticker && n >= SLICE_TASKS));
	g->tasks += n;
	sh->tasks_run += n;
	sh->group = 0;
}

static void account(struct ss_shard *sh, struct ss_group *g, uint64_t ns)
{
	g->runtime += ns;
	g->vruntime += (uint64_t)((float)ns * (DEFAULT_SHARES / weight(sh, g)));
}

/* The least virtual time of the groups that have work. */
static void update_min(struct ss_shard *sh)
{
	uint64_t least = UINT64_MAX;
	unsigned left = sh->n_active;

	for (unsigned i = 0; left; i++) {
		if (!sh->groups[i].active)
			continue;
		left--;
		if (sh->groups[i].vruntime < least)
			least = sh->groups[i].vruntime;
	}
	if (least != UINT64_MAX)
		sh->min_vruntime = least;
}

bool ss_run_tasks(struct ss_shard *sh)
{
	uint64_t start = 0;
	uint32_t tick = __atomic_load_n(&sh->turn.tick, __ATOMIC_RELAXED);

	if (!sh->n_active)
		return false;
	sh->turn.slice_tick = sh->preempt_always ? tick - 1 : tick;
	sh->running_tasks = true;
	do {
		struct ss_group *g = pick(sh);
		bool alone = g == &sh->groups[0] && sh->n_active == 1;

		if (!alone && !start)
			start = ss_now();
		run_group(sh, g);
		if (!alone || start) {
			uint64_t end = ss_now();

			account(sh, g, start ? end - start : 0);
			start = end;
		}
		if (!g->head) {
			g->active = false;
			sh->n_active--;
		}
		if (start)
			update_min(sh);
	} while (sh->n_active && !ss_preempt(sh) && !sh->no_ticker);
	sh->running_tasks = false;
	return true;
}

ss_sched_group ss_sched_group_current(void)
{
	return ss_self->group;
}

void ss_sched_group_set_shares(ss_sched_group g, float shares)
{
	if (g < SS_MAX_GROUPS && shares >= 1)
		ss_self->groups[g].shares = shares;
}

bool ss_sched_group_stats(ss_sched_group g, struct ss_sched_stats *out)
{
	const struct ss_group *gr = &ss_self->groups[g < SS_MAX_GROUPS ? g : 0];

	if (g >= SS_MAX_GROUPS || !gr->used)
		return false;
	*out = (struct ss_sched_stats){
	    .name = gr->name, .shares = gr->shares, .runtime_ns = gr->runtime, .tasks = gr->tasks};
	return true;
}

SS_CONT(group_set, unsigned g; unsigned parent; float shares; char name[24];)
{
	struct ss_group *gr = &ss_self->groups[self->g];

	gr->used = self->shares > 0;
	gr->shares = self->shares;
	gr->parent = (uint16_t)self->parent;
	gr->vruntime = ss_self->min_vruntime;
	memcpy(gr->name, self->name, sizeof(gr->name));
	return ss_ok(0);
}

SS_CONT(group_number, unsigned g;)
{
	return ss_ok(self->g);
}

/* Shard 0 hands out the numbers. */
SS_CONT(group_reserve, float shares; unsigned parent; char name[24];)
{
	struct group_set_cap cap = {.shares = self->shares, .parent = self->parent};

	for (unsigned g = 1; g < SS_MAX_GROUPS; g++) {
		if (ss_self->groups[g].used)
			continue;
		ss_self->groups[g].used = true;
		cap.g = g;
		memcpy(cap.name, self->name, sizeof(cap.name));
		return ss_then(
		    ss_smp_invoke_all_(group_set, &cap, sizeof(cap)), group_number, .g = g);
	}
	return ss_fail_msg(-ENOSPC, "too many scheduling groups");
}

ss_future ss_sched_group_create_in(ss_sched_group parent, const char *name, float shares)
{
	struct group_reserve_cap cap = {.shares = shares, .parent = parent};

	if (!(shares >= 1 && shares <= 100000) || parent >= SS_MAX_GROUPS)
		return ss_fail_msg(-EINVAL, "shares must be from 1 to 100000");
	strncpy(cap.name, name, sizeof(cap.name) - 1);
	return ss_smp_submit_(0, group_reserve, &cap, sizeof(cap));
}

ss_future ss_sched_group_create(const char *name, float shares)
{
	return ss_sched_group_create_in(0, name, shares);
}

ss_future ss_sched_group_destroy(ss_sched_group g)
{
	if (!g || g >= SS_MAX_GROUPS)
		return ss_fail(-EINVAL);
	return ss_smp_invoke_on_all(group_set, .g = g, .shares = 0);
}

/* The first task of a call in another group; what it starts inherits the group. */
struct group_call {
	ss_task task;
	ss_state *out;
	ss_cont_fn fn;
	size_t size;
	_Alignas(16) char cap[];
};

SS_CONT(group_result, ss_state *out;)
{
	ss_state_set(self->out, r);
	return ss_ok(0);
}

static void group_call_run(ss_task *t)
{
	struct group_call *c = ss_container_of(t, struct group_call, task);
	ss_state *out = c->out;
	ss_future f = c->fn(c->cap, (ss_result){.i = 0, .err = 0});
	ss_result r;

	ss_cell_free(c, sizeof(*c) + c->size);
	if (ss_take_inline(f, &r))
		ss_state_set(out, r);
	else
		ss_detach(ss_then_wrapped(f, group_result, out));
}

ss_future ss_with_sched_group_(ss_sched_group g, ss_cont_fn fn, const void *cap, size_t size)
{
	struct group_call *c;
	ss_state *s;
	ss_future f;

	if (g >= SS_MAX_GROUPS || !ss_self->groups[g].used)
		return ss_fail_msg(-EINVAL, "no such scheduling group");
	f = ss_pending(&s);
	if (!s)
		return f;
	c = ss_cell_alloc(sizeof(*c) + size);
	if (!c) {
		ss_state_free(s);
		return ss_fail(-ENOMEM);
	}
	ss_task_init(&c->task, group_call_run);
	c->task.group = (uint16_t)g;
	c->out = s;
	c->fn = fn;
	c->size = size;
	memcpy(c->cap, cap, size);
	ss_schedule(&c->task);
	return f;
}
