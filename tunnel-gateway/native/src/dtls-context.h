/*
 * dtls-context.h: libssl's side of a DTLS handshake. What the client may show is known before its SSL is made (dtls-hello.h,
 * dtls-offers.h), so that each kind of offer has a context of its own, which can do nothing else:
 *
 *   PSK         full handshakes with a pre-shared key of AEAD suites; nothing is resumed, no session id is echoed
 *   resumption  abbreviated handshakes alone: there is no certificate, hence no suite for a full one
 *
 * Both: DTLS 1.2 only, no tickets, no cache, no renegotiation, the cookie already checked.
 */
#ifndef ISTHMUS_DTLS_CONTEXT_H
#define ISTHMUS_DTLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include "dtls-offers.h"
#include "openssl-api.h"
#include "wire.h"

/* What libssl may put into one datagram of a handshake: fits every path that carries IPv6, tunnels included. */
#define DTLS_HANDSHAKE_MTU 1200

struct dtls_context {
  SSL_CTX *psk;
  SSL_CTX *resumption;
  BIO_ADDR *peer; /* DTLSv1_listen insists on telling */
};

/* One client's try. libssl's callbacks look here for what its hello named. */
struct dtls_attempt {
  const struct dtls_offers *offers;
  uint8_t id[DTLS_ID_BYTES];
  uint64_t serial; /* of the offer: one that was replaced since does not count */
};

/* False with a sentence in `fault`. */
bool dtls_context_open(struct dtls_context *context, char *fault, size_t room);
void dtls_context_close(struct dtls_context *context);

/* The offer the attempt was begun with, if it still stands. */
const struct dtls_offer *dtls_attempt_offer(const struct dtls_attempt *attempt);

/*
 * An SSL over `wire`, whose `in` is the ClientHello with a cookie that was found good. It expects what follows that
 * hello; `attempt` and `wire` must outlive it or be taken off by dtls_context_detach. NULL when it cannot be made.
 */
SSL *dtls_context_accept(const struct dtls_context *context, struct dtls_attempt *attempt, struct wire *wire,
                         enum dtls_offer_kind kind);

/* After the handshake: libssl has no more need of the attempt. */
void dtls_context_detach(SSL *ssl);

/* That the handshake which ended is of the kind that was offered. */
bool dtls_context_is_as_offered(const SSL *ssl, enum dtls_offer_kind kind);

#endif
