/*
 * pace.h: how fast one client is sent datagrams. Its socket holds some seventy (Linux has room for 93, and gives a quarter of it back
 * late), which a burst or two fill when the client is near and busy; what comes then is lost.
 *
 * A client that has the thread's network for itself is held back: while more than a little waits in its socket, as TCP inside tells
 * (drain.h), one send is sealed for it and kept, and no more is read from the TUN. Where the TUN is never found empty meanwhile, TCP inside is told now and then, as by
 * early-drop.h. Where others have packets too, they cannot wait for it: a client that was sent a burst is
 * waited for shortly, for a word, as clients empty their socket before they say anything.
 */
#ifndef ISTHMUS_PACE_H
#define ISTHMUS_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;
struct worker;

struct pace {
  struct session *session; /* that was sent datagrams last in this wake, */
  size_t bytes;            /* how many bytes */
  struct session *last;    /* whom the network's last packet was for, over whatever transport, */
  uint64_t last_since_us;  /* and all since */
  uint64_t held_since_us;  /* 0: it is not held back */
  uint64_t read_us, empty_us, told_us; /* when the TUN was read, was found empty; when somebody was told */
};

/* The network has a packet for the session. */
void pace_packet(struct session *session);
/* The TUN is about to be read; nothing is left in it. */
void pace_reads(struct worker *worker);
void pace_empty(struct worker *worker);
/* Whether the sender of this packet is to be told that there is too much, by a mark or a loss. */
bool pace_tells(struct session *session, size_t length);
/* Datagrams of `length` bytes have left for the client. */
void pace_sent(struct session *session, size_t length);
/* The session or its DTLS ends. */
void pace_forget(const struct session *session);
/* Whether what is sealed for a client stays for now; and whether there is a whole send of it, so that no more is to be sealed. */
bool pace_keeps(const struct worker *worker);
bool pace_is_full(const struct worker *worker);
/* Whether the TUN is not to be read now, for `*left_us` more at most. */
bool pace_holds(struct worker *worker, uint32_t *left_us);
/* After everything that a wake brought: waits where a client needs it. False: there was no reason to. */
bool pace_wait(struct worker *worker);

#endif
