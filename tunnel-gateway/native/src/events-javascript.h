/*
 * events-javascript.h: where events go. JavaScript's thread only.
 */
#ifndef ISTHMUS_EVENTS_JAVASCRIPT_H
#define ISTHMUS_EVENTS_JAVASCRIPT_H

#include <node_api.h>
#include "events.h"

/* `handler` is called with an array of events; it keeps the process alive until events_close. False, with an exception. */
bool events_open(napi_env env, napi_value handler);

/* Everything that waits, as `handler` would be given it. */
napi_value events_take_all(napi_env env);

/* Nothing is delivered any more; what waits is freed. May be called twice. */
void events_close(void);

#endif
