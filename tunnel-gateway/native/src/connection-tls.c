/*
 * TLS up to the tunnel: the handshake, then a byte stream for JavaScript.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "front-thread.h"
#include "tls-context.h"

#define RECORD_BYTES 16384

static bool keep(void *owner, const uint8_t *bytes, size_t length) {
  struct connection *connection = owner;
  return byte_queue_add(&connection->unsent, bytes, length);
}

bool connection_start_tls(struct connection *connection) {
  connection->wire = calloc(1, sizeof *connection->wire);
  connection->ssl = SSL_new(connection->front->options.tls);
  BIO *bio = connection->wire == NULL ? NULL : wire_bio(connection->wire);
  if (connection->ssl == NULL || bio == NULL || !tls_watch_verification(connection->ssl, &connection->chain_error)) {
    if (bio != NULL) BIO_free(bio);
    connection_fail(connection, "internal", "out of memory");
    return false;
  }
  connection->wire->emit = keep;
  connection->wire->owner = connection;
  SSL_set_bio(connection->ssl, bio, bio);
  SSL_set_accept_state(connection->ssl);
  connection->stage = STAGE_HANDSHAKE;
  connection_watch(connection, EPOLLIN);
  return true;
}

/* --- the end of a handshake --- */

struct chain {
  X509 *certificates[16];
  int lengths[16];
  size_t count, bytes;
};

static bool add_certificate(struct chain *chain, X509 *certificate) {
  if (chain->count == sizeof chain->lengths / sizeof *chain->lengths) return false;
  int length = i2d_X509(certificate, NULL);
  if (length <= 0) return false;
  chain->certificates[chain->count] = certificate;
  chain->lengths[chain->count++] = length;
  chain->bytes += 4 + (size_t)length;
  return true;
}

/* Leaf first; what is more than a chain has is left out, for it cannot be part of one. */
static void read_chain(SSL *ssl, struct chain *chain) {
  *chain = (struct chain){0};
  X509 *leaf = SSL_get0_peer_certificate(ssl);
  if (leaf == NULL || !add_certificate(chain, leaf)) return;
  const OPENSSL_STACK *others = (const OPENSSL_STACK *)SSL_get_peer_cert_chain(ssl);
  for (int i = 0; others != NULL && i < OPENSSL_sk_num(others); i++)
    if (!add_certificate(chain, OPENSSL_sk_value(others, i))) return;
}

static void write_chain(const struct chain *chain, uint8_t *into) {
  for (size_t i = 0; i < chain->count; i++) {
    uint32_t length = (uint32_t)chain->lengths[i];
    for (int shift = 24; shift >= 0; shift -= 8) *into++ = (uint8_t)(length >> shift);
    i2d_X509(chain->certificates[i], &into);
  }
}

static bool tell_opened(struct connection *connection) {
  struct chain chain;
  read_chain(connection->ssl, &chain);
  struct event *event = event_new(EVENT_CONNECTION_OPENED, connection->id, chain.bytes);
  if (event == NULL) return false;
  bool is_verified = chain.count > 0 && connection->chain_error == X509_V_OK;
  event->numbers[0] = connection->peer.port;
  event->numbers[1] = SSL_version(connection->ssl);
  event->numbers[2] = is_verified;
  char peer[ADDRESS_TEXT_BYTES], local[ADDRESS_TEXT_BYTES];
  address_text(connection->peer.address, peer);
  address_text(connection->local.address, local);
  const char *cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(connection->ssl));
  const char *verification = chain.count == 0 ? "no certificate" : X509_verify_cert_error_string(connection->chain_error);
  snprintf(event->text, sizeof event->text, "%s\n%s\n%s\n%s\n%s", peer, local, cipher, connection->hello.server_name,
           verification);
  write_chain(&chain, event->bytes);
  events_emit(event);
  return true;
}

/* True when the handshake has ended well. */
static bool advance_handshake(struct connection *connection) {
  ERR_clear_error();
  int outcome = SSL_do_handshake(connection->ssl);
  if (outcome != 1) {
    if (SSL_get_error(connection->ssl, outcome) == SSL_ERROR_WANT_READ) connection_flush(connection);
    else connection_fail(connection, "handshake", tls_take_error("refused"));
    return false;
  }
  connection->stage = STAGE_OPEN;
  connection->deadline_ms = connection->front->now_ms + IDLE_MS;
  if (!tell_opened(connection)) {
    connection_end(connection, false);
    return false;
  }
  front_count(connection->front, COUNT_HANDSHAKES);
  return true;
}

/* --- the byte stream --- */

static void defer(struct connection *connection) {
  if (!connection->is_stream) connection->deadline_ms = connection->front->now_ms + IDLE_MS;
}

static bool tell_bytes(struct connection *connection, const uint8_t *bytes, size_t length) {
  struct event *event = event_new(EVENT_CONNECTION_BYTES, connection->id, length);
  if (event == NULL) return false;
  memcpy(event->bytes, bytes, length);
  events_emit(event);
  return true;
}

static void lose_at_once(struct connection *connection) {
  connection_tell_closed(connection, "does not take what it is sent", false);
  connection_end(connection, false);
}

/*
 * Everything that has come, so that nothing stays behind in libssl or in a buffer that others use. What came at once is told at once:
 * a client chooses how small its records are, not how many events they make.
 */
static void read_records(struct connection *connection) {
  uint8_t plain[RECORD_BYTES];
  size_t filled = 0;
  const char *end = NULL;
  bool is_complete = false, is_told = true;
  while (end == NULL) {
    ERR_clear_error();
    int length = SSL_read(connection->ssl, plain + filled, (int)(sizeof plain - filled));
    if (length <= 0) {
      int error = SSL_get_error(connection->ssl, length);
      if (error == SSL_ERROR_WANT_READ) break;
      is_complete = error == SSL_ERROR_ZERO_RETURN;
      end = is_complete ? "closed by the client" : tls_take_error("broken");
      continue;
    }
    defer(connection);
    filled += (size_t)length;
    if (!connection->is_stream) connection->unanswered += (size_t)length;
    if (connection->unanswered > UNANSWERED_BYTES_AT_MOST) end = "more than 256 KiB without an answer";
    if (filled < sizeof plain) continue;
    is_told &= tell_bytes(connection, plain, filled);
    filled = 0;
  }
  if (filled > 0) is_told &= tell_bytes(connection, plain, filled);
  if (!is_told) end = "out of memory";
  OPENSSL_cleanse(plain, sizeof plain);
  if (end != NULL) return connection_lose(connection, end, is_complete && is_told);
  /* libssl answers by itself, to updates of keys for one, whether its answers are taken or not. */
  if (connection_flush(connection) && connection->unsent.length > UNSENT_BYTES_AT_MOST) lose_at_once(connection);
}

static void lose_or_fail(struct connection *connection, const char *why) {
  if (connection->stage == STAGE_HANDSHAKE) return connection_fail(connection, "closed", why);
  if (connection->stage == STAGE_OPEN) connection_tell_closed(connection, why, false);
  connection_free(connection);
}

void connection_receive(struct connection *connection) {
  uint8_t *bytes = connection->front->received;
  ssize_t length = recv(connection->fd, bytes, RECEIVE_BYTES, 0);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0) return lose_or_fail(connection, length < 0 ? strerror(errno) : "closed without close_notify");
  connection->wire->in = bytes;
  connection->wire->in_left = (size_t)length;
  if (connection->stage == STAGE_HANDSHAKE && !advance_handshake(connection)) return;
  read_records(connection);
}

/* False: the connection has gone. */
static bool say_all_is_sent(struct connection *connection) {
  if (connection->owes_drained) {
    struct event *event = event_new(EVENT_CONNECTION_DRAINED, connection->id, 0);
    if (event != NULL) {
      event->numbers[0] = (double)connection->streamed;
      events_emit(event);
    }
    connection->owes_drained = false;
  }
  if (connection->stage != STAGE_ENDING) return true;
  if (connection->is_paused) {
    connection_free(connection);
    return false;
  }
  if (connection->has_shut_down) return true;
  connection->has_shut_down = true;
  connection->deadline_ms = connection->front->now_ms + ENDING_MS;
  shutdown(connection->fd, SHUT_WR);
  return true;
}

bool connection_flush(struct connection *connection) {
  struct byte_queue *unsent = &connection->unsent;
  while (unsent->length > 0) {
    ssize_t length = send(connection->fd, unsent->bytes + unsent->start, unsent->length, MSG_NOSIGNAL);
    if (length >= 0) {
      byte_queue_drop(unsent, (size_t)length);
      if (connection->stage == STAGE_ENDING) connection->deadline_ms = connection->front->now_ms + STALLED_MS;
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      lose_or_fail(connection, strerror(errno));
      return false;
    }
  }
  if (unsent->length == 0 && !say_all_is_sent(connection)) return false;
  connection_watch(connection, (connection->is_paused ? 0 : EPOLLIN) | (unsent->length > 0 ? EPOLLOUT : 0));
  return true;
}

bool connection_write(struct connection *connection, const uint8_t *bytes, size_t length) {
  connection->unanswered = 0;
  defer(connection);
  while (length > 0) {
    int piece = length < RECORD_BYTES ? (int)length : RECORD_BYTES;
    ERR_clear_error();
    int taken = SSL_write(connection->ssl, bytes, piece);
    if (taken <= 0) {
      lose_or_fail(connection, tls_take_error("broken"));
      return false;
    }
    bytes += taken;
    length -= (size_t)taken;
    if (connection->is_stream) connection->streamed += (size_t)taken;
    connection->owes_drained = connection->is_stream && length == 0;
    if (connection->unsent.length > UNSENT_BYTES_AT_MOST / 2 && !connection_flush(connection)) return false;
    if (connection->unsent.length <= UNSENT_BYTES_AT_MOST) continue;
    lose_at_once(connection);
    return false;
  }
  return connection_flush(connection);
}

void connection_stream(struct connection *connection, bool is_wanted) {
  connection->is_stream = true;
  connection->deadline_ms = UINT64_MAX;
  connection->unanswered = 0;
  connection->is_paused = !is_wanted;
  connection_leave_admission(connection);
  connection_flush(connection);
}
