# SPDX-License-Identifier: BSD-3-Clause
# Many children at once: pipelines of builtins and programs, command substitutions, background jobs and SIGCHLD
# handlers, over and over. Prints one line for what came out of each round.
rounds=$1
trap : CHLD
i=0
while [ $i -lt "$rounds" ]; do
	i=$((i + 1))
	a=$(echo $i | cat | cat | while read -r x; do echo $((x + 1)); done | cat)
	b=$( (echo one; echo two) | while read -r x; do (echo "$x") & wait; done | wc -l)
	(exit 1) & (exit 2) & (exit 3) & p=$!
	wait $p
	c=$?
	d=$(seq 50 | while read -r x; do echo "$x"; done | sort -n | tail -n 1)
	wait
	echo "$a $b $c $d"
done | uniq -f 1
