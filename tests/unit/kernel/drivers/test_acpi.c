/* SPDX-License-Identifier: BSD-3-Clause */
/* ACPI tables put together here, read by the kernel's parser: what it finds, and that damage does
 * no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "arch/x86/aml.h"
#include "arch/x86/machine.h"
#include "core/log.h"

enum { MEMORY = 0x10000, RSDP = 0x1000 };

static uint8_t memory[MEMORY];
static uint32_t next_table;
static const struct machine fresh = {
    .cpu_count = 1, .lapic_phys = 0xfee00000, .has_legacy_pic = true};

void klog(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

const void *acpi_test_memory(uint64_t phys, size_t len);
const void *acpi_test_memory(uint64_t phys, size_t len)
{
	return phys >= 0x400 && phys < MEMORY && len <= MEMORY - phys ? memory + phys : NULL;
}

static void fix_checksum(uint8_t *p, size_t n, size_t at)
{
	uint8_t sum = 0;
	p[at] = 0;
	for (size_t i = 0; i < n; i++)
		sum += p[i];
	p[at] = (uint8_t)-sum;
}

/* A table with the given body after its header; returns its address. */
static uint32_t table(const char *signature, const void *body, size_t n)
{
	uint32_t at = next_table, len = (uint32_t)(36 + n);
	memset(memory + at, 0, 36);
	memcpy(memory + at, signature, 4);
	memcpy(memory + at + 4, &len, 4);
	memcpy(memory + at + 36, body, n);
	fix_checksum(memory + at, len, 9);
	next_table = (at + len + 63) & ~63u;
	return at;
}

static void finish(const uint32_t *tables, size_t n)
{
	uint32_t rsdt = table("RSDT", tables, 4 * n);
	memcpy(memory + RSDP, "RSD PTR ", 8);
	memset(memory + RSDP + 8, 0, 28);
	memcpy(memory + RSDP + 16, &rsdt, 4);
	fix_checksum(memory + RSDP, 20, 8);
}

static int reset(void **state)
{
	(void)state;
	memset(memory, 0, sizeof memory);
	next_table = 0x2000;
	machine = fresh;
	return 0;
}

/* What QEMU writes for microvm: \_S5, then a virtio-mmio device in \_SB. */
/* clang-format off */
static const uint8_t dsdt_body[] = {
    0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x00, 0x00, 0x00,
    0x14, 0x07, 'M', 'E', 'T', 'H', 0x00, 0xa3, /* a method is skipped */
    0x10, 0x4b, 0x04, 0x5c, '_', 'S', 'B', '_',
    0x5b, 0x82, 0x42, 0x04, 'V', 'R', '2', '3',
    0x08, '_', 'H', 'I', 'D', 0x0d, 'L', 'N', 'R', 'O', '0', '0', '0', '5', 0,
    0x08, '_', 'U', 'I', 'D', 0x0a, 0x17,
    0x08, '_', 'C', 'C', 'A', 0x01,
    0x08, '_', 'C', 'R', 'S', 0x11, 0x1a, 0x0a, 0x17,
    0x86, 0x09, 0x00, 0x01, 0x00, 0x2e, 0xb0, 0xfe, 0x00, 0x02, 0x00, 0x00,
    0x89, 0x06, 0x00, 0x01, 0x01, 0x2f, 0x00, 0x00, 0x00, 0x79, 0x00,
};
/* clang-format on */

static void test_byte_code(void **state)
{
	struct aml_facts f = {0};
	(void)state;
	aml_scan(dsdt_body, sizeof dsdt_body, &f);
	assert_true(f.has_s5);
	assert_int_equal(f.slp_typ5, 5);
	assert_int_equal(f.nvirtio_mmio, 1);
	assert_int_equal(f.virtio_mmio[0].phys, 0xfeb02e00);
	assert_int_equal(f.virtio_mmio[0].size, 0x200);
	assert_int_equal(f.virtio_mmio[0].gsi, 47);
	assert_true(f.virtio_mmio[0].level);
	assert_false(f.virtio_mmio[0].low);
	/* Cut off anywhere: nothing read beyond (ASan watches), nothing invented. */
	for (size_t n = 0; n < sizeof dsdt_body; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		struct aml_facts g = {0};
		memcpy(copy, dsdt_body, n);
		aml_scan(copy, n, &g);
		assert_int_equal(g.nvirtio_mmio, 0);
		free(copy);
	}
}

static const uint8_t madt_body[] = {
    0x00, 0x00, 0xe0, 0xfe, 0x01, 0, 0, 0, 0x00, 8, 0, 0, 1, 0, 0, 0, /* CPU 0 */
    0x00, 8, 1, 4, 1, 0, 0, 0,					      /* CPU with APIC id 4 */
    0x00, 8, 2, 5, 0, 0, 0, 0,					      /* disabled */
    0x09, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0,		      /* x2APIC id 256 */
    0x01, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0, 0x02, 10, 0, 9, 9, 0, 0, 0, 0x0d,
    0,				      /* ISA 9: level, high */
    0x02, 10, 0, 0, 2, 0, 0, 0, 0, 0, /* ISA 0 is GSI 2 */
};

static void test_tables(void **state)
{
	(void)state;
	uint8_t fadt[244 - 36] = {0}, hpet[20] = {0}, mcfg[24] = {0}, srat[12 + 40 + 16] = {0};
	uint32_t dsdt = table("DSDT", dsdt_body, sizeof dsdt_body);
	memcpy(fadt + 40 - 36, &dsdt, 4);
	fadt[64 - 36] = 0x04, fadt[65 - 36] = 0x06; /* PM1a control: port 0x604 */
	fadt[76 - 36] = 0x08, fadt[77 - 36] = 0x06; /* PM timer: 0x608 */
	hpet[8 + 2] = 0xd0, hpet[8 + 3] = 0xfe;
	mcfg[8 + 3] = 0xb0, mcfg[8 + 11] = 255;
	uint8_t *m = srat + 12; /* 1 MiB at 2 MiB in domain 7 */
	m[0] = 1, m[1] = 40, m[2] = 7, m[10] = 0x20, m[18] = 0x10, m[28] = 1;
	m += 40; /* APIC id 4 in domain 7 */
	m[0] = 0, m[1] = 16, m[2] = 7, m[3] = 4, m[4] = 1;
	uint32_t tables[] = {table("SRAT", srat, sizeof srat), table("FACP", fadt, sizeof fadt),
	    table("APIC", madt_body, sizeof madt_body), table("HPET", hpet, sizeof hpet),
	    table("MCFG", mcfg, sizeof mcfg)};
	finish(tables, 5);
	acpi_init(RSDP);
	assert_int_equal(machine.cpu_count, 3);
	assert_int_equal(machine.apic_ids[1], 4);
	assert_int_equal(machine.apic_ids[2], 256);
	assert_int_equal(machine.nioapic, 1);
	assert_int_equal(machine.ioapic[0].phys, 0xfec00000);
	assert_true(machine.isa_irq[9].set && machine.isa_irq[9].level && !machine.isa_irq[9].low);
	assert_int_equal(machine.isa_irq[0].gsi, 2);
	assert_int_equal(machine.pm1a_cnt, 0x604);
	assert_int_equal(machine.pm_timer_port, 0x608);
	assert_int_equal(machine.slp_typ5, 5);
	assert_int_equal(machine.nvirtio_mmio, 1);
	assert_int_equal(machine.hpet_phys, 0xfed00000);
	assert_int_equal(machine.mcfg_phys, 0xb0000000);
	assert_int_equal(machine.mcfg_last_bus, 255);
	assert_int_equal(machine.nnodes, 1);
	assert_int_equal(machine.nnode_memory, 1);
	assert_int_equal(machine.node_memory[0].start, 0x200000);
	assert_int_equal(machine.cpu_node[1], 0);
}

static void test_damage(void **state)
{
	(void)state;
	uint32_t madt = table("APIC", madt_body, sizeof madt_body);
	finish(&madt, 1);
	memory[madt + 50] ^= 1; /* checksum wrong: the table is not used */
	acpi_init(RSDP);
	assert_int_equal(machine.cpu_count, 1);
	assert_int_equal(machine.nioapic, 1); /* the defaults */
	machine = fresh;
	acpi_init(0x3000); /* no root pointer there */
	assert_int_equal(machine.cpu_count, 1);
	/* Every single byte of the whole set replaced, checksums made right again. */
	for (uint32_t i = 44; i < sizeof madt_body + 36; i++) {
		reset(NULL);
		madt = table("APIC", madt_body, sizeof madt_body);
		memory[madt + i] = 0xff;
		fix_checksum(memory + madt, sizeof madt_body + 36, 9);
		finish(&madt, 1);
		acpi_init(RSDP);
		assert_true(machine.cpu_count >= 1 && machine.cpu_count <= 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_byte_code, reset),
	    cmocka_unit_test_setup(test_tables, reset),
	    cmocka_unit_test_setup(test_damage, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
