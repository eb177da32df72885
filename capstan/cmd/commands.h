/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions behind the commands of the table. */
#ifndef CAPSTAN_COMMANDS_H
#define CAPSTAN_COMMANDS_H

#include "cmd.h"

cmd_fn cmd_run;
cmd_fn cmd_do_completion, cmd_do_man;

#endif
