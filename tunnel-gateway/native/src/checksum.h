/*
 * checksum.h: the internet checksum (RFC 1071), in the byte order of memory: sums are of native 16-bit words as they lie there,
 * so that nothing is swapped; a number joins as htons(number).
 */
#ifndef ISTHMUS_CHECKSUM_H
#define ISTHMUS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds `length` bytes to a sum; an odd length only in the last piece. Sums of a whole packet never overflow. */
uint64_t checksum_add(const uint8_t *bytes, size_t length, uint64_t sum);

/* The addresses, protocol and length that TCP, UDP and ICMPv6 sum along; addresses of 4 or 16 bytes by `family`. */
uint64_t checksum_pseudo(uint8_t family, const uint8_t *source, const uint8_t *destination, uint8_t protocol, uint32_t length);

/* The 16-bit sum, not complemented: 0xffff of data that includes its right checksum. */
uint16_t checksum_fold(uint64_t sum);

/* Writes the complement of the sum. */
void checksum_store(uint8_t *at, uint64_t sum);

/* Mends the checksum at `at` for one 16-bit word that changed (RFC 1624); words as they lie in memory. */
void checksum_replace(uint8_t *at, uint16_t before, uint16_t after);

#endif
