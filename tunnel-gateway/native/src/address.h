/*
 * address.h: IP addresses of peers. An IPv4 address is held as the IPv6 address that maps it (::ffff:0:0/96), so that there is
 * one form to compare; as text it is plain IPv4 again.
 */
#ifndef ISTHMUS_ADDRESS_H
#define ISTHMUS_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct ip_endpoint {
  uint8_t address[16];
  uint16_t port; /* host order */
};

/* `address`/`prefix`, the prefix counted in the mapped form. */
struct network {
  uint8_t address[16];
  uint8_t prefix;
};

#define ADDRESS_TEXT_BYTES INET6_ADDRSTRLEN

/* False where the family is neither of IP. */
bool ip_endpoint_of_socket(const struct sockaddr_storage *socket_address, struct ip_endpoint *endpoint);

void address_map_ipv4(const struct in_addr *ipv4, uint8_t address[16]);
bool address_is_ipv4(const uint8_t address[16]);

void address_text(const uint8_t address[16], char text[ADDRESS_TEXT_BYTES]);
/* The usual text form alone: no zone, no octal, no short IPv4. */
bool address_parse(const char *text, uint8_t address[16]);

/* "10.0.0.0/8", "fd00::/8", or an address alone. */
bool network_parse(const char *text, struct network *network);
bool network_contains(const struct network *network, const uint8_t address[16]);

#endif
