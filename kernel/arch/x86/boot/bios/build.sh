#!/bin/sh
# build.sh CC SOURCE_DIR OUT: the BIOS loader, out of 16-bit and 32-bit code. -fcf-protection off: no instruction
# that an old CPU in real mode would not know.
set -eu
cc=$1 top=$2 out=$3
here=$top/kernel/arch/x86/boot/bios
tmp=$out.tmp
mkdir -p "$tmp"
flags='-m32 -march=i686 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables
	-fcf-protection=none -mgeneral-regs-only -fno-builtin -fno-strict-aliasing -Os -std=gnu17 -Wall -Wextra -Werror -U_FORTIFY_SOURCE'
objects=
for f in "$here/bootsector.S" "$here/entry.S" "$here/stage2.c" "$top/kernel/lib/lz4.c"; do
	o=$tmp/$(basename "$f").o
	# shellcheck disable=SC2086 # flags are words
	$cc $flags -I"$top/include" -I"$top/kernel" -c "$f" -o "$o"
	objects="$objects $o"
done
# shellcheck disable=SC2086
ld -m elf_i386 -nostdlib -static --no-warn-rwx-segments -T "$here/bios.ld" -o "$tmp/bios.elf" $objects
objcopy -O binary "$tmp/bios.elf" "$out"
