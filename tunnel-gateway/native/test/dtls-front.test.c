// sources: dtls-hello.c dtls-cookie.c dtls-offers.c dtls-context.c dtls-socket.c dtls-handshakes.c dtls-front.c endpoint.c wire.c ../test/dtls-client.c
// libraries: ssl crypto
/*
 * The DTLS front on loopback with clients of libssl. The packet threads and JavaScript are stood in for: what would be handed to
 * them is kept here. Time is what the test says it is.
 *
 * Built as a program on the system's libssl, with sanitizers, and as an addon to run on the node binary's own: see
 * src/packets/dtls-front.test.ts.
 */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "dtls-cookie.h"
#include "dtls-front.h"
#include "dtls-handshakes.h"
#include "events.h"
#include "worker.h"
#include "dtls-client.h"

/* --- what stands for the others --- */
static struct dtls_handover handed;
static unsigned handed_worker, handed_count;
static char told[512];
static unsigned told_count;

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

/* In the place of libc's, so that a test can come between a socket's bind and its connect. */
static void (*before_connect)(void);

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  void (*run)(void) = before_connect;
  before_connect = NULL;
  if (run != NULL) run();
  return (int)syscall(SYS_connect, fd, address, length);
}

/* --- the front thread's loop --- */
static struct dtls_front *front;
static int epoll_fd;
static uint64_t now_ms;
static uint64_t counters[DTLS_COUNTERS];

static void open_front(const char *address) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
  bool is_v6 = strcmp(address, "::") == 0;
  char fault[256] = "";
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  front = dtls_front_open(is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, is_v6 ? sizeof v6 : sizeof v4, epoll_fd,
                          fault, sizeof fault);
  if (front == NULL) fprintf(stderr, "%s\n", fault);
  CHECK(front != NULL);
  now_ms = 1000000;
  dtls_front_tick(front, now_ms);
  handed_count = told_count = 0;
  told[0] = '\0';
}

static void close_front(void) {
  dtls_front_close(front);
  close(epoll_fd);
  drop_handed();
  while (lying_count > 0) close(lying[--lying_count]);
}

static void serve(void) {
  struct epoll_event events[64];
  int count = epoll_wait(epoll_fd, events, 64, 0);
  for (int i = 0; i < count; i++) {
    struct pollable *pollable = events[i].data.ptr;
    pollable->ready(pollable, events[i].events);
  }
  dtls_front_tick(front, now_ms);
  dtls_front_counters(front, counters);
}

static void pass_ms(uint64_t ms) {
  now_ms += ms;
  dtls_front_tick(front, now_ms);
  dtls_front_counters(front, counters);
}

/* Until the client is done or has failed, or nothing moves any more. */
static int shake(struct client *client) {
  int outcome = 0;
  for (int i = 0; i < 20 && outcome == 0; i++) {
    outcome = client_step(client);
    serve();
  }
  for (int i = 0; i < 4; i++) serve();
  return outcome;
}

static struct dtls_offer make_offer(uint32_t session, enum dtls_offer_kind kind, const char *cipher) {
  struct dtls_offer offer = {.session = session, .worker = session % 7, .kind = kind};
  CHECK(RAND_bytes(offer.id, sizeof offer.id) == 1);
  CHECK(RAND_bytes(offer.key.master_secret, sizeof offer.key.master_secret) == 1);
  if (cipher != NULL) CHECK(dtls_offer_cipher(cipher, offer.cipher));
  return offer;
}

static struct client *connect_as(const struct dtls_offer *offer) {
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

/* The transport that was handed over works, for this client. */
static void check_transport(struct client *client, const struct dtls_offer *offer, const char *cipher) {
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

/* --- what is tested --- */
static void a_key_is_found_by_session_id(void) {
  struct dtls_offer offer = make_offer(11, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = connect_as(&offer);
  CHECK(shake(client) == 1);
  CHECK(SSL_session_reused(client->ssl) == 0);
  unsigned length = 1;
  SSL_SESSION_get_id(SSL_get_session(client->ssl), &length);
  CHECK(length == 0); /* GnuTLS would take an echo for a resumption */
  check_transport(client, &offer, "PSK-AES256-GCM-SHA384");
  CHECK(counters[DTLS_VERIFIES] == 1);
  client_free(client);
}

static void a_key_is_found_by_extension(void) {
  struct dtls_offer offer = make_offer(12, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = client_open(&(struct client_options){.offer = &offer,
                                                               .place = ID_IN_EXTENSION,
                                                               .has_extended_master_secret = true,
                                                               .port = dtls_front_port(front)});
  CHECK(shake(client) == 1);
  check_transport(client, &offer, "PSK-AES256-GCM-SHA384");
  client_free(client);
}

static void every_psk_suite(void) {
  const char *suites[] = {"PSK-AES256-GCM-SHA384", "PSK-AES128-GCM-SHA256", "PSK-CHACHA20-POLY1305"};
  for (int i = 0; i < 3; i++) {
    struct dtls_offer offer = make_offer(20, DTLS_OFFER_PSK, NULL);
    CHECK(dtls_front_offer(front, &offer));
    struct client *client = client_open(
        &(struct client_options){.offer = &offer, .suites = suites[i], .port = dtls_front_port(front)});
    CHECK(shake(client) == 1);
    CHECK(strcmp(SSL_CIPHER_get_name(SSL_get_current_cipher(handed.ssl)), suites[i]) == 0);
    client_free(client);
  }
}

static void chacha_is_taken_where_the_client_prefers_it(void) {
  struct dtls_offer offer = make_offer(21, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = client_open(&(struct client_options){.offer = &offer,
                                                               .suites = "PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256",
                                                               .port = dtls_front_port(front)});
  CHECK(shake(client) == 1);
  check_transport(client, &offer, "PSK-CHACHA20-POLY1305");
  client_free(client);
}

static void every_resumption(bool has_extended_master_secret) {
  const char *ciphers[] = {"AES256-GCM-SHA384", "AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
                           "ECDHE-RSA-AES128-GCM-SHA256"};
  for (int i = 0; i < 4; i++) {
    struct dtls_offer offer = make_offer(30 + (uint32_t)i, DTLS_OFFER_RESUMPTION, ciphers[i]);
    CHECK(dtls_front_offer(front, &offer));
    struct client *client = client_open(&(struct client_options){.offer = &offer,
                                                                 .has_extended_master_secret = has_extended_master_secret,
                                                                 .port = dtls_front_port(front)});
    CHECK(shake(client) == 1);
    CHECK(SSL_session_reused(client->ssl) == 1);
    handed_count = 1;
    counters[DTLS_COMPLETED] = 1;
    check_transport(client, &offer, ciphers[i]);
    client_free(client);
  }
}

static void a_session_is_resumed(void) { every_resumption(false); }
static void a_session_is_resumed_without_the_extended_secret_that_is_offered(void) { every_resumption(true); }

static void a_wrong_key_comes_to_nothing(void) {
  for (int kind = DTLS_OFFER_PSK; kind <= DTLS_OFFER_RESUMPTION; kind++) {
    struct dtls_offer offer = make_offer(40, (enum dtls_offer_kind)kind, "AES256-GCM-SHA384");
    CHECK(dtls_front_offer(front, &offer));
    struct dtls_offer wrong = offer;
    wrong.key.psk[0] ^= 1;
    struct client *client = connect_as(&wrong);
    CHECK(shake(client) != 1);
    pass_ms(DTLS_HANDSHAKE_MS);
    CHECK(handed_count == 0);
    CHECK(counters[DTLS_FAILED] == (uint64_t)kind);
    client_free(client);
  }
}

static void a_kind_that_was_not_offered_comes_to_nothing(void) {
  struct dtls_offer psk = make_offer(41, DTLS_OFFER_PSK, NULL);
  struct dtls_offer resumption = make_offer(42, DTLS_OFFER_RESUMPTION, "AES256-GCM-SHA384");
  CHECK(dtls_front_offer(front, &psk) && dtls_front_offer(front, &resumption));
  const struct {
    const struct dtls_offer *offer;
    const char *suites;
  } tries[] = {
      /* a full handshake with a certificate, for either */
      {&psk, "AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"},
      {&resumption, "AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"},
      {&resumption, "PSK"},
      {&psk, "PSK-AES128-CBC-SHA"},
  };
  for (unsigned i = 0; i < sizeof tries / sizeof tries[0]; i++) {
    /* In the extension: the session id would make libssl's client resume. */
    struct client *client = client_open(&(struct client_options){.offer = tries[i].offer,
                                                                 .place = ID_IN_EXTENSION,
                                                                 .suites = tries[i].suites,
                                                                 .port = dtls_front_port(front)});
    CHECK(shake(client) == -1);
    CHECK(handed_count == 0 && told_count == i + 1);
    CHECK(strcmp(told, "127.0.0.1\ndtls-no-suite") == 0);
    client_free(client);
  }
}

static void a_stranger_is_not_answered(void) {
  struct dtls_offer offer = make_offer(50, DTLS_OFFER_PSK, NULL), unknown = make_offer(51, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = connect_as(&unknown);
  CHECK(shake(client) == 0);
  CHECK(client->received == 0 && counters[DTLS_UNKNOWN] == 1 && counters[DTLS_STARTED] == 0);
  client_free(client);
}

static void a_hello_without_cookie_leaves_nothing_behind(void) {
  struct dtls_offer offer = make_offer(52, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = connect_as(&offer);
  client->is_deaf = true;
  CHECK(shake(client) == 0);
  CHECK(client->received == 1 && counters[DTLS_VERIFIES] == 1 && counters[DTLS_STARTED] == 0);
  client_free(client);
}

/* The hello with its good cookie, not sent. */
static void fetch_cookie(struct client *client) {
  CHECK(client_step(client) == 0);
  serve();
  client->is_mute = true;
  CHECK(client_step(client) == 0);
  CHECK(client->sent == 2);
}

static void a_cookie_of_another_address_is_bad(void) {
  struct dtls_offer offer = make_offer(53, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = connect_as(&offer);
  fetch_cookie(client);
  int other = udp_connect("127.0.0.1", dtls_front_port(front));
  CHECK(send(other, client->kept[1].bytes, client->kept[1].length, 0) > 0);
  serve();
  CHECK(counters[DTLS_BAD_COOKIES] == 1 && counters[DTLS_STARTED] == 0);
  /* In the offers' own place: the hello's random is covered too. */
  client->kept[1].bytes[30] ^= 1;
  CHECK(send(client->fd, client->kept[1].bytes, client->kept[1].length, 0) > 0);
  serve();
  CHECK(counters[DTLS_BAD_COOKIES] == 2 && counters[DTLS_STARTED] == 0);
  close(other);
  client_free(client);
}

static void a_cookie_grows_old(void) {
  struct dtls_offer offer = make_offer(54, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  for (int periods = 1; periods <= 2; periods++) {
    struct client *client = connect_as(&offer);
    fetch_cookie(client);
    for (int i = 0; i < periods; i++) pass_ms(COOKIE_PERIOD_MS);
    CHECK(send(client->fd, client->kept[1].bytes, client->kept[1].length, 0) > 0);
    serve();
    CHECK(counters[DTLS_STARTED] == 1 && counters[DTLS_BAD_COOKIES] == (uint64_t)periods - 1);
    client_free(client);
  }
}

static void a_repeated_hello_starts_nothing_twice(void) {
  struct dtls_offer offer = make_offer(55, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = connect_as(&offer);
  fetch_cookie(client);
  for (int i = 0; i < 3; i++) CHECK(send(client->fd, client->kept[1].bytes, client->kept[1].length, 0) > 0);
  serve();
  CHECK(counters[DTLS_STARTED] == 1 && counters[DTLS_REPEATED] == 2);
  client->is_mute = false;
  CHECK(shake(client) == 1);
  check_transport(client, &offer, "PSK-AES256-GCM-SHA384");
  client_free(client);
}

static void cut_and_split_hellos_are_dropped(void) {
  struct dtls_offer offer = make_offer(56, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  uint8_t hello[512], copy[512];
  size_t length = raw_hello(hello, offer.id, NULL, 0);
  int fd = udp_connect("127.0.0.1", dtls_front_port(front));
  for (size_t cut = 0; cut < length; cut++) {
    CHECK(send(fd, hello, cut, 0) == (ssize_t)cut);
    serve();
    CHECK(counters[DTLS_MALFORMED] == cut + 1);
  }
  uint64_t malformed = counters[DTLS_MALFORMED];
  const struct {
    size_t at;
    uint8_t value;
  } changes[] = {{0, 23}, {1, 1},    {4, 1},   {13, 2}, {16, (uint8_t)(hello[16] + 1)}, {21, 1}, {24, (uint8_t)(hello[24] - 1)},
                 {26, 0xff}, {59, 33}};
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    memcpy(copy, hello, length);
    copy[changes[i].at] = changes[i].value;
    CHECK(send(fd, copy, length, 0) > 0);
    serve();
    CHECK(counters[DTLS_MALFORMED] == ++malformed);
  }
  memcpy(copy, hello, length);
  memset(copy + 27, 0, 32); /* the random */
  CHECK(send(fd, copy, length, 0) > 0);
  serve();
  CHECK(counters[DTLS_MALFORMED] == ++malformed && counters[DTLS_VERIFIES] == 0);
  uint8_t large[DTLS_DATAGRAM_AT_MOST + 1] = {0};
  memcpy(large, hello, length);
  CHECK(send(fd, large, sizeof large, 0) > 0);
  serve();
  CHECK(counters[DTLS_VERIFIES] == 0);
  CHECK(send(fd, hello, length, 0) > 0);
  serve();
  CHECK(counters[DTLS_VERIFIES] == 1);
  uint8_t answer[2048];
  size_t answered = udp_take(fd, answer);
  CHECK(answered == HELLO_VERIFY_BYTES && answered < length);
  close(fd);
}

/* Goes on to the handshake and lies there. */
static void begin_raw(const struct dtls_offer *offer) {
  uint8_t hello[512], answer[2048];
  int fd = udp_connect("127.0.0.1", dtls_front_port(front));
  lying[lying_count++] = fd;
  CHECK(send(fd, hello, raw_hello(hello, offer->id, NULL, 0), 0) > 0);
  serve();
  CHECK(udp_take(fd, answer) == HELLO_VERIFY_BYTES);
  CHECK(send(fd, hello, raw_hello(hello, offer->id, answer + 28, DTLS_COOKIE_BYTES), 0) > 0);
  serve();
}

static void a_session_begins_few_handshakes_at_once(void) {
  struct dtls_offer offer = make_offer(57, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  for (int i = 0; i < DTLS_HANDSHAKES_PER_SESSION; i++) begin_raw(&offer);
  CHECK(counters[DTLS_STARTED] == DTLS_HANDSHAKES_PER_SESSION && told_count == 0);
  begin_raw(&offer);
  CHECK(counters[DTLS_STARTED] == DTLS_HANDSHAKES_PER_SESSION + 1 && counters[DTLS_FAILED] == 1);
  CHECK(strcmp(told, "127.0.0.1\ndtls-replaced") == 0);
  /* The true client is served all the same. */
  struct client *client = connect_as(&offer);
  CHECK(shake(client) == 1 && handed_count == 1);
  client_free(client);
}

static void all_sessions_begin_no_more_than_there_is_room_for(void) {
  struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
  setrlimit(RLIMIT_NOFILE, &files);
  for (uint32_t i = 0; i < DTLS_HANDSHAKES_AT_MOST + 1; i++) {
    struct dtls_offer offer = make_offer(1000 + i, DTLS_OFFER_PSK, NULL);
    CHECK(dtls_front_offer(front, &offer));
    begin_raw(&offer);
  }
  CHECK(counters[DTLS_STARTED] == DTLS_HANDSHAKES_AT_MOST && counters[DTLS_LIMITED] == 1);
  pass_ms(DTLS_HANDSHAKE_MS);
  CHECK(counters[DTLS_FAILED] == DTLS_HANDSHAKES_AT_MOST);
  CHECK(told_count == DTLS_FAILURES_TOLD && strcmp(told, "127.0.0.1\ndtls-timeout") == 0);
  struct dtls_offer offer = make_offer(1000, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  begin_raw(&offer);
  CHECK(counters[DTLS_STARTED] == DTLS_HANDSHAKES_AT_MOST + 1);
}

static void so_many_hellos_a_second_are_looked_at(void) {
  uint8_t hello[512], answer[2048];
  int fd = udp_connect("127.0.0.1", dtls_front_port(front));
  uint64_t verifies = 0, limited = 0;
  /* Of one session, over and over; then of so many that all together are over. */
  for (uint32_t session = 1; verifies < DTLS_HELLOS_PER_SECOND; session++) {
    struct dtls_offer offer = make_offer(session, DTLS_OFFER_PSK, NULL);
    CHECK(dtls_front_offer(front, &offer));
    size_t length = raw_hello(hello, offer.id, NULL, 0);
    for (int i = 0; i < DTLS_HELLOS_PER_SESSION + 1; i++) CHECK(send(fd, hello, length, 0) > 0);
    serve();
    while (udp_take(fd, answer) > 0) continue;
    verifies += DTLS_HELLOS_PER_SESSION;
    limited++;
    CHECK(counters[DTLS_VERIFIES] == verifies && counters[DTLS_LIMITED] == limited);
  }
  struct dtls_offer offer = make_offer(100000, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  size_t length = raw_hello(hello, offer.id, NULL, 0);
  for (int i = 0; i < 2; i++) {
    CHECK(send(fd, hello, length, 0) > 0);
    serve();
    CHECK(counters[DTLS_VERIFIES] == verifies + (uint64_t)i && counters[DTLS_LIMITED] == limited + 1);
    pass_ms(1);
  }
  close(fd);
}

/* Between bind and connect of a client's socket, who comes to its address comes to it. */
static struct client *early;
static void come_too_early(void) { CHECK(client_step(early) == 0); }

static void who_comes_to_a_socket_not_yet_connected_is_heard(void) {
  struct dtls_offer one = make_offer(63, DTLS_OFFER_PSK, NULL), other = make_offer(64, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &one) && dtls_front_offer(front, &other));
  struct client *client = connect_as(&one);
  early = connect_as(&other);
  fetch_cookie(client);
  client->is_mute = false;
  CHECK(send(client->fd, client->kept[1].bytes, client->kept[1].length, 0) > 0);
  before_connect = come_too_early;
  serve();
  CHECK(before_connect == NULL && counters[DTLS_STARTED] == 1 && counters[DTLS_DATAGRAMS] == 2);
  serve();
  CHECK(counters[DTLS_DATAGRAMS] == 3 && counters[DTLS_VERIFIES] == 2);
  CHECK(shake(client) == 1 && handed_count == 1 && handed.session == 63);
  CHECK(shake(early) == 1 && handed_count == 2 && handed.session == 64);
  client_free(client);
  client_free(early);
}

static void an_offer_that_is_withdrawn_meanwhile_counts_no_more(void) {
  for (int i = 0; i < 2; i++) {
    struct dtls_offer offer = make_offer(59, DTLS_OFFER_RESUMPTION, "AES128-GCM-SHA256");
    struct dtls_offer other = make_offer(59, DTLS_OFFER_PSK, NULL);
    CHECK(dtls_front_offer(front, &offer));
    struct client *client = connect_as(&offer);
    CHECK(client_step(client) == 0);
    serve();
    CHECK(client_step(client) == 0);
    serve();
    if (i == 0) dtls_front_forget(front, 59);
    else CHECK(dtls_front_offer(front, &other));
    client_step(client);
    serve();
    CHECK(handed_count == 0 && told_count == (unsigned)i + 1 && strcmp(told, "127.0.0.1\ndtls-withdrawn") == 0);
    client_free(client);
  }
}

static void a_lost_flight_is_sent_again(void) {
  struct dtls_offer offer = make_offer(60, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = connect_as(&offer);
  fetch_cookie(client);
  client->is_mute = false;
  client->is_deaf = true;
  unsigned before = client->received;
  CHECK(send(client->fd, client->kept[1].bytes, client->kept[1].length, 0) > 0);
  serve();
  CHECK(client_step(client) == 0);
  CHECK(client->received == before + 1);
  /* libssl's timers go by the clock of the machine. */
  struct pollfd wait = {.fd = client->fd, .events = POLLIN};
  for (int i = 0; i < 100 && poll(&wait, 1, 50) == 0; i++) pass_ms(100);
  client->is_deaf = false;
  CHECK(shake(client) == 1);
  check_transport(client, &offer, "PSK-AES256-GCM-SHA384");
  client_free(client);
}

static void the_address_that_was_asked_answers(void) {
  const char *addresses[] = {"127.0.0.1", "127.0.0.2", "::1"};
  for (int i = 0; i < 3; i++) {
    struct dtls_offer offer = make_offer(61, DTLS_OFFER_PSK, NULL);
    CHECK(dtls_front_offer(front, &offer));
    struct client *client = client_open(
        &(struct client_options){.offer = &offer, .server_text = addresses[i], .port = dtls_front_port(front)});
    CHECK(shake(client) == 1 && handed_count == (unsigned)i + 1);
    union endpoint local;
    char text[ENDPOINT_TEXT_BYTES];
    socklen_t length = sizeof local;
    CHECK(getsockname(handed.fd, &local.any, &length) == 0);
    CHECK(strcmp(endpoint_text(&local, text), addresses[i]) == 0 && endpoint_port(&local) == dtls_front_port(front));
    client_free(client);
  }
}

static void a_client_comes_again_from_elsewhere(void) {
  struct dtls_offer offer = make_offer(62, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  for (unsigned i = 1; i <= 3; i++) {
    struct client *client = connect_as(&offer);
    CHECK(shake(client) == 1 && handed_count == i && handed.session == 62);
    client_free(client);
  }
}

static void it_closes_with_handshakes_under_way(void) {
  for (uint32_t i = 0; i < 3; i++) {
    struct dtls_offer offer = make_offer(70 + i, DTLS_OFFER_PSK, NULL);
    CHECK(dtls_front_offer(front, &offer));
    begin_raw(&offer);
  }
  CHECK(counters[DTLS_STARTED] == 3);
}

static void offers_are_bounded_and_of_one_session_each(void) {
  struct dtls_offers *offers = dtls_offers_open(2);
  struct dtls_offer one = make_offer(1, DTLS_OFFER_PSK, NULL), two = make_offer(2, DTLS_OFFER_PSK, NULL),
                    three = make_offer(3, DTLS_OFFER_PSK, NULL), again = make_offer(1, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_offers_put(offers, &one) && dtls_offers_put(offers, &two) && !dtls_offers_put(offers, &three));
  CHECK(dtls_offers_put(offers, &again) && dtls_offers_find(offers, one.id) == NULL);
  CHECK(dtls_offers_find(offers, again.id)->session == 1 && dtls_offers_count(offers) == 2);
  dtls_offers_forget(offers, 2);
  dtls_offers_forget(offers, 2);
  CHECK(dtls_offers_count(offers) == 1 && dtls_offers_find(offers, two.id) == NULL);
  memcpy(three.id, again.id, sizeof three.id);
  CHECK(!dtls_offers_put(offers, &three) && dtls_offers_find(offers, again.id)->session == 1);
  uint8_t cipher[2];
  CHECK(!dtls_offer_cipher("AES128-SHA", cipher));
  dtls_offers_close(offers);
}

#define TEST(name) {#name, name, "127.0.0.1"}
static const struct {
  const char *name;
  void (*run)(void);
  const char *address;
} tests[] = {
    TEST(a_key_is_found_by_session_id),
    TEST(a_key_is_found_by_extension),
    TEST(every_psk_suite),
    TEST(chacha_is_taken_where_the_client_prefers_it),
    TEST(a_session_is_resumed),
    TEST(a_session_is_resumed_without_the_extended_secret_that_is_offered),
    TEST(a_wrong_key_comes_to_nothing),
    TEST(a_kind_that_was_not_offered_comes_to_nothing),
    TEST(a_stranger_is_not_answered),
    TEST(a_hello_without_cookie_leaves_nothing_behind),
    TEST(a_cookie_of_another_address_is_bad),
    TEST(a_cookie_grows_old),
    TEST(a_repeated_hello_starts_nothing_twice),
    TEST(cut_and_split_hellos_are_dropped),
    TEST(a_session_begins_few_handshakes_at_once),
    TEST(all_sessions_begin_no_more_than_there_is_room_for),
    TEST(so_many_hellos_a_second_are_looked_at),
    TEST(an_offer_that_is_withdrawn_meanwhile_counts_no_more),
    TEST(a_lost_flight_is_sent_again),
    {"the_address_that_was_asked_answers", the_address_that_was_asked_answers, "::"},
    {"who_comes_to_a_socket_not_yet_connected_is_heard", who_comes_to_a_socket_not_yet_connected_is_heard, "::"},
    TEST(a_client_comes_again_from_elsewhere),
    TEST(it_closes_with_handshakes_under_way),
    TEST(offers_are_bounded_and_of_one_session_each),
};

int main(void) {
  CHECK(wire_start());
  printf("%s\n", OpenSSL_version(0));
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
    printf("%s\n", tests[i].name);
    fflush(stdout);
    open_front(tests[i].address);
    tests[i].run();
    close_front();
  }
  printf("all %zu hold\n", sizeof tests / sizeof tests[0]);
  return 0;
}

/* As an addon: runs when node loads it. */
__attribute__((visibility("default"))) void *napi_register_module_v1(void *environment, void *exports) {
  (void)environment;
  main();
  fflush(stdout);
  return exports;
}
