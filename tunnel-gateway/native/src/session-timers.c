/*
 * session-timers.c: dead peers, keepalives, idle sessions. Traffic touches no timer: it leaves time stamps, and a session is
 * looked at when the earliest of its timers might have run out, which is found in one array by slot, a block of slots at a time.
 */
#include <stdlib.h>
#include "events.h"
#include "worker-state.h"

/* Ours: libssl's record buffers (33 KiB a transport) are given back after this long without traffic. */
#define BUFFERS_IDLE_MS 2000
/* Flows looked at per tick: a million in a little over a minute. */
#define FLOWS_PER_TICK 4096
/* A transport is given up after this many times its DPD time. */
#define DPD_TIMES 3
/* Ours: looked over together; of blocks where nothing is due their times are not even read. */
#define SLOTS_PER_BLOCK 256

static uint64_t earlier(uint64_t one, uint64_t other) { return one < other ? one : other; }
static uint64_t later(uint64_t one, uint64_t other) { return one > other ? one : other; }

static void send_control(struct session *session, enum transport_kind way, uint8_t type) {
  uint8_t frame[CSTP_HEADER_BYTES];
  if (way == OVER_TLS) tls_send(session, type, frame + CSTP_HEADER_BYTES, 0);
  else dtls_send(session, type, frame + CSTP_HEADER_BYTES, 0);
}

/* The stamps of either transport, judged the same way. Returns when to look again. */
static uint64_t watch_peer(struct session *session, enum transport_kind way, uint64_t received_ms, uint64_t sent_ms,
                           uint64_t *dpd_sent_ms) {
  uint64_t now_ms = session->worker->now_ms, next_ms = UINT64_MAX;
  uint64_t dpd_ms = session->options.dpd_seconds * (uint64_t)1000;
  uint64_t keepalive_ms = session->options.keepalive_seconds * (uint64_t)1000;
  if (dpd_ms > 0) {
    uint64_t dead_ms = received_ms + DPD_TIMES * dpd_ms;
    if (now_ms >= dead_ms) {
      if (way == OVER_TLS) tls_fail(session, "the client is silent");
      else dtls_fail(session, "the client is silent");
      return UINT64_MAX;
    }
    if (now_ms >= later(received_ms, *dpd_sent_ms) + dpd_ms) {
      send_control(session, way, CSTP_DPD_REQUEST);
      *dpd_sent_ms = sent_ms = now_ms;
    }
    next_ms = earlier(dead_ms, later(received_ms, *dpd_sent_ms) + dpd_ms);
  }
  if (keepalive_ms > 0) {
    if (now_ms >= sent_ms + keepalive_ms) {
      send_control(session, way, CSTP_KEEPALIVE);
      sent_ms = now_ms;
    }
    next_ms = earlier(next_ms, sent_ms + keepalive_ms);
  }
  return next_ms;
}

static uint64_t watch_tls(struct session *session) {
  struct tls_transport *tls = &session->tls;
  uint64_t now_ms = session->worker->now_ms;
  if (tls->ssl == NULL || tls->failure != NULL) return UINT64_MAX;
  uint64_t next_ms = watch_peer(session, OVER_TLS, tls->last_received_ms, tls->last_sent_ms, &tls->dpd_sent_ms);
  if (!tls->has_large_buffers) return next_ms;
  uint64_t idle_ms = later(tls->last_received_ms, tls->last_sent_ms) + BUFFERS_IDLE_MS;
  if (now_ms < idle_ms) return earlier(next_ms, idle_ms);
  /* It refuses while half a record is in them. */
  tls->has_large_buffers = SSL_free_buffers(tls->ssl) != 1;
  return tls->has_large_buffers ? earlier(next_ms, now_ms + BUFFERS_IDLE_MS) : next_ms;
}

static uint64_t watch_dtls(struct session *session) {
  struct dtls_transport *dtls = &session->dtls;
  uint64_t now_ms = session->worker->now_ms;
  if (dtls->ssl == NULL || dtls->failure != NULL) return UINT64_MAX;
  uint64_t next_ms = watch_peer(session, OVER_DTLS, dtls->last_received_ms, dtls->last_sent_ms, &dtls->dpd_sent_ms);
  if (!dtls->has_large_buffers) return next_ms;
  uint64_t idle_ms = later(dtls->last_received_ms, dtls->last_sent_ms) + BUFFERS_IDLE_MS;
  if (now_ms < idle_ms) return earlier(next_ms, idle_ms);
  dtls->has_large_buffers = SSL_free_buffers(dtls->ssl) != 1;
  return dtls->has_large_buffers ? earlier(next_ms, now_ms + BUFFERS_IDLE_MS) : next_ms;
}

static uint64_t watch_idle(struct session *session) {
  uint64_t idle_ms = session->options.idle_seconds * (uint64_t)1000;
  if (idle_ms == 0 || session->is_idle_told) return UINT64_MAX;
  uint64_t due_ms = session->last_data_ms + idle_ms;
  if (session->worker->now_ms < due_ms) return due_ms;
  session->is_idle_told = true;
  struct event *event = event_new(EVENT_SESSION_IDLE, session->options.id, 0);
  if (event != NULL) events_emit(event);
  return UINT64_MAX;
}

bool timers_make(struct worker *worker) {
  uint32_t slots = worker->options.slots, blocks = (slots + SLOTS_PER_BLOCK - 1) / SLOTS_PER_BLOCK;
  worker->due_ms = malloc(slots * sizeof *worker->due_ms);
  worker->block_due_ms = malloc(blocks * sizeof *worker->block_due_ms);
  if (worker->due_ms == NULL || worker->block_due_ms == NULL) return false;
  for (uint32_t slot = 0; slot < slots; slot++) worker->due_ms[slot] = UINT64_MAX;
  for (uint32_t block = 0; block < blocks; block++) worker->block_due_ms[block] = UINT64_MAX;
  return true;
}

static void set_due(struct worker *worker, uint32_t slot, uint64_t due_ms) {
  uint64_t *block_ms = &worker->block_due_ms[slot / SLOTS_PER_BLOCK];
  worker->due_ms[slot] = due_ms;
  *block_ms = earlier(*block_ms, due_ms);
}

void timers_start(struct session *session) {
  /* Looked at in the next tick, which finds out when the one after has to be. */
  set_due(session->worker, session->options.slot, session->worker->now_ms);
}

void timers_end(struct session *session) { session->worker->due_ms[session->options.slot] = UINT64_MAX; }

void timers_buffers_used(struct session *session, bool *has_large_buffers) {
  if (*has_large_buffers) return;
  *has_large_buffers = true;
  struct worker *worker = session->worker;
  uint32_t slot = session->options.slot;
  set_due(worker, slot, earlier(worker->due_ms[slot], worker->now_ms + BUFFERS_IDLE_MS));
}

static void look_at(struct worker *worker, uint32_t slot) {
  struct session *session = worker->by_slot[slot];
  if (session == NULL) {
    worker->due_ms[slot] = UINT64_MAX;
    return;
  }
  uint64_t due_ms = watch_idle(session);
  due_ms = earlier(due_ms, watch_dtls(session));
  due_ms = earlier(due_ms, watch_tls(session));
  set_due(worker, slot, due_ms);
}

static void look_at_block(struct worker *worker, uint32_t block) {
  uint32_t first = block * SLOTS_PER_BLOCK, left = worker->options.slots - first;
  uint32_t end = first + (left < SLOTS_PER_BLOCK ? left : SLOTS_PER_BLOCK);
  worker->block_due_ms[block] = UINT64_MAX;
  for (uint32_t slot = first; slot < end; slot++) {
    if (worker->due_ms[slot] <= worker->now_ms) look_at(worker, slot);
    else set_due(worker, slot, worker->due_ms[slot]);
  }
}

void timers_tick(struct worker *worker) {
  if (worker->now_ms < worker->next_tick_ms) return;
  worker->next_tick_ms = worker->now_ms + TICK_MS;
  for (uint32_t block = 0; block * SLOTS_PER_BLOCK < worker->options.slots; block++)
    if (worker->block_due_ms[block] <= worker->now_ms) look_at_block(worker, block);
  tls_flush(worker);
  dtls_flush(worker);
  sessions_settle(worker);
  flow_expire(worker->flows, (uint32_t)(worker->now_ms / 1000), FLOWS_PER_TICK);
  __atomic_store_n(&worker->counters[COUNT_FLOWS], flow_count(worker->flows), __ATOMIC_RELAXED);
}
