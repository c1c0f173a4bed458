/*
 * addon-values.h: JavaScript's values in C. Each reader returns false with an exception pending where the value is not as
 * described; nothing is read past its room.
 */
#ifndef ISTHMUS_ADDON_VALUES_H
#define ISTHMUS_ADDON_VALUES_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGUMENTS_AT_MOST 8

/* Throws a TypeError. Returns false, for the readers. */
bool refuse(napi_env env, const char *message, ...) __attribute__((format(printf, 2, 3)));

/* Exactly `count` arguments. */
bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value values[ARGUMENTS_AT_MOST]);

bool value_number(napi_env env, napi_value value, double *number);
bool value_uint32(napi_env env, napi_value value, uint32_t *number);
bool value_boolean(napi_env env, napi_value value, bool *boolean);
/* Without a zero byte, its end included in `room`. */
bool value_text(napi_env env, napi_value value, char *text, size_t room);
/* malloc. */
bool value_long_text(napi_env env, napi_value value, char **text);
/* A Buffer or Uint8Array; valid until JavaScript runs again. */
bool value_bytes(napi_env env, napi_value value, const uint8_t **bytes, size_t *length);

bool property(napi_env env, napi_value object, const char *name, napi_value *value);
bool property_uint32(napi_env env, napi_value object, const char *name, uint32_t *number);
bool property_uint64(napi_env env, napi_value object, const char *name, uint64_t *number);
bool property_boolean(napi_env env, napi_value object, const char *name, bool *boolean);
bool property_text(napi_env env, napi_value object, const char *name, char *text, size_t room);
/* How many elements an array has; at most `most`. */
bool property_array(napi_env env, napi_value object, const char *name, uint32_t most, napi_value *array, uint32_t *length);

void set_number(napi_env env, napi_value object, const char *name, double number);

#endif
