/*
 * coalesce.h: turns TCP segments that follow each other into one large packet for the TUN, several flows at once.
 *
 * All packets of a flow leave in the order they came. Packets stay the caller's, unchanged by anyone else, until coalesce_flush.
 */
#ifndef ISTHMUS_COALESCE_H
#define ISTHMUS_COALESCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "packet.h"
#include "vnet-header.h"

#define COALESCED_FLOWS 16
#define COALESCED_SEGMENTS 64

/* One packet for one writev() to the TUN: parts[0] is its struct vnet_header. */
typedef void (*coalesce_output)(void *owner, const struct iovec *parts, int count);

struct coalesced_flow {
  uint8_t *packet; /* the first one, its headers become the large one's */
  uint64_t hash;
  uint32_t next_sequence, length; /* length: of the large packet */
  uint16_t transport, headers, payload_each, count;
  uint8_t family;
  bool is_closed; /* takes no more: PSH, or a segment shorter than the others */
  struct iovec parts[COALESCED_SEGMENTS + 1];
};

struct coalescer {
  coalesce_output output;
  void *owner;
  uint32_t open; /* flows[0..open) may hold packets */
  struct coalesced_flow flows[COALESCED_FLOWS];
};

void coalesce_start(struct coalescer *coalescer, coalesce_output output, void *owner);

/* `packet` is `view`'s and judged already; it leaves now, or with others at the flush, its bytes possibly changed. */
void coalesce_packet(struct coalescer *coalescer, uint8_t *packet, const struct packet *view);

/* Everything held leaves. Call it before the packets' memory is used again. */
void coalesce_flush(struct coalescer *coalescer);

#endif
