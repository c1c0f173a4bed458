// sources: early-drop.c packet.c checksum.c
#include "cases.h"
#include "checksum.h"
#include "early-drop.h"

#define NOW 1000000
#define FULL 1400 /* length of a packet */

static void what_waits_little_passes(void) {
  struct early_drop state = {0};
  HOLDS(early_drop_judge(&state, EARLY_BYTES, FULL, NOW) == BACKLOG_PASS);
  HOLDS(early_drop_judge(&state, EARLY_BYTES + 1, FULL, NOW) == BACKLOG_TELL);
}

static void one_sender_is_told_and_has_time_to_slow_down(void) {
  struct early_drop state = {0};
  HOLDS(early_drop_judge(&state, EARLY_BYTES + 1, FULL, NOW) == BACKLOG_TELL);
  HOLDS(early_drop_judge(&state, EARLY_BYTES + 1, FULL, NOW) == BACKLOG_PASS);
  HOLDS(early_drop_judge(&state, EARLY_BYTES + 1, FULL, NOW + 9000) == BACKLOG_PASS);
  HOLDS(early_drop_judge(&state, EARLY_BYTES + 1, FULL, NOW + 10000) == BACKLOG_TELL);
}

static unsigned told_in_a_second(size_t waiting) {
  struct early_drop state = {0};
  unsigned told = 0;
  for (uint64_t at = 0; at < 1000000; at += 100) told += early_drop_judge(&state, waiting, FULL, NOW + at) == BACKLOG_TELL;
  return told;
}

static void more_are_told_the_closer_the_limit_is(void) {
  unsigned few = told_in_a_second(EARLY_BYTES + 1000), more = told_in_a_second((EARLY_BYTES + BACKLOG_SLOW) / 2);
  unsigned many = told_in_a_second(BACKLOG_SLOW - 5000);
  HOLDS(few >= 99 && few <= 101 && more > few * 3 / 2 && many > more * 3);
}

static void short_packets_tell_nobody(void) {
  struct early_drop state = {0};
  HOLDS(early_drop_judge(&state, EARLY_BYTES + 1, 511, NOW) == BACKLOG_PASS);
  HOLDS(early_drop_judge(&state, EARLY_BYTES + 1, 512, NOW) == BACKLOG_TELL);
}

static void a_client_that_takes_nothing_holds_little(void) {
  struct early_drop state = {0};
  HOLDS(early_drop_judge(&state, BACKLOG_SLOW, 40, NOW) == BACKLOG_PASS);
  HOLDS(early_drop_judge(&state, BACKLOG_SLOW + 1, 40, NOW) == BACKLOG_REFUSE);
}

static void a_fast_client_may_hold_more_and_never_more_than_the_most(void) {
  struct early_drop state = {0};
  early_drop_taken(&state, 100 * 1024, NOW);
  HOLDS(early_drop_judge(&state, BACKLOG_SLOW + 200 * 1024, 40, NOW) == BACKLOG_PASS);
  HOLDS(early_drop_judge(&state, BACKLOG_SLOW + 200 * 1024 + 1, 40, NOW) == BACKLOG_REFUSE);
  early_drop_taken(&state, 100 * 1024 * 1024, NOW);
  HOLDS(early_drop_judge(&state, BACKLOG_AT_MOST, 40, NOW) == BACKLOG_PASS);
  HOLDS(early_drop_judge(&state, BACKLOG_AT_MOST + 1, 40, NOW) == BACKLOG_REFUSE);
}

static void what_a_client_took_is_soon_forgotten(void) {
  struct early_drop state = {0};
  early_drop_taken(&state, 1024 * 1024, NOW);
  HOLDS(early_drop_judge(&state, BACKLOG_SLOW + 1, 40, NOW + 15000) == BACKLOG_PASS);
  HOLDS(early_drop_judge(&state, BACKLOG_SLOW + 1, 40, NOW + 40000) == BACKLOG_REFUSE);
}

static uint8_t *packet_with(uint8_t family, uint8_t ecn, size_t *length) {
  struct made made = {TCP_TO_REMOTE, .payload_length = 600};
  made.family = family;
  struct packet view;
  uint8_t *packet = made_packet(&made, &view);
  *length = view.total_length;
  if (family == 6) packet[1] |= (uint8_t)(ecn << 4);
  else {
    packet[1] |= ecn;
    memset(packet + 10, 0, 2);
    checksum_store(packet + 10, checksum_add(packet, view.transport, 0));
  }
  return packet;
}

static void who_heeds_marks_is_marked(void) {
  for (uint8_t ecn = 1; ecn <= 3; ecn++) {
    size_t length;
    uint8_t *four = packet_with(4, ecn, &length);
    HOLDS(early_drop_mark(four, length) && (four[1] & 3) == 3 && naive_sum(four, 20, 0) == 0xffff);
    free(four);
    uint8_t *six = packet_with(6, ecn, &length);
    HOLDS(early_drop_mark(six, length) && (six[1] >> 4 & 3) == 3 && six[0] >> 4 == 6);
    free(six);
  }
}

static void who_does_not_is_left_as_it_was(void) {
  size_t length;
  for (uint8_t family = 4; family <= 6; family += 2) {
    uint8_t *packet = packet_with(family, 0, &length);
    uint8_t *before = fuzz_copy(packet, length);
    HOLDS(!early_drop_mark(packet, length) && memcmp(packet, before, length) == 0);
    free(before);
    free(packet);
  }
}

static void what_is_no_packet_is_not_marked(void) {
  uint8_t bytes[40] = {0x4f, 0xff};
  HOLDS(!early_drop_mark(bytes, 0) && !early_drop_mark(bytes, 19));
  bytes[0] = 0x6f;
  HOLDS(!early_drop_mark(bytes, 39));
  bytes[0] = 0x5f;
  HOLDS(!early_drop_mark(bytes, 40));
}

int main(void) {
  RUN(what_waits_little_passes);
  RUN(one_sender_is_told_and_has_time_to_slow_down);
  RUN(more_are_told_the_closer_the_limit_is);
  RUN(short_packets_tell_nobody);
  RUN(a_client_that_takes_nothing_holds_little);
  RUN(a_fast_client_may_hold_more_and_never_more_than_the_most);
  RUN(what_a_client_took_is_soon_forgotten);
  RUN(who_heeds_marks_is_marked);
  RUN(who_does_not_is_left_as_it_was);
  RUN(what_is_no_packet_is_not_marked);
  return 0;
}
