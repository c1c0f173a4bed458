/*
 * dtls-scene.h: what the tests of the DTLS front share, and its fuzz target: a front on loopback, its loop, and what stands for the
 * packet threads and JavaScript. Time is what a test says it is.
 */
#ifndef ISTHMUS_DTLS_SCENE_H
#define ISTHMUS_DTLS_SCENE_H

#include "dtls-client.h"
#include "dtls-front.h"
#include "dtls-handshakes.h"
#include "worker.h"

struct test {
  const char *name;
  void (*run)(void);
  bool is_wildcard; /* the front hears on ::, otherwise on 127.0.0.1 */
};
#define TEST(name) {#name, name, false}
#define WILDCARD_TEST(name) {#name, name, true}

/* A new front, with all counts at nothing; one at a time. */
void open_front(bool is_wildcard);
void close_front(void);
/* Each with a front of its own. */
void run_tests(const struct test *tests, size_t count);

/* As an addon: runs when node loads it. */
#define RUN_TESTS(tests) \
  int main(void) { \
    run_tests(tests, sizeof tests / sizeof tests[0]); \
    return 0; \
  } \
  __attribute__((visibility("default"))) void *napi_register_module_v1(void *environment, void *exports); \
  void *napi_register_module_v1(void *environment, void *exports) { \
    (void)environment; \
    main(); \
    return exports; \
  }

extern struct dtls_front *front;
extern uint64_t counters[DTLS_COUNTERS]; /* as they last were */

/* The last transport handed to a packet thread, and how many were. */
extern struct dtls_handover handed;
extern unsigned handed_worker, handed_count;
/* The last event, and how many there were. */
extern char told[512];
extern unsigned told_count;

/* Runs once, between the next socket's bind and its connect. */
extern void (*before_connect)(void);

/* One turn of the front thread. */
void serve(void);
void pass_ms(uint64_t ms);

/* With random id and key; `cipher` of a resumption. */
struct dtls_offer make_offer(uint32_t session, enum dtls_offer_kind kind, const char *cipher);
struct client *connect_as(const struct dtls_offer *offer);
/* Until the client is done (1) or has failed (-1), or nothing moves any more (0). */
int shake(struct client *client);
/* Goes as far as having the hello with its good cookie, which is kept as the second datagram and not sent. */
void fetch_cookie(struct client *client);
/* Goes on to the handshake and lies there. */
void begin_raw(const struct dtls_offer *offer);
/* The one transport that was handed over works, for this client. */
void check_transport(struct client *client, const struct dtls_offer *offer, const char *cipher);

#endif
