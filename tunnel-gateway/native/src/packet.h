/*
 * packet.h: a strict view of one IPv4 or IPv6 packet, made once and used by everything on its path.
 *
 * What could hide its true destination or ports from the policy is malformed: source routes, a first fragment without its
 * whole transport header, a fragment that would overwrite one (RFC 1858, 3128, 7112).
 */
#ifndef ISTHMUS_PACKET_H
#define ISTHMUS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* IANA protocol numbers. */
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ICMPV6 58

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

enum packet_part {
  PACKET_WHOLE,          /* also an IPv6 "atomic fragment" */
  PACKET_FIRST_FRAGMENT, /* ports are known */
  PACKET_LATER_FRAGMENT  /* ports are zero; of IPv6 the protocol may be another header's */
};

struct packet {
  uint32_t total_length; /* bytes behind it are no part of the packet */
  uint16_t transport;    /* offset of the transport header: behind IPv4 options or IPv6 extension headers */
  uint16_t payload;      /* offset behind the header of TCP, UDP or ICMP (8 bytes); of others and later fragments = transport */
  uint8_t family;        /* 4 or 6 */
  uint8_t protocol;      /* the transport's */
  uint8_t part;          /* enum packet_part */
  uint8_t tcp_flags;
  uint8_t icmp_type, icmp_code;
  bool may_not_fragment;            /* IPv4 DF; IPv6 always */
  bool has_options;                 /* IPv4 options or IPv6 extension headers */
  uint16_t source_port, destination_port; /* host order; TCP and UDP, else 0 */
  uint16_t icmp_id;                 /* host order; of echo requests and replies, else 0 */
  uint32_t fragment_id;             /* host order; IPv4: its id, always; IPv6: of its fragment header */
  uint8_t source[16], destination[16]; /* IPv4 in the first four, the rest zero */
};

/* False where `bytes` do not begin with a well-formed packet that is there whole. */
bool packet_read(const uint8_t *bytes, size_t length, struct packet *packet);

/* Of a packet that an ICMP error quotes: it may be cut off behind its first 8 transport bytes. `payload` = `transport`,
 * TCP flags 0. */
bool packet_read_quoted(const uint8_t *bytes, size_t length, struct packet *packet);

/* An ICMP message about another packet, which follows at `payload`: unreachable, too big, time exceeded, parameter problem. */
bool packet_is_icmp_error(const struct packet *packet);

/* Echo request or reply, the messages that `icmp_id` is of. */
bool packet_is_icmp_echo(const struct packet *packet);

#endif
