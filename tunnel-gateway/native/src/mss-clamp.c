#include "mss-clamp.h"

#include <stddef.h>
#include "bytes.h"
#include "checksum.h"

#define TCP_HEADER 20
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2

/* RFC 9293: the checksum covers 16-bit words from the header's begin, an option may lie across two. */
static void replace_mss(uint8_t *header, size_t at, uint16_t mss) {
  size_t first = at & ~(size_t)1, last = (at + 1) & ~(size_t)1;
  uint16_t before[2] = {load16(header + first), load16(header + last)};
  put16(header + at, mss);
  checksum_replace(header + 16, before[0], load16(header + first));
  if (last != first) checksum_replace(header + 16, before[1], load16(header + last));
}

bool mss_clamp(uint8_t *packet, const struct packet *view, uint16_t mtu) {
  uint16_t overhead = view->family == 4 ? 40 : 60;
  if (view->protocol != PROTOCOL_TCP || view->part != PACKET_WHOLE || (view->tcp_flags & TCP_SYN) == 0) return false;
  if (mtu <= overhead) return false;
  uint16_t most = (uint16_t)(mtu - overhead);
  uint8_t *header = packet + view->transport;
  size_t end = (size_t)(view->payload - view->transport);
  bool is_changed = false;
  for (size_t at = TCP_HEADER; at < end && header[at] != OPTION_END;) {
    if (header[at] == OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 1 >= end || header[at + 1] < 2 || at + header[at + 1] > end) break;
    if (header[at] == OPTION_MSS && header[at + 1] == 4 && get16(header + at + 2) > most) {
      replace_mss(header, at + 2, most);
      is_changed = true;
    }
    at += header[at + 1];
  }
  return is_changed;
}
