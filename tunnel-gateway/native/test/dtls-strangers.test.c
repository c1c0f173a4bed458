// sources: dtls-hello.c dtls-cookie.c dtls-offers.c dtls-context.c dtls-socket.c dtls-handshakes.c dtls-front.c endpoint.c address.c wire.c ../test/dtls-client.c ../test/dtls-scene.c
// libraries: ssl crypto
/*
 * What comes to the DTLS front from strangers, and from who merely saw an id pass: nothing of it is remembered, and no more is
 * answered than is bounded. Built like dtls-front.test.c.
 */
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "dtls-cookie.h"
#include "dtls-scene.h"

static void a_stranger_is_not_answered(void) {
  struct dtls_offer offer = make_offer(50, DTLS_OFFER_PSK, NULL), unknown = make_offer(51, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = connect_as(&unknown);
  CHECK(shake(client) == 0);
  CHECK(client->received == 0 && counters[DTLS_UNKNOWN] == 1 && counters[DTLS_STARTED] == 0);
  client_free(client);
}

static void nobody_else_on_the_host_takes_the_port(void) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(dtls_front_port(front)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_DGRAM, 0), yes = 1;
  CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0);
  CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) < 0);
  close(fd);
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

static void a_cookie_of_another_address_is_bad(void) {
  struct dtls_offer offer = make_offer(53, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  struct client *client = connect_as(&offer);
  fetch_cookie(client);
  int other = udp_connect("127.0.0.1", dtls_front_port(front), NULL);
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
  int fd = udp_connect("127.0.0.1", dtls_front_port(front), NULL);
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

static void a_session_begins_few_handshakes_at_once(void) {
  struct dtls_offer offer = make_offer(57, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  for (int i = 0; i < DTLS_HANDSHAKES_PER_SESSION; i++) begin_raw(&offer);
  CHECK(counters[DTLS_STARTED] == DTLS_HANDSHAKES_PER_SESSION && told_count == 0);
  begin_raw(&offer);
  CHECK(counters[DTLS_STARTED] == DTLS_HANDSHAKES_PER_SESSION + 1 && counters[DTLS_FAILED] == 1);
  CHECK(strcmp(told, "127.0.0.1\ndtls-replaced\n") == 0);
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
  CHECK(told_count == DTLS_FAILURES_TOLD && strcmp(told, "127.0.0.1\ndtls-timeout\n") == 0);
  struct dtls_offer offer = make_offer(1000, DTLS_OFFER_PSK, NULL);
  CHECK(dtls_front_offer(front, &offer));
  begin_raw(&offer);
  CHECK(counters[DTLS_STARTED] == DTLS_HANDSHAKES_AT_MOST + 1);
}

static void so_many_hellos_a_second_are_looked_at(void) {
  uint8_t hello[512], answer[2048];
  int fd = udp_connect("127.0.0.1", dtls_front_port(front), NULL);
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

static const struct test tests[] = {
    TEST(a_stranger_is_not_answered),
    TEST(nobody_else_on_the_host_takes_the_port),
    TEST(a_hello_without_cookie_leaves_nothing_behind),
    TEST(a_cookie_of_another_address_is_bad),
    TEST(a_cookie_grows_old),
    TEST(a_repeated_hello_starts_nothing_twice),
    TEST(cut_and_split_hellos_are_dropped),
    TEST(a_session_begins_few_handshakes_at_once),
    TEST(all_sessions_begin_no_more_than_there_is_room_for),
    TEST(so_many_hellos_a_second_are_looked_at),
    TEST(offers_are_bounded_and_of_one_session_each),
};

RUN_TESTS(tests)
