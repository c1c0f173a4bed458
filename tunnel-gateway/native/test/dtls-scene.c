#include "dtls-scene.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "events.h"

/* --- what stands for the others --- */
struct dtls_handover handed;
unsigned handed_worker, handed_count;
char told[512];
unsigned told_count;

struct event *event_new(enum event_kind kind, uint32_t id, size_t length) {
  struct event *event = calloc(1, sizeof *event + length);
  event->kind = kind;
  event->id = id;
  return event;
}

void events_emit(struct event *event) {
  CHECK(event->kind == EVENT_HANDSHAKE_FAILED);
  snprintf(told, sizeof told, "%s", event->text);
  told_count++;
  free(event);
}

static void drop_handed(void) {
  if (handed.ssl == NULL) return;
  SSL_free(handed.ssl);
  free(handed.wire);
  close(handed.fd);
  memset(&handed, 0, sizeof handed);
}

void worker_attach_dtls(unsigned worker, const struct dtls_handover *handover) {
  drop_handed();
  handed = *handover;
  handed_worker = worker;
  handed_count++;
}

/* Sockets of clients that lie in a handshake: kept, or the kernel would give their ports to others. */
static int lying[DTLS_HANDSHAKES_AT_MOST + 16];
static unsigned lying_count;

void (*before_connect)(void);

/* In the place of libc's. */
int connect(int fd, const struct sockaddr *address, socklen_t length) {
  void (*run)(void) = before_connect;
  before_connect = NULL;
  if (run != NULL) run();
  return (int)syscall(SYS_connect, fd, address, length);
}

/* --- the front thread's loop --- */
struct dtls_front *front;
static int epoll_fd;
static uint64_t now_ms;
uint64_t counters[DTLS_COUNTERS];

void open_front(bool is_wildcard) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
  char fault[256] = "";
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  front = dtls_front_open(is_wildcard ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, is_wildcard ? sizeof v6 : sizeof v4, epoll_fd,
                          fault, sizeof fault);
  if (front == NULL) fprintf(stderr, "%s\n", fault);
  CHECK(front != NULL);
  now_ms = 1000000;
  dtls_front_tick(front, now_ms);
  handed_count = told_count = 0;
  told[0] = '\0';
}

void close_front(void) {
  dtls_front_close(front);
  close(epoll_fd);
  drop_handed();
  while (lying_count > 0) close(lying[--lying_count]);
}

void serve(void) {
  struct epoll_event events[64];
  int count = epoll_wait(epoll_fd, events, 64, 0);
  for (int i = 0; i < count; i++) {
    struct pollable *pollable = events[i].data.ptr;
    pollable->ready(pollable, events[i].events);
  }
  dtls_front_tick(front, now_ms);
  dtls_front_counters(front, counters);
}

void pass_ms(uint64_t ms) {
  now_ms += ms;
  dtls_front_tick(front, now_ms);
  dtls_front_counters(front, counters);
}

int shake(struct client *client) {
  int outcome = 0;
  for (int i = 0; i < 20 && outcome == 0; i++) {
    outcome = client_step(client);
    serve();
  }
  for (int i = 0; i < 4; i++) serve();
  return outcome;
}

struct dtls_offer make_offer(uint32_t session, enum dtls_offer_kind kind, const char *cipher) {
  struct dtls_offer offer = {.session = session, .worker = session % 7, .kind = kind};
  CHECK(RAND_bytes(offer.id, sizeof offer.id) == 1);
  CHECK(RAND_bytes(offer.key.master_secret, sizeof offer.key.master_secret) == 1);
  if (cipher != NULL) CHECK(dtls_offer_cipher(cipher, offer.cipher));
  return offer;
}

struct client *connect_as(const struct dtls_offer *offer) {
  return client_open(&(struct client_options){.offer = offer, .port = dtls_front_port(front)});
}

static void hear_at_worker(const char *text) {
  uint8_t datagram[2048];
  char heard[2048];
  struct pollfd wait = {.fd = handed.fd, .events = POLLIN};
  CHECK(poll(&wait, 1, 5000) == 1);
  size_t length = udp_take(handed.fd, datagram);
  handed.wire->in = datagram;
  handed.wire->in_left = length;
  CHECK(SSL_read(handed.ssl, heard, sizeof heard) == (int)strlen(text) && memcmp(heard, text, strlen(text)) == 0);
}

static bool send_at_worker(void *owner, const uint8_t *bytes, size_t length) {
  (void)owner;
  CHECK(send(handed.fd, bytes, length, 0) == (ssize_t)length);
  return true;
}

void check_transport(struct client *client, const struct dtls_offer *offer, const char *cipher) {
  CHECK(handed_count == 1 && handed.session == offer->session && handed_worker == offer->worker);
  CHECK(handed.wire->emit == NULL && handed.wire->owner == NULL && handed.wire->in_left == 0);
  CHECK(strcmp(SSL_CIPHER_get_name(SSL_get_current_cipher(handed.ssl)), cipher) == 0);
  handed.wire->emit = send_at_worker;
  client_say(client, "up");
  hear_at_worker("up");
  CHECK(SSL_write(handed.ssl, "down", 4) == 4);
  CHECK(client_hears(client, "down"));
  CHECK(counters[DTLS_COMPLETED] == 1 && counters[DTLS_FAILED] == 0);
}

void fetch_cookie(struct client *client) {
  CHECK(client_step(client) == 0);
  serve();
  client->is_mute = true;
  CHECK(client_step(client) == 0);
  CHECK(client->sent == 2);
}

void begin_raw(const struct dtls_offer *offer) {
  uint8_t hello[512], answer[2048];
  int fd = udp_connect("127.0.0.1", dtls_front_port(front), NULL);
  lying[lying_count++] = fd;
  CHECK(send(fd, hello, raw_hello(hello, offer->id, NULL, 0), 0) > 0);
  serve();
  CHECK(udp_take(fd, answer) == HELLO_VERIFY_BYTES);
  CHECK(send(fd, hello, raw_hello(hello, offer->id, answer + 28, DTLS_COOKIE_BYTES), 0) > 0);
  serve();
}

void run_tests(const struct test *tests, size_t count) {
  CHECK(wire_start());
  printf("%s\n", OpenSSL_version(0));
  for (size_t i = 0; i < count; i++) {
    printf("%s\n", tests[i].name);
    fflush(stdout);
    open_front(tests[i].is_wildcard);
    tests[i].run();
    close_front();
  }
  printf("all %zu hold\n", count);
  fflush(stdout);
}
