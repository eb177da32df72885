/* SPDX-License-Identifier: BSD-3-Clause */
/* Signal numbers as text. */
#pragma once

/* "SIGSEGV", "SIGRT_3", or "signal ?" for numbers out of range. Static text. */
const char *signal_name(int sig);
/* What the shell would say: "Segmentation fault". */
const char *signal_description(int sig);
