/*
 * client-hello.h: what the first message of TLS (RFC 8446 section 4.1.2) says about who should answer it. Pure.
 *
 *   record:    22 | version 2 | length 2 | a piece of the handshake message; one message may lie in several records
 *   handshake: 1 | length 3 | body
 *   body:      version 2 | random 32 | session id <1> | cipher suites <2> | compression <1> | extensions <2>
 */
#ifndef ISTHMUS_CLIENT_HELLO_H
#define ISTHMUS_CLIENT_HELLO_H

#include "cursor.h"

/* Ours: what is looked at before a connection is refused, records' headers included. */
#define CLIENT_HELLO_BYTES_AT_MOST (16384 + 5)
/* Ours: nobody splits a message of that size into more. */
#define CLIENT_HELLO_RECORDS_AT_MOST 64

struct client_hello {
  char server_name[256]; /* in lower case; empty without one, or where it is no host name */
  bool has_http2;        /* ALPN offers h2 */
  bool has_http11;       /* ALPN offers http/1.1 */
};

/* Reads the beginning of a TLS stream. PARSE_SHORT: come again with at least `needed` bytes. */
enum parse_outcome client_hello_read(const uint8_t *bytes, size_t length, struct client_hello *hello, size_t *needed);

/* Reads a body. False where it is malformed. */
bool client_hello_parse(const uint8_t *body, size_t length, struct client_hello *hello);

#endif
