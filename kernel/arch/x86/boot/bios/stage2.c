/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The second stage of the BIOS boot loader: reads the image header, loads the compressed kernel and
 * the command line through INT 13h, and starts the kernel by its PVH entry, with the memory map of
 * INT 15h. So the kernel has one entry for all of that. 32-bit protected mode, no paging, flat
 * addresses.
 *
 * Memory: 0x8000 this program; 0x10000 transfer buffer, later the command line; 0x20000 what the
 * kernel gets; 1 MiB the kernel; behind it the compressed kernel.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <carrara/image.h>
#include "lib/lz4.h"

struct bios_regs {
	uint32_t eax, ebx, ecx, edx, esi, edi, eflags;
	uint16_t es, pad;
};

void bios_call(unsigned interrupt, struct bios_regs *regs);
void enter_kernel(uint32_t entry, uint32_t start_info) __attribute__((noreturn));
void stage2_main(unsigned drive);
void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);

enum {
	BUFFER = 0x10000,
	BUFFER_SECTORS = 64, /* 32 KiB: more than 127 is too much for some BIOSes */
	HANDOVER = 0x20000,
	CMDLINE = 0x30000, /* 64 KiB and the terminating zero */
	KERNEL = 0x100000,
	KERNEL_MAX = 64 << 20,
	E820_MAX = 64,
	E820_MAGIC = 0x534d4150,
	CARRY = 1,
	COM1 = 0x3f8,
};

/* Xen's hvm_start_info, version 1, as the PVH entry takes it. */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

struct handover {
	struct start_info info;
	struct memmap_entry map[E820_MAX];
};

static struct handover *const handover = (struct handover *)HANDOVER;
static unsigned drive;

void *memcpy(void *d, const void *s, size_t n)
{
	void *to = d;
	asm volatile("rep movsb" : "+D"(to), "+S"(s), "+c"(n) : : "memory");
	return d;
}

void *memset(void *d, int c, size_t n)
{
	void *to = d;
	asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return d;
}

static uint8_t inb(uint16_t port)
{
	uint8_t v;
	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static void outb(uint16_t port, uint8_t v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static void put(char c)
{
	struct bios_regs r = {.eax = 0x0e00 | (uint8_t)c, .ebx = 7};
	for (int i = 0; i < 100000 && !(inb(COM1 + 5) & 0x20); i++)
		;
	outb(COM1, (uint8_t)c);
	bios_call(0x10, &r);
}

static void print(const char *s)
{
	for (; *s; s++)
		put(*s);
}

static void print_number(uint64_t v, unsigned base)
{
	char digits[21];
	unsigned n = 0;
	do {
		/* 32 bits at a time: there is no 64-bit division here. */
		uint64_t high = v >> 32, low = (uint32_t)v;
		uint32_t q_high = (uint32_t)high / base;
		uint64_t rest = ((uint64_t)((uint32_t)high % base) << 32) | low;
		uint32_t q_low, r;
		asm("divl %4"
		    : "=a"(q_low), "=d"(r)
		    : "0"((uint32_t)rest), "1"((uint32_t)(rest >> 32)), "rm"(base));
		digits[n++] = "0123456789abcdef"[r];
		v = (uint64_t)q_high << 32 | q_low;
	} while (v);
	while (n)
		put(digits[--n]);
}

static void __attribute__((noreturn)) stop(void)
{
	print("\r\n");
	for (;;)
		asm volatile("cli; hlt");
}

static void __attribute__((noreturn)) fail(const char *why)
{
	print("Carrara: ");
	print(why);
	stop();
}

static void read_sectors(uint64_t lba, unsigned n)
{
	struct {
		uint8_t size, zero;
		uint16_t count, offset, segment;
		uint64_t lba;
	} __attribute__((packed)) packet = {16, 0, (uint16_t)n, 0, BUFFER >> 4, lba};
	struct bios_regs r = {.eax = 0x4200, .edx = drive, .esi = (uint32_t)&packet};
	bios_call(0x13, &r);
	if (!(r.eflags & CARRY))
		return;
	print("Carrara: the disk cannot be read at sector ");
	print_number(lba, 10);
	print(" (BIOS error 0x");
	print_number(r.eax >> 8 & 0xff, 16);
	print(")");
	stop();
}

/* Loads `bytes` bytes from sector lba on to a physical address. */
static void load(uint64_t lba, uint32_t bytes, uint8_t *to)
{
	while (bytes) {
		uint32_t sectors = (bytes + CARRARA_SECTOR - 1) / CARRARA_SECTOR;
		if (sectors > BUFFER_SECTORS)
			sectors = BUFFER_SECTORS;
		read_sectors(lba, sectors);
		uint32_t n = sectors * CARRARA_SECTOR < bytes ? sectors * CARRARA_SECTOR : bytes;
		memcpy(to, (void *)BUFFER, n);
		to += n;
		bytes -= n;
		lba += sectors;
	}
}

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;
	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static struct carrara_image_header read_header(void)
{
	uint8_t *sector = (uint8_t *)BUFFER;
	struct carrara_image_header h;
	read_sectors(CARRARA_IMAGE_HEADER_LBA, 1);
	memcpy(&h, sector, sizeof h);
	for (int i = 0; i < 8; i++)
		if (h.magic[i] != CARRARA_IMAGE_MAGIC[i])
			fail("this disk has no Carrara image header");
	memset(sector + offsetof(struct carrara_image_header, header_crc), 0, 4);
	if (crc32(sector, CARRARA_SECTOR) != h.header_crc)
		fail("the image header is damaged (checksum)");
	if (h.version != CARRARA_IMAGE_VERSION)
		fail("the image header has an unknown version");
	if (!h.kernel_bytes)
		fail("this disk has no kernel; the image was made for direct kernel boot");
	if (h.kernel_raw_bytes > KERNEL_MAX || h.kernel_bytes > h.kernel_raw_bytes ||
	    h.cmdline_bytes > CARRARA_IMAGE_CMDLINE_MAX)
		fail("the image header has impossible sizes");
	return h;
}

static void enable_a20(void)
{
	struct bios_regs r = {.eax = 0x2401};
	volatile uint32_t *low = (volatile uint32_t *)BUFFER,
			  *high = (volatile uint32_t *)(BUFFER + KERNEL);
	bios_call(0x15, &r);
	*low = 1;
	*high = 2;
	if (*low == 1)
		return;
	outb(0x92, (uint8_t)((inb(0x92) | 2) & ~1)); /* the "fast gate"; bit 0 would reset */
	*low = 1;
	*high = 2;
	if (*low != 1)
		fail("address line 20 cannot be enabled");
}

static void read_memory_map(void)
{
	struct start_info *info = &handover->info;
	struct bios_regs r = {0};
	struct {
		uint64_t addr, size;
		uint32_t type, extra;
	} *e = (void *)BUFFER;
	do {
		r.eax = 0xe820;
		r.ecx = 24;
		r.edx = E820_MAGIC;
		r.edi = 0;
		r.es = BUFFER >> 4;
		e->extra = 1;
		bios_call(0x15, &r);
		if (r.eflags & CARRY || r.eax != E820_MAGIC)
			break;
		if (e->size && e->extra & 1) {
			struct memmap_entry *m = &handover->map[info->memmap_entries++];
			*m = (struct memmap_entry){e->addr, e->size, e->type, 0};
		}
	} while (r.ebx && info->memmap_entries < E820_MAX);
	if (!info->memmap_entries)
		fail("the BIOS has no memory map (INT 15h, E820)");
}

/* The end of the RAM that starts at or below 1 MiB, at most 4 GiB - 1. */
static uint64_t ram_end(void)
{
	for (uint32_t i = 0; i < handover->info.memmap_entries; i++) {
		struct memmap_entry *m = &handover->map[i];
		if (m->type == 1 && m->addr <= KERNEL && m->addr + m->size > KERNEL) {
			uint64_t end = m->addr + m->size;
			return end > 0xffffffff ? 0xffffffff : end;
		}
	}
	return 0;
}

static void load_kernel(const struct carrara_image_header *h)
{
	uint32_t raw = (uint32_t)h->kernel_raw_bytes, packed = (uint32_t)h->kernel_bytes;
	uint32_t at = (KERNEL + raw + 4095) & ~4095u;
	uint64_t end = ram_end();
	if ((uint64_t)at + packed + CARRARA_SECTOR > end) {
		print("Carrara: too little memory: the kernel needs ");
		print_number((at + packed) >> 10, 10);
		print(" KiB, the machine has ");
		print_number(end >> 10, 10);
		stop();
	}
	load(h->kernel_lba, packed, (uint8_t *)at);
	long n = lz4_decompress((uint8_t *)at, packed, (uint8_t *)KERNEL, raw, 0);
	if (n < 0 || (uint32_t)n != raw)
		fail("the kernel on this disk is damaged");
}

void stage2_main(unsigned boot_drive)
{
	struct carrara_image_header h;
	drive = boot_drive;
	memset(handover, 0, sizeof *handover);
	enable_a20();
	h = read_header();
	read_memory_map();
	load_kernel(&h);
	char *cmdline = (char *)CMDLINE;
	load(h.cmdline_lba, (uint32_t)h.cmdline_bytes, (uint8_t *)cmdline);
	cmdline[h.cmdline_bytes] = 0;
	handover->info.magic = 0x336ec578;
	handover->info.version = 1;
	handover->info.cmdline = CMDLINE;
	handover->info.memmap = (uint32_t)handover->map;
	enter_kernel(KERNEL, (uint32_t)&handover->info);
}
