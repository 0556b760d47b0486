/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011): random numbers by counting, of any place at
 * once. */
#ifndef FASTGRAD_PHILOX_H
#define FASTGRAD_PHILOX_H

#include <stdint.h>

/* Replace a counter by its four random words. */
static inline void philox(uint32_t counter[4], uint64_t seed) {
    uint32_t low = (uint32_t)seed, high = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)counter[0] * 0xD2511F53u, q = (uint64_t)counter[2] * 0xCD9E8D57u;
        uint32_t next[4] = {(uint32_t)(q >> 32) ^ counter[1] ^ low, (uint32_t)q,
            (uint32_t)(p >> 32) ^ counter[3] ^ high, (uint32_t)p};
        for (int i = 0; i < 4; i++) counter[i] = next[i];
        low += 0x9E3779B9u;
        high += 0xBB67AE85u;
    }
}

/* 53 bits of the two words that a draw has. */
static inline int64_t philox_bits(uint32_t high, uint32_t low) {
    return (int64_t)((uint64_t)(high >> 5) << 26 | low >> 6);
}

/* The number of 0 to 1, without 1, that a draw of a sample has in a call. */
static inline double philox_uniform(uint64_t seed, uint64_t call, uint32_t sample, uint64_t draw) {
    uint32_t words[4] = {(uint32_t)(draw / 2), sample, (uint32_t)call, (uint32_t)(call >> 32)};
    philox(words, seed);
    const uint32_t *pair = words + 2 * (draw % 2);
    return (double)philox_bits(pair[0], pair[1]) / 9007199254740992.0;
}

#endif
