#include <string.h>
#include "addon-values.h"
#include "addon.h"
#include "front.h"

napi_value addon_write(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST];
  uint32_t connection;
  const uint8_t *bytes;
  size_t length;
  if (arguments(env, info, 2, values) && value_uint32(env, values[0], &connection) &&
      value_bytes(env, values[1], &bytes, &length))
    front_write(connection, bytes, length);
  return NULL;
}

static napi_value with_flag(napi_env env, napi_callback_info info, void (*act)(uint32_t connection, bool flag)) {
  napi_value values[ARGUMENTS_AT_MOST];
  uint32_t connection;
  bool flag;
  if (arguments(env, info, 2, values) && value_uint32(env, values[0], &connection) && value_boolean(env, values[1], &flag))
    act(connection, flag);
  return NULL;
}

napi_value addon_stream(napi_env env, napi_callback_info info) { return with_flag(env, info, front_stream); }

napi_value addon_end(napi_env env, napi_callback_info info) { return with_flag(env, info, front_end); }

/* Exactly as many as there is room for. */
static bool fill(napi_env env, napi_value value, uint8_t *into, size_t room) {
  const uint8_t *bytes;
  size_t length;
  if (!value_bytes(env, value, &bytes, &length)) return false;
  if (length != room) return refuse(env, "expected %zu bytes, got %zu", room, length);
  memcpy(into, bytes, length);
  return true;
}

static bool read_offer(napi_env env, napi_value values[4], struct front_attachment *attachment) {
  uint32_t kind;
  if (!value_uint32(env, values[0], &kind)) return false;
  if (kind > OFFER_RESUMPTION) return refuse(env, "there is no offer %u", kind);
  attachment->offer = (enum front_offer)kind;
  if (kind == OFFER_NONE) return true;
  if (!fill(env, values[1], attachment->id, sizeof attachment->id)) return false;
  return kind == OFFER_PSK || (fill(env, values[2], attachment->master_secret, sizeof attachment->master_secret) &&
                               value_text(env, values[3], attachment->cipher, sizeof attachment->cipher));
}

/* attach(connection, worker, session, head, offer, id, masterSecret, cipher) */
napi_value addon_attach(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST];
  struct front_attachment attachment = {0};
  const uint8_t *head;
  size_t length;
  if (arguments(env, info, 8, values) && value_uint32(env, values[0], &attachment.connection) &&
      value_worker(env, values[1], &attachment.worker) && value_uint32(env, values[2], &attachment.session) &&
      value_bytes(env, values[3], &head, &length) && read_offer(env, values + 4, &attachment))
    front_attach(&attachment, head, length);
  OPENSSL_cleanse(&attachment, sizeof attachment);
  return NULL;
}

napi_value addon_forget_offers(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST];
  uint32_t session;
  if (arguments(env, info, 1, values) && value_uint32(env, values[0], &session)) front_forget_offers(session);
  return NULL;
}
