// sources: packet.c checksum.c
#include "made-packets.h"

/* A packet of any protocol, perhaps with options, extension headers, or as a fragment. */
size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  static const uint8_t protocols[] = {PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP, PROTOCOL_ICMPV6};
  (void)room;
  struct made made = {
      .family = random & 1 ? 4 : 6, .protocol = protocols[random >> 1 & 3], .flags = (uint8_t)(random >> 8),
      .client = 2, .remote = 9, .client_port = 5000, .remote_port = 443, .payload_length = random >> 16 & 127,
  };
  size_t length = make_packet(&made, into);
  unsigned shape = random >> 24 & 3;
  if (made.family == 4 && shape == 1) put16(into + 6, random >> 32 & 0x203f);
  if (made.family == 4 && shape == 2) { /* options: router alert and an end */
    memmove(into + 28, into + 20, length - 20);
    memcpy(into + 20, "\x94\x04\0\0\x01\x01\0\0", 8);
    into[0] = 0x47;
    put16(into + 2, (uint32_t)(length += 8));
  }
  if (made.family == 6 && shape != 0) {
    static const uint8_t headers[] = {0, 44, 60, 43};
    memmove(into + 48, into + 40, length - 40);
    memset(into + 40, 0, 8);
    into[40] = into[6];
    into[6] = headers[shape];
    if (shape == 1) put16(into + 42, random >> 32 & 0x01f9);
    put16(into + 4, (uint32_t)((length += 8) - 40));
  }
  return length;
}

static void check_fields(const uint8_t *bytes, size_t length, const struct packet *packet, bool is_quoted) {
  HOLDS(packet->family == bytes[0] >> 4);
  HOLDS(packet->total_length == (packet->family == 4 ? get16(bytes + 2) : 40U + get16(bytes + 4)));
  HOLDS(is_quoted || packet->total_length <= length);
  HOLDS(packet->transport >= (packet->family == 4 ? 20 : 40) && packet->payload >= packet->transport);
  HOLDS(packet->payload <= packet->total_length && packet->payload <= length);
  HOLDS(packet->part <= PACKET_LATER_FRAGMENT);
  HOLDS(packet->has_options == (packet->transport > (packet->family == 4 ? 20 : 40)));
  bool has_ports = (packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP) && packet->part != PACKET_LATER_FRAGMENT;
  HOLDS(packet->source_port == (has_ports ? get16(bytes + packet->transport) : 0));
  HOLDS(packet->destination_port == (has_ports ? get16(bytes + packet->transport + 2) : 0));
  if (packet->family == 4) {
    static const uint8_t zero[12];
    HOLDS(memcmp(packet->source, bytes + 12, 4) == 0 && memcmp(packet->destination, bytes + 16, 4) == 0);
    HOLDS(memcmp(packet->source + 4, zero, 12) == 0 && memcmp(packet->destination + 4, zero, 12) == 0);
    HOLDS((packet->part == PACKET_LATER_FRAGMENT) == ((get16(bytes + 6) & 0x1fff) != 0));
  } else {
    HOLDS(memcmp(packet->source, bytes + 8, 16) == 0 && memcmp(packet->destination, bytes + 24, 16) == 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct packet packet, again;
  if (packet_read_quoted(bytes, length, &packet)) check_fields(bytes, length, &packet, true);
  if (!packet_read(bytes, length, &packet)) return 0;
  check_fields(bytes, length, &packet, false);
  /* What is behind the packet is no part of it; the packet without its last byte is none. */
  uint8_t *exact = fuzz_copy(bytes, packet.total_length);
  HOLDS(packet_read(exact, packet.total_length, &again) && memcmp(&packet, &again, sizeof packet) == 0);
  HOLDS(!packet_read(exact, packet.total_length - 1, &again));
  HOLDS(packet_read_quoted(exact, packet.total_length, &again) && again.transport == packet.transport);
  free(exact);
  return 0;
}
