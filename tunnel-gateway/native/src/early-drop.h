/*
 * early-drop.h: when a client takes less than is sent to it, which packets are not sealed, pure. TCP inside is told by one loss
 * (or one mark of congestion, where it heeds those) and has its round trip of time to slow down, while the backlog still has
 * room for what is on its way: a queue that only overflows loses hundreds of packets at once, which all have to be sent again.
 *
 *            0 ........ EARLY_BYTES ............... limit
 *   waiting:    sealed      one now and then,        refused
 *                           more often the closer
 *                           the limit is
 */
#ifndef ISTHMUS_EARLY_DROP_H
#define ISTHMUS_EARLY_DROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ours. What may wait for a client that takes little, and for any; a fast one may have some 20 ms of its own rate beyond the
 * first, as TCP inside doubles its rate in a round trip when it starts. */
#define BACKLOG_SLOW (512 * 1024)
#define BACKLOG_AT_MOST (1920 * 1024)
/* Ours: less than this is no queue that stands. */
#define EARLY_BYTES (256 * 1024)

/* Ours: shorter packets (acknowledgements, names, speech) slow nobody down when they are lost. */
#define TELLING_BYTES 512

struct early_drop {
  uint64_t next_us; /* no early loss before */
  uint64_t window_us;
  size_t taken, taken_before; /* by the client in this window and in the last one */
};

enum early_drop_outcome { BACKLOG_PASS, BACKLOG_TELL, BACKLOG_REFUSE };

/* The client's socket took so many bytes. */
void early_drop_taken(struct early_drop *state, size_t bytes, uint64_t now_us);
/* What becomes of a packet while so many bytes wait. TELL: its sender should hear of congestion. */
enum early_drop_outcome early_drop_judge(struct early_drop *state, size_t waiting, size_t length, uint64_t now_us);

/* Marks an IP packet as having met congestion (RFC 3168). False: its sender does not heed marks, drop it. */
bool early_drop_mark(uint8_t *packet, size_t length);

#endif
