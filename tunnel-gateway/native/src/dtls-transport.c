#include "dtls-transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "worker-state.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* Ours: a second's worth of queue at 30 Mbit/s, no more, as what is older is of no use. */
#define SOCKET_BYTES (4 * 1024 * 1024)
/* Of a DTLS 1.2 record with AES-GCM: header, explicit nonce, tag; and CSTP's type byte. */
#define RECORD_OVERHEAD (13 + 8 + 16 + 1)
#define DTLS_MTU_AT_LEAST 576

void dtls_fail(struct session *session, const char *reason) {
  if (session->dtls.ssl == NULL || session->dtls.failure != NULL) return;
  session->dtls.failure = reason;
  session_break(session);
}

/* The path takes smaller datagrams only: what the kernel knows of it decides what inner packets may have. */
static void learn_mtu(struct dtls_transport *dtls) {
  int path_mtu = 0, domain = AF_INET;
  socklen_t size = sizeof domain;
  getsockopt(dtls->fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  size = sizeof path_mtu;
  bool is_v6 = domain == AF_INET6;
  int level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  int option = is_v6 ? IPV6_MTU : IP_MTU;
  if (getsockopt(dtls->fd, level, option, &path_mtu, &size) < 0) return;
  int mtu = path_mtu - (is_v6 ? 48 : 28) - RECORD_OVERHEAD;
  if (mtu < DTLS_MTU_AT_LEAST) mtu = DTLS_MTU_AT_LEAST;
  if (mtu < dtls->mtu) dtls->mtu = (uint16_t)mtu;
}

void dtls_unreachable(struct session *session) { session->is_dtls_active = false; }

/* What a failed send means. True: try the same once more. */
static bool judge_error(struct session *session, int error, bool was_segmented) {
  struct dtls_transport *dtls = &session->dtls;
  switch (error) {
    case EINTR:
      return true;
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      count_drop(session, COUNT_DROPPED_BACKLOG);
      return false;
    case EMSGSIZE:
    case EINVAL:
    case EIO:
    case EOPNOTSUPP:
      /* A segmented send fails so when a segment exceeds the path's MTU or the device cannot do it. */
      if (was_segmented) dtls->can_segment = false;
      else count_drop(session, COUNT_DROPPED_TOO_BIG);
      if (error == EMSGSIZE) learn_mtu(dtls);
      return was_segmented;
    default:
      count_drop(session, COUNT_DROPPED_UNREACHABLE);
      dtls_unreachable(session);
      return false;
  }
}

static bool send_segmented(struct session *session, const uint8_t *bytes, size_t length, size_t segment) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
  } control;
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  memset(&control, 0, sizeof control);
  if (length > segment) {
    uint16_t size = (uint16_t)segment;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    control.header.cmsg_level = IPPROTO_UDP;
    control.header.cmsg_type = UDP_SEGMENT;
    control.header.cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(&control.header), &size, sizeof size);
  }
  count(session->worker, COUNT_UDP_SENDS);
  return sendmsg(session->dtls.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool send_one(struct session *session, const uint8_t *bytes, size_t length) {
  while (session->dtls.failure == NULL && !send_segmented(session, bytes, length, length))
    if (!judge_error(session, errno, false)) return false;
  return true;
}

/* False: the kernel did not take all of it. */
static bool send_all(struct session *session, const uint8_t *bytes, size_t length, size_t segment) {
  while (session->dtls.failure == NULL && session->dtls.can_segment && length > segment) {
    if (send_segmented(session, bytes, length, segment)) return true;
    if (!judge_error(session, errno, true)) return false;
  }
  bool is_whole = true;
  for (size_t at = 0; at < length && session->dtls.failure == NULL; at += segment)
    is_whole &= send_one(session, bytes + at, length - at < segment ? length - at : segment);
  return is_whole && session->dtls.failure == NULL;
}

void dtls_flush(struct worker *worker) {
  struct dtls_out *out = &worker->dtls_out;
  struct session *session = out->session;
  size_t length = out->length;
  out->session = NULL;
  out->length = 0;
  if (session == NULL || length == 0) return;
  pace_sent(session, length);
  if (send_all(session, out->bytes, length, out->segment))
    count_latency(worker, LATENCY_DOWN, out->waiting.since_us, out->waiting.packets);
}

void dtls_flush_due(struct worker *worker) {
  if (!pace_keeps(worker)) dtls_flush(worker);
}

/* One datagram of libssl, put behind others that the kernel can cut apart again. */
static bool emit(void *owner, const uint8_t *bytes, size_t length) {
  struct session *session = owner;
  struct dtls_out *out = &session->worker->dtls_out;
  if (length == 0 || length > sizeof out->bytes) return true;
  if (out->length > 0 && (out->session != session || out->is_closed || length > out->segment ||
                          out->length + length > sizeof out->bytes || out->length / out->segment >= SEGMENTS_PER_SEND))
    dtls_flush(session->worker);
  if (out->length == 0) {
    out->session = session;
    out->segment = length;
    out->waiting = (struct waiting){.since_us = session->worker->came_us};
    out->is_closed = false;
  }
  if (length < out->segment) out->is_closed = true;
  memcpy(out->bytes + out->length, bytes, length);
  out->length += length;
  return true;
}

bool dtls_send(struct session *session, uint8_t type, uint8_t *payload, size_t length) {
  struct dtls_transport *dtls = &session->dtls;
  if (dtls->ssl == NULL || dtls->failure != NULL) return false;
  payload[-1] = type;
  int whole = (int)(1 + length);
  if (SSL_write(dtls->ssl, payload - 1, whole) != whole) {
    ERR_clear_error();
    dtls_fail(session, "DTLS");
    return false;
  }
  if (type == CSTP_DATA) session->worker->dtls_out.waiting.packets++;
  drain_sent(&dtls->drain, length);
  timers_buffers_used(session, &dtls->has_large_buffers);
  dtls->last_sent_ms = session->worker->now_ms;
  return true;
}

static void set_up_socket(int fd) {
  int bytes = SOCKET_BYTES, on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
}

bool dtls_attach(struct session *session, const struct dtls_handover *handover) {
  struct worker *worker = session->worker;
  struct dtls_transport *dtls = &session->dtls;
  dtls_close(session);
  memset(dtls, 0, sizeof *dtls);
  dtls->ssl = handover->ssl;
  dtls->wire = handover->wire;
  dtls->fd = handover->fd;
  dtls->generation = ++worker->next_generation;
  if (!worker_watch(worker, EPOLL_CTL_ADD, dtls->fd, EPOLLIN,
                    watch_token(WATCH_DTLS, dtls->generation, session->options.slot))) {
    SSL_free(dtls->ssl);
    free(dtls->wire);
    close(dtls->fd);
    dtls->ssl = NULL;
    return false;
  }
  set_up_socket(dtls->fd);
  dtls->wire->in_left = 0;
  dtls->wire->is_datagram = true;
  dtls->wire->emit = emit;
  dtls->wire->owner = session;
  dtls->can_segment = true;
  dtls->has_large_buffers = true;
  dtls->mtu = UINT16_MAX;
  dtls->last_received_ms = dtls->last_sent_ms = worker->now_ms;
  __atomic_store_n(&session->record->has_dtls, true, __ATOMIC_RELAXED);
  return true;
}

void dtls_close(struct session *session) {
  struct worker *worker = session->worker;
  struct dtls_transport *dtls = &session->dtls;
  if (dtls->ssl == NULL) return;
  if (worker->dtls_out.session == session) {
    worker->dtls_out.session = NULL;
    worker->dtls_out.length = 0;
  }
  pace_forget(session);
  SSL_free(dtls->ssl);
  free(dtls->wire);
  close(dtls->fd);
  memset(dtls, 0, sizeof *dtls);
  session->is_dtls_active = false;
  __atomic_store_n(&session->record->has_dtls, false, __ATOMIC_RELAXED);
}
