/*
 * worker-client.h: a client of one session for worker.test.c, and the front's part of its connections: the handshake, with a
 * pre-shared key, and the hand-over.
 */
#ifndef ISTHMUS_WORKER_CLIENT_H
#define ISTHMUS_WORKER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "worker.h"

struct client {
  SSL *ssl;
  int fd;
  bool is_datagram;
  uint8_t in[1 << 20]; /* opened, not yet taken */
  size_t in_length;
};

/* Waits until `condition`, 10 s at most. */
#define UNTIL(condition) \
  for (int waited_ = 0; !(condition); waited_++) { \
    if (waited_ > 5000) fail(__FILE__, __LINE__, #condition); \
    pause_ms(2); \
  }
#define CHECK(condition) \
  do { \
    if (!(condition)) fail(__FILE__, __LINE__, #condition); \
  } while (0)
_Noreturn void fail(const char *file, int line, const char *condition);
void pause_ms(int ms);

void clients_start(void);
/* Connects and hands over to session `id` of worker 0. `unread` and `unsent` (a client frame, sealed by nobody) may be NULL. */
struct client *client_connect_tls(uint32_t session, const uint8_t *unread, size_t unread_length);
struct client *client_connect_dtls(uint32_t session);
void client_free(struct client *client);

/* As raw bytes of the stream, or one datagram. False: the server has closed. */
bool client_write(struct client *client, const uint8_t *bytes, size_t length);
bool client_send(struct client *client, uint8_t type, const uint8_t *payload, size_t length);
/* Seals a frame and keeps it back, for a datagram client. Returns its length. */
size_t client_seal(struct client *client, uint8_t *record, uint8_t type, const uint8_t *payload, size_t length);
/* The next frame within 10 s; false when the server has closed. */
bool client_receive(struct client *client, uint8_t *type, uint8_t *payload, size_t *length);
/* One frame if there is one at once. */
bool client_poll(struct client *client, uint8_t *type, uint8_t *payload, size_t *length);

/* An ICMP echo request from `source`; IPv4 in host order. Returns its length. */
size_t echo_request(uint8_t *into, uint32_t source, uint32_t destination, uint16_t sequence, size_t data);
size_t echo_request_v6(uint8_t *into, const char *source, const char *destination, uint16_t sequence);

#endif
