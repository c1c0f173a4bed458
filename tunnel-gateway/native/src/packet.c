#include "packet.h"

#include "bytes.h"

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define IPV4_DF 0x4000
#define IPV4_MF 0x2000
#define IPV4_OFFSET 0x1fff

/* Options of IPv4 that redirect a packet (RFC 791): loose and strict source route. */
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_LSRR 131
#define OPTION_SSRR 137

/* Extension headers of IPv6 that are walked; all else is a transport. */
#define EXT_HOP_BY_HOP 0
#define EXT_ROUTING 43
#define EXT_FRAGMENT 44
#define EXT_AUTHENTICATION 51
#define EXT_DESTINATION 60
#define EXT_HEADERS_AT_MOST 8

/* `there`: bytes present, at most total_length. */
struct source {
  const uint8_t *bytes;
  size_t there;
  bool is_quoted;
};

/* No option that sends the packet elsewhere than its destination says. */
static bool options_are_fit(const uint8_t *option, size_t left) {
  while (left > 0 && *option != OPTION_END) {
    size_t length = *option == OPTION_NOP ? 1 : left < 2 ? 0 : option[1];
    if (length > left || (length < 2 && *option != OPTION_NOP)) return false;
    if (*option == OPTION_LSRR || *option == OPTION_SSRR) return false;
    option += length;
    left -= length;
  }
  return true;
}

/* A fragment may hide or overwrite no part of a transport header that was judged. `offset` in bytes. */
static bool fragment_is_fit(const struct packet *packet, uint32_t offset, bool has_more) {
  uint32_t carried = packet->total_length - packet->transport;
  if (carried == 0 || offset + carried > 0xffff) return false;
  if (has_more && carried % 8 != 0) return false;
  return !(packet->protocol == PROTOCOL_TCP && offset > 0 && offset < 16);
}

static bool read_ipv4(struct source *source, struct packet *packet) {
  const uint8_t *bytes = source->bytes;
  if (source->there < IPV4_HEADER) return false;
  size_t header = (size_t)(bytes[0] & 15) * 4;
  packet->total_length = get16(bytes + 2);
  if (header < IPV4_HEADER || header > source->there || packet->total_length < header) return false;
  if (packet->total_length < source->there) source->there = packet->total_length;
  else if (packet->total_length > source->there && !source->is_quoted) return false;
  packet->has_options = header > IPV4_HEADER;
  if (packet->has_options && !options_are_fit(bytes + IPV4_HEADER, header - IPV4_HEADER)) return false;
  uint16_t fragment = get16(bytes + 6);
  packet->may_not_fragment = (fragment & IPV4_DF) != 0;
  packet->transport = (uint16_t)header;
  packet->protocol = bytes[9];
  packet->fragment_id = get16(bytes + 4);
  memcpy(packet->source, bytes + 12, 4);
  memcpy(packet->destination, bytes + 16, 4);
  uint32_t offset = (uint32_t)(fragment & IPV4_OFFSET) * 8;
  bool has_more = (fragment & IPV4_MF) != 0;
  if (offset == 0 && !has_more) return true;
  packet->part = offset == 0 ? PACKET_FIRST_FRAGMENT : PACKET_LATER_FRAGMENT;
  return fragment_is_fit(packet, offset, has_more);
}

/* Length of the extension header of `type` at `at`, of which `left` bytes are there; 0 where it is none or malformed. */
static size_t extension_length(uint8_t type, const uint8_t *at, size_t left) {
  if (left < 8) return 0;
  size_t length = type == EXT_FRAGMENT ? 8 : type == EXT_AUTHENTICATION ? ((size_t)at[1] + 2) * 4 : ((size_t)at[1] + 1) * 8;
  /* A routing header whose segments are not used up: the destination is not the last one. */
  if (type == EXT_ROUTING && at[3] != 0) return 0;
  return length <= left && length % 8 == 0 ? length : 0;
}

static bool is_extension(uint8_t type) {
  return type == EXT_HOP_BY_HOP || type == EXT_ROUTING || type == EXT_FRAGMENT || type == EXT_AUTHENTICATION ||
         type == EXT_DESTINATION;
}

static bool read_ipv6(struct source *source, struct packet *packet) {
  const uint8_t *bytes = source->bytes;
  if (source->there < IPV6_HEADER) return false;
  packet->total_length = IPV6_HEADER + (uint32_t)get16(bytes + 4);
  if (packet->total_length < source->there) source->there = packet->total_length;
  else if (packet->total_length > source->there && !source->is_quoted) return false;
  packet->may_not_fragment = true;
  memcpy(packet->source, bytes + 8, 16);
  memcpy(packet->destination, bytes + 24, 16);
  size_t at = IPV6_HEADER;
  uint8_t next = bytes[6];
  bool is_fragment = false;
  for (int headers = 0; is_extension(next); headers++) {
    size_t length = extension_length(next, bytes + at, source->there - at);
    if (length == 0 || headers == EXT_HEADERS_AT_MOST || (next == EXT_HOP_BY_HOP && headers > 0)) return false;
    bool is_fragment_header = next == EXT_FRAGMENT;
    if (is_fragment_header && is_fragment) return false;
    next = bytes[at];
    at += length;
    if (!is_fragment_header) continue;
    is_fragment = true;
    uint16_t fragment = get16(bytes + at - 6);
    uint32_t offset = fragment & 0xfff8;
    bool has_more = (fragment & 1) != 0;
    packet->fragment_id = get32(bytes + at - 4);
    packet->part = offset > 0 ? PACKET_LATER_FRAGMENT : has_more ? PACKET_FIRST_FRAGMENT : PACKET_WHOLE;
    packet->protocol = next;
    packet->transport = (uint16_t)at;
    if (packet->part != PACKET_WHOLE && !fragment_is_fit(packet, offset, has_more)) return false;
    if (offset > 0) break; /* what follows is in the middle of something */
  }
  packet->has_options = at > IPV6_HEADER;
  packet->protocol = next;
  packet->transport = (uint16_t)at;
  return true;
}

static bool read_tcp(const struct source *source, const uint8_t *header, size_t there, struct packet *packet) {
  if (there < (source->is_quoted ? 8 : 20)) return false;
  packet->source_port = get16(header);
  packet->destination_port = get16(header + 2);
  if (source->is_quoted) return true;
  size_t length = (size_t)(header[12] >> 4) * 4;
  if (length < 20 || length > there) return false;
  packet->tcp_flags = header[13];
  packet->payload = (uint16_t)(packet->transport + length);
  return true;
}

static bool read_udp(const struct source *source, const uint8_t *header, size_t there, struct packet *packet) {
  if (there < 8) return false;
  packet->source_port = get16(header);
  packet->destination_port = get16(header + 2);
  uint16_t length = get16(header + 4);
  if (length < 8) return false;
  if (source->is_quoted) return true;
  /* A length over what is there is right in the first of several fragments alone. */
  if (length > there && packet->part == PACKET_WHOLE) return false;
  packet->payload = (uint16_t)(packet->transport + 8);
  return true;
}

static bool read_icmp(const struct source *source, const uint8_t *header, size_t there, struct packet *packet) {
  if (there < 8) return false;
  packet->icmp_type = header[0];
  packet->icmp_code = header[1];
  if (packet_is_icmp_echo(packet)) packet->icmp_id = get16(header + 4);
  if (!source->is_quoted) packet->payload = (uint16_t)(packet->transport + 8);
  return true;
}

static bool read_transport(const struct source *source, struct packet *packet) {
  packet->payload = packet->transport;
  if (packet->part == PACKET_LATER_FRAGMENT) return true;
  const uint8_t *header = source->bytes + packet->transport;
  size_t there = source->there - packet->transport;
  if (packet->protocol == PROTOCOL_TCP) return read_tcp(source, header, there, packet);
  if (packet->protocol == PROTOCOL_UDP) return read_udp(source, header, there, packet);
  if (packet->protocol == (packet->family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6)) return read_icmp(source, header, there, packet);
  return true;
}

static bool read_packet(struct source source, struct packet *packet) {
  memset(packet, 0, sizeof *packet);
  if (source.there == 0) return false;
  packet->family = source.bytes[0] >> 4;
  if (packet->family != 4 && packet->family != 6) return false;
  bool is_fit = packet->family == 4 ? read_ipv4(&source, packet) : read_ipv6(&source, packet);
  return is_fit && read_transport(&source, packet);
}

bool packet_read(const uint8_t *bytes, size_t length, struct packet *packet) {
  return read_packet((struct source){.bytes = bytes, .there = length}, packet);
}

bool packet_read_quoted(const uint8_t *bytes, size_t length, struct packet *packet) {
  return read_packet((struct source){.bytes = bytes, .there = length, .is_quoted = true}, packet);
}

bool packet_is_icmp_error(const struct packet *packet) {
  if (packet->part == PACKET_LATER_FRAGMENT) return false;
  if (packet->family == 4 && packet->protocol == PROTOCOL_ICMP)
    return packet->icmp_type == 3 || packet->icmp_type == 11 || packet->icmp_type == 12;
  return packet->family == 6 && packet->protocol == PROTOCOL_ICMPV6 && packet->icmp_type >= 1 && packet->icmp_type <= 4;
}

bool packet_is_icmp_echo(const struct packet *packet) {
  if (packet->part == PACKET_LATER_FRAGMENT) return false;
  if (packet->family == 4 && packet->protocol == PROTOCOL_ICMP) return packet->icmp_type == 0 || packet->icmp_type == 8;
  return packet->family == 6 && packet->protocol == PROTOCOL_ICMPV6 && (packet->icmp_type == 128 || packet->icmp_type == 129);
}
