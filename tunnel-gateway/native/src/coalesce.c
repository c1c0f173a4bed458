#include "coalesce.h"

#include <string.h>
#include "bytes.h"
#include "checksum.h"

/* Of a large packet: what an IPv4 total length holds. The same for IPv6, whose length field leaves its header out. */
#define LARGE_PACKET_AT_MOST 65535
#define TCP_CHECKSUM 16
#define FLAGS_TO_JOIN (TCP_ACK | TCP_PSH)

static struct vnet_header plain_header; /* zero: the packet is as it says */

void coalesce_start(struct coalescer *coalescer, coalesce_output output, void *owner) {
  coalescer->output = output;
  coalescer->owner = owner;
  coalescer->open = 0;
}

static uint64_t hash_of(const uint8_t *packet, const struct packet *view) {
  uint64_t words[4], ports = get32(packet + view->transport);
  memcpy(words, view->source, 16);
  memcpy(words + 2, view->destination, 16);
  uint64_t hash = ports * 0x9e3779b97f4a7c15;
  for (int at = 0; at < 4; at++) hash = (hash ^ words[at] ^ hash >> 29) * 0xbf58476d1ce4e5b9;
  return hash;
}

static bool is_same_flow(const struct coalesced_flow *flow, const uint8_t *packet, const struct packet *view) {
  if (flow->family != view->family || memcmp(flow->packet + flow->transport, packet + view->transport, 4) != 0) return false;
  return view->family == 4 ? memcmp(flow->packet + 12, packet + 12, 8) == 0 : memcmp(flow->packet + 8, packet + 8, 32) == 0;
}

static struct coalesced_flow *find(struct coalescer *coalescer, uint64_t hash, const uint8_t *packet, const struct packet *view) {
  for (uint32_t at = 0; at < coalescer->open; at++) {
    struct coalesced_flow *flow = &coalescer->flows[at];
    if (flow->hash == hash && flow->count > 0 && is_same_flow(flow, packet, view)) return flow;
  }
  return NULL;
}

/* Right checksums: those of a large packet are made anew, which must not turn a damaged segment into a good one. */
static bool is_intact(const uint8_t *packet, const struct packet *view) {
  if (view->family == 4 && checksum_fold(checksum_add(packet, view->transport, 0)) != 0xffff) return false;
  uint32_t length = view->total_length - view->transport;
  uint64_t pseudo = checksum_pseudo(view->family, view->source, view->destination, PROTOCOL_TCP, length);
  return checksum_fold(checksum_add(packet + view->transport, length, pseudo)) == 0xffff;
}

/* A segment that could be part of a large one: data, no more to say than ACK and PSH, no options of IP. */
static bool is_joinable(const struct packet *view) {
  return view->part == PACKET_WHOLE && !view->has_options && view->total_length > view->payload &&
         (view->tcp_flags & ~FLAGS_TO_JOIN) == 0 && (view->tcp_flags & TCP_ACK) != 0;
}

static bool has_same_network_header(const struct coalesced_flow *flow, const uint8_t *packet) {
  const uint8_t *first = flow->packet;
  if (flow->family == 6) return memcmp(first, packet, 4) == 0 && first[7] == packet[7];
  if (first[1] != packet[1] || first[8] != packet[8] || memcmp(first + 6, packet + 6, 2) != 0) return false;
  /* The kernel counts ids on when it splits again. With DF they mean nothing (RFC 6864), and some senders leave them zero. */
  return (packet[6] & 0x40) != 0 || get16(packet + 4) == (uint16_t)(get16(first + 4) + flow->count);
}

static bool follows(const struct coalesced_flow *flow, const uint8_t *packet, const struct packet *view) {
  uint32_t payload = view->total_length - view->payload;
  if (flow->is_closed || flow->headers != view->payload || payload > flow->payload_each) return false;
  if (flow->count == COALESCED_SEGMENTS || flow->length + payload > LARGE_PACKET_AT_MOST) return false;
  const uint8_t *before = flow->packet + flow->transport, *header = packet + view->transport;
  size_t options_and_urgent = (size_t)(view->payload - view->transport - 18);
  return get32(header + 4) == flow->next_sequence && memcmp(before + 8, header + 8, 5) == 0 &&
         memcmp(before + 14, header + 14, 2) == 0 && memcmp(before + 18, header + 18, options_and_urgent) == 0 &&
         has_same_network_header(flow, packet);
}

/* Makes the first packet's headers those of the large one. */
static void write_large_headers(struct coalesced_flow *flow, struct vnet_header *header) {
  uint8_t *packet = flow->packet;
  uint32_t transport_length = flow->length - flow->transport;
  uint64_t pseudo;
  if (flow->family == 4) {
    put16(packet + 2, flow->length);
    put16(packet + 10, 0);
    checksum_store(packet + 10, checksum_add(packet, flow->transport, 0));
    pseudo = checksum_pseudo(4, packet + 12, packet + 16, PROTOCOL_TCP, transport_length);
  } else {
    put16(packet + 4, transport_length);
    pseudo = checksum_pseudo(6, packet + 8, packet + 24, PROTOCOL_TCP, transport_length);
  }
  uint16_t partial = checksum_fold(pseudo);
  memcpy(packet + flow->transport + TCP_CHECKSUM, &partial, sizeof partial);
  *header = (struct vnet_header){
      .flags = VNET_NEEDS_CHECKSUM,
      .gso_type = flow->family == 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6,
      .header_length = flow->headers,
      .gso_size = flow->payload_each,
      .checksum_start = flow->transport,
      .checksum_offset = TCP_CHECKSUM,
  };
}

static void put_flow(struct coalescer *coalescer, struct coalesced_flow *flow) {
  struct vnet_header header = plain_header;
  if (flow->count > 1) write_large_headers(flow, &header);
  flow->parts[0] = (struct iovec){.iov_base = &header, .iov_len = sizeof header};
  coalescer->output(coalescer->owner, flow->parts, flow->count + 1);
  flow->count = 0;
}

static void put_alone(struct coalescer *coalescer, uint8_t *packet, const struct packet *view) {
  struct iovec parts[2] = {
      {.iov_base = &plain_header, .iov_len = sizeof plain_header},
      {.iov_base = packet, .iov_len = view->total_length},
  };
  coalescer->output(coalescer->owner, parts, 2);
}

static struct coalesced_flow *free_flow(struct coalescer *coalescer) {
  for (uint32_t at = 0; at < coalescer->open; at++)
    if (coalescer->flows[at].count == 0) return &coalescer->flows[at];
  if (coalescer->open == COALESCED_FLOWS) coalesce_flush(coalescer);
  return &coalescer->flows[coalescer->open++];
}

static void open_flow(struct coalesced_flow *flow, uint64_t hash, uint8_t *packet, const struct packet *view) {
  uint32_t payload = view->total_length - view->payload;
  flow->packet = packet;
  flow->hash = hash;
  flow->next_sequence = get32(packet + view->transport + 4) + payload;
  flow->length = view->total_length;
  flow->transport = view->transport;
  flow->headers = view->payload;
  flow->payload_each = (uint16_t)payload;
  flow->count = 1;
  flow->family = view->family;
  flow->is_closed = (view->tcp_flags & TCP_PSH) != 0;
  flow->parts[1] = (struct iovec){.iov_base = packet, .iov_len = view->total_length};
}

/* The first one is checked only when a second wants to join it: of a lone packet the kernel finds out itself. */
static bool first_is_intact(const struct coalesced_flow *flow) {
  struct packet first;
  return flow->count > 1 || (packet_read(flow->packet, flow->length, &first) && is_intact(flow->packet, &first));
}

static void join(struct coalesced_flow *flow, uint8_t *packet, const struct packet *view) {
  uint32_t payload = view->total_length - view->payload;
  flow->count++;
  flow->parts[flow->count] = (struct iovec){.iov_base = packet + view->payload, .iov_len = payload};
  flow->length += payload;
  flow->next_sequence += payload;
  if ((view->tcp_flags & TCP_PSH) != 0) flow->packet[flow->transport + 13] |= TCP_PSH;
  flow->is_closed = payload < flow->payload_each || (view->tcp_flags & TCP_PSH) != 0;
}

void coalesce_packet(struct coalescer *coalescer, uint8_t *packet, const struct packet *view) {
  if (view->part != PACKET_WHOLE) coalesce_flush(coalescer); /* a fragment may be of any flow */
  if (view->protocol != PROTOCOL_TCP || view->part != PACKET_WHOLE) {
    put_alone(coalescer, packet, view);
    return;
  }
  uint64_t hash = hash_of(packet, view);
  struct coalesced_flow *flow = find(coalescer, hash, packet, view);
  bool can_join = is_joinable(view);
  if (flow != NULL && can_join && follows(flow, packet, view) && is_intact(packet, view) && first_is_intact(flow)) {
    join(flow, packet, view);
    return;
  }
  if (flow != NULL) put_flow(coalescer, flow);
  if (!can_join) {
    put_alone(coalescer, packet, view);
    return;
  }
  if (flow == NULL) flow = free_flow(coalescer);
  open_flow(flow, hash, packet, view);
}

void coalesce_flush(struct coalescer *coalescer) {
  for (uint32_t at = 0; at < coalescer->open; at++)
    if (coalescer->flows[at].count > 0) put_flow(coalescer, &coalescer->flows[at]);
  coalescer->open = 0;
}
