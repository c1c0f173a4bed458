/*
 * endpoint.h: one end of a UDP flow. An IPv4 address on a dual-stack socket stays in its IPv6 form (::ffff:a.b.c.d), as the socket
 * wants it; its text is that of the IPv4 address.
 */
#ifndef ISTHMUS_ENDPOINT_H
#define ISTHMUS_ENDPOINT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "address.h"

union endpoint {
  sa_family_t family;
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

#define ENDPOINT_TEXT_BYTES ADDRESS_TEXT_BYTES

/* False when it is neither IPv4 nor IPv6, or its length does not fit. */
bool endpoint_from(union endpoint *endpoint, const struct sockaddr *address, socklen_t length);
socklen_t endpoint_length(const union endpoint *endpoint);
uint16_t endpoint_port(const union endpoint *endpoint);
bool endpoint_is_wildcard(const union endpoint *endpoint);
/* Address, port and, of a link-local address, scope. */
bool endpoint_is_same(const union endpoint *one, const union endpoint *other);
/* The address alone. Returns `text`. */
const char *endpoint_text(const union endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES]);

#define ENDPOINT_KEY_BYTES 18
/* What cookies are made over: 16 bytes of address, port. An address has one key, whatever the socket it came by. */
void endpoint_key(const union endpoint *endpoint, uint8_t key[ENDPOINT_KEY_BYTES]);

#endif
