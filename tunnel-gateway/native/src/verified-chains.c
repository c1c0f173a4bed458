#include "verified-chains.h"

#include <stdlib.h>
#include <string.h>

/* --- limits of our own --- */
#define CERTIFICATES_AT_MOST 16
/* 192 KiB. Each chain has one place, so that only who holds certificates of the anchors can displace others'. */
#define PLACES 4096

struct verified_chain {
  uint8_t key[CHAIN_KEY_BYTES];
  time_t from, until; /* until: 0 where the place is free */
};

struct verified_chains {
  struct verified_chain places[PLACES];
};

static int context_index = -1;

static void free_chains(void *context, void *chains, CRYPTO_EX_DATA *data, int index, long number, void *nothing) {
  (void)context;
  (void)data;
  (void)index;
  (void)number;
  (void)nothing;
  free(chains);
}

bool verified_chains_start(void) {
  if (context_index < 0) context_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, NULL, NULL, NULL, free_chains);
  return context_index >= 0;
}

struct verified_chains *verified_chains_of_context(SSL_CTX *context) {
  struct verified_chains *chains = calloc(1, sizeof *chains);
  if (chains == NULL || SSL_CTX_set_ex_data(context, context_index, chains) == 1) return chains;
  free(chains);
  return NULL;
}

static struct verified_chain *place_of(const struct verified_chains *chains, const uint8_t *key) {
  return (struct verified_chain *)&chains->places[(key[0] | key[1] << 8) % PLACES];
}

static bool add_digest(uint8_t digests[][CHAIN_KEY_BYTES], size_t *count, const X509 *certificate) {
  unsigned int length;
  if (*count == CERTIFICATES_AT_MOST) return false;
  return X509_digest(certificate, EVP_sha256(), digests[(*count)++], &length) == 1 && length == CHAIN_KEY_BYTES;
}

bool verified_chains_key(const X509_STORE_CTX *chain, uint8_t key[CHAIN_KEY_BYTES]) {
  uint8_t digests[CERTIFICATES_AT_MOST][CHAIN_KEY_BYTES];
  size_t count = 0;
  const X509 *leaf = X509_STORE_CTX_get0_cert(chain);
  if (leaf == NULL || !add_digest(digests, &count, leaf)) return false;
  const OPENSSL_STACK *sent = (const OPENSSL_STACK *)X509_STORE_CTX_get0_untrusted(chain);
  for (int i = 0; sent != NULL && i < OPENSSL_sk_num(sent); i++)
    if (!add_digest(digests, &count, OPENSSL_sk_value(sent, i))) return false;
  unsigned int length;
  return EVP_Digest(digests, count * CHAIN_KEY_BYTES, key, &length, EVP_sha256(), NULL) == 1;
}

bool verified_chains_know(const struct verified_chains *chains, const uint8_t key[CHAIN_KEY_BYTES], time_t now) {
  const struct verified_chain *place = place_of(chains, key);
  return now >= place->from && now < place->until && memcmp(place->key, key, CHAIN_KEY_BYTES) == 0;
}

static bool seconds_of(const ASN1_TIME *time, time_t *seconds) {
  struct tm parts;
  if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1) return false;
  *seconds = timegm(&parts);
  return true;
}

void verified_chains_add(struct verified_chains *chains, const uint8_t key[CHAIN_KEY_BYTES], const X509_STORE_CTX *chain) {
  struct verified_chain verified = {0};
  const OPENSSL_STACK *certificates = (const OPENSSL_STACK *)X509_STORE_CTX_get0_chain(chain);
  int count = certificates == NULL ? 0 : OPENSSL_sk_num(certificates);
  for (int i = 0; i < count; i++) {
    const X509 *certificate = OPENSSL_sk_value(certificates, i);
    time_t from, until;
    if (!seconds_of(X509_get0_notBefore(certificate), &from) || !seconds_of(X509_get0_notAfter(certificate), &until)) return;
    if (i == 0 || from > verified.from) verified.from = from;
    if (i == 0 || until < verified.until) verified.until = until;
  }
  if (count == 0) return;
  memcpy(verified.key, key, CHAIN_KEY_BYTES);
  *place_of(chains, key) = verified;
}
