/*
 * dtls-cookie.h: what a client must send back before anything is remembered of it: HMAC-SHA256 over its address and hello, under a
 * secret of this process that is replaced while it runs. Front thread only.
 */
#ifndef ISTHMUS_DTLS_COOKIE_H
#define ISTHMUS_DTLS_COOKIE_H

#include <stdbool.h>
#include <stdint.h>
#include "dtls-hello.h"
#include "endpoint.h"

/* A cookie is good for at least one period and at most two. */
#define COOKIE_PERIOD_MS 60000

struct dtls_cookies {
  uint8_t secrets[2][32]; /* the newer one's index is the parity of `generation` */
  uint8_t generation;
  uint64_t replaced_ms;
};

/* False when there is no randomness to be had. */
bool dtls_cookies_open(struct dtls_cookies *cookies);
/* Takes a new secret when it is time; keeps the old one where there is no randomness. */
void dtls_cookies_tick(struct dtls_cookies *cookies, uint64_t now_ms);
void dtls_cookies_close(struct dtls_cookies *cookies);

/* False when it cannot be computed. */
bool dtls_cookie_make(const struct dtls_cookies *cookies, const union endpoint *peer, const struct dtls_hello *hello,
                      uint8_t cookie[DTLS_COOKIE_BYTES]);
/* That the hello's cookie was made for this peer and this hello. */
bool dtls_cookie_is_good(const struct dtls_cookies *cookies, const union endpoint *peer, const struct dtls_hello *hello);

#endif
