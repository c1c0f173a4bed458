// sources: packet.c checksum.c
#include "packet.h"

#include "cases.h"

/* As tcpdump shows it: a SYN of 10.0.0.2:40000 to 192.0.2.9:443. */
static const uint8_t syn[40] = {
    0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 192, 0, 2, 9,
    0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xfa, 0xf0, 0, 0, 0, 0,
};

static bool reads(const uint8_t *bytes, size_t length) {
  struct packet packet;
  uint8_t *copy = fuzz_copy(bytes, length);
  bool is_fit = packet_read(copy, length, &packet);
  free(copy);
  return is_fit;
}

static bool reads_changed(size_t at, uint8_t value) {
  uint8_t bytes[sizeof syn];
  memcpy(bytes, syn, sizeof syn);
  bytes[at] = value;
  return reads(bytes, sizeof bytes);
}

static void a_known_segment_is_seen_as_it_is(void) {
  struct packet packet;
  HOLDS(packet_read(syn, sizeof syn, &packet));
  HOLDS(packet.family == 4 && packet.protocol == PROTOCOL_TCP && packet.total_length == 40);
  HOLDS(packet.transport == 20 && packet.payload == 40 && packet.tcp_flags == TCP_SYN);
  HOLDS(packet.source_port == 40000 && packet.destination_port == 443 && packet.fragment_id == 0x1234);
  HOLDS(packet.may_not_fragment && !packet.has_options && packet.part == PACKET_WHOLE);
  HOLDS(memcmp(packet.destination, "\xc0\0\x02\x09\0\0\0\0\0\0\0\0\0\0\0", 16) == 0);
}

static void a_packet_is_as_long_as_it_says(void) {
  uint8_t longer[41] = {0};
  memcpy(longer, syn, sizeof syn);
  HOLDS(!reads(syn, 39) && reads(syn, 40) && reads(longer, 41));
  HOLDS(!reads_changed(3, 41) && !reads_changed(3, 39) && !reads_changed(3, 19));
}

static void the_header_of_ipv4_has_20_to_60_bytes(void) {
  HOLDS(!reads_changed(0, 0x44) && reads_changed(0, 0x45) && !reads_changed(0, 0x4f) && !reads_changed(0, 0x55));
}

static void the_header_of_tcp_lies_within_the_packet(void) {
  HOLDS(!reads_changed(32, 0x40) && reads_changed(32, 0x50) && !reads_changed(32, 0x60));
}

static void a_source_route_of_ipv4_is_refused(void) {
  static const uint8_t options[][4] = {{131, 4, 4, 0}, {137, 4, 4, 0}, {1, 131, 3, 4}, {0, 131, 3, 4},
                                       {7, 4, 4, 0},   {7, 5, 4, 0},   {7, 1, 0, 0},   {1, 1, 1, 7}};
  static const bool is_fit[] = {false, false, false, true, true, false, false, false};
  for (size_t at = 0; at < 8; at++) {
    uint8_t bytes[44];
    memcpy(bytes, syn, 20);
    memcpy(bytes + 20, options[at], 4);
    memcpy(bytes + 24, syn + 20, 20);
    bytes[0] = 0x46;
    bytes[3] = 44;
    HOLDS(reads(bytes, sizeof bytes) == is_fit[at]);
  }
}

static void no_fragment_hides_or_overwrites_a_tcp_header(void) {
  uint8_t bytes[sizeof syn];
  memcpy(bytes, syn, sizeof syn);
  put16(bytes + 6, 1);
  HOLDS(!reads(bytes, 40)); /* RFC 3128 */
  put16(bytes + 6, 2);
  HOLDS(reads(bytes, 40));
  put16(bytes + 6, 0x2000);
  HOLDS(!reads(bytes, 40)); /* 20 bytes before more is no multiple of 8 */
  put16(bytes + 2, 36);
  HOLDS(!reads(bytes, 36)); /* RFC 1858 */
}

static void a_fragment_ends_within_what_a_packet_can_hold(void) {
  uint8_t bytes[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 192, 0, 2, 9};
  put16(bytes + 6, 8190);
  HOLDS(reads(bytes, 28));
  put16(bytes + 6, 8191);
  HOLDS(!reads(bytes, 28));
  put16(bytes + 2, 27);
  HOLDS(reads(bytes, 27));
  put16(bytes + 2, 20);
  HOLDS(!reads(bytes, 20));
}

static void a_udp_datagram_is_as_long_as_it_says(void) {
  uint8_t bytes[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 192, 0, 2, 9, 0, 53, 0, 53, 0, 8};
  HOLDS(reads(bytes, 28));
  bytes[25] = 7;
  HOLDS(!reads(bytes, 28));
  bytes[25] = 9;
  HOLDS(!reads(bytes, 28));
}

/* IPv6 with `count` extension headers of `type`, then UDP. */
static size_t with_extensions(uint8_t *bytes, uint8_t type, size_t count) {
  memset(bytes, 0, 200);
  bytes[0] = 0x60;
  put16(bytes + 4, (uint32_t)(8 * count + 8));
  bytes[6] = count > 0 ? type : PROTOCOL_UDP;
  for (size_t at = 0; at < count; at++) bytes[40 + 8 * at] = at + 1 < count ? type : PROTOCOL_UDP;
  bytes[40 + 8 * count + 5] = 8;
  return 48 + 8 * count;
}

static void extension_headers_are_walked_eight_at_most(void) {
  uint8_t bytes[200];
  struct packet packet;
  size_t length = with_extensions(bytes, 60, 8);
  HOLDS(packet_read(bytes, length, &packet) && packet.transport == 104 && packet.protocol == PROTOCOL_UDP && packet.has_options);
  length = with_extensions(bytes, 60, 9);
  HOLDS(!packet_read(bytes, length, &packet));
}

static void hop_by_hop_options_come_first_and_once(void) {
  uint8_t bytes[200];
  HOLDS(reads(bytes, with_extensions(bytes, 0, 1)));
  HOLDS(!reads(bytes, with_extensions(bytes, 0, 2)));
}

static void a_route_of_ipv6_that_is_not_at_its_end_is_refused(void) {
  uint8_t bytes[200];
  size_t length = with_extensions(bytes, 43, 1);
  HOLDS(reads(bytes, length));
  bytes[43] = 1;
  HOLDS(!reads(bytes, length));
}

static void fragments_of_ipv6_are_told_apart(void) {
  uint8_t bytes[200];
  struct packet packet;
  size_t length = with_extensions(bytes, 44, 1);
  put32(bytes + 44, 77);
  HOLDS(packet_read(bytes, length, &packet) && packet.part == PACKET_WHOLE && packet.fragment_id == 77);
  bytes[43] = 1;
  HOLDS(packet_read(bytes, length, &packet) && packet.part == PACKET_FIRST_FRAGMENT && packet.payload == 56);
  bytes[43] = 8;
  HOLDS(packet_read(bytes, length, &packet) && packet.part == PACKET_LATER_FRAGMENT && packet.payload == packet.transport);
  HOLDS(!reads(bytes, with_extensions(bytes, 44, 2)));
}

static void what_an_icmp_error_quotes_may_be_cut_off_behind_8_bytes(void) {
  struct packet packet;
  HOLDS(!packet_read_quoted(syn, 27, &packet));
  HOLDS(packet_read_quoted(syn, 28, &packet) && packet.destination_port == 443 && packet.tcp_flags == 0);
}

int main(void) {
  RUN(a_known_segment_is_seen_as_it_is);
  RUN(a_packet_is_as_long_as_it_says);
  RUN(the_header_of_ipv4_has_20_to_60_bytes);
  RUN(the_header_of_tcp_lies_within_the_packet);
  RUN(a_source_route_of_ipv4_is_refused);
  RUN(no_fragment_hides_or_overwrites_a_tcp_header);
  RUN(a_fragment_ends_within_what_a_packet_can_hold);
  RUN(a_udp_datagram_is_as_long_as_it_says);
  RUN(extension_headers_are_walked_eight_at_most);
  RUN(hop_by_hop_options_come_first_and_once);
  RUN(a_route_of_ipv6_that_is_not_at_its_end_is_refused);
  RUN(fragments_of_ipv6_are_told_apart);
  RUN(what_an_icmp_error_quotes_may_be_cut_off_behind_8_bytes);
}
