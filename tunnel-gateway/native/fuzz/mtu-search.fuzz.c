// sources: mtu-search.c
/* The input: frames of a client, two bytes each, the first bit of which makes it a DPD request. */
#include "mtu-search.h"

#include "fuzz.h"

#define SIZE_BITS 0x7fff

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct choices choices = {bytes, length};
  struct mtu_search search = {0};
  uint16_t largest = 0, before = UINT16_MAX;
  uint64_t record = 0;
  bool has_probed = false;
  while (choices.left >= 2) {
    uint16_t choice = choose16(&choices), size = choice & SIZE_BITS;
    bool is_dpd_request = choice > SIZE_BITS;
    mtu_search_hear(&search, is_dpd_request, size, record);
    record += choice % 5 == 0 ? 2 : 1; /* some get lost */
    if (size > largest) largest = size;
    uint16_t now = mtu_search_result(&search, false), with_ipv6 = mtu_search_result(&search, true);
    HOLDS(has_probed || now == UINT16_MAX);
    HOLDS(now == UINT16_MAX || (now >= MTU_PROBE_AT_LEAST && now <= largest));
    HOLDS(with_ipv6 >= MTU_LEAST_IPV6 && with_ipv6 >= now);
    HOLDS(before == UINT16_MAX || now >= before);
    HOLDS(before == UINT16_MAX || now >= size);
    has_probed |= is_dpd_request && size >= MTU_PROBE_AT_LEAST;
    before = now;
  }
  return 0;
}
