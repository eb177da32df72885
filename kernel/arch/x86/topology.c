/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processor topology and features from CPUID. All CPUs of a virtual machine are of one model, so
 * the leaves are read on whichever CPU asks; only APIC ids differ.
 */
#include "arch/x86/topology.h"
#include "arch/x86/clock.h"
#include "arch/x86/cpu.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "lib/seqbuf.h"
#include "lib/string.h"

uint64_t topology_online(void)
{
	return ncpus >= 64 ? ~0ull : (1ull << ncpus) - 1;
}

static unsigned max_leaf(unsigned base)
{
	uint32_t r[4];
	cpuid(base, 0, r);
	return r[0];
}

static unsigned bits_for(unsigned n)
{
	unsigned bits = 0;
	while (1u << bits < n)
		bits++;
	return bits;
}

/* How many low bits of an APIC id number the threads of a core, and all threads of a package. */
static void apic_shifts(unsigned *smt, unsigned *package)
{
	uint32_t r[4];
	*smt = *package = 0;
	if (max_leaf(0) >= 0xb) {
		for (unsigned level = 0; level < 8; level++) {
			cpuid(0xb, level, r);
			unsigned type = r[2] >> 8 & 255;
			if (!type)
				break;
			if (type == 1)
				*smt = r[0] & 31;
			*package = r[0] & 31;
		}
		if (*package)
			return;
	}
	cpuid(1, 0, r);
	if (!(r[3] & 1u << 28))
		return;
	*package = bits_for(r[1] >> 16 & 255);
	if (max_leaf(0) >= 4) {
		uint32_t c[4];
		cpuid(4, 0, c);
		unsigned cores = c[0] & 31 ? (c[0] >> 26) + 1 : 1;
		*smt = *package > bits_for(cores) ? *package - bits_for(cores) : 0;
	}
}

/* CPUs whose APIC ids agree with this CPU's above `shift`. */
static uint64_t same_above(unsigned cpu, unsigned shift)
{
	uint64_t mask = 0;
	for (unsigned i = 0; i < ncpus; i++)
		if (cpus[i]->apic_id >> shift == cpus[cpu]->apic_id >> shift)
			mask |= 1ull << i;
	return mask;
}

struct cpu_place topology_place(unsigned cpu)
{
	unsigned smt, package;
	apic_shifts(&smt, &package);
	uint32_t id = cpus[cpu]->apic_id;
	return (struct cpu_place){
	    .package = id >> package,
	    .core = (id & ((1u << package) - 1)) >> smt,
	    .core_siblings = same_above(cpu, package),
	    .thread_siblings = same_above(cpu, smt),
	};
}

unsigned topology_node(unsigned cpu)
{
	return machine.nnodes && cpu < ARRAY_SIZE(machine.cpu_node) ? machine.cpu_node[cpu] : 0;
}

static bool is_amd(void)
{
	uint32_t r[4];
	cpuid(0, 0, r);
	return r[1] == 0x68747541; /* "Auth" */
}

bool topology_cache(unsigned cpu, unsigned index, struct cache_info *out)
{
	uint32_t r[4];
	if (is_amd() && max_leaf(0x80000000) >= 0x8000001d)
		cpuid(0x8000001d, index, r);
	else if (max_leaf(0) >= 4)
		cpuid(4, index, r);
	else
		return false;
	if (!(r[0] & 31))
		return false;
	unsigned shift = bits_for((r[0] >> 14 & 0xfff) + 1);
	*out = (struct cache_info){
	    .level = r[0] >> 5 & 7,
	    .type = r[0] & 31,
	    .line = (r[1] & 0xfff) + 1,
	    .partitions = (r[1] >> 12 & 0x3ff) + 1,
	    .ways = (r[1] >> 22) + 1,
	    .sets = r[2] + 1,
	    .shared = same_above(cpu, shift),
	    .id = cpus[cpu]->apic_id >> shift,
	};
	out->size = (uint64_t)out->line * out->partitions * out->ways * out->sets;
	return true;
}

/* Feature names as Linux prints them, by leaf, register and bit; one string each, "-" for none. */
struct feature_word {
	uint32_t leaf, sub;
	unsigned reg; /* 0 eax … 3 edx */
	const char *names;
};
static const struct feature_word feature_words[] = {
    {1, 0, 3,
	"fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - "
	"dts "
	"acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
    {0x80000001, 0, 3,
	"- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - "
	"lm "
	"3dnowext 3dnow"},
    {1, 0, 2,
	"pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - "
	"pcid dca "
	"sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand "
	"hypervisor"},
    {0x80000001, 0, 2,
	"lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs "
	"xop skinit "
	"wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc "
	"perfctr_llc "
	"mwaitx - -"},
    {7, 0, 1,
	"fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a "
	"avx512f avx512dq "
	"rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni "
	"avx512bw "
	"avx512vl"},
    {0xd, 1, 0, "xsaveopt xsavec xgetbv1 xsaves"},
    {7, 1, 0, "- - - - avx_vnni avx512_bf16"},
    {0x80000008, 0, 1, "clzero irperf xsaveerptr - rdpru - - - - wbnoinvd"},
    {7, 0, 2,
	"- avx512vbmi umip - - waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni "
	"avx512_bitalg tme "
	"avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - movdiri movdir64b "
	"enqcmd"},
    {7, 0, 3,
	"- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize "
	"- "
	"tsxldtrk - arch_lbr - - - amx_bf16 avx512_fp16 amx_tile amx_int8"},
};

/* Features of the CPU that applications cannot use here must not be advertised. */
static bool offered(const struct feature_word *w, unsigned bit)
{
	if (w->leaf == 7 && !w->sub && w->reg == 2)
		return bit != 3 && bit != 4; /* protection keys */
	return true;
}

static void put_flags(struct seqbuf *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(feature_words); i++) {
		const struct feature_word *w = &feature_words[i];
		uint32_t r[4];
		if (max_leaf(w->leaf & 0x80000000) < w->leaf)
			continue;
		cpuid(w->leaf, w->sub, r);
		const char *p = w->names;
		for (unsigned bit = 0; bit < 32 && *p; bit++) {
			const char *end = strchr(p, ' ');
			size_t n = end ? (size_t)(end - p) : strlen(p);
			if (r[w->reg] >> bit & 1 && *p != '-' && offered(w, bit)) {
				seq_putc(s, ' ');
				seq_write(s, p, n);
			}
			p += n + (end != NULL);
		}
	}
	uint32_t r[4];
	if (max_leaf(0x80000000) >= 0x80000007) {
		cpuid(0x80000007, 0, r);
		if (r[3] & 1u << 8)
			seq_puts(s, " constant_tsc nonstop_tsc");
	}
	seq_puts(s, " rep_good nopl cpuid\n");
}

static void put_model(struct seqbuf *s)
{
	uint32_t r[4];
	char vendor[13] = "", brand[49] = "";
	cpuid(0, 0, r);
	memcpy(vendor, &r[1], 4);
	memcpy(vendor + 4, &r[3], 4);
	memcpy(vendor + 8, &r[2], 4);
	if (max_leaf(0x80000000) >= 0x80000004) {
		for (unsigned i = 0; i < 3; i++) {
			cpuid(0x80000002 + i, 0, r);
			memcpy(brand + 16 * i, r, 16);
		}
	}
	const char *name = brand;
	while (*name == ' ')
		name++;
	cpuid(1, 0, r);
	unsigned family = r[0] >> 8 & 15, model = r[0] >> 4 & 15;
	if (family == 15)
		family += r[0] >> 20 & 255;
	if (family >= 6)
		model += (r[0] >> 16 & 15) << 4;
	seq_printf(s,
	    "vendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n",
	    vendor, family, model, *name ? name : "unknown", r[0] & 15);
}

void topology_cpuinfo(struct seqbuf *s, unsigned cpu)
{
	struct cpu_place place = topology_place(cpu);
	struct cache_info c, last = {0};
	uint32_t r[4];
	for (unsigned i = 0; topology_cache(cpu, i, &c); i++)
		if (c.level >= last.level)
			last = c;
	seq_printf(s, "processor\t: %u\n", cpu);
	put_model(s);
	uint64_t khz = timekeeper.tsc_hz / 1000;
	seq_printf(s, "cpu MHz\t\t: %lu.%03lu\n", khz / 1000, khz % 1000);
	if (last.size)
		seq_printf(s, "cache size\t: %lu KB\n", last.size / 1024);
	unsigned threads = popcount64(place.core_siblings);
	unsigned per_core = MAX(popcount64(place.thread_siblings), 1u);
	seq_printf(s,
	    "physical id\t: %u\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\n"
	    "initial apicid\t: %u\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: "
	    "yes\n"
	    "flags\t\t:",
	    place.package, threads, place.core, threads / per_core, cpus[cpu]->apic_id,
	    cpus[cpu]->apic_id, max_leaf(0));
	put_flags(s);
	cpuid(1, 0, r);
	seq_printf(s, "bugs\t\t:\nbogomips\t: %lu.%02lu\nclflush size\t: %u\n", khz / 500,
	    khz % 500 / 5, (r[1] >> 8 & 255) * 8);
	unsigned physical = 36, virtual = 48;
	if (max_leaf(0x80000000) >= 0x80000008) {
		cpuid(0x80000008, 0, r);
		physical = r[0] & 255;
		virtual = r[0] >> 8 & 255;
	}
	seq_printf(s,
	    "cache_alignment\t: %u\naddress sizes\t: %u bits physical, %u bits virtual\n"
	    "power management:\n\n",
	    CACHE_LINE, physical, virtual);
}
