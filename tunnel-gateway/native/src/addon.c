#include "addon.h"

#include <stdatomic.h>
#include "addon-values.h"
#include "events-javascript.h"
#include "front.h"
#include "tls-context.h"
#include "worker.h"

static atomic_bool is_loaded;
static bool is_open; /* events go to a handler */
static unsigned workers;

unsigned addon_workers(void) { return workers; }

void addon_set_workers(unsigned count) { workers = count; }

bool value_worker(napi_env env, napi_value value, unsigned *worker) {
  uint32_t number;
  if (!value_uint32(env, value, &number)) return false;
  *worker = number;
  return number < workers || refuse(env, "there is no packet thread %u", number);
}

/* Clients end themselves on a disconnect frame; without one they come back to the gateway that is started next. */
static void stop_threads(void) {
  front_stop();
  if (workers > 0) workers_stop(FAREWELL_NONE, "");
  workers = 0;
}

/* The thread of JavaScript, or the process, ends without stop(). */
static void on_exit_of_javascript(void *nothing) {
  (void)nothing;
  stop_threads();
  events_close();
  is_open = false;
}

static void on_unload(void *nothing) {
  (void)nothing;
  atomic_store(&is_loaded, false);
}

/* start(handler): events go to `handler`, in arrays. */
static napi_value addon_start(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST];
  if (!arguments(env, info, 1, values)) return NULL;
  if (is_open) {
    napi_throw_error(env, "ERR_INVALID_STATE", "the data path has been started already");
    return NULL;
  }
  if (!events_open(env, values[0])) {
    refuse(env, "expected a function");
    return NULL;
  }
  is_open = true;
  /* Behind events_open, as hooks run last first: the threads must have ended before Node takes their function away. */
  napi_add_env_cleanup_hook(env, on_exit_of_javascript, NULL);
  return NULL;
}

/* stop(): ends all threads. Returns the events that nobody has taken yet. */
static napi_value addon_stop(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST];
  if (!arguments(env, info, 0, values)) return NULL;
  stop_threads();
  napi_value rest = events_take_all(env);
  events_close();
  if (is_open) napi_remove_env_cleanup_hook(env, on_exit_of_javascript, NULL);
  is_open = false;
  return rest;
}

static const struct {
  const char *name;
  napi_callback call;
} FUNCTIONS[] = {
    {"start", addon_start},
    {"stop", addon_stop},
    {"startWorkers", addon_start_workers},
    {"listen", addon_listen},
    {"setIdentity", addon_set_identity},
    {"write", addon_write},
    {"stream", addon_stream},
    {"end", addon_end},
    {"attach", addon_attach},
    {"forgetOffers", addon_forget_offers},
    {"setPolicy", addon_set_policy},
    {"openSession", addon_open_session},
    {"changeSession", addon_change_session},
    {"closeSession", addon_close_session},
    {"tryTunnel", addon_try_tunnel},
    {"counters", addon_counters},
    {"latencies", addon_latencies},
    {"sessions", addon_sessions},
};

NAPI_MODULE_INIT() {
  if (atomic_exchange(&is_loaded, true)) {
    napi_throw_error(env, "ERR_DLOPEN_FAILED", "the data path is held by another thread of this process, and there is one alone");
    return NULL;
  }
  napi_add_env_cleanup_hook(env, on_unload, NULL);
  static bool has_wire;
  has_wire = has_wire || wire_start();
  if (!has_wire || !tls_context_start()) {
    napi_throw_error(env, NULL, "out of memory");
    return NULL;
  }
  for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
    napi_value function;
    napi_create_function(env, FUNCTIONS[i].name, NAPI_AUTO_LENGTH, FUNCTIONS[i].call, NULL, &function);
    napi_set_named_property(env, exports, FUNCTIONS[i].name, function);
  }
  return exports;
}
