/*
 * dtls-offers.h: what a DTLS handshake may show: the id that a session was given with its CONNECT, and the key that goes with it.
 * A session has one offer; a new one replaces it at once, for a client that was given a new id uses no other.
 *
 * Front thread only, no lock. Ids travel in clear and are compared as they come; keys are never compared, and wiped.
 */
#ifndef ISTHMUS_DTLS_OFFERS_H
#define ISTHMUS_DTLS_OFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dtls-hello.h"

#define DTLS_OFFERS_AT_MOST 65536
/* Hellos a second that name one id: a try takes two, and a few are repeated. Who saw an id pass disturbs its session alone. */
#define DTLS_HELLOS_PER_SESSION 20
#define DTLS_PSK_BYTES 32
#define DTLS_MASTER_SECRET_BYTES 48

enum dtls_offer_kind {
  DTLS_OFFER_PSK = 1,       /* X-DTLS-CipherSuite: PSK-NEGOTIATE */
  DTLS_OFFER_RESUMPTION = 2 /* a session that never was is resumed: X-DTLS-Master-Secret and X-DTLS12-CipherSuite */
};

struct dtls_offer {
  uint8_t id[DTLS_ID_BYTES];
  uint32_t session;
  unsigned worker;
  enum dtls_offer_kind kind;
  union {
    uint8_t psk[DTLS_PSK_BYTES];
    uint8_t master_secret[DTLS_MASTER_SECRET_BYTES];
  } key;
  uint8_t cipher[2]; /* of a resumption: see dtls_offer_cipher */
  uint64_t serial;   /* given by the table: no two offers that ever stood have the same */
};

struct dtls_offers;

/* The suite of an OpenSSL name such as "AES256-GCM-SHA384"; false for one that we do not resume with. */
bool dtls_offer_cipher(const char *name, uint8_t cipher[2]);

/* NULL when out of memory. */
struct dtls_offers *dtls_offers_open(uint32_t at_most);
void dtls_offers_close(struct dtls_offers *offers);

/* Copies the offer. False when the table is full, out of memory, or another session has that id. */
bool dtls_offers_put(struct dtls_offers *offers, const struct dtls_offer *offer);
/* Until the table changes next. NULL when there is none. */
const struct dtls_offer *dtls_offers_find(const struct dtls_offers *offers, const uint8_t id[DTLS_ID_BYTES]);
/* That this offer's hello may be looked at further: counts it. */
bool dtls_offers_admit(struct dtls_offers *offers, const struct dtls_offer *offer, uint64_t now_ms);
void dtls_offers_forget(struct dtls_offers *offers, uint32_t session);
uint32_t dtls_offers_count(const struct dtls_offers *offers);

#endif
