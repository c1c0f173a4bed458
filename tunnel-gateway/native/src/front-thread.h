/*
 * front-thread.h: what the files of the front share. Everything here belongs to the front thread.
 *
 *                        ┌─ not ours ─▶ handed to JavaScript
 *   PROXY_HEADER ─▶ CLIENT_HELLO ─▶ HANDSHAKE ─▶ OPEN ─ attach ─▶ a packet thread's
 *        └────────────────┴──────────────┴────────┴─▶ ENDING ─▶ closed
 */
#ifndef ISTHMUS_FRONT_THREAD_H
#define ISTHMUS_FRONT_THREAD_H

#include <stdatomic.h>
#include "admission.h"
#include "byte-queue.h"
#include "client-hello.h"
#include "events.h"
#include "front.h"
#include "mailbox.h"
#include "pollable.h"
#include "wire.h"

/* --- limits of our own --- */
#define BACKLOG 1024
#define ACCEPTED_AT_ONCE 64
/* Sealed bytes that a client does not take. */
#define UNSENT_BYTES_AT_MOST (256 * 1024)
/* Decrypted bytes that JavaScript was given since it last wrote an answer. */
#define UNANSWERED_BYTES_AT_MOST (256 * 1024)
/* Of events that JavaScript has not taken: past it no connection is accepted and no byte of an open one read. */
#define WAITING_BYTES_AT_MOST (16u << 20)
/* Between two messages before there is a tunnel: a person may be signing in with a browser. */
#define IDLE_MS (5 * 60 * 1000)
/* Once it is ENDING: for the peer's end behind ours, */
#define ENDING_MS 5000
/* and before that without the client taking any more of what is left. */
#define STALLED_MS 30000
#define RECEIVE_BYTES 65536

#define CONNECTION_BUCKETS 4096

enum connection_stage { STAGE_PROXY_HEADER, STAGE_CLIENT_HELLO, STAGE_HANDSHAKE, STAGE_OPEN, STAGE_ENDING };

struct connection {
  struct pollable pollable; /* first: epoll gives it back */
  struct front *front;
  struct connection *next, **link; /* of its bucket */
  uint32_t id;
  enum connection_stage stage;
  int fd;
  uint32_t watched; /* epoll's events */
  struct ip_endpoint peer, local; /* as a PROXY header says */
  bool is_counted;                /* by its address */
  bool is_admitted;               /* counts as pending */
  bool is_stream, owes_drained;   /* OPEN: for the relay; it was written to since it last was empty */
  bool is_paused;                 /* not read: a stream that is not wanted, or ENDING and the peer has ended */
  bool has_shut_down;             /* ENDING: our FIN is sent */
  uint64_t accepted_ms, deadline_ms;
  struct client_hello hello;
  SSL *ssl;
  struct wire *wire;
  int chain_error;
  struct byte_queue unsent;
  size_t unanswered;
  uint64_t streamed; /* of a stream: bytes that libssl has taken since it is one */
};

struct front {
  struct front_options options;
  struct mailbox mailbox;
  struct pollable listener, mail;
  int epoll_fd, listener_fd;
  bool has_mail, has_arrivals, is_stopping, is_listener_paused;
  uint64_t now_ms; /* CLOCK_MONOTONIC, of this turn */
  uint32_t last_id;
  struct admission admission;
  struct connection *connections[CONNECTION_BUCKETS];
  struct dtls_front *dtls; /* NULL without UDP */
  _Atomic uint64_t counters[FRONT_COUNTERS];
  uint8_t received[RECEIVE_BYTES];
};

static inline void front_count(struct front *front, enum front_counter counter) {
  atomic_fetch_add_explicit(&front->counters[counter], 1, memory_order_relaxed);
}

static inline bool front_is_ahead(void) { return events_waiting() > WAITING_BYTES_AT_MOST; }

/* --- connection.c: from acceptance to the end --- */
/* May free others: between two batches of events. */
void connection_accept(struct front *front, int fd, const struct sockaddr_storage *peer);
struct connection *connection_find(struct front *front, uint32_t id);
void connection_watch(struct connection *connection, uint32_t events);
/* Every deadline that has passed. */
void connections_tick(struct front *front);
void connections_close(struct front *front);
/* Before it was OPEN: tells why it came to nothing, and closes it. `detail` may be NULL. */
void connection_fail(struct connection *connection, const char *reason, const char *detail);
/* Once it was OPEN: tells JavaScript, then ends it. Complete: the peer has said that it sends no more. */
void connection_lose(struct connection *connection, const char *reason, bool is_complete);
/* Just tells. */
void connection_tell_closed(const struct connection *connection, const char *reason, bool is_complete);
/* Says nothing to JavaScript. Clean: close_notify and FIN behind what was written, and a while for the peer to do the same. */
void connection_end(struct connection *connection, bool is_clean);
/* It is no stranger's any more. */
void connection_leave_admission(struct connection *connection);
/* Frees all but what was given away: a descriptor of -1, an SSL of NULL. */
void connection_free(struct connection *connection);

/* --- connection-start.c: before TLS --- */
void connection_peek(struct connection *connection, uint32_t events);

/* --- connection-tls.c --- */
bool connection_start_tls(struct connection *connection);
void connection_receive(struct connection *connection);
/* False: the connection has gone. */
bool connection_flush(struct connection *connection);
bool connection_write(struct connection *connection, const uint8_t *bytes, size_t length);
void connection_stream(struct connection *connection, bool is_wanted);

/* --- connection-attach.c --- */
void connection_attach(struct connection *connection, const struct front_attachment *attachment, const uint8_t *head,
                       size_t length);

#endif
