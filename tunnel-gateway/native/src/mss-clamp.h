/*
 * mss-clamp.h: lowers the largest segment a TCP handshake announces, so that both ends send what fits the tunnel.
 */
#ifndef ISTHMUS_MSS_CLAMP_H
#define ISTHMUS_MSS_CLAMP_H

#include <stdbool.h>
#include <stdint.h>
#include "packet.h"

/* Changes the MSS option of a SYN that exceeds `mtu` less the IP and TCP headers, and mends the checksum, which must be complete
 * already (from a TUN: after segment_start or in its segments). True where it changed something. */
bool mss_clamp(uint8_t *packet, const struct packet *view, uint16_t mtu);

#endif
