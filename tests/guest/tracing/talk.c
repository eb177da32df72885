/* SPDX-License-Identifier: BSD-3-Clause */
/* talk WORD SECONDS [STATUS]: says the word a few times and ends; with "-" in front of the word it
 * says it in pieces, with "?" it tells what its descriptors are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "word";
	int seconds = argc > 2 ? atoi(argv[2]) : 0;

	if (*word == '?') {
		char c;
		printf("pid %d, read %zd, terminal %d\n", getpid(), read(0, &c, 1), isatty(1));
		fprintf(stderr, "error output\n");
	} else if (*word == '-') {
		for (int i = 0; i < 3; i++) {
			dprintf(1, "%s ", word + 1);
			usleep(10000);
		}
		dprintf(1, "end\nwithout a line's end");
	} else {
		for (int i = 0; i < 5; i++)
			printf("%s %d\n", word, i);
	}
	fflush(stdout);
	sleep((unsigned)seconds);
	return argc > 3 ? atoi(argv[3]) : 0;
}
