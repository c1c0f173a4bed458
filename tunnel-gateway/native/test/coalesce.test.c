// sources: coalesce.c packet.c checksum.c
#include "coalesce.h"

#include "cases.h"

static struct {
  struct vnet_header headers[200];
  size_t lengths[200];
  int counts[200];
  unsigned written;
} tun;

static uint8_t packets[200][2000];
static unsigned made_count;
static struct coalescer coalescer;

static void on_output(void *owner, const struct iovec *parts, int count) {
  (void)owner;
  memcpy(&tun.headers[tun.written], parts[0].iov_base, sizeof tun.headers[0]);
  tun.lengths[tun.written] = 0;
  for (int at = 1; at < count; at++) tun.lengths[tun.written] += parts[at].iov_len;
  tun.counts[tun.written++] = count;
}

static void start(void) {
  memset(&tun, 0, sizeof tun);
  made_count = 0;
  coalesce_start(&coalescer, on_output, NULL);
}

static void give(const struct made *made) {
  struct packet view;
  uint8_t *packet = packets[made_count++];
  HOLDS(packet_read(packet, make_packet(made, packet), &view));
  coalesce_packet(&coalescer, packet, &view);
}

/* `count` segments of 1000 bytes that follow each other, the last one with `flags`. */
static void give_row(struct made made, unsigned count, uint8_t flags) {
  for (unsigned at = 0; at < count; at++, made.sequence += 1000, made.id++) {
    if (at + 1 == count) made.flags = flags;
    give(&made);
  }
}

static const struct made segment = {TCP_TO_REMOTE, .payload_length = 1000, .sequence = UINT32_MAX - 1500};

static void segments_that_follow_each_other_become_one(void) {
  for (uint8_t family = 4; family <= 6; family += 2) {
    struct made made = segment;
    made.family = family;
    start();
    give_row(made, 5, TCP_ACK);
    HOLDS(tun.written == 0);
    coalesce_flush(&coalescer);
    size_t headers = family == 4 ? 40 : 60;
    HOLDS(tun.written == 1 && tun.lengths[0] == headers + 5000 && tun.counts[0] == 6);
    HOLDS(tun.headers[0].gso_size == 1000 && tun.headers[0].gso_type == (family == 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6));
    HOLDS(tun.headers[0].flags == VNET_NEEDS_CHECKSUM && tun.headers[0].checksum_start == headers - 20 && tun.headers[0].checksum_offset == 16);
  }
}

static void one_segment_passes_as_it_is(void) {
  start();
  give(&segment);
  coalesce_flush(&coalescer);
  HOLDS(tun.written == 1 && tun.counts[0] == 2 && tun.headers[0].gso_type == VNET_GSO_NONE && tun.lengths[0] == 1040);
}

static void a_large_packet_has_at_most_64_segments(void) {
  start();
  struct made made = segment;
  give_row(made, COALESCED_SEGMENTS, TCP_ACK);
  coalesce_flush(&coalescer);
  HOLDS(tun.written == 1);
  start();
  give_row(made, COALESCED_SEGMENTS + 1, TCP_ACK);
  coalesce_flush(&coalescer);
  HOLDS(tun.written == 2 && tun.counts[0] == COALESCED_SEGMENTS + 1 && tun.counts[1] == 2);
}

static void a_large_packet_has_at_most_65535_bytes(void) {
  struct made made = segment;
  made.payload_length = 1397; /* 46 make 64262 with their header, one more would be 65659 */
  start();
  for (unsigned at = 0; at < 47; at++, made.sequence += 1397, made.id++) give(&made);
  coalesce_flush(&coalescer);
  HOLDS(tun.written == 2 && tun.lengths[0] == 46 * 1397 + 40);
}

static void push_closes_a_large_packet(void) {
  start();
  give_row(segment, 3, TCP_ACK | TCP_PSH);
  struct made next = segment;
  next.sequence += 3000;
  next.id += 3;
  give_row(next, 2, TCP_ACK);
  coalesce_flush(&coalescer);
  HOLDS(tun.written == 2 && tun.counts[0] == 4 && tun.counts[1] == 3);
  HOLDS((packets[0][33] & TCP_PSH) != 0);
}

static void what_says_more_than_data_passes_alone_behind_its_flow(void) {
  static const uint8_t flags[] = {TCP_ACK | TCP_FIN, TCP_ACK | TCP_RST, TCP_ACK | TCP_URG, TCP_ACK | TCP_CWR, TCP_ACK | TCP_ECE, 0, TCP_SYN};
  for (size_t at = 0; at < sizeof flags; at++) {
    start();
    give_row(segment, 3, flags[at]);
    HOLDS(tun.written == 2 && tun.counts[0] == 3 && tun.counts[1] == 2);
  }
}

static void a_damaged_segment_is_not_made_good(void) {
  struct packet view;
  for (unsigned damaged = 0; damaged < 2; damaged++) {
    start();
    struct made made = segment;
    for (unsigned at = 0; at < 2; at++, made.sequence += 1000, made.id++) {
      HOLDS(packet_read(packets[at], make_packet(&made, packets[at]), &view));
      if (at == damaged) packets[at][500] ^= 1;
      coalesce_packet(&coalescer, packets[at], &view);
    }
    coalesce_flush(&coalescer);
    HOLDS(tun.written == 2 && tun.headers[0].gso_type == VNET_GSO_NONE && tun.headers[1].gso_type == VNET_GSO_NONE);
  }
}

static void sixteen_flows_are_held_at_once(void) {
  struct made made = segment;
  start();
  for (unsigned at = 0; at < COALESCED_FLOWS; at++, made.client_port++) give(&made);
  HOLDS(tun.written == 0);
  give(&made);
  HOLDS(tun.written == COALESCED_FLOWS);
  coalesce_flush(&coalescer);
  HOLDS(tun.written == COALESCED_FLOWS + 1);
}

static void datagrams_pass_at_once(void) {
  struct made made = segment;
  made.protocol = PROTOCOL_UDP;
  start();
  give(&made);
  HOLDS(tun.written == 1 && tun.lengths[0] == 1028);
}

int main(void) {
  RUN(segments_that_follow_each_other_become_one);
  RUN(one_segment_passes_as_it_is);
  RUN(a_large_packet_has_at_most_64_segments);
  RUN(a_large_packet_has_at_most_65535_bytes);
  RUN(push_closes_a_large_packet);
  RUN(what_says_more_than_data_passes_alone_behind_its_flow);
  RUN(a_damaged_segment_is_not_made_good);
  RUN(sixteen_flows_are_held_at_once);
  RUN(datagrams_pass_at_once);
}
