#include "address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};

void address_map_ipv4(const struct in_addr *ipv4, uint8_t address[16]) {
  memcpy(address, MAPPED, sizeof MAPPED);
  memcpy(address + sizeof MAPPED, ipv4, 4);
}

bool address_is_ipv4(const uint8_t address[16]) { return memcmp(address, MAPPED, sizeof MAPPED) == 0; }

bool ip_endpoint_of_socket(const struct sockaddr_storage *socket_address, struct ip_endpoint *endpoint) {
  if (socket_address->ss_family == AF_INET) {
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)socket_address;
    address_map_ipv4(&ipv4->sin_addr, endpoint->address);
    endpoint->port = ntohs(ipv4->sin_port);
    return true;
  }
  if (socket_address->ss_family != AF_INET6) return false;
  const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)socket_address;
  memcpy(endpoint->address, &ipv6->sin6_addr, 16);
  endpoint->port = ntohs(ipv6->sin6_port);
  return true;
}

void address_text(const uint8_t address[16], char text[ADDRESS_TEXT_BYTES]) {
  bool is_ipv4 = address_is_ipv4(address);
  inet_ntop(is_ipv4 ? AF_INET : AF_INET6, is_ipv4 ? address + sizeof MAPPED : address, text, ADDRESS_TEXT_BYTES);
}

bool address_parse(const char *text, uint8_t address[16]) {
  struct in_addr ipv4;
  if (inet_pton(AF_INET, text, &ipv4) == 1) {
    address_map_ipv4(&ipv4, address);
    return true;
  }
  return inet_pton(AF_INET6, text, address) == 1;
}

bool network_parse(const char *text, struct network *network) {
  char address[ADDRESS_TEXT_BYTES];
  const char *slash = strchr(text, '/');
  size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
  if (length >= sizeof address) return false;
  memcpy(address, text, length);
  address[length] = '\0';
  if (!address_parse(address, network->address)) return false;

  unsigned long bits = strchr(address, ':') == NULL ? 32 : 128;
  unsigned long prefix = bits;
  if (slash != NULL) {
    size_t digits = strspn(slash + 1, "0123456789");
    if (digits == 0 || digits > 3 || slash[1 + digits] != '\0') return false;
    prefix = strtoul(slash + 1, NULL, 10);
  }
  if (prefix > bits) return false;
  network->prefix = (uint8_t)(prefix + 128 - bits);
  return true;
}

bool network_contains(const struct network *network, const uint8_t address[16]) {
  size_t whole = network->prefix / 8;
  if (memcmp(network->address, address, whole) != 0) return false;
  unsigned rest = network->prefix % 8;
  return rest == 0 || ((network->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}
