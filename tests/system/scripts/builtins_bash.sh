# SPDX-License-Identifier: BSD-3-Clause
# What only bash has; builtins.sh reads it.
a=(x y 'z w'); a+=(v); echo "${#a[@]} ${a[2]} ${!a[*]} ${a[@]:1:2}"
declare -A m=([one]=1 [two]=2); echo "${m[two]} ${#m[@]}"
s=abcabc; echo "${s/b/X} ${s//b/X} ${s^^} ${s:1:3}"
[[ foo123 =~ ^([a-z]+)([0-9]+)$ ]] && echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
for ((j = 0; j < 3; j++)); do echo -n "$j "; done; echo {a..e} {1..10..3}
while read -r l; do echo "sub $l"; done < <(echo process; echo substitution)
mapfile -t lines <log; echo "${#lines[@]} ${lines[1]}"
coproc tr a-z A-Z; echo coprocess >&${COPROC[1]}; eval "exec ${COPROC[1]}>&-"; read -r u <&${COPROC[0]}; echo "$u"
set -o pipefail; false | true; echo "pipefail $?"; echo "${PIPESTATUS[0]}"
printf -v t '%03d' 7; echo "$t $((2 ** 20)) $RANDOM" | (read -r a b c; echo "$a $b")
cat <<<"string"; wait -n 2>/dev/null; select w in p q; do echo "$w"; break; done 2>/dev/null <<<2
