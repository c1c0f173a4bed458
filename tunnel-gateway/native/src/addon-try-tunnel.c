#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "addon-values.h"
#include "addon.h"
#include "tun.h"

/* tryTunnel(device): opens a TUN device exactly as a packet thread does, and closes it again. Empty, or "ERRNO-NAME: step: words". */
napi_value addon_try_tunnel(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST], answer;
  char device[64], text[256] = "";
  const char *step = "";
  if (!arguments(env, info, 1, values) || !value_text(env, values[0], device, sizeof device)) return NULL;
  int fd = tun_open(device, &step);
  if (fd >= 0) close(fd);
  else snprintf(text, sizeof text, "%s: %s: %s", strerrorname_np(errno), step, strerror(errno));
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &answer);
  return answer;
}
