#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "endpoint.h"
#include "events.h"
#include "worker-state.h"

/* Ours: room for the largest record behind its frame header; below the least of IPv4 nothing works. */
#define MTU_AT_MOST 16000
#define MTU_AT_LEAST 576

struct session *session_by_id(struct worker *worker, uint32_t id) {
  struct session *session = worker->by_id[id % ID_BUCKETS];
  while (session != NULL && session->options.id != id) session = session->next_by_id;
  return session;
}

static void put_by_id(struct session *session) {
  struct session **bucket = &session->worker->by_id[session->options.id % ID_BUCKETS];
  session->next_by_id = *bucket;
  *bucket = session;
}

static void remove_by_id(struct session *session) {
  struct session **at = &session->worker->by_id[session->options.id % ID_BUCKETS];
  while (*at != session) at = &(*at)->next_by_id;
  *at = session->next_by_id;
}

/* The place of a policy's number; made with nothing in it, which denies all, where the policy has not come yet. */
static struct policy_place *policy_place(struct worker *worker, uint32_t number) {
  struct policy_place *place = worker->policies;
  while (place != NULL && place->number != number) place = place->next;
  if (place != NULL) return place;
  place = calloc(1, sizeof *place);
  if (place == NULL) return NULL;
  place->number = number;
  place->generation = ++worker->next_generation;
  place->next = worker->policies;
  worker->policies = place;
  return place;
}

void session_set_policy(struct worker *worker, uint32_t number, struct policy *policy) {
  struct policy_place *place = policy_place(worker, number);
  if (place == NULL) {
    policy_release(policy);
    return;
  }
  if (place->policy != NULL) policy_release(place->policy);
  place->policy = policy;
  place->generation = ++worker->next_generation;
}

static void tell_closed(uint32_t id, const struct session_record *record) {
  struct event *event = event_new(EVENT_SESSION_CLOSED, id, 0);
  if (event == NULL) return;
  if (record != NULL) {
    event->numbers[0] = (double)record->packets_up;
    event->numbers[1] = (double)record->packets_down;
    event->numbers[2] = (double)record->bytes_up;
    event->numbers[3] = (double)record->bytes_down;
    event->numbers[4] = (double)record->dropped;
    event->numbers[5] = (double)record->last_active_ms;
  }
  events_emit(event);
}

static void tell(const struct session *session, enum event_kind kind, const char *text) {
  struct event *event = event_new(kind, session->options.id, 0);
  if (event == NULL) return;
  snprintf(event->text, sizeof event->text, "%s", text);
  events_emit(event);
}

void session_open(struct worker *worker, const struct session_options *options) {
  struct session *session = NULL;
  if (options->slot < worker->options.slots) {
    struct session *before = worker->by_slot[options->slot];
    if (before != NULL) session_close(before, CSTP_TERMINATE, "replaced");
    struct session *same = session_by_id(worker, options->id);
    if (same != NULL) session_close(same, CSTP_TERMINATE, "replaced");
    session = calloc(1, sizeof *session);
  }
  if (session == NULL) {
    tell_closed(options->id, NULL);
    return;
  }
  session->worker = worker;
  session->options.id = options->id;
  session->options.slot = options->slot;
  session->options.has_ipv4 = options->has_ipv4;
  session->options.has_ipv6 = options->has_ipv6;
  session->record = &worker->records[options->slot];
  session->record->packets_up = session->record->packets_down = session->record->dropped = 0;
  session->record->bytes_up = session->record->bytes_down = 0;
  session->record->last_active_ms = worker->now_ms + worker->realtime_offset_ms;
  session->last_data_ms = worker->now_ms;
  worker->by_slot[options->slot] = session;
  put_by_id(session);
  session_change(session, options);
  __atomic_store_n(&session->record->id, options->id, __ATOMIC_RELEASE);
  count(worker, COUNT_SESSIONS);
}

void session_change(struct session *session, const struct session_options *options) {
  struct worker *worker = session->worker;
  struct session_options kept = session->options;
  session->options = *options;
  session->options.slot = kept.slot;
  session->options.has_ipv4 = kept.has_ipv4;
  session->options.has_ipv6 = kept.has_ipv6;
  if (session->options.mtu > MTU_AT_MOST) session->options.mtu = MTU_AT_MOST;
  if (session->options.mtu < MTU_AT_LEAST) session->options.mtu = MTU_AT_LEAST;
  session->policy = policy_place(worker, options->policy);
  if (session->up.refilled_us == 0 || kept.up_bytes_per_second != options->up_bytes_per_second)
    rate_limit_set(&session->up, options->up_bytes_per_second, worker->now_us);
  if (session->down.refilled_us == 0 || kept.down_bytes_per_second != options->down_bytes_per_second)
    rate_limit_set(&session->down, options->down_bytes_per_second, worker->now_us);
  timers_start(session);
}

static void say_goodbye(struct session *session, uint8_t type, const char *text) {
  struct worker *worker = session->worker;
  struct tls_transport *tls = &session->tls;
  if (tls->ssl == NULL || tls->failure != NULL) return;
  if (type != FAREWELL_NONE) {
    size_t length = strnlen(text, FAREWELL_BYTES_AT_MOST);
    uint8_t frame[CSTP_HEADER_BYTES + FAREWELL_BYTES_AT_MOST];
    memcpy(frame + CSTP_HEADER_BYTES, text, length);
    tls_send(session, type, frame + CSTP_HEADER_BYTES, length);
  }
  if (tls->failure == NULL) SSL_shutdown(tls->ssl);
  ERR_clear_error();
  tls_flush(worker);
  shutdown(tls->fd, SHUT_WR);
  /* What has come and nobody reads would turn our farewell into a reset. */
  recv(tls->fd, worker->received, sizeof worker->received, MSG_DONTWAIT | MSG_TRUNC);
}

static void forget_broken(struct session *session) {
  if (!session->is_broken) return;
  struct session **at = &session->worker->broken;
  while (*at != session) at = &(*at)->next_broken;
  *at = session->next_broken;
  session->is_broken = false;
}

void session_close(struct session *session, uint8_t type, const char *text) {
  struct worker *worker = session->worker;
  say_goodbye(session, type, text);
  tls_close(session);
  dtls_close(session);
  pace_forget(session);
  forget_broken(session);
  flow_drop_session(worker->flows, session->options.slot);
  worker->by_slot[session->options.slot] = NULL;
  timers_end(session);
  remove_by_id(session);
  __atomic_store_n(&session->record->id, 0, __ATOMIC_RELEASE);
  add_to(&worker->counters[COUNT_SESSIONS], (uint64_t)-1);
  tell_closed(session->options.id, session->record);
  OPENSSL_cleanse(session, sizeof *session);
  free(session);
}

void session_break(struct session *session) {
  if (session->is_broken) return;
  session->is_broken = true;
  session->next_broken = session->worker->broken;
  session->worker->broken = session;
}

void sessions_settle(struct worker *worker) {
  while (worker->broken != NULL) {
    struct session *session = worker->broken;
    forget_broken(session);
    const char *tls_failure = session->tls.failure, *dtls_failure = session->dtls.failure;
    if (tls_failure != NULL) {
      tls_close(session);
      tell(session, EVENT_SESSION_TLS_DOWN, tls_failure);
    }
    if (dtls_failure != NULL) {
      dtls_close(session);
      tell(session, EVENT_SESSION_DTLS_DOWN, dtls_failure);
    }
    timers_start(session);
  }
}

void session_attach_tls(struct session *session, const struct tls_handover *handover) {
  /* The client has connected anew: it knows nothing of the DTLS of its earlier connection, and may begin again on the same port. */
  if (session->dtls.ssl != NULL) {
    dtls_close(session);
    tell(session, EVENT_SESSION_DTLS_DOWN, "the client connected anew");
  }
  if (!tls_attach(session, handover)) {
    tell(session, EVENT_SESSION_TLS_DOWN, "epoll");
    return;
  }
  session->is_disconnect_told = false;
  tell(session, EVENT_SESSION_TLS_UP, "");
  timers_start(session);
  up_take_over(session, handover->unread, handover->unread_length);
}

static void name_peer(int fd, char name[ENDPOINT_TEXT_BYTES]) {
  union endpoint peer;
  socklen_t size = sizeof peer;
  name[0] = 0;
  if (getpeername(fd, &peer.any, &size) == 0) endpoint_text(&peer, name);
}

void session_attach_dtls(struct session *session, const struct dtls_handover *handover) {
  if (!dtls_attach(session, handover)) {
    tell(session, EVENT_SESSION_DTLS_DOWN, "epoll");
    return;
  }
  char peer[ENDPOINT_TEXT_BYTES], text[ENDPOINT_TEXT_BYTES + 128];
  name_peer(handover->fd, peer);
  const char *cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(handover->ssl));
  snprintf(text, sizeof text, "%s\n%.100s", peer, cipher == NULL ? "" : cipher);
  tell(session, EVENT_SESSION_DTLS_UP, text);
  timers_start(session);
  up_receive_dtls(session);
}

static uint16_t lesser(uint16_t one, uint16_t other) { return one < other ? one : other; }

uint16_t session_mtu(const struct session *session) {
  uint16_t mtu = session->options.mtu;
  if (!session->is_dtls_active) return mtu;
  return lesser(lesser(mtu, session->dtls.mtu), mtu_search_result(&session->dtls.search, session->options.has_ipv6));
}

bool session_send(struct session *session, uint8_t type, uint8_t *payload, size_t length) {
  bool is_dtls_well = session->dtls.ssl != NULL && session->dtls.failure == NULL;
  if (is_dtls_well && (session->is_dtls_active || session->tls.ssl == NULL))
    return dtls_send(session, type, payload, length);
  return tls_send(session, type, payload, length);
}
