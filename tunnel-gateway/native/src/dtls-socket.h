/*
 * dtls-socket.h: the UDP sockets of the DTLS front: one that hears everybody, and one for each client that showed a good cookie,
 * connected to it, on the same local address and port.
 */
#ifndef ISTHMUS_DTLS_SOCKET_H
#define ISTHMUS_DTLS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "endpoint.h"

#define DTLS_DATAGRAMS_AT_ONCE 32
/* No handshake needs more; what is longer is dropped. */
#define DTLS_DATAGRAM_AT_MOST 2048

/* What came in one call. */
struct datagrams {
  unsigned count;
  struct datagram {
    uint8_t bytes[DTLS_DATAGRAM_AT_MOST];
    size_t length; /* 0: dropped, for its length or its addresses */
    union endpoint peer;
    union endpoint local; /* where it was sent to */
  } each[DTLS_DATAGRAMS_AT_ONCE];
};

/* A non-blocking socket that hears on `address`; a wildcard of IPv6 hears IPv4 too. -1 with errno. */
int dtls_socket_listen(const union endpoint *address);

/* The same address and port, connected to `peer`. -1 with errno. */
int dtls_socket_connect(const union endpoint *local, const union endpoint *peer);

/* Takes what has come, `at_most` DTLS_DATAGRAMS_AT_ONCE. `bound` is what the socket was bound to. False: nothing more. */
bool dtls_socket_receive(int fd, const union endpoint *bound, struct datagrams *datagrams, unsigned at_most);

/* Answers from the address that was sent to. A datagram that cannot be sent is one that was lost. */
void dtls_socket_answer(int fd, const struct datagram *to, const uint8_t *bytes, size_t length);

#endif
