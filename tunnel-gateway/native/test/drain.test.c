// sources: drain.c packet.c
#include "cases.h"
#include "drain.h"

#define FLOW 7
#define OTHER 8
#define NOW 1000000

static struct drain drain;

static void set_up(void) { memset(&drain, 0, sizeof drain); }

/* One datagram of TCP up to `end`. */
static void sent(uint32_t flow, uint32_t end, uint64_t at_us) {
  drain_sent(&drain, 1400);
  drain_mark(&drain, flow, end, at_us);
}

static void an_answer_says_that_all_before_was_taken(void) {
  set_up();
  for (uint32_t number = 1; number <= 30; number++) sent(FLOW, number * 1400, NOW);
  HOLDS(drain_waiting(&drain) == 30 * 1400);
  drain_answered(&drain, FLOW, 29 * 1400, NOW + 200);
  size_t waiting = drain_waiting(&drain);
  HOLDS(waiting > 0 && waiting <= DRAIN_MARK_BYTES + 1400);
  drain_answered(&drain, FLOW, 30 * 1400, NOW + 300);
  HOLDS(drain_waiting(&drain) == 0);
}

static void an_answer_of_one_flow_speaks_for_all_flows(void) {
  set_up();
  for (uint32_t number = 1; number <= 5; number++) sent(OTHER, number * 1400, NOW);
  drain_sent(&drain, 1000); /* UDP */
  sent(FLOW, 90, NOW);
  drain_answered(&drain, OTHER, 1399, NOW + 100);
  HOLDS(drain_waiting(&drain) == 5 * 1400 + 1000 + 1400);
  drain_answered(&drain, FLOW, 90, NOW + 100);
  HOLDS(drain_waiting(&drain) == 0);
}

static void sequence_numbers_may_wrap(void) {
  set_up();
  sent(FLOW, UINT32_MAX - 10, NOW);
  sent(FLOW, 1389, NOW);
  drain_answered(&drain, FLOW, UINT32_MAX - 10, NOW);
  HOLDS(drain_waiting(&drain) == 2800);
  drain_answered(&drain, FLOW, 1389, NOW);
  HOLDS(drain_waiting(&drain) == 0);
}

static void what_is_sent_again_is_answered_by_nothing_that_was_on_its_way(void) {
  set_up();
  sent(FLOW, 1400, NOW);
  sent(FLOW, 2800, NOW);
  drain_answered(&drain, FLOW, 2800, NOW + 100);
  sent(FLOW, 1400, NOW + 200);
  drain_answered(&drain, FLOW, 2800, NOW + 201);
  HOLDS(drain_waiting(&drain) == 1400);
  sent(FLOW, 4200, NOW + 300);
  drain_answered(&drain, FLOW, 2800, NOW + 301);
  HOLDS(drain_waiting(&drain) == 2800);
  drain_answered(&drain, FLOW, 4200, NOW + 302);
  HOLDS(drain_waiting(&drain) == 0);
}

static void a_new_flow_of_the_same_ports_is_expected_to_answer(void) {
  set_up();
  sent(FLOW, 3000000000, NOW);
  drain_answered(&drain, FLOW, 3000000000, NOW);
  sent(FLOW, 2000000000, NOW);
  drain_heard(&drain);
  HOLDS(drain_waiting(&drain) == 1400);
  drain_answered(&drain, FLOW, 2000000000, NOW);
  HOLDS(drain_waiting(&drain) == 0);
}

static void any_word_does_where_no_answer_is_expected(void) {
  set_up();
  drain_sent(&drain, 9000);
  HOLDS(drain_waiting(&drain) == 9000 && drain_patience_us(&drain) == DRAIN_MOST_UNMARKED_US);
  drain_heard(&drain);
  HOLDS(drain_waiting(&drain) == 0);
  sent(FLOW, 1400, NOW);
  drain_heard(&drain);
  HOLDS(drain_waiting(&drain) == 1400);
}

static void who_does_not_answer_is_waited_for_less_and_less(void) {
  set_up();
  uint32_t before_us = UINT32_MAX;
  for (int number = 0; number < 20; number++) {
    sent(FLOW, 1400 * (uint32_t)(number + 1), NOW);
    uint32_t patience_us = drain_patience_us(&drain);
    HOLDS(number == 0 ? patience_us == DRAIN_MOST_US : patience_us < before_us || patience_us == DRAIN_LEAST_US);
    before_us = patience_us;
    drain_give_up(&drain);
    HOLDS(drain_waiting(&drain) == 0);
  }
  HOLDS(before_us == DRAIN_LEAST_US);
}

static void a_late_answer_earns_patience_and_takes_nothing_back(void) {
  set_up();
  sent(FLOW, 1400, NOW);
  drain_give_up(&drain);
  sent(FLOW, 2800, NOW);
  drain_answered(&drain, FLOW, 1400, NOW + 9000);
  HOLDS(drain_waiting(&drain) == 1400 && drain_patience_us(&drain) == DRAIN_MOST_US);
}

static void who_is_far_away_is_waited_for_the_least(void) {
  set_up();
  uint32_t end = 0;
  for (uint64_t at_us = NOW; at_us < NOW + 3 * DRAIN_WINDOW_US; at_us += 50000) {
    sent(FLOW, ++end, at_us);
    drain_answered(&drain, FLOW, end, at_us + 20000);
  }
  HOLDS(drain_patience_us(&drain) == DRAIN_LEAST_US);
  sent(FLOW, ++end, NOW + 4 * DRAIN_WINDOW_US);
  drain_answered(&drain, FLOW, end, NOW + 4 * DRAIN_WINDOW_US + 200);
  sent(FLOW, ++end, NOW + 5 * DRAIN_WINDOW_US);
  HOLDS(drain_patience_us(&drain) == DRAIN_MOST_US);
}

static uint32_t newest_of(uint32_t acknowledged, const uint8_t *options, size_t length) {
  struct made made = {TCP_TO_REMOTE, .acknowledged = acknowledged, .options = options, .options_length = length};
  struct packet view;
  uint8_t *packet = made_packet(&made, &view);
  uint32_t newest = drain_newest(packet, &view);
  free(packet);
  return newest;
}

static void the_first_block_of_a_selective_acknowledgement_is_the_newest(void) {
  static const uint8_t two[20] = {1, 1, 5, 18, 0, 0, 16, 0, 0, 0, 32, 0, 0, 0, 64, 0, 0, 0, 128, 0};
  static const uint8_t old[12] = {1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 9};
  static const uint8_t short_one[4] = {5, 2, 1, 1}, cut_off[4] = {1, 1, 5, 18};
  HOLDS(newest_of(1000, two, sizeof two) == 0x2000);
  HOLDS(newest_of(1000, old, sizeof old) == 1000);
  HOLDS(newest_of(1000, short_one, 4) == 1000);
  HOLDS(newest_of(1000, cut_off, 4) == 1000);
  HOLDS(newest_of(1000, NULL, 0) == 1000);
}

int main(void) {
  RUN(an_answer_says_that_all_before_was_taken);
  RUN(an_answer_of_one_flow_speaks_for_all_flows);
  RUN(sequence_numbers_may_wrap);
  RUN(what_is_sent_again_is_answered_by_nothing_that_was_on_its_way);
  RUN(a_new_flow_of_the_same_ports_is_expected_to_answer);
  RUN(any_word_does_where_no_answer_is_expected);
  RUN(who_does_not_answer_is_waited_for_less_and_less);
  RUN(a_late_answer_earns_patience_and_takes_nothing_back);
  RUN(who_is_far_away_is_waited_for_the_least);
  RUN(the_first_block_of_a_selective_acknowledgement_is_the_newest);
  return 0;
}
