/*
 * segment.h: turns what a TUN hands over (one packet, or a large one that stands for many) into packets of at most a session's MTU.
 *
 *   switch (segment_start(&segmenter, &header, packet, &view, mtu)) ... SEGMENT_READY:
 *     while ((length = segment_length(&segmenter)) > 0) segment_next(&segmenter, room_for(length));
 */
#ifndef ISTHMUS_SEGMENT_H
#define ISTHMUS_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "packet.h"
#include "vnet-header.h"

enum segment_outcome {
  SEGMENT_READY,
  SEGMENT_TOO_BIG,  /* a packet over the MTU that cannot be split: its checksum is complete, see too-big.h */
  SEGMENT_MALFORMED /* the header does not fit the packet */
};

struct segmenter {
  const uint8_t *packet;
  uint32_t total, at; /* bytes of the packet; of it, where the next segment's payload begins */
  uint32_t sequence;  /* of that payload */
  uint64_t network_sum, transport_sum; /* of all header words that every segment shares */
  uint16_t headers, payload_each, transport, id;
  uint8_t family, protocol;
  bool is_plain, is_first;
};

/* `packet` is `view`'s, may be written to (a missing checksum is put in), and stays until the last segment was taken. */
enum segment_outcome segment_start(struct segmenter *segmenter, const struct vnet_header *header, uint8_t *packet,
                                   const struct packet *view, uint16_t mtu);

/* How long the next segment will be, 0 after the last. At most the MTU; all but the last are equal. */
size_t segment_length(const struct segmenter *segmenter);

/* Writes the next segment, which takes segment_length() bytes. */
void segment_next(struct segmenter *segmenter, uint8_t *into);

#endif
