# SPDX-License-Identifier: BSD-3-Clause
# What dash and bash do by themselves, with subshells, pipelines, traps and redirections.
cd "$1" || exit 1
more=$2
i=0
while [ $i -lt 200 ]; do i=$((i + 1)); done
echo "loop $i $((i * i % 7)) $((1 << 10)) $((0x1f & 12))"
f() { local a=$1; shift; echo "f $a $# $*"; return 7; }
f one two 'three four'; echo "status $?"
set -- a 'b c' d; for x; do printf '<%s>' "$x"; done; echo " $# $2"
v=hello.tar.gz; echo "${v%.*} ${v%%.*} ${v#*.} ${v##*.} ${#v} ${unset_thing:-default} ${v:+set}"
case $v in *.zip) echo zip ;; *.gz | *.xz) echo compressed ;; esac
IFS=:; set -- $(echo a:b:c); echo "$1/$2/$3"; unset IFS
cat_here=$(while read -r line; do echo "[$line]"; done <<END
first $v
  second
END
)
echo "$cat_here"
(exit 3) || echo "subshell $?"
(cd / && pwd); pwd >/dev/null
{ echo out; echo err >&2; } 2>both.txt >out.txt; read -r a <out.txt; read -r b <both.txt; echo "$a $b"
echo one >log; echo two >>log; while read -r l; do echo "log $l"; done <log
exec 5>five; echo through >&5; exec 5>&-; read -r l <five; echo "five $l"
trap 'echo trapped' USR1; kill -USR1 $$; trap - USR1
trap 'echo exiting' EXIT
(trap 'echo inner' EXIT; :)
n=0; for p in 1 2 3 4 5 6 7 8; do (exit $p) & pids="$pids $!"; done
for p in $pids; do wait "$p"; n=$((n + $?)); done; echo "waited $n"
r=0; for k in 1 2 3 4 5 6 7 8 9 10; do r=$((r + $(echo $k | (read -r q; echo $((q * 2)))))); done; echo "pipes $r"
echo a b c | { read -r x y; echo "$y:$x"; }
printf '%s %d %5.2f %x %o %c|\n' text 42 3.14159 255 8 z
test -d . && [ ! -e nothing ] && echo files
umask 027; : >masked; umask 022; umask
eval 'e=5; echo eval $((e + 1))'
command -v echo >/dev/null && echo found; type nothing-like-this >/dev/null 2>&1 || echo not found
getopts ab: o -b value; echo "$o $OPTARG"
readonly ro=1; (ro=2) 2>/dev/null || echo readonly
set -e; (false; echo never) || echo "errexit"; set +e
sleep 0.05 & wait $!; echo "slept $?"
kill -0 $$ && echo alive; sleep 30 & sleep 0.5; kill -TERM $!; wait $!; echo "killed $?"
. /dev/stdin <<END
sourced() { echo "sourced \$1"; }
END
sourced well
ulimit -n >/dev/null && echo limits
times >/dev/null && echo times
i=0; while :; do i=$((i + 1)); [ $i -gt 5 ] && break; [ $((i % 2)) = 0 ] && continue; printf '%s ' $i; done; echo
if [ -n "$BASH_VERSION" ]; then
	. "$more"
fi
