/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/sysvipc. */
#include "fs/proc/proc.h"
#include "ipc/sysv.h"

static int show_shm(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return shm_show(s);
}

static int show_sem(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return sem_show(s);
}

static int show_msg(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return msg_show(s);
}

const struct pseudo_entry proc_sysvipc_dir[] = {
    {.name = "msg", .show = show_msg},
    {.name = "sem", .show = show_sem},
    {.name = "shm", .show = show_shm},
    {},
};
