// sources: proxy-protocol.c address.c
/* The input: the first bytes of what a load balancer sends. */
#include "proxy-protocol.h"

#include "fuzz.h"

static size_t generate_v1(uint64_t random, char *into, size_t room) {
  static const char *const lines[] = {
      "PROXY TCP4 192.0.2.%u 198.51.100.7 %u 443\r\n",
      "PROXY TCP6 2001:db8::%x ::1 %u 443\r\n",
      "PROXY TCP6 ::ffff:192.0.2.%u 2001:db8:1:2:3:4:5:6 %u 443\r\n",
      "PROXY UNKNOWN anything %u %u\r\n",
  };
  int length = snprintf(into, room, lines[random % 4], (unsigned)(random >> 8 & 0xff), (unsigned)(random >> 16 & 0x1ffff));
  return (size_t)length;
}

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  static const uint8_t head[] = {0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
  static const uint8_t families[] = {0x11, 0x21, 0x00, 0x12};
  if (random & 1) return generate_v1(random >> 1, (char *)into, room);
  uint64_t state = random;
  uint8_t family = families[random >> 1 & 3];
  size_t length = family == 0x11 ? 12 : family == 0x21 ? 36 : 0, value = fuzz_random(&state) % 64;
  bool has_value = random >> 3 & 1;
  memcpy(into, head, sizeof head);
  into[12] = random >> 4 & 7 ? 0x21 : 0x20;
  into[13] = family;
  fuzz_random_bytes(&state, into + 16, length);
  if (has_value) {
    into[16 + length] = (uint8_t)fuzz_random(&state);
    into[16 + length + 1] = 0;
    into[16 + length + 2] = (uint8_t)value;
    length += 3 + fuzz_random_bytes(&state, into + 16 + length + 3, value);
  }
  into[14] = (uint8_t)(length >> 8);
  into[15] = (uint8_t)length;
  return 16 + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct proxy_header header, again;
  size_t needed = 0, needed_again;
  enum parse_outcome outcome = proxy_header_read(bytes, length, &header, &needed);
  if (outcome == PARSE_SHORT) HOLDS(needed > length && needed <= PROXY_V2_BYTES_AT_MOST);
  if (outcome != PARSE_WHOLE) return 0;
  HOLDS(header.length <= length && header.length <= PROXY_V2_BYTES_AT_MOST);
  char text[ADDRESS_TEXT_BYTES];
  uint8_t address[16];
  address_text(header.source.address, text);
  HOLDS(address_parse(text, address) && memcmp(address, header.source.address, 16) == 0);

  /* The client's bytes behind it change nothing; with one less it is not whole. */
  uint8_t *exact = fuzz_copy(bytes, header.length);
  HOLDS(proxy_header_read(exact, header.length, &again, &needed_again) == PARSE_WHOLE);
  HOLDS(memcmp(&header, &again, sizeof header) == 0);
  HOLDS(proxy_header_read(exact, header.length - 1, &again, &needed_again) == PARSE_SHORT);
  free(exact);
  return 0;
}
