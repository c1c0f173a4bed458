#include "dtls-client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a client needs of libssl beyond openssl-api.h. */
const SSL_METHOD *DTLS_client_method(void);
void SSL_set_connect_state(SSL *s);
void SSL_CTX_set_psk_client_callback(SSL_CTX *ctx, unsigned int (*cb)(SSL *ssl, const char *hint, char *identity,
                                                                      unsigned int max_identity_len, unsigned char *psk,
                                                                      unsigned int max_psk_len));
int SSL_CTX_add_client_custom_ext(SSL_CTX *ctx, unsigned int ext_type,
                                  int (*add_cb)(SSL *s, unsigned int ext_type, const unsigned char **out, size_t *outlen,
                                                int *al, void *add_arg),
                                  void (*free_cb)(SSL *s, unsigned int ext_type, const unsigned char *out, void *add_arg),
                                  void *add_arg,
                                  int (*parse_cb)(SSL *s, unsigned int ext_type, const unsigned char *in, size_t inlen,
                                                  int *al, void *parse_arg),
                                  void *parse_arg);

void fail(const char *file, int line, const char *condition) {
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
  abort();
}

static int client_index = -1;

static bool emit(void *owner, const uint8_t *bytes, size_t length) {
  struct client *client = owner;
  CHECK(length <= sizeof client->kept[0].bytes);
  unsigned at = client->sent++ % DATAGRAMS_KEPT;
  memcpy(client->kept[at].bytes, bytes, length);
  client->kept[at].length = length;
  if (!client->is_mute) CHECK(send(client->fd, bytes, length, 0) == (ssize_t)length);
  return true;
}

static unsigned int give_psk(SSL *ssl, const char *hint, char *identity, unsigned room, unsigned char *psk, unsigned max) {
  (void)hint;
  const struct client *client = SSL_get_ex_data(ssl, client_index);
  CHECK(max >= DTLS_PSK_BYTES);
  snprintf(identity, room, "psk");
  memcpy(psk, client->offer->key.psk, DTLS_PSK_BYTES);
  return DTLS_PSK_BYTES;
}

static int add_app_id(SSL *ssl, unsigned int type, const unsigned char **out, size_t *length, int *alert, void *argument) {
  (void)type, (void)alert, (void)argument;
  static uint8_t extension[1 + DTLS_ID_BYTES];
  const struct client *client = SSL_get_ex_data(ssl, client_index);
  extension[0] = DTLS_ID_BYTES;
  memcpy(extension + 1, client->offer->id, DTLS_ID_BYTES);
  *out = extension;
  *length = sizeof extension;
  return 1;
}

/* As openconnect: a session that never was, of the id it was told. For PSK its key is of no use to anybody. */
static void pretend_session(struct client *client, int version) {
  static const uint8_t rsa_aes128[2] = {0x00, 0x2f};
  const struct dtls_offer *offer = client->offer;
  bool is_resumption = offer->kind == DTLS_OFFER_RESUMPTION;
  uint8_t key[DTLS_MASTER_SECRET_BYTES];
  memset(key, 0x5a, sizeof key);
  if (is_resumption) memcpy(key, offer->key.master_secret, sizeof key);
  SSL_SESSION *session = SSL_SESSION_new();
  CHECK(session != NULL && SSL_SESSION_set_protocol_version(session, version) == 1);
  CHECK(SSL_SESSION_set_cipher(session, SSL_CIPHER_find(client->ssl, is_resumption ? offer->cipher : rsa_aes128)) == 1);
  CHECK(SSL_SESSION_set1_id(session, offer->id, DTLS_ID_BYTES) == 1);
  CHECK(SSL_SESSION_set1_master_key(session, key, sizeof key) == 1);
  CHECK(SSL_set_session(client->ssl, session) == 1);
  SSL_SESSION_free(session);
}

static const char *suites_of(const struct dtls_offer *offer) {
  if (offer->kind == DTLS_OFFER_PSK) return "PSK";
  return "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-GCM-SHA256";
}

int udp_connect(const char *address, uint16_t port, const char *own_text) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
  CHECK(is_v4 || inet_pton(AF_INET6, address, &v6.sin6_addr) == 1);
  int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  struct sockaddr_in own = {.sin_family = AF_INET};
  if (own_text != NULL)
    CHECK(inet_pton(AF_INET, own_text, &own.sin_addr) == 1 && bind(fd, (struct sockaddr *)&own, sizeof own) == 0);
  const void *to = is_v4 ? (const void *)&v4 : &v6;
  CHECK(connect(fd, to, is_v4 ? sizeof v4 : sizeof v6) == 0);
  return fd;
}

struct client *client_open(const struct client_options *options) {
  if (client_index < 0) client_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, NULL, NULL, NULL);
  struct client *client = calloc(1, sizeof *client);
  client->offer = options->offer;
  client->context = SSL_CTX_new(DTLS_client_method());
  SSL_CTX_set_psk_client_callback(client->context, give_psk);
  SSL_CTX_set_verify(client->context, SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_security_level(client->context, 0); /* or newer versions forget a session of DTLS 1.0 */
  SSL_CTX_set_options(client->context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET |
                                           (options->has_extended_master_secret ? 0 : SSL_OP_NO_EXTENDED_MASTER_SECRET));
  CHECK(SSL_CTX_set_cipher_list(client->context, options->suites == NULL ? suites_of(options->offer) : options->suites) == 1);
  if (options->place == ID_IN_EXTENSION)
    CHECK(SSL_CTX_add_client_custom_ext(client->context, 48018, add_app_id, NULL, NULL, NULL, NULL) == 1);
  client->fd = udp_connect(options->server_text == NULL ? "127.0.0.1" : options->server_text, options->port, options->own_text);
  client->wire = (struct wire){.is_datagram = true, .emit = emit, .owner = client};
  client->ssl = SSL_new(client->context);
  SSL_set_ex_data(client->ssl, client_index, client);
  SSL_ctrl(client->ssl, SSL_CTRL_SET_MTU, 1200, NULL);
  BIO *bio = wire_bio(&client->wire);
  SSL_set_bio(client->ssl, bio, bio);
  SSL_set_connect_state(client->ssl);
  if (options->place == ID_AS_SESSION_ID)
    pretend_session(client, options->offer->kind == DTLS_OFFER_PSK ? DTLS1_VERSION : DTLS1_2_VERSION);
  return client;
}

void client_free(struct client *client) {
  SSL_free(client->ssl);
  SSL_CTX_free(client->context);
  close(client->fd);
  free(client);
}

size_t udp_take(int fd, uint8_t into[2048]) {
  ssize_t length = recv(fd, into, 2048, MSG_DONTWAIT);
  return length > 0 ? (size_t)length : 0;
}

static int step(struct client *client) {
  ERR_clear_error();
  int outcome = SSL_do_handshake(client->ssl);
  if (outcome == 1) return 1;
  return SSL_get_error(client->ssl, outcome) == SSL_ERROR_WANT_READ ? 0 : -1;
}

int client_step(struct client *client) {
  uint8_t datagram[2048];
  int outcome = step(client);
  for (size_t length; outcome == 0 && (length = udp_take(client->fd, datagram)) > 0;) {
    client->received++;
    if (client->is_deaf) continue;
    client->wire.in = datagram;
    client->wire.in_left = length;
    outcome = step(client);
  }
  client->wire.in_left = 0;
  return outcome;
}

void client_say(struct client *client, const char *text) {
  CHECK(SSL_write(client->ssl, text, (int)strlen(text)) == (int)strlen(text));
}

bool client_hears(struct client *client, const char *text) {
  uint8_t datagram[2048];
  char heard[2048];
  for (size_t length; (length = udp_take(client->fd, datagram)) > 0;) {
    client->wire.in = datagram;
    client->wire.in_left = length;
    int count = SSL_read(client->ssl, heard, sizeof heard);
    if (count == (int)strlen(text) && memcmp(heard, text, (size_t)count) == 0) return true;
  }
  return false;
}

size_t raw_hello(uint8_t into[512], const uint8_t id[32], const uint8_t *cookie, size_t cookie_length) {
  uint8_t *at = into + 25;
  *at++ = 0xfe, *at++ = 0xfd;
  memset(at, 0x11, 32), at += 32;
  *at++ = 32, memcpy(at, id, 32), at += 32;
  *at++ = (uint8_t)cookie_length;
  if (cookie_length > 0) memcpy(at, cookie, cookie_length), at += cookie_length;
  *at++ = 0, *at++ = 4, *at++ = 0x00, *at++ = 0xa9, *at++ = 0x00, *at++ = 0xa8;
  *at++ = 1, *at++ = 0;
  size_t body = (size_t)(at - into) - 25;
  uint8_t sequence = cookie_length > 0 ? 1 : 0;
  uint8_t head[25] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, sequence, (uint8_t)((body + 12) >> 8), (uint8_t)(body + 12),
                      1, 0, (uint8_t)(body >> 8), (uint8_t)body, 0, sequence, 0, 0, 0, 0, (uint8_t)(body >> 8), (uint8_t)body};
  memcpy(into, head, sizeof head);
  return body + 25;
}
