/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of loading a program: between proc/exec.c and proc/exec_stack.c. */
#pragma once

#include "mm/mm.h"

struct program;
struct file;
struct trapframe;

#define EXEC_MAX_STRINGS 0x7fffffff
#define EXEC_MAX_STRING (128 * 1024)

/* What the new program starts with, collected while it is loaded. */
struct exec {
	struct program *program;
	struct mm *mm; /* being built */
	char *const *argv, *const *envp;
	const char *path;     /* AT_EXECFN: as the caller named it */
	const char *asked;    /* the file that was to be run, for messages */
	uint64_t entry, phdr; /* of the executable */
	unsigned phnum;
	uint64_t interp_base; /* 0 without an interpreter */
	uint64_t start;	      /* where execution begins */
	bool exec_stack;
	char why[160]; /* the reason of a failure, for the log */
};

/* Chooses the random places of stack and mappings; before anything is mapped. */
void exec_layout(struct exec *x);
/* Maps the stack and writes strings, environment, arguments and auxiliary vector; *rsp is the first
 * stack pointer. 0 or -errno (-E2BIG). */
int exec_stack(struct exec *x, uint64_t *rsp);

/* Opens a file for execution: a regular file that may be executed. Referenced file, or err_ptr()
 * and why. */
struct file *exec_open(int dirfd, const char *path, int flags, char why[160]);
/* Builds a new address space for path, or for the open file f (may be NULL) that path names: *mm
 * (referenced) and the first registers. On failure -errno, and why[] names the file and the reason
 * (or is empty). */
int exec_build(struct program *p, struct file *f, const char *path, char *const argv[],
    char *const envp[], struct trapframe *frame, struct mm **mm, char why[160]);
/* The name the program goes by in /proc/PID/exe, from the new address space. */
void exec_note_path(struct program *p, struct mm *mm, const char *path);
