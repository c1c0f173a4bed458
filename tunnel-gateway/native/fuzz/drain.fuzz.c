// sources: drain.c packet.c
/* The input: a packet. */
#include "drain.h"

#include "made-packets.h"

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  static const uint8_t options[][12] = {
      {1, 1, 5, 10, 0, 0, 9, 0, 0, 0, 9, 200}, /* as Linux sends it */
      {5, 10, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0},
      {5, 2, 1, 1, 5, 9, 0, 0, 0, 0, 0, 9},
      {1, 1, 1, 5, 18, 0, 0, 0, 0, 0, 0, 0}, /* ends behind the header */
  };
  (void)room;
  struct made made = {
      .family = random & 1 ? 4 : 6, .protocol = PROTOCOL_TCP, .flags = TCP_ACK, .client = 2, .remote = 9,
      .client_port = (uint16_t)(random >> 16), .remote_port = 443, .acknowledged = (uint32_t)(random >> 24),
      .options = options[random >> 2 & 3], .options_length = 12,
  };
  return make_packet(&made, into);
}

/* Any four bytes of the options: what is newer than all that is acknowledged was read from there. */
static bool is_among_options(const uint8_t *packet, const struct packet *view, uint32_t number) {
  for (uint32_t at = view->transport + 20U; at + 4 <= view->payload; at++)
    if (get32(packet + at) == number) return true;
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct packet view;
  if (!packet_read(bytes, length, &view) || (view.tcp_flags & TCP_ACK) == 0) return 0;
  uint8_t *packet = fuzz_copy(bytes, view.total_length);
  uint32_t acknowledged = get32(packet + view.transport + 8), newest = drain_newest(packet, &view);
  HOLDS(newest == acknowledged || ((int32_t)(newest - acknowledged) > 0 && is_among_options(packet, &view, newest)));
  free(packet);
  return 0;
}
