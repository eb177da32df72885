/* SPDX-License-Identifier: BSD-3-Clause */
/* Tutorial: 9 Pipes: a producer and a consumer, each with its end. */
#include <seastar/seastar.h>
#include <stdint.h>
#include <stdio.h>

ss_future f(void);

SS_FIBER(producer, ss_pipe_writer *out;)
{
	for (intptr_t i = 1; i <= 5; i++)
		SS_TRY(ss_pipe_write(self->out, (void *)i));
	ss_pipe_close_writer(self->out);
	return 0;
}

SS_FIBER(consumer, ss_pipe_reader *in;)
{
	intptr_t v;

	while ((v = SS_TRY(ss_pipe_read(self->in))) != 0)
		printf("read %d\n", (int)v);
	printf("end\n");
	ss_pipe_close_reader(self->in);
	return 0;
}

ss_future f(void)
{
	ss_pipe_reader *rd;
	ss_pipe_writer *wr;

	if (ss_pipe(2, NULL, &rd, &wr))
		return ss_fail(-ENOMEM);
	return ss_when_all_of(ss_async(producer, wr), ss_async(consumer, rd));
}
