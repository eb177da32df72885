/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet sockets on the loopback: frames seen and sent, filters, the mapped ring, refusals. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include "check.h"
#include "net.h"

static int packet_open(int type, int protocol)
{
	int fd = socket(AF_PACKET, type | SOCK_CLOEXEC, htons((uint16_t)protocol));
	struct sockaddr_ll a = {
	    .sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = 1};
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
	return fd;
}

/* Sends a datagram to a port of 127.0.0.1. */
static void send_datagram(int port, const char *text)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = net_in("127.0.0.1", port);
	CHECK(sendto(s, text, strlen(text), 0, (struct sockaddr *)&a, sizeof a) ==
	      (ssize_t)strlen(text));
	close(s);
}

static int udp_bound(int *port)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = net_in("127.0.0.1", 0);
	CHECK(bind(s, (struct sockaddr *)&a, sizeof a) == 0);
	*port = net_port(s);
	return s;
}

static void ip_header(unsigned char *h, int protocol, int payload)
{
	struct iphdr ip = {.version = 4,
	    .ihl = 5,
	    .ttl = 64,
	    .protocol = (uint8_t)protocol,
	    .tot_len = htons((uint16_t)(20 + payload)),
	    .saddr = htonl(INADDR_LOOPBACK),
	    .daddr = htonl(INADDR_LOOPBACK)};
	uint32_t sum = 0;
	uint16_t words[10];
	memcpy(words, &ip, 20);
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip.check = (uint16_t) ~(sum + (sum >> 16));
	memcpy(h, &ip, 20);
}

/* Waits for a datagram to the port in what the socket sees; the frame's length or -1. */
static ssize_t see_datagram(int fd, int port, unsigned char *f, size_t size, struct sockaddr_ll *ll)
{
	struct pollfd p = {fd, POLLIN, 0};
	socklen_t n = sizeof *ll;
	while (poll(&p, 1, 5000) == 1) {
		ssize_t len = recvfrom(fd, f, size, 0, (struct sockaddr *)ll, &n);
		if (len >= 42 && f[23] == 17 && (f[36] << 8 | f[37]) == port &&
		    ll->sll_pkttype == PACKET_HOST)
			return len;
	}
	return -1;
}

static void test_raw(void)
{
	unsigned char f[2048];
	struct sockaddr_ll ll;
	int port, u = udp_bound(&port), fd = packet_open(SOCK_RAW, ETH_P_ALL);
	socklen_t n = sizeof ll;
	CHECK(getsockname(fd, (struct sockaddr *)&ll, &n) == 0 && ll.sll_ifindex == 1 &&
	      ll.sll_hatype == 772);
	send_datagram(port, "seen");
	CHECK(see_datagram(fd, port, f, sizeof f, &ll) == 14 + 20 + 8 + 4);
	CHECK(!memcmp(f + 42, "seen", 4) && f[12] == 8 && f[13] == 0);
	CHECK(ll.sll_ifindex == 1 && ll.sll_protocol == htons(ETH_P_IP));
	/* The datagram itself was delivered too. */
	CHECK(recv(u, f, sizeof f, 0) == 4);
	struct timeval tv;
	CHECK(ioctl(fd, 0x8906 /* SIOCGSTAMP */, &tv) == 0 && tv.tv_sec > 1600000000);
	CHECK_ERR(recv(fd, f, sizeof f, MSG_DONTWAIT) < 0 && errno == EAGAIN ? -1 : 0, EAGAIN);
	close(fd);
	close(u);
}

static void test_protocol_choice(void)
{
	unsigned char f[256];
	int port, u = udp_bound(&port), fd = packet_open(SOCK_DGRAM, ETH_P_IPV6);
	send_datagram(port, "not for it");
	CHECK(recv(u, f, sizeof f, 0) == 10);
	CHECK_ERR(recv(fd, f, sizeof f, MSG_DONTWAIT), EAGAIN);
	close(fd);
	fd = packet_open(SOCK_DGRAM, ETH_P_IP);
	send_datagram(port, "for it");
	struct pollfd p = {fd, POLLIN, 0};
	CHECK(poll(&p, 1, 5000) == 1);
	/* Without the link header. */
	CHECK(recv(fd, f, sizeof f, 0) == 34 && f[0] == 0x45 && !memcmp(f + 28, "for it", 6));
	close(fd);
	close(u);
}

static void test_send(void)
{
	unsigned char f[64] = {0};
	int port, u = udp_bound(&port), fd = packet_open(SOCK_RAW, ETH_P_IP);
	int w = packet_open(SOCK_RAW, ETH_P_ALL);
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_IP),
	    .sll_ifindex = 1,
	    .sll_halen = 6};
	struct udphdr h = {.source = htons(9), .dest = htons((uint16_t)port), .len = htons(12)};
	f[12] = 8;
	ip_header(f + 14, 17, 12);
	memcpy(f + 34, &h, 8);
	memcpy(f + 42, "made", 4);
	CHECK(sendto(fd, f, 46, 0, (struct sockaddr *)&to, sizeof to) == 46);
	/* The host takes nothing from 127.0.0.1 that did not come from its own sockets, so look at
	 * the frames only. */
	struct sockaddr_ll ll;
	unsigned char got[256];
	CHECK(see_datagram(w, port, got, sizeof got, &ll) == 46 && !memcmp(got + 42, "made", 4));
	int d = packet_open(SOCK_DGRAM, ETH_P_IP);
	CHECK(sendto(d, f + 14, 32, 0, (struct sockaddr *)&to, sizeof to) == 32);
	CHECK(see_datagram(w, port, got, sizeof got, &ll) == 46 && !memcmp(got + 42, "made", 4));
	to.sll_ifindex = 4711;
	CHECK_ERR(sendto(d, f, 32, 0, (struct sockaddr *)&to, sizeof to), ENXIO);
	close(d);
	close(w);
	close(fd);
	close(u);
}

static void attach(int fd, struct sock_filter *code, int n, int error)
{
	struct sock_fprog p = {(unsigned short)n, code};
	errno = 0;
	CHECK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p) == (error ? -1 : 0) &&
	      errno == error);
}

static void test_filter(void)
{
	int port, u = udp_bound(&port), other, v = udp_bound(&other);
	int fd = packet_open(SOCK_RAW, ETH_P_ALL);
	unsigned char f[256];
	struct sockaddr_ll ll;
	struct sock_filter to_port[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 5), BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
	    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)port, 0, 2),
	    BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_RET | BPF_K, 44),
	    BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_filter bad[] = {
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 9, 0), BPF_STMT(BPF_RET | BPF_K, 1)};
	struct sock_filter no_end[] = {BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0)};
	struct sock_filter by_zero[] = {
	    BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 1)};
	struct sock_filter memory[] = {BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET | BPF_K, 1)};
	attach(fd, bad, 2, EINVAL);
	attach(fd, no_end, 1, EINVAL);
	attach(fd, by_zero, 2, EINVAL);
	attach(fd, memory, 2, EINVAL);
	attach(fd, to_port, 8, 0);
	while (recv(fd, f, sizeof f, MSG_DONTWAIT) > 0)
		;
	send_datagram(other, "filtered away");
	send_datagram(port, "let through");
	/* Cut to 44 bytes by the filter. */
	CHECK(see_datagram(fd, port, f, sizeof f, &ll) == 44 && !memcmp(f + 42, "le", 2));
	CHECK(recv(v, f, sizeof f, 0) == 13 && recv(u, f, sizeof f, 0) == 11);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, NULL, 0) == 0 || errno == EINVAL);
	close(fd);
	close(u);
	close(v);
}

static void test_ring(void)
{
	int fd = packet_open(SOCK_RAW, ETH_P_ALL), v = TPACKET_V2, seen = 0;
	struct tpacket_req q = {
	    .tp_block_size = 16384, .tp_block_nr = 2, .tp_frame_size = 2048, .tp_frame_nr = 16};
	socklen_t n = sizeof v;
	CHECK(getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &v, &n) == 0 &&
	      v == sizeof(struct tpacket2_hdr));
	v = TPACKET_V2;
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &v, sizeof v) == 0);
	struct tpacket_req bad = q;
	bad.tp_frame_nr = 17;
	CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &bad, sizeof bad), EINVAL);
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &q, sizeof q) == 0);
	char *ring = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(ring != MAP_FAILED);
	if (ring == MAP_FAILED)
		return;
	int port, u = udp_bound(&port);
	unsigned slot = 0;
	for (int i = 0; i < 40; i++) {
		char text[8];
		snprintf(text, sizeof text, "ring%02d", i);
		send_datagram(port, text);
		for (int tries = 0; tries < 50 && seen <= i; tries++) {
			struct tpacket2_hdr *h = (void *)(ring + slot * 2048);
			struct pollfd p = {fd, POLLIN, 0};
			if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
				poll(&p, 1, 1000);
				continue;
			}
			struct sockaddr_ll *ll = (void *)((char *)h + TPACKET_ALIGN(sizeof *h));
			unsigned char *f = (unsigned char *)h + h->tp_mac;
			if (ll->sll_pkttype == PACKET_HOST && h->tp_len == 48 && f[23] == 17 &&
			    (f[36] << 8 | f[37]) == port && !memcmp(f + 42, text, 6) &&
			    h->tp_net == h->tp_mac + 14 && h->tp_snaplen == 48)
				seen++;
			__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
			slot = (slot + 1) % 16;
		}
	}
	CHECK(seen == 40);
	/* Nobody empties the ring: frames are lost and counted, nothing else happens. */
	for (int i = 0; i < 40; i++)
		send_datagram(port, "flood!");
	struct tpacket_stats st;
	n = sizeof st;
	CHECK(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &n) == 0 && st.tp_packets >= 80 &&
	      st.tp_drops >= 20);
	q = (struct tpacket_req){0};
	CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &q, sizeof q), EBUSY);
	CHECK(munmap(ring, 32768) == 0);
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &q, sizeof q) == 0);
	close(fd);
	close(u);
}

int main(void)
{
	net_private();
	test_raw();
	test_protocol_choice();
	test_send();
	test_filter();
	test_ring();
	CHECK_ERR(socket(AF_PACKET, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
	return check_report();
}
