// sources: verified-chains.c
// libraries: ssl crypto
/*
 * How long a chain counts as verified, with the clock in the test's hand.
 */
#include <string.h>
#include "cases.h"
#include "verified-chains.h"

X509_STORE_CTX *X509_STORE_CTX_new(void);
void X509_STORE_CTX_free(X509_STORE_CTX *ctx);
int X509_STORE_CTX_init(X509_STORE_CTX *ctx, X509_STORE *store, X509 *leaf, struct stack_st_X509 *untrusted);

/* Self-signed, valid for a hundred years from 2020 on. */
static const char CERTIFICATE[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBPzCB56ADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBFJvb3QwIBcN\n"
    "MjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMA8xDTALBgNVBAMMBFJvb3Qw\n"
    "WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARTL29gawbOOjBAX/Tt5KzLTu80pCQd\n"
    "jVM64m1mJieIel3pk2Zdz9u1RKAJX3xAOvHdoj1+Iana5ElrSnwq+WqPozIwMDAP\n"
    "BgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBS0Sq3aNauEudamrS3DYDTrFvlJNzAK\n"
    "BggqhkjOPQQDAgNHADBEAiBSPQXjDOfSpdqhaSf4RGuCZtfl3yFTuTZmOitokLvt\n"
    "tgIgCIhX7lKZwy6aPLT3SkeoIzOYLYeGAzfty/UsRKURxZw=\n"
    "-----END CERTIFICATE-----\n";
static const time_t FROM = 1577836800, UNTIL = 4733510400;

static SSL_CTX *context;
static struct verified_chains *chains;
static X509 *certificate;
static X509_STORE *store;
static X509_STORE_CTX *chain;
static uint8_t key[CHAIN_KEY_BYTES];

static void set_up(void) {
  HOLDS(verified_chains_start());
  context = SSL_CTX_new(TLS_server_method());
  chains = verified_chains_of_context(context);
  BIO *bio = BIO_new_mem_buf(CERTIFICATE, -1);
  certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
  BIO_free(bio);
  store = X509_STORE_new();
  chain = X509_STORE_CTX_new();
  HOLDS(X509_STORE_add_cert(store, certificate) == 1);
  HOLDS(X509_STORE_CTX_init(chain, store, certificate, NULL) == 1);
  HOLDS(verified_chains_key(chain, key));
}

static void what_was_not_verified_is_not_known(void) {
  HOLDS(!verified_chains_know(chains, key, FROM));
  /* The key of a place that is free. */
  uint8_t zeros[CHAIN_KEY_BYTES] = {0};
  HOLDS(!verified_chains_know(chains, zeros, FROM));
  HOLDS(!verified_chains_know(chains, zeros, 0));
  /* There is no chain yet whose certificates could say how long it holds. */
  verified_chains_add(chains, key, chain);
  HOLDS(!verified_chains_know(chains, key, FROM));
}

static void a_chain_is_known_while_it_is_valid(void) {
  HOLDS(X509_verify_cert(chain) == 1);
  verified_chains_add(chains, key, chain);
  HOLDS(!verified_chains_know(chains, key, FROM - 1));
  HOLDS(verified_chains_know(chains, key, FROM));
  HOLDS(verified_chains_know(chains, key, UNTIL - 1));
  HOLDS(!verified_chains_know(chains, key, UNTIL));
}

static void another_key_of_the_same_place_is_another_chain(void) {
  uint8_t other[CHAIN_KEY_BYTES];
  memcpy(other, key, sizeof other);
  other[CHAIN_KEY_BYTES - 1] ^= 1;
  HOLDS(verified_chains_know(chains, key, FROM));
  HOLDS(!verified_chains_know(chains, other, FROM));
}

static void another_context_knows_nothing_of_it(void) {
  SSL_CTX *other = SSL_CTX_new(TLS_server_method());
  HOLDS(!verified_chains_know(verified_chains_of_context(other), key, FROM));
  SSL_CTX_free(other);
}

int main(void) {
  set_up();
  RUN(what_was_not_verified_is_not_known);
  RUN(a_chain_is_known_while_it_is_valid);
  RUN(another_key_of_the_same_place_is_another_chain);
  RUN(another_context_knows_nothing_of_it);
  X509_STORE_CTX_free(chain);
  X509_STORE_free(store);
  X509_free(certificate);
  SSL_CTX_free(context);
  return 0;
}
