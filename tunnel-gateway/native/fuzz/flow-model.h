/*
 * flow-model.h: the flow table as a plain list, for flow-table.fuzz.c. It says what each packet must come to; only which session
 * gives way in a full table it learns from the table, and judges.
 */
#ifndef ISTHMUS_FLOW_MODEL_H
#define ISTHMUS_FLOW_MODEL_H

#include "flow-table.h"
#include "fuzz.h"

#define MODEL_SLOTS 6
#define MODEL_FLOWS 64
#define MODEL_FRAGMENTS 16

struct model_key {
  uint8_t remote[16];
  uint32_t slot;
  uint16_t client_port, remote_port, icmp_id;
  uint8_t family, protocol;
};

struct model_flow {
  struct model_key key;
  uint32_t seen, used, generation, rule; /* used: counts up, the highest is the newest */
  bool is_answered, has_finished[2], is_reset;
};

struct model_fragment {
  uint8_t remote[16];
  uint32_t id, generation, seen, rule;
  uint8_t family, protocol;
  bool is_up;
};

struct model {
  uint32_t slots, flows_at_most, per_session, used;
  size_t count;
  struct model_flow flows[MODEL_FLOWS];
  size_t fragment_count[MODEL_SLOTS], fragment_next[MODEL_SLOTS];
  struct model_fragment fragments[MODEL_SLOTS][MODEL_FRAGMENTS];
};

static inline uint32_t model_count(const struct model *model, uint32_t slot) {
  uint32_t count = 0;
  for (size_t at = 0; at < model->count; at++) count += model->flows[at].key.slot == slot;
  return count;
}

static inline void model_remove(struct model *model, size_t at) { model->flows[at] = model->flows[--model->count]; }

static inline void model_remove_oldest(struct model *model, uint32_t slot) {
  size_t oldest = SIZE_MAX;
  for (size_t at = 0; at < model->count; at++) {
    if (model->flows[at].key.slot != slot) continue;
    if (oldest == SIZE_MAX || model->flows[at].used < model->flows[oldest].used) oldest = at;
  }
  HOLDS(oldest != SIZE_MAX);
  model_remove(model, oldest);
}

static inline bool model_is_over(const struct model_flow *flow) {
  return flow->is_reset || (flow->has_finished[0] && flow->has_finished[1]);
}

static inline uint32_t model_seconds(const struct model_flow *flow) {
  uint8_t protocol = flow->key.protocol;
  if (protocol == PROTOCOL_UDP) return 120;
  if (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6) return 30;
  if (model_is_over(flow) || !flow->is_answered) return 30;
  return flow->has_finished[0] || flow->has_finished[1] ? 300 : 7440;
}

static inline void model_expire(struct model *model, uint32_t now) {
  for (size_t at = model->count; at > 0; at--)
    if (now - model->flows[at - 1].seen >= model_seconds(&model->flows[at - 1])) model_remove(model, at - 1);
}

static inline struct model_key model_key_of(uint32_t slot, const struct packet *view, bool is_up) {
  struct model_key key;
  memset(&key, 0, sizeof key);
  memcpy(key.remote, is_up ? view->destination : view->source, 16);
  key.slot = slot;
  key.family = view->family;
  key.protocol = view->protocol;
  key.icmp_id = view->icmp_id;
  key.client_port = is_up ? view->source_port : view->destination_port;
  key.remote_port = is_up ? view->destination_port : view->source_port;
  return key;
}

static inline struct verdict model_judge(const struct policy *policy, const struct model_key *key) {
  struct destination destination = {.family = key->family, .protocol = key->protocol, .port = key->remote_port};
  memcpy(destination.address, key->remote, 16);
  return policy_judge(policy, &destination);
}

/* The flow, judged anew where the policy is another; timed out or denied it is gone. */
static inline struct model_flow *model_known(struct model *model, const struct flow_session *session, const struct model_key *key,
                                             uint32_t now, struct flow_decision *decision) {
  *decision = (struct flow_decision){.outcome = FLOW_UNSOLICITED};
  size_t at = 0;
  while (at < model->count && memcmp(&model->flows[at].key, key, sizeof *key) != 0) at++;
  if (at == model->count) return NULL;
  struct model_flow *flow = &model->flows[at];
  if (now - flow->seen >= model_seconds(flow)) {
    model_remove(model, at);
    return NULL;
  }
  struct verdict verdict = {.is_allowed = true, .rule = flow->rule};
  if (flow->generation != session->generation) verdict = model_judge(session->policy, key);
  flow->generation = session->generation;
  flow->rule = verdict.rule;
  *decision = (struct flow_decision){.outcome = verdict.is_allowed ? FLOW_ALLOWED : FLOW_DENIED, .rule = verdict.rule};
  if (verdict.is_allowed) return flow;
  model_remove(model, at);
  return NULL;
}

static inline bool model_note(struct model *model, struct model_flow *flow, const struct packet *view, bool is_up, uint32_t now) {
  bool is_anew = false;
  if (view->protocol == PROTOCOL_TCP) {
    if (!is_up) flow->is_answered = true;
    bool is_first = (view->tcp_flags & TCP_SYN) != 0 && (view->tcp_flags & TCP_ACK) == 0;
    is_anew = is_up && is_first && model_is_over(flow);
    if (is_anew) flow->is_answered = flow->has_finished[0] = flow->has_finished[1] = flow->is_reset = false;
    if ((view->tcp_flags & TCP_RST) != 0) flow->is_reset = true;
    if ((view->tcp_flags & TCP_FIN) != 0) flow->has_finished[is_up] = true;
  }
  if (flow->seen == now) return is_anew;
  flow->seen = now;
  flow->used = ++model->used;
  return is_anew;
}

static inline void model_insert(struct model *model, const struct flow_session *session, const struct model_key *key, uint32_t rule,
                                const struct packet *view, uint32_t now) {
  HOLDS(model->count < MODEL_FLOWS);
  struct model_flow *flow = &model->flows[model->count++];
  memset(flow, 0, sizeof *flow);
  *flow = (struct model_flow){.key = *key, .seen = now, .used = ++model->used, .generation = session->generation, .rule = rule};
  model_note(model, flow, view, true, now);
}

/* Where a flow is put into a table without place: `loser` is the session that has one less, or MODEL_SLOTS for none. */
static inline void model_make_room(struct model *model, uint32_t slot, uint32_t loser) {
  uint32_t own = model_count(model, slot);
  if (own >= model->per_session) {
    HOLDS(loser == slot);
  } else if (model->count < model->flows_at_most) {
    HOLDS(loser == MODEL_SLOTS);
    return;
  } else {
    uint32_t sessions = own == 0, above = 0;
    for (uint32_t at = 0; at < model->slots; at++) sessions += model_count(model, at) > 0;
    uint32_t fair = model->flows_at_most / sessions;
    if (fair == 0) fair = 1;
    for (uint32_t at = 0; at < model->slots; at++) above += at != slot && model_count(model, at) > fair;
    if (own >= fair || above == 0) HOLDS(loser == (own > 0 ? slot : MODEL_SLOTS));
    else HOLDS(loser != slot && loser < MODEL_SLOTS && model_count(model, loser) > fair);
    if (loser == MODEL_SLOTS) return;
  }
  model_remove_oldest(model, loser);
}

static inline struct model_fragment *model_fragment(struct model *model, const struct model_fragment *key, uint32_t slot) {
  for (size_t at = 0; at < model->fragment_count[slot]; at++) {
    struct model_fragment *own = &model->fragments[slot][at];
    if (own->id == key->id && own->generation == key->generation && own->family == key->family && own->protocol == key->protocol &&
        own->is_up == key->is_up && memcmp(own->remote, key->remote, 16) == 0)
      return own;
  }
  return NULL;
}

static inline void model_remember(struct model *model, const struct model_fragment *fragment, uint32_t slot) {
  struct model_fragment *place = model_fragment(model, fragment, slot);
  if (place == NULL) {
    place = &model->fragments[slot][model->fragment_next[slot]];
    model->fragment_next[slot] = (model->fragment_next[slot] + 1) % MODEL_FRAGMENTS;
    if (model->fragment_count[slot] < MODEL_FRAGMENTS) model->fragment_count[slot]++;
  }
  *place = *fragment;
}

static inline void model_drop(struct model *model, uint32_t slot) {
  for (size_t at = model->count; at > 0; at--)
    if (model->flows[at - 1].key.slot == slot) model_remove(model, at - 1);
  model->fragment_count[slot] = model->fragment_next[slot] = 0;
}

#endif
