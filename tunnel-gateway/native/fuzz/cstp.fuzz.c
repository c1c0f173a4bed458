// sources: cstp.c
#include "cstp.h"

#include "fuzz.h"

/* A stream of frames, most of them in order. */
size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  size_t length = 0;
  while (length + CSTP_HEADER_BYTES + 300 < room && fuzz_random(&random) % 8 != 0) {
    size_t payload = (size_t)(fuzz_random(&random) % 300);
    cstp_write_header(into + length, (uint8_t)(fuzz_random(&random) % 10), payload);
    length += CSTP_HEADER_BYTES;
    length += fuzz_random_bytes(&random, into + length, payload);
  }
  return length;
}

/* What the first bytes of a frame say must not change when more of them come. */
static void read_in_pieces(uint8_t *bytes, size_t length, enum cstp_outcome whole, size_t frame_length) {
  size_t most = length < 2 * CSTP_HEADER_BYTES ? length : 2 * CSTP_HEADER_BYTES;
  for (size_t part = 0; part < most; part++) {
    uint8_t *piece = fuzz_copy(bytes, part);
    struct cstp_frame frame;
    enum cstp_outcome outcome = cstp_read(piece, part, &frame);
    if (outcome == CSTP_WHOLE) HOLDS(whole == CSTP_WHOLE && frame.length == frame_length);
    if (outcome == CSTP_MALFORMED) HOLDS(whole == CSTP_MALFORMED);
    if (whole == CSTP_WHOLE && part < CSTP_HEADER_BYTES + frame_length) HOLDS(outcome == CSTP_SHORT);
    free(piece);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length) {
  uint8_t *bytes = fuzz_copy(input, length);
  for (size_t at = 0;;) {
    struct cstp_frame frame;
    enum cstp_outcome outcome = cstp_read(bytes + at, length - at, &frame);
    read_in_pieces(bytes + at, length - at, outcome, outcome == CSTP_WHOLE ? frame.length : 0);
    /* One that waits for more never has to keep more than the largest frame. */
    if (outcome == CSTP_SHORT) HOLDS(length - at < CSTP_HEADER_BYTES + CSTP_PAYLOAD_AT_MOST);
    if (outcome != CSTP_WHOLE) break;
    HOLDS(frame.payload == bytes + at + CSTP_HEADER_BYTES && frame.length <= CSTP_PAYLOAD_AT_MOST);
    uint8_t header[CSTP_HEADER_BYTES];
    cstp_write_header(header, frame.type, frame.length);
    HOLDS(memcmp(header, bytes + at, CSTP_HEADER_BYTES) == 0);
    at += CSTP_HEADER_BYTES + frame.length;
    HOLDS(at <= length);
  }
  free(bytes);
  return 0;
}
