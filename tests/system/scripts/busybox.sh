# SPDX-License-Identifier: BSD-3-Clause
# Applets of a static busybox, each a process of its own; the same output on Linux and in a Carrara machine.
# The first argument is busybox, the second an empty directory.
B=$1
LC_ALL=C TZ=UTC0
export LC_ALL TZ
cd "$2" || exit 1
n=0
t()
{
	n=$((n + 1))
	echo "== $n $*"
	$B sh -c "$*" 2>&1
	echo "-- $?"
}
$B seq 1 20000 >numbers
printf 'b 2\na 1\nc 3\n' >pairs
for applet in ar awk basename bunzip2 cal cat cksum cmp comm cp cpio cut date dc dd diff dirname dos2unix echo env \
	expand expr factor false find fold getopt grep gunzip gzip head hexdump id install join link ln ls lzcat md5sum \
	mkdir mkfifo mktemp mv nl nproc od paste patch pidof printenv printf ps pwd readlink realpath rev rm rmdir sed \
	seq sh sha1sum sha256sum sha512sum shuf sleep sort split stat strings sum tac tail tar tee test time timeout \
	touch tr true truncate ts tty uname unexpand uniq unix2dos unlink unxz unzip uudecode uuencode vi wc which \
	xargs xxd yes; do
	$B --list | $B grep -qx "$applet" && echo "has $applet"
done
t "$B awk '{s += \$1} END {print s, NR}' numbers"
t "$B sed -n 's/9\\(.\\)\$/<\\1>/p' numbers | $B head -3; $B grep -c 7 numbers; $B grep -o 'a.*' pairs"
t "$B tar cf t.tar numbers pairs; $B tar tf t.tar; $B mkdir -p u; $B tar xf t.tar -C u; $B cmp numbers u/numbers"
t "$B gzip -k numbers; $B zcat numbers.gz | $B md5sum; $B gunzip -c numbers.gz | $B cmp - numbers"
t "$B bzip2 -k numbers; $B bzcat numbers.bz2 | $B md5sum"
t "$B diff -u pairs numbers | $B head -5; $B cp pairs p2; $B sed -i 's/a/z/' p2; $B diff pairs p2"
t "$B diff -u pairs p2 >d; $B patch pairs <d; $B cat pairs"
t "$B find . -name 'n*' | $B sort; $B find . -type f -size +100k | $B wc -l"
t "$B sort -r pairs; $B sort -n -k2 pairs; $B uniq -c pairs; $B tac pairs; $B rev pairs"
t "$B md5sum numbers; $B sha1sum numbers; $B sha256sum numbers; $B sha512sum numbers; $B cksum numbers"
t "$B dd if=numbers bs=100 skip=3 count=2 2>/dev/null | $B md5sum"
t "$B xxd pairs; $B hexdump -C pairs; $B od -c pairs; $B xxd -p pairs | $B xxd -r -p"
t "$B cut -d' ' -f2 pairs; $B tr a-z A-Z <pairs; $B wc pairs; $B head -n 2 pairs; $B tail -n 1 pairs; $B nl pairs"
t "$B expr 6 '*' 7; $B factor 360; $B dc -e '2 8 ^ p'; $B seq -s , 5; $B printf '%04d\\n' 42"
t "$B mkdir -p a/b/c; $B touch a/b/c/f; $B ls -R a; $B rm -r a; $B ls a"
t "$B ln -s pairs soft; $B readlink soft; $B stat -c '%s %F' pairs; $B realpath soft | $B sed 's,.*/,,'"
t "$B seq 10 | $B xargs -n 3 echo; $B seq 5 | $B xargs -I@ echo '<@>'"
t "$B timeout 1 $B sleep 9; $B timeout 5 $B sh -c 'exit 7'"
t "$B sh -c 'for i in 1 2 3; do echo \$i; done | while read x; do echo \$((x * x)); done'"
t "$B mkfifo p; $B cat p & echo fifo >p; wait"
t "$B yes | $B head -n 10000 | $B md5sum; $B seq 100000 | $B tail -n 1"
t "echo secret | $B uuencode x | $B uudecode -o -; $B base64 pairs | $B base64 -d"
t "$B date -u -d @1000000000 +%Y-%m-%dT%H:%M:%S; $B cal 2 2024"
t "$B find . -name 't*' | $B cpio -o -H newc 2>/dev/null | $B cpio -t 2>/dev/null; $B strings -n 5 t.tar | $B head -3"
t "$B env -i X=1 $B printenv; $B id -u >/dev/null; $B which sh >/dev/null; $B test -f pairs; $B false"
t "$B split -l 5000 numbers s_; $B ls s_*; $B cat s_* | $B cmp - numbers; $B paste pairs p2; $B comm pairs p2"
echo "$n scripts"
