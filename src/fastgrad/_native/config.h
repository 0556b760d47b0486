/* Sizes fixed at build time: width of a node id, nodes in a chunk.
 * Tests build with narrow ids (overflow within reach) and tiny chunks (every boundary crossed). */
#ifndef FASTGRAD_CONFIG_H
#define FASTGRAD_CONFIG_H

#include <stdint.h>

#ifndef FASTGRAD_ID_BITS
#define FASTGRAD_ID_BITS 32
#endif

#if FASTGRAD_ID_BITS == 8
typedef uint8_t node_id;
#elif FASTGRAD_ID_BITS == 16
typedef uint16_t node_id;
#elif FASTGRAD_ID_BITS == 32
typedef uint32_t node_id;
#else
#error "FASTGRAD_ID_BITS is 8, 16 or 32"
#endif

/* 4,096 nodes and their handle slots take 160 KiB: a few chunks stay warm in a 1 MiB L2. */
#ifndef FASTGRAD_CHUNK_SHIFT
#define FASTGRAD_CHUNK_SHIFT (FASTGRAD_ID_BITS == 32 ? 12 : FASTGRAD_ID_BITS / 3)
#endif

enum {
    CHUNK_SHIFT = FASTGRAD_CHUNK_SHIFT,
    CHUNK_NODES = 1 << CHUNK_SHIFT,
    CHUNK_MASK = CHUNK_NODES - 1,
    CHUNK_SAMPLES = CHUNK_NODES < 16 ? 1 : 16, /* looked at to guess how a chunk is used */
    CHUNK_LIMIT = 1 << (FASTGRAD_ID_BITS - CHUNK_SHIFT),
    BLOCK_LIMIT = (int)((1ull << (FASTGRAD_ID_BITS - (FASTGRAD_ID_BITS == 32))) - 1),
    ID_BITS = FASTGRAD_ID_BITS
};

#if defined(_MSC_VER) /* a variable of each thread */
#define FASTGRAD_PER_THREAD __declspec(thread)
#else
#define FASTGRAD_PER_THREAD _Thread_local
#endif

#if defined(__GNUC__)
#define FASTGRAD_LIKELY(x) __builtin_expect(!!(x), 1)
#define FASTGRAD_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define FASTGRAD_PREFETCH(address) __builtin_prefetch((address), 1)
#else
#define FASTGRAD_LIKELY(x) (x)
#define FASTGRAD_UNLIKELY(x) (x)
#define FASTGRAD_PREFETCH(address) ((void)(address))
#endif

#endif
