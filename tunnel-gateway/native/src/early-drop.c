#include "early-drop.h"

#include <string.h>
#include "checksum.h"

/* Ours: how long the first loss is given to take effect; less and less towards the limit. */
#define TELL_EVERY_US 10000
#define WINDOW_US 10000

/* The two bits of ECN, RFC 3168 section 5; in IPv6 they lie across two bytes. */
#define ECN_MET 3
#define ECN_MET_IPV6 (ECN_MET << 4)
#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define IPV4_CHECKSUM 10

static void turn_window(struct early_drop *state, uint64_t now_us) {
  uint64_t age_us = now_us - state->window_us;
  if (age_us < WINDOW_US) return;
  state->taken_before = age_us < 2 * WINDOW_US ? state->taken : 0;
  state->taken = 0;
  state->window_us = now_us;
}

void early_drop_taken(struct early_drop *state, size_t bytes, uint64_t now_us) {
  turn_window(state, now_us);
  state->taken += bytes;
}

static size_t limit(const struct early_drop *state) {
  size_t taken = state->taken > state->taken_before ? state->taken : state->taken_before;
  return taken < (BACKLOG_AT_MOST - BACKLOG_SLOW) / 2 ? BACKLOG_SLOW + 2 * taken : BACKLOG_AT_MOST;
}

enum early_drop_outcome early_drop_judge(struct early_drop *state, size_t waiting, size_t length, uint64_t now_us) {
  if (waiting <= EARLY_BYTES) return BACKLOG_PASS;
  turn_window(state, now_us);
  size_t at_most = limit(state);
  if (waiting > at_most) return BACKLOG_REFUSE;
  if (length < TELLING_BYTES || now_us < state->next_us) return BACKLOG_PASS;
  state->next_us = now_us + (uint64_t)TELL_EVERY_US * (at_most - waiting) / (at_most - EARLY_BYTES);
  return BACKLOG_TELL;
}

bool early_drop_mark(uint8_t *packet, size_t length) {
  if (length >= IPV4_HEADER_BYTES && packet[0] >> 4 == 4) {
    if ((packet[1] & ECN_MET) == 0) return false;
    uint16_t before, after;
    memcpy(&before, packet, sizeof before);
    packet[1] |= ECN_MET;
    memcpy(&after, packet, sizeof after);
    checksum_replace(packet + IPV4_CHECKSUM, before, after);
    return true;
  }
  if (length < IPV6_HEADER_BYTES || packet[0] >> 4 != 6 || (packet[1] & ECN_MET_IPV6) == 0) return false;
  packet[1] |= ECN_MET_IPV6;
  return true;
}
