# SPDX-License-Identifier: BSD-3-Clause
# Every command of coreutils and findutils by itself: what it writes and how it ends must be the same on
# Linux and in a Carrara machine. Nothing here depends on the machine, the time or who runs it.
LC_ALL=C TZ=UTC0
export LC_ALL TZ
cd "$1" || exit 1
umask 022
n=0

# One command line, its output and its status; t MEANING COMMANDS
t()
{
	n=$((n + 1))
	echo "== $n $*"
	eval "$@" 2>&1
	echo "-- $?"
}

printf 'pear\napple\nfig\napple\ncherry\n' >fruit
printf '1 one\n2 two\n3 three\n' >left
printf '1 un\n3 trois\n4 quatre\n' >right
printf 'a\tb\tc\n\td\n' >tabs
seq 1 30000 >numbers

t '[ -f fruit -a ! -d fruit ]'
t '[ 3 -gt 4 ]'
t test -s fruit
t arch
t 'b2sum fruit'
t 'base32 fruit; base32 fruit | base32 -d'
t 'base64 -w 20 fruit; base64 fruit | base64 -d'
t 'basenc --base16 fruit'
t basename /usr/lib/x.so .so
t 'cat -A tabs; cat fruit - <left'
t 'cp fruit mode; chmod u=rwx,go=r mode; stat -c %a mode; chmod 0 mode; stat -c %A mode'
t 'chown $(id -u) mode; chgrp $(id -g) mode'
t chown nobody-at-all mode
t chroot /nowhere ls
t 'cksum fruit; cksum -a crc numbers; sum numbers; sum -s numbers'
t 'sort fruit >s1; sort -u fruit >s2; comm s1 s2'
t 'cp -a fruit copy; cmp fruit copy 2>/dev/null; cp -r . ../nowhere/at/all'
t 'mkdir -p tree/a/b; cp fruit tree/a/b; cp -r tree tree2; ls -R tree2'
t 'cp --sparse=always numbers sparse; md5sum <sparse'
t 'csplit -s numbers 10 200; wc -l xx00 xx01 xx02'
t 'cut -d" " -f2 left; cut -c2-3 fruit; cut -b1 right'
t 'date -u -d @86400; date -u -d "2024-02-29 12:00 +1 year" +%F; date -u -r /dev/null +x'
t 'dd if=numbers of=part bs=1000 skip=3 count=2 2>&1 | head -2; sum part'
t 'dd if=/dev/zero of=part bs=1 count=5 seek=10 conv=notrunc status=none; sum part'
t 'df . >/dev/null; df --output=target / '
t 'dir -1 tree; vdir tree | wc -l'
t 'dircolors -b | head -c 10'
t dirname /a/b/c d
t 'du -a --apparent-size tree/a/b/fruit; du -s nothing'
t 'echo -e "a\tb"; /bin/echo -n c; echo'
t 'env -i A=1 B=2 /usr/bin/env | sort; env no-such-command'
t 'expand -t 4 tabs; unexpand -a -t 4 tabs | cat -A'
t 'expr 6 \* 7; expr length hello; expr abc : "a\(.\)"; expr 1 / 0'
t 'factor 1234567890 18446744073709551557'
t '/bin/false; echo $?; /bin/true; echo $?'
t 'fmt -w 20 right; fold -w 3 fruit'
t 'groups >/dev/null'
t 'head -n 3 numbers; head -c 5 numbers; head -n -29998 numbers; tail -n 2 numbers; tail -c 4 numbers; tail -n +29999 numbers'
t 'hostid | wc -c'
t 'id -u >/dev/null; whoami >/dev/null; logname >/dev/null 2>&1; users; who; pinky >/dev/null'
t 'install -m 750 fruit installed; stat -c %a installed; install -d x/y/z; ls x/y'
t 'join left right; join -a1 -e none -o 0,1.2,2.2 left right'
t 'link fruit hard; stat -c %h fruit; unlink hard; stat -c %h fruit'
t 'ln -s fruit soft; ln fruit hard2; readlink soft; cat soft | head -1; ln fruit hard2'
t 'ls -1 --group-directories-first; ls -l /nowhere; ls -ld fruit | cut -c1-10; ls -i fruit | wc -w'
t 'ls -lS numbers fruit | tr -s " " | cut -d" " -f5'
for sum in md5 sha1 sha224 sha256 sha384 sha512; do
	t "${sum}sum numbers >sums; cat sums; ${sum}sum -c sums"
done
t 'mkfifo pipe; cat pipe & echo through >pipe; wait; stat -c %F pipe'
t 'mknod pipe2 p; stat -c %F pipe2; mknod bad x'
t 'd=$(mktemp -d ./XXXXXX); rmdir $d; f=$(mktemp ./tXXXX); stat -c "%a %s" $f; rm $f'
t 'mv copy moved; ls copy moved; mv -n moved fruit; ls moved; mv nothing there'
t 'mkdir target; mv moved mode target; ls target; mv -T target renamed; ls renamed'
t 'nice -n 5 nice; nice'
t 'nl -b a fruit'
t 'nohup echo survived </dev/null 2>/dev/null'
t 'nproc | wc -l'
t 'numfmt --to=iec 1048576 123456789; numfmt --from=si 4K'
t 'od -An -tx1 -c fruit | head -4; od -A d -t d4 numbers | tail -2'
t 'paste left right; paste -s -d, fruit'
t 'pathchk -p fruit "a:b"; pathchk ""'
t 'pr -t -2 -l 5 fruit'
t 'A=5 printenv A; printenv NOTHING'
t 'printf "%05.1f|%-5s|%x|%b\n" 3.14159 ab 255 "\\101"'
t '/usr/bin/printf "%q %s\n" "a b" c'
t 'ptx -G fruit'
t '/bin/pwd -P | wc -l'
t 'realpath --relative-to=/usr /usr/lib/x /; realpath -m /a/../b; readlink -f soft | sed s,.*/,,'
t 'rm -r tree2; ls tree2; rm nothing; rm -f nothing; rm tree'
t 'mkdir e; rmdir e; rmdir tree'
t 'cp numbers junk; shred -n 1 -u junk; ls junk'
t 'shuf --random-source=numbers -i 1-10; shuf -e x; seq 5 | shuf | sort'
t 'seq -s, 1 3 20; seq -w 8 11; seq 1 .5 2'
t 'sleep 0.01; sleep x'
t 'sort -rn numbers | head -2; sort -k2 left; sort -c fruit; sort -R numbers | sort -n | sum; sort --parallel=4 -S 1M -r numbers | sum'
t 'split -l 10000 numbers p_; wc -l p_*; split -n 3 -d numbers q_; cat q_* | cmp - numbers'
t 'stat -c "%n %s %F" fruit soft; stat -c "%n %F" tree; stat -f -c %i . | wc -l; stat -L -c %F soft'
t 'stdbuf -oL echo buffered'
t 'stty </dev/null'
t 'sync fruit; sync'
t 'tac fruit; tac -s p fruit'
t 'seq 3 | tee t1 t2; cat t1 t2'
t 'timeout 0.1 sleep 5; echo $?; timeout -s KILL 5 echo fast; timeout 5 sh -c "exit 9"'
t 'touch -d "2020-01-02 03:04:05 UTC" old; stat -c %Y old; touch -r old new; stat -c %Y new; date -u -r old +%T; touch -a -d @0 old; stat -c "%X %Y" old'
t 'tr a-z A-Z <fruit; tr -d p <fruit; tr -s p <fruit; tr -cd "[:digit:]" <left'
t 'truncate -s 12345 big; stat -c %s big; truncate -s -45 big; stat -c %s big; sum big'
t 'printf "a b\nb c\nd b\n" | tsort; printf "a b b a" | tsort'
t 'tty </dev/null'
t 'uname -s; uname -m'
t 'uniq -c s1; sort fruit | uniq -d; uniq -u s1'
t 'wc fruit numbers; wc -L fruit; wc -m <fruit; cat numbers | wc -c'
t 'yes | head -3; yes no | head -n 10000 | sum'
t 'chcon x fruit >/dev/null 2>&1; runcon x true >/dev/null 2>&1'

# findutils
mkdir -p f/one/two f/three
cp fruit f/one/a.txt
cp numbers f/one/two/b.txt
touch -d @1000000000 f/three/c.dat
ln -s ../one f/three/link
t 'find f | sort; find f -name "*.txt" -size +10k; find f -type l -printf "%p %l\n"'
t 'find f -newermt 2002-01-01 -type f | sort; find f -empty; find f -maxdepth 1 | sort'
t 'find f -type f -exec sum {} \; | sort; find f -type f -exec cat {} + | sum'
t 'find -L f -name a.txt | sort; find f -links +1 -type d | wc -l; find f -perm 644 | sort'
t 'find f -name c.dat -delete -print; find f -regex ".*[ab].txt" | sort; find nowhere'
t 'find f -type f -print0 | xargs -0 -n 1 basename | sort'
t 'seq 20 | xargs -n 6; seq 8 | xargs -P 4 -n 1 echo | sort; echo a b | xargs -I{} echo "<{}>"'
t 'seq 3 | xargs -n 1 sh -c "exit 3"; echo x | xargs no-such-command'
t 'seq 30000 | xargs echo | sum'
echo "$n commands"
