#include "pace.h"

#include <poll.h>
#include <time.h>
#include "clock.h"
#include "worker-state.h"

/* Ours. A client's socket holds 93 full datagrams, 70 while it is being read; these are 93, of which the client has taken some that TCP
 * inside has not acknowledged yet. */
#define HELD_BYTES (128 * 1024)
/* Nobody else has had a packet for so long: the first of another waits for DRAIN_MOST_US at most. */
#define ALONE_US 100000
/* Ours: what one burst may have, and how long its client is waited for where other sessions wait with it. */
#define BURST_BYTES (20 * 1024)
#define BURST_US 100
/* Ours. A TUN that was not found empty for so long holds a queue that stands; somebody is told once in as long. After a quarter of it, and
 * more often, TCP inside went below what the client takes. */
#define STANDING_US 20000
/* One that is not held back is read at once when something comes: before a longer pause it was empty. */
#define PAUSE_US 2000

void pace_packet(struct session *session) {
  struct pace *pace = &session->worker->pace;
  if (pace->last == session) return;
  pace->last = session;
  pace->last_since_us = session->worker->now_us;
  pace->held_since_us = 0;
}

void pace_reads(struct worker *worker) {
  struct pace *pace = &worker->pace;
  if (!worker->is_network_off && worker->now_us - pace->read_us > PAUSE_US) pace->empty_us = worker->now_us;
  pace->read_us = worker->now_us;
}

void pace_empty(struct worker *worker) { worker->pace.empty_us = worker->now_us; }

void pace_sent(struct session *session, size_t length) {
  struct pace *pace = &session->worker->pace;
  if (pace->session != session) pace->bytes = 0;
  pace->session = session;
  pace->bytes += length;
}

void pace_forget(const struct session *session) {
  struct pace *pace = &session->worker->pace;
  if (pace->session == session) pace->session = NULL;
  if (pace->last == session) pace->last = NULL;
  if (session->worker->rest.session == session) session->worker->rest.session = NULL;
}

static bool is_alone(const struct worker *worker) {
  const struct session *session = worker->pace.last;
  return session != NULL && session->dtls.ssl != NULL && worker->now_us - worker->pace.last_since_us >= ALONE_US;
}

bool pace_tells(struct session *session, size_t length) {
  struct pace *pace = &session->worker->pace;
  uint64_t now_us = session->worker->now_us;
  if (now_us - pace->empty_us < STANDING_US || now_us - pace->told_us < STANDING_US) return false;
  if (length < TELLING_BYTES || pace->last != session || !session->is_dtls_active || !is_alone(session->worker)) return false;
  pace->told_us = now_us;
  return true;
}

bool pace_keeps(const struct worker *worker) {
  const struct session *session = worker->dtls_out.session;
  return session != NULL && session == worker->pace.last && session->is_dtls_active && is_alone(worker) &&
         drain_waiting(&session->dtls.drain) >= HELD_BYTES;
}

bool pace_is_full(const struct worker *worker) {
  const struct dtls_out *out = &worker->dtls_out;
  return pace_keeps(worker) &&
         (out->is_closed || out->length >= SEGMENTS_PER_SEND * out->segment || out->length + out->segment > sizeof out->bytes);
}

bool pace_holds(struct worker *worker, uint32_t *left_us) {
  struct pace *pace = &worker->pace;
  if (!pace_keeps(worker)) {
    pace->held_since_us = 0;
    return false;
  }
  uint64_t now_us = clock_us(CLOCK_MONOTONIC);
  if (pace->held_since_us == 0) pace->held_since_us = now_us;
  uint64_t until_us = pace->held_since_us + drain_patience_us(&pace->last->dtls.drain);
  if (now_us < until_us) {
    *left_us = (uint32_t)(until_us - now_us);
    return true;
  }
  drain_give_up(&pace->last->dtls.drain);
  pace->held_since_us = 0;
  return false;
}

/* What is readable has come since the client's socket was read, before the burst was sealed. */
static void wait_for(const struct session *session) {
  struct pollfd client = {.fd = session->dtls.fd, .events = POLLIN};
  struct timespec limit = {.tv_nsec = BURST_US * 1000};
  ppoll(&client, 1, &limit, NULL);
}

bool pace_wait(struct worker *worker) {
  struct pace *pace = &worker->pace;
  struct session *session = pace->session;
  bool is_due = session != NULL && pace->bytes >= BURST_BYTES && !is_alone(worker);
  pace->session = NULL;
  pace->bytes = 0;
  if (is_due) wait_for(session);
  return is_due || pace_keeps(worker);
}
