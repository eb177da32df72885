/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings under /proc/sys that other parts of the kernel obey. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

extern _Atomic int64_t sysctl_somaxconn;		 /* upper limit of listen()'s backlog */
extern _Atomic int64_t sysctl_rmem_max, sysctl_wmem_max; /* most that SO_RCVBUF, SO_SNDBUF take */
extern _Atomic int64_t sysctl_rmem_default, sysctl_wmem_default;
extern _Atomic int64_t sysctl_unix_max_dgram_qlen;
extern _Atomic int64_t sysctl_mq_queues_max, sysctl_mq_msg_max, sysctl_mq_msgsize_max;
extern _Atomic int64_t sysctl_inotify_max_watches, sysctl_inotify_max_instances,
    sysctl_inotify_max_events;
extern _Atomic int64_t sysctl_shmmax, sysctl_msgmax, sysctl_msgmnb;
