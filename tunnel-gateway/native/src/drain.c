#include "drain.h"

#include "bytes.h"

#define TCP_HEADER 20
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_SACK 5
#define SACK_BYTES_AT_LEAST 10 /* kind, length and the edges of one block */

static bool is_after(uint32_t one, uint32_t other) { return (int32_t)(one - other) > 0; }

/* `back` 0: the newest. */
static struct drain_mark *mark_at(struct drain *drain, uint32_t back) {
  return &drain->marks[(drain->next - 1 - back) % DRAIN_MARKS];
}

/* Whether a flow was there before; remembers the furthest it came to. Further back than any window is another flow of the same ports. */
static bool was_sent_before(struct drain *drain, uint32_t flow, uint32_t end) {
  struct drain_flow *known = &drain->flows[(flow ^ flow >> 16) % DRAIN_FLOWS];
  if (known->flow == flow && known->end - end < DRAIN_WINDOW_BYTES) return true;
  *known = (struct drain_flow){flow, end};
  return false;
}

/* What is sent again gets no mark: an answer to something later may be on its way, and says nothing of when this was taken. */
void drain_mark(struct drain *drain, uint32_t flow, uint32_t end, uint64_t now_us) {
  if (was_sent_before(drain, flow, end)) return;
  struct drain_mark *newest = mark_at(drain, 0);
  bool is_live = newest->sent > drain->taken;
  uint64_t from = is_live ? newest->sent : drain->taken;
  if (is_live && newest->flow == flow && drain->sent - newest->from <= DRAIN_MARK_BYTES) from = newest->from;
  else drain->next++;
  *mark_at(drain, 0) = (struct drain_mark){drain->sent, from, now_us, flow, end};
}

uint32_t drain_newest(const uint8_t *packet, const struct packet *view) {
  const uint8_t *header = packet + view->transport;
  size_t end = (size_t)(view->payload - view->transport);
  uint32_t acknowledged = get32(header + 8);
  for (size_t at = TCP_HEADER; at < end && header[at] != OPTION_END;) {
    if (header[at] == OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 1 >= end || header[at + 1] < 2 || at + header[at + 1] > end) break;
    if (header[at] == OPTION_SACK && header[at + 1] >= SACK_BYTES_AT_LEAST) {
      uint32_t edge = get32(header + at + 6);
      return is_after(edge, acknowledged) ? edge : acknowledged;
    }
    at += header[at + 1];
  }
  return acknowledged;
}

static void learn(struct drain *drain, uint32_t took_us, uint64_t now_us) {
  if (now_us - drain->window_us >= DRAIN_WINDOW_US) {
    drain->window_us = now_us;
    drain->least_before_us = drain->least_us; /* 0: not known yet, and so not far */
    drain->least_us = took_us;
  }
  if (took_us < drain->least_us) drain->least_us = took_us;
  drain->impatience = 0;
}

void drain_answered(struct drain *drain, uint32_t flow, uint32_t newest, uint64_t now_us) {
  for (uint32_t back = 0; back < DRAIN_MARKS; back++) {
    const struct drain_mark *mark = mark_at(drain, back);
    if (mark->sent <= drain->answered) return;
    if (mark->flow != flow || is_after(mark->end, newest)) continue;
    uint64_t took_us = now_us - mark->at_us;
    learn(drain, took_us < UINT16_MAX ? (uint32_t)took_us + 1 : UINT16_MAX, now_us);
    drain->answered = mark->sent;
    if (mark->sent > drain->taken) drain->taken = mark->sent;
    return;
  }
}

static bool has_mark(const struct drain *drain) { return drain->marks[(drain->next - 1) % DRAIN_MARKS].sent > drain->taken; }

void drain_heard(struct drain *drain) {
  if (has_mark(drain)) return;
  drain->taken = drain->sent;
  if (drain->impatience > 0) drain->impatience--;
}

size_t drain_waiting(const struct drain *drain) { return (size_t)(drain->sent - drain->taken); }

uint32_t drain_patience_us(const struct drain *drain) {
  bool is_far = drain->least_us > DRAIN_FAR_US && drain->least_before_us > DRAIN_FAR_US;
  uint32_t patience_us = (has_mark(drain) ? DRAIN_MOST_US : DRAIN_MOST_UNMARKED_US) >> drain->impatience;
  return is_far || patience_us < DRAIN_LEAST_US ? DRAIN_LEAST_US : patience_us;
}

void drain_give_up(struct drain *drain) {
  if (drain->impatience < DRAIN_IMPATIENCE_AT_MOST) drain->impatience++;
  drain->taken = drain->sent;
}
