/*
 * addon.h: what JavaScript can call; src/packets/native-addon.ts has the same list with types. One data path per process: it is
 * loaded by one thread of JavaScript, and everything here runs on that one.
 */
#ifndef ISTHMUS_ADDON_H
#define ISTHMUS_ADDON_H

#include <node_api.h>
#include <stdbool.h>

/* --- addon-listen.c --- */
napi_value addon_start_workers(napi_env env, napi_callback_info info);
napi_value addon_listen(napi_env env, napi_callback_info info);
napi_value addon_set_identity(napi_env env, napi_callback_info info);

/* --- addon-connections.c --- */
napi_value addon_write(napi_env env, napi_callback_info info);
napi_value addon_stream(napi_env env, napi_callback_info info);
napi_value addon_end(napi_env env, napi_callback_info info);
napi_value addon_attach(napi_env env, napi_callback_info info);
napi_value addon_forget_offers(napi_env env, napi_callback_info info);

/* --- addon-sessions.c --- */
napi_value addon_set_policy(napi_env env, napi_callback_info info);
napi_value addon_open_session(napi_env env, napi_callback_info info);
napi_value addon_change_session(napi_env env, napi_callback_info info);
napi_value addon_close_session(napi_env env, napi_callback_info info);

/* --- addon-try-tunnel.c --- */
napi_value addon_try_tunnel(napi_env env, napi_callback_info info);

/* --- addon-counters.c --- */
napi_value addon_counters(napi_env env, napi_callback_info info);
napi_value addon_latencies(napi_env env, napi_callback_info info);
napi_value addon_sessions(napi_env env, napi_callback_info info);

/* How many packet threads run. */
unsigned addon_workers(void);
void addon_set_workers(unsigned count);

/* The number of a packet thread that runs; false with an exception. */
bool value_worker(napi_env env, napi_value value, unsigned *worker);

#endif
