#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "addon-values.h"
#include "addon.h"
#include "front.h"
#include "tls-context.h"
#include "tun.h"
#include "worker.h"

#define AUTHORITIES_AT_MOST 1000

/* An error with the name of `error` as its code. */
static void throw_system_error(napi_env env, int error, const char *message) {
  const char *name = strerrorname_np(error);
  napi_throw_error(env, name == NULL ? "UNKNOWN" : name, message);
}

/* --- identity --- */

static bool read_authorities(napi_env env, napi_value options, char **texts, size_t *count) {
  napi_value array, element;
  uint32_t length;
  if (!property_array(env, options, "authorities", AUTHORITIES_AT_MOST, &array, &length)) return false;
  for (uint32_t i = 0; i < length; i++) {
    if (napi_get_element(env, array, i, &element) != napi_ok || !value_long_text(env, element, &texts[i])) return false;
    *count += 1;
  }
  return true;
}

static void wipe_text(char *text) {
  if (text != NULL) OPENSSL_cleanse(text, strlen(text));
  free(text);
}

/* A context of options.certificate, key and authorities; NULL with an exception. */
static SSL_CTX *read_identity(napi_env env, napi_value options) {
  char *certificate = NULL, *key = NULL, reason[256];
  char **authorities = calloc(AUTHORITIES_AT_MOST, sizeof *authorities);
  size_t count = 0;
  napi_value value;
  SSL_CTX *context = NULL;
  bool is_read = authorities != NULL && property(env, options, "certificate", &value) &&
                 value_long_text(env, value, &certificate) && property(env, options, "key", &value) &&
                 value_long_text(env, value, &key) && read_authorities(env, options, authorities, &count);
  if (is_read) {
    struct tls_identity identity = {certificate, key, (const char *const *)authorities, count};
    context = tls_context_new(&identity, reason, sizeof reason);
    if (context == NULL) napi_throw_error(env, "ERR_OSSL", reason);
  }
  free(certificate);
  wipe_text(key);
  for (size_t i = 0; i < count; i++) free(authorities[i]);
  free(authorities);
  return context;
}

napi_value addon_set_identity(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST];
  if (!arguments(env, info, 1, values)) return NULL;
  SSL_CTX *context = read_identity(env, values[0]);
  if (context != NULL) front_set_tls(context);
  return NULL;
}

/* --- listen --- */

static bool read_address(napi_env env, napi_value options, struct front_options *front) {
  char text[64];
  uint32_t port;
  if (!property_text(env, options, "address", text, sizeof text) || !property_uint32(env, options, "port", &port)) return false;
  if (port > 65535) return refuse(env, "port %u is over 65535", port);
  struct sockaddr_in *ipv4 = (struct sockaddr_in *)&front->address;
  struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&front->address;
  if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = htons((uint16_t)port);
    front->address_length = sizeof *ipv4;
    return true;
  }
  if (inet_pton(AF_INET6, text, &ipv6->sin6_addr) != 1) return refuse(env, "%s is no IP address", text);
  ipv6->sin6_family = AF_INET6;
  ipv6->sin6_port = htons((uint16_t)port);
  front->address_length = sizeof *ipv6;
  return true;
}

static bool read_relay_names(napi_env env, napi_value options, struct front_options *front) {
  napi_value array, element;
  uint32_t length;
  if (!property_array(env, options, "relayServerNames", RELAY_NAMES_AT_MOST, &array, &length)) return false;
  for (uint32_t i = 0; i < length; i++) {
    char *name = front->relay_names[i];
    if (napi_get_element(env, array, i, &element) != napi_ok || !value_text(env, element, name, sizeof front->relay_names[i]))
      return false;
    for (; *name != '\0'; name++) *name = (char)tolower((unsigned char)*name);
  }
  return true;
}

static bool read_proxies(napi_env env, napi_value options, struct front_options *front) {
  napi_value array, element;
  uint32_t length;
  char text[64];
  if (!property_array(env, options, "proxyProtocolFrom", PROXIES_AT_MOST, &array, &length)) return false;
  for (uint32_t i = 0; i < length; i++) {
    if (napi_get_element(env, array, i, &element) != napi_ok || !value_text(env, element, text, sizeof text)) return false;
    if (!network_parse(text, &front->proxies[i])) return refuse(env, "%s is no network", text);
    front->proxies_count++;
  }
  return true;
}

napi_value addon_listen(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST], result;
  if (!arguments(env, info, 1, values)) return NULL;
  napi_value options = values[0];
  struct front_options front = {0};
  if (!read_address(env, options, &front) || !property_boolean(env, options, "udp", &front.has_udp) ||
      !property_boolean(env, options, "http2IsRelay", &front.has_http2_relay) ||
      !read_relay_names(env, options, &front) || !read_proxies(env, options, &front) ||
      !property_uint32(env, options, "pending", &front.pending) ||
      !property_uint32(env, options, "pendingPerAddress", &front.pending_per_address) ||
      !property_uint32(env, options, "handshakeSeconds", &front.handshake_seconds))
    return NULL;
  front.tls = read_identity(env, options);
  if (front.tls == NULL) return NULL;
  uint16_t port;
  char fault[256];
  if (!front_start(&front, &port, fault, sizeof fault)) {
    throw_system_error(env, errno, fault);
    return NULL;
  }
  napi_create_uint32(env, port, &result);
  return result;
}

/* --- packet threads --- */

static bool read_tunnel(napi_env env, napi_value tunnel, char device[64], struct worker_options *worker) {
  char ipv4[64], ipv6[64];
  uint32_t mtu;
  struct in_addr first;
  if (!property_text(env, tunnel, "device", device, 64) || !property_text(env, tunnel, "firstIpv4", ipv4, sizeof ipv4) ||
      !property_text(env, tunnel, "firstIpv6", ipv6, sizeof ipv6) ||
      !property_uint32(env, tunnel, "slots", &worker->slots) || !property_uint32(env, tunnel, "mtu", &mtu) ||
      !property_uint32(env, tunnel, "flows", &worker->flows_at_most))
    return false;
  if (inet_pton(AF_INET, ipv4, &first) != 1) return refuse(env, "%s is no IPv4 address", ipv4);
  worker->first_ipv4 = ntohl(first.s_addr);
  if (ipv6[0] != '\0' && inet_pton(AF_INET6, ipv6, worker->first_ipv6) != 1) return refuse(env, "%s is no IPv6 address", ipv6);
  if (mtu > 65535) return refuse(env, "an MTU of %u is over 65535", mtu);
  worker->tun_mtu = (uint16_t)mtu;
  return true;
}

static bool start_worker(napi_env env, napi_value tunnel) {
  char device[64], message[256];
  const char *step = "thread";
  struct worker_options worker = {0};
  if (!read_tunnel(env, tunnel, device, &worker)) return false;
  worker.tun_fd = tun_open(device, &step);
  if (worker.tun_fd >= 0 && worker_start(addon_workers(), &worker)) {
    addon_set_workers(addon_workers() + 1);
    return true;
  }
  int error = errno;
  snprintf(message, sizeof message, "tunnel %s: %s: %s", device, worker.tun_fd < 0 ? step : "thread", strerror(error));
  throw_system_error(env, error, message);
  return false;
}

/* startWorkers(tunnels): one packet thread for each. On a failure those before it run; stop() ends them. */
napi_value addon_start_workers(napi_env env, napi_callback_info info) {
  napi_value values[ARGUMENTS_AT_MOST], tunnel;
  uint32_t length;
  if (!arguments(env, info, 1, values)) return NULL;
  if (napi_get_array_length(env, values[0], &length) != napi_ok || length > WORKERS_AT_MOST || addon_workers() > 0) {
    refuse(env, "expected an array of at most %d tunnels, once", WORKERS_AT_MOST);
    return NULL;
  }
  for (uint32_t i = 0; i < length; i++)
    if (napi_get_element(env, values[0], i, &tunnel) != napi_ok || !start_worker(env, tunnel)) return NULL;
  return NULL;
}
