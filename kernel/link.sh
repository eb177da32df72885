#!/bin/sh
# link.sh LDSCRIPT LIBRARY OUT DEBUG: links the kernel with its own symbol table in it. The table's size does
# not depend on its contents' addresses, so linking twice is enough: once to learn them, once for good.
# OUT is what boots (stripped); DEBUG keeps DWARF for gdb.
set -eu
script=$1 lib=$2 out=$3 debug=$4
tmp=$out.tmp
mkdir -p "$tmp"
link() {
	ld -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments --gc-sections \
		--build-id=none -T "$script" -o "$2" --whole-archive "$lib" --no-whole-archive "$1"
}
# symbols.o: count, then sorted (address, name offset) pairs, then names.
table() {
	nm -n "$1" 2>/dev/null | awk '
	$2 ~ /^[tTwW]$/ && $3 !~ /^(\.|__pfx)/ { a[n] = $1; s[n] = $3; n++ }
	END {
		print ".section .symtab_kernel,\"a\"\n.globl kernel_symbols\n.balign 8\nkernel_symbols: .quad " n
		for (i = 0; i < n; i++) { printf ".long 0x%s, %d\n", substr(a[i], 9), o; o += length(s[i]) + 1 }
		for (i = 0; i < n; i++) print ".asciz \"" s[i] "\""
	}'
}
echo '.section .symtab_kernel,"a"
.globl kernel_symbols
kernel_symbols: .quad 0' | as -o "$tmp/symbols.o" -
link "$tmp/symbols.o" "$tmp/first"
table "$tmp/first" | as -o "$tmp/symbols.o" -
link "$tmp/symbols.o" "$tmp/second"
# The second link moved what lies behind the table; symbols lie before it, so once more makes it exact.
table "$tmp/second" | as -o "$tmp/symbols.o" -
link "$tmp/symbols.o" "$debug"
strip -o "$out" "$debug"
