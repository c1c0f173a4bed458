#include "addon-values.h"
#include "addon.h"
#include "front.h"
#include "policy.h"
#include "worker.h"

napi_value addon_set_policy(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST];
  uint32_t number;
  const uint8_t *rules;
  size_t length;
  if (!arguments(env, info, 2, values) || !value_uint32(env, values[0], &number) ||
      !value_bytes(env, values[1], &rules, &length))
    return NULL;
  struct policy *policy = policy_parse(rules, length);
  if (policy == NULL) {
    refuse(env, "policy %u: its %zu bytes are no packed rules", number, length);
    return NULL;
  }
  for (unsigned worker = 0; worker < addon_workers(); worker++) worker_set_policy(worker, number, policy_retain(policy));
  policy_release(policy);
  return NULL;
}

static bool read_session(napi_env env, napi_value object, unsigned *worker, struct session_options *session) {
  napi_value tunnel;
  uint32_t mtu;
  *session = (struct session_options){0};
  if (!property(env, object, "tunnel", &tunnel) || !value_worker(env, tunnel, worker) ||
      !property_uint32(env, object, "id", &session->id) || !property_uint32(env, object, "slot", &session->slot) ||
      !property_boolean(env, object, "hasIpv4", &session->has_ipv4) ||
      !property_boolean(env, object, "hasIpv6", &session->has_ipv6) || !property_uint32(env, object, "mtu", &mtu) ||
      !property_uint32(env, object, "policy", &session->policy) ||
      !property_uint32(env, object, "dpdSeconds", &session->dpd_seconds) ||
      !property_uint32(env, object, "keepaliveSeconds", &session->keepalive_seconds) ||
      !property_uint32(env, object, "idleSeconds", &session->idle_seconds) ||
      !property_uint64(env, object, "upBytesPerSecond", &session->up_bytes_per_second) ||
      !property_uint64(env, object, "downBytesPerSecond", &session->down_bytes_per_second) ||
      !property_boolean(env, object, "logsFlows", &session->logs_flows))
    return false;
  if (mtu > 65535) return refuse(env, "an MTU of %u is over 65535", mtu);
  session->mtu = (uint16_t)mtu;
  return true;
}

static void with_session(napi_env env, napi_callback_info info, void (*act)(unsigned, const struct session_options *)) {
  napi_value values[ARGUMENTS_AT_MOST];
  struct session_options session;
  unsigned worker;
  if (arguments(env, info, 1, values) && read_session(env, values[0], &worker, &session)) act(worker, &session);
}

napi_value addon_open_session(napi_env env, napi_callback_info info) {
  with_session(env, info, worker_open_session);
  return NULL;
}

napi_value addon_change_session(napi_env env, napi_callback_info info) {
  with_session(env, info, worker_change_session);
  return NULL;
}

/* closeSession(worker, session, type, text) */
napi_value addon_close_session(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST];
  unsigned worker;
  uint32_t session, type;
  char text[FAREWELL_BYTES_AT_MOST + 1];
  if (!arguments(env, info, 4, values) || !value_worker(env, values[0], &worker) || !value_uint32(env, values[1], &session) ||
      !value_uint32(env, values[2], &type) || !value_text(env, values[3], text, sizeof text))
    return NULL;
  front_forget_offers(session);
  worker_close_session(worker, session, (uint8_t)type, text);
  return NULL;
}
