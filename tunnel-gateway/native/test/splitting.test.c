// sources: segment.c mss-clamp.c too-big.c packet.c checksum.c
#include "cases.h"
#include "checksum.h"
#include "mss-clamp.h"
#include "segment.h"
#include "too-big.h"

static struct vnet_header large_header(const struct packet *view, uint16_t size) {
  return (struct vnet_header){
      .flags = VNET_NEEDS_CHECKSUM, .gso_type = view->family == 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6, .gso_size = size,
      .checksum_start = view->transport, .checksum_offset = 16,
  };
}

static unsigned count_segments(struct segmenter *segmenter, size_t *longest, size_t *last) {
  unsigned count = 0;
  uint8_t room[2048];
  *longest = 0;
  for (size_t length; (length = segment_length(segmenter)) > 0; count++) {
    segment_next(segmenter, room);
    *last = length;
    if (length > *longest) *longest = length;
  }
  return count;
}

static void a_large_packet_becomes_segments_of_the_size_its_sender_chose(void) {
  struct made made = {TCP_TO_REMOTE, .payload_length = 3001};
  struct packet view;
  struct segmenter segmenter;
  uint8_t *packet = made_packet(&made, &view);
  struct vnet_header header = large_header(&view, 1000);
  size_t longest, last;
  HOLDS(segment_start(&segmenter, &header, packet, &view, 1400) == SEGMENT_READY);
  HOLDS(count_segments(&segmenter, &longest, &last) == 4 && longest == 1040 && last == 41);
  free(packet);
}

static void segments_are_cut_smaller_where_the_tunnel_holds_less(void) {
  struct made made = {TCP_TO_REMOTE, .payload_length = 2000};
  struct packet view;
  struct segmenter segmenter;
  uint8_t *packet = made_packet(&made, &view);
  struct vnet_header header = large_header(&view, 1000);
  size_t longest, last;
  HOLDS(segment_start(&segmenter, &header, packet, &view, 1040) == SEGMENT_READY);
  HOLDS(count_segments(&segmenter, &longest, &last) == 2 && longest == 1040);
  HOLDS(segment_start(&segmenter, &header, packet, &view, 1039) == SEGMENT_READY);
  HOLDS(count_segments(&segmenter, &longest, &last) == 3 && longest == 1039 && last == 42);
  HOLDS(segment_start(&segmenter, &header, packet, &view, 40) == SEGMENT_TOO_BIG);
  free(packet);
}

static void a_virtio_header_that_does_not_fit_its_packet_is_refused(void) {
  struct made made = {TCP_TO_REMOTE, .payload_length = 2000};
  struct packet view;
  struct segmenter segmenter;
  uint8_t *packet = made_packet(&made, &view);
  struct vnet_header good = large_header(&view, 1000), bad[7];
  for (size_t at = 0; at < 7; at++) bad[at] = good;
  bad[0].gso_size = 0;
  bad[1].flags = 0;
  bad[2].gso_type = VNET_GSO_TCPV6;
  bad[3].gso_type = VNET_GSO_UDP_L4;
  bad[4].checksum_start++;
  bad[5].checksum_offset = 6;
  bad[6].gso_type = 3; /* UDP fragmentation, which was never offered */
  for (size_t at = 0; at < 7; at++) HOLDS(segment_start(&segmenter, &bad[at], packet, &view, 1400) == SEGMENT_MALFORMED);
  struct vnet_header outside = {.flags = VNET_NEEDS_CHECKSUM, .checksum_start = 20, .checksum_offset = (uint16_t)(view.total_length - 21)};
  HOLDS(segment_start(&segmenter, &outside, packet, &view, 9000) == SEGMENT_MALFORMED);
  outside.checksum_offset--;
  HOLDS(segment_start(&segmenter, &outside, packet, &view, 9000) == SEGMENT_READY);
  free(packet);
}

static void a_plain_packet_passes_up_to_the_mtu(void) {
  struct made made = {TCP_TO_REMOTE, .payload_length = 1000};
  struct vnet_header plain = {0};
  struct packet view;
  struct segmenter segmenter;
  uint8_t *packet = made_packet(&made, &view);
  HOLDS(segment_start(&segmenter, &plain, packet, &view, 1041) == SEGMENT_READY);
  HOLDS(segment_start(&segmenter, &plain, packet, &view, 1040) == SEGMENT_READY);
  HOLDS(segment_start(&segmenter, &plain, packet, &view, 1039) == SEGMENT_TOO_BIG);
  free(packet);
}

static void datagrams_are_split_as_they_were_joined_and_never_cut(void) {
  struct made made = {.family = 6, .protocol = PROTOCOL_UDP, .client = 2, .remote = 9, .remote_port = 443, .payload_length = 2500};
  struct packet view;
  struct segmenter segmenter;
  uint8_t *packet = made_packet(&made, &view);
  struct vnet_header header = {
      .flags = VNET_NEEDS_CHECKSUM, .gso_type = VNET_GSO_UDP_L4, .gso_size = 1200, .checksum_start = 40, .checksum_offset = 6,
  };
  size_t longest, last;
  HOLDS(segment_start(&segmenter, &header, packet, &view, 1248) == SEGMENT_READY);
  HOLDS(count_segments(&segmenter, &longest, &last) == 3 && longest == 1248 && last == 148);
  HOLDS(segment_start(&segmenter, &header, packet, &view, 1247) == SEGMENT_TOO_BIG);
  free(packet);
}

static uint16_t mss_after(uint8_t flags, uint16_t announced, uint16_t mtu, uint8_t family) {
  uint8_t options[4] = {2, 4};
  put16(options + 2, announced);
  struct made made = {TCP_TO_REMOTE, .options = options, .options_length = 4};
  made.family = family;
  made.flags = flags;
  struct packet view;
  uint8_t *packet = made_packet(&made, &view);
  bool is_changed = mss_clamp(packet, &view, mtu);
  uint16_t mss = get16(packet + view.transport + 22);
  HOLDS(is_changed == (mss != announced) && naive_transport_sum(packet, &view) == 0xffff);
  free(packet);
  return mss;
}

static void a_handshake_announces_no_more_than_the_tunnel_holds(void) {
  HOLDS(mss_after(TCP_SYN, 1359, 1400, 4) == 1359 && mss_after(TCP_SYN, 1360, 1400, 4) == 1360);
  HOLDS(mss_after(TCP_SYN, 1361, 1400, 4) == 1360 && mss_after(TCP_SYN | TCP_ACK, 1460, 1400, 4) == 1360);
  HOLDS(mss_after(TCP_SYN, 1341, 1400, 6) == 1340 && mss_after(TCP_SYN, 1340, 1400, 6) == 1340);
  HOLDS(mss_after(TCP_ACK, 1460, 1400, 4) == 1460);
}

static void what_is_too_big_is_answered_with_the_mtu(void) {
  static const uint8_t gateway[16] = {0xfd, [15] = 1};
  for (uint8_t family = 4; family <= 6; family += 2) {
    struct made made = {TCP_TO_REMOTE, .payload_length = 1400};
    made.family = family;
    struct packet view, answer;
    uint8_t *packet = made_packet(&made, &view), into[TOO_BIG_ANSWER_AT_MOST];
    size_t length = too_big_answer(into, packet, &view, gateway, 1300);
    HOLDS(length == (family == 4 ? 576 : 1280) && packet_read(into, length, &answer) && packet_is_icmp_error(&answer));
    HOLDS((family == 4 ? get16(into + 26) : get32(into + 44)) == 1300);
    HOLDS(memcmp(answer.destination, view.source, 16) == 0);
    free(packet);
  }
}

static void nobody_is_answered_who_must_not_be(void) {
  struct made made = {TCP_TO_REMOTE, .payload_length = 1400};
  struct packet view;
  uint8_t *packet = made_packet(&made, &view), into[TOO_BIG_ANSWER_AT_MOST], gateway[16] = {10};
  struct packet other = view;
  other.source[0] = 224; /* multicast */
  HOLDS(too_big_answer(into, packet, &other, gateway, 1300) == 0);
  other.source[0] = 0;
  HOLDS(too_big_answer(into, packet, &other, gateway, 1300) == 0);
  other = view;
  other.may_not_fragment = false;
  HOLDS(too_big_answer(into, packet, &other, gateway, 1300) == 0);
  other = view;
  other.part = PACKET_LATER_FRAGMENT;
  HOLDS(too_big_answer(into, packet, &other, gateway, 1300) == 0);
  free(packet);
}

static void ipv4_without_df_is_fragmented(void) {
  struct made made = {TCP_TO_REMOTE, .payload_length = 3000};
  struct packet view;
  struct ipv4_fragmenter fragmenter;
  uint8_t *packet = made_packet(&made, &view), into[2048];
  HOLDS(!ipv4_fragment_start(&fragmenter, packet, &view, 1300));
  packet[6] = 0;
  HOLDS(packet_read(packet, view.total_length, &view));
  HOLDS(!ipv4_fragment_start(&fragmenter, packet, &view, 27) && ipv4_fragment_start(&fragmenter, packet, &view, 28));
  HOLDS(ipv4_fragment_start(&fragmenter, packet, &view, 1300));
  static const size_t lengths[] = {1300, 1300, 20 + 3020 - 2 * 1280, 0};
  for (size_t at = 0; at < 4; at++) {
    HOLDS(ipv4_fragment_length(&fragmenter) == lengths[at]);
    if (lengths[at] > 0) ipv4_fragment_next(&fragmenter, into);
  }
  HOLDS(get16(into + 6) == 2560 / 8 && naive_sum(into, 20, 0) == 0xffff);
  free(packet);
}

int main(void) {
  RUN(a_large_packet_becomes_segments_of_the_size_its_sender_chose);
  RUN(segments_are_cut_smaller_where_the_tunnel_holds_less);
  RUN(a_virtio_header_that_does_not_fit_its_packet_is_refused);
  RUN(a_plain_packet_passes_up_to_the_mtu);
  RUN(datagrams_are_split_as_they_were_joined_and_never_cut);
  RUN(a_handshake_announces_no_more_than_the_tunnel_holds);
  RUN(what_is_too_big_is_answered_with_the_mtu);
  RUN(nobody_is_answered_who_must_not_be);
  RUN(ipv4_without_df_is_fragmented);
}
