// sources: flow-table.c flow-entry.c policy.c packet.c checksum.c
#include "flow-table.h"

#include "cases.h"
#include "flow-entry.h"

static struct policy *everything, *nothing;
static struct flow_table *table;

static void start(uint32_t slots, uint32_t flows, uint32_t per_session) {
  uint8_t rules[2 * RULE_BYTES] = {1, 4, [6] = 0xff, 0xff, [11] = 1, [RULE_BYTES] = 1, 6, [RULE_BYTES + 6] = 0xff, 0xff, [RULE_BYTES + 11] = 2};
  if (everything == NULL) everything = policy_parse(rules, sizeof rules);
  if (nothing == NULL) nothing = policy_parse(NULL, 0);
  flow_table_free(table);
  table = flow_table_new(&(struct flow_table_options){
      .slots = slots, .flows_at_most = flows, .flows_per_session_at_most = per_session, .seed = {1, 2}});
  HOLDS(table != NULL && everything != NULL && nothing != NULL);
}

static struct flow_decision pass_under(const struct policy *policy, uint32_t generation, uint32_t slot, struct made made, uint32_t now) {
  struct flow_session session = {.slot = slot, .policy = policy, .generation = generation};
  struct packet view;
  made.client = (uint8_t)(slot + 2);
  uint8_t *packet = made_packet(&made, &view);
  struct flow_decision decision = (made.is_down ? flow_down : flow_up)(table, &session, packet, &view, now);
  free(packet);
  return decision;
}

static enum flow_outcome pass(uint32_t slot, struct made made, uint32_t now) {
  return pass_under(everything, 0, slot, made, now).outcome;
}

static struct made segment(uint8_t flags, bool is_down) {
  struct made made = {TCP_TO_REMOTE};
  made.flags = flags;
  made.is_down = is_down;
  return made;
}

static struct made other(unsigned number, bool is_down) {
  struct made made = segment(TCP_SYN, is_down);
  made.client_port = (uint16_t)(6000 + number);
  return made;
}

static void nothing_comes_in_that_was_not_asked_for(void) {
  start(2, 10, 0);
  HOLDS(pass(0, segment(TCP_SYN, true), 5) == FLOW_UNSOLICITED);
  HOLDS(pass(0, segment(TCP_SYN, false), 5) == FLOW_ALLOWED);
  HOLDS(pass(0, segment(TCP_SYN | TCP_ACK, true), 5) == FLOW_ALLOWED);
  HOLDS(pass(1, segment(TCP_SYN | TCP_ACK, true), 5) == FLOW_UNSOLICITED);
  struct made from_elsewhere = segment(TCP_ACK, true);
  from_elsewhere.remote_port = 444;
  HOLDS(pass(0, from_elsewhere, 5) == FLOW_UNSOLICITED);
}

static bool is_new(struct made made, uint32_t now) { return pass_under(everything, 0, 0, made, now).is_new; }

static void a_flow_is_new_once(void) {
  start(1, 10, 0);
  HOLDS(is_new(segment(TCP_SYN, false), 5));
  HOLDS(!is_new(segment(TCP_SYN, false), 6) && !is_new(segment(TCP_SYN | TCP_ACK, true), 6) && !is_new(segment(TCP_RST, true), 7));
  /* Its ports are used again, before and after it is forgotten. */
  HOLDS(is_new(segment(TCP_SYN, false), 8) && !is_new(segment(TCP_ACK, false), 8));
  HOLDS(is_new(segment(TCP_SYN, false), 8 + FLOW_OPENING_SECONDS));
  HOLDS(!pass_under(nothing, 1, 0, other(1, false), 50).is_new);
}

static void what_went_on_before_a_restart_goes_on(void) {
  start(1, 10, 0);
  struct flow_session session = {.slot = 0, .policy = everything, .adopts = true};
  struct packet view;
  struct made made = segment(TCP_ACK, true);
  made.client = 2;
  uint8_t *packet = made_packet(&made, &view);
  HOLDS(flow_down(table, &session, packet, &view, 5).is_new && flow_count(table) == 1);
  struct flow_decision again = flow_down(table, &session, packet, &view, 5);
  HOLDS(again.outcome == FLOW_ALLOWED && !again.is_new);
  session.policy = nothing;
  session.generation = 1;
  HOLDS(flow_down(table, &session, packet, &view, 5).outcome != FLOW_ALLOWED && flow_count(table) == 0);
  HOLDS(flow_down(table, &session, packet, &view, 5).outcome == FLOW_UNSOLICITED);
  free(packet);
  session.policy = everything;
  const uint8_t opening[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_RST};
  for (size_t at = 0; at < sizeof opening; at++) {
    made.flags = opening[at];
    packet = made_packet(&made, &view);
    HOLDS(flow_down(table, &session, packet, &view, 5).outcome == FLOW_UNSOLICITED);
    free(packet);
  }
}

static void an_error_of_a_client_goes_to_nobody_but_whom_it_is_about(void) {
  start(1, 10, 0);
  HOLDS(pass(0, segment(TCP_SYN, false), 5) == FLOW_ALLOWED);
  struct packet view;
  struct made came = segment(TCP_ACK, true);
  came.client = 2;
  uint8_t *quoted = made_packet(&came, &view);
  uint8_t packet[20 + 8 + 28] = {0x45, [3] = sizeof packet, [8] = 64, [9] = PROTOCOL_ICMP, [20] = 3, [21] = 4};
  memcpy(packet + 28, quoted, 28);
  memcpy(packet + 12, quoted + 16, 4);
  memcpy(packet + 16, quoted + 12, 4);
  struct flow_session session = {.slot = 0, .policy = everything};
  HOLDS(packet_read(packet, sizeof packet, &view));
  HOLDS(flow_up(table, &session, packet, &view, 5).outcome == FLOW_ALLOWED);
  packet[19]++; /* a neighbour of the remote, of which there is no flow */
  HOLDS(packet_read(packet, sizeof packet, &view));
  HOLDS(flow_up(table, &session, packet, &view, 5).outcome == FLOW_UNSOLICITED);
  free(quoted);
}

/* The packets of `flags` go by (down where `is_down`), then one comes in after so long. */
static bool lives(const uint8_t *flags, const bool *is_down, size_t count, uint32_t seconds) {
  start(1, 10, 0);
  for (size_t at = 0; at < count; at++) HOLDS(pass(0, segment(flags[at], is_down[at]), 100) == FLOW_ALLOWED);
  return pass(0, segment(TCP_ACK, true), 100 + seconds) == FLOW_ALLOWED;
}

static void a_flow_is_forgotten_after_the_time_of_its_state(void) {
  static const uint8_t flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK | TCP_FIN, TCP_ACK | TCP_FIN};
  static const bool is_down[] = {false, true, false, true};
  static const uint32_t seconds[] = {FLOW_OPENING_SECONDS, FLOW_ESTABLISHED_SECONDS, FLOW_HALF_CLOSED_SECONDS, FLOW_CLOSING_SECONDS};
  for (size_t count = 1; count <= 4; count++) {
    HOLDS(lives(flags, is_down, count, seconds[count - 1] - 1));
    HOLDS(!lives(flags, is_down, count, seconds[count - 1]));
  }
  static const uint8_t reset[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_RST};
  HOLDS(lives(reset, is_down, 3, FLOW_CLOSING_SECONDS - 1) && !lives(reset, is_down, 3, FLOW_CLOSING_SECONDS));
}

static void datagrams_and_echoes_have_their_own_times(void) {
  for (unsigned at = 0; at < 2; at++) {
    struct made up = {.family = 4, .protocol = at == 0 ? PROTOCOL_UDP : PROTOCOL_ICMP, .flags = 8, .remote = 9, .client_port = 77}, down = up;
    uint32_t seconds = at == 0 ? FLOW_UDP_SECONDS : FLOW_ICMP_SECONDS;
    down.is_down = true;
    down.flags = 0;
    start(1, 10, 0);
    HOLDS(pass(0, up, 100) == FLOW_ALLOWED && pass(0, down, 99 + seconds) == FLOW_ALLOWED);
    HOLDS(pass(0, down, 99 + 2 * seconds) == FLOW_UNSOLICITED);
  }
}

static void nobody_turns_the_routes_of_hosts_inside(void) {
  static const uint8_t types[] = {5 /* redirect */, 9, 10 /* router advertisement and solicitation */};
  start(1, 10, 0);
  for (size_t at = 0; at < sizeof types; at++) {
    struct made up = {.family = 4, .protocol = PROTOCOL_ICMP, .flags = types[at], .remote = 9, .client_port = 77};
    HOLDS(pass(0, up, 100) == FLOW_DENIED);
    up.is_down = true;
    HOLDS(pass(0, up, 100) == FLOW_UNSOLICITED);
  }
  for (uint8_t type = 130; type <= 137; type++) {
    struct made up = {.family = 6, .protocol = PROTOCOL_ICMPV6, .flags = type, .remote = 9, .client_port = 77};
    HOLDS(pass(0, up, 100) == FLOW_DENIED);
  }
}

static void a_session_at_its_limit_displaces_its_own_oldest_flow(void) {
  start(2, 100, 4);
  HOLDS(pass(1, other(0, false), 1) == FLOW_ALLOWED);
  for (unsigned at = 0; at < 4; at++) HOLDS(pass(0, other(at, false), 1) == FLOW_ALLOWED);
  HOLDS(flow_count_of(table, 0) == 4 && pass(0, other(0, true), 2) == FLOW_ALLOWED);
  HOLDS(pass(0, other(4, false), 3) == FLOW_ALLOWED && flow_count_of(table, 0) == 4);
  HOLDS(pass(0, other(1, true), 3) == FLOW_UNSOLICITED && pass(0, other(0, true), 3) == FLOW_ALLOWED);
  HOLDS(pass(1, other(0, true), 3) == FLOW_ALLOWED);
}

static void one_session_cannot_displace_the_flows_of_others_in_a_full_table(void) {
  start(3, 12, 100);
  for (unsigned at = 0; at < 4; at++) HOLDS(pass(1, other(at, false), 1) == FLOW_ALLOWED);
  for (unsigned at = 0; at < 50; at++) HOLDS(pass(0, other(at, false), 2) == FLOW_ALLOWED);
  HOLDS(flow_count(table) == 12 && flow_count_of(table, 0) == 8 && flow_count_of(table, 1) == 4);
  for (unsigned at = 0; at < 4; at++) HOLDS(pass(1, other(at, true), 3) == FLOW_ALLOWED);
  /* A newcomer takes from who has more than a third. */
  for (unsigned at = 0; at < 9; at++) HOLDS(pass(2, other(at, false), 3) == FLOW_ALLOWED);
  HOLDS(flow_count_of(table, 0) == 4 && flow_count_of(table, 1) == 4 && flow_count_of(table, 2) == 4);
}

static void a_full_table_without_anyone_above_his_share_takes_no_more_sessions(void) {
  start(3, 2, 100);
  HOLDS(pass(0, other(0, false), 1) == FLOW_ALLOWED && pass(1, other(0, false), 1) == FLOW_ALLOWED);
  HOLDS(pass(2, other(0, false), 1) == FLOW_LIMIT);
}

static void another_policy_judges_known_flows_anew(void) {
  start(1, 10, 0);
  HOLDS(pass_under(everything, 1, 0, segment(TCP_SYN, false), 1).outcome == FLOW_ALLOWED);
  HOLDS(pass_under(everything, 2, 0, segment(TCP_ACK, true), 1).outcome == FLOW_ALLOWED);
  HOLDS(pass_under(nothing, 3, 0, segment(TCP_ACK, true), 1).outcome == FLOW_DENIED && flow_count(table) == 0);
  HOLDS(pass_under(nothing, 3, 0, segment(TCP_ACK, false), 1).outcome == FLOW_DENIED);
}

static void what_is_denied_takes_no_place(void) {
  start(1, 2, 2);
  for (unsigned at = 0; at < 10; at++) HOLDS(pass_under(nothing, 0, 0, other(at, false), 1).outcome == FLOW_DENIED);
  HOLDS(flow_count(table) == 0);
}

static void a_session_that_ended_leaves_nothing_behind(void) {
  start(2, 10, 0);
  HOLDS(pass(0, segment(TCP_SYN, false), 1) == FLOW_ALLOWED && pass(1, segment(TCP_SYN, false), 1) == FLOW_ALLOWED);
  flow_drop_session(table, 0);
  flow_drop_session(table, 7);
  HOLDS(pass(0, segment(TCP_ACK, true), 1) == FLOW_UNSOLICITED && pass(1, segment(TCP_ACK, true), 1) == FLOW_ALLOWED);
}

static void timed_out_flows_are_freed_a_few_at_a_time(void) {
  start(1, 10, 0);
  for (unsigned at = 0; at < 6; at++) HOLDS(pass(0, other(at, false), 1) == FLOW_ALLOWED);
  flow_expire(table, 30, 100);
  HOLDS(flow_count(table) == 6);
  flow_expire(table, 31, 4);
  HOLDS(flow_count(table) == 2);
  flow_expire(table, 31, 4);
  HOLDS(flow_count(table) == 0);
}

static void sixteen_datagrams_in_pieces_are_remembered(void) {
  start(1, 100, 0);
  struct flow_session session = {.policy = everything};
  struct made made = {.family = 4, .protocol = PROTOCOL_UDP, .client = 2, .remote = 9, .remote_port = 53, .payload_length = 16};
  struct packet view;
  uint8_t packet[64];
  for (unsigned later = 0; later < 2; later++) {
    for (made.id = 0; made.id < 17; made.id++) {
      size_t length = make_packet(&made, packet);
      put16(packet + 6, later ? 3 : 0x2000);
      HOLDS(packet_read(packet, length, &view));
      enum flow_outcome expected = later && made.id == 0 ? FLOW_UNSOLICITED : FLOW_ALLOWED;
      HOLDS(flow_up(table, &session, packet, &view, 1 + later * (FRAGMENT_SECONDS - 1)).outcome == expected);
    }
  }
  HOLDS(flow_up(table, &session, packet, &view, 1 + FRAGMENT_SECONDS).outcome == FLOW_UNSOLICITED);
}

static void limits_of_nothing_are_refused(void) {
  HOLDS(flow_table_new(&(struct flow_table_options){.slots = 0, .flows_at_most = 1}) == NULL);
  HOLDS(flow_table_new(&(struct flow_table_options){.slots = 1, .flows_at_most = 0}) == NULL);
}

int main(void) {
  RUN(nothing_comes_in_that_was_not_asked_for);
  RUN(a_flow_is_new_once);
  RUN(what_went_on_before_a_restart_goes_on);
  RUN(an_error_of_a_client_goes_to_nobody_but_whom_it_is_about);
  RUN(a_flow_is_forgotten_after_the_time_of_its_state);
  RUN(datagrams_and_echoes_have_their_own_times);
  RUN(nobody_turns_the_routes_of_hosts_inside);
  RUN(a_session_at_its_limit_displaces_its_own_oldest_flow);
  RUN(one_session_cannot_displace_the_flows_of_others_in_a_full_table);
  RUN(a_full_table_without_anyone_above_his_share_takes_no_more_sessions);
  RUN(another_policy_judges_known_flows_anew);
  RUN(what_is_denied_takes_no_place);
  RUN(a_session_that_ended_leaves_nothing_behind);
  RUN(timed_out_flows_are_freed_a_few_at_a_time);
  RUN(sixteen_datagrams_in_pieces_are_remembered);
  RUN(limits_of_nothing_are_refused);
  flow_table_free(table);
  policy_release(everything);
  policy_release(nothing);
}
