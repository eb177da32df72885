/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: control messages of sockets, sent and received. */
#include <stdlib.h>
#include "lib/string.h"
#include "net/socket.h"
#include "user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What the check lets through can be walked, each message lies inside. */
static void send(const uint8_t *data, size_t n)
{
	char *control = malloc(n + 1);
	memcpy(control, data, n);
	struct message m = {.control = n ? control : NULL, .control_len = n};
	if (message_check_control(control, n) == 0) {
		const struct cmsg_header *c = NULL;
		unsigned sum = 0, count = 0;
		while ((c = message_next_control(&m, c))) {
			if ((const char *)control_data(c) < control || c->len < sizeof *c ||
			    (const char *)c + c->len > control + n || ++count > n)
				abort();
			for (size_t i = 0; i < c->len - sizeof *c; i++)
				sum += ((const uint8_t *)control_data(c))[i];
		}
		if (sum == 1u << 31)
			abort(); /* keeps the reads */
	}
	free(control);
}

/* Messages of these sizes for a receiver with this much room: nothing is written outside it, and
 * what is there is well-formed. */
static void receive(const uint8_t *data, size_t n)
{
	size_t room = data[0];
	char payload[256], *memory = malloc(room + 1);
	memset(payload, 7, sizeof payload);
	memset(memory, 0, room);
	user_window(memory, room);
	struct message m = {.control_out = (char *)USER_WINDOW, .control_room = room};
	for (size_t i = 1; i < n; i++)
		message_put_control(&m, data[i] & 1, data[i] & 2, payload, data[i]);
	size_t used = (size_t)(m.control_out - (char *)USER_WINDOW);
	if (used > room || used + m.control_room != room)
		abort();
	if (message_check_control(memory, used))
		abort();
	free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	if (data[0] & 1)
		send(data + 1, n - 1);
	else if (n > 1)
		receive(data + 1, n - 1);
	return 0;
}
