// sources: flow-table.c flow-entry.c policy.c packet.c checksum.c
// share: 0.3
/* The input: limits, then steps of 8 bytes, each a packet of some session, or a change of policy, time or sessions. */
#include "flow-table.h"

#include "flow-model.h"
#include "made-packets.h"

#define STEP_BYTES 8

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  size_t length = 4 + STEP_BYTES * (size_t)(random % 100);
  uint64_t state = random;
  fuzz_random_bytes(&state, into, length < room ? length : room);
  uint8_t variety = (uint8_t)(1 + (random >> 32 & 15)); /* few remotes: flows are met again. Many: limits are */
  for (size_t at = 4; at < length; at += STEP_BYTES) {
    into[at + 2] %= variety;
    if ((into[at + 7] & 3) != 0) into[at + 7] = 0; /* time mostly stands */
  }
  return length;
}

static struct model model;
static struct flow_table *table;
static struct policy *policies[3];
static uint32_t generations[MODEL_SLOTS], now;

/* Policy n denies the remote whose last byte is n + 3, and port 22 of all; the rest is allowed. */
static void make_policies(void) {
  for (unsigned number = 0; number < 3 && policies[number] == NULL; number++) {
    uint8_t rules[6 * RULE_BYTES] = {0};
    for (unsigned at = 0; at < 6; at++) {
      uint8_t *rule = rules + at * RULE_BYTES;
      rule[0] = at >= 4;
      rule[1] = at % 2 == 0 ? 4 : 6;
      put16(rule + 4, at / 2 == 1 ? 22 : 0);
      put16(rule + 6, at / 2 == 1 ? 22 : 65535);
      put32(rule + 8, 10 * (number + 1) + at);
      if (at >= 2) continue;
      rule[3] = at == 0 ? 32 : 128;
      memcpy(rule + 16, at == 0 ? "\xc0\0\x02" : "\x20\x01\x0d\xb8", 4);
      rule[at == 0 ? 19 : 31] = (uint8_t)(number + 3);
    }
    HOLDS((policies[number] = policy_parse(rules, sizeof rules)) != NULL);
  }
}

static struct flow_session session_of(uint32_t slot) {
  return (struct flow_session){.slot = slot, .policy = policies[generations[slot] % 3], .generation = generations[slot]};
}

/* Runs the packet through the table; which session lost a flow by it, where one did. */
static struct flow_decision run(const struct flow_session *session, const uint8_t *packet, const struct packet *view, bool is_up,
                                uint32_t *loser) {
  uint32_t before[MODEL_SLOTS];
  for (uint32_t at = 0; at < MODEL_SLOTS; at++) before[at] = model_count(&model, at);
  struct flow_decision decision = (is_up ? flow_up : flow_down)(table, session, packet, view, now);
  *loser = MODEL_SLOTS;
  for (uint32_t at = 0; at < MODEL_SLOTS; at++)
    if (flow_count_of(table, at) < before[at]) *loser = at;
  return decision;
}

static void check_same(struct flow_decision decision, struct flow_decision expected) {
  HOLDS(decision.outcome == expected.outcome && decision.rule == expected.rule && decision.is_new == expected.is_new);
}

static bool is_icmp(const struct packet *view) { return view->protocol == PROTOCOL_ICMP || view->protocol == PROTOCOL_ICMPV6; }

static struct model_fragment fragment_of(const struct flow_session *session, const struct packet *view, bool is_up, uint32_t rule) {
  struct model_fragment fragment = {
      .id = view->fragment_id, .generation = session->generation, .seen = now, .rule = rule, .family = view->family,
      .protocol = view->family == 4 ? view->protocol : 0, .is_up = is_up,
  };
  memcpy(fragment.remote, is_up ? view->destination : view->source, 16);
  return fragment;
}

static void check_later_fragment(const struct flow_session *session, const uint8_t *packet, const struct packet *view, bool is_up) {
  uint32_t loser;
  struct model_fragment key = fragment_of(session, view, is_up, 0);
  const struct model_fragment *first = model_fragment(&model, &key, session->slot);
  bool is_allowed = first != NULL && now - first->seen < 30;
  struct flow_decision expected = {.outcome = is_allowed ? FLOW_ALLOWED : FLOW_UNSOLICITED, .rule = is_allowed ? first->rule : 0};
  check_same(run(session, packet, view, is_up, &loser), expected);
}

/* A new flow of the client, or one that was timed out or denied. */
static struct flow_decision check_opening(const struct flow_session *session, const struct model_key *key, const struct packet *view,
                                          struct flow_decision decision, uint32_t loser, bool had_timed_out) {
  struct verdict verdict = model_judge(session->policy, key);
  if (!verdict.is_allowed) return (struct flow_decision){.outcome = FLOW_DENIED, .rule = verdict.rule};
  struct flow_decision expected = {.outcome = FLOW_ALLOWED, .rule = verdict.rule};
  if (is_icmp(view) && view->icmp_type != 8 && view->icmp_type != 128) return expected;
  uint32_t own = model_count(&model, session->slot);
  /* The session lost its oldest and won this one: its count alone does not tell. */
  bool has_no_place = own >= model.per_session || model.count == model.flows_at_most;
  if (has_no_place && loser == MODEL_SLOTS && own > 0 && !had_timed_out) loser = session->slot;
  model_make_room(&model, session->slot, loser);
  if (decision.outcome == FLOW_LIMIT) {
    HOLDS(own == 0 && model.count == model.flows_at_most);
    expected.outcome = FLOW_LIMIT;
  } else {
    model_insert(&model, session, key, verdict.rule, view, now);
    expected.is_new = true;
  }
  return expected;
}

static void check_packet(const struct flow_session *session, const uint8_t *packet, const struct packet *view, bool is_up) {
  struct model_key key = model_key_of(session->slot, view, is_up);
  uint32_t loser;
  struct flow_decision decision = run(session, packet, view, is_up, &loser), expected = {.outcome = FLOW_UNSOLICITED};
  bool is_answer = !is_icmp(view) || view->icmp_type == 0 || view->icmp_type == 129;
  bool is_question = !is_icmp(view) || view->icmp_type == 8 || view->icmp_type == 128;
  if (is_up || is_answer) {
    size_t before = model.count;
    struct model_flow *flow = is_up && !is_question ? NULL : model_known(&model, session, &key, now, &expected);
    if (flow != NULL) expected.is_new = model_note(&model, flow, view, is_up, now);
    else if (is_up) expected = check_opening(session, &key, view, decision, loser, model.count < before);
  }
  check_same(decision, expected);
  if (decision.outcome != FLOW_ALLOWED || view->part != PACKET_FIRST_FRAGMENT) return;
  struct model_fragment fragment = fragment_of(session, view, is_up, decision.rule);
  model_remember(&model, &fragment, session->slot);
}

/* An ICMP error about `quoted`, which went the other way: from anyone to the client, or from the client, to whom it is about or not. */
static void check_error(const struct flow_session *session, const uint8_t *quoted, size_t quoted_length, bool is_up, bool is_of_other,
                        bool is_from_remote) {
  uint8_t packet[256];
  struct packet inner, view;
  HOLDS(packet_read(quoted, quoted_length, &inner));
  size_t network = inner.family == 4 ? 20 : 40;
  struct made made = {
      .family = inner.family, .protocol = inner.family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6,
      .client = (uint8_t)(session->slot + 2 + is_of_other), .is_down = !is_up,
      .remote = is_from_remote ? (is_up ? inner.source : inner.destination)[inner.family == 4 ? 3 : 15] : 77,
  };
  memset(packet, 0, sizeof packet);
  make_network(&made, packet, 8 + quoted_length);
  packet[network] = inner.family == 4 ? 3 : 1;
  memcpy(packet + network + 8, quoted, quoted_length);
  HOLDS(packet_read(packet, network + 8 + quoted_length, &view) && packet_is_icmp_error(&view));
  struct flow_decision expected = {.outcome = FLOW_UNSOLICITED};
  struct model_key key = model_key_of(session->slot, &inner, !is_up);
  bool is_about_flow = !is_of_other && (!is_up || is_from_remote) && (!is_icmp(&inner) || inner.icmp_type == 8 || inner.icmp_type == 128);
  uint32_t loser;
  struct flow_decision decision = run(session, packet, &view, is_up, &loser);
  if (is_about_flow) model_known(&model, session, &key, now, &expected);
  check_same(decision, expected);
}

static void control(uint8_t what, uint32_t slot) {
  switch (what % 4) {
    case 0:
      generations[slot]++;
      break;
    case 1:
      flow_drop_session(table, slot);
      model_drop(&model, slot);
      break;
    case 2:
      flow_expire(table, now, UINT32_MAX);
      model_expire(&model, now);
      break;
    default:
      now += 1U << (what >> 2 & 15);
  }
}

static void step(const uint8_t *bytes) {
  static const uint8_t flags[] = {TCP_SYN, TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN, TCP_RST, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK};
  static const uint8_t delays[] = {1, 1, 29, 30, 31, 119, 120, 200};
  uint32_t slot = bytes[1] % model.slots;
  if (bytes[7] != 0) now += delays[bytes[7] % 8];
  if ((bytes[0] & 15) == 15) {
    control(bytes[2], slot);
    return;
  }
  bool is_up = (bytes[0] & 16) == 0, is_fragment = (bytes[0] & 15) == 14, is_error = (bytes[0] & 15) == 13;
  struct made made = {
      .family = bytes[1] & 64 ? 4 : 6, .client = (uint8_t)(slot + 2), .remote = bytes[2], .client_port = (uint16_t)(1000 + bytes[3] % 4),
      .remote_port = bytes[4] % 16 == 0 ? 22 : 443, .id = bytes[5] % 3, .is_down = is_error ? is_up : !is_up, .payload_length = 8,
  };
  made.protocol = bytes[6] % 4 == 0 ? PROTOCOL_UDP : bytes[6] % 4 == 1 ? (made.family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6) : PROTOCOL_TCP;
  made.flags = flags[bytes[6] >> 2 & 7];
  bool is_echo = made.protocol != PROTOCOL_TCP && made.protocol != PROTOCOL_UDP;
  if (is_echo) made.flags = (uint8_t)((made.family == 4 ? 0 : 128) + (made.is_down ^ (bytes[6] >> 5 == 0)));
  if (is_echo && made.family == 4) made.flags = made.flags == 0 ? 8 : 0;
  uint8_t packet[160];
  size_t length = make_packet(&made, packet);
  if (is_fragment && made.family == 4) put16(packet + 6, bytes[0] & 32 ? 0x2000 : 4);
  struct packet view;
  struct flow_session session = session_of(slot);
  if (!packet_read(packet, length, &view)) return;
  if (is_error) check_error(&session, packet, length, is_up, (bytes[0] & 224) == 224, bytes[3] % 4 != 0);
  else if (view.part == PACKET_LATER_FRAGMENT) check_later_fragment(&session, packet, &view, is_up);
  else check_packet(&session, packet, &view, is_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  if (length < 4) return 0;
  make_policies();
  memset(&model, 0, sizeof model);
  memset(generations, 0, sizeof generations);
  now = UINT32_MAX - 100 + bytes[3]; /* the clock's number may turn over */
  model.slots = 1 + bytes[0] % MODEL_SLOTS;
  model.flows_at_most = 1 + bytes[1] % (MODEL_FLOWS / 2);
  model.per_session = 1 + bytes[2] % 16;
  struct flow_table_options options = {
      .slots = model.slots, .flows_at_most = model.flows_at_most, .flows_per_session_at_most = model.per_session,
      .seed = {get32(bytes), 7},
  };
  HOLDS((table = flow_table_new(&options)) != NULL);
  for (size_t at = 4; at + STEP_BYTES <= length; at += STEP_BYTES) {
    step(bytes + at);
    HOLDS(flow_count(table) == model.count && model.count <= model.flows_at_most);
    for (uint32_t slot = 0; slot < model.slots; slot++) HOLDS(flow_count_of(table, slot) == model_count(&model, slot));
  }
  flow_table_free(table);
  return 0;
}
