// sources: dtls-hello.c dtls-cookie.c dtls-offers.c dtls-context.c dtls-socket.c dtls-handshakes.c dtls-front.c endpoint.c address.c wire.c ../test/dtls-client.c ../test/dtls-scene.c
// libraries: ssl crypto
// share: 0.05
/*
 * The input: what a client of libssl was offered, and what happens to each datagram that it sends: it passes, is lost, doubled, held
 * back or changed. The server's side is all there is of it: front, cookies, sockets, libssl, and at last a packet thread's reading.
 */
#include <sys/socket.h>
#include "../test/dtls-scene.h"

#include "fuzz.h"

#define SESSION 9
#define TURNS_AT_MOST 12
#define DATAGRAM_ROOM 2048
/* A record's header and that of the handshake's message in it. */
#define RECORD_BYTES 13
#define MESSAGE_BYTES 12

/* libssl's, but for tests alone; the same random numbers for the same input. */
struct rand_method {
  int (*seed)(const void *, int);
  int (*bytes)(unsigned char *, int);
  void (*cleanup)(void);
  int (*add)(const void *, int, double);
  int (*pseudo)(unsigned char *, int);
  int (*status)(void);
};
int RAND_set_rand_method(const struct rand_method *method);

static uint64_t random_state;

static int give_random(unsigned char *into, int length) {
  fuzz_random_bytes(&random_state, into, (size_t)length);
  return 1;
}

static int is_seeded(void) { return 1; }

static void begin(void) {
  static const struct rand_method method = {.bytes = give_random, .pseudo = give_random, .status = is_seeded};
  static bool is_begun;
  random_state = SESSION;
  if (is_begun) return;
  is_begun = true;
  HOLDS(RAND_set_rand_method(&method) == 1 && wire_start());
}

static struct choices choices;
/* Nothing was lost, doubled or changed so far. */
static bool is_faithful;

static void put(uint8_t *into, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) into[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

/* The lengths of the first record, and of the message in it, as they are now: what is cut short comes further so. */
static void mend_lengths(uint8_t *bytes, size_t length) {
  if (length < RECORD_BYTES) return;
  put(bytes + 11, length - RECORD_BYTES, 2);
  if (bytes[0] != 22 || length < RECORD_BYTES + MESSAGE_BYTES) return;
  put(bytes + 14, length - RECORD_BYTES - MESSAGE_BYTES, 3);
  put(bytes + 22, length - RECORD_BYTES - MESSAGE_BYTES, 3);
}

/* Another length than before, at `at`. */
static size_t resize(uint8_t *bytes, size_t length, size_t at) {
  size_t size = 1 + choose8(&choices) % 32u;
  uint8_t way = choose8(&choices);
  size_t behind = length - at;
  if (way % 3 == 0) {
    length = at;
  } else if (way % 3 == 1) {
    if (size > behind) size = behind;
    memmove(bytes + at, bytes + at + size, behind - size);
    length -= size;
  } else if (length + size <= DATAGRAM_ROOM) {
    memmove(bytes + at + size, bytes + at, behind);
    length += size;
  }
  if (way & 0x80) mend_lengths(bytes, length);
  return length;
}

static size_t change(uint8_t bytes[DATAGRAM_ROOM], size_t length) {
  for (unsigned left = 1 + choose8(&choices) % 3u; left > 0 && length > 0; left--) {
    size_t at = choose16(&choices) % length;
    switch (choose8(&choices) % 4) {
      case 0: bytes[at] ^= (uint8_t)(1 << choose8(&choices) % 8); break;
      case 1: bytes[at] = choose8(&choices); break;
      case 2:
        if (at + 2 <= length) put(bytes + at, choose16(&choices), 2);
        break;
      default: length = resize(bytes, length, at);
    }
  }
  return length;
}

static void post(const struct client *client, const uint8_t *bytes, size_t length) {
  HOLDS(send(client->fd, bytes, length, 0) == (ssize_t)length);
  serve();
}

static void post_kept(const struct client *client, unsigned number) {
  post(client, client->kept[number % DATAGRAMS_KEPT].bytes, client->kept[number % DATAGRAMS_KEPT].length);
}

static void post_changed(const struct client *client, unsigned number) {
  uint8_t changed[DATAGRAM_ROOM];
  size_t length = client->kept[number % DATAGRAMS_KEPT].length;
  memcpy(changed, client->kept[number % DATAGRAMS_KEPT].bytes, length);
  length = change(changed, length);
  /* At its size alone, so that reading too far is seen. */
  uint8_t *exact = fuzz_copy(changed, length);
  post(client, exact, length);
  free(exact);
}

static void pass_on(const struct client *client, unsigned number) {
  uint8_t fate = choose8(&choices) % 8;
  if (fate > 2) is_faithful = false;
  switch (fate) {
    case 3: return;
    case 4: post_kept(client, number); break;
    case 5: post_kept(client, choose8(&choices) % (number + 1)); break;
    case 6: post_changed(client, number); break;
    case 7: post_changed(client, number); return;
    default: break;
  }
  post_kept(client, number);
}

/* What the client has sent since `passed`. */
static void pass_all(const struct client *client, unsigned *passed) {
  HOLDS(client->sent - *passed <= DATAGRAMS_KEPT);
  for (; *passed < client->sent; ++*passed) pass_on(client, *passed);
  serve();
}

static bool lose(void *owner, const uint8_t *bytes, size_t length) {
  (void)owner, (void)bytes, (void)length;
  return true;
}

#define TEXTS 3
static const char *const texts[TEXTS] = {"one", "another", "the last"};

/* Whatever came: a text that was said, and no text twice. */
static void hear(bool was_heard[TEXTS]) {
  uint8_t datagram[DATAGRAM_ROOM];
  char heard[DATAGRAM_ROOM];
  for (size_t length; (length = udp_take(handed.fd, datagram)) > 0;) {
    uint8_t *exact = fuzz_copy(datagram, length);
    handed.wire->in = exact;
    handed.wire->in_left = length;
    ERR_clear_error();
    for (int count; (count = SSL_read(handed.ssl, heard, sizeof heard)) > 0;) {
      int text = 0;
      while (text < TEXTS && ((size_t)count != strlen(texts[text]) || memcmp(heard, texts[text], (size_t)count) != 0)) text++;
      HOLDS(text < TEXTS && !was_heard[text]);
      was_heard[text] = true;
    }
    handed.wire->in = NULL;
    handed.wire->in_left = 0;
    free(exact);
  }
}

static void talk(struct client *client, unsigned *passed) {
  bool was_heard[TEXTS] = {false};
  handed.wire->emit = lose;
  hear(was_heard);
  for (int i = 0; i < TEXTS; i++) {
    client_say(client, texts[i]);
    pass_all(client, passed);
    hear(was_heard);
  }
  HOLDS(!is_faithful || (was_heard[0] && was_heard[1] && was_heard[2]));
}

/* Every datagram is counted once, and every handshake has ended. */
static void check_counters(void) {
  pass_ms(DTLS_HANDSHAKE_MS);
  uint64_t known = counters[DTLS_MALFORMED] + counters[DTLS_UNKNOWN] + counters[DTLS_LIMITED] + counters[DTLS_VERIFIES] +
                   counters[DTLS_BAD_COOKIES] + counters[DTLS_REPEATED] + counters[DTLS_STARTED];
  HOLDS(known <= counters[DTLS_DATAGRAMS]);
  /* A hello that libssl would not begin with. */
  uint64_t refused = counters[DTLS_DATAGRAMS] - known;
  HOLDS(counters[DTLS_COMPLETED] + counters[DTLS_FAILED] == counters[DTLS_STARTED] + refused);
  HOLDS(counters[DTLS_COMPLETED] == handed_count && told_count <= counters[DTLS_FAILED]);
}

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  uint64_t state = random;
  size_t length = random % 64;
  (void)room;
  fuzz_random_bytes(&state, into, length);
  /* Zero is a datagram that passes as it is. */
  for (size_t at = 2; at < length; at++)
    if (fuzz_random(&state) % 3 == 0) into[at] = 0;
  return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static const char *const ciphers[] = {"AES256-GCM-SHA384", "AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
                                        "ECDHE-RSA-AES128-GCM-SHA256"};
  static const char *const suites[] = {"PSK-AES256-GCM-SHA384", "PSK-AES128-GCM-SHA256", "PSK-CHACHA20-POLY1305"};
  choices = (struct choices){bytes, length};
  is_faithful = true;
  begin();
  uint8_t setup = choose8(&choices), suite = choose8(&choices);
  bool is_psk = setup & 1, is_wrong_key = (setup & 0x70) == 0x70;
  const char *wanted = is_psk ? suites[suite % 3] : ciphers[suite % 4];
  open_front(false);
  struct dtls_offer offer = make_offer(SESSION, is_psk ? DTLS_OFFER_PSK : DTLS_OFFER_RESUMPTION, is_psk ? NULL : wanted);
  struct dtls_offer known = offer;
  HOLDS(dtls_front_offer(front, &offer));
  if (is_wrong_key) known.key.psk[0] ^= 1;
  struct client *client = client_open(&(struct client_options){.offer = &known,
                                                               .place = is_psk && setup & 2 ? ID_IN_EXTENSION : ID_AS_SESSION_ID,
                                                               .suites = is_psk ? wanted : NULL,
                                                               .has_extended_master_secret = setup & 4,
                                                               .port = dtls_front_port(front)});
  client->is_mute = true;
  unsigned passed = 0;
  int outcome = 0;
  for (int turn = 0; turn < TURNS_AT_MOST && outcome == 0; turn++) {
    outcome = client_step(client);
    pass_all(client, &passed);
  }
  HOLDS(!is_wrong_key || handed_count == 0);
  HOLDS(!is_faithful || is_wrong_key || (outcome == 1 && handed_count == 1));
  if (handed_count > 0) {
    HOLDS(handed_count == 1 && handed.session == SESSION && handed_worker == offer.worker);
    HOLDS(strcmp(SSL_CIPHER_get_name(SSL_get_current_cipher(handed.ssl)), wanted) == 0);
    if (outcome == 1) talk(client, &passed);
  }
  check_counters();
  client_free(client);
  close_front();
  return 0;
}
