/*
 * drain.h: how much of what was sent lies in the socket of a client, pure. Nobody tells but TCP inside: a client takes datagrams in
 * the order in which they came, so that with the answer to one of them all before it have left its socket.
 */
#ifndef ISTHMUS_DRAIN_H
#define ISTHMUS_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "packet.h"

/* Ours: answers may lie so many marks back; each is of MARK_BYTES or of one flow in a row. */
#define DRAIN_MARKS 16
#define DRAIN_FLOWS 16
#define DRAIN_MARK_BYTES (10 * 1024)
#define DRAIN_WINDOW_BYTES (64 * 1024 * 1024)

/* Ours. A client is waited for at most so long: a busy one does not run for milliseconds. At least so long: one that does not answer. */
#define DRAIN_MOST_US 5000
#define DRAIN_MOST_UNMARKED_US 1000 /* where no answer is expected */
#define DRAIN_LEAST_US 100
#define DRAIN_IMPATIENCE_AT_MOST 8 /* halvings */
/* One that never answers sooner is far away: what is on its way to it is not in its socket. Looked at anew as often as that. */
#define DRAIN_FAR_US 1000
#define DRAIN_WINDOW_US 500000

/* Bytes of TCP inside: with an answer that speaks of `end`, the client has taken the first `sent` bytes of all. */
struct drain_mark {
  uint64_t sent, from, at_us;
  uint32_t flow, end;
};

/* How far a flow has come; two of one place take turns, and one of them is taken for new now and then. */
struct drain_flow {
  uint32_t flow, end;
};

struct drain {
  uint64_t sent;     /* bytes so far, */
  uint64_t taken;    /* of these known to be taken, or given up, */
  uint64_t answered; /* and known */
  struct drain_mark marks[DRAIN_MARKS]; /* the newest before `next` */
  uint32_t next;
  struct drain_flow flows[DRAIN_FLOWS];
  uint32_t least_us, least_before_us; /* until an answer, in this window and in the one before */
  uint64_t window_us;
  uint8_t impatience; /* times given up since the last answer */
};

/* Ports alone: addresses may be others on either side, and a mistake costs no more than a burst. */
static inline uint32_t drain_flow(uint16_t remote_port, uint16_t own_port) { return (uint32_t)remote_port << 16 | own_port; }

static inline void drain_sent(struct drain *drain, size_t bytes) { drain->sent += bytes; }
/* The last of what was sent is TCP of that flow up to the sequence number `end`. */
void drain_mark(struct drain *drain, uint32_t flow, uint32_t end, uint64_t now_us);
/* The newest byte that a TCP packet of the client speaks of: a selective acknowledgement lists it first (RFC 2018). */
uint32_t drain_newest(const uint8_t *packet, const struct packet *view);
void drain_answered(struct drain *drain, uint32_t flow, uint32_t newest, uint64_t now_us);
/* Anything came from the client. Clients empty their socket before they say something: good enough where no answer is expected. */
void drain_heard(struct drain *drain);

/* Bytes that may still lie in the client's socket. */
size_t drain_waiting(const struct drain *drain);
/* How long it is worth waiting for an answer. */
uint32_t drain_patience_us(const struct drain *drain);
/* None came in that time: what was sent counts as taken, and the client is waited for less until it answers. */
void drain_give_up(struct drain *drain);

#endif
