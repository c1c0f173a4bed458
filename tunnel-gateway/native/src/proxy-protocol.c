#include "proxy-protocol.h"

#include <string.h>

static const uint8_t SIGNATURE[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
static const char V1_START[] = "PROXY ";

#define V2_HEADER 16
#define V2_LOCAL 0x20
#define V2_PROXY 0x21
#define V2_UNSPECIFIED 0x00
#define V2_TCP4 0x11
#define V2_TCP6 0x21

/* --- version 1 --- */

/* The next word of a line of single spaces, as a string. */
static bool next_word(struct cursor *line, char word[ADDRESS_TEXT_BYTES]) {
  const uint8_t *space = memchr(line->at, ' ', line->left);
  struct cursor taken;
  if (!cursor_take(line, space == NULL ? line->left : (size_t)(space - line->at), &taken)) return false;
  if (space != NULL) cursor_skip(line, 1);
  if (taken.left == 0 || taken.left >= ADDRESS_TEXT_BYTES || memchr(taken.at, 0, taken.left) != NULL) return false;
  memcpy(word, taken.at, taken.left);
  word[taken.left] = '\0';
  return true;
}

static bool next_address(struct cursor *line, bool is_ipv6, uint8_t address[16]) {
  char word[ADDRESS_TEXT_BYTES];
  return next_word(line, word) && (strchr(word, ':') != NULL) == is_ipv6 && address_parse(word, address);
}

static bool next_port(struct cursor *line, uint16_t *port) {
  char word[ADDRESS_TEXT_BYTES];
  if (!next_word(line, word)) return false;
  size_t digits = strspn(word, "0123456789");
  if (digits > 5 || word[digits] != '\0' || (word[0] == '0' && digits > 1)) return false;
  uint32_t number = 0;
  for (size_t i = 0; i < digits; i++) number = number * 10 + (uint32_t)(word[i] - '0');
  *port = (uint16_t)number;
  return number <= 65535;
}

static bool read_line(struct cursor line, struct proxy_header *header) {
  char word[ADDRESS_TEXT_BYTES];
  bool has_space_at_end = line.left > 0 && line.at[line.left - 1] == ' ';
  if (!next_word(&line, word)) return false;
  if (strcmp(word, "UNKNOWN") == 0) return true; /* the rest is to be ignored */
  bool is_ipv6 = strcmp(word, "TCP6") == 0;
  if (has_space_at_end || (!is_ipv6 && strcmp(word, "TCP4") != 0)) return false;
  header->has_addresses = true;
  return next_address(&line, is_ipv6, header->source.address) && next_address(&line, is_ipv6, header->destination.address) &&
         next_port(&line, &header->source.port) && next_port(&line, &header->destination.port) && line.left == 0;
}

static enum parse_outcome read_v1(const uint8_t *bytes, size_t length, struct proxy_header *header, size_t *needed) {
  size_t within = length < PROXY_V1_BYTES_AT_MOST ? length : PROXY_V1_BYTES_AT_MOST;
  const uint8_t *end = memmem(bytes, within, "\r\n", 2);
  if (end == NULL) {
    *needed = length + 1;
    return length < PROXY_V1_BYTES_AT_MOST ? PARSE_SHORT : PARSE_MALFORMED;
  }
  size_t start = sizeof V1_START - 1;
  header->length = (size_t)(end - bytes) + 2;
  return read_line((struct cursor){bytes + start, (size_t)(end - bytes) - start}, header) ? PARSE_WHOLE : PARSE_MALFORMED;
}

/* --- version 2 --- */

static bool read_endpoints(struct cursor *rest, size_t address_bytes, struct proxy_header *header) {
  struct ip_endpoint *ends[] = {&header->source, &header->destination};
  for (int i = 0; i < 2; i++) {
    struct cursor address;
    if (!cursor_take(rest, address_bytes, &address)) return false;
    memset(ends[i]->address, 0, 16);
    if (address_bytes == 4) ends[i]->address[10] = ends[i]->address[11] = 0xff;
    memcpy(ends[i]->address + 16 - address_bytes, address.at, address_bytes);
  }
  for (int i = 0; i < 2; i++) {
    size_t port;
    if (!cursor_number(rest, 2, &port)) return false;
    ends[i]->port = (uint16_t)port;
  }
  header->has_addresses = true;
  return true;
}

/* Type-length-values, none of which means anything to us. */
static bool skip_values(struct cursor rest) {
  struct cursor value;
  while (rest.left > 0)
    if (!cursor_skip(&rest, 1) || !cursor_vector(&rest, 2, &value)) return false;
  return true;
}

static enum parse_outcome read_v2(const uint8_t *bytes, size_t length, struct proxy_header *header, size_t *needed) {
  *needed = V2_HEADER;
  if (length < V2_HEADER) return PARSE_SHORT;
  uint8_t command = bytes[12], family = bytes[13];
  header->length = V2_HEADER + ((size_t)bytes[14] << 8 | bytes[15]);
  if (command != V2_LOCAL && command != V2_PROXY) return PARSE_MALFORMED;
  if (header->length > PROXY_V2_BYTES_AT_MOST) return PARSE_MALFORMED;
  *needed = header->length;
  if (length < header->length) return PARSE_SHORT;
  /* A balancer's own connection: what follows is to be ignored. */
  if (command == V2_LOCAL || family == V2_UNSPECIFIED) return PARSE_WHOLE;
  if (family != V2_TCP4 && family != V2_TCP6) return PARSE_MALFORMED;
  struct cursor rest = {bytes + V2_HEADER, header->length - V2_HEADER};
  bool is_good = read_endpoints(&rest, family == V2_TCP4 ? 4 : 16, header) && skip_values(rest);
  return is_good ? PARSE_WHOLE : PARSE_MALFORMED;
}

enum parse_outcome proxy_header_read(const uint8_t *bytes, size_t length, struct proxy_header *header, size_t *needed) {
  memset(header, 0, sizeof *header);
  *needed = sizeof SIGNATURE;
  if (length == 0) return PARSE_SHORT;
  bool is_v1 = bytes[0] == 'P';
  const void *start = is_v1 ? (const void *)V1_START : SIGNATURE;
  size_t start_length = is_v1 ? sizeof V1_START - 1 : sizeof SIGNATURE;
  if (memcmp(bytes, start, length < start_length ? length : start_length) != 0) return PARSE_MALFORMED;
  if (length < start_length) return PARSE_SHORT;
  return is_v1 ? read_v1(bytes, length, header, needed) : read_v2(bytes, length, header, needed);
}
