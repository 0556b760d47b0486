/* What both planners of groups use: costs, arrays that grow, sorting, the modes of operands. */
#ifndef FASTGRAD_GROUPS_PLAN_H
#define FASTGRAD_GROUPS_PLAN_H

#include <Python.h>

#include <string.h>

#include "config.h"
#include "tape/groups.h"
#include "tape/sorting.h"

/* Nanoseconds on a server of 2024 (AVX-512, 3.5 GHz), by least squares over twenty tapes. */
static const struct {
    double step, run, gather, listed, term, row; /* of groups: each step, and each lane's operand */
    double product;                              /* of a layer */
    double forward, forward_term, reverse, reverse_term; /* of the interpreter: an operation */
    /* Groups are used if they take less than this part of the interpreter's time: without a
     * gradient; with one. Above the last they are not kept until one is asked for. */
    double alone, both, hopeless;
} costs = {3.4, 0.12, 0.32, 2.4, 0.5, 12.0, 0.11, 1.3, 0.4, 1.8, 0.8, 0.7, 0.9, 1.2};

enum {
    NARROW = 4,       /* fewer lanes than this are listed one by one */
    ALONG_LEAST = 16, /* terms of a sum that is worth a step of its own */
    LAYER_LEAST = 8,  /* products of a sum that is worth a row of a layer */
    PIECE = 16,
    PIECE_OF_SUMS = 8 /* lanes, on average, where a step is cut */
};

/* Room for one more entry: the array, moved or not; NULL: no memory. */
static inline void *extended(void *array, Extent *e, size_t size) {
    if (e->n < e->capacity) return array;
    const size_t capacity = e->capacity ? 2 * e->capacity : 16;
    array = PyMem_RawRealloc(array, capacity * size);
    if (array) e->capacity = capacity;
    return array;
}

/* Appends an entry to an array that has an extent. */
#define PUSH(of, array, ...)                                                                       \
    do {                                                                                           \
        void *moved = extended((of)->array, &(of)->array##_extent, sizeof *(of)->array);           \
        if (!moved) return TAPE_NO_MEMORY;                                                         \
        (of)->array = moved;                                                                       \
        (of)->array[(of)->array##_extent.n++] = (__VA_ARGS__);                                     \
    } while (0)

/* ---- operands in lanes ---- */

static inline int is_sequence(const uint32_t *x, uint32_t n, uint32_t step) {
    for (uint32_t i = 1; i < n; i++)
        if (x[i] != x[0] + i * step) return 0;
    return 1;
}

static inline enum ref_mode mode_of(const uint32_t *x, uint32_t n) {
    if (is_sequence(x, n, 0)) return REF_ONE;
    return is_sequence(x, n, 1) ? REF_RUN : REF_GATHER;
}

/* How n indices go; those of a gather are appended to a pool, LANES at least: the last again. */
#define REF_OF(of, x, n, ref)                                                                      \
    do {                                                                                           \
        (ref).mode = mode_of(x, n);                                                                \
        (ref).at = (x)[0];                                                                         \
        (of)->cost += (n) * ((ref).mode == REF_GATHER ? costs.gather : costs.run);                 \
        if ((ref).mode == REF_GATHER) {                                                            \
            (ref).at = (uint32_t)(of)->pool_extent.n;                                              \
            for (uint32_t i_ = 0; i_ < (n) || i_ < LANES; i_++)                                    \
                PUSH(of, pool, (x)[i_ < (n) ? i_ : (n) - 1]);                                      \
        }                                                                                          \
    } while (0)

/* Cuts n lanes, rows x of operands, where none goes on as a run or as one for all. Returns the
 * number of pieces, their ends in `ends`; 1 if they would be shorter than `least` on average. */
static inline uint32_t cut(
    const uint32_t *x, uint32_t rows, uint32_t n, uint32_t least, uint32_t *ends) {
    uint32_t pieces = 0, begin = 0;
    for (uint32_t i = 1; i < n; i++) {
        int goes_on = 1;
        for (uint32_t r = 0; r < rows && goes_on; r++) {
            const uint32_t *row = x + (size_t)r * n, step = row[i] - row[i - 1];
            goes_on = step <= 1 && (i - begin < 2 || step == row[i - 1] - row[i - 2]);
        }
        if (goes_on) continue;
        ends[pieces++] = begin = i;
        if (n / (pieces + 1) < least) break;
    }
    ends[pieces++] = n;
    if (pieces > 1 && n / pieces < least) {
        ends[0] = n;
        return 1;
    }
    return pieces;
}

#endif
