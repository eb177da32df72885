/* SPDX-License-Identifier: BSD-3-Clause */
/* The report of a program's fatal signal. */
#pragma once

struct ksiginfo;
struct trapframe;

/* Prints registers, what the fault was, the call chain with symbols, threads and memory to the
 * console. */
void crash_report_program(const struct trapframe *f, int sig, const struct ksiginfo *info);
