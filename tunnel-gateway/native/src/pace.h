/*
 * pace.h: how fast one client is sent datagrams. Its socket holds some seventy, which a burst or two fill when the client is near
 * and busy, and nothing tells us how many are in it: a word from the client does, as clients empty their socket before they say
 * anything. So a client that was sent a burst is waited for, shortly, while what is for it stays in the TUN.
 */
#ifndef ISTHMUS_PACE_H
#define ISTHMUS_PACE_H

#include <stdbool.h>
#include <stddef.h>

struct session;
struct worker;

struct pace {
  struct session *session; /* that was sent datagrams last in this wake, */
  size_t bytes;            /* how many bytes */
  bool is_shared;          /* and others, too */
  const struct session *before; /* never followed: waited for last */
};

/* Datagrams of `length` bytes have left for the client. */
void pace_sent(struct session *session, size_t length);
/* The session's DTLS ends. */
void pace_forget(const struct session *session);
/* After everything that a wake brought: waits where a client needs it. False: there was no reason to. */
bool pace_wait(struct worker *worker);

#endif
