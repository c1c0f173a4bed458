#include "segment.h"

#include <arpa/inet.h>
#include <string.h>
#include "bytes.h"
#include "checksum.h"

#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6

/* Completes what the kernel left to the device: the field holds the sum of the pseudo header. */
static bool complete_checksum(const struct vnet_header *header, uint8_t *packet, const struct packet *view) {
  uint32_t start = header->checksum_start, field = start + header->checksum_offset;
  if (start < view->transport || field + 2 > view->total_length) return false;
  checksum_store(packet + field, checksum_add(packet + start, view->total_length - start, 0));
  /* Zero says "none" in UDP (RFC 768). No other protocol has its checksum at 6. */
  if (header->checksum_offset == UDP_CHECKSUM && load16(packet + field) == 0) put16(packet + field, 0xffff);
  return true;
}

static enum segment_outcome start_plain(struct segmenter *segmenter, const struct vnet_header *header, uint8_t *packet,
                                        const struct packet *view, uint16_t mtu) {
  if ((header->flags & VNET_NEEDS_CHECKSUM) != 0 && !complete_checksum(header, packet, view)) return SEGMENT_MALFORMED;
  if (view->total_length > mtu) return SEGMENT_TOO_BIG;
  segmenter->is_plain = true;
  return SEGMENT_READY;
}

/* Whether the virtio header says of the packet what the packet says of itself. */
static bool is_large_packet(const struct vnet_header *header, const struct packet *view) {
  uint8_t type = header->gso_type & (uint8_t)~VNET_GSO_ECN;
  bool has_ecn = type != header->gso_type, is_udp = view->protocol == PROTOCOL_UDP;
  if (is_udp ? type != VNET_GSO_UDP_L4 || has_ecn : type != (view->family == 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6)) return false;
  if (!is_udp && (view->protocol != PROTOCOL_TCP || (view->tcp_flags & TCP_SYN) != 0)) return false;
  return view->part == PACKET_WHOLE && header->gso_size > 0 && (header->flags & VNET_NEEDS_CHECKSUM) != 0 &&
         header->checksum_start == view->transport && header->checksum_offset == (is_udp ? UDP_CHECKSUM : TCP_CHECKSUM);
}

/* Sums the words that all segments share, once: those that differ are zero in copies of the headers. */
static void sum_shared(struct segmenter *segmenter, const struct packet *view) {
  uint8_t headers[60];
  const uint8_t *packet = segmenter->packet;
  if (view->family == 4) {
    memcpy(headers, packet, view->transport);
    memset(headers + 2, 0, 4);
    memset(headers + 10, 0, 2);
    segmenter->network_sum = checksum_add(headers, view->transport, 0);
  }
  size_t length = (size_t)(view->payload - view->transport);
  memcpy(headers, packet + view->transport, length);
  memset(headers + 4, 0, 4); /* TCP: sequence number; UDP: length and checksum */
  if (view->protocol == PROTOCOL_TCP) {
    memset(headers + 12, 0, 2);
    memset(headers + TCP_CHECKSUM, 0, 2);
  }
  segmenter->transport_sum =
      checksum_add(headers, length, checksum_pseudo(view->family, view->source, view->destination, view->protocol, 0));
}

enum segment_outcome segment_start(struct segmenter *segmenter, const struct vnet_header *header, uint8_t *packet,
                                   const struct packet *view, uint16_t mtu) {
  *segmenter = (struct segmenter){.packet = packet, .total = view->total_length, .is_first = true};
  if (header->gso_type == VNET_GSO_NONE) return start_plain(segmenter, header, packet, view, mtu);
  if (!is_large_packet(header, view)) return SEGMENT_MALFORMED;
  bool is_udp = view->protocol == PROTOCOL_UDP;
  uint32_t each = header->gso_size;
  if (view->payload + each > mtu) {
    /* A stream may be cut anywhere, the segment need not be as large as its sender wished. Datagrams may not. */
    if (is_udp || mtu <= view->payload) return complete_checksum(header, packet, view) ? SEGMENT_TOO_BIG : SEGMENT_MALFORMED;
    each = (uint32_t)(mtu - view->payload);
  }
  segmenter->at = segmenter->headers = view->payload;
  segmenter->payload_each = (uint16_t)each;
  segmenter->transport = view->transport;
  segmenter->family = view->family;
  segmenter->protocol = view->protocol;
  segmenter->id = (uint16_t)view->fragment_id;
  segmenter->sequence = is_udp ? 0 : get32(packet + view->transport + 4);
  sum_shared(segmenter, view);
  return SEGMENT_READY;
}

size_t segment_length(const struct segmenter *segmenter) {
  if (segmenter->is_plain) return segmenter->is_first ? segmenter->total : 0;
  uint32_t left = segmenter->total - segmenter->at;
  if (left == 0) return segmenter->is_first ? segmenter->headers : 0;
  return segmenter->headers + (left < segmenter->payload_each ? left : segmenter->payload_each);
}

static void finish_network(struct segmenter *segmenter, uint8_t *into, size_t length) {
  if (segmenter->family == 6) {
    put16(into + 4, (uint32_t)(length - 40));
    return;
  }
  put16(into + 2, (uint32_t)length);
  put16(into + 4, segmenter->id++);
  checksum_store(into + 10, segmenter->network_sum + load16(into + 2) + load16(into + 4));
}

static void finish_tcp(struct segmenter *segmenter, uint8_t *header, uint64_t sum, bool is_last) {
  put32(header + 4, segmenter->sequence);
  if (!is_last) header[13] &= (uint8_t)~(TCP_FIN | TCP_PSH);
  if (!segmenter->is_first) header[13] &= (uint8_t)~TCP_CWR;
  sum += htonl(segmenter->sequence) + (uint64_t)load16(header + 12);
  checksum_store(header + TCP_CHECKSUM, sum);
}

static void finish_udp(uint8_t *header, size_t length, uint64_t sum) {
  put16(header + 4, (uint32_t)length);
  checksum_store(header + UDP_CHECKSUM, sum + load16(header + 4));
  if (load16(header + UDP_CHECKSUM) == 0) put16(header + UDP_CHECKSUM, 0xffff);
}

void segment_next(struct segmenter *segmenter, uint8_t *into) {
  size_t length = segment_length(segmenter);
  if (segmenter->is_plain) {
    memcpy(into, segmenter->packet, length);
    segmenter->is_first = false;
    return;
  }
  size_t payload = length - segmenter->headers, transport_length = length - segmenter->transport;
  memcpy(into, segmenter->packet, segmenter->headers);
  memcpy(into + segmenter->headers, segmenter->packet + segmenter->at, payload);
  finish_network(segmenter, into, length);
  uint64_t sum = checksum_add(into + segmenter->headers, payload, segmenter->transport_sum) + htons((uint16_t)transport_length);
  bool is_last = segmenter->at + payload == segmenter->total;
  if (segmenter->protocol == PROTOCOL_TCP) finish_tcp(segmenter, into + segmenter->transport, sum, is_last);
  else finish_udp(into + segmenter->transport, transport_length, sum);
  segmenter->at += (uint32_t)payload;
  segmenter->sequence += (uint32_t)payload;
  segmenter->is_first = false;
}
