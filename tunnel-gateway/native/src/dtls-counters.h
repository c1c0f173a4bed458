/*
 * dtls-counters.h: what became of the datagrams and handshakes of the DTLS front. Written by the front thread, read by any: each is
 * exact, together only nearly so.
 */
#ifndef ISTHMUS_DTLS_COUNTERS_H
#define ISTHMUS_DTLS_COUNTERS_H

#include <stdint.h>

enum dtls_counter {
  DTLS_DATAGRAMS,     /* that came to the socket which hears everybody */
  DTLS_MALFORMED,     /* no ClientHello of DTLS 1.2, whole and alone */
  DTLS_UNKNOWN,       /* a hello without the id of a standing offer: not answered */
  DTLS_LIMITED,       /* more hellos in a second than are looked at, or more handshakes than there is room for */
  DTLS_VERIFIES,      /* HelloVerifyRequests sent */
  DTLS_BAD_COOKIES,
  DTLS_REPEATED,      /* of a client whose handshake is under way */
  DTLS_STARTED,
  DTLS_FAILED,
  DTLS_COMPLETED,     /* handed to a packet thread */
  DTLS_COUNTERS
};

static inline void dtls_count(uint64_t counters[DTLS_COUNTERS], enum dtls_counter counter) {
  __atomic_store_n(&counters[counter], counters[counter] + 1, __ATOMIC_RELAXED);
}

#endif
