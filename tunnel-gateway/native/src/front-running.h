/*
 * front-running.h: how front.c and front-mail.c find each other's front.
 */
#ifndef ISTHMUS_FRONT_RUNNING_H
#define ISTHMUS_FRONT_RUNNING_H

struct front;

/* NULL where none runs. JavaScript's thread only. */
struct front *front_running(void);

/* Posts the last message it gets. */
void front_ask_to_stop(struct front *front);

#endif
