#include "mtu-search.h"

static void hear_probe(struct mtu_search *search, uint16_t size, uint64_t record) {
  if (search->probe != size) search->times = 0;
  if (search->times < UINT8_MAX) search->times++;
  search->probe = size;
  search->after_probe = record + 1;
  if (search->least_probe == 0 || size < search->least_probe) search->least_probe = size;
}

/*
 * Our answers get lost: the client asks for one size again and again, though a larger request of it had come. Where a record between the
 * last request and `record` is missing, there was one more that got lost on its way here. Where the client has never asked for less, it
 * has had no answer at all, and may be just far away.
 */
static bool has_given_up(const struct mtu_search *search, uint64_t record) {
  return search->times >= MTU_PROBES_GIVEN_UP && search->after_probe == record && search->probe < search->largest &&
         search->probe > search->least_probe;
}

/*
 * The first other frame ends a search. Before that nothing is in force, as a size on the way would make senders inside remember less than
 * there is for minutes. What is larger and comes later has shown that the result was too small.
 */
void mtu_search_hear(struct mtu_search *search, bool is_dpd_request, size_t length, uint64_t record) {
  uint16_t size = length < UINT16_MAX ? (uint16_t)length : UINT16_MAX;
  bool is_probe = is_dpd_request && size >= MTU_PROBE_AT_LEAST;
  if (!is_probe && search->probe > 0 && search->found == 0)
    search->found = has_given_up(search, record) ? (uint16_t)(search->probe - 1) : search->largest;
  if (is_probe) hear_probe(search, size, record);
  if (size > search->largest) search->largest = size;
  if (search->found > 0 && size > search->found) search->found = size;
}

uint16_t mtu_search_result(const struct mtu_search *search, bool has_ipv6) {
  if (search->found == 0) return UINT16_MAX;
  return has_ipv6 && search->found < MTU_LEAST_IPV6 ? MTU_LEAST_IPV6 : search->found;
}
