// sources: segment.c packet.c checksum.c
// share: 0.2
/* The input: virtio header | MTU 16 | more payload 16 | a packet, whose payload the target extends. */
#include "segment.h"

#include "checksum.h"

#include "made-packets.h"

#define PREFIX 14

static const uint8_t timestamps[12] = {1, 1, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7};

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  (void)room;
  bool is_udp = (random & 3) == 0, has_options = !is_udp && (random & 4) != 0;
  struct made made = {
      .family = random & 8 ? 4 : 6, .protocol = is_udp ? PROTOCOL_UDP : PROTOCOL_TCP,
      .flags = (uint8_t)((random >> 8 & (TCP_FIN | TCP_PSH | TCP_CWR | TCP_ECE)) | TCP_ACK), .client = 2, .remote = 9, .is_down = true,
      .client_port = 5000, .remote_port = 443, .id = (uint16_t)(random >> 16), .sequence = (uint32_t)(random >> 20),
      .options = timestamps, .options_length = has_options ? 12 : 0, .payload_length = random >> 40 & 63,
  };
  size_t length = make_packet(&made, into + PREFIX), transport = made.family == 4 ? 20 : 40;
  struct vnet_header header = {
      .flags = VNET_NEEDS_CHECKSUM, .gso_size = (uint16_t)(1 + (random >> 46 & 2047)), .checksum_start = (uint16_t)transport,
      .checksum_offset = (uint16_t)checksum_field(made.protocol),
      .gso_type = is_udp ? VNET_GSO_UDP_L4 : made.family == 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6,
  };
  bool is_plain = (random >> 57 & 7) == 0;
  if (is_plain) header.gso_type = VNET_GSO_NONE;
  memcpy(into, &header, sizeof header);
  put16(into + 10, (uint32_t)(576 + (random >> 58) * 16));
  put16(into + 12, (uint32_t)(random >> 24 & (is_plain ? 0x3ff : random & 0x30 ? 0xfff : 0xffff)));
  return PREFIX + length;
}

/* The packet with `more` bytes of payload, in memory of its exact size; NULL where it cannot have them. */
static uint8_t *extended(const uint8_t *bytes, uint32_t more, struct packet *view) {
  uint32_t length = view->total_length + more, most = view->family == 4 ? 65535 : 65535 + 40;
  if (length > most || view->part != PACKET_WHOLE) return NULL;
  uint8_t *packet = malloc(length);
  HOLDS(packet != NULL);
  memcpy(packet, bytes, view->total_length);
  for (uint32_t at = view->total_length; at < length; at++) packet[at] = (uint8_t)(at ^ at >> 8);
  if (view->family == 4) put16(packet + 2, length);
  else put16(packet + 4, length - 40);
  if (view->protocol == PROTOCOL_UDP) put16(packet + view->transport + 4, length - view->transport);
  if (view->family == 4) set_ipv4_checksum(packet);
  if (packet_read(packet, length, view)) return packet;
  free(packet);
  return NULL;
}

struct expected {
  const uint8_t *original;
  struct packet view;
  uint32_t payload_at; /* of the original: how far the segments have come */
  uint32_t segments;
};

static void check_tcp(const struct expected *expected, const uint8_t *segment, const struct packet *view, bool is_last) {
  const uint8_t *before = expected->original + expected->view.transport, *header = segment + view->transport;
  HOLDS(get32(header + 4) == get32(before + 4) + expected->payload_at);
  uint8_t flags = expected->view.tcp_flags;
  if (!is_last) flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
  if (expected->segments > 0) flags &= (uint8_t)~TCP_CWR;
  HOLDS(view->tcp_flags == flags);
  HOLDS(memcmp(before, header, 4) == 0 && memcmp(before + 8, header + 8, 5) == 0 && memcmp(before + 14, header + 14, 2) == 0);
  HOLDS(memcmp(before + 18, header + 18, (size_t)(view->payload - view->transport - 18)) == 0);
}

static void check_segment(struct expected *expected, const uint8_t *segment, size_t length, bool is_last) {
  struct packet view;
  HOLDS(packet_read(segment, length, &view) && view.total_length == length);
  HOLDS(view.transport == expected->view.transport && view.payload == expected->view.payload);
  HOLDS(naive_transport_sum(segment, &view) == 0xffff);
  if (view.family == 4) {
    HOLDS(naive_sum(segment, view.transport, 0) == 0xffff);
    HOLDS(get16(segment + 4) == (uint16_t)(get16(expected->original + 4) + expected->segments));
    HOLDS(memcmp(segment + 6, expected->original + 6, 4) == 0 && memcmp(segment, expected->original, 2) == 0);
  } else {
    HOLDS(memcmp(segment, expected->original, 4) == 0 && memcmp(segment + 6, expected->original + 6, 2) == 0);
  }
  if (view.protocol == PROTOCOL_TCP) check_tcp(expected, segment, &view, is_last);
  else HOLDS(get16(segment + view.transport + 4) == length - view.transport);
  size_t payload = length - view.payload;
  HOLDS(memcmp(segment + view.payload, expected->original + view.payload + expected->payload_at, payload) == 0);
  expected->payload_at += (uint32_t)payload;
  expected->segments++;
}

static void check_plain(const struct vnet_header *header, const uint8_t *original, const uint8_t *packet, const struct packet *view) {
  size_t field = (size_t)header->checksum_start + header->checksum_offset;
  if ((header->flags & VNET_NEEDS_CHECKSUM) == 0) field = view->total_length; /* none */
  for (size_t at = 0; at < view->total_length; at++)
    if (at != field && at != field + 1) HOLDS(packet[at] == original[at]);
  if (field == view->total_length) return;
  uint32_t sum = naive_sum(packet + header->checksum_start, view->total_length - header->checksum_start, 0);
  uint16_t pseudo = get16(original + field);
  /* The field held a part of the sum already, which must not count twice. */
  uint8_t held[2];
  put16(held, pseudo);
  if ((field - header->checksum_start) % 2 != 0) return;
  HOLDS(naive_sum(held, 2, sum) % 0xffff == 0);
}

static void check_segments(struct segmenter *segmenter, const struct expected *start, uint16_t gso_size, uint16_t mtu) {
  struct expected expected = *start;
  size_t length, before = 0;
  while ((length = segment_length(segmenter)) > 0) {
    HOLDS(length <= mtu && length <= (size_t)expected.view.payload + gso_size);
    HOLDS(before == 0 || length <= before);
    before = length;
    uint8_t *segment = malloc(length);
    HOLDS(segment != NULL);
    segment_next(segmenter, segment);
    size_t next = segment_length(segmenter);
    HOLDS(next == 0 || length == (size_t)expected.view.payload + segmenter->payload_each);
    check_segment(&expected, segment, length, next == 0);
    free(segment);
  }
  HOLDS(expected.payload_at == expected.view.total_length - expected.view.payload && expected.segments > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct packet view;
  struct vnet_header header;
  if (length < PREFIX || !packet_read(bytes + PREFIX, length - PREFIX, &view)) return 0;
  memcpy(&header, bytes, sizeof header);
  uint16_t mtu = get16(bytes + 10);
  uint8_t *packet = extended(bytes + PREFIX, get16(bytes + 12), &view);
  if (packet == NULL) return 0;
  bool is_known = view.protocol == PROTOCOL_TCP || view.protocol == PROTOCOL_UDP;
  if (is_known && header.checksum_start == view.transport && header.checksum_offset == checksum_field(view.protocol)) {
    /* As the kernel leaves it: the sum of the pseudo header. */
    uint16_t partial =
        checksum_fold(checksum_pseudo(view.family, view.source, view.destination, view.protocol, view.total_length - view.transport));
    if ((header.flags & VNET_NEEDS_CHECKSUM) != 0) memcpy(packet + view.transport + header.checksum_offset, &partial, 2);
  }
  uint8_t *original = fuzz_copy(packet, view.total_length);
  struct segmenter segmenter;
  enum segment_outcome outcome = segment_start(&segmenter, &header, packet, &view, mtu);
  if (outcome == SEGMENT_READY && header.gso_type == VNET_GSO_NONE) {
    HOLDS(segment_length(&segmenter) == view.total_length && view.total_length <= mtu);
    uint8_t *copy = malloc(view.total_length);
    HOLDS(copy != NULL);
    segment_next(&segmenter, copy);
    HOLDS(segment_length(&segmenter) == 0 && memcmp(copy, packet, view.total_length) == 0);
    check_plain(&header, original, packet, &view);
    free(copy);
  } else if (outcome == SEGMENT_READY) {
    HOLDS(memcmp(original, packet, view.total_length) == 0);
    HOLDS(header.checksum_start == view.transport && header.checksum_offset == checksum_field(view.protocol));
    HOLDS((header.flags & VNET_NEEDS_CHECKSUM) != 0 && header.gso_size > 0 && view.part == PACKET_WHOLE);
    check_segments(&segmenter, &(struct expected){.original = original, .view = view}, header.gso_size, mtu);
  } else if (outcome == SEGMENT_TOO_BIG) {
    HOLDS(view.total_length > mtu || (uint32_t)view.payload + header.gso_size > mtu);
    if ((header.flags & VNET_NEEDS_CHECKSUM) != 0) check_plain(&header, original, packet, &view);
  }
  free(original);
  free(packet);
  return 0;
}
