#include "flow-table.h"

#include <stdlib.h>
#include <string.h>
#include "flow-entry.h"

#define ICMP_ECHO_REQUEST 8
#define ICMPV6_ECHO_REQUEST 128
/* Redirects and router discovery (RFC 792, 1256), neighbour discovery and multicast listeners (RFC 4861, 2710): of a link, which a
   tunnel is not. */
#define ICMP_REDIRECT 5
#define ICMP_ROUTER_ADVERTISEMENT 9
#define ICMP_ROUTER_SOLICITATION 10
#define ICMPV6_LISTENER_QUERY 130
#define ICMPV6_REDIRECT 137

static bool is_icmp(uint8_t family, uint8_t protocol) {
  return protocol == (family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6);
}

static bool is_of_link(const struct packet *view) {
  if (!is_icmp(view->family, view->protocol)) return false;
  uint8_t type = view->icmp_type;
  if (view->family == 6) return type >= ICMPV6_LISTENER_QUERY && type <= ICMPV6_REDIRECT;
  return type == ICMP_REDIRECT || type == ICMP_ROUTER_ADVERTISEMENT || type == ICMP_ROUTER_SOLICITATION;
}

static struct flow_key key_of(uint32_t slot, const struct packet *view, bool is_up) {
  const uint8_t *remote = is_up ? view->destination : view->source;
  uint64_t client_port = is_up ? view->source_port : view->destination_port;
  uint64_t remote_port = is_up ? view->destination_port : view->source_port;
  struct flow_key key;
  memcpy(key.words, remote, 16);
  key.words[2] = (uint64_t)slot << 32 | remote_port << 16 | client_port;
  key.words[3] = (uint64_t)view->icmp_id << 16 | (uint64_t)view->family << 8 | view->protocol;
  return key;
}

static struct verdict judge(const struct policy *policy, const struct flow_key *key) {
  struct destination destination = {
      .family = (uint8_t)(key->words[3] >> 8 & 0xff),
      .protocol = (uint8_t)(key->words[3] & 0xff),
      .port = (uint16_t)(key->words[2] >> 16 & 0xffff),
  };
  memcpy(destination.address, key->words, 16);
  return policy_judge(policy, &destination);
}

static struct flow_decision refuse(enum flow_outcome outcome, uint32_t rule) {
  return (struct flow_decision){.outcome = outcome, .rule = rule};
}

static struct flow_decision allow(uint32_t rule) { return (struct flow_decision){.outcome = FLOW_ALLOWED, .rule = rule}; }

static struct flow_decision allow_new(uint32_t rule) {
  return (struct flow_decision){.outcome = FLOW_ALLOWED, .rule = rule, .is_new = true};
}

/* The flow, if it is known, not timed out, and allowed by what is in force now; else NULL and `decision` says why. */
static struct flow_entry *known_flow(struct flow_table *table, const struct flow_session *session, const struct flow_key *key,
                                     uint32_t now, struct flow_decision *decision) {
  struct flow_entry *entry = flow_find(table, key);
  if (entry != NULL && flow_has_timed_out(entry, now)) {
    flow_remove(table, entry);
    entry = NULL;
  }
  *decision = refuse(FLOW_UNSOLICITED, 0);
  if (entry == NULL) return NULL;
  if (entry->generation != session->generation) {
    struct verdict verdict = judge(session->policy, key);
    if (!verdict.is_allowed) {
      flow_remove(table, entry);
      *decision = refuse(FLOW_DENIED, verdict.rule);
      return NULL;
    }
    entry->generation = session->generation;
    entry->rule = verdict.rule;
  }
  *decision = allow(entry->rule);
  return entry;
}

/* What a TCP segment changes: whether the flow begins anew. Anything else of a flow only answers it. */
static bool note_segment(struct flow_entry *entry, const struct packet *view, bool is_up) {
  if (!is_up) entry->state |= FLOW_ANSWERED;
  if (view->protocol != PROTOCOL_TCP) return false;
  bool is_over = (entry->state & FLOW_RESET) != 0 || (entry->state & FLOW_FINISHED) == FLOW_FINISHED;
  bool is_anew = is_up && is_over && (view->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN; /* the ports are used again */
  if (is_anew) entry->state = 0;
  if ((view->tcp_flags & TCP_RST) != 0) entry->state |= FLOW_RESET;
  if ((view->tcp_flags & TCP_FIN) != 0) entry->state |= is_up ? FLOW_FINISHED_UP : FLOW_FINISHED_DOWN;
  return is_anew;
}

static bool may_open(const struct packet *view) {
  if (!is_icmp(view->family, view->protocol)) return true;
  return view->icmp_type == (view->family == 4 ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST);
}

/* An ICMP error passes when the packet it quotes is of a known flow and went the other way. */
static struct flow_decision decide_error(struct flow_table *table, const struct flow_session *session, const uint8_t *packet,
                                         const struct packet *view, bool is_up, uint32_t now) {
  struct packet quoted;
  struct flow_decision decision = refuse(FLOW_UNSOLICITED, 0);
  if (!packet_read_quoted(packet + view->payload, view->total_length - view->payload, &quoted)) return decision;
  const uint8_t *client = is_up ? view->source : view->destination;
  const uint8_t *quoted_client = is_up ? quoted.destination : quoted.source;
  bool is_of_client = quoted.family == view->family && memcmp(client, quoted_client, 16) == 0;
  if (!is_of_client || !may_open(&quoted)) return decision;
  /* Routers on the way answer clients; a client answers whoever wrote to it, or its errors would reach what no rule allows. */
  if (is_up && memcmp(view->destination, quoted.source, 16) != 0) return decision;
  struct flow_key key = key_of(session->slot, &quoted, !is_up);
  known_flow(table, session, &key, now, &decision);
  return decision;
}

static struct fragment_key fragment_of(const struct flow_session *session, const struct packet *view, bool is_up) {
  struct fragment_key key = {
      .id = view->fragment_id,
      .generation = session->generation,
      /* IPv6 puts together by addresses and id alone: the protocol of a later fragment may be an extension header's. */
      .protocol = view->family == 4 ? view->protocol : 0,
      .family = view->family,
      .is_up = is_up,
  };
  memcpy(key.remote, is_up ? view->destination : view->source, 16);
  return key;
}

static struct flow_decision decide_later_fragment(struct flow_table *table, const struct flow_session *session,
                                                  const struct packet *view, bool is_up, uint32_t now) {
  struct fragment_key key = fragment_of(session, view, is_up);
  const struct fragment *first = fragment_find(table, session->slot, &key, now);
  return first == NULL ? refuse(FLOW_UNSOLICITED, 0) : allow(first->rule);
}

/* What comes back and could have been asked for: of ICMP the answer to an echo alone. */
static bool may_answer(const struct packet *view) {
  return !is_icmp(view->family, view->protocol) || (packet_is_icmp_echo(view) && !may_open(view));
}

static struct flow_decision open_flow(struct flow_table *table, const struct flow_session *session, const struct flow_key *key,
                                      const struct packet *view, uint32_t now) {
  if (is_of_link(view)) return refuse(FLOW_DENIED, 0);
  struct verdict verdict = judge(session->policy, key);
  if (!verdict.is_allowed) return refuse(FLOW_DENIED, verdict.rule);
  if (!may_open(view)) return allow(verdict.rule);
  struct flow_entry *entry = flow_insert(table, session->slot, key, now);
  if (entry == NULL) return refuse(FLOW_LIMIT, verdict.rule);
  entry->generation = session->generation;
  entry->rule = verdict.rule;
  note_segment(entry, view, true);
  return allow_new(verdict.rule);
}

static struct flow_decision adopt_flow(struct flow_table *table, const struct flow_session *session, const struct flow_key *key,
                                       const struct packet *view, uint32_t now) {
  struct verdict verdict = judge(session->policy, key);
  if (!verdict.is_allowed) return refuse(FLOW_UNSOLICITED, 0);
  struct flow_entry *entry = flow_insert(table, session->slot, key, now);
  if (entry == NULL) return refuse(FLOW_LIMIT, verdict.rule);
  entry->generation = session->generation;
  entry->rule = verdict.rule;
  note_segment(entry, view, false);
  return allow_new(verdict.rule);
}

static bool may_adopt(const struct flow_session *session, const struct packet *view) {
  return session->adopts && view->protocol == PROTOCOL_TCP && (view->tcp_flags & (TCP_SYN | TCP_RST)) == 0;
}

static struct flow_decision decide(struct flow_table *table, const struct flow_session *session, const uint8_t *packet,
                                   const struct packet *view, bool is_up, uint32_t now) {
  if (session->slot >= table->options.slots) return refuse(FLOW_UNSOLICITED, 0);
  if (view->part == PACKET_LATER_FRAGMENT) return decide_later_fragment(table, session, view, is_up, now);
  if (packet_is_icmp_error(view)) return decide_error(table, session, packet, view, is_up, now);
  if (!is_up && !may_answer(view)) return refuse(FLOW_UNSOLICITED, 0);
  struct flow_key key = key_of(session->slot, view, is_up);
  struct flow_decision decision;
  struct flow_entry *entry = is_up && !may_open(view) ? NULL : known_flow(table, session, &key, now, &decision);
  if (entry != NULL) {
    decision.is_new = note_segment(entry, view, is_up);
    flow_touch(table, entry, now);
  } else if (is_up) {
    decision = open_flow(table, session, &key, view, now);
  } else if (decision.outcome == FLOW_UNSOLICITED && may_adopt(session, view)) {
    decision = adopt_flow(table, session, &key, view, now);
  }
  if (decision.outcome == FLOW_ALLOWED && view->part == PACKET_FIRST_FRAGMENT) {
    struct fragment_key first = fragment_of(session, view, is_up);
    fragment_remember(table, session->slot, &first, decision.rule, now);
  }
  return decision;
}

struct flow_decision flow_up(struct flow_table *table, const struct flow_session *session, const uint8_t *packet,
                             const struct packet *view, uint32_t now) {
  return decide(table, session, packet, view, true, now);
}

struct flow_decision flow_down(struct flow_table *table, const struct flow_session *session, const uint8_t *packet,
                               const struct packet *view, uint32_t now) {
  return decide(table, session, packet, view, false, now);
}
