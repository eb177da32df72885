#!/bin/sh
# pack.sh KERNEL.elf OUT: the kernel as it lies in memory (zeroed data included, as the loader clears nothing),
# compressed as one raw LZ4 block. lz4's legacy format is a magic number and, for each 8 MiB, a length and such
# a block; so one block is what is left without the first 8 bytes.
set -eu
kernel=$1 out=$2
objcopy -O binary --set-section-flags .bss=alloc,load,contents "$kernel" "$out.raw"
if [ "$(stat -c %s "$out.raw")" -gt 8388608 ]; then
	echo "pack.sh: the kernel is larger than the 8 MiB of one LZ4 block" >&2
	exit 1
fi
lz4 -q -l -12 -c "$out.raw" | tail -c +9 >"$out"
rm "$out.raw"
