#include "tls-transport.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "worker-state.h"

/* Ours: what the kernel takes beyond what is on its way. By itself it takes megabytes, in which the packets inside grow old, and TCP
 * inside hears too late that it is too fast. */
#define UNSENT_BYTES (128 * 1024)

size_t tls_backlog(const struct tls_transport *tls) { return tls->backlog_end - tls->backlog_start; }

void tls_fail(struct session *session, const char *reason) {
  if (session->tls.ssl == NULL || session->tls.failure != NULL) return;
  session->tls.failure = reason;
  session_break(session);
}

static void drop_backlog(struct tls_transport *tls) {
  free(tls->backlog);
  tls->backlog = NULL;
  tls->backlog_start = tls->backlog_end = tls->backlog_room = 0;
}

static bool watch(struct session *session, int operation) {
  struct tls_transport *tls = &session->tls;
  uint32_t events = EPOLLIN | (tls_backlog(tls) > 0 ? EPOLLOUT : 0u);
  return worker_watch(session->worker, operation, tls->fd, events,
                      watch_token(WATCH_TLS, tls->generation, session->options.slot));
}

/* Room for `length` more bytes behind those that wait. */
static bool make_room(struct tls_transport *tls, size_t length) {
  size_t waiting = tls_backlog(tls);
  if (tls->backlog_room - tls->backlog_end >= length) return true;
  if (waiting + length > BACKLOG_FATAL) return false;
  if (tls->backlog_start > 0) {
    memmove(tls->backlog, tls->backlog + tls->backlog_start, waiting);
    tls->backlog_start = 0;
    tls->backlog_end = waiting;
    if (tls->backlog_room - waiting >= length) return true;
  }
  size_t room = tls->backlog_room == 0 ? TLS_OUT_BYTES : tls->backlog_room;
  while (room - waiting < length) room *= 2;
  uint8_t *larger = realloc(tls->backlog, room);
  if (larger == NULL) return false;
  tls->backlog = larger;
  tls->backlog_room = room;
  return true;
}

static void append_backlog(struct session *session, const uint8_t *bytes, size_t length) {
  struct tls_transport *tls = &session->tls;
  bool was_empty = tls_backlog(tls) == 0;
  if (!make_room(tls, length)) {
    tls_fail(session, "the client does not read");
    return;
  }
  memcpy(tls->backlog + tls->backlog_end, bytes, length);
  tls->backlog_end += length;
  if (was_empty && !watch(session, EPOLL_CTL_MOD)) tls_fail(session, "epoll");
}

/* How many of `bytes` the socket took. */
static size_t send_some(struct session *session, const uint8_t *bytes, size_t length) {
  size_t taken = 0;
  struct worker *worker = session->worker;
  while (taken < length) {
    ssize_t sent = send(session->tls.fd, bytes + taken, length - taken, MSG_DONTWAIT | MSG_NOSIGNAL);
    count(worker, COUNT_TLS_SENDS);
    if (sent >= 0) {
      taken += (size_t)sent;
      early_drop_taken(&session->tls.early_drop, (size_t)sent, worker->now_us);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS && errno != ENOMEM) {
      tls_fail(session, errno == ECONNRESET || errno == EPIPE ? "reset by the client" : "send");
      return length;
    }
    break;
  }
  return taken;
}

void tls_flush(struct worker *worker) {
  struct tls_out *out = &worker->tls_out;
  struct session *session = out->session;
  size_t length = out->length;
  out->session = NULL;
  out->length = 0;
  if (session == NULL || length == 0 || session->tls.failure != NULL) return;
  /* Behind what waits already; epoll says when. */
  size_t taken = tls_backlog(&session->tls) > 0 ? 0 : send_some(session, out->bytes, length);
  if (taken < length) append_backlog(session, out->bytes + taken, length - taken);
  /* What waits for a client to read says nothing of this side. */
  else count_latency(worker, LATENCY_DOWN, out->waiting.since_us, out->waiting.packets);
}

void tls_writable(struct session *session) {
  struct tls_transport *tls = &session->tls;
  size_t waiting = tls_backlog(tls);
  if (waiting == 0) return;
  tls->backlog_start += send_some(session, tls->backlog + tls->backlog_start, waiting);
  if (tls_backlog(tls) > 0 || tls->failure != NULL) return;
  drop_backlog(tls);
  if (!watch(session, EPOLL_CTL_MOD)) tls_fail(session, "epoll");
}

/* One write of libssl. It always takes it: libssl must never be left with a record half written. */
static bool emit(void *owner, const uint8_t *bytes, size_t length) {
  struct session *session = owner;
  struct tls_out *out = &session->worker->tls_out;
  if (out->session != session || out->length + length > sizeof out->bytes) tls_flush(session->worker);
  if (length > sizeof out->bytes) {
    tls_fail(session, "a record without end");
    return true;
  }
  if (out->length == 0) out->waiting = (struct waiting){.since_us = session->worker->came_us};
  out->session = session;
  memcpy(out->bytes + out->length, bytes, length);
  out->length += length;
  return true;
}

static void spend_key(struct tls_transport *tls) {
  if (++tls->records_sealed < RECORDS_PER_KEY) return;
  tls->records_sealed = 0;
  if (SSL_version(tls->ssl) == TLS1_3_VERSION && SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
    ERR_clear_error();
}

/* False: the client takes too little for this packet to be sealed. */
static bool may_wait(struct session *session, uint8_t type, uint8_t *payload, size_t length) {
  struct tls_transport *tls = &session->tls;
  /* What is no packet has no sender to tell. */
  size_t telling = type == CSTP_DATA ? length : 0;
  switch (early_drop_judge(&tls->early_drop, tls_backlog(tls), telling, session->worker->now_us)) {
    case BACKLOG_PASS:
      return true;
    case BACKLOG_TELL:
      if (early_drop_mark(payload, length)) return true;
      break;
    case BACKLOG_REFUSE:
      break;
  }
  count_drop(session, COUNT_DROPPED_BACKLOG);
  return false;
}

bool tls_send(struct session *session, uint8_t type, uint8_t *payload, size_t length) {
  struct tls_transport *tls = &session->tls;
  if (tls->ssl == NULL || tls->failure != NULL) return false;
  if (!may_wait(session, type, payload, length)) return false;
  uint8_t *frame = payload - CSTP_HEADER_BYTES;
  cstp_write_header(frame, type, length);
  int whole = (int)(CSTP_HEADER_BYTES + length);
  if (SSL_write(tls->ssl, frame, whole) != whole) {
    ERR_clear_error();
    tls_fail(session, "TLS");
    return false;
  }
  if (type == CSTP_DATA) session->worker->tls_out.waiting.packets++;
  spend_key(tls);
  timers_buffers_used(session, &tls->has_large_buffers);
  tls->last_sent_ms = session->worker->now_ms;
  return true;
}

static void free_handover(const struct tls_handover *handover) {
  SSL_free(handover->ssl);
  free(handover->wire);
  free(handover->unsent);
  close(handover->fd);
}

bool tls_attach(struct session *session, const struct tls_handover *handover) {
  struct worker *worker = session->worker;
  struct tls_transport *tls = &session->tls;
  tls_close(session);
  memset(tls, 0, sizeof *tls);
  tls->ssl = handover->ssl;
  tls->wire = handover->wire;
  tls->fd = handover->fd;
  tls->generation = ++worker->next_generation;
  if (!watch(session, EPOLL_CTL_ADD)) {
    tls->ssl = NULL;
    free_handover(handover);
    return false;
  }
  int on = 1, unsent = UNSENT_BYTES;
  setsockopt(tls->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(tls->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
  tls->wire->in_left = 0;
  tls->wire->emit = emit;
  tls->wire->owner = session;
  tls->has_large_buffers = true;
  tls->last_received_ms = tls->last_sent_ms = worker->now_ms;
  if (handover->unsent_length > 0) append_backlog(session, handover->unsent, handover->unsent_length);
  free(handover->unsent);
  __atomic_store_n(&session->record->has_tls, true, __ATOMIC_RELAXED);
  return true;
}

void tls_close(struct session *session) {
  struct worker *worker = session->worker;
  struct tls_transport *tls = &session->tls;
  if (tls->ssl == NULL) return;
  if (worker->tls_out.session == session) {
    worker->tls_out.session = NULL;
    worker->tls_out.length = 0;
  }
  SSL_free(tls->ssl);
  free(tls->wire);
  if (tls->partial != NULL) OPENSSL_cleanse(tls->partial, tls->partial_length);
  free(tls->partial);
  drop_backlog(tls);
  /* Closing takes it out of epoll; events of this batch are told apart by the generation. */
  close(tls->fd);
  memset(tls, 0, sizeof *tls);
  __atomic_store_n(&session->record->has_tls, false, __ATOMIC_RELAXED);
}
