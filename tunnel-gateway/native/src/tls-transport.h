/*
 * tls-transport.h: CSTP over TLS. Records of one session gather in the thread's buffer and leave in one send(); what the socket
 * does not take waits in the session's backlog, which is bounded: packets are dropped before they are sealed, see early-drop.h.
 */
#ifndef ISTHMUS_TLS_TRANSPORT_H
#define ISTHMUS_TLS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "early-drop.h"
#include "openssl-api.h"
#include "wire.h"
#include "worker.h"

/* Ours. Packets stop at BACKLOG_AT_MOST; past this, which only answers of libssl itself reach, the transport ends. */
#define BACKLOG_FATAL (BACKLOG_AT_MOST + 512 * 1024)

/* Sealed with one key at most: well below 2^24.5 full records of AES-GCM (RFC 8446 section 5.5). GnuTLS takes 8 updates a second. */
#define RECORDS_PER_KEY (1u << 23)

struct worker;
struct session;

struct tls_transport {
  SSL *ssl; /* NULL: there is none */
  struct wire *wire;
  int fd;
  uint32_t generation;   /* of its epoll events */
  const char *failure;   /* why it is to be closed; NULL while it is well */
  uint8_t *partial;      /* the beginning of a frame whose rest is still to come */
  size_t partial_length;
  uint8_t *backlog;      /* sealed bytes at [start, end) of room */
  size_t backlog_start, backlog_end, backlog_room;
  struct early_drop early_drop;
  uint32_t records_sealed;
  bool has_large_buffers; /* libssl holds its record buffers */
  uint64_t last_received_ms, last_sent_ms, dpd_sent_ms;
};

/* Takes the hand-over; `unread` was not processed yet and stays with the caller. False: it could not be watched, all is freed. */
bool tls_attach(struct session *session, const struct tls_handover *handover);
/* Frees everything and wipes; sends nothing. */
void tls_close(struct session *session);
/* Marks it broken: it will be closed with `reason` after the current event. */
void tls_fail(struct session *session, const char *reason);

/* Seals one frame; `payload` has CSTP_HEADER_BYTES of room in front. False: dropped. */
bool tls_send(struct session *session, uint8_t type, uint8_t *payload, size_t length);
/* Sends what has gathered in the thread's buffer, whosever it is. */
void tls_flush(struct worker *worker);
/* The socket can be written to: sends backlog. */
void tls_writable(struct session *session);
size_t tls_backlog(const struct tls_transport *tls);

#endif
