/* What a frame of the client is about, and what its packets may do. */
#include <arpa/inet.h>
#include <string.h>
#include "events.h"
#include "flow-log.h"
#include "mss-clamp.h"
#include "worker-state.h"

/* --- our own limits --- */
/* A client that sends packets over TLS after so long without a word over DTLS has left it. Less could be reordering. */
#define DTLS_SILENT_MS 1000

static bool is_own_ipv4(const struct session *session, const struct packet *view) {
  uint32_t source;
  memcpy(&source, view->source, sizeof source);
  return session->options.has_ipv4 && ntohl(source) == session->worker->options.first_ipv4 + session->options.slot;
}

static bool is_own_ipv6(const struct session *session, const struct packet *view) {
  return session->options.has_ipv6 && slot_of_ipv6(session->worker, view->source) == session->options.slot;
}

/* Neighbour discovery and the like, which every system sends on every link: no reason to count a spoofed packet. */
static bool is_link_chatter(const struct packet *view) {
  static const uint8_t unspecified[16];
  if (view->family != 6) return false;
  bool is_link_local = view->source[0] == 0xfe && (view->source[1] & 0xc0) == 0x80;
  return is_link_local || memcmp(view->source, unspecified, sizeof unspecified) == 0;
}

static bool may_pass(struct session *session, const uint8_t *bytes, const struct packet *view) {
  struct worker *worker = session->worker;
  struct flow_session flow = session_flow(session);
  if (flow.policy == NULL) {
    count_drop(session, COUNT_DROPPED_DENIED);
    return false;
  }
  struct flow_decision decision = flow_up(worker->flows, &flow, bytes, view, (uint32_t)(worker->now_ms / 1000));
  switch (decision.outcome) {
    case FLOW_ALLOWED:
      if (decision.is_new) flow_log_allowed(session, view, true, decision.rule);
      return true;
    case FLOW_DENIED:
      count_drop(session, COUNT_DROPPED_DENIED);
      flow_log_denied(session, view, decision.rule);
      return false;
    case FLOW_UNSOLICITED:
      count_drop(session, COUNT_DROPPED_UNSOLICITED);
      return false;
    case FLOW_LIMIT:
      count_drop(session, COUNT_DROPPED_FLOW_LIMIT);
      return false;
  }
  return false;
}

/* What TCP inside says of what was sent to the client over DTLS. */
static void hear_answer(struct session *session, const uint8_t *bytes, const struct packet *view) {
  if (session->dtls.ssl == NULL || (view->tcp_flags & TCP_ACK) == 0) return;
  uint32_t flow = drain_flow(view->destination_port, view->source_port);
  drain_answered(&session->dtls.drain, flow, drain_newest(bytes, view), session->worker->now_us);
  if (session->worker->dtls_out.session == session) dtls_flush_due(session->worker);
}

static void up_packet(struct session *session, uint8_t *bytes, size_t length) {
  struct worker *worker = session->worker;
  struct packet view;
  if (!packet_read(bytes, length, &view)) {
    count_drop(session, COUNT_DROPPED_MALFORMED);
    return;
  }
  if (!(view.family == 4 ? is_own_ipv4(session, &view) : is_own_ipv6(session, &view))) {
    if (!is_link_chatter(&view)) count_drop(session, COUNT_DROPPED_SPOOFED);
    return;
  }
  if (!may_pass(session, bytes, &view)) return;
  if (!rate_limit_take(&session->up, view.total_length, worker->now_us)) {
    count_drop(session, COUNT_DROPPED_RATE);
    return;
  }
  hear_answer(session, bytes, &view);
  if ((view.tcp_flags & TCP_SYN) != 0 && mss_clamp(bytes, &view, session_mtu(session))) count(worker, COUNT_MSS_CLAMPED);
  count(worker, COUNT_PACKETS_UP);
  add_to(&worker->counters[COUNT_BYTES_UP], view.total_length);
  add_to(&session->record->packets_up, 1);
  add_to(&session->record->bytes_up, view.total_length);
  session_active(session);
  coalesce_packet(&worker->coalescer, bytes, &view);
}

/* Answered on the transport it came by: the whole payload goes back, as a client finds its MTU by what returns (mtu-search.h). */
static void answer_dpd(struct session *session, enum transport_kind way, const uint8_t *payload, size_t length) {
  uint8_t *answer = session->worker->plain + CSTP_HEADER_BYTES;
  if (length > CSTP_PAYLOAD_AT_MOST) return;
  memcpy(answer, payload, length);
  if (way == OVER_TLS) tls_send(session, CSTP_DPD_RESPONSE, answer, length);
  else dtls_send(session, CSTP_DPD_RESPONSE, answer, length);
}

static void tell_disconnected(struct session *session, const uint8_t *payload, size_t length) {
  if (session->is_disconnect_told) return;
  session->is_disconnect_told = true;
  struct event *event = event_new(EVENT_SESSION_DISCONNECTED, session->options.id, length);
  if (event == NULL) return;
  event->numbers[0] = length > 0 ? payload[0] : -1;
  memcpy(event->bytes, payload, length);
  events_emit(event);
}

/* The client uses the way it trusts at the moment; what we send takes the same. */
static void follow(struct session *session, enum transport_kind way, uint8_t type) {
  if (way == OVER_DTLS) session->is_dtls_active = true;
  else if (type == CSTP_DATA && session->is_dtls_active &&
           session->worker->now_ms > session->dtls.last_received_ms + DTLS_SILENT_MS)
    session->is_dtls_active = false;
}

void up_frame(struct session *session, enum transport_kind way, uint8_t type, uint8_t *payload, size_t length) {
  follow(session, way, type);
  if (way == OVER_DTLS) mtu_search_hear(&session->dtls.search, type == CSTP_DPD_REQUEST, length, session->dtls.sequence);
  if (type == CSTP_DATA) {
    up_packet(session, payload, length);
    return;
  }
  count(session->worker, COUNT_CONTROL_FRAMES);
  switch (type) {
    case CSTP_DPD_REQUEST:
      answer_dpd(session, way, payload, length);
      break;
    case CSTP_DPD_RESPONSE: /* that it came is all */
    case CSTP_KEEPALIVE:
      break;
    case CSTP_DISCONNECT:
    case CSTP_TERMINATE:
      tell_disconnected(session, payload, length);
      break;
    case CSTP_COMPRESSED: /* never agreed upon */
    default:
      count_drop(session, COUNT_DROPPED_MALFORMED);
  }
}
