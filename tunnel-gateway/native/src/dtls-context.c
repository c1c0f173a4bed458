#include "dtls-context.h"

#include <stdio.h>
#include <string.h>

/* Server's preference: as the TLS side. ChaCha20 where the client would rather have it, having no AES of its own. */
#define PSK_SUITES "PSK-AES256-GCM-SHA384:PSK-AES128-GCM-SHA256:PSK-CHACHA20-POLY1305"
#define RESUMPTION_SUITES \
  "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-GCM-SHA256"
/* What openconnect says of itself; which session it means stands in its hello. */
#define PSK_IDENTITY "psk"
/* DTLS 1.2's own second is long for a path of milliseconds; ocserv and DTLS 1.3 begin likewise. */
#define FIRST_TIMEOUT_US 400000u
#define TIMEOUT_AT_MOST_US 4000000u

static int attempt_index = -1;

const struct dtls_offer *dtls_attempt_offer(const struct dtls_attempt *attempt) {
  const struct dtls_offer *offer = dtls_offers_find(attempt->offers, attempt->id);
  return offer != NULL && offer->serial == attempt->serial ? offer : NULL;
}

static const struct dtls_offer *offer_of(const SSL *ssl, enum dtls_offer_kind kind) {
  const struct dtls_attempt *attempt = SSL_get_ex_data(ssl, attempt_index);
  const struct dtls_offer *offer = attempt == NULL ? NULL : dtls_attempt_offer(attempt);
  return offer != NULL && offer->kind == kind ? offer : NULL;
}

static unsigned int find_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned int room) {
  const struct dtls_offer *offer = offer_of(ssl, DTLS_OFFER_PSK);
  if (offer == NULL || room < DTLS_PSK_BYTES || identity == NULL || strcmp(identity, PSK_IDENTITY) != 0) return 0;
  memcpy(psk, offer->key.psk, DTLS_PSK_BYTES);
  return DTLS_PSK_BYTES;
}

/* The session that the client pretends to resume; made anew each time, for it was never one of libssl's. */
static SSL_SESSION *find_session(SSL *ssl, const unsigned char *id, int length, int *copy) {
  *copy = 0;
  const struct dtls_offer *offer = offer_of(ssl, DTLS_OFFER_RESUMPTION);
  if (offer == NULL || length != DTLS_ID_BYTES || memcmp(id, offer->id, DTLS_ID_BYTES) != 0) return NULL;
  const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, offer->cipher);
  SSL_SESSION *session = SSL_SESSION_new();
  if (session == NULL) return NULL;
  if (cipher != NULL && SSL_SESSION_set_protocol_version(session, DTLS1_2_VERSION) == 1 &&
      SSL_SESSION_set_cipher(session, cipher) == 1 && SSL_SESSION_set1_id(session, id, DTLS_ID_BYTES) == 1 &&
      SSL_SESSION_set1_master_key(session, offer->key.master_secret, DTLS_MASTER_SECRET_BYTES) == 1)
    return session;
  SSL_SESSION_free(session);
  return NULL;
}

/* The front has checked it, over more than libssl would give us here. */
static int verify_cookie(SSL *ssl, const unsigned char *cookie, unsigned int length) {
  (void)ssl;
  (void)cookie;
  return length == DTLS_COOKIE_BYTES;
}

/* Never wanted: a hello without cookie does not come this far. */
static int generate_cookie(SSL *ssl, unsigned char *cookie, unsigned int *length) {
  (void)ssl;
  (void)cookie;
  *length = 0;
  return 0;
}

static unsigned int next_timeout(SSL *ssl, unsigned int timeout_us) {
  (void)ssl;
  if (timeout_us == 0) return FIRST_TIMEOUT_US;
  return timeout_us > TIMEOUT_AT_MOST_US / 2 ? TIMEOUT_AT_MOST_US : timeout_us * 2;
}

static SSL_CTX *open_context(const char *suites) {
  SSL_CTX *context = SSL_CTX_new(DTLS_server_method());
  if (context == NULL) return NULL;
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_NO_QUERY_MTU | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF | SSL_SESS_CACHE_NO_INTERNAL, NULL);
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_cookie_generate_cb(context, generate_cookie);
  SSL_CTX_set_cookie_verify_cb(context, verify_cookie);
  if (SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, DTLS1_2_VERSION, NULL) == 1 &&
      SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, DTLS1_2_VERSION, NULL) == 1 &&
      SSL_CTX_set_cipher_list(context, suites) == 1)
    return context;
  SSL_CTX_free(context);
  return NULL;
}

bool dtls_context_open(struct dtls_context *context, char *fault, size_t room) {
  if (attempt_index < 0) attempt_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, NULL, NULL, NULL);
  context->psk = open_context(PSK_SUITES);
  context->resumption = open_context(RESUMPTION_SUITES);
  context->peer = BIO_ADDR_new();
  if (attempt_index < 0 || context->psk == NULL || context->resumption == NULL || context->peer == NULL) {
    unsigned long error = ERR_get_error();
    const char *reason = ERR_reason_error_string(error);
    snprintf(fault, room, "OpenSSL has no DTLS context for us: %s", reason == NULL ? "out of memory" : reason);
    dtls_context_close(context);
    return false;
  }
  SSL_CTX_set_psk_server_callback(context->psk, find_psk);
  SSL_CTX_sess_set_get_cb(context->resumption, find_session);
  /*
   * The secret came over TLS and knows no handshake of DTLS. A client that offers the extension all the same (RFC 7627
   * section 5.3) would otherwise be asked for a full handshake, which neither side can do.
   */
  SSL_CTX_set_options(context->resumption, SSL_OP_NO_EXTENDED_MASTER_SECRET);
  return true;
}

void dtls_context_close(struct dtls_context *context) {
  SSL_CTX_free(context->psk);
  SSL_CTX_free(context->resumption);
  BIO_ADDR_free(context->peer);
  memset(context, 0, sizeof *context);
}

SSL *dtls_context_accept(const struct dtls_context *context, struct dtls_attempt *attempt, struct wire *wire,
                         enum dtls_offer_kind kind) {
  ERR_clear_error();
  SSL *ssl = SSL_new(kind == DTLS_OFFER_PSK ? context->psk : context->resumption);
  BIO *bio = ssl == NULL ? NULL : wire_bio(wire);
  if (bio == NULL) {
    SSL_free(ssl);
    return NULL;
  }
  SSL_set_bio(ssl, bio, bio);
  DTLS_set_timer_cb(ssl, next_timeout);
  SSL_ctrl(ssl, SSL_CTRL_SET_MTU, DTLS_HANDSHAKE_MTU, NULL);
  if (SSL_set_ex_data(ssl, attempt_index, attempt) == 1 && DTLSv1_listen(ssl, context->peer) > 0) return ssl;
  SSL_free(ssl);
  return NULL;
}

void dtls_context_detach(SSL *ssl) { SSL_set_ex_data(ssl, attempt_index, NULL); }

bool dtls_context_is_as_offered(const SSL *ssl, enum dtls_offer_kind kind) {
  bool is_resumed = SSL_session_reused(ssl) == 1;
  return SSL_version(ssl) == DTLS1_2_VERSION && is_resumed == (kind == DTLS_OFFER_RESUMPTION);
}
