/*
 * wire.h: the bytes between libssl and a socket.
 *
 * libssl never touches a file descriptor. It reads what its owner has just received and hands each write to its owner,
 * who batches: many TLS records become one send(), many equal DTLS records one segmented datagram (UDP GSO).
 *
 * Owner: the thread that owns the SSL. When a connection goes from the front to a packet thread, the new owner sets
 * `emit` and `owner` before its first call into libssl.
 */
#ifndef ISTHMUS_WIRE_H
#define ISTHMUS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openssl-api.h"

struct wire {
  /* What has come and was not read yet. Stream: taken as libssl asks. Datagram: exactly one, taken or lost whole. */
  const uint8_t *in;
  size_t in_left;
  bool is_datagram;
  /* Takes one write of libssl (stream: any number of whole records; datagram: one). False: come again later. */
  bool (*emit)(void *owner, const uint8_t *bytes, size_t length);
  void *owner;
};

/* Makes the BIO type; once per process, before any thread starts. False when out of memory. */
bool wire_start(void);

/* A BIO over `wire`, which must outlive it. SSL_set_bio(ssl, bio, bio) gives it to the SSL. NULL when out of memory. */
BIO *wire_bio(struct wire *wire);

#endif
