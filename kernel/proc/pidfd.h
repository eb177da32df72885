/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors that stand for programs. */
#pragma once

struct program;

/* A descriptor (close-on-exec) for p, or -errno. */
int pidfd_create(struct program *p, int flags);
/* The pid a descriptor of the current program stands for; -EBADF if it is none. */
int pidfd_pid(int fd);
