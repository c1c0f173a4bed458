#include "dtls-hello.h"

#include <string.h>

#define CONTENT_HANDSHAKE 22
#define HANDSHAKE_CLIENT_HELLO 1
#define HANDSHAKE_HELLO_VERIFY_REQUEST 3
#define RECORD_HEADER_BYTES 13
#define HANDSHAKE_HEADER_BYTES 12
#define RANDOM_BYTES 32
#define SESSION_ID_AT_MOST 32
/* openconnect's ApplicationID; newer versions of it send the id as session id alone. */
#define EXTENSION_APP_ID 48018

/* Reads forward; once something is missing `is_short` stays true and everything read is empty. */
struct reader {
  const uint8_t *at;
  size_t left;
  bool is_short;
};

static const uint8_t *take(struct reader *reader, size_t length) {
  if (reader->is_short || reader->left < length) {
    reader->is_short = true;
    return NULL;
  }
  const uint8_t *taken = reader->at;
  reader->at += length;
  reader->left -= length;
  return taken;
}

static uint32_t number(struct reader *reader, size_t bytes) {
  const uint8_t *at = take(reader, bytes);
  uint32_t value = 0;
  for (size_t i = 0; at != NULL && i < bytes; i++) value = value << 8 | at[i];
  return value;
}

/* A vector whose length stands before it in `bytes` bytes. */
static struct reader vector(struct reader *reader, size_t bytes) {
  size_t length = number(reader, bytes);
  const uint8_t *at = take(reader, length);
  return (struct reader){.at = at, .left = at == NULL ? 0 : length, .is_short = at == NULL};
}

static bool is_zero(const uint8_t *bytes, size_t length) {
  uint8_t any = 0;
  for (size_t i = 0; i < length; i++) any |= bytes[i];
  return any == 0;
}

/* False when an extension is malformed, or the ApplicationID stands twice. */
static bool read_extensions(struct reader extensions, struct dtls_hello *hello) {
  bool has_app_id = false;
  while (extensions.left > 0) {
    uint32_t type = number(&extensions, 2);
    struct reader body = vector(&extensions, 2);
    if (extensions.is_short) return false;
    if (type != EXTENSION_APP_ID) continue;
    struct reader id = vector(&body, 1);
    if (has_app_id || body.is_short || body.left > 0) return false;
    has_app_id = true;
    hello->id = id.left == DTLS_ID_BYTES ? id.at : NULL;
  }
  return true;
}

static bool read_body(struct reader *body, struct dtls_hello *hello) {
  if (number(body, 2) != 0xfefd) return false;
  hello->random = take(body, RANDOM_BYTES);
  struct reader session_id = vector(body, 1);
  struct reader cookie = vector(body, 1);
  struct reader ciphers = vector(body, 2);
  struct reader compressions = vector(body, 1);
  if (body->is_short || session_id.left > SESSION_ID_AT_MOST || ciphers.left < 2 || ciphers.left % 2 != 0 ||
      compressions.left < 1)
    return false;
  /* GnuTLS 3.6.3 to 3.6.12 forgot its random (CVE-2020-11501): no key of such a client is secret. */
  if (is_zero(hello->random, RANDOM_BYTES)) return false;
  hello->cookie = cookie.at;
  hello->cookie_length = cookie.left;
  hello->id = session_id.left == DTLS_ID_BYTES ? session_id.at : NULL;
  if (body->left == 0) return true;
  struct reader extensions = vector(body, 2);
  return !body->is_short && body->left == 0 && read_extensions(extensions, hello);
}

bool dtls_hello_parse(const uint8_t *datagram, size_t length, struct dtls_hello *hello) {
  memset(hello, 0, sizeof *hello);
  struct reader reader = {.at = datagram, .left = length};
  bool is_handshake = number(&reader, 1) == CONTENT_HANDSHAKE;
  uint32_t version = number(&reader, 2);
  uint32_t epoch = number(&reader, 2);
  const uint8_t *sequence = take(&reader, sizeof hello->record_sequence);
  struct reader record = vector(&reader, 2);
  if (reader.is_short || reader.left > 0 || !is_handshake || (version != 0xfefd && version != 0xfeff) || epoch != 0)
    return false;
  memcpy(hello->record_sequence, sequence, sizeof hello->record_sequence);

  bool is_hello = number(&record, 1) == HANDSHAKE_CLIENT_HELLO;
  uint32_t message_length = number(&record, 3);
  hello->message_sequence = (uint16_t)number(&record, 2);
  uint32_t fragment_offset = number(&record, 3);
  uint32_t fragment_length = number(&record, 3);
  if (record.is_short || !is_hello || fragment_offset != 0 || fragment_length != message_length ||
      record.left != message_length)
    return false;
  return read_body(&record, hello);
}

void dtls_hello_verify_request(const struct dtls_hello *hello, const uint8_t cookie[DTLS_COOKIE_BYTES],
                               uint8_t answer[HELLO_VERIFY_BYTES]) {
  const uint8_t body_length = 3 + DTLS_COOKIE_BYTES;
  memset(answer, 0, HELLO_VERIFY_BYTES);
  answer[0] = CONTENT_HANDSHAKE;
  /* DTLS 1.0 in both places, whatever will be negotiated (RFC 6347 section 4.2.1). */
  answer[1] = 0xfe;
  answer[2] = 0xff;
  memcpy(answer + 5, hello->record_sequence, sizeof hello->record_sequence);
  answer[12] = HANDSHAKE_HEADER_BYTES + body_length;
  uint8_t *message = answer + RECORD_HEADER_BYTES;
  message[0] = HANDSHAKE_HELLO_VERIFY_REQUEST;
  message[3] = body_length;
  message[11] = body_length;
  uint8_t *body = message + HANDSHAKE_HEADER_BYTES;
  body[0] = 0xfe;
  body[1] = 0xff;
  body[2] = DTLS_COOKIE_BYTES;
  memcpy(body + 3, cookie, DTLS_COOKIE_BYTES);
}
