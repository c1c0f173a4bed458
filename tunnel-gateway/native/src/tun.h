/*
 * tun.h: the device that carries inner packets, each behind a virtio header that says how it is to be segmented and summed
 * (linux/virtio_net.h). One read or write can move up to 64 KiB of one TCP flow.
 */
#ifndef ISTHMUS_TUN_H
#define ISTHMUS_TUN_H

#include <stdbool.h>

#define TUN_HEADER_BYTES 10 /* sizeof(struct virtio_net_hdr) */

/* Opens the device `name`, which host-setup has made for this user. Negative with errno, and in `step` what failed. */
int tun_open(const char *name, const char **step);

#endif
