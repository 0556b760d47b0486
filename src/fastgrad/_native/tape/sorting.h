/* What planners sort operations with: numbers for keys, and sorting by them in linear time. */
#ifndef FASTGRAD_SORTING_H
#define FASTGRAD_SORTING_H

#include <Python.h>

#include <string.h>

#include "tape/tape.h"

/* Numbers for keys, in the order in which they are met. */
typedef struct {
    uint64_t *keys;
    uint32_t *numbers, mask, n;
} Names;

static inline int names_begin(Names *names, uint32_t most) {
    uint32_t size = 16;
    while (size / 2 < most) size *= 2;
    names->mask = size - 1;
    TRY_ROOM(names->keys, size);
    TRY_ROOM(names->numbers, size);
    return TAPE_OK;
}

static inline void names_free(Names *names) {
    PyMem_RawFree(names->keys);
    PyMem_RawFree(names->numbers);
}

static inline uint64_t mixed(uint64_t x) {
    x *= 0x9e3779b97f4a7c15u;
    return x ^ x >> 29;
}

static inline uint32_t name_of(Names *names, uint64_t key) {
    key |= (uint64_t)1 << 63; /* 0 marks what is free */
    uint32_t at = (uint32_t)(mixed(key) >> 20) & names->mask;
    for (; names->keys[at]; at = (at + 1) & names->mask)
        if (names->keys[at] == key) return names->numbers[at];
    names->keys[at] = key;
    return names->numbers[at] = names->n++;
}

/* Sorts by keys below `keys`, stable; `count` has room for keys + 1. */
static inline void sort_by(const uint32_t *key, uint32_t keys, const uint32_t *in, uint32_t n,
    uint32_t *count, uint32_t *out) {
    memset(count, 0, (keys + (size_t)1) * sizeof *count);
    for (uint32_t i = 0; i < n; i++) count[key[in[i]] + 1]++;
    for (uint32_t k = 0; k < keys; k++) count[k + 1] += count[k];
    for (uint32_t i = 0; i < n; i++) out[count[key[in[i]]]++] = in[i];
}

#endif
