/*
 * mtu-search.h: what a client's search for the MTU of its path tells the gateway, pure. Where routers drop what is too large and
 * their ICMP gets lost, nobody else tells it.
 *
 * openconnect (probe_mtu() in its dtls.c, seen with 9.01) begins each DTLS connection with DPD requests that are as long as a packet
 * of the size in question, the MTU it was given first, then halving what is between the largest that came back and the least that did
 * not. It takes the largest that came back, and reads nothing else meanwhile. An example, where 1,214 go through:
 *
 *   asked for              1434 1005 1220 1113 1274 1194 ... 1214 1215 1215 1215 1215 1215 1215 1215 | first packet
 *   came, narrow both ways      1005      1113      1194 ... 1214                                    | the largest is it
 *   came, narrow down      1434 1005 1220 1113 1274 1194 ... 1214 1215 1215 1215 1215 1215 1215 1215 | one less than what was given up
 *
 * Clients that search otherwise are taken to have found the largest that came.
 */
#ifndef ISTHMUS_MTU_SEARCH_H
#define ISTHMUS_MTU_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 8200 section 5. */
#define MTU_LEAST_IPV6 1280
/* RFC 791: what every host takes. A DPD request that is no probe has a few bytes at most. */
#define MTU_PROBE_AT_LEAST 576
/* openconnect asks seven times before it gives a size up; some may get lost. It repeats none but the one above its largest answer. */
#define MTU_PROBES_GIVEN_UP 4

/* Of one DTLS connection; all zero at its start. */
struct mtu_search {
  uint64_t after_probe;        /* number of the record that follows the last probe */
  uint16_t largest;            /* frame that came, of any type */
  uint16_t probe, least_probe; /* the last one, the least one; 0: none came */
  uint8_t times;               /* `probe` came in a row */
  uint16_t found;              /* 0: no search has ended */
};

/* A frame came over DTLS, `length` bytes behind its type, in the record of that number (RFC 6347 section 4.1). */
void mtu_search_hear(struct mtu_search *search, bool is_dpd_request, size_t length, uint64_t record);

/* What inner packets may have, as far as is known by this: never less than has to get through, UINT16_MAX where nothing is known. */
uint16_t mtu_search_result(const struct mtu_search *search, bool has_ipv6);

#endif
