#include "addon-values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to here a double holds every integer. */
#define INTEGERS_UP_TO 9007199254740991.0

bool refuse(napi_env env, const char *message, ...) {
  char text[512];
  va_list values;
  va_start(values, message);
  vsnprintf(text, sizeof text, message, values);
  va_end(values);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", text);
  return false;
}

bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value values[ARGUMENTS_AT_MOST]) {
  size_t given = ARGUMENTS_AT_MOST;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) != napi_ok) return refuse(env, "no arguments");
  return given == count || refuse(env, "expected %zu arguments, got %zu", count, given);
}

bool value_number(napi_env env, napi_value value, double *number) {
  return napi_get_value_double(env, value, number) == napi_ok || refuse(env, "expected a number");
}

static bool value_integer(napi_env env, napi_value value, double most, double *integer) {
  if (!value_number(env, value, integer)) return false;
  bool is_good = *integer >= 0 && *integer <= most && *integer == (double)(uint64_t)*integer;
  return is_good || refuse(env, "expected an integer from 0 to %.0f, got %g", most, *integer);
}

bool value_uint32(napi_env env, napi_value value, uint32_t *number) {
  double integer;
  if (!value_integer(env, value, UINT32_MAX, &integer)) return false;
  *number = (uint32_t)integer;
  return true;
}

bool value_boolean(napi_env env, napi_value value, bool *boolean) {
  return napi_get_value_bool(env, value, boolean) == napi_ok || refuse(env, "expected a boolean");
}

bool value_text(napi_env env, napi_value value, char *text, size_t room) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return refuse(env, "expected a string");
  if (length >= room) return refuse(env, "a string of %zu bytes; at most %zu", length, room - 1);
  napi_get_value_string_utf8(env, value, text, room, &length);
  return strlen(text) == length || refuse(env, "a string with a zero byte");
}

bool value_long_text(napi_env env, napi_value value, char **text) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return refuse(env, "expected a string");
  *text = malloc(length + 1);
  if (*text == NULL) return refuse(env, "out of memory");
  napi_get_value_string_utf8(env, value, *text, length + 1, &length);
  return true;
}

bool value_bytes(napi_env env, napi_value value, const uint8_t **bytes, size_t *length) {
  bool is_array = false;
  napi_typedarray_type type;
  void *start = NULL;
  if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array ||
      napi_get_typedarray_info(env, value, &type, length, &start, NULL, NULL) != napi_ok || type != napi_uint8_array)
    return refuse(env, "expected a Uint8Array");
  *bytes = start;
  return true;
}

bool property(napi_env env, napi_value object, const char *name, napi_value *value) {
  bool has = false;
  if (napi_has_named_property(env, object, name, &has) != napi_ok || !has) return refuse(env, "%s is missing", name);
  return napi_get_named_property(env, object, name, value) == napi_ok;
}

bool property_uint32(napi_env env, napi_value object, const char *name, uint32_t *number) {
  napi_value value;
  return property(env, object, name, &value) && value_uint32(env, value, number);
}

bool property_uint64(napi_env env, napi_value object, const char *name, uint64_t *number) {
  napi_value value;
  double integer;
  if (!property(env, object, name, &value) || !value_integer(env, value, INTEGERS_UP_TO, &integer)) return false;
  *number = (uint64_t)integer;
  return true;
}

bool property_boolean(napi_env env, napi_value object, const char *name, bool *boolean) {
  napi_value value;
  return property(env, object, name, &value) && value_boolean(env, value, boolean);
}

bool property_text(napi_env env, napi_value object, const char *name, char *text, size_t room) {
  napi_value value;
  return property(env, object, name, &value) && value_text(env, value, text, room);
}

bool property_array(napi_env env, napi_value object, const char *name, uint32_t most, napi_value *array, uint32_t *length) {
  if (!property(env, object, name, array)) return false;
  if (napi_get_array_length(env, *array, length) != napi_ok) return refuse(env, "%s: expected an array", name);
  return *length <= most || refuse(env, "%s: %u elements; at most %u", name, *length, most);
}

void set_number(napi_env env, napi_value object, const char *name, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  napi_set_named_property(env, object, name, value);
}
