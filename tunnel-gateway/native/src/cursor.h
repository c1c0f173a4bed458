/*
 * cursor.h: how our parsers read. A cursor never leaves its bytes: what is not there is not taken, and the answer is false.
 */
#ifndef ISTHMUS_CURSOR_H
#define ISTHMUS_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a parser says of the beginning of a stream. */
enum parse_outcome {
  PARSE_WHOLE,
  PARSE_SHORT, /* in order so far; more bytes are needed */
  PARSE_MALFORMED
};

struct cursor {
  const uint8_t *at;
  size_t left;
};

static inline bool cursor_take(struct cursor *cursor, size_t length, struct cursor *taken) {
  if (cursor->left < length) return false;
  *taken = (struct cursor){cursor->at, length};
  cursor->at += length;
  cursor->left -= length;
  return true;
}

static inline bool cursor_skip(struct cursor *cursor, size_t length) {
  struct cursor skipped;
  return cursor_take(cursor, length, &skipped);
}

/* An unsigned number of 1 to 3 bytes, big endian. */
static inline bool cursor_number(struct cursor *cursor, size_t bytes, size_t *number) {
  struct cursor digits;
  if (!cursor_take(cursor, bytes, &digits)) return false;
  *number = 0;
  for (size_t i = 0; i < bytes; i++) *number = *number << 8 | digits.at[i];
  return true;
}

/* Bytes behind their length, which takes `length_bytes`. */
static inline bool cursor_vector(struct cursor *cursor, size_t length_bytes, struct cursor *vector) {
  size_t length;
  return cursor_number(cursor, length_bytes, &length) && cursor_take(cursor, length, vector);
}

#endif
