// sources: client-hello.c
/* The input: the first bytes of a TLS client. */
#include "client-hello.h"

#include "fuzz.h"

static size_t put(uint8_t *into, size_t at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) into[at + i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
  return at + bytes;
}

static size_t put_text(uint8_t *into, size_t at, const char *text, size_t length_bytes) {
  size_t length = strlen(text);
  at = put(into, at, length, length_bytes);
  memcpy(into + at, text, length);
  return at + length;
}

static size_t put_server_name(uint8_t *into, size_t at, uint64_t *state) {
  static const char *const names[] = {"vpn.example", "RELAY.Example", "", "with space", "a"};
  size_t extension = at + 2, list = at + 4;
  put(into, at, 0, 2);
  at = put(into, list + 2, fuzz_random(state) % 8 == 0, 1);
  at = put_text(into, at, names[fuzz_random(state) % 5], 2);
  put(into, extension, at - extension - 2, 2);
  put(into, list, at - list - 2, 2);
  return at;
}

static size_t put_alpn(uint8_t *into, size_t at, uint64_t *state) {
  static const char *const protocols[] = {"h2", "http/1.1", "acme-tls/1", "h2c"};
  size_t extension = at + 2, list = at + 4;
  put(into, at, 16, 2);
  at = list + 2;
  for (uint64_t count = fuzz_random(state) % 4; count > 0; count--) at = put_text(into, at, protocols[fuzz_random(state) % 4], 1);
  put(into, extension, at - extension - 2, 2);
  put(into, list, at - list - 2, 2);
  return at;
}

static size_t put_body(uint8_t *into, uint64_t *state) {
  size_t session_id = fuzz_random(state) % 2 * 32, suites = 2 + 2 * (fuzz_random(state) % 20);
  size_t at = put(into, 0, 0x0303, 2);
  at += fuzz_random_bytes(state, into + at, 32);
  at = put(into, at, session_id, 1);
  at += fuzz_random_bytes(state, into + at, session_id);
  at = put(into, at, suites, 2);
  at += fuzz_random_bytes(state, into + at, suites);
  at = put(into, at, 0x0100, 2);
  if (fuzz_random(state) % 8 == 0) return at;
  size_t extensions = at;
  at += 2;
  if (fuzz_random(state) % 4 > 0) at = put_server_name(into, at, state);
  if (fuzz_random(state) % 4 > 0) at = put_alpn(into, at, state);
  put(into, extensions, at - extensions - 2, 2);
  return at;
}

/* The message in one record, or in several. */
size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  (void)room;
  uint64_t state = random;
  uint8_t message[1024];
  size_t length = 4 + put_body(message + 4, &state);
  put(message, 0, 1u << 24 | (length - 4), 4);
  size_t at = 0, piece = fuzz_random(&state) % 2 == 0 ? length : 1 + fuzz_random(&state) % length;
  for (size_t from = 0; from < length; from += piece) {
    size_t part = length - from < piece ? length - from : piece;
    at = put(into, at, 0x160301, 3);
    at = put(into, at, part, 2);
    memcpy(into + at, message + from, part);
    at += part;
    if (at > 1500) return at; /* enough of small records */
  }
  return at;
}

static void is_host_name(const char *name) {
  size_t length = strnlen(name, 256);
  HOLDS(length < 256);
  for (size_t i = 0; i < length; i++) HOLDS(strchr("abcdefghijklmnopqrstuvwxyz0123456789-._", name[i]) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct client_hello hello, again;
  size_t needed = 0, needed_again;
  enum parse_outcome outcome = client_hello_read(bytes, length, &hello, &needed);
  if (outcome == PARSE_SHORT) HOLDS(needed > length && needed <= CLIENT_HELLO_BYTES_AT_MOST);
  if (outcome != PARSE_WHOLE) return 0;
  is_host_name(hello.server_name);

  /* What comes behind it changes nothing; with less it is not whole, but in order. */
  uint8_t *longer = malloc(length + 1);
  HOLDS(longer != NULL);
  memcpy(longer, bytes, length);
  longer[length] = 0xff;
  HOLDS(client_hello_read(longer, length + 1, &again, &needed_again) == PARSE_WHOLE);
  HOLDS(memcmp(&hello, &again, sizeof hello) == 0);
  free(longer);
  size_t less = needed - 1;
  uint8_t *shorter = fuzz_copy(bytes, less);
  HOLDS(client_hello_read(shorter, less, &again, &needed_again) == PARSE_SHORT);
  free(shorter);
  return 0;
}
