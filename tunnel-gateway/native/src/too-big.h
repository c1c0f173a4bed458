/*
 * too-big.h: what becomes of a packet that exceeds the tunnel's MTU: IPv4 without DF is fragmented, all else is answered.
 */
#ifndef ISTHMUS_TOO_BIG_H
#define ISTHMUS_TOO_BIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "packet.h"

/* RFC 1812 4.3.2.3 and RFC 4443 2.4(c): as much of the packet as fits. */
#define TOO_BIG_ANSWER_AT_MOST 1280

/* Writes ICMPv4 "fragmentation needed" or ICMPv6 "packet too big" from `gateway` (4 or 16 bytes) to the packet's source.
 * Returns its length; 0 where none must be sent: IPv4 without DF, ICMP errors, later fragments, no unicast source. */
size_t too_big_answer(uint8_t into[TOO_BIG_ANSWER_AT_MOST], const uint8_t *packet, const struct packet *view,
                      const uint8_t *gateway, uint16_t mtu);

struct ipv4_fragmenter {
  const uint8_t *packet;
  uint32_t total, at;
  uint16_t header, later_header, mtu;
  uint8_t later[60]; /* the header of all but the first: with the options that are copied */
};

/* False where DF forbids it, it is no IPv4, or the MTU holds no 8 bytes behind the header. */
bool ipv4_fragment_start(struct ipv4_fragmenter *fragmenter, const uint8_t *packet, const struct packet *view, uint16_t mtu);

/* How long the next fragment will be, 0 after the last. */
size_t ipv4_fragment_length(const struct ipv4_fragmenter *fragmenter);

/* Writes the next fragment, which takes ipv4_fragment_length() bytes. */
void ipv4_fragment_next(struct ipv4_fragmenter *fragmenter, uint8_t *into);

#endif
