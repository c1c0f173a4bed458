// sources: too-big.c packet.c checksum.c
// share: 0.3
/* The input: MTU 16 | a packet. */
#include "too-big.h"

#include "made-packets.h"

static const uint8_t gateway[16] = {10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  (void)room;
  struct made made = {
      .family = random & 1 ? 4 : 6, .protocol = random & 2 ? PROTOCOL_TCP : PROTOCOL_UDP, .flags = TCP_ACK, .client = 2, .remote = 9,
      .client_port = 5000, .remote_port = 443, .sequence = (uint32_t)random, .payload_length = random >> 8 & 0xfff,
  };
  put16(into, (uint32_t)(68 + (random >> 40 & 2047)));
  uint8_t *packet = into + 2;
  size_t length = make_packet(&made, packet);
  if (made.family == 6 || random & 4) return 2 + length;
  packet[6] = 0;
  if (random & 8) put16(packet + 6, (uint32_t)(random >> 52 & 511) | (random & 16 && (length - 20) % 8 == 0 ? 0x2000 : 0));
  if (random & 32) {
    memmove(packet + 32, packet + 20, length - 20);
    memcpy(packet + 20, "\x94\x04\0\0\x07\x03\0\x01\x83\x01\x01\0", 12);
    memcpy(packet + 28, "\x01\x01\x01\0", 4);
    packet[0] = 0x48;
    put16(packet + 2, (uint32_t)(length += 12));
  }
  set_ipv4_checksum(packet);
  return 2 + length;
}

static void check_answer(const uint8_t *packet, const struct packet *view, uint16_t mtu) {
  uint8_t *answer = malloc(TOO_BIG_ANSWER_AT_MOST);
  HOLDS(answer != NULL);
  size_t length = too_big_answer(answer, packet, view, gateway, mtu);
  HOLDS(length <= (view->family == 4 ? 576 : 1280));
  if (length > 0) {
    struct packet read, quoted;
    HOLDS(view->may_not_fragment && view->part != PACKET_LATER_FRAGMENT && !packet_is_icmp_error(view));
    HOLDS(packet_read(answer, length, &read) && read.total_length == length && packet_is_icmp_error(&read));
    HOLDS(memcmp(read.destination, view->source, 16) == 0 && memcmp(read.source, gateway, view->family == 4 ? 4 : 16) == 0);
    if (view->family == 4) {
      HOLDS(naive_sum(answer, 20, 0) == 0xffff && naive_sum(answer + 20, length - 20, 0) == 0xffff);
      HOLDS(read.icmp_type == 3 && read.icmp_code == 4 && get16(answer + 26) == mtu && get16(answer + 24) == 0);
    } else {
      HOLDS(naive_transport_sum(answer, &read) == 0xffff);
      HOLDS(read.icmp_type == 2 && read.icmp_code == 0 && get32(answer + 44) == mtu);
    }
    HOLDS(memcmp(answer + read.payload, packet, length - read.payload) == 0);
    bool is_readable = packet_read_quoted(answer + read.payload, length - read.payload, &quoted);
    bool has_transport = length - read.payload >= view->transport + 8U;
    HOLDS(is_readable || !has_transport);
    if (has_transport) HOLDS(quoted.source_port == view->source_port && quoted.protocol == view->protocol);
    uint8_t none[TOO_BIG_ANSWER_AT_MOST];
    HOLDS(too_big_answer(none, answer, &read, gateway, mtu) == 0); /* never an answer to an answer */
  }
  free(answer);
}

/* What the fragments bring together is the packet's payload, in pieces whose ends meet. */
static void check_fragments(const uint8_t *packet, const struct packet *view, uint16_t mtu) {
  struct ipv4_fragmenter fragmenter;
  if (!ipv4_fragment_start(&fragmenter, packet, view, mtu)) {
    HOLDS(view->family == 6 || view->may_not_fragment || mtu < view->transport + 8);
    return;
  }
  uint32_t original = get16(packet + 6), offset = (original & 0x1fff) * 8, at = 0;
  size_t length;
  while ((length = ipv4_fragment_length(&fragmenter)) > 0) {
    uint8_t *fragment = malloc(length);
    HOLDS(fragment != NULL && length <= mtu);
    ipv4_fragment_next(&fragmenter, fragment);
    bool is_last = ipv4_fragment_length(&fragmenter) == 0;
    uint32_t header = (fragment[0] & 15U) * 4, payload = (uint32_t)length - header;
    HOLDS(fragment[0] >> 4 == 4 && header >= 20 && header <= view->transport && get16(fragment + 2) == length);
    HOLDS(at > 0 || memcmp(fragment + 20, packet + 20, header - 20) == 0);
    HOLDS(naive_sum(fragment, header, 0) == 0xffff);
    HOLDS((get16(fragment + 6) & 0x1fffU) * 8 == offset + at);
    HOLDS(((get16(fragment + 6) & 0x2000) != 0) == (!is_last || (original & 0x2000) != 0));
    HOLDS(get16(fragment + 4) == get16(packet + 4) && memcmp(fragment + 8, packet + 8, 2) == 0);
    HOLDS(memcmp(fragment + 12, packet + 12, 8) == 0 && fragment[1] == packet[1]);
    HOLDS(is_last || payload % 8 == 0);
    HOLDS(payload > 0 && memcmp(fragment + header, packet + view->transport + at, payload) == 0);
    at += payload;
    free(fragment);
  }
  HOLDS(at == view->total_length - view->transport);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct packet view;
  if (length < 2 || !packet_read(bytes + 2, length - 2, &view)) return 0;
  uint8_t *packet = fuzz_copy(bytes + 2, view.total_length);
  check_answer(packet, &view, get16(bytes));
  check_fragments(packet, &view, get16(bytes));
  free(packet);
  return 0;
}
