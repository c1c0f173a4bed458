/*
 * worker-scene.h: what the cases of worker.test.c share: worker 0 on the TUN d0 of a network namespace of its own, 10.77.0.254 and
 * fd77::fe on its other side, and what the worker has told.
 */
#ifndef ISTHMUS_WORKER_SCENE_H
#define ISTHMUS_WORKER_SCENE_H

#include "cstp.h"
#include "events.h"
#include "worker-client.h"

#define SLOTS 64
#define FIRST 0x0a4d0001u   /* 10.77.0.1 */
#define GATEWAY 0x0a4d00feu /* 10.77.0.254 */
#define DENIED 0x0a4d00fdu
#define POLICY 5

/* The last packet sent, the last frame received. */
extern uint8_t packet[65536], payload[65536];
extern uint8_t frame_type;
extern size_t payload_length;

void scene_start(void);

struct event *find_event(enum event_kind kind, uint32_t id);
int count_events(enum event_kind kind, uint32_t id);
uint64_t counter(enum worker_counter which);
/* How many packets' latency is known. Fails where their sum is less than their buckets say. */
uint64_t timed(enum latency_way way);

struct session_options options(uint32_t id, uint32_t slot);
struct client *open_client(uint32_t id, uint32_t slot);
void close_client(struct client *client, uint32_t id);
/* Sends an echo request on one way and receives its answer on another. */
void ping_over(struct client *there, struct client *back, uint32_t slot, uint16_t sequence, size_t bytes);
void ping(struct client *client, uint32_t slot, uint16_t sequence);

/* A host behind the gateway, on port 7000. */
int udp_socket(void);
/* A packet from the client's port 6000 to it, which opens the flow for answers. */
size_t udp_packet(uint8_t *into, uint32_t slot);
void send_udp(int fd, uint32_t slot, const uint8_t *bytes, size_t number);

/* worker-dtls-cases.c, worker-stream-cases.c */
void dtls_cases(void);
void stream_cases(void);

#endif
