#include "mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool mailbox_open(struct mailbox *mailbox) {
  mailbox->first = NULL;
  mailbox->last = &mailbox->first;
  mailbox->is_closed = false;
  mailbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return mailbox->event_fd >= 0 && pthread_mutex_init(&mailbox->mutex, NULL) == 0;
}

void mailbox_post(struct mailbox *mailbox, struct message *message) {
  message->next = NULL;
  pthread_mutex_lock(&mailbox->mutex);
  bool is_closed = mailbox->is_closed;
  bool was_empty = mailbox->first == NULL;
  if (!is_closed) {
    *mailbox->last = message;
    mailbox->last = &message->next;
    /* Inside the lock: a mailbox that is being closed keeps its descriptor until we are out. */
    uint64_t one = 1;
    if (was_empty) while (write(mailbox->event_fd, &one, sizeof one) < 0 && errno == EINTR) continue;
  }
  pthread_mutex_unlock(&mailbox->mutex);
  if (is_closed) message->drop(message);
}

static struct message *take_all(struct mailbox *mailbox) {
  pthread_mutex_lock(&mailbox->mutex);
  struct message *first = mailbox->first;
  mailbox->first = NULL;
  mailbox->last = &mailbox->first;
  pthread_mutex_unlock(&mailbox->mutex);
  return first;
}

void mailbox_drain(struct mailbox *mailbox, void *owner) {
  uint64_t count;
  while (read(mailbox->event_fd, &count, sizeof count) < 0 && errno == EINTR) continue;
  for (struct message *message = take_all(mailbox); message != NULL;) {
    struct message *next = message->next;
    message->run(message, owner);
    message = next;
  }
}

void mailbox_close(struct mailbox *mailbox) {
  pthread_mutex_lock(&mailbox->mutex);
  mailbox->is_closed = true;
  pthread_mutex_unlock(&mailbox->mutex);
  for (struct message *message = take_all(mailbox); message != NULL;) {
    struct message *next = message->next;
    message->drop(message);
    message = next;
  }
  close(mailbox->event_fd);
}
