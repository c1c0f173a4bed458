/*
 * cases.h: a test program's cases. The name of a case is a sentence; it is printed before the case is run.
 */
#ifndef ISTHMUS_CASES_H
#define ISTHMUS_CASES_H

#include "made-packets.h"

#define RUN(name) run_case(#name, name)

static inline void run_case(const char *name, void (*test)(void)) {
  for (; *name != '\0'; name++) putchar(*name == '_' ? ' ' : *name);
  putchar('\n');
  fflush(stdout);
  test();
}

/* A packet in memory of its exact size, to be freed, and its view. */
static inline uint8_t *made_packet(const struct made *made, struct packet *view) {
  static uint8_t bytes[70000];
  size_t length = make_packet(made, bytes);
  HOLDS(packet_read(bytes, length, view));
  return fuzz_copy(bytes, length);
}

#define TCP_TO_REMOTE \
  .family = 4, .protocol = PROTOCOL_TCP, .flags = TCP_ACK, .client = 2, .remote = 9, .client_port = 5000, .remote_port = 443

#endif
