/*
 * down-path.c: from the network to the client. One read of the TUN is one packet or up to 64 KiB of one TCP flow; it is judged
 * once, cut to the session's MTU, and each piece sealed where it was cut.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "bytes.h"
#include "events.h"
#include "flow-log.h"
#include "mss-clamp.h"
#include "segment.h"
#include "too-big.h"
#include "worker-state.h"

static struct session *session_of(struct worker *worker, const struct packet *view) {
  uint32_t slot;
  if (view->family == 4) {
    uint32_t destination;
    memcpy(&destination, view->destination, sizeof destination);
    slot = ntohl(destination) - worker->options.first_ipv4;
  } else {
    slot = slot_of_ipv6(worker, view->destination);
  }
  if (slot >= worker->options.slots) return NULL;
  struct session *session = worker->by_slot[slot];
  if (session == NULL) return NULL;
  bool has_family = view->family == 4 ? session->options.has_ipv4 : session->options.has_ipv6;
  return has_family ? session : NULL;
}

static bool may_pass(struct session *session, const uint8_t *bytes, const struct packet *view) {
  struct worker *worker = session->worker;
  struct flow_session flow = session_flow(session);
  struct flow_decision decision = {.outcome = FLOW_DENIED};
  if (flow.policy != NULL) decision = flow_down(worker->flows, &flow, bytes, view, (uint32_t)(worker->now_ms / 1000));
  switch (decision.outcome) {
    case FLOW_ALLOWED:
      if (decision.is_new) flow_log_allowed(session, view, false, decision.rule);
      break;
    case FLOW_DENIED:
      count_drop(session, COUNT_DROPPED_DENIED);
      return false;
    case FLOW_UNSOLICITED:
    case FLOW_LIMIT:
      count_drop(session, COUNT_DROPPED_UNSOLICITED);
      return false;
  }
  if (rate_limit_take(&session->down, view->total_length, worker->now_us)) return true;
  count_drop(session, COUNT_DROPPED_RATE);
  return false;
}

static void count_sent(struct session *session, size_t length) {
  struct worker *worker = session->worker;
  count(worker, COUNT_PACKETS_DOWN);
  add_to(&worker->counters[COUNT_BYTES_DOWN], length);
  add_to(&session->record->packets_down, 1);
  add_to(&session->record->bytes_down, length);
  worker->packets_in_wake++;
}

/* TCP that left over DTLS: its answer will say that the client has taken it, and all before. */
static void expect_answer(struct session *session, const uint8_t *packet, const struct packet *view, size_t length) {
  if (view->protocol != PROTOCOL_TCP || view->part != PACKET_WHOLE || length <= view->payload || !session->is_dtls_active) return;
  uint32_t end = get32(packet + view->transport + 4) + (uint32_t)length - view->payload;
  drain_mark(&session->dtls.drain, drain_flow(view->source_port, view->destination_port), end, session->worker->now_us);
}

/* In the midst of a large packet its client may have enough: the rest follows when it has taken some. */
static void send_segments(struct session *session, struct segmenter *segmenter, const struct packet *view, uint16_t mtu) {
  struct worker *worker = session->worker;
  uint8_t *packet = worker->plain + CSTP_HEADER_BYTES;
  bool is_syn = view->protocol == PROTOCOL_TCP && (view->tcp_flags & TCP_SYN) != 0;
  for (size_t length; (length = segment_length(segmenter)) > 0;) {
    if (pace_is_full(worker)) {
      worker->rest = (struct rest){session, *view, *segmenter, worker->came_us, mtu};
      return;
    }
    segment_next(segmenter, packet);
    if (is_syn && mss_clamp(packet, view, mtu)) count(worker, COUNT_MSS_CLAMPED);
    if (pace_tells(session, length) && !early_drop_mark(packet, length)) {
      count_drop(session, COUNT_DROPPED_BACKLOG);
      continue;
    }
    if (!session_send(session, CSTP_DATA, packet, length)) continue;
    count_sent(session, length);
    expect_answer(session, packet, view, length);
  }
}

static void send_fragments(struct session *session, struct ipv4_fragmenter *fragmenter) {
  uint8_t *packet = session->worker->plain + CSTP_HEADER_BYTES;
  for (size_t length; (length = ipv4_fragment_length(fragmenter)) > 0;) {
    ipv4_fragment_next(fragmenter, packet);
    if (session_send(session, CSTP_DATA, packet, length)) count_sent(session, length);
  }
}

/* The answer comes from the address that the packet was for: one of the gateway's own would be a martian to the kernel, which
 * it comes from. */
static void answer_too_big(struct session *session, const uint8_t *bytes, const struct packet *view, uint16_t mtu) {
  struct worker *worker = session->worker;
  struct vnet_header header;
  uint8_t answer[TOO_BIG_ANSWER_AT_MOST];
  memset(&header, 0, sizeof header);
  count_drop(session, COUNT_DROPPED_TOO_BIG);
  size_t length = too_big_answer(answer, bytes, view, view->destination, mtu);
  if (length == 0) return;
  struct iovec parts[] = {{&header, sizeof header}, {answer, length}};
  up_write(worker, parts, 2);
  count(worker, COUNT_TOO_BIG_ANSWERED);
}

static void down_packet(struct worker *worker, const struct vnet_header *header, uint8_t *bytes, size_t length) {
  struct packet view;
  if (!packet_read(bytes, length, &view)) {
    count(worker, COUNT_DROPPED_MALFORMED);
    return;
  }
  struct session *session = session_of(worker, &view);
  if (session == NULL) {
    count(worker, COUNT_DROPPED_NO_SESSION);
    return;
  }
  if (!may_pass(session, bytes, &view)) return;
  session_active(session);
  pace_packet(session);
  uint16_t mtu = session_mtu(session);
  struct segmenter segmenter;
  struct ipv4_fragmenter fragmenter;
  switch (segment_start(&segmenter, header, bytes, &view, mtu)) {
    case SEGMENT_READY:
      send_segments(session, &segmenter, &view, mtu);
      break;
    case SEGMENT_TOO_BIG:
      if (ipv4_fragment_start(&fragmenter, bytes, &view, mtu)) send_fragments(session, &fragmenter);
      else answer_too_big(session, bytes, &view, mtu);
      break;
    case SEGMENT_MALFORMED:
      count_drop(session, COUNT_DROPPED_MALFORMED);
  }
}

static void tun_failed(struct worker *worker, const char *error) {
  worker->is_tun_broken = true;
  struct event *event = event_new(EVENT_FAILED, worker->index, 0);
  if (event == NULL) return;
  snprintf(event->text, sizeof event->text, "read of the TUN: %s", error);
  events_emit(event);
}

static void send_rest(struct worker *worker) {
  struct rest rest = worker->rest;
  worker->rest.session = NULL;
  if (rest.session == NULL) return;
  worker->came_us = rest.came_us;
  send_segments(rest.session, &rest.segmenter, &rest.view, rest.mtu);
  worker->came_us = worker->now_us;
}

/* A packet now and then leaves before the TUN is asked for more to send with it. */
static void send_lone(struct worker *worker, const struct vnet_header *header) {
  if (!worker->is_quiet || header->gso_type != VNET_GSO_NONE) return;
  tls_flush(worker);
  dtls_flush_due(worker);
}

bool down_receive(struct worker *worker) {
  size_t bytes = 0;
  pace_reads(worker);
  send_rest(worker);
  if (pace_is_full(worker)) return true;
  for (int reads = 0; reads < TUN_READS_PER_WAKE && bytes < TUN_BYTES_PER_WAKE; reads++) {
    ssize_t length = read(worker->options.tun_fd, worker->tun_in, sizeof worker->tun_in);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      pace_empty(worker);
      return true;
    }
    if (length <= 0) {
      tun_failed(worker, length < 0 ? strerror(errno) : "end");
      return true;
    }
    count(worker, COUNT_TUN_READS);
    bytes += (size_t)length;
    struct vnet_header header;
    if ((size_t)length < sizeof header) continue;
    memcpy(&header, worker->tun_in, sizeof header);
    down_packet(worker, &header, worker->tun_in + sizeof header, (size_t)length - sizeof header);
    if (reads == 0) send_lone(worker, &header);
    if (pace_is_full(worker)) return true;
  }
  return false;
}
