/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine's host and domain name. */
#include "core/version.h"
#include <asm/errno.h>
#include "lib/string.h"
#include "sched/sync.h"

static struct mutex lock = MUTEX_INIT;
static char names[2][HOSTNAME_SIZE] = {"carrara", "(none)"};

void hostname_get(enum hostname_kind kind, char out[HOSTNAME_SIZE])
{
	mutex_lock(&lock);
	memcpy(out, names[kind], HOSTNAME_SIZE);
	mutex_unlock(&lock);
}

int hostname_set(enum hostname_kind kind, const char *name, size_t n)
{
	if (n >= HOSTNAME_SIZE)
		return -EINVAL;
	mutex_lock(&lock);
	memset(names[kind], 0, HOSTNAME_SIZE);
	memcpy(names[kind], name, n);
	mutex_unlock(&lock);
	return 0;
}
