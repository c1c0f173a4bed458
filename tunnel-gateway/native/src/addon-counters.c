#include <stdlib.h>
#include "addon-values.h"
#include "addon.h"
#include "front.h"
#include "worker.h"

static const char *const WORKER_NAMES[WORKER_COUNTERS] = {
    [COUNT_TUN_READS] = "tunReads",
    [COUNT_TUN_WRITES] = "tunWrites",
    [COUNT_TLS_SENDS] = "tlsSends",
    [COUNT_TLS_RECEIVES] = "tlsReceives",
    [COUNT_UDP_SENDS] = "udpSends",
    [COUNT_UDP_RECEIVES] = "udpReceives",
    [COUNT_PACKETS_UP] = "packetsUp",
    [COUNT_PACKETS_DOWN] = "packetsDown",
    [COUNT_BYTES_UP] = "bytesUp",
    [COUNT_BYTES_DOWN] = "bytesDown",
    [COUNT_DROPPED_SPOOFED] = "droppedSpoofed",
    [COUNT_DROPPED_MALFORMED] = "droppedMalformed",
    [COUNT_DROPPED_DENIED] = "droppedDenied",
    [COUNT_DROPPED_UNSOLICITED] = "droppedUnsolicited",
    [COUNT_DROPPED_BACKLOG] = "droppedBacklog",
    [COUNT_DROPPED_RATE] = "droppedRate",
    [COUNT_DROPPED_NO_SESSION] = "droppedNoSession",
    [COUNT_DROPPED_REPLAYED] = "droppedReplayed",
    [COUNT_DROPPED_FORGED] = "droppedForged",
    [COUNT_DROPPED_FLOW_LIMIT] = "droppedFlowLimit",
    [COUNT_DROPPED_TOO_BIG] = "droppedTooBig",
    [COUNT_DROPPED_UNREACHABLE] = "droppedUnreachable",
    [COUNT_MSS_CLAMPED] = "mssClamped",
    [COUNT_TOO_BIG_ANSWERED] = "tooBigAnswered",
    [COUNT_SESSIONS] = "sessions",
    [COUNT_FLOWS] = "flows",
    [COUNT_WAKEUPS] = "wakeups",
    [COUNT_CONTROL_FRAMES] = "controlFrames",
    [COUNT_FLOWS_UNTOLD] = "flowsUntold",
};

static const char *const FRONT_NAMES[FRONT_COUNTERS] = {
    [COUNT_ACCEPTED] = "frontAccepted",
    [COUNT_PENDING] = "frontPending",
    [COUNT_HANDSHAKES] = "frontHandshakes",
    [COUNT_HANDSHAKES_FAILED] = "frontHandshakesFailed",
    [COUNT_HANDED] = "frontHanded",
    [COUNT_ATTACHED] = "frontAttached",
    [COUNT_TOO_MANY] = "frontTooMany",
};

static const char *const DTLS_NAMES[DTLS_COUNTERS] = {
    [DTLS_DATAGRAMS] = "dtlsDatagrams",
    [DTLS_MALFORMED] = "dtlsMalformed",
    [DTLS_UNKNOWN] = "dtlsUnknown",
    [DTLS_LIMITED] = "dtlsLimited",
    [DTLS_VERIFIES] = "dtlsVerifies",
    [DTLS_BAD_COOKIES] = "dtlsBadCookies",
    [DTLS_REPEATED] = "dtlsRepeated",
    [DTLS_STARTED] = "dtlsStarted",
    [DTLS_FAILED] = "dtlsFailed",
    [DTLS_COMPLETED] = "dtlsCompleted",
};

static void set_all(napi_env env, napi_value object, const char *const *names, const uint64_t *counters, int count) {
  for (int i = 0; i < count; i++)
    if (names[i] != NULL) set_number(env, object, names[i], (double)counters[i]);
}

napi_value addon_counters(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value object;
  uint64_t sums[WORKER_COUNTERS] = {0}, of_worker[WORKER_COUNTERS], of_front[FRONT_COUNTERS], of_dtls[DTLS_COUNTERS];
  for (unsigned worker = 0; worker < addon_workers(); worker++) {
    worker_counters(worker, of_worker);
    for (int i = 0; i < WORKER_COUNTERS; i++) sums[i] += of_worker[i];
  }
  front_counters(of_front);
  front_dtls_counters(of_dtls);
  napi_create_object(env, &object);
  set_all(env, object, WORKER_NAMES, sums, WORKER_COUNTERS);
  set_all(env, object, FRONT_NAMES, of_front, FRONT_COUNTERS);
  set_all(env, object, DTLS_NAMES, of_dtls, DTLS_COUNTERS);
  return object;
}

static napi_value numbers(napi_env env, const uint64_t *values, uint32_t count) {
  napi_value array, number;
  napi_create_array_with_length(env, count, &array);
  for (uint32_t at = 0; at < count; at++) {
    napi_create_double(env, (double)values[at], &number);
    napi_set_element(env, array, at, number);
  }
  return array;
}

/* `{ tunnel, direction, packets, microseconds }` of each packet thread, up and down; `packets` is by bucket, as in latency.h. */
napi_value addon_latencies(napi_env env, napi_callback_info info) {
  static const char *const WAYS[LATENCY_WAYS] = {"up", "down"};
  (void)info;
  napi_value array;
  uint32_t at = 0;
  napi_create_array(env, &array);
  for (unsigned worker = 0; worker < addon_workers(); worker++) {
    for (enum latency_way way = 0; way < LATENCY_WAYS; way++) {
      struct latency latency;
      if (!worker_latency(worker, way, &latency)) continue;
      napi_value object, text;
      napi_create_object(env, &object);
      set_number(env, object, "tunnel", worker);
      napi_create_string_utf8(env, WAYS[way], NAPI_AUTO_LENGTH, &text);
      napi_set_named_property(env, object, "direction", text);
      napi_set_named_property(env, object, "packets", numbers(env, latency.packets, LATENCY_BUCKETS));
      set_number(env, object, "microseconds", (double)latency.sum_us);
      napi_set_element(env, array, at++, object);
    }
  }
  return array;
}

static napi_value value_of(napi_env env, const struct session_counters *session) {
  napi_value object, flag;
  napi_create_object(env, &object);
  set_number(env, object, "sessionId", session->id);
  set_number(env, object, "packetsUp", (double)session->packets_up);
  set_number(env, object, "packetsDown", (double)session->packets_down);
  set_number(env, object, "bytesUp", (double)session->bytes_up);
  set_number(env, object, "bytesDown", (double)session->bytes_down);
  set_number(env, object, "dropped", (double)session->dropped);
  set_number(env, object, "lastActiveAt", (double)session->last_active_ms);
  napi_get_boolean(env, session->has_tls, &flag);
  napi_set_named_property(env, object, "hasTls", flag);
  napi_get_boolean(env, session->has_dtls, &flag);
  napi_set_named_property(env, object, "hasDtls", flag);
  return object;
}

/* Appends the sessions of a worker to an array. */
static void add_sessions(napi_env env, napi_value array, unsigned worker, uint32_t *at) {
  uint32_t room = worker_sessions(worker, NULL, 0);
  struct session_counters *sessions = room == 0 ? NULL : calloc(room, sizeof *sessions);
  if (sessions == NULL) return;
  uint32_t count = worker_sessions(worker, sessions, room);
  for (uint32_t i = 0; i < count && i < room; i++) napi_set_element(env, array, (*at)++, value_of(env, &sessions[i]));
  free(sessions);
}

napi_value addon_sessions(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value array;
  uint32_t at = 0;
  napi_create_array(env, &array);
  for (unsigned worker = 0; worker < addon_workers(); worker++) add_sessions(env, array, worker, &at);
  return array;
}
