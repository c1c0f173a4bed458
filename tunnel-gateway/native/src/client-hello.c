#include "client-hello.h"

#include <string.h>

#define CONTENT_HANDSHAKE 22
#define HANDSHAKE_CLIENT_HELLO 1
#define RECORD_HEADER 5
#define HANDSHAKE_HEADER 4
#define RECORD_BYTES_AT_MOST 16384
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN 16
#define NAME_TYPE_HOST 0

/* Letters in lower case, digits, '-', '.', '_': what may be compared, logged and written into a line. */
static bool copy_host_name(struct cursor name, char into[256]) {
  if (name.left == 0 || name.left > 255) return false;
  for (size_t i = 0; i < name.left; i++) {
    char c = (char)name.at[i];
    bool is_upper = c >= 'A' && c <= 'Z';
    bool is_other = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    if (!is_upper && !is_other) return false;
    into[i] = is_upper ? (char)(c - 'A' + 'a') : c;
  }
  into[name.left] = '\0';
  return true;
}

static bool read_server_name(struct cursor extension, struct client_hello *hello) {
  struct cursor names, name;
  if (!cursor_vector(&extension, 2, &names) || extension.left != 0 || names.left == 0) return false;
  while (names.left > 0) {
    size_t type;
    if (!cursor_number(&names, 1, &type) || !cursor_vector(&names, 2, &name)) return false;
    if (type == NAME_TYPE_HOST && !copy_host_name(name, hello->server_name)) hello->server_name[0] = '\0';
  }
  return true;
}

static bool equals(struct cursor bytes, const char *text) {
  return bytes.left == strlen(text) && memcmp(bytes.at, text, bytes.left) == 0;
}

static bool read_alpn(struct cursor extension, struct client_hello *hello) {
  struct cursor protocols, protocol;
  if (!cursor_vector(&extension, 2, &protocols) || extension.left != 0 || protocols.left == 0) return false;
  while (protocols.left > 0) {
    if (!cursor_vector(&protocols, 1, &protocol) || protocol.left == 0) return false;
    hello->has_http2 |= equals(protocol, "h2");
    hello->has_http11 |= equals(protocol, "http/1.1");
  }
  return true;
}

static bool read_extensions(struct cursor extensions, struct client_hello *hello) {
  bool has_name = false, has_alpn = false;
  while (extensions.left > 0) {
    size_t type;
    struct cursor extension;
    if (!cursor_number(&extensions, 2, &type) || !cursor_vector(&extensions, 2, &extension)) return false;
    if (type == EXTENSION_SERVER_NAME) {
      if (has_name || !read_server_name(extension, hello)) return false;
      has_name = true;
    } else if (type == EXTENSION_ALPN) {
      if (has_alpn || !read_alpn(extension, hello)) return false;
      has_alpn = true;
    }
  }
  return true;
}

bool client_hello_parse(const uint8_t *body, size_t length, struct client_hello *hello) {
  memset(hello, 0, sizeof *hello);
  struct cursor cursor = {body, length};
  struct cursor session_id, suites, compression, extensions;
  if (!cursor_skip(&cursor, 2 + 32)) return false;
  if (!cursor_vector(&cursor, 1, &session_id) || session_id.left > 32) return false;
  if (!cursor_vector(&cursor, 2, &suites) || suites.left == 0 || suites.left % 2 != 0) return false;
  if (!cursor_vector(&cursor, 1, &compression) || compression.left == 0) return false;
  if (cursor.left == 0) return true; /* TLS 1.2 allows none */
  if (!cursor_vector(&cursor, 2, &extensions) || cursor.left != 0) return false;
  return read_extensions(extensions, hello);
}

/* A handshake message that is put together from records. */
struct message {
  uint8_t bytes[CLIENT_HELLO_BYTES_AT_MOST];
  size_t length;
};

static size_t message_length(const struct message *message) {
  const uint8_t *header = message->bytes;
  return HANDSHAKE_HEADER + ((size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3]);
}

/* PARSE_WHOLE: `message` holds all of the first handshake message. */
static enum parse_outcome gather(const uint8_t *bytes, size_t length, struct message *message, size_t *needed) {
  struct cursor cursor = {bytes, length};
  for (int records = 0; records < CLIENT_HELLO_RECORDS_AT_MOST; records++) {
    size_t type, version, piece_length;
    size_t start = length - cursor.left;
    *needed = start + RECORD_HEADER;
    /* What is no TLS is refused by its first byte, not waited for. */
    if (cursor.left > 0 && cursor.at[0] != CONTENT_HANDSHAKE) return PARSE_MALFORMED;
    if (cursor.left > 1 && cursor.at[1] != 3) return PARSE_MALFORMED;
    if (cursor.left < RECORD_HEADER) return PARSE_SHORT;
    cursor_number(&cursor, 1, &type);
    cursor_number(&cursor, 2, &version);
    cursor_number(&cursor, 2, &piece_length);
    if (piece_length == 0 || piece_length > RECORD_BYTES_AT_MOST) return PARSE_MALFORMED;
    *needed += piece_length;
    if (*needed > CLIENT_HELLO_BYTES_AT_MOST) return PARSE_MALFORMED;
    struct cursor piece;
    if (!cursor_take(&cursor, piece_length, &piece)) return PARSE_SHORT;
    memcpy(message->bytes + message->length, piece.at, piece.left);
    message->length += piece.left;
    if (message->bytes[0] != HANDSHAKE_CLIENT_HELLO) return PARSE_MALFORMED;
    if (message->length < HANDSHAKE_HEADER) continue;
    size_t whole = message_length(message);
    if (whole > CLIENT_HELLO_BYTES_AT_MOST) return PARSE_MALFORMED;
    if (message->length >= whole) return PARSE_WHOLE;
  }
  return PARSE_MALFORMED;
}

enum parse_outcome client_hello_read(const uint8_t *bytes, size_t length, struct client_hello *hello, size_t *needed) {
  struct message message;
  message.length = 0;
  enum parse_outcome outcome = gather(bytes, length, &message, needed);
  if (outcome != PARSE_WHOLE) return outcome;
  size_t body_length = message_length(&message) - HANDSHAKE_HEADER;
  return client_hello_parse(message.bytes + HANDSHAKE_HEADER, body_length, hello) ? PARSE_WHOLE : PARSE_MALFORMED;
}
