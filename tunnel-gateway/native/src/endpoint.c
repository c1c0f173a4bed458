#include "endpoint.h"

#include <arpa/inet.h>
#include <string.h>

bool endpoint_from(union endpoint *endpoint, const struct sockaddr *address, socklen_t length) {
  memset(endpoint, 0, sizeof *endpoint);
  size_t wanted = address->sa_family == AF_INET    ? sizeof endpoint->v4
                  : address->sa_family == AF_INET6 ? sizeof endpoint->v6
                                                   : 0;
  if (wanted == 0 || length < wanted) return false;
  memcpy(endpoint, address, wanted);
  return true;
}

socklen_t endpoint_length(const union endpoint *endpoint) {
  return endpoint->family == AF_INET6 ? sizeof endpoint->v6 : sizeof endpoint->v4;
}

uint16_t endpoint_port(const union endpoint *endpoint) {
  return ntohs(endpoint->family == AF_INET6 ? endpoint->v6.sin6_port : endpoint->v4.sin_port);
}

bool endpoint_is_wildcard(const union endpoint *endpoint) {
  return endpoint->family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&endpoint->v6.sin6_addr)
                                      : endpoint->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool endpoint_is_same(const union endpoint *one, const union endpoint *other) {
  uint8_t one_key[ENDPOINT_KEY_BYTES], other_key[ENDPOINT_KEY_BYTES];
  endpoint_key(one, one_key);
  endpoint_key(other, other_key);
  if (memcmp(one_key, other_key, sizeof one_key) != 0) return false;
  if (one->family != AF_INET6 || other->family != AF_INET6) return true;
  return !IN6_IS_ADDR_LINKLOCAL(&one->v6.sin6_addr) || one->v6.sin6_scope_id == other->v6.sin6_scope_id;
}

const char *endpoint_text(const union endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES]) {
  uint8_t key[ENDPOINT_KEY_BYTES];
  endpoint_key(endpoint, key);
  address_text(key, text);
  return text;
}

void endpoint_key(const union endpoint *endpoint, uint8_t key[ENDPOINT_KEY_BYTES]) {
  if (endpoint->family == AF_INET6) memcpy(key, &endpoint->v6.sin6_addr, 16);
  else address_map_ipv4(&endpoint->v4.sin_addr, key);
  uint16_t port = endpoint_port(endpoint);
  key[16] = (uint8_t)(port >> 8);
  key[17] = (uint8_t)port;
}
