#include "worker-client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "checksum.h"
#include "cstp.h"

/* What a client needs of libssl beyond openssl-api.h. */
const SSL_METHOD *TLS_client_method(void);
const SSL_METHOD *DTLS_client_method(void);
void SSL_set_connect_state(SSL *s);
int SSL_set_fd(SSL *s, int fd);
BIO *BIO_new_dgram(int fd, int close_flag);
long BIO_ctrl(BIO *bp, int cmd, long larg, void *parg);
void SSL_CTX_set_psk_client_callback(SSL_CTX *ctx, unsigned int (*cb)(SSL *ssl, const char *hint, char *identity,
                                                                      unsigned int max_identity_len, unsigned char *psk,
                                                                      unsigned int max_psk_len));
#define BIO_CTRL_DGRAM_SET_CONNECTED 32

static SSL_CTX *tls_client, *tls_server, *dtls_client, *dtls_server;

void fail(const char *file, int line, const char *condition) {
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
  _exit(1);
}

void pause_ms(int ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

static unsigned client_key(SSL *ssl, const char *hint, char *identity, unsigned room, unsigned char *key, unsigned key_room) {
  (void)ssl, (void)hint, (void)key_room;
  snprintf(identity, room, "client");
  memset(key, 7, 32);
  return 32;
}

static unsigned server_key(SSL *ssl, const char *identity, unsigned char *key, unsigned room) {
  (void)ssl, (void)identity, (void)room;
  memset(key, 7, 32);
  return 32;
}

void clients_start(void) {
  CHECK(wire_start());
  tls_client = SSL_CTX_new(TLS_client_method());
  tls_server = SSL_CTX_new(TLS_server_method());
  dtls_client = SSL_CTX_new(DTLS_client_method());
  dtls_server = SSL_CTX_new(DTLS_server_method());
  SSL_CTX_set_psk_client_callback(tls_client, client_key);
  SSL_CTX_set_psk_client_callback(dtls_client, client_key);
  SSL_CTX_set_psk_server_callback(tls_server, server_key);
  SSL_CTX_set_psk_server_callback(dtls_server, server_key);
  SSL_CTX_set_num_tickets(tls_server, 0);
  CHECK(SSL_CTX_set_ciphersuites(tls_client, "TLS_AES_128_GCM_SHA256") == 1);
  CHECK(SSL_CTX_set_cipher_list(dtls_client, "PSK-AES128-GCM-SHA256") == 1);
  CHECK(SSL_CTX_set_cipher_list(dtls_server, "PSK-AES128-GCM-SHA256") == 1);
}

static bool emit_now(void *owner, const uint8_t *bytes, size_t length) {
  return send(*(int *)owner, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* Plays the front: handshake on both ends, until both are done. */
static void handshake(SSL *client, SSL *server, struct wire *wire, int fd) {
  static uint8_t received[65536];
  SSL_set_connect_state(client);
  SSL_set_accept_state(server);
  wire->emit = emit_now;
  wire->owner = &fd;
  for (int round = 0; !SSL_is_init_finished(client) || !SSL_is_init_finished(server); round++) {
    CHECK(round < 5000);
    SSL_do_handshake(client);
    ssize_t length = recv(fd, received, sizeof received, MSG_DONTWAIT);
    if (length > 0) {
      wire->in = received;
      wire->in_left = (size_t)length;
      SSL_do_handshake(server);
    } else {
      pause_ms(1);
    }
    ERR_clear_error();
  }
}

static struct client *connect_pair(SSL_CTX *client_context, SSL_CTX *server_context, int fds[2], bool is_datagram,
                                   SSL **server, struct wire **wire) {
  struct client *client = calloc(1, sizeof *client);
  client->fd = fds[0];
  client->is_datagram = is_datagram;
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  client->ssl = SSL_new(client_context);
  *server = SSL_new(server_context);
  *wire = calloc(1, sizeof **wire);
  (*wire)->is_datagram = is_datagram;
  BIO *bio = wire_bio(*wire);
  SSL_set_bio(*server, bio, bio);
  if (is_datagram) {
    union {
      struct sockaddr_in address;
      char room[128];
    } peer;
    socklen_t size = sizeof peer;
    BIO *datagrams = BIO_new_dgram(fds[0], 0);
    getpeername(fds[0], (struct sockaddr *)&peer, &size);
    BIO_ctrl(datagrams, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &peer);
    SSL_set_bio(client->ssl, datagrams, datagrams);
  } else {
    SSL_set_fd(client->ssl, fds[0]);
  }
  handshake(client->ssl, *server, *wire, fds[1]);
  return client;
}

struct client *client_connect_tls(uint32_t session, const uint8_t *unread, size_t unread_length) {
  int fds[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  struct tls_handover handover = {.session = session, .fd = fds[1]};
  struct client *client = connect_pair(tls_client, tls_server, fds, false, &handover.ssl, &handover.wire);
  if (unread != NULL) {
    handover.unread = malloc(unread_length);
    memcpy(handover.unread, unread, unread_length);
    handover.unread_length = unread_length;
  }
  worker_attach_tls(0, &handover);
  return client;
}

struct client *client_connect_dtls(uint32_t session) {
  int fds[2];
  struct sockaddr_in addresses[2];
  for (int end = 0; end < 2; end++) {
    socklen_t size = sizeof addresses[end];
    addresses[end] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    fds[end] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fds[end], (struct sockaddr *)&addresses[end], sizeof addresses[end]) == 0);
    getsockname(fds[end], (struct sockaddr *)&addresses[end], &size);
  }
  for (int end = 0; end < 2; end++)
    CHECK(connect(fds[end], (struct sockaddr *)&addresses[1 - end], sizeof addresses[0]) == 0);
  struct dtls_handover handover = {.session = session, .fd = fds[1]};
  struct client *client = connect_pair(dtls_client, dtls_server, fds, true, &handover.ssl, &handover.wire);
  worker_attach_dtls(0, &handover);
  return client;
}

void client_free(struct client *client) {
  SSL_free(client->ssl);
  close(client->fd);
  free(client);
}

bool client_write(struct client *client, const uint8_t *bytes, size_t length) {
  while (SSL_write(client->ssl, bytes, (int)length) <= 0) {
    struct pollfd wait = {.fd = client->fd, .events = POLLOUT};
    ERR_clear_error();
    CHECK(poll(&wait, 1, 10000) == 1);
    if ((wait.revents & (POLLHUP | POLLERR)) != 0) return false;
  }
  return true;
}

bool client_send(struct client *client, uint8_t type, const uint8_t *payload, size_t length) {
  static _Thread_local uint8_t frame[CSTP_HEADER_BYTES + 65536];
  size_t header = client->is_datagram ? 1 : CSTP_HEADER_BYTES;
  if (client->is_datagram) frame[0] = type;
  else cstp_write_header(frame, type, length);
  if (length > 0) memcpy(frame + header, payload, length);
  return client_write(client, frame, header + length);
}

size_t client_seal(struct client *client, uint8_t *record, uint8_t type, const uint8_t *payload, size_t length) {
  int fds[2], kept = dup(client->fd);
  CHECK(kept >= 0 && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds) == 0);
  /* libssl writes to the same number, which is another socket for a moment. */
  dup2(fds[1], client->fd);
  client_send(client, type, payload, length);
  ssize_t sealed = recv(fds[0], record, 2048, 0);
  CHECK(sealed > 0);
  dup2(kept, client->fd);
  close(kept), close(fds[0]), close(fds[1]);
  return (size_t)sealed;
}

static bool take_frame(struct client *client, uint8_t *type, uint8_t *payload, size_t *length) {
  struct cstp_frame frame;
  enum cstp_outcome outcome = cstp_read(client->in, client->in_length, &frame);
  CHECK(outcome != CSTP_MALFORMED);
  if (outcome == CSTP_SHORT) return false;
  *type = frame.type;
  *length = frame.length;
  memcpy(payload, frame.payload, frame.length);
  client->in_length -= CSTP_HEADER_BYTES + frame.length;
  memmove(client->in, frame.payload + frame.length, client->in_length);
  return true;
}

/* -1: nothing now, 0: closed. */
static int read_more(struct client *client) {
  int length = SSL_read(client->ssl, client->in + client->in_length, (int)(sizeof client->in - client->in_length));
  if (length > 0) {
    client->in_length += (size_t)length;
    return 1;
  }
  int error = SSL_get_error(client->ssl, length);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_READ || (client->is_datagram && error == SSL_ERROR_SYSCALL) ? -1 : 0;
}

static int next_frame(struct client *client, uint8_t *type, uint8_t *payload, size_t *length) {
  for (;;) {
    if (!client->is_datagram && take_frame(client, type, payload, length)) return 1;
    int outcome = read_more(client);
    if (outcome <= 0) return outcome;
    if (!client->is_datagram) continue;
    *type = client->in[0];
    *length = client->in_length - 1;
    memcpy(payload, client->in + 1, *length);
    client->in_length = 0;
    return 1;
  }
}

bool client_poll(struct client *client, uint8_t *type, uint8_t *payload, size_t *length) {
  return next_frame(client, type, payload, length) == 1;
}

bool client_receive(struct client *client, uint8_t *type, uint8_t *payload, size_t *length) {
  for (;;) {
    int outcome = next_frame(client, type, payload, length);
    if (outcome >= 0) return outcome == 1;
    struct pollfd wait = {.fd = client->fd, .events = POLLIN};
    CHECK(poll(&wait, 1, 10000) == 1);
  }
}

size_t echo_request(uint8_t *into, uint32_t source, uint32_t destination, uint16_t sequence, size_t data) {
  size_t length = 28 + data;
  memset(into, 0x5a, length);
  memset(into, 0, 28);
  into[0] = 0x45;
  into[2] = (uint8_t)(length >> 8), into[3] = (uint8_t)length;
  into[8] = 64, into[9] = 1;
  source = htonl(source), destination = htonl(destination);
  memcpy(into + 12, &source, 4);
  memcpy(into + 16, &destination, 4);
  checksum_store(into + 10, checksum_add(into, 20, 0));
  into[20] = 8;
  into[25] = 9;
  into[26] = (uint8_t)(sequence >> 8), into[27] = (uint8_t)sequence;
  checksum_store(into + 22, checksum_add(into + 20, length - 20, 0));
  return length;
}

size_t echo_request_v6(uint8_t *into, const char *source, const char *destination, uint16_t sequence) {
  memset(into, 0, 56);
  into[0] = 0x60;
  into[5] = 16, into[6] = 58, into[7] = 64;
  inet_pton(AF_INET6, source, into + 8);
  inet_pton(AF_INET6, destination, into + 24);
  into[40] = 128;
  into[46] = (uint8_t)(sequence >> 8), into[47] = (uint8_t)sequence;
  uint64_t sum = checksum_pseudo(6, into + 8, into + 24, 58, 16);
  checksum_store(into + 42, checksum_add(into + 40, 16, sum));
  return 56;
}
