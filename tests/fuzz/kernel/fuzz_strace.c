/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: decoding of system-call arguments. Whatever values and memory an application shows,
 * the text stays within its buffer and ends with a zero. */
#include <stdlib.h>
#include "core/log.h"
#include "lib/string.h"
#include "sched/thread.h"
#include "sys/strace.h"
#include "sys/syscall.h"
#include "user.h"

int log_console_level;

void klog(enum log_level level, const char *fmt, ...)
{
	(void)level, (void)fmt;
}

const char *syscall_name(long nr)
{
	return nr & 1 ? "name" : NULL;
}

const char *syscall_arguments(long nr)
{
	(void)nr;
	return "psB";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char letters[] = "dftAulmpBsabTScORMkWChrFPDygwx?";
	struct {
		uint8_t letter, size, len;
		uint64_t value, next;
	} __attribute__((packed)) head;
	if (n < sizeof head)
		return 0;
	memcpy(&head, data, sizeof head);
	size_t bytes = n - sizeof head, size = head.size + 1u, len = head.len % size;
	char *memory = malloc(bytes + 1), *buf = malloc(size);
	memcpy(memory, data + sizeof head, bytes);
	user_window(memory, bytes);
	if (!(head.value >> 56)) /* often enough an address in the window */
		head.value = USER_WINDOW + head.value % (bytes + 8);
	memset(buf, 'x', len);
	buf[len] = 0;
	size_t after = strace_argument(
	    buf, size, len, letters[head.letter % (sizeof letters - 1)], head.value, head.next);
	if (after < len || memchr(buf, 0, size) == NULL)
		abort();
	free(buf);
	free(memory);
	return 0;
}
