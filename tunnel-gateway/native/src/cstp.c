#include "cstp.h"

static const uint8_t magic[4] = {'S', 'T', 'F', 1};

enum cstp_outcome cstp_read(uint8_t *bytes, size_t length, struct cstp_frame *frame) {
  for (size_t at = 0; at < sizeof magic && at < length; at++)
    if (bytes[at] != magic[at]) return CSTP_MALFORMED;
  if (length < 6) return CSTP_SHORT;
  size_t payload_length = (size_t)bytes[4] << 8 | bytes[5];
  /* Judged before the rest has come, so that nobody makes us keep more than this. */
  if (payload_length > CSTP_PAYLOAD_AT_MOST) return CSTP_MALFORMED;
  if (length < CSTP_HEADER_BYTES) return CSTP_SHORT;
  if (bytes[7] != 0) return CSTP_MALFORMED;
  if (length - CSTP_HEADER_BYTES < payload_length) return CSTP_SHORT;
  frame->type = bytes[6];
  frame->payload = bytes + CSTP_HEADER_BYTES;
  frame->length = payload_length;
  return CSTP_WHOLE;
}

void cstp_write_header(uint8_t header[CSTP_HEADER_BYTES], uint8_t type, size_t payload_length) {
  for (size_t at = 0; at < sizeof magic; at++) header[at] = magic[at];
  header[4] = (uint8_t)(payload_length >> 8);
  header[5] = (uint8_t)payload_length;
  header[6] = type;
  header[7] = 0;
}
