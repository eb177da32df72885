/* SPDX-License-Identifier: BSD-3-Clause */
/* Abort sources. */
#include "shard.h"

void ss_abort_request(ss_abort *as, int err)
{
	if (as->err)
		return;
	as->err = err ? err : -ECANCELED;
	while (as->head) {
		ss_abort_sub *sub = as->head;

		as->head = sub->next;
		if (as->head)
			as->head->prev = NULL;
		else
			as->tail = NULL;
		/* Out of the list, but the listener may still look at its source. */
		sub->next = sub->prev = NULL;
		sub->source = as;
		sub->fn(sub);
	}
}

int ss_abort_subscribe(ss_abort *as, ss_abort_sub *sub, void (*fn)(ss_abort_sub *))
{
	*sub = (ss_abort_sub){.fn = fn, .source = NULL};
	if (as->err)
		return as->err;
	sub->source = as;
	sub->prev = as->tail;
	if (as->tail)
		as->tail->next = sub;
	else
		as->head = sub;
	as->tail = sub;
	return 0;
}

void ss_abort_unsubscribe(ss_abort_sub *sub)
{
	ss_abort *as = sub->source;

	/* Called already: it is in no list. */
	if (!as || as->err) {
		if (!as || (as->head != sub && !sub->prev && !sub->next))
			return;
	}
	if (sub->prev)
		sub->prev->next = sub->next;
	else
		as->head = sub->next;
	if (sub->next)
		sub->next->prev = sub->prev;
	else
		as->tail = sub->prev;
	sub->source = NULL;
	sub->next = sub->prev = NULL;
}
