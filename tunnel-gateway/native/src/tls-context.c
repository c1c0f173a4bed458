#include "tls-context.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "verified-chains.h"

/* Forward secret AEAD suites alone (RFC 9325 section 4.2), as src/device/tls-listener.ts has them. */
#define TLS_1_2_SUITES                                         \
  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
  "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
  "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define TLS_1_3_SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
/* --- limits of our own --- */
#define CHAIN_AT_MOST 10
/* Of all that a client shows. In memory it takes up to 20 times as much: OpenSSL's own 100 KiB let a stranger's connection hold 2 MB. */
#define CHAIN_BYTES_AT_MOST (32 * 1024)

static const unsigned char SESSION_CONTEXT[] = "isthmus";
static int first_error_index = -1;

bool tls_context_start(void) {
  if (first_error_index < 0) first_error_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, NULL, NULL, NULL);
  return first_error_index >= 0 && verified_chains_start();
}

bool tls_watch_verification(SSL *ssl, int *first_error) {
  if (first_error != NULL) *first_error = X509_V_OK;
  return SSL_set_ex_data(ssl, first_error_index, first_error) == 1;
}

const char *tls_take_error(const char *otherwise) {
  const char *reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return reason == NULL ? otherwise : reason;
}

static int *first_error_of(const X509_STORE_CTX *chain) {
  SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
  return ssl == NULL ? NULL : SSL_get_ex_data(ssl, first_error_index);
}

/* The first fault ends it: what is left to look at (signatures, name constraints) a stranger could make cost 100 ms of this thread. */
static int record_verification(int is_good, X509_STORE_CTX *chain) {
  if (is_good) return 1;
  int *first_error = first_error_of(chain);
  if (first_error != NULL && *first_error == X509_V_OK) *first_error = X509_STORE_CTX_get_error(chain);
  return 0;
}

static int verify_chain(X509_STORE_CTX *chain, void *owner) {
  struct verified_chains *verified = owner;
  uint8_t key[CHAIN_KEY_BYTES];
  bool has_key = verified_chains_key(chain, key);
  if (has_key && verified_chains_know(verified, key, time(NULL))) {
    X509_STORE_CTX_set_error(chain, X509_V_OK);
    return 1;
  }
  int outcome = X509_verify_cert(chain);
  const int *first_error = first_error_of(chain);
  bool is_good = outcome == 1 && first_error != NULL && *first_error == X509_V_OK;
  if (has_key && is_good) verified_chains_add(verified, key, chain);
  /* The handshake goes on: a client that is refused learns why from us, not from an alert. */
  bool is_recorded = outcome == 0 && first_error != NULL && *first_error != X509_V_OK;
  return is_recorded ? 1 : outcome;
}

static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length, const unsigned char *offered,
                           unsigned int offered_length, void *nothing) {
  (void)ssl;
  (void)nothing;
  static const char http[] = "http/1.1";
  for (unsigned int at = 0; at < offered_length; at += 1u + offered[at]) {
    unsigned int length = offered[at];
    if (length != sizeof http - 1 || at + 1 + length > offered_length) continue;
    if (memcmp(offered + at + 1, http, length) != 0) continue;
    *chosen = offered + at + 1;
    *chosen_length = (unsigned char)length;
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

/* OpenSSL would ask for a passphrase on the terminal. */
static int no_passphrase(char *into, int room, int is_writing, void *nothing) {
  (void)into;
  (void)room;
  (void)is_writing;
  (void)nothing;
  return -1;
}

static BIO *bio_of(const char *pem) {
  size_t length = strlen(pem);
  return length > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)length);
}

/* Calls `add` with each certificate of a PEM text, in order. False where one is malformed, refused, or there is none. */
static bool each_certificate(const char *pem, bool (*add)(void *owner, X509 *certificate, size_t index), void *owner) {
  BIO *bio = bio_of(pem);
  if (bio == NULL) return false;
  size_t count = 0;
  bool is_good = true;
  for (X509 *certificate; is_good && (certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL; count++) {
    is_good = add(owner, certificate, count);
    X509_free(certificate);
  }
  BIO_free(bio);
  unsigned long error = ERR_peek_last_error();
  bool is_end = (error & 0x7fffff) == PEM_R_NO_START_LINE && (error >> 23 & 0xff) == ERR_LIB_PEM;
  if (!is_good || count == 0 || !is_end) return false;
  ERR_clear_error();
  return true;
}

static bool add_own_certificate(void *owner, X509 *certificate, size_t index) {
  SSL_CTX *context = owner;
  if (index == 0) return SSL_CTX_use_certificate(context, certificate) == 1;
  /* 1: takes a reference of its own. */
  return SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, certificate) == 1;
}

struct trust {
  SSL_CTX *context;
  X509_STORE *store;
};

static bool add_authority(void *owner, X509 *certificate, size_t index) {
  (void)index;
  struct trust *trust = owner;
  return X509_STORE_add_cert(trust->store, certificate) == 1 && SSL_CTX_add_client_CA(trust->context, certificate) == 1;
}

static bool use_key(SSL_CTX *context, const char *pem) {
  BIO *bio = bio_of(pem);
  if (bio == NULL) return false;
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
  BIO_free(bio);
  bool is_good = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
  EVP_PKEY_free(key);
  return is_good;
}

static bool use_authorities(SSL_CTX *context, const struct tls_identity *identity) {
  X509_STORE *store = X509_STORE_new();
  if (store == NULL) return false;
  SSL_CTX_set_cert_store(context, store); /* the context owns it now */
  struct trust trust = {context, store};
  for (size_t i = 0; i < identity->authorities_count; i++)
    if (!each_certificate(identity->authorities[i], add_authority, &trust)) return false;
  return true;
}

static bool configure(SSL_CTX *context) {
  struct verified_chains *verified = verified_chains_of_context(context);
  if (verified == NULL) return false;
  /* Certificates are small: what is won by compressing them is not worth decompressing what strangers send. */
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | SSL_OP_NO_RX_CERTIFICATE_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
  /* Released buffers: a connection that waits, for a person at a browser or for packets, holds no 34 KiB. */
  SSL_CTX_ctrl(context, SSL_CTRL_MODE,
               SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS, NULL);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, record_verification);
  SSL_CTX_set_cert_verify_callback(context, verify_chain, verified);
  SSL_CTX_set_verify_depth(context, CHAIN_AT_MOST);
  SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_CERT_LIST, CHAIN_BYTES_AT_MOST, NULL);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
  return SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL) == 1 &&
         SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, TLS1_3_VERSION, NULL) == 1 &&
         SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_max_early_data(context, 0) == 1 &&
         SSL_CTX_set_cipher_list(context, TLS_1_2_SUITES) == 1 && SSL_CTX_set_ciphersuites(context, TLS_1_3_SUITES) == 1 &&
         SSL_CTX_set_session_id_context(context, SESSION_CONTEXT, sizeof SESSION_CONTEXT - 1) == 1;
}

static const char *fault_of(SSL_CTX *context, const struct tls_identity *identity) {
  if (!configure(context)) return "settings";
  if (!each_certificate(identity->certificate, add_own_certificate, context)) return "certificate";
  if (!use_key(context, identity->key)) return "key";
  return use_authorities(context, identity) ? NULL : "authorities";
}

SSL_CTX *tls_context_new(const struct tls_identity *identity, char *reason, size_t room) {
  ERR_clear_error();
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  const char *fault = context == NULL ? "context" : fault_of(context, identity);
  if (fault == NULL) return context;
  snprintf(reason, room, "%s: %s", fault, tls_take_error("not usable"));
  SSL_CTX_free(context);
  return NULL;
}
