#include "too-big.h"

#include "bytes.h"
#include "checksum.h"

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define ICMP_HEADER 8
#define ICMPV4_ANSWER_AT_MOST 576
#define HOP_LIMIT 64
#define TOS_INTERNETWORK_CONTROL 0xc0 /* RFC 1812 4.3.2.5 */
#define ICMPV6_REDIRECT 137

static bool is_unicast(const struct packet *view, const uint8_t *address) {
  static const uint8_t zero[15];
  if (view->family == 4) return address[0] != 0 && address[0] != 127 && address[0] < 224;
  if (address[0] == 0xff) return false;
  return memcmp(address, zero, 15) != 0 || address[15] > 1; /* neither :: nor ::1 */
}

static bool may_be_answered(const struct packet *view) {
  if (!view->may_not_fragment || view->part == PACKET_LATER_FRAGMENT || packet_is_icmp_error(view)) return false;
  if (view->protocol == PROTOCOL_ICMPV6 && view->icmp_type == ICMPV6_REDIRECT) return false;
  /* RFC 1122 3.2.2: none for IPv4 multicast. RFC 4443 2.4(e.3) lets "packet too big" answer IPv6 multicast. */
  return is_unicast(view, view->source) && (view->family == 6 || is_unicast(view, view->destination));
}

static size_t answer_ipv4(uint8_t *into, const uint8_t *packet, const struct packet *view, const uint8_t *gateway, uint16_t mtu) {
  const size_t most = ICMPV4_ANSWER_AT_MOST - IPV4_HEADER - ICMP_HEADER;
  size_t quoted = view->total_length < most ? view->total_length : most;
  size_t length = IPV4_HEADER + ICMP_HEADER + quoted;
  memset(into, 0, IPV4_HEADER + ICMP_HEADER);
  into[0] = 0x45;
  into[1] = TOS_INTERNETWORK_CONTROL;
  put16(into + 2, (uint32_t)length);
  into[8] = HOP_LIMIT;
  into[9] = PROTOCOL_ICMP;
  memcpy(into + 12, gateway, 4);
  memcpy(into + 16, view->source, 4);
  checksum_store(into + 10, checksum_add(into, IPV4_HEADER, 0));
  uint8_t *icmp = into + IPV4_HEADER;
  icmp[0] = 3; /* unreachable: */
  icmp[1] = 4; /* fragmentation needed, RFC 1191 */
  put16(icmp + 6, mtu);
  memcpy(icmp + ICMP_HEADER, packet, quoted);
  checksum_store(icmp + 2, checksum_add(icmp, ICMP_HEADER + quoted, 0));
  return length;
}

static size_t answer_ipv6(uint8_t *into, const uint8_t *packet, const struct packet *view, const uint8_t *gateway, uint16_t mtu) {
  const size_t most = TOO_BIG_ANSWER_AT_MOST - IPV6_HEADER - ICMP_HEADER;
  size_t quoted = view->total_length < most ? view->total_length : most;
  size_t icmp_length = ICMP_HEADER + quoted;
  memset(into, 0, IPV6_HEADER + ICMP_HEADER);
  into[0] = 0x60;
  put16(into + 4, (uint32_t)icmp_length);
  into[6] = PROTOCOL_ICMPV6;
  into[7] = HOP_LIMIT;
  memcpy(into + 8, gateway, 16);
  memcpy(into + 24, view->source, 16);
  uint8_t *icmp = into + IPV6_HEADER;
  icmp[0] = 2; /* packet too big */
  put32(icmp + 4, mtu);
  memcpy(icmp + ICMP_HEADER, packet, quoted);
  uint64_t pseudo = checksum_pseudo(6, gateway, view->source, PROTOCOL_ICMPV6, (uint32_t)icmp_length);
  checksum_store(icmp + 2, checksum_add(icmp, icmp_length, pseudo));
  return IPV6_HEADER + icmp_length;
}

size_t too_big_answer(uint8_t into[TOO_BIG_ANSWER_AT_MOST], const uint8_t *packet, const struct packet *view,
                      const uint8_t *gateway, uint16_t mtu) {
  if (!may_be_answered(view)) return 0;
  return view->family == 4 ? answer_ipv4(into, packet, view, gateway, mtu) : answer_ipv6(into, packet, view, gateway, mtu);
}

/* The options whose first bit is set go into every fragment (RFC 791). They were walked when the packet was read. */
static uint16_t copy_options(uint8_t *later, const uint8_t *packet, size_t header) {
  size_t length = IPV4_HEADER;
  for (size_t at = IPV4_HEADER; at < header && packet[at] != 0;) {
    size_t size = packet[at] == 1 ? 1 : at + 1 < header && packet[at + 1] >= 2 ? packet[at + 1] : header - at;
    if (at + size > header) break;
    if ((packet[at] & 0x80) != 0) {
      memcpy(later + length, packet + at, size);
      length += size;
    }
    at += size;
  }
  while (length % 4 != 0) later[length++] = 0;
  return (uint16_t)length;
}

bool ipv4_fragment_start(struct ipv4_fragmenter *fragmenter, const uint8_t *packet, const struct packet *view, uint16_t mtu) {
  if (view->family != 4 || view->may_not_fragment || mtu < view->transport + 8) return false;
  fragmenter->packet = packet;
  fragmenter->total = view->total_length;
  fragmenter->header = fragmenter->later_header = view->transport;
  fragmenter->at = view->transport;
  fragmenter->mtu = mtu;
  memcpy(fragmenter->later, packet, IPV4_HEADER);
  fragmenter->later_header = copy_options(fragmenter->later, packet, view->transport);
  fragmenter->later[0] = (uint8_t)(0x40 | fragmenter->later_header / 4);
  return true;
}

static bool is_first(const struct ipv4_fragmenter *fragmenter) { return fragmenter->at == fragmenter->header; }

size_t ipv4_fragment_length(const struct ipv4_fragmenter *fragmenter) {
  uint32_t left = fragmenter->total - fragmenter->at;
  if (left == 0) return 0;
  uint32_t header = is_first(fragmenter) ? fragmenter->header : fragmenter->later_header;
  uint32_t room = (uint32_t)fragmenter->mtu - header;
  return header + (left <= room ? left : room & ~7U);
}

void ipv4_fragment_next(struct ipv4_fragmenter *fragmenter, uint8_t *into) {
  uint32_t length = (uint32_t)ipv4_fragment_length(fragmenter);
  uint32_t header = is_first(fragmenter) ? fragmenter->header : fragmenter->later_header;
  memcpy(into, is_first(fragmenter) ? fragmenter->packet : fragmenter->later, header);
  memcpy(into + header, fragmenter->packet + fragmenter->at, length - header);
  /* A fragment may be split again: its own offset and MF count on. */
  uint32_t fragment = (uint32_t)get16(fragmenter->packet + 6) + (fragmenter->at - fragmenter->header) / 8;
  fragmenter->at += length - header;
  if (fragmenter->at < fragmenter->total) fragment |= 0x2000;
  put16(into + 2, length);
  put16(into + 6, fragment);
  put16(into + 10, 0);
  checksum_store(into + 10, checksum_add(into, header, 0));
}
