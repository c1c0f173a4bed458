#include "dtls-cookie.h"

#include <string.h>
#include "openssl-api.h"

bool dtls_cookies_open(struct dtls_cookies *cookies) {
  memset(cookies, 0, sizeof *cookies);
  return RAND_bytes(cookies->secrets[0], sizeof cookies->secrets) == 1;
}

void dtls_cookies_tick(struct dtls_cookies *cookies, uint64_t now_ms) {
  if (now_ms - cookies->replaced_ms < COOKIE_PERIOD_MS) return;
  uint8_t secret[sizeof cookies->secrets[0]];
  cookies->replaced_ms = now_ms;
  if (RAND_bytes(secret, sizeof secret) != 1) return;
  cookies->generation++;
  memcpy(cookies->secrets[cookies->generation & 1], secret, sizeof secret);
  OPENSSL_cleanse(secret, sizeof secret);
}

void dtls_cookies_close(struct dtls_cookies *cookies) {
  OPENSSL_cleanse(cookies->secrets, sizeof cookies->secrets);
}

/* One byte says the secret's generation, so that checking costs one HMAC. */
static bool make(const struct dtls_cookies *cookies, uint8_t generation, const union endpoint *peer,
                 const struct dtls_hello *hello, uint8_t cookie[DTLS_COOKIE_BYTES]) {
  uint8_t input[1 + ENDPOINT_KEY_BYTES + 32 + DTLS_ID_BYTES];
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned int length = sizeof mac;
  input[0] = generation;
  endpoint_key(peer, input + 1);
  memcpy(input + 1 + ENDPOINT_KEY_BYTES, hello->random, 32);
  memcpy(input + 1 + ENDPOINT_KEY_BYTES + 32, hello->id, DTLS_ID_BYTES);
  const uint8_t *secret = cookies->secrets[generation & 1];
  if (HMAC(EVP_sha256(), secret, sizeof cookies->secrets[0], input, sizeof input, mac, &length) == NULL || length != 32)
    return false;
  cookie[0] = generation;
  memcpy(cookie + 1, mac, DTLS_COOKIE_BYTES - 1);
  return true;
}

bool dtls_cookie_make(const struct dtls_cookies *cookies, const union endpoint *peer, const struct dtls_hello *hello,
                      uint8_t cookie[DTLS_COOKIE_BYTES]) {
  return make(cookies, cookies->generation, peer, hello, cookie);
}

bool dtls_cookie_is_good(const struct dtls_cookies *cookies, const union endpoint *peer, const struct dtls_hello *hello) {
  uint8_t wanted[DTLS_COOKIE_BYTES];
  if (hello->cookie_length != DTLS_COOKIE_BYTES) return false;
  uint8_t age = (uint8_t)(cookies->generation - hello->cookie[0]);
  return age <= 1 && make(cookies, hello->cookie[0], peer, hello, wanted) &&
         CRYPTO_memcmp(wanted, hello->cookie, DTLS_COOKIE_BYTES) == 0;
}
