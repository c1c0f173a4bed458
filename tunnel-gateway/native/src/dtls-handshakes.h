/*
 * dtls-handshakes.h: the clients that showed a good cookie and are not yet a session's transport. Each has a connected socket, an
 * SSL and ten seconds; then it is a packet thread's, or nothing.
 *
 *   begin ──▶ handshaking ──▶ handed to the worker of its session
 *                 └─▶ ended, with an event: see DTLS_REASONS
 */
#ifndef ISTHMUS_DTLS_HANDSHAKES_H
#define ISTHMUS_DTLS_HANDSHAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dtls-context.h"
#include "dtls-counters.h"
#include "dtls-offers.h"
#include "dtls-socket.h"

#define DTLS_HANDSHAKES_AT_MOST 1024
/* Who saw an id pass can begin handshakes with it, though never end one: it must not take everybody's place. */
#define DTLS_HANDSHAKES_PER_SESSION 4
#define DTLS_HANDSHAKE_MS 10000
/* Events a second that tell of failures; all are counted. */
#define DTLS_FAILURES_TOLD 50

/*
 * Why a handshake ended, as EVENT_HANDSHAKE_FAILED says it:
 *   dtls-timeout    nothing usable for ten seconds: lost, or a wrong key (records that do not open are dropped unseen)
 *   dtls-alert      the client gave up
 *   dtls-no-suite   nothing in common; so ends whoever wants a certificate
 *   dtls-protocol   libssl refused what came
 *   dtls-withdrawn  the session ended, or was given another id, meanwhile
 *   dtls-replaced   the same session began too many others
 *   dtls-system     no socket or no memory
 */
struct dtls_handshake;

struct dtls_handshakes {
  struct dtls_context context;
  int epoll_fd;
  uint64_t now_ms;
  unsigned count;
  unsigned failures_told;  /* in the second that began at */
  uint64_t told_since_ms;
  struct dtls_handshake *newest;
  struct dtls_handshake *ended; /* freed at the next tick: epoll may still name them */
  struct datagrams *received;
  uint64_t *counters;
  /* A stranger's datagram that came to a client's socket before it was connected. */
  void (*stray)(void *owner, const struct datagram *datagram);
  void *owner;
};

/* False with a sentence in `fault`. The rest of the fields are the caller's to set. */
bool dtls_handshakes_open(struct dtls_handshakes *handshakes, char *fault, size_t room);
void dtls_handshakes_tick(struct dtls_handshakes *handshakes, uint64_t now_ms);
/* Ends what is under way without a word. */
void dtls_handshakes_close(struct dtls_handshakes *handshakes);

/* `hello` holds the ClientHello with a good cookie for an offer of `offers`. */
void dtls_handshakes_begin(struct dtls_handshakes *handshakes, const struct datagram *hello,
                           const struct dtls_offers *offers, const struct dtls_offer *offer);

#endif
