/*
 * proxy-protocol.h: the header by which a load balancer says whose connection it passes on (haproxy's proxy-protocol.txt,
 * versions 1 and 2). Pure, and strict: every byte must be as described.
 *
 *   v1: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", TCP6 likewise, or "PROXY UNKNOWN ...\r\n"
 *   v2: signature 12 | version and command | family and transport | length 2 | addresses | TLVs
 */
#ifndef ISTHMUS_PROXY_PROTOCOL_H
#define ISTHMUS_PROXY_PROTOCOL_H

#include "address.h"
#include "cursor.h"

#define PROXY_V1_BYTES_AT_MOST 107
/* Ours: the least that every receiver of version 2 must be able to take. */
#define PROXY_V2_BYTES_AT_MOST 536

struct proxy_header {
  size_t length;      /* of the header; the client's bytes follow */
  bool has_addresses; /* false: the balancer speaks for itself (a health check), or does not know */
  struct ip_endpoint source, destination;
};

/* Reads the beginning of a stream. PARSE_SHORT: come again with at least `needed` bytes. */
enum parse_outcome proxy_header_read(const uint8_t *bytes, size_t length, struct proxy_header *header, size_t *needed);

#endif
