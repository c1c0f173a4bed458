/*
 * cstp.h: the frames of CSTP (OpenConnect protocol 1.1, section 2.2), pure.
 *
 *   0      1      2      3      4        5   6      7
 *   'S'    'T'    'F'    0x01   length16 BE  type   0x00   payload ...
 *
 * Over DTLS the header is the type byte alone, and one datagram is one frame.
 */
#ifndef ISTHMUS_CSTP_H
#define ISTHMUS_CSTP_H

#include <stddef.h>
#include <stdint.h>

#define CSTP_HEADER_BYTES 8
/* Ours: what fits into one TLS record with its header, as clients refuse a frame that spreads over records. */
#define CSTP_PAYLOAD_AT_MOST (16384 - CSTP_HEADER_BYTES)

enum cstp_type {
  CSTP_DATA = 0,
  CSTP_DPD_REQUEST = 3,
  CSTP_DPD_RESPONSE = 4,
  CSTP_DISCONNECT = 5,
  CSTP_KEEPALIVE = 7,
  CSTP_COMPRESSED = 8,
  CSTP_TERMINATE = 9
};

struct cstp_frame {
  uint8_t type;
  uint8_t *payload;
  size_t length;
};

enum cstp_outcome {
  CSTP_WHOLE,
  CSTP_SHORT, /* more bytes are needed; what is there so far is in order */
  CSTP_MALFORMED
};

/* Reads the frame that `bytes` begins with. It takes CSTP_HEADER_BYTES + frame->length of them. */
enum cstp_outcome cstp_read(uint8_t *bytes, size_t length, struct cstp_frame *frame);

void cstp_write_header(uint8_t header[CSTP_HEADER_BYTES], uint8_t type, size_t payload_length);

#endif
