// sources: mss-clamp.c packet.c checksum.c
/* The input: MTU 16 | a packet. */
#include "mss-clamp.h"

#include "made-packets.h"

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  static const uint8_t options[][12] = {
      {2, 4, 5, 180, 4, 2, 8, 10, 0, 1, 2, 3}, /* as Linux sends it */
      {1, 2, 4, 5, 180, 1, 1, 1, 1, 1, 1, 0},  /* across two words */
      {3, 3, 7, 2, 4, 35, 40, 1, 0, 0, 0, 0},
      {2, 4, 1, 0, 2, 4, 255, 255, 2, 5, 1, 1},
  };
  (void)room;
  struct made made = {
      .family = random & 1 ? 4 : 6, .protocol = PROTOCOL_TCP, .flags = random & 2 ? TCP_SYN : TCP_SYN | TCP_ACK, .client = 2,
      .remote = 9, .client_port = (uint16_t)(random >> 16), .remote_port = 443, .sequence = (uint32_t)(random >> 8),
      .options = options[random >> 2 & 3], .options_length = 12, .payload_length = random >> 4 & 7,
  };
  put16(into, (uint32_t)(576 + (random >> 40 & 1023)));
  return 2 + make_packet(&made, into + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct packet view, again;
  if (length < 2 || !packet_read(bytes + 2, length - 2, &view)) return 0;
  uint16_t mtu = get16(bytes);
  uint32_t overhead = view.family == 4 ? 40 : 60;
  uint8_t *packet = fuzz_copy(bytes + 2, view.total_length);
  const uint8_t *original = bytes + 2;
  bool was_right = view.protocol == PROTOCOL_TCP && view.part == PACKET_WHOLE && naive_transport_sum(packet, &view) == 0xffff;
  bool is_changed = mss_clamp(packet, &view, mtu);
  HOLDS(is_changed == (memcmp(packet, original, view.total_length) != 0));
  HOLDS(packet_read(packet, view.total_length, &again) && memcmp(&view, &again, sizeof view) == 0);
  if (was_right) HOLDS(naive_transport_sum(packet, &view) == 0xffff);
  uint32_t changed = 0;
  for (uint32_t at = 0; at < view.total_length; at++) {
    bool is_checksum = at == view.transport + 16U || at == view.transport + 17U;
    if (is_checksum || packet[at] == original[at]) continue;
    HOLDS(at >= view.transport + 20U && at < view.payload);
    changed++;
  }
  if (is_changed) HOLDS((view.tcp_flags & TCP_SYN) != 0 && changed > 0 && mtu > overhead);
  /* Nothing is left to lower. */
  HOLDS(!mss_clamp(packet, &view, mtu));
  free(packet);
  return 0;
}
