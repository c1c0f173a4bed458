/*
 * made-packets.h: packets for targets and tests, and checksums the slow way.
 */
#ifndef ISTHMUS_MADE_PACKETS_H
#define ISTHMUS_MADE_PACKETS_H

#include "bytes.h"
#include "fuzz.h"
#include "packet.h"

/* RFC 1071 as it is written: big-endian words, one by one. */
static inline uint32_t naive_sum(const uint8_t *bytes, size_t length, uint32_t sum) {
  for (size_t at = 0; at < length; at++) {
    sum += at % 2 == 0 ? (uint32_t)bytes[at] << 8 : bytes[at];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}

/* Of everything the transport's checksum covers; 0xffff where it is right. */
static inline uint32_t naive_transport_sum(const uint8_t *packet, const struct packet *view) {
  uint32_t length = view->total_length - view->transport;
  uint32_t sum = view->family == 4 ? naive_sum(packet + 12, 8, 0) : naive_sum(packet + 8, 32, 0);
  uint8_t rest[8] = {0};
  put32(rest, length);
  rest[7] = view->protocol;
  return naive_sum(packet + view->transport, length, naive_sum(rest, 8, sum));
}

static inline size_t checksum_field(uint8_t protocol) {
  return protocol == PROTOCOL_TCP ? 16 : protocol == PROTOCOL_UDP ? 6 : 2;
}

static inline void set_ipv4_checksum(uint8_t *packet) {
  size_t header = (size_t)(packet[0] & 15) * 4;
  put16(packet + 10, 0);
  put16(packet + 10, ~naive_sum(packet, header, 0) & 0xffff);
}

/* Makes all checksums of a whole packet right. */
static inline void set_checksums(uint8_t *packet, const struct packet *view) {
  if (view->family == 4) set_ipv4_checksum(packet);
  uint8_t *field = packet + view->transport + checksum_field(view->protocol);
  put16(field, 0);
  uint32_t sum = ~naive_transport_sum(packet, view) & 0xffff;
  put16(field, view->protocol == PROTOCOL_UDP && sum == 0 ? 0xffff : sum);
}

struct made {
  uint8_t family, protocol, flags, client, remote; /* last bytes of 10.0.0.x, 192.0.2.x, fd00::x, 2001:db8::x */
  bool is_down;                                    /* from the remote to the client */
  uint16_t client_port, remote_port, id;
  uint32_t sequence, acknowledged;
  const uint8_t *options; /* of TCP */
  size_t options_length, payload_length;
};

static inline size_t make_network(const struct made *made, uint8_t *into, size_t transport_length) {
  static const uint8_t client4[4] = {10, 0, 0}, remote4[4] = {192, 0, 2}, client6[16] = {0xfd}, remote6[16] = {0x20, 1, 0xd, 0xb8};
  size_t size = made->family == 4 ? 4 : 16, at = made->family == 4 ? 12 : 8, header = made->family == 4 ? 20 : 40;
  memset(into, 0, header);
  uint8_t *client = into + at + (made->is_down ? size : 0), *remote = into + at + (made->is_down ? 0 : size);
  memcpy(client, made->family == 4 ? client4 : client6, size);
  memcpy(remote, made->family == 4 ? remote4 : remote6, size);
  client[size - 1] = made->client;
  remote[size - 1] = made->remote;
  if (made->family == 4) {
    into[0] = 0x45;
    put16(into + 2, (uint32_t)(20 + transport_length));
    put16(into + 4, made->id);
    into[6] = 0x40;
    into[8] = 64;
    into[9] = made->protocol;
  } else {
    into[0] = 0x60;
    put16(into + 4, (uint32_t)transport_length);
    into[6] = made->protocol;
    into[7] = 64;
  }
  return header;
}

/* Writes a packet with right checksums whose payload counts up from its sequence number. Returns its length. */
static inline size_t make_packet(const struct made *made, uint8_t *into) {
  size_t header = made->protocol == PROTOCOL_TCP ? 20 + made->options_length : 8;
  size_t network = make_network(made, into, header + made->payload_length);
  uint8_t *transport = into + network;
  memset(transport, 0, header);
  put16(transport, made->is_down ? made->remote_port : made->client_port);
  put16(transport + 2, made->is_down ? made->client_port : made->remote_port);
  if (made->protocol == PROTOCOL_TCP) {
    put32(transport + 4, made->sequence);
    put32(transport + 8, made->acknowledged);
    transport[12] = (uint8_t)(header / 4 << 4);
    transport[13] = made->flags;
    put16(transport + 14, 64000);
    if (made->options_length > 0) memcpy(transport + 20, made->options, made->options_length);
  } else if (made->protocol == PROTOCOL_UDP) {
    put16(transport + 4, (uint32_t)(header + made->payload_length));
  } else { /* `flags` is the type of an echo message, the client's port its id */
    put16(transport, (uint32_t)made->flags << 8);
    put16(transport + 2, 0);
    put16(transport + 4, made->client_port);
  }
  for (size_t at = 0; at < made->payload_length; at++) transport[header + at] = (uint8_t)((made->sequence + at) * 31 >> 3);
  size_t length = network + header + made->payload_length;
  struct packet view;
  HOLDS(packet_read(into, length, &view));
  if (view.protocol == PROTOCOL_ICMP) {
    set_ipv4_checksum(into);
    put16(transport + 2, ~naive_sum(transport, length - network, 0) & 0xffff);
  } else {
    set_checksums(into, &view);
  }
  return length;
}

#endif
