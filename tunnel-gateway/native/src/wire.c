#include "wire.h"

#include <limits.h>
#include <string.h>

/* What libssl needs for a send that cannot fragment; our callers set the MTU themselves, so the answer is never used. */
#define FALLBACK_MTU 1200

static BIO_METHOD *wire_method;

static int wire_read(BIO *bio, char *into, int room) {
  struct wire *wire = BIO_get_data(bio);
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (wire == NULL || room <= 0 || wire->in_left == 0) {
    BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  size_t length = wire->in_left < (size_t)room ? wire->in_left : (size_t)room;
  memcpy(into, wire->in, length);
  wire->in += length;
  wire->in_left = wire->is_datagram ? 0 : wire->in_left - length;
  return (int)length;
}

static int wire_write(BIO *bio, const char *bytes, int length) {
  struct wire *wire = BIO_get_data(bio);
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (length <= 0) return 0;
  if (wire == NULL || !wire->emit(wire->owner, (const uint8_t *)bytes, (size_t)length)) {
    BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  return length;
}

static long wire_control(BIO *bio, int command, long number, void *pointer) {
  (void)number;
  (void)pointer;
  struct wire *wire = BIO_get_data(bio);
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_PENDING:
      return wire == NULL || wire->in_left > LONG_MAX ? 0 : (long)wire->in_left;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
      return FALLBACK_MTU;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
      return 48; /* IPv6 and UDP */
    default:
      return 0;
  }
}

static int wire_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

bool wire_start(void) {
  wire_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
  return wire_method != NULL && BIO_meth_set_read(wire_method, wire_read) &&
         BIO_meth_set_write(wire_method, wire_write) && BIO_meth_set_ctrl(wire_method, wire_control) &&
         BIO_meth_set_create(wire_method, wire_create);
}

BIO *wire_bio(struct wire *wire) {
  BIO *bio = BIO_new(wire_method);
  if (bio != NULL) BIO_set_data(bio, wire);
  return bio;
}
