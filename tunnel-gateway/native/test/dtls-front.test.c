// sources: dtls-hello.c dtls-cookie.c dtls-offers.c dtls-context.c dtls-socket.c dtls-handshakes.c dtls-front.c endpoint.c address.c wire.c ../test/dtls-client.c ../test/dtls-scene.c
// libraries: ssl crypto
/*
 * Clients of libssl that come to the DTLS front with what they were offered: what reaches the packet threads, and what does not.
 *
 * Built as a program on the system's libssl, with sanitizers, and as an addon to run on the node binary's own: see
 * src/packets/dtls-front.test.ts.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "dtls-scene.h"
#include "endpoint.h"

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
    CHECK(strcmp(told, "127.0.0.1\ndtls-no-suite\n") == 0);
    client_free(client);
  }
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
    CHECK(handed_count == 0 && told_count == (unsigned)i + 1 && strcmp(told, "127.0.0.1\ndtls-withdrawn\n") == 0);
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
  const char *addresses[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
  for (unsigned i = 0; i < 3; i++) {
    struct client *client = client_open(
        &(struct client_options){.offer = &offer, .own_text = addresses[i], .port = dtls_front_port(front)});
    CHECK(shake(client) == 1 && handed_count == i + 1 && handed.session == 62);
    union endpoint remote;
    char text[ENDPOINT_TEXT_BYTES];
    socklen_t length = sizeof remote;
    CHECK(getpeername(handed.fd, &remote.any, &length) == 0);
    CHECK(strcmp(endpoint_text(&remote, text), addresses[i]) == 0);
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

static const struct test tests[] = {
    TEST(a_key_is_found_by_session_id),
    TEST(a_key_is_found_by_extension),
    TEST(every_psk_suite),
    TEST(chacha_is_taken_where_the_client_prefers_it),
    TEST(a_session_is_resumed),
    TEST(a_session_is_resumed_without_the_extended_secret_that_is_offered),
    TEST(a_wrong_key_comes_to_nothing),
    TEST(a_kind_that_was_not_offered_comes_to_nothing),
    WILDCARD_TEST(who_comes_to_a_socket_not_yet_connected_is_heard),
    TEST(an_offer_that_is_withdrawn_meanwhile_counts_no_more),
    TEST(a_lost_flight_is_sent_again),
    WILDCARD_TEST(the_address_that_was_asked_answers),
    TEST(a_client_comes_again_from_elsewhere),
    TEST(it_closes_with_handshakes_under_way),
};

RUN_TESTS(tests)
