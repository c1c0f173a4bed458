/*
 * up-path.c: from the client. What one event brings is opened into the thread's arena, judged packet by packet, joined with
 * its neighbours and written to the TUN; then the next session has its turn.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "worker-state.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

_Static_assert(ARENA_BYTES >= 4 * PLAINTEXT_AT_MOST, "the arena holds a partial frame and a record");

void up_write(void *owner, const struct iovec *parts, int number) {
  struct worker *worker = owner;
  ssize_t written;
  do written = writev(worker->options.tun_fd, parts, number);
  while (written < 0 && errno == EINTR);
  /* A packet the kernel will not have (its queue is full, the device is down) is lost, as on any wire. */
  count(worker, COUNT_TUN_WRITES);
}

/* Opened bytes of a stream of frames: [read, filled) of the arena is still to be read. */
struct stream {
  size_t read, filled;
};

/* Reads whole frames. False: the client does not speak CSTP. */
static bool read_frames(struct session *session, struct stream *stream) {
  struct worker *worker = session->worker;
  while (stream->read < stream->filled) {
    struct cstp_frame frame;
    enum cstp_outcome outcome = cstp_read(worker->arena + stream->read, stream->filled - stream->read, &frame);
    if (outcome == CSTP_SHORT) return true;
    if (outcome == CSTP_MALFORMED) return false;
    stream->read += CSTP_HEADER_BYTES + frame.length;
    up_frame(session, OVER_TLS, frame.type, frame.payload, frame.length);
  }
  return true;
}

/* Makes room for a record; packets that the coalescer holds must have left before their bytes move. */
static void turn_arena(struct worker *worker, struct stream *stream) {
  if (sizeof worker->arena - stream->filled >= PLAINTEXT_AT_MOST) return;
  coalesce_flush(&worker->coalescer);
  memmove(worker->arena, worker->arena + stream->read, stream->filled - stream->read);
  stream->filled -= stream->read;
  stream->read = 0;
}

/* The beginning of a frame waits for the rest in memory of its session: at most a frame, as longer ones are malformed. */
static void keep_partial(struct session *session, const struct stream *stream) {
  struct tls_transport *tls = &session->tls;
  size_t length = stream->filled - stream->read;
  if (length == 0) return;
  tls->partial = malloc(length);
  if (tls->partial == NULL) {
    tls_fail(session, "out of memory");
    return;
  }
  memcpy(tls->partial, session->worker->arena + stream->read, length);
  tls->partial_length = length;
}

static void restore_partial(struct session *session, struct stream *stream) {
  struct tls_transport *tls = &session->tls;
  stream->read = 0;
  stream->filled = tls->partial_length;
  if (tls->partial == NULL) return;
  memcpy(session->worker->arena, tls->partial, tls->partial_length);
  OPENSSL_cleanse(tls->partial, tls->partial_length);
  free(tls->partial);
  tls->partial = NULL;
  tls->partial_length = 0;
}

static void stop_reading(struct session *session, int outcome) {
  switch (SSL_get_error(session->tls.ssl, outcome)) {
    case SSL_ERROR_WANT_READ:
      return;
    case SSL_ERROR_ZERO_RETURN:
      tls_fail(session, "closed by the client");
      break;
    default:
      tls_fail(session, "TLS");
  }
  ERR_clear_error();
}

/* Everything that libssl can open now. */
static void open_records(struct session *session, struct stream *stream) {
  struct worker *worker = session->worker;
  struct tls_transport *tls = &session->tls;
  while (tls->failure == NULL) {
    turn_arena(worker, stream);
    int opened = SSL_read(tls->ssl, worker->arena + stream->filled, PLAINTEXT_AT_MOST);
    if (opened <= 0) {
      stop_reading(session, opened);
      return;
    }
    stream->filled += (size_t)opened;
    worker->packets_in_wake++;
    if (!read_frames(session, stream)) tls_fail(session, "no CSTP frame");
    /* To be told by libssl that there is no more takes it a good part of what a record does. */
    if (tls->wire->in_left == 0 && SSL_has_pending(tls->ssl) == 0) return;
  }
}

/* Ends what one event brought. Some of it may have left before, when the arena was full: little, and the clock has its price. */
static void write_all(struct worker *worker) {
  coalesce_flush(&worker->coalescer);
  uint64_t packets = worker->counters[COUNT_PACKETS_UP] - worker->up_timed;
  worker->up_timed += packets;
  count_latency(worker, LATENCY_UP, worker->came_us, packets);
}

static void finish(struct session *session, const struct stream *stream) {
  write_all(session->worker);
  if (session->tls.failure == NULL) keep_partial(session, stream);
}

void up_receive_tls(struct session *session) {
  struct worker *worker = session->worker;
  struct tls_transport *tls = &session->tls;
  ssize_t received;
  do received = recv(tls->fd, worker->received, sizeof worker->received, MSG_DONTWAIT);
  while (received < 0 && errno == EINTR);
  count(worker, COUNT_TLS_RECEIVES);
  if (received < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) tls_fail(session, errno == ECONNRESET ? "reset by the client" : "receive");
    return;
  }
  if (received == 0) {
    tls_fail(session, "closed by the client");
    return;
  }
  tls->last_received_ms = worker->now_ms;
  timers_buffers_used(session, &tls->has_large_buffers);
  struct stream stream;
  restore_partial(session, &stream);
  tls->wire->in = worker->received;
  tls->wire->in_left = (size_t)received;
  open_records(session, &stream);
  tls->wire->in_left = 0;
  finish(session, &stream);
}

void up_take_over(struct session *session, const uint8_t *unread, size_t length) {
  struct worker *worker = session->worker;
  struct stream stream = {0, 0};
  while (length > 0 && session->tls.failure == NULL) {
    size_t now = length < PLAINTEXT_AT_MOST ? length : PLAINTEXT_AT_MOST;
    turn_arena(worker, &stream);
    memcpy(worker->arena + stream.filled, unread, now);
    stream.filled += now;
    unread += now;
    length -= now;
    if (!read_frames(session, &stream)) tls_fail(session, "no CSTP frame");
  }
  open_records(session, &stream);
  finish(session, &stream);
}

/* A record that did not open. The window of libssl drops replays and the tag forgeries, both without a word. */
static void count_unopened(struct session *session, uint64_t sequence) {
  count_drop(session, sequence <= session->dtls.highest_sequence ? COUNT_DROPPED_REPLAYED : COUNT_DROPPED_FORGED);
}

/* Epoch and sequence number as they stand in the header (RFC 6347 section 4.1). */
static uint64_t record_sequence(const uint8_t *datagram, size_t length) {
  uint64_t sequence = 0;
  for (size_t at = 3; at < 11 && at < length; at++) sequence = sequence << 8 | datagram[at];
  return sequence;
}

#define RECORD_APPLICATION_DATA 23

/* One datagram: usually one record, of one frame. */
static void open_datagram(struct session *session, const uint8_t *datagram, size_t length, struct stream *stream) {
  struct worker *worker = session->worker;
  struct dtls_transport *dtls = &session->dtls;
  uint64_t sequence = dtls->sequence = record_sequence(datagram, length);
  bool has_opened = false;
  dtls->wire->in = datagram;
  dtls->wire->in_left = length;
  while (dtls->failure == NULL) {
    stream->read = stream->filled;
    turn_arena(worker, stream);
    uint8_t *frame = worker->arena + stream->filled;
    int opened = SSL_read(dtls->ssl, frame, PLAINTEXT_AT_MOST);
    if (opened <= 0) {
      int error = SSL_get_error(dtls->ssl, opened);
      if (error == SSL_ERROR_ZERO_RETURN) dtls_fail(session, "closed by the client");
      else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) dtls_fail(session, "DTLS");
      ERR_clear_error();
      break;
    }
    has_opened = true;
    dtls->last_received_ms = worker->now_ms;
    stream->filled += (size_t)opened;
    up_frame(session, OVER_DTLS, frame[0], frame + 1, (size_t)opened - 1);
    if (SSL_has_pending(dtls->ssl) == 0) break;
  }
  dtls->wire->in_left = 0;
  if (has_opened && sequence > dtls->highest_sequence) dtls->highest_sequence = sequence;
  if (!has_opened && length > 0 && datagram[0] == RECORD_APPLICATION_DATA) count_unopened(session, sequence);
}

struct datagram_batch {
  struct mmsghdr messages[DATAGRAMS_PER_RECEIVE];
  struct iovec parts[DATAGRAMS_PER_RECEIVE];
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } controls[DATAGRAMS_PER_RECEIVE];
};

static void prepare(struct worker *worker, struct datagram_batch *batch, unsigned room) {
  for (unsigned at = 0; at < room; at++) {
    batch->parts[at] = (struct iovec){worker->datagrams[at], DATAGRAM_BYTES};
    batch->messages[at].msg_hdr = (struct msghdr){.msg_iov = &batch->parts[at],
                                                  .msg_iovlen = 1,
                                                  .msg_control = batch->controls[at].bytes,
                                                  .msg_controllen = sizeof batch->controls[at].bytes};
  }
}

/* The length of each datagram in a message that the kernel has joined (UDP_GRO); `whole` where it has not. */
static size_t datagram_length(struct msghdr *message, size_t whole) {
  for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
    int length = 0;
    if (at->cmsg_level != IPPROTO_UDP || at->cmsg_type != UDP_GRO || at->cmsg_len < CMSG_LEN(sizeof length)) continue;
    memcpy(&length, CMSG_DATA(at), sizeof length);
    if (length > 0) return (size_t)length;
  }
  return whole;
}

/*
 * What one message brought: a datagram, or several of one length that the kernel has joined. Those that do not open count for the
 * thread's pace as well: forged ones, each received alone, would crowd out the client's own.
 */
static void open_message(struct session *session, uint8_t *bytes, struct msghdr *header, size_t whole, struct stream *stream) {
  size_t each = datagram_length(header, whole);
  session->worker->packets_in_wake += whole > each ? (uint32_t)((whole + each - 1) / each) : 1;
  for (size_t at = 0; at < whole && session->dtls.failure == NULL; at += each)
    open_datagram(session, bytes + at, whole - at < each ? whole - at : each, stream);
}

/* The headers for as many messages as may wait take longer to write than a lone packet to open. */
static int receive(struct worker *worker, int fd, struct datagram_batch *batch) {
  unsigned room = worker->is_quiet ? 1 : DATAGRAMS_PER_RECEIVE;
  prepare(worker, batch, room);
  int received;
  do received = recvmmsg(fd, batch->messages, room, MSG_DONTWAIT, NULL);
  while (received < 0 && errno == EINTR);
  count(worker, COUNT_UDP_RECEIVES);
  return received;
}

void up_receive_dtls(struct session *session) {
  struct worker *worker = session->worker;
  struct datagram_batch batch;
  int received = receive(worker, session->dtls.fd, &batch);
  if (received < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) dtls_unreachable(session);
    return;
  }
  timers_buffers_used(session, &session->dtls.has_large_buffers);
  struct stream stream = {0, 0};
  for (int at = 0; at < received; at++)
    open_message(session, worker->datagrams[at], &batch.messages[at].msg_hdr, batch.messages[at].msg_len, &stream);
  drain_heard(&session->dtls.drain);
  write_all(worker);
}
