/*
 * vnet-header.h: what goes before each packet on a TUN with IFF_VNET_HDR (virtio 1.x, 5.1.6; numbers in native byte order).
 */
#ifndef ISTHMUS_VNET_HEADER_H
#define ISTHMUS_VNET_HEADER_H

#include <stdint.h>

#define VNET_NEEDS_CHECKSUM 1 /* flags: sum from checksum_start on, put at + checksum_offset */
#define VNET_DATA_VALID 2     /* flags: the checksum was verified */

#define VNET_GSO_NONE 0
#define VNET_GSO_TCPV4 1
#define VNET_GSO_TCPV6 4
#define VNET_GSO_UDP_L4 5 /* Linux 6.2 and later */
#define VNET_GSO_ECN 0x80 /* with TCP: CWR is set on the first segment alone */

struct vnet_header {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t header_length; /* a hint, never trusted */
  uint16_t gso_size;      /* payload of each segment but the last */
  uint16_t checksum_start;
  uint16_t checksum_offset;
};

_Static_assert(sizeof(struct vnet_header) == 10, "as TUNSETVNETHDRSZ has it by default");

#endif
