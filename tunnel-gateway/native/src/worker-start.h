/*
 * worker-start.h: how the files of the packet threads find each other's worker.
 */
#ifndef ISTHMUS_WORKER_START_H
#define ISTHMUS_WORKER_START_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* NULL where there is none. */
struct worker *worker_at(unsigned index);

/* Posts the last message a worker gets: it closes its sessions and its thread ends. */
bool worker_ask_to_stop(struct worker *worker, uint8_t type, const char *text);

#endif
