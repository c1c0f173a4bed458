// sources: coalesce.c segment.c packet.c checksum.c
// share: 0.05
/* The input: steps of 4 bytes, each of which makes the next packet of one of several flows, or damages one, or flushes. What comes
 * out, split again, must be what came in: every flow in its order, all else alone. */
#include "coalesce.h"

#include "made-packets.h"
#include "segment.h"

#define FLOWS 24
#define PACKETS_AT_MOST 400
#define PACKET_AT_MOST 1600

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  size_t length = 4 * (size_t)(1 + random % ((random >> 40 & 15) == 0 ? 300 : 40));
  uint64_t state = random;
  uint8_t kinds = (random >> 48 & 3) == 0 ? 0 : (uint8_t)(random >> 8), flows = (uint8_t)(1 + (random >> 16 & 31));
  if (length > room) length = room;
  for (size_t at = 0; at < length; at += 4) {
    uint64_t step = fuzz_random(&state);
    into[at] = (step & 7) != 0 ? 0 : (uint8_t)(step >> 8 & kinds); /* mostly plain data */
    into[at + 1] = (uint8_t)((step >> 16 & 0xff) % flows);
    put16(into + at + 2, kinds == 0 || (step >> 24 & 3) != 0 ? 700 : (uint32_t)(step >> 32));
  }
  return length;
}

struct kept {
  uint8_t before[PACKET_AT_MOST], after[PACKET_AT_MOST]; /* `after` is what the coalescer may write to */
  size_t length;
  bool is_out;
};

static struct kept kept[PACKETS_AT_MOST];
static size_t kept_count, flushed_to;
static uint32_t sequences[FLOWS];
static uint16_t ids[FLOWS];
static struct coalescer coalescer;

static bool is_same_flow(const struct kept *one, const struct kept *other) {
  struct packet first, second;
  HOLDS(packet_read(one->before, one->length, &first) && packet_read(other->before, other->length, &second));
  return first.family == second.family && first.protocol == second.protocol && first.source_port == second.source_port &&
         first.destination_port == second.destination_port && memcmp(first.source, second.source, 16) == 0 &&
         memcmp(first.destination, second.destination, 16) == 0;
}

static bool is_equal(const struct kept *packet, const uint8_t *bytes, size_t length) {
  if (packet->length != length) return false;
  if (memcmp(packet->before, bytes, length) == 0) return true;
  bool may_differ = bytes[0] >> 4 == 4 && (bytes[6] & 0x40) != 0; /* the id of a packet with DF, and so its header's checksum */
  if (!may_differ || naive_sum(bytes, 20, 0) != 0xffff) return false;
  return memcmp(packet->before, bytes, 4) == 0 && memcmp(packet->before + 6, bytes + 6, 4) == 0 &&
         memcmp(packet->before + 12, bytes + 12, length - 12) == 0;
}

/* The next packet of this flow that has not come out is this one. */
static void take(const uint8_t *bytes, size_t length) {
  for (size_t at = flushed_to; at < kept_count; at++) {
    if (kept[at].is_out || !is_equal(&kept[at], bytes, length)) continue;
    for (size_t before = flushed_to; before < at; before++)
      if (!kept[before].is_out) HOLDS(!is_same_flow(&kept[before], &kept[at]));
    kept[at].is_out = true;
    return;
  }
  HOLDS(!"a packet that never came in");
}

static void on_output(void *owner, const struct iovec *parts, int count) {
  static uint8_t large[65536 + 40];
  struct vnet_header header;
  struct packet view;
  HOLDS(owner == &coalescer && count >= 2 && count <= COALESCED_SEGMENTS + 1 && parts[0].iov_len == sizeof header);
  memcpy(&header, parts[0].iov_base, sizeof header);
  size_t length = 0;
  for (int at = 1; at < count; length += parts[at++].iov_len) {
    HOLDS(length + parts[at].iov_len <= sizeof large);
    memcpy(large + length, parts[at].iov_base, parts[at].iov_len);
  }
  if (header.gso_type == VNET_GSO_NONE) {
    HOLDS(count == 2 && header.flags == 0);
    take(large, length);
    return;
  }
  HOLDS(packet_read(large, length, &view) && view.total_length == length && header.header_length == view.payload);
  HOLDS(view.family == 6 || naive_sum(large, 20, 0) == 0xffff);
  struct segmenter segmenter;
  HOLDS(segment_start(&segmenter, &header, large, &view, 65535) == SEGMENT_READY);
  int segments = 0;
  while ((length = segment_length(&segmenter)) > 0) {
    uint8_t segment[PACKET_AT_MOST];
    HOLDS(length <= sizeof segment);
    segment_next(&segmenter, segment);
    take(segment, length);
    segments++;
  }
  HOLDS(segments == count - 1);
}

static void flush(void) {
  coalesce_flush(&coalescer);
  for (size_t at = flushed_to; at < kept_count; at++) HOLDS(kept[at].is_out);
  flushed_to = kept_count;
}

/* What may differ from the flow's packet before: one thing for each bit. */
static void change(uint8_t *packet, const struct packet *view, uint8_t kind, uint16_t value, bool has_df) {
  uint8_t *transport = packet + view->transport;
  if (view->family == 4 && !has_df) packet[6] = 0;
  switch (kind & 15) {
    case 3: transport[13] |= TCP_PSH; break;
    case 4: transport[13] |= (uint8_t)(1 << (value & 7)); break;
    case 5: transport[15] ^= (uint8_t)value; break;
    case 6: packet[1] ^= (uint8_t)(value & 0x0f); break;
    case 7: packet[view->family == 4 ? 8 : 7] ^= (uint8_t)value; break;
    case 8: if (view->family == 4) packet[6] ^= 0x40; break;
    case 9: transport[11] ^= (uint8_t)value; break;
    case 10: put32(transport + 4, get32(transport + 4) + (value & 3)); break;
    case 11: transport[19] ^= (uint8_t)(value & 1); break;
    case 15: if (view->payload - view->transport > 20) transport[31] ^= (uint8_t)value; break;
    default: break;
  }
  set_checksums(packet, view);
}

static void step(const uint8_t *bytes) {
  static const uint8_t timestamps[12] = {1, 1, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7};
  uint8_t kind = bytes[0];
  uint16_t value = get16(bytes + 2);
  unsigned flow = bytes[1] % FLOWS;
  if (kind == 1 || kept_count == PACKETS_AT_MOST) flush();
  if (kept_count == PACKETS_AT_MOST) return;
  struct kept *packet = &kept[kept_count++];
  packet->is_out = false;
  struct made made = {
      .family = flow & 1 ? 6 : 4, .protocol = kind == 2 ? PROTOCOL_UDP : PROTOCOL_TCP, .flags = TCP_ACK, .client = (uint8_t)(flow / 4),
      .remote = (uint8_t)(flow / 8), .client_port = (uint16_t)(1000 + flow % 3), .remote_port = 443, .id = ids[flow],
      .sequence = sequences[flow], .options = timestamps, .options_length = flow & 2 ? 12 : 0,
      .payload_length = kind == 12 ? 0 : value % 1400,
  };
  packet->length = make_packet(&made, packet->before);
  struct packet view;
  HOLDS(packet_read(packet->before, packet->length, &view));
  if (made.protocol == PROTOCOL_TCP) change(packet->before, &view, kind, value, (flow & 4) == 0);
  if (kind == 13) packet->before[value % packet->length] ^= 0x10; /* damage that a checksum tells */
  if (kind == 14 && made.family == 4) ids[flow] = value;
  sequences[flow] += (uint32_t)made.payload_length;
  ids[flow]++;
  if (!packet_read(packet->before, packet->length, &view) || view.total_length != packet->length) {
    kept_count--;
    return;
  }
  memcpy(packet->after, packet->before, packet->length);
  coalesce_packet(&coalescer, packet->after, &view);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  kept_count = flushed_to = 0;
  memset(sequences, 0, sizeof sequences);
  memset(ids, 0xff, sizeof ids); /* they pass zero */
  coalesce_start(&coalescer, on_output, &coalescer);
  for (size_t at = 0; at + 4 <= length; at += 4) step(bytes + at);
  flush();
  return 0;
}
