/*
 * dtls-front.h: where the datagrams of new DTLS clients come. Nothing is remembered of a client, and nothing allocated, before it has
 * named the id of a standing offer and sent back the cookie that its address was given.
 *
 *   hello ─▶ dtls-hello ─▶ offer? ─no─▶ dropped, unanswered
 *                            └─yes─▶ cookie? ─none─▶ HelloVerifyRequest    (so many a second, of one session and of all)
 *                                       └─good─▶ socket of its own, handshake (dtls-handshakes.h) ─▶ worker_attach_dtls
 *
 * A client may come again from any address with its id: its new transport takes the place of the old one at the worker.
 * Everything here is called on the front thread, except dtls_front_counters.
 */
#ifndef ISTHMUS_DTLS_FRONT_H
#define ISTHMUS_DTLS_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "dtls-counters.h"
#include "dtls-offers.h"
#include "pollable.h"

/* Hellos of all sessions that are looked at in a second, two for a client: five thousand are back in it. */
#define DTLS_HELLOS_PER_SECOND 10000

struct dtls_front;

/* Hears on `address` by `epoll_fd`, whose data.ptr points to a struct pollable. NULL with a sentence in `fault`. */
struct dtls_front *dtls_front_open(const struct sockaddr *address, socklen_t length, int epoll_fd, char *fault,
                                   size_t room);

/* Time goes by: at least every 100 ms, between two batches of events. `now_ms` never goes back. */
void dtls_front_tick(struct dtls_front *front, uint64_t now_ms);

void dtls_front_close(struct dtls_front *front);

/* The port that is heard on; what was asked for, except where that was 0. */
uint16_t dtls_front_port(const struct dtls_front *front);

/* Before the client is told its id. False: see dtls_offers_put. The caller wipes its own copy. */
bool dtls_front_offer(struct dtls_front *front, const struct dtls_offer *offer);
/* Handshakes that are under way for the session come to nothing. */
void dtls_front_forget(struct dtls_front *front, uint32_t session);

void dtls_front_counters(const struct dtls_front *front, uint64_t counters[DTLS_COUNTERS]);

#endif
