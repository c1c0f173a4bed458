// sources: dtls-hello.c
/* The input: the first datagram of a DTLS client. */
#include "dtls-hello.h"

#include "fuzz.h"

static size_t put(uint8_t *into, size_t at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) into[at + i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
  return at + bytes;
}

static size_t put_random(uint8_t *into, size_t at, size_t length, uint64_t *state) {
  return at + fuzz_random_bytes(state, into + at, length);
}

/* Extensions of any kind, sometimes the ApplicationID among them. */
static size_t put_extensions(uint8_t *into, size_t at, uint64_t *state) {
  size_t length_at = at;
  at += 2;
  for (uint64_t count = fuzz_random(state) % 5; count > 0; count--) {
    bool is_app_id = fuzz_random(state) % 3 == 0;
    size_t id = fuzz_random(state) % 4 == 0 ? fuzz_random(state) % 40 : DTLS_ID_BYTES;
    at = put(into, at, is_app_id ? 48018 : fuzz_random(state) & 0xff, 2);
    at = put(into, at, is_app_id ? id + 1 : id, 2);
    if (is_app_id) at = put(into, at, id, 1);
    at = put_random(into, at, id, state);
  }
  put(into, length_at, at - length_at - 2, 2);
  return at;
}

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  static const size_t session_ids[] = {32, 32, 32, 0, 16, 31}, cookies[] = {0, 0, 32, 32, 20, 255};
  (void)room;
  uint64_t state = random;
  size_t session_id = session_ids[random % 6], cookie = cookies[random / 6 % 6], suites = 2 + 2 * (random / 36 % 40);
  size_t at = put(into, 25, 0xfefd, 2);
  at = put_random(into, at, 32, &state);
  at = put(into, at, session_id, 1);
  at = put_random(into, at, session_id, &state);
  at = put(into, at, cookie, 1);
  at = put_random(into, at, cookie, &state);
  at = put(into, at, suites, 2);
  at = put_random(into, at, suites, &state);
  at = put(into, at, 0x0100, 2);
  if (random >> 60 & 1) at = put_extensions(into, at, &state);
  put(into, 0, 0x16feff, 3);
  put(into, 3, fuzz_random(&state) & 0xffffffffffff, 8);
  put(into, 11, at - 13, 2);
  put(into, 13, (1u << 24) | (at - 25), 4);
  put(into, 17, cookie > 0, 2);
  put(into, 19, 0, 3);
  put(into, 22, at - 25, 3);
  return at;
}

static void is_within(const uint8_t *field, size_t size, const uint8_t *bytes, size_t length) {
  HOLDS(field >= bytes && field + size <= bytes + length);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct dtls_hello hello, other;
  if (!dtls_hello_parse(bytes, length, &hello)) return 0;
  is_within(hello.random, 32, bytes, length);
  is_within(hello.cookie, hello.cookie_length, bytes, length);
  if (hello.id != NULL) is_within(hello.id, DTLS_ID_BYTES, bytes, length);

  /* Whole and alone: with less or more it is none. */
  uint8_t *shorter = fuzz_copy(bytes, length - 1);
  HOLDS(!dtls_hello_parse(shorter, length - 1, &other));
  free(shorter);
  uint8_t *longer = malloc(length + 1);
  HOLDS(longer != NULL);
  memcpy(longer, bytes, length);
  longer[length] = 0;
  HOLDS(!dtls_hello_parse(longer, length + 1, &other));
  free(longer);

  /* What is answered is no hello, bears the record's number, and amplifies nothing. */
  uint8_t cookie[DTLS_COOKIE_BYTES] = {1}, answer[HELLO_VERIFY_BYTES];
  dtls_hello_verify_request(&hello, cookie, answer);
  HOLDS(!dtls_hello_parse(answer, sizeof answer, &other));
  HOLDS(memcmp(answer + 5, bytes + 5, 6) == 0);
  HOLDS(hello.id == NULL || sizeof answer < length);
  return 0;
}
