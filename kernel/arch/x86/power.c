/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of the machine. Power-off tries what ACPI announced, then the ports of the emulators that
 * announce nothing, and at last resets: a VM started with -no-reboot ends by that too.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/machine.h"
#include "drivers/console.h"
#include "mm/page.h"

enum { SLP_EN = 1 << 13, SLP_TYP_SHIFT = 10, SLEEP_EN_REDUCED = 1 << 5, SLEEP_TYP_REDUCED = 2 };

/* A register write must have time to take effect: under an emulator that is one exit. */
static void settle(void)
{
	for (int i = 0; i < 10000; i++)
		inb(0x80);
}

static void write_register(uint64_t address, bool is_io, uint8_t v)
{
	if (is_io)
		outb((uint16_t)address, v);
	else
		*(volatile uint8_t *)mmio_map(address, 1) = v;
}

/* A descriptor table without entries: the next exception is a triple fault, which resets. */
static NORETURN void triple_fault(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = {0, 0};
	asm volatile("lidt %0; ud2" : : "m"(none));
	for (;;)
		irq_disable();
}

void machine_reset(void)
{
	console_flush();
	irq_disable();
	if (machine.reset_reg) {
		write_register(machine.reset_reg, machine.reset_is_io, machine.reset_value);
		settle();
	}
	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
	settle();
	outb(0x64, 0xfe); /* keyboard controller: pulse the reset line */
	settle();
	triple_fault();
}

void machine_power_off(void)
{
	console_flush();
	irq_disable();
	if (machine.hw_reduced && machine.sleep_control) {
		write_register(machine.sleep_control, machine.sleep_is_io,
		    (uint8_t)(SLEEP_EN_REDUCED | machine.slp_typ5 << SLEEP_TYP_REDUCED));
		settle();
	}
	if (machine.pm1a_cnt) {
		uint16_t v = (uint16_t)(SLP_EN | machine.slp_typ5 << SLP_TYP_SHIFT);
		outw((uint16_t)machine.pm1a_cnt, v);
		if (machine.pm1b_cnt)
			outw((uint16_t)machine.pm1b_cnt, v);
		settle();
	}
	outw(0x604, SLP_EN);  /* QEMU q35 and pc, when ACPI tables are missing */
	outw(0xb004, SLP_EN); /* Bochs and old QEMU */
	settle();
	machine_reset();
}
