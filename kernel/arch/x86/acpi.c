/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ACPI tables, read once at boot into struct machine. Every table is checked (length, checksum)
 * before it is used; one that is missing or broken leaves the defaults of an ordinary PC.
 */
#include "arch/x86/aml.h"
#include "arch/x86/machine.h"
#include "core/log.h"
#include "lib/string.h"
#include "mm/page.h"

#ifdef CARRARA_HOST
/* The tests' physical memory: NULL outside it. */
const void *acpi_test_memory(uint64_t phys, size_t len);
#define acpi_map(phys, len) acpi_test_memory(phys, len)
#else
static const void *acpi_map(uint64_t phys, size_t len)
{
	/* Firmware's tables lie below 4 GiB, all of which the direct map covers where there is RAM.
	 */
	return phys && phys < (1ull << 32) && phys + len <= (1ull << 32) ? phys_virt(phys) : NULL;
}
#endif

struct machine machine = {
    .cpu_count = 1,
    .lapic_phys = 0xfee00000,
    .has_legacy_pic = true,
};

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct acpi_address {
	uint8_t space, width, offset, access;
	uint64_t address;
} __attribute__((packed));

enum { SPACE_MEMORY = 0, SPACE_IO = 1 };

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t checksum2, reserved[3];
} __attribute__((packed));

struct fadt {
	struct acpi_header h;
	uint32_t facs, dsdt;
	uint8_t model, profile;
	uint16_t sci;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst;
	uint16_t p_lvl2, p_lvl3, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_flags;
	uint8_t reserved;
	uint32_t flags;
	struct acpi_address reset;
	uint8_t reset_value;
	uint16_t arm_flags;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct acpi_address x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2, x_pm_tmr, x_gpe0,
	    x_gpe1;
	struct acpi_address sleep_control, sleep_status;
} __attribute__((packed));

enum { FADT_RESET_SUPPORTED = 1 << 10, FADT_HW_REDUCED = 1 << 20 };

static bool checksum_ok(const void *p, size_t n)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += ((const uint8_t *)p)[i];
	return sum == 0;
}

/* The table at phys if it is whole: header, length and checksum. */
static const struct acpi_header *table_at(uint64_t phys)
{
	const struct acpi_header *h = acpi_map(phys, sizeof *h);
	if (!h || h->length < sizeof *h || h->length > (16u << 20))
		return NULL;
	h = acpi_map(phys, h->length);
	if (!h || !checksum_ok(h, h->length)) {
		pr_warn("acpi: the table at 0x%llx is damaged", (unsigned long long)phys);
		return NULL;
	}
	return h;
}

static void read_madt(const struct acpi_header *h)
{
	const uint8_t *p = (const uint8_t *)h + 44, *end = (const uint8_t *)h + h->length;
	uint32_t flags, v32;
	uint64_t v64;
	unsigned n = 0, more = 0;
	if (h->length < 44)
		return;
	memcpy(&v32, p - 8, 4);
	memcpy(&flags, p - 4, 4);
	machine.lapic_phys = v32;
	machine.has_legacy_pic = flags & 1;
	for (; end - p >= 2 && p[1] >= 2 && end - p >= p[1]; p += p[1]) {
		uint32_t apic_id = 0;
		bool cpu = false;
		if (p[0] == 0 && p[1] >= 8) { /* local APIC */
			memcpy(&flags, p + 4, 4);
			apic_id = p[3];
			cpu = flags & 1 && apic_id != 0xff;
		} else if (p[0] == 9 && p[1] >= 16) { /* local x2APIC */
			memcpy(&apic_id, p + 4, 4);
			memcpy(&flags, p + 8, 4);
			cpu = flags & 1;
		} else if (p[0] == 1 && p[1] >= 12 &&
			   machine.nioapic < ARRAY_SIZE(machine.ioapic)) {
			memcpy(&v32, p + 4, 4);
			machine.ioapic[machine.nioapic].phys = v32;
			memcpy(&v32, p + 8, 4);
			machine.ioapic[machine.nioapic++].gsi_base = v32;
		} else if (p[0] == 2 && p[1] >= 10 && p[3] < 16) { /* interrupt source override */
			uint16_t mode;
			memcpy(&v32, p + 4, 4);
			memcpy(&mode, p + 8, 2);
			machine.isa_irq[p[3]].gsi = v32;
			machine.isa_irq[p[3]].low = (mode & 3) == 3;
			machine.isa_irq[p[3]].level = (mode >> 2 & 3) == 3;
			machine.isa_irq[p[3]].set = true;
		} else if (p[0] == 5 && p[1] >= 12) { /* 64-bit local APIC address */
			memcpy(&v64, p + 4, 8);
			machine.lapic_phys = v64;
		}
		if (cpu && n < ARRAY_SIZE(machine.apic_ids))
			machine.apic_ids[n++] = apic_id;
		else if (cpu)
			more++;
	}
	if (n)
		machine.cpu_count = n;
	if (more)
		pr_warn("acpi: %u processors beyond the %zu supported are not used", more,
		    ARRAY_SIZE(machine.apic_ids));
}

static void read_byte_code(const struct acpi_header *h)
{
	struct aml_facts facts = {.slp_typ5 = machine.slp_typ5};
	if (!h)
		return;
	aml_scan((const uint8_t *)(h + 1), h->length - sizeof *h, &facts);
	machine.slp_typ5 = facts.slp_typ5;
	for (unsigned i = 0;
	     i < facts.nvirtio_mmio && machine.nvirtio_mmio < ARRAY_SIZE(machine.virtio_mmio);
	     i++) {
		machine.virtio_mmio[machine.nvirtio_mmio].phys = facts.virtio_mmio[i].phys;
		machine.virtio_mmio[machine.nvirtio_mmio].size = facts.virtio_mmio[i].size;
		machine.virtio_mmio[machine.nvirtio_mmio].level = facts.virtio_mmio[i].level;
		machine.virtio_mmio[machine.nvirtio_mmio].low = facts.virtio_mmio[i].low;
		machine.virtio_mmio[machine.nvirtio_mmio++].gsi = facts.virtio_mmio[i].gsi;
	}
}

static void read_fadt(const struct acpi_header *h)
{
	/* Older revisions are shorter: what is missing reads as zero. */
	struct fadt f;
	memset(&f, 0, sizeof f);
	memcpy(&f, h, MIN((size_t)h->length, sizeof f));
	machine.hw_reduced = f.flags & FADT_HW_REDUCED;
	machine.pm_timer_port = f.pm_tmr		       ? f.pm_tmr
				: f.x_pm_tmr.space == SPACE_IO ? f.x_pm_tmr.address
							       : 0;
	machine.pm1a_cnt = f.pm1a_cnt;
	machine.pm1b_cnt = f.pm1b_cnt;
	if (machine.hw_reduced) {
		machine.sleep_control = f.sleep_control.address;
		machine.sleep_is_io = f.sleep_control.space == SPACE_IO;
		machine.pm_timer_port = machine.pm1a_cnt = machine.pm1b_cnt = 0;
	}
	if (f.flags & FADT_RESET_SUPPORTED) {
		machine.reset_reg = f.reset.address;
		machine.reset_is_io = f.reset.space == SPACE_IO;
		machine.reset_value = f.reset_value;
	}
	read_byte_code(table_at(f.x_dsdt ? f.x_dsdt : f.dsdt));
}

static void read_mcfg(const struct acpi_header *h)
{
	const uint8_t *p = (const uint8_t *)h + 44;
	uint16_t segment;
	if (h->length < 44 + 16)
		return;
	memcpy(&segment, p + 8, 2);
	if (segment != 0)
		return;
	memcpy(&machine.mcfg_phys, p, 8);
	machine.mcfg_first_bus = p[10];
	machine.mcfg_last_bus = p[11];
}

/* Proximity domains are numbered as they please; nodes are dense. */
static uint32_t node_of(uint32_t domain, uint32_t *domains)
{
	unsigned i;
	for (i = 0; i < machine.nnodes; i++)
		if (domains[i] == domain)
			return i;
	if (i == 64)
		return 0;
	domains[machine.nnodes++] = domain;
	return i;
}

static void srat_cpu(uint32_t apic_id, uint32_t node)
{
	for (unsigned i = 0; i < machine.cpu_count; i++)
		if (machine.apic_ids[i] == apic_id)
			machine.cpu_node[i] = node;
}

static void read_srat(const struct acpi_header *h)
{
	const uint8_t *p = (const uint8_t *)h + 48, *end = (const uint8_t *)h + h->length;
	uint32_t domains[64], flags, domain, apic_id;
	for (; end - p >= 2 && p[1] >= 2 && end - p >= p[1]; p += p[1]) {
		if (p[0] == 0 && p[1] >= 16) { /* CPU */
			memcpy(&flags, p + 4, 4);
			domain = p[2] | p[9] << 8 | p[10] << 16 | (uint32_t)p[11] << 24;
			if (flags & 1)
				srat_cpu(p[3], node_of(domain, domains));
		} else if (p[0] == 2 && p[1] >= 24) { /* x2APIC CPU */
			memcpy(&domain, p + 4, 4);
			memcpy(&apic_id, p + 8, 4);
			memcpy(&flags, p + 12, 4);
			if (flags & 1)
				srat_cpu(apic_id, node_of(domain, domains));
		} else if (p[0] == 1 && p[1] >= 40) { /* memory */
			memcpy(&domain, p + 2, 4);
			memcpy(&flags, p + 28, 4);
			unsigned n = machine.nnode_memory;
			if (!(flags & 1) || n == ARRAY_SIZE(machine.node_memory))
				continue;
			memcpy(&machine.node_memory[n].start, p + 8, 8);
			memcpy(&machine.node_memory[n].size, p + 16, 8);
			if (!machine.node_memory[n].size)
				continue;
			machine.node_memory[n].node = node_of(domain, domains);
			machine.nnode_memory++;
		}
	}
}

static void read_hpet(const struct acpi_header *h)
{
	struct acpi_address a;
	if (h->length < 40 + sizeof a)
		return;
	memcpy(&a, (const uint8_t *)h + 40, sizeof a);
	if (a.space == SPACE_MEMORY)
		machine.hpet_phys = a.address;
}

static void read_table(uint64_t phys, bool srat_pass)
{
	static const struct {
		char signature[5];
		void (*read)(const struct acpi_header *h);
	} readers[] = {
	    {"APIC", read_madt},
	    {"FACP", read_fadt},
	    {"MCFG", read_mcfg},
	    {"HPET", read_hpet},
	    {"SSDT", read_byte_code},
	};
	const struct acpi_header *h = acpi_map(phys, sizeof *h);
	if (!h)
		return;
	/* SRAT refers to the processors, so it is read after MADT. */
	if (srat_pass != !memcmp(h->signature, "SRAT", 4) || !(h = table_at(phys)))
		return;
	if (srat_pass)
		read_srat(h);
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		if (!memcmp(h->signature, readers[i].signature, 4))
			readers[i].read(h);
}

static uint64_t find_rsdp(void)
{
	const uint16_t *ebda = acpi_map(0x40e, 2);
	const struct {
		uint64_t start, size;
	} areas[] = {{ebda ? (uint64_t)*ebda << 4 : 0, 1024}, {0xe0000, 0x20000}};
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		if (areas[i].start < 0x400)
			continue;
		for (uint64_t a = areas[i].start; a < areas[i].start + areas[i].size; a += 16) {
			const struct rsdp *r = acpi_map(a, 20);
			if (r && !memcmp(r->signature, "RSD PTR ", 8) && checksum_ok(r, 20))
				return a;
		}
	}
	return 0;
}

static void defaults(void)
{
	if (!machine.nioapic) {
		machine.ioapic[0].phys = 0xfec00000;
		machine.nioapic = 1;
	}
	if (!machine.nnodes)
		machine.nnodes = 1;
}

void acpi_init(uint64_t phys)
{
	const struct rsdp *r;
	const struct acpi_header *root;
	if (!phys)
		phys = find_rsdp();
	r = phys ? acpi_map(phys, 20) : NULL;
	if (!r || memcmp(r->signature, "RSD PTR ", 8) || !checksum_ok(r, 20)) {
		pr_info("acpi: no tables; assuming one processor and standard addresses");
		defaults();
		return;
	}
	bool wide = r->revision >= 2 && acpi_map(phys, sizeof *r) && r->xsdt;
	root = table_at(wide ? r->xsdt : r->rsdt);
	if (!root && wide) {
		wide = false;
		root = table_at(r->rsdt);
	}
	if (root) {
		size_t entry = wide ? 8 : 4, n = (root->length - sizeof *root) / entry;
		for (size_t i = 0; i < 2 * n; i++) {
			uint64_t table = 0;
			memcpy(&table, (const char *)(root + 1) + i % n * entry, entry);
			read_table(table, i >= n);
		}
	}
	defaults();
	pr_info("acpi: %u CPUs, %u nodes, %u I/O APICs, ECAM 0x%llx, %u virtio-mmio",
	    machine.cpu_count, machine.nnodes, machine.nioapic,
	    (unsigned long long)machine.mcfg_phys, machine.nvirtio_mmio);
}
