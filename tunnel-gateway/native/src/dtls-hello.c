#include "dtls-hello.h"

#include <string.h>
#include "cursor.h"

#define CONTENT_HANDSHAKE 22
#define HANDSHAKE_CLIENT_HELLO 1
#define HANDSHAKE_HELLO_VERIFY_REQUEST 3
#define DTLS_1_0 0xfeff
#define DTLS_1_2 0xfefd
#define RECORD_HEADER_BYTES 13
#define HANDSHAKE_HEADER_BYTES 12
#define RANDOM_BYTES 32
#define SESSION_ID_AT_MOST 32
/* openconnect's ApplicationID; newer versions of it send the id as session id alone. */
#define EXTENSION_APP_ID 48018

static bool is_zero(struct cursor bytes) {
  uint8_t any = 0;
  for (size_t i = 0; i < bytes.left; i++) any |= bytes.at[i];
  return any == 0;
}

/* False when an extension is malformed, or the ApplicationID stands twice. */
static bool read_extensions(struct cursor extensions, struct dtls_hello *hello) {
  bool has_app_id = false;
  while (extensions.left > 0) {
    size_t type;
    struct cursor body, id;
    if (!cursor_number(&extensions, 2, &type) || !cursor_vector(&extensions, 2, &body)) return false;
    if (type != EXTENSION_APP_ID) continue;
    if (has_app_id || !cursor_vector(&body, 1, &id) || body.left > 0) return false;
    has_app_id = true;
    hello->id = id.left == DTLS_ID_BYTES ? id.at : NULL;
  }
  return true;
}

static bool read_body(struct cursor body, struct dtls_hello *hello) {
  size_t version;
  struct cursor random, session_id, cookie, suites, compressions, extensions;
  bool is_whole = cursor_number(&body, 2, &version) && cursor_take(&body, RANDOM_BYTES, &random) &&
                  cursor_vector(&body, 1, &session_id) && cursor_vector(&body, 1, &cookie) &&
                  cursor_vector(&body, 2, &suites) && cursor_vector(&body, 1, &compressions);
  if (!is_whole || version != DTLS_1_2 || session_id.left > SESSION_ID_AT_MOST || suites.left < 2 ||
      suites.left % 2 != 0 || compressions.left < 1)
    return false;
  /* GnuTLS 3.6.3 to 3.6.12 left its random zero (CVE-2020-11501): no key of such a client is secret. */
  if (is_zero(random)) return false;
  hello->random = random.at;
  hello->cookie = cookie.at;
  hello->cookie_length = cookie.left;
  hello->id = session_id.left == DTLS_ID_BYTES ? session_id.at : NULL;
  /* openconnect on GnuTLS sends none at all. */
  if (body.left == 0) return true;
  return cursor_vector(&body, 2, &extensions) && body.left == 0 && read_extensions(extensions, hello);
}

/* The header of the one record, up to what it holds. */
static bool read_record(struct cursor datagram, struct dtls_hello *hello, struct cursor *record) {
  size_t type, version, epoch;
  struct cursor sequence;
  if (!cursor_number(&datagram, 1, &type) || !cursor_number(&datagram, 2, &version) ||
      !cursor_number(&datagram, 2, &epoch) || !cursor_take(&datagram, sizeof hello->record_sequence, &sequence) ||
      !cursor_vector(&datagram, 2, record) || datagram.left > 0)
    return false;
  memcpy(hello->record_sequence, sequence.at, sizeof hello->record_sequence);
  return type == CONTENT_HANDSHAKE && (version == DTLS_1_2 || version == DTLS_1_0) && epoch == 0;
}

bool dtls_hello_parse(const uint8_t *datagram, size_t length, struct dtls_hello *hello) {
  memset(hello, 0, sizeof *hello);
  struct cursor record;
  size_t type, message_length, message_sequence, fragment_offset, fragment_length;
  if (!read_record((struct cursor){datagram, length}, hello, &record) || !cursor_number(&record, 1, &type) ||
      !cursor_number(&record, 3, &message_length) || !cursor_number(&record, 2, &message_sequence) ||
      !cursor_number(&record, 3, &fragment_offset) || !cursor_number(&record, 3, &fragment_length))
    return false;
  hello->message_sequence = (uint16_t)message_sequence;
  return type == HANDSHAKE_CLIENT_HELLO && fragment_offset == 0 && fragment_length == message_length &&
         record.left == message_length && read_body(record, hello);
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
