/*
 * events.h: what the native threads tell JavaScript. events_emit may be called on any thread and never waits.
 *
 * The layout of each event's fields stands beside its kind; src/packets/native-engine.ts reads the same table.
 */
#ifndef ISTHMUS_EVENTS_H
#define ISTHMUS_EVENTS_H

#include <stddef.h>
#include <stdint.h>

enum event_kind {
  /* --- of the front; `id` is the connection --- */
  EVENT_CONNECTION_OPENED = 1, /* TLS is up. numbers: [port, tls version (0x0303/0x0304), isVerified]. text: "peer address\nlocal
                                  address\ncipher\nserver name\nwhat OpenSSL says of the client's chain". bytes: the client's
                                  certificates, leaf first, each as length32 BE and DER; empty without one */
  EVENT_CONNECTION_BYTES = 2,  /* bytes: decrypted, in order */
  EVENT_CONNECTION_CLOSED = 3, /* by the peer or by an error; the id is never used again. text: reason. numbers: [whether the peer said
                                  that it has nothing more to send] */
  EVENT_SOCKET_HANDED = 4,     /* for Node's own servers. numbers: [fd, peer port, local port]; text: "peer address\nlocal address" */
  EVENT_HANDSHAKE_FAILED = 5,  /* numbers: [port]. text: "peer address\nreason\ndetail". Reason: too-many, timeout, closed, proxy-header,
                                  client-hello, handshake or internal; detail may be empty. Of DTLS: numbers [port, session], reasons dtls-...
                                  (dtls-handshakes.h) */
  EVENT_CONNECTION_DRAINED = 6, /* of a stream: what was written has gone. numbers: [bytes so far] */

  /* --- of a packet thread; `id` is the session --- */
  EVENT_SESSION_TLS_UP = 20,
  EVENT_SESSION_TLS_DOWN = 21,    /* the TLS transport ended, the session stays. text: reason */
  EVENT_SESSION_DTLS_UP = 22,     /* text: "peer address\ncipher" */
  EVENT_SESSION_DTLS_DOWN = 23,   /* text: reason */
  EVENT_SESSION_DISCONNECTED = 24, /* the client sent CSTP type 5 (or 9). numbers: [first payload byte or -1]; bytes: payload */
  EVENT_SESSION_IDLE = 25,        /* no user traffic for the idle time; once */
  EVENT_SESSION_DENIED = 26,      /* a flow was refused by a rule, at most a few a second per session. numbers: [rule, protocol, port];
                                     text: "address" */
  EVENT_SESSION_CLOSED = 27,      /* it has been taken down; last event of its id. numbers: see session counters */
  EVENT_SESSION_FLOW = 28,        /* a flow is let through, where the session's options ask for it: as EVENT_SESSION_DENIED, and numbers[3]: how
                                     many before it were not told */
  EVENT_FAILED = 40               /* a thread cannot go on. text: what and errno */
};

#define EVENT_NUMBERS 16

struct event {
  struct event *next;
  enum event_kind kind;
  uint32_t id;
  double numbers[EVENT_NUMBERS];
  char text[512];
  size_t length;
  uint8_t bytes[];
};

/* With room for `length` bytes, everything else zero. NULL when out of memory. */
struct event *event_new(enum event_kind kind, uint32_t id, size_t length);

/* Gives the event away; where JavaScript has gone it is freed. */
void events_emit(struct event *event);

/* event_new and events_emit of an event without bytes; `text` as by printf. */
void events_tell(enum event_kind kind, uint32_t id, const char *text, ...) __attribute__((format(printf, 3, 4)));

/* Frees what was not given away. A socket that was to be handed over is closed, bytes are wiped. */
void event_free(struct event *event);

/* Bytes of events that JavaScript has not taken yet. The front stops reading where they are many. */
size_t events_waiting(void);

#endif
