/*
 * dtls-hello.h: the first datagram of a DTLS client, read without keeping any state, and the HelloVerifyRequest that answers it.
 *
 * It is read before libssl sees it for two reasons: a datagram that names no session of ours costs neither memory nor an
 * answer, and what kind of handshake may follow is known before an SSL is made for it.
 *
 *   record     22 | version (fe fd or fe ff) | epoch 0 | sequence48 | length16
 *   handshake  1 | length24 | message sequence16 | fragment offset 0 | fragment length = length
 *   hello      client version (fe fd) | random 32 | session id <0..32> | cookie <0..255> | cipher suites <2..2^16-2>
 *              | compression methods <1..255> | [ extensions <0..2^16-1> ]          (RFC 6347 section 4.2)
 */
#ifndef ISTHMUS_DTLS_HELLO_H
#define ISTHMUS_DTLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What X-DTLS-App-ID and X-DTLS-Session-ID give the client. */
#define DTLS_ID_BYTES 32
#define DTLS_COOKIE_BYTES 32
#define HELLO_VERIFY_BYTES (13 + 12 + 3 + DTLS_COOKIE_BYTES)

/* Points into the datagram it was read from. */
struct dtls_hello {
  uint8_t record_sequence[6];
  uint16_t message_sequence; /* 0: the first; 1: the one that brings a cookie */
  const uint8_t *random;     /* 32 bytes */
  const uint8_t *cookie;
  size_t cookie_length;
  const uint8_t *id; /* DTLS_ID_BYTES: of extension 48018, else the session id; NULL when there is none of that length */
};

/* True when `datagram` is exactly one whole ClientHello that offers DTLS 1.2. */
bool dtls_hello_parse(const uint8_t *datagram, size_t length, struct dtls_hello *hello);

/* Smaller than any hello that parses and has an id, so that nothing is amplified. */
void dtls_hello_verify_request(const struct dtls_hello *hello, const uint8_t cookie[DTLS_COOKIE_BYTES],
                               uint8_t answer[HELLO_VERIFY_BYTES]);

#endif
