/*
 * mailbox.h: how threads talk. Each thread owns one mailbox; anyone may post; only the owner drains.
 *
 * A message is allocated by its sender and belongs to the receiver once posted. `run` does what it asks and frees it.
 * A closed mailbox takes nothing: the sender keeps the message and calls `drop`.
 */
#ifndef ISTHMUS_MAILBOX_H
#define ISTHMUS_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>

struct message {
  struct message *next;
  /* On the owner's thread; `owner` is what mailbox_drain was given. Frees the message. */
  void (*run)(struct message *self, void *owner);
  /* Instead of `run` where the owner has gone: releases the message and everything it carries. */
  void (*drop)(struct message *self);
};

struct mailbox {
  pthread_mutex_t mutex;
  struct message *first;
  struct message **last;
  int event_fd; /* readable while there is something to drain: put it into epoll */
  bool is_closed;
};

/* False, with errno, when no event descriptor can be made. */
bool mailbox_open(struct mailbox *mailbox);

/* Gives the message away: to the owner, or to its own `drop` when the mailbox is closed. */
void mailbox_post(struct mailbox *mailbox, struct message *message);

/* Runs everything posted so far, in order. */
void mailbox_drain(struct mailbox *mailbox, void *owner);

/* Takes no more and drops what is left. */
void mailbox_close(struct mailbox *mailbox);

#endif
