/*
 * dtls-client.h: a DTLS client for dtls-front.test.c, on libssl over the same BIO as the server, so that a test sees each of its
 * datagrams, may keep it, change it or lose it.
 */
#ifndef ISTHMUS_DTLS_CLIENT_H
#define ISTHMUS_DTLS_CLIENT_H

#include "dtls-offers.h"
#include "endpoint.h"
#include "openssl-api.h"
#include "wire.h"

#define CHECK(condition) \
  do { \
    if (!(condition)) fail(__FILE__, __LINE__, #condition); \
  } while (0)
_Noreturn void fail(const char *file, int line, const char *condition);

enum id_place { ID_AS_SESSION_ID, ID_IN_EXTENSION };

struct client_options {
  const struct dtls_offer *offer; /* what it was told; kind, id, key, cipher */
  enum id_place place;
  const char *suites;          /* NULL: as the offer says */
  bool has_extended_master_secret;
  const char *server_text;     /* address to connect to; NULL: 127.0.0.1 */
  const char *own_text;        /* IPv4 address to come from; NULL: what the kernel takes */
  uint16_t port;
};

#define DATAGRAMS_KEPT 16

struct client {
  SSL_CTX *context;
  SSL *ssl;
  int fd;
  struct wire wire;
  const struct dtls_offer *offer;
  bool is_deaf; /* what comes is thrown away */
  bool is_mute; /* what is sent is only kept */
  unsigned received;
  unsigned sent;
  struct {
    uint8_t bytes[2048];
    size_t length;
  } kept[DATAGRAMS_KEPT];
};

struct client *client_open(const struct client_options *options);
void client_free(struct client *client);
/* A step of the handshake: 1 done, 0 under way, -1 failed. */
int client_step(struct client *client);
/* An application record both ways. */
void client_say(struct client *client, const char *text);
bool client_hears(struct client *client, const char *text);

/* A UDP socket to the server, non-blocking. `own_text` may be NULL. */
int udp_connect(const char *address, uint16_t port, const char *own_text);
/* A ClientHello of the shape openconnect sends, without libssl. Returns its length. */
size_t raw_hello(uint8_t into[512], const uint8_t id[32], const uint8_t *cookie, size_t cookie_length);
/* One datagram that has come, or 0. */
size_t udp_take(int fd, uint8_t into[2048]);

#endif
