/*
 * dtls-transport.h: DTLS 1.2 on a UDP socket connected to the client. Records of equal length gather in the thread's buffer and
 * leave in one sendmsg() that the kernel cuts up (UDP_SEGMENT); a shorter one closes the batch.
 */
#ifndef ISTHMUS_DTLS_TRANSPORT_H
#define ISTHMUS_DTLS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "drain.h"
#include "mtu-search.h"
#include "openssl-api.h"
#include "wire.h"
#include "worker.h"

struct worker;
struct session;

struct dtls_transport {
  SSL *ssl; /* NULL: there is none */
  struct wire *wire;
  int fd;
  uint32_t generation;
  const char *failure;
  bool can_segment;    /* the path takes segmented sends */
  bool has_large_buffers;
  uint16_t mtu;        /* of inner packets; lowered when the path refuses datagrams */
  struct mtu_search search; /* what the client has found of it */
  struct drain drain;  /* what lies in the client's socket */
  uint64_t sequence, highest_sequence; /* of the record at hand; of those that opened. With the epoch above */
  uint64_t last_received_ms, last_sent_ms, dpd_sent_ms;
};

bool dtls_attach(struct session *session, const struct dtls_handover *handover);
void dtls_close(struct session *session);
void dtls_fail(struct session *session, const char *reason);

/* The network or the client's host refuses datagrams: TLS carries on, where there is one. Nothing is closed, as it may be passing or
 * forged, and a client that goes on sending over DTLS has to be heard; one that has gone is found by DPD. */
void dtls_unreachable(struct session *session);

/* Seals one frame; `payload` has at least one byte of room in front. False: dropped. */
bool dtls_send(struct session *session, uint8_t type, uint8_t *payload, size_t length);
void dtls_flush(struct worker *worker);
/* Unless the client has enough for now (pace.h). */
void dtls_flush_due(struct worker *worker);

#endif
