/*
 * front.h: the thread that strangers meet. It accepts TCP, takes PROXY headers off, looks at the ClientHello, hands sockets that are
 * not the VPN's to JavaScript, and holds TLS with the rest until JavaScript makes them a session's (attach). DTLS handshakes
 * run on it too (dtls-front.h). It runs at a lower priority than the packet threads: a flood of handshakes disturbs no session.
 *
 * All functions but start and stop post to its mailbox and return at once. JavaScript's thread only.
 */
#ifndef ISTHMUS_FRONT_H
#define ISTHMUS_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "address.h"
#include "dtls-counters.h"
#include "openssl-api.h"

#define RELAY_NAMES_AT_MOST 16
#define PROXIES_AT_MOST 100

struct front_options {
  struct sockaddr_storage address; /* its port 0: any */
  socklen_t address_length;
  bool has_udp;
  bool has_http2_relay; /* whoever offers h2 is for Node, whatever the server name */
  SSL_CTX *tls; /* the front's from now on, whatever comes of it */
  char relay_names[RELAY_NAMES_AT_MOST][256]; /* in lower case; empty behind the last */
  struct network proxies[PROXIES_AT_MOST];
  size_t proxies_count;
  uint32_t pending, pending_per_address, handshake_seconds;
};

/* How a client may come by DTLS for a session: see VpnEngine.attach. */
enum front_offer { OFFER_NONE = 0, OFFER_PSK = 1, OFFER_RESUMPTION = 2 };

struct front_attachment {
  uint32_t connection, session;
  unsigned worker;
  enum front_offer offer;
  uint8_t id[32];
  uint8_t master_secret[48]; /* of a resumption */
  char cipher[64];           /* of a resumption: OpenSSL's name */
};

/* False, with errno and a sentence in `fault`. */
bool front_start(const struct front_options *options, uint16_t *port, char *fault, size_t room);
/* Closes every connection that is still the front's, and waits for the thread. */
void front_stop(void);

/* For new handshakes. */
void front_set_tls(SSL_CTX *tls);
void front_write(uint32_t connection, const uint8_t *bytes, size_t length);
/* See VpnEngine.stream. */
void front_stream(uint32_t connection, bool is_wanted);
void front_end(uint32_t connection, bool is_clean);
/* Sends `head` and makes the connection the TLS transport of a session. A connection that has gone: EVENT_SESSION_TLS_DOWN. */
void front_attach(const struct front_attachment *attachment, const uint8_t *head, size_t length);
/* The session takes no DTLS handshake any more. */
void front_forget_offers(uint32_t session);

enum front_counter {
  COUNT_ACCEPTED, COUNT_PENDING, COUNT_HANDSHAKES, COUNT_HANDSHAKES_FAILED, COUNT_HANDED, COUNT_ATTACHED, COUNT_TOO_MANY,
  FRONT_COUNTERS
};
/* All zero where no front runs, or no UDP. */
void front_counters(uint64_t counters[FRONT_COUNTERS]);
void front_dtls_counters(uint64_t counters[DTLS_COUNTERS]);

#endif
